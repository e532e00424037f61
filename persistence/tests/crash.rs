//! The promise of the log: whatever a crash leaves of the files, what is recovered is a state that the server really had.
//!
//! Several cores and clients run on a disk in memory. A client that has seen a write and then writes elsewhere makes a
//! cause and an effect. The machine stops at every single disk operation in turn, with or without loss of what was
//! not synced, also during recovery; now and then the disk is full or an fsync fails. After each start:
//! - no effect without its cause, and of each core a prefix of its writes;
//! - everything in epochs whose ends were synced on all cores, and everything that an earlier start had recovered;
//! - an epoch later than that of any write.
//!
//! A failure prints its seed; `RIALTO_SEED=<seed> cargo test -p persistence --test crash` repeats it.
#![cfg(test)]

use persistence::AofError;
use persistence::aof::{self, Commands, Epoch, EpochClock, Journal, Options, SegmentWriter};
use persistence::disk::{Disk, Effect, Fault, FaultyDisk, MemoryDisk, Mode, Operation};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

const CLIENT_COUNT: usize = 4;
const STEP_COUNT: usize = 100;
/// Lives of the server in one history; the last one ends with a clean shutdown.
const LIFE_COUNT: usize = 4;
const SEED_COUNT: u64 = 20;

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// What every write was, for the judge. Ids rise.
#[derive(Default)]
struct Ledger {
    writes: BTreeMap<u64, Write>,
    /// Writes that must be there after the next start.
    promised: BTreeSet<u64>,
    next_id: u64,
    /// How often a start dropped something, and how often a writer was replaced: the test must see both.
    drop_count: u64,
    replace_count: u64,
}

struct Write {
    causes: BTreeSet<u64>,
    life: usize,
    core: usize,
    epoch: Epoch,
}

impl Ledger {
    fn judge(&self, found: &BTreeSet<u64>) {
        for id in found {
            let lost: Vec<_> = self.writes[id].causes.difference(found).collect();
            assert!(lost.is_empty(), "write {id} is there, but not its causes {lost:?}");
        }
        let lost: Vec<_> = self.promised.difference(found).collect();
        assert!(lost.is_empty(), "writes {lost:?} were promised and are lost");
        let mut ended = BTreeSet::new();
        for (id, write) in &self.writes {
            let core = (write.life, write.core);
            match found.contains(id) {
                true => {
                    assert!(!ended.contains(&core), "write {id} is there, but not one before it")
                }
                false => drop(ended.insert(core)),
            }
        }
    }
}

struct Core {
    writer: Option<SegmentWriter>,
    /// The tick in progress.
    tick: Option<Tick>,
    /// How the fsync in flight will end.
    synced: Option<io::Result<()>>,
    /// Writes that a client of this core can see.
    visible: BTreeSet<u64>,
}

struct Tick {
    epoch: Epoch,
    payload: Vec<u8>,
    ids: Vec<u64>,
    clients: Vec<usize>,
}

struct Client {
    seen: BTreeSet<u64>,
    is_waiting: bool,
}

struct Server<'a> {
    life: usize,
    /// The disk that may be full or sick, around the one that may stop.
    disk: FaultyDisk,
    stopping: FaultyDisk,
    clock: EpochClock,
    journal: Journal,
    cores: Vec<Core>,
    clients: Vec<Client>,
    ledger: &'a mut Ledger,
    now_ms: u64,
}

fn options() -> Options {
    Options::new("/data")
}

fn encode(id: u64) -> Vec<u8> {
    let text = id.to_string();
    format!("*2\r\n$5\r\nWRITE\r\n${}\r\n{text}\r\n", text.len()).into_bytes()
}

/// Recovers, checks what was recovered, and starts a server with `shard_count` cores.
fn start<'a>(
    stopping: &FaultyDisk,
    shard_count: u16,
    life: usize,
    ledger: &'a mut Ledger,
) -> Result<Server<'a>, AofError> {
    let disk = FaultyDisk::new(stopping.clone(), None);
    let plan = aof::open(Arc::new(disk.clone()), options())?;
    let mut found = BTreeSet::new();
    for mut reader in plan.replays().into_iter().flat_map(|replay| replay.readers) {
        let shard = usize::from(reader.shard());
        while let Some(frame) = reader.next_frame()? {
            let mut commands = Commands::new(frame.payload);
            while let Some(argv) = commands.next_command().unwrap() {
                let id: u64 = std::str::from_utf8(argv.get(1).unwrap()).unwrap().parse().unwrap();
                assert_eq!(ledger.writes[&id].core, shard, "write {id} is on its shard");
                assert!(found.insert(id), "write {id} is replayed once");
            }
        }
    }
    ledger.judge(&found);
    let started = plan.start(shard_count)?;
    for (id, write) in ledger.writes.iter().filter(|(id, _)| found.contains(id)) {
        assert!(write.epoch < started.epoch, "write {id} is before epoch {}", started.epoch);
    }
    ledger.drop_count += u64::from(started.report.dropped_bytes() > 0);
    // What was found is durable now, and what was not will never come back.
    ledger.writes.retain(|id, _| found.contains(id));
    ledger.promised.clone_from(&found);
    let cores = started.writers.into_iter().map(|writer| Core {
        writer: Some(writer),
        tick: None,
        synced: None,
        visible: found.clone(),
    });
    let clients = (0..CLIENT_COUNT).map(|_| Client { seen: BTreeSet::new(), is_waiting: false });
    Ok(Server {
        life,
        disk,
        stopping: stopping.clone(),
        clock: EpochClock::new(started.epoch),
        journal: started.journal,
        cores: cores.collect(),
        clients: clients.collect(),
        ledger,
        now_ms: 0,
    })
}

