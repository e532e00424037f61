//! Commands that all their keys serve, over several shards or for a client that may wait: XREAD and XREADGROUP.
//!
//! Path: `connection::deferred` -> here -> `Core::ask` -> `answers` -> `shard::serving`. All shards are asked at one
//! moment; a command that changes something asks them to check their keys first. What a client waits with is
//! settled by the same answers that say there is nothing for it yet. Between the two steps of XREADGROUP over several
//! shards its keys are locked.

use crate::core::{Caller, Core};
use crate::message::{Answer, OwnedCall, Question};
use crate::registry::{Kind, Registered};
use crate::router;
use crate::transaction::{Held, Wanted, ask_all};
use protocol::reply::{Resp, Writer};
use protocol::request::{Argv, ArgvBuf};
use shard::args::Args;
use shard::commands::{KeyState, Run, ServeEach, waiting_argv};
use shard::shard::serving::KeyError;
use shard::{CommandError, Outcome};
use std::collections::BTreeMap;

/// How a command that all its keys serve has ended.
#[derive(Debug)]
pub enum Reading {
    /// With a reply.
    Done(Outcome),
    /// No key has anything: the client waits, with these arguments.
    Waits(ArgvBuf),
}

/// The keys on each shard: their places among all keys, and their indices in argv.
type ByShard = BTreeMap<usize, Vec<(usize, usize)>>;

/// Runs such a command and appends its reply. `held` is what the transaction around it has locked.
pub(crate) async fn run(
    core: &Core,
    command: &Registered,
    db: u16,
    argv: Argv<'_>,
    caller: Caller,
    held: Option<&Held>,
    reply: &mut Vec<u8>,
) -> Reading {
    match read(core, command, db, argv, caller, held, reply).await {
        Ok(reading) => reading,
        Err(error) => {
            Writer::new(reply, caller.resp).error(&error.as_bytes());
            Reading::Done(Outcome::Failed)
        }
    }
}

async fn read(
    core: &Core,
    command: &Registered,
    db: u16,
    argv: Argv<'_>,
    Caller { resp, client }: Caller,
    held: Option<&Held>,
    reply: &mut Vec<u8>,
) -> Result<Reading, CommandError> {
    let Kind::Shard(shard_command) = command.kind else {
        unreachable!("only commands of a shard run over several")
    };
    let Run::AllOf { serve, patience, .. } = shard_command.run else {
        unreachable!("the form was matched")
    };
    let is_patient = patience(Args::new(argv))?.is_some();
    let keys = router::keys(core, command, argv);
    let mut by_shard = ByShard::new();
    for (place, (index, shard)) in keys.iter().enumerate() {
        by_shard.entry(*shard).or_default().push((place, *index));
    }
    let call =
        || OwnedCall { command: shard_command, argv: ArgvBuf::from_argv(argv), db, resp, client };
    let serve_all = || questions(&by_shard, |indices| Question::ServeKeys(call(), indices));
    let is_checked_first = matches!(serve, ServeEach::Write(_)) && by_shard.len() > 1;
    let answers = if !is_checked_first {
        place(&by_shard, ask_all(core, serve_all(), held).await)?
    } else if held.is_some() {
        let check = questions(&by_shard, |indices| Question::CheckKeys(call(), indices));
        place(&by_shard, ask_all(core, check, held).await)?;
        place(&by_shard, ask_all(core, serve_all(), held).await)?
    } else {
        let check = questions(&by_shard, |indices| Question::CheckKeys(call(), indices));
        let wanted = check.into_iter().map(|(shard, question)| {
            let is_there = |key: &[u8]| router::shard_of(core, Some(key)) == shard;
            let claims = crate::core::claims(shard_command, argv, is_there);
            (shard, Wanted { claims, then: Some(question) })
        });
        let (own, checked) = Held::acquire(core, wanted.collect()).await?;
        match place(&by_shard, checked) {
            Ok(_) => place(&by_shard, own.ask_last(core, serve_all().into_iter().collect()).await)?,
            Err(error) => {
                own.release(core);
                return Err(error);
            }
        }
    };

    let mut parts = vec![(KeyState::default(), Vec::new()); keys.len()];
    for (place, part) in answers {
        parts[place] = part;
    }
    let served_count = parts.iter().filter(|(_, part)| !part.is_empty()).count();
    if served_count == 0 && is_patient {
        return Ok(Reading::Waits(waiting_argv(argv, parts.iter().map(|(state, _)| state))));
    }
    let mut writer = Writer::new(reply, resp);
    match (served_count, resp) {
        (0, _) => writer.null_array(),
        (count, Resp::V2) => writer.array(count),
        (count, Resp::V3) => writer.map(count),
    }
    parts.iter().for_each(|(_, part)| writer.raw(part));
    Ok(Reading::Done(Outcome::Replied))
}

/// What each shard is asked about its keys.
fn questions(
    by_shard: &ByShard,
    question: impl Fn(Vec<usize>) -> Question,
) -> Vec<(usize, Question)> {
    let indices = |keys: &[(usize, usize)]| keys.iter().map(|(_, index)| *index).collect();
    by_shard.iter().map(|(shard, keys)| (*shard, question(indices(keys)))).collect()
}

/// The answers, each with the place of its key among all keys. The error of the first key wins.
fn place(
    by_shard: &ByShard,
    answers: Vec<Answer>,
) -> Result<Vec<(usize, (KeyState, Vec<u8>))>, CommandError> {
    let mut parts = Vec::new();
    let mut first_error: Option<KeyError> = None;
    for (answer, keys) in answers.into_iter().zip(by_shard.values()) {
        let Answer::KeyParts(answer) = answer else { unreachable!("parts were asked for") };
        match answer {
            Ok(answered) => {
                parts.extend(keys.iter().map(|(place, _)| *place).zip(answered));
            }
            Err((at, error)) => {
                let place = keys[at].0;
                if first_error.as_ref().is_none_or(|(first, _)| place < *first) {
                    first_error = Some((place, error));
                }
            }
        }
    }
    match first_error {
        Some((_, error)) => Err(error),
        None => Ok(parts),
    }
}
