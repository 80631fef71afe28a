use std::collections::HashSet;
use std::fs::File;
use std::net::TcpStream as StdTcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{ThreadId, current};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::net::sockopt::tcp_nodelay;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::watch;

use super::*;

/// Says hello, and on which threads it did.
#[derive(Default)]
struct Hello {
    on: Arc<Mutex<Vec<ThreadId>>>,
}

impl Serve for Hello {
    async fn serve(self: Arc<Self>, mut socket: TcpStream, client: IpAddr, _placed: Placed) {
        assert!(client.is_loopback() && tcp_nodelay(&socket).unwrap(), "{client}");
        self.on.lock().push(current().id());
        socket.write_all(b"hello").await.unwrap();
        // Until the client leaves.
        let _ = socket.read(&mut [0]).await;
    }
}

fn any_port(threads: usize) -> Bound {
    Bound::to("--http", "127.0.0.1:0".parse().unwrap(), threads).unwrap()
}

async fn hear(client: &mut TcpStream) {
    let mut said = [0; 5];
    client.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"hello");
}

#[tokio::test]
async fn a_bound_address_is_served_and_nobody_gets_in_between() {
    for threads in [1, 3] {
        let bound = any_port(threads);
        let address = bound.address();
        assert_ne!(address.port(), 0, "it is told which one it has got");
        // Before anybody accepts, it is taken, and who connects waits.
        for others in [1, 2] {
            let why = Bound::to("--http", address, others).unwrap_err();
            assert!(why.contains("--http") && why.contains(&address.to_string()), "{why}");
        }
        let mut early = TcpStream::connect(address).await.unwrap();
        let (ended, mut told) = unbounded_channel();
        let (accepts, accepting) = oneshot::channel();
        let (stop, shutdown) = watch::channel(false);
        let vital = Vital { name: "hello", ended };
        let mut service = Listening::new(Hello::default(), bound, vital, move || accepts.send(()).unwrap());
        let serving = tokio::spawn(async move { service.start_service(None, shutdown, 1).await });
        accepting.await.unwrap();
        hear(&mut early).await;
        assert!(told.try_recv().is_err(), "it goes on");
        stop.send(true).unwrap();
        serving.await.unwrap();
        assert_eq!(told.recv().await, Some("hello"));
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }
}

#[tokio::test]
async fn all_its_threads_serve_about_as_many() {
    let bound = any_port(4);
    let address = bound.address();
    let hello = Hello::default();
    let on = hello.on.clone();
    let (stop, shutdown) = watch::channel(false);
    let vital = Vital { name: "hello", ended: unbounded_channel().0 };
    let mut service = Listening::new(hello, bound, vital, || {});
    let serving = tokio::spawn(async move { service.start_service(None, shutdown, 1).await });
    let mut clients = Vec::new();
    for _ in 0..64 {
        let mut client = TcpStream::connect(address).await.unwrap();
        hear(&mut client).await;
        clients.push(client);
    }
    let on = on.lock().clone();
    let threads: HashSet<_> = on.iter().collect();
    let counts: Vec<_> = threads.iter().map(|thread| on.iter().filter(|it| *it == *thread).count()).collect();
    assert!(counts.len() == 4 && counts.iter().all(|count| (15..=18).contains(count)), "{counts:?}");
    stop.send(true).unwrap();
    serving.await.unwrap();
    // Those on other threads have ended with it; the ones on this thread would with the server's.
    let mut ended = 0;
    for mut client in clients {
        ended += usize::from(tokio::time::timeout(Duration::from_millis(1), client.read(&mut [0])).await.is_ok());
    }
    assert!(ended >= 45, "{ended}");
}

#[test]
fn a_surge_waits_with_the_system_and_none_is_turned_away() {
    // What this machine allows of 1,300 at once: its own bound of what waits, and files.
    let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), maximum: Some(limit) }).unwrap();
    let system: u64 = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap().trim().parse().unwrap();
    let surge = 1300.min(system).min(limit / 2);
    let address = any_port(1).address();
    let bound = Bound::to("--http", address, 1).unwrap();
    let connect = |_| StdTcpStream::connect_timeout(&address, Duration::from_secs(20));
    // Nobody accepts yet, and all of them are connected.
    let clients: Vec<_> = (0..surge).map(connect).collect();
    assert!(clients.iter().all(Result::is_ok), "of {surge}: {:?}", clients.iter().filter(|it| it.is_err()).count());
    drop(bound);
}

#[tokio::test]
async fn a_service_that_dies_is_told_of_and_never_was_ready() {
    // Nothing that one could wait for.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open("/proc/self/exe").unwrap();
    let mut bound = any_port(1);
    bound.sockets = vec![file.into()];
    let (ended, mut told) = unbounded_channel();
    let accepted = Arc::new(AtomicBool::new(false));
    let ready = accepted.clone();
    let vital = Vital { name: "edge", ended };
    let mut service = Listening::new(Hello::default(), bound, vital, move || ready.store(true, Ordering::Relaxed));
    let (_stop, shutdown) = watch::channel(false);
    tokio::spawn(async move { service.start_service(None, shutdown, 1).await }).await.unwrap();
    assert_eq!(told.recv().await, Some("edge"));
    assert!(!accepted.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_thread_that_dies_is_told_of() {
    let bound = any_port(2);
    let mut service =
        Listening::new(Hello::default(), bound, Vital { name: "edge", ended: unbounded_channel().0 }, || {});
    let (ended, mut told) = unbounded_channel();
    service.vital = Vital { name: "edge", ended };
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    let worker = Worker::begin(runtime, Box::pin(async { panic!("a bug") }), service.vital.part()).unwrap();
    assert_eq!(told.recv().await, Some("edge"));
    drop(worker);
}
