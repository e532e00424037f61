//! A value borrowed to be changed: when the guard goes, the table learns how much memory the value takes now.

use crate::keyspace::table::Bytes;
use crate::value::Typed;
use std::ops::{Deref, DerefMut};

/// A value of a table, to change it. Keep it no longer than the change: it borrows the table.
#[derive(Debug)]
pub struct ValueMut<'a, T: Typed> {
    value: &'a mut T,
    /// Bytes of what its segment keeps outside records.
    outside_bytes: &'a mut usize,
    /// Bytes of the table.
    bytes: &'a mut Bytes,
    /// What the value took before.
    heap_size: usize,
}

impl<'a, T: Typed> ValueMut<'a, T> {
    pub(super) fn new(
        value: &'a mut T,
        outside_bytes: &'a mut usize,
        bytes: &'a mut Bytes,
    ) -> Self {
        let heap_size = value.heap_size();
        ValueMut { value, outside_bytes, bytes, heap_size }
    }
}

impl<T: Typed> Deref for ValueMut<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value
    }
}

impl<T: Typed> DerefMut for ValueMut<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value
    }
}

impl<T: Typed> Drop for ValueMut<'_, T> {
    fn drop(&mut self) {
        let heap_size = self.value.heap_size();
        *self.outside_bytes = *self.outside_bytes + heap_size - self.heap_size;
        self.bytes.data = self.bytes.data + heap_size - self.heap_size;
        self.bytes.held = self.bytes.held + heap_size - self.heap_size;
    }
}
