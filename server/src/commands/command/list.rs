//! COMMAND LIST: names of commands and subcommands, perhaps only of those that pass a filter.

use crate::connection::Connection;
use crate::registry::{Registered, Registry};
use protocol::command::Categories;
use protocol::glob;
use shard::CommandError;
use shard::args::Args;

/// Which names are listed.
#[derive(Debug, PartialEq)]
enum Filter<'a> {
    /// All.
    All,
    /// Those of a module: none, for there are no modules.
    Module,
    /// Those in an ACL category; `None` if there is no such category.
    Category(Option<Categories>),
    /// Those that match a pattern, in any case.
    Pattern(&'a [u8]),
}

pub(super) fn list(connection: &mut Connection, args: Args<'_>) -> Result<(), CommandError> {
    let filter = parse(args)?;
    let core = connection.core.clone();
    let names = names(&core.shared.registry, &filter);
    connection.reply(|writer| {
        writer.array(names.len());
        names.iter().for_each(|name| writer.bulk(name.as_bytes()));
    });
    Ok(())
}

/// Reads `[FILTERBY MODULE|ACLCAT|PATTERN value]`; of several the last counts.
fn parse<'a>(mut args: Args<'a>) -> Result<Filter<'a>, CommandError> {
    let mut filter = Filter::All;
    while !args.is_empty() {
        if !args.take_token("FILTERBY") || args.remaining() != 2 {
            return Err(CommandError::Syntax);
        }
        let kind = args.bytes()?.to_ascii_lowercase();
        let value = args.bytes()?;
        filter = match kind.as_slice() {
            b"module" => Filter::Module,
            b"aclcat" => Filter::Category(Categories::by_name(value)),
            b"pattern" => Filter::Pattern(value),
            _ => return Err(CommandError::Syntax),
        };
    }
    Ok(filter)
}

fn names(registry: &Registry, filter: &Filter<'_>) -> Vec<String> {
    let passes = |row: &Registered| match filter {
        Filter::All => true,
        Filter::Module => false,
        Filter::Category(category) => {
            category.is_some_and(|category| row.spec.categories().contains(category))
        }
        Filter::Pattern(pattern) => glob::matches(pattern, row.full_name().as_bytes(), true),
    };
    let commands = registry.callable().into_iter();
    let rows = commands.flat_map(|row| std::iter::once(row).chain(registry.subcommands(row)));
    rows.filter(|row| passes(row)).map(|row| row.full_name().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::request::ArgvBuf;

    fn listed(line: &str) -> Result<Vec<String>, CommandError> {
        let argv: ArgvBuf = format!("LIST {line}").split_whitespace().map(str::as_bytes).collect();
        let registry = Registry::new(&[]).unwrap();
        let filter = parse(Args::new(argv.as_argv()))?;
        Ok(names(&registry, &filter))
    }

    #[test]
    fn filters_choose_by_pattern_and_category() {
        assert_eq!(listed("FILTERBY PATTERN OBJECT|E*").unwrap(), ["object|encoding"]);
        let hashes = listed("filterby aclcat HASH").unwrap();
        assert!(hashes.contains(&"hset".to_owned()) && !hashes.contains(&"set".to_owned()));
        assert!(listed("FILTERBY ACLCAT nothing").unwrap().is_empty());
        assert!(listed("FILTERBY MODULE any").unwrap().is_empty());
        assert!(listed("").unwrap().contains(&"object|help".to_owned()));
    }

    #[test]
    fn a_filter_is_complete_and_last() {
        for line in ["x", "FILTERBY", "FILTERBY PATTERN", "FILTERBY PATTERN a b", "FILTERBY x y"] {
            assert_eq!(listed(line), Err(CommandError::Syntax), "{line}");
        }
    }
}
