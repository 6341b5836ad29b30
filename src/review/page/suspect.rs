//! The page of an image that claims put in question.

use maud::{Markup, html};

use super::{button, nav};
use crate::review::Desk;
use crate::review::suspects::{Suspect, Suspects};
use isn_format::class::ClassId;
use isn_format::ledger::{Reason, Verdict};

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

pub(in crate::review) fn suspect(desk: &Desk<Suspects>, at: usize) -> Markup {
    let suspect = &desk.work.0[at];
    let item = &desk.subject.images[suspect.at];
    let decision = desk.decision(&desk.file(), at).cloned();
    html! {
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
            (forms(desk, at, suspect, item.class.as_ref(), decision.is_some()))
            (neighbours(desk, item.class.as_ref(), &suspect.like_given))
            (neighbours(desk, suspect.suggested.first(), &suspect.like_suggested))
        }
    }
    }
}

fn neighbours(desk: &Desk<Suspects>, class: Option<&ClassId>, places: &[usize]) -> Markup {
    let Some(class) = class.filter(|_| !places.is_empty()) else { return html! {} };
    html! {
        section {
            h2 { "others labelled " (desk.label(class)) }
            div.row { @for &at in places { (desk.picture(at, "small")) } }
        }
    }
}

/// The possible decisions, and the links to other suspects.
fn forms(desk: &Desk<Suspects>, at: usize, suspect: &Suspect, own: Option<&ClassId>, undo: bool) -> Markup {
    let here = desk.address(at + 1);
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
        (nav(desk, at))
    }
}
