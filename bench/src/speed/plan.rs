//! What is measured: rows (how a server is set up), cells (what it is asked), and the targets.

use crate::server::Log;

/// A way to set servers up; one row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Short name, for `--only` and for results.
    pub id: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// Shards of Rialto, threads of Pogocache; and the CPUs that a server gets.
    pub shards: usize,
    /// Log of all servers of the row.
    pub log: Log,
    /// What is asked.
    pub commands: &'static [Operation],
    /// Highest ratio to the reference that meets the target, by [`PIPELINES`].
    pub targets: [f64; 3],
}

/// Requests that a connection sends before it waits, as `redis-benchmark -P` has it.
pub const PIPELINES: [u64; 3] = [1, 16, 64];

/// All rows, in the order of the table.
pub const ROWS: [Row; 3] = [
    Row {
        id: "1shard",
        title: "1 shard on one core, no log",
        shards: 1,
        log: Log::Off,
        commands: &[Operation::Get, Operation::Set],
        targets: [1.0, 0.60, 0.45],
    },
    Row {
        id: "2shards",
        title: "2 shards on two cores, no log",
        shards: 2,
        log: Log::Off,
        commands: &[Operation::Get, Operation::Set],
        targets: [1.3, 0.75, 0.55],
    },
    Row {
        id: "everysec",
        title: "1 shard, everysec on both",
        shards: 1,
        log: Log::EverySecond,
        commands: &[Operation::Set],
        targets: [1.0, 0.80, 0.65],
    },
];

/// A command that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// GET of a key that exists, 64 bytes.
    Get,
    /// SET of a key that exists, to 64 bytes.
    Set,
}

impl Operation {
    /// Its name as reports have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Set => "SET",
        }
    }
}

/// One measurement: a row, a pipeline depth and a command.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// How the server is set up.
    pub row: Row,
    /// Requests per pipeline.
    pub pipeline: u64,
    /// What is asked.
    pub operation: Operation,
    /// Highest ratio that meets the target.
    pub target: f64,
}

impl Cell {
    /// Name of the cell without its row: `P16 GET`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("P{} {}", self.pipeline, self.operation.name())
    }

    /// How many operations one sample sends: about one to two seconds of Redis's CPU, an eighth of that
    /// for a quick look. A multiple of every pipeline depth.
    #[must_use]
    pub fn operations(&self, quick: bool) -> u64 {
        let whole = match self.pipeline {
            1 => 204_800,
            16 => 1_536_000,
            _ => 2_048_000,
        };
        if quick { whole / 8 } else { whole }
    }
}

/// All cells that the filter lets through, in the order of the table.
///
/// The filter is a list of names joined by commas; a name has parts joined by colons, in any order and
/// case, each of which must fit: a row's id, a pipeline (`P16`) or a command. `1shard:P16:GET,everysec`
/// gives one cell of the first row and all of the third. An empty filter lets everything through.
///
/// # Errors
/// When a part names nothing, or nothing is left.
pub fn cells(filter: &str) -> Result<Vec<Cell>, String> {
    let names: Vec<Vec<String>> = filter
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.split(':').map(str::to_ascii_lowercase).collect())
        .collect();
    if let Some(part) = names.iter().flatten().find(|part| !all().any(|cell| fits(&cell, part))) {
        return Err(format!(
            "{part:?} is no row (1shard, 2shards, everysec), P1, P16, P64, GET or SET"
        ));
    }
    let is_wanted = |cell: &Cell| {
        names.is_empty() || names.iter().any(|name| name.iter().all(|part| fits(cell, part)))
    };
    let cells: Vec<Cell> = all().filter(is_wanted).collect();
    if cells.is_empty() { Err(format!("nothing is left of {filter:?}")) } else { Ok(cells) }
}

fn all() -> impl Iterator<Item = Cell> {
    ROWS.into_iter().flat_map(|row| {
        PIPELINES.into_iter().zip(row.targets).flat_map(move |(pipeline, target)| {
            row.commands.iter().map(move |&operation| Cell { row, pipeline, operation, target })
        })
    })
}

fn fits(cell: &Cell, part: &str) -> bool {
    part == cell.row.id
        || part == format!("p{}", cell.pipeline)
        || part == cell.operation.name().to_ascii_lowercase()
}

/// Which CPUs the server and the client of a row use, out of those that are usable (at least one).
///
/// A server gets as many CPUs as it has shards and the client the rest. With too few for that, the
/// client of a one-shard server takes the last, and that of a two-shard server shares all with it.
#[must_use]
pub fn placement(cpus: &[usize], shards: usize) -> (Vec<usize>, Vec<usize>) {
    let server = &cpus[..shards.min(cpus.len())];
    let rest = &cpus[server.len()..];
    (server.to_vec(), if rest.is_empty() { cpus } else { rest }.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete() {
        let cells = cells("").unwrap();
        assert_eq!(cells.len(), 15);
        for cell in cells {
            assert_eq!(cell.operations(true) % cell.pipeline, 0);
            assert_eq!(cell.operations(false) % cell.pipeline, 0);
        }
    }

    #[test]
    fn a_filter_chooses_cells() {
        let names = |filter: &str| {
            let cells = cells(filter).unwrap();
            cells.iter().map(|cell| format!("{} {}", cell.row.id, cell.name())).collect::<Vec<_>>()
        };
        assert_eq!(names("1shard:P16:GET"), ["1shard P16 GET"]);
        assert_eq!(names("get:p64"), ["1shard P64 GET", "2shards P64 GET"]);
        assert_eq!(names("everysec:P1,1shard:P1:SET"), ["1shard P1 SET", "everysec P1 SET"]);
        assert!(cells("3shards").unwrap_err().contains("\"3shards\" is no row"));
        assert!(cells("everysec:GET").unwrap_err().contains("nothing is left"));
    }

    #[test]
    fn the_client_stays_off_the_servers_cpus_if_it_can() {
        assert_eq!(placement(&[0, 1], 1), (vec![0], vec![1]));
        assert_eq!(placement(&[0, 1], 2), (vec![0, 1], vec![0, 1]));
        assert_eq!(placement(&[0, 1, 2, 3], 2), (vec![0, 1], vec![2, 3]));
        assert_eq!(placement(&[5], 1), (vec![5], vec![5]));
    }
}
