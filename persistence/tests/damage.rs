//! The promise of recovery: damaged files never start a server with wrong data, silently or at all.
//!
//! Each byte of the files of a small log is damaged in turn. Either the damage is a torn tail by the rule of
//! `docs/aof.md`, and exactly a consistent prefix is kept and the cut is reported; or the start is refused with the
//! file and the offset of the damaged frame, and the repair keeps a consistent prefix.
#![cfg(test)]

use persistence::AofError;
use persistence::aof::{self, Epoch, Options, SegmentWriter, repair};
use persistence::disk::{Disk, MemoryDisk, Mode};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

const FOLDER: &str = "/data/appendonlydir";

fn options() -> Options {
    Options::new("/data")
}

fn path(shard: u16) -> PathBuf {
    options().folder().join(options().segment_name(u64::from(shard) + 1, shard))
}

fn start(disk: &MemoryDisk, shard_count: u16) -> aof::Started {
    aof::open(Arc::new(disk.clone()), options()).unwrap().start(shard_count).unwrap()
}

fn read(disk: &MemoryDisk, path: &std::path::Path) -> Vec<u8> {
    let file = disk.open(path, Mode::Read).unwrap();
    let mut bytes = vec![0; usize::try_from(file.size().unwrap()).unwrap()];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}

fn overwrite(disk: &MemoryDisk, path: &std::path::Path, bytes: &[u8]) {
    let file = disk.open(path, Mode::Write).unwrap();
    file.set_size(0).unwrap();
    file.write_at(bytes, 0).unwrap();
}

/// Payloads by shard, in order.
fn replay(plan: &aof::Plan) -> BTreeMap<u16, Vec<String>> {
    let mut found: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for mut reader in plan.replays().into_iter().flat_map(|replay| replay.readers) {
        let shard = reader.shard();
        while let Some(frame) = reader.next_frame().unwrap() {
            let text = std::str::from_utf8(frame.payload).unwrap().to_owned();
            found.entry(shard).or_default().push(text);
        }
    }
    found
}

/// Offsets at which frames of `bytes` begin, and the end.
fn frame_starts(bytes: &[u8]) -> Vec<usize> {
    let magic = b"#rialto ";
    let starts = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(magic));
    starts.chain([bytes.len()]).collect()
}

/// Two shards, epochs 1 to 4, a command in each; `sync` says after which epochs an fsync comes.
fn log(sync: impl Fn(u64) -> bool) -> MemoryDisk {
    let disk = MemoryDisk::with_folder("/data");
    let mut writers = start(&disk, 2).writers;
    for epoch in 1..=4 {
        for writer in &mut writers {
            write(writer, epoch);
            if sync(epoch) {
                writer.sync().unwrap();
            }
        }
    }
    disk
}

fn write(writer: &mut SegmentWriter, epoch: u64) {
    let payload = format!("shard {} epoch {epoch}", writer.segment().shard);
    writer.append(Epoch::new(epoch), payload.as_bytes()).unwrap();
    writer.close(Epoch::new(epoch)).unwrap();
}

/// What two shards hold up to epoch `last`.
fn up_to(last: u64) -> BTreeMap<u16, Vec<String>> {
    let texts = |shard| (1..=last).map(move |epoch| format!("shard {shard} epoch {epoch}"));
    (0..2)
        .map(|shard| (shard, texts(shard).collect()))
        .filter(|(_, v): &(u16, Vec<String>)| !v.is_empty())
        .collect()
}

/// The last epoch whose marker ends at or before `offset` in the file of shard 0.
fn closed_before(bytes: &[u8], offset: usize) -> u64 {
    let starts = frame_starts(bytes);
    let markers = starts
        .windows(2)
        .filter(|pair| bytes[pair[0]..].starts_with(b"#rialto 1 closed ") && pair[1] <= offset);
    markers.count() as u64
}

#[test]
fn every_damaged_byte_is_a_torn_tail_or_is_refused_at_its_offset() {
    // Synced after epoch 2: what is written later is not proven durable by anything but epoch 3's frame.
    let disk = log(|epoch| epoch == 2);
    let good = read(&disk, &path(0));
    let starts = frame_starts(&good);
    let durable = {
        let third = starts[1 + 2 * 2];
        assert!(good[third..].starts_with(b"#rialto 1 commands epoch=3"));
        third
    };
    let (mut torn_count, mut refused_count) = (0, 0);
    for at in 0..good.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            let disk = disk.after_kill();
            overwrite(&disk, &path(0), &bad);
            let frame_start = *starts.iter().rfind(|start| **start <= at).unwrap();
            let last = closed_before(&good, frame_start);
            match aof::open(Arc::new(disk.clone()), options()) {
                Ok(plan) => {
                    // The frame of epoch 3 proves that all before it was durable, unless it is the damaged one and
                    // a later one proves it.
                    assert!(
                        frame_start >= durable,
                        "byte {at} was durable and its loss is accepted"
                    );
                    assert_eq!(replay(&plan), up_to(last), "byte {at}");
                    let report = plan.report();
                    let damage = report.files[0].damage.clone().unwrap();
                    assert_eq!((damage.offset, damage.proof), (frame_start as u64, None));
                    assert!(!report.warnings().is_empty());
                    torn_count += 1;
                }
                Err(AofError::Damaged { path: file, offset, .. }) => {
                    assert!(frame_start < durable, "byte {at} is in a torn tail");
                    assert_eq!((file, offset), (path(0), frame_start as u64), "byte {at}");
                    refused_count += 1;
                    check_repair(&disk, last);
                }
                Err(error) => panic!("byte {at}: {error}"),
            }
        }
    }
    assert!(torn_count > 0 && refused_count > 0);
}

