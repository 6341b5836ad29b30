//! The page of `isn diff --html`: one file, no scripts, nothing fetched.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::change::line;
use isn_format::error::count;
use isn_registry::ops::diff::{Change, DiffReport, Kind, Place};

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

/// The page.
pub(in crate::cli) fn page(report: &DiffReport) -> String {
    let title = format!("{} → {}", named(&report.old), named(&report.new));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{0}</title>\n<style>\n{STYLE}\n</style></head><body>\n<h1>{0}</h1>\n",
        escaped(&title)
    );
    let (before, after) = report.images;
    let _ = writeln!(
        html,
        "<p><span class=\"old\">−</span> <code>{}</code>, {}<br><span class=\"new\">+</span> <code>{}</code>, {}</p>",
        escaped(&report.old),
        count(before, "image"),
        escaped(&report.new),
        count(after, "image")
    );
    if report.is_same() {
        html += "<p>No image, label, split or class differs.</p>\n";
    }
    let mut classes = String::new();
    for (sign, style, ids) in [("+", "new", &report.classes_added), ("−", "old", &report.classes_removed)] {
        for id in ids {
            let _ =
                writeln!(classes, "<li class=\"{style}\">{sign} <code>{}</code></li>", escaped(id.as_str()));
        }
    }
    for (id, was, is) in &report.classes_renamed {
        let (id, was, is) = (escaped(id.as_str()), escaped(was), escaped(is));
        let _ = writeln!(classes, "<li><code>{id}</code> {was} → {is}</li>");
    }
    if !classes.is_empty() {
        let _ = write!(html, "<h2>Classes</h2>\n<ul>\n{classes}</ul>\n");
    }
    for kind in Kind::ALL {
        let changes: Vec<&Change> = report.of(kind).collect();
        if changes.is_empty() {
            continue;
        }
        let _ =
            write!(html, "<h2>{}: {}</h2>\n<ul class=\"cards\">\n", capital(kind.as_str()), changes.len());
        changes.into_iter().for_each(|change| html += &card(report, change, kind));
        html += "</ul>\n";
    }
    html + "</body></html>\n"
}

fn card(report: &DiffReport, change: &Change, kind: Kind) -> String {
    let mut html = format!("<li><code>{}</code>", escaped(&line(change, kind)));
    let figure = |style: &str, place: &Place, picture: &Option<Vec<u8>>| {
        let picture = match picture {
            Some(bytes) => format!(
                "<img src=\"data:image/jpeg;base64,{}\" alt=\"{}\">",
                STANDARD.encode(bytes),
                escaped(&place.path)
            ),
            None => "no picture".into(),
        };
        let label = report.labels.get(&place.class).map_or("", String::as_str);
        let caption = format!("{} · {} {label}", place.split, place.class);
        let caption = escaped(caption.trim_end());
        format!("<figure><div>{picture}</div><figcaption class=\"{style}\">{caption}</figcaption></figure>")
    };
    html += "<div class=\"pair\">";
    for (style, place, picture) in
        [("old", &change.old, &change.pictures.0), ("new", &change.new, &change.pictures.1)]
    {
        html += &place.as_ref().map(|place| figure(style, place, picture)).unwrap_or_default();
    }
    html += "</div>";
    if !change.reasons.is_empty() {
        let reasons: String =
            change.reasons.iter().map(|reason| format!("<li>{}</li>", escaped(reason))).collect();
        let _ = write!(html, "<ul class=\"why\">{reasons}</ul>");
    }
    html + "</li>\n"
}

/// A pin or folder without its hash.
fn named(what: &str) -> &str {
    what.split('#').next().unwrap_or(what)
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c => out.push(c),
        }
    }
    out
}
