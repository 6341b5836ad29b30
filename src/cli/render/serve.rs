//! What `isn serve` says: where it listens, each request, and what it did.

use serde_json::json;

use super::{Output, size};
use crate::cli::console::{self, Page};
use crate::serve::{ServeReport, Server};
use isn_format::error::count;
use isn_format::text::one_line;

impl Output {
    /// Printed at once: whoever started the server waits for it.
    pub(in crate::cli) fn serving(&self, server: &Server) {
        let url = server.url();
        self.print(&Page::of(format_args!("{url}")), json!({ "url": url, "address": server.address() }));
    }

    pub(in crate::cli) fn line(line: &str) {
        console::message("", &one_line(line));
    }

    /// On stderr: the data has been printed.
    pub(in crate::cli) fn served(&self, report: &ServeReport) {
        let how = if report.finished { "all answers were finished" } else { "some answers were cut off" };
        let connections = count(usize::try_from(report.connections).unwrap_or(usize::MAX), "connection");
        Output::line(&format!("stopped after {connections} and {} sent; {how}", size(report.sent)));
    }
}
