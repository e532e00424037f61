//! Files in memory that remember what an fsync has made durable.
//!
//! Invariant: what a power failure may leave of a file is any mix, piece by piece, of its durable and its current bytes;
//! of a name, its durable or its current meaning. A file is cut wholly or not at all, as by any journaling file system.

use super::{Disk, File, Mode};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// Smallest piece that a power failure keeps or loses as a whole, in bytes. Far below a sector, to be nasty.
const PIECE_LEN: usize = 32;

/// A disk in memory. Clones share their files.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, Node>,
    durable_names: BTreeMap<PathBuf, Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    /// Index in `State::inodes`.
    File(usize),
}

#[derive(Clone, Debug, Default)]
struct Inode {
    bytes: Vec<u8>,
    durable: Vec<u8>,
    is_locked: bool,
}

impl MemoryDisk {
    /// A disk whose only folder is `folder`, durable and empty.
    #[must_use]
    pub fn with_folder(folder: impl Into<PathBuf>) -> Self {
        let disk = MemoryDisk::default();
        let folder = folder.into();
        disk.state().names.insert(folder.clone(), Node::Folder);
        disk.state().durable_names.insert(folder, Node::Folder);
        disk
    }

    /// What is on the disk after a power failure. `random` decides what survives of everything that was not synced.
    #[must_use]
    pub fn after_power_failure(&self, mut random: impl FnMut() -> u64) -> MemoryDisk {
        let state = self.state();
        let inodes = state.inodes.iter().map(|inode| inode.after_power_failure(&mut random));
        let mut after = State { inodes: inodes.collect(), ..State::default() };
        let mut paths: Vec<&PathBuf> =
            state.names.keys().chain(state.durable_names.keys()).collect();
        paths.sort();
        paths.dedup();
        for path in paths {
            let (current, durable) = (state.names.get(path), state.durable_names.get(path));
            let survivor = if random().is_multiple_of(2) { current } else { durable };
            let has_parent = path.parent().is_none_or(|parent| {
                after.names.contains_key(parent) || !state.names.contains_key(parent)
            });
            if let (Some(node), true) = (survivor, has_parent) {
                after.names.insert(path.clone(), *node);
            }
        }
        after.durable_names = after.names.clone();
        MemoryDisk { state: Arc::new(Mutex::new(after)) }
    }

