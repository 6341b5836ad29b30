//! Writing to a registry in a folder. Objects come first, the release last, so that what a reader can find is
//! whole; a lock keeps two writers apart, and the release is created exclusively even without it.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::{About, FORMAT, Registry, layout};
use crate::dataset_ref::{Name, Version};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::files;
use crate::log::{LogKey, LogSigner};
use crate::object::{ObjectKind, ObjectRef};
use crate::statement::ReleaseStatement;
use crate::transport;
use crate::transport::folder::Folder;

/// Held while something is written; a reader never looks at it.
const LOCK: &str = ".isn-lock";
const BUFFER: usize = 1 << 20;

/// A registry in a folder, locked for writing.
pub struct FolderWriter {
    root: PathBuf,
    _lock: files::Lock,
}

impl FolderWriter {
    /// Makes an absent or empty folder a registry with an empty log, which `new_signer` makes the key of; a registry that
    /// has no log gets one. `false` if there was nothing to do.
    pub fn init(
        root: &Path,
        description: &str,
        new_signer: impl FnOnce() -> Result<LogSigner>,
    ) -> Result<bool> {
        let path = root.join(layout::REGISTRY_JSON);
        if !path.exists() {
            FolderWriter::check_free(root)?;
        }
        let _lock = files::Lock::take(&root.join(LOCK))?;
        let about = match files::read_if_there(&path)? {
            Some(bytes) => About::parse(&path.display().to_string(), &bytes)?,
            None => About { format: FORMAT.into(), description: description.into(), log_key: None },
        };
        if about.log_key.is_some() {
            return Ok(false);
        }
        let signer = new_signer()?;
        // An empty log is made by whoever opens it first, so this one file is all.
        write_about(&path, &About { log_key: Some(signer.log_key().clone()), ..about })?;
        Ok(true)
    }

