//! The record of what a server acknowledged, to be compared with what it has after a crash.
//!
//! A text file, written with one `write` per pipeline while the feed runs:
//!
//! ```text
//! rialto-feed-record 1 seed=1 symbols=500 batch=8 started_unix_us=1700000000000000
//! t 1523 42 7          tick: microseconds of the run, symbol index, sequence number
//! b 2000 1700000000    leaderboard: microseconds of the run, round
//! ```
//!
//! A last line without its line end was being written when the feed itself was killed; it is left out.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::Options;
use super::content::SYMBOLS_MAX;
use super::world::lock;

const MAGIC: &str = "rialto-feed-record 1";

/// Writes a record.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    file: Mutex<File>,
}

impl Recorder {
    /// Begins a new record, over an older one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(path: &Path, options: &Options, started_unix_us: u64) -> Result<Self, String> {
        let Options { seed, symbols, batch, .. } = options;
        let header = format!(
            "{MAGIC} seed={seed} symbols={symbols} batch={batch} started_unix_us={started_unix_us}\n"
        );
        let file = File::create(path)
            .and_then(|mut file| file.write_all(header.as_bytes()).map(|()| file))
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(file) })
    }

    /// Records ticks (symbol index, sequence number) whose replies were there at `at_us`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn ticks(&self, at_us: u64, ticks: &[(usize, u64)]) -> io::Result<()> {
        let mut lines = String::with_capacity(ticks.len() * 24);
        for (index, sequence) in ticks {
            lines.push_str(&format!("t {at_us} {index} {sequence}\n"));
        }
        self.append(&lines)
    }

    /// Records a round of the leaderboard.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn round(&self, at_us: u64, round: u64) -> io::Result<()> {
        self.append(&format!("b {at_us} {round}\n"))
    }

    fn append(&self, lines: &str) -> io::Result<()> {
        lock(&self.file).write_all(lines.as_bytes()).map_err(|error| {
            io::Error::other(format!("cannot write {}: {error}", self.path.display()))
        })
    }
}

/// A record that was read back.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// How many symbols the feed had.
    pub symbols: usize,
    /// Most ticks that one writer had under way.
    pub batch: u64,
    /// Wall-clock time of the start of the run, in microseconds since 1970.
    pub started_unix_us: u64,
    /// Acknowledged ticks, in the order of the file.
    pub ticks: Vec<Tick>,
    /// Acknowledged rounds of the leaderboard: time and round.
    pub rounds: Vec<(u64, u64)>,
}

/// An acknowledged tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick {
    /// When, in microseconds of the run.
    pub at_us: u64,
    /// Index of its symbol.
    pub symbol: usize,
    /// Its sequence number.
    pub sequence: u64,
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// When the file cannot be read or is no record.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Self::parse(&text).map_err(|reason| format!("{}: {reason}", path.display()))
    }

    /// The time of the last acknowledgement; 0 if there was none.
    #[must_use]
    pub fn last_us(&self) -> u64 {
        let ticks = self.ticks.iter().map(|tick| tick.at_us);
        ticks.chain(self.rounds.iter().map(|round| round.0)).max().unwrap_or(0)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = whole.lines();
        let mut record = lines.next().and_then(parse_header).ok_or("not a record of a feed")?;
        for (index, line) in lines.enumerate() {
            record.add_line(line).ok_or_else(|| format!("line {}: {line:?}", index + 2))?;
        }
        Ok(record)
    }

    fn add_line(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let kind = words.next()?;
        let numbers = words.map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
        match (kind, numbers.as_slice()) {
            ("t", &[at_us, symbol, sequence]) => {
                let symbol = usize::try_from(symbol).ok().filter(|&index| index < self.symbols)?;
                self.ticks.push(Tick { at_us, symbol, sequence });
            }
            ("b", &[at_us, round]) => self.rounds.push((at_us, round)),
            _ => return None,
        }
        Some(())
    }
}

fn parse_header(line: &str) -> Option<Record> {
    let mut record = Record::default();
    for word in line.strip_prefix(MAGIC)?.split_whitespace() {
        match word.split_once('=')? {
            ("symbols", count) => {
                record.symbols = count.parse().ok().filter(|&count| count <= SYMBOLS_MAX)?;
            }
            ("batch", count) => record.batch = count.parse().ok()?,
            ("started_unix_us", time) => record.started_unix_us = time.parse().ok()?,
            _ => {}
        }
    }
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::TempDir;

    #[test]
    fn a_record_is_read_back() {
        let dir = TempDir::new("record").expect("the temporary directory is writable");
        let path = dir.path().join("state");
        let recorder = Recorder::create(&path, &Options::default(), 77).unwrap();
        recorder.ticks(10, &[(3, 1), (4, 1)]).unwrap();
        recorder.round(20, 99).unwrap();
        recorder.ticks(15, &[(3, 2)]).unwrap();
        let record = Record::read(&path).unwrap();
        let tick = |at_us, symbol, sequence| Tick { at_us, symbol, sequence };
        assert_eq!(record.ticks, [tick(10, 3, 1), tick(10, 4, 1), tick(15, 3, 2)]);
        assert_eq!(record.rounds, [(20, 99)]);
        assert_eq!((record.symbols, record.batch, record.last_us()), (500, 8, 20));
        assert_eq!(record.started_unix_us, 77);
    }

    #[test]
    fn a_line_cut_short_is_left_out() {
        let header = "rialto-feed-record 1 seed=1 symbols=5 batch=8\n";
        let record = Record::parse(&format!("{header}t 10 3 1\nt 11 3")).unwrap();
        assert_eq!(record.ticks.len(), 1);
    }

    #[test]
    fn damage_is_named() {
        let header = "rialto-feed-record 1 seed=1 symbols=5 batch=8\n";
        let error = Record::parse(&format!("{header}t 10 3 1\nt 11 5 1\n")).unwrap_err();
        assert_eq!(error, "line 3: \"t 11 5 1\"");
        for text in ["", "hello\n", "rialto-feed-record 1 symbols=99999999 batch=1\n"] {
            assert!(Record::parse(text).is_err(), "{text:?}");
        }
    }
}
