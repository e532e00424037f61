//! The house rules that a program can keep: which crate may depend on which, who may know the kernel, where `unsafe`
//! may stand, what a file looks like, and that pages name only files that exist.
//!
//! Each test reads the repository as text and fails with one line per breach.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which of our crates each crate may depend on. Arrows only point down: the list of a crate names crates above it in
/// this table, never one below.
const ARROWS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("persistence", &["protocol"]),
    ("ops", &["protocol"]),
    ("shard", &["protocol", "persistence"]),
    ("script", &["protocol"]),
    ("server", &["protocol", "persistence", "ops", "shard", "script"]),
];

/// Programs that look at a server from outside: they depend on none of our crates.
const OUTSIDERS: &[&str] = &["tests", "bench"];

/// Crates through which one talks to the executor or the kernel. Only the runtime may.
const KERNEL_CRATES: &[&str] = &["glommio", "io-uring", "libc"];
/// The folder of the runtime.
const RUNTIME: &str = "server/src/runtime/";

/// Longest source file, in lines. Most should be far shorter (CONTRIBUTING.md).
const LINES_MAX: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files below `folder` with this extension, as paths from the root with `/`, sorted.
fn files(folder: &str, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(root().join(&folder)) else { continue };
        for entry in entries {
            let entry = entry.expect("a folder of the repository can be read");
            let name = entry.file_name().into_string().expect("our file names are UTF-8");
            let path = format!("{folder}/{name}");
            if entry.file_type().expect("the file is there").is_dir() {
                folders.push(path);
            } else if path.ends_with(&format!(".{extension}")) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Every source file of every crate.
fn sources() -> Vec<String> {
    let crates = ARROWS.iter().map(|(name, _)| *name).chain(OUTSIDERS.iter().copied());
    let folders =
        crates.flat_map(|name| ["src", "tests", "benches"].map(|f| format!("{name}/{f}")));
    folders.chain(["fuzz/fuzz_targets".to_owned()]).flat_map(|f| files(&f, "rs")).collect()
}

/// The lines of a source without comments, with their numbers from 1.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate();
    lines.map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
}

/// Whether `word` stands in `line` as a whole identifier.
fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

fn none(breaches: &[String]) {
    assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), breaches.join("\n"));
}

/// What `manifest` depends on: the keys of `[dependencies]`, and of `[dev-dependencies]` if they are wanted.
fn dependencies(manifest: &str, with_dev: bool) -> BTreeSet<String> {
    let mut is_wanted = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            assert!(!section.contains("dependencies."), "[{section}]: write it in one line");
            is_wanted =
                section.ends_with("dependencies") && (with_dev || !section.contains("dev-"));
        } else if let Some((key, _)) = line.split_once('=').filter(|_| is_wanted) {
            names.insert(key.split('.').next().unwrap_or_default().trim().to_owned());
        }
    }
    names
}

#[test]
fn arrows_between_crates_only_point_down() {
    let mut breaches = Vec::new();
    let ours: Vec<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for (rank, (name, allowed)) in ARROWS.iter().enumerate() {
        let lower = &ours[..rank];
        assert!(allowed.iter().all(|other| lower.contains(other)), "{name}: ARROWS points up");
        // A crate may depend on itself for its tests, with features.
        let found = dependencies(&read(&format!("{name}/Cargo.toml")), true);
        let found = found.iter().filter(|other| other != name && ours.contains(&other.as_str()));
        let wrong = found.filter(|other| !allowed.contains(&other.as_str()));
        breaches.extend(wrong.map(|other| format!("{name} must not depend on {other}")));
    }
    for name in OUTSIDERS {
        let found = dependencies(&read(&format!("{name}/Cargo.toml")), true);
        let wrong = found.iter().filter(|other| ours.contains(&other.as_str()));
        breaches.extend(wrong.map(|other| format!("{name} must not depend on {other}")));
    }
    none(&breaches);
}

#[test]
fn every_crate_of_the_workspace_has_its_place() {
    let manifest = read("Cargo.toml");
    let members =
        manifest.lines().find_map(|line| line.strip_prefix("members = [")).expect("members");
    let members: BTreeSet<&str> = members.split('"').skip(1).step_by(2).collect();
    let known = ARROWS.iter().map(|(name, _)| *name).chain(OUTSIDERS.iter().copied());
    assert_eq!(members, known.collect(), "ARROWS and OUTSIDERS list the members of the workspace");
}

#[test]
fn only_the_runtime_knows_executor_and_kernel() {
    let mut breaches = Vec::new();
    for (name, _) in ARROWS.iter().filter(|(name, _)| *name != "server") {
        let found = dependencies(&read(&format!("{name}/Cargo.toml")), false);
        let wrong = found.iter().filter(|other| KERNEL_CRATES.contains(&other.as_str()));
        breaches.extend(wrong.map(|other| format!("{name} must not depend on {other}")));
    }
    for path in files("server/src", "rs").iter().filter(|path| !path.starts_with(RUNTIME)) {
        let text = read(path);
        for (number, line) in code(&text) {
            for word in KERNEL_CRATES.iter().map(|name| name.replace('-', "_")) {
                // Followed by a path, or imported: the word in a message is no use of it.
                if line.contains(&format!("{word}::")) || line.contains(&format!("use {word}")) {
                    breaches.push(format!("{path}:{number}: {word} belongs in {RUNTIME}"));
                }
            }
        }
    }
    none(&breaches);
}

