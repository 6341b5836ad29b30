//! Writing to a registry in a folder. Objects come first, the release last, so that what a reader can find is
//! whole; a lock keeps two writers apart, and the release is created exclusively even without it.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::{About, FORMAT, layout};
use crate::dataset_ref::{Name, Version};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::files;
use crate::object::{ObjectKind, ObjectRef};
use crate::release::SignedRelease;

/// Held while something is written; a reader never looks at it.
const LOCK: &str = ".isn-lock";
const BUFFER: usize = 1 << 20;

/// A registry in a folder, locked for writing.
pub struct FolderWriter {
    root: PathBuf,
    _lock: files::Lock,
}

impl FolderWriter {
    /// Makes an absent or empty folder a registry; `false` if it is one already.
    pub fn init(root: &Path, description: &str) -> Result<bool> {
        let about = root.join(layout::REGISTRY_JSON);
        if about.exists() {
            return Ok(false);
        }
        let others = if root.exists() { files::names_in(root)? } else { Vec::new() };
        // What a killed run of ours left does not make a folder somebody else's.
        if others.iter().any(|name| name != LOCK && !name.starts_with(files::TEMP_PREFIX)) {
            return Err(Error::Exists {
                what: format!("folder {}", root.display()),
                why: format!(" and is neither empty nor a registry (it has no {})", layout::REGISTRY_JSON),
            });
        }
        let contents = About { format: FORMAT.into(), description: description.into() };
        let mut bytes = serde_json::to_vec_pretty(&contents).map_err(|e| Error::Internal(e.to_string()))?;
        bytes.push(b'\n');
        files::create_new(&about, &bytes)
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
    pub fn add_pin(&self, dataset: &Digest, name: &Name, version: Version) -> Result<()> {
        files::create_new(&self.root.join(layout::pin(dataset)), format!("{name} {version}\n").as_bytes())?;
        Ok(())
    }

    /// The release of a version that is there, if any.
    pub fn release(&self, name: &Name, version: Version) -> Result<Option<SignedRelease>> {
        let path = self.root.join(layout::release(name, version));
        let bytes = files::read_if_there(&path)?;
        bytes.map(|bytes| SignedRelease::parse(&path.display().to_string(), bytes)).transpose()
    }

    /// Creates the release, on which everything else hangs; `false` if there is one already.
    pub fn create_release(&self, name: &Name, version: Version, release: &SignedRelease) -> Result<bool> {
        files::create_new(&self.root.join(layout::release(name, version)), release.bytes())
    }

    /// Lets the version be found by its name.
    pub fn add_version(&self, name: &Name, version: Version) -> Result<()> {
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
