//! What can be wrong with RDB bytes.

/// Bytes that cannot be read as what they should be. Offsets count from where the [`Reader`](super::Reader) began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RdbError {
    /// The bytes end too early: with more of them it may be readable.
    #[error("the data ends at offset {offset}, in the middle of something")]
    Truncated {
        /// Where the part begins that is not whole.
        offset: usize,
    },
    /// No more bytes can make it right.
    #[error("damaged data at offset {offset}: {what}")]
    Damaged {
        /// Where the part begins that is wrong.
        offset: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// A payload of DUMP whose frame is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Too short to be one.
    #[error("a payload has at least a version and a checksum")]
    TooShort,
    /// Written by a newer server.
    #[error("RDB version {0} is newer than this server reads")]
    TooNew(u16),
    /// Not the bytes that were written.
    #[error("the checksum does not match")]
    Checksum,
}
