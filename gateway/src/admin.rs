//! The admin address: health, metrics, and what each app is doing and why.

mod gauges;
mod view;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use activator::registry::Registry;
use activator::{AppId, Clock};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpStream;

use crate::fleet::Handle;
use crate::listening::{Placed, Serve};
use crate::shutdown::Drain;
use crate::telemetry::Metrics;
use crate::tls::Certificates;

/// How long a client may take for a request's header.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers on the admin address.
pub struct Admin {
    /// The live apps.
    pub registry: Arc<Registry>,
    /// Whether the gateway is ready.
    pub drain: Arc<Drain>,
    /// What TLS is spoken with.
    pub certificates: Arc<Certificates>,
    /// What was counted.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: Clock,
    /// The other gateways, if there may be any.
    pub fleet: Option<Arc<Handle>>,
}

type Answer = Response<Full<Bytes>>;

// === impl Admin ===

impl Serve for Admin {
    async fn serve(self: Arc<Self>, socket: TcpStream, _client: IpAddr, _placed: Placed) {
        let requests = service_fn(move |request| {
            let answer = self.answer(&request);
            async move { Ok::<_, Infallible>(answer) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(socket), requests);
        if let Err(e) = connection.await {
            tracing::debug!(error = %e, "admin connection ended");
        }
    }
}

impl Admin {
    fn answer<B>(&self, request: &Request<B>) -> Answer {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return problem(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here");
        }
        let path = request.uri().path();
        match path.trim_end_matches('/') {
            "/livez" => text(StatusCode::OK, "ok\n"),
            "/readyz" if self.drain.is_ready() => text(StatusCode::OK, "ok\n"),
            "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not ready\n"),
            "/metrics" => self.metrics(),
            "/v1/apps" => json(&self.apps()),
            "/v1/fleet" => match &self.fleet {
                Some(fleet) => json(&fleet.view()),
                None => problem(StatusCode::NOT_FOUND, "this gateway is alone; --fleet has several act as one"),
            },
            "/v1/certificates" => json(&self.certificates()),
            path => match path.strip_prefix("/v1/apps/").and_then(|rest| rest.split_once('/')) {
                Some((namespace, name)) => self.app(&AppId::new(namespace, name)),
                None => problem(
                    StatusCode::NOT_FOUND,
                    "nothing here; there are /livez, /readyz, /metrics, /v1/apps, /v1/apps/{namespace}/{name}, /v1/fleet and \
                     /v1/certificates",
                ),
            },
        }
    }

    fn apps(&self) -> serde_json::Value {
        let now = self.clock.now();
        let all = self.registry.all();
        let mut apps: Vec<_> = all.values().map(|app| view::Summary::of(app, now)).collect();
        apps.sort();
        json!({ "apps": apps })
    }

    fn certificates(&self) -> serde_json::Value {
        let states = self.certificates.states();
        json!({ "certificates": states.iter().map(view::CertificateView::of).collect::<Vec<_>>() })
    }

    fn app(&self, id: &AppId) -> Answer {
        match self.registry.get(id) {
            Some(app) => json(&view::Details::of(&app, self.certificates.of_app(id).as_ref(), self.clock.now())),
            None => problem(StatusCode::NOT_FOUND, &format!("no app `{id}` is declared; /v1/apps lists all")),
        }
    }

    /// Gauges are read when somebody asks, so they cost nothing on the way of a request. Those of apps are written here and not
    /// kept by the recorder, which would go on to tell of apps that are no more.
    fn metrics(&self) -> Answer {
        let all = self.registry.all();
        let budget = &self.registry.shared().budget;
        metrics::gauge!("zerogate_apps").set(all.len() as f64);
        metrics::gauge!("zerogate_held_header_bytes").set(budget.bytes() as f64);
        let now = self.clock.now();
        let fleet = &self.registry.shared().fleet;
        if fleet.is_shared() {
            let known = fleet.known(now);
            for (state, many) in [("heard", known.heard), ("lost", known.lost)] {
                metrics::gauge!("zerogate_fleet_gateways", "state" => state).set(many as f64);
            }
            metrics::gauge!("zerogate_fleet_leads").set(f64::from(u8::from(fleet.decides(now))));
        }
        // An app that was never asked for has nothing to tell.
        let apps = all.values().filter(|app| app.wanted() > 0 || app.read(now).arrivals > 0);
        let mut text = self.metrics.render();
        gauges::write(&mut text, apps.map(|app| gauges::Reading::of(app)));
        gauges::write_expiries(&mut text, &self.certificates.states(), SystemTime::now());
        let mut answer = Response::new(Full::from(text));
        set_type(&mut answer, "text/plain; version=0.0.4; charset=utf-8");
        answer
    }
}

fn text(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::from(text));
    *answer.status_mut() = status;
    set_type(&mut answer, "text/plain; charset=utf-8");
    answer
}

fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => {
            let mut answer = Response::new(Full::from(body));
            set_type(&mut answer, "application/json");
            answer
        }
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be written as JSON"),
    }
}

fn problem(status: StatusCode, detail: &str) -> Answer {
    let title = status.canonical_reason().unwrap_or("Error");
    let document = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    let mut answer = Response::new(Full::from(document.to_string()));
    *answer.status_mut() = status;
    set_type(&mut answer, "application/problem+json");
    answer
}

fn set_type(answer: &mut Answer, content_type: &'static str) {
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
