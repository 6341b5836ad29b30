//! `isn init`: looks at a folder of pictures and writes a recipe for it, with an empty ledger.

mod names;
mod text;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::files;
use crate::progress::{Progress, Unit};
use crate::recipe_file::RECIPE_TOML;
use crate::source::look::{Look, look};
use crate::source::{LeftOut, Source, SourceImage};
use crate::steps::new_folder::new_folder;
use isn_format::class::{Class, ClassId};
use isn_format::dataset_ref::{Name, Version};
use isn_format::error::{Error, Result, count};
use isn_format::ledger;
use isn_format::pixel_spec::ExifOrientation;
use isn_format::recipe::Recipe;
use isn_format::rel_path::RelPath;
use isn_format::source_kind::SourceKind;
use isn_format::source_spec::{Ids, ListSpec, Names, SourceSpec};
use isn_format::split::Split;
use isn_format::text::is_formula;

/// The name of the ledger beside the recipe.
const LEDGER: &str = "corrections.csv";
/// What version control should leave out, beside the recipe.
const IGNORED: &str =
    "# Builds, and what isn was writing when it was killed.\n*-build/\n*.isn-partial/\n*.isn-lock\n";
/// How many images are opened for their sizes.
const SAMPLE: usize = 200;
/// Shortest sides that are proposed, if the images do not have one size.
const SIZES: [u32; 8] = [256, 224, 160, 128, 96, 64, 48, 32];

/// What to look at, and what the user says of it.
pub struct InitOptions<'a> {
    /// The folder of pictures.
    pub source: &'a Path,
    /// The folder to write, if it is not to be `NAME-recipe`.
    pub out: Option<&'a Path>,
    /// The dataset's name, if it is not to be that of the folder.
    pub name: Option<&'a Name>,
    /// The terms of the images.
    pub licence: Option<&'a str>,
}

