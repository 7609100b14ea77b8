//! A chunked body (RFC 9112, 7.1), followed byte by byte where it is framing and at once where it is data.

use super::head::{is_token, is_value};
use super::{Fault, Stop};

/// Digits of a chunk's size: no length needs more.
const DIGITS_MAX: u8 = 16;
/// Bytes of one chunk's extension, which mean nothing here and are dropped by whoever forwards the body.
const EXTENSION_BYTES_MAX: u16 = 1024;

/// Follows one chunked body with its trailers.
#[derive(Debug)]
pub(super) struct Chunks {
    at: At,
    /// Bytes that the trailer section may still have.
    trailer_left: usize,
    trailer_max: usize,
}

#[derive(Debug, Clone, Copy)]
enum At {
    Size { digits: u8, size: u64 },
    Extension { bytes: u16, size: u64 },
    SizeEnd { size: u64 },
    Data { left: u64 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    Over,
}

const SIZE: At = At::Size { digits: 0, size: 0 };

impl Chunks {
    pub(super) const fn new(trailer_max: usize) -> Self {
        Self { at: SIZE, trailer_left: trailer_max, trailer_max }
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.at, At::Over)
    }

    /// How many of these bytes belong to the body: all of them, unless it ends before.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Result<usize, Stop> {
        let mut taken = 0;
        while let Some(byte) = bytes.get(taken) {
            if self.is_over() {
                break;
            }
            if let At::Data { left } = self.at {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - taken);
                taken += here;
                let left = left - here as u64;
                self.at = if left == 0 { At::DataCr } else { At::Data { left } };
                continue;
            }
            self.at = self.after(*byte).map_err(|fault| Stop { passes: taken, fault })?;
            taken += 1;
        }
        Ok(taken)
    }

    /// Where one more byte of framing leads.
    fn after(&mut self, byte: u8) -> Result<At, Fault> {
        Ok(match (self.at, byte) {
            (At::Size { digits, size }, b'\r') if digits > 0 => At::SizeEnd { size },
            (At::Size { digits, size }, b';') if digits > 0 => At::Extension { bytes: 0, size },
            (At::Size { digits, size }, _) => {
                let digit = char::from(byte).to_digit(16).ok_or(Fault::Chunk)?;
                if digits == DIGITS_MAX {
                    return Err(Fault::Chunk);
                }
                At::Size { digits: digits + 1, size: size << 4 | u64::from(digit) }
            }
            (At::Extension { size, .. }, b'\r') => At::SizeEnd { size },
            (At::Extension { bytes, size }, _) if is_value(byte) && bytes < EXTENSION_BYTES_MAX => {
                At::Extension { bytes: bytes + 1, size }
            }
            (At::SizeEnd { size: 0 }, b'\n') => At::TrailerStart,
            (At::SizeEnd { size }, b'\n') => At::Data { left: size },
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => SIZE,
            (At::LastLf, b'\n') => At::Over,
            (At::TrailerStart | At::TrailerName | At::TrailerValue | At::TrailerLf, _) => {
                self.trailer_left =
                    self.trailer_left.checked_sub(1).ok_or(Fault::TrailerTooLong(self.trailer_max))?;
                match (self.at, byte) {
                    (At::TrailerStart, b'\r') => At::LastLf,
                    (At::TrailerStart | At::TrailerName, _) if is_token(byte) => At::TrailerName,
                    (At::TrailerName, b':') => At::TrailerValue,
                    (At::TrailerValue, b'\r') => At::TrailerLf,
                    (At::TrailerValue, _) if is_value(byte) => At::TrailerValue,
                    (At::TrailerLf, b'\n') => At::TrailerStart,
                    _ => return Err(Fault::Trailer),
                }
            }
            (At::LastLf, _) => return Err(Fault::Trailer),
            _ => return Err(Fault::Chunk),
        })
    }
}
