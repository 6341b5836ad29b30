//! [`Table`]: a file whose columns may be those of a list of images, and which ones they are.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::and;
use super::classes::words;
use super::columns::{
    counts_steps, is_answer, is_guess, is_label, is_no_label, is_path, is_split, may_be_label, rank_of_path,
};
use super::images::Images;
use super::names::{abbreviated, named, split_of, split_of_word};
use crate::source::rows::{Rows, short};
use crate::source::{Listing, image_stem, join};
use isn_format::ledger;
use isn_format::split::Split;

/// The maximum length of a file that is taken for a list, in bytes: 50 for each of five million images. All
/// of it is in memory.
const MAX_GUESSED: u64 = 256 << 20;
/// How many rows are looked at to find out what the columns of a file are.
const SAMPLE: usize = 100;
/// Why a file without the names of its columns is no list.
const NO_HEADER: &str = "its first line is that of an image: begin the file with a line of the names of its \
                         columns, such as path,label";
/// In how many rows short forms of splits are looked for.
const WORDS_OF_ROWS: usize = 10_000;
/// How many words a column of splits may have.
const SPLIT_WORDS: usize = 20;

/// A file with a header.
pub(super) struct Table {
    pub(super) header: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// What is wrong with a row that has others in it, with its line.
    pub(super) swallowed: Option<String>,
}

impl Table {
    pub(super) fn read(listing: &Listing<'_>, file: &str) -> Option<Table> {
        let about = join(listing.root, file).metadata().ok()?;
        if about.len() > MAX_GUESSED {
            return None;
        }
        let (mut rows, mut swallowed) = (Vec::new(), None);
        let read = Rows::read(listing, file).ok()?;
        read.each(|line, fields| {
            if swallowed.is_none() {
                swallowed = read.swallowed(fields).map(|why| format!("in line {line}, {why}"));
            }
            rows.push(fields.iter().map(|field| (*field).to_owned()).collect());
            true
        });
        let header: Vec<String> = if rows.is_empty() { return None } else { rows.remove(0) };
        let is_ledger = [ledger::HEADER, ledger::OLD_HEADER].contains(&header.join(",").as_str());
        (!is_ledger && !rows.is_empty()).then_some(Table { header, rows, swallowed })
    }

    /// Whether it has the columns of a list, and what may be the names of images, of which there are `all`.
    pub(super) fn is_list(&self, all: usize) -> bool {
        let column = |is: fn(&str) -> bool| self.header.iter().position(|name| is(name));
        let (label, split) = (column(is_label), column(is_split));
        let Some(path) = column(is_path) else { return false };
        let sample = self.sample(path);
        let is_file = |field: &&&str| image_stem(field.split(['?', '#']).next().unwrap_or(field)).is_some();
        let files = sample.iter().filter(is_file).count();
        if label.or(split).is_none() {
            return files * 2 > sample.len();
        }
        // `id,label` may be that of the labels: then each is in one row.
        let distinct = label.map(|at| self.rows.iter().filter_map(|row| row.get(at)).collect::<HashSet<_>>());
        let repeats = distinct.is_none_or(|labels| labels.len() < self.rows.len());
        files * 2 > sample.len() || (repeats && self.rows.len() * 2 >= all)
    }

    /// Whether its first column counts other things than images.
    pub(super) fn is_of_steps(&self) -> bool {
        self.header.first().is_some_and(|name| counts_steps(name))
    }

    /// Whether each row has a 1 in one of these columns, and 0 in the others.
    fn are_one_hot(&self, columns: &[usize]) -> bool {
        let is_one = |row: &Vec<String>| {
            let fields: Option<Vec<f64>> =
                columns.iter().map(|at| row.get(*at)?.trim().parse().ok()).collect();
            let is_bit = |field: &f64| *field == 0.0 || *field == 1.0;
            fields.is_some_and(|all| all.iter().all(is_bit) && all.iter().sum::<f64>() == 1.0)
        };
        columns.len() > 1 && self.rows.iter().all(is_one)
    }

