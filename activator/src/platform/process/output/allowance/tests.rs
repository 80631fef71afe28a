use super::*;

const NOW: Timestamp = Timestamp::from_millis(5_300);
const NEXT: Timestamp = Timestamp::from_millis(6_100);

#[test]
fn lines_and_bytes_of_a_second_are_bounded() {
    let mut allowance = Allowance::default();
    assert_eq!((0..LINES + 7).filter(|_| allowance.line(NOW, 10)).count(), LINES as usize);
    assert_eq!(allowance.left_out(NOW), None, "there may be more of it");
    assert_eq!(allowance.read(NEXT, 1), None);
    assert_eq!(allowance.left_out(NEXT), Some(LeftOut { lines: 7, bytes: 70 }));
    assert_eq!(allowance.left_out(NEXT), None, "it is told once");
    assert!(allowance.line(NEXT, BYTES), "a second later it begins anew");
    assert!(!allowance.line(NEXT, 1));
    assert_eq!(allowance.rest(), Some(LeftOut { lines: 1, bytes: 1 }));
}

#[test]
fn what_was_left_out_is_not_forgotten_with_the_second() {
    let mut allowance = Allowance::default();
    assert!(allowance.line(NOW, BYTES) && !allowance.line(NOW, 5));
    assert!(allowance.line(NEXT, 5));
    assert_eq!(allowance.rest(), Some(LeftOut { lines: 1, bytes: 5 }));
}

#[test]
fn no_more_is_read_than_a_second_may_have() {
    let mut allowance = Allowance::default();
    assert_eq!(allowance.read(NOW, READ - 1), None);
    assert_eq!(allowance.read(NOW, 1), Some(Duration::from_millis(700)));
    assert_eq!(allowance.read(NEXT, READ - 1), None);
}
