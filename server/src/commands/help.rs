//! The HELP subcommand of container commands, made from their rows.

use crate::connection::Connection;
use protocol::command::CommandSpec;
use protocol::request::Argv;
use shard::CommandError;

/// Bytes of a subcommand that an error shows.
const SHOWN_LEN_MAX: usize = 128;

/// The error for a subcommand with more arguments than it takes, where its arity sets no bound.
pub(super) fn wrong_arguments(argv: Argv<'_>) -> CommandError {
    let name = argv.get(0).unwrap_or_default().to_ascii_uppercase();
    let behind = format!("'. Try {} HELP.", String::from_utf8_lossy(&name));
    let word = argv.get(1).unwrap_or_default();
    let word = &word[..word.len().min(SHOWN_LEN_MAX)];
    let before = "ERR unknown subcommand or wrong number of arguments for '";
    CommandError::showing(before, word, &behind)
}

impl Connection {
    /// Answers HELP: a line on the container, then each subcommand with its summary.
    pub(crate) fn reply_help(&mut self, container: &CommandSpec) {
        let name = container.name.to_ascii_uppercase();
        let mut lines =
            vec![format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")];
        for subcommand in container.subcommands {
            lines.push(subcommand.name.to_ascii_uppercase());
            lines.push(format!("    {}", subcommand.docs.summary));
        }
        self.reply(|writer| {
            writer.array(lines.len());
            lines.iter().for_each(|line| writer.status(line));
        });
    }
}
