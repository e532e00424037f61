//! What others want to know of the process: its id in a file, and for systemd that it is ready or stopping.

use ops::config::{Settings, Supervised};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};

/// Who watches the process, found out from `supervised` and the environment.
#[must_use]
pub(crate) fn supervisor(settings: &Settings) -> Supervised {
    let is_told = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match settings.supervised {
        Supervised::Auto if is_told(NOTIFY_SOCKET) => Supervised::Systemd,
        Supervised::Auto if is_told("UPSTART_JOB") => Supervised::Upstart,
        Supervised::Auto => Supervised::No,
        supervised => supervised,
    }
}

const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// Tells systemd something, such as `READY=1`. A supervisor that cannot be told gets a line in the log.
pub(crate) fn notify(supervisor: Supervised, state: &str) {
    match supervisor {
        Supervised::Systemd => {
            let socket = std::env::var_os(NOTIFY_SOCKET).unwrap_or_default();
            if let Err(error) = send(&socket, state) {
                tracing::warn!("systemd cannot be told {state}: {error}");
            }
        }
        Supervised::Upstart => {
            tracing::warn!("supervised upstart: upstart is told nothing; use systemd or no");
        }
        Supervised::Auto | Supervised::No => {}
    }
}

/// Sends one datagram to a socket as `NOTIFY_SOCKET` names it: a path, or `@` and an abstract name.
fn send(socket: &OsString, state: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [] => return Err(io::Error::other("NOTIFY_SOCKET is not set")),
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

/// The file with the process id, as long as the server runs.
#[derive(Debug)]
pub(crate) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the file. One that cannot be written gets a line in the log, as in Redis.
    #[must_use]
    pub(crate) fn write(path: &Path) -> Option<PidFile> {
        // Absolute, so that a later change of the directory does not lose it.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        match fs::write(&path, format!("{}\n", std::process::id())) {
            Ok(()) => Some(PidFile(path)),
            Err(error) => {
                tracing::warn!("cannot write the pid file {}: {error}", path.display());
                None
            }
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_reaches_a_socket_by_path_or_abstract_name() {
        let folder = std::env::temp_dir().join(format!("rialto-notify-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("rialto-notify-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        for (receiver, socket) in
            [(by_path, path.clone().into_os_string()), (by_name, format!("@{name}").into())]
        {
            send(&socket, "READY=1").unwrap();
            let mut bytes = [0; 16];
            let len = receiver.recv(&mut bytes).unwrap();
            assert_eq!(&bytes[..len], b"READY=1");
        }
        assert!(send(&OsString::new(), "READY=1").is_err());
        fs::remove_dir_all(&folder).unwrap();
        assert!(send(&path.into_os_string(), "READY=1").is_err());
    }

    #[test]
    fn the_pid_file_goes_with_the_server() {
        let path = std::env::temp_dir().join(format!("rialto-pid-{}", std::process::id()));
        let file = PidFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());
        assert!(PidFile::write(Path::new("/nonexistent/pid")).is_none());
    }
}
