//! The page of two images that may be copies. One is laid over the other by styles alone, so that what lies
//! mirrored or turned is shown laid back.

use maud::{Markup, html};

use super::{button, nav};
use crate::review::Desk;
use crate::review::effects::Effects;
use crate::review::pairs::{Harm, How, NearPairs, Shown, differ};
use isn_format::error::count;
use isn_format::pairs::{Decision, Reason};
use isn_format::pixel_spec::ExifOrientation;
use isn_registry::ops::audit::duplicates::NearPair;

/// The maximum number of images of a group that are shown.
const MEMBERS: usize = 48;

/// The reasons; none is the usual one: copies for `same`, and alike for `different`.
const REASONS: [(Reason, &str); 6] = [
    (Reason::Copy, "one is a copy of the other"),
    (Reason::Crop, "one is a part of the other"),
    (Reason::Burst, "of one series of photographs"),
    (Reason::SameObject, "both show the same object"),
    (Reason::LookAlike, "they only look alike"),
    (Reason::Other, "other: see the note"),
];

/// The ways to look at both, with the last part of their ids. The first is the default.
const VIEWS: [(&str, &str, &str); 4] = [
    ("1", "view-beside", "side by side"),
    ("2", "view-blink", "blink"),
    ("3", "view-overlay", "overlay"),
    ("4", "view-difference", "difference"),
];

pub(in crate::review) fn pair(desk: &Desk<NearPairs>, at: usize) -> Markup {
    let shown = &desk.work.pairs[at];
    // Reads the images, so before the file is locked.
    let facts = [shown.a, shown.b].map(|at| facts(desk, at));
    let (opinions, open) = {
        let file = desk.file();
        let opinions: Vec<Decision> = file.opinions(&shown.pair).into_iter().cloned().collect();
        (opinions, desk.open_of_group(&file, shown.group).len())
    };
    html! {
        main.pair {
            // What is checked says how the pictures lie, without a script.
            @for (at, (_, id, what)) in VIEWS.iter().enumerate() {
                input.view type="radio" name="view" id=(id) checked[at == 0] aria-label=(what);
            }
            input.view type="checkbox" id="hold" aria-label="hold the second";
            input.view type="checkbox" id="as-stored" aria-label="the second as it is stored";
            div.stage {
                div.tools {
                    @for (key, id, what) in VIEWS { label for=(id) data-key=(key) { kbd { (key) } (what) } }
                    label for="hold" data-key="h" { kbd { "h" } "hold the second" }
                    @if lies(shown.near()).is_some() {
                        label for="as-stored" data-key="x" { kbd { "x" } "as it is stored" }
                    }
                }
                div class=(if desk.subject.turns() { "pictures" } else { "pictures unturned" }) {
                    figure.first { (desk.picture(shown.a, "large")) figcaption { "1" } }
                    figure.second {
                        (desk.picture(shown.b, &laid(shown.near()))) figcaption { "2" }
                    }
                }
            }
            aside {
                (found(desk, shown))
                ol.two { @for facts in &facts { li { (facts) } } }
                (said(desk, &opinions))
                (forms(desk, at, shown, open, opinions.iter().any(|one| one.reviewer == desk.reviewer)))
                (group(desk, shown))
                (effects(desk, shown))
            }
        }
    }
}

/// What the audit found.
fn found(desk: &Desk<NearPairs>, shown: &Shown) -> Markup {
    html! {
        h1 {
            @match shown.how {
                How::Near(_) => { "near copies" },
                How::Exact => { "exact copies" },
                How::Similar(_) => { "similar" },
            }
            @match Harm::of(&desk.subject, &[shown.a, shown.b]) {
                Harm::AcrossSplits => { " " b.harm { "in two splits" } },
                Harm::AcrossClasses => { " " b.harm { "of two classes" } },
                Harm::Within => {},
            }
        }
        p.dim {
            @match &shown.how {
                How::Near(near) => {
                    "similarity " (format!("{:.4}", near.similarity)) " · " (near.distance)
                    " of 63 bits differ"
                    @if let Some(how) = lies(Some(near)) { " · 2 is " (how) ", and shown laid back" }
                },
                How::Exact => { "the same bytes, or the same pixels" },
                How::Similar(cosine) => {
                    "cosine of their embeddings " (format!("{cosine:.4}")) " · their pixels do not tell"
                },
            }
        }
    }
}

/// How the second lies on the first, unless it lies as the first does.
fn lies(near: Option<&NearPair>) -> Option<String> {
    let near = near?;
    let mut how = Vec::new();
    if near.mirrored {
        how.push("mirrored".to_owned());
    }
    if near.turned != 0 {
        how.push(format!("turned by {}° clockwise", near.turned));
    }
    if near.inverted {
        how.push("inverted".to_owned());
    }
    (!how.is_empty()).then(|| how.join(", "))
}

/// The classes of the style that lays the second image back.
fn laid(near: Option<&NearPair>) -> String {
    let mut classes = String::from("large");
    if let Some(near) = near {
        if near.mirrored {
            classes += " mirrored";
        }
        if near.turned != 0 {
            classes += &format!(" turned-{}", near.turned);
        }
        if near.inverted {
            classes += " inverted";
        }
    }
    classes
}

