//! A file of decoded images, mapped into memory: the only module with `unsafe`.
//!
//! A positioned read of a row takes about twice as long as a copy from a mapping, since the system looks up
//! each page of the file by itself. What is wrong with a mapping is that a process which touches a page
//! behind the end of the file is ended by the system (SIGBUS), and that other processes may write to it. So:
//!
//! - There is no reference to the mapped bytes, which Rust would take for constant. They are only copied, to
//!   memory that nobody else has, and any bytes are good as `u8`.
//! - Each copy first asks the system for the length of the file, and is an error if the file has become
//!   shorter. isn never shortens it. Another program would have to do so within the microseconds of a copy.
//! - A row is copied from here only after it was read and its digest compared, so bytes that cannot be read
//!   from the disk are met by a read, unless they are dropped from memory and lost after that.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ptr;

use isn_registry::cache::Mapped;
use memmap2::{MmapOptions, MmapRaw};

/// A file and its mapping, which begins at the file's beginning.
pub(crate) struct Mapping {
    file: File,
    map: MmapRaw,
}

impl Mapping {
    /// Maps all of a file for reading.
    pub(crate) fn of(file: &File) -> io::Result<Box<dyn Mapped>> {
        // A handle of its own, as the mapping must not outlive what tells its length.
        let file = file.try_clone()?;
        let map = MmapOptions::new().map_raw_read_only(&file)?;
        Ok(Box::new(Mapping { file, map }))
    }

    /// Returns where `length` bytes from `at` on are, if both the mapping and the file have them.
    fn find(&self, at: u64, length: usize) -> io::Result<*const u8> {
        let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let begin = usize::try_from(at).map_err(|_| short())?;
        let end = begin.checked_add(length).ok_or_else(short)?;
        if end > self.map.len() || end as u64 > self.file.metadata()?.len() {
            return Err(short());
        }
        // SAFETY: `begin` is at most `end`, which is inside the mapping.
        Ok(unsafe { self.map.as_ptr().add(begin) })
    }
}

impl Mapped for Mapping {
    fn copy(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        let from = self.find(at, out.len())?;
        // SAFETY: `from` is where `out.len()` mapped bytes begin. `out` is exclusively borrowed and no part
        // of the mapping, which nobody can borrow, so the two do not overlap.
        unsafe { ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) };
        Ok(())
    }

    fn copy_new(&self, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let from = self.find(at, length)?;
        let mut bytes: Vec<u8> = Vec::with_capacity(length);
        // SAFETY: as in `copy`; `bytes` has room for `length` bytes, all of which are written before its
        // length says so.
        unsafe {
            ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), length);
            bytes.set_len(length);
        }
        Ok(bytes)
    }
}
