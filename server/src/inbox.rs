//! Mail for a core from threads that are no cores: signals, files that were written aside.
//!
//! Path: [`Inbox::post`] on any thread -> the core's `Core::drive`, at its next tick. The core is woken by a byte on
//! its reactor's signal socket, so the mail is seen also by a core that sleeps.

use crate::message::Message;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};

/// The inbox of one core. Rarely used, so that a mutex is good enough; a core without mail only loads a flag.
#[derive(Default)]
pub struct Inbox {
    has_mail: AtomicBool,
    messages: Mutex<Vec<Message>>,
    bell: OnceLock<UnixStream>,
}

impl Inbox {
    /// Says how the core is woken. It is called once, by the core, before its first tick.
    pub fn set_bell(&self, bell: UnixStream) {
        let former = self.bell.set(bell);
        debug_assert!(former.is_ok(), "a core has one signal socket");
    }

    /// Leaves a message. Any thread may call it, at any time.
    pub fn post(&self, message: Message) {
        self.lock().push(message);
        // Release here, Acquire in `take`.
        self.has_mail.store(true, Ordering::Release);
        if let Some(mut bell) = self.bell.get() {
            // Full means that bytes wait already, so the core is going to wake up.
            let _ = bell.write(&[1]);
        }
    }

    /// The messages that have arrived since the last call, in their order. Only the core calls it.
    pub fn take(&self) -> Vec<Message> {
        if !self.has_mail.load(Ordering::Relaxed) || !self.has_mail.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Message>> {
        self.messages.lock().expect("nothing panics while it holds an inbox")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Notice;
    use std::io::Read;

    #[test]
    fn mail_from_other_threads_arrives_and_rings() {
        let (bell, mut ear) = UnixStream::pair().unwrap();
        let inbox = Inbox::default();
        assert!(inbox.take().is_empty());
        inbox.set_bell(bell);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| inbox.post(Message::Tell(Box::new(Notice::Unpaused))));
            }
        });
        assert_eq!(inbox.take().len(), 4);
        assert!(inbox.take().is_empty());
        let mut bytes = [0; 4];
        ear.read_exact(&mut bytes).unwrap();
    }
}