/// The rows of UNSAFE.md, `| U-nn | file | … |`: which number stands in which file.
fn listed_unsafe() -> BTreeSet<(String, String)> {
    let page = read("UNSAFE.md");
    let rows = page.lines().filter(|line| line.starts_with("| U-"));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    cells.map(|cells| (cells[1].to_owned(), cells[2].trim_matches('`').to_owned())).collect()
}

#[test]
fn unsafe_stands_where_unsafe_md_says() {
    let listed = listed_unsafe();
    let mut found = BTreeSet::new();
    let mut breaches = Vec::new();
    // This file speaks of what it forbids.
    for path in sources().into_iter().filter(|path| path != file!()) {
        let text = read(&path);
        let code: Vec<&str> = code(&text).map(|(_, line)| line.trim()).collect();
        let is_unsafe = code.iter().any(|line| has_word(line, "unsafe"));
        if is_unsafe && !listed.iter().any(|(_, file)| *file == path) {
            breaches.push(format!("{path}: unsafe code in a file that UNSAFE.md does not list"));
        }
        // Attributes may be broken over lines.
        let code = code.join(" ").replace("( ", "(");
        if code.contains("allow(unsafe_code") {
            breaches.push(format!("{path}: use expect, with a reason, instead of allow"));
        }
        for attribute in code.split("expect(unsafe_code,").skip(1) {
            let reason = attribute.trim_start().strip_prefix("reason = \"");
            match reason.and_then(|reason| reason.split_once(':')) {
                Some((id, _)) => _ = found.insert((id.to_owned(), path.clone())),
                None => breaches.push(format!("{path}: give unsafe_code a reason, \"U-nn: why\"")),
            }
        }
    }
    none(&breaches);
    assert_eq!(found, listed, "the numbers in the sources (left) and in UNSAFE.md (right)");
}

#[test]
fn every_source_begins_by_saying_what_it_is() {
    let breaches: Vec<String> =
        sources().into_iter().filter(|path| !read(path).starts_with("//! ")).collect();
    none(&breaches);
}

#[test]
fn no_source_is_too_long() {
    let lengths = sources().into_iter().map(|path| (read(&path).lines().count(), path));
    let long = lengths.filter(|(len, _)| *len > LINES_MAX);
    let breaches: Vec<String> =
        long.map(|(len, path)| format!("{path}: {len} lines, at most {LINES_MAX}")).collect();
    none(&breaches);
}

#[test]
fn every_table_of_commands_is_registered() {
    let mut breaches = Vec::new();
    for folder in ["shard/src/commands", "server/src/commands"] {
        let list = read(&format!("{folder}/mod.rs"));
        for path in files(folder, "rs") {
            let topic = path.trim_start_matches(folder).trim_end_matches("/mod.rs");
            let topic = topic.trim_start_matches('/').trim_end_matches(".rs").replace('/', "::");
            let is_table = read(&path).contains("pub const COMMANDS: ");
            if is_table && !list.contains(&format!("{topic}::COMMANDS")) {
                breaches.push(format!("{path}: its COMMANDS are not in TABLES of {folder}/mod.rs"));
            }
        }
    }
    none(&breaches);
}

/// What a page refers to: targets of links, and files named in backticks; from the root, without anchors.
fn references(page: &str, text: &str) -> Vec<String> {
    let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let links = links.filter(|link| !link.contains("://") && !link.starts_with('#'));
    let links = links.filter_map(|link| link.split('#').next()).map(|link| join(folder, link));
    let is_file = |word: &&str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
        let is_ours = [".rs", ".md", ".toml"].iter().any(|extension| word.ends_with(extension));
        word.contains('/') && is_ours && word.chars().all(is_plain)
    };
    let words = text.split('`').skip(1).step_by(2).filter(is_file).map(str::to_owned);
    links.chain(words).collect()
}

/// `link` as seen from `folder`, with `..` resolved.
fn join(folder: &str, link: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            ".." => _ = parts.pop(),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn pages_name_only_files_that_exist() {
    let top = fs::read_dir(root()).expect("the root can be read").filter_map(Result::ok);
    let top = top.filter_map(|entry| entry.file_name().into_string().ok());
    let pages = top.filter(|name| name.ends_with(".md")).chain(files("docs", "md"));
    let mut missing: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for page in pages {
        for path in references(&page, &read(&page)) {
            if !root().join(&path).exists() {
                missing.entry(page.clone()).or_default().push(path);
            }
        }
    }
    assert!(missing.is_empty(), "pages that name files which do not exist: {missing:#?}");
}
