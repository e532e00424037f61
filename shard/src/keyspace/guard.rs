//! A value borrowed to be changed: when the guard goes, the table learns how much memory the value takes now.

use crate::value::Typed;
use std::ops::{Deref, DerefMut};

/// A value of a table, to change it. Keep it no longer than the change: it borrows the table.
#[derive(Debug)]
pub struct ValueMut<'a, T: Typed> {
    value: &'a mut T,
    data_bytes: &'a mut usize,
    /// What the value took before.
    heap_size: usize,
}

impl<'a, T: Typed> ValueMut<'a, T> {
    pub(super) fn new(value: &'a mut T, data_bytes: &'a mut usize) -> Self {
        let heap_size = value.heap_size();
        ValueMut { value, data_bytes, heap_size }
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
        *self.data_bytes = *self.data_bytes + self.value.heap_size() - self.heap_size;
    }
}
