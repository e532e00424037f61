//! The client registry: one row per connection, readable from every core and from the ops thread.
//!
//! Each row is written by the core of its connection and read by CLIENT LIST, CLIENT KILL and INFO wherever they run.

use crate::registry::CommandId;
use shard::waiters::Claim;
use sharded_slab::Slab;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{
    AtomicI32, AtomicI64, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

/// One connection. Atomics have one writer, the connection's core; loads may be a tick old.
#[derive(Debug)]
pub struct Client {
    /// CLIENT ID.
    pub id: u64,
    /// Core of the connection.
    pub core: u16,
    /// Token of the connection on its core.
    pub token: AtomicU64,
    /// Descriptor number.
    pub fd: AtomicI32,
    /// Where it comes from; `None` for a Unix socket.
    pub peer_address: Option<Address>,
    /// What it has connected to; `None` for a Unix socket.
    pub local_address: Option<Address>,
    /// Path of the Unix socket it has connected to.
    pub unix_path: Option<Arc<str>>,
    /// When it connected, in milliseconds since 1970.
    pub connected_at_ms: i64,
    /// When it last sent a command, in milliseconds since 1970.
    pub active_at_ms: AtomicI64,
    /// Its last command; `u16::MAX` before the first.
    pub last_command: AtomicU16,
    /// Selected database.
    pub db: AtomicU16,
    /// Protocol version, 2 or 3.
    pub resp: AtomicU16,
    /// Flags; see [`ClientFlags`].
    pub flags: AtomicU32,
    /// Channels, patterns and shard channels it has subscribed to.
    pub channel_count: AtomicU32,
    /// Patterns.
    pub pattern_count: AtomicU32,
    /// Shard channels.
    pub shard_channel_count: AtomicU32,
    /// Bytes of requests received and not yet run.
    pub query_len: AtomicU32,
    /// Bytes of memory the query buffer holds.
    pub query_capacity: AtomicU32,
    /// Commands queued since MULTI; -1 without one.
    pub queued_count: AtomicI32,
    /// Their bytes.
    pub queued_len: AtomicU32,
    /// Bytes of replies that wait to be sent.
    pub output_len: AtomicUsize,
    /// Id of the client that gets its invalidations; 0 for itself or none.
    pub redirect: AtomicU64,
    /// What a client says of itself, rarely changed.
    pub(crate) names: Mutex<Option<Box<Names>>>,
    /// While it waits in a blocking command: the right to end that.
    pub(crate) claim: Mutex<Option<Claim>>,
}

/// An IP address and a port in 18 bytes: there is one of these or two per connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// IPv4 in its IPv6 form.
    ip: [u8; 16],
    port: u16,
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Address { ip: ip.octets(), port: address.port() }
    }
}

impl Address {
    /// The IP address; a mapped one as IPv4.
    #[must_use]
    pub fn ip(self) -> IpAddr {
        IpAddr::from(self.ip).to_canonical()
    }
}

/// What a client says of itself.
#[derive(Debug)]
pub struct Names {
    /// CLIENT SETNAME.
    pub name: Box<[u8]>,
    /// CLIENT SETINFO LIB-NAME.
    pub library: Box<[u8]>,
    /// CLIENT SETINFO LIB-VER.
    pub library_version: Box<[u8]>,
    /// ACL user.
    pub user: Box<[u8]>,
}

impl Default for Names {
    fn default() -> Self {
        Names {
            name: Box::default(),
            library: Box::default(),
            library_version: Box::default(),
            user: Box::from(&b"default"[..]),
        }
    }
}

/// What most clients say of themselves: nothing. They hold no memory for it.
static UNNAMED: LazyLock<Names> = LazyLock::new(Names::default);

/// The names of a client, locked.
#[derive(Debug)]
pub struct NamesGuard<'a>(MutexGuard<'a, Option<Box<Names>>>);

impl Deref for NamesGuard<'_> {
    type Target = Names;

    fn deref(&self) -> &Names {
        self.0.as_deref().unwrap_or(&UNNAMED)
    }
}

impl DerefMut for NamesGuard<'_> {
    fn deref_mut(&mut self) -> &mut Names {
        self.0.get_or_insert_default()
    }
}

/// Bits of [`Client::flags`].
pub struct ClientFlags;

impl ClientFlags {
    /// MONITOR.
    pub const MONITOR: u32 = 1 << 0;
    /// Has a subscription.
    pub const PUBSUB: u32 = 1 << 1;
    /// CLIENT TRACKING.
    pub const TRACKING: u32 = 1 << 2;
    /// CLIENT TRACKING … BCAST.
    pub const TRACKING_BCAST: u32 = 1 << 3;
    /// The client that gets the invalidations of a tracking client is gone.
    pub const TRACKING_BROKEN_REDIRECT: u32 = 1 << 4;
    /// CLIENT NO-EVICT.
    pub const NO_EVICT: u32 = 1 << 5;
    /// CLIENT NO-TOUCH.
    pub const NO_TOUCH: u32 = 1 << 6;
    /// Connected by a Unix socket.
    pub const UNIX_SOCKET: u32 = 1 << 7;
    /// To be closed: at once, or when its replies are sent.
    pub const CLOSE_AFTER_REPLY: u32 = 1 << 8;
    /// Has authenticated, or need not.
    pub const AUTHENTICATED: u32 = 1 << 9;
    /// Its command is held back by CLIENT PAUSE.
    pub const PAUSED: u32 = 1 << 10;
    /// CLIENT TRACKING … NOLOOP.
    pub const TRACKING_NOLOOP: u32 = 1 << 11;
    /// Between MULTI and EXEC.
    pub const MULTI: u32 = 1 << 12;
}

