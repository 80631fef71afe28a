use std::sync::atomic::Ordering;

use super::*;
use crate::external_scaler::testing::{World, object, pass};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl World {
    async fn is_active(&self, object: ScaledObjectRef) -> Result<bool, Status> {
        self.scaler.is_active(Request::new(object)).await.map(|answer| answer.into_inner().result)
    }

    async fn spec(&self, object: ScaledObjectRef) -> Result<MetricSpec, Status> {
        let mut specs = self.scaler.get_metric_spec(Request::new(object)).await?.into_inner().metric_specs;
        assert_eq!(specs.len(), 1);
        Ok(specs.remove(0))
    }

    async fn value(&self, object: ScaledObjectRef, metric: &str) -> Result<MetricValue, Status> {
        let request = GetMetricsRequest { scaled_object_ref: Some(object), metric_name: metric.to_owned() };
        let mut values = self.scaler.get_metrics(Request::new(request)).await?.into_inner().metric_values;
        assert_eq!(values.len(), 1, "KEDA adds up what it gets");
        Ok(values.remove(0))
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_is_active_from_its_first_request_until_it_has_held_on() {
    let world = World::new(&["shop"]);
    let active = async |metadata: &[(&str, &str)]| world.is_active(object("shop", metadata)).await.unwrap();
    assert!(!active(&[]).await);
    let ticket = world.app("shop").enter();
    assert!(active(&[]).await, "before anything is ordered");
    assert!(world.platform.orders().is_empty());
    drop(ticket.hold(100).await.unwrap());
    pass(secs(59)).await;
    assert!(active(&[]).await);
    pass(secs(2)).await;
    assert!(!active(&[]).await, "idleTimeout is a minute");

    // With an idleTimeout shorter than a poll takes.
    world.declare(&["shop"], |scaling| scaling.idle_timeout = secs(1));
    world.request("shop").await;
    pass(secs(24)).await;
    assert!(active(&[("pollingInterval", "5")]).await && active(&[]).await);
    pass(secs(2)).await;
    assert!(!active(&[("pollingInterval", "5")]).await && active(&[]).await);
    pass(secs(25)).await;
    assert!(!active(&[]).await, "a poll each 30 s, a sync and some slack");
}

#[tokio::test(start_paused = true)]
async fn the_metric_is_the_apps_unless_the_trigger_says_another() {
    let world = World::new(&["shop"]);
    let spec = world.spec(object("shop", &[])).await.unwrap();
    assert_eq!(
        spec,
        MetricSpec { metric_name: "zerogate-concurrency-shop".into(), target_size: 7, target_size_float: 7.0 }
    );
    let spec = world.spec(object("shop", &[("metric", "requestRate"), ("target", "0.4")])).await.unwrap();
    let expected =
        MetricSpec { metric_name: "zerogate-request-rate-shop".into(), target_size: 1, target_size_float: 0.4 };
    assert_eq!(spec, expected, "a whole target is 1 at least");
    let said = world.spec(object("shop", &[("metric", "requestRate")])).await.unwrap_err();
    assert_eq!(said.code(), Code::InvalidArgument);
    assert!(said.message().starts_with("the trigger's metadata `target`: is missing"), "{said}");

    world.declare(&["shop"], |scaling| {
        (scaling.metric, scaling.concurrency_limit) = (Metric::RequestRate, Some(10));
    });
    assert_eq!(world.spec(object("shop", &[])).await.unwrap().metric_name, "zerogate-request-rate-shop");
    assert_eq!(world.spec(object("shop", &[("metric", "concurrency")])).await.unwrap().target_size_float, 7.0);
}

#[tokio::test(start_paused = true)]
async fn a_value_is_the_peak_of_twenty_seconds_in_both_forms() {
    let world = World::new(&["shop"]);
    world.request("shop").await;
    pass(secs(30)).await;
    drop((0..15).map(|_| world.app("shop").enter()).collect::<Vec<_>>());
    pass(secs(19)).await;
    let value = world.value(object("shop", &[]), "zerogate-concurrency-shop").await.unwrap();
    assert_eq!((value.metric_value, value.metric_value_float), (15, 15.0));
    let rate = [("metric", "requestRate"), ("target", "1")];
    let value = world.value(object("shop", &rate), "zerogate-request-rate-shop").await.unwrap();
    assert_eq!((value.metric_value, value.metric_value_float), (3, 2.5), "15 in 6 s, and rounded up");
    pass(secs(3)).await;
    assert_eq!(world.value(object("shop", &[]), "").await.unwrap().metric_value_float, 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_metric_that_was_not_told_is_refused() {
    let world = World::new(&["shop"]);
    let said = world.value(object("shop", &[]), "zerogate-request-rate-shop").await.unwrap_err();
    assert_eq!(said.code(), Code::InvalidArgument);
    assert!(said.message().ends_with("`zerogate-concurrency-shop`"), "{said}");
    let nobody = GetMetricsRequest { scaled_object_ref: None, metric_name: String::new() };
    let said = world.scaler.get_metrics(Request::new(nobody)).await.unwrap_err();
    assert_eq!((said.code(), said.message()), (Code::InvalidArgument, "scaledObjectRef is missing"));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_is_said_and_is_neither_no_nor_nothing() {
    let world = World::starting(&["shop"]);
    let all = async || {
        let shop = || object("shop", &[]);
        [
            world.is_active(shop()).await.unwrap_err().code(),
            world.value(shop(), "").await.unwrap_err().code(),
            world.spec(shop()).await.map_or_else(|status| status.code(), |_| Code::Ok),
            world.is_active(object("nobody", &[])).await.unwrap_err().code(),
        ]
    };
    let unavailable = Code::Unavailable;
    assert_eq!(all().await, [unavailable; 4], "not even that an app is not there");
    world.drain.set_ready();
    world.sum.0.store(true, Ordering::Relaxed);
    assert_eq!(all().await, [unavailable, unavailable, Code::Ok, Code::NotFound]);
    world.sum.0.store(false, Ordering::Relaxed);
    assert!(!world.is_active(object("shop", &[])).await.unwrap());
    world.drain.begin();
    assert_eq!(all().await, [unavailable; 4]);
}

#[tokio::test(start_paused = true)]
async fn mistakes_are_named() {
    let world = World::new(&["shop"]);
    let said = async |object| {
        let status = world.is_active(object).await.unwrap_err();
        (status.code(), status.message().to_owned())
    };
    let invalid = Code::InvalidArgument;
    let expected = "the trigger's metadata `traget`: there is no such key; did you mean `target`?".to_owned();
    assert_eq!(said(object("shop", &[("traget", "3")])).await, (invalid, expected));
    let expected = "no app `default/shpo` is declared; did you mean `default/shop`?".to_owned();
    assert_eq!(said(object("any", &[("app", "shpo")])).await, (Code::NotFound, expected));
    assert_eq!(said(object("", &[])).await.0, invalid);
}
