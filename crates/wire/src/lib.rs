//! How bytes speak, sans I/O: push codecs that never copy more than they must and never re-serialise.
//!
//! Each codec takes bytes in any chunking and says, run by run, what they are; what it says does not depend on the
//! chunking. It holds at most a partial token, under a named maximum, and never panics on hostile input.
//!
//! In suggested reading order: [`json`] (an incremental scanner and string unescaper), [`sse`] (event stream frames and
//! their lines), [`http1`] (which requests have one reading), [`aws_event`] (AWS's binary event streams),
//! [`websocket`] (frames and messages), [`coding`] (gzip, deflate, brotli and zstd). Two read whole texts and say what
//! they would do: [`shell`] (the commands of a script) and [`sql`] (the intent of statements).

pub mod aws_event;
pub mod coding;
pub mod fuzz;
pub mod http1;
pub mod json;
pub mod shell;
pub mod sql;
pub mod sse;
pub mod websocket;
