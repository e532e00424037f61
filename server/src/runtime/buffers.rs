//! The provided buffer ring: receive buffers that the kernel picks when bytes arrive, so an idle connection holds none.
//!
//! Layout, as io_uring demands: a page-aligned array of `COUNT` entries of 16 bytes (address, length, id); the tail
//! index lives in the reserved field of entry 0. The kernel takes entries from its head; we put them back at the tail.
//! Invariant: a buffer is either in the ring (the kernel may write it) or lent out (only its holder reads it).

use io_uring::Submitter;
use io_uring::types::BufRingEntry;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::sync::atomic::{AtomicU16, Ordering};

/// Buffers per core. A power of two, as the kernel demands.
const COUNT: u16 = 256;
/// Bytes per buffer: holds a pipeline of 64 requests of the usual size.
const SIZE: usize = 16 << 10;
const PAGE: usize = 4096;

/// The buffers of one core.
pub(super) struct Buffers {
    entries: *mut BufRingEntry,
    bytes: *mut u8,
    tail: Cell<u16>,
}

/// Group id of the ring; there is one group per io_uring.
pub(super) const GROUP: u16 = 0;

fn entries_layout() -> Layout {
    Layout::from_size_align(usize::from(COUNT) * size_of::<BufRingEntry>(), PAGE)
        .expect("a constant layout")
}

fn bytes_layout() -> Layout {
    Layout::from_size_align(usize::from(COUNT) * SIZE, PAGE).expect("a constant layout")
}

#[expect(unsafe_code, reason = "U-04: memory shared with the kernel")]
impl Buffers {
    /// Allocates the buffers and registers them with a ring, which must be dropped first.
    pub(super) fn register(submitter: &Submitter<'_>) -> std::io::Result<Buffers> {
        // SAFETY: the layout has a size that is not zero.
        let entries = unsafe { alloc_zeroed(entries_layout()) }.cast::<BufRingEntry>();
        // SAFETY: the layout has a size that is not zero.
        let bytes = unsafe { alloc_zeroed(bytes_layout()) };
        if entries.is_null() || bytes.is_null() {
            handle_alloc_error(bytes_layout());
        }
        let buffers = Buffers { entries, bytes, tail: Cell::new(0) };
        // SAFETY: `entries` is page-aligned, holds COUNT entries, and lives until `buffers` is dropped, after the ring.
        unsafe { submitter.register_buf_ring_with_flags(entries as u64, COUNT, GROUP, 0) }?;
        for id in 0..COUNT {
            buffers.touch(id);
            buffers.give_back(id);
        }
        Ok(buffers)
    }

    /// The first `len` bytes of buffer `id`, which the kernel has just filled and nobody has given back yet.
    pub(super) fn bytes(&self, id: u16, len: usize) -> &[u8] {
        assert!(id < COUNT && len <= SIZE);
        // SAFETY: the buffer lies inside the allocation, as asserted.
        let start = unsafe { self.bytes.add(usize::from(id) * SIZE) };
        // SAFETY: the memory was zeroed when allocated, and the kernel does not write a buffer that is lent out.
        unsafe { std::slice::from_raw_parts(start, len) }
    }

    /// Makes the first page of buffer `id` resident, so that what a core needs does not depend on who connects.
    fn touch(&self, id: u16) {
        assert!(id < COUNT);
        // SAFETY: as asserted, the buffer lies inside the allocation.
        let start = unsafe { self.bytes.add(usize::from(id) * SIZE) };
        // SAFETY: the memory is ours, and the kernel does not know this buffer yet.
        unsafe { start.write_volatile(0) };
    }

    /// Puts buffer `id` back into the ring.
    pub(super) fn give_back(&self, id: u16) {
        assert!(id < COUNT);
        // SAFETY: the index is below COUNT.
        let entry = unsafe { self.entries.add(usize::from(self.tail.get() & (COUNT - 1))) };
        // SAFETY: as asserted, the buffer lies inside the allocation.
        let address = unsafe { self.bytes.add(usize::from(id) * SIZE) };
        // SAFETY: the kernel reads entries only up to the tail, which is published below; nobody else writes them.
        let entry = unsafe { &mut *entry };
        entry.set_addr(address as u64);
        entry.set_len(SIZE as u32);
        entry.set_bid(id);
        self.tail.set(self.tail.get().wrapping_add(1));
        // SAFETY: `entries` is the address of the ring's first entry.
        let tail = unsafe { BufRingEntry::tail(self.entries) }.cast_mut();
        // SAFETY: the tail is an aligned u16 that the kernel reads and only this core writes.
        let tail = unsafe { AtomicU16::from_ptr(tail) };
        tail.store(self.tail.get(), Ordering::Release); // pairs with the kernel's acquire load
    }
}

#[expect(unsafe_code, reason = "U-04: memory shared with the kernel")]
impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: allocated in `register` with the same layout; the ring that used it is gone.
        unsafe { dealloc(self.entries.cast(), entries_layout()) };
        // SAFETY: allocated in `register` with the same layout; the ring that used it is gone.
        unsafe { dealloc(self.bytes, bytes_layout()) };
    }
}