/// Repairs the files of `disk` and checks that exactly the epochs up to `last` are left, for good.
fn check_repair(disk: &MemoryDisk, last: u64) {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    if last == 0 {
        // Nothing can be kept, not even the start frame of the file.
        assert!(repair::check(Arc::clone(&shared), options()).unwrap().has_damage());
    }
    let before = repair::check(Arc::clone(&shared), options()).unwrap();
    let fixed = repair::fix(Arc::clone(&shared), options()).unwrap();
    assert_eq!(before, fixed, "check says what fix does");
    assert!(fixed.dropped_bytes() > 0);
    assert!(!repair::check(Arc::clone(&shared), options()).unwrap().has_damage());
    let plan = aof::open(Arc::clone(&shared), options()).unwrap();
    assert_eq!(replay(&plan), up_to(last));
    // What was dropped does not come back, whatever is written next.
    let started = plan.start(2).unwrap();
    for mut writer in started.writers {
        writer.append(started.epoch, b"new").unwrap();
        writer.seal(started.epoch).unwrap();
    }
    let plan = aof::open(shared, options()).unwrap();
    let mut expected = up_to(last);
    for shard in 0..2 {
        expected.entry(shard).or_default().push("new".to_owned());
    }
    assert_eq!(replay(&plan), expected);
}

#[test]
fn after_a_clean_shutdown_any_damage_before_the_last_marker_is_refused() {
    let disk = MemoryDisk::with_folder("/data");
    for mut writer in start(&disk, 2).writers {
        writer.append(Epoch::new(1), b"payload").unwrap();
        writer.seal(Epoch::new(1)).unwrap();
    }
    assert!(aof::open(Arc::new(disk.clone()), options()).unwrap().report().warnings().is_empty());
    let good = read(&disk, &path(1));
    let last_marker = frame_starts(&good).into_iter().rev().nth(1).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] = !bad[at];
        overwrite(&disk, &path(1), &bad);
        let result = aof::open(Arc::new(disk.clone()), options());
        assert_eq!(result.is_ok(), at >= last_marker, "byte {at}");
        if let Ok(plan) = result {
            assert_eq!(replay(&plan).values().flatten().collect::<Vec<_>>(), ["payload"; 2]);
        }
    }
}

#[test]
fn every_length_of_a_file_is_a_torn_tail_beyond_what_was_durable() {
    let disk = log(|_| false);
    let good = read(&disk, &path(0));
    let first = frame_starts(&good)[1];
    for len in 0..good.len() {
        let disk = disk.after_kill();
        overwrite(&disk, &path(0), &good[..len]);
        match aof::open(Arc::new(disk), options()) {
            Ok(plan) => assert_eq!(replay(&plan), up_to(closed_before(&good, len)), "{len} bytes"),
            Err(AofError::Damaged { offset: 0, .. }) => assert!(len < first, "{len} bytes"),
            Err(error) => panic!("{len} bytes: {error}"),
        }
    }
}

#[test]
fn a_torn_tail_is_refused_if_the_options_say_so() {
    let disk = log(|_| false);
    let good = read(&disk, &path(0));
    overwrite(&disk, &path(0), &good[..good.len() - 1]);
    let options = Options { is_torn_tail_cut: false, ..options() };
    let error = aof::open(Arc::new(disk), options).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, AofError::TornTail { .. }), "{text}");
    assert!(
        text.contains("set aof-load-truncated to yes or run `rialto check --fix /data`"),
        "{text}"
    );
    assert!(text.contains("what was written after epoch 3 of 4"), "{text}");
}

#[test]
fn the_refusal_is_one_sentence_with_the_loss_and_the_remedy() {
    let disk = log(|_| true);
    let mut bad = read(&disk, &path(1));
    let at = frame_starts(&bad)[3];
    bad[at + 10] ^= 1;
    overwrite(&disk, &path(1), &bad);
    let text = aof::open(Arc::new(disk), options()).unwrap_err().to_string();
    let begin =
        format!("{FOLDER}/appendonly.aof.2.shard1.incr.aof is damaged at offset {at}: expected ");
    assert!(text.starts_with(&begin), "{text}");
    assert!(text.contains("`rialto check --fix /data` repairs it and would lose "), "{text}");
    assert!(text.ends_with("in 2 files: what was written after epoch 1 of 4"), "{text}");
}

