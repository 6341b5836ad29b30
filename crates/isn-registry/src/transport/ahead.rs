//! [`Ahead`]: a transport that can be asked for files before they are needed, so that requests that would
//! follow each other go out together.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::Shared;

use super::{AtHand, Body, BoxFuture, Ranges, Transport, Whole, read};
use isn_format::error::{Error, Result};

/// What became of a file that was asked for. An error goes to the first who reads the file.
enum Answer {
    Read(Option<Bytes>),
    Failed(Mutex<Option<Error>>),
}

type Shown = Shared<BoxFuture<'static, Arc<Answer>>>;

/// A transport, and the files that were asked for. Clones are one.
#[derive(Clone)]
pub(crate) struct Ahead {
    transport: Arc<dyn Transport>,
    /// The files that were asked for, until they are read; `None` for those that were read.
    files: Arc<Mutex<HashMap<String, Option<Shown>>>>,
    /// The bytes that came and that nobody has read yet.
    unread: Arc<AtomicU64>,
}

impl Ahead {
    pub(crate) fn new(transport: Box<dyn Transport>) -> Self {
        Ahead { transport: transport.into(), files: Arc::default(), unread: Arc::default() }
    }

    /// Begins to read a file of at most `cap` bytes, and calls `then` with them before anybody else sees
    /// them. The next [`Transport::open`] of the file gets the answer. Does nothing if the file has been
    /// opened already: who reads it is further than who asks. Must be called in a runtime.
    pub(crate) fn ask(&self, path: &str, cap: u64, then: impl FnOnce(&[u8]) + Send + 'static) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if files.contains_key(path) {
            return;
        }
        let (transport, file, unread) = (self.transport.clone(), path.to_string(), self.unread.clone());
        let answer = async move {
            Arc::new(match read(transport.as_ref(), &file, cap).await {
                Ok(bytes) => {
                    if let Some(bytes) = &bytes {
                        unread.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                        then(bytes);
                    }
                    Answer::Read(bytes.map(Bytes::from))
                }
                Err(e) => Answer::Failed(Mutex::new(Some(e))),
            })
        };
        let shown = answer.boxed().shared();
        // Nobody may wait for it for a while.
        tokio::spawn(shown.clone());
        files.insert(path.into(), Some(shown));
    }

    /// Returns how many bytes came that nobody has read.
    pub(crate) fn unread(&self) -> u64 {
        self.unread.load(Ordering::Relaxed)
    }
}

impl Transport for Ahead {
    fn locate(&self, path: &str) -> String {
        self.transport.locate(path)
    }

    fn open<'a>(&'a self, path: &'a str, range: Option<Range<u64>>) -> BoxFuture<'a, Result<Option<Body>>> {
        let asked = match range {
            None => {
                let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
                files.insert(path.into(), None).flatten()
            }
            Some(_) => None,
        };
        Box::pin(async move {
            if let Some(asked) = asked {
                match &*asked.await {
                    Answer::Read(bytes) => {
                        let read = bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
                        self.unread.fetch_sub(read, Ordering::Relaxed);
                        return Ok(bytes.clone().map(|bytes| Whole::body(0, bytes)));
                    }
                    Answer::Failed(error) => {
                        // Any other fault may be none here: the file may be longer than was expected there.
                        let mut error = error.lock().unwrap_or_else(PoisonError::into_inner);
                        if let Some(e @ Error::Network { .. }) = error.take() {
                            return Err(e);
                        }
                    }
                }
            }
            self.transport.open(path, range).await
        })
    }

    fn ranges(&self) -> Ranges {
        self.transport.ranges()
    }

    fn at_hand(&self, path: &str) -> Option<AtHand> {
        self.transport.at_hand(path)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use isn_format::error::NetworkKind;

    /// Serves files of ten bytes below `there/`, fails below `broken/`, and counts the requests.
    #[derive(Default)]
    struct Server(Arc<AtomicUsize>);

    impl Transport for Server {
        fn locate(&self, path: &str) -> String {
            path.into()
        }

        fn open<'a>(&'a self, path: &'a str, _: Option<Range<u64>>) -> BoxFuture<'a, Result<Option<Body>>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                match path.split('/').next() {
                    Some("there") => Ok(Some(Whole::body(0, Bytes::from_static(b"ten bytes.")))),
                    Some("broken") => Err(Error::network(NetworkKind::Broken, path, "broke")),
                    _ => Ok(None),
                }
            })
        }
    }

    #[test]
    fn what_was_asked_for_is_read_once_and_what_it_cannot_give_as_if_nobody_had_asked() {
        let requests = Arc::new(AtomicUsize::new(0));
        let ahead = Ahead::new(Box::new(Server(requests.clone())));
        crate::transport::runtime().unwrap().block_on(async {
            let read = async |path, cap| read(&ahead, path, cap).await;
            let (first, seen) = (ahead.clone(), Arc::new(Mutex::new(Vec::new())));
            let log = seen.clone();
            ahead.ask("there/a", 10, move |bytes| {
                log.lock().unwrap().extend_from_slice(bytes);
                // Whoever reads the one finds the other asked for.
                first.ask("there/b", 10, |_| ());
            });
            assert_eq!(read("there/a", 10).await.unwrap().unwrap(), b"ten bytes.");
            assert_eq!(*seen.lock().unwrap(), b"ten bytes.");
            assert!(read("there/b", 10).await.unwrap().is_some());
            assert_eq!((requests.load(Ordering::SeqCst), ahead.unread()), (2, 0));
            assert!(read("there/a", 10).await.unwrap().is_some());
            assert_eq!(requests.load(Ordering::SeqCst), 3);
            let never = |_: &[u8]| unreachable!();
            ahead.ask("absent", 10, never);
            ahead.ask("there/long", 9, never);
            assert!(read("absent", 10).await.unwrap().is_none());
            assert!(read("there/long", 10).await.unwrap().is_some());
            assert_eq!(requests.load(Ordering::SeqCst), 6);
            ahead.ask("broken/a", 10, never);
            assert!(matches!(read("broken/a", 10).await, Err(Error::Network { .. })));
        });
    }
}
