//! The configuration file: read, held against its schema and its meaning, shown.
//!
//! [`load::load`] gives a [`Config`] or everything that is wrong with the file, each with line, column and remedy.
//! In suggested reading order:

pub mod document;
pub mod load;

pub mod check;
pub mod deciders;
pub mod inline;
pub mod notifications;
pub mod origin;
pub mod owners;
pub mod packs;
pub mod policies;
pub mod problem;
pub mod reference;
pub mod routes;
pub mod scalar;
pub mod shape;
pub mod sign_in;
pub mod suggest;
pub mod tree;
pub mod url;

pub use document::Config;
pub use load::{Loaded, load};
pub use problem::{Color, Problem};
