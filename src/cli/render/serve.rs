//! What `isn serve` says: where it listens, each request, and what it did.

use std::io::Write as _;

use serde_json::json;

use super::{Output, size};
use crate::error::{Error, Result, count};
use crate::serve::{ServeReport, Server};

impl Output {
    /// Printed at once: whoever started the server waits for it.
    pub(in crate::cli) fn serving(&self, server: &Server) -> Result<()> {
        let url = server.url();
        self.print(&url, json!({ "url": url, "address": server.address() }));
        std::io::stdout().flush().map_err(Error::io("write", "stdout"))
    }

    pub(in crate::cli) fn line(line: &str) {
        // Whoever reads the log may have gone; the server stays.
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// On stderr: the data has been printed.
    pub(in crate::cli) fn served(&self, report: &ServeReport) {
        let how = if report.finished { "all answers were finished" } else { "some answers were cut off" };
        let connections = count(usize::try_from(report.connections).unwrap_or(usize::MAX), "connection");
        Output::line(&format!("stopped after {connections} and {} sent; {how}", size(report.sent)));
    }
}
