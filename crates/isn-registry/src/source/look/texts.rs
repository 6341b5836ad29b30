//! Files that are no lists, and may say the classes of images.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io::Read;
use std::path::Path;

use super::columns::{is_label, is_path};
use super::folder::Folder;
use super::images::Images;
use super::lists::{self, is_table};
use super::names::{self, Named, named, says_splits, split_of_word};
use super::table::Table;
use crate::files;
use crate::source::rows::{Rows, short};
use crate::source::{Listing, image_stem, join};
use isn_format::error::count;
use isn_format::source_spec::nfc;
use isn_format::split::Split;
use isn_format::text::shell_path;

/// Says why a file is no list: what its second row is, or which rows have no image.
pub(super) fn why_not(listing: &Listing<'_>, images: &Images, file: &str) -> String {
    let rows = match Rows::read(listing, file) {
        Ok(rows) => rows,
        Err(error) => return error.to_string(),
    };
    let (mut second, mut swallowed, mut all, mut found, mut lost) = (None, None, 0, 0, None);
    rows.each(|line, fields| {
        if swallowed.is_none() {
            swallowed = rows.swallowed(fields).map(|why| format!("in line {line}, {why}"));
        }
        if line > 1 {
            all += 1;
            let is_image =
                |field: &&str| images.at(Some(""), field).or_else(|| images.at(None, field)).is_some();
            match fields.iter().any(is_image) {
                true => found += 1,
                false => drop(lost.get_or_insert(line)),
            }
            second.get_or_insert_with(|| (line, fields.iter().map(|field| short(field)).collect::<Vec<_>>()));
        }
        true
    });
    let image = images.paths.values().flatten().min().map_or("", String::as_str);
    match (swallowed, lost, second) {
        (Some(why), ..) => why,
        (None, Some(line), _) if found > 0 => {
            format!("{found} of its {} name an image, but not line {line} or others", count(all, "row"))
        }
        (None, None, Some(_)) if !is_table(file) && found == all => {
            "its rows name images, but isn reads lists from files whose names end with .csv or .tsv: rename it".into()
        }
        (None, _, Some((line, fields))) => {
            let n = count(fields.len(), "field");
            let hint = match &fields[..] {
                [one] if one.contains([';', '|']) => "; separate its fields by commas or tabs",
                _ => "",
            };
            let fields: Vec<String> = fields.into_iter().map(|field| format!("'{field}'")).collect();
            format!(
                "the {n} of line {line}: {}; none is the path of an image, such as {image}, or most rows \
                 have none{hint}",
                fields.join(", ")
            )
        }
        (None, _, None) => "it has one row".into(),
    }
}

/// Files whose text may name images.
const TEXTS: [&str; 17] = [
    "", "md", "markdown", "rst", "csv", "tsv", "txt", "lst", "list", "dat", "data", "json", "jsonl",
    "ndjson", "xml", "yaml", "yml",
];
/// How many of them are looked at, and how much of one, in bytes.
const FILES: usize = 1000;
const HEAD: u64 = 64 << 20;

/// Pages for people.
const PAGES: [&str; 3] = ["md", "markdown", "rst"];

/// A text that is not read, and names images.
pub(super) struct Text {
    pub(super) file: String,
    /// Whether it names many of the images.
    pub(super) names_many: bool,
    /// Whether these are in several folders.
    pub(super) is_mixed: bool,
    /// Whether it says splits of the images.
    pub(super) says_splits: bool,
    /// Those that it says, by its name or by words in it.
    pub(super) splits: BTreeSet<Split>,
    /// The folders of images that it names, with the number of these.
    pub(super) folders: HashMap<String, usize>,
}

