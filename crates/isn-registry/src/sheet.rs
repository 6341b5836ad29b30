//! [`Sheet`]: a contact sheet, one HTML file that needs nothing else: pictures are in it, there is no script, and no text
//! of others can become markup. For an audit to be looked at, passed on and kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// `text` so that HTML shows it as it is, in an element or in a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // No control character is of use in a page, and HTML forbids most.
            c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A picture as the address of an `<img>`, with all of it inside.
pub fn data_uri(picture: &[u8]) -> String {
    let kind = if picture.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" };
    format!("data:{kind};base64,{}", STANDARD.encode(picture))
}

/// A picture of a sheet with what is said of it.
#[derive(Clone, Debug, Default)]
pub struct Figure {
    /// A JPEG or PNG; without, a box stands in its place.
    pub picture: Option<Vec<u8>>,
    /// Which it is; stands under it and is its alternative text.
    pub name: String,
    /// What is known of it, each with its value, a line each: `class`, `split`, …
    pub facts: Vec<(String, String)>,
}

/// A sheet in the making. Everything that is added is text, never markup.
pub struct Sheet {
    html: String,
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
dt{color:var(--dim)}dd{margin:0}";

impl Sheet {
    /// An empty sheet.
    pub fn new(title: &str) -> Self {
        let title = escape(title);
        // A page that has a script after all, or asks for anything, is held back by this.
        let policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
        Sheet {
            html: format!(
                "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
                 <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
                 <meta name=\"viewport\" content=\"width=device-width\">\n\
                 <title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
            ),
        }
    }

    /// A heading of the second order.
    pub fn heading(&mut self, text: &str) {
        self.html += &format!("<h2>{}</h2>\n", escape(text));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.html += &format!("<p>{}</p>\n", escape(text));
    }

    /// Pictures that belong together, under a title of their own if it is not empty.
    pub fn group(&mut self, title: &str, figures: &[Figure]) {
        self.html += "<section>";
        if !title.is_empty() {
            self.html += &format!("<h3>{}</h3>", escape(title));
        }
        self.html += "<div class=\"row\">";
        for figure in figures {
            let name = escape(&figure.name);
            let picture = match &figure.picture {
                Some(picture) => format!("<img src=\"{}\" alt=\"{name}\">", data_uri(picture)),
                None => "<div class=\"none\">no picture</div>".into(),
            };
            self.html += &format!("<figure>{picture}<figcaption>{name}<dl>");
            for (fact, value) in &figure.facts {
                self.html += &format!("<dt>{}</dt><dd>{}</dd>", escape(fact), escape(value));
            }
            self.html += "</dl></figcaption></figure>";
        }
        self.html += "</div></section>\n";
    }

    /// The file.
    pub fn finish(mut self) -> Vec<u8> {
        self.html += "</body></html>\n";
        self.html.into_bytes()
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
