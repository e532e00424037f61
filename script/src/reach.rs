//! Whether a script can be seen, without running it, to touch no keys but those it is given.
//!
//! Every command must be called as `redis.call('NAME', KEYS[…], …)`, with a command whose only key is its first argument,
//! or with a local variable in that place that is set once, to `KEYS[…]`. Whatever is less plain counts as touching
//! anything: a wrong yes would cost correctness, a wrong no only speed.

/// A piece of Lua source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a [u8]),
    Text(&'a [u8]),
    /// One sign, or one character of a number.
    Sign(u8),
}

use Token::{Name, Sign, Text};

/// Whether `code` touches no keys but its `KEYS`. `takes_one_key` knows the commands that have at most one key, as
/// their first argument.
pub(crate) fn touches_only_its_keys(code: &[u8], takes_one_key: impl Fn(&[u8]) -> bool) -> bool {
    let Some(tokens) = tokens(code) else { return false };
    let aliases = aliases(&tokens);
    let mut places_of_keys = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let behind = tokens.get(index + 1..).unwrap_or_default();
        match token {
            Name(b"redis") => match behind {
                [Sign(b'.'), Name(b"call" | b"pcall"), Sign(b'('), Text(name), rest @ ..] => {
                    if !takes_one_key(name) {
                        return false;
                    }
                    match rest {
                        [Sign(b')'), ..] => {}
                        [Sign(b','), rest @ ..] => {
                            let is_key = key_len(rest, &aliases)
                                .and_then(|len| rest.get(len))
                                .is_some_and(|next| matches!(next, Sign(b',' | b')')));
                            if !is_key {
                                return false;
                            }
                            places_of_keys.push(tokens.len() - rest.len());
                        }
                        _ => return false,
                    }
                }
                [Sign(b'.'), Name(b"call" | b"pcall"), ..] => return false,
                [Sign(b'.'), Name(_), ..] => {}
                _ => return false,
            },
            Name(b"KEYS") => {
                let before = index.checked_sub(1).map(|before| tokens[before]);
                let is_read = match key_len(&tokens[index..], &[]) {
                    Some(len) => !is_assignment(&tokens[index + len..]),
                    None => before == Some(Sign(b'#')),
                };
                if !is_read {
                    return false;
                }
            }
            Name(b"_G" | b"loadstring" | b"load" | b"setfenv" | b"getfenv") => return false,
            _ => {}
        }
    }
    // A variable that stands for a key is used for nothing else, so that nothing can change or hide it.
    let is_used_as_key = |(index, token): (usize, &Token<'_>)| match token {
        Name(name) if aliases.iter().any(|(alias, _)| alias == name) => {
            places_of_keys.contains(&index)
                || aliases.iter().any(|(alias, place)| alias == name && *place == index)
        }
        _ => true,
    };
    tokens.iter().enumerate().all(is_used_as_key)
}

/// Local variables that are set to `KEYS[…]`, with the place where that is done.
fn aliases<'a>(tokens: &[Token<'a>]) -> Vec<(&'a [u8], usize)> {
    let mut found = Vec::new();
    for index in 0..tokens.len() {
        if let [Name(b"local"), Name(name), Sign(b'='), rest @ ..] = &tokens[index..]
            && let Some(len) = key_len(rest, &[])
            && matches!(rest.get(len), None | Some(Name(_) | Sign(b';')))
            && !matches!(rest.get(len), Some(Name(b"or" | b"and")))
        {
            found.push((*name, index + 1));
        }
    }
    found
}

