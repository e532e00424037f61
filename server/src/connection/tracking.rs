//! How the keys that one connection reads are tracked, and how tracking begins and ends.

use super::{Connection, Session};
use crate::clients::ClientFlags;
use crate::message::{CoreQuestion, Question};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

/// CLIENT TRACKING of one connection.
#[derive(Clone, Debug, Default)]
pub struct TrackingState {
    /// Which keys are tracked.
    pub mode: TrackingMode,
    /// CLIENT CACHING has just made an exception for the next command.
    pub is_exception: bool,
    /// NOLOOP: the client does not want to hear of its own changes.
    pub is_noloop: bool,
    /// The client that gets the invalidations; 0 for this one.
    pub redirect: u64,
    /// Prefixes of [`TrackingMode::Broadcast`].
    pub prefixes: BTreeSet<Box<[u8]>>,
}

/// Which keys are tracked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrackingMode {
    /// All that the client reads.
    #[default]
    All,
    /// Those that the command behind CLIENT CACHING yes reads.
    OptIn,
    /// All but those that the command behind CLIENT CACHING no reads.
    OptOut,
    /// All keys with certain prefixes, read or not.
    Broadcast,
}

impl TrackingState {
    /// Whether the keys that the next command reads are remembered.
    #[must_use]
    pub fn remembers_next(&self) -> bool {
        match self.mode {
            TrackingMode::All => true,
            TrackingMode::OptIn => self.is_exception,
            TrackingMode::OptOut => !self.is_exception,
            TrackingMode::Broadcast => false,
        }
    }
}

impl Session {
    /// Whether CLIENT CACHING has made an exception for the next command.
    #[must_use]
    pub fn is_caching_exception(&self) -> bool {
        self.tracking.as_ref().is_some_and(|tracking| tracking.is_exception)
    }

    /// A command other than CLIENT has ended: the exception of CLIENT CACHING was for it.
    pub fn end_caching_exception(&mut self) {
        if let Some(tracking) = &mut self.tracking {
            tracking.is_exception = false;
        }
    }
}

impl Connection {
    /// Begins to track, or goes on in another way; returns once every core knows.
    pub(crate) async fn start_tracking(&mut self, state: TrackingState) {
        let core = self.core.clone();
        if self.session.tracking.is_none() {
            core.shared.tracking_count.fetch_add(1, Ordering::AcqRel);
        }
        let client = &self.peer.client;
        client.redirect.store(state.redirect, Ordering::Relaxed);
        client.set_flag(ClientFlags::TRACKING_BROKEN_REDIRECT, false);
        client.set_flag(ClientFlags::TRACKING_NOLOOP, state.is_noloop);
        client.set_flag(ClientFlags::TRACKING_BCAST, state.mode == TrackingMode::Broadcast);
        client.set_flag(ClientFlags::TRACKING, true);
        let client_id = client.id;
        let prefixes: Vec<Box<[u8]>> = state.prefixes.iter().cloned().collect();
        self.session.tracking = Some(Box::new(state));
        core.ask_all(|_| {
            Question::Core(CoreQuestion::Track { client_id, prefixes: prefixes.clone() })
        })
        .await;
    }

    /// Tracks no longer.
    pub(crate) async fn stop_tracking(&mut self) {
        let Some(state) = self.session.tracking.take() else { return };
        let core = self.core.clone();
        let client = &self.peer.client;
        let all = ClientFlags::TRACKING
            | ClientFlags::TRACKING_BCAST
            | ClientFlags::TRACKING_NOLOOP
            | ClientFlags::TRACKING_BROKEN_REDIRECT;
        client.set_flag(all, false);
        if !state.prefixes.is_empty() {
            let client_id = client.id;
            let prefixes: Vec<Box<[u8]>> = state.prefixes.into_iter().collect();
            core.ask_all(|_| {
                Question::Core(CoreQuestion::Untrack { client_id, prefixes: prefixes.clone() })
            })
            .await;
        }
        core.shared.tracking_count.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_turns_the_rule_of_its_mode() {
        let remembers = |mode, is_exception| {
            TrackingState { mode, is_exception, ..TrackingState::default() }.remembers_next()
        };
        assert!(remembers(TrackingMode::All, false));
        assert!(!remembers(TrackingMode::OptIn, false));
        assert!(remembers(TrackingMode::OptIn, true));
        assert!(remembers(TrackingMode::OptOut, false));
        assert!(!remembers(TrackingMode::OptOut, true));
        assert!(!remembers(TrackingMode::Broadcast, false));
    }
}
