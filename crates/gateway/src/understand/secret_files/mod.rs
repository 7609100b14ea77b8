//! Files that commonly hold secrets, and how they are recognised in arguments.
//!
//! Promise: a secret file of the list (`list.yaml`) is recognised in an argument however it is written: in other letters,
//! with other separators, `.` and `..`, escapes of URLs, JSON, HTML, C and shells, quotes inside of a word, variables,
//! wildcards and braces, full width, invisible characters, and in base64 or hexadecimal one level deep. So are the
//! addresses that hand out credentials inside of clouds. Work is bounded by the length of the text and
//! `readings::ROUNDS_MAX`; what is wrapped more often counts as a secret file: *fails closed*.
//!
//! Exceptions:
//! - a name that only a program would put together (reversed, added up letter by letter, encrypted, in base32, decoded
//!   twice) is not seen: *fails open, and is why secret files are also masked on their way back*;
//! - a wildcard must spell two characters and a third of what it finds: `*` is no secret file;
//! - a path behind a symbolic link is known by the link's name only;
//! - a name that resolves to a metadata address is not looked up here.

mod address;
mod glob;
mod list;
mod names;
mod private;
mod readings;
#[cfg(test)]
mod spellings;
#[cfg(test)]
mod tests;

use self::list::LIST;
pub(super) use self::private::Pointer;
pub(crate) use self::private::is_private;

/// Whether an argument (a path, a URL, a command line) names a secret file.
pub(super) fn named_in(text: &str) -> bool {
    // A list that cannot be read would recognise nothing.
    let Some(list) = &*LIST else { return true };
    readings::any(text, &|reading| names::named(list, reading) || address::named(list, reading))
}

/// Whether a text is a URL or host that leads to the machine itself or into a private network.
pub(super) fn leads_inside(text: &str, pointer: Pointer) -> bool {
    private::leads_inside(text, pointer)
}

/// Whether a text, or what is left of it once escapes and quotes are taken off, is what is looked for. Readings are in lower
/// case, with one kind of slash.
pub(super) fn any_reading(text: &str, found: &dyn Fn(&str) -> bool) -> bool {
    readings::plain(text, found)
}