#[test]
fn a_value_that_looks_like_a_frame_is_not_one() {
    let disk = MemoryDisk::with_folder("/data");
    let mut writers = start(&disk, 1).writers;
    let writer = &mut writers[0];
    writer.append(Epoch::new(1), b"before").unwrap();
    writer.sync().unwrap();
    // A real frame of this very file, with a `synced` beyond the damage to come, stored as a value.
    writer.append(Epoch::new(1), b"x").unwrap();
    let bytes = read(&disk, &path(0));
    let real = bytes[frame_starts(&bytes)[2]..].to_vec();
    let damaged_at = bytes.len();
    writer.append(Epoch::new(1), &real.repeat(20)).unwrap();
    let mut bad = read(&disk, &path(0));
    bad[damaged_at + 12] ^= 1;
    overwrite(&disk, &path(0), &bad);
    let plan = aof::open(Arc::new(disk), options()).unwrap();
    assert_eq!(replay(&plan)[&0], ["before", "x"]);
}

#[test]
fn another_number_of_shards_begins_a_new_generation_after_the_old_one() {
    let disk = MemoryDisk::with_folder("/data");
    for (epoch, shard_count) in [(1, 2), (2, 3), (3, 1), (4, 2)] {
        let started = start(&disk, shard_count);
        assert_eq!(started.epoch, Epoch::new(epoch));
        for mut writer in started.writers {
            let text = format!("generation {epoch} shard {}", writer.segment().shard);
            writer.append(started.epoch, text.as_bytes()).unwrap();
            writer.seal(started.epoch).unwrap();
        }
    }
    let plan = aof::open(Arc::new(disk.clone()), options()).unwrap();
    let replays = plan.replays();
    let shape: Vec<_> = replays.iter().map(|r| (r.generation, r.shard_count)).collect();
    assert_eq!(shape, [(1, 2), (2, 3), (3, 1), (4, 2)]);
    assert_eq!(replay(&plan).values().flatten().count(), 2 + 3 + 1 + 2);

    // Damage in an old generation is never a torn tail; the repair drops what came after it.
    let mut old = read(&disk, &path(1));
    let at = old.len() - 1;
    old[at] ^= 1;
    overwrite(&disk, &path(1), &old);
    let shared: Arc<dyn Disk> = Arc::new(disk);
    let error = aof::open(Arc::clone(&shared), options()).unwrap_err();
    assert!(matches!(error, AofError::Damaged { .. }), "{error}");
    repair::fix(Arc::clone(&shared), options()).unwrap();
    let plan = aof::open(Arc::clone(&shared), options()).unwrap();
    assert_eq!(plan.shard_count(), Some(2));
    assert_eq!(replay(&plan)[&0], ["generation 1 shard 0"]);
    assert_eq!(replay(&plan)[&1], ["generation 1 shard 1"]);
    plan.start(4).unwrap();
    let plan = aof::open(shared, options()).unwrap();
    assert_eq!(replay(&plan)[&1], ["generation 1 shard 1"]);
}

#[test]
fn files_of_another_log_are_not_mixed_in() {
    let (one, other) = (log(|_| true), MemoryDisk::with_folder("/data"));
    drop(start(&other, 3));
    // Shard 0 of 2 and shard 0 of 3 have the same name.
    overwrite(&one, &path(0), &read(&other, &path(0)));
    let error = aof::open(Arc::new(one), options()).unwrap_err().to_string();
    assert!(error.contains("expected a start frame of generation 1, shard 0 of 2"), "{error}");
}

#[test]
fn a_listed_file_that_is_missing_is_named() {
    let disk = log(|_| true);
    disk.remove(&path(1)).unwrap();
    let error = aof::open(Arc::new(disk), options()).unwrap_err().to_string();
    assert!(
        error.starts_with("/data/appendonlydir/appendonly.aof.2.shard1.incr.aof is missing"),
        "{error}"
    );
}

#[test]
fn frames_later_than_the_cut_are_dropped_wherever_they_stand() {
    // A transaction of epoch 1 is written after another tick's frame of epoch 2: the cut goes through the middle.
    let disk = MemoryDisk::with_folder("/data");
    let mut writers = start(&disk, 2).writers;
    let shards = [0, 1].into_iter().collect();
    for writer in &mut writers {
        writer.append(Epoch::new(2), b"later").unwrap();
        let transaction = aof::Transaction { id: 7, shards };
        writer.append_transaction(Epoch::new(1), transaction, b"part").unwrap();
        writer.close(Epoch::new(1)).unwrap();
    }
    for _ in 0..3 {
        let plan = aof::open(Arc::new(disk.clone()), options()).unwrap();
        assert_eq!(replay(&plan).values().flatten().collect::<Vec<_>>(), ["part"; 2]);
        let mut readers = plan.replays().remove(0).readers;
        let frame = readers[0].next_frame().unwrap().unwrap();
        assert_eq!(frame.transaction.unwrap().id, 7);
        let started = plan.start(2).unwrap();
        assert!(started.epoch > Epoch::new(2));
        for mut writer in started.writers {
            writer.seal(started.epoch).unwrap();
        }
    }
}
