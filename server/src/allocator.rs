//! The allocator of the program: mimalloc, and how soon it gives memory back.
//!
//! Path: `main` -> here, before anything else runs.

/// Without it (feature `system-allocator`) the program takes what the system gives, so that another allocator can be
/// tried with LD_PRELOAD: docs/eviction.md has what came of it.
#[cfg(not(feature = "system-allocator"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of mimalloc's option `purge_delay`, as its header counts them.
#[cfg(not(feature = "system-allocator"))]
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// After how many milliseconds memory that is free goes back to the system. It goes on the core that frees the next: by
/// default all that was freed in a second at once, which took 5 ms where a million keys expired. Without any delay
/// the buffers of replies come and go as well, at half as much CPU again for large ones.
#[cfg(not(feature = "system-allocator"))]
const PURGE_DELAY_MS: std::ffi::c_long = 1;

/// Tells the allocator how the server uses it, unless the environment does (`MIMALLOC_PURGE_DELAY`). To be called before
/// there is a second thread.
#[cfg_attr(
    not(feature = "system-allocator"),
    expect(unsafe_code, reason = "U-06: options of the allocator")
)]
pub(crate) fn prepare() {
    // SAFETY: mimalloc's options are plain numbers; this is the only thread, so nobody reads one meanwhile.
    #[cfg(not(feature = "system-allocator"))]
    unsafe {
        libmimalloc_sys::mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MS);
    }
}

#[cfg(all(test, not(feature = "system-allocator")))]
mod tests {
    use super::*;

    /// What the option is by default; no other has this value, so it also shows that the number is right.
    const DEFAULT_MS: std::ffi::c_long = 1000;

    #[expect(unsafe_code, reason = "U-06: options of the allocator")]
    fn delay_ms() -> std::ffi::c_long {
        // SAFETY: a number is read, and only the test below sets it.
        unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) }
    }

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        assert_eq!(delay_ms(), DEFAULT_MS);
        prepare();
        assert_eq!(delay_ms(), PURGE_DELAY_MS);
    }
}
