//! A disk with one fault at a chosen operation.

use super::{Disk, File, Mode};
use std::io;
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What a disk can be asked to do, as far as faults can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `read_at`.
    Read,
    /// `write_at`.
    Write,
    /// `set_size`.
    SetSize,
    /// `sync` of a file.
    Sync,
    /// Opening a file in a mode that may make it, or making a folder.
    Create,
    /// `rename`.
    Rename,
    /// `remove`.
    Remove,
    /// `sync_folder`.
    SyncFolder,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The machine stops: this operation and all later ones fail. A write still puts its first `torn_len` bytes.
    Stop {
        /// Bytes of a write that reach the file; others do nothing.
        torn_len: usize,
    },
    /// Fails with this error number (`ENOSPC` is 28, `EIO` is 5) until [`FaultyDisk::heal`].
    Errno(i32),
    /// A write puts and reports only this many bytes, once.
    ShortWrite(usize),
    /// A sync reports success and makes nothing durable, once.
    LostSync,
}

/// One fault.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Which operations it counts; `None` counts all that change the disk.
    pub operation: Option<Operation>,
    /// At which of them it strikes, from 0.
    pub at: u64,
    /// What goes wrong.
    pub effect: Effect,
}

/// A disk with at most one fault, around a healthy one. Clones share the fault.
#[derive(Clone, Debug)]
pub struct FaultyDisk {
    inner: Arc<dyn Disk>,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Debug)]
struct Plan {
    fault: Option<Fault>,
    count: u64,
    has_stopped: bool,
}

/// What the plan says about one operation.
enum Verdict {
    Proceed,
    Short(usize),
    Torn(usize),
    Lost,
    Fail(io::Error),
}

impl FaultyDisk {
    /// Wraps `inner`; without a fault it only counts.
    pub fn new(inner: impl Disk + 'static, fault: Option<Fault>) -> Self {
        let plan = Plan { fault, count: 0, has_stopped: false };
        FaultyDisk { inner: Arc::new(inner), plan: Arc::new(Mutex::new(plan)) }
    }

    /// Replaces the fault; counting starts again.
    pub fn set_fault(&self, fault: Option<Fault>) {
        *self.plan.lock().expect("no code panics while it holds the lock") =
            Plan { fault, count: 0, has_stopped: false };
    }

    /// The fault is repaired.
    pub fn heal(&self) {
        self.set_fault(None);
    }

