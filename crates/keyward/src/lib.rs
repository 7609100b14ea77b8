//! The one binary: command line, configuration, composition, demo. In suggested reading order:

pub mod cli;
pub mod compose;
pub mod config;
pub mod demo;
pub mod exit;
pub mod hardening;
pub mod logging;
pub mod serve;
