//! Every type and encoding, both ways: against bytes that real servers have written, against our own, and damaged.

use super::*;
use crate::rng::Rng;
use crate::types::element::{Element, Text};
use crate::types::hash::{Hash, HashLimits};
use crate::types::list::{End, List, ListLimit};
use crate::types::sorted_set::{SortedSet, SortedSetLimits};
use crate::value::Typed;

fn round_trip(value: &Value, compression: Compression) -> Value {
    let payload = dump(value.view(), compression);
    restore(&payload, Checksum::Checked, &Options::default()).unwrap()
}

fn check_round_trip(value: &Value) {
    for compression in [Compression::Lzf, Compression::Off] {
        let back = round_trip(value, compression);
        assert_eq!(back, *value);
        assert_eq!(back.view().encoding(), value.view().encoding());
        assert_eq!(value_type(back.view()), value_type(value.view()));
    }
}

/// Texts of all forms: integers of each width, short and long, with much repetition and without.
fn text(rng: &mut Rng) -> Vec<u8> {
    match rng.below(6) {
        0 => (rng.below(300) as i64 - 150).to_string().into_bytes(),
        1 => ((rng.next_u64() >> rng.below(64)) as i64).to_string().into_bytes(),
        2 => vec![b'x'; rng.below(60)],
        3 => (0..rng.below(60)).map(|_| rng.next_u64() as u8).collect(),
        4 => format!("00{}", rng.below(100)).into_bytes(),
        _ => format!("word-{}", rng.below(1000)).into_bytes(),
    }
}

/// A value of each type with about `count` members.
fn values(rng: &mut Rng, count: usize) -> Vec<Value> {
    let options = Options::default();
    let mut list = List::default();
    let mut hash = Hash::default();
    let mut set = SortedSet::default();
    for _ in 0..count {
        let element = text(rng);
        list.prepare(1, element.len(), ListLimit::from(&options));
        list.push(End::Right, &element);
        hash.set(&text(rng), &text(rng), HashLimits::from(&options));
        let score = match rng.below(4) {
            0 => rng.below(1000) as f64 - 500.0,
            1 => f64::from_bits(rng.next_u64()),
            2 => f64::INFINITY,
            _ => 0.1 * rng.below(100) as f64,
        };
        let score = if score.is_nan() { 1.5 } else { score };
        set.insert(&text(rng), score, SortedSetLimits::from(&options));
    }
    vec![
        Value::String(Str::new(&text(rng))),
        list.into_value(),
        hash.into_value(),
        set.into_value(),
    ]
}

fn texts(list: &List) -> Vec<String> {
    list.iter().map(|element| String::from_utf8_lossy(&element.text()).into_owned()).collect()
}

#[test]
fn what_is_dumped_is_restored_in_the_same_encoding() {
    let seed = 0x5db1;
    println!("seed {seed:#x}");
    let mut rng = Rng::new(seed);
    for count in [1, 2, 3, 50, 127, 128, 129, 513, 3000] {
        values(&mut rng, count).iter().for_each(check_round_trip);
    }
}

#[test]
fn no_damage_panics_or_gives_a_value_that_cannot_be_dumped() {
    let seed = 0xdada;
    println!("seed {seed:#x}");
    let mut rng = Rng::new(seed);
    for _ in 0..400 {
        let count = 1 + rng.below(20);
        for value in values(&mut rng, count) {
            let mut payload = dump(value.view(), Compression::Off);
            for _ in 0..=rng.below(3) {
                let at = rng.below(payload.len() - 10);
                payload[at] = rng.next_u64() as u8;
            }
            if let Ok(value) = restore(&payload, Checksum::Ignored, &Options::default()) {
                assert_eq!(round_trip(&value, Compression::Lzf), value);
            }
            let cut = rng.below(payload.len());
            let _ = restore(&payload[..cut], Checksum::Ignored, &Options::default());
        }
    }
}

