//! Every row of both command tables says what Redis 7.2 says: arity, flags, keys, categories, tips, subcommands, and
//! what COMMAND DOCS prints but for our own words. And no command stands in both.

use protocol::command::CommandSpec;
use shard::testing::facts;
use std::collections::HashSet;

/// The rows of the server and of the shards.
fn rows() -> Vec<&'static CommandSpec> {
    let server = server::commands::TABLES.iter().copied().flatten().map(|row| &row.spec);
    let shard = shard::commands::TABLES.iter().copied().flatten().map(|row| &row.spec);
    server.chain(shard).collect()
}

#[test]
fn every_row_agrees_with_redis() {
    let facts = facts::recorded();
    let differences: Vec<String> =
        rows().into_iter().flat_map(|spec| facts::compare(spec, &facts)).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn no_name_stands_twice() {
    let mut names = HashSet::new();
    for spec in rows() {
        assert!(names.insert(spec.name), "{} stands twice", spec.name);
    }
}

#[test]
fn every_row_is_documented() {
    for spec in rows() {
        for row in std::iter::once(spec).chain(spec.subcommands) {
            let docs = row.docs;
            assert!(docs.summary.ends_with('.'), "{} {}", spec.name, row.name);
            assert!(!docs.complexity.is_empty(), "{} {}", spec.name, row.name);
        }
    }
}
