//! Tests of HyperLogLogs.

use super::*;
use crate::rng::Rng;
use std::collections::BTreeSet;

const SPARSE_LEN_MAX: usize = 3000;

fn register_values(bytes: &[u8]) -> Vec<u8> {
    let mut registers = [0; REGISTER_COUNT];
    merge_into(&mut registers, bytes).unwrap();
    registers.to_vec()
}

#[test]
fn the_hash_is_murmurs_with_redis_seed() {
    // What PFDEBUG GETREG of a Redis 7.2 shows after PFADD of these.
    for (element, index, value) in [
        ("", 5938, 2),
        ("a", 12711, 2),
        ("hello", 9216, 1),
        ("12345678", 10579, 3),
        ("hello world", 9399, 4),
        ("member:000000042", 13483, 3),
    ] {
        assert_eq!(place(element.as_bytes()), (index, value), "{element}");
    }
}

#[test]
fn an_empty_one_is_sparse_and_counts_0() {
    let bytes = empty();
    assert_eq!(bytes, b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
    assert_eq!(form(&bytes), Ok(Form::Sparse));
    assert_eq!(cached_cardinality(&bytes), Some(0));
    assert_eq!(cardinality(&bytes), Ok(0));
}

#[test]
fn sparse_and_dense_hold_the_same_registers() {
    let seed = 3;
    let mut rng = Rng::new(seed);
    let (mut sparse, mut dense) = (empty(), empty());
    make_dense(&mut dense).unwrap();
    let mut model = vec![0; REGISTER_COUNT];
    for round in 0..2000 {
        let index = if rng.below(2) == 0 { rng.below(64) } else { rng.below(REGISTER_COUNT) };
        let value = 1 + rng.below(32) as u8;
        let is_lower = model[index] < value;
        model[index] = value.max(model[index]);
        let context = format!("seed {seed}, round {round}: register {index} to {value}");
        assert_eq!(raise(&mut sparse, index, value, usize::MAX), Ok(is_lower), "{context}");
        assert_eq!(raise(&mut dense, index, value, 0), Ok(is_lower), "{context}");
        if round % 100 == 0 {
            assert_eq!(register_values(&sparse), model, "{context}");
            assert_eq!(register_values(&dense), model, "{context}");
            assert_eq!(cardinality(&sparse), cardinality(&dense), "{context}");
        }
    }
    assert_eq!(form(&sparse), Ok(Form::Sparse));
    make_dense(&mut sparse).unwrap();
    assert_eq!(registers(&sparse), registers(&dense));
}

#[test]
fn a_string_becomes_dense_when_it_would_get_too_long_or_a_value_too_high() {
    let mut bytes = empty();
    for number in 0_u32..2000 {
        let sparse_len = bytes.len();
        add(&mut bytes, &number.to_le_bytes(), 300).unwrap();
        if form(&bytes) == Ok(Form::Dense) {
            assert!(sparse_len > 290, "{sparse_len}");
            break;
        }
        assert!(bytes.len() <= 300);
    }
    assert_eq!(bytes.len(), DENSE_LEN);
    let mut bytes = empty();
    assert_eq!(raise(&mut bytes, 5, 32, SPARSE_LEN_MAX), Ok(true));
    assert_eq!(form(&bytes), Ok(Form::Sparse));
    assert_eq!(raise(&mut bytes, 6, 33, SPARSE_LEN_MAX), Ok(true));
    assert_eq!(form(&bytes), Ok(Form::Dense));
    assert_eq!((dense::get(registers(&bytes), 5), dense::get(registers(&bytes), 6)), (32, 33));
}

#[test]
fn equal_neighbours_are_joined_up_to_four() {
    let mut bytes = empty();
    for index in [10, 11, 12, 13, 14] {
        raise(&mut bytes, index, 3, SPARSE_LEN_MAX).unwrap();
    }
    let written: Vec<(u8, usize)> =
        sparse::runs(registers(&bytes)).map(|run| (run.value, run.len)).collect();
    assert_eq!(written, [(0, 10), (3, 4), (3, 1), (0, REGISTER_COUNT - 15)]);
}

#[test]
fn the_estimate_is_within_a_few_standard_errors() {
    let mut bytes = empty();
    let mut elements = BTreeSet::new();
    let mut rng = Rng::new(1);
    let standard_error = 1.04 / (REGISTER_COUNT as f64).sqrt();
    for wanted in [10, 100, 1000, 10_000, 100_000] {
        while elements.len() < wanted {
            let element = rng.next_u64();
            elements.insert(element);
            add(&mut bytes, &element.to_le_bytes(), SPARSE_LEN_MAX).unwrap();
        }
        let estimate = cardinality(&bytes).unwrap() as f64;
        let error = (estimate - wanted as f64).abs() / wanted as f64;
        assert!(error <= 5.0 * standard_error, "{wanted}: {estimate}");
    }
}

#[test]
fn what_is_no_hyperloglog_is_refused() {
    let sparse = empty();
    let mut dense = sparse.clone();
    make_dense(&mut dense).unwrap();
    let mut other_magic = sparse.clone();
    other_magic[0] = b'h';
    let mut other_encoding = sparse.clone();
    other_encoding[ENCODING_AT] = 2;
    let foreign: [&[u8]; 6] = [
        b"",
        &sparse[..15],
        &dense[..DENSE_LEN - 1],
        &other_magic,
        &other_encoding,
        b"12345678901234567890",
    ];
    for bytes in foreign {
        assert_eq!(form(bytes), Err(NotValid::Foreign), "{}", bytes.escape_ascii());
    }
}

#[test]
fn registers_that_are_not_16384_are_corruption() {
    let (mut short, mut long) = (empty(), empty());
    short.truncate(HEADER_LEN);
    long.push(0x80);
    for mut bytes in [short.clone(), long] {
        assert_eq!(form(&bytes), Ok(Form::Sparse));
        assert_eq!(cardinality(&bytes), Err(NotValid::Corrupted));
        assert_eq!(merge_into(&mut [0; REGISTER_COUNT], &bytes), Err(NotValid::Corrupted));
        assert_eq!(make_dense(&mut bytes), Err(NotValid::Corrupted));
    }
    assert_eq!(add(&mut short, b"a", SPARSE_LEN_MAX), Err(NotValid::Corrupted));
}

#[test]
fn damaged_registers_never_panic() {
    let seed = 5;
    let mut rng = Rng::new(seed);
    for _ in 0..2000 {
        let mut bytes = empty();
        for _ in 0..rng.below(20) {
            add(&mut bytes, &rng.next_u64().to_le_bytes(), SPARSE_LEN_MAX).unwrap();
        }
        for _ in 0..1 + rng.below(4) {
            let at = HEADER_LEN + rng.below(bytes.len() - HEADER_LEN);
            bytes[at] = rng.next_u64() as u8;
        }
        bytes.truncate(bytes.len() - rng.below(3).min(bytes.len() - HEADER_LEN));
        let is_whole = cardinality(&bytes).is_ok();
        assert_eq!(merge_into(&mut [0; REGISTER_COUNT], &bytes).is_ok(), is_whole);
        for _ in 0..20 {
            if add(&mut bytes, &rng.next_u64().to_le_bytes(), 60).is_err() {
                break;
            }
        }
    }
}

#[test]
fn registers_above_what_a_hash_gives_count_as_redis_counts_them() {
    let mut bytes = empty();
    make_dense(&mut bytes).unwrap();
    bytes[HEADER_LEN..].fill(0xFF);
    assert_eq!(cardinality(&bytes), Ok(1 << 63));
}
