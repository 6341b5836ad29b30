//! Everything isn prints goes through here, so that foreign text can neither act on the terminal nor pass for
//! isn's own: a [`Page`] consists of lines, a message has one label, and characters that would not be seen
//! are escaped. A closed pipe or a full disk behind stdout or stderr never ends the program here.

use std::env;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};

use clap::builder::Styles;
use clap::builder::styling::Style;

use isn_format::error::cut_list;
use isn_format::text::{line_of_several, one_line};

/// Lines of a report. `writeln!` adds exactly one line: a line feed inside the texts is escaped.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    /// A page of one line.
    pub(super) fn of(line: fmt::Arguments<'_>) -> Self {
        let mut page = Page::default();
        writeln!(page, "{line}");
        page
    }

    /// Adds a line, or the beginning of one if there is no line end. `write!` and `writeln!` call this.
    pub(super) fn write_fmt(&mut self, line: fmt::Arguments<'_>) {
        let text = line.to_string();
        match text.strip_suffix('\n') {
            Some(line) => {
                self.0 += &one_line(line);
                self.0.push('\n');
            }
            None => self.0 += &one_line(&text),
        }
    }

    /// Adds an empty line.
    pub(super) fn blank(&mut self) {
        self.0.push('\n');
    }

    /// Adds the lines of a text, each with the prefix `before`.
    pub(super) fn block(&mut self, before: &str, text: &str) {
        for line in text.lines() {
            self.0 += &format!("{before}{}\n", line_of_several(line));
        }
    }

    /// Adds the first items of a list, one per line.
    pub(super) fn list<T: fmt::Display>(&mut self, items: &[T]) {
        let items: Vec<_> = items.iter().map(|item| one_line(&item.to_string()).into_owned()).collect();
        self.block("", cut_list(&items).trim_start_matches('\n'));
    }

    /// Adds another page.
    pub(super) fn append(&mut self, page: &Page) {
        self.0 += &page.0;
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Prints a message on stderr after its label, if it has one. Further lines are indented, so that none passes
/// for another message.
pub(super) fn message(label: &str, text: &str) {
    let mut lines = text.lines();
    let first = line_of_several(lines.next().unwrap_or_default()).into_owned();
    let further: Vec<_> = lines.map(line_of_several).collect();
    let indent = if further.iter().all(|line| line.starts_with("  ")) { "" } else { "  " };
    let further: String = further.iter().map(|line| format!("\n{indent}{line}")).collect();
    let style = style(label);
    stderr(&format!("{style}{label}{style:#}{first}{further}\n"));
}

/// How a label looks: as in clap's own messages on a terminal, and plain elsewhere.
fn style(label: &str) -> Style {
    let styles = Styles::styled();
    match label {
        "error: " if is_coloured() => *styles.get_error(),
        "warning: " if is_coloured() => *styles.get_invalid(),
        "help: " if is_coloured() => *styles.get_valid(),
        _ => Style::new(),
    }
}

fn is_coloured() -> bool {
    let is_refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    io::stderr().is_terminal() && !is_refused && !is_dumb
}

/// Prints on stderr a text that is fit for it. A reader that is gone is no error.
fn stderr(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Prints on stdout a text that is fit for it, and flushes it.
///
/// # Errors
/// Fails with the system's error, for example if the pipe is closed or the disk is full.
pub(super) fn stdout(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}
