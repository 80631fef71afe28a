use std::collections::BTreeMap;
use std::time::Duration;

use activator::AppId;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::*;
use crate::config::settings::{AppConfig, Declared};
use crate::source::cluster::testing::client;
use crate::testing::certificates::pem;
use crate::tls::authorities::Standing;

fn object(kind: &str, text: &str, version: u32) -> Value {
    let text = if kind == "Secret" { BASE64_STANDARD.encode(text) } else { text.to_owned() };
    json!({
        "apiVersion": "v1", "kind": kind,
        "metadata": {"name": "hello-ca", "namespace": "default", "uid": "1", "resourceVersion": version.to_string()},
        "data": {"ca.crt": text},
    })
}

/// One app that names it.
fn declared(field: &str, reference: Value) -> (Declared, AuthoritySource) {
    let object = json!({
        "apiVersion": "zerogate.dev/v1alpha1", "kind": "HTTPApp",
        "metadata": {"name": "hello", "namespace": "default"},
        "spec": {
            "routes": [{"hosts": ["hello.example.org"]}],
            "target": {
                "scaleTargetRef": {"name": "hello"}, "service": {"name": "hello"},
                "protocol": "https", "tls": {field: reference},
            },
        },
    });
    let (id, config): (AppId, AppConfig) = crate::config::object::from_object(&object).unwrap();
    let source = config.edge.trust.as_ref().unwrap().authority.clone();
    (Declared { apps: BTreeMap::from([(id, config)]) }, source)
}

/// Waits until that is so.
async fn until(authorities: &Authorities, source: &AuthoritySource, what: &str, holds: impl Fn(&Standing) -> bool) {
    let mut changes = authorities.changes();
    let is_so = async {
        while !authorities.standing(source).is_some_and(|standing| holds(&standing)) {
            changes.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), is_so).await;
    assert!(waited.is_ok(), "{what}: {:?}", authorities.standing(source));
}

fn says(words: &str) -> impl Fn(&Standing) -> bool {
    move |standing| standing.problem.as_ref().is_some_and(|why| why.contains(words))
}

#[tokio::test]
async fn what_an_app_names_is_followed_and_nothing_else() {
    for (field, kind, resource) in [("caSecret", "Secret", "secrets"), ("caConfigMap", "ConfigMap", "configmaps")] {
        let text = pem(&["authority"], 2099).certificate;
        let events = vec![
            json!({"type": "MODIFIED", "object": object(kind, "nothing", 8)}),
            json!({"type": "MODIFIED", "object": object(kind, &text, 9)}),
            json!({"type": "DELETED", "object": object(kind, &text, 10)}),
        ];
        let (may, asked) = (Arc::new(Semaphore::new(0)), Arc::default());
        let client = client(vec![object(kind, &text, 7)], events, may.clone(), Arc::clone(&asked), 200);
        let authorities = Arc::<Authorities>::default();
        let following = tokio::spawn(follow(client, Clock::running(), authorities.clone()));
        let (declared, source) = declared(field, json!({"name": "hello-ca"}));
        authorities.want(&declared);
        let is_good = |standing: &Standing| standing.problem.is_none() && standing.is_usable;
        until(&authorities, &source, "it is there", is_good).await;
        may.add_permits(1);
        let bad = format!("ca.crt of {kind} default/hello-ca holds no certificate");
        until(&authorities, &source, "a bad one", |standing| says(&bad)(standing) && standing.is_usable).await;
        may.add_permits(1);
        until(&authorities, &source, "a good one", is_good).await;
        may.add_permits(1);
        until(&authorities, &source, "gone", says(&format!("{kind} default/hello-ca does not exist"))).await;
        let asked: Vec<String> = std::mem::take(&mut asked.lock());
        let path = format!("/namespaces/default/{resource}?");
        let is_by_name = |uri: &String| uri.contains(&path) && uri.contains("metadata.name%3Dhello-ca");
        assert!(!asked.is_empty() && asked.iter().all(is_by_name), "{asked:?}");
        authorities.want(&Declared::default());
        assert_eq!(authorities.standing(&source), None);
        following.abort();
    }
}

#[tokio::test]
async fn a_key_that_is_not_there_is_named() {
    let list = vec![object("ConfigMap", "?", 7)];
    let client = client(list, vec![], Arc::new(Semaphore::new(0)), Arc::default(), 200);
    let authorities = Arc::<Authorities>::default();
    let following = tokio::spawn(follow(client, Clock::running(), authorities.clone()));
    let (declared, source) = declared("caConfigMap", json!({"name": "hello-ca", "key": "service-ca.crt"}));
    authorities.want(&declared);
    until(&authorities, &source, "no key", says("ConfigMap default/hello-ca has no service-ca.crt")).await;
    following.abort();
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_says_so() {
    let client = client(vec![], vec![], Arc::new(Semaphore::new(0)), Arc::default(), 403);
    let authorities = Arc::<Authorities>::default();
    let following = tokio::spawn(follow(client, Clock::running(), authorities.clone()));
    let (declared, source) = declared("caSecret", json!({"name": "hello-ca"}));
    authorities.want(&declared);
    until(&authorities, &source, "it may not", says("Secret default/hello-ca cannot be read: the gateway may not"))
        .await;
    following.abort();
}
