//! CLIENT TRACKING, CACHING, GETREDIR and TRACKINGINFO: client-side caching as the client sees it; `tracking` does it.

use crate::clients::{ClientFlags, Clients};
use crate::connection::{Connection, TrackingMode, TrackingState};
use shard::CommandError;
use shard::args::Args;
use std::collections::BTreeSet;

/// What CLIENT TRACKING is given.
#[derive(Debug, Default)]
struct Options {
    redirect: u64,
    is_broadcast: bool,
    is_opt_in: bool,
    is_opt_out: bool,
    is_noloop: bool,
    prefixes: Vec<Box<[u8]>>,
}

impl Options {
    fn parse(mut args: Args<'_>, clients: &Clients) -> Result<Options, CommandError> {
        let mut options = Options::default();
        while !args.is_empty() {
            if args.remaining() > 1 && args.take_token("redirect") {
                if options.redirect != 0 {
                    let text = "ERR A client can only redirect to a single other client";
                    return Err(CommandError::text(text));
                }
                let id = args.integer()?.cast_unsigned();
                if clients.get(id).is_none() {
                    let text = "ERR The client ID you want redirect to does not exist";
                    return Err(CommandError::text(text));
                }
                options.redirect = id;
            } else if args.remaining() > 1 && args.take_token("prefix") {
                options.prefixes.push(args.bytes()?.into());
            } else if args.take_token("bcast") {
                options.is_broadcast = true;
            } else if args.take_token("optin") {
                options.is_opt_in = true;
            } else if args.take_token("optout") {
                options.is_opt_out = true;
            } else if args.take_token("noloop") {
                options.is_noloop = true;
            } else {
                return Err(CommandError::Syntax);
            }
        }
        Ok(options)
    }

    /// What tracking becomes with these options, after `before`.
    fn apply(self, before: Option<&TrackingState>) -> Result<TrackingState, CommandError> {
        let error = |text| Err(CommandError::text(text));
        if !self.is_broadcast && !self.prefixes.is_empty() {
            return error("ERR PREFIX option requires BCAST mode to be enabled");
        }
        let was = before.map(|before| before.mode);
        if was.is_some_and(|was| (was == TrackingMode::Broadcast) != self.is_broadcast) {
            return error(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then \
                 re-enabling it with a different mode.",
            );
        }
        if self.is_broadcast && (self.is_opt_in || self.is_opt_out) {
            return error("ERR OPTIN and OPTOUT are not compatible with BCAST");
        }
        if self.is_opt_in && self.is_opt_out {
            return error("ERR You can't specify both OPTIN mode and OPTOUT mode");
        }
        let is_switch = self.is_opt_in && was == Some(TrackingMode::OptOut)
            || self.is_opt_out && was == Some(TrackingMode::OptIn);
        if is_switch {
            return error(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then \
                 re-enabling it with a different mode.",
            );
        }
        let mode = match (self.is_broadcast, self.is_opt_in, self.is_opt_out) {
            (true, ..) => TrackingMode::Broadcast,
            (_, true, _) => TrackingMode::OptIn,
            (_, _, true) => TrackingMode::OptOut,
            _ => TrackingMode::All,
        };
        let mut prefixes = before.map(|before| before.prefixes.clone()).unwrap_or_default();
        if self.is_broadcast {
            check_overlaps(&prefixes, &self.prefixes)?;
            let is_any = self.prefixes.is_empty();
            prefixes.extend(self.prefixes);
            // Without a prefix, the empty one: every key has it.
            prefixes.extend(is_any.then(Box::default));
        }
        let (redirect, is_noloop) = (self.redirect, self.is_noloop);
        let is_exception = before.is_some_and(|before| before.is_exception);
        Ok(TrackingState { mode, is_exception, is_noloop, redirect, prefixes })
    }
}

/// Refuses prefixes by which a client would hear of one key twice.
fn check_overlaps(existing: &BTreeSet<Box<[u8]>>, added: &[Box<[u8]>]) -> Result<(), CommandError> {
    let overlap = |a: &[u8], b: &[u8]| a.starts_with(b) || b.starts_with(a);
    for (index, prefix) in added.iter().enumerate() {
        let old = existing.iter().find(|old| overlap(old, prefix));
        let other = added[index + 1..].iter().find(|other| overlap(other, prefix));
        let (kind, with) = match (old, other) {
            (Some(old), _) => ("an existing prefix", old),
            (None, Some(other)) => ("another provided prefix", other),
            (None, None) => continue,
        };
        let text = format!(
            "ERR Prefix '{}' overlaps with {kind} '{}'. Prefixes for a single client must not overlap.",
            String::from_utf8_lossy(prefix),
            String::from_utf8_lossy(with),
        );
        return Err(CommandError::Text(text.into()));
    }
    Ok(())
}

