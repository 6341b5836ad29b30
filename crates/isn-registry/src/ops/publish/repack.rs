//! Repacks a version of which the registry has some images already, from earlier versions of the same name.
//! Its pack refers to their shards, and only new images go into shards of its own. Frames are copied as they
//! are, so nothing is compressed again, and the manifest and dataset hash stay the same.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use tokio::runtime::Runtime;

use super::build_output::{BuildOutput, StoredObject, is_storage};
use super::scratch::{self, Scratch};
use crate::files;
use crate::registry::{Packs, Registry};
use isn_format::digest::Digest;
use isn_format::error::{At, Error, Result};
use isn_format::index::Images;
use isn_format::log::History;
use isn_format::manifest::Manifest;
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::{Entry, Pack};
use isn_format::shard::{FrameWriter, ShardWriter};

/// Where an image is stored.
struct InShard {
    shard: ObjectRef,
    entry: Entry,
}

/// Replaces the shards and packs of a build by those that the registry needs. Returns the build unchanged if
/// nothing can be reused. `has` tells whether the registry still has a shard.
pub(super) fn reuse(
    runtime: &Runtime,
    output: BuildOutput,
    registry: &Registry,
    history: Option<&History>,
    mut has: impl FnMut(&ObjectRef) -> Result<bool>,
) -> Result<BuildOutput> {
    scratch::tidy(&output.build);
    let earlier = earlier_packs(runtime, registry, output.manifest(), history)?;
    if earlier.is_empty() || output.rebuild_only {
        return Ok(output);
    }
    let packs = output.listed(runtime)?;
    let wanted: BTreeSet<Digest> =
        packs.iter().flat_map(|pack| pack.entries.iter().map(|entry| entry.blake3)).collect();
    let mut known: HashMap<Digest, InShard> = HashMap::new();
    for pack in earlier {
        for (number, shard) in pack.shards.iter().enumerate() {
            let mut entries = pack
                .entries
                .iter()
                .filter(|entry| entry.shard == number && wanted.contains(&entry.blake3))
                .filter(|entry| !known.contains_key(&entry.blake3))
                .peekable();
            if entries.peek().is_some() && has(shard)? {
                let found: Vec<_> = entries
                    .map(|entry| (entry.blake3, InShard { shard: *shard, entry: entry.clone() }))
                    .collect();
                known.extend(found);
            }
        }
    }
    if known.is_empty() { Ok(output) } else { repack(output, &packs, &known) }
}

/// Returns the packs of the versions released before this one, oldest first, so that publishing the version
/// again gives the same packs.
fn earlier_packs(
    runtime: &Runtime,
    registry: &Registry,
    manifest: &Manifest,
    history: Option<&History>,
) -> Result<Vec<Pack>> {
    let Some(dataset) = history.and_then(|history| history.dataset(&manifest.name)) else {
        return Ok(Vec::new());
    };
    let own = dataset.releases.get(&manifest.version).map_or(u64::MAX, |released| released.index);
    let mut earlier: Vec<_> = dataset
        .releases
        .values()
        .filter(|released| released.index < own && released.withdrawn.is_none())
        .collect();
    earlier.sort_by_key(|released| released.index);
    let mut packs = Vec::new();
    for released in earlier {
        let reference = ObjectRef { blake3: released.manifest, length: released.manifest_len };
        // An earlier version that is damaged has nothing to reuse, and does not stop this publish.
        let found = runtime.block_on(async {
            let snapshot = registry.describe(reference, Vec::new()).await?;
            registry.packs(&snapshot, &Images::all(snapshot.index())).await
        });
        packs.extend(found.map(Packs::into_packs).unwrap_or_default());
    }
    Ok(packs)
}

