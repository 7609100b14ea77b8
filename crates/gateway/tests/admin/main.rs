//! The admin API against a real listener, real tokens and a real journal: who may what, and that every answer is what
//! the OpenAPI document says. The numbers are those of the hostile catalogue.

#[cfg(test)]
mod decisions;
#[cfg(test)]
mod kit;
#[cfg(test)]
mod locks;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod safety;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod trial;
#[cfg(test)]
mod ui;
