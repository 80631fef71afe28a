//! An app as the edge sees it: the live app, what the edge has to know of it, its limits and its counters.

use std::sync::{Arc, OnceLock};

use activator::App;
use http::{HeaderValue, StatusCode};
use metrics::Counter;

use super::files::{FileShare, OpenFiles};
use super::upstream::{Trusted, Way};
use crate::config::settings::{Affinity, AppTls, EdgeSettings, Forwarding, Limits, Timeouts, Trust};
use crate::limits::AppLimits;
use crate::tls::Authorities;

/// One app, ready to be routed to.
pub struct Backend {
    /// The live app; the same through all configuration changes.
    pub app: Arc<App>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How many requests may come, if there is a limit; the same as before a configuration change that does not touch them.
    pub limits: Option<Arc<AppLimits>>,
    /// How many requests may be in flight at once.
    pub most_in_flight: u32,
    /// What it is told of the client, if that is not the usual.
    pub forwarding: Option<Arc<Forwarding>>,
    /// What leads a client's requests to the same endpoint, if anything does.
    pub affinity: Option<Arc<Affinity>>,
    /// How connections to it are made; made for the first one.
    way: OnceLock<Box<Way>>,
    files: Arc<OpenFiles>,
    /// What it is known by where it speaks TLS, if anything is said of that.
    trust: Option<Arc<Trust>>,
    authorities: Arc<Authorities>,
    /// How clients reach it by TLS, if anything is said of that.
    pub tls: Option<Arc<AppTls>>,
    /// Its counters.
    pub counters: Counters,
}

/// Counters of one app, registered when first needed: a sleeping app has none.
#[derive(Default)]
pub struct Counters {
    /// Of those that went well, which are most of them.
    ok: OnceLock<Counter>,
    others: OnceLock<Box<[OnceLock<Counter>; 6]>>,
}

// === impl Backend ===

impl Backend {
    /// The edge's part of `app`, with the limits that `before` has if they are still to be the same.
    pub fn new(
        app: Arc<App>,
        settings: &EdgeSettings,
        files: &Arc<OpenFiles>,
        authorities: &Arc<Authorities>,
        before: Option<&Self>,
    ) -> Self {
        let kept = before.filter(|before| *before.limit_settings() == settings.limits);
        let limits = match kept {
            Some(kept) => kept.limits.clone(),
            None if settings.limits == Limits::NONE => None,
            None => Some(Arc::new(AppLimits::new(&settings.limits, app.clock().clone()))),
        };
        let most_in_flight = settings.most_in_flight;
        let connect = settings.timeouts.connect;
        let way = match before.and_then(|before| before.way.get()) {
            Some(before) => OnceLock::from(Box::new(Way {
                app: app.clone(),
                connect,
                files: before.files.clone(),
                trust: Trusted::new(settings.trust.clone(), authorities.clone()),
            })),
            None => OnceLock::new(),
        };
        let (timeouts, files, counters) = (*settings.timeouts, files.clone(), Counters::default());
        let (forwarding, affinity) = (settings.forwarding.clone(), settings.affinity.clone());
        let (tls, trust, authorities) = (settings.tls.clone(), settings.trust.clone(), authorities.clone());
        Self {
            app,
            timeouts,
            limits,
            most_in_flight,
            forwarding,
            affinity,
            way,
            tls,
            trust,
            authorities,
            files,
            counters,
        }
    }

    /// How connections to it are made.
    pub fn way(&self) -> &Way {
        let connect = self.timeouts.connect;
        let make = || Way {
            app: self.app.clone(),
            connect,
            files: FileShare::new(self.files.clone()),
            trust: Trusted::new(self.trust.clone(), self.authorities.clone()),
        };
        self.way.get_or_init(|| Box::new(make()))
    }

    /// Whether it is what would be made anew of `app` and `settings`.
    pub fn is_of(&self, app: &Arc<App>, settings: &EdgeSettings) -> bool {
        Arc::ptr_eq(&self.app, app)
            && self.timeouts == *settings.timeouts
            && *self.limit_settings() == settings.limits
            && self.most_in_flight == settings.most_in_flight
            && self.forwarding == settings.forwarding
            && self.affinity == settings.affinity
            && self.tls == settings.tls
            && self.trust == settings.trust
    }

    /// Whether requests that come without TLS are sent to where it is.
    pub fn redirects(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.redirect)
    }

    /// What clients with TLS are told in `Strict-Transport-Security`.
    pub fn hsts(&self) -> Option<&HeaderValue> {
        self.tls.as_ref()?.hsts.as_ref()
    }

    fn limit_settings(&self) -> &Limits {
        self.limits.as_ref().map_or(&Limits::NONE, |limits| limits.settings())
    }

    /// Counts a finished request: by the class of its status, or as aborted if it got none.
    pub fn count(&self, status: Option<StatusCode>) {
        const CLASSES: [&str; 6] = ["aborted", "1xx", "2xx", "3xx", "4xx", "5xx"];
        const OK: usize = 2;
        let class = status.map_or(0, |status| usize::from(status.as_u16() / 100).min(5));
        let Counters { ok, others } = &self.counters;
        let counter = if class == OK { ok } else { &others.get_or_init(Box::default)[class] };
        counter
            .get_or_init(|| {
                metrics::counter!(
                    "zerogate_requests_total", "app" => self.app.id().to_string(), "code" => CLASSES[class]
                )
            })
            .increment(1);
    }
}
