//! What to do about damaged bytes, and about a source that gives other ones.

use std::path::Path;

use super::Aim;
use isn_format::error::{At, Blame, Difference};
use isn_format::text::shell_path;
use isn_registry::dataset::IN_TREE;
use isn_registry::files;

/// Returns what to do about a file that has changed in a tree.
fn changed_tree(what: &str) -> String {
    let image = what.strip_prefix(IN_TREE).unwrap_or(what);
    let tree = Path::new(image).ancestors().skip(1).find(|above| files::is_tree(above));
    format!(
        "a tree that was pulled earlier has changed: `isn verify {}` lists its faults. Remove the changed \
         file, so that the image is fetched instead, or remove the tree and pull it again",
        tree.map_or("TREE".into(), shell_path)
    )
}

/// Returns what to do about damaged bytes, which depends on whose they are.
pub(super) fn help(at: At, what: &str, to: Aim) -> String {
    let next = match (at, to) {
        (At::Tree, _) => return changed_tree(what),
        (At::Reference, _) => {
            "check the version and the hash in the reference: the hash may be another version's. If both are \
             right, the registry has another version under this name: pull from another copy (--registry), and \
             tell the operator of this one"
        }
        (At::Lock, _) => {
            "if isn.lock was edited or merged by hand, restore it from version control, for example `git \
             checkout HEAD -- isn.lock`. If it is right, the registry has another version under this name: \
             name another copy (--registry), and tell the operator of this one"
        }
        (At::Rebuilt, _) => {
            "nothing was changed. One of the two was not made from the complete source by this recipe, and isn \
             cannot tell which: to keep both, choose another folder (--to)"
        }
        (At::Build, Aim::Write) => {
            "nothing was published. The build is damaged or incomplete: remove its folder, and build it \
             again (`isn build`)"
        }
        (At::Build, _) => {
            "the build is damaged or incomplete: remove its folder, and build it again (`isn build`)"
        }
        (At::Registry | At::Unknown, Aim::Serve) => SERVE,
        (At::Cache, _) => {
            "the cache does not agree with the registry: run the same command again with a network (without \
             --offline). isn then checks every image, and fetches the damaged ones again"
        }
        (At::Decoded, _) => {
            "the images themselves are as they were: open the version again (`isn.load`), and isn decodes them \
             anew"
        }
        (At::Registry | At::Unknown, Aim::Write) => {
            "these bytes are damaged or were replaced. Restore them, or tell the registry's operator; then \
             run the same command again: what it has written is kept"
        }
        (At::Registry, Aim::Look) => {
            "these bytes are damaged or were replaced. Try another copy of the registry (--registry), and \
             tell the operator of this one"
        }
        (At::Unknown, Aim::Look) => {
            "these bytes are damaged or were replaced. If they are in a tree of yours, remove it and \
             pull it again. If they are in a registry, try another copy of it (--registry), and tell its \
             operator"
        }
        (At::Registry | At::Unknown, Aim::Bring) => {
            "the destination was not changed. These bytes are damaged or were replaced: pull from another \
             copy of the registry (--registry), and tell the operator of this one"
        }
    };
    next.into()
}

/// What the operator of a registry can do about it.
pub(super) const SERVE: &str = "nothing is served. `isn verify DIR` lists the faults. Restore the files from a backup, \
                     or copy a mirror (`isn mirror URL NEW-DIR`) and serve that";

/// Returns what to do about the first cause of the differences.
pub(super) fn rebuilt(differences: &[Difference]) -> String {
    match differences.iter().map(|difference| difference.cause).min() {
        Some(Blame::SourceMissing | Blame::SourceFile) => {
            "nothing was written. Check that --source names the folder that holds train/ and val/, and get \
             the named files from where the source comes from; `isn verify-source REF --source DIR` checks \
             the source alone"
                .into()
        }
        Some(Blame::Recipe) | None => {
            "nothing was written. The source says or has what the version's source did not: `isn source check DIR \
             --recipe RECIPE` counts its images for each class, and `isn verify-source` compares the classes of a list"
                .into()
        }
        Some(Blame::Decoder | Blame::Encoder) => {
            "nothing was written. The source is right, but this copy of isn produces different bytes from the \
             same source: please report it, with the output of `isn doctor`"
                .into()
        }
    }
}
