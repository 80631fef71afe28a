use super::*;

#[test]
fn nothing_is_lost_and_nothing_of_the_old_buffer_is_kept() {
    let buffer = Bytes::from(b"/a/b%20c?d=eblueredx-own".to_vec());
    let mut headers = HeaderMap::new();
    let name = HeaderName::from_bytes(&buffer[19..]).unwrap();
    headers.append(name.clone(), HeaderValue::from_maybe_shared(buffer.slice(12..16)).unwrap());
    headers.append(name, HeaderValue::from_maybe_shared(buffer.slice(16..19)).unwrap());
    let mut secret = HeaderValue::from_maybe_shared(buffer.slice(0..2)).unwrap();
    secret.set_sensitive(true);
    headers.append(http::header::AUTHORIZATION, secret);
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_maybe_shared(buffer.slice(..12)).unwrap();
    *request.headers_mut() = headers.clone();

    compact(&mut request);

    assert_eq!(request.uri(), "/a/b%20c?d=e");
    assert_eq!(*request.headers(), headers);
    assert!(request.headers()[http::header::AUTHORIZATION].is_sensitive());
    drop(headers);
    assert!(buffer.is_unique(), "somebody still holds the buffer");
}

#[test]
fn every_form_of_target_stays() {
    for target in ["/", "*", "/x?y", "http://h:80/x?y", "http://h"] {
        let mut request = Request::builder().uri(target).body(()).unwrap();
        let before = request.uri().clone();
        compact(&mut request);
        assert_eq!(*request.uri(), before, "{target}");
    }
}
