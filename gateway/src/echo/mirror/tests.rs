use super::*;

#[test]
fn hash_is_fnv1a() {
    // Vectors from the hash's authors.
    for (text, hash) in [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)] {
        let mut fnv = Fnv1a::new();
        fnv.write(text.as_bytes());
        assert_eq!(fnv.0, hash, "{text}");
    }
}

#[test]
fn small_bodies_are_shown_as_what_they_are() {
    assert!(matches!(Shown::new(b"caf\xc3\xa9".to_vec()), Some(Shown::Text(text)) if text == "café"));
    assert!(matches!(Shown::new(vec![0xff, 0x00]), Some(Shown::Base64(text)) if text == "/wA="));
    assert!(Shown::new(Vec::new()).is_none());
    assert!(Shown::new(vec![b'a'; SHOWN]).is_some());
    assert!(Shown::new(vec![b'a'; SHOWN + 1]).is_none());
}
