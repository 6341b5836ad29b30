//! Asks a distant registry early for the files that a command will need. Who checks a version reads them one
//! after another, since each says what the next one must be; their names are known earlier than that. What
//! arrives is checked as if it had been asked for late.

use std::sync::{Arc, Mutex, PoisonError};

use super::{MAX_HINT, Registry, layout};
use crate::cache::Cache;
use crate::transport::ahead::Ahead;
use isn_format::dataset_ref::{DatasetRef, Version, VersionId};
use isn_format::digest::Digest;
use isn_format::log::MAX_CHECKPOINT;
use isn_format::manifest::{self, Manifest};
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::{Pack, Stored};
use isn_format::statement::{self, SignedStatement, Statement};
use isn_format::tree::Selection;

/// The maximum length of a list that is asked for before anybody vouches for it, in bytes: what is longer
/// takes longer than a round trip anyway.
pub(super) const MAX_EARLY: u64 = 8 << 20;

/// What a command reads of a version, beside its manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Its index and classes.
    lists: bool,
    /// Its packs.
    packs: bool,
    /// Of an index in blocks, a part.
    is_part: bool,
}

impl Needs {
    /// Nothing more.
    pub(crate) const MANIFEST: Needs = Needs { lists: false, packs: false, is_part: false };
    /// Its index and classes.
    pub(crate) const LISTS: Needs = Needs { lists: true, ..Needs::MANIFEST };
    /// Its packs, too.
    pub(crate) const IMAGES: Needs = Needs { packs: true, ..Needs::LISTS };

    /// Of what a selection has.
    pub(crate) fn of(self, selection: &Selection) -> Self {
        Needs { is_part: !selection.is_all(), ..self }
    }
}

impl Registry {
    /// Begins to read what a command `needs` of the version that `reference` means. Does nothing for a
    /// registry on this machine, or without a network. Must be called in a runtime.
    pub(crate) fn look_ahead(&self, reference: &DatasetRef, needs: Needs) {
        let Some(ahead) = self.ahead.as_ref().filter(|_| !self.is_offline) else { return };
        ahead.ask(layout::REGISTRY_JSON, MAX_HINT, |_| ());
        ahead.ask(&layout::LOG.checkpoint(), MAX_CHECKPOINT, |_| ());
        let trail = Trail { ahead: ahead.clone(), cache: self.cache.clone(), needs };
        let _ = self.trail.set(trail.clone());
        let hint = match reference {
            DatasetRef::Version(id, _) => return trail.release(id),
            DatasetRef::Newest(name) => layout::versions(name),
            DatasetRef::Pin(pin) => layout::pin(pin),
        };
        let reference = reference.clone();
        ahead.ask(&hint, MAX_HINT, move |hint| {
            if let Some(id) = named(&reference, hint) {
                trail.release(&id);
            }
        });
    }
}

impl Registry {
    /// As [`Registry::look_ahead`], from a manifest on: a log that is remembered may lead to it first.
    pub(super) fn look_ahead_from(&self, manifest: &ObjectRef) {
        if let Some(trail) = self.trail.get() {
            trail.clone().manifest(*manifest);
        }
    }
}

/// Follows the names in files that nobody has checked yet.
#[derive(Clone)]
pub(super) struct Trail {
    ahead: Ahead,
    cache: Option<Cache>,
    needs: Needs,
}

impl Trail {
    fn release(self, id: &VersionId) {
        let ahead = self.ahead.clone();
        ahead.ask(&layout::release(id), statement::MAX_LEN as u64, move |bytes| {
            let signed = SignedStatement::parse("release", bytes.to_vec());
            if let Ok(Statement::Release(release)) = signed.as_ref().map(SignedStatement::claimed) {
                self.manifest(ObjectRef { blake3: release.manifest, length: release.manifest_len });
            }
        });
    }

