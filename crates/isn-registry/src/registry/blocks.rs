//! Versions whose index is stored in blocks: reads it whole, or only what a selection has of it, and the
//! places of images in packs that are stored in the same blocks.

use std::collections::HashMap;
use std::ops::Range;

use super::frames::Wanted;
use super::{Head, Packs, Registry, Snapshot};
use crate::cache::Cache;
use isn_format::description::{Counts, Description};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::index::{Delta, Directory, Frames, Images, Index, Part, Sources};
use isn_format::manifest::{Blocks, Manifest, Tally};
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::{Entry, Pack, PackBlocks};
use isn_format::sums::SumsTree;
use isn_format::tree::Selection;

/// How the index of a version that was read is stored in blocks.
pub(crate) struct InBlocks {
    directory: Directory,
    /// What was read, if that is not the whole version.
    part: Option<PartOf>,
}

/// What was read of a version.
pub(crate) struct PartOf {
    /// The blocks of its index.
    chosen: Vec<usize>,
    /// The blocks that show it to be whole, these among them.
    needed: Vec<usize>,
    /// The contents of `B3SUMS.proof`.
    pub(crate) proof: Vec<u8>,
}

/// An object that was read, or a frame of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct WasRead {
    pub(super) kind: ObjectKind,
    pub(super) object: ObjectRef,
    /// The object that has the frame, and where.
    pub(super) within: Option<(ObjectRef, u64)>,
}

impl WasRead {
    /// Whether the cache has it, or the object that has it.
    pub(super) fn is_in(&self, cache: &Cache) -> bool {
        let has = |object: &ObjectRef| cache.has_object(self.kind, &object.blake3, object.length);
        // The whole was checked when it was read, and many frames may be in it.
        let has_whole = |whole: &ObjectRef| cache.object_path(self.kind, &whole.blake3).is_file();
        self.within.is_some_and(|(whole, _)| has_whole(&whole)) || has(&self.object)
    }
}

impl InBlocks {
    /// What was read, if that is not the whole version.
    pub(crate) fn part(&self) -> Option<&PartOf> {
        self.part.as_ref()
    }

    /// Returns the blocks that were read, in order, each with the rows that it has in the index that was
    /// read.
    fn read(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        let all = if self.part.is_none() { self.directory.blocks().len() } else { 0 };
        let chosen = self.part.iter().flat_map(|part| part.chosen.iter().copied()).chain(0..all);
        chosen.scan(0, |next, at| {
            let begin = *next;
            *next += self.directory.blocks()[at].images as usize;
            Some((at, begin..*next))
        })
    }
}

impl Snapshot {
    /// Returns what was read of an index in blocks beside its directory.
    pub(super) fn read_of_blocks(&self) -> Vec<WasRead> {
        let Some((blocks, read)) = self.head.manifest.objects.blocks.zip(self.blocks.as_ref()) else {
            return Vec::new();
        };
        let whole = |kind, object| WasRead { kind, object, within: None };
        let Some(part) = &read.part else { return vec![whole(ObjectKind::Rows, blocks.rows)] };
        let frame = |at: &usize| WasRead {
            kind: ObjectKind::Rows,
            object: read.directory.blocks()[*at].rows,
            within: Some((blocks.rows, read.directory.bytes(Frames::Rows, *at..at + 1).start)),
        };
        let tree = whole(ObjectKind::SumsTree, blocks.tree);
        std::iter::once(tree).chain(part.needed.iter().map(frame)).collect()
    }
}

impl Registry {
    /// As [`Registry::complete`], but reads only what a selection has, where that can be read alone.
    ///
    /// # Errors
    /// As [`Registry::complete`].
    pub(crate) async fn complete_part(&self, head: Head, selection: &Selection) -> Result<Snapshot> {
        match head.manifest.objects.blocks {
            Some(blocks) if !selection.is_all() => self.part(head, blocks, selection).await,
            _ => self.complete(head).await,
        }
    }

