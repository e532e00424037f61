//! SORT in a script: what a script reads must not depend on the order in which a set happens to lie in memory.
//!
//! `BY` with a constant says that nothing is sorted. In a script the elements of a set come in the order of their texts
//! all the same, as in Redis; lists and sorted sets have an order of their own.

use protocol::request::{Argv, ArgvBuf};

/// What `argv` becomes if its key holds a set; `None` if it is no SORT by a constant.
pub(super) fn by_text(argv: Argv<'_>) -> Option<ArgvBuf> {
    let name = argv.get(0)?;
    if !name.eq_ignore_ascii_case(b"sort") && !name.eq_ignore_ascii_case(b"sort_ro") {
        return None;
    }
    let mut request: ArgvBuf = argv.iter().take(2).collect();
    let mut options = argv.iter().skip(2);
    let mut is_constant = false;
    while let Some(word) = options.next() {
        if word.eq_ignore_ascii_case(b"by") {
            is_constant |= !options.next()?.contains(&b'*');
            continue;
        }
        request.push(word);
        let argument_count = match word.to_ascii_lowercase().as_slice() {
            b"limit" => 2,
            b"get" | b"store" => 1,
            _ => 0,
        };
        options.by_ref().take(argument_count).for_each(|argument| request.push(argument));
    }
    request.push(b"ALPHA");
    is_constant.then_some(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(line: &str) -> Option<String> {
        let argv: ArgvBuf = line.split(' ').map(str::as_bytes).collect();
        let request = by_text(argv.as_argv())?;
        let words: Vec<_> = request.as_argv().iter().map(String::from_utf8_lossy).collect();
        Some(words.join(" "))
    }

    #[test]
    fn a_constant_gives_way_to_the_text() {
        let expect = |line: &str, expected: &str| {
            assert_eq!(rewritten(line).as_deref(), Some(expected), "{line}");
        };
        expect("sort k by _", "sort k ALPHA");
        expect("SORT k LIMIT 0 2 BY nosort GET by DESC", "SORT k LIMIT 0 2 GET by DESC ALPHA");
        expect("SORT_RO k BY w_* BY nosort", "SORT_RO k ALPHA");
        expect("SORT k BY x STORE by", "SORT k STORE by ALPHA");
    }

    #[test]
    fn other_requests_stay_as_they_are() {
        for line in ["SORT k", "SORT k BY w_*", "SORT k GET by", "SORT k BY", "GET k BY x", "SORT"]
        {
            assert_eq!(rewritten(line), None, "{line}");
        }
    }
}
