//! Verifies a tree: its files against `B3SUMS`, and `B3SUMS` against the dataset hash.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rayon::prelude::*;

use super::{Assurance, Fault, FaultKind, Verified, VerifyReport};
use crate::files::{self, Kind};
use crate::progress::{Progress, Unit};
use crate::registry::Snapshot;
use crate::tree_file::{Basis, list_of, origin_of, read_sums_hashed};
use isn_format::class::MAX_CLASSES;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result, chain};
use isn_format::shard::MAX_IMAGE_LEN;
use isn_format::sums::Sums;
use isn_format::tree::{B3SUMS, B3SUMS_PROOF, B3SUMS_SELECTED, CLASSES, ISN_JSON, Origin, Selection};

/// Files up to this length, in bytes, are read whole into a buffer that each thread reuses.
const SMALL: u64 = 4 << 20;

/// What a tree must have.
pub struct Expected<'a> {
    /// What shows which version it is.
    pub basis: ExpectedBasis<'a>,
    /// The files that must be there: all of them, or those of `B3SUMS.selected`.
    pub selected: &'a Sums,
}

/// What shows which version a tree is.
pub enum ExpectedBasis<'a> {
    /// The contents of `B3SUMS`.
    Sums(&'a Sums),
    /// Those of `B3SUMS.proof`.
    Proof(&'a [u8]),
}

impl<'a> Expected<'a> {
    /// What a tree of these lines of a version must have.
    pub(in crate::ops) fn of(snapshot: &'a Snapshot, selected: &'a Sums) -> Self {
        let basis = snapshot
            .part()
            .map_or(ExpectedBasis::Sums(snapshot.sums()), |part| ExpectedBasis::Proof(&part.proof));
        Expected { basis, selected }
    }

    /// Whether it has a part of the version.
    pub(in crate::ops) fn is_partial(&self) -> bool {
        match self.basis {
            ExpectedBasis::Sums(full) => full != self.selected,
            ExpectedBasis::Proof(_) => true,
        }
    }
}

/// Verifies the tree in `root`, and its hash if one is expected.
pub(in crate::ops) fn verify(
    root: &Path,
    expected: Option<(Digest, Assurance)>,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<VerifyReport> {
    let mut faults = Vec::new();
    let (basis, dataset) = Basis::read(root)?;
    let is_partial = list_of(root) == B3SUMS_SELECTED || Basis::file_in(root) != B3SUMS;
    let selection = is_partial.then(|| selection_of(root)).flatten();
    let invalid = |name: &str, e: &Error| {
        let why = chain(e).trim_start_matches(name).trim_start_matches([':', ' ']).to_string();
        Fault { path: name.into(), kind: FaultKind::Invalid, why }
    };
    let basis = basis.inspect_err(|e| faults.push(invalid(Basis::file_in(root), e)));
    let selected = match (is_partial, &basis) {
        (false, Ok(Basis::Whole(full))) => Ok(full.clone()),
        (false, _) => Err(Error::Internal("reported above".into())),
        (true, _) => {
            let read = read_sums_hashed(root, B3SUMS_SELECTED).and_then(|(sums, _)| sums);
            read.inspect_err(|e| {
                let is_absent = files::is_absent(&root.join(B3SUMS_SELECTED));
                let kind = if is_absent { FaultKind::Missing } else { FaultKind::Invalid };
                faults.push(Fault { kind, ..invalid(B3SUMS_SELECTED, e) });
            })
        }
    };
    let mut checked = 0;
    if let (Ok(basis), Ok(selected)) = (&basis, &selected) {
        match basis {
            Basis::Whole(full) => {
                for line in selected.lines() {
                    if full.blake3_of(line.path.as_str()) != Some(line.blake3) {
                        let why = format!("line of {} is not in {B3SUMS}", line.path);
                        faults.push(Fault { path: B3SUMS_SELECTED.into(), kind: FaultKind::Invalid, why });
                    }
                }
                if let Some(promised) = &selection {
                    // Otherwise, a line missing from the list together with its image would go unnoticed.
                    let is_listed = |path: &str| selected.blake3_of(path).is_some();
                    let promised = full.selected(promised);
                    for line in promised.lines().filter(|line| !is_listed(line.path.as_str())) {
                        faults.push(unlisted(line.path.to_string()));
                    }
                }
            }
            Basis::Proof(proof) => {
                if selection.is_none() {
                    let why = "does not say what was selected, so that nothing shows what is missing".into();
                    faults.push(Fault { path: ISN_JSON.into(), kind: FaultKind::Invalid, why });
                }
                faults.extend(proof.check(B3SUMS_PROOF, selected).err().map(|e| invalid(B3SUMS_PROOF, &e)));
                let lacking = selection.as_ref().and_then(|promised| proof.lacking(selected, promised));
                faults.extend(lacking.map(unlisted));
            }
        }
        checked = selected.lines().len() as u64;
        faults.extend(check_files(root, selected, is_partial, jobs, progress)?);
    }
    faults.sort();
    let is_untold = root.join(ISN_JSON).symlink_metadata().is_ok() && origin_of(root).is_none();
    let untold = || {
        format!("{ISN_JSON} cannot be read: it does not say which version this is, or that it was released")
    };
    let mut report = VerifyReport {
        kind: Verified::Tree,
        what: root.display().to_string(),
        dataset,
        checked,
        partial: is_partial.then(|| selection.unwrap_or_default().describe()),
        assurance: expected.map_or(Assurance::SelfConsistent, |(_, reach)| reach),
        warnings: is_untold.then(untold).into_iter().collect(),
        rebuild_only: Vec::new(),
        expected: None,
        faults,
    };
    if let Some((hash, _)) = expected {
        report.expect(&hash);
    }
    Ok(report)
}

/// The fault of an image, or a folder, that a selection has and the list does not.
fn unlisted(path: String) -> Fault {
    let why = format!("is selected by {ISN_JSON}, but not in {B3SUMS_SELECTED}");
    Fault { path, kind: FaultKind::Missing, why }
}

/// Returns what was selected when the tree was pulled, if its `ISN.json` can be read.
fn selection_of(root: &Path) -> Option<Selection> {
    origin_of(root).map(Origin::selection)
}

/// Returns the faults of the tree in `root`, which should be exactly `expected`.
///
/// # Errors
/// [`Error::Io`] if the tree cannot be listed.
pub fn check(
    root: &Path,
    expected: &Expected<'_>,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Vec<Fault>> {
    let partial = expected.is_partial();
    let mut faults = check_files(root, expected.selected, partial, jobs, progress)?;
    let mut lists = vec![(B3SUMS_SELECTED, partial.then_some(expected.selected))];
    match expected.basis {
        ExpectedBasis::Sums(full) => lists.push((B3SUMS, Some(full))),
        ExpectedBasis::Proof(proof) => match files::has_bytes(&root.join(B3SUMS_PROOF), proof)? {
            Some(true) => {}
            found => {
                let kind = if found.is_none() { FaultKind::Missing } else { FaultKind::Changed };
                faults.push(Fault { path: B3SUMS_PROOF.into(), kind, why: String::new() });
            }
        },
    }
    for (name, sums) in lists {
        let found = match sums {
            Some(sums) => has_sums(&root.join(name), sums)?,
            None => files::has_bytes(&root.join(name), b"")?,
        };
        let fault = |kind| Fault { path: name.into(), kind, why: String::new() };
        match (found, sums) {
            (Some(false), Some(_)) => faults.push(fault(FaultKind::Changed)),
            (None, Some(_)) => faults.push(fault(FaultKind::Missing)),
            (Some(_), None) => faults.push(fault(FaultKind::Extra)),
            _ => {}
        }
    }
    faults.sort();
    Ok(faults)
}

/// Whether the file at `path` has exactly this text; `None` if there is no file.
///
/// # Errors
/// [`Error::Io`] if it cannot be read.
pub(in crate::ops) fn has_sums(path: &Path, sums: &Sums) -> Result<Option<bool>> {
    let Some(file) = files::if_there(files::open(path))? else { return Ok(None) };
    sums.is_text(file).map(Some).map_err(Error::io("read", path))
}

/// How many files are hashed before they are compared: their hashes are in memory.
const AT_ONCE: usize = 1 << 14;

/// Compares the files below `root` with `sums`, which does not contain `B3SUMS`, `B3SUMS.selected` and
/// `ISN.json`.
fn check_files(
    root: &Path,
    sums: &Sums,
    partial: bool,
    jobs: usize,
    progress: &dyn Progress,
) -> Result<Vec<Fault>> {
    let basis = Basis::file_in(root);
    let own = |path: &str| path == basis || path == ISN_JSON || (partial && path == B3SUMS_SELECTED);
    let (mut faults, mut unread) = (Vec::new(), Vec::new());
    let files::Listing { files: mut found, empty_folders } = files::walk_past(root, |folder, e| {
        if folder.is_empty() {
            return Err(e);
        }
        unread.push(format!("{folder}/"));
        faults.push(Fault::of(folder, &e));
        Ok(())
    })?;
    found.retain(|(path, kind)| !(own(path) && *kind != Kind::Other));
    let mut too_long: HashSet<String> = HashSet::new();
    found.retain(|(path, kind)| {
        let Some((kind, why)) = at_sight(path, *kind, sums.blake3_of(path).is_some()) else {
            return true;
        };
        if kind == FaultKind::Changed {
            too_long.insert(path.clone());
        }
        faults.push(Fault { path: path.clone(), kind, why });
        false
    });

    // To torchvision's ImageFolder every folder is a class, even an empty one.
    faults.extend(empty_folders.into_iter().map(|path| {
        let why = "is an empty folder: loaders would count it as a class".into();
        Fault { path, kind: FaultKind::Extra, why }
    }));
    progress.begin("verify", Unit::Files, found.len() as u64);
    let digest = |buffer: &mut Vec<u8>, (path, kind): &(String, Kind)| -> Result<Digest> {
        let digest = digest_file(&root.join(path), kind, longest(path), buffer);
        progress.advance(1);
        digest
    };
    // Where the expected bytes belong, to recognise misplaced files.
    let mut homes: HashMap<Digest, &str> = HashMap::new();
    let mut home = |digest: &Digest| {
        if homes.is_empty() {
            for line in sums.lines() {
                homes.entry(line.blake3).or_insert(line.path.as_str());
            }
        }
        homes.get(digest).copied()
    };
    let mut compare = |path: &str, digest: Result<Digest>| {
        let digest = match digest {
            Ok(digest) => digest,
            Err(e) => return faults.push(Fault::of_bytes(path, &e)),
        };
        let wanted = sums.blake3_of(path);
        if wanted == Some(digest) {
            return;
        }
        let (kind, why) = match (wanted, home(&digest).filter(|home| *home != path)) {
            (_, Some(home)) => (FaultKind::Misplaced, format!("has the bytes of {home}")),
            (Some(wanted), None) => (FaultKind::Changed, format!("has BLAKE3 {digest}, expected {wanted}")),
            (None, None) => (FaultKind::Extra, String::new()),
        };
        faults.push(Fault { path: path.into(), kind, why });
    };
    let (pool, mut is_present) = (crate::parallel::pool(jobs)?, vec![false; sums.len()]);
    for found in found.chunks(AT_ONCE) {
        let digests =
            pool.install(|| found.par_iter().map_init(Vec::new, digest).collect::<Vec<Result<Digest>>>());
        for ((path, _), digest) in found.iter().zip(digests) {
            compare(path, digest);
            if let Some(at) = sums.find(path) {
                is_present[at] = true;
            }
        }
    }
    progress.end();
    let is_unread = |path: &str| unread.iter().any(|folder| path.starts_with(folder));
    for (line, is_present) in sums.lines().zip(is_present) {
        let path = line.path.as_str();
        if !is_present && !too_long.contains(path) && !is_unread(path) {
            faults.push(Fault { path: path.into(), kind: FaultKind::Missing, why: String::new() });
        }
    }
    faults.sort();
    Ok(faults)
}

/// Returns what is wrong with a file that shows without reading it. What is too long to belong to a tree is
/// not hashed: a sparse file could keep a verification busy for days.
fn at_sight(path: &str, kind: Kind, is_expected: bool) -> Option<(FaultKind, String)> {
    let length = match kind {
        Kind::File(length) => length,
        Kind::Other => return Some((FaultKind::Invalid, "is not a regular file".into())),
    };
    if path.contains(char::REPLACEMENT_CHARACTER) {
        return Some((FaultKind::Extra, "has a name that is not UTF-8".into()));
    }
    let longest = longest(path);
    (length > longest).then(|| match is_expected {
        true => (FaultKind::Changed, format!("has {length} bytes, and no such file has more than {longest}")),
        false => (FaultKind::Extra, String::new()),
    })
}

/// The maximum length of a file of a tree, in bytes.
fn longest(path: &str) -> u64 {
    if path == CLASSES { MAX_CLASSES } else { MAX_IMAGE_LEN }
}

/// Returns the BLAKE3 of a file of at most `longest` bytes, which was of this kind when it was listed.
fn digest_file(path: &Path, kind: &Kind, longest: u64, buffer: &mut Vec<u8>) -> Result<Digest> {
    use std::io::Read;
    let mut file = files::open_listed(path)?;
    let mut hasher = blake3::Hasher::new();
    if let Kind::File(length) = kind
        && *length <= SMALL
    {
        // Read one byte more than expected, to see the end of the file. `read_to_end` would ask the file
        // system for the length, which is known.
        let end = *length as usize + 1;
        buffer.resize(end.max(buffer.len()), 0);
        let mut filled = 0;
        while filled < end {
            match file.read(&mut buffer[filled..end]).map_err(Error::io("read", path))? {
                0 => return Ok(Digest::of(&buffer[..filled])),
                count => filled += count,
            }
        }
        // The file has grown since it was listed; hash the rest too.
        hasher.update(&buffer[..filled]);
    }
    let rest = files::regular(file, path)?.take(longest + 1 - hasher.count().min(longest));
    hasher.update_reader(rest).map_err(Error::io("read", path))?;
    if hasher.count() > longest {
        return Err(Error::integrity(path.display(), format!("is longer than {longest} bytes")));
    }
    Ok(Digest::of_hasher(&hasher))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_has_taken_the_place_of_a_listed_file_is_neither_waited_for_nor_read_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        let digest = |path: &Path, length| digest_file(path, &Kind::File(length), 1 << 30, &mut Vec::new());
        assert_eq!(digest(&pipe, 3).unwrap(), Digest::of(b""));
        let endless = Path::new("/dev/zero");
        for (path, length) in [(&*pipe, SMALL + 1), (endless, 0), (endless, 3), (endless, SMALL + 1)] {
            let error = digest(path, length).unwrap_err();
            assert!(matches!(error, Error::Invalid { .. }), "{}: {error}", path.display());
        }
    }

    #[test]
    fn a_file_that_grew_since_it_was_listed_is_read_no_further_than_a_file_can_be_long() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        for length in [9, 10, 11, 1 << 40] {
            std::fs::File::create(&path).unwrap().set_len(length).unwrap();
            for listed in [0, 3, 9, 10] {
                let found = digest_file(&path, &Kind::File(listed), 10, &mut Vec::new());
                match found {
                    Ok(found) => {
                        assert_eq!(found, Digest::of(&vec![0; length as usize]), "{length} {listed}")
                    }
                    Err(e) => assert!(length > 10 && matches!(e, Error::Integrity { .. }), "{length} {e}"),
                }
            }
        }
    }
}
