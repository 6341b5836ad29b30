//! Ctrl-C: the process ends with exit code 130 and a line that says what is kept and how to go on.
//!
//! No file or folder has to be undone. Each gets its name only when it is whole, because of kills and power
//! cuts, and the next run of the same command uses or removes what this one leaves.

#[cfg(unix)]
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::console;
use super::exit::{INTERRUPTED, print_json};
use super::terminal::Lines;

/// Whether signals are this program's to handle.
static IS_WATCHED: AtomicBool = AtomicBool::new(false);

/// What is kept if Ctrl-C ends the process at a prompt: users are asked before anything is changed.
const ASKED: &str = "nothing was changed; run the same command again";

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
    /// Whether an object is printed too, if no report is.
    pub(super) json: bool,
}

/// Ends the process at SIGINT, and prints what is `kept`.
pub(super) fn watch(lines: Lines, kept: Kept) {
    IS_WATCHED.store(true, Ordering::Relaxed);
    let handler = move || {
        end(INTERRUPTED, |is_asking| {
            lines.clear();
            // The report itself may be what stdout does not take.
            let is_reported = !is_asking && lines.is_complete();
            let help = match is_asking {
                true => ASKED,
                false if is_reported => kept.complete,
                false => kept.before,
            };
            console::message("interrupted: ", help);
            if kept.json && !is_reported {
                print_json(&json!({ "error": "interrupted", "help": help, "exit_code": INTERRUPTED }));
            }
        })
    };
    // A shell starts background jobs with SIGINT ignored: that stays so.
    let _ = ctrlc::try_set_handler(handler);
}

/// Ends the process: the other threads are in the middle of their work, and cannot be asked to stop. `say` is
/// told whether something had to be undone, which is so at a prompt.
#[expect(clippy::exit, reason = "a signal ends the process, not a function")]
fn end(code: u8, say: impl FnOnce(bool)) {
    // Held to the end, so that nothing is changed any more that would have to be undone.
    let undo = UNDO.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(undo) = &*undo {
        undo();
    }
    say(undo.is_some());
    std::process::exit(code.into());
}

/// Calls `change`, then `work`, which undoes the change. If SIGINT, SIGTERM, SIGHUP or SIGQUIT ends the
/// process meanwhile, `undo` is called first.
#[cfg(unix)]
pub(super) fn undone_at_end<T>(
    change: impl FnOnce() -> io::Result<()>,
    undo: impl Fn() + Send + 'static,
    work: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    if IS_WATCHED.load(Ordering::Relaxed) {
        watch_others()?;
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

/// Ends the process at SIGTERM, SIGHUP and SIGQUIT with the exit code that a shell reports for them. Without
/// this the kernel ends the process, and nothing is undone.
#[cfg(unix)]
fn watch_others() -> io::Result<()> {
    use std::future::poll_fn;
    use std::task::Poll;

    use tokio::runtime::Builder;
    use tokio::signal::unix::{Signal, SignalKind, signal};

    static HAS_BEGUN: AtomicBool = AtomicBool::new(false);
    if HAS_BEGUN.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let kinds = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::quit()];
    let kinds = kinds.into_iter().filter(|kind| !is_ignored(kind.as_raw_value()));
    // The signals are caught from here on.
    let caught =
        runtime.block_on(async { kinds.map(|kind| Ok((signal(kind)?, kind))).collect::<io::Result<_>>() });
    let mut caught: Vec<(Signal, SignalKind)> = caught?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let first = poll_fn(|context| {
            let ready = |(signal, kind): &mut (Signal, SignalKind)| signal.poll_recv(context).map(|_| *kind);
            caught.iter_mut().map(ready).find(Poll::is_ready).unwrap_or(Poll::Pending)
        });
        let number = runtime.block_on(first).as_raw_value();
        end(u8::try_from(128 + number).unwrap_or(u8::MAX), |_| ());
    })?;
    Ok(())
}

/// Whether the process was started with a signal ignored, as by `nohup`: that stays so. Only Linux says.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    ignored >> (signal - 1) & 1 == 1
}