    /// What is on the disk after the process was killed: everything that was written. A copy, without locks.
    #[must_use]
    pub fn after_kill(&self) -> MemoryDisk {
        let state = self.state();
        let inodes = state.inodes.iter().map(|inode| Inode { is_locked: false, ..inode.clone() });
        let copy = State {
            inodes: inodes.collect(),
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
        };
        MemoryDisk { state: Arc::new(Mutex::new(copy)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the lock")
    }
}

impl Inode {
    fn after_power_failure(&self, random: &mut impl FnMut() -> u64) -> Inode {
        if self.bytes == self.durable {
            return Inode { is_locked: false, ..self.clone() };
        }
        if self.bytes.len() < self.durable.len() && random().is_multiple_of(2) {
            return Inode { bytes: self.durable.clone(), is_locked: false, ..self.clone() };
        }
        let short = self.durable.len().min(self.bytes.len());
        let grown = self.bytes.len() - short;
        let len = short + usize::try_from(random()).expect("64-bit") % (grown + 1);
        let mut bytes = vec![0; len];
        // Most of the time nearly everything survives: that leaves more to go wrong than a file of holes.
        let hole = usize::try_from(random()).expect("64-bit") % (len / PIECE_LEN + 1);
        let loss = random() % 3;
        for (index, piece) in bytes.chunks_mut(PIECE_LEN).enumerate() {
            let is_lost = match loss {
                0 => false,
                1 => index == hole,
                _ => random().is_multiple_of(2),
            };
            let source = if is_lost { &self.durable } else { &self.bytes };
            let start = (index * PIECE_LEN).min(source.len());
            let end = (start + piece.len()).min(source.len());
            piece[..end - start].copy_from_slice(&source[start..end]);
        }
        Inode { durable: bytes.clone(), bytes, is_locked: false }
    }
}

impl State {
    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Node::File(index)) => Ok(*index),
            Some(Node::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn has_folder(&self, path: Option<&Path>) -> io::Result<()> {
        match path.map(|path| self.names.get(path)) {
            Some(Some(Node::Folder)) => Ok(()),
            Some(Some(Node::File(_))) => Err(io::ErrorKind::NotADirectory.into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Box<dyn File>> {
        let mut state = self.state();
        let inode = match (state.file(path), mode) {
            (Ok(_), Mode::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Err(error), Mode::CreateNew | Mode::Create)
                if error.kind() == io::ErrorKind::NotFound =>
            {
                state.has_folder(path.parent())?;
                let inode = state.inodes.len();
                state.inodes.push(Inode::default());
                state.names.insert(path.to_path_buf(), Node::File(inode));
                inode
            }
            (found, _) => found?,
        };
        Ok(Box::new(MemoryFile { disk: self.clone(), inode, mode, has_lock: Mutex::new(false) }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        state.has_folder(Some(folder))?;
        let inside = state.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect())
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.has_folder(folder.parent())?;
        if state.names.contains_key(folder) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.names.insert(folder.to_path_buf(), Node::Folder);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.file(from)?;
        state.names.remove(from);
        state.names.insert(to.to_path_buf(), Node::File(inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.file(path)?;
        state.names.remove(path);
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.has_folder(Some(folder))?;
        let is_inside = |path: &Path| path.parent() == Some(folder);
        let mut durable = std::mem::take(&mut state.durable_names);
        durable.retain(|path, _| !is_inside(path));
        let inside = state.names.iter().filter(|(path, _)| is_inside(path));
        durable.extend(inside.map(|(path, node)| (path.clone(), *node)));
        state.durable_names = durable;
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    inode: usize,
    mode: Mode,
    has_lock: Mutex<bool>,
}

impl MemoryFile {
    fn with<T>(&self, run: impl FnOnce(&mut Inode) -> T) -> T {
        run(&mut self.disk.state().inodes[self.inode])
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.mode == Mode::Read {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(())
    }
}

impl File for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.with(|inode| inode.bytes.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|inode| {
            let start = usize::try_from(offset).expect("64-bit").min(inode.bytes.len());
            let count = buffer.len().min(inode.bytes.len() - start);
            buffer[..count].copy_from_slice(&inode.bytes[start..start + count]);
            Ok(count)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.check_writable()?;
        self.with(|inode| {
            let start = usize::try_from(offset).expect("64-bit");
            let end = start + bytes.len();
            if inode.bytes.len() < end {
                inode.bytes.resize(end, 0);
            }
            inode.bytes[start..end].copy_from_slice(bytes);
            Ok(bytes.len())
        })
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.check_writable()?;
        self.with(|inode| inode.bytes.resize(usize::try_from(size).expect("64-bit"), 0));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|inode| inode.durable.clone_from(&inode.bytes));
        Ok(())
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut has_lock = self.has_lock.lock().expect("no code panics while it holds the lock");
        let was_free = self.with(|inode| !std::mem::replace(&mut inode.is_locked, true));
        *has_lock |= was_free;
        Ok(*has_lock)
    }

    fn raw_fd(&self) -> Option<RawFd> {
        None
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        if *self.has_lock.get_mut().expect("no code panics while it holds the lock") {
            self.with(|inode| inode.is_locked = false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter() -> impl FnMut() -> u64 {
        let mut state = 7_u64;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        }
    }

    #[test]
    fn synced_bytes_survive_a_power_failure_and_others_may_not() {
        let disk = MemoryDisk::with_folder("/d");
        let file = disk.open(Path::new("/d/f"), Mode::CreateNew).unwrap();
        file.write_at(b"kept", 0).unwrap();
        file.sync().unwrap();
        disk.sync_folder(Path::new("/d")).unwrap();
        file.write_at(&[7; 4096], 4).unwrap();

        let after = disk.after_power_failure(counter());
        let file = after.open(Path::new("/d/f"), Mode::Read).unwrap();
        let mut bytes = vec![0; 8192];
        let len = file.read_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes[..4], b"kept");
        assert!(len < 4100 || bytes[4..4100].contains(&0), "something was lost with this seed");
    }

    #[test]
    fn a_name_that_was_not_synced_may_vanish() {
        let disk = MemoryDisk::with_folder("/d");
        disk.open(Path::new("/d/f"), Mode::CreateNew).unwrap();
        assert!(disk.after_power_failure(|| 1).list(Path::new("/d")).unwrap().is_empty());
        assert_eq!(disk.after_power_failure(|| 2).list(Path::new("/d")).unwrap(), ["f"]);
        disk.sync_folder(Path::new("/d")).unwrap();
        assert_eq!(disk.after_power_failure(|| 1).list(Path::new("/d")).unwrap(), ["f"]);
    }

    #[test]
    fn a_lock_is_exclusive_until_its_file_is_closed() {
        let disk = MemoryDisk::with_folder("/d");
        let open = || disk.open(Path::new("/d/lock"), Mode::Create).unwrap();
        let first = open();
        assert!(first.try_lock().unwrap());
        assert!(!open().try_lock().unwrap());
        drop(first);
        assert!(open().try_lock().unwrap());
    }
}
