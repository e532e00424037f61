//! Every row of the shard's command table says what Redis 7.2 says: arity, flags, keys, categories, tips,
//! subcommands, and what COMMAND DOCS prints but for our own words.

use shard::commands::TABLES;
use shard::testing::facts;
use std::collections::HashSet;

#[test]
fn every_row_agrees_with_redis() {
    let facts = facts::recorded();
    let rows = TABLES.iter().copied().flatten();
    let differences: Vec<String> = rows.flat_map(|row| facts::compare(&row.spec, &facts)).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn no_name_stands_twice() {
    let mut names = HashSet::new();
    for row in TABLES.iter().copied().flatten() {
        assert!(names.insert(row.spec.name), "{} stands twice", row.spec.name);
    }
}
