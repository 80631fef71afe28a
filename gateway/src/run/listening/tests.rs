use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use pingora_core::protocols::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::watch;

use super::*;

/// Says hello.
struct Hello;

#[async_trait]
impl ServerApp for Hello {
    async fn process_new(self: &Arc<Self>, mut stream: Stream, _shutdown: &ShutdownWatch) -> Option<Stream> {
        stream.write_all(b"hello").await.unwrap();
        stream.flush().await.unwrap();
        None
    }
}

fn any_port() -> Bound {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    Bound { address: socket.local_addr().unwrap(), socket }
}

#[tokio::test]
async fn a_bound_address_is_served_and_nobody_gets_in_between() {
    let bound = any_port();
    let address = bound.address;
    // Before anybody accepts, it is taken, and who connects waits.
    let why = Bound::to("--http", address).unwrap_err();
    assert!(why.contains("--http") && why.contains(&address.to_string()), "{why}");
    let mut early = TcpStream::connect(address).await.unwrap();
    let (ended, mut told) = unbounded_channel();
    let (accepts, accepting) = tokio::sync::oneshot::channel();
    let (stop, shutdown) = watch::channel(false);
    let vital = Vital { name: "hello", ended };
    let mut service = Listening::new(Hello, bound, vital, move || accepts.send(()).unwrap());
    let serving = tokio::spawn(async move { service.start_service(None, shutdown, 1).await });
    accepting.await.unwrap();
    let mut said = String::new();
    early.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "hello");
    assert!(told.try_recv().is_err(), "it goes on");
    stop.send(true).unwrap();
    serving.await.unwrap();
    assert_eq!(told.recv().await, Some("hello"));
}

#[tokio::test]
async fn a_service_that_dies_is_told_of_and_never_was_ready() {
    // No socket that one could listen on.
    let socket = TcpListener::from(OwnedFd::from(UdpSocket::bind("127.0.0.1:0").unwrap()));
    socket.set_nonblocking(true).unwrap();
    let bound = Bound { address: "127.0.0.1:1".parse().unwrap(), socket };
    let (ended, mut told) = unbounded_channel();
    let accepted = Arc::new(AtomicBool::new(false));
    let ready = accepted.clone();
    let vital = Vital { name: "edge", ended };
    let mut service = Listening::new(Hello, bound, vital, move || ready.store(true, Ordering::Relaxed));
    let (_stop, shutdown) = watch::channel(false);
    let serving = tokio::spawn(async move { service.start_service(None, shutdown, 1).await });
    assert!(serving.await.unwrap_err().is_panic());
    assert_eq!(told.recv().await, Some("edge"));
    assert!(!accepted.load(Ordering::Relaxed));
}

#[test]
fn any_port_is_none() {
    let why = Bound::to("--admin", "127.0.0.1:0".parse().unwrap()).unwrap_err();
    assert!(why.contains("--admin") && why.contains("port 0"), "{why}");
}
