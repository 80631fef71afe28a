//! The cluster's objects as the API server tells them.

use super::cluster::Deployment;
use super::pods::{Pod, Stage};

/// The only app.
pub(super) const NAME: &str = "hello";
pub(super) const NAMESPACE: &str = "default";
pub(super) const PORT: u16 = 8080;
/// What goes first has this much less to lose.
pub(super) const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

pub(super) fn deployment(deployment: &Deployment, version: u64) -> String {
    let Deployment { replicas, writer, status, .. } = deployment;
    // As the API server does it: `/scale` has no field for zero replicas that somebody could be named for.
    let managed = match deployment.nameless {
        true => String::new(),
        false => format!(
            r#","managedFields":[{{"manager":"{writer}","operation":"Update","fieldsV1":{{"f:spec":{{"f:replicas":{{}}}}}}}}]"#
        ),
    };
    format!(
        r#"{{"kind":"Deployment","apiVersion":"apps/v1","metadata":{{"namespace":"{NAMESPACE}","name":"{NAME}","uid":"d-1","resourceVersion":"{version}"{managed}}},"spec":{{"replicas":{replicas},"selector":{{}},"template":{{}}}},"status":{{"replicas":{status}}}}}"#
    )
}

pub(super) fn scale(replicas: u32, version: u64) -> String {
    format!(
        r#"{{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{{"namespace":"{NAMESPACE}","name":"{NAME}","resourceVersion":"{version}"}},"spec":{{"replicas":{replicas}}}}}"#
    )
}

pub(super) fn service() -> String {
    format!(
        r#"{{"kind":"Service","apiVersion":"v1","metadata":{{"namespace":"{NAMESPACE}","name":"{NAME}","resourceVersion":"1"}},"spec":{{"selector":{{"app":"{NAME}"}},"ports":[{{"port":80,"targetPort":{PORT}}}]}}}}"#
    )
}

pub(super) fn pod(pod: &Pod, id: u32, version: u64, probed: bool) -> String {
    let deletion = if pod.deleting() { r#","deletionTimestamp":"2026-01-01T00:00:00Z""# } else { "" };
    let cost = pod.cost.map(|cost| format!(r#","annotations":{{"{DELETION_COST}":"{cost}"}}"#)).unwrap_or_default();
    let owner = if pod.other { "other" } else { NAME };
    let node = if pod.stage >= Stage::Scheduled { r#""nodeName":"node","# } else { "" };
    let probe = if probed { r#","readinessProbe":{"httpGet":{"path":"/","port":8080}}"# } else { "" };
    let status = if pod.stage == Stage::Running {
        let (ip, ready) = (pod.ip(id), if pod.ready { "True" } else { "False" });
        format!(
            r#""phase":"Running","podIP":"{ip}","conditions":[{{"type":"Ready","status":"{ready}"}}],"containerStatuses":[{{"name":"app","state":{{"running":{{}}}},"ready":{},"restartCount":0,"image":"","imageID":"","started":true}}]"#,
            pod.ready
        )
    } else {
        r#""phase":"Pending""#.to_owned()
    };
    format!(
        r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"namespace":"{NAMESPACE}","name":"{}","uid":"{}","resourceVersion":"{version}","labels":{{"app":"{NAME}","pod-template-hash":"1"}},"ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"{owner}-1","uid":"rs-1","controller":true}}]{deletion}{cost}}},"spec":{{{node}"containers":[{{"name":"app","ports":[{{"containerPort":{PORT}}}]{probe}}}]}},"status":{{{status}}}}}"#,
        name_of(id),
        uid_of(id),
    )
}

pub(super) fn list(kind: &str, version: u64, items: &[impl AsRef<str>]) -> String {
    let items = items.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(",");
    format!(
        r#"{{"kind":"{kind}List","apiVersion":"v1","metadata":{{"resourceVersion":"{version}"}},"items":[{items}]}}"#
    )
}

/// The end of all there is in a watch that begins with it.
pub(super) fn end_of_all(version: u64) -> String {
    let metadata = format!(r#"{{"resourceVersion":"{version}","annotations":{{"k8s.io/initial-events-end":"true"}}}}"#);
    format!(r#"{{"type":"BOOKMARK","object":{{"kind":"","apiVersion":"","metadata":{metadata}}}}}"#) + "\n"
}

pub(super) fn status(code: u16, reason: &str) -> String {
    format!(
        r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"simulated","reason":"{reason}","code":{code}}}"#
    )
}

pub(super) fn name_of(id: u32) -> String {
    format!("{NAME}-{id}")
}

pub(super) fn uid_of(id: u32) -> String {
    format!("uid-{id}")
}
