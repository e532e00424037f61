//! Compares rows of a command table with what a running Redis 7.2 said about itself (`tests/facts/commands-7.2.json`).
//!
//! A row is first written down in the form of the facts, then the two are compared piece by piece, so that every
//! difference has a path: `set: docs.arguments[2].token: ours "NX", Redis "XX"`. First key, last key and step are
//! left out: they follow from the key specifications. Summaries and complexities are our own words.

use protocol::command::{Argument, ArgumentKind, BeginSearch, CommandSpec, Docs, FindKeys};
use protocol::command::{Group, KeySpec};
use serde_json::{Map, Value, json};

/// The facts of all commands, by lower-case name.
///
/// # Panics
/// If the recorded file is no JSON.
#[must_use]
pub fn recorded() -> Value {
    let text = include_str!("../../../tests/facts/commands-7.2.json");
    let mut facts: Value = serde_json::from_str(text).expect("the recorded facts are JSON");
    facts["commands"].take()
}

/// Compares one row, and its subcommands, with `facts`, which hold all commands. One line for each difference.
#[must_use]
pub fn compare(spec: &CommandSpec, facts: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    match facts.get(spec.name) {
        Some(fact) => compare_row(spec.name, spec, fact, &fact["docs"], &mut differences),
        None => differences.push(format!("{}: Redis has no such command", spec.name)),
    }
    differences
}

fn compare_row(name: &str, spec: &CommandSpec, fact: &Value, docs: &Value, out: &mut Vec<String>) {
    let ours = row(spec);
    for key in ["arity", "flags", "acl_categories", "key_specs", "tips"] {
        difference(name, key, &ours[key], &fact[key], out);
    }
    let ours = documentation(spec.docs, spec.group);
    for key in ["group", "since", "deprecated_since", "replaced_by", "doc_flags", "arguments"] {
        difference(name, &format!("docs.{key}"), &ours[key], &docs[key], out);
    }
    let recorded = fact["subcommands"].as_object();
    for sub in spec.subcommands {
        let name = format!("{name}|{}", sub.name);
        match recorded.and_then(|all| all.get(&name)) {
            Some(fact) => compare_row(&name, sub, fact, &docs["subcommands"][&name], out),
            None => out.push(format!("{name}: Redis has no such subcommand")),
        }
    }
    for name in recorded.into_iter().flat_map(Map::keys) {
        let word = name.split('|').next_back().unwrap_or_default();
        if spec.subcommand(word.as_bytes()).is_none() {
            out.push(format!("{name}: a subcommand is missing"));
        }
    }
}

/// Reports where `ours` and `theirs` differ: the element of an array or the member of an object, if both are such.
fn difference(name: &str, path: &str, ours: &Value, theirs: &Value, out: &mut Vec<String>) {
    match (ours, theirs) {
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (ours, theirs)) in a.iter().zip(b).enumerate() {
                difference(name, &format!("{path}[{index}]"), ours, theirs, out);
            }
        }
        (Value::Object(a), Value::Object(b)) => {
            let missing = b.keys().filter(|key| !a.contains_key(*key));
            for key in a.keys().chain(missing) {
                difference(name, &format!("{path}.{key}"), &ours[key], &theirs[key], out);
            }
        }
        _ if ours == theirs => {}
        _ => out.push(format!("{name}: {path}: ours {ours}, Redis {theirs}")),
    }
}

/// What COMMAND INFO says of a row, in the form of the facts.
fn row(spec: &CommandSpec) -> Value {
    let categories = spec.categories().names().map(|name| format!("@{name}")).collect();
    json!({
        "arity": spec.arity,
        "flags": sorted(spec.flags.names().map(str::to_owned).collect()),
        "acl_categories": sorted(categories),
        "key_specs": spec.keys.iter().map(key_spec).collect::<Vec<_>>(),
        "tips": spec.tips,
    })
}

fn key_spec(spec: &KeySpec) -> Value {
    let begin = match spec.begin {
        BeginSearch::Index(index) => json!({ "type": "index", "spec": { "index": index } }),
        BeginSearch::Keyword { keyword, start_from } => {
            json!({ "type": "keyword", "spec": { "keyword": keyword, "startfrom": start_from } })
        }
        BeginSearch::Unknown => json!({ "type": "unknown", "spec": {} }),
    };
    let find = match spec.find {
        FindKeys::Range { last, step, limit } => {
            json!({ "type": "range", "spec": { "lastkey": last, "keystep": step, "limit": limit } })
        }
        FindKeys::KeyNum { count_index, first, step } => {
            let spec = json!({ "keynumidx": count_index, "firstkey": first, "keystep": step });
            json!({ "type": "keynum", "spec": spec })
        }
        FindKeys::Unknown => json!({ "type": "unknown", "spec": {} }),
    };
    let flags = sorted(spec.flags.names().map(str::to_owned).collect());
    let mut fact = json!({ "begin_search": begin, "find_keys": find, "flags": flags });
    put(&mut fact, "notes", spec.notes);
    fact
}

