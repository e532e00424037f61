//! docs/commands.md, COMPATIBILITY.md and the list of absent commands in docs/differences.md are made from the command
//! tables, so that they cannot be wrong.
//!
//! A stale page fails; `UPDATE_DOCS=1 cargo test -p server --test commands_page` (or `make docs`) refreshes them.

use protocol::command::{CommandSpec, Docs, Group};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// All commands, by name.
fn commands() -> BTreeMap<&'static str, &'static CommandSpec> {
    let shard = shard::commands::TABLES.iter().copied().flatten().map(|command| &command.spec);
    let server = server::commands::TABLES.iter().copied().flatten().map(|command| &command.spec);
    shard.chain(server).map(|spec| (spec.name, spec)).collect()
}

/// The groups in the order of both pages: the most used first. The words are those of COMMAND DOCS.
const GROUPS: &[(Group, &str)] = &[
    (Group::String, "Strings"),
    (Group::Hash, "Hashes"),
    (Group::List, "Lists"),
    (Group::Set, "Sets"),
    (Group::SortedSet, "Sorted sets"),
    (Group::Generic, "Any key"),
    (Group::PubSub, "Publish and subscribe"),
    (Group::Connection, "Connection"),
    (Group::Server, "Server"),
    (Group::Transactions, "Transactions"),
    (Group::Scripting, "Scripts and functions"),
    (Group::Stream, "Streams"),
    (Group::Bitmap, "Bitmaps"),
    (Group::HyperLogLog, "HyperLogLog"),
    (Group::Geo, "Geospatial indices"),
    (Group::Cluster, "Cluster"),
];

/// Writes the page if UPDATE_DOCS is set; fails if the file in the repository is another.
fn hold(file: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    let current = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(current == page, "{file} is stale: run `make docs`");
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn row(page: &mut String, name: &str, docs: &Docs) {
    let name = name.to_uppercase();
    let (summary, complexity) = (cell(docs.summary), cell(docs.complexity));
    let since = docs.since;
    writeln!(page, "| `{name}` | {summary} | {complexity} | {since} |").expect("a String takes it");
}

fn commands_page() -> String {
    let commands = commands();
    let mut page = String::from(
        "# Commands\n\n\
         <!-- Generated from the command tables by `make docs`. -->\n\n\
         Every command this version has. *Since* is the version of Redis that had it first. The examples of commands on keys are run\n\
         by the tests as they stand here. Which commands of Redis 7.2 are absent: [COMPATIBILITY.md](../COMPATIBILITY.md).\n",
    );
    for (group, title) in GROUPS {
        let of_group: Vec<&CommandSpec> =
            commands.values().copied().filter(|spec| spec.group == *group).collect();
        if of_group.is_empty() {
            continue;
        }
        write!(
            page,
            "\n## {title}\n\n| Command | What it does | Cost | Since |\n|---|---|---|---|\n"
        )
        .expect("a String takes it");
        for spec in &of_group {
            row(&mut page, spec.name, spec.docs);
            for subcommand in spec.subcommands {
                let name = format!("{} {}", spec.name, subcommand.name);
                row(&mut page, &name, subcommand.docs);
            }
        }
        let rows = of_group.iter().flat_map(|spec| [*spec].into_iter().chain(spec.subcommands));
        let examples: Vec<&str> = rows.flat_map(|spec| spec.docs.examples).copied().collect();
        if !examples.is_empty() {
            write!(page, "\n```text\n{}\n```\n", examples.join("\n\n")).expect("a String takes it");
        }
    }
    page
}

/// What a Redis 7.2 said about its commands.
fn facts() -> Value {
    let text = include_str!("../../tests/facts/commands-7.2.json");
    let mut facts: Value = serde_json::from_str(text).expect("the recorded facts are JSON");
    facts["commands"].take()
}

fn compatibility_page() -> String {
    let commands = commands();
    let facts = facts();
    let facts = facts.as_object().expect("commands by name");
    let present_count = facts.keys().filter(|name| commands.contains_key(name.as_str())).count();
    let total_count = facts.len();
    let mut page = format!(
        "# Compatibility\n\n\
         <!-- Generated from the command tables and tests/facts/commands-7.2.json by `make docs`. -->\n\n\
         Redis 7.2 has {total_count} commands; this version of Rialto has {present_count} of them. Tests compare what \
         Rialto says of a command\n(arity, flags, key positions, ACL categories, arguments) with what a Redis 7.2 said, and \
         replies, byte by byte, with those\nof a real Redis ([docs/testing.md](docs/testing.md)). Where a present command still differs, \
         [docs/differences.md](docs/differences.md) says how and why;\n\
         [docs/commands.md](docs/commands.md) describes them.\n\n\
         | Group | Present | Absent |\n|---|---|---|\n"
    );
    let mut sections = String::new();
    for (group, title) in GROUPS {
        let of_group: Vec<&String> = facts
            .iter()
            .filter(|(_, fact)| fact["docs"]["group"] == group.name())
            .map(|(name, _)| name)
            .collect();
        let present = of_group.iter().filter(|name| commands.contains_key(name.as_str())).count();
        let absent = of_group.len() - present;
        writeln!(page, "| {title} | {present} | {absent} |").expect("a String takes it");
        write!(sections, "\n## {title}\n\n| Command | Status |\n|---|---|\n")
            .expect("a String takes it");
        for name in of_group {
            let status = status(commands.get(name.as_str()).copied(), &facts[name]);
            let name = name.to_uppercase();
            writeln!(sections, "| `{name}` | {status} |").expect("a String takes it");
        }
    }
    page + &sections
}

/// The words of the subcommands that Redis has and `spec` has not.
fn absent_subcommands<'a>(
    spec: &'a CommandSpec,
    fact: &'a Value,
) -> impl Iterator<Item = &'a str> + 'a {
    let subcommands = fact["subcommands"].as_object().into_iter().flat_map(|all| all.keys());
    let words = subcommands.filter_map(|name| name.split('|').next_back());
    words.filter(|word| spec.subcommand(word.as_bytes()).is_none())
}