    fn manifest(self, object: ObjectRef) {
        if object.length > manifest::MAX_LEN {
            return;
        }
        let (ahead, kind) = (self.ahead.clone(), ObjectKind::Manifest);
        let cached = self.cache.as_ref().and_then(|cache| cache.object(kind, &object.blake3, object.length));
        // Whichever of the two comes last leads to the pack.
        let ends = Arc::new(Mutex::new((None, None)));
        if self.needs.packs {
            let (trail, ends) = (self.clone(), ends.clone());
            ahead.ask(&layout::packs(&object.blake3), MAX_HINT, move |list| {
                let list = std::str::from_utf8(list).unwrap_or_default();
                let pack = list.lines().next().and_then(|pack| pack.parse().ok());
                // Of several packs, the one with fewer images is enough for who has an earlier version.
                let pack = pack.map(|pack| (pack, list.lines().count() == 1));
                let mut ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
                ends.0 = pack;
                trail.pack(*ends);
            });
        }
        let then = move |bytes: &[u8]| {
            let Ok(manifest) = Manifest::parse("manifest", bytes) else { return };
            if self.needs.lists {
                self.want(ObjectKind::Classes, &manifest.objects.classes);
                self.want(ObjectKind::Index, &manifest.objects.index);
                match manifest.objects.blocks {
                    Some(blocks) if self.needs.is_part => self.want(ObjectKind::SumsTree, &blocks.tree),
                    Some(blocks) => match manifest.objects.delta.filter(|_| self.has_earlier(&manifest)) {
                        Some(delta) => self.want(ObjectKind::Delta, &delta),
                        None => self.want(ObjectKind::Rows, &blocks.rows),
                    },
                    None => {}
                }
            }
            let mut ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
            ends.1 = Some(manifest.images);
            self.pack(*ends);
        };
        match cached {
            Some(bytes) => then(&bytes),
            None => ahead.ask(&layout::object(kind, &object.blake3), object.length, then),
        }
    }

    /// Asks for a pack, once it and the number of images are known.
    fn pack(&self, ends: (Option<(Digest, bool)>, Option<u64>)) {
        if let (Some((blake3, is_only)), Some(images)) = ends {
            let (trail, object) = (self.clone(), ObjectRef { blake3, length: Pack::max_len(images) });
            self.want_and(ObjectKind::Pack, &object, move |pack| {
                // Of a part, only some places are read.
                if let (Ok(Stored::Blocks(pack)), true) =
                    (Stored::parse("pack", pack, images), is_only && !trail.needs.is_part)
                {
                    trail.want(ObjectKind::Places, &pack.places);
                }
            });
        }
    }

    /// Whether the cache knows the version that another one follows.
    fn has_earlier(&self, manifest: &Manifest) -> bool {
        let earlier = manifest.previous.as_ref().and_then(|previous| previous.release.as_ref());
        let is_known =
            |cache: &Cache| earlier.is_some_and(|(_, dataset)| cache.hint(&layout::pin(dataset)).is_some());
        self.cache.as_ref().is_some_and(is_known)
    }

    /// Asks for an object, unless it is at hand or long.
    fn want(&self, kind: ObjectKind, object: &ObjectRef) {
        self.want_and(kind, object, |_| ());
    }

    /// As [`Trail::want`], then does more with its bytes.
    fn want_and(&self, kind: ObjectKind, object: &ObjectRef, then: impl FnOnce(&[u8]) + Send + 'static) {
        let is_cached =
            self.cache.as_ref().is_some_and(|cache| cache.object_path(kind, &object.blake3).is_file());
        if object.length <= MAX_EARLY && !is_cached {
            self.ahead.ask(&layout::object(kind, &object.blake3), object.length, then);
        }
    }
}

/// Returns the version that a hint names.
fn named(reference: &DatasetRef, hint: &[u8]) -> Option<VersionId> {
    let text = std::str::from_utf8(hint).ok()?;
    match reference {
        DatasetRef::Newest(name) => {
            let version = text.lines().filter_map(|line| line.parse::<Version>().ok()).max()?;
            Some(VersionId { name: name.clone(), version })
        }
        _ => {
            let (name, version) = text.trim_end().split_once(' ')?;
            Some(VersionId { name: name.parse().ok()?, version: version.parse().ok()? })
        }
    }
}
