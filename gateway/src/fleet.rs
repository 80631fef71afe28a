//! Several gateways as one: what activator's fleet needs of the network and the cluster.
//!
//! ```text
//! EndpointSlices ─► who there is ─► a link to each: dials it and tells it what is counted here
//!                                   server: hears what each tells ─► activator's fleet
//! Lease ─► who leads ───────────────────────────────────────────────►
//! ```

mod discovery;
mod lease;
mod link;
mod links;
mod membership;
mod protocol;
mod server;
mod tls;
mod view;
mod wire;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use activator::app::Shared;
use activator::fleet::{Lead, Listed, Standing};
use activator::platform::kubernetes::watch::{Selection, watch};
use activator::registry::Registry;
use async_trait::async_trait;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, Client};
use parking_lot::Mutex;
use pingora_core::server::ShutdownWatch;
use pingora_core::services::background::BackgroundService;
use tokio::sync::watch::{self as channel};
use tokio::time::{sleep, timeout};

use crate::cli::RunArgs;
use crate::listening::Bound;
use crate::shutdown::Drain;
use discovery::{Slice, Slices};
use lease::Holder;
use links::{Known, Links};
use membership::Membership;
use server::{Ears, Server};
use tls::{Tls, TlsFiles};

/// How often both sides of a connection ask whether the other is there, and how long it has to say so: a network that is cut is
/// noticed within three seconds.
const PING: Duration = Duration::from_secs(1);
const PONG: Duration = Duration::from_secs(2);
/// How much may be on its way without having been read, in bytes.
const WINDOW: u32 = 1024 * 1024;
/// How long a gateway that has just started waits for the others before it takes requests without them.
const JOIN: Duration = Duration::from_secs(10);
/// How often it looks whether it has them all.
const LOOK: Duration = Duration::from_millis(20);
/// How often it is looked whether one is lost for good.
const EXPIRE: Duration = Duration::from_secs(1);
/// How long the Service may not have this pod before that is logged.
const LISTED: Duration = Duration::from_secs(10);
/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// A gateway that is to have others beside it.
pub struct Joining {
    /// As what.
    pub membership: Membership,
    socket: TcpListener,
    tls: Option<Arc<Tls>>,
}

/// Runs what there is between gateways; a pingora service.
pub struct Gateways {
    start: Mutex<Option<Start>>,
    handle: Arc<Handle>,
}

/// What others of this program have to do with the fleet.
pub struct Handle {
    membership: Membership,
    registry: Arc<Registry>,
    /// The apps are known.
    applied: Arc<AtomicBool>,
    ending: channel::Sender<bool>,
    ended: channel::Sender<bool>,
    lead: channel::Sender<Lead>,
    known: Arc<Known>,
}

struct Start {
    client: Client,
    socket: TcpListener,
    tls: Option<Arc<Tls>>,
    drain: Arc<Drain>,
}

// === impl Joining ===

impl Joining {
    /// As the flags say, if they do. Nothing is heard or told yet.
    ///
    /// # Errors
    /// What they say cannot be, and what to do.
    pub fn prepare(args: &RunArgs) -> Result<Option<Self>, String> {
        let Some(address) = args.fleet else { return Ok(None) };
        // clap does not look at what a flag requires if that is at odds with another one.
        if !args.kubernetes {
            return Err("--fleet is for the gateways of a cluster; it needs --kubernetes".to_owned());
        }
        if [Some(args.http), Some(args.admin), args.scaler].contains(&Some(address)) {
            return Err(format!("--fleet {address} is another address of the gateway too; it needs one of its own"));
        }
        let membership = Membership::of_this_pod(&args.fleet_service)?;
        let tls = match (&args.fleet_cert, &args.fleet_key, &args.fleet_ca) {
            (Some(certificate), Some(key), Some(authorities)) => {
                let [certificate, key, authorities] = [certificate, key, authorities].map(Clone::clone);
                Some(Arc::new(Tls::load(TlsFiles { certificate, key, authorities }, &membership.certified())?))
            }
            // One without the others was refused.
            _ => None,
        };
        let socket = Bound::to("--fleet", address, 1)?.into_socket().ok_or("no socket for --fleet")?;
        Ok(Some(Self { membership, socket, tls }))
    }
}

// === impl Gateways ===

impl Gateways {
    /// Those beside this one, in the cluster that `client` leads to.
    pub fn new(joining: Joining, client: Client, registry: Arc<Registry>, drain: Arc<Drain>) -> Self {
        let Joining { membership, socket, tls } = joining;
        let handle = Handle {
            membership,
            registry,
            applied: Arc::default(),
            ending: channel::Sender::new(false),
            ended: channel::Sender::new(false),
            lead: channel::Sender::new(Lead::Nobody),
            known: Arc::default(),
        };
        Self { start: Mutex::new(Some(Start { client, socket, tls, drain })), handle: Arc::new(handle) }
    }

    /// To the same.
    pub fn handle(&self) -> Arc<Handle> {
        self.handle.clone()
    }
}

