use bytes::Bytes;
use http::HeaderMap;
use http::header::TRANSFER_ENCODING;
use http_body_util::{Empty, Full, StreamBody};
use hyper::body::Frame;

use super::asked::is_host;
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
    assert!(coded(&["chunked, chunked"]) && coded(&["chunked", "chunked"]));
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

#[test]
fn a_held_body_counts_for_what_http2_lets_in_of_it() {
    fn bytes<B: Body>(version: Version, body: B) -> usize {
        let request = |body| Request::builder().version(version).uri("http://a/").header("x", "y").body(body).unwrap();
        let request = request(body);
        held_bytes(&request) - header_bytes(&request)
    }
    let endless = || StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, io::Error>>());
    let full = |length: usize| Full::new(Bytes::from(vec![0; length]));
    for version in [Version::HTTP_11, Version::HTTP_2] {
        assert_eq!(bytes(version, Empty::<Bytes>::new()), 0, "{version:?}");
    }
    assert_eq!(bytes(Version::HTTP_11, endless()), 0, "it stays in the socket");
    assert_eq!(bytes(Version::HTTP_2, full(1000)), 1000);
    assert_eq!(bytes(Version::HTTP_2, full(1 << 20)), 64 * 1024);
    assert_eq!(bytes(Version::HTTP_2, endless()), 64 * 1024);
}
