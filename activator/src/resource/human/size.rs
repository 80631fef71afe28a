use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::{Inexact, leading_number, times};

/// A number of bytes as people write it: `64KiB`, `1.5GiB`, `1MB`, `512B`; also plain bytes.
///
/// [`Display`](fmt::Display) writes a text that reads back as the same value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Why a text is no size.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ByteSizeError {
    /// It does not begin with a number.
    #[error("is not a number of bytes, such as 64KiB, 1MB or 512")]
    NotANumber,
    /// What follows the number is none of the units.
    #[error("has the unknown unit `{0}`: use B, kB, MB, GB, TB, KiB, MiB, GiB or TiB")]
    UnknownUnit(String),
    /// It has parts of a byte.
    #[error("is not a whole number of bytes")]
    TooFine,
    /// It is beyond what can be kept.
    #[error("is too large")]
    TooLarge,
}

/// Largest first, so that the first one that divides a value is the one to write it in.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("B", 1),
];

// === impl ByteSize ===

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, unit) = leading_number(text);
        let unit = match unit.trim_start() {
            "" => 1,
            "KB" => 1_000,
            unit => match UNITS.iter().find(|(name, _)| *name == unit) {
                Some((_, bytes)) => *bytes,
                None if number.is_empty() => return Err(ByteSizeError::NotANumber),
                None => return Err(ByteSizeError::UnknownUnit(unit.to_owned())),
            },
        };
        times(number, unit).map(Self).map_err(|inexact| match inexact {
            Inexact::NotANumber => ByteSizeError::NotANumber,
            Inexact::TooFine => ByteSizeError::TooFine,
            Inexact::TooLarge => ByteSizeError::TooLarge,
        })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, bytes)| self.0 >= *bytes && self.0.is_multiple_of(*bytes)) {
            Some((name, bytes)) => write!(f, "{}{name}", self.0 / bytes),
            None => f.write_str("0B"),
        }
    }
}
