//! The lists of a tree on disk, its classes, and what it says of itself.

use std::path::Path;

use crate::files;
use isn_format::class::{Class, MAX_CLASSES};
use isn_format::dataset_ref::{DatasetRef, VersionId};
use isn_format::digest::Digest;
use isn_format::error::{At, Error, Result};
use isn_format::sums::{LineRef, MAX_SUMS, Sums, SumsProof};
use isn_format::tree::{
    B3SUMS, B3SUMS_PROOF, B3SUMS_SELECTED, CLASSES, ISN_JSON, MAX_ISN_JSON, MAX_PROOF, Origin, unreleased_pin,
};

/// What a tree has to show that its lines are those of a version.
pub(crate) enum Basis {
    /// All lines of the version.
    Whole(Sums),
    /// A proof that some are among them.
    Proof(SumsProof),
}

impl Basis {
    /// The name of the file in the tree in `root`.
    pub(crate) fn file_in(root: &Path) -> &'static str {
        match files::is_absent(&root.join(B3SUMS)) && !files::is_absent(&root.join(B3SUMS_PROOF)) {
            true => B3SUMS_PROOF,
            false => B3SUMS,
        }
    }

    /// Reads what the tree in `root` has. Also returns the dataset hash that it leads to, if it leads to one.
    ///
    /// # Errors
    /// Fails if the file cannot be read or is too long. The inner result fails if it is not well-formed.
    pub(crate) fn read(root: &Path) -> Result<(Result<Self>, Option<Digest>)> {
        if Self::file_in(root) == B3SUMS {
            let (sums, dataset) = read_sums_hashed(root, B3SUMS)?;
            return Ok((sums.map(Basis::Whole), Some(dataset)));
        }
        let bytes = files::read_capped(&root.join(B3SUMS_PROOF), MAX_PROOF)?;
        let proof = SumsProof::parse(B3SUMS_PROOF, &bytes);
        let dataset = proof.as_ref().ok().map(SumsProof::dataset);
        Ok((proof.map(Basis::Proof), dataset))
    }

    /// Checks that these lines are among those of the version.
    ///
    /// # Errors
    /// [`Error::Integrity`], naming the file in `root`, if one is not, or that is not shown.
    pub(crate) fn check(&self, root: &Path, selected: &Sums) -> Result<()> {
        match self {
            Basis::Whole(full) => {
                let is_in_full = |line: &LineRef<'_>| full.blake3_of(line.path.as_str()) == Some(line.blake3);
                selected.lines().find(|line| !is_in_full(line)).map_or(Ok(()), |line| {
                    let why = format!("lists {} in {}, and not in {B3SUMS}", line.path, list_of(root));
                    Err(Error::integrity(root.display(), why))
                })
            }
            Basis::Proof(proof) => proof.check(&root.join(B3SUMS_PROOF).display().to_string(), selected),
        }
    }
}

/// Returns the name of the list of the tree in `root`: `B3SUMS.selected` if anything has that name, else
/// `B3SUMS`.
pub(crate) fn list_of(root: &Path) -> &'static str {
    if root.join(B3SUMS_SELECTED).symlink_metadata().is_ok() { B3SUMS_SELECTED } else { B3SUMS }
}

/// Reads one of the lists of the tree in `root`.
///
/// # Errors
/// Fails if the file cannot be read, is too long, or is not a well-formed list.
pub(crate) fn read_sums(root: &Path, list: &str) -> Result<Sums> {
    read_sums_hashed(root, list)?.0
}

/// As [`read_sums`], but also returns the BLAKE3 of the file, even if the list is not well-formed.
///
/// # Errors
/// Fails if the file cannot be read or is too long. The inner result fails if the list is not well-formed.
pub(crate) fn read_sums_hashed(root: &Path, list: &str) -> Result<(Result<Sums>, Digest)> {
    let path = root.join(list);
    let file = files::open(&path)?;
    // Before it is read: a sparse file may have any length.
    let length = file.metadata().map_err(Error::io("look at", &path))?.len();
    if length > MAX_SUMS {
        let why = format!("has {length} bytes, and no list of a tree has more than {MAX_SUMS}");
        return Err(Error::integrity(path.display(), why));
    }
    Sums::read(list, &path, file)
}

