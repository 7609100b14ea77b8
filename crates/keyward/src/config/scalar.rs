//! Values that a configuration file writes as text: durations (`15s`, `2m`) and sizes (`8MiB`).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest duration that can be written: 365 days.
pub const PERIOD_MAX: Duration = Duration::from_hours(365 * 24);

/// A text that is not a duration or a size; says what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScalarError(&'static str);

/// A length of time: a whole number and a unit, `ms`, `s`, `m`, `h` or `d`; several may follow one another (`1h30m`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

impl Period {
    /// From whole seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// As the standard library's duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Period {
    type Err = ScalarError;
    fn from_str(text: &str) -> Result<Self, ScalarError> {
        const FORM: ScalarError =
            ScalarError("a duration is a whole number and a unit: 500ms, 15s, 2m, 1h30m, 7d");
        const LONG: ScalarError = ScalarError("a duration is at most 365d");
        let mut rest = text;
        let mut sum = Duration::ZERO;
        while !rest.is_empty() {
            let (number, after) = split_number(rest).ok_or(FORM)?;
            let unit_bytes = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let (unit, next) = after.split_at(unit_bytes);
            let milliseconds = match unit {
                "ms" => 1,
                "s" => 1000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(FORM),
            };
            let part = number.checked_mul(milliseconds).ok_or(LONG)?;
            sum = sum.checked_add(Duration::from_millis(part)).ok_or(LONG)?;
            rest = next;
        }
        if text.is_empty() {
            return Err(FORM);
        }
        if sum > PERIOD_MAX { Err(LONG) } else { Ok(Self(sum)) }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut milliseconds = self.0.as_millis();
        if milliseconds == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)] {
            let count = milliseconds / size;
            // `90s` reads better than `1m30s` only to machines; the largest units come first.
            if count > 0 {
                write!(f, "{count}{unit}")?;
                milliseconds %= size;
            }
        }
        Ok(())
    }
}

/// A number of bytes: a whole number, or one with a unit, `B`, `KiB`, `MiB`, `GiB`, `TiB` or `kB`, `MB`, `GB`, `TB`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

impl ByteSize {
    /// From a number of bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// From a number of mebibytes (2^20 bytes).
    pub const fn from_mib(mebibytes: u64) -> Self {
        Self(mebibytes * 1024 * 1024)
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

impl FromStr for ByteSize {
    type Err = ScalarError;
    fn from_str(text: &str) -> Result<Self, ScalarError> {
        const FORM: ScalarError = ScalarError(
            "a size is a whole number of bytes or one with a unit: 65536, 64KiB, 8MiB, 2GiB, 10MB",
        );
        let (number, unit) = split_number(text).ok_or(FORM)?;
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        let factor = if unit.is_empty() {
            1
        } else {
            SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or(FORM)?.1
        };
        number.checked_mul(factor).map(Self).ok_or(ScalarError("a size is less than 16777216TiB"))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIZE_UNITS.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size)) {
            Some((unit, size)) if *size > 1 => write!(f, "{}{unit}", self.0 / size),
            _ => write!(f, "{}B", self.0),
        }
    }
}

/// Splits the leading decimal digits off; none when there are none or they do not fit.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

macro_rules! as_text {
    ($type:ident, $format:literal, $example:literal, $word:tt) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": $word, "format": $format, "examples": [$example] })
            }
        }
    };
}

as_text!(Period, "duration-text", "15s", "string");
as_text!(ByteSize, "byte-size", "8MiB", ["string", "integer"]);

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Size;
        impl de::Visitor<'_> for Size {
            type Value = ByteSize;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 8MiB")
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }
        d.deserialize_any(Size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_show() {
        for (text, milliseconds, shown) in [
            ("15s", 15_000, "15s"),
            ("500ms", 500, "500ms"),
            ("90s", 90_000, "1m30s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("365d", 31_536_000_000, "365d"),
            ("0s", 0, "0s"),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period.get(), Duration::from_millis(milliseconds), "{text}");
            assert_eq!(period.to_string(), shown);
            assert_eq!(shown.parse::<Period>().unwrap(), period);
        }
        for bad in [
            "",
            "15",
            "s",
            "1.5s",
            "-1s",
            "15 s",
            "15x",
            "366d",
            "18446744073709551615d",
            "1m-",
            "99999999999999999999s",
        ] {
            assert!(bad.parse::<Period>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn sizes_read_and_show() {
        for (text, bytes, shown) in [
            ("8MiB", 8 << 20, "8MiB"),
            ("65536", 65536, "64KiB"),
            ("10MB", 10_000_000, "10MB"),
            ("1 GiB", 1 << 30, "1GiB"),
            ("7", 7, "7B"),
            ("0", 0, "0B"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!((size.get(), size.to_string().as_str()), (bytes, shown), "{text}");
        }
        for bad in ["", "MiB", "8mib", "8Mb", "-1", "1.5GiB", "16777216TiB"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad:?}");
        }
    }
}
