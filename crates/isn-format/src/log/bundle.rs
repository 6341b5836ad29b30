//! Entry bundles (C2SP tlog-tiles): entries one after another, each preceded by its length as two bytes,
//! big-endian.

use super::TILE_WIDTH;
use crate::error::{Error, Result};

/// The maximum length of a bundle, in bytes.
pub const MAX_LEN: u64 = TILE_WIDTH * (2 + u16::MAX as u64);

/// Appends an entry.
///
/// # Errors
/// [`Error::Invalid`] if the entry has more than 65,535 bytes.
pub fn push(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<()> {
    let length = u16::try_from(entry.len())
        .map_err(|_| Error::invalid("the statement", "is too long for an entry of a log: 65,535 bytes"))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Returns the first `count` entries. Bytes after them are ignored, since a bundle may have grown.
///
/// # Errors
/// The reason, if the bytes end before the last entry does.
pub fn read(mut bytes: &[u8], count: u64) -> Result<Vec<&[u8]>, String> {
    let mut entries = Vec::new();
    for number in 0..count {
        let entry = bytes
            .split_first_chunk()
            .and_then(|(length, rest)| rest.split_at_checked(usize::from(u16::from_be_bytes(*length))));
        let Some((entry, rest)) = entry else {
            return Err(format!("ends in entry {number} of {count}"));
        };
        entries.push(entry);
        bytes = rest;
    }
    Ok(entries)
}

/// Returns all entries of a bundle, which must fill it to the last byte. There may be no more of them than a
/// bundle holds, however many bytes there are.
///
/// # Errors
/// The reason, if an entry is cut short or there are too many.
pub fn read_whole(bytes: &[u8]) -> Result<Vec<&[u8]>, String> {
    read_most(bytes, TILE_WIDTH)
}

/// Returns all entries, which must fill the bytes to the last one, however many there are: for signed bytes.
///
/// # Errors
/// The reason, if an entry is cut short.
pub fn read_all(bytes: &[u8]) -> Result<Vec<&[u8]>, String> {
    read_most(bytes, u64::MAX)
}

fn read_most(mut bytes: &[u8], most: u64) -> Result<Vec<&[u8]>, String> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        if entries.len() as u64 == most {
            return Err(format!("has more than {most} entries"));
        }
        let entry = read(bytes, 1)?[0];
        bytes = &bytes[2 + entry.len()..];
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_and_a_cut_is_seen() {
        let mut bundle = Vec::new();
        let entries: [&[u8]; 4] = [b"one", b"", b"three", &[7; 65_535]];
        for entry in entries {
            push(&mut bundle, entry).unwrap();
        }
        assert_eq!(read(&bundle, 4).unwrap(), entries);
        assert_eq!(read_all(&bundle).unwrap(), entries);
        assert!(read_all(&bundle[..6]).is_err());
        assert_eq!(read(&bundle, 2).unwrap(), entries[..2]);
        for end in [0, 1, 4, 6, 8, bundle.len() - 1] {
            assert!(read(&bundle[..end], 4).is_err(), "{end}");
        }
        assert_eq!(read_all(&[0; 2 * 257]).unwrap().len(), 257);
        assert!(read_whole(&[0; 2 * 256]).is_ok());
        assert!(read_whole(&[0; 2 * 257]).unwrap_err().contains("more than 256"));
        assert!(read(&bundle, 5).unwrap_err().contains("ends in entry 4 of 5"));
        assert!(push(&mut bundle, &[0; 65_536]).is_err());
    }
}
