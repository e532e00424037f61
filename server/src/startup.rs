//! From a configuration to a running server: probe, bind, start the cores, and wait for their end.

use crate::core::Core;
use crate::journal::{Journal, Log};
use crate::listener::{ListenError, Listening};
use crate::mailbox::Switchboard;
use crate::recovery::{self, RecoveryError};
use crate::registry::Registry;
use crate::runtime::reactor::Reactor;
use crate::runtime::{affinity, clock, executor, probe};
use crate::shared::{Identity, Shared};
use ops::config::{Config, Settings};
use ops::http::OpsError;
use ops::log::LogControl;
use ops::metrics::{BuildInfo, Metrics};
use persistence::lock::DirectoryLock;
use shard::rng::Rng;
use shard::{Now, Shard};
use std::io;
use std::sync::Arc;

/// The version of Redis whose behaviour we follow, as INFO tells clients.
pub const REDIS_VERSION: &str = "7.2.6";

/// Why the server did not start: one sentence.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// This machine does not allow what the server needs.
    #[error(transparent)]
    Probe(#[from] probe::ProbeError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// `rename-command` names a command that does not exist, or a name that is taken.
    #[error("rename-command: there is no command '{0}', or its new name is taken")]
    Rename(String),
    /// The data cannot be recovered.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The ops thread cannot start.
    #[error(transparent)]
    Ops(#[from] OpsError),
    /// The system is out of something.
    #[error("cannot start {what}: {source}")]
    System {
        /// What was being started.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Runs the server until it is told to stop.
///
/// # Errors
/// Why it did not start.
pub fn serve(config: Config, text_log: LogControl) -> Result<(), StartError> {
    probe::check()?;
    let settings = config.settings().clone();
    let cpus = affinity::plan(settings.shards as usize)
        .map_err(|source| StartError::System { what: "cores", source })?;
    let renames: Vec<(String, String)> =
        config.renames().iter().map(|rename| (rename.from.clone(), rename.to.clone())).collect();
    let registry = Registry::new(&renames).map_err(StartError::Rename)?;
    let listening = Listening::bind(&settings)?;
    let build = BuildInfo { version: env!("CARGO_PKG_VERSION"), redis_version: REDIS_VERSION };
    let metrics = Arc::new(Metrics::new(build, cpus.len()));
    let started_at_us = clock::unix_us();
    let mut rng = Rng::new(started_at_us as u64 ^ u64::from(std::process::id()) << 32);
    let data = load(&settings, cpus.len(), Now { unix_us: started_at_us }, &mut rng)?;
    listening.listen(&settings)?;
    let (switchboard, mailboxes) = Switchboard::new(cpus.len());
    let identity = Identity {
        run_id: random_id(&mut rng),
        replication_id: random_id(&mut rng),
        started_at_us,
        text_log,
    };
    let shared = Arc::new(Shared::new(
        switchboard,
        registry,
        config,
        metrics.clone(),
        listening,
        identity,
        data.log,
    ));
    let _lock = data.lock;
    let mut data = data.shards.into_iter().zip(data.journals);

    let mut threads = Vec::with_capacity(cpus.len());
    for (mailbox, cpu) in mailboxes.into_iter().zip(&cpus) {
        let id = threads.len();
        let shared = shared.clone();
        let (shard, journal) = data.next().expect("one shard per core");
        let thread = executor::spawn_core(id, *cpu, move || async move {
            let reactor = Reactor::new().expect("probed: io_uring is available");
            let core = Core::new(id, shared, reactor, mailbox, shard, journal);
            core.start_listening();
            core.drive().await;
        });
        threads.push(thread.map_err(|source| StartError::System { what: "a core", source })?);
    }
    metrics.set_ready(true);
    tracing::info!(shards = cpus.len(), port = settings.port, "Ready to accept connections");
    for thread in threads {
        // A core that panics has ended the process already.
        let _ = thread.join();
    }
    Ok(())
}

/// What the cores start from.
struct Data {
    shards: Vec<Shard>,
    /// `None` for each without an append-only file.
    journals: Vec<Option<Journal>>,
    log: Option<Log>,
    /// Held as long as the server runs.
    lock: Option<DirectoryLock>,
}

/// Makes the shards, and fills them from the append-only file if there is to be one.
fn load(settings: &Settings, count: usize, now: Now, rng: &mut Rng) -> Result<Data, StartError> {
    let options = crate::options::shard_options(settings);
    let mut new_shard = || Shard::new(options.clone(), settings.databases as usize, rng.next_u64());
    if !settings.appendonly {
        let shards = (0..count).map(|_| new_shard()).collect();
        let journals = (0..count).map(|_| None).collect();
        return Ok(Data { shards, journals, log: None, lock: None });
    }
    let begun_at = clock::Moment::now();
    let recovered = recovery::recover(settings, count, now, new_shard)?;
    for warning in &recovered.warnings {
        tracing::warn!("{warning}");
    }
    let ms = clock::Moment::now().ns_since(begun_at) / 1_000_000;
    let commands = recovered.command_count;
    tracing::info!("DB loaded from append only file: {commands} commands in {ms} ms");
    Ok(Data {
        shards: recovered.shards,
        journals: recovered.journals.into_iter().map(Some).collect(),
        log: Some(recovered.log),
        lock: Some(recovered.lock),
    })
}

/// 40 random hexadecimal digits.
pub(crate) fn random_id(rng: &mut Rng) -> String {
    (0..40).map(|_| char::from(b"0123456789abcdef"[rng.below(16)])).collect()
}
