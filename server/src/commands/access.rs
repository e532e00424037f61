//! Who may use what is protected: `enable-debug-command` and its like.

use crate::connection::Connection;

impl Connection {
    /// Whether the client is on this machine: loopback address or Unix socket.
    pub(crate) fn is_local(&self) -> bool {
        let address = self.peer.client.peer_address;
        address.is_none_or(|address| address.ip().to_canonical().is_loopback())
    }
}
