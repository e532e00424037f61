//! Checks on a command row that run while compiling: `const _: () = check(&SPEC)`.

use super::{CommandSpec, Flags, Group};

/// Stops the build if a row contradicts itself: name not lower case, no arity, WRITE and READONLY at once, keys that
/// the arity does not reach, no documentation, subcommands that are wrong themselves.
pub const fn check(spec: &CommandSpec) {
    check_row(spec);
    assert!(!spec.docs.summary.is_empty(), "a command says what it does");
    let mut i = 0;
    while i < spec.subcommands.len() {
        check_row(&spec.subcommands[i]);
        i += 1;
    }
}

const fn check_row(spec: &CommandSpec) {
    assert!(!spec.name.is_empty() && is_lower(spec.name.as_bytes()), "a name is lower case");
    assert!(spec.arity != 0, "arity counts the name");
    let is_both = spec.flags.contains(Flags::WRITE) && spec.flags.contains(Flags::READONLY);
    assert!(!is_both, "a command writes or only reads");
    assert!(spec.keys.is_empty() || spec.arity.unsigned_abs() >= 2, "the arity reaches the keys");
    assert!(!matches!(spec.group, Group::Sentinel), "there is no Sentinel here");
}

const fn is_lower(name: &[u8]) -> bool {
    let mut i = 0;
    while i < name.len() {
        if name[i].is_ascii_uppercase() {
            return false;
        }
        i += 1;
    }
    true
}
