//! `isn.lock`: the exact versions that a project uses, and where their trees are; and `isn.toml`, what it asks for.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::dataset_ref::DatasetRef;
use crate::error::{Error, Mistake, Result};
use crate::files;
use crate::text::toml_text;
use crate::tree::Selection;

/// The lock file's name.
pub const LOCK_FILE: &str = "isn.lock";
/// The project file's name.
pub const PROJECT_FILE: &str = "isn.toml";
const FORMAT: &str = "isn-lock/1";
/// A longer `isn.lock` or `isn.toml` is none, in bytes.
const MAX_LEN: u64 = 4 << 20;

/// The contents of `isn.lock`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockFile {
    format: String,
    /// One entry a tree, sorted by path.
    #[serde(default, rename = "dataset")]
    pub datasets: Vec<Locked>,
}

/// One tree of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Where it is, relative to the lock file.
    pub path: PathBuf,
    /// `name@version#b3:…`.
    pub pin: DatasetRef,
    /// From where it was pulled.
    pub registry: String,
    /// Which part of it.
    #[serde(default, skip_serializing_if = "Selection::is_all")]
    pub selection: Selection,
}

/// The contents of `isn.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// Where to look, in order.
    #[serde(default)]
    pub registry: Vec<String>,
    /// What `isn sync` is to bring.
    #[serde(default)]
    pub datasets: Vec<DatasetRef>,
}

impl Default for LockFile {
    fn default() -> Self {
        LockFile { format: FORMAT.into(), datasets: Vec::new() }
    }
}

impl LockFile {
    /// Reads `path`; an absent file locks nothing.
    pub fn read(path: &Path) -> Result<Self> {
        let Some(bytes) = files::read_capped_if_there(path, MAX_LEN)? else { return Ok(LockFile::default()) };
        LockFile::parse(&path.display().to_string(), bytes)
    }

    /// Reads the bytes of a lock file, called `what` in errors.
    pub fn parse(what: &str, bytes: Vec<u8>) -> Result<Self> {
        let lock: LockFile = toml_text(what, bytes)?;
        if lock.format != FORMAT {
            let why = format!("has format '{}', this isn reads {FORMAT}", lock.format);
            return Err(Error::invalid(what, why));
        }
        if let Some(entry) =
            lock.datasets.iter().find(|entry| !matches!(entry.pin, DatasetRef::Version(_, _, Some(_))))
        {
            let why = format!("'{}' is no pin: expected NAME@VERSION#b3:…", entry.pin);
            return Err(Error::invalid(what, why));
        }
        Ok(lock)
    }

    /// Adds an entry, in place of an older one of the same path.
    pub fn set(&mut self, entry: Locked) {
        self.datasets.retain(|old| old.path != entry.path);
        self.datasets.push(entry);
        self.datasets.sort_by(|a, b| a.path.cmp(&b.path));
    }

    /// Writes `path`, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        files::replace(path, self.to_text()?.as_bytes())
    }

    /// The contents of the file.
    pub fn to_text(&self) -> Result<String> {
        let text = toml::to_string(self).map_err(|e| Error::Internal(e.to_string()))?;
        Ok(format!("# Written by isn: exact dataset versions. Restore with `isn sync --locked`.\n{text}"))
    }

    /// Refuses trees whose path leads out of `project`, the folder with the file called `what`: all of them at once.
    pub fn check_inside(&self, what: &str, project: &Path) -> Result<()> {
        let outside = |entry: &Locked| outside(project, &entry.path, &entry.pin).transpose();
        let mistakes: Vec<Mistake> = self.datasets.iter().filter_map(outside).collect::<Result<_>>()?;
        if mistakes.is_empty() { Ok(()) } else { Err(Error::Mistakes { what: what.into(), mistakes }) }
    }
}

impl Project {
    /// Reads `path`; an absent file asks for nothing.
    pub fn read(path: &Path) -> Result<Self> {
        let Some(bytes) = files::read_capped_if_there(path, MAX_LEN)? else { return Ok(Project::default()) };
        Project::parse(&path.display().to_string(), bytes)
    }

    /// Reads the bytes of a project file, called `what` in errors.
    pub fn parse(what: &str, bytes: Vec<u8>) -> Result<Self> {
        toml_text(what, bytes)
    }
}

/// What is wrong with `path`, relative to `project`, as the place of a tree of `reference`: nothing if it is below.
pub fn outside(project: &Path, path: &Path, reference: &DatasetRef) -> Result<Option<Mistake>> {
    let mistake = |why| {
        let reference = reference.to_string();
        let version = reference.split('#').next().unwrap_or_default();
        let why = format!("{}, for {version}, {why} (--allow-outside permits it)", path.display());
        Mistake { line: None, why }
    };
    Ok(way_out(project, path)?.map(mistake))
}

/// How `path`, relative to `project`, leads out of it: by its words, or by those of what its links lead to.
fn way_out(project: &Path, path: &Path) -> Result<Option<&'static str>> {
    // What another system takes for a separator or a drive counts on each.
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
            // A link to nothing may lead anywhere tomorrow.
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

/// How the words of a path alone lead out of the folder that it is relative to.
fn words_out(path: &Path) -> Option<&'static str> {
    let mut is_below = false;
    for component in path.components() {
        match component {
            // What lies there, git runs.
            Component::Normal(name) if name.eq_ignore_ascii_case(".git") => return Some("is git's own"),
            Component::Normal(_) => is_below = true,
            Component::CurDir => {}
            _ => return Some("leads out of the project's folder"),
        }
    }
    if is_below { None } else { Some("is the project's folder itself") }
}
