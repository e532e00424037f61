//! Replies as text, in the notation of redis-cli; and patterns over such text.
//!
//! Beyond redis-cli: a verbatim string is written `(verbatim) "txt:..."`, a big number
//! `(big number) 1`. A null array looks like a null string, `(nil)`; only the oracle tells them apart.

use crate::quoting::quote;
use crate::value::Value;

/// A reply as redis-cli prints it: one or more lines.
pub fn lines(value: &Value) -> Vec<String> {
    let mut out = vec![String::new()];
    render(value, 0, &mut out);
    out
}

/// The lines of a reply whose elements come in no particular order: they are sorted first, by their
/// text. With `pairs`, a flat array is a list of pairs (HGETALL in RESP2) that stay together.
pub fn sorted_lines(value: &Value, pairs: bool) -> Vec<String> {
    lines(&sorted(value, pairs))
}

/// The value with its top-level elements in the order of their text.
pub fn sorted(value: &Value, pairs: bool) -> Value {
    let by_text = |item: &Value| lines(item).join("\n");
    let sort = |items: &[Value]| {
        let width = if pairs { 2 } else { 1 };
        let mut groups: Vec<&[Value]> = items.chunks(width).collect();
        groups.sort_by_cached_key(|group| group.iter().map(by_text).collect::<Vec<_>>());
        groups.concat()
    };
    match value {
        Value::Array(Some(items)) => Value::Array(Some(sort(items))),
        Value::Set(items) => Value::Set(sort(items)),
        Value::Push(items) => Value::Push(sort(items)),
        Value::Map(entries) => {
            let mut entries = entries.clone();
            entries.sort_by_cached_key(|(key, _)| by_text(key));
            Value::Map(entries)
        }
        other => other.clone(),
    }
}

/// Appends `value` to the last line of `out`; further lines are indented by `indent`.
fn render(value: &Value, indent: usize, out: &mut Vec<String>) {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let text = match value {
        Value::Simple(text) => lossy(text),
        Value::Error(text) => format!("(error) {}", lossy(text)),
        Value::Integer(number) => format!("(integer) {number}"),
        Value::Double(text) => format!("(double) {}", lossy(text)),
        Value::BigNumber(text) => format!("(big number) {}", lossy(text)),
        Value::Bulk(Some(text)) => quote(text),
        Value::Bulk(None) | Value::Array(None) | Value::Null => "(nil)".into(),
        Value::Boolean(true) => "(true)".into(),
        Value::Boolean(false) => "(false)".into(),
        Value::Verbatim(format, text) => {
            format!("(verbatim) {}", quote(&[&format[..], b":", text].concat()))
        }
        Value::Array(Some(items)) => return render_items(items, ')', "array", indent, out),
        Value::Set(items) => return render_items(items, '~', "set", indent, out),
        Value::Push(items) => return render_items(items, '>', "push", indent, out),
        Value::Map(entries) => return render_map(entries, indent, out),
    };
    append(out, &text);
}

fn render_items(items: &[Value], mark: char, name: &str, indent: usize, out: &mut Vec<String>) {
    if items.is_empty() {
        return append(out, &format!("(empty {name})"));
    }
    let width = items.len().to_string().len();
    for (index, item) in items.iter().enumerate() {
        begin_item(index, width, mark, indent, out);
        render(item, indent + width + 2, out);
    }
}

fn render_map(entries: &[(Value, Value)], indent: usize, out: &mut Vec<String>) {
    if entries.is_empty() {
        return append(out, "(empty hash)");
    }
    let width = entries.len().to_string().len();
    for (index, (key, value)) in entries.iter().enumerate() {
        begin_item(index, width, '#', indent, out);
        render(key, indent + width + 2, out);
        append(out, " => ");
        render(value, indent + width + 2, out);
    }
}

fn begin_item(index: usize, width: usize, mark: char, indent: usize, out: &mut Vec<String>) {
    if index > 0 {
        out.push(" ".repeat(indent));
    }
    append(out, &format!("{:>width$}{mark} ", index + 1));
}

fn append(out: &mut [String], text: &str) {
    out.last_mut().expect("rendering starts with one line").push_str(text);
}

/// Whether `text` fits `pattern`: `*` stands for any text, `{int}` for an integer, `{1..9}` for an
/// integer within these bounds.
pub fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return segment_len(pattern, text) == Some(text.len());
    };
    let Some(mut at) = segment_len(start, text) else { return false };
    let mut segments = rest.split('*').peekable();
    while let Some(segment) = segments.next() {
        // The leftmost place is the best one: what follows may begin anywhere after it.
        let is_last = segments.peek().is_none();
        let end = (at..=text.len()).filter(|&from| text.is_char_boundary(from)).find_map(|from| {
            let end = from + segment_len(segment, &text[from..])?;
            (!is_last || end == text.len()).then_some(end)
        });
        match end {
            Some(end) => at = end,
            None => return false,
        }
    }
    true
}

