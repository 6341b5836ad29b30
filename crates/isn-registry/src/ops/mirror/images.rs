//! Copies packs and shards. No signature covers them, so a shard may not be longer than the images of the
//! log's versions account for, and each image is checked at the place that its pack gives before the mirror
//! lists it.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::{Chosen, Contents, Mirror, ObjectKind, ObjectRef, layout, runtime};
use crate::files;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::index::Images;
use isn_format::pack::{Entry, Pack};
use isn_format::shard::{FrameReader, TARGET_LEN};

/// The maximum length of a shard beyond its images, in bytes: the end of the tar archive.
const BESIDE: u64 = 4096;

/// What the packs of the versions so far say about shards.
#[derive(Default)]
pub(super) struct Accounts {
    /// The number of bytes of each shard that images account for.
    bytes: HashMap<Digest, u64>,
    /// The places that have been counted.
    counted: HashSet<Digest>,
    /// The places whose images have been checked.
    checked: HashSet<Digest>,
    /// Manifests, each with whether its packs could be counted.
    versions: HashMap<Digest, bool>,
}

impl Accounts {
    fn count(&mut self, pack: &Pack) {
        for entry in &pack.entries {
            let shard = &pack.shards[entry.shard].blake3;
            if self.counted.insert(place(shard, entry)) {
                *self.bytes.entry(*shard).or_default() += entry.length;
            }
        }
    }

    fn account_for(&self, shard: &ObjectRef) -> bool {
        let bytes = self.bytes.get(&shard.blake3).copied().unwrap_or_default();
        shard.length <= bytes.saturating_add(BESIDE)
    }
}

/// A digest of what a pack says about an image.
fn place(shard: &Digest, entry: &Entry) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for part in [shard, &entry.blake3, &entry.frame] {
        hasher.update(part.as_bytes());
    }
    hasher.update(&entry.offset.to_le_bytes()).update(&entry.length.to_le_bytes());
    Digest::of_hasher(&hasher)
}

