//! [`in_order`]: runs work on many threads and takes the results in the order of the items, so that the
//! output does not depend on the number of threads.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

struct Shared<R> {
    /// The index of the next item to take.
    next: usize,
    /// How many results the sink has taken.
    delivered: usize,
    /// Results that wait for their turn, by index.
    waiting: BTreeMap<usize, R>,
    /// How many workers wait until the sink has taken more.
    blocked: usize,
    /// Whether workers must take no more items.
    stopped: bool,
}

/// Nobody is woken who would only look and wait again: with many threads that costs more than the work.
struct Queue<R> {
    shared: Mutex<Shared<R>>,
    /// The result that the sink waits for is there.
    ready: Condvar,
    /// A worker may begin another item.
    room: Condvar,
}

impl<R> Queue<R> {
    fn lock(&self) -> MutexGuard<'_, Shared<R>> {
        // The scope passes a worker's panic on to the caller, and the counters are valid at every step.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(on: &Condvar, guard: MutexGuard<'a, Shared<R>>) -> MutexGuard<'a, Shared<R>> {
        on.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops all threads when one of them leaves early, by an error or a panic.
struct StopOnDrop<'a, R>(&'a Queue<R>);

impl<R> Drop for StopOnDrop<'_, R> {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.ready.notify_all();
        self.0.room.notify_all();
    }
}

/// Runs `work` on every item with `threads` threads, each with its own state from `init`, and passes the
/// results to `sink` on the calling thread, in the order of the items. To bound memory, at most `window`
/// items are started and not yet taken by the sink.
///
/// # Errors
/// Returns the first error of `sink`, and stops all work.
pub fn in_order<T, S, R, E>(
    threads: usize,
    window: usize,
    items: &[T],
    init: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &T) -> R + Sync,
    mut sink: impl FnMut(usize, R) -> Result<(), E>,
) -> Result<(), E>
where
    T: Sync,
    R: Send,
{
    if threads <= 1 {
        let mut state = init();
        return items.iter().enumerate().try_for_each(|(at, item)| sink(at, work(&mut state, item)));
    }
    let window = window.max(threads);
    let queue = Queue {
        shared: Mutex::new(Shared {
            next: 0,
            delivered: 0,
            waiting: BTreeMap::new(),
            blocked: 0,
            stopped: false,
        }),
        ready: Condvar::new(),
        room: Condvar::new(),
    };
    let worker = || {
        let stop = StopOnDrop(&queue);
        let mut state = init();
        loop {
            let mut shared = queue.lock();
            while !shared.stopped && shared.next < items.len() && shared.next >= shared.delivered + window {
                shared.blocked += 1;
                shared = Queue::wait(&queue.room, shared);
                shared.blocked -= 1;
            }
            if shared.stopped || shared.next >= items.len() {
                break;
            }
            let at = shared.next;
            shared.next += 1;
            drop(shared);
            let result = work(&mut state, &items[at]);
            let mut shared = queue.lock();
            shared.waiting.insert(at, result);
            if at == shared.delivered {
                queue.ready.notify_one();
            }
        }
        std::mem::forget(stop);
    };
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&queue);
        for _ in 0..threads.min(items.len()) {
            scope.spawn(worker);
        }
        for at in 0..items.len() {
            let mut shared = queue.lock();
            let result = loop {
                if let Some(result) = shared.waiting.remove(&at) {
                    break result;
                }
                if shared.stopped {
                    // A worker panicked: the scope resumes the panic when all threads have ended.
                    return Ok(());
                }
                shared = Queue::wait(&queue.ready, shared);
            };
            drop(shared);
            sink(at, result)?;
            let mut shared = queue.lock();
            shared.delivered = at + 1;
            if shared.blocked > 0 {
                queue.room.notify_one();
            }
        }
        Ok(())
    })
}

/// Returns a pool of `threads` threads, for work whose results need no order.
///
/// # Errors
/// Fails if the system starts no threads.
pub fn pool(threads: usize) -> isn_format::error::Result<rayon::ThreadPool> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1));
    builder.build().map_err(|e| isn_format::error::Error::io("start", "threads")(std::io::Error::other(e)))
}

/// The number of threads to use if the user has not given one.
pub fn available() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn order_and_window_hold_for_every_number_of_threads() {
        let items: Vec<usize> = (0..500).collect();
        for threads in [1, 2, 7] {
            let (begun, mut taken) = (AtomicUsize::new(0), Vec::new());
            in_order(
                threads,
                10,
                &items,
                || (),
                |(), &item| {
                    begun.fetch_add(1, Ordering::SeqCst);
                    if item % 7 == 0 {
                        std::thread::yield_now();
                    }
                    item * 2
                },
                |at, result| {
                    assert!(begun.load(Ordering::SeqCst) <= at + 10 + 1);
                    taken.push(result);
                    Ok::<(), ()>(())
                },
            )
            .unwrap();
            assert_eq!(taken, items.iter().map(|i| i * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_sinks_error_ends_it() {
        let begun = AtomicUsize::new(0);
        let work = |(): &mut (), _: &usize| begun.fetch_add(1, Ordering::SeqCst);
        let ended =
            in_order(3, 4, &vec![0; 10_000], || (), work, |at, _| if at == 5 { Err(at) } else { Ok(()) });
        assert_eq!(ended, Err(5));
        assert!(begun.load(Ordering::SeqCst) < 20);
    }

    #[test]
    #[should_panic(expected = "a scoped thread panicked")]
    fn a_panic_of_a_worker_reaches_the_caller() {
        let work = |(): &mut (), item: &usize| assert_ne!(*item, 50);
        let _ = in_order(3, 4, &(0..100).collect::<Vec<_>>(), || (), work, |_, ()| Ok::<(), ()>(()));
    }
}
