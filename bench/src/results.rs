//! Where results are kept: `<date>-<name>.md` and `.json` in a directory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::ArgMatches;

/// Where results go unless somebody says otherwise.
const DIR: &str = "bench/results";

/// Keeps a report where `--out` says, or in its usual place; a quick look is not worth keeping, unless somebody says
/// where. `kind` stands behind the name; it may be empty.
///
/// # Errors
/// As [`save`].
pub fn keep(
    matches: &ArgMatches,
    kind: &str,
    date: &str,
    markdown: &str,
    json: &serde_json::Value,
) -> Result<(), String> {
    let usual = || (!matches.get_flag("quick")).then(|| PathBuf::from(DIR));
    match matches.get_one::<PathBuf>("out").cloned().or_else(usual) {
        Some(out) => save(&out, date, &name(matches, kind), markdown, json),
        None => Ok(()),
    }
}

/// What `--name` says, or the commit, with `kind` behind it.
#[must_use]
pub fn name(matches: &ArgMatches, kind: &str) -> String {
    let name = matches.get_one::<String>("name").cloned().or_else(commit);
    let name = name.unwrap_or_else(|| "local".to_owned());
    if kind.is_empty() { name } else { format!("{name}-{kind}") }
}

/// Writes a report as Markdown and as JSON, and says on standard error where.
///
/// # Errors
/// When a file cannot be written.
pub fn save(
    dir: &Path,
    date: &str,
    name: &str,
    markdown: &str,
    json: &serde_json::Value,
) -> Result<(), String> {
    let stem = dir.join(format!("{date}-{name}"));
    let json = serde_json::to_string_pretty(json).map_err(|error| error.to_string())?;
    let write = |extension: &str, text: &str| {
        let path = stem.with_added_extension(extension);
        fs::write(&path, text)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        eprintln!("wrote {}", path.display());
        Ok(())
    };
    fs::create_dir_all(dir).map_err(|error| format!("cannot make {}: {error}", dir.display()))?;
    write("md", markdown)?;
    write("json", &(json + "\n"))
}

/// The short name of the commit that is checked out, if there is one.
fn commit() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !name.is_empty()).then_some(name)
}
