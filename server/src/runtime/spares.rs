//! Buffers that are empty and used again: most replies are written into memory that has just been sent.
//!
//! Path: `reactor` gives and takes them. Invariant: what is kept never exceeds [`KEPT_SIZE_MAX`] bytes.

use std::cell::{Cell, RefCell};

/// The largest buffer that is kept, in bytes.
const SIZE_MAX: usize = 1 << 20;
/// Bytes of all that are kept.
const KEPT_SIZE_MAX: usize = 16 << 20;

/// Empty buffers of one core.
#[derive(Debug, Default)]
pub(super) struct Spares {
    buffers: RefCell<Vec<Vec<u8>>>,
    kept_size: Cell<usize>,
}

impl Spares {
    /// An empty buffer: the one that was put back last, since it is most likely in the cache.
    pub(super) fn take(&self) -> Vec<u8> {
        let buffer = self.buffers.borrow_mut().pop().unwrap_or_default();
        self.kept_size.set(self.kept_size.get() - buffer.capacity());
        buffer
    }

    /// Keeps a buffer, unless it is too large or enough are kept.
    pub(super) fn put(&self, mut buffer: Vec<u8>) {
        let size = self.kept_size.get() + buffer.capacity();
        if (1..=SIZE_MAX).contains(&buffer.capacity()) && size <= KEPT_SIZE_MAX {
            buffer.clear();
            self.kept_size.set(size);
            self.buffers.borrow_mut().push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_empty_with_its_memory() {
        let spares = Spares::default();
        spares.put(b"some text".to_vec());
        let buffer = spares.take();
        assert!(buffer.is_empty() && buffer.capacity() >= 9);
        assert_eq!(spares.take().capacity(), 0, "there was only one");
    }

    #[test]
    fn too_large_buffers_and_too_many_are_given_back() {
        let spares = Spares::default();
        spares.put(Vec::with_capacity(SIZE_MAX + 1));
        spares.put(Vec::new());
        assert_eq!(spares.kept_size.get(), 0);
        for _ in 0..2 * KEPT_SIZE_MAX / SIZE_MAX {
            spares.put(Vec::with_capacity(SIZE_MAX));
        }
        assert!(spares.kept_size.get() <= KEPT_SIZE_MAX);
        assert_eq!(spares.buffers.borrow().len(), KEPT_SIZE_MAX / SIZE_MAX);
        for _ in 0..=KEPT_SIZE_MAX / SIZE_MAX {
            spares.take();
        }
        assert_eq!(spares.kept_size.get(), 0);
    }
}
