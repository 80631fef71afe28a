//! However the cluster came to be as it is: what is known of it is the same.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Something that happens to one of a few objects.
#[derive(Debug, Clone)]
enum Event {
    Pod {
        name: u8,
        form: Option<u8>,
    },
    Service {
        name: u8,
        form: Option<u8>,
    },
    Slice {
        name: u8,
        form: Option<u8>,
    },
    Target {
        name: u8,
        form: Option<u8>,
    },
    /// A watch lists anew.
    Relist(u8),
    /// An app goes, or comes again.
    Observe {
        app: u8,
        there: bool,
    },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let object = || (0_u8..4, prop::option::weighted(0.7, 0_u8..6));
    let event = prop_oneof![
        4 => object().prop_map(|(name, form)| Event::Pod { name, form }),
        2 => object().prop_map(|(name, form)| Event::Service { name, form }),
        2 => object().prop_map(|(name, form)| Event::Slice { name, form }),
        1 => object().prop_map(|(name, form)| Event::Target { name, form }),
        1 => (0_u8..4).prop_map(Event::Relist),
        1 => (0_u8..4, any::<bool>()).prop_map(|(app, there)| Event::Observe { app, there }),
    ];
    prop::collection::vec(event, 1..80)
}

fn make_pod(name: u8, form: u8) -> Pod {
    // Another form is another pod, so that nothing of the one is remembered of the other.
    let labels = json!({ "app": format!("s{}", form % 3), "team": "shop" });
    let owner = owner("ReplicaSet", &format!("s{}-1", form % 3));
    let change = json!({
        "metadata": { "uid": format!("{name}-{form}"), "labels": labels, "ownerReferences": [owner] },
        "status": { "podIP": format!("10.88.{form}.{name}"), "conditions": [
            { "type": "Ready", "status": if form.is_multiple_of(2) { "True" } else { "False" } }] },
    });
    pod(&format!("p{name}"), change)
}

fn make_service(name: u8, form: u8) -> Service {
    let selector = match form {
        0 => json!({ "app": format!("s{name}") }),
        1 => json!({ "app": format!("s{name}"), "team": "shop" }),
        2 => json!({ "team": "shop" }),
        _ => json!({}),
    };
    let base = json!({ "metadata": { "name": format!("s{name}") }, "spec": { "selector": null } });
    let service = service(base);
    let selector: BTreeMap<String, String> = serde_json::from_value(selector).unwrap();
    Service { selector: selector.into(), ..service }
}

fn make_slice(name: u8, form: u8) -> Slice {
    let pod =
        json!({ "kind": "Pod", "namespace": "default", "name": format!("p{form}"), "uid": format!("{form}-{name}") });
    let endpoints = match form {
        0 => json!([]),
        1 => json!([{ "addresses": ["10.0.0.1"], "conditions": { "ready": true } }]),
        _ => json!([
            { "addresses": [format!("10.88.{name}.{form}")], "targetRef": pod },
            { "addresses": ["10.0.0.2"] },
        ]),
    };
    let mut slice = slice(&format!("slice-{name}"), endpoints);
    slice.service = Some(format!("s{}", (name + form) % 4).into());
    slice
}

fn make_target(name: u8, form: u8, version: u64) -> TargetObject {
    deployment_with(json!({
        "metadata": { "name": format!("s{name}"), "uid": format!("d-{name}"), "resourceVersion": version.to_string() },
        "spec": { "replicas": form },
    }))
}

fn settings_of(app: u8) -> Arc<ScaleTarget> {
    let name = format!("s{app}");
    Arc::new(ScaleTarget { name: name.as_str().into(), service: name.into(), ..ScaleTarget::clone(&settings()) })
}

#[derive(Default)]
struct Truth {
    pods: BTreeMap<u8, Pod>,
    services: BTreeMap<u8, Service>,
    slices: BTreeMap<u8, Slice>,
    targets: BTreeMap<u8, TargetObject>,
}

