//! The dataset card of Hugging Face: `README.md`, whose YAML header describes the files and columns.

use super::About;
use isn_format::error::count;
use isn_format::text::{one_line, quoted};

/// Returns the text of the card.
pub(super) fn card(about: &About<'_>) -> String {
    let it = about.identity;
    let names: String = about
        .class_ids()
        .iter()
        .enumerate()
        .map(|(label, id)| format!("          '{label}': {}\n", quoted(id)))
        .collect();
    let splits: String = about
        .splits
        .iter()
        .map(|(split, images, bytes)| {
            format!("  - name: {split}\n    num_bytes: {bytes}\n    num_examples: {images}\n")
        })
        .collect();
    let files: String = about
        .splits
        .iter()
        .map(|(split, ..)| format!("  - split: {split}\n    path: data/{split}-*\n"))
        .collect();
    let labels: String = about
        .classes
        .iter()
        .enumerate()
        .map(|(label, class)| {
            format!(
                "| {label} | `{}` | {} | {} |\n",
                class.id,
                line(&class.label),
                line(class.group.as_deref().unwrap_or(""))
            )
        })
        .collect();
    format!(
        "---\nlicense: other\nlicense_name: {licence}\npretty_name: {title}\ntask_categories:\n- image-classification\n\
         dataset_info:\n  features:\n  - name: image\n    dtype: image\n  - name: label\n    dtype:\n      class_label:\n        names:\n{names}  \
         - name: path\n    dtype: string\n  splits:\n{splits}configs:\n- config_name: default\n  data_files:\n{files}---\n\n\
         # {heading}\n\n{description}\n\n- Pin: `{pin}`\n{doubt}- Licence: {terms}\n- {images} in {classes} classes\n\n\
         | label | class | called | group |\n|---|---|---|---|\n{labels}\n## Citation\n\n```bibtex\n{citation}```\n",
        licence = quoted(it.licence.lines().next().unwrap_or_default()),
        title = quoted(&it.title),
        heading = line(&it.title),
        description = lines(&it.description),
        pin = it.pin,
        doubt = about.doubt.as_ref().map(|doubt| format!("- Unsigned: {doubt}\n")).unwrap_or_default(),
        // Indented, so that all lines belong to the same list item.
        terms = lines(&it.licence).replace('\n', "\n  "),
        images = count(about.splits.iter().map(|(_, images, _)| *images as usize).sum(), "image"),
        classes = about.classes.len(),
        citation = about.citation,
    )
}

/// Escapes a text for Markdown, so that it cannot make HTML, links, headings or code fences.
fn line(text: &str) -> String {
    let mut out = String::new();
    for c in one_line(text.trim()).chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '#' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    // Escapes what would start a list, or turn the line before into a heading.
    let digits = out.bytes().take_while(u8::is_ascii_digit).count();
    if out.starts_with(['-', '+', '=']) {
        out.insert(0, '\\');
    } else if digits > 0 && out[digits..].starts_with(['.', ')']) {
        out.insert(digits, '\\');
    }
    out
}

/// Escapes a text of several lines with [`line()`].
fn lines(text: &str) -> String {
    text.trim().lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_makes_no_html_links_headings_or_fences() {
        for (text, shown) in [
            ("<script>a & b</script>", "&lt;script&gt;a &amp; b&lt;/script&gt;"),
            ("[x](javascript:y) ![z](w)", "\\[x\\](javascript:y) !\\[z\\](w)"),
            ("# x", "\\# x"),
            ("---\nlicense: mit\n---", "\\---\nlicense: mit\n\\---"),
            ("```\n    code", "\\`\\`\\`\ncode"),
            ("===\n1. one", "\\===\n1\\. one"),
            ("a|b\u{202e}", "a\\|b\\\\u{202e}"),
        ] {
            assert_eq!(lines(text), shown);
        }
    }
}
