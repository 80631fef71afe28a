use std::net::SocketAddr;

use activator::fleet::Fleet;
use activator::scaler::Scaler;
use activator::settings::{Hold, Target};
use activator::{App, AppId, AppSettings, Clock, HoldBudget};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::discovery::Pod;
use super::*;
use crate::testing::{Nothing, deployment};

/// A gateway without a cluster, with the app `hello`.
struct Node {
    registry: Arc<Registry>,
    pod: Pod,
    links: Arc<tokio::sync::Mutex<Links>>,
    known: Arc<Known>,
    ready: Arc<AtomicBool>,
    ending: channel::Sender<bool>,
    tls: Option<Arc<Tls>>,
    _tasks: JoinSet<()>,
}

// === impl Node ===

impl Node {
    fn start(name: &str, run: u64) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        Self::start_at(name, run, socket, None)
    }

    fn start_at(name: &str, run: u64, socket: TcpListener, tls: Option<Arc<Tls>>) -> Self {
        let clock = Clock::running();
        let (pokes, poked) = tokio::sync::mpsc::unbounded_channel();
        let budget = HoldBudget::new(1_000, 1 << 20);
        let fleet = Fleet::of(name, run);
        let shared = Shared { clock: clock.clone(), budget, pokes, news: None, leaving: Default::default(), fleet };
        let (shared, platform) = (Arc::new(shared), Arc::new(Nothing));
        let registry = Arc::new(Registry::new(shared.clone(), platform.clone()));
        let settings = AppSettings {
            target: Target::Scale(Arc::new(deployment("default", "hello"))),
            scaling: Arc::default(),
            hold: Hold::default(),
        };
        registry.apply([(AppId::new("default", "hello"), settings)], |_| {});
        socket.set_nonblocking(true).expect("not blocking");
        let address = socket.local_addr().expect("an address");
        let pod = Pod { name: name.into(), address: Some(address), ready: true };
        let (ending, ready, known) = (channel::Sender::new(false), Arc::new(AtomicBool::new(true)), Arc::default());
        let links = Links::new(pod.name.clone(), shared, tls.clone(), ending.subscribe(), Arc::clone(&known));
        let mut tasks = JoinSet::new();
        tasks.spawn(Scaler::new(clock.clone(), platform, poked).run(std::future::pending()));
        let ears = Ears { registry: registry.clone(), clock, ready: ready.clone() };
        tasks.spawn(Server::new(ears, tls.clone()).run(socket));
        Self { registry, pod, links: Arc::new(links.into()), known, ready, ending, tls, _tasks: tasks }
    }

    fn shared(&self) -> &Shared {
        self.registry.shared()
    }

    fn app(&self) -> Arc<App> {
        self.registry.get(&AppId::new("default", "hello")).expect("declared")
    }

    fn in_flight_everywhere(&self) -> u32 {
        self.app().in_flight_everywhere(self.shared().clock.now())
    }

    fn knows_all(&self) -> bool {
        self.shared().fleet.knows_all(self.shared().clock.now())
    }

    fn has_joined(&self) -> bool {
        self.shared().fleet.has_joined(self.shared().clock.now())
    }

    /// The cluster lists these.
    async fn list(&self, all: &[&Pod]) {
        let all: Vec<Pod> = all.iter().map(|pod| (*pod).clone()).collect();
        let listed = all.iter().map(|pod| Listed { name: pod.name.clone(), ready: pod.ready });
        self.shared().fleet.list(listed, self.shared().clock.now());
        self.links.lock().await.set(&all);
    }

    /// It ends as with SIGKILL. Returns its address, taken by whoever comes back.
    fn kill(self) -> SocketAddr {
        self.pod.address.expect("an address")
    }
}

/// Waits until it holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let poll = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(60), poll).await.unwrap_or_else(|_| panic!("in time: {what}"));
}

async fn meet(a: &Node, b: &Node) {
    a.list(&[&a.pod, &b.pod]).await;
    b.list(&[&b.pod, &a.pod]).await;
    until("they know each other", || a.has_joined() && b.has_joined()).await;
}

#[tokio::test]
async fn two_gateways_count_as_one_and_farewell_ends_what_one_counted() {
    let (a, b) = (Node::start("a", 1), Node::start("b", 2));
    assert!(!a.knows_all(), "before it is known who there is");
    meet(&a, &b).await;
    assert!(a.knows_all() && a.known.all()["b"].is_linked());

    let requests: Vec<_> = (0..3).map(|_| a.app().enter()).collect();
    a.app().poke();
    until("b knows of the requests at a", || b.in_flight_everywhere() == 3).await;
    assert_eq!((b.app().in_flight(), a.in_flight_everywhere()), (0, 3));
    drop(requests);
    until("and that they have ended", || b.in_flight_everywhere() == 0).await;

    let _request = a.app().enter();
    until("b knows of another one", || b.in_flight_everywhere() == 1).await;
    a.ending.send_replace(true);
    let ended = async { a.links.lock().await.ended().await };
    timeout(Duration::from_secs(60), ended).await.expect("the farewell was heard");
    assert_eq!((b.in_flight_everywhere(), b.knows_all()), (0, true), "what is gone is not lost");
}

