//! One command as COMMAND INFO and COMMAND DOCS print it.

use crate::registry::{Registered, Registry};
use protocol::command::{Argument, ArgumentKind, BeginSearch, CommandSpec, FindKeys, KeySpec};
use protocol::reply::Writer;

/// An entry of COMMAND INFO.
pub(super) fn info(writer: &mut Writer<'_>, registry: &Registry, row: &Registered) {
    let spec = row.spec;
    let (first, last, step) = plain_range(spec.keys);
    writer.array(10);
    writer.bulk(row.full_name().as_bytes());
    writer.integer(spec.arity.into());
    words(writer, spec.flags.names());
    writer.integer(first);
    writer.integer(last);
    writer.integer(step);
    let categories: Vec<String> =
        spec.categories().names().map(|name| format!("@{name}")).collect();
    words(writer, categories.iter().map(String::as_str));
    writer.set(spec.tips.len());
    spec.tips.iter().for_each(|tip| writer.bulk(tip.as_bytes()));
    writer.set(spec.keys.len());
    spec.keys.iter().for_each(|keys| key_spec(writer, keys));
    let subcommands = registry.subcommands(row);
    match subcommands.is_empty() {
        true => writer.set(0),
        false => writer.array(subcommands.len()),
    }
    subcommands.iter().for_each(|sub| info(writer, registry, sub));
}

/// Words as a set of statuses.
pub(super) fn words<'a>(writer: &mut Writer<'_>, words: impl Iterator<Item = &'a str>) {
    let start = writer.position();
    let mut count = 0;
    for word in words {
        writer.status(word);
        count += 1;
    }
    writer.set_before(start, count);
}

/// First key, last key and step, for clients that know no key specifications: the plain ranges that follow one another.
fn plain_range(keys: &[KeySpec]) -> (i64, i64, i64) {
    let ranges = keys.iter().filter_map(|spec| match (spec.begin, spec.find) {
        (BeginSearch::Index(first), FindKeys::Range { last, step, .. }) => {
            let first = first as i64;
            let last = i64::from(last);
            Some((first, if last < 0 { last } else { first + last }, step as i64))
        }
        _ => None,
    });
    let mut plain: Option<(i64, i64, i64)> = None;
    for (first, last, step) in ranges {
        plain = match plain {
            None if keys.len() == 1 || step == 1 => Some((first, last, step)),
            Some((start, end, 1)) if step == 1 && end + 1 == first => Some((start, last, 1)),
            plain => plain,
        };
    }
    plain.unwrap_or_default()
}

fn key_spec(writer: &mut Writer<'_>, spec: &KeySpec) {
    writer.map(3 + usize::from(spec.notes.is_some()));
    if let Some(notes) = spec.notes {
        writer.bulk(b"notes");
        writer.bulk(notes.as_bytes());
    }
    writer.bulk(b"flags");
    words(writer, spec.flags.names());
    writer.bulk(b"begin_search");
    match spec.begin {
        BeginSearch::Index(index) => {
            typed(writer, "index", &[("index", Detail::Number(index as i64))]);
        }
        BeginSearch::Keyword { keyword, start_from } => typed(
            writer,
            "keyword",
            &[("keyword", Detail::Word(keyword)), ("startfrom", Detail::Number(start_from.into()))],
        ),
        BeginSearch::Unknown => typed(writer, "unknown", &[]),
    }
    writer.bulk(b"find_keys");
    match spec.find {
        FindKeys::Range { last, step, limit } => typed(
            writer,
            "range",
            &[
                ("lastkey", Detail::Number(last.into())),
                ("keystep", Detail::Number(step as i64)),
                ("limit", Detail::Number(limit as i64)),
            ],
        ),
        FindKeys::KeyNum { count_index, first, step } => typed(
            writer,
            "keynum",
            &[
                ("keynumidx", Detail::Number(count_index as i64)),
                ("firstkey", Detail::Number(first as i64)),
                ("keystep", Detail::Number(step as i64)),
            ],
        ),
        FindKeys::Unknown => typed(writer, "unknown", &[]),
    }
}

