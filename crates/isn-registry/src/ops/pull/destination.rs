//! [`Destination`]: what is at the place where a tree is to be.

use std::fs;
use std::path::Path;

use super::seen::Seen;
use crate::files;
use crate::ops::verify::tree::{self, Expected, ExpectedBasis};
use crate::ops::verify::{Fault, FaultKind, VerifyReport};
use crate::progress::Progress;
use crate::registry::Snapshot;
use crate::tree_file::{list_of, origin_of};
use isn_format::dataset_ref::{Name, Version};
use isn_format::error::{At, Error, Result, There};
use isn_format::sums::Sums;
use isn_format::tree::{B3SUMS, B3SUMS_PROOF, B3SUMS_SELECTED, ISN_JSON, MAX_ISN_JSON, Origin};

/// What is at the destination.
pub(super) enum Destination {
    /// Nothing, or an empty folder.
    Free,
    /// The wanted tree itself, whole.
    Same,
    /// Another version or part of the same dataset, whole and without other files, so it may be replaced.
    Earlier {
        /// What it is, for people.
        what: String,
        /// The state in which it was found.
        seen: Seen,
    },
}

impl Destination {
    /// Checks what is at `to`. Fails if it is neither the wanted tree nor one that may be replaced.
    pub(super) fn look(
        to: &Path,
        snapshot: &Snapshot,
        is_released: bool,
        selected: &Sums,
        jobs: usize,
        progress: &dyn Progress,
    ) -> Result<Self> {
        if files::is_free(to)? {
            return Ok(Destination::Free);
        }
        if !to.is_dir() {
            return Err(Error::exists(There::Place, to.display(), " and is not a folder"));
        }
        let pin = snapshot.head.manifest.pin();
        let refuse = |why: String| match files::check_not_around_us(to) {
            Ok(()) => Error::exists(There::Place, to.display(), why),
            Err(around_us) => around_us,
        };
        // A folder of something else may be large, so it is not walked just to say so.
        if !files::is_tree(to) {
            return Err(refuse(format!(", and is not a tree of {pin} (it has no {B3SUMS})")));
        }
        let expected = Expected::of(snapshot, selected);
        let has = |name: &str, sums: &Sums| tree::has_sums(&to.join(name), sums).map(|has| has == Some(true));
        let has_sums = match expected.basis {
            ExpectedBasis::Sums(sums) => has(B3SUMS, sums)?,
            ExpectedBasis::Proof(proof) => files::has_bytes(&to.join(B3SUMS_PROOF), proof)? == Some(true),
        };
        let is_this = has_sums
            && if expected.is_partial() { has(B3SUMS_SELECTED, selected)? } else { list_of(to) == B3SUMS };
        if !is_this {
            check_release(to, snapshot, is_released)?;
        }
        match if is_this { Earlier::No } else { earlier(to, snapshot, jobs, progress)? } {
            Earlier::Whole(what, seen) => {
                return files::check_movable(to).map(|()| Destination::Earlier { what, seen });
            }
            Earlier::Changed(what, faults) => return Err(changed(to, &what, &faults)),
            Earlier::No if !has_sums => {
                return Err(refuse(format!(", and is not a tree of {pin}")));
            }
            Earlier::No => {}
        }
        let faults = tree::check(to, &expected, jobs, progress)?;
        if faults.is_empty() {
            return Ok(Destination::Same);
        }
        files::check_not_around_us(to)?;
        Err(changed(to, &snapshot.head.manifest.id().to_string(), &faults))
    }
}

/// Refuses to replace a tree by what has the same name and version and another hash, if one of the two was
/// built and not released: one is wrong, and only a person can find out which. Nor does what nobody released
/// replace a release.
fn check_release(to: &Path, snapshot: &Snapshot, is_released: bool) -> Result<()> {
    let manifest = &snapshot.head.manifest;
    let wanted = manifest.dataset.prefixed();
    let is_it = |name: &Name, version: Version| (name, version) == (&manifest.name, manifest.version);
    let why = match origin_of(to) {
        Some(Origin::Unreleased(built))
            if is_it(&built.name, built.recipe.version) && built.dataset != wanted =>
        {
            let other = if is_released { "the release is" } else { "this source gives" };
            format!("was built from a source, as {}, and {other} {wanted}", built.dataset)
        }
        Some(Origin::Released(known)) if !is_released => {
            if !is_it(&known.name, known.version) || known.dataset == wanted {
                let why = format!(", and is {}, which was released", Origin::Released(known).what());
                return Err(Error::exists(There::Place, to.display(), why));
            }
            format!("is the release, {}, and this source gives {wanted}", known.dataset)
        }
        _ => return Ok(()),
    };
    Err(Error::integrity(to.display(), why).at(At::Rebuilt))
}