#[tokio::test]
async fn one_that_is_killed_is_lost_and_known_again_when_it_is_back() {
    let (a, b) = (Node::start("a", 1), Node::start("b", 2));
    meet(&a, &b).await;
    let _request = b.app().enter();
    b.app().poke();
    until("a knows of it", || a.in_flight_everywhere() == 1).await;
    let address = b.kill();
    until("it is lost", || !a.knows_all()).await;
    assert_eq!(a.in_flight_everywhere(), 1, "what it counted is kept");

    let socket = TcpListener::bind(address).expect("the same port");
    let b = Node::start_at("b", 3, socket, None);
    b.list(&[&b.pod, &a.pod]).await;
    until("they know each other again", || a.has_joined() && b.has_joined()).await;
    assert_eq!(a.in_flight_everywhere(), 0, "the earlier run has ended");
}

#[tokio::test]
async fn who_is_not_listed_any_more_is_told_nothing() {
    let (a, b) = (Node::start("a", 1), Node::start("b", 2));
    meet(&a, &b).await;
    a.list(&[&a.pod]).await;
    until("b hears nothing of a", || !b.knows_all()).await;
    assert!(a.known.all().is_empty());
}

#[tokio::test]
async fn nothing_is_taken_before_the_apps_are_known() {
    let (a, b) = (Node::start("a", 1), Node::start("b", 2));
    b.ready.store(false, Ordering::Release);
    a.list(&[&a.pod, &b.pod]).await;
    b.list(&[&b.pod, &a.pod]).await;
    until("a knows b", || a.knows_all()).await;
    until("they are linked", || a.known.all()["b"].is_linked()).await;
    assert!(!b.knows_all() && !a.has_joined());
    b.ready.store(true, Ordering::Release);
    until("they know each other", || a.has_joined() && b.has_joined()).await;
}

#[tokio::test]
async fn what_is_no_gateway_is_turned_away_and_does_no_harm() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (a, b) = (Node::start("a", 1), Node::start("b", 2));
    let mut silent = TcpStream::connect(a.pod.address.unwrap()).await.unwrap();
    let mut other = TcpStream::connect(a.pod.address.unwrap()).await.unwrap();
    other.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // Reset or closed.
    let _ = timeout(Duration::from_secs(60), other.read_to_end(&mut answer)).await.expect("closed");
    meet(&a, &b).await;
    let _ = timeout(Duration::from_secs(60), silent.read_to_end(&mut answer)).await.expect("closed");
}

/// Certificates from one authority, in files.
fn files(folder: &std::path::Path, authority: &CertifiedIssuer<'_, KeyPair>, name: &str) -> TlsFiles {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    TlsFiles {
        certificate: write("tls.crt", certificate.pem()),
        key: write("tls.key", key.serialize_pem()),
        authorities: write("ca.crt", authority.pem()),
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

const SERVICE: &str = "zerogate-fleet.zerogate.svc";

#[tokio::test]
async fn with_certificates_gateways_of_one_authority_hear_each_other_and_no_others() {
    let (ours, theirs) = (authority(), authority());
    let folders: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let tls = |n: usize, authority, name| {
        Some(Arc::new(Tls::load(files(folders[n].path(), authority, name), SERVICE).expect("usable")))
    };
    let socket = || TcpListener::bind("127.0.0.1:0").unwrap();
    let a = Node::start_at("a", 1, socket(), tls(0, &ours, SERVICE));
    let b = Node::start_at("b", 2, socket(), tls(1, &ours, SERVICE));
    meet(&a, &b).await;

    for (other, tls) in
        [("of another authority", tls(2, &theirs, SERVICE)), ("for another name", tls(3, &ours, "x.y.svc"))]
    {
        let c = Node::start_at("c", 3, socket(), tls);
        a.list(&[&a.pod, &b.pod, &c.pod]).await;
        c.list(&[&a.pod, &b.pod, &c.pod]).await;
        let begun = a.shared().clock.now();
        until("some tries", || a.shared().clock.now().since(begun) > Duration::from_secs(1)).await;
        assert!(!a.knows_all(), "{other}");
        assert!(!a.known.all()["c"].is_linked(), "{other}");
        a.list(&[&a.pod, &b.pod]).await;
    }
    assert!(a.tls.is_some());
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = files(folder.path(), &authority(), SERVICE);
    let why = |files: TlsFiles| Tls::load(files, SERVICE).err().expect("refused");
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    assert!(why(TlsFiles { certificate: empty.clone(), ..good.clone() }).contains("--fleet-cert"));
    assert!(why(TlsFiles { key: empty.clone(), ..good.clone() }).contains("--fleet-key"));
    assert!(why(TlsFiles { authorities: empty, ..good }).contains("--fleet-ca"));
}
