//! What the C library keeps of memory that was freed. The start of an agent parses every object
//! once; without this, the room for that would count as its own for good.
#![allow(
    unsafe_code,
    reason = "the C library has no safe wrapper for these settings"
)]

/// Lets threads share this many pools of memory, in the place of eight for each processor.
pub fn limit_pools(count: i32) {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` takes two numbers and changes a setting of the allocator alone.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, count);
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = count;
}

/// Gives pages that hold nothing back to the kernel. Takes milliseconds.
pub fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` takes a number, locks what it needs, and frees only what is free.
    unsafe {
        libc::malloc_trim(0);
    }
}
