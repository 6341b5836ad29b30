//! Asks a distant registry early for the files that a command will need. Who checks a version reads them one
//! after another, since each says what the next one must be; their names are known earlier than that. What
//! arrives is checked as if it had been asked for late.

use bytes::Bytes;

use super::{MAX_HINT, Registry, layout};
use crate::cache::Cache;
use crate::transport::ahead::{Ahead, Asked};
use isn_format::dataset_ref::{DatasetRef, Version, VersionId};
use isn_format::digest::Digest;
use isn_format::log::MAX_CHECKPOINT;
use isn_format::manifest::{self, Manifest};
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::Pack;
use isn_format::statement::{self, SignedStatement, Statement};

/// The maximum length of a list that is asked for before anybody vouches for it, in bytes: what is longer
/// takes longer than a round trip anyway.
const MAX_EARLY: u64 = 8 << 20;

/// What a command reads of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Needs {
    /// Its manifest.
    Manifest,
    /// Its index and classes, too.
    Lists,
    /// Its packs, too.
    Images,
}

impl Registry {
    /// Begins to read what a command `needs` of the version that `reference` means. Does nothing for a
    /// registry on this machine, or without a network. Must be called in a runtime.
    pub(crate) fn look_ahead(&self, reference: &DatasetRef, needs: Needs) {
        let Some(ahead) = self.ahead.as_ref().filter(|_| !self.is_offline) else { return };
        ahead.ask(layout::REGISTRY_JSON, MAX_HINT);
        ahead.ask(&layout::LOG.checkpoint(), MAX_CHECKPOINT);
        let (hint, id) = match reference {
            DatasetRef::Version(id, _) => (None, Some(id.clone())),
            DatasetRef::Newest(name) => (Some(ahead.ask(&layout::versions(name), MAX_HINT)), None),
            DatasetRef::Pin(pin) => (Some(ahead.ask(&layout::pin(pin), MAX_HINT)), None),
        };
        let release = id.map(|id| ahead.ask(&layout::release(&id), statement::MAX_LEN as u64));
        let follow = Follow { ahead: ahead.clone(), cache: self.cache.clone(), needs };
        let reference = reference.clone();
        tokio::spawn(async move { follow.from(&reference, hint, release).await });
    }
}

/// Follows the names in files that nobody has checked yet.
struct Follow {
    ahead: Ahead,
    cache: Option<Cache>,
    needs: Needs,
}

impl Follow {
    /// Returns `None` where the trail ends.
    async fn from(self, reference: &DatasetRef, hint: Option<Asked>, release: Option<Asked>) -> Option<()> {
        let release = match (hint, release) {
            (Some(hint), _) => {
                let id = named(reference, &hint.bytes().await?)?;
                self.ahead.ask(&layout::release(&id), statement::MAX_LEN as u64)
            }
            (None, release) => release?,
        };
        let signed = SignedStatement::parse("release", release.bytes().await?.to_vec()).ok()?;
        let Statement::Release(release) = signed.claimed() else { return None };
        let object = ObjectRef { blake3: release.manifest, length: release.manifest_len };
        let packs =
            (self.needs >= Needs::Images).then(|| self.ahead.ask(&layout::packs(&object.blake3), MAX_HINT));
        if object.length > manifest::MAX_LEN {
            return None;
        }
        let manifest = match self.cached(ObjectKind::Manifest, &object) {
            Some(bytes) => bytes.into(),
            None => self.ask(ObjectKind::Manifest, &object).bytes().await?,
        };
        let manifest = Manifest::parse("manifest", &manifest).ok()?;
        if self.needs >= Needs::Lists {
            self.want(ObjectKind::Classes, &manifest.objects.classes);
            self.want(ObjectKind::Index, &manifest.objects.index);
        }
        let packs = packs?.bytes().await?;
        let pack: Digest = String::from_utf8_lossy(&packs).lines().next()?.parse().ok()?;
        let most = Pack::max_len(manifest.images);
        let is_cached =
            self.cache.as_ref().is_some_and(|cache| cache.object_path(ObjectKind::Pack, &pack).is_file());
        if most <= MAX_EARLY && !is_cached {
            self.ask(ObjectKind::Pack, &ObjectRef { blake3: pack, length: most });
        }
        Some(())
    }

    fn cached(&self, kind: ObjectKind, object: &ObjectRef) -> Option<Vec<u8>> {
        self.cache.as_ref()?.object(kind, &object.blake3, object.length)
    }

    fn ask(&self, kind: ObjectKind, object: &ObjectRef) -> Asked {
        self.ahead.ask(&layout::object(kind, &object.blake3), object.length)
    }

    /// Asks for an object, unless it is at hand or long.
    fn want(&self, kind: ObjectKind, object: &ObjectRef) {
        let is_cached =
            self.cache.as_ref().is_some_and(|cache| cache.object_path(kind, &object.blake3).is_file());
        if object.length <= MAX_EARLY && !is_cached {
            self.ask(kind, object);
        }
    }
}

/// Returns the version that a hint names.
fn named(reference: &DatasetRef, hint: &Bytes) -> Option<VersionId> {
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