/// Refuses, before a build, a destination that could not be replaced whatever comes of it.
pub(super) fn check_before(to: &Path, name: &Name) -> Result<()> {
    if files::is_free(to)? {
        return Ok(());
    }
    let refuse = |why: String| Err(Error::exists(There::Place, to.display(), why));
    if !to.is_dir() {
        return refuse(" and is not a folder".into());
    }
    if fs::symlink_metadata(to).is_ok_and(|about| about.is_symlink()) {
        return refuse(", and is a symlink: name the folder that it leads to".into());
    }
    match origin_of(to).filter(|_| files::is_tree(to)) {
        Some(origin) if origin.name() == name => files::check_movable(to),
        _ => files::check_not_around_us(to).and_then(|()| refuse(format!(", and is not a tree of {name}"))),
    }
}

/// Returns the error that the tree at `to`, of the version `what`, has these faults.
fn changed(to: &Path, what: &str, faults: &[Fault]) -> Error {
    let more = match faults.len().saturating_sub(1) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let first = faults.first().map(Fault::to_string).unwrap_or_default();
    let why = format!(", and is {what}, damaged or edited ({first}{more})");
    Error::exists(There::Changed, to.display(), why)
}

/// Whether a folder is a tree of another version, or another part, of the same dataset.
enum Earlier {
    /// It has exactly the files of its own `B3SUMS`, so replacing it loses nothing that could not be pulled
    /// again. With what it is, and its state.
    Whole(String, Seen),
    /// It has other files. With what it is, and the differences.
    Changed(String, Vec<Fault>),
    No,
}

fn earlier(to: &Path, snapshot: &Snapshot, jobs: usize, progress: &dyn Progress) -> Result<Earlier> {
    // A symlink leads to a folder in another place, which is not replaced.
    if fs::symlink_metadata(to).is_ok_and(|meta| meta.is_symlink()) || !files::is_tree(to) {
        return Ok(Earlier::No);
    }
    let json = match files::read_capped_if_there(&to.join(ISN_JSON), MAX_ISN_JSON) {
        // It is too long to be read.
        Err(Error::Integrity { why, .. }) => {
            let why = format!(", and is damaged or edited (invalid: {ISN_JSON} ({why}))");
            return Err(Error::exists(There::Changed, to.display(), why));
        }
        read => read?,
    };
    let origin = json.and_then(|json| Origin::parse(&json));
    let Some(origin) = origin.filter(|found| *found.name() == snapshot.head.manifest.name) else {
        return Ok(Earlier::No);
    };
    // The state is recorded before the files are read, because later changes are not covered by the
    // verification.
    let seen = Seen::of(to)?;
    let what = origin.what();
    let report = match tree::verify(to, None, jobs, progress) {
        // The list is too long to be read.
        Err(Error::Integrity { why, .. }) => {
            let fault = Fault { path: B3SUMS.into(), kind: FaultKind::Invalid, why };
            return Ok(Earlier::Changed(what, vec![fault]));
        }
        verified => verified?,
    };
    Ok(match report.faults.is_empty() {
        false => Earlier::Changed(what, report.faults),
        true if is_of(&report, &origin) => Earlier::Whole(what, seen),
        true => Earlier::No,
    })
}

/// Whether the tree of a report has the dataset hash that its `ISN.json` names.
fn is_of(report: &VerifyReport, origin: &Origin) -> bool {
    report.dataset.is_some_and(|dataset| dataset.prefixed() == origin.dataset())
}

/// Whether a folder is a tree of any version, whole and without other files. `false` if it cannot be read.
pub(super) fn is_whole_tree(root: &Path, jobs: usize, progress: &dyn Progress) -> bool {
    origin_of(root).is_some_and(|origin| {
        let report = tree::verify(root, None, jobs, progress);
        report.is_ok_and(|report| report.faults.is_empty() && is_of(&report, &origin))
    })
}
