//! [`Part`]: some images of a folder of embeddings. `NAME.npy` has the numbers, a row for each image, and
//! `NAME.csv` the hash and the path of each, in the same order. NAME is the hash of both and of the
//! method, so that parts of several machines can be put into one folder, and damage and other methods are
//! noticed. The list is written last: with it, a
//! part is whole.

use std::path::Path;

use super::EMBEDDINGS_JSON;
use crate::audit::matrix::Values;
use crate::audit::npy::{self, Elements};
use crate::files;
use isn_format::class::csv_field;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::text::is_formula;

/// The first line of a list.
const HEADER: [&str; 2] = ["blake3", "path"];
/// The number of hex digits of a name.
const DIGITS: usize = 16;
/// The maximum length of either file, in bytes.
const MAX_LEN: u64 = 1 << 30;

/// Some images with their embeddings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// The hash of each image's file, and a path, which is for people.
    pub(super) images: Vec<(Digest, String)>,
    /// The number of numbers of an image.
    pub(super) columns: usize,
    /// The numbers, image by image.
    pub(super) values: Vec<f32>,
}

/// Returns the name of the part of which a file is the list; `None` if the file is something else.
pub(super) fn name_of_list(file: &str) -> Option<&str> {
    let name = file.strip_suffix(".csv")?;
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (name.len() == DIGITS && name.bytes().all(is_hex)).then_some(name)
}

/// Returns the error that a part is damaged.
pub(super) fn damaged(folder: &Path, name: &str, why: impl std::fmt::Display) -> Error {
    let file = folder.join(format!("{name}.csv"));
    let why = format!("{why}: remove {name}.csv and {name}.npy, and --save-embeddings computes them again");
    Error::invalid(file.display(), why)
}

impl Part {
    /// Reads the part of a folder that has this name.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is damaged; [`Error::Io`] if a file cannot be read.
    pub(super) fn read(folder: &Path, name: &str, method: &[u8]) -> Result<Part> {
        let list = files::read_capped(&folder.join(format!("{name}.csv")), MAX_LEN)?;
        let Some(array) = files::read_capped_if_there(&folder.join(format!("{name}.npy")), MAX_LEN)? else {
            return Err(damaged(folder, name, format_args!("has no {name}.npy beside it")));
        };
        if name_of(method, &array, &list) != name {
            let why = format!("is damaged (or {name}.npy is), or of another {EMBEDDINGS_JSON}");
            return Err(damaged(folder, name, why));
        }
        Part::parse(&array, &list).map_err(|why| damaged(folder, name, why))
    }

    fn parse(array: &[u8], list: &[u8]) -> Result<Part, String> {
        let mut reader = csv::Reader::from_reader(list);
        if reader.headers().map_err(|e| e.to_string())? != HEADER[..] {
            return Err(format!("does not begin with {}", HEADER.join(",")));
        }
        let image = |record: csv::Result<csv::StringRecord>| {
            let record = record.map_err(|e| e.to_string())?;
            let digest = record[0].parse().map_err(|_| format!("has '{}' for a hash", &record[0]))?;
            Ok((digest, record[1].to_owned()))
        };
        let images: Vec<(Digest, String)> = reader.records().map(image).collect::<Result<_, String>>()?;
        let array = npy::read("its array", array, array.len() as u64).map_err(|e| e.to_string())?;
        match (&array.shape[..], array.elements) {
            (&[rows, columns], Elements::Floats(Values::Single(values))) if rows == images.len() => {
                Ok(Part { images, columns, values })
            }
            (shape, _) => Err(format!("has {} images, and its array is {}", images.len(), npy::shown(shape))),
        }
    }

    /// Adds the part to a folder.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be written.
    pub(super) fn write(&self, folder: &Path, method: &[u8]) -> Result<()> {
        let mut array = npy::header("<f4", &[self.images.len(), self.columns]);
        self.values.iter().for_each(|number| array.extend_from_slice(&number.to_le_bytes()));
        let mut list = HEADER.join(",") + "\n";
        for (image, path) in &self.images {
            // As a path, the same, and no formula of a spreadsheet.
            let path = if is_formula(path) { format!("./{path}") } else { path.clone() };
            list += &format!("{image},{}\n", csv_field(&path));
        }
        let name = name_of(method, &array, list.as_bytes());
        files::replace(&folder.join(format!("{name}.npy")), &array)?;
        files::replace(&folder.join(format!("{name}.csv")), list.as_bytes())
    }
}

/// Returns the name of a part with these two files, of a folder with this `embeddings.json`.
fn name_of(method: &[u8], array: &[u8], list: &[u8]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(method).update(array).update(list);
    let mut name = Digest::of_hasher(&hasher).to_string();
    name.truncate(DIGITS);
    name
}
