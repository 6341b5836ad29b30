//! The pages, written here on the server: without the script, whose only work is the keyboard, every button still does what
//! it says.

use std::fmt::Write as _;

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::guard::Nonce;
use super::{Desk, Suspect};
use isn_format::class::ClassId;
use isn_format::error::Error;
use isn_format::ledger::{Reason, Verdict};
use isn_registry::sheet::escape;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Reasons to remove, the first where none is chosen.
const REASONS: [(Reason, &str); 7] = [
    (Reason::NoneOfThese, "shows no class of the dataset"),
    (Reason::Several, "shows several classes"),
    (Reason::Duplicate, "is there twice"),
    (Reason::Leakage, "is in another split, too"),
    (Reason::Blank, "nothing on it"),
    (Reason::Unusable, "too small, blurred or dark"),
    (Reason::Ambiguous, "people would differ"),
];

fn document(title: &str, body: &str, nonce: &Nonce) -> Html<String> {
    let (title, nonce) = (escape(title), &nonce.0);
    Html(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style nonce=\"{nonce}\">{STYLE}</style></head>\n\
         <body>{body}<script nonce=\"{nonce}\">{SCRIPT}</script></body></html>\n"
    ))
}

impl Desk {
    fn label(&self, class: &ClassId) -> String {
        match self.classes.get(class) {
            Some(label) if label != class.as_str() => {
                format!("<b>{}</b> <span class=\"id\">{}</span>", escape(label), escape(class.as_str()))
            }
            _ => format!("<b>{}</b>", escape(class.as_str())),
        }
    }

    fn picture(&self, at: usize, class: &str) -> String {
        let alt = escape(&self.subject.images[at].path);
        format!("<img class=\"{class}\" src=\"/{}/image/{at}\" alt=\"{alt}\">", self.token)
    }

    fn neighbours(&self, title: &str, class: Option<&ClassId>, places: &[usize]) -> String {
        let Some(class) = class.filter(|_| !places.is_empty()) else { return String::new() };
        let pictures: String = places.iter().map(|&at| self.picture(at, "small")).collect();
        format!(
            "<section><h2>{title} {}</h2><div class=\"row\">{pictures}</div></section>",
            self.label(class)
        )
    }
}

pub(super) fn suspect(desk: &Desk, number: usize, suspect: &Suspect, nonce: &Nonce) -> Html<String> {
    let item = &desk.subject.images[suspect.at];
    let (n, report) = (desk.suspects.len(), desk.report());
    let decision = desk.decision(&item.source_id);
    let mut body = format!(
        "<header><span>{number} of {n}</span><progress max=\"{n}\" value=\"{0}\"></progress><span>{0} decided</span>\
         <span class=\"dim\">{1} · {2}</span></header><main><div class=\"stage\">{3}</div><aside>",
        report.decided,
        escape(&desk.reviewer),
        escape(&desk.subject.what),
        desk.picture(suspect.at, "large"),
    );
    let given = item.class.as_ref().map_or_else(|| "no class".into(), |class| desk.label(class));
    let split = item.split.map_or_else(String::new, |split| format!(" · {split}"));
    let _ = write!(body, "<h1>labelled {given}</h1><p class=\"dim\">{}{split}</p>", escape(&item.source_id));
    body += "<ul class=\"claims\">";
    for claim in &suspect.claims {
        let classes: Vec<String> = claim.says.classes().iter().map(|class| desk.label(class)).collect();
        let says = if classes.is_empty() { escape(&claim.says.to_string()) } else { classes.join(", ") };
        let _ = write!(
            body,
            "<li><span class=\"who\">{}</span> says {says} <span class=\"dim\">{}</span></li>",
            escape(&claim.source),
            escape(&claim.evidence)
        );
    }
    body += "</ul>";
    if let Some(decision) = &decision {
        let what = match &decision.verdict {
            Verdict::Relabel(class) => format!("relabel to {}", desk.label(class)),
            other => format!("<b>{}</b>", other.as_str()),
        };
        let _ = write!(
            body,
            "<p class=\"decided\">you decided: {what} <span class=\"dim\">{} {}</span></p>",
            decision.reason.as_str(),
            escape(&decision.evidence)
        );
    }
    body += &form(desk, number, suspect, item.class.as_ref(), decision.is_some());
    body += &desk.neighbours("others labelled", item.class.as_ref(), &suspect.like_given);
    body += &desk.neighbours("others labelled", suspect.suggested.first(), &suspect.like_suggested);
    body += "</aside></main>";
    document(&format!("{number} of {n}: {}", item.source_id), &body, nonce)
}

