//! Where the gateway listens: every address is taken before anything else begins.

use std::net::SocketAddr;

use crate::cli::RunArgs;
use crate::listening::Bound;

/// Where it listens.
pub(super) struct Addresses {
    pub(super) http: Bound,
    pub(super) https: Option<Bound>,
    pub(super) admin: Bound,
    pub(super) scaler: Option<Bound>,
}

// === impl Addresses ===

impl Addresses {
    /// Takes all of them; requests are served by so many threads.
    pub(super) fn take(args: &RunArgs, threads: usize) -> Result<Self, String> {
        let all = [
            ("--http", Some(args.http)),
            ("--admin", Some(args.admin)),
            ("--https", args.https),
            ("--scaler", args.scaler),
        ];
        let given = all.iter().filter_map(|(flag, address)| Some((*flag, (*address)?)));
        let given: Vec<(&str, SocketAddr)> = given.filter(|(_, address)| address.port() != 0).collect();
        for (index, (flag, address)) in given.iter().enumerate() {
            if let Some((before, _)) = given[..index].iter().find(|(_, other)| other == address) {
                return Err(format!("{before} and {flag} are both {address}; each needs an address of its own"));
            }
        }
        Ok(Self {
            http: Bound::to("--http", args.http, threads)?,
            https: args.https.map(|address| Bound::to("--https", address, threads)).transpose()?,
            admin: Bound::to("--admin", args.admin, 1)?,
            scaler: args.scaler.map(|address| Bound::to("--scaler", address, 1)).transpose()?,
        })
    }
}