/// Finds texts that name images, other than those that are read, and than lists, of which all has been said.
pub(super) fn find(listing: &Listing<'_>, tree: &Folder, read: &[&str]) -> Vec<Text> {
    let mut files = tree.texts(&TEXTS);
    files.retain(|file| !read.contains(file));
    if files.is_empty() {
        return Vec::new();
    }
    files.sort_by_key(|file| !says_splits(file));
    let (names, images) = (Names::of(tree), Images::of(tree));
    let is_no_list = |file: &&str| {
        !is_table(file)
            || (matches!(lists::read(listing, &images, file), Ok(None))
                && !Table::read(listing, file).is_some_and(|table| table.is_of_steps()))
    };
    let files = files.into_iter().take(FILES).filter(is_no_list);
    files.filter_map(|file| names.text(listing, file)).collect()
}

/// The names of the images of a source, as texts may write them.
struct Names {
    /// The folder of the images of each name, in lower case and without the extension and leading zeros; none
    /// if they are in several.
    images: HashMap<String, Option<String>>,
    /// The names of folders, in lower case.
    folders: HashSet<String>,
}

/// How a word names an image.
struct Naming<'n> {
    name: &'n str,
    folder: Option<&'n str>,
    /// Whether it does so by more than a short name without an extension, such as a number.
    is_sure: bool,
}

impl Names {
    fn of(tree: &Folder) -> Names {
        let mut names = Names { images: HashMap::new(), folders: HashSet::new() };
        for path in tree.paths() {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if !folder.is_empty() && names.folders.insert(folder.to_lowercase()) {
                names.folders.extend(folder.to_lowercase().split('/').map(Into::into));
            }
            let known = names.images.entry(plain(name)).or_insert_with(|| Some(folder.to_owned()));
            if known.as_deref() != Some(folder) {
                *known = None;
            }
        }
        names
    }

    /// Finds the image that a word means.
    fn find(&self, word: &str) -> Option<Naming<'_>> {
        let path = word.replace('\\', "/");
        let (above, name) = path.rsplit_once('/').map_or((None, path.as_str()), |(a, name)| (Some(a), name));
        let mut plain = self::plain(name);
        let mut found = self.images.get_key_value(&plain);
        // A list of the originals, which had another format: `a.dcm` for `a.png`.
        if let (None, Some((stem, end))) = (found, name.rsplit_once('.'))
            && (1..5).contains(&end.len())
            && end.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            plain = self::plain(stem);
            found = self.images.get_key_value(&plain);
        }
        let (name_of, folder) = found?;
        let above = above.and_then(|above| above.rsplit('/').next()).map(str::to_lowercase);
        let is_sure = image_stem(name).is_some()
            || plain.chars().count() > LONG
            || above.is_some_and(|above| self.folders.contains(&above));
        Some(Naming { name: name_of, folder: folder.as_deref(), is_sure })
    }

    /// Looks at the beginning of a text. Returns nothing if it names no images.
    fn text(&self, listing: &Listing<'_>, file: &str) -> Option<Text> {
        let mut head = Vec::new();
        files::open(&join(listing.root, file)).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
        // UTF-16 has zeros.
        head.retain(|byte| *byte != 0);
        let mut counts = Counts::default();
        for line in String::from_utf8_lossy(&head).lines() {
            counts.line(self, line);
        }
        // A page shows pictures; only a table of them says what they are.
        let is_page = lists::is_text(file, &PAGES);
        let says_splits = counts.say_splits(self.images.len(), says_splits(file))
            && (!is_page || counts.split_lines * 2 >= counts.sure.lines);
        let names_many = counts.are_many(self.images.len()) && !is_page;
        let mut splits = counts.splits;
        splits.extend(names::split_in_name(names::stem(file)));
        (says_splits || names_many).then(|| Text {
            file: file.to_owned(),
            names_many,
            is_mixed: counts.is_mixed || counts.folders.len() > 1,
            says_splits,
            splits,
            folders: counts.folders.into_iter().map(|(folder, n)| (folder.to_owned(), n)).collect(),
        })
    }
}

/// Of how many characters a name is long enough to be that of an image alone.
const LONG: usize = 5;

/// The name of an image as it is compared.
fn plain(name: &str) -> String {
    let stem = nfc(image_stem(name).unwrap_or(name)).to_lowercase();
    match stem.bytes().all(|byte| byte.is_ascii_digit()) {
        true => stem.trim_start_matches('0').to_owned(),
        false => stem,
    }
}