/// The buttons; each has its key on it.
fn form(desk: &Desk, number: usize, suspect: &Suspect, own: Option<&ClassId>, undo: bool) -> String {
    let button = |key: &str, value: &str, text: &str, class: &str| {
        format!(
            "<button name=\"what\" value=\"{value}\" data-key=\"{key}\" class=\"{class}\"><kbd>{key}</kbd>{text}</button>"
        )
    };
    let mut form =
        format!("<form method=\"post\" action=\"{}\"><div class=\"buttons\">", desk.address(number));
    form += &button("k", "keep", "keep", "keep");
    form += &button("r", "remove", "remove", "remove");
    form += &button("u", "unsure", "unsure", "");
    if undo {
        form += &button("z", "undo", "undo", "");
    }
    form += "</div></form>";
    // A form a class, so that a press is a decision: what is suggested first, and the rest in the order of the ids.
    let rest = desk.classes.keys().filter(|class| Some(*class) != own && !suspect.suggested.contains(class));
    let choices: Vec<&ClassId> = suspect.suggested.iter().chain(rest).collect();
    form += "<div class=\"buttons relabel\">";
    for (at, class) in choices.iter().take(9).enumerate() {
        let suggested = if at < suspect.suggested.len() { "suggested" } else { "" };
        let _ = write!(
            form,
            "<form method=\"post\" action=\"{}\"><input type=\"hidden\" name=\"class\" value=\"{}\">{}</form>",
            desk.address(number),
            escape(class.as_str()),
            button(&(at + 1).to_string(), "relabel", &desk.label(class), suggested)
        );
    }
    form += "</div>";
    if choices.len() > 9 {
        let options: String = choices
            .iter()
            .skip(9)
            .map(|class| {
                let label = desk.classes.get(*class).map_or(class.as_str(), String::as_str);
                format!("<option value=\"{}\">{}</option>", escape(class.as_str()), escape(label))
            })
            .collect();
        let _ = write!(
            form,
            "<form method=\"post\" action=\"{}\" class=\"more\"><select name=\"class\" data-focus=\"l\" \
             aria-label=\"another class\">{options}</select><button name=\"what\" value=\"relabel\"><kbd>l</kbd>\
             another class</button></form>",
            desk.address(number)
        );
    }
    let reasons: String = REASONS
        .iter()
        .map(|(code, text)| format!("<option value=\"{}\">{text}</option>", code.as_str()))
        .collect();
    let _ = write!(
        form,
        "<form method=\"post\" action=\"{}\" class=\"more\"><select name=\"reason\" data-focus=\"w\" aria-label=\"why\">\
         {reasons}</select><input name=\"note\" placeholder=\"note\" maxlength=\"500\" aria-label=\"note\">\
         <button name=\"what\" value=\"remove\"><kbd>w</kbd>remove, with a reason</button></form>",
        desk.address(number)
    );
    let _ = write!(
        form,
        "<nav><a href=\"{}\" data-key=\"ArrowLeft\"><kbd>←</kbd> before</a><a href=\"{}\" data-key=\"ArrowRight\">\
         next <kbd>→</kbd></a><a href=\"/{}/\" data-key=\"n\"><kbd>n</kbd> first undecided</a></nav>",
        desk.address(number.saturating_sub(1).max(1)),
        desk.address(number + 1),
        desk.token
    );
    form
}

pub(super) fn end(desk: &Desk, nonce: &Nonce) -> Html<String> {
    let report = desk.report();
    let open = report.suspects - report.decided;
    let rest = match open {
        0 => "All are decided: this page can be closed, and isn ended with Ctrl-C.".to_owned(),
        _ => format!(
            "{open} are not decided yet: <a href=\"/{}/\" data-key=\"n\"><kbd>n</kbd> go on</a>",
            desk.token
        ),
    };
    let body = format!(
        "<main class=\"end\"><h1>{} of {} decided</h1><p>{rest}</p><p><a href=\"{}\" data-key=\"ArrowLeft\"><kbd>←</kbd> \
         before</a></p><p class=\"dim\">Every decision stands in {}.</p></main>",
        report.decided,
        report.suspects,
        desk.address(report.suspects),
        escape(&desk.path.display().to_string())
    );
    document("the end", &body, nonce)
}

/// The decision is not on the disk, and the page says so.
pub(super) fn failed(desk: &Desk, number: usize, error: &Error) -> Response {
    let cause = std::error::Error::source(error).map_or_else(String::new, |cause| format!(": {cause}"));
    let body = format!(
        "<!doctype html><title>not written</title><h1>The decision was not written</h1><p>{}{}</p><p><a href=\"{}\">back</a>",
        escape(&error.to_string()),
        escape(&cause),
        desk.address(number)
    );
    (StatusCode::INTERNAL_SERVER_ERROR, Html(body)).into_response()
}
