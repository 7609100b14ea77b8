//! The store against real files: what survives, what is refused, who wins a race.

#[cfg(test)]
mod approvals;
#[cfg(test)]
mod escalating;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod locks;
#[cfg(test)]
mod open;
#[cfg(test)]
mod races;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod tokens;