impl Server<'_> {
    /// One step of one core, of the clock or of the disk.
    fn step(&mut self, rng: &mut Rng) {
        let core = rng.below(self.cores.len());
        self.now_ms += rng.next() % 300;
        match rng.below(12) {
            0..4 => self.begin_tick(core, rng),
            4..8 => self.finish_tick(core),
            // Seldom, so that causes and effects gather in one epoch.
            8 => match rng.one_in(3) {
                true => drop(self.clock.advance_if_dirty()),
                false => self.close_idle(core),
            },
            9 => self.sync(core, rng),
            10 if rng.one_in(4) => self.make_sick(rng),
            _ => self.repair(core, rng),
        }
    }

    fn writer(&mut self, core: usize) -> &mut SegmentWriter {
        self.cores[core].writer.as_mut().unwrap()
    }

    fn is_healthy(&self) -> bool {
        self.cores.iter().all(|core| core.writer.as_ref().unwrap().failure().is_none())
    }

    fn begin_tick(&mut self, core: usize, rng: &mut Rng) {
        if self.cores[core].tick.is_some() {
            return;
        }
        let free: Vec<usize> =
            (0..CLIENT_COUNT).filter(|client| !self.clients[*client].is_waiting).collect();
        let clients: Vec<usize> = free.into_iter().filter(|_| rng.one_in(2)).collect();
        // The inputs are collected; only now the epoch is read.
        let epoch = self.clock.current();
        let is_healthy = self.is_healthy();
        let mut tick = Tick { epoch, payload: Vec::new(), ids: Vec::new(), clients };
        for client in &tick.clients {
            self.clients[*client].is_waiting = true;
            // While a file is sick, only reads are served.
            if rng.one_in(3) || !is_healthy {
                continue;
            }
            let id = self.ledger.next_id;
            self.ledger.next_id += 1;
            let causes = self.clients[*client].seen.clone();
            self.ledger.writes.insert(id, Write { causes, life: self.life, core, epoch });
            tick.payload.extend(encode(id));
            tick.ids.push(id);
        }
        self.cores[core].tick = Some(tick);
    }

    fn finish_tick(&mut self, core: usize) {
        let Some(tick) = self.cores[core].tick.take() else { return };
        let writer = self.writer(core);
        let result =
            writer.close_before(tick.epoch).and_then(|()| writer.append(tick.epoch, &tick.payload));
        if result.is_err() && !tick.payload.is_empty() {
            // The commands have run: they wait for a healthy file, and so do the replies.
            self.cores[core].tick = Some(tick);
            return;
        }
        if !tick.payload.is_empty() {
            self.clock.mark_dirty(tick.epoch);
        }
        self.cores[core].visible.extend(tick.ids);
        for client in tick.clients {
            self.clients[client].is_waiting = false;
            self.clients[client].seen.extend(&self.cores[core].visible);
        }
    }

    fn close_idle(&mut self, core: usize) {
        if self.cores[core].tick.is_none() {
            let epoch = self.clock.current();
            // A failure shows in `failure`, and is repaired there.
            let _ = self.writer(core).close_before(epoch);
        }
    }

    fn sync(&mut self, core: usize, rng: &mut Rng) {
        let (now_ms, disk) = (self.now_ms, self.disk.clone());
        if let Some(result) = self.cores[core].synced.take() {
            let _ = self.writer(core).sync_finished(result);
            return;
        }
        let writer = self.writer(core);
        if writer.sync_due(now_ms) || writer.failure().is_none() && rng.one_in(4) {
            writer.sync_started(now_ms);
            // Done at once, known later: what is written in between is not durable.
            let file = disk.open(writer.path(), Mode::Write).unwrap();
            self.cores[core].synced = Some(file.sync());
        }
    }

    fn make_sick(&mut self, rng: &mut Rng) {
        let (operation, effect) = match rng.below(4) {
            0 => (Operation::Write, Effect::Errno(28)),
            1 => (Operation::Write, Effect::ShortWrite(rng.below(100))),
            2 => (Operation::Write, Effect::Errno(5)),
            _ => (Operation::Sync, Effect::Errno(5)),
        };
        self.disk.set_fault(Some(Fault { operation: Some(operation), at: 0, effect }));
    }

    /// Replaces the writer of `core` if it is poisoned; often the disk is healthy again, sometimes not.
    fn repair(&mut self, core: usize, rng: &mut Rng) {
        if rng.one_in(2) {
            self.disk.heal();
        }
        let writer = self.writer(core);
        if writer.failure().is_none() || writer.is_syncing() {
            return;
        }
        let writer = self.cores[core].writer.take().unwrap();
        let writer = match self.journal.replace(writer) {
            Ok(writer) => {
                self.ledger.replace_count += 1;
                writer
            }
            Err(failed) => *failed.writer,
        };
        self.cores[core].writer = Some(writer);
    }

    /// Everything acknowledged is durable when this returns, unless the machine stops.
    fn shut_down(&mut self, rng: &mut Rng) {
        self.disk.heal();
        for core in 0..self.cores.len() {
            if self.cores[core].synced.is_some() {
                self.sync(core, rng);
            }
            self.repair(core, rng);
            self.finish_tick(core);
            let epoch = self.clock.current();
            let _ = self.writer(core).seal(epoch);
        }
        if !self.stopping.has_stopped() {
            assert!(self.is_healthy());
            self.ledger.promised.extend(self.ledger.writes.keys());
        }
    }

    /// Notes what must survive if the machine stops now.
    fn note_promises(&mut self) {
        let closed = self.cores.iter().map(|core| core.writer.as_ref().unwrap().durable_closed());
        let last = closed.min().unwrap();
        let life = self.life;
        let writes = self.ledger.writes.iter();
        let durable = writes.filter(|(_, write)| write.life == life && write.epoch <= last);
        self.ledger.promised.extend(durable.map(|(id, _)| *id));
    }
}

