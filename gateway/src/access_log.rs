//! One JSON line per finished request, if asked for. Written by a thread of its own from a bounded queue: a slow reader
//! costs lines, which are counted, and never a request its time.

use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::thread;
use std::time::{Duration, SystemTime};

use activator::{AppId, Timestamp};
use http::{HeaderValue, Request, StatusCode};
use serde::Serialize;

/// Lines that may wait to be written.
const QUEUE: usize = 8192;
/// Bytes of a path that are logged.
const LONGEST_PATH: usize = 2048;
/// How long the end may have to wait for a place in the queue, and then for what is in it to be written.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where finished requests are told of, if anywhere.
#[derive(Debug, Clone)]
pub struct AccessLog(Option<SyncSender<Message>>);

/// Dropped, it waits until what was told is written; not for long if nobody reads it.
#[derive(Debug)]
pub struct Unwritten {
    lines: SyncSender<Message>,
    written: Receiver<()>,
}

#[derive(Debug)]
enum Message {
    Line(String),
    /// There is nothing more to come.
    End,
}

/// What is known of a request when it comes.
#[derive(Debug)]
pub struct Entry {
    method: String,
    host: String,
    path: String,
    version: String,
    client: IpAddr,
    begun: Timestamp,
    time: SystemTime,
    /// How long it was held, if it was.
    pub held: Option<Duration>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    time: String,
    app: Option<String>,
    client: IpAddr,
    method: &'a str,
    host: &'a str,
    path: &'a str,
    version: &'a str,
    status: Option<u16>,
    bytes: u64,
    complete: bool,
    duration_ms: f64,
    held_ms: Option<f64>,
}

// === impl AccessLog ===

impl AccessLog {
    /// Nothing is told.
    pub fn off() -> Self {
        Self(None)
    }

    /// JSON lines to `out`.
    ///
    /// # Errors
    /// The thread that writes them cannot be started.
    pub fn to(out: impl Write + Send + 'static) -> io::Result<(Self, Unwritten)> {
        let (lines, queue) = sync_channel(QUEUE);
        let (done, written) = channel();
        thread::Builder::new().name("access-log".into()).spawn(move || {
            write_lines(&queue, out);
            drop(done);
        })?;
        Ok((Self(Some(lines.clone())), Unwritten { lines, written }))
    }

    /// Whether entries are wanted at all.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Tells of a request that ended at `now`, for `app` if it was for one; `complete` if its answer went out whole.
    pub fn write(
        &self,
        entry: &Entry,
        app: Option<&AppId>,
        status: Option<StatusCode>,
        bytes: u64,
        complete: bool,
        now: Timestamp,
    ) {
        let Some(queue) = &self.0 else { return };
        let millis = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
        let line = Line {
            time: humantime::format_rfc3339_millis(entry.time).to_string(),
            app: app.map(ToString::to_string),
            client: entry.client,
            method: &entry.method,
            host: &entry.host,
            path: &entry.path,
            version: &entry.version,
            status: status.map(|status| status.as_u16()),
            bytes,
            complete,
            duration_ms: millis(now.since(entry.begun)),
            held_ms: entry.held.map(millis),
        };
        let written = serde_json::to_string(&line).is_ok_and(|line| queue.try_send(Message::Line(line + "\n")).is_ok());
        if !written {
            metrics::counter!("zerogate_access_log_lines_dropped_total").increment(1);
        }
    }
}

fn write_lines(queue: &Receiver<Message>, mut out: impl Write) {
    while let Ok(Message::Line(line)) = queue.recv() {
        // Nowhere to write to: there is nobody to tell either.
        let _ = out.write_all(line.as_bytes());
        let _ = out.flush();
    }
}

// === impl Unwritten ===

impl Drop for Unwritten {
    fn drop(&mut self) {
        for _ in 0..FAREWELL.as_millis() {
            match self.lines.try_send(Message::End) {
                Err(TrySendError::Full(_)) => thread::sleep(Duration::from_millis(1)),
                _ => break,
            }
        }
        // An error either way: the thread has ended, or it takes too long.
        let _ = self.written.recv_timeout(FAREWELL);
    }
}

// === impl Entry ===

impl Entry {
    /// What is known of `request` for `host` from `client`.
    pub fn new<B>(request: &Request<B>, host: &HeaderValue, client: IpAddr, now: Timestamp) -> Self {
        let path = request.uri().path_and_query().map_or("*", |path| path.as_str());
        let end = (0..=path.len().min(LONGEST_PATH)).rev().find(|at| path.is_char_boundary(*at)).unwrap_or(0);
        Self {
            method: request.method().to_string(),
            host: host.to_str().unwrap_or_default().to_owned(),
            path: path[..end].to_owned(),
            version: format!("{:?}", request.version()),
            client,
            begun: now,
            time: SystemTime::now(),
            held: None,
        }
    }
}

#[cfg(test)]
mod tests;
