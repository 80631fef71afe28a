//! The API server: takes the gateway's calls, answers late, wrongly or not at all, and tells those who watch.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tower::BoxError;

use super::cluster::{Cluster, GATEWAY, Write};
use super::log::Following;
use super::objects::{self, DELETION_COST};
use super::weather::{Weather, happens};

/// What an API server's error looks like to those who read.
type Chunk = Result<Frame<Bytes>, BoxError>;
type Answer = Response<StreamBody<BoxStream<'static, Chunk>>>;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Objects {
    Deployments,
    Pods,
    Services,
    Slices,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    Refused(u16),
    /// It never arrives; `told` if its sender learns that the connection broke.
    Lost {
        told: bool,
    },
    /// It has its effect, and no answer.
    Unanswered {
        told: bool,
    },
    /// It has its effect, and once more later.
    Doubled,
}

/// One watch.
struct Follower {
    cluster: Arc<Cluster>,
    gateway: u32,
    objects: Objects,
    from: u64,
    /// What was told last, and whether it is to be told again.
    last: Option<(Arc<str>, bool)>,
    ends: tokio::time::Instant,
}

/// A client of this gateway, which is the present one.
pub(super) fn client(cluster: &Arc<Cluster>, gateway: u32) -> Client {
    let cluster = cluster.clone();
    let call = move |request: Request<Body>| answer(cluster.clone(), gateway, request);
    Client::new(tower::service_fn(call), "default")
}

async fn answer(cluster: Arc<Cluster>, gateway: u32, request: Request<Body>) -> Result<Answer, BoxError> {
    cluster.only_for(gateway).await;
    let told = cluster.state().gateways.get(&gateway).copied().unwrap_or_default();
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    if head.method == Method::PATCH {
        let change: Value = serde_json::from_slice(&body.collect().await?.to_bytes())?;
        cluster.patch(gateway, &path, &change, told).await
    } else {
        cluster.read(gateway, &path, head.uri.query().unwrap_or_default()).await
    }
}

// === impl Cluster ===

impl Cluster {
    /// Goes on for a gateway that lives: what another one has sent is lost with it.
    async fn only_for(&self, gateway: u32) {
        if !self.state().gateways.contains_key(&gateway) {
            std::future::pending::<Infallible>().await;
        }
    }

    fn is_away(&self) -> bool {
        let now = self.clock.now();
        self.state().away_until > now
    }

    /// On the way there or back.
    pub(super) async fn travel(&self, gateway: u32) {
        let pause =
            self.draw(
                |random, weather| {
                    if happens(random, weather.late) { Weather::LATE.any(random) } else { weather.call.any(random) }
                },
            );
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        self.only_for(gateway).await;
    }

    fn fate(&self) -> Fate {
        let away = self.is_away();
        self.draw(|random, weather| {
            let told = random.bool();
            if away {
                match random.u32(..3) {
                    0 => Fate::Refused(503),
                    _ => Fate::Lost { told },
                }
            } else if happens(random, weather.lost) {
                if random.bool() { Fate::Lost { told } } else { Fate::Unanswered { told } }
            } else if happens(random, weather.refused) {
                Fate::Refused([409, 429, 500, 503][random.usize(..4)])
            } else if happens(random, weather.doubled) {
                Fate::Doubled
            } else {
                Fate::Answered
            }
        })
    }

