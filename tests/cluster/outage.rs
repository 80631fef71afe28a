//! An API server that is away, cuts, hangs or is slow: seen through a proxy, so that others do not notice.

use std::time::Duration;

use activator::Clock;
use serde_json::json;
use tempfile::NamedTempFile;

use crate::app::App;
use crate::gateway::Gateway;
use crate::kubeconfig;
use crate::namespace::Namespace;
use crate::proxy::{Proxy, Way};
use crate::wait::until;

/// A gateway that reaches the API server through a proxy only.
struct Behind {
    namespace: Namespace,
    proxy: Proxy,
    gateway: Gateway,
    _kubeconfig: NamedTempFile,
}

impl Behind {
    /// Started, but maybe not ready.
    async fn new(name: &str, way: Way) -> Self {
        let namespace = Namespace::new(name).await;
        let proxy = Proxy::start(kubeconfig::api_server(), way).await;
        let kubeconfig = kubeconfig::of_admin(proxy.address);
        let gateway = Gateway::launch(kubeconfig.path(), &["--namespaces", &namespace.name]);
        Self { namespace, proxy, gateway, _kubeconfig: kubeconfig }
    }

    async fn app(&self, name: &str) -> String {
        let app = App::echo(name, &[]);
        app.create(&self.namespace).await;
        self.gateway.app_until(&self.namespace, name, "the gateway knows it", |_| true).await;
        app.host(&self.namespace)
    }

    async fn until_held(&self, name: &str) {
        self.gateway.app_until(&self.namespace, name, "a request is held", |app| app["held"] == 1).await;
    }

    /// The gateway has tried this often to reach the API server, in vain.
    async fn until_refused(&self, times: usize) {
        let before = self.proxy.refused();
        until("the gateway tries", async || (self.proxy.refused() >= before + times).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_api_server_warm_traffic_goes_on_and_wakes_wait_until_it_is_back() {
    let it = Behind::new("away", Way::Open).await;
    it.gateway.until_ready().await;
    let (warm, cold) = (it.app("warm").await, it.app("cold").await);
    assert_eq!(it.gateway.get(&warm, "/").await.status, 200);

    it.proxy.set(Way::Cut);
    let served = async {
        for _ in 0..100 {
            assert_eq!(it.gateway.get(&warm, "/").await.status, 200);
        }
        it.until_refused(3).await;
        it.until_held("cold").await;
        assert_eq!(it.gateway.get(&warm, "/").await.status, 200);
        assert_eq!(it.gateway.probe("/readyz").await, Some(200));
        it.proxy.set(Way::Open);
    };
    let (woken, ()) = tokio::join!(it.gateway.get(&cold, "/"), served);
    assert_eq!(woken.status, 200, "{woken:?}");

    // What happened meanwhile, and what happens from now on, is seen.
    it.namespace.scale("warm", 2).await;
    it.gateway.app_until(&it.namespace, "warm", "2 pods are seen", |app| app["replicas"]["ready"] == 2).await;
    let late = it.app("late").await;
    assert_eq!(it.gateway.get(&late, "/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_hangs_or_is_slow_is_waited_for() {
    let it = Behind::new("hangs", Way::Open).await;
    it.gateway.until_ready().await;
    let (warm, cold, next) = (it.app("warm").await, it.app("cold").await, it.app("next").await);
    assert_eq!(it.gateway.get(&warm, "/").await.status, 200);

    it.proxy.set(Way::Stalled);
    let served = async {
        it.until_held("cold").await;
        for _ in 0..100 {
            assert_eq!(it.gateway.get(&warm, "/").await.status, 200);
        }
        assert_eq!(it.gateway.probe("/readyz").await, Some(200));
        it.proxy.set(Way::Open);
    };
    let (woken, ()) = tokio::join!(it.gateway.get(&cold, "/"), served);
    assert_eq!(woken.status, 200, "{woken:?}");

    it.proxy.set(Way::Slow(Duration::from_millis(300)));
    assert_eq!(it.gateway.get(&next, "/").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_endpoint_is_dropped_when_watches_are_cut() {
    let it = Behind::new("cuts", Way::Open).await;
    it.gateway.until_ready().await;
    let warm = it.app("warm").await;
    assert_eq!(it.gateway.get(&warm, "/").await.status, 200);
    let clock = Clock::running();
    let cuts = async {
        for _ in 0..20 {
            let before = it.proxy.opened();
            it.proxy.cut_once();
            until("the gateway is connected again", async || (it.proxy.opened() > before).then_some(())).await;
        }
        // All are followed again.
        it.namespace.scale("warm", 2).await;
        it.gateway.app_until(&it.namespace, "warm", "2 pods are seen", |app| app["replicas"]["ready"] == 2).await;
    };
    let mut requests = 0;
    let traffic = async {
        loop {
            let begin = clock.now();
            let reply = it.gateway.get(&warm, "/").await;
            assert_eq!(reply.status, 200, "{reply:?}");
            assert!(clock.now().since(begin) < Duration::from_secs(2), "it was held");
            let app = it.gateway.app(&it.namespace, "warm").await.expect("it is known all along");
            assert_ne!(app["replicas"]["ready"], 0, "{app}");
            requests += 1;
        }
    };
    tokio::select! {
        () = cuts => {}
        () = traffic => unreachable!(),
    }
    assert!(requests >= 20, "{requests}");
}

#[tokio::test]
async fn a_gateway_that_starts_without_api_server_is_ready_once_it_comes() {
    let it = Behind::new("early", Way::Cut).await;
    until("it answers", async || (it.gateway.probe("/livez").await? == 200).then_some(())).await;
    it.until_refused(2).await;
    assert_eq!(it.gateway.probe("/readyz").await, Some(503));
    let app = App::echo("hello", &[]).with("hold", json!({"timeout": "50s"}));
    app.create(&it.namespace).await;
    it.proxy.set(Way::Open);
    it.gateway.until_ready().await;
    assert_eq!(it.gateway.get(&app.host(&it.namespace), "/").await.status, 200);
}
