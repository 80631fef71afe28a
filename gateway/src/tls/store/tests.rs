use super::*;
use crate::testing::certificates::{certificate, now};

fn app(name: &str) -> Owner {
    Owner::App(AppId::new("default", name))
}

fn found(owner: Owner, certificate: Result<&Arc<Certificate>, &str>) -> Found {
    let hosts = match &owner {
        Owner::App(_) => [HostPattern::Exact("a.example.org".into())].into(),
        Owner::Folder(_) => Arc::default(),
    };
    Found { owner, hosts, certificate: certificate.cloned().map_err(str::to_owned) }
}

/// Whether a client that asks for `a.example.org` gets `certificate`.
fn gets(certificates: &Certificates, certificate: &Arc<Certificate>) -> bool {
    certificates.choice.load().find(Some("a.example.org")).is_some_and(|key| Arc::ptr_eq(key, &certificate.key))
}

fn set(certificates: &Certificates, found: Vec<Found>) {
    certificates.set(Origin::Files, found, |_| false, now());
}

fn problem(certificates: &Certificates) -> Option<String> {
    certificates.states().into_iter().next().unwrap().problem
}

#[test]
fn what_cannot_be_used_never_takes_the_place_of_what_can() {
    let certificates = Certificates::default();
    let [good, expired] = [2030, 2020].map(|year| certificate(&["a.example.org"], year));
    let others = certificate(&["b.example.org"], 2030);
    set(&certificates, vec![found(app("a"), Ok(&good))]);
    assert!(gets(&certificates, &good));
    assert_eq!(problem(&certificates), None);
    for (bad, said) in [
        (Err("no such file"), "no such file"),
        (Ok(&expired), "has expired at 2020-12-31"),
        (Ok(&others), "is not for host `a.example.org`, but for `b.example.org`"),
    ] {
        set(&certificates, vec![found(app("a"), bad)]);
        assert!(gets(&certificates, &good));
        assert!(problem(&certificates).is_some_and(|why| why.contains(said)), "{said}");
    }
    let new = certificate(&["a.example.org"], 2026);
    set(&certificates, vec![found(app("a"), Ok(&new))]);
    assert!(gets(&certificates, &new), "also if it lasts less long: somebody wanted it");
    assert_eq!(problem(&certificates), None);
    set(&certificates, vec![]);
    assert!(certificates.states().is_empty());
    assert!(!gets(&certificates, &new));
}

#[test]
fn an_expired_one_is_better_than_none_and_worse_than_any() {
    let certificates = Certificates::default();
    let [older, expired, good] = [2019, 2020, 2030].map(|year| certificate(&["a.example.org"], year));
    set(&certificates, vec![found(app("a"), Ok(&older))]);
    assert!(gets(&certificates, &older));
    set(&certificates, vec![found(app("a"), Ok(&expired))]);
    assert!(gets(&certificates, &expired));
    assert!(problem(&certificates).is_some_and(|why| why.contains("has expired")));
    set(&certificates, vec![found(app("a"), Ok(&good))]);
    assert!(gets(&certificates, &good));
}

#[test]
fn one_that_expires_while_it_is_in_use_is_told_of_and_stays() {
    let certificates = Certificates::default();
    let it = certificate(&["a.example.org"], 2026);
    set(&certificates, vec![found(app("a"), Ok(&it))]);
    let later = now() + std::time::Duration::from_secs(3 * 366 * 86_400);
    certificates.look(later);
    assert!(problem(&certificates).is_some_and(|why| why.contains("has expired at 2026-12-31")));
    assert!(gets(&certificates, &it));
    // One of the folder that is valid takes its place only where the app has no claim; but a good one of its own does.
    let new = certificate(&["a.example.org"], 2030);
    certificates.set(Origin::Files, vec![found(app("a"), Ok(&new))], |_| false, later);
    assert!(gets(&certificates, &new));
}

#[test]
fn what_is_of_another_origin_stays_and_what_is_kept_too() {
    let certificates = Certificates::default();
    let [own, folder] = [2030, 2030].map(|year| certificate(&["a.example.org"], year));
    certificates.set(Origin::Secrets, vec![found(app("a"), Ok(&own))], |_| false, now());
    set(&certificates, vec![found(Owner::Folder("x".into()), Ok(&folder))]);
    assert!(gets(&certificates, &own));
    certificates.set(Origin::Secrets, vec![], |_| false, now());
    assert!(gets(&certificates, &folder));
    let unreadable = found(Owner::Folder(String::new()), Err("cannot be read"));
    certificates.set(Origin::Files, vec![unreadable], |owner| matches!(owner, Owner::Folder(_)), now());
    assert!(gets(&certificates, &folder));
    set(&certificates, vec![]);
    assert!(!gets(&certificates, &folder));
}

#[test]
fn the_default_is_for_everybody_else() {
    let certificates = Certificates::default();
    let [named, default] = ["a.example.org", "b.example.org"].map(|name| certificate(&[name], 2030));
    set(
        &certificates,
        vec![found(Owner::Folder("a".into()), Ok(&named)), found(Owner::Folder("default".into()), Ok(&default))],
    );
    let choice = certificates.choice.load();
    for (name, certificate) in [(Some("a.example.org"), &named), (Some("x"), &default), (None, &default)] {
        assert!(Arc::ptr_eq(choice.find(name).unwrap(), &certificate.key), "{name:?}");
    }
}
