//! `isn.lock`: the exact versions that a project uses, and where their trees are; and `isn.toml`, what it asks for.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::dataset_ref::DatasetRef;
use crate::error::{Error, Result};
use crate::files;
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
        let refuse = |why: &dyn std::fmt::Display| Error::invalid(path.display(), why);
        let text = String::from_utf8(bytes).map_err(|e| refuse(&e))?;
        let lock: LockFile = toml::from_str(&text).map_err(|e| refuse(&e.to_string().trim_end()))?;
        if lock.format != FORMAT {
            return Err(refuse(&format!("has format '{}', this isn reads {FORMAT}", lock.format)));
        }
        if let Some(entry) =
            lock.datasets.iter().find(|entry| !matches!(entry.pin, DatasetRef::Version(_, _, Some(_))))
        {
            return Err(refuse(&format!("'{}' is no pin: expected NAME@VERSION#b3:…", entry.pin)));
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
        let text = toml::to_string(self).map_err(|e| Error::Internal(e.to_string()))?;
        files::replace(
            path,
            format!("# Written by isn: exact dataset versions. Restore with `isn sync --locked`.\n{text}")
                .as_bytes(),
        )
    }
}

impl Project {
    /// Reads `path`; an absent file asks for nothing.
    pub fn read(path: &Path) -> Result<Self> {
        let Some(bytes) = files::read_capped_if_there(path, MAX_LEN)? else { return Ok(Project::default()) };
        let refuse = |why: &dyn std::fmt::Display| Error::invalid(path.display(), why);
        let text = String::from_utf8(bytes).map_err(|e| refuse(&e))?;
        toml::from_str(&text).map_err(|e| refuse(&e.to_string().trim_end()))
    }
}
