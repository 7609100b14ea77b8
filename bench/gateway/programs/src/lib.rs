//! What the bench's programs share.

pub mod issuer;
