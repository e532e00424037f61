//! Every example in the documentation of a command goes as it is written there.

use protocol::command::CommandSpec;
use shard::commands::TABLES;
use shard::testing::{TestShard, dialogue, options};

#[test]
fn every_example_goes_as_written() {
    let mut failures = Vec::new();
    for row in TABLES.iter().copied().flatten() {
        hold_examples(row.spec.name, &row.spec, &mut failures);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn hold_examples(name: &str, spec: &CommandSpec, failures: &mut Vec<String>) {
    for example in spec.docs.examples {
        if let Err(difference) = dialogue::hold(example, &mut TestShard::new(options())) {
            failures.push(format!("{name}: {difference}"));
        }
    }
    for sub in spec.subcommands {
        hold_examples(&format!("{name}|{}", sub.name), sub, failures);
    }
}
