use super::*;
use crate::testing::certificates::{certificate, now};

/// Which of `candidates` a client gets that asks for `name`.
fn chosen(candidates: &[Candidate<'_>], name: Option<&str>) -> Option<usize> {
    let choice = Choice::among(candidates.iter().copied(), now());
    let key = choice.find(name)?;
    candidates.iter().position(|candidate| Arc::ptr_eq(&candidate.certificate.key, key))
}

fn hosts(patterns: &[&str]) -> Vec<HostPattern> {
    let pattern = |text: &&str| match text.strip_prefix("*.") {
        Some(suffix) => HostPattern::Suffix(suffix.into()),
        None if **text == *"*" => HostPattern::Any,
        None => HostPattern::Exact((*text).into()),
    };
    patterns.iter().map(pattern).collect()
}

#[test]
fn exact_before_wildcard_before_the_default() {
    let [wildcard, exact, default] =
        [&["*.example.org"], &["a.example.org"], &["other.example.org"]].map(|names| certificate(names, 2030));
    let all = [
        Candidate { certificate: &wildcard, of: For::Names },
        Candidate { certificate: &exact, of: For::Names },
        Candidate { certificate: &default, of: For::Default },
    ];
    for (name, index) in [
        (Some("a.example.org"), 1),
        (Some("b.example.org"), 0),
        (Some("other.example.org"), 2),
        (Some("example.org"), 2),
        (Some("x.b.example.org"), 2),
        (Some("org"), 2),
        (Some(""), 2),
        (None, 2),
    ] {
        assert_eq!(chosen(&all, name), Some(index), "{name:?}");
    }
    assert_eq!(chosen(&all[..2], Some("example.org")), None);
    assert_eq!(chosen(&all[..2], None), None);
    assert_eq!(chosen(&[], Some("a.example.org")), None);
}

#[test]
fn an_apps_own_is_for_its_hosts_only() {
    let folder = certificate(&["a.example.org", "*.example.org", "*.other.org"], 2040);
    let own = certificate(&["*.example.org", "a.example.org", "*.other.org", "c.other.org"], 2030);
    for (patterns, names, others) in [
        (hosts(&["a.example.org"]), &["a.example.org"][..], &["b.example.org", "c.other.org"][..]),
        (hosts(&["*.example.org"]), &["a.example.org", "b.example.org"], &["c.other.org", "d.other.org"]),
        (hosts(&["*.org"]), &["a.example.org", "b.example.org", "c.other.org", "d.other.org"], &["org"]),
        (hosts(&["*"]), &["a.example.org", "b.example.org", "c.other.org", "d.other.org"], &["org"]),
        // Its name for just one host does not stretch to its wildcard.
        (hosts(&["b.example.org"]), &["b.example.org"], &["a.example.org", "c.example.org"]),
    ] {
        let all = [
            Candidate { certificate: &folder, of: For::Names },
            Candidate { certificate: &own, of: For::Hosts(&patterns) },
        ];
        names.iter().for_each(|name| assert_eq!(chosen(&all, Some(name)), Some(1), "{name} of {patterns:?}"));
        others.iter().for_each(|name| assert_ne!(chosen(&all, Some(name)), Some(1), "{name} of {patterns:?}"));
    }
}

#[test]
fn the_app_with_the_more_exact_host_has_it() {
    let [any, suffix, exact] = [(); 3].map(|()| certificate(&["a.example.org", "*.example.org"], 2030));
    let patterns = [hosts(&["*"]), hosts(&["*.example.org"]), hosts(&["a.example.org"])];
    let all = [&any, &suffix, &exact].into_iter().zip(&patterns);
    let all: Vec<_> = all.map(|(certificate, hosts)| Candidate { certificate, of: For::Hosts(hosts) }).collect();
    let turned: Vec<_> = all.iter().rev().copied().collect();
    for (all, index) in [(&all, [2, 1]), (&turned, [0, 1])] {
        assert_eq!(chosen(all, Some("a.example.org")), Some(index[0]));
        assert_eq!(chosen(all, Some("b.example.org")), Some(index[1]));
    }
}

#[test]
fn of_two_with_the_same_name_the_valid_one_and_then_the_longer_one() {
    let [expired, short, long] = [2020, 2026, 2030].map(|year| certificate(&["a.example.org"], year));
    let all = [&expired, &short, &long].map(|certificate| Candidate { certificate, of: For::Names });
    assert_eq!(chosen(&all, Some("a.example.org")), Some(2));
    assert_eq!(chosen(&all[..2], Some("a.example.org")), Some(1));
    assert_eq!(chosen(&all[..1], Some("a.example.org")), Some(0), "it says more than none");
}