/// The images that are named, and in how many words and lines.
#[derive(Default)]
struct Count<'n> {
    names: HashSet<&'n str>,
    words: usize,
    lines: usize,
}

/// What is counted in a text.
#[derive(Default)]
struct Counts<'n> {
    /// The images that are named surely, and those that are perhaps, whose lines begin with the name.
    sure: Count<'n>,
    perhaps: Count<'n>,
    lines: usize,
    words: usize,
    has_others_than_numbers: bool,
    /// The folders of the images that are named, with the number of these.
    folders: HashMap<&'n str, usize>,
    is_mixed: bool,
    /// The splits of which there are words, and whether one is another than train, and nothing else.
    splits: BTreeSet<Split>,
    has_sure: bool,
    /// In how many lines that name an image there is one.
    split_lines: usize,
}

impl<'n> Counts<'n> {
    fn line(&mut self, names: &'n Names, line: &str) {
        let line = line.trim_matches(['\u{feff}', '\u{fffd}']).trim();
        if line.is_empty() {
            return;
        }
        let (mut is_sure, mut is_first) = (false, None);
        for field in line.split([',', ';', '\t', '|', '"', '\'', '<', '>', '=', ':', '{', '}', '[', ']']) {
            let field = field.trim();
            if field.is_empty() {
                continue;
            }
            self.split(names, field);
            // A name may have blanks.
            let words: Vec<&str> = match names.find(field) {
                Some(_) => vec![field],
                None => {
                    field.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).collect()
                }
            };
            for word in words {
                self.has_others_than_numbers |= !word.bytes().all(|byte| byte.is_ascii_digit());
                self.words += 1;
                let naming = names.find(word);
                is_first.get_or_insert(naming.is_some());
                let Some(Naming { name, folder, is_sure: is }) = naming else { continue };
                let kind = if is { &mut self.sure } else { &mut self.perhaps };
                kind.names.insert(name);
                kind.words += 1;
                if is {
                    is_sure = true;
                    word.split(['/', '\\']).for_each(|part| self.split(names, part));
                }
                match folder {
                    Some(folder) => *self.folders.entry(folder).or_default() += 1,
                    None => self.is_mixed = true,
                }
            }
        }
        if is_sure {
            line.split_whitespace().for_each(|word| self.split(names, word));
            let mut words = line.split(|c: char| !c.is_alphanumeric());
            self.split_lines += usize::from(words.any(|word| split_of_word(word).is_some()));
        }
        self.lines += 1;
        self.sure.lines += usize::from(is_sure);
        self.perhaps.lines += usize::from(is_first == Some(true));
    }

    /// Looks whether a word is that of a split, and of no folder.
    fn split(&mut self, names: &Names, word: &str) {
        if word.len() > WORD || names.folders.contains(&word.to_lowercase()) {
            return;
        }
        if let Some(split) = split_of_word(word) {
            self.splits.insert(split);
            self.has_sure |= split != Split::Train && matches!(named(word), Some(Named::Split(_)));
        }
    }

    /// Whether it names a good part of `all` images, or most of its lines name one.
    fn are_many(&self, all: usize) -> bool {
        let (sure, perhaps) = (&self.sure, self.perhaps.names.len());
        let part = sure.names.len() * if sure.words * 10 >= self.words { 4 } else { 2 };
        // In prose, few names say nothing of the others.
        let are_rows = sure.words * 4 >= self.words || (sure.names.len() > 4 && sure.names.len() * 10 >= all);
        (sure.names.len() > 1 && (part >= all || (are_rows && sure.lines * 2 >= self.lines)))
            || (perhaps > 1 && perhaps * 2 >= all && self.are_ids())
    }

    /// Whether nearly all lines begin with the name of an image.
    fn are_ids(&self) -> bool {
        self.perhaps.lines * 10 >= self.lines * 9
    }

    /// Whether a text says splits of images, of which there are `all`; perhaps by its name.
    fn say_splits(&self, all: usize, is_named: bool) -> bool {
        let (sure, perhaps) = (&self.sure, &self.perhaps);
        match is_named {
            true => {
                let has_names = sure.names.len() > 1 && sure.words * 10 >= self.words;
                let is_most = self.are_ids() || perhaps.words * 2 >= self.words;
                let has_numbers = !self.has_others_than_numbers && self.lines > 1;
                self.are_many(all) || has_names || (perhaps.names.len() > 1 && is_most) || has_numbers
            }
            false => (self.has_sure || self.splits.len() > 1) && self.are_many(all),
        }
    }
}

