//! Limits on what one client may send, each with the parameter that sets it.

/// Largest bulk string in bytes (`proto-max-bulk-len`), 512 MiB by default.
pub const BULK_LEN_MAX_DEFAULT: usize = 512 << 20;
/// Longest inline request, and longest `*N` or `$N` line, in bytes. Fixed in Redis too (`PROTO_INLINE_MAX_SIZE`).
pub const INLINE_LEN_MAX: usize = 64 << 10;
/// Most arguments in one request from a client that has authenticated. Fixed in Redis too.
pub const ARGUMENT_COUNT_MAX: usize = i32::MAX as usize;
/// Most arguments, and largest bulk in bytes, while the client has not authenticated.
pub const ARGUMENT_COUNT_UNAUTHENTICATED_MAX: usize = 10;
/// Largest bulk string in bytes while the client has not authenticated.
pub const BULK_LEN_UNAUTHENTICATED_MAX: usize = 16 << 10;

/// Longest request in bytes, so that offsets into one fit in 32 bits. Ours: Redis ends at `client-query-buffer-limit`.
pub const REQUEST_LEN_MAX: usize = u32::MAX as usize;

/// The limits that hold for one client at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest bulk string in bytes.
    pub bulk_len_max: usize,
    /// Whether the client still has to authenticate, which lowers every limit.
    pub is_unauthenticated: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bulk_len_max: BULK_LEN_MAX_DEFAULT, is_unauthenticated: false }
    }
}
