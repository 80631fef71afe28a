use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;

use hyper::service::service_fn;
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::clock::Clock;
use crate::platform::readiness::Probe;

const POD: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What an app was asked: path and headers.
type Asked = Arc<Mutex<Vec<(String, BTreeMap<String, String>)>>>;

/// An app that answers as `answer` says by path: a status, and where to go.
async fn app(answer: impl Fn(&str) -> (u16, &'static str) + Clone + Send + Sync + 'static) -> (u16, Asked) {
    let listener = TcpListener::bind((POD, 0)).await.expect("bind");
    let port = listener.local_addr().expect("bound").port();
    let asked = Asked::default();
    let seen = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answer, seen) = (answer.clone(), seen.clone());
            let serve = service_fn(move |request: Request<Incoming>| {
                let path = request.uri().path_and_query().map_or("", |path| path.as_str()).to_owned();
                let (status, location) = answer(&path);
                let text = |v: &HeaderValue| v.to_str().unwrap_or_default().to_owned();
                let headers = request.headers().iter().map(|(name, value)| (name.to_string(), text(value)));
                seen.lock().push((path, headers.collect()));
                let response = Response::builder().status(status).header(LOCATION, location);
                std::future::ready(Ok::<_, Infallible>(response.body(Empty::<Bytes>::new()).expect("a response")))
            });
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
        }
    });
    (port, asked)
}

fn check(action: Action) -> PodCheck {
    PodCheck { action, timeout: Duration::from_secs(5), initial_delay: Duration::ZERO, success_threshold: 1 }
}

fn get_of(port: u16, path: &str) -> PodCheck {
    check(Action::HttpGet { https: false, port, path: path.into(), headers: Vec::new() })
}

async fn tried(check: PodCheck) -> Result<(), String> {
    Probe::of_pod(check, POD).check().await.map_err(|why| why.to_string())
}

fn of(probe: serde_json::Value) -> Option<PodCheck> {
    let probe = serde_json::from_value(probe).expect("a probe");
    PodCheck::of(&probe, |name| (name == "http").then_some(8080))
}

#[test]
fn reads_what_a_probe_asks_for() {
    let all = json!({
        "httpGet": {"path": "/ok?x=1", "port": "http", "scheme": "HTTPS", "httpHeaders": [{"name": "Host", "value": "a.b"}]},
        "timeoutSeconds": 3, "initialDelaySeconds": 5, "successThreshold": 2, "periodSeconds": 10,
    });
    let headers = vec![("Host".to_owned(), "a.b".to_owned())];
    let expected = PodCheck {
        action: Action::HttpGet { https: true, port: 8080, path: "/ok?x=1".into(), headers },
        timeout: Duration::from_secs(3),
        initial_delay: Duration::from_secs(5),
        success_threshold: 2,
    };
    assert_eq!(of(all), Some(expected));
    let defaults = PodCheck { timeout: Duration::from_secs(1), ..get_of(80, "") };
    assert_eq!(of(json!({"httpGet": {"port": 80}})), Some(defaults));
    let port = |probe| of(probe).map(|check| check.action);
    assert_eq!(port(json!({"tcpSocket": {"port": "81"}})), Some(Action::TcpSocket { port: 81 }));
    let grpc = Action::Grpc { port: 82, service: "a.B".into() };
    assert_eq!(port(json!({"grpc": {"port": 82, "service": "a.B"}})), Some(grpc));
}

#[test]
fn leaves_to_the_kubelet_what_cannot_be_done_from_outside() {
    for probe in [
        json!({"exec": {"command": ["true"]}}),
        json!({}),
        json!({"httpGet": {"port": 80, "host": "127.0.0.1"}}),
        json!({"tcpSocket": {"port": 80, "host": "example.com"}}),
        json!({"httpGet": {"port": "nobody-knows"}}),
        json!({"httpGet": {"port": 0}}),
        json!({"tcpSocket": {"port": 70000}}),
    ] {
        assert_eq!(of(probe.clone()), None, "{probe}");
    }
}

