use super::*;
use crate::testing::certificates::pem;

fn certificates_of(name: &str) -> Vec<CertificateDer<'static>> {
    of_pem(("a", pem(&[name], 2099).certificate.as_bytes())).unwrap()
}

fn source() -> AuthoritySource {
    AuthoritySource::File("/ca.crt".into())
}

#[tokio::test]
async fn one_that_cannot_be_read_any_more_stays_as_it_was() {
    let authorities = Authorities::default();
    let mut changes = authorities.changes();
    let mut has_changed = || {
        let changed = changes.has_changed().unwrap();
        changes.mark_unchanged();
        changed
    };
    let authority = authorities.of(&source());
    assert_eq!(authorities.standing(&source()), None);
    authorities.set(&source(), Err("there is none".to_owned()));
    assert!(authority.connector(Alpn::Any).await.is_none() && has_changed());
    assert_eq!(
        authorities.standing(&source()),
        Some(Standing { problem: Some("there is none".to_owned()), is_usable: false })
    );
    let first = certificates_of("first");
    authorities.set(&source(), Ok(first.clone()));
    assert!(has_changed());
    let before = authority.connector(Alpn::Any).await.unwrap();
    let is_as_before = async || Arc::ptr_eq(before.config(), authority.connector(Alpn::Any).await.unwrap().config());
    // What connections are resumed by is kept with it.
    authorities.set(&source(), Ok(first));
    assert!(is_as_before().await && !has_changed());
    authorities.set(&source(), Err("it is gone".to_owned()));
    assert!(is_as_before().await && has_changed());
    assert_eq!(
        authorities.standing(&source()),
        Some(Standing { problem: Some("it is gone".to_owned()), is_usable: true })
    );
    authorities.set(&source(), Ok(certificates_of("second")));
    assert!(!is_as_before().await && has_changed());
    assert_eq!(authorities.standing(&source()), Some(Standing { problem: None, is_usable: true }));
    let alpn = |connector: TlsConnector| connector.config().alpn_protocols.clone();
    assert_eq!(alpn(authority.connector(Alpn::Http1).await.unwrap()), [b"http/1.1".to_vec()]);
    assert_eq!(alpn(authority.connector(Alpn::Any).await.unwrap()), [b"h2".to_vec(), b"http/1.1".to_vec()]);
}

#[tokio::test]
async fn who_needs_one_that_nobody_has_looked_for_yet_waits() {
    let authorities = Arc::new(Authorities::default());
    let authority = authorities.of(&source());
    let waits = tokio::spawn(async move { authority.connector(Alpn::Any).await.is_some() });
    tokio::task::yield_now().await;
    assert!(!waits.is_finished());
    authorities.set(&source(), Ok(certificates_of("a")));
    assert!(waits.await.unwrap());
}

#[test]
fn what_is_no_certificate_is_named() {
    assert_eq!(of_pem(("ca.crt", b"?")).unwrap_err(), "ca.crt holds no certificate in PEM's format");
    let why = load(Path::new("/no/such.crt")).unwrap_err();
    assert!(why.starts_with("/no/such.crt cannot be read"), "{why}");
}
