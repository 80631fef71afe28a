use activator::AppId;
use activator::admission::affinity::Affinity as Key;
use activator::resource::{self, AffinityKey};

use super::{Conversion, route};
use crate::config::settings::Affinity;

// === impl Conversion ===

impl Conversion<'_> {
    /// What leads a client's requests to the same replica, if anything is to.
    pub(super) fn affinity(&mut self, id: &AppId, affinity: &resource::Affinity) -> Option<Affinity> {
        let mut refuse = |field: &str, message: String| {
            let others = ["spec.affinity.by", "spec.affinity.header"];
            self.clash(&format!("spec.affinity.{field}"), &others, message);
            None
        };
        match (affinity.by, &affinity.header) {
            (AffinityKey::Header, None) => {
                refuse("by", "`header` needs the header's name too; write `header: x-session`, for example".into())
            }
            (AffinityKey::Header, Some(name)) => match route::header_name(name) {
                Ok(name) => Some(Affinity::Header(name)),
                Err(message) => refuse("header", message),
            },
            (_, Some(_)) => refuse("header", "has no effect unless `by` is `header`; write `by: header` too".into()),
            (AffinityKey::Ip, None) => Some(Affinity::Address),
            (AffinityKey::Cookie, None) => Some(Affinity::Cookie(cookie(id))),
            (AffinityKey::None, None) => None,
        }
    }
}

/// The name of an app's cookie: another one than that of any other app on the same host.
fn cookie(id: &AppId) -> Box<str> {
    let (Key::Key(hash) | Key::Token(hash)) = Key::of(id.to_string().as_bytes());
    format!("zerogate-{:08x}", hash as u32).into()
}