/// How many tokens `KEYS[…]`, or a variable that stands for it, takes at the start of `tokens`.
fn key_len(tokens: &[Token<'_>], aliases: &[(&[u8], usize)]) -> Option<usize> {
    match tokens {
        [Name(b"KEYS"), Sign(b'['), rest @ ..] => {
            let mut depth = 1;
            for (index, token) in rest.iter().enumerate() {
                match token {
                    Sign(b'[') => depth += 1,
                    Sign(b']') => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    return Some(index + 3);
                }
            }
            None
        }
        [Name(name), ..] => aliases.iter().any(|(alias, _)| alias == name).then_some(1),
        _ => None,
    }
}

/// Whether what is before these tokens is assigned to, alone or in a list.
fn is_assignment(behind: &[Token<'_>]) -> bool {
    match behind {
        [Sign(b'='), Sign(b'='), ..] => false,
        [Sign(b'='), ..] => true,
        // The first of several, perhaps.
        [Sign(b','), rest @ ..] => {
            let is_place = |token: &&Token<'_>| {
                !matches!(token, Sign(b'=' | b'(' | b')' | b'{' | b'}' | b';'))
            };
            let len = rest.iter().take_while(is_place).count();
            rest.get(len) == Some(&Sign(b'=')) && rest.get(len + 1) != Some(&Sign(b'='))
        }
        [Sign(b'.'), Sign(b'.'), ..] => false,
        [Sign(b'.' | b'['), ..] => true,
        _ => false,
    }
}

/// The tokens of `code`, without comments; `None` if a text does not end.
fn tokens(code: &[u8]) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&byte) = code.get(at) {
        let rest = &code[at..];
        if rest.starts_with(b"--") {
            at += match long_bracket(&rest[2..]) {
                Some((_, len)) => 2 + len,
                None => rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len()),
            };
        } else if byte.is_ascii_alphabetic() || byte == b'_' {
            let is_part = |&b: &u8| b.is_ascii_alphanumeric() || b == b'_';
            let len = rest.iter().position(|b| !is_part(b)).unwrap_or(rest.len());
            tokens.push(Name(&rest[..len]));
            at += len;
        } else if byte == b'"' || byte == b'\'' {
            let len = text_len(rest)?;
            tokens.push(Text(&rest[1..len - 1]));
            at += len;
        } else if let Some((text, len)) = long_bracket(rest) {
            tokens.push(Text(text));
            at += len;
        } else {
            if !byte.is_ascii_whitespace() {
                tokens.push(Sign(byte));
            }
            at += 1;
        }
    }
    Some(tokens)
}

/// How long the quoted text at the start of `code` is, quotes included.
fn text_len(code: &[u8]) -> Option<usize> {
    let quote = code[0];
    let mut at = 1;
    while let Some(&byte) = code.get(at) {
        match byte {
            b'\\' => at += 2,
            _ if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// The text in long brackets at the start of `code`, `[==[…]==]`, and how long all of it is.
fn long_bracket(code: &[u8]) -> Option<(&[u8], usize)> {
    let level = code.get(1..)?.iter().position(|&b| b != b'=')?;
    if code[0] != b'[' || code.get(level + 1) != Some(&b'[') {
        return None;
    }
    let end = [b"]".as_slice(), &vec![b'='; level], b"]"].concat();
    let start = level + 2;
    let len = code[start..].windows(end.len()).position(|window| window == end)?;
    Some((&code[start..start + len], start + len + end.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_plain(code: &str) -> bool {
        touches_only_its_keys(code.as_bytes(), |name| name != b"mget")
    }

    #[test]
    fn keys_may_be_named_once() {
        for code in [
            "return 1",
            "return redis.call('get', KEYS[1])",
            "redis.pcall(\"incr\", KEYS[ARGV[1] + 1]) return #KEYS",
            "local k = KEYS[1]\nif redis.call('get', k) == 'x' then return redis.call('del', k) end",
            "-- redis.call(x)\n--[[ redis.call(y) ]] return redis.call('ping')",
            "local k = KEYS[1];local n = 'redis.call(x)' return redis.call([[get]], k)",
            "return redis.error_reply('no') .. KEYS[1] .. tostring(KEYS[2] == 'a')",
        ] {
            assert!(is_plain(code), "{code}");
        }
    }

    #[test]
    fn anything_else_counts_as_wandering() {
        for code in [
            "return redis.call('get', ARGV[1])",
            "return redis.call('get', KEYS[1] .. ':x')",
            "return redis.call('get', 'fixed')",
            "return redis.call('mget', KEYS[1], 'other')",
            "local call = redis.call return call('get', 'x')",
            "local r = redis r.call('get', 'x')",
            "redis['call']('get', 'x')",
            "KEYS[1] = 'x' return redis.call('get', KEYS[1])",
            "KEYS[1], a = 'x', 'y' return redis.call('get', KEYS[1])",
            "KEYS = {'x'} return redis.call('get', KEYS[1])",
            "local k = KEYS[1] k = 'x' return redis.call('get', k)",
            "local k = KEYS[1] for _, k in ipairs(ARGV) do redis.call('get', k) end",
            "local k = KEYS[1] or ARGV[1] return redis.call('get', k)",
            "local k = KEYS[1] .. 'x' return redis.call('get', k)",
            "table.insert(KEYS, 'x') return redis.call('get', KEYS[2])",
            "local name = 'get' return redis.call(name, KEYS[1])",
            "return loadstring('return redis' .. '.call(\"get\", \"x\")')()",
            "return redis.call('get', KEYS[1]",
            "return redis.call('get', 'x",
        ] {
            assert!(!is_plain(code), "{code}");
        }
    }
}
