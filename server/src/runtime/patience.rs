//! Asking again for what the kernel refuses only for a moment: a port, a ring.
//!
//! A server that has been killed leaves its rings, and with them its sockets and their memory, to be closed in the
//! background a moment after the process has gone. Who starts it anew should not have to wait for that.

use super::clock::Moment;
use std::io;
use std::time::Duration;

/// How long it is worth asking.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long to wait between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Attempts something until it succeeds, fails for a reason that `is_passing` does not take for a passing one, or has
/// failed for two seconds. Blocks the thread: only for the start.
///
/// # Errors
/// That of the last attempt.
pub fn patiently<T, E>(
    is_passing: impl Fn(&E) -> bool,
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let give_up_at = Moment::now().after(PATIENCE);
    loop {
        match attempt() {
            Err(error) if is_passing(&error) && Moment::now() < give_up_at => {
                std::thread::sleep(PAUSE);
            }
            result => return result,
        }
    }
}

/// Whether the kernel had no memory to spare at that moment.
#[must_use]
pub fn is_out_of_memory(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_what_does_not_is_told_at_once() {
        let mut attempts = 0;
        let result = patiently(is_out_of_memory, || {
            attempts += 1;
            if attempts < 3 { Err(io::ErrorKind::OutOfMemory.into()) } else { Ok(attempts) }
        });
        assert_eq!(result.unwrap(), 3);

        let mut attempts = 0;
        let result: io::Result<()> = patiently(is_out_of_memory, || {
            attempts += 1;
            Err(io::ErrorKind::PermissionDenied.into())
        });
        assert_eq!((result.unwrap_err().kind(), attempts), (io::ErrorKind::PermissionDenied, 1));
    }
}