/// How much of the start of `text` a pattern without `*` takes, if it fits.
fn segment_len(segment: &str, text: &str) -> Option<usize> {
    let (mut pattern, mut rest) = (segment, text);
    while let Some(wanted) = pattern.chars().next() {
        if let Some((bounds, after)) = bounds(pattern) {
            let len = integer_len(rest);
            if !rest[..len].parse::<i64>().is_ok_and(|number| bounds.contains(&number)) {
                return None;
            }
            (pattern, rest) = (after, &rest[len..]);
        } else {
            rest = rest.strip_prefix(wanted)?;
            pattern = &pattern[wanted.len_utf8()..];
        }
    }
    Some(text.len() - rest.len())
}

/// How many bytes at the start of `text` are an integer.
fn integer_len(text: &str) -> usize {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let after = unsigned.trim_start_matches(|c: char| c.is_ascii_digit());
    text.len() - after.len()
}

/// The bounds of a pattern that begins with `{int}` or `{low..high}`, and the pattern after it.
fn bounds(pattern: &str) -> Option<(std::ops::RangeInclusive<i64>, &str)> {
    let (inside, rest) = pattern.strip_prefix('{')?.split_once('}')?;
    if inside == "int" {
        return Some((i64::MIN..=i64::MAX, rest));
    }
    let (low, high) = inside.split_once("..")?;
    Some((low.parse().ok()?..=high.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::Bulk(Some(text.into()))
    }

    #[test]
    fn simple_replies_are_one_line() {
        assert_eq!(lines(&Value::Simple(b"OK".to_vec())), ["OK"]);
        assert_eq!(lines(&bulk("a\"b\n")), [r#""a\"b\n""#]);
        assert_eq!(lines(&Value::Error(b"ERR x".to_vec())), ["(error) ERR x"]);
        assert_eq!(lines(&Value::Array(None)), ["(nil)"]);
        assert_eq!(lines(&Value::Array(Some(vec![]))), ["(empty array)"]);
        assert_eq!(lines(&Value::Double(b"1.5".to_vec())), ["(double) 1.5"]);
    }

    #[test]
    fn nested_replies_are_indented() {
        let nested = Value::Array(Some(vec![
            Value::Array(Some(vec![bulk("a"), bulk("b")])),
            Value::Map(vec![(bulk("k"), Value::Set(vec![bulk("x"), bulk("y")]))]),
        ]));
        let expected =
            ["1) 1) \"a\"", "   2) \"b\"", "2) 1# \"k\" => 1~ \"x\"", "         2~ \"y\""];
        assert_eq!(lines(&nested)[..3], expected[..3]);
        assert_eq!(lines(&nested)[3].trim_start(), expected[3].trim_start());
    }

    #[test]
    fn indices_are_aligned_from_ten_elements_on() {
        let ten = Value::Array(Some((0..10).map(Value::Integer).collect()));
        assert_eq!(lines(&ten)[0], " 1) (integer) 0");
        assert_eq!(lines(&ten)[9], "10) (integer) 9");
    }

    #[test]
    fn sorting_keeps_pairs_together() {
        let flat = Value::Array(Some(vec![bulk("b"), bulk("1"), bulk("a"), bulk("2")]));
        assert_eq!(sorted_lines(&flat, true), ["1) \"a\"", "2) \"2\"", "3) \"b\"", "4) \"1\""]);
        assert_eq!(sorted_lines(&flat, false), ["1) \"1\"", "2) \"2\"", "3) \"a\"", "4) \"b\""]);
    }

    #[test]
    fn patterns_fit_texts() {
        assert!(fits("*", "anything"));
        assert!(fits("(integer) {99..100}", "(integer) 99"));
        assert!(!fits("(integer) {99..100}", "(integer) 101"));
        assert!(fits("id={int} addr=*:{int} *", "id=-3 addr=127.0.0.1:80 x"));
        assert!(!fits("id={int}", "id="));
        assert!(fits("a{b}", "a{b}"));
        assert!(!fits("a", "ab"));
        assert!(fits("a*b*c", "aXbbYc"));
        assert!(!fits("a*b*c", "aXbYcZ"));
        assert!(fits("*x:{1..2}", "x:7 x:2"));
    }
}
