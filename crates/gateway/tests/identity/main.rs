//! Who gets in: hostile tokens, hostile keys and hostile issuers against the whole of `identify`, with an issuer in this
//! process. The numbers are those of the hostile catalogue.

#[cfg(test)]
mod claims;
#[cfg(test)]
mod fetching;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod kit;
#[cfg(test)]
mod tokens;