impl Client {
    /// What it says of itself, locked; hold it no longer than for a few statements.
    pub fn names(&self) -> NamesGuard<'_> {
        NamesGuard(self.names.lock().expect("nothing panics while it holds the names"))
    }

    /// Whether it waits in a blocking command, and nobody has served it yet or ended its waiting.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.claim().as_ref().is_some_and(|claim| !claim.is_taken())
    }

    /// Takes the right to end its waiting in a blocking command; `false` if it does not wait, or somebody was faster.
    #[must_use]
    pub fn take_claim(&self) -> bool {
        self.claim().as_ref().is_some_and(Claim::take)
    }

    /// It begins to wait in a blocking command, or has ended it.
    pub(crate) fn set_claim(&self, claim: Option<Claim>) {
        *self.claim() = claim;
    }

    fn claim(&self) -> MutexGuard<'_, Option<Claim>> {
        self.claim.lock().expect("nothing panics while it holds the claim")
    }

    /// Whether it waits: in a blocking command, or for the end of CLIENT PAUSE.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.has_flag(ClientFlags::PAUSED) || self.is_blocked()
    }

    /// Sets or clears `flag`, or several at once.
    pub fn set_flag(&self, flag: u32, is_set: bool) {
        if is_set {
            self.flags.fetch_or(flag, Ordering::Relaxed);
        } else {
            self.flags.fetch_and(!flag, Ordering::Relaxed);
        }
    }

    /// Address as CLIENT LIST and SLOWLOG show it: `ip:port`, or the path of the Unix socket and `:0`.
    #[must_use]
    pub fn address(&self) -> String {
        self.show(self.peer_address)
    }

    /// The address the client has connected to, in the same form.
    #[must_use]
    pub fn server_address(&self) -> String {
        self.show(self.local_address)
    }

    fn show(&self, address: Option<Address>) -> String {
        match (address, &self.unix_path) {
            // A client that came by IPv4 to a socket for both is shown with its IPv4 address.
            (Some(address), _) => match address.ip() {
                IpAddr::V4(ip) => format!("{ip}:{}", address.port),
                IpAddr::V6(ip) => format!("[{ip}]:{}", address.port),
            },
            (None, Some(path)) => format!("{path}:0"),
            (None, None) => "?:0".to_owned(),
        }
    }

    /// Whether `flag` is set.
    #[must_use]
    pub fn has_flag(&self, flag: u32) -> bool {
        self.flags.load(Ordering::Relaxed) & flag != 0
    }
}

/// All connections. Rows are read without a lock; the index is locked when a client comes or goes or all are listed.
#[derive(Debug)]
pub struct Clients {
    rows: Slab<Arc<Client>>,
    /// Row of each client id; ids ascend, so this is also the order of CLIENT LIST.
    index: Mutex<BTreeMap<u64, usize>>,
    next_id: AtomicU64,
    count: AtomicUsize,
}

impl Default for Clients {
    fn default() -> Self {
        Clients {
            rows: Slab::new(),
            index: Mutex::default(),
            next_id: AtomicU64::new(1),
            count: AtomicUsize::new(0),
        }
    }
}

impl Clients {
    /// A new CLIENT ID; never given twice.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds a row; `false` if the registry is full.
    pub fn insert(&self, client: Arc<Client>) -> bool {
        let id = client.id;
        let Some(row) = self.rows.insert(client) else { return false };
        self.lock_index().insert(id, row);
        self.count.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Removes the row of client `id`.
    pub fn remove(&self, id: u64) {
        let row = self.lock_index().remove(&id);
        if let Some(row) = row {
            self.rows.remove(row);
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Client `id`.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<Arc<Client>> {
        let row = *self.lock_index().get(&id)?;
        self.rows.get(row).map(|client| client.clone())
    }

    /// How many connections there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there is no connection.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All connections, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Client>> {
        let rows: Vec<usize> = self.lock_index().values().copied().collect();
        rows.into_iter().filter_map(|row| self.rows.get(row).map(|client| client.clone())).collect()
    }

    fn lock_index(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        self.index.lock().expect("nothing panics while it holds the index")
    }
}

/// The last command of a client, as its number.
#[must_use]
pub fn last_command(client: &Client) -> Option<CommandId> {
    let id = client.last_command.load(Ordering::Relaxed);
    (id != u16::MAX).then_some(CommandId(id))
}
