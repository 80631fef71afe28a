use super::*;

#[test]
fn a_host_is_a_name_or_an_address_with_a_port_or_without() {
    for good in ["a", "app.example.org", "App.example.org:80", "a_b-c.d:", "127.0.0.1:8080", "[::1]", "[::1]:80"] {
        assert!(is_host(good.as_bytes()), "{good}");
    }
    let bad =
        ["", ":80", "a:b", "a:80?x#", "a:9\t9", "a b", "a,b", "a@b", "a/b", "[::1", "[::1]x", "a\"b", "a:80:80", "é"];
    for bad in bad {
        assert!(!is_host(bad.as_bytes()), "{bad}");
    }
}

#[test]
fn chunks_are_the_only_coding_that_passes() {
    let coded = |values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRANSFER_ENCODING, HeaderValue::from_static(value));
        }
        is_coded(&headers)
    };
    assert!(!coded(&[]) && !coded(&["chunked"]) && !coded(&["Chunked"]));
    assert!(coded(&["gzip, chunked"]) && coded(&["gzip", "chunked"]));
}
