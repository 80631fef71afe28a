use super::*;

#[test]
fn asks_as_the_health_protocol_says() {
    assert_eq!(&health_request("")[..], [0, 0, 0, 0, 0]);
    assert_eq!(&health_request("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
    let long = health_request(&"x".repeat(300));
    assert_eq!(long[..8], [0, 0, 0, 1, 0x2f, 0x0a, 0xac, 0x02]);
}

#[test]
fn reads_what_the_health_protocol_says() {
    assert_eq!(health_status(&[0, 0, 0, 0, 2, 8, 1]), Some(SERVING));
    assert_eq!(health_status(&[0, 0, 0, 0, 0]), Some(0));
    assert_eq!(health_status(&[0, 0, 0, 0, 3, 8, 0x81, 0x01]), Some(129));
    for malformed in [
        &[][..],
        &[0, 0, 0, 0],
        &[1, 0, 0, 0, 2, 8, 1],
        &[0, 0, 0, 0, 9, 8, 1],
        &[0, 0, 0, 0, 2, 9, 1],
        &[0, 0, 0, 0, 2, 8, 0x80],
    ] {
        assert_eq!(health_status(malformed), None, "{malformed:?}");
    }
}
