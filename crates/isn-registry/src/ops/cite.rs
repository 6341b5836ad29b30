//! `isn cite`: cites a version so that a reader gets the same bytes.

use super::recipe;
use crate::client::Client;
use crate::client::version_at::VersionAt;
use crate::identity::Identity;
use crate::registry::BUNDLED;
use crate::steps::unsigned;
use crate::transport;
use crate::tree_file::Lists;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::recipe::Recipe;
use isn_format::text::{line_of_several, one_line, quoted};
use isn_format::tree::Origin;

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
    pub pin: String,
    /// The text, with a final line feed.
    pub text: String,
    /// Warnings for the user, for example that the version is yanked.
    pub warnings: Vec<String>,
    /// The parts of the version that no signature covers.
    pub unsigned: &'static [&'static str],
}

/// Cites a version, or a build. A tree is cited as the version that it is of.
///
/// # Errors
/// Those of describing the version; those of [`Identity::whole`]; [`Error::Invalid`] for a tree that nobody
/// has released and that was not built by a recipe in the binary: it does not say who made it.
pub fn cite(client: &Client, version: &VersionAt, format: CitationFormat) -> Result<Citation> {
    let runtime = transport::runtime()?;
    let head = match version.tree()? {
        Some(lists) => match lists.pin() {
            Some(pin) => runtime.block_on(VersionAt::Registry(pin).head(client))?,
            None => {
                let it = by_recipe(client, version, lists)?;
                let text = citation(&it, format);
                return Ok(Citation { text, pin: it.pin, warnings: Vec::new(), unsigned: &[] });
            }
        },
        None => runtime.block_on(version.head(client))?,
    };
    let (it, unsigned) = (head.identity(), head.unsigned());
    it.whole()?;
    let warnings = head.warnings.into_iter().chain(unsigned::notice(unsigned)).collect();
    Ok(Citation { text: citation(&it, format), pin: it.pin, warnings, unsigned })
}

/// Returns what the recipe in the binary says of a tree that nobody has released, if it was built by that.
fn by_recipe(client: &Client, tree: &VersionAt, lists: Lists) -> Result<Identity> {
    let Lists { origin, images, .. } = lists;
    let what = match tree {
        VersionAt::Folder(folder) => folder.display().to_string(),
        VersionAt::Registry(reference) => reference.to_string(),
    };
    let blake3 = match &origin {
        Origin::Unreleased(built) => built.recipe.blake3.clone(),
        Origin::Released(_) => String::new(),
    };
    let it = Identity::of_tree(&what, origin, images)?;
    it.whole()?;
    let bundled = Client { locations: vec![BUNDLED.into()], ..client.clone() };
    let by = recipe::of_dataset(&bundled, &it.name).ok().map(|found| found.recipe);
    let by = by.filter(|found| Digest::of(found.text.as_bytes()).prefixed() == blake3);
    let recipe = by.map(|found| found.recipe).ok_or_else(|| {
        let why = "does not say who made it, and was built by none of the recipes in this isn: cite the build \
                   that it is from";
        Error::invalid(what, why)
    })?;
    let Recipe { description, authors, citation, .. } = recipe;
    Ok(Identity { description, authors, citation, ..it })
}

/// Returns the text that cites a version.
pub fn citation(it: &Identity, format: CitationFormat) -> String {
    match format {
        CitationFormat::Bibtex => bibtex(it),
        CitationFormat::Plain => plain(it),
        CitationFormat::Cff => cff(it),
    }
}

fn bibtex(it: &Identity) -> String {
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
    let authors: Vec<String> = it.authors.iter().map(|author| format!("{{{}}}", escape(author))).collect();
    format!(
        "@misc{{{name}-{version},\n  title        = {{{{{title}, version {version}}}}},\n{authors}  \
         howpublished = {{\\texttt{{{pin}}}}},\n  note         = {{{images} images; dataset hash {hash}: BLAKE3 of the file B3SUMS}}\n}}\n",
        name = it.name,
        version = it.version_text(),
        title = escape(&it.title),
        authors = match authors.join(" and ") {
            authors if authors.is_empty() => authors,
            authors => format!("  author       = {{{authors}}},\n"),
        },
        pin = escape(&it.pin),
        images = it.images,
        hash = it.dataset.prefixed(),
    ) + &it.citation.as_deref().map(aside).unwrap_or_default()
}

/// Turns a citation into comment lines beside the entry. BibTeX ignores text outside entries except for `@`,
/// which would start another entry.
fn aside(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| line_of_several(line).replace('@', "(at)")).collect();
    format!("% and: {}\n", lines.join("\n% "))
}

fn plain(it: &Identity) -> String {
    let citation = it.citation.as_deref().unwrap_or_default();
    let text = format!(
        "{}. {}, version {}. {} images. {}. {citation}",
        it.authors.join(", "),
        it.title,
        it.version_text(),
        it.images,
        it.pin
    );
    // A part may contain line breaks; a sentence has none.
    text.split_whitespace().collect::<Vec<_>>().join(" ") + "\n"
}

fn cff(it: &Identity) -> String {
    let quote = quoted;
    let authors: String = it.authors.iter().map(|author| format!("  - name: {}\n", quote(author))).collect();
    format!(
        "cff-version: 1.2.0\nmessage: {message}\ntype: dataset\ntitle: {title}\nversion: {version}\nabstract: {description}\n\
         authors:\n{authors}identifiers:\n  - type: other\n    value: {pin}\n    description: {what}\n",
        message = quote("If you use this dataset, cite it with its pin."),
        title = quote(&it.title),
        version = quote(&it.version_text()),
        description = quote(&it.description),
        pin = quote(&it.pin),
        what = quote("Dataset hash: BLAKE3 of the file B3SUMS, see docs/verify.md of isn"),
    )
}
