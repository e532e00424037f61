//! What packed collections consist of: texts, of which some are kept as integers.

use std::borrow::Cow;

/// One element of a listpack or a ziplist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    /// Bytes.
    Text(&'a [u8]),
    /// The text of an integer.
    Integer(i64),
}

impl<'a> Element<'a> {
    /// Its text; an integer is printed.
    #[must_use]
    pub fn to_text(self) -> Cow<'a, [u8]> {
        match self {
            Element::Text(text) => Cow::Borrowed(text),
            Element::Integer(integer) => {
                Cow::Owned(itoa::Buffer::new().format(integer).as_bytes().to_vec())
            }
        }
    }
}
