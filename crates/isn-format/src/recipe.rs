//! [`Recipe`]: how a version is made from its source. A recipe is TOML, format `isn-recipe/1` or
//! `isn-recipe/2`.

mod care;
mod division;
mod source;
mod table;

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use self::care::{CorrectionsSpec, Gates, Rebuilders};
pub use self::division::{Balance, Draw, Earlier, SplitPolicy, SplitSpec};
use self::source::Classes;
use self::table::{Field, Mistakes, Table};
use crate::class::{Class, ClassId, check_label};
use crate::dataset_ref::{Name, Version, VersionId};
use crate::error::{Error, Result};
use crate::ilsvrc2012;
use crate::ledger;
use crate::pixel_spec::{Encoding, ExifOrientation, Filter, PixelSpec, Small};
use crate::rel_path::check_segment;
use crate::source_kind::SourceKind;
use crate::source_spec::SourceSpec;
use crate::split::Split;
use crate::text::check_toml;

/// A format of recipes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edition {
    /// `isn-recipe/1`.
    One,
    /// `isn-recipe/2`: a build needs the whole source.
    Two,
}

/// The formats that this isn reads, by their names.
const FORMATS: [(&str, Edition); 2] = [("isn-recipe/1", Edition::One), ("isn-recipe/2", Edition::Two)];

/// The maximum length of a recipe, in bytes: ten times what all 21,841 classes of ImageNet need.
pub const MAX_LEN: u64 = 16 << 20;
/// The maximum length of a text whose mistakes of syntax are all looked for, in bytes: more than a recipe of
/// ImageNet's 1,000 classes has.
const MAX_RECOVERABLE: usize = 128 << 10;

/// The maximum shortest side, in pixels.
pub const MAX_SIZE: u32 = 4096;

/// Everything that determines a version except the source images.
///
/// ```
/// use isn_format::error::Error;
/// use isn_format::recipe::Recipe;
///
/// let text = r#"
/// format = "isn-recipe/1"
/// name = "insects"
/// version = "1.0"
/// title = "Insects"
/// description = "Ants and bees."
/// licence = "CC0-1.0"
/// authors = ["A. Curator"]
/// source = { kind = "imagefolder" }
/// image = { size = 160 }
/// split = { policy = "pool", val = 0.2, salt = "insects" }
/// class = [{ id = "bee", label = "bee" }, { id = "ant", label = "ant" }]
/// "#;
/// let recipe = Recipe::parse("recipe.toml", text)?;
/// assert_eq!(recipe.classes[0].id.as_str(), "ant");
///
/// // Every mistake is reported, with its line.
/// let wrong = text.replace("160", "0").replace("0.2", "2");
/// let Err(Error::Mistakes { mistakes, .. }) = Recipe::parse("recipe.toml", &wrong) else { panic!() };
/// assert_eq!(mistakes.iter().map(|mistake| mistake.line).collect::<Vec<_>>(), [Some(10), Some(11)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// The format.
    pub edition: Edition,
    /// The dataset.
    pub name: Name,
    /// The version.
    pub version: Version,
    /// The dataset's name for people.
    pub title: String,
    /// A description of a few sentences.
    pub description: String,
    /// The terms under which it may be used.
    pub licence: String,
    /// What to cite besides the dataset, if anything.
    pub citation: Option<String>,
    /// The authors; at least one.
    pub authors: Vec<String>,
    /// The source: its kind and its folders.
    pub source: SourceSpec,
    /// How images are processed.
    pub image: PixelSpec,
    /// How images are divided into splits.
    pub split: SplitSpec,
    /// The maximum number of images per class.
    pub balance: Balance,
    /// The ledger, and how it becomes corrections.
    pub corrections: Option<CorrectionsSpec>,
    /// The conditions for publishing the version.
    pub gates: Gates,
    /// The classes, sorted by the bytes of their ids; at least one.
    pub classes: Vec<Class>,
    /// How many images of some classes the whole source has in a split.
    expect: Expect,
}

impl Recipe {
    /// Returns the name and version that it makes.
    pub fn id(&self) -> VersionId {
        VersionId { name: self.name.clone(), version: self.version }
    }

