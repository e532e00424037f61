//! docs/config.md, generated from the table.

use std::fmt::Write as _;

use super::params::TABLE;
use super::{Change, Effect, Parameter};

/// The text of docs/config.md: every parameter that is not hidden, by subject.
#[must_use]
pub fn documentation() -> String {
    let mut page = String::from(
        "# Configuration\n\n\
         <!-- Generated from ops/src/config/params by `UPDATE_DOCS=1 cargo test -p ops`. -->\n\n\
         Every parameter of Redis 7.2 and a few of our own. Give them in a file\n\
         (`rialto serve redis.conf`), on the command line (`--port 7000`) or with CONFIG SET.\n\
         *At run time* says whether CONFIG SET may change it: `yes`, `no`, or `protected`, which\n\
         `enable-protected-configs` decides. A parameter *without effect* is accepted and reported\n\
         so that files and tools for Redis work, and the server says so in its log at start; one\n\
         that is *refused* takes only its default, because ignoring it would be dangerous.\n",
    );
    for group in TABLE {
        let title = group.title;
        write!(
            page,
            "\n## {title}\n\n| Parameter | Default | Values | At run time | What it does |\n"
        )
        .expect("writing to a String cannot fail");
        page.push_str("|---|---|---|---|---|\n");
        for row in group.rows.iter().filter(|row| !row.is_hidden) {
            page.push_str(&line(row));
        }
    }
    page.push_str(
        "\n## Directives\n\n\
         | Directive | What it does |\n|---|---|\n\
         | `include FILE` | Reads another file in place; with `* ? [` it may name several or none. |\n\
         | `rename-command NAME NEW` | Calls a command by another name; `\"\"` removes it. |\n\
         | `user` | Accepted for an unrestricted default user; others are refused: there are none yet. |\n\
         | `loadmodule`, `sentinel` | Refused with a sentence that says why. |\n",
    );
    page
}

fn line(row: &Parameter) -> String {
    let alias = row.alias.map(|alias| format!(" (also `{alias}`)")).unwrap_or_default();
    let default = match row.default {
        "" if row.name == "dir" => "current directory".to_owned(),
        "" => "empty".to_owned(),
        text => format!("`{text}`"),
    };
    let change = match row.change {
        Change::Runtime => "yes",
        Change::Protected => "protected",
        Change::Never | Change::Unchanged => "no",
    };
    let what = match row.effect {
        Effect::Live | Effect::Startup => row.docs.to_owned(),
        Effect::None(why) if row.docs.is_empty() => format!("*Without effect*: {why}."),
        Effect::None(why) => format!("{} *Without effect yet*: {why}.", row.docs),
        Effect::Refused(why) => format!("*Refused*: {why}."),
    };
    let values = row.kind.describe();
    format!("| `{}`{alias} | {default} | {values} | {change} | {what} |\n", row.name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::documentation;

    #[test]
    fn docs_config_md_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, documentation()).expect("docs/config.md can be written");
        }
        let current = std::fs::read_to_string(&path).expect("docs/config.md exists");
        assert!(
            current == documentation(),
            "docs/config.md is stale: UPDATE_DOCS=1 cargo test -p ops"
        );
    }
}
