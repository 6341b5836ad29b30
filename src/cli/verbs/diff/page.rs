//! The page of `isn diff --html`: one file, without scripts and without anything to fetch.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::change::line;
use isn_format::error::count;
use isn_registry::html::{data_uri, written};
use isn_registry::ops::diff::{Change, DiffReport, Kind, Placement};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--old:#b3261e;--new:#1a7f37}
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin:2rem 0 .6rem}
code{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
ul.cards{list-style:none;margin:0;padding:0;display:grid;gap:.8rem;grid-template-columns:repeat(auto-fill,minmax(23rem,1fr))}
ul.cards>li{border:1px solid var(--line);border-radius:.5rem;padding:.7rem}
.pair{display:flex;gap:.6rem;margin:.5rem 0}
figure{margin:0;flex:1 1 0;min-width:0}
figure div{background:var(--soft);border-radius:.3rem;height:10rem;display:flex;align-items:center;justify-content:center}
img{width:100%;height:100%;object-fit:contain}
figcaption{font-size:13px;overflow-wrap:anywhere}
.old{color:var(--old)}.new{color:var(--new)}
.why{margin:.3rem 0 0;padding-left:1rem;font-size:13px}
@media(prefers-color-scheme:dark){:root{--old:#ff8a80;--new:#7ee787}}";

/// Returns the page.
pub(in crate::cli) fn page(report: &DiffReport) -> String {
    let title = format!("{} → {}", report.old.name, report.new.name);
    let (before, after) = report.images;
    written(&html! {
        (DOCTYPE) "\n"
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { (title) }
                // A constant of this file.
                style { (PreEscaped(STYLE)) }
            }
            "\n"
            body {
                h1 { (title) } "\n"
                p {
                    span.old { "−" } " " code { (report.old) } ", " (count(before, "image")) br;
                    span.new { "+" } " " code { (report.new) } ", " (count(after, "image"))
                }
                "\n"
                @if report.is_same() { p { "No image, label, split or class differs." } "\n" }
                (classes(report))
                @for kind in Kind::ALL {
                    @let changes = report.of(kind).collect::<Vec<_>>();
                    @if !changes.is_empty() {
                        h2 { (capital(kind.as_str())) ": " (changes.len()) } "\n"
                        ul.cards { @for change in changes { (card(report, change, kind)) "\n" } } "\n"
                    }
                }
            }
        }
        "\n"
    })
}

fn classes(report: &DiffReport) -> Markup {
    let (added, removed, renamed) = (&report.classes_added, &report.classes_removed, &report.classes_renamed);
    html! {
        @if !(added.is_empty() && removed.is_empty() && renamed.is_empty()) {
            h2 { "Classes" } "\n"
            ul {
                @for id in added { li.new { "+ " code { (id) } } "\n" }
                @for id in removed { li.old { "− " code { (id) } } "\n" }
                @for (id, was, is) in renamed { li { code { (id) } " " (was) " → " (is) } "\n" }
            }
            "\n"
        }
    }
}

fn card(report: &DiffReport, change: &Change, kind: Kind) -> Markup {
    html! {
        li {
            code { (line(change, kind)) }
            div.pair {
                @if let Some(placement) = &change.old { (figure(report, "old", placement, &change.pictures.0)) }
                @if let Some(placement) = &change.new { (figure(report, "new", placement, &change.pictures.1)) }
            }
            @if !change.reasons.is_empty() {
                ul.why { @for reason in &change.reasons { li { (reason) } } }
            }
        }
    }
}

fn figure(report: &DiffReport, style: &str, placement: &Placement, picture: &Option<Vec<u8>>) -> Markup {
    let label = report.labels.get(&placement.class).map_or("", String::as_str);
    let caption = format!("{} · {} {label}", placement.split, placement.class);
    html! {
        figure {
            div {
                @if let Some(picture) = picture {
                    img src=(data_uri(picture)) alt=(placement.path);
                } @else {
                    "no picture"
                }
            }
            figcaption class=(style) { (caption.trim_end()) }
        }
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use isn_format::digest::Digest;
    use isn_format::split::Split;
    use isn_registry::ops::diff::Compared;

    #[test]
    fn nothing_of_a_report_becomes_markup() {
        let hostile = |field: &str| format!("<script>{field}\"&'\u{1b}");
        let class = || "ant".parse().unwrap();
        let placement = |field| Placement {
            path: hostile(field),
            class: class(),
            split: Split::Train,
            blake3: Digest::of(b""),
        };
        let change = |old, new| Change {
            id: hostile("id"),
            old,
            new,
            same_pixels: Some(true),
            reasons: vec![hostile("reason")],
            pictures: (Some(b"\x89PNG".to_vec()), Some(Vec::new())),
        };
        let mut moved = change(Some(placement("was")), Some(placement("is")));
        moved.new.iter_mut().for_each(|placement| placement.split = Split::Val);
        let report = DiffReport {
            old: Compared { name: hostile("old"), dataset: Digest::of(b"") },
            new: Compared { name: hostile("new"), dataset: Digest::of(b"") },
            images: (1, 2),
            changes: vec![
                change(Some(placement("gone")), None),
                change(None, Some(placement("come"))),
                moved,
            ],
            classes_added: vec![class()],
            classes_removed: vec![class()],
            classes_renamed: vec![(class(), hostile("before"), hostile("after"))],
            labels: [(class(), hostile("label"))].into(),
            warnings: Vec::new(),
            unsigned: &[],
        };
        let page = page(&report);
        for field in ["id", "was", "gone", "come", "reason", "old", "new", "before", "after", "label"] {
            assert!(page.contains(&format!("&lt;script&gt;{field}&quot;&amp;'\u{fffd}")), "{field}: {page}");
            assert!(!page.contains(&format!("{field}\"&")), "{field}: {page}");
        }
        for raw in ["<script", "&'", "\u{1b}"] {
            assert!(!page.contains(raw), "{raw}: {page}");
        }
    }
}
