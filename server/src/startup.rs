//! From a configuration to a running server: probe, bind, start the cores, and wait for their end.

use crate::core::Core;
use crate::journal::{Journal, Log};
use crate::listener::{ListenError, Listening};
use crate::mailbox::Switchboard;
use crate::message::{Message, Notice};
use crate::recovery::{self, RecoveryError};
use crate::registry::Registry;
use crate::runtime::{affinity, clock, executor, limits, probe};
use crate::shared::{self, Identity, Shared};
use crate::supervision::{self, PidFile};
use ops::config::{Config, SetContext, Settings};
use ops::http::{OpsError, OpsThread, StopSignal};
use ops::log::LogControl;
use ops::metrics::{BuildInfo, Metrics};
use persistence::lock::DirectoryLock;
use script::Catalog;
use shard::rng::Rng;
use shard::{Now, Shard};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};

/// The version of Redis whose behaviour we follow, as INFO tells clients.
pub const REDIS_VERSION: &str = "7.2.6";

/// The allocator of this build, by the name that INFO gives it: `libc` is whatever the system has, as in Redis.
pub const ALLOCATOR: &str = if cfg!(feature = "system-allocator") { "libc" } else { "mimalloc" };

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
    /// The data directory cannot be entered.
    #[error("cannot enter the directory {dir}: {source}; check dir and its permissions")]
    Directory {
        /// The parameter `dir`.
        dir: String,
        /// What the kernel said.
        source: io::Error,
    },
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
    announce(&config);
    let config = fit_clients(config);
    let settings = config.settings().clone();
    std::env::set_current_dir(&settings.dir).map_err(|source| StartError::Directory {
        dir: settings.dir.display().to_string(),
        source,
    })?;
    let _pid_file = settings.pidfile.as_deref().and_then(PidFile::write);
    let cpus = affinity::plan(settings.shards as usize)
        .map_err(|source| StartError::System { what: "cores", source })?;
    let renames: Vec<(String, String)> =
        config.renames().iter().map(|rename| (rename.from.clone(), rename.to.clone())).collect();
    let registry = Registry::new(&renames).map_err(StartError::Rename)?;
    let listening = Listening::bind(&settings)?;
    let build = BuildInfo { version: env!("CARGO_PKG_VERSION"), redis_version: REDIS_VERSION };
    let metrics = Arc::new(Metrics::new(build, cpus.len()));
    let on_signal = Arc::new(OnceLock::new());
    let ops_thread = start_ops(&config, metrics.clone(), on_signal.clone())?;
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
        shared::Data { shards: data.shards, log: data.log },
    ));
    shared.scripts.set_catalog(data.functions);
    let empty = Shard::new(shard::Options::default(), settings.databases as usize, 0);
    shared.memory.set_startup((empty.keyspace().overhead_bytes() * cpus.len()) as u64);
    let _former = on_signal.set(shared.clone());
    let _lock = data.lock;
    let mut journals = data.journals.into_iter();

    let mut threads = Vec::with_capacity(cpus.len());
    let (started, has_started) = mpsc::channel();
    let not_started = |source| StartError::System { what: "a core", source };
    for (mailbox, cpu) in mailboxes.into_iter().zip(&cpus) {
        let id = threads.len();
        let shared = shared.clone();
        let journal = journals.next().expect("one per core");
        let main = move |reactor| async move {
            let core = Core::new(id, shared, reactor, mailbox, journal);
            core.start_listening();
            core.shared.start_barrier.wait();
            core.drive().await;
        };
        let thread = executor::spawn_core(id, *cpu, started.clone(), main);
        threads.push(thread.map_err(not_started)?);
    }
    for _ in &threads {
        has_started
            .recv()
            .expect("every core tells it, and one end is ours")
            .map_err(not_started)?;
    }
    let supervisor = supervision::supervisor(&settings);
    shared.start_barrier.wait();
    metrics.set_ready(true);
    tracing::info!("Server initialized");
    tracing::info!("Ready to accept connections, {} shards", cpus.len());
    supervision::notify(supervisor, "READY=1\nSTATUS=Ready to accept connections\n");
    for thread in threads {
        // A core that panics has ended the process already.
        let _ = thread.join();
    }
    supervision::notify(supervisor, "STOPPING=1\n");
    shared.listening.remove_unix_socket();
    drop(ops_thread);
    tracing::info!("Rialto has ended, bye");
    Ok(())
}

