//! The text log, in Redis's form and levels.
//!
//! ```text
//! 4711:M 20 Nov 2026 12:00:00.123 * Ready to accept connections
//! ```
//! Process id, role (`M` primary, `S` replica), time in UTC, level, message. Write to it with the macros of
//! `tracing`:
//!
//! | Macro | Level of Redis | Mark |
//! |---|---|---|
//! | `trace!` | debug | `.` |
//! | `debug!` | verbose | `-` |
//! | `info!` | notice | `*` |
//! | `warn!`, `error!` | warning | `#` |
//!
//! Each line is one write to standard output, or to `logfile`, which is opened anew for it: a file that
//! was moved away (logrotate) is replaced by itself. Messages of other crates appear from `warn!` on.
//! A line that is not wanted costs one cached comparison.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::config::LogLevel;

/// Crates whose messages all count; others only speak up when something is wrong.
const OUR_CRATES: [&str; 6] = ["rialto", "server", "shard", "persistence", "protocol", "ops"];

/// The log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be written.
    #[error("cannot write the log file {path}: {problem}; check logfile and its permissions")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        problem: String,
    },
    /// There is a log already.
    #[error("the log was started twice in one process")]
    AlreadyStarted,
}

/// Changes the running log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogControl(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Index of the level in [`LEVELS`]; one more than the last means nothing.
    min_level: AtomicU8,
    is_replica: AtomicBool,
    file: Option<PathBuf>,
}

/// Starts the log of the process, to `file` or to standard output.
///
/// # Errors
/// The file cannot be opened, or there is a log already.
pub fn start(level: LogLevel, file: Option<&Path>) -> Result<LogControl, LogError> {
    let (subscriber, control) = build(level, file)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::AlreadyStarted)?;
    Ok(control)
}

fn build(
    level: LogLevel,
    file: Option<&Path>,
) -> Result<(impl Subscriber + Send + Sync, LogControl), LogError> {
    if let Some(path) = file {
        open(path).map_err(|error| LogError::File {
            path: path.display().to_string(),
            problem: crate::system_text(&error),
        })?;
    }
    let shared = Shared {
        min_level: AtomicU8::new(level_index(level)),
        is_replica: AtomicBool::new(false),
        // Absolute, so that a later change of the directory does not move the log.
        file: file.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
    };
    let shared = Arc::new(shared);
    let subscriber = tracing_subscriber::registry().with(RedisLines(Arc::clone(&shared)));
    Ok((subscriber, LogControl(shared)))
}

impl LogControl {
    /// Follows `loglevel`.
    pub fn set_level(&self, level: LogLevel) {
        self.0.min_level.store(level_index(level), Ordering::Relaxed);
        // Each log statement remembers whether it is wanted.
        tracing::callsite::rebuild_interest_cache();
    }

    /// Chooses between `M` and `S` in the lines.
    pub fn set_replica(&self, is_replica: bool) {
        self.0.is_replica.store(is_replica, Ordering::Relaxed);
    }
}

/// Marks of the levels, the least important first.
const LEVELS: [char; 4] = ['.', '-', '*', '#'];

fn level_index(level: LogLevel) -> u8 {
    match level {
        LogLevel::Debug => 0,
        LogLevel::Verbose => 1,
        LogLevel::Notice => 2,
        LogLevel::Warning => 3,
        LogLevel::Nothing => 4,
    }
}

fn event_index(level: Level) -> u8 {
    match level {
        Level::TRACE => 0,
        Level::DEBUG => 1,
        Level::INFO => 2,
        Level::WARN | Level::ERROR => 3,
    }
}

struct RedisLines(Arc<Shared>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for RedisLines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let index = event_index(*metadata.level());
        let is_ours =
            metadata.target().split("::").next().is_some_and(|name| OUR_CRATES.contains(&name));
        index >= self.0.min_level.load(Ordering::Relaxed) && (is_ours || index == 3)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let role = if self.0.is_replica.load(Ordering::Relaxed) { 'S' } else { 'M' };
        let mark = LEVELS[usize::from(event_index(*event.metadata().level()))];
        let time = Timestamp(crate::clock::unix_time());
        let mut line = format!("{}:{role} {time} {mark} ", std::process::id());
        let mut message = Message::default();
        event.record(&mut message);
        push_printable(&mut line, &message.text);
        push_printable(&mut line, &message.fields);
        line.push('\n');
        // There is nowhere to report a log that cannot be written; serving goes on.
        let _ = match &self.0.file {
            Some(path) => open(path).and_then(|mut file| file.write_all(line.as_bytes())),
            None => std::io::stdout().lock().write_all(line.as_bytes()),
        };
    }
}

fn open(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().append(true).create(true).open(path)
}

/// Text that a client sent must not be able to forge a line or to steer a terminal.
fn push_printable(line: &mut String, text: &str) {
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
}

/// The message of an event, and its other fields as ` name=value`.
#[derive(Default)]
struct Message {
    text: String,
    fields: String,
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
        written.expect("writing to a String cannot fail");
    }
}

