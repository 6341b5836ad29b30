//! Zstd-compressed JSON lines, the form of [`crate::index`] and [`crate::pack`]. Reading is strict and has a
//! cap: every line is one object and ends with a line feed.

use std::io::{self, BufRead, BufReader, Read, Write};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, about};

/// The maximum length of a line: rows are under 1 kB, a pack's header under 1 MiB.
const MAX_LINE: u64 = 1 << 20;
/// The maximum window for decompression (2^23 = 8 MiB, zstd's default limit up to level 19).
const WINDOW_LOG_MAX: u32 = 23;
/// The lowest level also gives the smallest objects: most of a row is hashes, in which a search for matches
/// finds only short ones that cost more than the digits. (An index of 1,000 rows takes 110 kB at level 1 and
/// 115 kB at level 12, whose tables need 47 MB.)
pub(crate) const LEVEL: i32 = 1;

/// Writes one object per line and compresses as it goes: the text of a large index would be hundreds of
/// megabytes.
pub(crate) struct Writer {
    encoder: zstd::Encoder<'static, Vec<u8>>,
    /// The current line: zstd is slow with many small writes.
    line: Vec<u8>,
}

impl Writer {
    /// Creates a writer into memory.
    ///
    /// # Errors
    /// [`Error::Internal`] if zstd fails.
    pub(crate) fn new() -> Result<Self> {
        let encoder = zstd::Encoder::new(Vec::new(), LEVEL).map_err(internal)?;
        Ok(Writer { encoder, line: Vec::new() })
    }

    /// Appends a row.
    ///
    /// # Errors
    /// [`Error::Internal`] if the row cannot be serialised or zstd fails.
    pub(crate) fn push<T: Serialize>(&mut self, row: &T) -> Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, row).map_err(|e| Error::Internal(e.to_string()))?;
        self.line.push(b'\n');
        self.encoder.write_all(&self.line).map_err(internal)
    }

    /// Returns what was compressed since the last call: pieces of the object, for who writes it to a file.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.encoder.get_mut())
    }

    /// Returns the compressed object, or what is left of it.
    ///
    /// # Errors
    /// [`Error::Internal`] if zstd fails.
    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        self.encoder.finish().map_err(internal)
    }
}

fn internal(e: io::Error) -> Error {
    Error::Internal(format!("zstd: {e}"))
}

/// The maximum number of decompressed bytes per stored byte: rows that are mostly hashes have about three.
const MAX_EXPANSION: u64 = 32;
/// The decompressed bytes that any object may have, so that objects of a few rows may compress well.
const MIN_EXPANDED: u64 = 64 << 10;

/// Counts the lines of a stored object of `length` bytes while it is read, with no more memory than zstd's
/// window. `what` names it in errors.
///
/// # Errors
/// [`Error::Integrity`] if the object is not zstd, has more than `most` lines, decompresses to far more bytes
/// than hashes can, or is far longer than its contents: the last two mean that somebody made it to be
/// expensive.
pub fn weigh(what: &str, source: impl Read, length: u64, most: u64) -> Result<u64> {
    let cap = length.saturating_mul(MAX_EXPANSION).max(MIN_EXPANDED);
    let mut decoder = zstd::Decoder::new(source).map_err(internal)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(internal)?;
    let (mut expanded, mut lines, mut piece) = (0, 0, vec![0; 64 << 10]);
    loop {
        let read = decoder.read(&mut piece).map_err(|e| Error::integrity(what, e))?;
        if read == 0 {
            if length > expanded + MIN_EXPANDED {
                let why = format!("is {length} bytes long and decompresses to only {expanded}");
                return Err(Error::integrity(what, why));
            }
            return Ok(lines);
        }
        expanded += read as u64;
        lines += piece[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
        if expanded > cap {
            let why = format!("is {length} bytes long and decompresses to more than {cap}");
            return Err(Error::integrity(what, why));
        }
        if lines > most {
            return Err(Error::integrity(what, format!("has more than the {most} lines that are allowed")));
        }
    }
}

/// Reads one object per line.
pub(crate) struct Lines<'a> {
    what: &'a str,
    reader: BufReader<std::io::Take<zstd::Decoder<'a, BufReader<&'a [u8]>>>>,
    number: usize,
    line: Vec<u8>,
}

