//! Floating-point numbers are read, added and printed as a Redis 7.2.6 on x86-64 did.
//!
//! The files under `tests/data` were recorded by `record.py` beside them, which also makes longer ones:
//! `NUMBERS_DOUBLES` and `NUMBERS_SUMS` name files to test instead.

use protocol::number::{LongDouble, format_f64, parse_f64};
use std::path::PathBuf;

fn recorded(variable: &str, name: &str) -> String {
    let path = std::env::var_os(variable).map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name),
        PathBuf::from,
    );
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("numbers are ASCII")
}

#[test]
fn scores_are_read_and_printed_as_recorded() {
    let recorded = recorded("NUMBERS_DOUBLES", "doubles.txt");
    assert!(recorded.lines().count() > 1000);
    for line in recorded.lines() {
        let (input, expected) = line.split_once('\t').expect("two columns");
        let score = parse_f64(input.as_bytes())
            .map_or("error".to_string(), |value| text(format_f64(value).as_bytes()));
        assert_eq!(score, expected, "{input}");
    }
}

#[test]
fn sums_are_those_recorded() {
    let recorded = recorded("NUMBERS_SUMS", "sums.txt");
    assert!(recorded.lines().count() > 1000);
    for line in recorded.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let [a, b, expected] = columns[..] else { panic!("three columns: {line}") };
        let sum = LongDouble::parse(a.as_bytes())
            .zip(LongDouble::parse(b.as_bytes()))
            .map(|(a, b)| a + b)
            .filter(|sum| sum.is_finite());
        let sum = sum.map_or("error".to_string(), |sum| text(&sum.to_text()));
        assert_eq!(sum, expected, "{a} + {b}");
    }
}