/// The value whose type and body these are.
fn load_bytes(value_type: ValueType, write: impl FnOnce(&mut Writer<'_>)) -> Option<Value> {
    let mut bytes = Vec::new();
    write(&mut Writer::new(&mut bytes, Compression::Lzf));
    load(value_type, &mut Reader::new(&bytes), &Options::default()).ok()
}

#[test]
fn what_only_older_servers_write_is_read() {
    let list = load_bytes(ValueType::List, |writer| {
        writer.length(2);
        writer.string(b"a");
        writer.string(b"10");
    });
    let Some(Value::List(list)) = list else { panic!("a list") };
    assert!(texts(&list) == ["a", "10"]);
    assert_eq!(list.encoding(), "listpack");

    let ziplist = b"\x10\0\0\0\x0d\0\0\0\x02\0\0\x01a\x03\xf2\xff";
    let as_list = load_bytes(ValueType::ListZiplist, |writer| writer.string(ziplist)).unwrap();
    assert_eq!(as_list.view().encoding(), "quicklist");
    let as_node = load_bytes(ValueType::ListQuicklist, |writer| {
        writer.length(1);
        writer.string(ziplist);
    });
    let as_node = as_node.unwrap();
    assert_eq!(as_node.view().encoding(), "listpack");
    assert_eq!(as_node, as_list);
    let Value::List(list) = as_node else { panic!("a list") };
    assert!(texts(&list) == ["a", "1"]);

    let hash = load_bytes(ValueType::HashZiplist, |writer| writer.string(ziplist)).unwrap();
    let Value::Hash(hash) = hash else { panic!("a hash") };
    assert!(hash.view().iter().eq([(Element::Text(b"a"), Element::Integer(1))]));
    assert_eq!(hash.view().encoding(), "listpack");
    let set = load_bytes(ValueType::SortedSetZiplist, |writer| writer.string(ziplist)).unwrap();
    let Value::SortedSet(set) = set else { panic!("a sorted set") };
    assert_eq!(set.score(b"a"), Some(1.0));

    let zipmap = b"\x01\x01f\x01\x00v\xff";
    let hash = load_bytes(ValueType::HashZipmap, |writer| writer.string(zipmap)).unwrap();
    let Value::Hash(hash) = hash else { panic!("a hash") };
    assert_eq!(hash.view().get(b"f"), Some(Text::Stored(b"v")));

    let set = load_bytes(ValueType::SortedSetText, |writer| {
        writer.length(2);
        writer.string(b"a");
        writer.bytes(b"\x031.5");
        writer.string(b"b");
        writer.byte(255);
    });
    let Some(Value::SortedSet(set)) = set else { panic!("a sorted set") };
    assert_eq!(set.score(b"a"), Some(1.5));
    assert_eq!(set.score(b"b"), Some(f64::NEG_INFINITY));
}

#[test]
fn damage_inside_a_right_frame_is_found() {
    use persistence::rdb::listpack;
    let packed = |value_type, texts: &[&[u8]]| {
        load_bytes(value_type, |writer| writer.string(&listpack::of(texts.iter().copied())))
    };
    for value_type in [ValueType::HashListpack, ValueType::SortedSetListpack] {
        assert!(packed(value_type, &[b"a", b"1"]).is_some());
        assert!(packed(value_type, &[]).is_none(), "no elements");
        assert!(packed(value_type, &[b"a"]).is_none(), "an odd one");
        assert!(packed(value_type, &[b"a", b"1", b"a", b"2"]).is_none(), "twice the same");
    }
    assert!(packed(ValueType::SortedSetListpack, &[b"a", b"x"]).is_none(), "no score");
    assert!(packed(ValueType::SortedSetListpack, &[b"a", b"nan"]).is_none(), "no score");
    let pairs = |value_type, texts: &[&[u8]]| {
        load_bytes(value_type, |writer| {
            writer.length(texts.len() as u64 / 2);
            texts.iter().for_each(|text| writer.string(text));
        })
    };
    assert!(pairs(ValueType::Hash, &[b"f", b"v"]).is_some());
    assert!(pairs(ValueType::Hash, &[b"f", b"v", b"f", b"w"]).is_none(), "twice the same");
    assert!(pairs(ValueType::Hash, &[]).is_none(), "no fields");
    let nan = load_bytes(ValueType::SortedSet, |writer| {
        writer.length(1);
        writer.string(b"a");
        writer.double(f64::NAN);
    });
    assert_eq!(nan, None);
}

#[test]
fn packed_forms_stay_packed_unless_there_are_too_many_elements() {
    use persistence::rdb::listpack;
    let long = [b'x'; 100];
    let pair: [&[u8]; 2] = [&long, b"1"];
    for value_type in [ValueType::HashListpack, ValueType::SortedSetListpack] {
        let value = load_bytes(value_type, |writer| writer.string(&listpack::of(pair))).unwrap();
        assert_eq!(value.view().encoding(), "listpack", "{value_type:?}");
        let texts: Vec<String> = (0..513).flat_map(|n| [format!("m{n}"), "1".into()]).collect();
        let many = listpack::of(texts.iter().map(String::as_bytes));
        let value = load_bytes(value_type, |writer| writer.string(&many)).unwrap();
        assert_ne!(value.view().encoding(), "listpack", "{value_type:?}");
    }
}