#[tokio::test]
async fn asks_as_the_kubelet_does() {
    let (port, asked) = app(|_| (200, "")).await;
    assert_eq!(tried(get_of(port, "ok")).await, Ok(()));
    let headers = [("host", "app.example"), ("user-agent", "mine"), ("x-a", "1")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let path = "/ok?full".into();
    assert_eq!(tried(check(Action::HttpGet { https: false, port, path, headers })).await, Ok(()));
    let asked = asked.lock();
    let [(first_path, first), (second_path, second)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((&**first_path, &**second_path), ("/ok", "/ok?full"));
    assert_eq!(first["host"], format!("127.0.0.1:{port}"));
    assert!(first["user-agent"].starts_with("kube-probe/"));
    assert_eq!((&*first["accept"], &*first["connection"]), ("*/*", "close"));
    assert_eq!((&*second["host"], &*second["user-agent"], &*second["x-a"]), ("app.example", "mine", "1"));
}

#[tokio::test]
async fn follows_within_the_pod_and_takes_what_leads_out_of_it() {
    let answer = |path: &str| match path {
        "/in" => (302, "deeper?x"),
        "/deeper?x" => (307, "/end"),
        "/end" => (503, ""),
        "/out" => (301, "https://login.example/"),
        "/odd" => (304, "/end"),
        "/round" => (302, "/round"),
        _ => (200, ""),
    };
    let (port, asked) = app(answer).await;
    assert_eq!(tried(get_of(port, "/in")).await, Err("status 503 Service Unavailable".into()));
    assert_eq!(asked.lock().drain(..).map(|(path, _)| path).collect::<Vec<_>>(), ["/in", "/deeper?x", "/end"]);
    assert_eq!(tried(get_of(port, "/out")).await, Ok(()));
    assert_eq!(tried(get_of(port, "/odd")).await, Ok(()));
    asked.lock().clear();
    assert_eq!(tried(get_of(port, "/round")).await, Err("its answers send on to each other".into()));
    assert_eq!(asked.lock().len(), MOST_REQUESTS);
}

#[test]
fn tells_the_same_host_from_another() {
    let at = |https, port, path: &str| Place { https, address: SocketAddr::new(POD, port), path: path.into() };
    let from = at(false, 8080, "/a/b?c");
    let to = |location: &str| onward(&from, StatusCode::FOUND, HeaderValue::from_str(location).ok().as_ref());
    assert_eq!(to("/x#y"), Onward::Within(at(false, 8080, "/x")));
    assert_eq!(to("x"), Onward::Within(at(false, 8080, "/a/x")));
    assert_eq!(to("?x"), Onward::Within(at(false, 8080, "/a/b?x")));
    assert_eq!(to("https://127.0.0.1:8443"), Onward::Named(at(true, 8443, "/")));
    assert_eq!(to("//127.0.0.1/x"), Onward::Named(at(false, 80, "/x")));
    for elsewhere in ["http://localhost:8080/", "//10.0.0.9/", "ftp://127.0.0.1/", "http://"] {
        assert_eq!(to(elsewhere), Onward::Elsewhere, "{elsewhere}");
    }
    assert_eq!(onward(&from, StatusCode::FOUND, None), Onward::Elsewhere);
}

#[tokio::test]
async fn tries_ports_and_health_services() {
    let (port, _) = app(|_| (200, "")).await;
    assert_eq!(tried(check(Action::TcpSocket { port })).await, Ok(()));
    let why = tried(check(Action::Grpc { port, service: String::new() })).await.expect_err("HTTP/1.1 only");
    assert!(why.starts_with("no valid answer: "), "{why}");
    let free = TcpListener::bind((POD, 0)).await.and_then(|l| l.local_addr()).expect("a free port").port();
    for https in [false, true] {
        let action = Action::HttpGet { https, port: free, path: "/".into(), headers: Vec::new() };
        let why = tried(check(action)).await.expect_err("nobody listens");
        assert!(why.starts_with("cannot connect: "), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn waits_first_then_wants_as_many_passes_in_a_row_as_the_probe_says() {
    let tries = Arc::new(Mutex::new(0));
    let counted = tries.clone();
    let answer = move |_: &str| {
        let mut tries = counted.lock();
        *tries += 1;
        // Passes, fails once, then passes.
        (if *tries == 2 { 500 } else { 200 }, "")
    };
    let (port, _) = app(answer).await;
    let (success_threshold, initial_delay) = (3, Duration::from_secs(7));
    let clock = Clock::running();
    let check = PodCheck { success_threshold, initial_delay, ..get_of(port, "/") };
    let mut probe = Probe::of_pod(check.clone(), POD).every(Duration::from_millis(15));
    let begin = clock.now();
    probe.ready(&clock).await;
    assert_eq!(*tries.lock(), 5);
    assert!(clock.now().since(begin) >= Duration::from_secs(7) + Duration::from_millis(4 * 15));
    assert!(matches!(probe.last(), Some(NotReady::Status(StatusCode::INTERNAL_SERVER_ERROR))));

    let begin = clock.now();
    Probe::of_pod(check, POD).every(Duration::from_millis(15)).after(Duration::ZERO).ready(&clock).await;
    assert!(clock.now().since(begin) < Duration::from_secs(7));
}

#[tokio::test]
async fn a_try_may_take_as_long_as_the_probe_allows() {
    let listener = TcpListener::bind((POD, 0)).await.expect("bind");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a try");
        assert!(stream.read(&mut [0; 1024]).await.expect("a request") > 0);
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("it waits for that");
        // Nobody is let in a second time.
        drop(listener);
    });
    assert_eq!(tried(get_of(port, "/")).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_try_takes_no_longer_than_the_probe_allows_and_ten_seconds() {
    let listener = TcpListener::bind((POD, 0)).await.expect("bind");
    let port = listener.local_addr().expect("bound").port();
    let long = PodCheck { timeout: Duration::from_secs(60), ..get_of(port, "/") };
    assert_eq!(tried(long).await, Err("no answer within 10 s".into()));
    let short = PodCheck { timeout: Duration::from_millis(300), ..get_of(port, "/") };
    assert_eq!(tried(short).await, Err("no answer within 0.3 s".into()));
}
