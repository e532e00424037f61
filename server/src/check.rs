//! `rialto check [--fix] DIR`: looks at an append-only file, and cuts its damage away if asked to.

use persistence::aof::{self, Options, repair};
use persistence::disk::{Disk, RealDisk};
use persistence::lock;
use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

/// Checks the data directory `dir`; with `is_fixing`, repairs it. Returns what to print, and whether all is well now.
///
/// # Errors
/// One sentence: the directory is in use by a server, or its files cannot be read or repaired.
pub fn run(
    dir: &Path,
    folder_name: &str,
    file_name: &str,
    is_fixing: bool,
) -> Result<(String, bool), Box<dyn Error>> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let options = Options {
        folder_name: folder_name.to_owned(),
        file_name: file_name.to_owned(),
        ..Options::new(dir)
    };
    // A running server writes its files: what one sees of them then says nothing.
    let _lock = lock::lock(&*disk, dir, std::process::id())?;
    let report = match is_fixing {
        true => repair::fix(disk, options)?,
        false => repair::check(disk, options)?,
    };
    let is_well = is_fixing || !report.has_damage();
    Ok((describe(&report, is_fixing), is_well))
}

fn describe(report: &aof::repair::Report, is_fixing: bool) -> String {
    let mut text = String::new();
    for file in &report.files {
        let (name, len, frames) = (&file.segment.name, file.len, file.frame_count);
        let _ = writeln!(
            text,
            "{name}: {len} bytes, {frames} frames, epochs up to {} closed",
            file.closed
        );
    }
    for warning in report.warnings() {
        let _ = writeln!(text, "{warning}");
    }
    let summary = match (report.has_damage(), is_fixing) {
        (false, _) => "No damage.".to_owned(),
        (true, false) => format!("Damaged. `--fix` would drop {}.", report.loss()),
        (true, true) => format!("Repaired. Dropped: {}.", report.loss()),
    };
    let _ = writeln!(text, "{summary}");
    text
}
