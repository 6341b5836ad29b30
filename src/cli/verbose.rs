//! `-v` and `ISN_LOG`: the events of isn's crates as lines on stderr. Those of other crates are left out,
//! since they may quote headers and addresses with credentials.

use std::io::{self, Write};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::time::uptime;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::terminal::Lines;
use isn_format::error::{Error, Result};
use isn_registry::settings;

/// Begins to print events, if `-v` or `ISN_LOG` asks for it. In a process that runs several commands, the
/// first one decides.
///
/// # Errors
/// Fails if `ISN_LOG` is not a level.
pub(super) fn start(verbose: bool, lines: Lines) -> Result<()> {
    let level = match (settings::variable("ISN_LOG")?, verbose) {
        (_, true) => LevelFilter::DEBUG,
        (Some(level), false) => {
            // The parser accepts 0 to 5 as well.
            let is_number = level.parse::<usize>().is_ok();
            let parsed = level.parse().ok().filter(|_| !is_number);
            parsed
                .ok_or_else(|| Error::invalid("ISN_LOG", "expected off, error, warn, info, debug or trace"))?
        }
        (None, false) => LevelFilter::OFF,
    };
    if level == LevelFilter::OFF {
        return Ok(());
    }
    let layer = tracing_subscriber::fmt::layer().with_timer(uptime()).with_target(false).with_ansi(false);
    let own = Targets::new().with_target("isn", level);
    let _ = tracing_subscriber::registry().with(layer.with_writer(Writer(lines)).with_filter(own)).try_init();
    Ok(())
}

/// Prints what the subscriber writes, which is one event at a time.
struct Writer(Lines);

impl<'a> MakeWriter<'a> for Writer {
    type Writer = &'a Lines;

    fn make_writer(&'a self) -> &'a Lines {
        &self.0
    }
}

impl Write for &Lines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.print(String::from_utf8_lossy(event).trim_end());
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
