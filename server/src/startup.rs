//! From a configuration to a running server: probe, bind, start the cores, and wait for their end.

use crate::core::Core;
use crate::journal::{Journal, Log};
use crate::mailbox::Switchboard;
use crate::recovery::{self, RecoveryError};
use crate::registry::Registry;
use crate::runtime::reactor::Reactor;
use crate::runtime::{affinity, clock, executor, probe};
use crate::shared::{Identity, Listening, Shared};
use ops::config::{Config, Settings};
use ops::http::OpsError;
use ops::metrics::{BuildInfo, Metrics};
use persistence::lock::DirectoryLock;
use shard::rng::Rng;
use shard::{Now, Shard};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::path::Path;
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
    #[error("cannot listen on {address}: {source}{remedy}")]
    Listen {
        /// Address and port, or path.
        address: String,
        /// What the kernel said.
        source: io::Error,
        /// What to do about it.
        remedy: &'static str,
    },
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
pub fn serve(config: Config) -> Result<(), StartError> {
    probe::check()?;
    let settings = config.settings().clone();
    let cpus = affinity::plan(settings.shards as usize)
        .map_err(|source| StartError::System { what: "cores", source })?;
    let renames: Vec<(String, String)> =
        config.renames().iter().map(|rename| (rename.from.clone(), rename.to.clone())).collect();
    let registry = Registry::new(&renames).map_err(StartError::Rename)?;
    let listening = listen(&settings)?;
    let build = BuildInfo { version: env!("CARGO_PKG_VERSION"), redis_version: REDIS_VERSION };
    let metrics = Arc::new(Metrics::new(build, cpus.len()));
    let started_at_us = clock::unix_us();
    let mut rng = Rng::new(started_at_us as u64 ^ u64::from(std::process::id()) << 32);
    let data = load(&settings, cpus.len(), Now { unix_us: started_at_us }, &mut rng)?;
    let (switchboard, mailboxes) = Switchboard::new(cpus.len());
    let identity = Identity { run_id: run_id(&mut rng), started_at_us };
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

/// Binds all addresses and starts listening on them.
fn listen(settings: &Settings) -> Result<Listening, StartError> {
    let mut sockets = Vec::new();
    if settings.port > 0 {
        for bind in &settings.bind {
            match listen_tcp(&bind.host, bind.ip(), settings) {
                Ok(fds) => sockets.extend(fds),
                Err(error) if bind.is_optional && is_absent(&error) => {}
                Err(source) => {
                    let address = format!("{}:{}", bind.host, settings.port);
                    return Err(StartError::Listen { address, remedy: remedy(&source), source });
                }
            }
        }
    }
    let unix_path = settings.unixsocket.as_deref();
    if let Some(path) = unix_path {
        let listener = listen_unix(path, settings).map_err(|source| StartError::Listen {
            address: path.display().to_string(),
            remedy: remedy(&source),
            source,
        })?;
        sockets.push(listener);
    }
    let unix_path = unix_path.map(|path| Arc::from(path.to_string_lossy()));
    Ok(Listening { sockets, unix_path, port: settings.port })
}

fn listen_tcp(host: &str, ip: Option<IpAddr>, settings: &Settings) -> io::Result<Vec<OwnedFd>> {
    let addresses: Vec<SocketAddr> = match ip {
        Some(ip) => vec![SocketAddr::new(ip, settings.port)],
        None => (host, settings.port).to_socket_addrs()?.collect(),
    };
    addresses
        .into_iter()
        .map(|address| {
            let socket =
                Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            // Not SO_REUSEPORT: a second server on the same port must fail.
            socket.set_reuse_address(true)?;
            if address.is_ipv6() {
                socket.set_only_v6(true)?;
            }
            socket.bind(&address.into())?;
            socket.listen(settings.tcp_backlog as i32)?;
            Ok(socket.into())
        })
        .collect()
}

fn listen_unix(path: &Path, settings: &Settings) -> io::Result<OwnedFd> {
    use std::os::unix::fs::PermissionsExt;
    // A socket file that an earlier run has left is in the way of bind.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    if settings.unixsocketperm != 0 {
        let mode = std::fs::Permissions::from_mode(settings.unixsocketperm);
        std::fs::set_permissions(path, mode)?;
    }
    socket.listen(settings.tcp_backlog as i32)?;
    Ok(socket.into())
}

/// Whether this machine simply does not have the address.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT)
    )
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; stop the other server or choose another port",
        io::ErrorKind::PermissionDenied => "; choose a port above 1023 or another path",
        _ => "",
    }
}

fn run_id(rng: &mut Rng) -> String {
    (0..40).map(|_| char::from(b"0123456789abcdef"[rng.below(16)])).collect()
}
