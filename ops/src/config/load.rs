//! Reading redis.conf, standard input and the command line into a `Config`.
//!
//! One directive per line; `#` begins a comment line; words as in `words`. `include FILE` reads another
//! file in place, with `* ? [` it may name several or none. On the command line `--name value ...` is
//! a directive; a word beginning with `--` is a value if the name before it has none yet.
//! Source: observed on Redis 7.2.6.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Origin};
use super::value::Value;
use super::{Config, Effect, Found, Kind, PARAMETERS, Rename, lookup, names, settings_of, words};

const INCLUDE_DEPTH_MAX: usize = 16;
const NO_USERS: &str = "users other than the default one are not built yet; use requirepass";
const FILE_SIZE_MAX: u64 = 16 << 20;

/// Directives that old versions of Redis had; they are skipped, as Redis does.
const RETIRED: [&str; 3] =
    ["list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands"];

pub(super) fn load(file: Option<&Path>, command_line: &[String]) -> Result<Config, ConfigError> {
    let (file, command_line) = match command_line {
        [first, rest @ ..] if file.is_none() && !first.starts_with('-') => {
            (Some(Path::new(first)), rest)
        }
        _ => (file, command_line),
    };
    let options = parse_command_line(command_line)?;

    let mut loader = Loader::new();
    if let Some(path) = file {
        loader.config.file = Some(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        loader.read_file(path, 0)?;
    }
    if options.reads_stdin {
        let text = read_bounded(std::io::stdin().lock(), "standard input")?;
        loader.read_lines(&text, &|line| Origin::Stdin { line }, 0)?;
    }
    for directive in options.directives {
        loader.directive(&Origin::CommandLine, &directive, 0)?;
    }
    loader.finish()
}

/// What the command line asks for.
#[derive(Debug, Default, PartialEq)]
struct Options {
    reads_stdin: bool,
    /// Name and values of each option, in order.
    directives: Vec<Vec<Vec<u8>>>,
}

fn parse_command_line(args: &[String]) -> Result<Options, ConfigError> {
    let mut options = Options::default();
    let mut wants_value = false;
    for (index, arg) in args.iter().enumerate() {
        let is_outermost = index == 0 || index + 1 == args.len();
        match arg.strip_prefix("--") {
            _ if arg == "-" && is_outermost => options.reads_stdin = true,
            Some(text) if !wants_value => {
                let words = words::split(text.as_bytes())
                    .map_err(|_| ConfigError::Quotes { origin: Origin::CommandLine })?;
                wants_value = words.len() < 2;
                options.directives.push(words);
            }
            _ => {
                // `--save --port 1` means an empty save, for scripts that build a command line from lists.
                let directive = options
                    .directives
                    .last_mut()
                    .filter(|words| !words.is_empty())
                    .ok_or_else(|| ConfigError::StrayWord { word: arg.clone() })?;
                directive.push(arg.as_bytes().to_vec());
                wants_value = false;
            }
        }
        let next = args.get(index + 1);
        if wants_value
            && arg.eq_ignore_ascii_case("--save")
            && next.is_none_or(|next| next.starts_with("--"))
        {
            let directive = options.directives.last_mut().expect("wants_value follows a push");
            directive.push(Vec::new());
            wants_value = false;
        }
    }
    Ok(options)
}

struct Loader {
    config: Config,
    /// The first `save` replaces the default, those after it add to it.
    is_save_given: bool,
    /// Where a `user` line gives the default user a password that only `requirepass` can tell us.
    hashed_password: Option<Origin>,
}

impl Loader {
    fn new() -> Loader {
        Loader { config: Config::defaults(), is_save_given: false, hashed_password: None }
    }

    /// Checks what only the whole of the lines shows.
    fn finish(self) -> Result<Config, ConfigError> {
        let mut config = self.config;
        config.settings = settings_of(&config.values);
        match self.hashed_password {
            Some(origin) if config.settings.requirepass.is_empty() => {
                Err(refused(&origin, "user".to_owned(), NO_USERS))
            }
            _ => Ok(config),
        }
    }

    fn read_file(&mut self, path: &Path, depth: usize) -> Result<(), ConfigError> {
        let shown = path.display().to_string();
        let file = std::fs::File::open(path).map_err(|error| ConfigError::Read {
            path: shown.clone(),
            problem: crate::system_text(&error),
        })?;
        let text = read_bounded(file, &shown)?;
        self.read_lines(&text, &|line| Origin::File { path: path.to_owned(), line }, depth)
    }

    fn read_lines(
        &mut self,
        text: &[u8],
        origin: &dyn Fn(usize) -> Origin,
        depth: usize,
    ) -> Result<(), ConfigError> {
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let origin = origin(index + 1);
            let words =
                words::split(line).map_err(|_| ConfigError::Quotes { origin: origin.clone() })?;
            self.directive(&origin, &words, depth)?;
        }
        Ok(())
    }

    fn directive(
        &mut self,
        origin: &Origin,
        words: &[Vec<u8>],
        depth: usize,
    ) -> Result<(), ConfigError> {
        let Some((name, values)) = words.split_first() else { return Ok(()) };
        if let Some(found) = lookup(name) {
            return self.parameter(origin, found, values);
        }
        let name = String::from_utf8_lossy(name).to_lowercase();
        match (name.as_str(), values) {
            ("include", [path]) => self.include(origin, path, depth),
            ("include", _) => Err(word_count(origin, name, "one path")),
            ("rename-command", [from, to]) => {
                let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
                self.config.renames.push(Rename { from: text(from), to: text(to) });
                Ok(())
            }
            ("rename-command", _) => {
                Err(word_count(origin, name, "a command and its new name, which may be \"\""))
            }
            ("user", words) => self.user(origin, name, words),
            ("loadmodule", _) => Err(refused(origin, name, "Rialto loads no modules")),
            ("sentinel", _) => Err(refused(origin, name, "Rialto is not a sentinel")),
            (retired, [_]) if RETIRED.contains(&retired) => Ok(()),
            _ => Err(ConfigError::Unknown { origin: origin.clone(), hint: hint(&name), name }),
        }
    }

    /// Users are not built yet, but CONFIG REWRITE of Redis always writes the default one: it is accepted
    /// if it may do everything, with no password or with that of `requirepass`.
    fn user(
        &mut self,
        origin: &Origin,
        name: String,
        words: &[Vec<u8>],
    ) -> Result<(), ConfigError> {
        const UNRESTRICTED: [&[u8]; 9] = [
            b"on",
            b"nopass",
            b"sanitize-payload",
            b"~*",
            b"&*",
            b"+@all",
            b"allkeys",
            b"allchannels",
            b"allcommands",
        ];
        let is_hash = |word: &Vec<u8>| word.starts_with(b"#");
        match words {
            [user, rules @ ..]
                if user == b"default"
                    && rules
                        .iter()
                        .all(|word| is_hash(word) || UNRESTRICTED.contains(&word.as_slice())) =>
            {
                if rules.iter().any(is_hash) {
                    self.hashed_password = Some(origin.clone());
                }
                Ok(())
            }
            _ => Err(refused(origin, name, NO_USERS)),
        }
    }

    fn parameter(
        &mut self,
        origin: &Origin,
        found: Found,
        words: &[Vec<u8>],
    ) -> Result<(), ConfigError> {
        let row = PARAMETERS[found.index];
        let split;
        let words = match words {
            [single] if row.is_multi_arg() && !single.is_empty() => {
                split = words::split(single)
                    .map_err(|_| ConfigError::Quotes { origin: origin.clone() })?;
                &split
            }
            [_] => words,
            _ if row.is_multi_arg() => words,
            _ => return Err(word_count(origin, found.name.to_owned(), "one value")),
        };
        let current = &mut self.config.values[found.index];
        let value = row.parse(words, current).map_err(|problem| match row.effect {
            Effect::Refused(why) if why == problem => refused(origin, found.name.to_owned(), why),
            _ => ConfigError::Value {
                origin: origin.clone(),
                name: found.name.to_owned(),
                value: words::quote(&words.join(&b' ')),
                problem,
            },
        })?;
        *current = match (row.kind, &*current, value) {
            (Kind::Save, Value::Save(before), Value::Save(points))
                if self.is_save_given && !points.is_empty() =>
            {
                Value::Save([before.as_slice(), &points].concat())
            }
            (_, _, value) => value,
        };
        self.is_save_given |= matches!(row.kind, Kind::Save);
        self.config.given[found.index] = true;
        Ok(())
    }

    fn include(&mut self, origin: &Origin, path: &[u8], depth: usize) -> Result<(), ConfigError> {
        use std::os::unix::ffi::OsStrExt as _;

        if depth == INCLUDE_DEPTH_MAX {
            let origin = origin.clone();
            return Err(ConfigError::IncludeDepth { origin, depth_max: INCLUDE_DEPTH_MAX });
        }
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        for file in expand(path) {
            self.read_file(&file, depth + 1)?;
        }
        Ok(())
    }
}

