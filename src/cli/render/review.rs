//! What `isn review` prints.

use serde_json::json;

use super::Output;
use crate::cli::console::Page;
use crate::review::{Review, ReviewReport};

impl Output {
    /// The address comes at once, for whoever waits for it: a person, or a program that opens it.
    pub(in crate::cli) fn reviewing(&self, review: &Review) {
        let ReviewReport { suspects, decided } = review.report();
        let url = review.url();
        let text = Page::of(format_args!(
            "{suspects} suspects, {decided} decided: open {url} in a browser; Ctrl-C ends"
        ));
        self.print(&text, json!({ "url": url, "suspects": suspects, "decided": decided }));
    }

    pub(in crate::cli) fn reviewed(&self, report: &ReviewReport) {
        let ReviewReport { suspects, decided } = *report;
        let text = Page::of(format_args!("{decided} of {suspects} suspects decided"));
        self.print_done(&text, json!({ "suspects": suspects, "decided": decided }));
    }
}
