//! Progress on stderr: a bar on a terminal, elsewhere a line every ten seconds and no control codes.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::console;
use isn_format::text::one_line;
use isn_registry::progress::{Progress, Unit};

/// How long a log is silent between two lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows progress to a person, or to a log.
pub struct Terminal {
    bar: ProgressBar,
    is_terminal: bool,
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
    /// Shows nothing if it is to be `quiet`.
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
            is_terminal: is_terminal || quiet,
            quiet,
            state: Mutex::new(State { stage: String::new(), unit: Unit::Files, begun: now, last_line: now }),
        }
    }

    fn line(&self, state: &State) -> String {
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let seconds = state.begun.elapsed().as_secs_f64();
        let rate = done as f64 / seconds.max(1e-9);
        let left = if rate > 0.0 { total.saturating_sub(done) as f64 / rate } else { 0.0 };
        let left = indicatif::HumanDuration(Duration::from_secs_f64(left.min(1e9)));
        match state.unit {
            Unit::Bytes => format!(
                "{}: {} of {}, {}/s, {left:#} left",
                state.stage,
                indicatif::HumanBytes(done),
                indicatif::HumanBytes(total),
                indicatif::HumanBytes(rate as u64)
            ),
            unit => format!("{}: {done} of {total} {}, {rate:.0}/s, {left:#} left", state.stage, noun(unit)),
        }
    }
}

fn noun(unit: Unit) -> &'static str {
    match unit {
        Unit::Images => "images",
        Unit::Bytes => "bytes",
        Unit::Files => "files",
    }
}

impl Progress for Terminal {
    fn begin(&self, stage: &str, unit: Unit, total: u64) {
        let counts = match unit {
            Unit::Bytes => "{bytes}/{total_bytes} {bytes_per_sec}".to_string(),
            unit => format!("{{pos}}/{{len}} {} {{per_sec}}", noun(unit)),
        };
        let template = format!("{{prefix}} [{{bar:30}}] {counts} {{eta}} left");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.set_prefix(one_line(stage).into_owned());
        self.bar.set_length(total);
        self.bar.set_position(0);
        self.bar.reset_elapsed();
        self.bar.reset_eta();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        *state = State { stage: stage.into(), unit, begun: now, last_line: now };
    }

    fn advance(&self, count: u64) {
        self.bar.inc(count);
        if self.is_terminal {
            return;
        }
        // Whoever finds the lock taken has nothing to add.
        if let Ok(mut state) = self.state.try_lock()
            && state.last_line.elapsed() >= LINE_EVERY
        {
            state.last_line = Instant::now();
            console::message("", &one_line(&self.line(&state)));
        }
    }

    fn end(&self) {
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
        if self.is_terminal && std::io::stderr().is_terminal() {
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        }
    }

    fn tell(&self, message: &str) {
        if !self.quiet {
            self.note(message);
        }
    }

    fn note(&self, message: &str) {
        self.bar.suspend(|| console::message("", message));
    }
}