    async fn part(&self, head: Head, blocks: Blocks, selection: &Selection) -> Result<Snapshot> {
        let manifest = &head.manifest;
        let (directory, tree, classes_csv) = tokio::try_join!(
            self.directory(manifest, &blocks),
            self.object(ObjectKind::SumsTree, &blocks.tree),
            self.object(ObjectKind::Classes, &manifest.objects.classes)
        )?;
        let tree_what = self.locate(ObjectKind::SumsTree, &blocks.tree.blake3);
        let tree = SumsTree::parse(&tree_what, &tree, &manifest.dataset)?;
        let chosen = directory.chosen(selection);
        let needed = directory.needed(&chosen, selection, &tree);
        let wanted: Vec<Wanted> = needed.iter().map(|at| Wanted::of(&directory, Frames::Rows, *at)).collect();
        let mut frames: Vec<Vec<u8>> = Vec::with_capacity(needed.len());
        self.frames(ObjectKind::Rows, &blocks.rows, &wanted, |_, frame| {
            frames.push(frame.to_vec());
            Ok(())
        })
        .await?;
        let frames = needed.iter().copied().zip(frames.iter().map(Vec::as_slice));
        let what = self.locate(ObjectKind::Rows, &blocks.rows.blake3);
        let classes = Digest::of(&classes_csv);
        let part = Part::new(&what, (&directory, &tree), (selection, &chosen), &classes, frames)?;
        let classes_what = self.locate(ObjectKind::Classes, &manifest.objects.classes.blake3);
        let Part { index, selected, proof } = part;
        if index.bytes() > manifest.bytes {
            return Err(Error::integrity(&what, "has more bytes of images than its manifest says"));
        }
        let description = Description::of_part(&what, (index, selected), (&classes_what, classes_csv))?;
        let part = Some(PartOf { chosen, needed, proof });
        Ok(Snapshot { head, description, blocks: Some(InBlocks { directory, part }) })
    }

    /// Reads an index in blocks whole.
    pub(super) async fn whole_of_blocks(&self, head: Head, blocks: Blocks) -> Result<Snapshot> {
        let manifest = &head.manifest;
        if let Some((directory, description)) = self.by_delta(manifest, &blocks).await {
            return Ok(Snapshot { head, description, blocks: Some(InBlocks { directory, part: None }) });
        }
        let (directory, rows, classes_csv) = tokio::try_join!(
            self.directory(manifest, &blocks),
            self.object(ObjectKind::Rows, &blocks.rows),
            self.object(ObjectKind::Classes, &manifest.objects.classes)
        )?;
        let what = self.locate(ObjectKind::Rows, &blocks.rows.blake3);
        let (is_signed, classes) = (!head.signed_by.is_empty(), Digest::of(&classes_csv));
        let index = Index::parse_blocks((&what, &rows), &directory, (manifest, is_signed), &classes)?;
        drop(rows);
        let classes_what = self.locate(ObjectKind::Classes, &manifest.objects.classes.blake3);
        let description = Description::new((&what, index), (&classes_what, classes_csv), manifest)?;
        Ok(Snapshot { head, description, blocks: Some(InBlocks { directory, part: None }) })
    }

