//! How many connections there may be, in all and from one address, and how many files may be open for them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Files that the process needs for itself: the listener, the runtime, a publish.
const RESERVED_FILES: usize = 64;

/// The limits and what counts against them.
#[derive(Debug)]
pub(super) struct Limits {
    connections: usize,
    per_address: usize,
    open: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
    /// One permit for a file that is being sent.
    pub(super) files: Arc<tokio::sync::Semaphore>,
}

/// A connection that was let in, until it is dropped.
#[derive(Debug)]
pub(super) struct Admission {
    limits: Arc<Limits>,
    address: IpAddr,
}

impl Limits {
    /// At most `connections`, of them `per_address` from one address (0: as many as there are), and no more than the
    /// operating system lets the process open: a connection may need a file beside its socket.
    pub(super) fn new(connections: usize, per_address: usize) -> Self {
        let may_open = raise_file_limit().saturating_sub(RESERVED_FILES).max(2);
        let connections = connections.min(may_open / 2);
        Limits {
            connections,
            per_address: if per_address == 0 { usize::MAX } else { per_address },
            open: AtomicUsize::new(0),
            by_address: Mutex::default(),
            files: Arc::new(tokio::sync::Semaphore::new(may_open - connections)),
        }
    }

    /// Lets a connection in, unless there are too many.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Admission> {
        let address = network(address);
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let there = by_address.get(&address).copied().unwrap_or(0);
        if self.open() >= self.connections || there >= self.per_address {
            return None;
        }
        by_address.insert(address, there + 1);
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Admission { limits: self.clone(), address })
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut by_address = self.limits.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        match by_address.get_mut(&self.address) {
            Some(there) if *there > 1 => *there -= 1,
            _ => drop(by_address.remove(&self.address)),
        }
        self.limits.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What counts as one address: of IPv6 the network of 64 bits that one customer gets.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

/// Raises the limit of open files as far as this process may, and says what it is.
#[cfg(target_os = "linux")]
fn raise_file_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let now = getrlimit(Resource::Nofile).current;
    // More than there can be connections; `None` is no limit at all.
    now.map_or(1 << 20, |now| usize::try_from(now).unwrap_or(usize::MAX)).min(1 << 20)
}

#[cfg(not(target_os = "linux"))]
fn raise_file_limit() -> usize {
    // The least that is usual.
    256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold_and_are_given_back() {
        let limits = Arc::new(Limits::new(3, 2));
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let one = limits.admit(address("10.0.0.1")).unwrap();
        let two = limits.admit(address("::ffff:10.0.0.1")).unwrap();
        assert!(limits.admit(address("10.0.0.1")).is_none(), "two from one address");
        let three = limits.admit(address("2001:db8::1")).unwrap();
        assert!(limits.admit(address("10.0.0.2")).is_none(), "three in all");
        drop((one, two));
        assert_eq!(limits.open(), 1);
        let four = limits.admit(address("2001:db8::2")).unwrap();
        assert!(limits.admit(address("2001:db8::3")).is_none(), "one network");
        drop((three, four));
        assert_eq!((limits.open(), limits.by_address.lock().unwrap().len()), (0, 0));
        let limits = Arc::new(Limits::new(3, 0));
        let all: Vec<_> = (0..3).map(|_| limits.admit(address("::1")).unwrap()).collect();
        assert!(limits.admit(address("::1")).is_none());
        drop(all);
    }
}
