//! Trailers made what may be passed on.

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, COOKIE, EXPECT,
    FORWARDED, HOST, MAX_FORWARDS, RANGE, SET_COOKIE, TRAILER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName};

use super::{is_hop_by_hop, tells_of_clients};

/// What may stand in no trailers, besides what is for one hop only (RFC 9110, 6.5.1): who has read the header already has framed,
/// routed, authorised and decoded by it.
const NOT_IN_TRAILERS: [HeaderName; 14] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    COOKIE,
    EXPECT,
    HOST,
    MAX_FORWARDS,
    RANGE,
    SET_COOKIE,
    TRAILER,
    WWW_AUTHENTICATE,
];

/// Takes out of trailers what may not stand there, or would tell of the client what nobody has looked at.
pub fn clean_trailers(trailers: &mut HeaderMap) {
    let may_not = |name: &&HeaderName| {
        is_hop_by_hop(name) || NOT_IN_TRAILERS.contains(name) || **name == FORWARDED || tells_of_clients(name)
    };
    let names: Vec<HeaderName> = trailers.keys().filter(may_not).cloned().collect();
    for name in names {
        trailers.remove(name);
    }
}
