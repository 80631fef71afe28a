//! A request, as JSON.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, Request, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Serialize;

use super::Echo;

/// Most bytes of a body that are shown.
const SHOWN: usize = 16 * 1024;

/// What reached the app.
#[derive(Debug, Serialize)]
pub(super) struct Mirror {
    method: String,
    uri: String,
    version: &'static str,
    /// In the order they came, names in lower case, several values one by one.
    headers: Vec<(String, String)>,
    body: Content,
    trailers: Vec<(String, String)>,
    /// Which request this is to the process that answers: 1 is the first it served.
    number: u64,
    /// The name the process was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Of the process that answers.
    pid: u32,
    /// It listens on.
    port: u16,
    /// Since this time, to the microsecond.
    listening_since: String,
}

/// A body: its length and hash always, itself when it is small.
#[derive(Debug, Serialize)]
struct Content {
    length: u64,
    /// 64-bit FNV-1a, in hexadecimal.
    fnv1a: String,
    #[serde(flatten)]
    shown: Option<Shown>,
}

/// A small body.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Shown {
    Text(String),
    Base64(String),
}

/// The 64-bit Fowler-Noll-Vo hash, variant 1a.
#[derive(Debug)]
struct Fnv1a(u64);

impl Mirror {
    /// Reads the whole request, the `number`th that `echo` serves.
    ///
    /// # Errors
    /// The body ends before it is complete.
    pub(super) async fn read(request: Request<Incoming>, number: u64, echo: &Echo) -> Result<Self, hyper::Error> {
        let (head, mut body) = request.into_parts();
        let (mut hash, mut length, mut shown, mut trailers) = (Fnv1a::new(), 0, Vec::new(), HeaderMap::new());
        while let Some(frame) = body.frame().await {
            match frame?.into_data() {
                Ok(data) => {
                    hash.write(&data);
                    length += data.len() as u64;
                    let room = (SHOWN + 1).saturating_sub(shown.len()).min(data.len());
                    shown.extend_from_slice(&data[..room]);
                }
                Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
            }
        }
        Ok(Self {
            method: head.method.to_string(),
            uri: head.uri.to_string(),
            version: version(head.version),
            headers: pairs(&head.headers),
            body: Content { length, fnv1a: format!("{:016x}", hash.0), shown: Shown::new(shown) },
            trailers: pairs(&trailers),
            number,
            name: echo.name.clone(),
            pid: std::process::id(),
            port: echo.port,
            listening_since: humantime::format_rfc3339_micros(echo.listening_at).to_string(),
        })
    }
}

impl Shown {
    fn new(bytes: Vec<u8>) -> Option<Self> {
        if bytes.is_empty() || bytes.len() > SHOWN {
            return None;
        }
        Some(match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Base64(BASE64_STANDARD.encode(error.as_bytes())),
        })
    }
}

impl Fnv1a {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests;