    /// Operations counted so far: those the fault names, or all that change the disk.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.plan.lock().expect("no code panics while it holds the lock").count
    }

    /// Whether the machine has stopped.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.plan.lock().expect("no code panics while it holds the lock").has_stopped
    }

    fn judge(&self, operation: Operation) -> Verdict {
        let mut plan = self.plan.lock().expect("no code panics while it holds the lock");
        if plan.has_stopped {
            return Verdict::Fail(io::Error::other("the machine has stopped"));
        }
        let counted = plan.fault.and_then(|fault| fault.operation);
        if counted.map_or(operation == Operation::Read, |counted| counted != operation) {
            return Verdict::Proceed;
        }
        let index = plan.count;
        plan.count += 1;
        let Some(fault) = plan.fault else { return Verdict::Proceed };
        match fault.effect {
            Effect::Errno(errno) if index >= fault.at => {
                Verdict::Fail(io::Error::from_raw_os_error(errno))
            }
            _ if index != fault.at => Verdict::Proceed,
            Effect::Errno(_) => Verdict::Proceed,
            Effect::Stop { torn_len } => {
                plan.has_stopped = true;
                Verdict::Torn(torn_len)
            }
            Effect::ShortWrite(len) => Verdict::Short(len),
            Effect::LostSync => Verdict::Lost,
        }
    }

    /// For operations that either happen or do not.
    fn permit(&self, operation: Operation) -> io::Result<()> {
        match self.judge(operation) {
            Verdict::Proceed | Verdict::Short(_) | Verdict::Lost => Ok(()),
            Verdict::Torn(_) => Err(io::Error::other("the machine has stopped")),
            Verdict::Fail(error) => Err(error),
        }
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Box<dyn File>> {
        if matches!(mode, Mode::Create | Mode::CreateNew) {
            self.permit(Operation::Create)?;
        }
        Ok(Box::new(FaultyFile { disk: self.clone(), inner: self.inner.open(path, mode)? }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        self.inner.list(folder)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.permit(Operation::Create)?;
        self.inner.create_folder(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.permit(Operation::Rename)?;
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.permit(Operation::Remove)?;
        self.inner.remove(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.permit(Operation::SyncFolder)?;
        self.inner.sync_folder(folder)
    }
}

#[derive(Debug)]
struct FaultyFile {
    disk: FaultyDisk,
    inner: Box<dyn File>,
}

impl File for FaultyFile {
    fn size(&self) -> io::Result<u64> {
        self.inner.size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.permit(Operation::Read)?;
        self.inner.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        match self.disk.judge(Operation::Write) {
            Verdict::Proceed | Verdict::Lost => self.inner.write_at(bytes, offset),
            Verdict::Short(len) => self.inner.write_at(&bytes[..len.min(bytes.len())], offset),
            Verdict::Torn(len) => {
                self.inner.write_at(&bytes[..len.min(bytes.len())], offset)?;
                Err(io::Error::other("the machine has stopped"))
            }
            Verdict::Fail(error) => Err(error),
        }
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.disk.permit(Operation::SetSize)?;
        self.inner.set_size(size)
    }

    fn sync(&self) -> io::Result<()> {
        match self.disk.judge(Operation::Sync) {
            Verdict::Lost => Ok(()),
            Verdict::Proceed | Verdict::Short(_) => self.inner.sync(),
            Verdict::Torn(_) => Err(io::Error::other("the machine has stopped")),
            Verdict::Fail(error) => Err(error),
        }
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.inner.try_lock()
    }

    fn raw_fd(&self) -> Option<RawFd> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryDisk;
    use super::*;

    #[test]
    fn the_fault_strikes_the_chosen_operation_only() {
        let fault =
            Fault { operation: Some(Operation::Write), at: 1, effect: Effect::ShortWrite(2) };
        let disk = FaultyDisk::new(MemoryDisk::with_folder("/d"), Some(fault));
        let file = disk.open(Path::new("/d/f"), Mode::CreateNew).unwrap();
        assert_eq!(file.write_at(b"12345", 0).unwrap(), 5);
        assert_eq!(file.write_at(b"12345", 5).unwrap(), 2);
        assert_eq!(file.write_at(b"345", 7).unwrap(), 3);
        assert_eq!(disk.count(), 3);
    }

    #[test]
    fn a_full_disk_stays_full_until_it_is_healed() {
        let fault = Fault { operation: Some(Operation::Write), at: 0, effect: Effect::Errno(28) };
        let disk = FaultyDisk::new(MemoryDisk::with_folder("/d"), Some(fault));
        let file = disk.open(Path::new("/d/f"), Mode::CreateNew).unwrap();
        for _ in 0..3 {
            assert_eq!(file.write_at(b"1", 0).unwrap_err().raw_os_error(), Some(28));
        }
        disk.heal();
        assert_eq!(file.write_at(b"1", 0).unwrap(), 1);
    }

    #[test]
    fn nothing_works_after_the_machine_has_stopped() {
        let fault = Fault { operation: None, at: 1, effect: Effect::Stop { torn_len: 3 } };
        let disk = FaultyDisk::new(MemoryDisk::with_folder("/d"), Some(fault));
        let file = disk.open(Path::new("/d/f"), Mode::CreateNew).unwrap();
        file.write_at(b"12345", 0).unwrap_err();
        assert!(disk.has_stopped());
        assert_eq!(file.size().unwrap(), 3);
        file.sync().unwrap_err();
    }
}
