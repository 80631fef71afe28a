use std::time::Duration;

use proptest::prelude::*;

use super::duration::{DurationError, HumanDuration};
use super::size::{ByteSize, ByteSizeError};

#[test]
fn durations_mean_what_they_say() {
    for (text, nanos) in [
        ("0", 0),
        ("0s", 0),
        ("250ms", 250_000_000),
        ("1.5s", 1_500_000_000),
        ("0.000001ms", 1),
        ("2m", 120_000_000_000),
        ("1h", 3_600_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1m1h", 3_660_000_000_000),
        ("1m1ms", 60_001_000_000),
    ] {
        assert_eq!(text.parse(), Ok(HumanDuration(Duration::from_nanos(nanos))), "{text}");
    }
}

#[test]
fn texts_that_are_no_durations_say_why() {
    for (text, error) in [
        ("", DurationError::Empty),
        ("60", DurationError::NoUnit("60".into())),
        ("1m30", DurationError::NoUnit("30".into())),
        ("1d", DurationError::UnknownUnit("d".into())),
        ("10 s", DurationError::UnknownUnit(" s".into())),
        ("1S", DurationError::UnknownUnit("S".into())),
        ("s", DurationError::NotANumber),
        ("1..5s", DurationError::NotANumber),
        (".5s", DurationError::NotANumber),
        ("5.s", DurationError::NotANumber),
        ("-1s", DurationError::Negative),
        ("0.0000001ms", DurationError::TooFine),
        ("9999999999h", DurationError::TooLong),
        ("99999999999999999999999s", DurationError::TooLong),
    ] {
        assert_eq!(text.parse::<HumanDuration>(), Err(error), "{text}");
    }
}

#[test]
fn sizes_mean_what_they_say() {
    for (text, bytes) in [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("64KiB", 65_536),
        ("64 KiB", 65_536),
        ("1MB", 1_000_000),
        ("1KB", 1_000),
        ("1.5GiB", 1_610_612_736),
    ] {
        assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
    }
    for (text, error) in [
        ("", ByteSizeError::NotANumber),
        ("MiB", ByteSizeError::NotANumber),
        ("lots", ByteSizeError::NotANumber),
        ("-1", ByteSizeError::NotANumber),
        ("64Ki", ByteSizeError::UnknownUnit("Ki".into())),
        ("1.5", ByteSizeError::TooFine),
        ("99999999TiB", ByteSizeError::TooLarge),
    ] {
        assert_eq!(text.parse::<ByteSize>(), Err(error), "{text}");
    }
    assert_eq!(ByteSize(65_536).to_string(), "64KiB");
    assert_eq!(ByteSize(1_500).to_string(), "1500B");
    assert_eq!(ByteSize(2_000).to_string(), "2kB");
}

proptest! {
    #[test]
    fn a_duration_reads_back_as_written(nanos in any::<u64>(), places in 0_u32..19) {
        let duration = HumanDuration(Duration::from_nanos(nanos / 10_u64.pow(places)));
        prop_assert_eq!(duration.to_string().parse(), Ok(duration));
    }

    #[test]
    fn a_size_reads_back_as_written(bytes in any::<u64>(), shift in 0_u32..64) {
        let size = ByteSize((bytes >> shift) << shift);
        prop_assert_eq!(size.to_string().parse(), Ok(size));
    }

    #[test]
    fn what_the_schema_allows_is_a_duration(text in r"(0|([0-9]{1,4}(\.[0-9]{1,6})?(ms|s|m|h)){1,4})") {
        prop_assert!(text.parse::<HumanDuration>().is_ok(), "{}", text);
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "[0-9.msh KMiB-]{0,30}|.{0,20}") {
        let _ = text.parse::<HumanDuration>();
        let _ = text.parse::<ByteSize>();
    }
}