    /// Returns how many images of a class the whole source has in a split; `None` if that is not known.
    pub fn expected(&self, class: &ClassId, split: Split) -> Option<u64> {
        match (self.source.kind, split) {
            (SourceKind::Ilsvrc2012, Split::Train) => ilsvrc2012::train_count(class.as_str()).map(u64::from),
            (SourceKind::Ilsvrc2012, Split::Val) => Some(ilsvrc2012::VAL_PER_CLASS.into()),
            (SourceKind::Ilsvrc2012, Split::Test) => None,
            (SourceKind::ImageFolder | SourceKind::List, split) => {
                self.expect.get(&(class.clone(), split)).copied()
            }
        }
    }

    /// Whether a build must refuse a source that is not whole.
    pub fn needs_whole(&self) -> bool {
        self.edition >= Edition::Two
    }

    /// Whether the version must have val images: the recipe draws some, and its gates do not say
    /// `val_min = 0`.
    pub fn needs_val(&self) -> bool {
        self.gates.val_min > 0 && self.split.policy.draw().is_some()
    }

    /// Reads a recipe.
    ///
    /// # Errors
    /// [`Error::Mistakes`], naming `what`, with up to 1,000 mistakes and their lines: unknown and missing
    /// keys, wrong types and values, classes that occur twice. [`Error::Invalid`] if it is longer than
    /// [`MAX_LEN`], or would take far more memory than a recipe.
    pub fn parse(what: &str, text: &str) -> Result<Recipe> {
        if text.len() as u64 > MAX_LEN {
            return Err(Error::invalid(what, format!("is longer than {MAX_LEN} bytes")));
        }
        check_toml(text).map_err(|why| Error::invalid(what, why))?;
        let first = text.lines().next().unwrap_or_default();
        if [ledger::HEADER, ledger::OLD_HEADER].contains(&first) {
            return Err(Error::invalid(what, "is a ledger, not a recipe: name the recipe's file"));
        }
        let mistakes = Mistakes::new(text);
        // Each byte of a long text may be a mistake, which takes 200 bytes, so only the first is looked for.
        if let (true, Err(first)) = (text.len() > MAX_RECOVERABLE, DeTable::parse(text)) {
            mistakes.at(&first.span().unwrap_or_default(), first.message());
            return Err(mistakes.into_error(what));
        }
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            mistakes.at(&error.span().unwrap_or_default(), error.message());
        }
        // A duplicate key hides nothing; after other syntax errors, mistakes found in the rest would be
        // misleading.
        let whole = errors.iter().all(|error| error.message() == "duplicate key");
        let recipe = whole.then(|| read(&document, &mistakes)).flatten();
        match recipe {
            Some(recipe) if mistakes.is_empty() => Ok(recipe),
            _ => Err(mistakes.into_error(what)),
        }
    }
}

/// Reads as much as possible and reports every mistake to `mistakes`. `None` is returned only after a mistake
/// was reported.
fn read(document: &Spanned<DeTable<'_>>, mistakes: &Mistakes<'_>) -> Option<Recipe> {
    const KEYS: [&str; 15] = [
        "format",
        "name",
        "version",
        "title",
        "description",
        "licence",
        "citation",
        "authors",
        "source",
        "image",
        "split",
        "balance",
        "corrections",
        "gates",
        "class",
    ];
    let top = Table::new("", 0..0, document.get_ref(), &KEYS, mistakes);
    // Every field is read before the first `?`, so that every mistake is reported.
    let edition = top.need("format").and_then(|field| field.choice(&FORMATS));
    let name = top.need("name").and_then(|field| field.parse());
    let version = top.need("version").and_then(|field| field.parse());
    let title = top.need("title").and_then(|field| field.text(check_label));
    let description = top.need("description").and_then(|field| prose(&field));
    let licence = top.need("licence").and_then(|field| prose(&field));
    let citation = top.get("citation").map(|field| prose(&field));
    let authors = top.need("authors").and_then(|field| authors(&field));
    let source = top.need("source").and_then(|field| source::source(&field, edition));
    let image = top.need("image").and_then(|field| image(&field));
    let split = top.need("split").and_then(|field| division::split(&field, edition, version));
    let balance = top.get("balance").map(|field| division::balance(&field));
    let corrections = top.get("corrections").map(|field| care::corrections(&field, edition));
    let gates = top.get("gates").map(|field| care::gates(&field, edition));
    let kind = source.as_ref().map(|source| source.kind);
    let classes = top.need("class").and_then(|field| source::classes(&field, kind, edition));
    let Classes { all: classes, expect, folders } = classes?;
    Some(Recipe {
        edition: edition?,
        name: name?,
        version: version?,
        title: title?.into(),
        description: description?,
        licence: licence?,
        citation: citation.map_or(Some(None), |read| read.map(Some))?,
        authors: authors?,
        source: SourceSpec { folders, ..source? },
        image: image?,
        split: split?,
        balance: balance.unwrap_or_else(|| Some(Balance::default()))?,
        corrections: corrections.map_or(Some(None), |read| read.map(Some))?,
        gates: gates.unwrap_or_else(|| Some(Gates::default()))?,
        classes,
        expect,
    })
}

