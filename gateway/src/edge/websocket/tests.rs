use std::net::{IpAddr, Ipv4Addr};

use http_body_util::Empty;

use super::*;

/// Of RFC 6455, 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

type Empties = Empty<bytes::Bytes>;

fn peer() -> Arc<Peer> {
    Arc::new(Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), false))
}

/// An upgrade with HTTP/1.1.
fn upgrading(protocol: &str) -> Request<Empties> {
    let request = Request::get("/ws").header(CONNECTION, "Upgrade").header(UPGRADE, protocol);
    request.header(SEC_WEBSOCKET_KEY, KEY).header(SEC_WEBSOCKET_VERSION, "13").body(Empty::new()).unwrap()
}

/// A `CONNECT` with HTTP/2 for this.
fn connecting(protocol: &'static str) -> Request<Empties> {
    let request = Request::connect("http://a/ws").version(Version::HTTP_2).extension(Protocol::from_static(protocol));
    request.header(SEC_WEBSOCKET_VERSION, "13").body(Empty::new()).unwrap()
}

/// What the app gets of a request, and how the client's wish may be granted.
fn asked(mut request: Request<Empties>, http2: bool) -> (Request<Empties>, Wish) {
    let asked = Asked::of(&request, true, http2).expect("it leaves HTTP");
    strip_hop_by_hop(request.headers_mut());
    let wish = asked.ask(&mut request, &peer(), http2);
    (request, wish)
}

fn answer(status: u16, headers: &[(&'static str, &str)]) -> Response<()> {
    let response = Response::builder().status(status);
    headers.iter().fold(response, |response, (name, value)| response.header(*name, *value)).body(()).unwrap()
}

/// What the client gets.
fn told(wish: Wish, mut answer: Response<()>) -> Response<()> {
    let mut status = answer.status();
    wish.grant(&mut status, answer.headers_mut());
    *answer.status_mut() = status;
    answer
}

#[test]
fn what_does_not_ask_for_it_stays_http() {
    let not = |request: Request<Empties>, http2| Asked::of(&request, true, http2).is_none();
    assert!(not(Request::new(Empty::new()), false));
    assert!(not(upgrading("h2c"), false));
    assert!(not(upgrading("chat"), true), "an app with HTTP/2 can take WebSockets only");
    assert!(not(connecting("connect-udp"), false));
    let mut without_key = upgrading("websocket");
    without_key.headers_mut().remove(SEC_WEBSOCKET_KEY);
    assert!(not(without_key, true));
    let mut old = upgrading("websocket");
    *old.version_mut() = Version::HTTP_10;
    assert!(not(old, false));
}

#[test]
fn an_upgrade_passes_as_it_is() {
    let (request, wish) = asked(upgrading("chat"), false);
    assert_eq!((request.method(), &request.headers()[UPGRADE]), (&Method::GET, &HeaderValue::from_static("chat")));
    assert_eq!(request.headers()[CONNECTION], "upgrade");
    assert_eq!(wish.is_granted(&answer(200, &[])), Ok(false));
    assert_eq!(wish.is_granted(&answer(101, &[])), Err(Flaw::Switches));
    let granted = answer(101, &[("upgrade", "chat"), ("connection", "Upgrade, x-y"), ("x-y", "z")]);
    assert_eq!(wish.is_granted(&granted), Ok(true));
    let told = told(wish, granted);
    assert_eq!((told.status().as_u16(), told.headers().len()), (101, 2), "{told:?}");
}

#[test]
fn a_websocket_of_http2_is_an_upgrade_at_an_app_with_http1_which_has_to_prove_it() {
    let (request, wish) = asked(connecting("websocket"), false);
    assert_eq!((request.method(), &request.headers()[UPGRADE]), (&Method::GET, &HeaderValue::from_static("websocket")));
    let key = &request.headers()[SEC_WEBSOCKET_KEY];
    let proof = accept(key.as_bytes());
    let proof = proof.to_str().unwrap();
    let granting =
        |accept| answer(101, &[("upgrade", "WebSocket"), ("connection", "upgrade"), ("sec-websocket-accept", accept)]);
    assert_eq!(wish.is_granted(&granting(ACCEPT)), Err(Flaw::NoWebSocket));
    let other = answer(101, &[("upgrade", "chat"), ("connection", "upgrade"), ("sec-websocket-accept", proof)]);
    assert_eq!(wish.is_granted(&other), Err(Flaw::NoWebSocket));
    assert_eq!(wish.is_granted(&answer(200, &[])), Err(Flaw::NoWebSocket), "it would mean that it is granted");
    assert_eq!(wish.is_granted(&answer(403, &[])), Ok(false));
    assert_eq!(wish.is_granted(&granting(proof)), Ok(true));
    let told = told(wish, granting(proof));
    assert_eq!((told.status().as_u16(), told.headers().len()), (200, 0), "{told:?}");
}

#[test]
fn an_upgrade_is_a_connect_at_an_app_with_http2() {
    let (request, wish) = asked(upgrading("WebSocket"), true);
    assert_eq!((request.method(), protocol(&request)), (&Method::CONNECT, Some("websocket")));
    assert!(!request.headers().contains_key(SEC_WEBSOCKET_KEY) && !request.headers().contains_key(UPGRADE));
    assert_eq!(request.headers()[SEC_WEBSOCKET_VERSION], "13");
    assert_eq!(wish.is_granted(&answer(404, &[])), Ok(false));
    assert_eq!(wish.is_granted(&answer(204, &[])), Err(Flaw::NoWebSocket));
    let granted = answer(200, &[("sec-websocket-protocol", "chat")]);
    assert_eq!(wish.is_granted(&granted), Ok(true));
    let told = told(wish, granted);
    assert_eq!(
        (told.status().as_u16(), &told.headers()[SEC_WEBSOCKET_ACCEPT]),
        (101, &HeaderValue::from_static(ACCEPT))
    );
    assert_eq!(told.headers()["sec-websocket-protocol"], "chat");
}

#[test]
fn with_http2_on_both_sides_it_stays_what_it_is() {
    let (request, wish) = asked(connecting("websocket"), true);
    assert_eq!((request.method(), protocol(&request)), (&Method::CONNECT, Some("websocket")));
    let granted = answer(200, &[("sec-websocket-protocol", "chat")]);
    assert_eq!(wish.is_granted(&granted), Ok(true));
    assert_eq!(told(wish, granted).headers().len(), 1);
}
