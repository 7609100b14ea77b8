//! What the operating system must not do with this process.
//!
//! Promise: a crash leaves no core file and nobody but root attaches a debugger or reads the process's memory and
//! environment through `/proc`: upstream credentials and the master key are in there. *Fails closed.*
//! Exception: what root does, and swapped memory.

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

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
