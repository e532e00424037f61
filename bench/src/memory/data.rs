//! The kinds of data whose cost is measured, as requests.

use crate::pipe::encode;

/// Elements of all collections of one size together.
const ELEMENT_COUNT: usize = 1_000_000;
/// Elements that one request adds.
const CHUNK_LEN: usize = 100;
/// Entries of a stream.
const STREAM_LEN: usize = 100_000;

/// One kind of data.
pub struct Data {
    /// What it is, for reports and `--only`.
    pub name: &'static str,
    /// Requests that load it.
    pub request_count: usize,
    /// Keys or elements that each request adds.
    pub each_per_request: usize,
    /// What is counted: keys or elements.
    pub unit: &'static str,
    /// Makes a request from its number.
    pub request: fn(&mut Vec<u8>, usize),
}

/// All kinds.
pub const ALL: &[Data] = &[
    keys("16-byte key, 16-byte value", 2_000_000, |bytes, number| {
        encode(bytes, &[b"SET", &key(number), &text(number)]);
    }),
    keys("16-byte key, 16-byte value, 10 million", 10_000_000, |bytes, number| {
        encode(bytes, &[b"SET", &key(number), &text(number)]);
    }),
    keys("16-byte key, 16-byte value, TTL", 2_000_000, |bytes, number| {
        encode(bytes, &[b"SET", &key(number), &text(number), b"EX", b"100000"]);
    }),
    keys("16-byte key, 8-digit counter", 2_000_000, |bytes, number| {
        let counter = format!("{}", 10_000_000 + number);
        encode(bytes, &[b"SET", &key(number), counter.as_bytes()]);
    }),
    keys("40-byte key, 150-byte JSON", 1_000_000, |bytes, number| {
        let key = format!("physics:state:account:{number:018}");
        let price = 100.0 + (number % 10_000) as f64 / 100.0;
        let json = format!(
            "{{\"symbol\":\"SYM{number:07}\",\"price\":{price:.2},\"velocity\":0.0123,\"energy\":{price:.4},\
             \"entropy\":1.234,\"sequence\":{number:09},\"ts\":1700000000.125}}"
        );
        let padded = format!("{json:<150}");
        encode(bytes, &[b"SET", key.as_bytes(), padded.as_bytes()]);
    }),
    keys("hash of 5 fields (market snapshot)", 500_000, |bytes, number| {
        let key = format!("market:snapshot:SYM{number:07}");
        tick(bytes, &[b"HSET", key.as_bytes()], number);
    }),
    elements("list of 100", |bytes, number| list(bytes, number, 100)),
    elements("list of 10,000", |bytes, number| list(bytes, number, 10_000)),
    elements("list of 1,000,000", |bytes, number| list(bytes, number, 1_000_000)),
    elements("set of 100", |bytes, number| set(bytes, number, 100)),
    elements("set of 10,000", |bytes, number| set(bytes, number, 10_000)),
    elements("set of 1,000,000", |bytes, number| set(bytes, number, 1_000_000)),
    elements("hash of 100", |bytes, number| hash(bytes, number, 100)),
    elements("hash of 10,000", |bytes, number| hash(bytes, number, 10_000)),
    elements("hash of 1,000,000", |bytes, number| hash(bytes, number, 1_000_000)),
    elements("sorted set of 100", |bytes, number| sorted_set(bytes, number, 100)),
    elements("sorted set of 10,000", |bytes, number| sorted_set(bytes, number, 10_000)),
    elements("sorted set of 1,000,000", |bytes, number| sorted_set(bytes, number, 1_000_000)),
    stream("stream of 100,000, 5 fields", |bytes, number| {
        let key = format!("market:history:{}", number / STREAM_LEN);
        tick(bytes, &[b"XADD", key.as_bytes(), &id(number)], number);
    }),
    stream("stream of 100,000, 16-byte text", |bytes, number| {
        let key = format!("log:{}", number / STREAM_LEN);
        encode(bytes, &[b"XADD", key.as_bytes(), &id(number), b"text", &text(number)]);
    }),
];

const fn keys(name: &'static str, request_count: usize, request: fn(&mut Vec<u8>, usize)) -> Data {
    Data { name, request_count, each_per_request: 1, unit: "key", request }
}

