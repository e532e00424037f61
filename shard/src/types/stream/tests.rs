//! Streams against a simple model, and rebuilding.

use super::*;
use crate::call::{Call, ClientFacts, Now};
use crate::commands;
use crate::rng::Rng;
use crate::shard::Shard;
use protocol::reply::Resp;
use std::collections::BTreeMap;

type Model = BTreeMap<StreamId, Vec<Vec<u8>>>;

fn add(stream: &mut Stream, id: StreamId, items: &[Vec<u8>], limit: BlockLimit) {
    stream.entries.push(id, items.len() / 2, items.iter().map(Vec::as_slice), limit);
}

fn items_of(entry: Entry<'_>) -> Vec<Vec<u8>> {
    let texts = entry.pairs().flat_map(<[Text<'_>; 2]>::from);
    texts.map(|text| text.with_bytes(<[u8]>::to_vec)).collect()
}

fn random_items(rng: &mut Rng) -> Vec<Vec<u8>> {
    let own = rng.below(4) == 0;
    let count = 1 + rng.below(3) * usize::from(own);
    let mut items = Vec::new();
    for field in 0..count {
        items.push(format!("field{}", field + 7 * usize::from(own)).into_bytes());
        items.push(match rng.below(3) {
            0 => rng.below(100_000).to_string().into_bytes(),
            1 => vec![b'x'; rng.below(150)],
            _ => format!("{}.25", rng.below(1000)).into_bytes(),
        });
    }
    items
}

fn check(stream: &Stream, model: &Model, rng: &mut Rng) {
    stream.entries.check_invariants();
    assert_eq!(stream.entries.len(), model.len());
    let near = |rng: &mut Rng| StreamId::new(rng.below(400) as u64, rng.below(5) as u64);
    let (mut start, mut end) = (near(rng), near(rng));
    if rng.below(4) == 0 {
        (start, end) = (StreamId::MIN, StreamId::MAX);
    }
    let expected: Vec<_> = match start <= end {
        true => model.range(start..=end).map(|(id, items)| (*id, items.clone())).collect(),
        false => Vec::new(),
    };
    let found = stream.entries.range(start, end).map(|entry| (entry.id, items_of(entry)));
    assert_eq!(found.collect::<Vec<_>>(), expected);
    let back = stream.entries.range_back(start, end).map(|entry| (entry.id, items_of(entry)));
    let mut back: Vec<_> = back.collect();
    back.reverse();
    assert_eq!(back, expected);
    assert_eq!(stream.entries.last_live_id(), model.keys().next_back().copied());
    assert_eq!(stream.entries.contains(start), model.contains_key(&start));
}

#[test]
fn it_does_what_an_ordered_map_does() {
    let seed = 0x57e4;
    println!("seed {seed:#x}");
    let mut rng = Rng::new(seed);
    for _ in 0..30 {
        let limit = BlockLimit { size_max: rng.below(2) * 500, entries_max: rng.below(12) };
        let mut stream = Stream::default();
        let mut model = Model::new();
        for _ in 0..400 {
            let last = stream.entries.last_id();
            match rng.below(10) {
                0 => {
                    let held: Vec<StreamId> = model.keys().copied().collect();
                    let ids: Vec<StreamId> = (0..3)
                        .filter_map(|_| held.get(rng.below(held.len().max(1))).copied())
                        .chain([StreamId::new(1, 77)])
                        .collect();
                    let count = ids.iter().filter(|id| model.remove(id).is_some()).count();
                    assert_eq!(stream.entries.delete(&ids), count);
                }
                1 => {
                    let len = rng.below(60) as u64;
                    let trim =
                        Trim { threshold: Threshold::Len(len), is_approximate: false, limit: 0 };
                    let mut count = 0;
                    while model.len() as u64 > len {
                        model.pop_first();
                        count += 1;
                    }
                    assert_eq!(stream.entries.trim(trim), count);
                }
                2 => {
                    let id = StreamId::new(last.ms.saturating_sub(rng.below(40) as u64), 2);
                    let trim =
                        Trim { threshold: Threshold::Id(id), is_approximate: false, limit: 0 };
                    let kept = model.split_off(&id);
                    assert_eq!(stream.entries.trim(trim), model.len() as u64);
                    model = kept;
                }
                _ => {
                    let id = match rng.below(3) {
                        0 => StreamId::new(last.ms, last.seq + 1 + rng.below(2) as u64),
                        _ => StreamId::new(last.ms + 1 + rng.below(3) as u64, rng.below(3) as u64),
                    };
                    let items = random_items(&mut rng);
                    add(&mut stream, id, &items, limit);
                    model.insert(id, items);
                }
            }
            check(&stream, &model, &mut rng);
        }
        let copy = stream.clone();
        copy.entries.check_invariants();
        assert_eq!(copy, stream);
        while stream.free_some(7) {}
        assert_eq!(stream.entries.blocks(StreamId::MIN, StreamId::MAX).count(), 0);
    }
}

#[test]
fn trimming_about_drops_whole_blocks_within_the_limit() {
    let limit = BlockLimit { size_max: 0, entries_max: 10 };
    let mut stream = Stream::default();
    for ms in 1..=100 {
        add(&mut stream, StreamId::new(ms, 0), &[b"f".to_vec(), b"v".to_vec()], limit);
    }
    let about = |threshold, limit| Trim { threshold, is_approximate: true, limit };
    assert_eq!(stream.entries.block_count(), 10);
    assert_eq!(stream.entries.trim(about(Threshold::Len(55), 0)), 40);
    assert_eq!(stream.entries.trim(about(Threshold::Len(55), 0)), 0);
    assert_eq!(stream.entries.trim(about(Threshold::Len(0), 25)), 20);
    assert_eq!(stream.entries.first_id(), StreamId::new(61, 0));
    assert_eq!(stream.entries.trim(about(Threshold::Id(StreamId::new(70, 0)), 0)), 0);
    assert_eq!(stream.entries.trim(about(Threshold::Id(StreamId::new(70, 1)), 0)), 10);
    assert_eq!(stream.entries.block_count(), 3);
    stream.entries.check_invariants();
}

#[test]
fn what_is_counted_about_entries_says_what_a_group_has_before_it() {
    let mut stream = Stream::default();
    let limit = BlockLimit { size_max: 0, entries_max: 0 };
    let group = |last_id, entries_read| {
        let mut group = Group::default();
        (group.last_id, group.entries_read) = (last_id, entries_read);
        group
    };
    assert_eq!(stream.lag(&group(StreamId::MIN, None)), Some(0));
    for ms in 1..=5 {
        add(&mut stream, StreamId::new(ms, 0), &[b"f".to_vec(), b"v".to_vec()], limit);
    }
    assert_eq!(stream.lag(&group(StreamId::MIN, None)), Some(5));
    assert_eq!(stream.lag(&group(StreamId::new(1, 0), None)), Some(4));
    assert_eq!(stream.lag(&group(StreamId::new(2, 0), None)), None);
    assert_eq!(stream.lag(&group(StreamId::new(2, 0), Some(2))), Some(3));
    assert_eq!(stream.lag(&group(StreamId::new(5, 0), None)), Some(0));
    assert_eq!(stream.lag(&group(StreamId::new(6, 0), None)), None);
    stream.entries.delete(&[StreamId::new(3, 0)]);
    assert_eq!(stream.lag(&group(StreamId::new(2, 0), Some(2))), None);
    assert_eq!(stream.lag(&group(StreamId::new(3, 1), Some(3))), Some(2));
    assert_eq!(stream.lag(&group(StreamId::MIN, None)), None);
    stream.entries.delete(&[1, 2, 4, 5].map(|ms| StreamId::new(ms, 0)));
    assert_eq!(stream.lag(&group(StreamId::MIN, None)), Some(0));
}

#[test]
fn groups_keep_account_of_who_has_what() {
    let mut stream = Stream::default();
    assert!(stream.groups.add(b"g", StreamId::MIN, Some(0)));
    assert!(!stream.groups.add(b"g", StreamId::MAX, None));
    {
        let mut group = stream.groups.get_mut(b"g").unwrap();
        let [a, b] = ["a", "b"].map(|name| group.add_consumer(name.as_bytes(), 5));
        let pending = |consumer| Pending { consumer, delivered_at_ms: 5, delivery_count: 1 };
        for ms in 1..=4 {
            group.deliver(StreamId::new(ms, 0), pending(a));
        }
        group.deliver(StreamId::new(2, 0), pending(b));
        group.deliver(StreamId::new(2, 0), pending(b));
        assert!(group.acknowledge(StreamId::new(1, 0)));
        assert!(!group.acknowledge(StreamId::new(1, 0)));
        assert_eq!(group.consumer(a).pending_count(), 2);
        assert_eq!(group.consumer(b).pending_count(), 1);
        assert_eq!(group.remove_consumer(a), 2);
        assert_eq!(group.pending_count(), 1);
        assert_eq!(group.find(b"a"), None);
        assert_eq!(group.add_consumer(b"c", 6), a, "the number is given again");
    }
    stream.groups.check_invariants();
    assert!(stream.heap_size() > 0);
    assert_eq!(stream.groups.clone(), stream.groups);
    assert!(stream.groups.remove(b"g"));
    stream.groups.check_invariants();
    assert_eq!(stream.heap_size(), 0);
}

/// Runs commands on a shard and returns the stream under `key`.
fn stream_of(commands: &[ArgvBuf], key: &[u8]) -> Stream {
    let mut shard = Shard::new(Options::default(), 1, 1);
    for argv in commands {
        let argv = argv.as_argv();
        let command = commands::find(argv.get(0).unwrap()).unwrap();
        let client = ClientFacts::default();
        let call = Call { command, argv, db: 0, resp: Resp::V2, client };
        let mut reply = Vec::new();
        let _ = shard.execute(Now { unix_us: 5_000 }, &call, &mut reply);
        assert_ne!(reply.first(), Some(&b'-'), "{argv:?}");
    }
    let entry = shard.keyspace().database(0).find_any(key).unwrap();
    entry.value.as_type::<Stream>().unwrap().clone()
}

#[test]
fn it_is_rebuilt_with_its_groups() {
    let lines = [
        "XADD s 1-1 a 1 b 2",
        "XADD s 2-1 a x",
        "XADD s 3-1 a 1 b 3",
        "XDEL s 3-1",
        "XSETID s 9-9 ENTRIESADDED 12",
        "XGROUP CREATE s g 0",
        "XGROUP CREATE s h 2-1 ENTRIESREAD 2",
        "XREADGROUP GROUP g alice COUNT 1 STREAMS s >",
        "XREADGROUP GROUP g bob STREAMS s >",
        "XGROUP CREATECONSUMER s g carl",
    ];
    let lines = lines.map(|line| line.split(' ').map(str::as_bytes).collect::<ArgvBuf>());
    let original = stream_of(&lines, b"s");
    let mut commands = Vec::new();
    original.rebuild(b"t", &mut |command| commands.push(command));
    assert_eq!(stream_of(&commands, b"t"), original);

    let empty = stream_of(&lines[..1], b"s");
    let mut empty = Stream { groups: empty.groups, ..Stream::default() };
    empty.groups.add(b"g", StreamId::new(4, 0), None);
    let mut commands = Vec::new();
    empty.rebuild(b"t", &mut |command| commands.push(command));
    let mut copy = stream_of(&commands, b"t");
    assert_eq!(copy.entries.len(), 0);
    assert_eq!(copy.entries.last_id(), StreamId::MIN);
    copy.entries = Entries::default();
    assert_eq!(copy, empty);
}