/// `present`, `absent`, or present with the subcommands that are not.
fn status(spec: Option<&CommandSpec>, fact: &Value) -> String {
    let Some(spec) = spec else { return "absent".to_owned() };
    let absent: Vec<String> =
        absent_subcommands(spec, fact).map(|word| format!("`{}`", word.to_uppercase())).collect();
    match absent.is_empty() {
        true => "present".to_owned(),
        false => format!("present, without {}", absent.join(", ")),
    }
}

/// The part of docs/differences.md between its two marks: which commands are absent, by group.
fn absent_commands() -> String {
    let commands = commands();
    let facts = facts();
    let facts = facts.as_object().expect("commands by name");
    let mut table = String::from("| Group | Absent commands |\n|---|---|\n");
    for (group, title) in GROUPS {
        let of_group = facts.iter().filter(|(_, fact)| fact["docs"]["group"] == group.name());
        let names: Vec<String> = of_group
            .flat_map(|(name, fact)| match commands.get(name.as_str()) {
                None => vec![name.to_uppercase()],
                Some(spec) => absent_subcommands(spec, fact)
                    .map(|word| format!("{name} {word}").to_uppercase())
                    .collect(),
            })
            .collect();
        if !names.is_empty() {
            writeln!(table, "| {title} | {} |", names.join(", ")).expect("a String takes it");
        }
    }
    table
}

/// docs/differences.md as it is, with the part between the marks made anew.
fn differences_page() -> String {
    const BEGIN: &str = "<!-- absent commands, generated by `make docs` -->";
    const END: &str = "<!-- end -->";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/differences.md");
    let page = std::fs::read_to_string(path).expect("docs/differences.md exists");
    let (before, rest) = page.split_once(BEGIN).expect("the mark where the list begins");
    let (_, after) = rest.split_once(END).expect("the mark where the list ends");
    format!("{before}{BEGIN}\n\n{}\n{END}{after}", absent_commands())
}

// `make docs` runs the tests with "docs" in their names.

#[test]
fn docs_commands_md_is_up_to_date() {
    hold("docs/commands.md", &commands_page());
}

#[test]
fn docs_compatibility_md_is_up_to_date() {
    hold("COMPATIBILITY.md", &compatibility_page());
}

#[test]
fn docs_differences_md_lists_the_absent_commands() {
    hold("docs/differences.md", &differences_page());
}

#[test]
fn every_command_of_redis_stands_on_the_page_once() {
    let page = compatibility_page();
    let rows: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let names: BTreeSet<String> = rows.iter().map(|name| name.to_lowercase()).collect();
    let facts = facts();
    let recorded: BTreeSet<String> = facts.as_object().expect("by name").keys().cloned().collect();
    assert_eq!(rows.len(), names.len(), "a command stands there twice");
    assert_eq!(names, recorded);
}

#[test]
fn a_command_says_what_it_does_what_it_costs_and_shows_it() {
    for spec in commands().values() {
        // A container may leave the words to its subcommands.
        let rows = [*spec].into_iter().chain(spec.subcommands);
        for row in rows.filter(|row| row.subcommands.is_empty()) {
            let name = if row.name == spec.name { "" } else { row.name };
            assert!(!row.docs.summary.is_empty(), "{} {name}: no summary", spec.name);
            assert!(!row.docs.complexity.is_empty(), "{} {name}: no complexity", spec.name);
        }
    }
}
