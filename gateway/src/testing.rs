//! What the tests of several modules need.

pub(crate) mod certificates;
pub(crate) mod heap;

use std::sync::Arc;
use std::time::Duration;

use activator::app::Shared;
use activator::platform::{Accepted, NotAccepted, Order, Platform, Subject};
use activator::registry::Registry;
use activator::settings::{ScaleTarget, ServicePort};
use activator::{Clock, HoldBudget};
use arc_swap::ArcSwap;
use async_trait::async_trait;

use crate::access_log::AccessLog;
use crate::edge::files::OpenFiles;
use crate::edge::per_address::PerAddress;
use crate::edge::route::Router;
use crate::edge::{Edge, EdgeOptions};
use crate::shutdown::Drain;

/// A platform that does nothing.
pub(crate) struct Nothing;

#[async_trait]
impl Platform for Nothing {
    fn observe(&self, _: Subject) {}

    async fn scale(&self, _: Order) -> Result<Accepted, NotAccepted> {
        std::future::pending().await
    }

    async fn stop(&self) {}
}

/// An edge with nothing declared, at a standstill.
pub(crate) fn edge(clock: &Clock) -> Edge {
    let (pokes, _) = tokio::sync::mpsc::unbounded_channel();
    let shared = Shared {
        clock: clock.clone(),
        budget: HoldBudget::new(1, 1),
        pokes,
        news: None,
        leaving: Default::default(),
        fleet: Default::default(),
    };
    edge_over(Arc::new(Registry::new(Arc::new(shared), Arc::new(Nothing))), clock)
}

/// An edge that routes to nothing yet.
pub(crate) fn edge_over(registry: Arc<Registry>, clock: &Clock) -> Edge {
    let drain = Arc::<Drain>::default();
    Edge {
        per_address: PerAddress::new(1),
        files: OpenFiles::new(1 << 20, drain.clone()),
        router: ArcSwap::from_pointee(Router::default()),
        registry,
        clock: clock.clone(),
        drain,
        certificates: Arc::default(),
        authorities: Arc::default(),
        access_log: AccessLog::off(),
        options: EdgeOptions {
            header_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(1),
            max_header_bytes: 8192,
            max_connections: 1,
            trusted_proxies: Vec::new(),
            proxy_protocol: Vec::new(),
            https_port: None,
        },
    }
}

/// A Deployment behind a Service, both of this name.
pub(crate) fn deployment(namespace: &str, name: &str) -> ScaleTarget {
    ScaleTarget {
        namespace: namespace.into(),
        api_version: "apps/v1".into(),
        kind: "Deployment".into(),
        name: name.into(),
        service: name.into(),
        port: ServicePort::Only,
        protocol: None,
        readiness: None,
        early_readiness: true,
        start_timeout: Duration::from_secs(60),
    }
}
