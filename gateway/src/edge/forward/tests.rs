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

/// How large the future is that a function makes.
fn size<A, B, C, F>(_: impl FnOnce(A, B, C) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn a_request_in_flight_is_no_larger_than_it_has_to_be() {
    // Moved about, and kept by all that are held: the request is not to be in it a second time.
    assert!(size(handle) <= 512, "{} B", size(handle));
    // What glibc keeps at hand for each thread: 1,032 bytes at most.
    assert!(size(exchange) <= 1032, "{} B", size(exchange));
}
