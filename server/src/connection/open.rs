//! The beginning and the end of a connection.

use super::{Connection, Session};
use crate::clients::{Address, Client, ClientFlags};
use crate::core::Core;
use crate::message::NewConnection;
use crate::peer::{Close, Peer};
use crate::runtime::socket::Socket;
use protocol::reply::Resp;
use socket2::{SockRef, TcpKeepalive};
use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long the last replies of a connection that is being closed may take to reach the kernel.
const LAST_REPLIES_MAX: Duration = Duration::from_secs(5);

impl Connection {
    /// Takes over an accepted socket, or refuses it (`maxclients`, protected mode) and gives `None`.
    pub(crate) fn open(core: Rc<Core>, connection: NewConnection) -> Option<Connection> {
        let NewConnection { fd, is_unix } = connection;
        let (peer_address, local_address) = prepare(&core, &fd, is_unix);
        let shared = core.shared.clone();
        let settings = core.settings();
        let refusal = refusal(&core, peer_address, is_unix);
        let client = Arc::new(Client {
            id: shared.clients.next_id(),
            fd: std::os::fd::AsRawFd::as_raw_fd(&fd).into(),
            peer_address: peer_address.map(Address::from),
            local_address: local_address.map(Address::from),
            unix_path: is_unix.then(|| shared.listening.unix_path()).flatten(),
            ..nobody(&core)
        });
        let is_refused = refusal.is_some() || !shared.clients.insert(client.clone());
        if is_refused {
            if let Some(text) = refusal {
                // The socket is new, so this fits into its buffer; if not, the client sees only the close.
                let _ = std::fs::File::from(fd).write_all(text);
            }
            shared.connection_counts[core.id].fetch_sub(1, Ordering::Relaxed);
            core.counters().connections_rejected.increment();
            return None;
        }
        let socket = Socket::new(core.reactor.clone(), fd);
        client.token.store(socket.key().to_token(), Ordering::Relaxed);
        client.set_flag(ClientFlags::UNIX_SOCKET, is_unix);
        let is_authenticated = settings.requirepass.is_empty();
        client.set_flag(ClientFlags::AUTHENTICATED, is_authenticated);
        let peer = Rc::new(Peer::new(socket.key(), client));
        core.add_peer(peer.clone());
        Some(Connection::new(core, socket, peer, Session::new(is_authenticated)))
    }

    /// A connection that nobody is at the other end of, for a command of the server that a script runs. It is in no
    /// registry, and what is replied to it stays in [`Connection::replies`].
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub(crate) fn for_script(core: Rc<Core>, db: u16, resp: Resp) -> std::io::Result<Connection> {
        let (end, _other_end) = UnixStream::pair()?;
        let socket = Socket::new(core.reactor.clone(), end.into());
        let peer = Rc::new(Peer::new(socket.key(), Arc::new(nobody(&core))));
        let mut connection = Connection::new(core, socket, peer, Session::new(true));
        connection.set_db(db);
        connection.set_resp(resp);
        Ok(connection)
    }

    fn new(core: Rc<Core>, socket: Socket, peer: Rc<Peer>, session: Session) -> Connection {
        Connection {
            core,
            socket,
            peer,
            session,
            parser: None,
            query: Vec::new(),
            replies: Vec::new(),
            exchange: None,
        }
    }

    /// Ends the connection: last replies, subscriptions, registry.
    pub(super) async fn close(&mut self) {
        if self.peer.close.get() != Some(Close::Now) {
            self.flush();
            let deadline = crate::runtime::clock::Moment::now().after(LAST_REPLIES_MAX);
            let reactor = self.core.reactor.clone();
            futures_lite::future::or(self.socket.flushed(), reactor.sleep_until(deadline)).await;
        }
        self.stop_monitoring();
        self.leave().await;
        self.discard();
        self.stop_tracking().await;
        self.core.remove_peer(self.peer.key);
        let shared = &self.core.shared;
        shared.clients.remove(self.peer.client.id);
        shared.connection_counts[self.core.id].fetch_sub(1, Ordering::Relaxed);
    }
}

/// The row of a client that has just come from nowhere.
fn nobody(core: &Core) -> Client {
    let now_ms = core.now().unix_ms();
    Client {
        id: 0,
        core: core.id as u16,
        token: 0.into(),
        fd: (-1).into(),
        peer_address: None,
        local_address: None,
        unix_path: None,
        connected_at_ms: now_ms,
        active_at_ms: now_ms.into(),
        last_command: u16::MAX.into(),
        db: 0.into(),
        resp: 2.into(),
        flags: 0.into(),
        channel_count: 0.into(),
        pattern_count: 0.into(),
        shard_channel_count: 0.into(),
        query_len: 0.into(),
        query_capacity: 0.into(),
        queued_count: (-1).into(),
        queued_len: 0.into(),
        output_len: 0.into(),
        redirect: 0.into(),
        names: Mutex::default(),
        claim: Mutex::default(),
    }
}

/// Sets the socket's options; returns where it comes from and what it has connected to.
fn prepare(core: &Core, fd: &OwnedFd, is_unix: bool) -> (Option<SocketAddr>, Option<SocketAddr>) {
    if is_unix {
        return (None, None);
    }
    let socket = SockRef::from(fd);
    // A socket whose peer has already gone refuses options; its first read tells.
    let _ = socket.set_tcp_nodelay(true);
    let seconds = core.settings().tcp_keepalive_s;
    if seconds > 0 {
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(seconds.into()))
            .with_interval(Duration::from_secs((seconds / 3).max(1).into()))
            .with_retries(3);
        let _ = socket.set_tcp_keepalive(&keepalive);
    }
    let address = |address: std::io::Result<socket2::SockAddr>| address.ok()?.as_socket();
    (address(socket.peer_addr()), address(socket.local_addr()))
}

/// Why this client may not connect, as Redis tells it.
fn refusal(core: &Core, peer: Option<SocketAddr>, is_unix: bool) -> Option<&'static [u8]> {
    let settings = core.settings();
    if core.shared.clients.len() >= settings.maxclients as usize {
        return Some(b"-ERR max number of clients reached\r\n");
    }
    let is_local = is_unix || peer.is_none_or(|peer| peer.ip().to_canonical().is_loopback());
    let is_protected = settings.protected_mode && settings.requirepass.is_empty();
    if is_protected && !is_local && !core.shared.is_bind_given {
        return Some(
            b"-DENIED Rialto is in protected mode: no password is set and no bind address is configured, so only \
              connections from this machine are accepted. To allow others, set a password (requirepass), name the \
              addresses to listen on (bind), or turn protected-mode off.\r\n",
        );
    }
    None
}