enum Detail {
    Number(i64),
    Word(&'static str),
}

/// `{type, spec: {…}}`.
fn typed(writer: &mut Writer<'_>, kind: &str, details: &[(&str, Detail)]) {
    writer.map(2);
    writer.bulk(b"type");
    writer.bulk(kind.as_bytes());
    writer.bulk(b"spec");
    writer.map(details.len());
    for (name, detail) in details {
        writer.bulk(name.as_bytes());
        match detail {
            Detail::Number(number) => writer.integer(*number),
            Detail::Word(word) => writer.bulk(word.as_bytes()),
        }
    }
}

/// An entry of COMMAND DOCS, without its name.
pub(super) fn document(writer: &mut Writer<'_>, registry: &Registry, row: &Registered) {
    let CommandSpec { docs, group, .. } = row.spec;
    let start = writer.position();
    let mut count = 0;
    let mut field = |writer: &mut Writer<'_>, name: &str| {
        writer.bulk(name.as_bytes());
        count += 1;
    };
    for (name, text) in [("summary", docs.summary), ("since", docs.since), ("group", group.name())]
    {
        if !text.is_empty() {
            field(writer, name);
            writer.bulk(text.as_bytes());
        }
    }
    if !docs.complexity.is_empty() {
        field(writer, "complexity");
        writer.bulk(docs.complexity.as_bytes());
    }
    if docs.deprecated.is_some() || docs.is_syscmd {
        field(writer, "doc_flags");
        let flags = [(docs.deprecated.is_some(), "deprecated"), (docs.is_syscmd, "syscmd")];
        words(writer, flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, word)| word));
    }
    if let Some((since, replacement)) = docs.deprecated {
        field(writer, "deprecated_since");
        writer.bulk(since.as_bytes());
        field(writer, "replaced_by");
        writer.bulk(replacement.as_bytes());
    }
    if !docs.history.is_empty() {
        field(writer, "history");
        writer.set(docs.history.len());
        for (version, change) in docs.history {
            writer.array(2);
            writer.bulk(version.as_bytes());
            writer.bulk(change.as_bytes());
        }
    }
    if !docs.arguments.is_empty() {
        field(writer, "arguments");
        arguments(writer, docs.arguments);
    }
    let subcommands = registry.subcommands(row);
    if !subcommands.is_empty() {
        field(writer, "subcommands");
        writer.map(subcommands.len());
        for sub in subcommands {
            writer.bulk(sub.full_name().as_bytes());
            document(writer, registry, sub);
        }
    }
    writer.map_before(start, count);
}

fn arguments(writer: &mut Writer<'_>, all: &[Argument]) {
    writer.array(all.len());
    for one in all {
        argument(writer, one);
    }
}

fn argument(writer: &mut Writer<'_>, argument: &Argument) {
    let start = writer.position();
    let mut count = 0;
    let mut field = |writer: &mut Writer<'_>, name: &str, text: Option<&str>| {
        if let Some(text) = text {
            writer.bulk(name.as_bytes());
            writer.bulk(text.as_bytes());
            count += 1;
        }
    };
    let is_composite = matches!(argument.kind, ArgumentKind::OneOf | ArgumentKind::Block);
    field(writer, "name", Some(argument.name));
    field(writer, "type", Some(argument.kind.name()));
    let display = argument.display.unwrap_or(argument.name);
    field(writer, "display_text", (!is_composite).then_some(display));
    if let Some(index) = argument.key_spec {
        writer.bulk(b"key_spec_index");
        writer.integer(index.into());
        count += 1;
    }
    let mut field = |writer: &mut Writer<'_>, name: &str, text: Option<&str>| {
        if let Some(text) = text {
            writer.bulk(name.as_bytes());
            writer.bulk(text.as_bytes());
            count += 1;
        }
    };
    field(writer, "token", argument.token);
    field(writer, "since", argument.since);
    field(writer, "deprecated_since", argument.deprecated_since);
    let flags = [
        (argument.is_optional, "optional"),
        (argument.is_multiple, "multiple"),
        (argument.is_multiple_token, "multiple_token"),
    ];
    if flags.iter().any(|(is_set, _)| *is_set) {
        writer.bulk(b"flags");
        words(writer, flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, word)| word));
        count += 1;
    }
    if is_composite {
        writer.bulk(b"arguments");
        arguments(writer, argument.parts);
        count += 1;
    }
    writer.map_before(start, count);
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::command::KeyFlags;

    #[test]
    fn plain_ranges_that_follow_one_another_are_one() {
        let range = |first, last, step| KeySpec::range(KeyFlags::RO, first, last, step);
        assert_eq!(plain_range(&[]), (0, 0, 0));
        assert_eq!(plain_range(&[range(1, 0, 1)]), (1, 1, 1));
        assert_eq!(plain_range(&[range(1, -1, 2)]), (1, -1, 2));
        assert_eq!(plain_range(&[range(1, 0, 1), range(2, 0, 1)]), (1, 2, 1));
        assert_eq!(plain_range(&[range(1, 0, 1), range(2, -1, 1)]), (1, -1, 1));
        assert_eq!(plain_range(&[range(1, 0, 1), range(4, 0, 1)]), (1, 1, 1));
        let unknown =
            KeySpec { begin: BeginSearch::Unknown, find: FindKeys::Unknown, ..range(1, 0, 1) };
        assert_eq!(plain_range(&[unknown]), (0, 0, 0));
        assert_eq!(plain_range(&[unknown, range(1, 0, 1)]), (1, 1, 1));
    }
}