pub(super) async fn tracking(
    connection: &mut Connection,
    mut args: Args<'_>,
) -> Result<(), CommandError> {
    let switch = args.bytes()?;
    let options = Options::parse(args, &connection.core.shared.clients)?;
    if switch.eq_ignore_ascii_case(b"on") {
        let state = options.apply(connection.session.tracking.as_deref())?;
        connection.start_tracking(state).await;
    } else if switch.eq_ignore_ascii_case(b"off") {
        connection.stop_tracking().await;
    } else {
        return Err(CommandError::Syntax);
    }
    connection.reply(|writer| writer.ok());
    Ok(())
}

pub(super) fn caching(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let Some(tracking) = &mut connection.session.tracking else {
        return Err(CommandError::text(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode \
             enabled",
        ));
    };
    let (mode, text) = if args.take_token("yes") {
        let text = "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.";
        (TrackingMode::OptIn, text)
    } else if args.take_token("no") {
        let text = "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.";
        (TrackingMode::OptOut, text)
    } else {
        return Err(CommandError::Syntax);
    };
    if tracking.mode != mode {
        return Err(CommandError::text(text));
    }
    tracking.is_exception = true;
    connection.reply(|writer| writer.ok());
    Ok(())
}

pub(super) fn getredir(connection: &mut Connection) {
    let redirect = redirect(connection);
    connection.reply(|writer| writer.integer(redirect));
}

/// The client that gets the invalidations, as clients are told: 0 for this one, -1 without tracking.
fn redirect(connection: &Connection) -> i64 {
    connection.session.tracking.as_ref().map_or(-1, |tracking| tracking.redirect as i64)
}

pub(super) fn trackinginfo(connection: &mut Connection) {
    let redirect = redirect(connection);
    let tracking = connection.session.tracking.clone();
    let is_broken = connection.peer.client.has_flag(ClientFlags::TRACKING_BROKEN_REDIRECT);
    let mut words = vec![if tracking.is_some() { "on" } else { "off" }];
    let tracking = tracking.unwrap_or_default();
    words.extend(match (tracking.mode, tracking.is_exception) {
        (TrackingMode::All, _) => &[] as &[_],
        (TrackingMode::Broadcast, _) => &["bcast"],
        (TrackingMode::OptIn, false) => &["optin"],
        (TrackingMode::OptIn, true) => &["optin", "caching-yes"],
        (TrackingMode::OptOut, false) => &["optout"],
        (TrackingMode::OptOut, true) => &["optout", "caching-no"],
    });
    words.extend(tracking.is_noloop.then_some("noloop"));
    words.extend(is_broken.then_some("broken_redirect"));
    connection.reply(|writer| {
        writer.map(3);
        writer.bulk(b"flags");
        writer.set(words.len());
        words.iter().for_each(|word| writer.bulk(word.as_bytes()));
        writer.bulk(b"redirect");
        writer.integer(redirect);
        writer.bulk(b"prefixes");
        writer.array(tracking.prefixes.len());
        tracking.prefixes.iter().for_each(|prefix| writer.bulk(prefix));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::request::ArgvBuf;

    /// The options behind `CLIENT TRACKING on`, applied after `before`.
    fn apply(words: &str, before: Option<&TrackingState>) -> Result<TrackingState, String> {
        let argv: ArgvBuf = words.split_whitespace().map(str::as_bytes).collect();
        let mut args = Args::new(argv.as_argv());
        assert!(args.take_token("on"), "{words}");
        let options = Options::parse(args, &Clients::default());
        options
            .and_then(|options| options.apply(before))
            .map_err(|error| String::from_utf8(error.as_bytes().into_owned()).unwrap())
    }

    #[test]
    fn modes_exclude_each_other() {
        let opt_in = apply("tracking on OPTIN", None).unwrap();
        assert_eq!(opt_in.mode, TrackingMode::OptIn);
        assert!(apply("tracking on OPTOUT", Some(&opt_in)).is_err());
        assert!(apply("tracking on BCAST", Some(&opt_in)).is_err());
        assert!(apply("tracking on OPTIN OPTOUT", None).is_err());
        assert!(apply("tracking on BCAST OPTIN", None).is_err());
        assert!(apply("tracking on PREFIX a", None).is_err());
        let all = apply("tracking on", Some(&opt_in)).unwrap();
        assert_eq!(all.mode, TrackingMode::All);
    }

    #[test]
    fn prefixes_add_up_and_do_not_overlap() {
        let first = apply("tracking on BCAST PREFIX a PREFIX b", None).unwrap();
        let both = apply("tracking on BCAST PREFIX c", Some(&first)).unwrap();
        assert_eq!(both.prefixes.len(), 3);
        let error = apply("tracking on BCAST PREFIX ab", Some(&both)).unwrap_err();
        assert!(error.starts_with("ERR Prefix 'ab' overlaps with an existing prefix 'a'."));
        let error = apply("tracking on BCAST PREFIX x PREFIX xy", None).unwrap_err();
        assert!(error.starts_with("ERR Prefix 'x' overlaps with another provided prefix 'xy'."));
        assert!(
            apply("tracking on BCAST", Some(&both)).is_ok(),
            "no prefix given, none to overlap"
        );
    }
}
