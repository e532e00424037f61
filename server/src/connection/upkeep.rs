//! What a core looks at from time to time on all its connections: idle ones, and those that do not read.

use super::output;
use crate::clients::{Client, ClientFlags};
use crate::core::Core;
use crate::peer::Close;
use std::sync::atomic::Ordering;

/// How often, in microseconds.
pub(crate) const PERIOD_US: i64 = 100_000;

impl Core {
    /// Closes connections that have been idle for too long (`timeout`) or whose output has stood over its soft limit
    /// for too long, and brings the figures of CLIENT LIST up to date. Cost: O(connections of this core).
    pub(crate) fn tend_connections(&self) {
        let timeout_ms = i64::from(self.settings().timeout_s) * 1000;
        let now_ms = self.now().unix_ms();
        for peer in self.peers() {
            let client = &peer.client;
            if client.output_len.load(Ordering::Relaxed) > 0 {
                output::check_limit(self, &peer, self.reactor.unsent_len(peer.key));
            }
            let idle_ms = now_ms - client.active_at_ms.load(Ordering::Relaxed);
            if timeout_ms > 0 && idle_ms > timeout_ms && may_time_out(client) {
                self.close_peer(&peer, Close::Now);
            }
        }
    }
}

/// Whether a connection counts as idle when it sends nothing: not while it waits for something.
fn may_time_out(client: &Client) -> bool {
    !client.has_flag(ClientFlags::PUBSUB | ClientFlags::MONITOR) && !client.is_waiting()
}
