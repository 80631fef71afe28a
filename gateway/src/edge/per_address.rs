//! How many connections each client address has: who opens more and more is to leave some for others.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// Each with a lock of its own, so that threads which accept at the same moment seldom meet.
const SHARDS: usize = 64;
/// Of an IPv6 address, the part that one site has for itself (RFC 6177): any other is as good to it.
const SITE: u128 = !0 << 64;

/// The connections of each address that has some.
#[derive(Debug)]
pub struct PerAddress {
    most: usize,
    hasher: RandomState,
    shards: Box<[Mutex<HashMap<IpAddr, usize>>]>,
}

/// A connection of an address; dropping it is the only way to uncount it.
#[derive(Debug)]
pub struct OfAddress {
    address: IpAddr,
    addresses: Arc<PerAddress>,
}

// === impl PerAddress ===

impl PerAddress {
    /// None yet, and so many of one address at most.
    pub fn new(most: usize) -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Arc::new(Self { most, hasher: RandomState::new(), shards })
    }

    /// One more connection of `address`, if it may have one.
    pub fn count(self: &Arc<Self>, address: IpAddr) -> Option<OfAddress> {
        let address = site(address);
        let mut shard = self.shard(address).lock();
        let count = shard.entry(address).or_default();
        // An address with an entry has connections.
        if *count >= self.most.max(1) {
            return None;
        }
        *count += 1;
        drop(shard);
        Some(OfAddress { address, addresses: self.clone() })
    }

    fn shard(&self, address: IpAddr) -> &Mutex<HashMap<IpAddr, usize>> {
        &self.shards[self.hasher.hash_one(address) as usize % SHARDS]
    }
}

/// What of an address tells its owner from others.
fn site(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) & SITE).into(),
    }
}

// === impl OfAddress ===

impl Drop for OfAddress {
    fn drop(&mut self) {
        let mut shard = self.addresses.shard(self.address).lock();
        if let Some(count) = shard.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(addresses: &PerAddress) -> usize {
        addresses.shards.iter().map(|shard| shard.lock().len()).sum()
    }

    #[test]
    fn one_address_has_its_share_and_others_have_theirs() {
        let addresses = PerAddress::new(2);
        let (one, other): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let first = addresses.count(one).unwrap();
        let second = addresses.count(one).unwrap();
        assert!(addresses.count(one).is_none());
        let third = addresses.count(other).unwrap();
        drop(first);
        let fourth = addresses.count(one).unwrap();
        drop((second, third, fourth));
        assert_eq!(kept(&addresses), 0, "nothing is remembered of who has left");
    }

    #[test]
    fn a_site_with_ipv6_is_one_address() {
        let addresses = PerAddress::new(1);
        let count = |text: &str| addresses.count(text.parse().unwrap());
        let _one = count("2001:db8:0:1::1").unwrap();
        assert!(count("2001:db8:0:1:ffff::2").is_none());
        assert!(count("2001:db8:0:2::1").is_some());
    }
}