    /// Whether [`FolderWriter::init`] could make a registry here.
    pub fn check_free(root: &Path) -> Result<()> {
        let others = if root.exists() { files::names_in(root)? } else { Vec::new() };
        // What a killed run of ours left does not make a folder somebody else's.
        if others.iter().any(|name| name != LOCK && !name.starts_with(files::TEMP_PREFIX)) {
            return Err(Error::Exists {
                what: format!("folder {}", root.display()),
                why: format!(" and is neither empty nor a registry (it has no {})", layout::REGISTRY_JSON),
            });
        }
        Ok(())
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Says in `registry.json` that the log has another key.
    pub fn set_log_key(&self, key: &LogKey) -> Result<()> {
        let path = self.root.join(layout::REGISTRY_JSON);
        let about = About::parse(&path.display().to_string(), &files::read(&path)?)?;
        write_about(&path, &About { log_key: Some(key.clone()), ..about })
    }

    /// Locks the registry in `root`, waiting for another writer, and removes what a killed writer left.
    pub fn open(root: &Path) -> Result<Self> {
        let lock = files::Lock::take(&root.join(LOCK))?;
        for (path, _) in files::walk(root)? {
            if path.rsplit('/').next().is_some_and(|name| name.starts_with(files::TEMP_PREFIX)) {
                let path = root.join(path);
                std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(FolderWriter { root: root.to_path_buf(), _lock: lock })
    }

    /// As if the file system had no locks: each writer has a lock file of its own.
    #[cfg(test)]
    pub(super) fn open_beside_others(root: &Path, lock: &Path) -> Result<Self> {
        Ok(FolderWriter { root: root.to_path_buf(), _lock: files::Lock::take(lock)? })
    }

    /// The same of a folder that must be a registry already.
    pub fn open_existing(root: &Path) -> Result<Self> {
        if !root.join(layout::REGISTRY_JSON).is_file() {
            return Err(Error::not_found(layout::REGISTRY_JSON, root.display()));
        }
        FolderWriter::open(root)
    }

    /// Checks that what describes a version is here, before its release goes into the log.
    pub fn check_objects(&self, release: &ReleaseStatement) -> Result<()> {
        let registry = Registry::over(self.root.display().to_string(), Box::new(Folder::new(&self.root)));
        let manifest = ObjectRef { blake3: release.manifest, length: release.manifest_len };
        let described = transport::runtime()?.block_on(registry.describe(manifest, Vec::new()))?.manifest;
        if (&described.name, described.version, described.dataset)
            == (&release.name, release.version, release.dataset)
        {
            return Ok(());
        }
        let what = format!("the release of {}@{}", release.name, release.version);
        Err(Error::trust(
            what,
            "states another dataset, version or hash than its manifest: two versions are mixed",
        ))
    }

    /// Copies an object from `from`, unless it is there, and reads back what it wrote. `true` if it wrote.
    pub fn put_object(&self, kind: ObjectKind, object: &ObjectRef, from: &Path) -> Result<bool> {
        let to = self.root.join(layout::object(kind, &object.blake3));
        if to.exists() {
            check_file(&to, object)?;
            return Ok(false);
        }
        files::create_dir_all(files::parent(&to))?;
        let mut source = File::open(from).map_err(Error::io("open", from))?;
        let mut temp = files::temp_file_in(files::parent(&to))?;
        std::io::copy(&mut source, &mut temp).map_err(Error::io("write", &to))?;
        temp.flush().map_err(Error::io("write", &to))?;
        temp.as_file().sync_all().map_err(Error::io("write", &to))?;
        check_file(temp.path(), object)?;
        temp.persist(&to).map_err(|e| Error::io("write", &to)(e.error))?;
        Ok(true)
    }

    /// Adds a pack to the packs of a manifest.
    pub fn add_pack(&self, manifest: &Digest, pack: &Digest) -> Result<()> {
        self.add_line(&layout::packs(manifest), &pack.to_string(), |a, b| a.cmp(b))
    }

    /// Lets the dataset hash be found: the first version that has it keeps it.
    fn add_pin(&self, dataset: &Digest, name: &Name, version: Version) -> Result<()> {
        files::create_new(&self.root.join(layout::pin(dataset)), format!("{name} {version}\n").as_bytes())?;
        Ok(())
    }

    /// Lets a release that is in the log be found without it: the statement's file, the pin, the lists.
    pub fn list_release(&self, release: &ReleaseStatement, signed: &[u8]) -> Result<()> {
        let path = self.root.join(layout::release(&release.name, release.version));
        if !files::create_new(&path, signed)? && files::read(&path)? != signed {
            return Err(Error::trust(path.display(), "was replaced: it is not the release that the log has"));
        }
        self.add_pin(&release.dataset, &release.name, release.version)?;
        self.add_version(&release.name, release.version)
    }

    /// Lets the version be found by its name.
    fn add_version(&self, name: &Name, version: Version) -> Result<()> {
        let numerically = |a: &str, b: &str| a.parse::<Version>().ok().cmp(&b.parse::<Version>().ok());
        self.add_line(&layout::versions(name), &version.to_string(), numerically)?;
        self.add_line(layout::NAMES, name.as_str(), |a, b| a.cmp(b))
    }

    /// Adds a line to a sorted list, if it is not in it.
    fn add_line(
        &self,
        path: &str,
        line: &str,
        order: impl Fn(&str, &str) -> std::cmp::Ordering,
    ) -> Result<()> {
        let path = self.root.join(path);
        let old = files::read_if_there(&path)?.unwrap_or_default();
        let old = String::from_utf8_lossy(&old);
        let mut lines: Vec<&str> = old.lines().collect();
        if lines.contains(&line) {
            return Ok(());
        }
        lines.push(line);
        lines.sort_by(|a, b| order(a, b));
        files::replace(&path, (lines.join("\n") + "\n").as_bytes())
    }
}

fn write_about(path: &Path, about: &About) -> Result<()> {
    let mut bytes = serde_json::to_vec_pretty(about).map_err(|e| Error::Internal(e.to_string()))?;
    bytes.push(b'\n');
    files::replace(path, &bytes)
}

/// Checks that a file holds the object, reading it in pieces.
pub fn check_file(path: &Path, object: &ObjectRef) -> Result<()> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let (mut hasher, mut length) = (blake3::Hasher::new(), 0);
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = file.read(&mut buffer).map_err(Error::io("read", path))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        length += read as u64;
    }
    let found = ObjectRef { blake3: Digest::of_hasher(&hasher), length };
    if found != *object {
        let why = format!(
            "is damaged: {} bytes of BLAKE3 {}, expected {} of {}",
            found.length, found.blake3, object.length, object.blake3
        );
        return Err(Error::integrity(path.display(), why));
    }
    Ok(())
}
