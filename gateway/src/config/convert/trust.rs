use std::sync::Arc;

use activator::AppId;
use activator::resource::{self, KeyRef, Protocol};
use tokio_rustls::rustls::pki_types::ServerName;

use super::Conversion;
use crate::config::origin::Origin;
use crate::config::problem::quoted;
use crate::config::settings::{AuthoritySource, KeyOf, Trust};

// === impl Conversion ===

impl Conversion<'_> {
    /// What the app is known by where it speaks TLS, if anything is said of it; what does not fit together is reported.
    pub(super) fn trust(&mut self, id: &AppId, target: &resource::Target) -> Option<Arc<Trust>> {
        if target.protocol == Some(Protocol::Https)
            && target.readiness.as_ref().is_some_and(|readiness| readiness.grpc.is_some())
        {
            let message = "is asked without TLS, which an app with the protocol `https` does not speak; write `httpGet` or \
                           `tcpSocket`";
            self.add("spec.target.readiness.grpc", message);
        }
        let tls = target.tls.as_ref()?;
        // In a cluster the Service may say it.
        let may_speak = match self.origin {
            Origin::Files => target.protocol == Some(Protocol::Https),
            Origin::Cluster | Origin::Either => target.protocol.is_none_or(|protocol| protocol == Protocol::Https),
        };
        if !may_speak {
            self.add("spec.target.tls", "has no effect unless `protocol` is `https`; write that too");
        }
        let authority = self.authority(id, tls);
        let server_name = tls.server_name.as_ref().and_then(|name| {
            let read = ServerName::try_from(name.clone());
            if read.is_err() {
                let message =
                    format!("{} is neither a host name nor an address, such as `hello.internal`", quoted(name));
                self.add("spec.target.tls.serverName", message);
            }
            read.ok()
        });
        Some(Arc::new(Trust { authority, server_name }))
    }

    fn authority(&mut self, id: &AppId, tls: &resource::TargetTls) -> AuthoritySource {
        let resource::TargetTls { ca, ca_secret, ca_config_map, .. } = tls;
        if ca.is_some() && self.origin == Origin::Cluster {
            let message = "is a file on one machine; in a cluster write `caSecret` or `caConfigMap`";
            self.add("spec.target.tls.ca", message);
        }
        for (field, object, is_given) in
            [("caSecret", "Secret", ca_secret.is_some()), ("caConfigMap", "ConfigMap", ca_config_map.is_some())]
        {
            if is_given && self.origin == Origin::Files {
                let message = format!("is a {object} of a cluster; on one machine write `ca`, a file");
                self.add(&format!("spec.target.tls.{field}"), message);
            }
        }
        let given = [ca.is_some(), ca_secret.is_some(), ca_config_map.is_some()];
        if given.into_iter().filter(|given| *given).count() > 1 && self.origin != Origin::Files {
            self.add(
                "spec.target.tls",
                "has more than one of `ca`, `caSecret` and `caConfigMap`; give one of them only",
            );
        }
        let of = |KeyRef { name, key }: &KeyRef| KeyOf {
            namespace: id.namespace.clone(),
            name: name.as_str().into(),
            key: key.as_str().into(),
        };
        match (ca, ca_secret, ca_config_map) {
            (Some(path), _, _) => AuthoritySource::File(self.file(path)),
            (None, Some(secret), _) => AuthoritySource::Secret(of(secret)),
            (None, None, Some(map)) => AuthoritySource::ConfigMap(of(map)),
            (None, None, None) => AuthoritySource::System,
        }
    }
}
