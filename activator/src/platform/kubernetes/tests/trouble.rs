//! What keeps an app from being served, and when that is told.

use tokio::net::TcpListener;

use super::cluster::{DEPLOYMENTS, PODS, ROLLOUT_SCALE, SERVICES};
use super::*;
use crate::failure::FailureCause;

async fn cause(world: &World) -> FailureCause {
    world.seen.until(|seen| seen.failure.is_some()).await.failure.unwrap().cause.clone()
}

#[tokio::test]
async fn what_may_not_be_watched_is_named() {
    let cluster = FakeCluster::hello(1, 8080).await;
    cluster.refuse(DEPLOYMENTS, 403, "Forbidden");
    let world = World::of(cluster).await;
    let expected = FailureCause::Forbidden {
        verb: "list".to_owned(),
        resource: "deployments.apps".to_owned(),
        namespace: "*".to_owned(),
    };
    assert_eq!(cause(&world).await, expected);
    assert_eq!((world.seen.last().spec, world.seen.last().starting), (None, 0));
    world.cluster.permit(DEPLOYMENTS);
    world.seen.until(|seen| seen.spec.is_some() && seen.failure.is_none()).await;
}

#[tokio::test]
async fn what_may_be_watched_no_more_is_named_where_nothing_else_serves() {
    let cluster = FakeCluster::hello(0, 8080).await;
    let world = World::of(cluster).await;
    world.seen.until(|seen| seen.spec.is_some()).await;
    world.cluster.until_followed(PODS).await;
    world.cluster.refuse(PODS, 403, "Forbidden");
    world.cluster.cut(DEPLOYMENTS).await;
    // It sleeps: nothing is missed.
    world.cluster.tell(DEPLOYMENTS, "MODIFIED", deployment(1, 200)).await;
    let FailureCause::Forbidden { resource, .. } = cause(&world).await else { panic!("{:?}", world.seen.last()) };
    assert_eq!((&*resource, world.seen.last().starting), ("pods", 0));
    world.cluster.permit(PODS);
    world.seen.until(|seen| seen.failure.is_none() && seen.starting == 1).await;
}

#[tokio::test]
async fn a_missing_target_and_a_missing_service_are_told() {
    let world = World::of(FakeCluster::with([(SERVICES, vec![service(8080)])]).await).await;
    assert_eq!(cause(&world).await, FailureCause::TargetMissing { target: "Deployment default/hello".to_owned() });
    world.cluster.tell(DEPLOYMENTS, "ADDED", deployment(1, 20)).await;
    world.seen.until(|seen| seen.failure.is_none() && seen.starting == 1).await;

    let world = World::of(FakeCluster::with([(DEPLOYMENTS, vec![deployment(1, 10)])]).await).await;
    assert_eq!(cause(&world).await, FailureCause::ServiceMissing { service: "default/hello".to_owned() });
}

#[tokio::test]
async fn an_app_outside_of_the_chosen_namespaces_is_told_so() {
    let world = World::with(FakeCluster::with([]).await, |_| {}, &["other"]).await;
    let cause = cause(&world).await;
    assert!(matches!(&cause, FailureCause::TargetUnusable { why, .. } if why.contains("other namespaces")), "{cause}");
}

#[tokio::test]
async fn a_kind_that_there_is_not_is_told() {
    let cluster = FakeCluster::with([]).await;
    cluster.refuse("/apis/example.org/v1", 404, "NotFound");
    let change = |target: &mut ScaleTarget| target.api_version = "example.org/v1".into();
    let world = World::with(cluster, change, &[]).await;
    let cause = cause(&world).await;
    assert!(matches!(&cause, FailureCause::TargetUnusable { why, .. } if why.contains("does not know")), "{cause}");
}

#[tokio::test]
async fn a_scale_that_cannot_be_read_is_told() {
    let (target, resource) = ("Rollout default/hello".to_owned(), "rollouts.argoproj.io/scale".to_owned());
    let unusable = |why: &str| FailureCause::TargetUnusable { target: target.clone(), why: why.to_owned() };
    let lacking = r#"the spec replicas field ".spec.replicas" does not exist"#;
    for (code, reason, message, expected) in [
        (
            403,
            "Forbidden",
            "rollouts.argoproj.io \"hello\" is forbidden",
            FailureCause::Forbidden { verb: "get".to_owned(), resource, namespace: "default".to_owned() },
        ),
        (
            500,
            "InternalError",
            &*format!("Internal error occurred: {lacking}"),
            unusable(&format!("{lacking}; write a number there")),
        ),
        (
            404,
            "NotFound",
            "the server could not find the requested resource",
            unusable("the kind Rollout has no /scale"),
        ),
        (
            404,
            "NotFound",
            "rollouts.argoproj.io \"hello\" not found",
            FailureCause::TargetMissing { target: target.clone() },
        ),
        (
            500,
            "InternalError",
            "etcd is full",
            FailureCause::ApiServer {
                why: "500 InternalError when rollouts.argoproj.io/scale was to be read".to_owned(),
            },
        ),
    ] {
        let cluster = FakeCluster::rollout().await;
        cluster.refuse_saying(ROLLOUT_SCALE, code, reason, message);
        let world = World::with(cluster, rollout, &[]).await;
        assert_eq!(cause(&world).await, expected);
        let seen = world.seen.last();
        assert_eq!((seen.spec, seen.starting), (None, 0));
    }
}

#[tokio::test]
async fn a_scale_that_can_be_read_after_all_is_told_no_more() {
    let cluster = FakeCluster::rollout().await;
    cluster.refuse(ROLLOUT_SCALE, 403, "Forbidden");
    let world = World::with(cluster, rollout, &[]).await;
    cause(&world).await;
    world.cluster.permit(ROLLOUT_SCALE);
    world.seen.until(|seen| seen.failure.is_none() && seen.starting == 3).await;
}

#[tokio::test]
async fn what_a_crashing_container_said_last_is_told_with_it() {
    let cluster = FakeCluster::hello(1, 8080).await;
    cluster.say("/api/v1/namespaces/default/pods/a/log", b"no such table\n");
    let world = World::of(cluster).await;
    let mut crashing = pod("a", 8080, false);
    let status = &mut crashing["status"]["containerStatuses"][0];
    status["state"] = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
    status["lastState"] = json!({ "terminated": { "exitCode": 3, "reason": "Error" } });
    world.cluster.tell(PODS, "ADDED", crashing).await;
    let failure = world.seen.until(|seen| seen.failure.is_some()).await.failure.unwrap();
    let expected = FailureCause::CrashLoop { container: "app".to_owned(), how: "exit code 3".to_owned() };
    assert_eq!((&failure.cause, &failure.output[..]), (&expected, &["no such table".to_owned()][..]));
    let asked = world.cluster.api.asked();
    let logs: Vec<_> = asked.iter().filter(|asked| asked.uri.path().ends_with("/log")).collect();
    assert_eq!((logs.len(), logs[0].parameter("previous").as_deref()), (1, Some("true")));
}

#[tokio::test]
async fn a_pod_that_never_listens_is_told_with_what_its_check_met() {
    // A port of which nobody listens, as it was just now given back.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let cluster = FakeCluster::hello(1, port).await;
    let world = World::with(cluster, |target| target.start_timeout = Duration::from_millis(300), &[]).await;
    world.cluster.tell(PODS, "ADDED", pod("a", port, false)).await;
    let cause = cause(&world).await;
    assert!(matches!(&cause, FailureCause::NeverReady { last, .. } if last.contains("cannot connect")), "{cause}");
    assert_eq!(world.seen.last().starting, 0);
}
