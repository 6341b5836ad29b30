//! Where the trees of a project may be: below its folder, and not within each other.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use super::{CHANGING, LOCK_FILE, Locked, PROJECT_FILE};
use crate::files;
use isn_format::dataset_ref::DatasetRef;
use isn_format::error::{Error, Mistake, Result};
use isn_format::tree::ISN_JSON;

/// The maximum number of symlinks to follow on the way to a path, as the system has one too.
const MAX_LINKS: usize = 40;

/// Returns what is wrong with `path`, relative to `project`, as the path of a tree of `reference`. It must
/// lie below the project's folder unless `allow_outside`, and must be neither within a `.git` folder nor one
/// of isn's own files.
///
/// # Errors
/// [`Error::Io`] if a file on the way cannot be looked at.
pub fn misplaced(
    project: &Path,
    path: &Path,
    reference: &DatasetRef,
    allow_outside: bool,
) -> Result<Option<Mistake>> {
    if let Some(why) = never(project, path)? {
        return Ok(Some(mistake(path, reference, why)));
    }
    let out = way_out(project, path)?.filter(|_| !allow_outside);
    Ok(out.map(|why| mistake(path, reference, &format!("{why} (--allow-outside permits it)"))))
}

/// Returns why no tree may be at `path`, whatever the user permits.
fn never(project: &Path, path: &Path) -> Result<Option<&'static str>> {
    if path.to_str().is_none() {
        return Ok(Some("is not UTF-8, as paths in isn.lock must be"));
    }
    let (project, place) = (resolved(project)?, resolved(&project.join(path))?);
    // Only the part below the project counts: the project itself may lie within a `.git` folder.
    let below = place.strip_prefix(&project).ok();
    // Git may run what is in a `.git` folder.
    let is_git = |path: &Path| path.iter().any(|name| name.eq_ignore_ascii_case(".git"));
    if is_git(path) || is_git(below.unwrap_or(&place)) {
        return Ok(Some("is a .git folder, or in one"));
    }
    let first = below.and_then(|below| below.iter().next()).unwrap_or_default();
    let is_own = [LOCK_FILE, PROJECT_FILE, CHANGING].iter().any(|own| first.eq_ignore_ascii_case(own));
    Ok(is_own.then_some("is isn's own: choose another name"))
}

fn mistake(path: &Path, reference: &DatasetRef, why: &str) -> Mistake {
    Mistake { line: None, why: format!("{}, for {}, {why}", path.display(), reference.without_hash()) }
}

/// Returns how `path`, relative to `project`, leads out of it: by its own components, or by the symlinks on
/// the way.
fn way_out(project: &Path, path: &Path) -> Result<Option<&'static str>> {
    // A separator or a drive of any system counts on every system.
    let is_foreign = path.to_string_lossy().contains(['\\', ':']);
    if path.is_absolute() || is_foreign {
        return Ok(Some("is not below the project's folder"));
    }
    if let Some(why) = words_out(path) {
        return Ok(Some(why));
    }
    let project = project.canonicalize().map_err(Error::io("look at", project))?;
    let mut at = project.clone();
    for component in path.components() {
        at.push(component);
        match at.symlink_metadata() {
            // A dangling symlink may lead anywhere tomorrow.
            Ok(about) if about.is_symlink() => match at.canonicalize() {
                Ok(to) => at = to,
                Err(_) => return Ok(Some(THROUGH_A_LINK)),
            },
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io("look at", &at)(e)),
            _ => {}
        }
    }
    Ok(at.strip_prefix(&project).map_or(Some(THROUGH_A_LINK), words_out))
}

const THROUGH_A_LINK: &str = "leads out of the project's folder through a link";

/// Returns how a relative path leads out of its base folder by its components alone.
fn words_out(path: &Path) -> Option<&'static str> {
    let mut is_below = false;
    for component in path.components() {
        match component {
            Component::Normal(_) => is_below = true,
            Component::CurDir => {}
            _ => return Some("leads out of the project's folder"),
        }
    }
    if is_below { None } else { Some("is the project's folder itself") }
}

/// Two trees of which one lies within the other, or at the same path.
pub(super) struct Overlap<'a> {
    inner: &'a Path,
    outer: Option<&'a Path>,
    /// What is wrong, in words.
    pub(super) mistake: Mistake,
}

impl Overlap<'_> {
    /// Whether the tree at `path`, as the lock file spells it, is one of the two.
    pub(super) fn is_of(&self, path: &Path) -> bool {
        self.inner == path || self.outer == Some(path)
    }
}

/// Finds the trees that lie within each other after following symlinks, and those within a tree that is in
/// `project` already. A loader would take the inner tree for classes and images of the outer one.
pub(super) fn overlaps<'a>(project: &Path, entries: &[&'a Locked]) -> Result<Vec<Overlap<'a>>> {
    let project = resolved(project)?;
    let placed = |entry: &&'a Locked| resolved(&project.join(&entry.path)).map(|place| (place, *entry));
    let mut places = entries.iter().map(placed).collect::<Result<Vec<_>>>()?;
    // Paths that are equal on a case-insensitive system count as equal on every system.
    let key = |place: &Path| PathBuf::from(place.to_string_lossy().to_lowercase());
    places.sort_by_cached_key(|(place, entry)| (key(place), &entry.path));
    let (mut found, mut around) = (Vec::new(), Vec::<(PathBuf, &Locked)>::new());
    for (place, entry) in places {
        let here = key(&place);
        // In sorted order, a tree that does not contain this one contains none of the later ones.
        while around.last().is_some_and(|(outer, _)| !here.starts_with(outer)) {
            around.pop();
        }
        let said = |outer: Option<&'a Path>, why: String| Overlap {
            inner: &entry.path,
            outer,
            mistake: mistake(&entry.path, &entry.pin, &why),
        };
        if let Some((outer, other)) = around.last() {
            let how = if *outer == here { "is the same place as" } else { "is in" };
            let why = format!("{how} {}, which is for {}", other.path.display(), other.pin.without_hash());
            found.push(said(Some(&other.path), why));
        } else if let Some(tree) = tree_around(&project, &place) {
            found.push(said(None, format!("is in {}, which is a tree", tree.display())));
        }
        around.push((here, entry));
    }
    Ok(found)
}

/// Returns the tree that contains the path `place` below `project`, relative to the project.
fn tree_around<'a>(project: &Path, place: &'a Path) -> Option<&'a Path> {
    let below = place.strip_prefix(project).ok()?;
    let is_tree = |folder: &&Path| {
        files::is_tree(&project.join(folder)) && project.join(folder).join(ISN_JSON).is_file()
    };
    // The last ancestor is the project's own folder.
    below.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()).find(is_tree)
}

/// Returns an absolute path with every symlink followed, including dangling ones.
fn resolved(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path).map_err(Error::io("look at", path))?;
    let words = |path: &Path| -> Vec<OsString> {
        path.components().rev().map(|component| component.as_os_str().to_owned()).collect()
    };
    let (mut at, mut rest, mut links) = (PathBuf::new(), words(&absolute), 0);
    while let Some(word) = rest.pop() {
        match Path::new(&word).components().next() {
            Some(Component::ParentDir) => {
                at.pop();
            }
            Some(Component::CurDir) | None => {}
            _ => at.push(&word),
        }
        match at.symlink_metadata() {
            Ok(about) if about.is_symlink() && links < MAX_LINKS => {
                links += 1;
                let to = at.read_link().map_err(Error::io("look at", &at))?;
                at.pop();
                rest.extend(words(&to));
            }
            Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Err(Error::io("look at", &at)(e));
            }
            _ => {}
        }
    }
    Ok(at)
}
