use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use activator::settings::Protocol;
use activator::{Clock, Timestamp};
use http::{Method, Uri, Version};
use hyper::service::service_fn;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::config::settings::Timeouts;
use crate::edge::body::UploadProgress;
use crate::edge::upstream::tests::way;

/// What the app does with a request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Does {
    Answer,
    Refuse,
    /// Once it has some of its body.
    RefuseLate,
    /// It says that it takes no streams any more, and names the last one that it has taken: this one or the one before.
    GoAway {
        names_it: bool,
    },
    Close,
    /// The same, and it listens no more.
    Vanish,
}

/// An app that does this with one request after the other.
struct App {
    endpoint: Arc<Endpoint>,
    connections: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<Method>>>,
}

impl App {
    async fn doing(does: &'static [Does]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let (connections, asked) = (Arc::new(AtomicUsize::new(0)), Arc::<Mutex<Vec<Method>>>::default());
        let (count, log) = (connections.clone(), asked.clone());
        let (gone, mut is_gone) = mpsc::channel::<()>(1);
        tokio::spawn(async move {
            loop {
                let stream = tokio::select! {
                    Ok((stream, _)) = listener.accept() => stream,
                    Some(()) = is_gone.recv() => return,
                };
                let gone = gone.clone();
                count.fetch_add(1, Ordering::SeqCst);
                let next = does[log.lock().len().min(does.len() - 1)];
                match next {
                    Does::GoAway { names_it } => {
                        log.lock().push(Method::TRACE);
                        tokio::spawn(goes_away(stream, names_it));
                    }
                    _ => {
                        tokio::spawn(serve(stream, does, log.clone(), gone));
                    }
                }
            }
        });
        let endpoint = Arc::new(Endpoint::new("a", address).speaking(Protocol::H2c));
        Self { endpoint, connections, asked }
    }

    /// Sends a request without a body: the status of the answer, or why there is none.
    async fn send(&self, method: Method) -> Result<u16, &'static str> {
        self.send_with(method, RequestBody::empty(), None).await
    }

    async fn send_with(
        &self,
        method: Method,
        body: RequestBody,
        upload: Option<Arc<UploadProgress>>,
    ) -> Result<u16, &'static str> {
        let second = Duration::from_secs(1);
        let timeouts = Timeouts { connect: second, response_header: 60 * second, idle: 60 * second, request: None };
        let mut patience = Patience::new(&timeouts, upload, Clock::running().instant(Timestamp::ZERO));
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from_static("http://a/path");
        *request.version_mut() = Version::HTTP_2;
        match send(&self.endpoint, &mut Some(request), &mut patience, &way()).await {
            Ok(Answer { response, .. }) => Ok(response.status().as_u16()),
            Err(SendError::Refused) => Err("refused"),
            Err(SendError::Sent(_)) => Err("sent"),
            Err(_) => Err("else"),
        }
    }

    /// Sends a `POST` whose body comes when `may_come` says so.
    async fn upload(&self, may_come: impl Future<Output = ()>) -> Result<u16, &'static str> {
        let (mut client, server) = tokio::io::duplex(4096);
        let (told, outcome) = tokio::sync::oneshot::channel();
        let told = Mutex::new(Some(told));
        let service = service_fn(|request: Request<Incoming>| async {
            let upload = Arc::new(UploadProgress::new(Clock::running()));
            let body = RequestBody::new(request.into_body().into(), Duration::from_secs(60), Some(upload.clone()));
            let sent = self.send_with(Method::POST, body, Some(upload)).await;
            let _ = told.lock().take().expect("one request").send(sent);
            Ok::<_, io::Error>(Response::new(http_body_util::Empty::<&[u8]>::new()))
        });
        let asking = async move {
            client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n").await.unwrap();
            may_come.await;
            // It may have its answer, and be closed.
            let _ = client.write_all(b"body").await;
            outcome.await.unwrap()
        };
        let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(server), service);
        tokio::join!(asking, served).0
    }

    fn seen(&self) -> (usize, usize) {
        (self.asked.lock().len(), self.connections.load(Ordering::SeqCst))
    }
}

