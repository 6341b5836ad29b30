//! [`Store`]: what a writer needs of the place where a registry is. A folder has it, and a bucket.
//!
//! Nothing rests on more than this: a file appears whole or not at all, and of two who create a file one is told that he
//! did. A folder has a lock beside that, which saves work.

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

use super::{Registry, is_url};
use crate::files;
use crate::transport::{Access, is_bucket};
use isn_format::error::{Error, Result};
use isn_format::object::ObjectRef;

/// Writes files by their `/`-separated path in a registry. In a folder no link on the way to a file, or in its place, is
/// followed: it is an error that names it.
pub trait Store: Send + Sync {
    /// The place, as the user would name it.
    fn name(&self) -> &str;

    /// Where `path` is, for messages.
    fn locate(&self, path: &str) -> String;

    /// The same place for reading.
    fn registry(&self) -> Result<Registry>;

    /// Whether there is nothing here but what a killed writer left; looked at before a place becomes a registry.
    fn is_free(&self) -> Result<bool>;

    /// Readies the place for one writer: refuses one that cannot keep two apart, and removes what a killed one left. A
    /// folder is locked until the result is dropped.
    fn begin(&self) -> Result<Option<files::Lock>>;

    /// Reads a whole file; `None` if there is none. One that is longer than
    /// [any at `path`](super::layout::max_len) is an error.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>>;

    /// The length of a file in bytes; `None` if there is none.
    fn length(&self, path: &str) -> Result<Option<u64>>;

    /// Writes a file if none is there: `false` if one is. Of two who try, one gets `true`; both may if they write the
    /// same bytes.
    fn create_new(&self, path: &str, bytes: &[u8]) -> Result<bool>;

    /// Writes a file, whatever is there.
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()>;

    /// Changes a small file: `change` gets what is there and says what should be, or `None` if it is well as it is. Where
    /// somebody else writes meanwhile it is asked again, so nobody's change is lost where the place can tell.
    fn update(&self, path: &str, change: Change<'_>) -> Result<()>;

    /// Copies an object from a file; it appears only if the bytes that were written are the object's, and is sure to stay
    /// only after [`Store::settle`].
    fn put(&self, path: &str, from: &Path, object: &ObjectRef) -> Result<()>;

    /// Returns once the files at `paths`, put there by this or an earlier writer, are there after a power cut, too.
    fn settle(&self, paths: &[String]) -> Result<()>;

    /// Checks that what is at `path` is the object: in a folder by its hash, in a bucket by its length.
    fn check(&self, path: &str, object: &ObjectRef) -> Result<()>;

    /// All files below a folder, by path, with their lengths in bytes; sorted. Hidden ones are left out; any
    /// other link is an error.
    fn list(&self, folder: &str) -> Result<Vec<(String, u64)>>;

    /// Removes a file; fine if there is none.
    fn remove(&self, path: &str) -> Result<()>;

    /// Removes a folder, or says `false` if something is in it; fine if there is none.
    fn remove_folder(&self, folder: &str) -> Result<bool>;
}

/// What [`Store::update`] makes of a file.
pub type Change<'a> = &'a mut dyn FnMut(Option<&[u8]>) -> Result<Option<Vec<u8>>>;

/// The store at `location`, a folder or a bucket.
pub fn open(location: &str, access: &Access) -> Result<Box<dyn Store>> {
    if is_url(location) {
        let why = "is a web server's: publish to the folder or bucket that it serves";
        return Err(Error::invalid(format!("registry {location}"), why));
    }
    if is_bucket(location) {
        return open_bucket(location, access);
    }
    if location.contains("://") {
        let why = "is neither a folder nor a bucket (s3://, gs://, az://)";
        return Err(Error::invalid(format!("registry {location}"), why));
    }
    Ok(Box::new(FolderStore::new(location)))
}

#[cfg(feature = "cloud")]
fn open_bucket(location: &str, access: &Access) -> Result<Box<dyn Store>> {
    let id: crate::trust::RegistryId = location.parse()?;
    Ok(Box::new(BucketStore::new(crate::transport::bucket::Bucket::to_write(id.as_str(), access)?)?))
}

#[cfg(not(feature = "cloud"))]
fn open_bucket(location: &str, _: &Access) -> Result<Box<dyn Store>> {
    Err(crate::transport::no_buckets(location))
}
