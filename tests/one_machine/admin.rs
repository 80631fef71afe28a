//! What a gateway says of itself.

use serde_json::Value;

use crate::client::{Client, Reply, get};
use crate::gateway::Gateway;
use crate::wait::until;

impl Gateway {
    /// Asks the admin server; none if it does not answer.
    pub async fn admin_get(&self, path: &str) -> Option<Reply> {
        Client::http1(self.admin).await.try_send(get(&self.admin.to_string(), path)).await.ok()
    }

    /// `/v1/apps/default/NAME`.
    pub async fn app(&self, name: &str) -> Value {
        let reply = self.admin_get(&format!("/v1/apps/default/{name}")).await.expect("the admin server answers");
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    /// Waits until this is so of an app.
    pub async fn app_until(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let wait = until(what, async || {
            last = self.app(name).await;
            holds(&last).then(|| last.clone())
        });
        // The deadline's panic would not say what there was instead.
        match tokio::time::timeout(crate::wait::DEADLINE / 2, wait).await {
            Ok(app) => app,
            Err(_) => panic!("{name}: not so in time: {what}; {last:#}"),
        }
    }

    /// Waits until an app is in this state.
    pub async fn state(&self, name: &str, state: &str) -> Value {
        self.app_until(name, state, |app| app["state"] == state).await
    }

    /// Waits until an app holds so many requests.
    pub async fn held(&self, name: &str, count: u64) -> Value {
        self.app_until(name, &format!("{count} held"), |app| app["held"] == count).await
    }

    /// Waits until so many requests are in flight, held ones included.
    pub async fn in_flight(&self, name: &str, count: u64) -> Value {
        self.app_until(name, &format!("{count} in flight"), |app| app["inFlight"] == count).await
    }

    /// Waits until so many replicas are ready.
    pub async fn ready(&self, name: &str, count: u64) -> Value {
        self.app_until(name, &format!("{count} ready"), |app| app["replicas"]["ready"] == count).await
    }

    /// Waits until every count is 0: the promise that counting is exact.
    pub async fn quiet(&self) {
        until("all counts are 0", async || {
            let apps = self.admin_get("/v1/apps").await?.json();
            let apps = apps["apps"].as_array().cloned().expect("a list of apps");
            apps.iter().all(|app| app["inFlight"] == 0 && app["held"] == 0).then_some(())
        })
        .await;
    }

    /// The sum of a metric's samples that have all these labels.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let reply = self.admin_get("/metrics").await.expect("metrics");
        sum(std::str::from_utf8(&reply.body).unwrap(), name, labels)
    }
}

/// The same, from Prometheus' text format.
fn sum(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let samples = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let (has, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.rsplit_once("} ")?,
            None => ("", rest.strip_prefix(' ')?),
        };
        let matches = labels.iter().all(|(name, value)| has.contains(&format!("{name}=\"{value}\"")));
        matches.then(|| value.parse::<f64>().unwrap())
    });
    samples.sum()
}
