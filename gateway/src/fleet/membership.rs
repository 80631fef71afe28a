//! Which of the gateways this one is.

use std::sync::Arc;

use activator::fleet::Fleet;

/// What a gateway is called, and by what it finds the others.
#[derive(Debug, Clone)]
pub struct Membership {
    /// Its pod's name.
    pub pod: Arc<str>,
    /// The namespace of all gateways, of their Service and of their Lease.
    pub namespace: String,
    /// The headless Service that has them all. Their Lease has the same name.
    pub service: String,
    /// Which run of the gateway this is; no other has the same.
    pub run: u64,
}

// === impl Membership ===

impl Membership {
    /// This pod's, by its environment.
    ///
    /// # Errors
    /// That does not say which pod this is.
    pub fn of_this_pod(service: &str) -> Result<Self, String> {
        let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::new(given("POD_NAME"), given("POD_NAMESPACE"), service)
    }

    fn new(pod: Option<String>, namespace: Option<String>, service: &str) -> Result<Self, String> {
        let missing = |name: &str, field: &str| {
            format!(
                "--fleet needs {name} in the environment, to know which of the gateways this is; in the Deployment: \
                 env: [{{name: {name}, valueFrom: {{fieldRef: {{fieldPath: metadata.{field}}}}}}}]"
            )
        };
        Ok(Self {
            pod: pod.ok_or_else(|| missing("POD_NAME", "name"))?.into(),
            namespace: namespace.ok_or_else(|| missing("POD_NAMESPACE", "namespace"))?,
            service: service.to_owned(),
            run: fastrand::u64(..),
        })
    }

    /// The name that the gateways' certificates are for.
    pub fn certified(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }

    /// The fleet as this gateway sees it, which knows of nobody yet.
    pub fn fleet(&self) -> Fleet {
        Fleet::of(self.pod.clone(), self.run)
    }
}

#[cfg(test)]
mod tests;
