use super::*;

#[test]
fn cookies_become_one_header_in_their_order() {
    let mut headers = HeaderMap::new();
    for cookie in ["a=1", "b=2; c=3", "d=4"] {
        headers.append(COOKIE, HeaderValue::from_static(cookie));
    }
    join_cookies(&mut headers);
    assert_eq!(headers.get_all(COOKIE).iter().collect::<Vec<_>>(), ["a=1; b=2; c=3; d=4"]);
}

#[test]
fn targets_take_the_form_of_their_version() {
    let uri: Uri = "http://other:80/a?b".parse().unwrap();
    assert_eq!(origin_form(&uri), "/a?b");
    let host = HeaderValue::from_static("app:8080");
    assert_eq!(absolute_form(&host, &uri).unwrap(), "http://app:8080/a?b");
    assert_eq!(absolute_form(&HeaderValue::from_static("not a host"), &uri), None);
}
