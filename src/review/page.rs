//! Renders the pages on the server. The script only adds the keyboard: without it every button still works.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

use super::guard::Nonce;
use super::{Desk, Suspect};
use isn_format::class::ClassId;
use isn_format::error::{Error, chain};
use isn_format::ledger::{Reason, Verdict};
use isn_registry::html::written;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The reasons to remove; the first is the default.
const REASONS: [(Reason, &str); 7] = [
    (Reason::NoneOfThese, "shows no class of the dataset"),
    (Reason::Several, "shows several classes"),
    (Reason::Duplicate, "appears twice"),
    (Reason::Leakage, "is in another split, too"),
    (Reason::Blank, "shows nothing"),
    (Reason::Unusable, "too small, blurred or dark"),
    (Reason::Ambiguous, "people would disagree"),
];

fn document(title: &str, body: &Markup, nonce: &Nonce) -> Html<String> {
    Html(written(&html! {
        (DOCTYPE) "\n"
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (title) }
                // Both files are isn's own.
                style nonce=(nonce.0) { (PreEscaped(STYLE)) }
            }
            "\n"
            body { (body) script nonce=(nonce.0) { (PreEscaped(SCRIPT)) } }
        }
        "\n"
    }))
}

impl Desk {
    fn label(&self, class: &ClassId) -> Markup {
        match self.classes.get(class) {
            Some(label) if label != class.as_str() => html! { b { (label) } " " span.id { (class) } },
            _ => html! { b { (class) } },
        }
    }

    fn picture(&self, at: usize, class: &str) -> Markup {
        let address = format!("/{}/image/{at}", self.token);
        html! { img class=(class) src=(address) alt=(self.subject.images[at].path); }
    }

    fn neighbours(&self, class: Option<&ClassId>, places: &[usize]) -> Markup {
        let Some(class) = class.filter(|_| !places.is_empty()) else { return html! {} };
        html! {
            section {
                h2 { "others labelled " (self.label(class)) }
                div.row { @for &at in places { (self.picture(at, "small")) } }
            }
        }
    }
}

pub(super) fn suspect(desk: &Desk, number: usize, suspect: &Suspect, nonce: &Nonce) -> Html<String> {
    let item = &desk.subject.images[suspect.at];
    let (n, decided) = (desk.suspects.len(), desk.report().decided);
    let decision = desk.decision(&item.source_id);
    let body = html! {
        header {
            span { (number) " of " (n) }
            progress max=(n) value=(decided) {}
            span { (decided) " decided" }
            span.dim { (desk.reviewer) " · " (desk.subject.what) }
        }
        main {
            div.stage { (desk.picture(suspect.at, "large")) }
            aside {
                h1 {
                    "labelled "
                    @if let Some(class) = &item.class { (desk.label(class)) } @else { "no class" }
                }
                p.dim { (item.source_id) @if let Some(split) = item.split { " · " (split) } }
                ul.claims {
                    @for claim in &suspect.claims {
                        @let classes = claim.says.classes();
                        li {
                            span.who { (claim.source) } " says "
                            @if classes.is_empty() { (claim.says) }
                            @for (at, class) in classes.iter().enumerate() {
                                @if at > 0 { ", " }
                                (desk.label(class))
                            }
                            " " span.dim { (claim.evidence) }
                        }
                    }
                }
                @if let Some(decision) = &decision {
                    p.decided {
                        "you decided: "
                        @match &decision.verdict {
                            Verdict::Relabel(class) => { "relabel to " (desk.label(class)) },
                            Verdict::Keep(also) if !also.is_empty() => {
                                b { "keep" } ", also right: "
                                @for class in also { (desk.label(class)) " " }
                            },
                            other => { b { (other.as_str()) } },
                        }
                        " " span.dim { (decision.reason.as_str()) " " (decision.evidence) }
                    }
                }
                (forms(desk, number, suspect, item.class.as_ref(), decision.is_some()))
                (desk.neighbours(item.class.as_ref(), &suspect.like_given))
                (desk.neighbours(suspect.suggested.first(), &suspect.like_suggested))
            }
        }
    };
    document(&format!("{number} of {n}: {}", item.source_id), &body, nonce)
}

