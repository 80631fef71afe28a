//! The scaler's address with TLS: who is let in, and certificates that change.

use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::authority::{Authority, Signed};
use crate::document::App;
use crate::gateway::{Gateway, Setup};
use crate::keda::{Keda, next, object};
use crate::wait::until;

/// One who trusts `server`, and shows `client`.
async fn connect(gateway: &Gateway, server: &Authority, client: Option<&Signed>) -> Result<Keda, String> {
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(server.pem())).domain_name("zerogate");
    if let Some(Signed { certificate, key }) = client {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    let endpoint = Endpoint::from_shared(format!("https://{}", gateway.scaler)).unwrap().tls_config(tls).unwrap();
    let keda = Keda { channel: endpoint.connect().await.map_err(|e| format!("{e:?}"))? };
    // With TLS 1.3 a client learns only then that it is not let in.
    keda.is_active(object("hello", &[])).await.map_err(|status| format!("{status:?}"))?;
    Ok(keda)
}

async fn start(server: &Signed, clients: Option<&Authority>) -> Gateway {
    let setup = Setup::new(&[App::echo("hello")]).scaler();
    let folder = setup.folder().to_owned();
    server.write(&folder, "tls");
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let mut setup = setup.flag("--scaler-cert", &path("tls.crt")).flag("--scaler-key", &path("tls.key"));
    if let Some(clients) = clients {
        std::fs::write(path("ca.crt"), clients.pem()).unwrap();
        setup = setup.flag("--scaler-client-ca", &path("ca.crt"));
    }
    setup.start().await
}

#[tokio::test]
async fn with_a_certificate_only_tls_is_spoken() {
    let authority = Authority::new("servers");
    let gateway = start(&authority.sign("zerogate"), None).await;
    connect(&gateway, &authority, None).await.unwrap();
    assert!(connect(&gateway, &Authority::new("others"), None).await.is_err(), "the client would not trust it");
    let plain = Endpoint::from_shared(format!("http://{}", gateway.scaler)).unwrap();
    if let Ok(channel) = plain.connect().await {
        assert!(Keda { channel }.is_active(object("hello", &[])).await.is_err());
    }
    gateway.finish().await;
}

#[tokio::test]
async fn with_an_authority_for_clients_nobody_else_is_let_in() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let gateway = start(&servers.sign("zerogate"), Some(&clients)).await;
    let keda = connect(&gateway, &servers, Some(&clients.sign("keda"))).await.unwrap();
    assert!(connect(&gateway, &servers, None).await.is_err(), "without a certificate");
    for wrong in [servers.sign("keda"), Authority::new("clients").sign("keda")] {
        assert!(connect(&gateway, &servers, Some(&wrong)).await.is_err(), "of another authority");
    }
    assert!(keda.is_active(object("hello", &[])).await.is_ok());
    gateway.finish().await;
}

#[tokio::test]
async fn changed_certificates_are_used_and_bad_ones_are_not() {
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let gateway = start(&first.sign("zerogate"), None).await;
    let before = connect(&gateway, &first, None).await.unwrap();
    let mut stream = before.listen(object("hello", &[])).await.unwrap();

    // A key that is none of the certificate's.
    let other = Signed { key: second.sign("x").key, ..first.sign("zerogate") };
    other.write(gateway.folder(), "tls");
    until("it is refused", async || gateway.output().contains("the last good ones stay").then_some(())).await;
    connect(&gateway, &first, None).await.unwrap();

    second.sign("zerogate").write(gateway.folder(), "tls");
    until("the new one is used", async || connect(&gateway, &second, None).await.ok()).await;
    assert!(connect(&gateway, &first, None).await.is_err());
    // Who was connected stays so.
    assert_eq!(gateway.get("hello.localhost", "/hello").await.status, 200);
    assert!(next(&mut stream).await.result);
    gateway.finish().await;
}

#[tokio::test]
async fn clients_whose_authority_is_new_are_let_in() {
    let (servers, old, new) = (Authority::new("servers"), Authority::new("old"), Authority::new("new"));
    let gateway = start(&servers.sign("zerogate"), Some(&old)).await;
    let client = new.sign("keda");
    assert!(connect(&gateway, &servers, Some(&client)).await.is_err());
    std::fs::write(gateway.folder().join("ca.crt"), format!("{}{}", old.pem(), new.pem())).unwrap();
    until("it is let in", async || connect(&gateway, &servers, Some(&client)).await.ok()).await;
    connect(&gateway, &servers, Some(&old.sign("keda"))).await.unwrap();
    gateway.finish().await;
}
