//! Ctrl-C: the process ends with exit code 130 and a line that says what is kept and how to go on.
//!
//! No file or folder has to be undone. Each gets its name only when it is whole, because of kills and power
//! cuts, and the next run of the same command uses or removes what this one leaves.

#[cfg(unix)]
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::console;
use super::exit::INTERRUPTED;
use super::terminal::Lines;

/// Whether signals are this program's to handle.
static IS_WATCHED: AtomicBool = AtomicBool::new(false);

/// What has to be undone before a signal may end the process.
static UNDO: Mutex<Option<Undo>> = Mutex::new(None);

type Undo = Box<dyn Fn() + Send>;

/// What Ctrl-C says.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    /// What is kept while the output is not complete, and how to go on.
    pub(super) before: &'static str,
    /// The same, from the moment when the output has its name.
    pub(super) complete: &'static str,
}

/// Ends the process at SIGINT, and prints what is `kept`.
pub(super) fn watch(lines: Lines, kept: Kept) {
    IS_WATCHED.store(true, Ordering::Relaxed);
    let handler = move || {
        end(INTERRUPTED, || {
            lines.clear();
            let kept = if lines.is_complete() { kept.complete } else { kept.before };
            console::message("interrupted: ", kept);
        })
    };
    // A shell starts background jobs with SIGINT ignored: that stays so.
    let _ = ctrlc::try_set_handler(handler);
}

/// Ends the process: the other threads are in the middle of their work, and cannot be asked to stop.
#[expect(clippy::exit, reason = "a signal ends the process, not a function")]
fn end(code: u8, say: impl FnOnce()) {
    // Held to the end, so that nothing is changed any more that would have to be undone.
    let undo = UNDO.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(undo) = &*undo {
        undo();
    }
    say();
    std::process::exit(code.into());
}

/// Calls `change`, then `work`, which undoes the change. If SIGINT or SIGTERM ends the process meanwhile,
/// `undo` is called first.
#[cfg(unix)]
pub(super) fn undone_at_end<T>(
    change: impl FnOnce() -> io::Result<()>,
    undo: impl Fn() + Send + 'static,
    work: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    if IS_WATCHED.load(Ordering::Relaxed) {
        watch_termination()?;
    }
    {
        let mut held = UNDO.lock().unwrap_or_else(PoisonError::into_inner);
        change()?;
        *held = Some(Box::new(undo));
    }
    let worked = work();
    *UNDO.lock().unwrap_or_else(PoisonError::into_inner) = None;
    worked
}

/// Ends the process at SIGTERM with the exit code that a shell reports for it. Without this the kernel ends
/// the process, and nothing is undone.
#[cfg(unix)]
fn watch_termination() -> io::Result<()> {
    use tokio::runtime::Builder;
    use tokio::signal::unix::{SignalKind, signal};

    /// 128 and the number of the signal.
    const TERMINATED: u8 = 143;

    static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
    if HAS_BEGUN.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let runtime = Builder::new_current_thread().enable_io().build()?;
    // The signal is caught from here on.
    let mut terminate = runtime.block_on(async { signal(SignalKind::terminate()) })?;
    std::thread::Builder::new().name("sigterm".into()).spawn(move || {
        if runtime.block_on(terminate.recv()).is_some() {
            end(TERMINATED, || ());
        }
    })?;
    Ok(())
}