/// Reads a text of one or more lines. A file with the line ends of Windows has the same text.
fn prose(field: &Field<'_, '_>) -> Option<String> {
    field.text(check_prose).map(|text| text.replace("\r\n", "\n"))
}

fn check_prose(text: &str) -> Result<(), &'static str> {
    if text.trim().is_empty() {
        return Err("is empty");
    }
    if text.replace("\r\n", "\n").chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err("has a control character");
    }
    Ok(())
}

fn authors(field: &Field<'_, '_>) -> Option<Vec<String>> {
    let elements = field.elements()?;
    if elements.is_empty() {
        field.wrong("is empty: name at least one");
    }
    elements.iter().map(|author| field.element(author).text(check_label).map(Into::into)).collect()
}

fn image(field: &Field<'_, '_>) -> Option<PixelSpec> {
    let table = field.table("[image]", &["size", "filter", "encode", "small", "exif_orientation"])?;
    let size = table.need("size").and_then(|field| field.number(1..=MAX_SIZE));
    let filter = match table.get("filter") {
        Some(field) => field.choice(&[("catmullrom", Filter::CatmullRom), ("bilinear", Filter::Bilinear)]),
        None => Some(Filter::CatmullRom),
    };
    let encode = match table.get("encode") {
        Some(field) => encoding(&field),
        None => Some(Encoding::Png),
    };
    let small = match table.get("small") {
        Some(field) => {
            field.choice(&[("keep", Small::Keep), ("upscale", Small::Upscale), ("drop", Small::Drop)])
        }
        None => Some(Small::Keep),
    };
    let exif_orientation = match table.get("exif_orientation") {
        Some(field) => {
            field.choice(&[("ignore", ExifOrientation::Ignore), ("apply", ExifOrientation::Apply)])
        }
        None => Some(ExifOrientation::Ignore),
    };
    Some(PixelSpec {
        size: size?,
        filter: filter?,
        encode: encode?,
        small: small?,
        exif_orientation: exif_orientation?,
    })
}

/// `"png"` or `{ jpeg = 95 }`.
fn encoding(field: &Field<'_, '_>) -> Option<Encoding> {
    match field.value {
        DeValue::String(text) if text == "png" => Some(Encoding::Png),
        DeValue::Table(_) => {
            let quality =
                field.table("[image] encode", &["jpeg"])?.need("jpeg").and_then(|f| f.number(1..=100))?;
            // At most 100, so it fits.
            Some(Encoding::Jpeg { quality: quality as u8 })
        }
        _ => {
            field.wrong("must be \"png\" or { jpeg = QUALITY }");
            None
        }
    }
}

/// Reads the name of a file in the recipe's folder.
fn file_beside(field: &Field<'_, '_>) -> Option<String> {
    let name = field.text(|_| Ok(()))?;
    if let Err(why) = check_segment(name) {
        field.wrong(format_args!("must be the name of a file beside the recipe: it {why}"));
        return None;
    }
    Some(name.into())
}

/// How many images of some classes the whole source has in a split.
type Expect = BTreeMap<(ClassId, Split), u64>;

#[cfg(test)]
mod tests;
