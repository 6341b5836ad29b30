//! `isn cite`: cites a version so that a reader gets the same bytes.

use super::info::info;
use crate::client::Client;
use crate::steps::unsigned;
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::Result;
use isn_format::manifest::Manifest;
use isn_format::text::{line_of_several, one_line, quoted};

/// The forms of a citation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CitationFormat {
    /// A BibTeX entry.
    Bibtex,
    /// A sentence.
    Plain,
    /// A `CITATION.cff` (Citation File Format 1.2.0).
    Cff,
}

/// A citation.
pub struct Citation {
    /// The pin of the version.
    pub pin: DatasetRef,
    /// The text, with a final line feed.
    pub text: String,
    /// Warnings for the user, for example that the version is yanked.
    pub warnings: Vec<String>,
    /// The parts of the version that no signature covers.
    pub unsigned: &'static [&'static str],
}

/// Cites the version that `reference` names.
///
/// # Errors
/// Those of [`info`].
pub fn cite(client: &Client, reference: &DatasetRef, format: CitationFormat) -> Result<Citation> {
    let head = info(client, reference)?.snapshot.head;
    let unsigned = head.unsigned();
    let warnings = head.warnings.into_iter().chain(unsigned::notice(unsigned)).collect();
    let text = citation(&head.manifest, format);
    Ok(Citation { pin: head.manifest.pin(), text, warnings, unsigned })
}

/// Returns the text that cites a version.
pub fn citation(manifest: &Manifest, format: CitationFormat) -> String {
    match format {
        CitationFormat::Bibtex => bibtex(manifest),
        CitationFormat::Plain => plain(manifest),
        CitationFormat::Cff => cff(manifest),
    }
}

fn bibtex(manifest: &Manifest) -> String {
    let escape = |text: &str| -> String {
        let special = |c: char| match c {
            '\\' => "\\textbackslash{}".to_string(),
            '~' => "\\textasciitilde{}".to_string(),
            '^' => "\\textasciicircum{}".to_string(),
            // BibTeX counts braces whether or not there is a backslash before them.
            '{' => "\\textbraceleft{}".to_string(),
            '}' => "\\textbraceright{}".to_string(),
            '$' | '&' | '#' | '%' | '_' => format!("\\{c}"),
            _ => c.to_string(),
        };
        one_line(text).chars().map(special).collect()
    };
    // Braces keep an author of several words ("the isn developers") from being read as first and last name.
    let authors: Vec<String> =
        manifest.authors.iter().map(|author| format!("{{{}}}", escape(author))).collect();
    format!(
        "@misc{{{name}-{version},\n  title        = {{{{{title}, version {version}}}}},\n  author       = {{{authors}}},\n  \
         howpublished = {{\\texttt{{{pin}}}}},\n  note         = {{{images} images; dataset hash {hash}: BLAKE3 of the file B3SUMS}}\n}}\n",
        name = manifest.name,
        version = manifest.version,
        title = escape(&manifest.title),
        authors = authors.join(" and "),
        pin = escape(&manifest.pin().to_string()),
        images = manifest.images,
        hash = manifest.dataset.prefixed(),
    ) + &manifest.citation.as_deref().map(aside).unwrap_or_default()
}

/// Turns a citation into comment lines beside the entry. BibTeX ignores text outside entries except for `@`,
/// which would start another entry.
fn aside(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| line_of_several(line).replace('@', "(at)")).collect();
    format!("% and: {}\n", lines.join("\n% "))
}

fn plain(manifest: &Manifest) -> String {
    let citation = manifest.citation.as_deref().unwrap_or_default();
    let text = format!(
        "{}. {}, version {}. {} images. {}. {citation}",
        manifest.authors.join(", "),
        manifest.title,
        manifest.version,
        manifest.images,
        manifest.pin()
    );
    // A part may contain line breaks; a sentence has none.
    text.split_whitespace().collect::<Vec<_>>().join(" ") + "\n"
}

fn cff(manifest: &Manifest) -> String {
    let quote = quoted;
    let authors: String =
        manifest.authors.iter().map(|author| format!("  - name: {}\n", quote(author))).collect();
    format!(
        "cff-version: 1.2.0\nmessage: {message}\ntype: dataset\ntitle: {title}\nversion: {version}\nabstract: {description}\n\
         authors:\n{authors}identifiers:\n  - type: other\n    value: {pin}\n    description: {what}\n",
        message = quote("If you use this dataset, cite it with its pin."),
        title = quote(&manifest.title),
        version = quote(&manifest.version.to_string()),
        description = quote(&manifest.description),
        pin = quote(&manifest.pin().to_string()),
        what = quote("Dataset hash: BLAKE3 of the file B3SUMS, see docs/verify.md of isn"),
    )
}