/// A button that shows its key.
fn button(key: &str, value: &str, class: &str, text: impl Render) -> Markup {
    html! { button name="what" value=(value) data-key=(key) class=(class) { kbd { (key) } (text) } }
}

/// The possible decisions, and the links to other suspects.
fn forms(desk: &Desk, number: usize, suspect: &Suspect, own: Option<&ClassId>, undo: bool) -> Markup {
    let here = desk.address(number);
    let (before, next) = (desk.address(number.saturating_sub(1).max(1)), desk.address(number + 1));
    // Suggested classes first, then the others in the order of their ids.
    let rest = desk.classes.keys().filter(|class| Some(*class) != own && !suspect.suggested.contains(class));
    let choices: Vec<&ClassId> = suspect.suggested.iter().chain(rest).collect();
    let (keyed, more) = choices.split_at(choices.len().min(9));
    html! {
        form method="post" action=(here) {
            div.buttons {
                (button("k", "keep", "keep", "keep"))
                (button("r", "remove", "remove", "remove"))
                (button("u", "unsure", "", "unsure"))
                @if undo { (button("z", "undo", "", "undo")) }
            }
        }
        // One form for each class, so that one press is a decision.
        div class="buttons relabel" {
            @for (at, class) in keyed.iter().enumerate() {
                @let style = if at < suspect.suggested.len() { "suggested" } else { "" };
                form method="post" action=(here) {
                    input type="hidden" name="class" value=(class);
                    (button(&(at + 1).to_string(), "relabel", style, desk.label(class)))
                }
            }
        }
        @if !more.is_empty() {
            form.more method="post" action=(here) {
                select name="class" data-focus="l" aria-label="another class" {
                    @for class in more {
                        option value=(class) {
                            (desk.classes.get(*class).map_or(class.as_str(), String::as_str))
                        }
                    }
                }
                button name="what" value="relabel" { kbd { "l" } "another class" }
            }
        }
        @if !choices.is_empty() {
            form.more method="post" action=(here) {
                select name="class" data-focus="o" aria-label="also right" {
                    @for class in &choices {
                        option value=(class) {
                            (desk.classes.get(*class).map_or(class.as_str(), String::as_str))
                        }
                    }
                }
                (button("b", "also", "", "both are right"))
            }
        }
        form.more method="post" action=(here) {
            select name="reason" data-focus="w" aria-label="why" {
                @for (code, text) in &REASONS { option value=(code.as_str()) { (text) } }
            }
            input name="note" placeholder="note" maxlength="500" aria-label="note";
            button name="what" value="remove" { kbd { "w" } "remove, with a reason" }
        }
        nav {
            a href=(before) data-key="ArrowLeft" { kbd { "←" } " before" }
            a href=(next) data-key="ArrowRight" { "next " kbd { "→" } }
            a href={ "/" (desk.token) "/" } data-key="n" { kbd { "n" } " first undecided" }
        }
    }
}

pub(super) fn end(desk: &Desk, nonce: &Nonce) -> Html<String> {
    let report = desk.report();
    let open = report.suspects - report.decided;
    let body = html! {
        main.end {
            h1 { (report.decided) " of " (report.suspects) " decided" }
            p {
                @if open == 0 {
                    "All are decided: close this page, and stop isn with Ctrl-C."
                } @else {
                    (open) " are not decided yet: "
                    a href={ "/" (desk.token) "/" } data-key="n" { kbd { "n" } " go on" }
                }
            }
            p { a href=(desk.address(report.suspects)) data-key="ArrowLeft" { kbd { "←" } " before" } }
            p.dim { "Every decision is in " (desk.path.display()) "." }
        }
    };
    document("the end", &body, nonce)
}

/// Returns the page that says that the decision was not written.
pub(super) fn failed(desk: &Desk, number: usize, error: &Error) -> Response {
    let page = html! {
        (DOCTYPE)
        title { "not written" }
        h1 { "The decision was not written" }
        p { (chain(error)) }
        p { a href=(desk.address(number)) { "back" } }
    };
    (StatusCode::INTERNAL_SERVER_ERROR, Html(written(&page))).into_response()
}
