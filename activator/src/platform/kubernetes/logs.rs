//! What a container printed last, to tell those who wait why an app does not start.

use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::api::LogParams;
use kube::client::Body;

/// How long it may take: those who wait want an answer.
const DEADLINE: Duration = Duration::from_secs(1);
/// Most lines.
const LINES: usize = 10;
/// Most bytes of them all.
const BYTES: usize = 2 * 1024;
/// Most bytes that are read to get at the last ones.
const READ: usize = 64 * 1024;

/// The last lines that `container` of `pod` printed, or, with `previous`, that its last life did: at most 10, and 2 KiB, without
/// control characters. None if that cannot be known within a second, or may not be.
pub async fn last_lines(client: &Client, namespace: &str, pod: &str, container: &str, previous: bool) -> Vec<String> {
    let read = read(client, namespace, pod, container, previous);
    let text = tokio::time::timeout(DEADLINE, read).await.ok().flatten();
    text.map(|text| last(&text)).unwrap_or_default()
}

async fn read(client: &Client, namespace: &str, pod: &str, container: &str, previous: bool) -> Option<Vec<u8>> {
    let params = LogParams {
        container: Some(container.into()),
        previous,
        tail_lines: Some(LINES as i64),
        limit_bytes: Some(READ as i64),
        ..LogParams::default()
    };
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let request = kube::core::Request::new(path).logs(pod, &params).ok()?;
    let answer = client.send(Request::map(request, Body::from)).await.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    Some(Limited::new(answer.into_body(), READ).collect().await.ok()?.to_bytes().into())
}

/// The last lines of `text`, cleaned and bounded.
fn last(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let (mut lines, mut left) = (Vec::new(), BYTES);
    for line in text.lines().rev().map(clean).filter(|line| !line.is_empty()).take(LINES) {
        let cut = (0..=line.len().min(left)).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        if cut == 0 {
            break;
        }
        left -= cut;
        lines.push(line[..cut].to_owned());
    }
    lines.reverse();
    lines
}

/// Without what a terminal would act upon, such as colours.
fn clean(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\x1b' if characters.next_if_eq(&'[').is_some() => {
                // Its parameters, up to the letter that ends it.
                characters.by_ref().find(|c| ('@'..='~').contains(c));
            }
            '\t' => clean.push(' '),
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    clean.trim_end().to_owned()
}

#[cfg(test)]
mod tests;