impl<'a> Lines<'a> {
    /// Reads `compressed`, which may decompress to at most `cap` bytes; `what` names it in errors.
    ///
    /// # Errors
    /// [`Error::Internal`] if zstd cannot be set up.
    pub(crate) fn new(what: &'a str, compressed: &'a [u8], cap: u64) -> Result<Self> {
        let mut decoder = zstd::Decoder::new(compressed).map_err(internal)?;
        decoder.window_log_max(WINDOW_LOG_MAX).map_err(internal)?;
        // One byte over the cap may pass, so that an excess can be told from a full read.
        Ok(Lines {
            what,
            reader: BufReader::new(decoder.take(cap.saturating_add(1))),
            number: 0,
            line: Vec::new(),
        })
    }

    /// Returns the next row, or `None` at the end.
    ///
    /// # Errors
    /// [`Error::Integrity`] if the line is no such object, does not end with a line feed, or the cap is
    /// exceeded.
    pub(crate) fn next_row<'s, T: Deserialize<'s>>(&'s mut self) -> Result<Option<T>> {
        match self.next_line()? {
            true => serde_json::from_slice(&self.line).map(Some).map_err(|e| self.refuse(&e)),
            false => Ok(None),
        }
    }

    /// Skips the next row, whatever it says. Returns `false` at the end.
    ///
    /// # Errors
    /// As [`Lines::next_row`], for a line that does not end or exceeds the cap.
    pub(crate) fn skip_row(&mut self) -> Result<bool> {
        self.next_line()
    }

    fn next_line(&mut self) -> Result<bool> {
        self.number += 1;
        self.line.clear();
        let taken = (&mut self.reader).take(MAX_LINE).read_until(b'\n', &mut self.line);
        taken.map_err(|e| self.refuse(&e))?;
        if self.line.is_empty() {
            return match self.reader.get_ref().limit() {
                0 => Err(Error::integrity(self.what, "decompresses to more than its contents can need")),
                _ => Ok(false),
            };
        }
        match self.line.last() {
            Some(b'\n') => Ok(true),
            _ => Err(self.refuse(&"is cut short or too long")),
        }
    }

    fn refuse(&self, why: &dyn std::fmt::Display) -> Error {
        Error::integrity(self.what, about(format_args!("line {}", self.number), why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_to_unfold_to_much_is_found_out_without_keeping_it() {
        let weigh_object = |object: &[u8], most: u64| {
            weigh("object", object, object.len() as u64, most).map_err(|e| e.to_string())
        };
        let weigh = |text: &[u8], most: u64| weigh_object(&zstd::encode_all(text, 1).unwrap(), most);
        let rows: String =
            (0..1000_u32).map(|n| format!("\"{}\"\n", blake3::hash(&n.to_le_bytes()))).collect();
        assert_eq!(weigh(rows.as_bytes(), 1000), Ok(1000));
        assert!(weigh(rows.as_bytes(), 999).unwrap_err().contains("more than the 999 lines"));
        assert!(weigh(&[b' '; 4 << 20], 1000).unwrap_err().contains("decompresses to more than 65536"));
        // A few rows may be as alike as they like.
        assert_eq!(weigh("{\"a\":0}\n".repeat(5000).as_bytes(), 5000), Ok(5000));
        let padded =
            [&zstd::encode_all(&b"1\n"[..], 1).unwrap()[..], &[0x50, 0x2a, 0x4d, 0x18, 0, 0, 2, 0]].concat();
        for (bytes, why) in [(&b"no zstd"[..], "rame"), (&[&padded[..], &[0; 2 << 16]].concat(), "to only 2")]
        {
            let error = weigh_object(bytes, 1).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
