//! Glob patterns as Redis reads them: KEYS, SCAN MATCH, PSUBSCRIBE, CONFIG GET, ACL key patterns.
//!
//! | Pattern | Matches |
//! |---|---|
//! | `*` | any run of bytes, also none |
//! | `?` | exactly one byte |
//! | `[abc]` `[a-z]` `[^abc]` | one byte of the class, of the range, not of the class |
//! | `\x` | the byte `x` itself, also inside a class |
//!
//! The oddities are Redis's own and visible to clients, so they are kept: an empty text matches only the
//! empty pattern (not even `*`), a class without `]` ends with the pattern, a range compares bytes as
//! signed numbers, and an escaped byte in a class keeps its case even when case is ignored.
//!
//! Cost: at most pattern length times text length steps. After a mismatch only the last `*` is tried
//! again, because an earlier one could not do better; so no pattern is exponential.
//! Source: observed on Redis 7.2.6.

/// Runs of `*` a pattern may have before it stops matching anything, as in Redis.
const STARS_MAX: usize = 1000;

/// Says whether the whole of `text` matches `pattern`; `nocase` ignores the case of ASCII letters.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8], nocase: bool) -> bool {
    if text.is_empty() {
        return pattern.is_empty();
    }
    let mut pattern_at = 0;
    let mut text_at = 0;
    let mut star_count = 0;
    let mut retry: Option<Retry> = None;

    while let Some(&byte) = text.get(text_at) {
        if pattern.get(pattern_at) == Some(&b'*') {
            pattern_at = skip_stars(pattern, pattern_at);
            if pattern_at == pattern.len() {
                return true;
            }
            star_count += 1;
            if star_count > STARS_MAX {
                return false;
            }
            retry = Some(Retry { pattern_at, text_at, star_count });
            continue;
        }
        if let Some(token_len) = match_token(&pattern[pattern_at..], byte, nocase) {
            pattern_at += token_len;
            text_at += 1;
            continue;
        }
        // Give the last star one byte more and try the rest of the pattern again.
        let Some(last) = &mut retry else { return false };
        last.text_at += 1;
        (pattern_at, text_at, star_count) = (last.pattern_at, last.text_at, last.star_count);
    }
    skip_stars(pattern, pattern_at) == pattern.len()
}

/// Where to go on after a mismatch: behind the last `*`, with the text it has not taken yet.
struct Retry {
    pattern_at: usize,
    text_at: usize,
    star_count: usize,
}

fn skip_stars(pattern: &[u8], at: usize) -> usize {
    at + pattern[at..].iter().take_while(|&&byte| byte == b'*').count()
}

/// Compares one byte with the first token of `pattern`, which is not a star.
/// Returns the token's length in bytes if it matches.
fn match_token(pattern: &[u8], byte: u8, nocase: bool) -> Option<usize> {
    let (is_match, token_len) = match *pattern {
        [] => (false, 0),
        [b'?', ..] => (true, 1),
        [b'[', ref class @ ..] => {
            let (is_match, class_len) = match_class(class, byte, nocase);
            (is_match, 1 + class_len)
        }
        [b'\\', literal, ..] => (same(literal, byte, nocase), 2),
        [literal, ..] => (same(literal, byte, nocase), 1),
    };
    is_match.then_some(token_len)
}

