//! Where results are kept: `<date>-<name>.md` and `.json` in a directory.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Where results go unless somebody says otherwise.
pub const DIR: &str = "bench/results";

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
#[must_use]
pub fn commit() -> Option<String> {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !name.is_empty()).then_some(name)
}
