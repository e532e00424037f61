//! The first line of a script, `#!lua name=… flags=…`: what it is called and what it promises.

use protocol::request::unquote;

/// What a script promises or asks for, as bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScriptFlags(u8);

impl ScriptFlags {
    /// `no-writes`: it only reads.
    pub const NO_WRITES: ScriptFlags = ScriptFlags(1);
    /// `allow-oom`: it may run when memory is full.
    pub const ALLOW_OOM: ScriptFlags = ScriptFlags(2);
    /// `allow-stale`: it may run on a replica that has lost its primary.
    pub const ALLOW_STALE: ScriptFlags = ScriptFlags(4);
    /// `no-cluster`: it must not run in a cluster.
    pub const NO_CLUSTER: ScriptFlags = ScriptFlags(8);
    /// `allow-cross-slot-keys`: its keys may lie in several slots.
    pub const ALLOW_CROSS_SLOT_KEYS: ScriptFlags = ScriptFlags(16);
    /// Without a first line of that kind: everything a script could do before there were flags.
    pub const NONE_DECLARED: ScriptFlags = ScriptFlags(32);

    const NAMES: [(&str, ScriptFlags); 5] = [
        ("no-writes", ScriptFlags::NO_WRITES),
        ("allow-oom", ScriptFlags::ALLOW_OOM),
        ("allow-stale", ScriptFlags::ALLOW_STALE),
        ("no-cluster", ScriptFlags::NO_CLUSTER),
        ("allow-cross-slot-keys", ScriptFlags::ALLOW_CROSS_SLOT_KEYS),
    ];

    /// The flag called `name`.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<ScriptFlags> {
        let found = Self::NAMES.iter().find(|(known, _)| known.as_bytes() == name);
        found.map(|(_, flag)| *flag)
    }

    /// Whether `flag` is set.
    #[must_use]
    pub fn has(self, flag: ScriptFlags) -> bool {
        self.0 & flag.0 != 0
    }

    /// These and `other`.
    #[must_use]
    pub fn with(self, other: ScriptFlags) -> ScriptFlags {
        ScriptFlags(self.0 | other.0)
    }

    /// The names of what is set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().filter(move |(_, flag)| self.has(*flag)).map(|(name, _)| *name)
    }
}

/// Takes the first line of a script for EVAL apart: its flags, and the text to compile, which keeps the line's end so
/// that lines count as in the original.
///
/// # Errors
/// The text of the error reply, without its code.
pub fn script(text: &[u8]) -> Result<(ScriptFlags, &[u8]), String> {
    if !text.starts_with(b"#!") {
        return Ok((ScriptFlags::NONE_DECLARED, text));
    }
    let end = text.iter().position(|&byte| byte == b'\n').ok_or("Invalid script shebang")?;
    let mut words = text[..end].split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let engine = words.next().ok_or("Invalid engine in script shebang")?;
    if engine != b"#!lua" {
        return Err(format!("Unexpected engine in script shebang: {}", shown(engine)));
    }
    let mut flags = ScriptFlags::default();
    for word in words {
        let Some(list) = word.strip_prefix(b"flags=") else {
            return Err(format!("Unknown lua shebang option: {}", shown(word)));
        };
        for name in list.split(|&byte| byte == b',').filter(|name| !name.is_empty()) {
            let flag = ScriptFlags::named(name);
            flags =
                flags.with(flag.ok_or_else(|| {
                    format!("Unexpected flag in script shebang: {}", shown(name))
                })?);
        }
    }
    Ok((flags, &text[end..]))
}

/// What the first line of a library says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryHeader<'a> {
    /// The engine, as it is written.
    pub engine: String,
    /// The library.
    pub name: String,
    /// What is behind the line, its end included.
    pub code: &'a [u8],
}

/// Takes the first line of a library apart.
///
/// # Errors
/// The text of the error reply, without its code.
pub fn library(text: &[u8]) -> Result<LibraryHeader<'_>, String> {
    let Some(rest) = text.strip_prefix(b"#!") else {
        return Err("Missing library metadata".to_owned());
    };
    let end = rest.iter().position(|&byte| byte == b'\n').ok_or("Invalid library metadata")?;
    // The first word begins with `#!`, even if nothing else of it is there.
    let words = unquote(&text[..end + 2]).ok_or("Invalid library metadata")?;
    let mut words = words.as_argv().iter();
    let engine = shown(&words.next().unwrap_or(b"#!")[2..]);
    let mut name = None;
    for word in words {
        let is_name = word.len() >= 5 && word[..5].eq_ignore_ascii_case(b"name=");
        if !is_name {
            return Err(format!("Invalid metadata value given: {}", shown(word)));
        }
        if name.replace(shown(&word[5..])).is_some() {
            let text = "Invalid metadata value, name argument was given multiple times";
            return Err(text.to_owned());
        }
    }
    let name = name.ok_or("Library name was not given")?;
    Ok(LibraryHeader { engine, name, code: &rest[end..] })
}

/// Whether `name` can be that of a library or function.
#[must_use]
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_stand_in_the_first_line() {
        assert_eq!(script(b"return 1"), Ok((ScriptFlags::NONE_DECLARED, &b"return 1"[..])));
        let both = ScriptFlags::NO_WRITES.with(ScriptFlags::ALLOW_STALE);
        let text = b"#!lua flags=no-writes,allow-stale\nreturn 1";
        assert_eq!(script(text), Ok((both, &b"\nreturn 1"[..])));
        assert_eq!(both.names().collect::<Vec<_>>(), ["no-writes", "allow-stale"]);
        for (text, problem) in [
            (&b"#!lua"[..], "Invalid script shebang"),
            (b"#!python\n", "Unexpected engine in script shebang: #!python"),
            (b"#!lua color=red\n", "Unknown lua shebang option: color=red"),
            (b"#!lua flags=fast\n", "Unexpected flag in script shebang: fast"),
        ] {
            assert_eq!(script(text), Err(problem.to_owned()));
        }
    }

    #[test]
    fn a_library_has_a_name() {
        let header = library(b"#!lua name=tools\nreturn").unwrap();
        assert_eq!((header.engine.as_str(), header.name.as_str()), ("lua", "tools"));
        assert_eq!(header.code, b"\nreturn");
        for (text, problem) in [
            (&b"return"[..], "Missing library metadata"),
            (b"#!lua name=tools", "Invalid library metadata"),
            (b"#!lua\n", "Library name was not given"),
            (b"#!lua name=a size=b\n", "Invalid metadata value given: size=b"),
            (
                b"#!lua name=a name=b\n",
                "Invalid metadata value, name argument was given multiple times",
            ),
        ] {
            assert_eq!(library(text), Err(problem.to_owned()));
        }
        assert!(is_name(b"a_1") && !is_name(b"") && !is_name(b"a-b"));
    }
}