    async fn patch(self: &Arc<Self>, gateway: u32, path: &str, change: &Value, told: u64) -> Result<Answer, BoxError> {
        let replicas = change["spec"]["replicas"].as_u64().map(|replicas| replicas as u32);
        match replicas {
            Some(replicas) if replicas < self.state().deployment.replicas => {
                self.state().promises.lowering(self.clock.now());
                self.lowering.send_modify(|many| *many += 1);
            }
            Some(_) => self.state().promises.tally.woken += 1,
            None => {}
        }
        let asks = replicas.is_none() && path.ends_with("/scale");
        let fate = self.fate();
        if replicas.is_none() && !asks && fate != Fate::Answered {
            self.state().unheard = Some(self.clock.now());
        }
        self.tell(format_args!("PATCH {path} {change} will be {fate:?}; told {told}"));
        let begin = self.clock.now();
        self.travel(gateway).await;
        if replicas.is_none() && !asks && self.clock.now().since(begin) > Duration::from_millis(100) {
            self.state().unheard = Some(self.clock.now());
        }
        match fate {
            Fate::Lost { told } => return Err(lost(told).await),
            Fate::Refused(code) => {
                self.travel(gateway).await;
                return Ok(refused(code));
            }
            Fate::Answered | Fate::Unanswered { .. } | Fate::Doubled => {}
        }
        let mut heard = None;
        let answer = match replicas {
            Some(replicas) => {
                let since = change["metadata"]["resourceVersion"].as_str().and_then(|version| version.parse().ok());
                let write = Write { replicas, writer: GATEWAY, gateway, unless_changed_since: since, told };
                let version = self.write(write);
                self.tell(format_args!("wrote {replicas}: version {version:?}"));
                if fate == Fate::Doubled {
                    let again = self.draw(|random, _| Weather::AGAIN.any(random));
                    self.after(again, move |this| {
                        let _ = this.write(write);
                    });
                }
                match version {
                    Some(version) => {
                        heard = Some(version);
                        ok(objects::scale(replicas, version))
                    }
                    None => refused(409),
                }
            }
            None if asks => {
                let state = self.state();
                ok(objects::scale(state.deployment.replicas, state.deployment.version))
            }
            None => {
                let cost = &change["metadata"]["annotations"][DELETION_COST];
                let id = path.rsplit('-').next().and_then(|id| id.parse().ok()).unwrap_or_default();
                let cost = cost.as_str().and_then(|cost| cost.parse().ok());
                if self.set_cost(id, cost) { ok("{}".to_owned()) } else { refused(404) }
            }
        };
        match fate {
            Fate::Unanswered { told } => Err(lost(told).await),
            _ => {
                self.travel(gateway).await;
                if let Some(version) = heard {
                    self.told(gateway, version);
                }
                Ok(answer)
            }
        }
    }

    async fn read(self: &Arc<Self>, gateway: u32, path: &str, query: &str) -> Result<Answer, BoxError> {
        let objects = match path.rsplit('/').next().unwrap_or_default() {
            "deployments" => Objects::Deployments,
            "pods" => Objects::Pods,
            "services" => Objects::Services,
            "endpointslices" => Objects::Slices,
            _ => return Ok(refused(404)),
        };
        let streams = query.contains("sendInitialEvents");
        if streams && !self.draw(|_, weather| weather.streams) {
            return Ok(refused(422));
        }
        self.travel(gateway).await;
        match self.fate() {
            // The connection is pinged: whoever reads is told sooner or later.
            Fate::Lost { .. } | Fate::Unanswered { .. } => {
                let pause = self.draw(|random, _| Weather::BROKEN.any(random));
                tokio::time::sleep(pause).await;
                return Err(lost(true).await);
            }
            Fate::Refused(code) => return Ok(refused(code)),
            Fate::Answered | Fate::Doubled => {}
        }
        let query: HashMap<_, _> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        if query.contains_key("watch") {
            let number = |key: &str| query.get(key).and_then(|number| number.parse::<u64>().ok());
            let from = number("resourceVersion").unwrap_or_default();
            let lasts = Duration::from_secs(number("timeoutSeconds").unwrap_or(300));
            if streams {
                return Ok(self.stream(gateway, objects, lasts).await);
            }
            return Ok(self.follow(gateway, objects, from, lasts));
        }
        let (version, items) = self.list(objects);
        self.travel(gateway).await;
        if objects == Objects::Deployments {
            let version = items.first().map_or(0, |item| version_of(item));
            self.told(gateway, version);
        }
        Ok(ok(objects::list("", version, &items)))
    }

    /// All there is, and then what happens.
    async fn stream(self: &Arc<Self>, gateway: u32, objects: Objects, lasts: Duration) -> Answer {
        let (version, items) = self.list(objects);
        self.travel(gateway).await;
        if objects == Objects::Deployments {
            self.told(gateway, items.first().map_or(0, |item| version_of(item)));
        }
        let added = |item: &Arc<str>| format!("{{\"type\":\"ADDED\",\"object\":{item}}}\n");
        let whole: String = items.iter().map(added).chain([objects::end_of_all(version)]).collect();
        let follower = self.follower(gateway, objects, version, lasts);
        Response::new(StreamBody::new(stream::once(async move { frame(&whole) }).chain(follower).boxed()))
    }

