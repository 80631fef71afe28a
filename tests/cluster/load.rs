//! Clients that send one request after another, and what became of each.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::client::{Client, get};

/// How long a client waits that was refused; what `Retry-After` says would be too long for a test.
const PATIENCE: Duration = Duration::from_millis(50);

/// Clients that go on until they are told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Tally>>,
}

/// What became of requests.
#[derive(Debug, Default)]
pub struct Tally {
    /// Answered 200; which process answered how many, by what it was named.
    pub served: BTreeMap<String, usize>,
    /// Answered 503 with `Retry-After`.
    pub refused: usize,
    /// Everything else: other answers, and none.
    pub bad: Vec<String>,
}

// === impl Load ===

impl Load {
    /// Starts so many clients, each on connections of its own that are kept as long as both sides want.
    pub fn start(clients: usize, to: SocketAddr, host: &str, path: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |_| tokio::spawn(client(stop.clone(), to, host.to_owned(), path.to_owned()));
        Self { clients: (0..clients).map(client).collect(), stop }
    }

    /// Lets each finish its last request.
    pub async fn finish(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Tally::default();
        for client in self.clients {
            let Tally { served, refused, bad } = client.await.unwrap();
            for (name, requests) in served {
                *all.served.entry(name).or_default() += requests;
            }
            all.refused += refused;
            all.bad.extend(bad);
        }
        all
    }
}

// === impl Tally ===

impl Tally {
    /// How many were answered 200.
    pub fn ok(&self) -> usize {
        self.served.values().sum()
    }

    /// All were answered 200, and there were some.
    #[track_caller]
    pub fn assert_all_served(&self) {
        assert!(self.ok() > 0 && self.refused == 0 && self.bad.is_empty(), "{self:?}");
    }
}

async fn client(stop: Arc<AtomicBool>, to: SocketAddr, host: String, path: String) -> Tally {
    let mut tally = Tally::default();
    let mut kept = None;
    while !stop.load(Ordering::Relaxed) && tally.bad.len() < 100 {
        let mut client = match kept.take() {
            Some(client) => client,
            None => match TcpStream::connect(to).await {
                Ok(_) => Client::http1(to).await,
                Err(why) => {
                    tally.bad.push(format!("cannot connect: {why}"));
                    continue;
                }
            },
        };
        match client.try_send(get(&host, &path)).await {
            Ok(reply) if reply.status == 200 => {
                let name = reply.json()["name"].as_str().unwrap_or_default().to_owned();
                *tally.served.entry(name).or_default() += 1;
                if reply.header("connection") != "close" {
                    kept = Some(client);
                }
            }
            Ok(reply) if reply.status == 503 && !reply.header("retry-after").is_empty() => {
                tally.refused += 1;
                tokio::time::sleep(PATIENCE).await;
            }
            Ok(reply) => tally.bad.push(format!("{} {:?}", reply.status, reply.body)),
            Err(why) => tally.bad.push(format!("no answer: {why:?}")),
        }
    }
    tally
}