async fn serve(stream: TcpStream, does: &[Does], asked: Arc<Mutex<Vec<Method>>>, gone: mpsc::Sender<()>) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let number = {
            let mut asked = asked.lock();
            asked.push(request.method().clone());
            asked.len() - 1
        };
        match does[number.min(does.len() - 1)] {
            Does::RefuseLate => {
                // The connection has to go on for the body to come.
                let mut body = request.into_body();
                tokio::spawn(async move {
                    body.data().await.unwrap().unwrap();
                    respond.send_reset(Reason::REFUSED_STREAM);
                });
            }
            Does::Answer => drop(respond.send_response(Response::new(()), true)),
            Does::Refuse => respond.send_reset(Reason::REFUSED_STREAM),
            Does::Close => return,
            Does::Vanish => {
                gone.send(()).await.unwrap();
                gone.closed().await;
                return;
            }
            Does::GoAway { .. } => unreachable!("only the first on its connection"),
        }
    }
}

/// Takes one request and goes: HTTP/2 by hand, since no server names fewer streams than it has seen.
async fn goes_away(mut stream: TcpStream, names_it: bool) {
    const SETTINGS: u8 = 4;
    const HEADERS: u8 = 1;
    const GOAWAY: u8 = 7;
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).await.unwrap();
    stream.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]).await.unwrap();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        if head[3] == HEADERS {
            break;
        }
    }
    stream.write_all(&[0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, u8::from(names_it), 0, 0, 0, 0]).await.unwrap();
    // Closed in order, so that it is read before the end.
    stream.shutdown().await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn what_an_app_has_refused_goes_out_again_whatever_it_is() {
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let app = App::doing(&[Does::Refuse, Does::Refuse, Does::Answer]).await;
        assert_eq!((app.send(method.clone()).await, app.seen()), (Ok(200), (3, 1)), "{method}");
        let app = App::doing(&[Does::GoAway { names_it: false }, Does::Answer]).await;
        assert_eq!((app.send(method.clone()).await, app.seen()), (Ok(200), (2, 2)), "{method}");
    }
}

#[tokio::test]
async fn from_an_app_that_is_gone_nothing_is_taken_elsewhere() {
    let app = App::doing(&[Does::Answer, Does::Vanish]).await;
    assert_eq!(app.send(Method::GET).await, Ok(200));
    assert_eq!((app.send(Method::GET).await, app.seen()), (Err("sent"), (2, 1)));
}

#[tokio::test]
async fn so_does_a_body_of_which_nothing_was_taken() {
    let app = App::doing(&[Does::Refuse, Does::Refuse, Does::Answer]).await;
    let refused = async {
        while app.seen().0 < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert_eq!((app.upload(refused).await, app.seen()), (Ok(200), (3, 1)));
    let app = App::doing(&[Does::RefuseLate, Does::Answer]).await;
    assert_eq!((app.upload(std::future::ready(())).await, app.seen()), (Err("sent"), (1, 1)));
}

#[tokio::test]
async fn what_is_refused_again_and_again_is_given_up() {
    let app = App::doing(&[Does::Refuse]).await;
    assert_eq!((app.send(Method::POST).await, app.seen()), (Err("refused"), (4, 1)));
}

#[tokio::test]
async fn what_a_goaway_names_may_have_been_done() {
    let app = App::doing(&[Does::GoAway { names_it: true }, Does::Answer]).await;
    assert_eq!((app.send(Method::POST).await, app.seen()), (Err("sent"), (1, 1)));
}

#[tokio::test]
async fn on_a_connection_that_ends_what_is_safe_goes_out_once_more() {
    let app = App::doing(&[Does::Answer, Does::Close, Does::Answer, Does::Close, Does::Close]).await;
    assert_eq!(app.send(Method::GET).await, Ok(200));
    assert_eq!((app.send(Method::GET).await, app.seen()), (Ok(200), (3, 2)));
    assert_eq!((app.send(Method::GET).await, app.seen()), (Err("sent"), (5, 3)), "the second time on a new one");
    let app = App::doing(&[Does::Answer, Does::Close]).await;
    assert_eq!(app.send(Method::GET).await, Ok(200));
    assert_eq!((app.send(Method::POST).await, app.seen()), (Err("sent"), (2, 1)), "it may have had an effect");
}
