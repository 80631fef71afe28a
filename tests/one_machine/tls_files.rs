//! Certificates that change, and such that cannot be used.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::authority::{Authority, Signed};
use crate::client::{Client, get, tls};
use crate::document::{App, ZEROGATE};
use crate::gateway::{Gateway, Setup};
use crate::wait::until;

fn app() -> App {
    App::echo("hello").spec("tls: {certificate: own.crt, key: own.key}")
}

async fn start(signed: &Signed) -> Gateway {
    let setup = Setup::new(&[app()]).https();
    signed.write(setup.folder(), "own");
    setup.start().await
}

/// What is said to be wrong with the app's certificate.
async fn problem(gateway: &Gateway) -> Option<String> {
    gateway.app("hello").await["certificate"]["problem"].as_str().map(str::to_owned)
}

async fn is_served(gateway: &Gateway, authority: &Authority) -> bool {
    match Client::tls(gateway.https, "hello.localhost", &[authority], true).await {
        Ok(mut client) => client.send(get("hello.localhost", "/hello")).await.status == 200,
        Err(_) => false,
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_named_and_the_good_one_stays() {
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let gateway = start(&first.sign("hello.localhost")).await;
    let mut kept = Client::tls(gateway.https, "hello.localhost", &[&first], false).await.unwrap();
    assert_eq!(problem(&gateway).await, None);
    let other = Signed { key: second.sign("x").key, ..second.sign("hello.localhost") };
    for (bad, said) in [
        (other, "the key is another one's"),
        (second.sign_expired("hello.localhost"), "has expired at 2020-01-01T00:00:00Z"),
        (second.sign("other.localhost"), "is not for host `hello.localhost`, but for `other.localhost`"),
        (Signed { certificate: "?".into(), key: second.sign("x").key }, "holds no certificate in PEM's format"),
    ] {
        bad.write(gateway.folder(), "own");
        until(said, async || problem(&gateway).await.filter(|why| why.contains(said))).await;
        until("it is in the log", async || gateway.output().contains(said).then_some(())).await;
        assert!(is_served(&gateway, &first).await, "{said}");
    }
    std::fs::remove_file(gateway.folder().join("own.key")).unwrap();
    let said = "own.key cannot be read";
    until(said, async || problem(&gateway).await.filter(|why| why.contains(said))).await;
    assert!(is_served(&gateway, &first).await);

    second.sign("hello.localhost").write(gateway.folder(), "own");
    until("the new one is used", async || is_served(&gateway, &second).await.then_some(())).await;
    assert_eq!(problem(&gateway).await, None);
    // Who was connected stays so.
    assert_eq!(kept.send(get("hello.localhost", "/hello")).await.status, 200);
    // And an app that names others has those.
    first.sign("hello.localhost").write(gateway.folder(), "new");
    gateway.rewrite(&App::echo("hello").spec("tls: {certificate: new.crt, key: new.key}").to_string());
    until("those are used", async || is_served(&gateway, &first).await.then_some(())).await;
    gateway.finish().await;
}

#[tokio::test]
async fn a_gateway_starts_without_those_that_cannot_be_used() {
    let authority = Authority::new("authority");
    let setup = Setup::new(&[app()]).https();
    let gateway = setup.start().await;
    assert!(problem(&gateway).await.unwrap().contains("own.crt cannot be read"), "named");
    assert!(!is_served(&gateway, &authority).await);
    authority.sign("hello.localhost").write(gateway.folder(), "own");
    until("it is used", async || is_served(&gateway, &authority).await.then_some(())).await;
    gateway.finish().await;
}

#[tokio::test]
async fn certificates_change_under_load_without_an_error() {
    const TIMES: usize = 200;
    let authority = Arc::new(Authority::new("authority"));
    let gateway = start(&authority.sign("hello.localhost")).await;
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let to = gateway.https;
    let clients: Vec<_> = [false, true]
        .map(|http2| {
            let (authority, stop, served) = (authority.clone(), stop.clone(), served.clone());
            tokio::spawn(async move {
                let mut kept = Client::tls(to, "hello.localhost", &[&authority], http2).await.unwrap();
                while !stop.load(Ordering::Relaxed) {
                    let mut new = Client::tls(to, "hello.localhost", &[&authority], http2).await.unwrap();
                    for client in [&mut new, &mut kept] {
                        assert_eq!(client.send(get("hello.localhost", "/hello")).await.status, 200);
                    }
                    served.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .into();
    let mut last = authority.sign("hello.localhost");
    for _ in 0..TIMES {
        let before = served.load(Ordering::Relaxed);
        last = authority.sign("hello.localhost");
        last.write(gateway.folder(), "own");
        until("it goes on", async || (served.load(Ordering::Relaxed) > before).then_some(())).await;
    }
    let is_last = async || {
        let stream = tls(to, "hello.localhost", &[&authority], &["h2"]).await.unwrap();
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
        let pem = rcgen_der(&last.certificate);
        (shown == pem).then_some(())
    };
    until("the last one is used", is_last).await;
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let loads = gateway.metric("zerogate_tls_certificate_loads_total", &[("result", "applied")]).await;
    assert!(loads > 2.0, "it was loaded in between: {loads}");
    gateway.finish().await;
}

/// What a certificate in PEM's format is on the wire.
fn rcgen_der(pem: &str) -> Vec<u8> {
    use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

fn check(folder: &Path) -> (Option<i32>, String) {
    let output = Command::new(ZEROGATE).arg("check").arg(folder.join("apps.yaml")).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn check_tells_what_is_wrong_with_certificates() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("apps.yaml"), app().to_string()).unwrap();
    let (code, said) = check(folder.path());
    assert!(
        code == Some(1) && said.contains("spec.tls.certificate: ") && said.contains("own.crt cannot be read"),
        "{said}"
    );
    let authority = Authority::new("authority");
    for (signed, words) in [
        (authority.sign_expired("hello.localhost"), "has expired at 2020-01-01T00:00:00Z; renew it"),
        (authority.sign("other.localhost"), "is not for host `hello.localhost`"),
    ] {
        signed.write(folder.path(), "own");
        let (code, said) = check(folder.path());
        assert!(code == Some(1) && said.contains("apps.yaml:") && said.contains(words), "{said}");
    }
    authority.sign("hello.localhost").write(folder.path(), "own");
    let (code, said) = check(folder.path());
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test]
async fn flags_that_cannot_be_meant_are_named() {
    let (status, said) = Setup::new(&[app()]).flag("--tls-folder", "/no/such/folder").fail().await;
    assert!(!status.success() && said.contains("--https"), "{said}");
    let (status, said) = Setup::new(&[app()]).https().flag("--tls-folder", "/no/such/folder").fail().await;
    assert!(!status.success() && said.contains("--tls-folder /no/such/folder is no folder"), "{said}");
}
