//! Limits connections, responses and open files, in all and for one address, so that a client that takes all
//! that one address may have leaves the others theirs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The number of files that the process needs for itself: the listener, the runtime, a publish.
const RESERVED_FILES: usize = 64;
/// How many responses an address may have under way for each connection that it may have: HTTP/2 allows many
/// on one.
const ANSWERS: usize = 2;
/// The minimum of that number, however few connections it may have.
const LEAST_ANSWERS: usize = 64;
/// An address may have at most one in this many of all files open.
const FILES_SHARE: usize = 4;

/// The limits, and what counts against them.
#[derive(Debug)]
pub(super) struct Limits {
    connections: usize,
    per_address: usize,
    open: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, (usize, Arc<Share>)>>,
    /// One permit for each file that may be sent at a time.
    files: Arc<Semaphore>,
    files_per_address: usize,
}

/// What one address may have under way, on all its connections together.
#[derive(Debug)]
pub(super) struct Share {
    answers: Arc<Semaphore>,
    files: Arc<Semaphore>,
    all_files: Arc<Semaphore>,
}

/// A response that is under way until this is dropped.
pub(super) type AnswerPermit = OwnedSemaphorePermit;

/// A file that is open for an address until this is dropped.
#[derive(Debug)]
pub(super) struct FilePermit {
    _of_address: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Share {
    /// Returns `None` if too many responses are under way.
    pub(super) fn answer(&self) -> Option<AnswerPermit> {
        self.answers.clone().try_acquire_owned().ok()
    }

    /// Returns `None` if too many files are open.
    pub(super) fn file(&self) -> Option<FilePermit> {
        let of_address = self.files.clone().try_acquire_owned().ok()?;
        let of_all = self.all_files.clone().try_acquire_owned().ok()?;
        Some(FilePermit { _of_address: of_address, _of_all: of_all })
    }
}

/// A connection that counts until this is dropped.
#[derive(Debug)]
pub(super) struct Admission {
    limits: Arc<Limits>,
    address: IpAddr,
    /// What its address may have.
    pub(super) share: Arc<Share>,
}

impl Limits {
    /// Allows `connections`, of which `per_address` and at most half from one address (0: any number); but
    /// never more than the operating system lets the process open, as a connection may need a file besides
    /// its socket.
    pub(super) fn new(connections: usize, per_address: usize) -> Self {
        let may_open = raise_file_limit().saturating_sub(RESERVED_FILES).max(2);
        let connections = connections.min(may_open / 2);
        let files = may_open - connections;
        Limits {
            connections,
            per_address: if per_address == 0 { usize::MAX } else { per_address.min(connections.div_ceil(2)) },
            open: AtomicUsize::new(0),
            by_address: Mutex::default(),
            files: Arc::new(Semaphore::new(files)),
            files_per_address: if per_address == 0 { files } else { files.div_ceil(FILES_SHARE) },
        }
    }

    fn new_share(&self) -> Arc<Share> {
        let answers = self.per_address.saturating_mul(ANSWERS).clamp(LEAST_ANSWERS, Semaphore::MAX_PERMITS);
        Arc::new(Share {
            answers: Arc::new(Semaphore::new(answers)),
            files: Arc::new(Semaphore::new(self.files_per_address)),
            all_files: self.files.clone(),
        })
    }

    /// Admits a connection, unless there are too many.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Admission> {
        let address = network(address);
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let there = by_address.get(&address).map_or(0, |(there, _)| *there);
        if self.open() >= self.connections || there >= self.per_address {
            return None;
        }
        let (there, share) = by_address.entry(address).or_insert_with(|| (0, self.new_share()));
        *there += 1;
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Admission { limits: self.clone(), address, share: share.clone() })
    }

    /// The number of open connections.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut by_address = self.limits.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        match by_address.get_mut(&self.address) {
            Some((there, _)) if *there > 1 => *there -= 1,
            _ => drop(by_address.remove(&self.address)),
        }
        self.limits.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns what counts as one address: for IPv6, the network of 64 bits that one customer has.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
        v4 => v4,
    }
}

/// Raises the limit of open files as far as this process may, and returns it.
#[cfg(target_os = "linux")]
fn raise_file_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let now = getrlimit(Resource::Nofile).current;
    // The cap is more than there can be connections; `None` means no limit.
    now.map_or(1 << 20, |now| usize::try_from(now).unwrap_or(usize::MAX)).min(1 << 20)
}

#[cfg(not(target_os = "linux"))]
fn raise_file_limit() -> usize {
    // The lowest usual limit.
    256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_never_has_all_answers_and_all_files() {
        let limits = Arc::new(Limits::new(3, 2));
        let admit = |text: &str| limits.admit(text.parse().unwrap()).unwrap();
        let (one, two, other) = (admit("10.0.0.1"), admit("10.0.0.1"), admit("10.0.0.2"));
        let answers: Vec<_> = std::iter::from_fn(|| one.share.answer()).collect();
        assert_eq!(answers.len(), LEAST_ANSWERS);
        let all = limits.files.available_permits();
        let files: Vec<_> = std::iter::from_fn(|| one.share.file()).collect();
        assert_eq!(files.len(), all.div_ceil(FILES_SHARE));
        assert!(two.share.answer().is_none() && two.share.file().is_none(), "on another connection");
        assert!(other.share.answer().is_some() && other.share.file().is_some(), "of another address");
        drop((answers, files));
        assert!(two.share.answer().is_some() && two.share.file().is_some());
        assert_eq!(limits.files.available_permits(), all);
    }

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
        let limits = Arc::new(Limits::new(5, 9));
        let one: Vec<_> = std::iter::from_fn(|| limits.admit(address("10.0.0.1"))).collect();
        assert_eq!(one.len(), 3, "no address has them all");
        assert!(limits.admit(address("10.0.0.2")).is_some());
        let limits = Arc::new(Limits::new(3, 0));
        let all: Vec<_> = (0..3).map(|_| limits.admit(address("::1")).unwrap()).collect();
        assert!(limits.admit(address("::1")).is_none());
        drop(all);
    }
}