/// What was found and proposed.
#[derive(Debug, Serialize)]
pub struct InitReport {
    /// The dataset.
    pub name: Name,
    /// The version.
    pub version: Version,
    /// The folder that was written.
    pub out: PathBuf,
    /// The number of images.
    pub images: u64,
    /// The folders of each split, or its words in a list; empty if the source has no splits.
    pub splits: BTreeMap<Split, Vec<String>>,
    /// The list that has the images, if one has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// Its columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// The files that say the classes of a split's images.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotated: BTreeMap<Split, String>,
    /// The classes, in the order of their ids.
    pub classes: Vec<ClassFound>,
    /// `keep` or `hash`.
    pub names: &'static str,
    /// The shortest side, in pixels.
    pub size: u32,
    /// `keep` or `pool`.
    pub policy: &'static str,
    /// Whether the licence is stated, without which `isn publish` refuses the version.
    pub has_licence: bool,
    /// What is no image of a class.
    pub left_out: Vec<LeftOut>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What the columns of a list are taken for.
#[derive(Debug, Serialize)]
pub struct Columns {
    /// That of the paths.
    pub path: String,
    /// That of the labels.
    pub label: String,
    /// That of the splits, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// Those that are not read.
    pub not_read: Vec<String>,
}

/// A class that was found.
#[derive(Debug, Serialize)]
pub struct ClassFound {
    /// The proposed id.
    pub id: ClassId,
    /// The proposed label.
    pub label: String,
    /// The folder of its images, below that of a split, or its word in a list.
    pub folder: String,
    /// The number of its images in each split of the source.
    pub images: BTreeMap<Split, u64>,
    #[serde(skip)]
    group: Option<String>,
}

/// How images are named in the tree, and an example of why not as in the source.
struct Naming {
    names: Names,
    why: String,
}

/// What a sample of the images is like.
struct Sizes {
    /// How many images could be read.
    read: usize,
    /// The least and the greatest of their shortest sides.
    range: (u32, u32),
    /// The shortest side that is proposed.
    size: u32,
    /// Whether a camera says of one that it is to be turned.
    has_turned: bool,
}

/// How images are divided into splits.
struct Division {
    /// The part that is val, if it is drawn.
    val: Option<&'static str>,
    why: String,
    /// Why classes need not have a val image, if one has none.
    lax: Option<String>,
}

/// Looks at a folder of pictures, and writes a recipe, an empty ledger and a `.gitignore` to a new folder.
/// The recipe builds as it is, if every image can be decoded.
///
/// # Errors
/// [`Error::Invalid`] if the folder has no image, or a layout that no recipe can name; [`Error::Mistakes`]
/// with all names that no source id can have; [`Error::Exists`] if the new folder is there already;
/// [`Error::Overlap`] if it would be in the folder of pictures, and the user has not named it;
/// [`Error::Io`] if the system refuses.
pub fn init(options: &InitOptions<'_>, progress: &dyn Progress) -> Result<InitReport> {
    if options
        .licence
        .is_some_and(|text| text.trim().is_empty() || text.chars().any(|c| c.is_control() && c != '\n'))
    {
        return Err(Error::invalid("--licence", "is empty, or has a control character"));
    }
    let look = look(options.source)?;
    let Look { splits, is_part, classes: folders, list, unread, annotated, notes: mut warnings } = look;
    let real = fs::canonicalize(options.source).map_err(Error::io("read", options.source))?;
    let folder = real.file_name().unwrap_or_default().to_string_lossy();
    let name = options.name.map_or_else(|| names::dataset(&folder), |name| Ok(name.clone()))?;
    let out = options.out.map_or_else(|| PathBuf::from(format!("{name}-recipe")), Path::to_path_buf);
    if options.out.is_none() {
        files::check_apart(&out, "the folder of pictures", options.source)?;
    }
    let classes = names::classes(&folders, list.is_some(), &name)?;
    let is_usual = splits.iter().all(|(split, folder)| split.as_str() == folder);
    let one_each = folders.into_iter().map(|folder| vec![folder]);
    let folders = classes.iter().map(|class| class.id.clone()).zip(one_each).collect();
    let spec = SourceSpec {
        kind: if list.is_some() { SourceKind::List } else { SourceKind::ImageFolder },
        ids: Ids::Text,
        names: Names::Keep,
        splits: (!is_usual || is_part).then(|| splits.clone()),
        folders,
        list,
        annotated,
    };
    let source = Source::open(&spec, options.source, &classes)?;
    let classes = counted(classes, &spec, &source);
    let division = divide(&classes);
    let naming = name_images(&source, division.val.is_some());
    let sizes = measure(&source, progress)?;
    warnings.extend(warn(&classes, spec.kind));
    warnings.extend(unlisted(&source));
    let formula = source.images.iter().find(|image| is_formula(image.id));
    warnings.extend(formula.map(|image| {
        format!(
            "no row of a ledger can have an id such as {}, which a spreadsheet would run as a formula: rename the \
             folder, so that `isn ledger add` can name its images",
            image.id
        )
    }));
    let recipe = text::Text {
        folder: &folder,
        name: &name,
        licence: options.licence,
        images: source.images.len(),
        source: &spec,
        classes: &classes,
        naming: &naming,
        sizes: &sizes,
        division: &division,
    };
    let recipe = recipe.to_string();
    // What is written must be what was meant.
    let parsed = Recipe::parse(RECIPE_TOML, &recipe)
        .map_err(|e| Error::Internal(format!("isn init wrote a recipe that is none: {e}")))?;
    let files =
        [(RECIPE_TOML, recipe), (LEDGER, format!("{}\n", ledger::HEADER)), (".gitignore", IGNORED.into())];
    new_folder(&out, "recipe", progress, |folder| {
        files.iter().try_for_each(|(name, text)| {
            let path = folder.join(name);
            fs::write(&path, text).map_err(Error::io("write", &path))
        })
    })?;
    let mut folders: BTreeMap<Split, Vec<String>> = BTreeMap::new();
    splits.into_iter().for_each(|(split, folder)| folders.entry(split).or_default().push(folder));
    Ok(InitReport {
        name,
        version: parsed.version,
        out,
        images: source.images.len() as u64,
        splits: folders,
        columns: spec.list.clone().map(|ListSpec { path, label, split, .. }| Columns {
            path,
            label,
            split,
            not_read: unread,
        }),
        list: spec.list.map(|list| list.file),
        annotated: spec.annotated.into_iter().collect(),
        classes,
        names: if naming.names == Names::Hash { "hash" } else { "keep" },
        size: sizes.size,
        policy: if division.val.is_some() { "pool" } else { "keep" },
        has_licence: options.licence.is_some(),
        left_out: source.left_out,
        warnings,
    })
}

fn counted(classes: Vec<Class>, spec: &SourceSpec, source: &Source) -> Vec<ClassFound> {
    let mut counts: BTreeMap<&ClassId, BTreeMap<Split, u64>> = BTreeMap::new();
    for image in source.images.iter() {
        *counts.entry(image.class).or_default().entry(image.split).or_default() += 1;
    }
    let mut found: Vec<ClassFound> = classes
        .into_iter()
        .map(|Class { id, label, group }| ClassFound {
            folder: spec.folders_of(&id).concat(),
            images: counts.remove(&id).unwrap_or_default(),
            id,
            label,
            group,
        })
        .collect();
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found
}

/// Decides which images are val.
fn divide(classes: &[ClassFound]) -> Division {
    let keep = |why: &str| Division { val: None, why: why.into(), lax: None };
    let of = |class: &ClassFound, split| class.images.get(&split).copied().unwrap_or_default();
    let has = |split| classes.iter().any(|class| of(class, split) > 0);
    if has(Split::Val) {
        let without = classes.iter().find(|class| of(class, Split::Val) == 0);
        let lax = without.map(|class| format!("class {} has no val image", class.id));
        return Division { lax, ..keep("The folder has val images") };
    }
    if classes.len() == 1 {
        return keep("With one class there is nothing to score on val images");
    }
    if !has(Split::Train) {
        return keep("All images are test");
    }
    let least = classes.iter().map(|class| of(class, Split::Train)).min().unwrap_or_default();
    let lax = (least < 2).then(|| "a class has too few images to have any in val".to_owned());
    Division {
        val: Some(if least == 2 { "0.25" } else { "0.2" }),
        why: "The folder has no val images: they are drawn from those of train".into(),
        lax,
    }
}

/// Finds out whether the names of images will do in the tree. `is_drawn` says that any train image may be
/// val.
fn name_images(source: &Source, is_drawn: bool) -> Naming {
    let mut seen: BTreeSet<(Option<Split>, &ClassId, String)> = BTreeSet::new();
    for SourceImage { id, class, split, path, .. } in source.images.iter() {
        let stem = id.rsplit('/').next().unwrap_or(id);
        let hash = |why: &str| Naming { names: Names::Hash, why: format!("{path} {why}") };
        let longest = format!("train/{class}/{stem}.png");
        if longest.parse::<RelPath>().is_err() {
            return hash("cannot be a name in the tree");
        }
        let split = (!is_drawn || split == Split::Test).then_some(split);
        if !seen.insert((split, class, stem.to_ascii_lowercase())) {
            return hash("has the name of another image of its class");
        }
    }
    Naming { names: Names::Keep, why: "All file names will do in the tree".into() }
}

/// Reads the sizes of some of the images, and proposes a shortest side.
fn measure(source: &Source, progress: &dyn Progress) -> Result<Sizes> {
    let step = source.images.len().div_ceil(SAMPLE).max(1);
    let (mut shortest, mut has_turned) = (Vec::new(), false);
    progress.begin("sizes", Unit::Images, source.images.len().div_ceil(step) as u64);
    for image in source.images.iter().step_by(step) {
        let bytes = source.read(image)?;
        // What cannot be read is for the build to tell.
        if let Ok((width, height)) = isn_pixels::dimensions(&bytes, ExifOrientation::Ignore) {
            shortest.push(width.min(height));
            let turned = isn_pixels::dimensions(&bytes, ExifOrientation::Apply);
            has_turned |= turned.is_ok_and(|turned| turned != (width, height));
        }
        progress.advance(1);
    }
    progress.end();
    shortest.sort_unstable();
    let range = (shortest.first().copied().unwrap_or(0), shortest.last().copied().unwrap_or(0));
    let most = shortest.get(shortest.len() / 10).copied().unwrap_or(0);
    let size = match range {
        (least, greatest) if least == greatest && (1..=SIZES[0]).contains(&least) => least,
        _ => SIZES.into_iter().find(|size| *size <= most).unwrap_or(SIZES[SIZES.len() - 1]),
    };
    Ok(Sizes { read: shortest.len(), range, size, has_turned })
}

/// Says how many images are in what is left out.
fn unlisted(source: &Source) -> Option<String> {
    const SHOWN: usize = 3;
    let mut with_images: Vec<(u64, &str)> =
        source.left_out.iter().filter_map(|left| Some((left.images?, left.path.as_str()))).collect();
    with_images.sort_by_key(|(images, _)| Reverse(*images));
    let all: u64 = with_images.iter().map(|(images, _)| images).sum();
    let mut named: Vec<String> =
        with_images.iter().take(SHOWN).map(|(images, path)| format!("{images} in {path}")).collect();
    named.extend((with_images.len() > SHOWN).then(|| "…".into()));
    (all > 0).then(|| format!("left out {}: {}", count(all as usize, "image"), named.join(", ")))
}

fn warn(found: &[ClassFound], kind: SourceKind) -> Vec<String> {
    let mut warnings = Vec::new();
    let as_class = |one: &ClassFound| Class { id: one.id.clone(), label: one.label.clone(), group: None };
    if names::are_out_of_order(&found.iter().map(as_class).collect::<Vec<_>>()) {
        warnings.push(
            "the class ids are numbers, and their indexes follow the order of text (0, 1, 10, 11, 2), as those of \
             torchvision's ImageFolder do: with ids such as 00, 01, 02 they follow the numbers"
                .into(),
        );
    }
    let mut folded: BTreeMap<String, &ClassFound> = BTreeMap::new();
    for class in found {
        if let Some(other) = folded.insert(class.folder.to_lowercase(), class) {
            let what = if kind == SourceKind::List { "labels" } else { "folders" };
            warnings.push(format!(
                "the {what} {} and {} differ in upper and lower case only, and are two classes: if they are one, \
                 rename one of them",
                other.folder, class.folder
            ));
        }
    }
    // A label is not a path.
    let folders = if kind == SourceKind::List { &[] } else { found };
    let mut by_name: BTreeMap<String, &ClassFound> = BTreeMap::new();
    for class in folders {
        let last = class.folder.rsplit('/').next().unwrap_or_default().to_lowercase();
        let is_apart = |other: &&ClassFound| {
            other.folder.to_lowercase() != class.folder.to_lowercase()
                && !other.images.keys().any(|split| class.images.contains_key(split))
        };
        if let Some(other) = by_name.insert(last, class).filter(is_apart) {
            warnings.push(format!(
                "{} and {} have one name, are in no split together, and are two classes: if they are one, move the \
                 images of one into a folder {}",
                other.folder, class.folder, other.folder
            ));
        }
    }
    let mut beside: BTreeMap<String, &ClassFound> = BTreeMap::new();
    for class in folders {
        let last = class.folder.rsplit('/').next().unwrap_or_default().to_lowercase();
        let shares = |other: &&ClassFound| {
            other.folder.to_lowercase() != class.folder.to_lowercase()
                && other.images.keys().any(|split| class.images.contains_key(split))
        };
        if let Some(other) = beside.insert(last, class).filter(shares) {
            warnings.push(format!(
                "{} and {} have one name, and are two classes, {} and {}: if folders of one name are one class, \
                 give it a list of them, `folder = […]`; if those above are splits, give them their names",
                other.folder, class.folder, other.label, class.label
            ));
            break;
        }
    }
    let few: Vec<&str> =
        found.iter().filter(|c| c.images.values().sum::<u64>() < 3).map(|c| c.id.as_str()).collect();
    if let Some(first) = few.first() {
        let classes =
            if few.len() == 1 { "1 class has".into() } else { format!("{} classes have", few.len()) };
        warnings.push(format!("{classes} fewer than {}; the first is {first}", count(3, "image")));
    }
    warnings
}
