//! How many connections each peer has open, so that none takes the places of all others.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bits of an IPv6 address that tell one network from another; within it, a peer chooses the others itself.
const NETWORK_BITS: u32 = 64;

/// Open connections, by peer.
#[derive(Debug)]
pub(super) struct Peers {
    most: usize,
    open: Mutex<HashMap<IpAddr, Open>>,
}

/// What a peer has.
#[derive(Debug, Default)]
struct Open {
    connections: usize,
    /// Whether it was told that it had too many.
    is_told: bool,
}

/// The place of one connection; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    peers: Arc<Peers>,
    peer: IpAddr,
}

impl Peers {
    /// So many connections for each.
    pub(super) fn new(most: usize) -> Self {
        Self { most, open: Mutex::default() }
    }

    /// A place for one more connection of a peer, unless it has all that it may have.
    pub(super) fn place(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let peer = peer(address);
        let mut all = self.open();
        let open = all.entry(peer).or_default();
        if open.connections >= self.most {
            if !std::mem::replace(&mut open.is_told, true) {
                tracing::warn!(%address, most = self.most, "more connections than one address may have are closed");
            }
            return None;
        }
        open.connections += 1;
        drop(all);
        Some(Place { peers: Arc::clone(self), peer })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.peers.open();
        if let Some(open) = all.get_mut(&self.peer) {
            open.connections -= 1;
            if open.connections == 0 {
                all.remove(&self.peer);
            }
        }
    }
}

/// By what a peer is told apart.
fn peer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::MAX << (u128::BITS - NETWORK_BITS);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn each_has_its_places_and_gives_them_back() {
        let peers = Arc::new(Peers::new(2));
        let place = |address: &str| peers.place(address.parse().unwrap());
        let (first, second) = (place("192.0.2.1").unwrap(), place("::ffff:192.0.2.1").unwrap());
        assert!(place("192.0.2.1").is_none());
        assert!(place("192.0.2.2").is_some());
        drop(first);
        let third = place("192.0.2.1").unwrap();
        assert!(place("192.0.2.1").is_none());
        drop((second, third));
        assert!(peers.open().is_empty());
    }

    #[test]
    fn a_network_of_version_six_is_one_peer() {
        let peers = Arc::new(Peers::new(1));
        let place = |address: &str| peers.place(address.parse().unwrap());
        let _one = place("2001:db8::1").unwrap();
        assert!(place("2001:db8::2:0:0:1").is_none());
        assert!(place("2001:db8:0:1::1").is_some());
    }
}
