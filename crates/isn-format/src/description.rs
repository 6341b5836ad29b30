//! [`Description`]: the labels of a version, vouched for by its dataset hash. [`Description::new`] is the
//! only way from bytes that were received or lay in the cache to labels, whatever form lists the images; a
//! tree of the user's own has [`Description::of_tree`].

use std::collections::BTreeMap;

use crate::class::{Class, ClassId, parse_classes};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::manifest::Manifest;
use crate::split::Split;
use crate::sums::Sums;
use crate::table::Table;

/// The number of images of each class in each split.
pub type Counts = BTreeMap<Split, BTreeMap<ClassId, u64>>;

/// A form that lists a version's images.
pub trait Rows {
    /// `B3SUMS`, or `()` if this form contains it already.
    type Sums;

    /// Returns the `B3SUMS` of these images and a `classes.csv` of these bytes, with its BLAKE3; `what` names
    /// the images in errors.
    ///
    /// # Errors
    /// [`Error::Integrity`] if the `B3SUMS` in this form has another `classes.csv`.
    fn sums(&self, what: &str, classes_csv: &[u8]) -> Result<(Self::Sums, Digest)>;

    /// Returns the number of images of each class in each split.
    ///
    /// # Errors
    /// [`Error::Integrity`] if the path of an image does not give a split and a class.
    fn counts(&self, what: &str) -> Result<Counts>;

    /// Returns the sum of the images' lengths, in bytes.
    fn bytes(&self) -> u64;
}

/// Images and classes that hash to a manifest's dataset hash and have the manifest's counts, or that a tree
/// of the user's own lists.
pub struct Description<R: Rows> {
    rows: R,
    classes: Vec<Class>,
    classes_csv: Vec<u8>,
    sums: R::Sums,
}

impl<R: Rows> Description<R> {
    /// Checks images and the bytes of `classes.csv` against a manifest. `classes.csv` is parsed only after
    /// its hash has been checked. `what` names the images in errors, `classes_what` the classes.
    ///
    /// # Errors
    /// [`Error::Integrity`] if they do not belong together.
    pub fn new(
        (what, rows): (&str, R),
        (classes_what, classes_csv): (&str, Vec<u8>),
        manifest: &Manifest,
    ) -> Result<Self> {
        let (sums, dataset) = rows.sums(what, &classes_csv)?;
        manifest.check_dataset(what, &dataset)?;
        let (description, counts) = Self::checked((what, rows), (classes_what, classes_csv), sums)?;
        if !manifest.tally.is_of(&counts, description.classes.len())
            || description.rows.bytes() != manifest.bytes
        {
            return Err(Error::integrity(what, "does not have the counts of its manifest"));
        }
        Ok(description)
    }

    /// Checks that the images are of the classes.
    fn checked(
        (what, rows): (&str, R),
        (classes_what, classes_csv): (&str, Vec<u8>),
        sums: R::Sums,
    ) -> Result<(Self, Counts)> {
        let classes = parse_classes(classes_what, &classes_csv)?;
        let counts = rows.counts(what)?;
        if let Some(class) = counts.values().flat_map(BTreeMap::keys).find(|id| !has_class(&classes, id)) {
            let why = format!("has images of class {class}, which classes.csv does not have");
            return Err(Error::integrity(what, why));
        }
        Ok((Description { rows, classes, classes_csv, sums }, counts))
    }

    /// Returns the images.
    pub fn rows(&self) -> &R {
        &self.rows
    }

    /// Returns the classes, sorted by id; a numeric label is a position in this list.
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// Returns the exact bytes of `classes.csv`.
    pub fn classes_csv(&self) -> &[u8] {
        &self.classes_csv
    }

    /// Returns `B3SUMS`.
    pub fn sums(&self) -> &R::Sums {
        &self.sums
    }
}

impl Description<Index> {
    /// Describes a part of a version, whose lines are shown to be in its `B3SUMS` with that of this
    /// `classes.csv`.
    ///
    /// # Errors
    /// [`Error::Integrity`] if an image is of no class.
    pub fn of_part(
        what: &str,
        (index, selected): (Index, Sums),
        (classes_what, classes_csv): (&str, Vec<u8>),
    ) -> Result<Self> {
        Ok(Self::checked((what, index), (classes_what, classes_csv), selected)?.0)
    }
}

impl Description<Table> {
    /// Describes what a tree of the user's own has, which may be a part of a version: its list of images must
    /// have this `classes.csv`, and nothing else vouches for it. Also returns the counts.
    ///
    /// # Errors
    /// [`Error::Integrity`] if they do not belong together.
    pub fn of_tree(
        (what, table): (&str, Table),
        (classes_what, classes_csv): (&str, Vec<u8>),
    ) -> Result<(Self, Counts)> {
        table.sums(what, &classes_csv)?;
        Self::checked((what, table), (classes_what, classes_csv), ())
    }
}

/// Whether `classes`, which must be sorted, has a class of this id.
pub fn has_class(classes: &[Class], id: &ClassId) -> bool {
    classes.binary_search_by(|class| class.id.cmp(id)).is_ok()
}

impl Rows for Index {
    type Sums = Sums;

    fn sums(&self, _: &str, classes_csv: &[u8]) -> Result<(Sums, Digest)> {
        let sums = Sums::new(self, classes_csv);
        let digest = sums.digest();
        Ok((sums, digest))
    }

    fn counts(&self, _: &str) -> Result<Counts> {
        Ok(Index::counts(self))
    }

    fn bytes(&self) -> u64 {
        Index::bytes(self)
    }
}

impl Rows for Table {
    type Sums = ();

    fn sums(&self, what: &str, classes_csv: &[u8]) -> Result<((), Digest)> {
        if self.classes_blake3()? != Some(Digest::of(classes_csv)) {
            return Err(Error::integrity(what, "lists another classes.csv"));
        }
        Ok(((), self.dataset()))
    }

    fn counts(&self, _: &str) -> Result<Counts> {
        let mut counts = Counts::new();
        for run in self.runs() {
            let images = counts.entry(run.split).or_default().entry(run.class.clone()).or_default();
            *images += run.rows.len() as u64;
        }
        Ok(counts)
    }

    fn bytes(&self) -> u64 {
        Table::bytes(self)
    }
}
