//! Calls that got no answer.

use std::error::Error;
use std::io;

use hyper_util::client::legacy;

/// What a call met that got no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    /// Whether nothing of it was sent, for sure.
    pub(crate) unsent: bool,
    /// In words.
    pub(crate) why: String,
}

// === impl Failed ===

impl Failed {
    /// By the error that the call ended with.
    pub(crate) fn by(error: &kube::Error) -> Self {
        let mut source: Option<&(dyn Error + 'static)> = Some(error);
        let (mut unsent, mut late, mut innermost) = (false, false, String::new());
        while let Some(error) = source {
            unsent |= error.downcast_ref().is_some_and(legacy::Error::is_connect);
            // Given back by the connection before a byte was sent.
            unsent |= error.downcast_ref().is_some_and(hyper::Error::is_canceled);
            late |= error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::TimedOut);
            innermost = error.to_string();
            source = error.source();
        }
        // These come before any connection, such as a token that cannot be read.
        unsent |= matches!(error, kube::Error::Auth(_) | kube::Error::HttpError(_) | kube::Error::BuildRequest(_));
        let why = match error {
            kube::Error::SerdeError(_) => format!("its answer cannot be read: {innermost}"),
            _ if unsent && late => "no connection to it in time".into(),
            _ if unsent => format!("no connection to it: {innermost}"),
            _ if late => "no answer in time".into(),
            _ => format!("the connection to it broke: {innermost}"),
        };
        Self { unsent, why }
    }
}
