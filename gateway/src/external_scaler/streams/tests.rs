use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tonic::{Code, Request};

use super::*;
use crate::external_scaler::protocol::external_scaler_server::ExternalScaler;
use crate::external_scaler::testing::{World, object, pass};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What a stream has to say at this moment.
fn now<T>(stream: &mut BoxStream<T>) -> Option<Option<Result<T, Status>>> {
    stream.next().now_or_never()
}

impl World {
    async fn listen(&self, name: &str) -> BoxStream<IsActiveResponse> {
        self.scaler.stream_is_active(Request::new(object(name, &[]))).await.unwrap().into_inner()
    }

    async fn specs(&self, name: &str) -> BoxStream<GetMetricSpecResponse> {
        self.scaler.stream_metric_spec(Request::new(object(name, &[]))).await.unwrap().into_inner()
    }

    /// When, in seconds, `stream` says something in the next `span`, which a reader takes at once.
    async fn said(&self, stream: &mut BoxStream<IsActiveResponse>, span: Duration) -> Vec<f64> {
        let clock = &self.scaler.0.clock;
        let begin = clock.now();
        let mut said = Vec::new();
        let end = tokio::time::sleep(span);
        tokio::pin!(end);
        loop {
            tokio::select! {
                message = stream.next() => {
                    assert!(message.unwrap().unwrap().result, "never that it is not active");
                    said.push(clock.now().since(begin).as_secs_f64());
                }
                () = &mut end => return said,
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_sleeping_app_nothing_is_said_and_of_its_wake_after_the_order() {
    let world = World::new(&["shop"]);
    let mut stream = world.listen("shop").await;
    assert_eq!(world.said(&mut stream, secs(3_600)).await, Vec::<f64>::new());
    let app = world.app("shop");
    let held = tokio::spawn(app.enter().hold(100));
    assert_eq!(world.said(&mut stream, secs(10)).await, [0.5]);
    assert_eq!(world.platform.orders(), [1]);
    drop(held.await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn while_it_is_active_it_is_said_each_minute_and_then_no_more() {
    let world = World::new(&["shop"]);
    let mut stream = world.listen("shop").await;
    let app = world.app("shop");
    let permit = app.enter().hold(100).await.unwrap();
    let said = world.said(&mut stream, secs(600)).await;
    assert!((9..=12).contains(&said.len()), "{said:?}");
    let steps = said.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(steps.clone().all(|step| (54.0..=67.0).contains(&step)), "{:?}", steps.collect::<Vec<_>>());
    drop(permit);
    // For a minute it holds on.
    assert!(world.said(&mut stream, secs(61)).await.len() <= 2);
    assert_eq!(world.said(&mut stream, secs(3_600)).await, Vec::<f64>::new());
    world.request("shop").await;
    assert_eq!(world.said(&mut stream, secs(30)).await.len(), 1, "of one that runs too, at the next tick");
}

#[tokio::test(start_paused = true)]
async fn who_reads_slowly_is_told_what_is_the_case_and_not_what_was() {
    let world = World::new(&["shop"]);
    let mut stream = world.listen("shop").await;
    for _ in 0..10 {
        world.request("shop").await;
        pass(secs(120)).await;
    }
    assert!(now(&mut stream).is_none(), "ten edges have passed, and it is not active");
    world.request("shop").await;
    pass(secs(600)).await;
    let _open = world.app("shop").enter().hold(100).await.unwrap();
    pass(secs(600)).await;
    assert!(now(&mut stream).is_some(), "it is active");
    assert!(now(&mut stream).is_none(), "and that is said once");
}

#[tokio::test(start_paused = true)]
async fn what_is_put_to_sleep_under_a_request_is_woken_and_told_again() {
    let world = World::new(&["shop"]);
    let mut stream = world.listen("shop").await;
    let held = tokio::spawn(world.app("shop").enter().hold(100));
    assert_eq!(world.said(&mut stream, secs(5)).await.len(), 1);
    world.platform.write_only(0);
    let said = world.said(&mut stream, secs(5)).await;
    assert_eq!(world.platform.orders(), [1, 1]);
    assert!(said.len() == 1 && (0.5..1.0).contains(&said[0]), "{said:?}");
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_lost_sum_is_neither_an_edge_nor_an_end() {
    let world = World::new(&["shop"]);
    let mut stream = world.listen("shop").await;
    let _held = tokio::spawn(world.app("shop").enter().hold(100));
    assert_eq!(world.said(&mut stream, secs(5)).await.len(), 1);
    world.sum.0.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(world.said(&mut stream, secs(30)).await.len(), 0);
    world.sum.0.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(world.said(&mut stream, secs(15)).await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn streams_end_with_ok_when_the_gateway_stops() {
    let world = World::new(&["shop"]);
    let (mut activity, mut specs) = (world.listen("shop").await, world.specs("shop").await);
    assert!(now(&mut specs).flatten().is_some());
    let ends = tokio::spawn(async move { (activity.next().await.is_none(), specs.next().await.is_none()) });
    pass(millis(10)).await;
    world.drain.begin();
    assert_eq!(ends.await.unwrap(), (true, true));
}

#[tokio::test(start_paused = true)]
async fn streams_of_an_app_that_is_removed_end_with_its_name() {
    let world = World::new(&["shop", "cart"]);
    let (mut activity, mut specs) = (world.listen("shop").await, world.specs("shop").await);
    assert!(now(&mut specs).flatten().is_some());
    world.declare(&["cart"], |_| {});
    for status in [activity.next().await.unwrap().unwrap_err(), specs.next().await.unwrap().unwrap_err()] {
        assert_eq!(
            (status.code(), status.message()),
            (
                Code::NotFound,
                "no app `default/shop` is declared, and none has a target of that name: name it in the trigger's metadata, as `app`"
            )
        );
    }
    assert!(activity.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_new_target_is_told_at_once_and_nothing_else_is() {
    let world = World::new(&["shop"]);
    let mut specs = world.specs("shop").await;
    let target = |message: Option<Option<Result<GetMetricSpecResponse, Status>>>| {
        let specs = message.flatten()?.unwrap().metric_specs;
        assert_eq!(specs.len(), 1, "one without any would be the end of it");
        Some(specs[0].target_size_float)
    };
    assert_eq!(target(now(&mut specs)), Some(7.0));
    world.request("shop").await;
    pass(secs(30)).await;
    assert_eq!(target(now(&mut specs)), None);
    world.declare(&["shop"], |scaling| scaling.target = 20.0);
    world.declare(&["shop"], |scaling| scaling.target = 30.0);
    pass(millis(10)).await;
    assert_eq!(target(now(&mut specs)), Some(21.0), "the latest only");
    assert_eq!(target(now(&mut specs)), None);
}

#[tokio::test(start_paused = true)]
async fn an_app_has_so_many_streams_and_no_more() {
    let world = World::new(&["shop", "cart"]);
    let mut open = Vec::new();
    let refused = loop {
        match world.scaler.stream_is_active(Request::new(object("shop", &[]))).await {
            Ok(stream) => open.push(stream.into_inner()),
            Err(status) => break status,
        }
        assert!(open.len() < 1_000);
    };
    assert_eq!((open.len(), refused.code()), (32, Code::ResourceExhausted));
    assert!(refused.message().contains("`default/shop`"), "{refused}");
    drop(world.listen("cart").await);
    open.pop();
    drop(world.listen("shop").await);
}
