//! Checks on a topic's rows that run while compiling: `const _: () = check(COMMANDS);`.

use super::{Body, Command, Run, ServeEach, Steps};
use protocol::command::{BeginSearch, CommandSpec, Flags, KeyFlags, check};

/// Stops the build if a row contradicts itself (see [`check::check`]) or how it runs, if two rows have one name, if
/// the arity does not reach the keys, or if there is no example.
pub(crate) const fn check(commands: &[Command]) {
    let mut i = 0;
    while i < commands.len() {
        let Command { spec, run } = &commands[i];
        check::check(spec);
        check_keys(spec);
        let is_write_spec = spec.flags.contains(Flags::WRITE) || has_write_subcommand(spec);
        assert!(
            is_write_spec == is_write(run) || is_noting(spec) && is_write(run),
            "a command has the flag WRITE if it runs as a write"
        );
        assert!(example_count(spec) > 0, "a command has an example");
        let mut j = 0;
        while j < i {
            assert!(!is_same(spec.name, commands[j].spec.name), "a name stands once");
            j += 1;
        }
        i += 1;
    }
}

/// Whether a command that reads may note something in the value it has read (PFCOUNT): its keys are read and written.
const fn is_noting(spec: &CommandSpec) -> bool {
    spec.flags.contains(Flags::READONLY)
        && matches!(spec.keys, [key] if key.flags.contains(KeyFlags::RW))
}

const fn is_write(run: &Run) -> bool {
    match run {
        Run::Read(_) | Run::Gather { .. } | Run::Scan(_) | Run::AnyShard(_) => false,
        Run::Write(_) | Run::GatherWrite { .. } | Run::FirstOf { .. } | Run::Transfer(_) => true,
        Run::AllOf { serve, .. } => matches!(serve, ServeEach::Write(_)),
        Run::Split { body, .. }
        | Run::EveryShard { body, .. }
        | Run::Steps(Steps { local: body, .. }) => matches!(body, Body::Write(_)),
    }
}

const fn has_write_subcommand(spec: &CommandSpec) -> bool {
    let mut i = 0;
    while i < spec.subcommands.len() {
        check_keys(&spec.subcommands[i]);
        if spec.subcommands[i].flags.contains(Flags::WRITE) {
            return true;
        }
        i += 1;
    }
    false
}

const fn check_keys(spec: &CommandSpec) {
    let mut i = 0;
    while i < spec.keys.len() {
        if let BeginSearch::Index(index) = spec.keys[i].begin {
            // Only the first key is always there: PFMERGE may have no source.
            let is_reached = index < spec.arity.unsigned_abs() as usize;
            assert!(is_reached || i > 0 && spec.arity < 0, "the arity reaches the first key");
        }
        i += 1;
    }
}

const fn example_count(spec: &CommandSpec) -> usize {
    let mut count = spec.docs.examples.len();
    let mut i = 0;
    while i < spec.subcommands.len() {
        count += spec.subcommands[i].docs.examples.len();
        i += 1;
    }
    count
}

/// `==` on strings, which is not yet const.
const fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}
