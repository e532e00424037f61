//! Where the server listens: TCP addresses and a Unix socket, and CONFIG SET of `port` and `bind`.
//!
//! Every core accepts on every socket. New TCP sockets come under a new generation; each core changes over to them
//! when it takes over its settings. Invariant: nothing here sets SO_REUSEPORT, so a second server on a port fails.

use crate::core::Core;
use crate::runtime::patience::patiently;
use crate::runtime::probe;
use crate::shared::Shared;
use ops::config::Settings;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf, absolute};
use std::sync::{Arc, Mutex, MutexGuard};

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{remedy}")]
pub struct ListenError {
    /// Address and port, or path.
    address: String,
    /// What the kernel said.
    source: io::Error,
    /// What to do about it.
    remedy: &'static str,
}

/// Sockets that are bound and listening.
#[derive(Debug)]
pub struct Listening {
    tcp: Mutex<TcpSockets>,
    unix: Option<OwnedFd>,
    /// As configured, which is how clients are shown it.
    unix_path: Option<Arc<str>>,
    /// The same as an absolute path.
    unix_file: Option<PathBuf>,
}

/// The TCP sockets of the moment.
#[derive(Debug)]
struct TcpSockets {
    /// Counts how often they were replaced.
    generation: usize,
    sockets: Vec<OwnedFd>,
}

/// What one core accepts on: numbers of its reactor.
#[derive(Debug, Default)]
pub(crate) struct CoreListeners {
    /// Generation of `tcp`; `None` before the first.
    generation: Option<usize>,
    tcp: Vec<usize>,
    unix: Option<usize>,
}

impl Listening {
    /// Binds all addresses. Nobody can connect before [`Listening::listen`], which waits until the data is there.
    ///
    /// # Errors
    /// The first address that cannot be listened on.
    pub fn bind(settings: &Settings) -> Result<Listening, ListenError> {
        let sockets = patiently(is_in_use, || bind_tcp(settings))?;
        let unix_path = settings.unixsocket.as_deref();
        let unix = unix_path.map(|path| {
            bind_unix(path, settings).map_err(|source| error(path.display().to_string(), source))
        });
        Ok(Listening {
            tcp: Mutex::new(TcpSockets { generation: 0, sockets }),
            unix: unix.transpose()?,
            unix_file: unix_path.map(|path| absolute(path).unwrap_or_else(|_| path.to_owned())),
            unix_path: unix_path.map(|path| Arc::from(path.to_string_lossy())),
        })
    }

    /// Lets clients connect.
    ///
    /// # Errors
    /// The first address that cannot be listened on: another server has bound it at the same moment.
    pub fn listen(&self, settings: &Settings) -> Result<(), ListenError> {
        listen_all(&self.tcp().sockets, settings)?;
        match &self.unix {
            Some(socket) => listen_all(std::slice::from_ref(socket), settings),
            None => Ok(()),
        }
    }

    /// Path of the Unix socket, if there is one.
    #[must_use]
    pub fn unix_path(&self) -> Option<Arc<str>> {
        self.unix_path.clone()
    }

    /// Removes the file of the Unix socket; the server has ended.
    pub(crate) fn remove_unix_socket(&self) {
        if let Some(file) = &self.unix_file {
            // Somebody may have removed it already.
            let _ = std::fs::remove_file(file);
        }
    }

    fn tcp(&self) -> MutexGuard<'_, TcpSockets> {
        self.tcp.lock().expect("nothing panics while it holds the sockets")
    }
}

/// Listens where `settings` say, and no longer where the server does now. The cores change over when they take over
/// their settings. Connections stay.
///
/// # Errors
/// The first address that cannot be listened on; then all is as before.
pub(crate) fn rebind(shared: &Shared, settings: &Settings) -> Result<(), ListenError> {
    let mut tcp = shared.listening.tcp();
    // The new addresses may be among the old ones, so those must be free first.
    for socket in &tcp.sockets {
        let _ = SockRef::from(socket).shutdown(Shutdown::Both);
    }
    let bound = bind_tcp(settings).and_then(|sockets| {
        listen_all(&sockets, settings)?;
        Ok(sockets)
    });
    match bound {
        Ok(sockets) => {
            *tcp = TcpSockets { generation: tcp.generation + 1, sockets };
            Ok(())
        }
        Err(error) => {
            tracing::warn!("{error}");
            for socket in &tcp.sockets {
                if let Err(error) = SockRef::from(socket).listen(backlog(settings)) {
                    tracing::warn!("cannot listen again: {error}");
                }
            }
            Err(error)
        }
    }
}

impl Core {
    /// Accepts on the listening sockets of the server, and no longer on those that were replaced.
    ///
    /// # Panics
    /// If the process is out of descriptors.
    pub fn start_listening(&self) {
        let copy = |socket: &OwnedFd| {
            let copy = socket.try_clone().expect("a few descriptors are left");
            self.reactor.listen(copy)
        };
        let listening = &self.shared.listening;
        let tcp = listening.tcp();
        let mut own = self.listeners.borrow_mut();
        if own.generation == Some(tcp.generation) {
            return;
        }
        own.tcp.drain(..).for_each(|number| self.reactor.forget_listener(number));
        own.tcp = tcp.sockets.iter().map(copy).collect();
        own.generation = Some(tcp.generation);
        if own.unix.is_none() {
            own.unix = listening.unix.as_ref().map(copy);
        }
    }

    /// Whether listener `number` of this core's reactor is the Unix socket.
    pub(crate) fn is_unix_listener(&self, number: usize) -> bool {
        self.listeners.borrow().unix == Some(number)
    }
}

fn is_in_use(error: &ListenError) -> bool {
    error.source.kind() == io::ErrorKind::AddrInUse
}

fn bind_tcp(settings: &Settings) -> Result<Vec<OwnedFd>, ListenError> {
    let mut sockets = Vec::new();
    if settings.port == 0 {
        return Ok(sockets);
    }
    for bind in &settings.bind {
        match bind_at(&bind.host, bind.ip(), settings) {
            Ok(fds) => sockets.extend(fds),
            Err(error) if bind.is_optional && probe::is_address_absent(&error) => {}
            Err(source) => {
                return Err(error(format!("{}:{}", bind.host, settings.port), source));
            }
        }
    }
    Ok(sockets)
}

fn bind_at(host: &str, ip: Option<IpAddr>, settings: &Settings) -> io::Result<Vec<OwnedFd>> {
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
            Ok(socket.into())
        })
        .collect()
}

fn bind_unix(path: &Path, settings: &Settings) -> io::Result<OwnedFd> {
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
    Ok(socket.into())
}

fn listen_all(sockets: &[OwnedFd], settings: &Settings) -> Result<(), ListenError> {
    for socket in sockets {
        let socket = SockRef::from(socket);
        if let Err(source) = socket.listen(backlog(settings)) {
            let address = socket.local_addr().ok();
            let address = match address.as_ref().and_then(SockAddr::as_socket) {
                Some(address) => address.to_string(),
                None => "the Unix socket".to_owned(),
            };
            return Err(error(address, source));
        }
    }
    Ok(())
}

fn backlog(settings: &Settings) -> i32 {
    i32::try_from(settings.tcp_backlog).unwrap_or(i32::MAX)
}

fn error(address: String, source: io::Error) -> ListenError {
    let remedy = match source.kind() {
        io::ErrorKind::AddrInUse => "; stop the other server or choose another port",
        io::ErrorKind::PermissionDenied => "; choose a port above 1023 or another path",
        _ => "",
    };
    ListenError { address, source, remedy }
}
