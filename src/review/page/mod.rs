//! Renders the pages on the server. The script only adds the keyboard: without it every button still works.

mod pair;
mod suspect;

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, PreEscaped, Render, html};

pub(super) use self::pair::{disputed, pair};
pub(super) use self::suspect::suspect;
use super::guard::Nonce;
use super::{Desk, ReviewReport, Work};
use isn_format::class::ClassId;
use isn_format::error::{Error, chain};
use isn_registry::html::written;

const STYLE: &str = concat!(include_str!("page.css"), include_str!("pair.css"));
const SCRIPT: &str = include_str!("page.js");

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

impl<W: Work> Desk<W> {
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
}

/// The page of what is at `at`.
pub(super) fn show<W: Work>(desk: &Desk<W>, at: usize, nonce: &Nonce) -> Html<String> {
    let (name, main) = W::show(desk, at);
    let ReviewReport { count, decided, .. } = desk.report(&desk.file());
    let number = at + 1;
    let body = html! {
        header {
            span { (number) " of " (count) }
            progress max=(count) value=(decided) {}
            span { (decided) " decided" }
            span.dim { (desk.reviewer) " · " (desk.subject.what) }
        }
        (main)
    };
    document(&format!("{number} of {count}: {name}"), &body, nonce)
}

/// A button that shows its key.
fn button(key: &str, value: &str, class: &str, text: impl Render) -> Markup {
    html! { button name="what" value=(value) data-key=(key) class=(class) { kbd { (key) } (text) } }
}

/// The links to other things than the one at `at`.
fn nav<W: Work>(desk: &Desk<W>, at: usize) -> Markup {
    html! {
        nav {
            a href=(desk.address(at.max(1))) data-key="ArrowLeft" { kbd { "←" } " before" }
            a href=(desk.address(at + 2)) data-key="ArrowRight" { "next " kbd { "→" } }
            a href={ "/" (desk.token) "/" } data-key="n" { kbd { "n" } " first undecided" }
        }
    }
}

/// The page after the last.
pub(super) fn end<W: Work>(desk: &Desk<W>, nonce: &Nonce) -> Html<String> {
    let (ReviewReport { count, decided, .. }, more) = {
        let file = desk.file();
        (desk.report(&file), W::at_the_end(desk, &file))
    };
    let open = count - decided;
    let body = html! {
        main.end {
            h1 { (decided) " of " (count) " decided" }
            p {
                @if open == 0 {
                    "All are decided: close this page, and stop isn with Ctrl-C."
                } @else {
                    (open) " are not decided yet: "
                    a href={ "/" (desk.token) "/" } data-key="n" { kbd { "n" } " go on" }
                }
            }
            p { a href=(desk.address(count)) data-key="ArrowLeft" { kbd { "←" } " before" } }
            (more)
            p.dim { "Every decision is in " (desk.path.display()) "." }
        }
    };
    document("the end", &body, nonce)
}

/// Returns the page that says that the decision was not written.
pub(super) fn failed<W: Work>(desk: &Desk<W>, number: usize, error: &Error) -> Response {
    let page = html! {
        (DOCTYPE)
        title { "not written" }
        h1 { "The decision was not written" }
        p { (chain(error)) }
        p { a href=(desk.address(number)) { "back" } }
    };
    (StatusCode::INTERNAL_SERVER_ERROR, Html(written(&page))).into_response()
}
