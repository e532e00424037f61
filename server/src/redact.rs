//! Secrets in requests, kept out of SLOWLOG and MONITOR: passwords of AUTH and HELLO, values of secret parameters.

use protocol::request::Argv;
use smallvec::SmallVec;

/// What stands in the place of a secret.
const REDACTED: &[u8] = b"(redacted)";

/// The arguments of a request, name first, without its secrets. Cost: one look at the name for most.
#[must_use]
pub(crate) fn redacted<'a>(argv: Argv<'a>) -> SmallVec<[&'a [u8]; 8]> {
    let mut args: SmallVec<[&'a [u8]; 8]> = argv.iter().collect();
    let is = |arg: &[u8], word: &str| arg.eq_ignore_ascii_case(word.as_bytes());
    match args.first() {
        Some(name) if is(name, "auth") => args[1..].fill(REDACTED),
        Some(name) if is(name, "hello") => {
            let auth = args.iter().skip(2).position(|arg| is(arg, "auth"));
            if let Some(at) = auth {
                args.iter_mut().skip(at + 3).take(2).for_each(|arg| *arg = REDACTED);
            }
        }
        Some(name) if is(name, "config") && args.get(1).is_some_and(|word| is(word, "set")) => {
            for pair in args[2..].chunks_exact_mut(2) {
                if ops::config::find(pair[0]).is_some_and(|parameter| parameter.is_sensitive) {
                    pair[1] = REDACTED;
                }
            }
        }
        _ => {}
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::request::ArgvBuf;

    fn shown(line: &str) -> String {
        let argv: ArgvBuf = line.split(' ').map(str::as_bytes).collect();
        let args = redacted(argv.as_argv());
        let args: Vec<_> = args.iter().map(|arg| String::from_utf8_lossy(arg)).collect();
        args.join(" ")
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("auth secret"), "auth (redacted)");
        assert_eq!(shown("AUTH user secret"), "AUTH (redacted) (redacted)");
        assert_eq!(
            shown("HELLO 3 AUTH user secret SETNAME me"),
            "HELLO 3 AUTH (redacted) (redacted) SETNAME me"
        );
        assert_eq!(shown("hello 3 setname auth"), "hello 3 setname auth");
        assert_eq!(
            shown("CONFIG SET maxmemory 1 requirepass secret"),
            "CONFIG SET maxmemory 1 requirepass (redacted)"
        );
    }

    #[test]
    fn everything_else_is() {
        for line in
            ["GET auth", "CONFIG GET requirepass", "CONFIG SET requirepass", "AUTH", "HELLO"]
        {
            assert_eq!(shown(line), line);
        }
    }
}
