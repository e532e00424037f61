//! What a connection is called: CLIENT ID GETNAME SETNAME SETINFO.

use crate::connection::Connection;
use shard::CommandError;
use shard::args::Args;

pub(super) fn id(connection: &mut Connection) {
    let id = connection.peer.client.id;
    connection.reply(|writer| writer.integer(id as i64));
}

pub(super) fn getname(connection: &mut Connection) {
    let name = connection.peer.client.names().name.clone();
    connection.reply(|writer| match name.is_empty() {
        true => writer.null(),
        false => writer.bulk(&name),
    });
}

pub(super) fn setname(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let name = args.bytes()?;
    check_name(name)?;
    set_name(connection, name);
    connection.reply(|writer| writer.ok());
    Ok(())
}

/// Names the connection; the empty name takes its name away.
pub(crate) fn set_name(connection: &Connection, name: &[u8]) {
    connection.peer.client.names().name = name.into();
}

/// Refuses a name that would break CLIENT LIST apart.
pub(crate) fn check_name(name: &[u8]) -> Result<(), CommandError> {
    if is_listable(name) {
        return Ok(());
    }
    Err(CommandError::text(
        "ERR Client names cannot contain spaces, newlines or special characters.",
    ))
}

pub(super) fn setinfo(connection: &mut Connection, mut args: Args<'_>) -> Result<(), CommandError> {
    let attribute = args.bytes()?;
    let value = args.bytes()?;
    let is_name = attribute.eq_ignore_ascii_case(b"lib-name");
    if !is_name && !attribute.eq_ignore_ascii_case(b"lib-ver") {
        return Err(CommandError::showing("ERR Unrecognized option '", attribute, "'"));
    }
    if !is_listable(value) {
        let behind = " cannot contain spaces, newlines or special characters.";
        return Err(CommandError::showing("ERR ", attribute, behind));
    }
    let mut names = connection.peer.client.names();
    if is_name {
        names.library = value.into();
    } else {
        names.library_version = value.into();
    }
    drop(names);
    connection.reply(|writer| writer.ok());
    Ok(())
}

/// Whether `text` is one word of printable ASCII, or empty, so that CLIENT LIST stays a list of words.
fn is_listable(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_word_of_printable_ascii() {
        assert!(is_listable(b""));
        assert!(is_listable(b"worker-1!~"));
        for name in ["a b", "a\n", "\u{7f}", "\u{e9}"] {
            assert!(!is_listable(name.as_bytes()), "{name:?}");
        }
    }
}
