use super::{median, percentile};

#[test]
fn percentile_is_the_nearest_rank() {
    let hundred: Vec<u32> = (1..=100).collect();
    assert_eq!(percentile(&hundred, 50.0), Some(50));
    assert_eq!(percentile(&hundred, 99.0), Some(99));
    assert_eq!(percentile(&hundred, 100.0), Some(100));
    assert_eq!(percentile(&[7], 0.0), Some(7));
    assert_eq!(percentile::<u32>(&[], 50.0), None);
}

#[test]
fn median_of_odd_and_even() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    assert!(median(&[]).is_nan());
}
