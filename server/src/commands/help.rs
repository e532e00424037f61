//! The HELP subcommand of container commands, made from their rows.

use crate::connection::Connection;
use protocol::command::CommandSpec;

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