/// One history of several lives. The first stops at its disk operation `stop_at`, the others anywhere. Returns how many
/// operations the first life took.
fn run(seed: u64, stop_at: Option<u64>, ledger: &mut Ledger) -> u64 {
    let mut rng = Rng(seed);
    let mut memory = MemoryDisk::with_folder("/data");
    let mut first_count = 0;
    let mut shard_count = 1 + rng.below(3);
    for life in 0..LIFE_COUNT {
        let stop_at = match life {
            0 => stop_at,
            _ if life == LIFE_COUNT - 1 => None,
            _ => Some(rng.below(80) as u64),
        };
        let fault = stop_at.map(|at| {
            let torn_len = rng.below(150);
            Fault { operation: None, at, effect: Effect::Stop { torn_len } }
        });
        let disk = FaultyDisk::new(memory.clone(), fault);
        if life > 0 && rng.one_in(2) {
            shard_count = 1 + rng.below(3);
        }
        match start(&disk, u16::try_from(shard_count).unwrap(), life, ledger) {
            Ok(mut server) => {
                for _ in 0..STEP_COUNT {
                    server.step(&mut rng);
                }
                server.note_promises();
                server.shut_down(&mut rng);
            }
            Err(error) => assert!(disk.has_stopped(), "start refused: {error}"),
        }
        if life == 0 {
            first_count = disk.count();
        }
        memory = match rng.one_in(3) {
            true => memory.after_kill(),
            false => memory.after_power_failure(|| rng.next()),
        };
    }
    let disk = FaultyDisk::new(memory, None);
    drop(start(&disk, 2, LIFE_COUNT, ledger).expect("a clean shutdown leaves nothing to refuse"));
    first_count
}

fn run_or_tell(seed: u64, stop_at: Option<u64>, ledger: &mut Ledger) -> u64 {
    let outcome = catch_unwind(AssertUnwindSafe(|| run(seed, stop_at, ledger)));
    outcome.unwrap_or_else(|_| panic!("RIALTO_SEED={seed} fails with a stop at {stop_at:?}"))
}

#[test]
fn every_crash_leaves_a_state_that_the_server_really_had() {
    let (first, count) = match std::env::var("RIALTO_SEED") {
        Ok(seed) => (seed.parse().expect("RIALTO_SEED is a number"), 1),
        Err(_) => (RandomState::new().build_hasher().finish() >> 1, SEED_COUNT),
    };
    println!("RIALTO_SEED={first} and the next {} seeds", count - 1);
    let (mut drop_count, mut replace_count) = (0, 0);
    for seed in first..first + count {
        let mut ledger = Ledger::default();
        let operation_count = run_or_tell(seed, None, &mut ledger);
        for stop_at in 0..operation_count {
            let mut ledger = Ledger::default();
            run_or_tell(seed, Some(stop_at), &mut ledger);
            drop_count += ledger.drop_count;
            replace_count += ledger.replace_count;
        }
    }
    println!("{drop_count} starts dropped something, {replace_count} writers were replaced");
    assert!(count == 1 || drop_count > 0 && replace_count > 0, "the test tests nothing");
}
