//! What the API server's audit log says of calls: when they came in, to the microsecond.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde::Deserialize;

use crate::Result;
use crate::clock::Wall;

/// The gateway, as the API server knows it.
pub const GATEWAY: &str = "system:serviceaccount:zerogate:zerogate";

/// The log from a place on. `tests/cluster/holder` says what is in it.
pub struct Audit {
    path: PathBuf,
    from: u64,
}

/// A call that was answered, or a watch that began or ended.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    #[serde(rename = "auditID")]
    id: String,
    pub verb: String,
    user: User,
    #[serde(default)]
    object_ref: Object,
    request_received_timestamp: String,
}

#[derive(Debug, Deserialize)]
struct User {
    username: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Object {
    namespace: String,
    name: String,
    resource: String,
    subresource: String,
}

// === impl Audit ===

impl Audit {
    /// From now on.
    pub fn from_now(folder: &std::path::Path) -> Result<Self> {
        let path = folder.join("audit.log");
        let from =
            path.metadata().map_err(|e| format!("{}: {e}; is the cluster newer than this?", path.display()))?.len();
        Ok(Self { path, from })
    }

    /// What has come since, each call once; the next time it begins after that.
    pub fn take(&mut self) -> Result<Vec<Call>> {
        let mut file = File::open(&self.path)?;
        // It is begun anew when it is large.
        if file.metadata()?.len() < self.from {
            self.from = 0;
        }
        file.seek(SeekFrom::Start(self.from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // The last line may be half written.
        bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        self.from += bytes.len() as u64;
        let mut seen = HashSet::new();
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let calls = lines.map(|line| Ok(serde_json::from_slice::<Call>(line)?));
        calls.filter(|call| call.as_ref().map_or(true, |call| seen.insert(call.id.clone()))).collect()
    }
}

// === impl Call ===

impl Call {
    /// When it came in.
    pub fn received(&self) -> Option<Wall> {
        Wall::parse(&self.request_received_timestamp)
    }

    /// Whether the gateway made it.
    pub fn is_of_gateway(&self) -> bool {
        self.user.username == GATEWAY
    }

    /// Whether it scales the Deployment `name`.
    pub fn scales(&self, namespace: &str, name: &str) -> bool {
        let Object { namespace: at, name: of, resource, subresource } = &self.object_ref;
        (&**at, &**of, &**resource, &**subresource) == (namespace, name, "deployments", "scale") && self.verb == "patch"
    }

    /// What it is about, for counting: `patch deployments/scale`.
    pub fn what(&self) -> String {
        let Object { resource, subresource, .. } = &self.object_ref;
        let slash = if subresource.is_empty() { "" } else { "/" };
        format!("{} {resource}{slash}{subresource}", self.verb)
    }
}