    fn list(&self, objects: Objects) -> (u64, Vec<Arc<str>>) {
        let back = self.draw(|random, weather| happens(random, weather.stale).then(|| random.usize(..4)));
        let state = self.state();
        let log = match objects {
            Objects::Deployments => &state.deployments,
            Objects::Pods => &state.pod_log,
            Objects::Services => return (state.version, vec![objects::service().into()]),
            Objects::Slices => return (state.version, Vec::new()),
        };
        let before = back.and_then(|back| log.before(back)).filter(|(version, _)| *version > 0);
        before.unwrap_or_else(|| (state.version, log.now()))
    }

    /// The gateway has learned of this version of the Deployment.
    fn told(&self, gateway: u32, version: u64) {
        let mut state = self.state();
        if let Some(told) = state.gateways.get_mut(&gateway) {
            *told = version.max(*told);
        }
    }

    fn follow(self: &Arc<Self>, gateway: u32, objects: Objects, from: u64, lasts: Duration) -> Answer {
        let expired = self.draw(|random, weather| happens(random, weather.expired));
        let forgotten = match objects {
            Objects::Deployments | Objects::Pods if expired => {
                // Only where something has happened since.
                self.state().version > from
            }
            _ => false,
        };
        if forgotten {
            return refused(410);
        }
        Response::new(StreamBody::new(self.follower(gateway, objects, from, lasts)))
    }

    fn follower(
        self: &Arc<Self>,
        gateway: u32,
        objects: Objects,
        from: u64,
        lasts: Duration,
    ) -> BoxStream<'static, Chunk> {
        let ends = self.clock.instant(self.clock.now() + lasts);
        let follower = Follower { cluster: self.clone(), gateway, objects, from, last: None, ends };
        let lines = stream::unfold(follower, |mut follower| async move {
            let chunk = tokio::time::timeout_at(follower.ends, follower.next()).await.ok()??;
            Some((chunk, follower))
        });
        lines.boxed()
    }
}

// === impl Follower ===

impl Follower {
    /// The next line; nothing at the end.
    async fn next(&mut self) -> Option<Chunk> {
        if let Some((line, true)) = self.last.take() {
            return Some(frame(&line));
        }
        let (cut, again) = self.cluster.draw(|random, weather| {
            (self.last_told() && happens(random, weather.cut), happens(random, weather.repeated))
        });
        if cut || self.cluster.is_away() {
            return self.cluster.draw(|random, _| random.bool()).then(|| Err("the connection broke".into()));
        }
        loop {
            let following = {
                let state = self.cluster.state();
                match self.objects {
                    Objects::Deployments => state.deployments.after(self.from),
                    Objects::Pods => state.pod_log.after(self.from),
                    Objects::Services | Objects::Slices => Following::Never,
                }
            };
            match following {
                Following::Event(version, line) => {
                    let pause = self.cluster.draw(|random, weather| {
                        if happens(random, weather.event_late) {
                            Weather::LATE.any(random)
                        } else {
                            weather.event.any(random)
                        }
                    });
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                    self.cluster.only_for(self.gateway).await;
                    self.from = version;
                    if self.objects == Objects::Deployments {
                        self.cluster.told(self.gateway, version);
                    }
                    self.last = Some((line.clone(), again));
                    return Some(frame(&line));
                }
                Following::Nothing(news) => news.await,
                Following::Never => std::future::pending().await,
                Following::Forgotten => {
                    let error = format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", objects::status(410, "Expired"));
                    return Some(frame(&error));
                }
            }
        }
    }

    fn last_told(&self) -> bool {
        self.from > 0
    }
}

fn frame(line: &str) -> Chunk {
    Ok(Frame::data(Bytes::copy_from_slice(line.as_bytes())))
}

fn version_of(item: &str) -> u64 {
    let object: Value = serde_json::from_str(item).unwrap_or_default();
    object["metadata"]["resourceVersion"].as_str().and_then(|version| version.parse().ok()).unwrap_or_default()
}

fn ok(body: String) -> Answer {
    Response::new(StreamBody::new(stream::once(async move { Ok(Frame::data(body.into())) }).boxed()))
}

fn refused(code: u16) -> Answer {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        _ => "ServiceUnavailable",
    };
    let mut answer = ok(objects::status(code, reason));
    *answer.status_mut() = http::StatusCode::from_u16(code).unwrap_or_default();
    answer
}

/// There will be no answer; whoever waits is told, or not.
async fn lost(told: bool) -> BoxError {
    if !told {
        std::future::pending::<Infallible>().await;
    }
    "the connection broke".into()
}