impl Truth {
    fn list(&self, which: u8, cluster: &mut Cluster, touched: &mut Touched) {
        match which {
            0 => cluster.replace_pods(None, self.pods.values().cloned().collect(), touched),
            1 => cluster.replace_services(None, self.services.values().cloned().collect(), touched),
            2 => cluster.replace_slices(None, self.slices.values().cloned().collect(), touched),
            _ => cluster.replace_targets(&kind(), None, self.targets.values().cloned().collect(), touched),
        }
    }
}

fn seen(cluster: &Cluster, app: u8) -> String {
    let view = cluster.view(AppKey(app.into()), false);
    format!("{:?}", View { crash: None, ..view })
}

proptest! {
    #[test]
    fn what_is_known_does_not_depend_on_how_it_was_told(events in events()) {
        let (mut truth, mut cluster, mut touched) = (Truth::default(), Cluster::default(), Touched::new());
        (0..4).for_each(|which| truth.list(which, &mut cluster, &mut touched));
        (0..4).for_each(|app| cluster.observe(AppKey(app.into()), &settings_of(app)));
        let mut version = 10;
        for event in events {
            let before: Vec<_> = (0..4).map(|app| seen(&cluster, app)).collect();
            touched.clear();
            let mut excused = None;
            match event {
                Event::Pod { name, form: Some(form) } => {
                    let pod = make_pod(name, form);
                    truth.pods.insert(name, pod.clone());
                    cluster.apply_pod(pod, &mut touched);
                }
                Event::Pod { name, form: None } => {
                    if let Some(pod) = truth.pods.remove(&name) {
                        cluster.delete_pod(&pod, &mut touched);
                    }
                }
                Event::Service { name, form: Some(form) } => {
                    let service = make_service(name, form);
                    truth.services.insert(name, service.clone());
                    cluster.apply_service(service, &mut touched);
                }
                Event::Service { name, form: None } => {
                    if let Some(service) = truth.services.remove(&name) {
                        cluster.delete_service(&service, &mut touched);
                    }
                }
                Event::Slice { name, form: Some(form) } => {
                    let slice = make_slice(name, form);
                    truth.slices.insert(name, slice.clone());
                    cluster.apply_slice(slice, &mut touched);
                }
                Event::Slice { name, form: None } => {
                    if let Some(slice) = truth.slices.remove(&name) {
                        cluster.delete_slice(&slice, &mut touched);
                    }
                }
                Event::Target { name, form: Some(form) } => {
                    version += 1;
                    let target = make_target(name, form, version);
                    truth.targets.insert(name, target.clone());
                    cluster.apply_target(&kind(), target, &mut touched);
                }
                Event::Target { name, form: None } => {
                    if let Some(target) = truth.targets.remove(&name) {
                        cluster.delete_target(&kind(), &target, &mut touched);
                    }
                }
                Event::Relist(which) => {
                    truth.list(which, &mut cluster, &mut touched);
                    prop_assert!(touched.is_empty(), "a list told nothing new, but touched {touched:?}");
                }
                Event::Observe { app, there: true } => {
                    cluster.observe(AppKey(app.into()), &settings_of(app));
                    excused = Some(app);
                }
                Event::Observe { app, there: false } => {
                    cluster.forget(AppKey(app.into()));
                    excused = Some(app);
                }
            }
            for app in (0..4).filter(|app| Some(*app) != excused && !touched.contains(&AppKey((*app).into()))) {
                prop_assert_eq!(&before[usize::from(app)], &seen(&cluster, app), "not touched, but changed");
            }
        }
        let mut afresh = Cluster::default();
        for app in (0..4).filter(|app| cluster.apps.contains_key(&AppKey((*app).into()))) {
            afresh.observe(AppKey(app.into()), &settings_of(app));
        }
        (0..4).rev().for_each(|which| truth.list(which, &mut afresh, &mut touched));
        for app in 0..4 {
            prop_assert_eq!(seen(&cluster, app), seen(&afresh, app));
        }
    }
}
