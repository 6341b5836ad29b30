//! [`Tar`]: a plain tar file whose bytes do not depend on who writes it, or when.

use super::out::Out;
use isn_format::error::{Error, Result};

/// The size of a block of a tar file, in bytes.
const BLOCK: usize = 512;

/// A plain tar file of regular files that are readable by all, with owner 0 and time 0.
pub(super) struct Tar {
    out: Out,
    hasher: Option<sha2::Sha256>,
}

impl Tar {
    pub(super) fn new(out: Out) -> Self {
        Tar { out, hasher: None }
    }

    /// Makes a tar file whose SHA-256 is computed.
    pub(super) fn hashed(out: Out) -> Self {
        Tar { out, hasher: Some(sha2::Sha256::default()) }
    }

    pub(super) fn append(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let refuse = |e| Error::io("write", self.out.path())(e);
        let mut header = tar::Header::new_ustar();
        if header.set_path(name).is_err() {
            // The name is too long for ustar. As GNU tar does, an entry with the name comes before the file's
            // own. GNU tar and `tar::Builder` call it `././@LongLink`, but readers go by its type, and these
            // bytes must not change.
            let mut long = tar::Header::new_gnu();
            long.set_path("@LongLink").map_err(refuse)?;
            long.set_entry_type(tar::EntryType::GNULongName);
            let text = [name.as_bytes(), &[0]].concat();
            finish_header(&mut long, text.len());
            header = tar::Header::new_gnu();
            let cut = header.as_gnu_mut().map(|gnu| &mut gnu.name);
            cut.into_iter().flatten().zip(name.bytes()).for_each(|(to, from)| *to = from);
            self.entry(&long, &text)?;
        }
        header.set_entry_type(tar::EntryType::Regular);
        finish_header(&mut header, bytes.len());
        self.entry(&header, bytes)
    }

    fn entry(&mut self, header: &tar::Header, bytes: &[u8]) -> Result<()> {
        self.put(header.as_bytes())?;
        self.put(bytes)?;
        self.put(&[0; BLOCK][..bytes.len().next_multiple_of(BLOCK) - bytes.len()])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(hasher) = &mut self.hasher {
            sha2::Digest::update(hasher, bytes);
        }
        self.out.put(bytes)
    }

    /// Ends the archive. Returns its length, and its SHA-256 if it was asked for.
    pub(super) fn finish(mut self) -> Result<(u64, Option<String>)> {
        self.put(&[0; 2 * BLOCK])?;
        let (length, hasher) = (self.out.length(), self.hasher.take());
        self.out.finish()?;
        Ok((length, hasher.map(|hasher| hex(&sha2::Digest::finalize(hasher)))))
    }
}

fn finish_header(header: &mut tar::Header, length: usize) {
    header.set_size(length as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
}

/// Writes a digest in hexadecimal.
pub(super) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn names_of_any_length_and_bodies_of_any_length_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar");
        let names = [
            "a.png".to_string(),
            format!("train/{}/{}.png", "c".repeat(60), "s".repeat(90)),
            "x".repeat(190),
        ];
        let bodies: Vec<Vec<u8>> = [0, 1, 511, 512, 513].iter().map(|&length| vec![7; length]).collect();
        let mut tar = Tar::hashed(Out::create(path.clone()).unwrap());
        let entries: Vec<(&str, &[u8])> =
            names.iter().flat_map(|name| bodies.iter().map(move |body| (name.as_str(), &body[..]))).collect();
        entries.iter().for_each(|(name, body)| tar.append(name, body).unwrap());
        let (length, sha256) = tar.finish().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, length);
        assert_eq!(sha256.as_deref(), Some(&*hex(&<sha2::Sha256 as sha2::Digest>::digest(&bytes))));
        // Put together independently of this code, header by header.
        assert_eq!(sha256.unwrap(), "5c41d6913c20974ac93d6b01d1a52f741ca050e061a61a71a0cada3e8855f6ed");
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut body = Vec::new();
            entry.read_to_end(&mut body).unwrap();
            found.push((entry.path().unwrap().to_str().unwrap().to_string(), body));
        }
        assert_eq!(found.iter().map(|(name, body)| (name.as_str(), &body[..])).collect::<Vec<_>>(), entries);
    }
}
