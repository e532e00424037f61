//! The task queue: producers LPUSH to `queue:tasks`, workers BRPOP from it.
//!
//! What holds in Redis: every task goes to one worker, and one worker gets the tasks of one producer in
//! the order in which they were pushed; a single worker without a hole. A task names its run, so tasks
//! that an earlier run left behind are taken and not judged.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use redis::RedisResult;
use serde_json::Value;

use super::latency::{Latencies, Operation};
use super::world::{Phase, Violation, World, lock};

/// The list.
const TASKS_KEY: &str = "queue:tasks";
/// How long a BRPOP waits, in seconds, as the platforms' workers have it.
const POP_TIMEOUT_S: u64 = 1;
/// Most tasks of one LPUSH.
const PUSH_MAX: usize = 3;

/// What became of the tasks of a run.
#[derive(Debug)]
pub struct Ledger {
    producers: Vec<Mutex<Done>>,
    /// Producers that still push.
    pushing: AtomicUsize,
    /// Tasks acknowledged by the server.
    pushed: AtomicU64,
    /// Tasks taken by workers, without those of other runs.
    popped: AtomicU64,
    /// Tasks of other runs.
    leftovers: AtomicU64,
}

/// Which tasks of one producer were done.
#[derive(Debug, Default)]
struct Done {
    /// All up to this one (they count from 1).
    upto: u64,
    /// And these, beyond a hole that another worker is about to fill.
    beyond: BTreeSet<u64>,
}

impl Done {
    /// Notes a task; `false` if it was done before.
    fn note(&mut self, sequence: u64) -> bool {
        if sequence <= self.upto || !self.beyond.insert(sequence) {
            return false;
        }
        while self.beyond.remove(&(self.upto + 1)) {
            self.upto += 1;
        }
        true
    }
}

impl Ledger {
    /// A ledger for this many producers.
    #[must_use]
    pub fn new(producer_count: usize) -> Self {
        Self {
            producers: (0..producer_count).map(|_| Mutex::default()).collect(),
            pushing: AtomicUsize::new(producer_count),
            pushed: AtomicU64::new(0),
            popped: AtomicU64::new(0),
            leftovers: AtomicU64::new(0),
        }
    }

    /// How many producers there are.
    #[must_use]
    pub fn producer_count(&self) -> usize {
        self.producers.len()
    }

    /// Tasks taken that an earlier run had left behind.
    #[must_use]
    pub fn leftovers(&self) -> u64 {
        self.leftovers.load(Ordering::Relaxed)
    }

    /// Checks that nothing was lost; to be asked when all workers have ended.
    pub fn verify_end(&self, world: &World) {
        let pushed = self.pushed.load(Ordering::Acquire);
        let popped = self.popped.load(Ordering::Acquire);
        if pushed != popped {
            world.violate(Violation::Task, format!("{pushed} tasks pushed, {popped} done"));
        }
    }

    fn is_finished(&self) -> bool {
        self.pushing.load(Ordering::Acquire) == 0
            && self.popped.load(Ordering::Acquire) >= self.pushed.load(Ordering::Acquire)
    }
}

/// One task.
#[derive(Debug, PartialEq, Eq)]
struct Task {
    run: u64,
    producer: usize,
    sequence: u64,
    pushed_us: u64,
}

impl Task {
    fn json(&self) -> String {
        let Self { run, producer, sequence, pushed_us } = self;
        format!(
            "{{\"run\":{run},\"producer\":{producer},\"sequence\":{sequence},\
             \"pushed_us\":{pushed_us}}}"
        )
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let task = serde_json::from_slice::<Value>(text).ok()?;
        let field = |name: &str| task.get(name)?.as_u64();
        Some(Self {
            run: field("run")?,
            producer: usize::try_from(field("producer")?).ok()?,
            sequence: field("sequence")?,
            pushed_us: field("pushed_us")?,
        })
    }
}

/// Pushes tasks until the run drains.
///
/// # Errors
/// When the server answers an error or is gone.
pub fn run_producer(world: &World, number: usize, latencies: &mut Latencies) -> RedisResult<()> {
    let pushed = push_tasks(world, number, latencies);
    world.queue.pushing.fetch_sub(1, Ordering::AcqRel);
    pushed
}

