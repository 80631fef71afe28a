//! What was sent last on a connection, as long as nothing was heard since: a request that may be sent twice is read from it again
//! if the connection ends. A copy of its bytes costs far less than one of its headers, and hyper keeps neither.

use std::sync::atomic::{AtomicU8, Ordering};

use http::{Request, Uri};
use parking_lot::Mutex;

use crate::edge::body::RequestBody;

/// Most bytes of a request that is kept; a longer one is not sent again.
const MOST: usize = 16 << 10;
/// Room that a connection keeps for the next request.
const KEPT: usize = 4 << 10;
/// More headers than any request has that came in.
const MOST_HEADERS: usize = 256;

/// What a connection has sent last.
#[derive(Debug, Default)]
pub(super) struct Sent {
    state: AtomicU8,
    bytes: Mutex<Vec<u8>>,
}

/// Nothing is kept.
const OFF: u8 = 0;
/// What is sent is kept, and nothing has come back yet.
const KEEPING: u8 = 1;

// === impl Sent ===

impl Sent {
    /// A request goes out next: one that is kept if it `may_go_again`.
    pub(super) fn begin(&self, may_go_again: bool) {
        if may_go_again {
            let mut bytes = self.bytes.lock();
            bytes.clear();
            bytes.shrink_to(KEPT);
        }
        self.state.store(if may_go_again { KEEPING } else { OFF }, Ordering::Release);
    }

    /// These bytes went out.
    pub(super) fn wrote(&self, sent: &[u8]) {
        if self.state.load(Ordering::Acquire) == KEEPING {
            let mut bytes = self.bytes.lock();
            if bytes.len() + sent.len() > MOST {
                self.forget();
            } else {
                bytes.extend_from_slice(sent);
            }
        }
    }

    /// Something has come back, or what went out cannot be kept.
    pub(super) fn forget(&self) {
        if self.state.load(Ordering::Relaxed) == KEEPING {
            self.state.store(OFF, Ordering::Release);
        }
    }

    /// The request once more, if it was kept and nothing has come back.
    pub(super) fn again(&self) -> Option<Request<RequestBody>> {
        if self.state.swap(OFF, Ordering::AcqRel) != KEEPING {
            return None;
        }
        read(&self.bytes.lock())
    }
}

/// The request whose head these bytes are, if they are a whole one.
fn read(bytes: &[u8]) -> Option<Request<RequestBody>> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    if parsed.parse(bytes).ok()? != httparse::Status::Complete(bytes.len()) {
        return None;
    }
    let mut request = Request::builder().method(parsed.method?).uri(Uri::try_from(parsed.path?).ok()?);
    for header in parsed.headers {
        request = request.header(header.name, header.value);
    }
    request.body(RequestBody::empty()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET /a?b=c HTTP/1.1\r\nhost: a\r\nx-twice: 1\r\nx-twice: 2\r\n\r\n";

    #[test]
    fn a_request_comes_back_as_it_went() {
        let sent = Sent::default();
        sent.begin(true);
        sent.wrote(&GET[..10]);
        sent.wrote(&GET[10..]);
        let again = sent.again().unwrap();
        assert_eq!((again.method().as_str(), again.uri().to_string().as_str()), ("GET", "/a?b=c"));
        let headers: Vec<_> = again.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(headers, [("host", &b"a"[..]), ("x-twice", b"1"), ("x-twice", b"2")]);
        assert!(sent.again().is_none(), "once");
    }

    #[test]
    fn not_so_what_is_answered_or_is_not_whole_or_may_not_go_again() {
        let after = |then: &dyn Fn(&Sent)| {
            let sent = Sent::default();
            sent.begin(true);
            then(&sent);
            sent.again().is_some()
        };
        assert!(after(&|sent| sent.wrote(GET)));
        assert!(!after(&|sent| {
            sent.wrote(GET);
            sent.forget();
        }));
        assert!(!after(&|sent| sent.wrote(&GET[..20])));
        assert!(!after(&|sent| {
            sent.begin(false);
            sent.wrote(GET);
        }));
        assert!(!after(&|sent| {
            sent.wrote(GET);
            sent.begin(true);
        }));
        assert!(!after(&|sent| sent.wrote(&[GET, &[b'x'; MOST]].concat())));
    }
}
