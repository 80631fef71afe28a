//! Durations and sizes as people write them: `250ms`, `1h30m`, `64KiB`.

mod duration;
mod size;

pub use duration::HumanDuration;
pub use size::ByteSize;

/// Why a decimal number could not be taken times its unit.
#[derive(Debug, PartialEq, Eq)]
enum Inexact {
    NotANumber,
    TooFine,
    TooLarge,
}

/// `number` (digits, with decimals if any) times `unit`, exactly.
fn times(number: &str, unit: u64) -> Result<u64, Inexact> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) {
        return Err(Inexact::NotANumber);
    }
    let decimals = decimals.trim_end_matches('0');
    let places = u32::try_from(decimals.len()).map_err(|_| Inexact::TooFine)?;
    let scale = 10_u128.checked_pow(places).filter(|_| places <= 18).ok_or(Inexact::TooFine)?;
    let part = if decimals.is_empty() { 0 } else { decimals.parse::<u128>().map_err(|_| Inexact::TooFine)? };
    let whole: u64 = whole.parse().map_err(|_| Inexact::TooLarge)?;
    let part = part * u128::from(unit);
    if !part.is_multiple_of(scale) {
        return Err(Inexact::TooFine);
    }
    u64::try_from(u128::from(whole) * u128::from(unit) + part / scale).map_err(|_| Inexact::TooLarge)
}

/// Splits off a leading number: `("1.5", "s…")`.
fn leading_number(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()))
}

#[cfg(test)]
mod tests;
