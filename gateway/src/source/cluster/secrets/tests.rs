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
use crate::testing::certificates::{Pem, pem};
use crate::tls::store::State;

fn secret(kind: &str, pem: &Pem, version: u32) -> Value {
    let encode = |text: &str| BASE64_STANDARD.encode(text);
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": kind,
        "metadata": {"name": "hello-tls", "namespace": "default", "uid": "1", "resourceVersion": version.to_string()},
        "data": {"tls.crt": encode(&pem.certificate), "tls.key": encode(&pem.key)},
    })
}

/// One app that names the Secret.
fn declared() -> Declared {
    let object = json!({
        "apiVersion": "zerogate.dev/v1alpha1", "kind": "HTTPApp",
        "metadata": {"name": "hello", "namespace": "default"},
        "spec": {
            "routes": [{"hosts": ["hello.example.org"]}],
            "target": {"scaleTargetRef": {"name": "hello"}, "service": {"name": "hello"}},
            "tls": {"secretName": "hello-tls"},
        },
    });
    let (id, config): (AppId, AppConfig) = crate::config::object::from_object(&object).unwrap();
    Declared { apps: BTreeMap::from([(id, config)]) }
}

/// Waits until the app's certificate is so.
async fn until(certificates: &Certificates, what: &str, holds: impl Fn(&State) -> bool) {
    let mut changes = certificates.changes();
    let app = AppId::new("default", "hello");
    let is_so = async {
        while !certificates.of_app(&app).is_some_and(|state| holds(&state)) {
            changes.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), is_so).await;
    assert!(waited.is_ok(), "{what}: {:?}", certificates.of_app(&app));
}

fn says(words: &str) -> impl Fn(&State) -> bool {
    move |state| state.problem.as_ref().is_some_and(|why| why.contains(words))
}

#[tokio::test]
async fn the_secret_that_an_app_names_is_followed_and_no_other() {
    let [first, second] = [(); 2].map(|()| pem(&["hello.example.org"], 2099));
    let events = vec![
        json!({"type": "MODIFIED", "object": secret("Opaque", &second, 8)}),
        json!({"type": "MODIFIED", "object": secret(TYPE, &second, 9)}),
        json!({"type": "DELETED", "object": secret(TYPE, &second, 10)}),
    ];
    let (may, asked) = (Arc::new(Semaphore::new(0)), Arc::default());
    let client = client(vec![secret(TYPE, &first, 7)], events, may.clone(), Arc::clone(&asked), 200);
    let certificates = Arc::<Certificates>::default();
    let following = tokio::spawn(follow(client, Clock::running(), certificates.clone()));
    certificates.want(&declared());
    certificates.settled().await;
    let has = |pem: &Pem| {
        let of = Certificate::of_pem(("a", pem.certificate.as_bytes()), ("b", pem.key.as_bytes())).unwrap();
        move |state: &State| state.certificate.as_ref().is_some_and(|it| **it == of)
    };
    until(&certificates, "it is there", |state| has(&first)(state) && state.problem.is_none()).await;

    may.add_permits(1);
    until(&certificates, "another type", |state| {
        says("Secret default/hello-tls is of type Opaque; it has to be kubernetes.io/tls")(state) && has(&first)(state)
    })
    .await;
    may.add_permits(1);
    until(&certificates, "a new one", |state| has(&second)(state) && state.problem.is_none()).await;
    may.add_permits(1);
    until(&certificates, "gone", |state| says("Secret default/hello-tls does not exist")(state) && has(&second)(state))
        .await;
    let asked: Vec<String> = std::mem::take(&mut asked.lock());
    let is_by_name =
        |uri: &String| uri.contains("/namespaces/default/secrets?") && uri.contains("metadata.name%3Dhello-tls");
    assert!(!asked.is_empty() && asked.iter().all(is_by_name), "{asked:?}");

    certificates.want(&Declared::default());
    certificates.settled().await;
    assert!(certificates.states().is_empty());
    following.abort();
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_says_so() {
    let client = client(vec![], vec![], Arc::new(Semaphore::new(0)), Arc::default(), 403);
    let certificates = Arc::<Certificates>::default();
    let following = tokio::spawn(follow(client, Clock::running(), certificates.clone()));
    certificates.want(&declared());
    until(&certificates, "it may not", says("Secret default/hello-tls cannot be read: the gateway may not")).await;
    certificates.settled().await;
    following.abort();
}

#[tokio::test]
async fn there_may_be_only_so_many() {
    let certificates = Arc::<Certificates>::default();
    let (_, config) = declared().apps.into_iter().next().unwrap();
    let apps = (0..=MOST).map(|n| {
        let mut config = config.clone();
        let edge = Arc::make_mut(&mut config.edge);
        let mut tls = crate::config::settings::AppTls::clone(edge.tls.as_ref().unwrap());
        tls.certificate = Some(CertificateSource::Secret(format!("s{n}").into()));
        edge.tls = Some(Arc::new(tls));
        (AppId::new("default", format!("a{n}")), config)
    });
    let client = client(vec![], vec![], Arc::new(Semaphore::new(0)), Arc::default(), 200);
    let following = tokio::spawn(follow(client, Clock::running(), certificates.clone()));
    certificates.want(&Declared { apps: apps.collect() });
    certificates.settled().await;
    let problems: Vec<_> = certificates.states().into_iter().map(|state| state.problem.unwrap()).collect();
    let (many, missing): (Vec<_>, Vec<_>) = problems.iter().partition(|why| why.contains("more than 200 Secrets"));
    assert_eq!((many.len(), missing.len()), (1, MOST));
    following.abort();
}

#[test]
fn a_secret_without_a_key_says_so() {
    let mut value = secret(TYPE, &pem(&["a"], 2099), 1);
    value["data"].as_object_mut().unwrap().remove("tls.key");
    let why = read("Secret a/b", &serde_json::from_value(value).unwrap()).unwrap_err();
    assert_eq!(why, "Secret a/b has no tls.key");
}
