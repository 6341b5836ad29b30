//! `.npz`: a zip of `.npy` files, stored or deflated.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use super::npy::Elementwise;
use isn_format::error::{Error, Result};

/// The first bytes of a zip that has a file in it.
pub const MAGIC: &[u8] = b"PK\x03\x04";
/// The maximum length of a file, in bytes: its list of arrays is held in memory.
pub const MAX_LEN: u64 = 16 << 20;

/// The arrays in a file.
pub struct Npz<'a> {
    what: &'a str,
    zip: ZipArchive<Cursor<&'a [u8]>>,
}

impl<'a> Npz<'a> {
    /// Opens a file, which errors call `what`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is too long or not a zip.
    pub fn open(what: &'a str, bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() as u64 > MAX_LEN {
            let why = format!("is longer than {MAX_LEN} bytes: it has {}", bytes.len());
            return Err(Error::invalid(what, why));
        }
        let zip = ZipArchive::new(Cursor::new(bytes));
        let zip = zip.map_err(|e| Error::invalid(what, format!("is not a whole .npz file: {e}")))?;
        Ok(Npz { what, zip })
    }

    /// Returns the elements of an array, of at most `most` bytes once inflated.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such array, it is too long, or its header makes no sense.
    pub fn array(&mut self, name: &str, most: u64) -> Result<Elementwise<impl Read + '_>> {
        let what = format!("{name} in {}", self.what);
        let refuse = |e: ZipError| Error::invalid(&what, format!("cannot be read: {e}"));
        let file = match self.zip.by_name(&format!("{name}.npy")) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => {
                let why = format!("has no array '{name}': expected ReaL's scores.npz or raters.npz");
                return Err(Error::invalid(self.what, why));
            }
            Err(e) => return Err(refuse(e)),
        };
        let length = file.size();
        if length > most {
            return Err(Error::invalid(what, format!("is longer than {most} bytes: it has {length}")));
        }
        Elementwise::open(&what, file, length)
    }
}
