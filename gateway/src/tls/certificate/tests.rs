use super::*;
use crate::testing::certificates::{Pem, certificate, now, pem};

fn of(certificate: &str, key: &str) -> Result<Certificate, String> {
    Certificate::of_pem(("a.crt", certificate.as_bytes()), ("a.key", key.as_bytes()))
}

#[test]
fn it_tells_for_whom_it_is_and_how_long() {
    let it = certificate(&["A.example.org", "*.example.com"], 2030);
    assert_eq!(it.names, ["a.example.org".into(), "*.example.com".into()]);
    assert_eq!(it.until(), "2030-12-31T00:00:00Z");
    assert_eq!(it.validity(now()), Validity::Valid);
    assert_eq!(it.untimely(now()), None);
    let year = Duration::from_secs(366 * 86_400);
    assert_eq!(it.validity(now() + 7 * year), Validity::Expired);
    assert!(it.untimely(now() + 7 * year).unwrap().contains("has expired at 2030-12-31T00:00:00Z"));
    assert_eq!(it.validity(now() - 3 * year), Validity::NotYet);
    assert!(it.untimely(now() - 3 * year).unwrap().contains("is not valid before 2023-01-01"));
}

#[test]
fn a_wildcard_stands_for_one_label() {
    let it = certificate(&["a.example.org", "*.example.com"], 2030);
    for covered in ["a.example.org", "b.example.com"] {
        assert!(it.covers(covered), "{covered}");
    }
    for other in ["b.example.org", "example.com", "c.b.example.com", "xexample.com", "", "."] {
        assert!(!it.covers(other), "{other}");
    }
}

#[test]
fn what_it_lacks_of_an_apps_hosts_is_named() {
    let it = certificate(&["a.example.org", "*.example.com", "*.x.example.net"], 2030);
    let (exact, suffix) = (|host: &str| HostPattern::Exact(host.into()), |host: &str| HostPattern::Suffix(host.into()));
    for covered in [
        exact("a.example.org"),
        exact("z.example.com"),
        suffix("example.com"),
        suffix("example.org"),
        suffix("example.net"),
        HostPattern::Any,
    ] {
        assert_eq!(it.lacks([&covered]), None, "{covered}");
    }
    for other in [exact("b.example.org"), suffix("a.example.org"), suffix("ample.org"), suffix("b.example.com")] {
        let said = it.lacks([&exact("a.example.org"), &other]).unwrap();
        assert!(said.starts_with(&format!("is not for host `{other}`, but for `a.example.org`")), "{said}");
    }
    let nobodys = certificate(&[], 2030);
    assert!(nobodys.lacks([&HostPattern::Any]).unwrap().contains("no host at all"));
}

#[test]
fn what_cannot_be_used_is_named() {
    let (Pem { certificate, key }, other) = (pem(&["a"], 2030), pem(&["a"], 2030));
    assert!(of(&certificate, &key).is_ok());
    for (one, two, said) in [
        ("", &*key, "a.crt holds no certificate in PEM's format"),
        (&*key, &*key, "a.crt holds no certificate in PEM's format"),
        (&*certificate, "", "a.key holds no private key in PEM's format"),
        (&*certificate, &*certificate, "a.key holds no private key in PEM's format"),
        (&*certificate, &*other.key, "a.crt does not go with a.key: the key is another one's"),
        ("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", &*key, "a.crt cannot be read"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &*key, "a.crt is no X.509 certificate"),
    ] {
        let why = of(one, two).unwrap_err();
        assert!(why.starts_with(said), "{why}");
    }
}

#[test]
fn it_is_the_same_if_it_was_made_from_the_same() {
    let Pem { certificate, key } = pem(&["a"], 2030);
    let it = of(&certificate, &key).unwrap();
    assert!(it == of(&certificate, &key).unwrap());
    let other = pem(&["a"], 2030);
    assert!(it != of(&other.certificate, &other.key).unwrap());
}