impl Mirror<'_> {
    /// Checks that the shards of a version are no longer than their images account for: those of this
    /// version, and those of earlier versions of the name, which may share shards.
    pub(super) fn check_lengths(&mut self, version: &Chosen, contents: &Contents) -> Result<()> {
        let packs = contents.packs.as_deref().unwrap_or_default();
        packs.iter().for_each(|stored| self.accounts.count(&stored.pack));
        self.accounts.versions.insert(version.statement.manifest, true);
        let shards = packs.iter().flat_map(|stored| &stored.pack.shards);
        let mut unaccounted: Vec<&ObjectRef> =
            shards.filter(|shard| !self.accounts.account_for(shard)).collect();
        if unaccounted.is_empty() {
            return Ok(());
        }
        let is_lost = self.count_earlier(version)?;
        unaccounted.retain(|shard| !self.accounts.account_for(shard));
        // The objects of a withdrawn version may be gone while its images are still in a shard that is
        // needed. Such a shard may have the length of any other shard.
        match unaccounted.iter().find(|shard| !is_lost || shard.length > 2 * TARGET_LEN) {
            None => Ok(()),
            Some(shard) => {
                let why = format!("has {} bytes, more than the images in it account for", shard.length);
                Err(Error::integrity(self.source.locate(ObjectKind::Shard, &shard.blake3), why))
            }
        }
    }

    /// Counts the packs of the earlier versions. Returns whether those of a withdrawn version are gone.
    fn count_earlier(&mut self, version: &Chosen) -> Result<bool> {
        let dataset = self.view.replica.history().dataset(&version.statement.id.name);
        let releases = dataset.iter().flat_map(|dataset| dataset.releases.values());
        let earlier: Vec<_> = releases
            .filter(|released| released.index < version.index)
            .map(|released| {
                let manifest = ObjectRef { blake3: released.manifest, length: released.manifest_len };
                (manifest, released.withdrawn.is_some())
            })
            .collect();
        let mut is_lost = false;
        for (manifest, is_withdrawn) in earlier {
            let is_counted = match self.accounts.versions.get(&manifest.blake3) {
                Some(is_counted) => *is_counted,
                None => match self.contents(manifest) {
                    Ok(contents) => {
                        contents.packs.iter().flatten().for_each(|stored| self.accounts.count(&stored.pack));
                        true
                    }
                    Err(Error::Integrity { .. } | Error::NotFound { .. }) if is_withdrawn => false,
                    Err(e) => return Err(e),
                },
            };
            self.accounts.versions.insert(manifest.blake3, is_counted);
            is_lost |= !is_counted;
        }
        Ok(is_lost)
    }

    /// Copies packs and shards. If the mirror has a pack, its images have been checked or will be when their
    /// shard arrives; so images in shards that the mirror already has are checked before the pack is copied.
    pub(super) fn copy_images(&mut self, contents: &Contents) -> Result<()> {
        let images = Images::all(contents.snapshot.index());
        for stored in contents.packs.iter().flatten() {
            let (object, pack) = (&stored.object, &stored.pack);
            let path = layout::object(ObjectKind::Pack, &object.blake3);
            let is_known = !self.verify && self.store().length(&path)? == Some(object.length);
            let mut entries: Vec<Vec<&Entry>> = vec![Vec::new(); pack.shards.len()];
            pack.entries.iter().for_each(|entry| entries[entry.shard].push(entry));
            let (mut there, mut absent) = (Vec::new(), Vec::new());
            for (shard, entries) in pack.shards.iter().zip(&entries) {
                let length = self.store().length(&layout::object(ObjectKind::Shard, &shard.blake3))?;
                if length == Some(shard.length) { &mut there } else { &mut absent }.push((shard, entries));
            }
            for (shard, entries) in there {
                self.copy_shard(shard, entries, is_known, &images)?;
            }
            for (kind, object) in stored.objects() {
                self.copy_object(kind, &object)?;
            }
            for (shard, entries) in absent {
                self.copy_shard(shard, entries, false, &images)?;
            }
        }
        Ok(())
    }

    /// Copies a shard that must have images at these places, unless the mirror has the shard and they are
    /// known to be in it.
    fn copy_shard(
        &mut self,
        shard: &ObjectRef,
        entries: &[&Entry],
        is_known: bool,
        images: &Images<'_>,
    ) -> Result<()> {
        let is_first = self.seen.insert((ObjectKind::Shard.extension(), shard.blake3));
        if is_first {
            self.progress.advance(shard.length);
        }
        let places: Vec<Digest> = entries.iter().map(|entry| place(&shard.blake3, entry)).collect();
        let is_checked = places.iter().all(|place| self.accounts.checked.contains(place));
        let path = layout::object(ObjectKind::Shard, &shard.blake3);
        let there = self.store().length(&path)?;
        let is_there = there == Some(shard.length);
        let mut temp = files::temp_file_in(&std::env::temp_dir())?;
        let is_trusted = is_there && (is_known || is_checked) && !(self.verify && is_first);
        let is_whole = is_trusted
            || (is_there && {
                let own = self.store().registry()?;
                match runtime()?.block_on(own.copy_object(ObjectKind::Shard, shard, temp.as_file_mut())) {
                    Err(Error::Integrity { .. }) => false,
                    copied => copied.map(|()| true)?,
                }
            });
        if !is_whole {
            temp = files::temp_file_in(&std::env::temp_dir())?;
            runtime()?.block_on(self.source.copy_object(ObjectKind::Shard, shard, temp.as_file_mut()))?;
        }
        if !is_trusted {
            let what = self.source.locate(ObjectKind::Shard, &shard.blake3);
            check_images(temp.path(), &what, entries, images)?;
        }
        self.accounts.checked.extend(places);
        if !is_whole {
            self.report.repaired += usize::from(there.is_some());
            self.store().put(&path, temp.path(), shard)?;
            self.report.copied += 1;
            self.report.copied_bytes += shard.length;
        } else if is_first {
            self.report.there += 1;
        }
        Ok(())
    }
}

/// Checks that each image is in the shard at the place that its pack gives.
fn check_images(path: &Path, what: &str, entries: &[&Entry], images: &Images<'_>) -> Result<()> {
    let mut reader = FrameReader::new().map_err(|e| Error::Internal(format!("zstd: {e}")))?;
    let mut file: File = files::open(path)?;
    let mut frame = Vec::new();
    for entry in entries {
        let length = images.length(&entry.blake3);
        let length = length.ok_or_else(|| Error::Internal("an image of no version".into()))?;
        // [`Mirror::check_lengths`] has bounded the sum of these lengths.
        frame.resize(entry.length as usize, 0);
        file.seek(SeekFrom::Start(entry.offset)).map_err(Error::io("read", path))?;
        file.read_exact(&mut frame).map_err(Error::io("read", path))?;
        reader.image(what, &frame, &entry.frame, &entry.blake3, length)?;
    }
    Ok(())
}
