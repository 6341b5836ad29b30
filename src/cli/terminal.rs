//! Progress on stderr: a bar on a terminal; elsewhere a line every ten seconds, without control codes.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::console;
use isn_format::text::one_line;
use isn_registry::progress::{Progress, Unit};

/// The time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows the progress of an operation to a person or in a log file.
pub struct Terminal {
    bar: ProgressBar,
    is_complete: Arc<AtomicBool>,
    /// Whether lines are left out: there is a bar, or nothing is to be shown.
    has_no_lines: bool,
    quiet: bool,
    state: Mutex<State>,
}

struct State {
    stage: String,
    unit: Unit,
    begun: Instant,
    last_line: Instant,
}

impl Terminal {
    /// Shows nothing but notes if it is to be `quiet`.
    pub fn new(quiet: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target = if is_terminal && !quiet {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let now = Instant::now();
        Terminal {
            bar: ProgressBar::with_draw_target(Some(0), target),
            is_complete: Arc::default(),
            has_no_lines: is_terminal || quiet,
            quiet,
            state: Mutex::new(State { stage: String::new(), unit: Unit::Files, begun: now, last_line: now }),
        }
    }

    /// Prints lines that do not collide with the bar, on any thread.
    pub(super) fn lines(&self) -> Lines {
        Lines { bar: self.bar.clone(), is_complete: Arc::clone(&self.is_complete) }
    }

    fn line(&self, state: &State) -> String {
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let rate = done as f64 / state.begun.elapsed().as_secs_f64().max(1e-9);
        let left = if rate > 0.0 { total.saturating_sub(done) as f64 / rate } else { 0.0 };
        let left = HumanDuration(Duration::from_secs_f64(left.min(1e9)));
        let counts = counts(state.unit, done, total, rate);
        format!("{}: {counts}, {left:#} left", state.stage)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // An operation that failed has not ended its stage, and its error is printed next.
        self.bar.finish_and_clear();
    }
}

/// Prints lines above the bar of a [`Terminal`].
#[derive(Clone)]
pub(super) struct Lines {
    bar: ProgressBar,
    is_complete: Arc<AtomicBool>,
}

impl Lines {
    /// Prints a line.
    pub(super) fn print(&self, text: &str) {
        self.bar.suspend(|| console::message("", text));
    }

    /// Removes the bar for good.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
    }

    /// Whether the operation has said that its output is complete.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Acquire)
    }
}

/// `3 of 7 images, 2 images/s`, `12 MiB of 340 MiB, 9 MiB/s`.
fn counts(unit: Unit, done: u64, total: u64, rate: f64) -> String {
    let rate = rate.clamp(0.0, 1e15);
    let noun = match unit {
        Unit::Bytes => {
            return format!("{} of {}, {}/s", whole(done), whole(total), whole(rate as u64));
        }
        Unit::Images => "images",
        Unit::Files => "files",
    };
    match rate {
        10.0.. => format!("{done} of {total} {noun}, {rate:.0} {noun}/s"),
        _ => format!("{done} of {total} {noun}, {rate:.1} {noun}/s"),
    }
}

/// Bytes in a whole number of units, of which there are at least ten: `512 B`, `9999 KiB`, `12 GiB`.
fn whole(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let large = units.iter().find(|(_, shift)| bytes >= 10 << shift);
    large.map_or_else(|| format!("{bytes} B"), |(unit, shift)| format!("{} {unit}", bytes >> shift))
}

impl Progress for Terminal {
    fn begin(&self, stage: &str, unit: Unit, total: u64) {
        let shown = move |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            let counts = counts(unit, state.pos(), state.len().unwrap_or(0), state.per_sec());
            let _ = text.write_str(&counts);
        };
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{bar:30}] {counts}, {eta} left") {
            self.bar.set_style(style.with_key("counts", shown).progress_chars("=> "));
        }
        self.bar.set_prefix(one_line(stage).into_owned());
        self.bar.set_length(total);
        self.bar.reset();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        *state = State { stage: stage.into(), unit, begun: now, last_line: now };
    }

    fn advance(&self, count: u64) {
        self.bar.inc(count);
        if self.has_no_lines {
            return;
        }
        // Another thread that holds the lock prints the line.
        if let Ok(mut state) = self.state.try_lock()
            && state.last_line.elapsed() >= LINE_EVERY
        {
            state.last_line = Instant::now();
            console::message("", &one_line(&self.line(&state)));
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn complete(&self) {
        self.is_complete.store(true, Ordering::Release);
    }

    fn tell(&self, message: &str) {
        if !self.quiet {
            self.note(message);
        }
    }

    fn note(&self, message: &str) {
        self.lines().print(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_in_whole_units() {
        for (bytes, text) in [
            (0, "0 B"),
            (10_239, "10239 B"),
            (10_240, "10 KiB"),
            (9_999 << 10, "9999 KiB"),
            (12 << 30, "12 GiB"),
            (u64::MAX, "16777215 TiB"),
        ] {
            assert_eq!(whole(bytes), text);
        }
        assert_eq!(counts(Unit::Images, 3, 7, 2.26), "3 of 7 images, 2.3 images/s");
        assert_eq!(counts(Unit::Files, 3, 7, 12.6), "3 of 7 files, 13 files/s");
        assert_eq!(counts(Unit::Bytes, 12 << 20, 340 << 20, 1e7), "12 MiB of 340 MiB, 9765 KiB/s");
    }

    #[test]
    fn a_bar_can_be_used_again_after_its_end() {
        let terminal = Terminal::new(true);
        for total in [3, 5] {
            terminal.begin("pulling", Unit::Images, total);
            terminal.advance(2);
            assert_eq!((terminal.bar.position(), terminal.bar.is_finished()), (2, false));
            terminal.end();
            assert!(terminal.bar.is_finished());
        }
    }
}