/// What is known about an image.
fn facts(desk: &Desk<NearPairs>, at: usize) -> Markup {
    let item = &desk.subject.images[at];
    let exif = if desk.subject.turns() { ExifOrientation::Apply } else { ExifOrientation::Ignore };
    let bytes = desk.subject.read(at);
    let size = bytes.as_ref().ok().and_then(|bytes| isn_pixels::dimensions(bytes, exif).ok());
    html! {
        div.path { (item.path) }
        @if let Some(class) = &item.class { (desk.label(class)) " · " }
        @if let Some(split) = item.split { b { (split) } " · " }
        span.dim {
            @if let Some((width, height)) = size { (width) " × " (height) " · " }
            @match &bytes { Ok(bytes) => { (count(bytes.len(), "byte")) }, Err(_) => "cannot be read" }
            @if !item.path.starts_with(&item.source_id) { " · " (item.source_id) }
        }
    }
}

/// What reviewers decided.
fn said(desk: &Desk<NearPairs>, opinions: &[Decision]) -> Markup {
    html! {
        @for one in opinions {
            p class=(if one.reviewer == desk.reviewer { "decided" } else { "decided other" }) {
                @if one.reviewer == desk.reviewer { "you decided: " }
                @else { span.who { (one.reviewer) } " says " }
                b { (one.says.as_str()) } " " span.dim { (one.reason.as_str()) " " (one.evidence) }
            }
        }
        @if differ(&opinions.iter().collect::<Vec<_>>()) {
            p.harm { "The reviewers differ: a build stops until one gives in." }
        }
    }
}

/// The possible decisions, and the links to other pairs. `open` is the number of pairs of the group that are
/// not decided.
fn forms(desk: &Desk<NearPairs>, at: usize, shown: &Shown, open: usize, undo: bool) -> Markup {
    let here = desk.address(at + 1);
    let members = desk.work.groups[shown.group].len();
    // A button has one value, so that a reason by one key needs a form of its own.
    let because = |key: &str, reason: Reason, text: &str| {
        html! {
            form method="post" action=(here) {
                input type="hidden" name="reason" value=(reason.as_str());
                (button(key, "same", "keep", text))
            }
        }
    };
    html! {
        div.buttons {
            form method="post" action=(here) { (button("s", "same", "keep", "same")) }
            (because("c", Reason::Crop, "cropped"))
            (because("b", Reason::Burst, "series"))
            (because("o", Reason::SameObject, "object"))
        }
        form method="post" action=(here) {
            div.buttons {
                (button("d", "different", "remove", "different"))
                (button("u", "unsure", "", "unsure"))
                @if undo { (button("z", "undo", "", "undo")) }
                @if members > 2 && open > 1 {
                    @let of_group = desk.work.pairs.iter().filter(|one| one.group == shown.group).count();
                    @let what = match open == of_group {
                        true => format!("all {members} are the same: {open} pairs"),
                        false => format!("same: the {open} pairs of the group that are left"),
                    };
                    (button("a", "all", "keep", what))
                }
            }
        }
        form.more method="post" action=(here) {
            select name="reason" data-focus="w" aria-label="why" {
                option value="" { "the usual reason" }
                @for (code, text) in &REASONS { option value=(code.as_str()) { (text) } }
            }
            input name="note" placeholder="note" maxlength="500" aria-label="note";
            button name="what" value="same" { kbd { "w" } "same" }
            button name="what" value="different" { "different" }
            button name="what" value="unsure" { "unsure" }
        }
        (nav(desk, at))
    }
}

/// What follows for the splits.
fn effects(desk: &Desk<NearPairs>, shown: &Shown) -> Markup {
    let splits = [shown.a, shown.b].map(|at| desk.subject.images[at].split);
    let Effects { same, different, unsure } = Effects::of(desk.work.division.as_ref(), splits);
    html! {
        h2 { "in a recipe whose [split] pairs names " b { (desk.path.display()) } }
        dl.effects {
            dt { "same" } dd { (same) }
            dt { "different" } dd { (different) }
            dt { "unsure" } dd { (unsure) }
        }
    }
}

/// The images of the group, if there are more than two.
fn group(desk: &Desk<NearPairs>, shown: &Shown) -> Markup {
    let places = &desk.work.groups[shown.group];
    let more = places.len().saturating_sub(MEMBERS);
    html! {
        @if places.len() > 2 {
            section {
                h2 { "all " (places.len()) " of this group" }
                div.row {
                    @for &at in places.iter().take(MEMBERS) {
                        @let item = &desk.subject.images[at];
                        figure.member.of-pair[at == shown.a || at == shown.b] {
                            (desk.picture(at, "small"))
                            figcaption {
                                @if at == shown.a { "1 · " } @else if at == shown.b { "2 · " }
                                @if let Some(split) = item.split { (split) " · " }
                                @if let Some(class) = &item.class { (class) }
                            }
                        }
                    }
                }
                @if more > 0 { p.dim { "and " (more) " more" } }
            }
        }
    }
}

/// The pairs about which reviewers differ.
pub(in crate::review) fn disputed(desk: &Desk<NearPairs>, differ: &[usize]) -> Markup {
    html! {
        @if !differ.is_empty() {
            p.harm { "The reviewers differ about " (count(differ.len(), "pair")) ", which stops a build:" }
            ul {
                @for &at in differ {
                    li { a href=(desk.address(at + 1)) { (at + 1) } " " span.dim { (desk.work.pairs[at].pair) } }
                }
            }
        }
    }
}
