//! Ctrl-C: the process ends with exit code 130 and a line that says what is kept and how to go on.
//!
//! Nothing has to be undone. A file or folder gets its name only when it is whole, because of kills and power
//! cuts, and the next run of the same command uses or removes what this one leaves.

use super::console;
use super::exit::INTERRUPTED;
use super::terminal::Lines;

/// Ends the process at SIGINT, and prints what is `kept`.
pub(super) fn watch(lines: Lines, kept: &'static str) {
    let end = move || {
        lines.clear();
        console::message("interrupted: ", kept);
        // The other threads are in the middle of their work, and cannot be asked to stop.
        #[expect(clippy::exit, reason = "a signal ends the process, not a function")]
        std::process::exit(INTERRUPTED.into());
    };
    // A shell starts background jobs with SIGINT ignored: that stays so.
    let _ = ctrlc::try_set_handler(end);
}