fn push_tasks(world: &World, producer: usize, latencies: &mut Latencies) -> RedisResult<()> {
    let mut connection = world.connect()?;
    let mut random = world.random("producer", producer);
    let pause = Duration::from_secs(1).div_f64(world.options.task_rate.max(1) as f64);
    let mut next_at = world.clock.elapsed();
    let mut sequence = 0;
    while world.wait_until(next_at) == Phase::Running {
        let count = 1 + random.below(PUSH_MAX);
        let pushed_us = world.clock.elapsed_us();
        let mut push = redis::cmd("LPUSH");
        push.arg(TASKS_KEY);
        for _ in 0..count {
            sequence += 1;
            push.arg(Task { run: world.run, producer, sequence, pushed_us }.json());
        }
        let length = push.query::<usize>(&mut connection)?;
        latencies.record(Operation::Lpush, world.clock.elapsed_us() - pushed_us, 1);
        world.queue.pushed.fetch_add(count as u64, Ordering::AcqRel);
        if length < count {
            let text = format!("LPUSH of {count} tasks made a list of {length}");
            world.violate(Violation::Reply, text);
        }
        next_at += pause;
    }
    Ok(())
}

/// Takes tasks until the last one that was pushed is done.
///
/// # Errors
/// When the server answers an error or is gone.
pub fn run_worker(world: &World, latencies: &mut Latencies) -> RedisResult<()> {
    let mut connection = world.connect()?;
    let mut pop = redis::cmd("BRPOP");
    pop.arg(TASKS_KEY).arg(POP_TIMEOUT_S);
    let mut last_of: HashMap<usize, u64> = HashMap::new();
    let mut empty_count = 0;
    while world.phase() == Phase::Running || (!world.queue.is_finished() && empty_count < 2) {
        if world.phase() == Phase::Over {
            break;
        }
        let Some((key, text)) = pop.query::<Option<(String, Vec<u8>)>>(&mut connection)? else {
            // An empty list after the last push: whatever is missing is lost.
            let is_last = world.queue.pushing.load(Ordering::Acquire) == 0;
            empty_count += u32::from(is_last);
            continue;
        };
        let popped_us = world.clock.elapsed_us();
        match Task::parse(&text) {
            Some(task) if task.run == world.run && key == TASKS_KEY => {
                let latency_us = popped_us.saturating_sub(task.pushed_us);
                latencies.record(Operation::Task, latency_us, 1);
                judge(world, &task, last_of.entry(task.producer).or_default());
            }
            _ => {
                world.queue.leftovers.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}

/// Checks a task against what was done before; `last` is the last one of its producer that this
/// worker did.
fn judge(world: &World, task: &Task, last: &mut u64) {
    let Task { producer, sequence, .. } = *task;
    let Some(done) = world.queue.producers.get(producer) else {
        world.violate(Violation::Task, format!("a task of producer {producer}, who is unknown"));
        return;
    };
    if !lock(done).note(sequence) {
        world.violate(Violation::Task, format!("task {sequence} of {producer} came twice"));
    }
    let in_order = match world.options.workers {
        1 => sequence == *last + 1,
        _ => sequence > *last,
    };
    if !in_order {
        let text = format!("task {sequence} of {producer} after {last}");
        world.violate(Violation::Task, text);
    }
    *last = sequence;
    world.queue.popped.fetch_add(1, Ordering::AcqRel);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_read_back() {
        let task = Task { run: 1, producer: 2, sequence: 3, pushed_us: 4 };
        assert_eq!(Task::parse(task.json().as_bytes()), Some(task));
        assert_eq!(Task::parse(b"{\"run\":1}"), None);
        assert_eq!(Task::parse(b"\xff"), None);
    }

    #[test]
    fn a_task_done_twice_is_found_in_any_order() {
        let mut done = Done::default();
        for sequence in [2, 1, 4] {
            assert!(done.note(sequence));
        }
        for sequence in [1, 2, 4] {
            assert!(!done.note(sequence));
        }
        assert!(done.note(3));
        assert_eq!((done.upto, done.beyond.len()), (4, 0));
    }
}
