//! An app's headers made the client's.

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue};

use super::{is_hop_by_hop, strip_those_seen};

/// Makes an app's headers the client's: without what is meant for this hop only, and with one length (RFC 9110, 8.6).
pub fn clean_response(headers: &mut HeaderMap) {
    // One look at each there is costs less than a lookup of each that could be.
    let (mut hop_by_hop, mut lengths, mut in_list) = (false, 0, false);
    for (name, value) in &*headers {
        if *name == CONTENT_LENGTH {
            lengths += 1;
            in_list |= value.as_bytes().contains(&b',');
        } else {
            hop_by_hop |= is_hop_by_hop(name);
        }
    }
    if hop_by_hop {
        strip_those_seen(headers);
    }
    if lengths > 1 || in_list {
        join_lengths(headers);
    }
}

/// The same length several times is one. What differs is none: where it would matter the parser has refused it already.
fn join_lengths(headers: &mut HeaderMap) {
    let values = headers.get_all(CONTENT_LENGTH).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut lengths = values.map(|value| value.trim_ascii());
    let first = lengths.next().filter(|first| !first.is_empty() && first.iter().all(u8::is_ascii_digit));
    let one =
        first.filter(|first| lengths.all(|other| other == *first)).and_then(|one| HeaderValue::from_bytes(one).ok());
    headers.remove(CONTENT_LENGTH);
    if let Some(one) = one {
        headers.insert(CONTENT_LENGTH, one);
    }
}

#[cfg(test)]
mod tests;
