//! [`Sheet`]: a contact sheet of an audit, as one HTML file that can be viewed, passed on and kept. It
//! contains its pictures, needs no other file and has no script, and text from elsewhere cannot become
//! markup.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::html::{data_uri, written};

/// A picture of a sheet, with its caption.
#[derive(Clone, Debug, Default)]
pub struct Figure {
    /// A JPEG or PNG. Without one, a box is shown instead.
    pub picture: Option<Vec<u8>>,
    /// Its name, shown under the picture and used as alternative text.
    pub name: String,
    /// Facts about the picture as names and values, one line each: `class`, `split`, …
    pub facts: Vec<(String, String)>,
}

/// A sheet in progress. Everything that is added is text, never markup.
pub struct Sheet {
    title: String,
    parts: Vec<Markup>,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8886;--dim:#666}\
@media(prefers-color-scheme:dark){:root{--dim:#aaa}}\
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:80rem;padding:0 1rem}\
h1{font-size:1.4rem}h2{font-size:1.15rem;margin-top:2.5rem;border-bottom:1px solid var(--line)}\
p{max-width:60rem}\
section{margin:1rem 0;padding:.75rem;border:1px solid var(--line);border-radius:6px;break-inside:avoid}\
section>h3{font-size:1rem;margin:0 0 .5rem}\
.row{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start}\
figure{margin:0;width:13rem}\
figure img,figure .none{max-width:13rem;max-height:13rem;background:#888;outline:1px solid var(--line);display:block}\
figure .none{height:8rem;width:13rem;line-height:8rem;text-align:center;color:#fff;background:#666}\
figcaption{font-size:.8rem;overflow-wrap:anywhere;margin-top:.3rem}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:0 .6rem;margin:.15rem 0}\
dt{color:var(--dim)}dd{margin:0}\
li{max-width:60rem;margin:.4rem 0}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.2rem .8rem;border-bottom:1px solid var(--line);text-align:right}\
th:first-child{text-align:left;font-weight:normal}thead th{color:var(--dim)}";

// Should a page contain a script or a request after all, this keeps it from running.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

impl Sheet {
    /// Makes an empty sheet.
    pub fn new(title: &str) -> Self {
        Sheet { title: title.into(), parts: Vec::new() }
    }

    /// Adds a second-level heading.
    pub fn heading(&mut self, text: &str) {
        self.parts.push(html! { h2 { (text) } });
    }

    /// Adds a second-level heading, to which links of this page lead.
    pub(crate) fn section(&mut self, id: &str, text: &str) {
        self.parts.push(html! { h2 id=(id) { (text) } });
    }

    /// Adds steps, each with the section that it is about, what was found and what to do.
    pub(crate) fn steps<'s>(&mut self, steps: impl Iterator<Item = (&'s str, &'s str, &'s str)>) {
        self.parts.push(html! {
            ol {
                @for (id, found, next) in steps {
                    li { a href={ "#" (id) } { (found) } ": " (next) }
                }
            }
        });
    }

    /// Adds a table. The cells of its first column are the names of the rows.
    pub(crate) fn table(&mut self, heads: &[String], rows: &[Vec<String>]) {
        self.parts.push(html! {
            table {
                thead { tr { @for head in heads { th scope="col" { (head) } } } }
                tbody {
                    @for row in rows {
                        tr {
                            @for (at, cell) in row.iter().enumerate() {
                                @if at == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                            }
                        }
                    }
                }
            }
        });
    }

    /// Adds a paragraph.
    pub(crate) fn paragraph(&mut self, text: &str) {
        self.parts.push(html! { p { (text) } });
    }

    /// Adds pictures that belong together, under a title if it is not empty.
    pub fn group(&mut self, title: &str, figures: &[Figure]) {
        self.parts.push(html! {
            section {
                @if !title.is_empty() { h3 { (title) } }
                div.row {
                    @for figure in figures {
                        figure {
                            @if let Some(picture) = &figure.picture {
                                img src=(data_uri(picture)) alt=(figure.name);
                            } @else {
                                div.none { "no picture" }
                            }
                            figcaption {
                                (figure.name)
                                dl {
                                    @for (fact, value) in &figure.facts { dt { (fact) } dd { (value) } }
                                }
                            }
                        }
                    }
                }
            }
        });
    }

    /// Returns the HTML file.
    pub fn finish(self) -> Vec<u8> {
        let page = html! {
            (DOCTYPE) "\n"
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width";
                    title { (self.title) }
                    // This is a constant, not text from elsewhere.
                    style { (PreEscaped(STYLE)) }
                }
                "\n"
                body {
                    h1 { (self.title) } "\n"
                    @for part in &self.parts { (part) "\n" }
                }
            }
            "\n"
        };
        written(&page).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_added_becomes_markup() {
        let evil = "</style></title><script>alert('1')</script>\" onerror=\"x\u{1b}[31m &amp;";
        let mut sheet = Sheet::new(evil);
        sheet.heading(evil);
        sheet.paragraph(evil);
        let facts = vec![(evil.to_string(), evil.to_string())];
        let figure = Figure { picture: Some(b"\x89PNG".to_vec()), name: evil.into(), facts: facts.clone() };
        sheet.group(evil, &[figure, Figure { picture: None, name: evil.into(), facts }]);
        let html = String::from_utf8(sheet.finish()).unwrap();
        assert!(
            !html.contains("<script") && !html.contains("\" onerror") && !html.contains('\u{1b}'),
            "{html}"
        );
        assert_eq!(html.matches("&lt;script&gt;").count(), 12, "{html}");
        assert!(html.contains("data:image/png;base64,iVBORw==") && html.contains("&amp;amp;"));
    }
}