    /// Makes the index of that of an earlier version, if the cache has that one and not the rows of this one.
    /// Returns `None` if that does not lead to the dataset hash: then the rows are read.
    async fn by_delta(
        &self,
        manifest: &Manifest,
        blocks: &Blocks,
    ) -> Option<(Directory, Description<Index>)> {
        let delta = manifest.objects.delta?;
        let (_, earlier) = manifest.previous.as_ref()?.release.as_ref()?;
        if self.has_whole(ObjectKind::Rows, &blocks.rows) {
            return None;
        }
        let earlier = self.cached_head(earlier).await?;
        let objects = &earlier.manifest.objects;
        let rows = objects.blocks.map(|blocks| (ObjectKind::Rows, blocks.rows));
        let mut needed = [(ObjectKind::Index, objects.index), (ObjectKind::Classes, objects.classes)]
            .into_iter()
            .chain(rows);
        if !needed.all(|(kind, object)| self.has_whole(kind, &object)) {
            return None;
        }
        let what = self.locate(ObjectKind::Delta, &delta.blake3);
        let bytes = self.object(ObjectKind::Delta, &delta).await.ok()?;
        let delta = Delta::parse(&what, &bytes, manifest.images).ok()?;
        if (delta.dataset(), delta.index()) != (earlier.manifest.dataset, objects.index) {
            return None;
        }
        let old = Box::pin(self.complete(earlier)).await.ok()?;
        let (directory, classes_csv) = tokio::try_join!(
            self.directory(manifest, blocks),
            self.object(ObjectKind::Classes, &manifest.objects.classes)
        )
        .ok()?;
        let index = delta.apply(&what, old.index()).ok()?;
        drop(old);
        let classes_what = self.locate(ObjectKind::Classes, &manifest.objects.classes.blake3);
        let description = Description::new((&what, index), (&classes_what, classes_csv), manifest).ok()?;
        // For the version after this one.
        if let Ok(Some(rows)) = directory.rows_of(description.rows())
            && blocks.rows == ObjectRef::of(&rows)
        {
            self.keep(ObjectKind::Rows, &blocks.rows.blake3, &rows);
        }
        Some((directory, description))
    }

    /// Returns the number of images of each class in each split, if manifest or directory has them.
    ///
    /// # Errors
    /// [`Error::Integrity`] or [`Error::Network`] if the directory cannot be read.
    pub(crate) async fn counts(&self, manifest: &Manifest) -> Result<Option<Counts>> {
        match (&manifest.tally, manifest.objects.blocks) {
            (Tally::Classes(counts), _) => Ok(Some(counts.clone())),
            (_, Some(blocks)) => Ok(Some(self.directory(manifest, &blocks).await?.counts())),
            _ => Ok(None),
        }
    }

    async fn directory(&self, manifest: &Manifest, blocks: &Blocks) -> Result<Directory> {
        let index = &manifest.objects.index;
        let bytes = self.object(ObjectKind::Index, index).await?;
        let what = self.locate(ObjectKind::Index, &index.blake3);
        Directory::parse(&what, &bytes, manifest, blocks.rows.length, blocks.sources.length)
    }

    /// Reads what images of a snapshot with an index in blocks were made from: those of the rows that are
    /// `wanted`.
    pub(super) async fn sources_of_blocks(
        &self,
        blocks: &Blocks,
        read: &InBlocks,
        wanted: impl Fn(usize) -> bool,
    ) -> Result<Sources> {
        let what = self.locate(ObjectKind::Sources, &blocks.sources.blake3);
        let is_wanted = |rows: &Range<usize>| rows.clone().any(&wanted);
        let chosen: Vec<(usize, Range<usize>)> = read.read().filter(|(_, rows)| is_wanted(rows)).collect();
        let frames: Vec<Wanted> =
            chosen.iter().map(|(at, _)| Wanted::of(&read.directory, Frames::Sources, *at)).collect();
        let mut sources = Sources::default();
        self.frames(ObjectKind::Sources, &blocks.sources, &frames, |number, frame| {
            let (at, rows) = &chosen[number];
            sources.push_block(&what, (&read.directory, *at), frame, |row| wanted(rows.start + row))
        })
        .await?;
        Ok(sources)
    }

    /// Checks what nobody who reads a version needs, and who reads a part of it does: that tree and sources
    /// are those of the whole snapshot.
    ///
    /// # Errors
    /// [`Error::Integrity`] if they are not, or are missing.
    pub(crate) async fn check_blocks(&self, snapshot: &Snapshot) -> Result<()> {
        let Some((blocks, read)) = snapshot.head.manifest.objects.blocks.zip(snapshot.blocks.as_ref()) else {
            return Ok(());
        };
        self.sources_of_blocks(&blocks, read, |_| true).await?;
        let bytes = self.object(ObjectKind::SumsTree, &blocks.tree).await?;
        let what = self.locate(ObjectKind::SumsTree, &blocks.tree.blake3);
        let manifest = &snapshot.head.manifest;
        if SumsTree::parse(&what, &bytes, &manifest.dataset)? != SumsTree::of(snapshot.sums()) {
            return Err(Error::integrity(what, "is not that of the rows"));
        }
        let Some(object) = manifest.objects.delta else { return Ok(()) };
        let bytes = self.object(ObjectKind::Delta, &object).await?;
        let what = self.locate(ObjectKind::Delta, &object.blake3);
        Delta::parse(&what, &bytes, manifest.images)?.check(&what, snapshot.index())
    }

