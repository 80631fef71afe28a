use std::net::SocketAddr;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;

use super::*;
use crate::testing::certificates::{Pem, now, pem};
use crate::tls::certificate::Certificate;
use crate::tls::store::{Found, Origin, Owner};

const PATIENCE: Duration = Duration::from_secs(60);

/// Handshakes with a certificate for `a.example.org`, and that certificate.
fn handshakes(most: usize) -> (Arc<Handshakes>, String) {
    let Pem { certificate, key } = pem(&["a.example.org"], 2099);
    let of = Certificate::of_pem(("a", certificate.as_bytes()), ("b", key.as_bytes())).unwrap();
    let certificates = Arc::<Certificates>::default();
    let found = Found { owner: Owner::Folder("a".into()), hosts: Arc::default(), certificate: Ok(Arc::new(of)) };
    certificates.set(Origin::Files, vec![found], |_| false, now());
    (Arc::new(Handshakes::new(certificates, most).unwrap()), certificate)
}

/// A client that trusts `certificate`.
fn client(certificate: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// What becomes of a connection whose client does as `act` does.
async fn made<F: Future<Output = ()> + Send + 'static>(
    handshakes: &Arc<Handshakes>,
    patience: Duration,
    act: impl FnOnce(SocketAddr) -> F,
) -> Result<Box<TlsStream<TcpStream>>, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = tokio::spawn(act(listener.local_addr().unwrap()));
    let (socket, _) = listener.accept().await.unwrap();
    let made = handshakes.make(socket, patience).await;
    client.abort();
    made
}

async fn label<F: Future<Output = ()> + Send + 'static>(
    handshakes: &Arc<Handshakes>,
    patience: Duration,
    act: impl FnOnce(SocketAddr) -> F,
) -> &'static str {
    match made(handshakes, patience, act).await {
        Ok(_) => "made",
        Err(failed) => failed.label(),
    }
}

/// Connects, and goes on until the server closes.
async fn tls(to: SocketAddr, name: &'static str, config: ClientConfig) {
    let socket = TcpStream::connect(to).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    if let Ok(mut stream) = connector.connect(ServerName::try_from(name).unwrap(), socket).await {
        let _ = stream.read(&mut [0]).await;
    }
}

#[tokio::test]
async fn each_end_is_told_apart() {
    let (handshakes, certificate) = handshakes(10);
    let good = client(&certificate);
    let stranger = client(&pem(&["a.example.org"], 2099).certificate);
    let mut odd = good.clone();
    odd.alpn_protocols = vec![b"odd".to_vec()];
    let at = &handshakes;
    assert_eq!(label(at, PATIENCE, |to| tls(to, "a.example.org", good.clone())).await, "made");
    assert_eq!(label(at, PATIENCE, |to| tls(to, "b.example.org", good.clone())).await, "no_certificate");
    assert_eq!(label(at, PATIENCE, |to| tls(to, "127.0.0.1", good.clone())).await, "no_certificate");
    assert_eq!(label(at, PATIENCE, |to| tls(to, "a.example.org", stranger)).await, "client_refused");
    assert_eq!(label(at, PATIENCE, |to| tls(to, "a.example.org", odd)).await, "incompatible");
    let speaks_http = |to| async move {
        let mut socket = TcpStream::connect(to).await.unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\nHost: a.example.org\r\n\r\n").await.unwrap();
        let _ = socket.read_to_end(&mut Vec::new()).await;
    };
    assert_eq!(label(at, PATIENCE, speaks_http).await, "malformed");
    let leaves = |to| async move { drop(TcpStream::connect(to).await.unwrap()) };
    assert_eq!(label(at, PATIENCE, leaves).await, "client_left");
    let drips = |to| async move {
        let mut socket = TcpStream::connect(to).await.unwrap();
        for byte in [22, 3, 1] {
            socket.write_all(&[byte]).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    assert_eq!(label(at, Duration::from_millis(50), drips).await, "timeout");
    assert_eq!(handshakes.bound.count(), 0);
}

#[tokio::test]
async fn beyond_the_bound_none_is_begun() {
    let (handshakes, certificate) = handshakes(0);
    assert_eq!(label(&handshakes, PATIENCE, |to| tls(to, "a.example.org", client(&certificate))).await, "too_many");
}

#[tokio::test]
async fn a_client_resumes_by_its_ticket_and_sends_nothing_early() {
    let (handshakes, certificate) = handshakes(10);
    let mut config = client(&certificate);
    config.enable_early_data = true;
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let connector = connector.clone();
        let (done, ended) = tokio::sync::oneshot::channel();
        let act = |to| async move {
            let socket = TcpStream::connect(to).await.unwrap();
            let mut stream = connector.connect(ServerName::try_from("a.example.org").unwrap(), socket).await.unwrap();
            stream.write_all(b"?").await.unwrap();
            // The tickets come with it.
            stream.read_exact(&mut [0]).await.unwrap();
            done.send(stream.get_ref().1.is_early_data_accepted()).unwrap();
            std::future::pending::<()>().await;
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = tokio::spawn(act(listener.local_addr().unwrap()));
        let (socket, _) = listener.accept().await.unwrap();
        let mut stream = handshakes.make(socket, PATIENCE).await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        stream.write_all(b"!").await.unwrap();
        stream.flush().await.unwrap();
        assert!(!ended.await.unwrap(), "early data could be sent again by somebody else");
        let server = stream.get_ref().1;
        assert_eq!(server.handshake_kind(), Some(kind));
        assert_eq!((server.alpn_protocol(), server.server_name()), (Some(&b"h2"[..]), Some("a.example.org")));
        client.abort();
    }
}
