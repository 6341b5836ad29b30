//! [`Store`]: what a writer needs of the location of a registry, which is a folder or a bucket.
//!
//! Correctness rests on two guarantees only: a file appears whole or not at all, and of two writers that
//! create the same file one is told that it did. A folder also has a lock, which saves work.

#[cfg(feature = "cloud")]
mod bucket;
mod folder;
#[cfg(test)]
#[cfg(feature = "cloud")]
mod tests;

#[cfg(feature = "cloud")]
pub use bucket::BucketStore;
pub use folder::FolderStore;

use std::path::Path;

use super::{BUNDLED, Registry};
use crate::files;
use crate::transport::{Access, is_bucket};
use crate::trust::RegistryId;
use isn_format::error::{Error, Input, Result};
use isn_format::object::ObjectRef;

/// Writes the files of a registry by their `/`-separated paths. A folder store follows no symlink on the way
/// to a file or in its place; its error names the symlink.
///
/// # Errors
/// Every function fails if the store cannot be reached, read or written: a folder with [`Error::Io`] or
/// [`Error::Foreign`], a bucket with [`Error::Network`].
pub trait Store: Send + Sync {
    /// The location, as the user would name it.
    fn name(&self) -> &str;

    /// The folder, unless the location is a bucket.
    fn folder(&self) -> Option<&Path> {
        None
    }

    /// The location of the file `path`, for messages.
    fn locate(&self, path: &str) -> String;

    /// Opens the same location for reading.
    fn registry(&self) -> Result<Registry>;

    /// Whether there is nothing here except what a killed writer left. Asked before a location becomes a
    /// registry.
    fn is_free(&self) -> Result<bool>;

    /// Prepares the location for one writer, and removes what a killed one left. Refuses a bucket that cannot
    /// keep two writers apart. A folder is locked until the result is dropped.
    fn begin(&self) -> Result<Option<files::Lock>>;

    /// Reads a whole file; returns `None` if there is none. Fails if it is longer than [any file at
    /// `path`](super::layout::max_len).
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>>;

    /// Returns the length of a file in bytes; `None` if there is none.
    fn length(&self, path: &str) -> Result<Option<u64>>;

    /// Creates a file; returns `false` if there is one already. Of two writers that try at once, one gets
    /// `true`; both may, if they write the same bytes.
    fn create_new(&self, path: &str, bytes: &[u8]) -> Result<bool>;

    /// Writes a file, and replaces what is there.
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()>;

    /// Changes a small file: `change` receives its contents and returns the new ones, or `None` to leave it.
    /// If another writer changes the file meanwhile, `change` is called again; so no change is lost where the
    /// store can detect that.
    fn update(&self, path: &str, change: Change<'_>) -> Result<()>;

    /// Copies an object from the file `from`. It appears only if the written bytes are the object's, and
    /// survives a power cut only after [`Store::settle`].
    fn put(&self, path: &str, from: &Path, object: &ObjectRef) -> Result<()>;

    /// Returns once the files at `paths`, written by this or an earlier writer, survive a power cut.
    fn settle(&self, paths: &[String]) -> Result<()>;

    /// Checks that the file at `path` is the object: in a folder by its hash, in a bucket by its length.
    fn check(&self, path: &str, object: &ObjectRef) -> Result<()>;

    /// Lists all files below a folder by path, with their lengths in bytes, sorted. Temporary files are left
    /// out. In a folder store a symlink is an error, except in a hidden folder.
    fn list(&self, folder: &str) -> Result<Vec<(String, u64)>>;

    /// Removes a file, if there is one.
    fn remove(&self, path: &str) -> Result<()>;

    /// Removes a folder, if there is one; returns `false` if it is not empty.
    fn remove_folder(&self, folder: &str) -> Result<bool>;
}

/// Computes the new contents of a file from its present ones, for [`Store::update`].
pub type Change<'a> = &'a mut dyn FnMut(Option<&[u8]>) -> Result<Option<Vec<u8>>>;

/// Opens the store at `location`, a folder or a bucket.
///
/// # Errors
/// [`Error::Invalid`] if `location` is neither (`bundled` cannot be written to) or nearly a URL, or the
/// access settings are not valid.
pub fn open(location: &str, access: &Access) -> Result<Box<dyn Store>> {
    if location == BUNDLED {
        let why = "is the one inside isn, which is read-only: write ./bundled for a folder of that name";
        return Err(Error::invalid(format!("registry {location}"), why).of(Input::ReadOnly));
    }
    match RegistryId::of_url(location)? {
        None => Ok(Box::new(FolderStore::new(location))),
        Some(id) if is_bucket(id.as_str()) => open_bucket(&id, access),
        Some(_) => {
            let why = "is a web server's: publish to the folder or bucket that it serves";
            Err(Error::invalid(format!("registry {location}"), why).of(Input::ReadOnly))
        }
    }
}

#[cfg(feature = "cloud")]
fn open_bucket(id: &RegistryId, access: &Access) -> Result<Box<dyn Store>> {
    Ok(Box::new(BucketStore::new(crate::transport::bucket::Bucket::to_write(id.as_str(), access)?)?))
}

#[cfg(not(feature = "cloud"))]
fn open_bucket(id: &RegistryId, _: &Access) -> Result<Box<dyn Store>> {
    Err(crate::transport::no_buckets(id.as_str()))
}
