//! A value borrowed to be changed: when the guard goes, the table learns how much memory the value takes now.

use crate::keyspace::table::{Bytes, Place, Table};
use crate::types::packed::PackedMut;
use crate::value::Typed;
use std::cell::OnceCell;
use std::ops::{Deref, DerefMut};

/// A value of a table, to change it. Keep it no longer than the change: it borrows the table.
#[derive(Debug)]
pub struct ValueMut<'a, T: Typed>(Borrowed<'a, T>);

#[derive(Debug)]
enum Borrowed<'a, T: Typed> {
    /// A value with memory of its own, changed where it lies.
    Outside {
        value: &'a mut T,
        /// Bytes of what its segment keeps outside records.
        outside_bytes: &'a mut usize,
        /// Bytes of the table.
        bytes: &'a mut Bytes,
        /// What the value took before.
        heap_size: usize,
    },
    /// A packed collection in its record.
    Inside {
        table: &'a mut Table,
        place: Place,
        /// What it is to become: made of the record once somebody wants it, and put back when the guard goes.
        copy: OnceCell<T>,
    },
}

impl<'a, T: Typed> ValueMut<'a, T> {
    pub(super) fn outside(
        value: &'a mut T,
        outside_bytes: &'a mut usize,
        bytes: &'a mut Bytes,
    ) -> Self {
        let heap_size = value.heap_size();
        ValueMut(Borrowed::Outside { value, outside_bytes, bytes, heap_size })
    }

    pub(super) fn inside(table: &'a mut Table, place: Place) -> Self {
        ValueMut(Borrowed::Inside { table, place, copy: OnceCell::new() })
    }

    /// The value, to read. Cheaper than to borrow it as a `T`: nothing is copied.
    #[must_use]
    pub fn view(&self) -> T::Ref<'_> {
        let value = match &self.0 {
            Borrowed::Outside { value, .. } => value.view(),
            Borrowed::Inside { table, place, copy } => match copy.get() {
                Some(copy) => copy.view(),
                None => table.get(*place).value,
            },
        };
        T::read(value).expect("the type was looked at when the value was borrowed")
    }

    /// The elements of a packed collection where they lie in the record of their key, to replace some by others of the
    /// same size: the cheapest way to change it. `None` if the value lies elsewhere, or has been changed otherwise.
    pub fn elements(&mut self) -> Option<PackedMut<'_>> {
        match &mut self.0 {
            Borrowed::Inside { table, place, copy } if copy.get().is_none() => {
                table.elements_mut(*place)
            }
            _ => None,
        }
    }
}

impl<T: Typed> Deref for ValueMut<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Borrowed::Outside { value, .. } => value,
            Borrowed::Inside { copy, .. } => copy.get_or_init(|| T::copy(self.view())),
        }
    }
}

impl<T: Typed> DerefMut for ValueMut<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        let _: &T = self;
        match &mut self.0 {
            Borrowed::Outside { value, .. } => value,
            Borrowed::Inside { copy, .. } => copy.get_mut().expect("it has just been made"),
        }
    }
}

impl<T: Typed> Drop for ValueMut<'_, T> {
    fn drop(&mut self) {
        match &mut self.0 {
            Borrowed::Outside { value, outside_bytes, bytes, heap_size } => {
                let new_size = value.heap_size();
                **outside_bytes = **outside_bytes + new_size - *heap_size;
                bytes.data = bytes.data + new_size - *heap_size;
                bytes.held = bytes.held + new_size - *heap_size;
            }
            Borrowed::Inside { table, place, copy } => {
                if let Some(value) = copy.take() {
                    table.put_back(*place, value);
                }
            }
        }
    }
}