/// Reads the `classes.csv` of the tree in `root`.
///
/// # Errors
/// Fails if the file cannot be read, is not the one that `sums` lists, or is not well-formed.
pub(crate) fn read_classes(root: &Path, sums: &Sums) -> Result<Vec<Class>> {
    let path = root.join(CLASSES);
    sums.classes(&path.display().to_string(), &files::read_capped(&path, MAX_CLASSES)?)
}

/// Returns the `ISN.json` of a tree, if it can be read.
pub(crate) fn origin_of(root: &Path) -> Option<Origin> {
    let json = files::read_capped_if_there(&root.join(ISN_JSON), MAX_ISN_JSON).ok()??;
    Origin::parse(&json)
}

/// A tree, without its images: what its files say agrees with each other.
pub(crate) struct Lists {
    /// What it is.
    pub(crate) origin: Origin,
    /// The number of images of the whole version.
    pub(crate) images: u64,
    /// What the tree has.
    pub(crate) sums: Sums,
    /// The exact bytes of its `classes.csv`.
    pub(crate) classes_csv: Vec<u8>,
}

impl Lists {
    /// The pin of its release, unless nobody has released it.
    pub(crate) fn pin(&self) -> Option<DatasetRef> {
        match &self.origin {
            Origin::Released(known) => known.pin.parse().ok(),
            Origin::Unreleased(_) => None,
        }
    }
}

/// Reads the lists of the tree in `root`.
///
/// # Errors
/// [`Error::Integrity`] if there is no `ISN.json`, or the lists contradict it or each other; [`Error::Io`] if
/// they cannot be read.
pub(crate) fn read_lists(root: &Path) -> Result<Lists> {
    let refuse = |why: String| Error::integrity(root.display(), why).at(At::Tree);
    let unknown =
        || refuse(format!("has no {ISN_JSON} that says which version it is: `isn pull` writes one"));
    let json = files::read_capped_if_there(&root.join(ISN_JSON), MAX_ISN_JSON).map_err(|e| e.at(At::Tree))?;
    let origin = json.and_then(|json| Origin::parse(&json)).ok_or_else(unknown)?;
    let (basis, dataset) = Basis::read(root)?;
    let Some(dataset) = dataset else {
        return Err(basis.err().unwrap_or_else(|| refuse("has no lists".into())).at(At::Tree));
    };
    if dataset.prefixed() != origin.dataset() {
        let (here, said) = (dataset.prefixed(), origin.dataset());
        return Err(refuse(format!("has dataset hash {here}, and its {ISN_JSON} says {said}")));
    }
    // No hash covers that file.
    let (pin, said) = match &origin {
        Origin::Released(known) => {
            let id = VersionId { name: known.name.clone(), version: known.version };
            (DatasetRef::Version(id, Some(dataset)).to_string(), &known.pin)
        }
        Origin::Unreleased(built) => (unreleased_pin(&built.name, &dataset), &built.pin),
    };
    if pin != *said {
        return Err(refuse(format!("is {pin}, and its {ISN_JSON} says that its pin is {said}")));
    }
    let basis = basis.map_err(|e| e.at(At::Tree))?;
    let images = match &basis {
        Basis::Whole(full) => full.images().count() as u64,
        Basis::Proof(_) => origin.images().ok_or_else(unknown)?,
    };
    let sums = match (list_of(root), basis) {
        (B3SUMS, Basis::Whole(full)) => full,
        (selected, basis) => {
            let sums = read_sums(root, selected).map_err(|e| e.at(At::Tree))?;
            basis.check(root, &sums).map_err(|e| e.at(At::Tree))?;
            sums
        }
    };
    let classes_csv = files::read_capped(&root.join(CLASSES), MAX_CLASSES)?;
    Ok(Lists { origin, images, sums, classes_csv })
}
