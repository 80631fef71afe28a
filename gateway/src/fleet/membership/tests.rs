use super::*;

#[test]
fn a_gateway_has_to_know_which_it_is() {
    let (pod, namespace) = (Some("zerogate-1".to_owned()), Some("zerogate".to_owned()));
    let membership = Membership::new(pod.clone(), namespace.clone(), "zerogate-fleet").expect("all is given");
    assert_eq!(membership.certified(), "zerogate-fleet.zerogate.svc");
    let why = Membership::new(None, namespace, "zerogate-fleet").unwrap_err();
    assert!(why.contains("POD_NAME") && why.contains("metadata.name}"), "{why}");
    let why = Membership::new(pod, None, "zerogate-fleet").unwrap_err();
    assert!(why.contains("POD_NAMESPACE") && why.contains("metadata.namespace}"), "{why}");
}