    /// Reads the places of images in a pack that is in blocks: of the blocks with images in `wanted`. Also
    /// returns the frames with them.
    pub(super) async fn places(
        &self,
        (what, pack): (&str, &PackBlocks),
        snapshot: &Snapshot,
        wanted: &Images<'_>,
    ) -> Result<(Pack, Vec<WasRead>)> {
        let Some(read) = snapshot.blocks.as_ref().filter(|read| read.directory.blocks().len() == pack.len())
        else {
            return Err(Error::integrity(what, "is in other blocks than the index"));
        };
        let index = snapshot.index();
        let is_wanted = |rows: &Range<usize>| rows.clone().any(|at| wanted.contains(&index.row(at).blake3()));
        let blocks: Vec<(usize, Range<usize>)> =
            read.read().filter(|(at, rows)| pack.images(*at) > 0 && is_wanted(rows)).collect();
        let frames = blocks.iter().filter_map(|(at, _)| {
            Some(Wanted { begin: pack.bytes(*at..at + 1).start, frame: pack.frame(*at)? })
        });
        let frames: Vec<Wanted> = frames.collect();
        let kind = ObjectKind::Places;
        let read = frames.iter().map(|one| WasRead {
            kind,
            object: one.frame,
            within: Some((pack.places, one.begin)),
        });
        let read = read.collect();
        // In a list of a million, what a growing one has too much of it counts.
        let most = blocks.iter().map(|(at, rows)| rows.len().min(pack.images(*at) as usize)).sum();
        let mut entries: Vec<Entry> = Vec::with_capacity(most);
        self.frames(kind, &pack.places, &frames, |number, frame| {
            let (at, rows) = &blocks[number];
            let images = rows.clone().map(|row| index.row(row).blake3());
            pack.entries(what, (*at, frame), images, &mut entries)
        })
        .await?;
        Ok((pack.pack(what, entries)?, read))
    }

    /// Reads the places of all images that a pack in blocks has.
    ///
    /// # Errors
    /// [`Error::Integrity`] if they are damaged, or `snapshot` is not the whole version.
    pub(crate) async fn all_places(&self, pack: (&str, &PackBlocks), snapshot: &Snapshot) -> Result<Pack> {
        let all = Images::all(snapshot.index());
        Ok(self.places(pack, snapshot, &all).await?.0)
    }

    /// Reads again what was read of an index in blocks, and of packs: there is a cache now that keeps it.
    ///
    /// # Errors
    /// Fails if it cannot be read any more.
    pub(crate) async fn read_again(&self, snapshot: &Snapshot, packs: &Packs) -> Result<()> {
        let read = snapshot.read_of_blocks();
        let mut frames: HashMap<(ObjectKind, ObjectRef), Vec<Wanted>> = HashMap::new();
        for WasRead { kind, object, within } in read.iter().chain(packs.places()) {
            match *within {
                None => drop(self.object(*kind, object).await?),
                Some((whole, begin)) => {
                    frames.entry((*kind, whole)).or_default().push(Wanted { begin, frame: *object });
                }
            }
        }
        for ((kind, whole), wanted) in frames {
            self.frames(kind, &whole, &wanted, |_, _| Ok(())).await?;
        }
        Ok(())
    }

    /// Whether an object is in the cache.
    fn has_whole(&self, kind: ObjectKind, object: &ObjectRef) -> bool {
        self.cache().is_some_and(|cache| cache.object_path(kind, &object.blake3).is_file())
    }
}