/// The first lines of the log.
fn announce(config: &Config) {
    let (version, pid) = (env!("CARGO_PKG_VERSION"), std::process::id());
    let bits = usize::BITS;
    tracing::info!(
        "Rialto version={version}, compatible with Redis {REDIS_VERSION}, bits={bits}, just started, PID: {pid}"
    );
    match config.file() {
        Some(file) => tracing::info!("Configuration loaded from {}", file.display()),
        None => tracing::info!("No configuration file: defaults and the command line count"),
    }
    for (name, why) in config.without_effect() {
        tracing::warn!("the parameter {name} has no effect: {why}");
    }
    tracing::info!("Running mode=standalone, port={}.", config.settings().port);
}

/// Raises the limit on open files for `maxclients`; where that is impossible, lowers `maxclients` and says so.
fn fit_clients(config: Config) -> Config {
    let wanted = config.settings().maxclients;
    let allowed = limits::allow_clients(wanted);
    if allowed == wanted {
        return config;
    }
    tracing::warn!(
        "the limit on open files is too low for {wanted} clients; maxclients is {allowed} now. Raise it (ulimit -n, \
         LimitNOFILE in systemd) or lower maxclients"
    );
    let number = allowed.to_string();
    match config.set(&[(b"maxclients", number.as_bytes())], SetContext::default()) {
        Ok(change) => change.config,
        Err(error) => unreachable!("maxclients takes every positive number: {error}"),
    }
}

/// Starts the thread for metrics and signals. Signals that come before the cores run end the process.
fn start_ops(
    config: &Config,
    metrics: Arc<Metrics>,
    target: Arc<OnceLock<Arc<Shared>>>,
) -> Result<OpsThread, OpsError> {
    let settings = config.settings();
    let ip = settings.metrics_bind.parse().unwrap_or(IpAddr::from([127, 0, 0, 1]));
    let address = (settings.metrics_port > 0).then(|| SocketAddr::new(ip, settings.metrics_port));
    let is_interrupted = Arc::new(AtomicBool::new(false));
    let on_signal = move |signal: StopSignal| {
        // Who presses Ctrl-C twice wants no good order.
        if signal == StopSignal::Interrupt && is_interrupted.swap(true, Ordering::Relaxed) {
            std::process::exit(1);
        }
        match target.get() {
            Some(shared) => shared.inboxes[0].post(Message::Tell(Box::new(Notice::Signal(signal)))),
            None => std::process::exit(0),
        }
    };
    match ops::http::start(metrics.clone(), address, on_signal.clone()) {
        // Nobody asked for this port, so that a second server on the machine should start all the same.
        Err(error @ OpsError::Bind { .. }) if !config.is_given("metrics-port") => {
            tracing::warn!("{error}; there are no metrics until then");
            ops::http::start(metrics, None, on_signal)
        }
        started => started,
    }
}

/// What the cores start from.
struct Data {
    shards: Vec<Shard>,
    /// `None` for each without an append-only file.
    journals: Vec<Option<Journal>>,
    log: Option<Log>,
    /// Libraries of functions.
    functions: Catalog,
    /// Held as long as the server runs.
    lock: Option<DirectoryLock>,
}

/// Makes the shards, and fills them from the append-only file if there is to be one.
fn load(settings: &Settings, count: usize, now: Now, rng: &mut Rng) -> Result<Data, StartError> {
    let options = crate::options::shard_options(settings);
    shard::types::hash_index::seed(rng.next_u64());
    let mut new_shard = || {
        let mut shard = Shard::new(options.clone(), settings.databases as usize, rng.next_u64());
        shard.set_clock(clock::thread_ns);
        shard
    };
    if !settings.appendonly {
        let shards = (0..count).map(|_| new_shard()).collect();
        let journals = (0..count).map(|_| None).collect();
        return Ok(Data { shards, journals, log: None, functions: Catalog::default(), lock: None });
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
        functions: recovered.functions,
        lock: Some(recovered.lock),
    })
}

/// 40 random hexadecimal digits.
pub(crate) fn random_id(rng: &mut Rng) -> String {
    (0..40).map(|_| char::from(b"0123456789abcdef"[rng.below(16)])).collect()
}
