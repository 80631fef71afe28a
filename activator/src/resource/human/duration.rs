use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::{Inexact, leading_number, times};

/// A duration as people write it: `250ms`, `1.5s`, `1h30m`, `0s`; also a plain `0`.
///
/// Every text it takes means the same to Kubernetes, and [`Display`](fmt::Display) writes one that reads back as the
/// same value. From 0 to some 584 years in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HumanDuration(pub Duration);

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DurationError {
    /// Nothing is there.
    #[error("is empty")]
    Empty,
    /// A number stands alone.
    #[error("has no unit after `{0}`: ms, s, m or h")]
    NoUnit(String),
    /// What follows a number is none of the units.
    #[error("has the unknown unit `{0}`: use ms, s, m or h")]
    UnknownUnit(String),
    /// A number should be here.
    #[error("is not a number with a unit")]
    NotANumber,
    /// It begins with a minus.
    #[error("is negative")]
    Negative,
    /// It has parts of a nanosecond.
    #[error("is finer than a nanosecond")]
    TooFine,
    /// It is beyond what can be kept.
    #[error("is too long")]
    TooLong,
}

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const M: u64 = 60 * S;
const H: u64 = 60 * M;

// === impl HumanDuration ===

impl FromStr for HumanDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => return Err(DurationError::Empty),
            "0" => return Ok(Self::default()),
            _ if text.starts_with('-') => return Err(DurationError::Negative),
            _ => {}
        }
        let mut total = 0_u64;
        let mut rest = text;
        while !rest.is_empty() {
            let (number, after) = leading_number(rest);
            if number.is_empty() {
                return Err(DurationError::NotANumber);
            }
            let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
            let unit = match unit {
                "ms" => MS,
                "s" => S,
                "m" => M,
                "h" => H,
                "" => return Err(DurationError::NoUnit(number.to_owned())),
                unknown => return Err(DurationError::UnknownUnit(unknown.to_owned())),
            };
            let part = times(number, unit).map_err(|inexact| match inexact {
                Inexact::NotANumber => DurationError::NotANumber,
                Inexact::TooFine => DurationError::TooFine,
                Inexact::TooLarge => DurationError::TooLong,
            })?;
            total = total.checked_add(part).ok_or(DurationError::TooLong)?;
            rest = after;
        }
        Ok(Self(Duration::from_nanos(total)))
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        let (h, m, s, ms) = (u128::from(H), u128::from(M), u128::from(S), u128::from(MS));
        let (hours, minutes, seconds) = (nanos / h, nanos % h / m, nanos % m);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        match seconds {
            0 => Ok(()),
            _ if seconds < s => decimal(f, seconds, ms, "ms"),
            _ => decimal(f, seconds, s, "s"),
        }
    }
}

/// Writes `nanos` in units of `unit`, which is a power of ten.
fn decimal(f: &mut fmt::Formatter<'_>, nanos: u128, unit: u128, name: &str) -> fmt::Result {
    write!(f, "{}", nanos / unit)?;
    if !nanos.is_multiple_of(unit) {
        let decimals = format!("{:0width$}", nanos % unit, width = unit.ilog10() as usize);
        write!(f, ".{}", decimals.trim_end_matches('0'))?;
    }
    f.write_str(name)
}

impl From<Duration> for HumanDuration {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written<'a> {
            Text(Cow<'a, str>),
            Number(u64),
        }
        match Written::deserialize(deserializer)? {
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
            Written::Number(0) => Ok(Self::default()),
            Written::Number(number) => Err(serde::de::Error::custom(DurationError::NoUnit(number.to_string()))),
        }
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h))+)$" })
    }
}