fn refused(origin: &Origin, name: String, why: &'static str) -> ConfigError {
    ConfigError::Refused { origin: origin.clone(), name, why }
}

fn word_count(origin: &Origin, name: String, expected: &'static str) -> ConfigError {
    ConfigError::WordCount { origin: origin.clone(), name, expected }
}

fn read_bounded(source: impl Read, path: &str) -> Result<Vec<u8>, ConfigError> {
    let mut text = Vec::new();
    source.take(FILE_SIZE_MAX + 1).read_to_end(&mut text).map_err(|error| ConfigError::Read {
        path: path.to_owned(),
        problem: crate::system_text(&error),
    })?;
    if text.len() as u64 > FILE_SIZE_MAX {
        return Err(ConfigError::TooLarge { path: path.to_owned(), limit_bytes: FILE_SIZE_MAX });
    }
    Ok(text)
}

/// The files that a path with wildcards names, sorted; without wildcards the path itself.
fn expand(path: &Path) -> Vec<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;

    let has_wildcard =
        |name: &std::ffi::OsStr| name.as_bytes().iter().any(|byte| b"*?[".contains(byte));
    if !has_wildcard(path.as_os_str()) {
        return vec![path.to_owned()];
    }
    let mut paths = vec![PathBuf::new()];
    for component in path.components() {
        let pattern = component.as_os_str();
        if !has_wildcard(pattern) {
            paths.iter_mut().for_each(|path| path.push(pattern));
            continue;
        }
        // A leading dot must be written out, so that hidden files do not slip in.
        let is_match = |name: &std::ffi::OsStr| {
            (pattern.as_bytes().starts_with(b".") || !name.as_bytes().starts_with(b"."))
                && protocol::glob::matches(pattern.as_bytes(), name.as_bytes(), false)
        };
        paths = paths
            .iter()
            .flat_map(|parent| {
                let listed = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                let entries = listed.read_dir().into_iter().flatten().flatten();
                let names = entries.map(|entry| entry.file_name());
                names
                    .filter(|name| is_match(name))
                    .map(|name| parent.join(name))
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    paths.retain(|path| path.exists());
    paths.sort();
    paths
}

/// Names a parameter that is at most two typing errors away.
fn hint(name: &str) -> String {
    const TYPOS_MAX: usize = 2;
    names()
        .map(|found| (distance(name, found.name), found.name))
        .min()
        .filter(|(typos, _)| *typos <= TYPOS_MAX)
        .map(|(_, similar)| format!(" (did you mean '{similar}'?)"))
        .unwrap_or_default()
}

/// Insertions, deletions and replacements of one byte that turn `left` into `right`.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, left_byte) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, right_byte) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(left_byte != right_byte);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