const fn elements(name: &'static str, request: fn(&mut Vec<u8>, usize)) -> Data {
    let request_count = ELEMENT_COUNT / CHUNK_LEN;
    Data { name, request_count, each_per_request: CHUNK_LEN, unit: "element", request }
}

const fn stream(name: &'static str, request: fn(&mut Vec<u8>, usize)) -> Data {
    Data { name, request_count: ELEMENT_COUNT, each_per_request: 1, unit: "entry", request }
}

/// The id of entry `number`: some milliseconds behind the one before.
fn id(number: usize) -> Vec<u8> {
    format!("{}-0", 1_700_000_000_000 + number * 7).into_bytes()
}

/// `command` with the five fields of a tick behind it.
fn tick(bytes: &mut Vec<u8>, command: &[&[u8]], number: usize) {
    let price = format!("{:.2}", 100.0 + (number % 10_000) as f64 / 100.0);
    let volume = format!("{}", 1_000 + number % 90_000);
    let fields: [&[u8]; 10] = [
        b"price",
        price.as_bytes(),
        b"volume",
        volume.as_bytes(),
        b"bid",
        price.as_bytes(),
        b"ask",
        price.as_bytes(),
        b"timestamp",
        b"1700000000.125",
    ];
    encode(bytes, &[command, &fields].concat());
}

/// 16 bytes.
fn key(number: usize) -> Vec<u8> {
    format!("key:{number:012}").into_bytes()
}

/// 16 bytes that are no number.
fn text(number: usize) -> Vec<u8> {
    format!("v{:015}", number.wrapping_mul(0x9E37_79B9) % 1_000_000_000_000_000).into_bytes()
}

/// Adds the elements of request `number` to the collection of `len` elements that they belong to.
fn add(
    bytes: &mut Vec<u8>,
    command: &str,
    number: usize,
    len: usize,
    parts: impl Fn(usize) -> Vec<Vec<u8>>,
) {
    let first = number * CHUNK_LEN;
    let name = format!("{}:{}", command.to_lowercase(), first / len);
    let elements: Vec<Vec<u8>> = (first..first + CHUNK_LEN).flat_map(parts).collect();
    let mut args: Vec<&[u8]> = vec![command.as_bytes(), name.as_bytes()];
    args.extend(elements.iter().map(Vec::as_slice));
    encode(bytes, &args);
}

fn list(bytes: &mut Vec<u8>, number: usize, len: usize) {
    add(bytes, "RPUSH", number, len, |element| vec![text(element)]);
}

fn set(bytes: &mut Vec<u8>, number: usize, len: usize) {
    add(bytes, "SADD", number, len, |element| vec![key(element)]);
}

fn hash(bytes: &mut Vec<u8>, number: usize, len: usize) {
    add(bytes, "HSET", number, len, |element| vec![key(element), text(element)]);
}

fn sorted_set(bytes: &mut Vec<u8>, number: usize, len: usize) {
    let score = |element: usize| format!("{}", element % 1_000).into_bytes();
    add(bytes, "ZADD", number, len, |element| vec![score(element), key(element)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_have_the_lengths_they_are_named_for() {
        assert_eq!((key(1_999_999).len(), text(1_999_999).len()), (16, 16));
        let mut bytes = Vec::new();
        let json = ALL.iter().find(|data| data.name.contains("JSON")).expect("there is one");
        (json.request)(&mut bytes, 999_999);
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.contains("$40\r\n") && text.contains("$150\r\n"), "{text}");
    }

    #[test]
    fn collections_have_the_size_they_are_named_for() {
        let name = |number: usize, len| {
            let mut bytes = Vec::new();
            set(&mut bytes, number, len);
            String::from_utf8(bytes).expect("text").lines().nth(4).map(str::to_owned)
        };
        assert_eq!(name(0, 10_000), name(99, 10_000));
        assert_ne!(name(99, 10_000), name(100, 10_000));
        assert_ne!(name(0, 100), name(1, 100));
        assert_eq!(name(0, 1_000_000), name(9_999, 1_000_000));
    }
}
