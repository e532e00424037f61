//! Who may use what is protected: `enable-debug-command` and its like.

use crate::connection::Connection;
use ops::config::Access;
use shard::CommandError;

impl Connection {
    /// Whether the client is on this machine: loopback address or Unix socket.
    pub(crate) fn is_local(&self) -> bool {
        let address = self.peer.client.peer_address;
        address.is_none_or(|address| address.ip().is_loopback())
    }

    /// Refuses `command` to this client, unless `access`, the value of `parameter`, includes it.
    pub(crate) fn check_access(
        &self,
        access: Access,
        command: &str,
        parameter: &str,
    ) -> Result<(), CommandError> {
        let is_allowed = match access {
            Access::Yes => true,
            Access::Local => self.is_local(),
            Access::No => false,
        };
        if is_allowed {
            return Ok(());
        }
        Err(CommandError::Text(
            format!(
                "ERR {command} command not allowed. If the {parameter} option is set to \"local\", you can run it \
                 from a local connection, otherwise you need to set this option in the configuration file, and \
                 then restart the server."
            )
            .into(),
        ))
    }
}
