use super::sum;

#[test]
fn sums_the_series_that_have_the_labels() {
    let page = "# TYPE wakes counter\n\
                wakes{app=\"a\",phase=\"x\"} 1\n\
                wakes{app=\"a\",phase=\"y\"} 2\n\
                wakes{app=\"ab\",phase=\"x\"} 4\n\
                wakes_total{app=\"a\"} 8\n";
    assert_eq!(sum(page, "wakes", &["app=\"a\""]), 3.0);
    assert_eq!(sum(page, "wakes", &["app=\"a\"", "phase=\"x\""]), 1.0);
    assert_eq!(sum(page, "wakes", &[]), 7.0);
    assert_eq!(sum(page, "sleeps", &[]), 0.0);
}
