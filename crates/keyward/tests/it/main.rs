//! The real binary on loopback: what crosses it byte for byte, what it withstands, and what it leaves on record. The
//! numbers are those of the hostile catalogue.

#[cfg(test)]
mod approving;
#[cfg(test)]
mod arguments;
#[cfg(test)]
mod calling;
#[cfg(test)]
mod children;
#[cfg(test)]
mod consulting;
#[cfg(test)]
mod encodings;
#[cfg(test)]
mod escalating;
#[cfg(test)]
mod evading;
#[cfg(test)]
mod evasion;
#[cfg(test)]
mod fields;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod granting;
#[cfg(test)]
mod h2;
#[cfg(test)]
mod holding;
#[cfg(test)]
mod hops;
#[cfg(test)]
mod judged;
#[cfg(test)]
mod kit;
#[cfg(test)]
mod limiting;
#[cfg(test)]
mod locking;
#[cfg(test)]
mod logging_in;
#[cfg(test)]
mod masking;
#[cfg(test)]
mod moderating;
#[cfg(test)]
mod notifying;
#[cfg(test)]
mod owning;
#[cfg(test)]
mod passing;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod prompts;
#[cfg(test)]
mod protocols;
#[cfg(test)]
mod recording;
#[cfg(test)]
mod refusing;
#[cfg(test)]
mod running;
#[cfg(test)]
mod setups;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod signing_in;
#[cfg(test)]
mod spellings;
#[cfg(test)]
mod starting;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod styling;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod websockets;
#[cfg(test)]
mod weighing;
#[cfg(test)]
mod workloads;
