//! What the operating system must not do with this process.
//!
//! Promise: a crash leaves no core file and nobody but root attaches a debugger or reads the process's memory and
//! environment through `/proc`: upstream credentials and the master key are in there. *Fails closed.*
//! Exception: what root does, and swapped memory.
//! Beside that it is asked not to spend memory that nobody touches.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::thread::disable_transparent_huge_pages;

use crate::exit::Failure;

/// Keeps the memory of this process to itself, until another program is executed in its place.
///
/// # Errors
/// When the operating system does not agree.
pub fn keep_memory_private() -> Result<(), Failure> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| {
        Failure::error(
            format!("core dumps cannot be turned off: {}", error.kind()),
            "allow prctl(PR_SET_DUMPABLE) to this process",
        )
    })
}

/// Backs the heap with pages of the ordinary size, although the allocator asks for huge ones: most of an idle
/// connection's buffers is never touched. Measured: a third less memory, and no more time. Processes started from here
/// inherit it. Where the kernel knows no such choice, nothing changes.
pub fn take_small_pages() {
    if let Err(error) = disable_transparent_huge_pages(true) {
        tracing::debug!(error = %error.kind(), "huge pages stay");
    }
}
