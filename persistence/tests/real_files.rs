//! The same log on the files of this machine: two lives of a server, a kill between them, a lock, descriptors for a ring.

#![cfg(test)]

use persistence::aof::{self, Commands, EpochClock, Options};
use persistence::disk::RealDisk;
use persistence::lock::lock;
use std::path::PathBuf;
use std::sync::Arc;

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rialto-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn set(key: &str, value: &str) -> String {
    format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${}\r\n{value}\r\n", key.len(), value.len())
}

fn replay(plan: &aof::Plan) -> Vec<String> {
    let mut found = Vec::new();
    // The readers of a generation run on threads of their own, as in the server.
    for replay in plan.replays() {
        let texts = std::thread::scope(|scope| {
            let read = |mut reader: aof::SegmentReader| {
                let mut texts = Vec::new();
                while let Some(frame) = reader.next_frame().unwrap() {
                    let mut commands = Commands::new(frame.payload);
                    while let Some(argv) = commands.next_command().unwrap() {
                        let args: Vec<_> = argv.iter().map(String::from_utf8_lossy).collect();
                        texts.push(args.join(" "));
                    }
                }
                texts
            };
            let threads: Vec<_> = replay
                .readers
                .into_iter()
                .map(|reader| scope.spawn(move || read(reader)))
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        found.extend(texts);
    }
    found
}

#[test]
fn a_log_survives_a_kill_a_shutdown_and_another_number_of_shards() {
    let folder = Folder::new("log");
    let disk = Arc::new(RealDisk);
    let open = || aof::open(disk.clone(), Options::new(&folder.0)).unwrap();
    let held = lock(&*disk, &folder.0, std::process::id()).unwrap();

    let started = open().start(2).unwrap();
    let clock = EpochClock::new(started.epoch);
    let mut writers = started.writers;
    for round in 0..100 {
        let epoch = clock.current();
        for writer in &mut writers {
            let key = format!("k{}", writer.segment().shard);
            writer.close_before(epoch).unwrap();
            writer.append(epoch, set(&key, &round.to_string()).as_bytes()).unwrap();
            clock.mark_dirty(epoch);
        }
        if round % 10 == 9 {
            assert!(clock.advance_if_dirty());
        }
    }
    // What a ring would do with the descriptor.
    let pending = writers[0].sync_started(0);
    assert!(pending.fd.is_some_and(|fd| fd > 2));
    assert_eq!(pending.offset, writers[0].written());
    writers[0].sync_finished(Ok(())).unwrap();
    assert_eq!(writers[0].durable(), pending.offset);
    // Killed: nobody closed the last epoch, so its ten rounds are dropped on both shards.
    drop((writers, held));

    let plan = open();
    let found = replay(&plan);
    assert_eq!(found.len(), 2 * 90);
    assert_eq!((found[89].as_str(), found[179].as_str()), ("SET k0 89", "SET k1 89"));
    let started = plan.start(3).unwrap();
    assert!(started.report.warnings()[0].starts_with("dropped "));
    for mut writer in started.writers {
        let key = format!("n{}", writer.segment().shard);
        writer.append(started.epoch, set(&key, "new").as_bytes()).unwrap();
        writer.seal(started.epoch).unwrap();
    }

    let plan = open();
    assert_eq!(plan.shard_count(), Some(3));
    assert_eq!(replay(&plan)[180..], ["SET n0 new", "SET n1 new", "SET n2 new"]);
    assert!(plan.report().warnings().is_empty());
}