    /// Says why none of these columns, of which none is called as that of the labels, is taken for it.
    fn no_label(&self, others: &[usize]) -> Result<usize, String> {
        let is_guess = |at: &usize| is_guess(&self.header[*at]);
        let is_other = |at: &usize| is_no_label(&self.header[*at]);
        let perhaps: Vec<usize> =
            others.iter().copied().filter(|at| !is_guess(at) && !is_other(at)).collect();
        match (&perhaps[..], others) {
            ([one], [_]) => Ok(*one),
            (_, []) => Err("no column says their classes: add one, label".into()),
            ([], _) => {
                let guess = others.iter().find(|at| is_guess(at));
                Err(match guess {
                    Some(at) => format!(
                        "its column {} has, by its name, the guesses of a model, and none the classes: add a \
                         column label with them",
                        short(&self.header[*at])
                    ),
                    None => format!(
                        "no column says their classes ({} cannot): add one, label",
                        self.named(others)
                    ),
                })
            }
            (several, _) if self.are_one_hot(several) => Err(format!(
                "its columns {} are 0 or 1, one for each class: make one column of them, label, with the \
                 name of the column that is 1 (of several such files, make one list, with the folder in its \
                 paths and a column split)",
                self.named(several)
            )),
            ([one], _) => {
                let one = self.named(&[*one]);
                Err(format!(
                    "is its column {one} the class? Call it label, if so; if not, add a column label"
                ))
            }
            (several, _) => {
                let several = self.named(several);
                Err(format!("which of its columns {several} is the class? Call that one label"))
            }
        }
    }

    /// Whether no row has more than one field.
    pub(super) fn has_one_column(&self) -> bool {
        self.header.len() == 1 && self.rows.iter().all(|row| row.len() == 1)
    }

    /// The names of columns, for a message.
    fn named(&self, columns: &[usize]) -> String {
        and(&columns.iter().map(|at| short(&self.header[*at])).collect::<Vec<_>>())
    }

    /// The first fields of a column.
    fn sample(&self, column: usize) -> Vec<&str> {
        let fields = self.rows.iter().filter_map(|row| row.get(column)).map(String::as_str);
        fields.filter(|field| !field.is_empty()).take(SAMPLE).collect()
    }

    /// Finds the column whose fields are the paths of images, or their names wherever they are.
    pub(super) fn path(&self, images: &Images) -> Result<Option<usize>, String> {
        let is_path = |at: &usize| {
            if counts_steps(&self.header[*at]) {
                return false;
            }
            let sample = self.sample(*at);
            images.have_names(&sample)
                && (images.has_most(None, &sample) || !images.folders_of(&sample).is_empty())
        };
        let rank = |at: &usize| rank_of_path(&self.header[*at]);
        let mut found: Vec<usize> = (0..self.header.len()).filter(is_path).collect();
        found.sort_by_key(|at| rank(at).unwrap_or(usize::MAX));
        match found[..] {
            [] => Ok(None),
            [first, _, ..] if rank(&first).is_none() => {
                Err(format!("its columns {} all do: call the right one path", self.named(&found)))
            }
            [first, ..] => match found.iter().find(|at| self.differ(images, first, **at)) {
                None => Ok(Some(first)),
                Some(other) => {
                    match &found.iter().filter(|at| self.are_files(**at)).collect::<Vec<_>>()[..] {
                        [one] => Ok(Some(**one)),
                        _ => Err(format!(
                            "its columns {} name different ones: call the right one path, and remove the \
                             other",
                            self.named(&[first, *other])
                        )),
                    }
                }
            },
        }
    }

    /// Whether two columns name different images.
    fn differ(&self, images: &Images, one: usize, other: usize) -> bool {
        let folder = |at| images.folders_of(&self.sample(at)).first().copied();
        let (of, of_other) = (folder(one), folder(other));
        let is_other = |row: &Vec<String>| {
            let image = |at: usize, folder| images.at(folder, row.get(at)?);
            image(one, of) != image(other, of_other)
        };
        one != other && self.rows.iter().any(is_other)
    }

    /// Whether all fields of a column have the extension of an image.
    fn are_files(&self, at: usize) -> bool {
        self.rows.iter().filter_map(|row| row.get(at)).all(|field| image_stem(field).is_some())
    }

