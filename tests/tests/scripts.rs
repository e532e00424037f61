//! Every dialogue of `tests/scripts` passes, on one shard and on four: what a user can see does not
//! depend on the number of cores.

use blackbox::player;
use blackbox::script::Script;
use blackbox::server::Options;

#[test]
fn all_dialogues_pass_on_one_shard() {
    check(1);
}

#[test]
fn all_dialogues_pass_on_four_shards() {
    check(4);
}

/// Plays everything, so that one run shows all that is wrong.
fn check(shards: usize) {
    let options = Options::rialto().shards(shards);
    let failures: Vec<String> =
        Script::all().iter().flat_map(|script| player::failures(script, &options)).collect();
    assert!(
        failures.is_empty(),
        "{} scenes fail on {shards} shards:\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}
