//! INFO: what the server says of itself, as lines `field:value` in sections.
//!
//! Path: the command collects what only the cores know ([`CoreReport`]) -> [`render`] reads everything else from
//! counters. A field is there only if its value is true; docs/differences.md lists those of Redis that have no
//! meaning here.

mod memory;
mod process;
mod rates;
mod sections;

pub(crate) use memory::Figures;
#[cfg(test)]
pub(crate) use process::Memory;
pub(crate) use process::{status_lines, system_memory};
pub use rates::{Rate, Rates};

use crate::core::Core;
use crate::message::{Answer, CoreQuestion, CoreReport, Question};

/// The sections, in the order they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// The program and where it listens.
    Server,
    /// Connections.
    Clients,
    /// Memory.
    Memory,
    /// Append-only file and snapshots.
    Persistence,
    /// Counters.
    Stats,
    /// Primary and replicas.
    Replication,
    /// CPU time.
    Cpu,
    /// Modules, of which there are none.
    Modules,
    /// Counters of each command.
    Commandstats,
    /// Counters of each error code.
    Errorstats,
    /// Latency percentiles of each command.
    Latencystats,
    /// Cluster mode.
    Cluster,
    /// Keys of each database.
    Keyspace,
}

impl Section {
    /// All, in their order, with the words that ask for them.
    const ALL: [(Section, &'static [&'static str]); 13] = [
        (Section::Server, &["server"]),
        (Section::Clients, &["clients"]),
        (Section::Memory, &["memory"]),
        (Section::Persistence, &["persistence"]),
        (Section::Stats, &["stats"]),
        (Section::Replication, &["replication"]),
        (Section::Cpu, &["cpu"]),
        (Section::Modules, &["modules", "module_list"]),
        (Section::Commandstats, &["commandstats"]),
        (Section::Errorstats, &["errorstats"]),
        (Section::Latencystats, &["latencystats"]),
        (Section::Cluster, &["cluster"]),
        (Section::Keyspace, &["keyspace"]),
    ];

    fn is_default(self) -> bool {
        !matches!(self, Section::Commandstats | Section::Latencystats)
    }

    /// Whether only the cores know its values.
    fn needs_reports(self) -> bool {
        matches!(
            self,
            Section::Clients
                | Section::Memory
                | Section::Persistence
                | Section::Stats
                | Section::Keyspace
        )
    }

    /// The sections that `words` ask for, in their order; unknown words ask for nothing, no word for the default.
    #[must_use]
    pub fn chosen<'a>(words: impl Iterator<Item = &'a [u8]> + Clone) -> Vec<Section> {
        let is_asked = |word: &str| words.clone().any(|w| w.eq_ignore_ascii_case(word.as_bytes()));
        let is_all = is_asked("all") || is_asked("everything");
        let is_default = is_asked("default") || words.clone().next().is_none();
        let is_chosen = |section: Section, names: &[&str]| {
            is_all || is_default && section.is_default() || names.iter().any(|name| is_asked(name))
        };
        let chosen = Section::ALL.iter().filter(|(section, names)| is_chosen(*section, names));
        chosen.map(|(section, _)| *section).collect()
    }
}

/// The text of these sections.
pub async fn text(core: &Core, chosen: &[Section]) -> String {
    let reports = match chosen.iter().any(|section| section.needs_reports()) {
        true => collect(core).await,
        false => Vec::new(),
    };
    sections::render(core, chosen, &reports)
}

/// Asks every core for its report, which also brings the counters up to date.
pub async fn collect(core: &Core) -> Vec<CoreReport> {
    let answers = core.ask_all(|_| Question::Core(CoreQuestion::Report)).await;
    let report = |answer| match answer {
        Answer::Report(report) => *report,
        other => unreachable!("a core answers a report, not {other:?}"),
    };
    answers.into_iter().map(report).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(words: &str) -> Vec<Section> {
        Section::chosen(words.split_whitespace().map(str::as_bytes))
    }

    #[test]
    fn without_a_word_the_default_is_shown() {
        assert_eq!(chosen("").len(), 11);
        assert_eq!(chosen(""), chosen("DEFAULT"));
        assert!(!chosen("").contains(&Section::Commandstats));
        assert_eq!(chosen("all").len(), 13);
        assert_eq!(chosen("everything"), chosen("nonsense all"));
    }

    #[test]
    fn sections_come_once_and_in_their_order() {
        assert_eq!(chosen("Keyspace cluster KEYSPACE"), [Section::Cluster, Section::Keyspace]);
        assert_eq!(chosen("module_list"), [Section::Modules]);
        assert_eq!(chosen("default commandstats").len(), 12);
        assert!(chosen("nonsense").is_empty());
    }
}