#[async_trait]
impl BackgroundService for Gateways {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let Some(Start { client, socket, tls, drain }) = self.start.lock().take() else { return };
        let handle = &self.handle;
        let shared = handle.registry.shared();
        let ears =
            Ears { registry: handle.registry.clone(), clock: shared.clock.clone(), ready: handle.applied.clone() };
        tokio::join!(
            Server::new(ears, tls.clone()).run(socket),
            handle.link(client.clone(), tls.clone()),
            handle.elect(client, &drain),
            handle.expire(),
            follow(tls.as_deref()),
        );
    }
}

async fn follow(tls: Option<&Tls>) {
    if let Some(tls) = tls {
        tls.follow().await;
    }
}

// === impl Handle ===

impl Handle {
    /// All apps are known: from now on it counts what others tell of them.
    pub fn applied(&self) {
        self.applied.store(true, Ordering::Release);
    }

    /// Waits until all gateways know of each other what they count, for [`JOIN`] at most.
    pub async fn joined(&self) {
        let Shared { fleet, clock, .. } = &**self.registry.shared();
        let joined = async {
            while !fleet.has_joined(clock.now()) {
                sleep(LOOK).await;
            }
        };
        if timeout(JOIN, joined).await.is_err() {
            let known = fleet.known(clock.now());
            let lost = fleet.others(clock.now()).into_iter().filter(|one| one.standing == Standing::Lost);
            let lost: Vec<_> = lost.map(|one| one.name).collect();
            tracing::warn!(
                listed = known.listed,
                heard = known.heard,
                ?lost,
                "ready, though it is not known what all gateways count; until it is, there will only be more replicas"
            );
        }
    }

    /// Tells all others that nothing is in flight here any more, and that this is the end.
    pub async fn farewell(&self) {
        self.ending.send_replace(true);
        let mut ended = self.ended.subscribe();
        let _ = timeout(FAREWELL, ended.wait_for(|ended| *ended)).await;
    }

    /// Keeps a link to each of the others, as the cluster lists them.
    async fn link(&self, client: Client, tls: Option<Arc<Tls>>) {
        let Membership { pod, namespace, service, .. } = &self.membership;
        let shared = self.registry.shared();
        let api: Api<EndpointSlice> = Api::namespaced(client, namespace);
        let labels = Some(format!("kubernetes.io/service-name={service}"));
        let selection = Selection { labels, ..Selection::default() };
        let mut watched = watch(api, selection, shared.clock.clone(), Slice::of);
        let mut links = Links::new(pod.clone(), shared.clone(), tls, self.ending.subscribe(), self.known.clone());
        let mut slices = Slices::default();
        let mut ending = self.ending.subscribe();
        let unlisted = sleep(LISTED);
        tokio::pin!(unlisted);
        let mut listed = false;
        loop {
            tokio::select! {
                Some(change) = watched.changes.recv() => slices.take(change),
                () = &mut unlisted, if !listed && !unlisted.is_elapsed() => {
                    tracing::warn!(
                        "the Service {namespace}/{service} does not have this pod, {pod}, so that it is not known which gateways \
                         there are; see that it is there, and selects the gateways (manifests/gateway/fleet.yaml)"
                    );
                    continue;
                }
                Ok(_) = ending.wait_for(|ending| *ending) => break,
            }
            if let Some(all) = slices.all(pod) {
                listed = true;
                let each = all.iter().map(|pod| Listed { name: pod.name.clone(), ready: pod.ready });
                shared.fleet.list(each, shared.clock.now());
                links.set(&all);
            }
        }
        links.ended().await;
        self.ended.send_replace(true);
    }

    /// Takes part in who leads, from when this gateway is ready until it begins to go.
    async fn elect(&self, client: Client, drain: &Drain) {
        let Membership { pod, namespace, service, run } = &self.membership;
        let shared = self.registry.shared();
        let me = lease::identity(pod, *run).into();
        let holder = Holder::new(client, namespace, service, me, shared.clock.clone());
        let tell = |lead: Lead| {
            self.lead.send_if_modified(|known| {
                let is_another = leader(known) != leader(&lead);
                if is_another {
                    match &lead {
                        Lead::Nobody => tracing::info!("no gateway is known to lead"),
                        Lead::Mine { term, .. } => tracing::info!(term, "this gateway leads"),
                        Lead::Other(name) => tracing::info!(gateway = &**name, "another gateway leads"),
                    }
                }
                *known = lead.clone();
                is_another
            });
            if lead != Lead::Nobody {
                shared.fleet.reached_cluster(shared.clock.now());
            }
            shared.fleet.led_by(lead);
        };
        holder.run(drain.until_ready(), drain.left(), tell).await;
    }

    async fn expire(&self) {
        let Shared { fleet, clock, .. } = &**self.registry.shared();
        loop {
            sleep(EXPIRE).await;
            fleet.expire(|id| self.registry.get(id), clock.now());
        }
    }
}

/// What of it is news when it changes.
fn leader(lead: &Lead) -> Option<Option<&str>> {
    match lead {
        Lead::Nobody => None,
        Lead::Mine { .. } => Some(None),
        Lead::Other(name) => Some(Some(name)),
    }
}

/// Counts a message of so many bytes.
fn counted(direction: &'static str, bytes: usize) {
    metrics::counter!("zerogate_fleet_messages_total", "direction" => direction).increment(1);
    metrics::counter!("zerogate_fleet_bytes_total", "direction" => direction).increment(bytes as u64);
}

#[cfg(test)]
mod tests;