/// A point in time since 1970, printed as `20 Nov 2026 12:00:00.123` in UTC.
struct Timestamp(Duration);

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let seconds = self.0.as_secs();
        let (year, month_index, day) = date(seconds / 86_400);
        let month = MONTHS[month_index];
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let millisecond = self.0.subsec_millis();
        write!(f, "{day:02} {month} {year} {hour:02}:{minute:02}:{second:02}.{millisecond:03}")
    }
}

/// Year, month (0 to 11) and day of the month, from the days since 1970-01-01.
fn date(days: u64) -> (u64, usize, u64) {
    let mut year = 1970;
    let mut days_left = days;
    loop {
        let year_len = if is_leap(year) { 366 } else { 365 };
        if days_left < year_len {
            break;
        }
        days_left -= year_len;
        year += 1;
    }
    let february_len = if is_leap(year) { 29 } else { 28 };
    let month_lens = [31, february_len, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month_index = 0;
    while days_left >= month_lens[month_index] {
        days_left -= month_lens[month_index];
        month_index += 1;
    }
    (year, month_index, days_left + 1)
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    /// Runs `body` with a log of its own and returns what was written, without process id and time.
    fn logged(level: LogLevel, body: impl FnOnce(&LogControl)) -> Vec<String> {
        let folder = Folder::new();
        let path = folder.path().join("log");
        let (subscriber, control) = build(level, Some(&path)).expect("the folder is writable");
        tracing::subscriber::with_default(subscriber, || body(&control));
        let prefix = format!("{}:", std::process::id());
        let strip = |line: &str| {
            let line = line.strip_prefix(&prefix).expect("a process id");
            let (role, rest) = line.split_at(2);
            let (time, rest) = rest.split_at("20 Nov 2026 12:00:00.123 ".len());
            assert_eq!(time.matches(':').count(), 2, "{time}");
            format!("{role}{rest}")
        };
        folder.read("log").lines().map(strip).collect()
    }

    #[test]
    fn lines_look_like_those_of_redis() {
        let lines = logged(LogLevel::Debug, |control| {
            tracing::trace!("least");
            tracing::debug!("some detail");
            tracing::info!(core = 1, name = "feed", "Ready to accept {}", "connections");
            control.set_replica(true);
            tracing::warn!("odd");
            tracing::error!("bad");
        });
        assert_eq!(
            lines,
            [
                "M . least",
                "M - some detail",
                "M * Ready to accept connections core=1 name=feed",
                "S # odd",
                "S # bad",
            ]
        );
    }

    #[test]
    fn the_level_can_change_while_running() {
        let lines = logged(LogLevel::Notice, |control| {
            let write = || {
                tracing::debug!("detail");
                tracing::info!("news");
            };
            write();
            control.set_level(LogLevel::Verbose);
            write();
            control.set_level(LogLevel::Nothing);
            write();
        });
        assert_eq!(lines, ["M * news", "M - detail", "M * news"]);
    }

    #[test]
    fn other_crates_are_heard_only_when_something_is_wrong() {
        let lines = logged(LogLevel::Debug, |_| {
            tracing::info!(target: "hyper::server", "chatter");
            tracing::warn!(target: "hyper::server", "trouble");
        });
        assert_eq!(lines, ["M # trouble"]);
    }

    #[test]
    fn a_message_cannot_forge_a_line() {
        let lines = logged(LogLevel::Notice, |_| tracing::info!("a\n1:M b\u{1b}[2J"));
        assert_eq!(lines, [r"M * a\n1:M b\u{1b}[2J"]);
    }

    #[test]
    fn a_file_that_was_moved_away_is_replaced() {
        let folder = Folder::new();
        let path = folder.path().join("log");
        let (subscriber, _control) = build(LogLevel::Notice, Some(&path)).expect("writable");
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("one");
            std::fs::rename(&path, folder.path().join("log.1")).expect("it exists");
            tracing::info!("two");
        });
        assert!(folder.read("log.1").ends_with("* one\n"));
        assert!(folder.read("log").ends_with("* two\n"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_one_sentence() {
        let error = build(LogLevel::Notice, Some(Path::new("/no/such/log"))).err();
        assert_eq!(
            error.expect("there is no such folder").to_string(),
            "cannot write the log file /no/such/log: No such file or directory; \
             check logfile and its permissions"
        );
    }

    #[test]
    fn dates_are_right_around_leap_days() {
        let cases = [
            (0, "01 Jan 1970 00:00:00.000"),
            (951_782_399_999, "28 Feb 2000 23:59:59.999"),
            (951_782_400_000, "29 Feb 2000 00:00:00.000"),
            (1_709_251_200_001, "01 Mar 2024 00:00:00.001"),
            (1_795_176_000_123, "20 Nov 2026 12:00:00.123"),
            (4_107_542_400_000, "01 Mar 2100 00:00:00.000"),
        ];
        for (milliseconds, text) in cases {
            assert_eq!(Timestamp(Duration::from_millis(milliseconds)).to_string(), text);
        }
    }
}
