//! io_uring of one core: operations in, completions out. The only file that makes submission entries.
//!
//! Owner: one core; the ring is made on the core's own thread (`SINGLE_ISSUER`), and completions are delivered only
//! inside [`Ring::enter`] (`DEFER_TASKRUN`).

use super::buffers::{self, Buffers};
use io_uring::{IoUring, cqueue, opcode, squeue, types};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// Submission entries; more in one tick are submitted in several calls.
const ENTRY_COUNT: u32 = 1024;
/// Completions the kernel holds before it has to use its overflow list.
const COMPLETION_COUNT: u32 = 8192;

/// One completion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Completion {
    /// What the operation was given.
    pub(super) user_data: u64,
    /// Result: a count or descriptor, or a negative errno.
    pub(super) result: i32,
    /// The provided buffer that holds the bytes received.
    pub(super) buffer: Option<u16>,
    /// Whether the operation goes on and more completions follow.
    pub(super) has_more: bool,
}

/// The ring of one core.
pub(super) struct Ring {
    io: IoUring,
}

impl Ring {
    /// Makes the ring. Must be called on the thread that uses it.
    ///
    /// The buffers must outlive the ring.
    pub(super) fn new() -> io::Result<(Ring, Buffers)> {
        let io = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_submit_all()
            .setup_cqsize(COMPLETION_COUNT)
            .build(ENTRY_COUNT)?;
        let buffers = Buffers::register(&io.submitter())?;
        Ok((Ring { io }, buffers))
    }

    /// The descriptor by which other cores wake this one.
    pub(super) fn fd(&self) -> RawFd {
        self.io.as_raw_fd()
    }

    /// Accepts connections on a listening socket until cancelled.
    pub(super) fn accept(&mut self, fd: RawFd, user_data: u64) {
        let flags = libc::SOCK_CLOEXEC;
        self.push(opcode::AcceptMulti::new(types::Fd(fd)).flags(flags).build(), user_data);
    }

    /// Receives on a socket into provided buffers until cancelled, end of stream or want of buffers.
    pub(super) fn recv(&mut self, fd: RawFd, user_data: u64) {
        self.push(opcode::RecvMulti::new(types::Fd(fd), buffers::GROUP).build(), user_data);
    }

    /// Sends `bytes` whole, unless the connection fails.
    ///
    /// # Safety
    /// The memory behind `bytes` must stay in place, unchanged, until the completion has been taken.
    #[expect(unsafe_code, reason = "U-04: the kernel reads the bytes later")]
    pub(super) unsafe fn send(&mut self, fd: RawFd, bytes: &[u8], user_data: u64) {
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let send = opcode::Send::new(types::Fd(fd), bytes.as_ptr(), len)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL);
        self.push(send.build(), user_data);
    }

    /// Wakes the core whose ring has descriptor `ring_fd`: it gets a completion with `user_data`.
    pub(super) fn wake(&mut self, ring_fd: RawFd, user_data: u64) {
        let wake = opcode::MsgRingData::new(types::Fd(ring_fd), 0, user_data, None).build();
        // On success there is nothing to learn here.
        self.push(wake.flags(squeue::Flags::SKIP_SUCCESS), user_data);
    }

    /// Waits until `fd` is readable, again and again.
    pub(super) fn poll_readable(&mut self, fd: RawFd, user_data: u64) {
        let poll = opcode::PollAdd::new(types::Fd(fd), libc::POLLIN as u32).multi(true);
        self.push(poll.build(), user_data);
    }

    /// Brings a file's data to the disk.
    pub(super) fn datasync(&mut self, fd: RawFd, user_data: u64) {
        let fsync = opcode::Fsync::new(types::Fd(fd)).flags(types::FsyncFlags::DATASYNC);
        self.push(fsync.build(), user_data);
    }

    /// Cancels the operation that was given `target`.
    pub(super) fn cancel(&mut self, target: u64, user_data: u64) {
        let cancel = opcode::AsyncCancel::new(target).build();
        self.push(cancel.flags(squeue::Flags::SKIP_SUCCESS), user_data);
    }

    /// Submits what has been pushed, lets completions arrive, and waits for the first of them as long as
    /// `wait` says.
    pub(super) fn enter(&mut self, wait: Wait) -> io::Result<()> {
        let result = match wait {
            Wait::No => self.enter_without_waiting(),
            Wait::AtMost(duration) => {
                let timespec = types::Timespec::from(duration);
                let args = types::SubmitArgs::new().timespec(&timespec);
                self.io.submitter().submit_with_args(1, &args)
            }
        };
        match result {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // Time is over, a signal came, or completions must be taken first: all of them mean "go on".
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// Moves all completions that have arrived to `completions`.
    pub(super) fn take_completions(&mut self, completions: &mut Vec<Completion>) {
        completions.extend(self.io.completion().map(|entry| Completion {
            user_data: entry.user_data(),
            result: entry.result(),
            buffer: cqueue::buffer_select(entry.flags()),
            has_more: cqueue::more(entry.flags()),
        }));
    }

    #[expect(unsafe_code, reason = "U-04: system call")]
    fn enter_without_waiting(&mut self) -> io::Result<usize> {
        const GETEVENTS: u32 = 1; // IORING_ENTER_GETEVENTS: with DEFER_TASKRUN, nothing arrives without it
        let count = self.io.submission().len() as u32;
        // SAFETY: no argument is passed, and every entry pushed keeps its promises (see `push`).
        unsafe { self.io.submitter().enter::<()>(count, 0, GETEVENTS, None) }
    }

    #[expect(unsafe_code, reason = "U-04: entries refer to descriptors and memory")]
    fn push(&mut self, entry: squeue::Entry, user_data: u64) {
        let entry = entry.user_data(user_data);
        loop {
            // SAFETY: descriptors are plain numbers; the only memory an entry refers to is that of `send`, whose
            // caller keeps it in place, and the registered buffers, which outlive the ring.
            if unsafe { self.io.submission().push(&entry) }.is_ok() {
                return;
            }
            self.io.submit().expect("a ring with valid entries accepts them");
        }
    }
}

/// How long [`Ring::enter`] waits for a completion.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// Not at all.
    No,
    /// At most this long.
    AtMost(Duration),
}