/// Writes shards of the images that are not `known`, and one pack of all images.
fn repack(mut output: BuildOutput, packs: &[Pack], known: &HashMap<Digest, InShard>) -> Result<BuildOutput> {
    let scratch = Scratch::new(&output.build)?;
    let mut shards: Vec<ObjectRef> = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    let mut seen: BTreeSet<Digest> = BTreeSet::new();
    let mut writer = NewShards { folder: scratch.path(), current: None, made: Vec::new() };
    for pack in packs {
        let mut file: Option<(usize, File)> = None;
        for entry in pack.entries.iter().filter(|entry| seen.insert(entry.blake3)) {
            match known.get(&entry.blake3) {
                Some(stored) => {
                    let at = shards.iter().position(|shard| *shard == stored.shard).unwrap_or_else(|| {
                        shards.push(stored.shard);
                        shards.len() - 1
                    });
                    entries.push(Entry { shard: at, ..stored.entry.clone() });
                }
                None => {
                    let path = output.path_of(ObjectKind::Shard, &pack.shards[entry.shard])?;
                    if file.as_ref().is_none_or(|(open, _)| *open != entry.shard) {
                        file = Some((entry.shard, files::open(path)?));
                    }
                    let (_, file) =
                        file.as_mut().ok_or_else(|| Error::Internal("no shard is open".into()))?;
                    writer.push(entry, &read_frame(file, path, entry)?)?;
                }
            }
        }
    }
    let made = writer.finish()?;
    output.objects.retain(|stored| !is_storage(stored.kind));
    for (shard, new) in made {
        let at = shards.len();
        entries.extend(new.into_iter().map(|entry| Entry { shard: at, ..entry }));
        shards.push(shard);
        let file = scratch.path().join(shard.blake3.to_string());
        output.objects.push(StoredObject { kind: ObjectKind::Shard, object: shard, file });
    }
    entries.sort_by_key(|entry| (entry.shard, entry.offset));
    let pack = Pack { shards, entries };
    let mut put = |kind, bytes: &[u8]| -> Result<Digest> {
        let object = ObjectRef::of(bytes);
        let file = scratch.path().join(object.blake3.to_string());
        std::fs::write(&file, bytes).map_err(Error::io("write", &file))?;
        output.objects.push(StoredObject { kind, object, file });
        Ok(object.blake3)
    };
    let packs = if output.snapshot.head.manifest.objects.blocks.is_some() {
        // Who has the earlier version needs only the places of what is new.
        let (earlier, new) = apart(pack, known);
        let mut packs = Vec::new();
        for pack in [earlier, new].into_iter().filter(|pack| !pack.entries.is_empty()) {
            let (directory, places) = pack.to_blocks(output.snapshot.index())?;
            put(ObjectKind::Places, &places)?;
            packs.push(put(ObjectKind::Pack, &directory)?);
        }
        packs
    } else {
        vec![put(ObjectKind::Pack, &pack.to_bytes()?)?]
    };
    output.packs = packs;
    output.scratch = Some(scratch);
    Ok(output)
}

/// Returns the pack of the images that are known, and that of the others.
fn apart(pack: Pack, known: &HashMap<Digest, InShard>) -> (Pack, Pack) {
    let (earlier, new): (Vec<Entry>, Vec<Entry>) =
        pack.entries.into_iter().partition(|entry| known.contains_key(&entry.blake3));
    let of = |mut entries: Vec<Entry>| {
        let used: BTreeSet<usize> = entries.iter().map(|entry| entry.shard).collect();
        let numbers: HashMap<usize, usize> = used.iter().copied().zip(0..).collect();
        entries.iter_mut().for_each(|entry| entry.shard = numbers[&entry.shard]);
        Pack { shards: used.into_iter().map(|shard| pack.shards[shard]).collect(), entries }
    };
    (of(earlier), of(new))
}

fn read_frame(file: &mut File, path: &Path, entry: &Entry) -> Result<Vec<u8>> {
    let mut frame = vec![0; entry.length as usize];
    file.seek(SeekFrom::Start(entry.offset)).map_err(Error::io("read", path))?;
    file.read_exact(&mut frame).map_err(Error::io("read", path))?;
    if Digest::of(&frame) != entry.frame {
        let why = format!("does not have the frame of image {} that its pack promises", entry.blake3);
        return Err(Error::integrity(path.display(), why).at(At::Build));
    }
    Ok(frame)
}

/// The shards being written. Each is named by its hash when it is finished.
struct NewShards<'a> {
    folder: &'a Path,
    current: Option<ShardWriter<tempfile::NamedTempFile>>,
    made: Vec<(ObjectRef, Vec<Entry>)>,
}

impl NewShards<'_> {
    fn push(&mut self, entry: &Entry, frame: &[u8]) -> Result<()> {
        let shard = match &mut self.current {
            Some(shard) => shard,
            none => none.insert(ShardWriter::new(files::temp_file_in(self.folder)?)),
        };
        shard.push(entry.blake3, frame).map_err(Error::io("write in", self.folder))?;
        if shard.is_full() { self.close() } else { Ok(()) }
    }

    fn close(&mut self) -> Result<()> {
        let Some(shard) = self.current.take() else { return Ok(()) };
        let mut frames = FrameWriter::new().map_err(|e| Error::Internal(format!("zstd: {e}")))?;
        let (mut temp, reference, entries) =
            shard.finish(&mut frames).map_err(Error::io("write in", self.folder))?;
        temp.flush().map_err(Error::io("write in", self.folder))?;
        let path = self.folder.join(reference.blake3.to_string());
        temp.persist(&path).map_err(|e| Error::io("write", &path)(e.error))?;
        self.made.push((reference, entries));
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<(ObjectRef, Vec<Entry>)>> {
        self.close()?;
        Ok(self.made)
    }
}
