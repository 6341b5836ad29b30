//! [`Embeddings`]: a folder of feature vectors of images, so that what a model computed once is not computed
//! again. An image is found by the hash of its file, wherever it is.
//!
//! `embeddings.json` says how all of them were computed ([`Method`]). The vectors are in parts, which
//! are added as they come and never changed: a run that was killed loses at most the last one.

mod method;
mod part;

pub use method::{FORMAT, Method};

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::part::Part;
use crate::files;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};

/// The file that says how the vectors were computed.
pub const EMBEDDINGS_JSON: &str = "embeddings.json";

/// The maximum number of images in a part.
const IN_PART: usize = 256;
/// How much time of work a killed run loses at most: a part is written then, if there is anything to write.
const SOON: Duration = Duration::from_secs(20);

/// The vectors in a folder, and those that are to be added.
pub struct Embeddings {
    folder: PathBuf,
    /// The text of `embeddings.json`, on which the names of parts depend.
    method: Vec<u8>,
    /// The row of each image.
    rows: HashMap<Digest, usize>,
    /// The number of numbers in a row; `None` before the first row.
    columns: Option<usize>,
    values: Vec<f32>,
    /// The images of the rows that are not yet in the folder, with their paths.
    waiting: Vec<(Digest, String)>,
    /// When the last part was written.
    saved: Instant,
}

impl Embeddings {
    /// Reads a folder of embeddings, and how they were computed.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is none, or a part is damaged; [`Error::Io`] if a file cannot be read.
    pub fn open(folder: &Path) -> Result<(Embeddings, Method)> {
        let (method, text) = Method::read(folder)?;
        Ok((Embeddings::read(folder, text)?, method))
    }

    /// Reads a folder to which embeddings by this method are added. It is made if it does not exist.
    ///
    /// # Errors
    /// As [`Embeddings::open`]; [`Error::Invalid`] if its embeddings are by another method, or if the folder
    /// is of something else; [`Error::Io`] if nothing can be written to it.
    pub fn open_for(folder: &Path, method: &Method) -> Result<Embeddings> {
        files::check_is_path(folder)?;
        files::create_dir_all(folder)?;
        let text = method.claim(folder)?;
        // Before long work.
        files::check_output(&folder.join(EMBEDDINGS_JSON))?;
        Embeddings::read(folder, text)
    }

    fn read(folder: &Path, method: Vec<u8>) -> Result<Embeddings> {
        let mut all = Embeddings {
            folder: folder.into(),
            method,
            saved: Instant::now(),
            rows: HashMap::new(),
            columns: None,
            values: Vec::new(),
            waiting: Vec::new(),
        };
        for name in files::names_in(folder)? {
            let Some(name) = part::name_of_list(&name) else { continue };
            let Part { images, columns, values } = Part::read(folder, name, &all.method)?;
            if all.columns.is_some_and(|others| others != columns) {
                let why = format!("has rows of {columns} numbers, unlike other parts");
                return Err(part::damaged(folder, name, why));
            }
            all.columns = Some(columns);
            for ((image, _), row) in images.into_iter().zip(values.chunks_exact(columns.max(1))) {
                all.insert(image, row);
            }
        }
        Ok(all)
    }

    /// Takes the row of an image, unless the image has one. Returns whether it had none.
    fn insert(&mut self, image: Digest, row: &[f32]) -> bool {
        let at = self.rows.len();
        let is_new = *self.rows.entry(image).or_insert(at) == at;
        if is_new {
            self.values.extend_from_slice(row);
        }
        is_new
    }

    /// Returns the number of numbers in a vector; 0 if there is no vector.
    pub fn columns(&self) -> usize {
        self.columns.unwrap_or_default()
    }

    /// Returns the vector of an image.
    pub fn get(&self, image: &Digest) -> Option<&[f32]> {
        let (at, columns) = (*self.rows.get(image)?, self.columns());
        self.values.get(at * columns..(at + 1) * columns)
    }

    /// Returns the images that have a vector.
    pub fn images(&self) -> HashSet<Digest> {
        self.rows.keys().copied().collect()
    }

    /// Adds the vector of an image, whose path is told to people. It is in the folder once a part is full, or
    /// at [`Embeddings::save`].
    ///
    /// # Errors
    /// [`Error::Invalid`] if a number is not finite, or there are more or fewer than of other images;
    /// [`Error::Io`] if a part cannot be written.
    pub fn push(&mut self, image: Digest, path: &str, row: &[f32]) -> Result<()> {
        let columns = *self.columns.get_or_insert(row.len());
        if row.len() != columns || row.is_empty() {
            let why = format!("has an embedding of {} numbers, and others have {columns}", row.len());
            return Err(Error::invalid(path, why));
        }
        if let Some(number) = row.iter().find(|number| !number.is_finite()) {
            let why = format!("has {number} in its embedding: check --layer, --mean and --std");
            return Err(Error::invalid(path, why));
        }
        if self.insert(image, row) {
            self.waiting.push((image, path.to_owned()));
        }
        if self.waiting.len() == IN_PART || self.saved.elapsed() >= SOON { self.save() } else { Ok(()) }
    }

    /// Writes what is not yet in the folder.
    ///
    /// # Errors
    /// [`Error::Io`] if a part cannot be written.
    pub fn save(&mut self) -> Result<()> {
        self.saved = Instant::now();
        if self.waiting.is_empty() {
            return Ok(());
        }
        let images = std::mem::take(&mut self.waiting);
        let columns = self.columns();
        let values = self.values[self.values.len() - images.len() * columns..].to_vec();
        Part { images, columns, values }.write(&self.folder, &self.method)
    }
}

#[cfg(test)]
mod tests;
