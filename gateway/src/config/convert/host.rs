use std::fmt;
use std::net::Ipv6Addr;

use crate::config::problem::quoted;
use crate::config::settings::HostPattern;

/// What a host has to be.
///
/// # Errors
/// Why `text` is none, and what would be.
pub(super) fn pattern(text: &str) -> Result<HostPattern, String> {
    let lower = text.to_ascii_lowercase();
    let host = lower.strip_suffix('.').unwrap_or(&lower);
    if lower == "*" {
        return Ok(HostPattern::Any);
    }
    if let Some(address) = host.strip_prefix('[') {
        return match address.strip_suffix(']').map(str::parse::<Ipv6Addr>) {
            Some(Ok(address)) => Ok(HostPattern::Exact(format!("[{address}]").into())),
            _ => Err(format!("{} is no IPv6 address in brackets, such as `[::1]`", quoted(text))),
        };
    }
    if host.parse::<Ipv6Addr>().is_ok() {
        return Err(format!("{} is an IPv6 address without brackets; write `[{host}]`", quoted(text)));
    }
    let (wildcard, name) = host.strip_prefix("*.").map_or((false, host), |name| (true, name));
    check(name).map_err(|why| format!("{} {why}", quoted(text)))?;
    Ok(if wildcard { HostPattern::Suffix(name.into()) } else { HostPattern::Exact(name.into()) })
}

fn check(name: &str) -> Result<(), String> {
    if name.contains("://") {
        return Err("is a URL; write the host only, such as `app.example.org`".to_owned());
    }
    if let Some((host, port)) = name.split_once(':')
        && port.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(format!("has a port; write the host only: {}", quoted(host)));
    }
    if name.contains('/') {
        return Err("has a path; that goes into `paths`".to_owned());
    }
    if name.contains('*') {
        return Err("has `*` elsewhere than as its first label; write `*.example.org`, or `*` for any host".to_owned());
    }
    if !name.is_ascii() {
        return Err("has other than ASCII letters; write its ASCII form, such as `xn--bcher-kva.example`".to_owned());
    }
    if let Some(c) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_.".contains(*c)) {
        return Err(format!("has {}; a host has letters, digits, `-`, `_` and `.` only", quoted(&c.to_string())));
    }
    if name.len() > 253 {
        return Err("has more than 253 characters".to_owned());
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err("has an empty part between its dots".to_owned());
        }
        if label.len() > 63 {
            return Err("has a part of more than 63 characters between its dots".to_owned());
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err("has a part that begins or ends with `-`".to_owned());
        }
    }
    Ok(())
}

// === impl HostPattern ===

impl fmt::Display for HostPattern {
    /// As it is written in a document.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Suffix(host) => write!(f, "*.{host}"),
            Self::Any => f.write_str("*"),
        }
    }
}
