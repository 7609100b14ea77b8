//! The journal from outside: what it keeps, what it proves, what it survives.

#[cfg(test)]
mod corrupt;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod setup;

#[cfg(test)]
use keyward_journal::record;
