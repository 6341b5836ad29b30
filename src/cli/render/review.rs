//! What `isn review` prints.

use std::io::Write as _;

use serde_json::json;

use super::Output;
use crate::error::{Error, Result};
use crate::review::{Review, ReviewReport};

impl Output {
    /// The address comes at once, for whoever waits for it: a person, or a program that opens it.
    pub(in crate::cli) fn reviewing(&self, review: &Review) -> Result<()> {
        let ReviewReport { suspects, decided } = review.report();
        let line = match self.json {
            true => json!({ "url": review.url(), "suspects": suspects, "decided": decided }).to_string(),
            false => format!(
                "{suspects} suspects, {decided} decided: open {} in a browser; Ctrl-C ends",
                review.url()
            ),
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Error::io("write", "stdout"))
    }

    pub(in crate::cli) fn reviewed(&self, report: &ReviewReport) {
        let ReviewReport { suspects, decided } = *report;
        let text = format!("{decided} of {suspects} suspects decided\n");
        self.print(&text, json!({ "suspects": suspects, "decided": decided }));
    }
}