/// The longest word that is looked up, in bytes.
const WORD: usize = 32;

/// A list of nothing: its line of columns, if it has one.
pub(super) fn empty_list<'t>(listing: &Listing<'_>, tree: &'t Folder) -> Option<(&'t str, Option<String>)> {
    tree.texts(&lists::TABLES).into_iter().take(FILES).find_map(|file| {
        let (mut header, mut rows) = (None, 0);
        Rows::read(listing, file).ok()?.each(|_, fields| {
            let is_list = fields.iter().any(|name| is_label(name)) && fields.iter().any(|name| is_path(name));
            header.get_or_insert_with(|| is_list.then(|| short(&fields.join(","))));
            rows += 1;
            rows < 2
        });
        let header = header.flatten();
        (rows == 0 || (rows == 1 && header.is_some())).then_some((file, header))
    })
}

/// Files whose format isn does not read.
const UNREAD: [&str; 11] = ["xlsx", "xls", "ods", "npy", "npz", "mat", "parquet", "pkl", "h5", "gz", "zip"];

/// Files of settings and of programs, and such as may list anything, which have the names of splits.
const SETTINGS: [&str; 10] = ["json", "lst", "list", "toml", "ini", "cfg", "py", "yaml", "yml", "txt"];

/// Files that isn does not read, and that may say the splits, by their names.
pub(super) fn unread_splits(tree: &Folder) -> Vec<&str> {
    let tables = tree.texts(&[&lists::TABLES[..], &["jsonl", "ndjson"]].concat());
    let files = tree.texts(&UNREAD).into_iter().chain(tree.texts(&SETTINGS)).chain(tables);
    files.filter(|file| says_splits(file)).collect()
}

/// Whether the name of a file or a folder says that it has labels.
fn says_labels(file: &str) -> bool {
    const SAY: [&str; 8] =
        ["label", "labels", "class", "classes", "annotation", "annotations", "target", "targets"];
    names::rest(names::stem(file)).iter().any(|word| SAY.contains(&word.as_str()))
}

/// Says that the source is a folder of pictures beside what may say their classes.
pub(super) fn beside_source(root: &Path) -> Option<String> {
    let root = fs::canonicalize(root).ok()?;
    let above = root.file_name()?.to_str().filter(|name| names::is_plain(name)).and(root.parent())?;
    let entries =
        fs::read_dir(above).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let label = entries.filter(|name| says_labels(name)).min()?;
    Some(format!(
        "{label} is beside the folder, and may say the classes: `isn init {}` looks at both",
        shell_path(above)
    ))
}

/// A file that may say the classes of images, whose format isn does not read; or one beside an image that has
/// its name.
pub(super) fn unread(tree: &Folder) -> Option<String> {
    let texts = tree.texts(&SETTINGS).into_iter().filter(|file| says_labels(file));
    if let Some(file) = tree.texts(&UNREAD).into_iter().chain(texts).next() {
        return Some(file.to_owned());
    }
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let images: HashSet<String> = tree
        .paths()
        .iter()
        .map(|path| name(path))
        .filter_map(|name| Some(image_stem(&name)?.into()))
        .collect();
    let beside = tree.texts(&["txt", "json", "xml", "cls"]).into_iter();
    let is_one = |path: &&str| name(path).rsplit_once('.').is_some_and(|(stem, _)| images.contains(stem));
    beside.filter(is_one).nth(1).map(Into::into)
}