/// Compares one byte with a class, given without its `[`. Returns the class's length with its `]`.
fn match_class(class: &[u8], byte: u8, nocase: bool) -> (bool, usize) {
    let is_negated = class.first() == Some(&b'^');
    let mut at = usize::from(is_negated);
    let mut is_member = false;
    loop {
        match class[at..] {
            [] => break,
            [b'\\', literal, ..] => {
                is_member |= literal == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [start, b'-', end, ..] => {
                is_member |= in_range(start, end, byte, nocase);
                at += 3;
            }
            [literal, ..] => {
                is_member |= same(literal, byte, nocase);
                at += 1;
            }
        }
    }
    (is_member != is_negated, at)
}

/// Bytes compare as signed numbers, and the bounds change places if they are in the wrong order.
fn in_range(start: u8, end: u8, byte: u8, nocase: bool) -> bool {
    let fold = |byte: u8| if nocase { byte.to_ascii_lowercase() } else { byte }.cast_signed();
    let (low, high) =
        if start.cast_signed() > end.cast_signed() { (end, start) } else { (start, end) };
    (fold(low)..=fold(high)).contains(&fold(byte))
}

fn same(left: u8, right: u8, nocase: bool) -> bool {
    if nocase { left.eq_ignore_ascii_case(&right) } else { left == right }
}

#[cfg(test)]
mod tests {
    use super::matches;

    fn all_match(pattern: &str, texts: &[&str]) {
        for text in texts {
            assert!(matches(pattern.as_bytes(), text.as_bytes(), false), "{pattern} <- {text}");
        }
    }

    fn none_match(pattern: &str, texts: &[&str]) {
        for text in texts {
            assert!(!matches(pattern.as_bytes(), text.as_bytes(), false), "{pattern} <- {text}");
        }
    }

    #[test]
    fn a_star_takes_any_run() {
        all_match("*", &["a", "abc"]);
        all_match("h*llo", &["hllo", "heeeello", "hllollo"]);
        all_match("h***o", &["ho", "hallo"]);
        all_match("hello*", &["hello", "hello!"]);
        none_match("h*llo", &["hell", "hllo!"]);
        none_match("*a*b", &["xa", "b", "a"]);
    }

    #[test]
    fn the_empty_text_matches_only_the_empty_pattern() {
        all_match("", &[""]);
        none_match("*", &[""]);
        none_match("", &["a"]);
    }

    #[test]
    fn a_question_mark_takes_one_byte() {
        all_match("h?llo", &["hello", "hallo"]);
        none_match("h?llo", &["hllo"]);
        none_match("a?", &["a"]);
    }

    #[test]
    fn classes_ranges_and_negation() {
        all_match("h[ae]llo", &["hello", "hallo"]);
        none_match("h[ae]llo", &["hillo"]);
        all_match("h[a-c]llo", &["hbllo"]);
        all_match("h[c-a]llo", &["hbllo"]);
        none_match("h[a-c]llo", &["hdllo"]);
        all_match("h[^e]llo", &["hallo"]);
        none_match("h[^e]llo", &["hello"]);
        all_match(r"[\]]", &["]"]);
        none_match("[]a]", &["a]", "]a]", "]"]); // `[]` is a class without members
    }

    #[test]
    fn a_class_without_end_ends_with_the_pattern() {
        all_match("a[bc", &["ab", "ac"]);
        none_match("a[bc", &["ad", "abc"]);
        all_match("a[a-", &["a-", "aa"]);
        none_match("[", &["[", "a"]);
        all_match("[^", &["a"]);
    }

    #[test]
    fn a_backslash_takes_the_next_byte_literally() {
        all_match(r"h\*llo", &["h*llo"]);
        none_match(r"h\*llo", &["hello"]);
        all_match(r"h\", &[r"h\"]);
    }

    #[test]
    fn case_is_ignored_on_demand_but_not_for_an_escape_in_a_class() {
        assert!(matches(b"HE[L-M]*", b"hello", true));
        assert!(!matches(b"HE[L-M]*", b"hello", false));
        assert!(!matches(br"[\A]", b"a", true));
    }

    #[test]
    fn high_bytes_sort_below_ascii_in_a_range() {
        assert!(matches(b"[\x80-a]", b"A", false));
        assert!(!matches(b"[b-\xff]", b"c", false));
    }

    #[test]
    fn hostile_patterns_stay_cheap() {
        let text = vec![b'a'; 20_000];
        let pattern = [b"a*".repeat(900), b"b".to_vec()].concat();
        assert!(!matches(&pattern, &text, false));
        let too_many_stars = [b"*a".repeat(1001), b"*".to_vec()].concat();
        assert!(!matches(&too_many_stars, &text, false));
        let just_enough_stars = [b"*a".repeat(1000), b"*".to_vec()].concat();
        assert!(matches(&just_enough_stars, &text, false));
    }

    /// The same rules, written as plain recursion over all choices of every star.
    fn matches_slowly(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*', rest @ ..], _) => {
                (0..=text.len()).any(|taken| matches_slowly(rest, &text[taken..]))
            }
            (_, []) => false,
            (_, [byte, text_rest @ ..]) => super::match_token(pattern, *byte, false)
                .is_some_and(|token_len| matches_slowly(&pattern[token_len..], text_rest)),
        }
    }

    #[test]
    fn random_patterns_agree_with_plain_recursion() {
        let seed: u64 = 0x5eed_0006;
        let mut state = seed;
        let mut next = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).expect("31 bits") % bound
        };
        for round in 0..20_000 {
            let pattern: Vec<u8> = (0..next(9)).map(|_| b"ab*?[]^-\\"[next(9)]).collect();
            let text: Vec<u8> = (0..1 + next(7)).map(|_| b"ab-]"[next(4)]).collect();
            assert_eq!(
                matches(&pattern, &text, false),
                matches_slowly(&pattern, &text),
                "seed {seed:#x} round {round}: {pattern:?} <- {text:?}"
            );
        }
    }
}
