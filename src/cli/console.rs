//! All that isn prints goes through here, so that foreign text cannot do anything to the terminal, nor look like isn's own:
//! a [`Page`] is made of lines, a message has one label, and what is not seen is written out. Nothing that happens to
//! stdout or stderr ends the program here: a pipe may be closed, a disk full.

use std::fmt;
use std::io::{self, Write as _};

use isn_format::error::cut_list;
use isn_format::text::{line_of_several, one_line};

/// Lines of a report. `writeln!` adds one line and no more, whatever the texts in it have: a line feed among them is
/// written out.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    /// A page of one line.
    pub(super) fn of(line: fmt::Arguments<'_>) -> Self {
        let mut page = Page::default();
        writeln!(page, "{line}");
        page
    }

    /// What `write!` and `writeln!` call. Without its line end a line is the beginning of one.
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

    /// Adds a text of several lines, each after `before`.
    pub(super) fn block(&mut self, before: &str, text: &str) {
        for line in text.lines() {
            self.0 += &format!("{before}{}\n", line_of_several(line));
        }
    }

    /// Adds the first things of a list, a line each.
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

/// Prints a message on stderr: after its label, if it has one, and its further lines further right, so that none looks
/// like another message.
pub(super) fn message(label: &str, text: &str) {
    let mut lines = text.lines();
    let first = line_of_several(lines.next().unwrap_or_default()).into_owned();
    let further: Vec<_> = lines.map(line_of_several).collect();
    let indent = if further.iter().all(|line| line.starts_with("  ")) { "" } else { "  " };
    let further: String = further.iter().map(|line| format!("\n{indent}{line}")).collect();
    stderr(&format!("{label}{first}{further}\n"));
}

/// Prints on stderr what is known to be fit for it. Whoever reads it may have gone; that changes nothing.
fn stderr(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Prints on stdout what is known to be fit for it, at once.
///
/// # Errors
/// What the system says: a pipe is closed, a disk full.
pub(super) fn stdout(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}
