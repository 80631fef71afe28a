//! `Via` (RFC 9110, 7.6.3): the name of this gateway in what it passes on, by which it knows what comes round to it again. An app
//! whose upstream is the gateway would be asked for ever.

use std::sync::LazyLock;

use http::{HeaderValue, Version};

/// How often a request may come round: an app may well ask another one of the same gateway, and pass all headers on.
pub const MOST_PASSES: usize = 5;

/// Of this process only; kept for ever, so that a copy of a value counts nothing that threads share.
struct Own {
    name: &'static str,
    http1: HeaderValue,
    http2: HeaderValue,
}

static OWN: LazyLock<Own> = LazyLock::new(|| {
    let text = |protocol: &str, name: &str| -> &'static str { format!("{protocol} {name}").leak() };
    let name: &'static str = format!("zerogate-{:08x}", fastrand::u32(..)).leak();
    let (http1, http2) = (text("1.1", name), text("2", name));
    Own { name, http1: HeaderValue::from_static(http1), http2: HeaderValue::from_static(http2) }
});

/// What to add to a message that came by this version.
pub fn element(version: Version) -> HeaderValue {
    if version == Version::HTTP_2 { OWN.http2.clone() } else { OWN.http1.clone() }
}

/// How often a value of `Via` says that the message was here.
pub fn passes(value: &HeaderValue) -> usize {
    let is_own = |element: &&[u8]| element.trim_ascii().split(|b| *b == b' ').nth(1) == Some(OWN.name.as_bytes());
    value.as_bytes().split(|b| *b == b',').filter(is_own).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_here_is_known_again() {
        let (one, two) = (element(Version::HTTP_11), element(Version::HTTP_2));
        assert_eq!((passes(&one), passes(&two)), (1, 1));
        let all = [one.as_bytes(), b", 1.0 fred,2 zerogate-, ", two.as_bytes(), b" (a comment)"].concat();
        assert_eq!(passes(&HeaderValue::from_bytes(&all).unwrap()), 2);
        for other in ["", ",", "1.1", "1.1 zerogate", "zerogate-00000000"] {
            assert_eq!(passes(&HeaderValue::from_static(other)), 0, "{other}");
        }
    }
}
