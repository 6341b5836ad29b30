//! [`Spool`]: what a build knows of its images, in files until it is needed: there may be millions.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::index::Row;
use isn_format::pack::Entry;

/// Records of one size, in the order in which they came, in a file without a name.
pub(super) struct Spool<T: Record> {
    file: BufWriter<File>,
    place: PathBuf,
    records: usize,
    of: std::marker::PhantomData<T>,
}

/// Something that has a fixed size in a file.
pub(super) trait Record: Sized {
    /// Its size, in bytes.
    const LEN: usize;
    fn write(&self, out: &mut Vec<u8>);
    /// Reads a record of that length.
    fn read(bytes: &[u8]) -> Self;
}

impl<T: Record> Spool<T> {
    /// Creates a spool whose file is in a folder.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(folder).map_err(Error::io("write in", folder))?;
        let (file, place) = (BufWriter::with_capacity(64 << 10, file), folder.to_path_buf());
        Ok(Spool { file, place, records: 0, of: std::marker::PhantomData })
    }

    pub(super) fn push(&mut self, record: &T) -> Result<()> {
        let mut bytes = Vec::with_capacity(T::LEN);
        record.write(&mut bytes);
        debug_assert_eq!(bytes.len(), T::LEN);
        self.records += 1;
        self.file.write_all(&bytes).map_err(Error::io("write in", &self.place))
    }

    pub(super) fn len(&self) -> usize {
        self.records
    }

    /// Returns the records by their numbers.
    pub(super) fn reader(self) -> Result<SpoolReader<T>> {
        let place = self.place;
        let file = self.file.into_inner().map_err(|e| Error::io("write in", &place)(e.into_error()))?;
        let file = BufReader::with_capacity(64 << 10, file);
        let mut reader = SpoolReader { file, place, next: 0, records: self.records, of: self.of };
        reader.seek(0)?;
        Ok(reader)
    }
}

/// A spool to which nothing is added any more.
pub(super) struct SpoolReader<T: Record> {
    file: BufReader<File>,
    place: PathBuf,
    next: usize,
    records: usize,
    of: std::marker::PhantomData<T>,
}

impl<T: Record> SpoolReader<T> {
    pub(super) fn len(&self) -> usize {
        self.records
    }

    fn seek(&mut self, to: usize) -> Result<()> {
        self.next = to;
        let at = SeekFrom::Start((to * T::LEN) as u64);
        self.file.seek(at).map(drop).map_err(Error::io("read in", &self.place))
    }

    /// Reads a record. It is fastest to read them in order.
    pub(super) fn get(&mut self, at: usize) -> Result<T> {
        if at != self.next {
            self.seek(at)?;
        }
        let mut bytes = vec![0; T::LEN];
        self.file.read_exact(&mut bytes).map_err(Error::io("read in", &self.place))?;
        self.next += 1;
        Ok(T::read(&bytes))
    }
}

/// What a build has found out about an image.
pub(super) struct Facts {
    pub(super) blake3: Digest,
    pub(super) length: u64,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pixels: Digest,
    pub(super) source_blake3: Digest,
}

impl Facts {
    pub(super) fn of(row: &Row) -> Self {
        let Row { blake3, length, width, height, pixels, source_blake3, .. } = *row;
        Facts { blake3, length, width, height, pixels, source_blake3 }
    }
}

impl Record for Facts {
    const LEN: usize = 3 * 32 + 8 + 2 * 4;

    fn write(&self, out: &mut Vec<u8>) {
        [self.blake3, self.pixels, self.source_blake3].iter().for_each(|it| out.extend(it.as_bytes()));
        out.extend(self.length.to_le_bytes());
        [self.width, self.height].iter().for_each(|it| out.extend(it.to_le_bytes()));
    }

    fn read(mut bytes: &[u8]) -> Self {
        Facts {
            blake3: digest(&mut bytes),
            pixels: digest(&mut bytes),
            source_blake3: digest(&mut bytes),
            length: u64::from_le_bytes(next(&mut bytes)),
            width: u32::from_le_bytes(next(&mut bytes)),
            height: u32::from_le_bytes(next(&mut bytes)),
        }
    }
}

impl Record for Entry {
    const LEN: usize = 2 * 32 + 3 * 8;

    fn write(&self, out: &mut Vec<u8>) {
        [self.blake3, self.frame].iter().for_each(|it| out.extend(it.as_bytes()));
        [self.shard as u64, self.offset, self.length].iter().for_each(|it| out.extend(it.to_le_bytes()));
    }

    fn read(mut bytes: &[u8]) -> Self {
        Entry {
            blake3: digest(&mut bytes),
            frame: digest(&mut bytes),
            shard: u64::from_le_bytes(next(&mut bytes)) as usize,
            offset: u64::from_le_bytes(next(&mut bytes)),
            length: u64::from_le_bytes(next(&mut bytes)),
        }
    }
}

fn digest(bytes: &mut &[u8]) -> Digest {
    Digest::from_bytes(next(bytes))
}

/// Takes the next bytes of a record, which has as many.
fn next<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (taken, rest) = bytes.split_first_chunk().unwrap_or((&[0; N], &[]));
    *bytes = rest;
    *taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_any_order() {
        let dir = tempfile::tempdir().unwrap();
        let entry = |n: usize| Entry {
            blake3: Digest::of(&n.to_le_bytes()),
            shard: n,
            offset: 1 << 40,
            length: 7,
            frame: Digest::of(b"frame"),
        };
        let mut spool = Spool::<Entry>::new(dir.path()).unwrap();
        (0..3000).for_each(|n| spool.push(&entry(n)).unwrap());
        let mut reader = spool.reader().unwrap();
        assert_eq!(reader.len(), 3000);
        for n in [0, 1, 2999, 5, 6, 0] {
            assert_eq!(reader.get(n).unwrap(), entry(n));
        }
        assert!(reader.get(3000).is_err());

        let mut spool = Spool::<Facts>::new(dir.path()).unwrap();
        let facts = Facts {
            blake3: Digest::of(b"1"),
            length: u64::MAX,
            width: 1,
            height: u32::MAX,
            pixels: Digest::of(b"2"),
            source_blake3: Digest::of(b"3"),
        };
        spool.push(&facts).unwrap();
        let again = spool.reader().unwrap().get(0).unwrap();
        assert_eq!((again.blake3, again.pixels), (facts.blake3, facts.pixels));
        assert_eq!((again.source_blake3, again.length), (facts.source_blake3, facts.length));
        assert_eq!((again.width, again.height), (facts.width, facts.height));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