    /// Finds the folder that the paths are below; `None` if they are the names of images in several.
    pub(super) fn folder<'i>(&self, images: &'i Images, path: usize) -> Result<Option<&'i str>, String> {
        let folders = images.folders_of(&self.sample(path));
        let is_image = |folder| images.at(folder, &self.header[path]).is_some();
        let has_image = self.header.iter().any(|name| image_stem(name).is_some());
        if has_image || is_image(None) || folders.iter().any(|folder| is_image(Some(folder))) {
            return Err(NO_HEADER.into());
        }
        match folders[..] {
            [] => Ok(None),
            [one] => {
                // Images of the first rows are in it, and those of others may be elsewhere.
                let is_elsewhere = |row: &Vec<String>| {
                    let is_at =
                        |folder| row.get(path).is_some_and(|field| images.at(folder, field).is_some());
                    !is_at(Some(one)) && is_at(None)
                };
                Ok((!self.rows.iter().any(is_elsewhere)).then_some(one))
            }
            _ => {
                let folders: Vec<&str> =
                    folders.iter().map(|folder| if folder.is_empty() { "." } else { folder }).collect();
                Err(format!(
                    "those of {} all have such names: put the folder into its paths, or move the other \
                     images away",
                    and(&folders)
                ))
            }
        }
    }

    /// What the fields of a column say of splits: the splits, and a word that is none.
    fn splits(&self, at: usize) -> (BTreeSet<Split>, Option<&str>) {
        let fields = self.rows.iter().filter_map(|row| row.get(at)).map(String::as_str);
        let mut words = BTreeSet::new();
        for field in fields.filter(|field| !field.is_empty()) {
            words.insert(field);
            if words.len() > SPLIT_WORDS {
                return (BTreeSet::new(), None);
            }
        }
        let splits = words.iter().filter_map(|word| split_of(word)).collect();
        (splits, words.into_iter().find(|word| split_of(word).is_none()))
    }

    /// Whether all fields of a column are words for splits, and not of train alone.
    fn is_split(&self, at: usize) -> bool {
        let (splits, other) = self.splits(at);
        other.is_none() && splits.iter().any(|split| *split != Split::Train)
    }

    /// Whether the fields of a column are words for splits, some of them short forms.
    fn is_abbreviated(&self, at: usize) -> bool {
        let fields = self.rows.iter().filter_map(|row| row.get(at)).filter(|field| !field.is_empty());
        let mut words: BTreeSet<&str> = BTreeSet::new();
        words.extend(fields.map(String::as_str).take(WORDS_OF_ROWS));
        let splits: BTreeSet<Split> = words.iter().filter_map(|word| split_of_word(word)).collect();
        splits.len() > 1
            && words.iter().all(|word| split_of_word(word).is_some())
            && words.iter().any(|word| abbreviated(word).is_some())
    }

    /// A column that says splits, or may.
    pub(super) fn may_say_splits(&self, path: Option<usize>) -> bool {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        (0..columns).filter(|at| Some(*at) != path).any(|at| {
            let name = self.header.get(at).map_or("", String::as_str);
            is_split(name) || named(name).is_some() || self.splits(at).0.len() > 1 || self.is_abbreviated(at)
        })
    }

    /// A column that names most of these folders, and one of labels, of which each of them has one and
    /// several have the same.
    pub(super) fn labels_of(&self, folders: &HashSet<String>) -> Option<(String, String)> {
        let folder = |row: &Vec<String>, at: usize| {
            let name = words(row.get(at)?.rsplit(['/', '\\']).next()?);
            folders.contains(&name).then_some(name)
        };
        let named =
            |at: usize| self.rows.iter().filter_map(|row| folder(row, at)).collect::<HashSet<_>>().len();
        let key = (0..self.header.len()).find(|at| {
            let named = named(*at);
            named > 2 && named * 2 >= folders.len()
        })?;
        let is_coarse = |at: &usize| {
            let mut labels: HashMap<String, &String> = HashMap::new();
            let mut pairs = self.rows.iter().filter_map(|row| Some((folder(row, key)?, row.get(*at)?)));
            let is_map = pairs.all(|(folder, label)| *labels.entry(folder).or_insert(label) == label);
            let distinct = labels.values().collect::<HashSet<_>>().len();
            // Two cranes among a thousand names of classes are no diagnoses of patients.
            is_map && distinct > 1 && distinct * 10 <= labels.len() * 9
        };
        let mut labels = (0..self.header.len()).filter(|at| *at != key && may_be_label(&self.header[*at]));
        let label = labels.find(is_coarse)?;
        Some((short(&self.header[key]), short(&self.header[label])))
    }

    /// A column of words for several splits, beside one of many others than images.
    pub(super) fn splits_of_others(&self) -> Option<String> {
        let says = |at: &usize| {
            let (splits, other) = self.splits(*at);
            (other.is_none() && splits.len() > 1) || self.is_abbreviated(*at)
        };
        // Not a column of scores.
        let is_many = |at: usize| {
            let fields: HashSet<&String> = self.rows.iter().filter_map(|row| row.get(at)).collect();
            let are_words = fields.iter().all(|field| field.parse::<f64>().is_err());
            fields.len() > if are_words { 2 } else { 4 }
        };
        let at = (0..self.header.len()).find(says)?;
        let is_table =
            !self.is_of_steps() && (0..self.header.len()).any(|other| other != at && is_many(other));
        is_table.then(|| short(&self.header[at]))
    }

    /// Whether another column than that of the labels may be the class, by its name.
    fn is_rival(&self, at: usize, label: usize) -> bool {
        let is_named = may_be_label(&self.header[at]);
        let distinct = self.rows.iter().filter_map(|row| row.get(at)).collect::<HashSet<_>>().len();
        let is_answer = self.rows.iter().filter_map(|row| row.get(at)).all(|field| is_answer(field));
        is_named
            && !is_answer
            && distinct > 1
            && distinct * 2 <= self.rows.len()
            && !self.say_one_thing(&[label, at])
    }

    /// Finds the columns of labels and of splits.
    pub(super) fn label_and_split(&self, path: usize) -> Result<(usize, Option<usize>), String> {
        let is_label = |at: &usize| is_label(&self.header[*at]);
        let is_other = |at: &usize| *at != path && !self.header[*at].is_empty();
        let (splits, others): (Vec<usize>, Vec<usize>) = (0..self.header.len())
            .filter(is_other)
            .partition(|at| is_split(&self.header[*at]) || (!is_label(at) && self.is_split(*at)));
        if splits.len() > 1 {
            return Err(format!("its columns {} may each be the split: keep one", self.named(&splits)));
        }
        let known: Vec<usize> = others.iter().copied().filter(is_label).collect();
        let label = match (&known[..], &others[..]) {
            ([one], _) => *one,
            ([], _) => self.no_label(&others)?,
            (several, _) if self.say_one_thing(several) => {
                // Of a number and a name, the name.
                let is_name =
                    |at: &&usize| self.sample(**at).iter().any(|field| field.parse::<f64>().is_err());
                several.iter().find(is_name).copied().unwrap_or(several[0])
            }
            (several, _) => {
                let several = self.named(several);
                return Err(format!("its columns {several} may each be the class: keep one of them"));
            }
        };
        // A word that is in its own column names no column.
        let is_word = |at: &usize| self.rows.iter().any(|row| row.get(*at) == Some(&self.header[*at]));
        if is_word(&label) || splits.first().is_some_and(is_word) {
            return Err(NO_HEADER.into());
        }
        if self.is_split(label) {
            return Err(format!(
                "its column {} has no labels but words for splits: if it says the splits, call it split",
                short(&self.header[label])
            ));
        }
        let rivals: Vec<usize> = others
            .iter()
            .copied()
            .filter(|at| *at != label && !known.contains(at) && self.is_rival(*at, label))
            .collect();
        if !rivals.is_empty() {
            let all = self.named(&[&[label], &rivals[..]].concat());
            return Err(format!("its columns {all} may each be the class: keep one of them"));
        }
        // `is_test`: what isn does not read must not make test images train images.
        let is_partly = |at: usize| matches!(self.splits(at), (splits, Some(_)) if splits.len() > 1);
        let says_split = |at: &&usize| {
            let is_named = named(&self.header[**at]).is_some();
            **at != label && (is_named || is_partly(**at) || self.is_abbreviated(**at))
        };
        match others.iter().find(says_split) {
            Some(at) => Err(format!(
                "its column {} may say the splits, which isn does not read: add a column split that says \
                 train, val or test",
                short(&self.header[*at])
            )),
            None => Ok((label, splits.first().copied())),
        }
    }

    /// Whether each field of one of these columns goes with one of each other.
    fn say_one_thing(&self, columns: &[usize]) -> bool {
        let distinct = |columns: &[usize]| {
            let fields =
                |row: &'_ Vec<String>| columns.iter().map(|at| row.get(*at).cloned()).collect::<Vec<_>>();
            self.rows.iter().map(fields).collect::<HashSet<_>>().len()
        };
        columns.iter().all(|at| distinct(&[*at]) == distinct(columns))
    }
}
