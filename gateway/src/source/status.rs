//! What a cluster is told of its `HTTPApp`s: their status, and events.
//!
//! ```text
//! news of apps ──► writer ── Known ──► book: what to tell? has it changed? when? ──► PATCH of the status, event
//! declarations ──────────────────────►   (pure, for each app on its own)
//! ```
//!
//! An app of which nothing changes costs nothing but memory: no timer, no task, no call.

mod api;
mod before;
mod book;
mod conditions;
mod events;
mod known;
mod pauses;
mod tell;
#[cfg(test)]
mod testing;
mod wall;
mod words;
mod writer;

use std::sync::Arc;

use activator::resource::HttpAppStatus;

use crate::tls::authorities::Standing;

pub use before::Before;
use tell::Told;
pub use writer::{Declarations, StatusWriter};

/// An `HTTPApp` as it is declared, and what became of that.
#[derive(Debug, Clone, PartialEq)]
pub struct Declaration {
    /// `metadata.uid`. One that is declared again under the same name is another.
    pub uid: Arc<str>,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// Whether its settings are in force.
    pub accepted: Accepted,
    /// How the certificate is that it names, if it names one and TLS is served.
    pub certificate: Option<Box<Certified>>,
    /// How that is which it is known by, if it names something and that was looked for.
    pub authority: Option<Box<Standing>>,
    /// The status that the object has, so far as that can be read; see [`written`]. Only looked at when an object is first
    /// declared.
    pub written: Option<Box<Before>>,
}

/// How the certificate is that an app names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certified {
    /// It is in use.
    InUse {
        /// Until when it is valid.
        until: String,
    },
    /// It is not as it should be.
    NotUsable {
        /// What is wrong.
        why: String,
        /// Until when the one is valid that is in use, if there is one.
        until: Option<String>,
    },
}

/// Whether the settings of a declaration are in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// They are.
    InForce,
    /// They are, but other apps have some of its routes.
    InPart {
        /// Which, and who has them, in words.
        taken: Vec<String>,
    },
    /// Other apps have all of its routes, so that no request comes here. Nothing is done for it.
    RoutesTaken {
        /// Which, and who has them, in words.
        taken: Vec<String>,
    },
    /// Another app has its target. Nothing is done for it.
    TargetTaken {
        /// Which, and who has it, in words.
        taken: String,
    },
    /// They are not.
    Refused {
        /// What is wrong with them, each with its field.
        problems: Vec<String>,
        /// Whether the last ones that were right stay in force.
        last_good: bool,
    },
}

// === impl Accepted ===

impl Accepted {
    /// Whether something is done for it that there is to tell of.
    fn is_in_force(&self) -> bool {
        match self {
            Self::InForce | Self::InPart { .. } => true,
            Self::RoutesTaken { .. } | Self::TargetTaken { .. } => false,
            Self::Refused { last_good, .. } => *last_good,
        }
    }
}

/// Takes the status out of an `HTTPApp` as the API server gives it, and what is to be remembered of it; none if it has none, or
/// one of another shape.
pub fn written(object: &mut serde_json::Value) -> Option<Box<Before>> {
    let status: HttpAppStatus = serde_json::from_value(object.get_mut("status")?.take()).ok()?;
    Some(Box::new(Before::of(&Told { status, wake: None, decision: None })))
}

#[cfg(test)]
mod tests;