/// What COMMAND DOCS says of a row, in the form of the facts.
fn documentation(docs: &Docs, group: Group) -> Value {
    let mut fact = json!({ "group": group.name(), "since": docs.since });
    put(&mut fact, "deprecated_since", docs.deprecated.map(|(since, _)| since));
    put(&mut fact, "replaced_by", docs.deprecated.map(|(_, replacement)| replacement));
    let flags = [(docs.deprecated.is_some(), "deprecated"), (docs.is_syscmd, "syscmd")];
    put_list(&mut fact, "doc_flags", chosen(&flags));
    put_list(&mut fact, "arguments", docs.arguments.iter().map(argument).collect());
    fact
}

fn argument(argument: &Argument) -> Value {
    let mut fact = json!({ "name": argument.name, "type": argument.kind.name() });
    // Redis shows no name for an argument that is only made of others.
    let is_composite = matches!(argument.kind, ArgumentKind::OneOf | ArgumentKind::Block);
    let shown = argument.display.or((!is_composite).then_some(argument.name));
    put(&mut fact, "display_text", shown);
    put(&mut fact, "token", argument.token);
    put(&mut fact, "since", argument.since);
    put(&mut fact, "deprecated_since", argument.deprecated_since);
    put(&mut fact, "key_spec_index", argument.key_spec);
    let flags = [
        (argument.is_optional, "optional"),
        (argument.is_multiple, "multiple"),
        (argument.is_multiple_token, "multiple_token"),
    ];
    put_list(&mut fact, "flags", chosen(&flags));
    put_list(&mut fact, "arguments", argument.parts.iter().map(self::argument).collect());
    fact
}

/// Sets a member, unless there is nothing to set.
fn put(fact: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        fact[key] = value.into();
    }
}

/// Sets a member, unless the list is empty.
fn put_list(fact: &mut Value, key: &str, list: Vec<Value>) {
    put(fact, key, (!list.is_empty()).then_some(list));
}

fn chosen(flags: &[(bool, &str)]) -> Vec<Value> {
    flags.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| Value::from(*name)).collect()
}

/// Facts list flags by name.
fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::command::{Categories, Flags, KeyFlags};

    const GET: CommandSpec = CommandSpec {
        arity: 2,
        flags: Flags::of(&[Flags::FAST, Flags::READONLY]),
        categories: Categories::STRING,
        keys: &[KeySpec::first(KeyFlags::of(&[KeyFlags::RO, KeyFlags::ACCESS]))],
        docs: &Docs { arguments: &[Argument::key("key")], ..Docs::NONE },
        ..CommandSpec::new("get", Group::String)
    };

    #[test]
    fn a_row_that_says_what_redis_says_has_no_difference() {
        assert_eq!(compare(&GET, &recorded()), Vec::<String>::new());
    }

    #[test]
    fn each_difference_is_named_with_its_path() {
        const WRONG: CommandSpec = CommandSpec {
            arity: -2,
            flags: Flags::READONLY,
            keys: &[KeySpec::range(KeyFlags::RO, 1, -1, 1).noted("a remark")],
            tips: &["nondeterministic_output"],
            docs: &Docs {
                since: "2.0.0",
                deprecated: Some(("7.0.0", "`SET`")),
                arguments: &[Argument::string("key").repeated()],
                ..Docs::NONE
            },
            ..GET
        };
        let expected = [
            r#"get: arity: ours -2, Redis 2"#,
            r#"get: flags: ours ["readonly"], Redis ["fast","readonly"]"#,
            r#"get: acl_categories[1]: ours "@slow", Redis "@read""#,
            r#"get: key_specs[0].find_keys.spec.lastkey: ours -1, Redis 0"#,
            r#"get: key_specs[0].flags: ours ["RO"], Redis ["RO","access"]"#,
            r#"get: key_specs[0].notes: ours "a remark", Redis null"#,
            r#"get: tips: ours ["nondeterministic_output"], Redis []"#,
            r#"get: docs.since: ours "2.0.0", Redis "1.0.0""#,
            r#"get: docs.deprecated_since: ours "7.0.0", Redis null"#,
            r#"get: docs.replaced_by: ours "`SET`", Redis null"#,
            r#"get: docs.doc_flags: ours ["deprecated"], Redis null"#,
            r#"get: docs.arguments[0].flags: ours ["multiple"], Redis null"#,
            r#"get: docs.arguments[0].type: ours "string", Redis "key""#,
            r#"get: docs.arguments[0].key_spec_index: ours null, Redis 0"#,
        ];
        let found = compare(&WRONG, &recorded());
        for line in expected {
            assert!(found.iter().any(|one| one == line), "{line}\nnot in\n{}", found.join("\n"));
        }
    }

    #[test]
    fn subcommands_are_compared_both_ways() {
        const OBJECT: CommandSpec = CommandSpec {
            subcommands: &[CommandSpec::new("colour", Group::Generic)],
            ..CommandSpec::new("object", Group::Generic)
        };
        let found = compare(&OBJECT, &recorded());
        assert!(found.contains(&"object|colour: Redis has no such subcommand".to_owned()));
        assert!(found.contains(&"object|encoding: a subcommand is missing".to_owned()));
        let unknown = compare(&CommandSpec::new("nosuch", Group::Generic), &recorded());
        assert_eq!(unknown, ["nosuch: Redis has no such command"]);
    }
}
