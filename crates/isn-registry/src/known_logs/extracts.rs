//! What is remembered of a log of which only some names were read, by the index of names: an extract for each
//! name, the log's keys, and the notes of the indexes that were relied on. A whole replay makes the extracts
//! needless, and shows whether a note was right.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{KnownLog, Seen};
use crate::files;
use isn_format::dataset_ref::Name;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::log::names::{MAX_NOTE, SignedNames};
use isn_format::log::{Extract, Hash, History, SignedCheckpoint};

/// The folder of extracts, each named after its name.
const EXTRACTS: &str = "names";
/// The folder of notes that were relied on, each named after its BLAKE3.
const NOTES: &str = "notes";
/// The changes of the log's key, from the newest extract.
const KEYS: &str = "keys";
/// The checkpoint that the replay leads to, if a newer one was seen by the index of names.
const REPLAYED: &str = "replayed";
/// The maximum length of an extract, in bytes.
const MAX_EXTRACT: u64 = 1 << 30;

/// An extract, with the checkpoint that it was read under.
pub(crate) struct RememberedName {
    /// What the log says about the name.
    pub extract: Extract,
    /// The checkpoint, which was verified.
    pub seen: Seen,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    checkpoint: String,
    history: History,
    /// Numbers and leaves.
    leaves: Vec<(u64, String)>,
}

impl Stored {
    fn write(&self) -> Result<Vec<u8>> {
        let json = serde_json::to_vec(self).map_err(|e| Error::Internal(e.to_string()))?;
        Ok([format!("{}\n", Digest::of(&json)).as_bytes(), &json].concat())
    }

    /// Reads what was written; `None` if it is not as its sum says.
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|&b| b == b'\n')?;
        let (sum, json) = (std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 1..]);
        (Digest::of(json).to_string() == sum).then(|| serde_json::from_slice(json).ok()).flatten()
    }
}

impl KnownLog {
    /// Returns what is remembered of a name by itself. What is damaged is read again from the registry.
    pub(crate) fn name(&self, name: &Name) -> Option<RememberedName> {
        let path = self.folder.join(EXTRACTS).join(name.as_str());
        let stored = Stored::read(&files::read_nofollow(&path, MAX_EXTRACT).ok()??)?;
        let note = stored.checkpoint.into_bytes();
        let signed = SignedCheckpoint::parse(&path.display().to_string(), note.clone()).ok()?;
        let (size, root) = (signed.claimed_size(), signed.claimed_root());
        let leaves =
            stored.leaves.into_iter().map(|(index, leaf)| Some((index, Hash::parse_hash(&leaf).ok()?)));
        let leaves = leaves.collect::<Option<BTreeMap<_, _>>>()?;
        let is_its = *stored.history.anchor() == self.anchor && stored.history.is_by_these_rules();
        let extract = Extract::of_parts(name.clone(), (size, root), stored.history, leaves);
        Some(RememberedName { extract: extract.filter(|_| is_its)?, seen: Seen { size, root, note } })
    }

    /// Returns what is remembered of each name by itself.
    pub(crate) fn names(&self) -> impl Iterator<Item = RememberedName> {
        let names = files::names_in(&self.folder.join(EXTRACTS)).unwrap_or_default().into_iter();
        names.filter_map(|name| self.name(&name.parse().ok()?))
    }

    /// Returns what is known of the log's keys: of whichever was read last, the whole log or a name.
    ///
    /// # Errors
    /// As [`KnownLog::load`].
    pub(crate) fn keys(&self) -> Result<History> {
        let whole = self.load()?.replica.history().of_keys();
        Ok(self.keys_by_name().filter(|keys| keys.size() > whole.size()).unwrap_or(whole))
    }

    /// Returns what is known of the log's keys by the name that was read last.
    pub(crate) fn keys_by_name(&self) -> Option<History> {
        let bytes = files::read_nofollow(&self.folder.join(KEYS), MAX_EXTRACT).ok()??;
        let history = Stored::read(&bytes)?.history;
        (*history.anchor() == self.anchor && history.is_by_these_rules()).then_some(history)
    }

    /// Keeps the note of an index of names, before what it leads to is believed.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub(crate) fn rely_on(&self, note: &SignedNames) -> Result<()> {
        // Whoever takes the lock removes what is half written.
        let _lock = self.lock()?;
        self.describe()?;
        files::create_new(&self.folder.join(NOTES).join(id_of(note)), note.bytes()).map(drop)
    }

    /// Returns the notes of indexes that were relied on, and that no whole replay has checked yet.
    ///
    /// # Errors
    /// [`Error::Io`] if they cannot be read.
    pub(crate) fn relied_on(&self) -> Result<Vec<SignedNames>> {
        let folder = self.folder.join(NOTES);
        let mut notes = Vec::new();
        for name in files::names_in(&folder)? {
            let path = folder.join(name);
            // One that is damaged can be no evidence any more, and other files are none.
            if let Ok(Some(bytes)) = files::read_nofollow(&path, MAX_NOTE)
                && let Ok(note) = SignedNames::parse(&path.display().to_string(), bytes)
                && path.ends_with(id_of(&note))
            {
                notes.push(note);
            }
        }
        Ok(notes)
    }

    /// Keeps a note that the entries contradict, and the checkpoint of these entries, as evidence; returns
    /// its folder.
    ///
    /// # Errors
    /// [`Error::Io`] if the evidence cannot be written.
    pub(crate) fn keep_wrong(&self, note: &SignedNames, checkpoint: &[u8]) -> Result<PathBuf> {
        let folder = self.folder.join("evidence").join(id_of(note));
        let _lock = self.lock()?;
        self.describe()?;
        files::create_new(&folder.join("names.note"), note.bytes())?;
        files::create_new(&folder.join("checkpoint.note"), checkpoint)?;
        Ok(folder)
    }

    /// Stores what a log says about a name, as the caller has verified: `note` is its checkpoint, which
    /// continues `seen`, the newest one that was seen before. `whole` is the one that the stored replay leads
    /// to, if there is one.
    ///
    /// # Errors
    /// Fails if a file cannot be read or written.
    pub(crate) fn store_name(
        &self,
        extract: &Extract,
        note: &[u8],
        seen: Option<&Seen>,
        whole: Option<&Seen>,
    ) -> Result<()> {
        let _lock = self.lock()?;
        self.describe()?;
        let leaves = extract.leaves().iter().map(|(index, leaf)| (*index, leaf.to_string())).collect();
        let checkpoint = String::from_utf8_lossy(note).into_owned();
        let stored = Stored { checkpoint, history: extract.history().clone(), leaves };
        files::replace(&self.folder.join(EXTRACTS).join(extract.name().as_str()), &stored.write()?)?;
        // Another process has stored another checkpoint meanwhile, which may contradict this one: whoever
        // reads the log next compares that one with what it finds.
        if self.seen()?.as_ref() != seen {
            return Ok(());
        }
        let keys = Stored { history: stored.history.of_keys(), leaves: Vec::new(), ..stored };
        files::replace(&self.folder.join(KEYS), &keys.write()?)?;
        if let (Some(seen), Some(whole)) = (seen, whole)
            && seen == whole
        {
            files::replace(&self.folder.join(REPLAYED), &seen.note)?;
        }
        files::replace(&self.folder.join("checkpoint"), note)
    }

    /// Returns the checkpoint that the stored replay leads to, if a newer one was seen by the index of names.
    pub(super) fn replayed(&self) -> Option<Seen> {
        let path = self.folder.join(REPLAYED);
        let note = files::read_nofollow(&path, isn_format::log::MAX_CHECKPOINT).ok()??;
        let signed = SignedCheckpoint::parse(&path.display().to_string(), note.clone()).ok()?;
        Some(Seen { size: signed.claimed_size(), root: signed.claimed_root(), note })
    }

    /// Forgets what a whole replay says, too, and the notes that it has shown to be right, or were kept as
    /// evidence.
    pub(super) fn forget_names(&self, checked: &[SignedNames]) -> Result<()> {
        for name in files::names_in(&self.folder.join(EXTRACTS))? {
            files::remove_file(&self.folder.join(EXTRACTS).join(name))?;
        }
        for note in checked {
            files::remove_file(&self.folder.join(NOTES).join(id_of(note)))?;
        }
        files::remove_file(&self.folder.join(KEYS))?;
        files::remove_file(&self.folder.join(REPLAYED))
    }
}

/// The name of the file of a note.
fn id_of(note: &SignedNames) -> String {
    let mut id = Digest::of(note.bytes()).to_string();
    id.truncate(16);
    id
}

#[cfg(test)]
mod tests {
    use isn_format::log::{LogSigner, Replica};

    use super::*;
    use crate::known_logs::KnownLogs;

    fn note(signer: &LogSigner, replica: &Replica) -> Vec<u8> {
        let root = replica.tree().root().unwrap();
        SignedCheckpoint::sign(signer, replica.size(), root).unwrap().bytes().to_vec()
    }

    #[test]
    fn what_was_read_of_a_name_stays_beside_the_replay_until_a_newer_one() {
        let dir = tempfile::tempdir().unwrap();
        let logs = KnownLogs::new(dir.path());
        let signer = logs.new_signer(None).unwrap();
        let known = logs.log(signer.log_key());
        let mut replica = Replica::new(signer.log_key().clone());
        let _ = replica.push(b"one").unwrap();
        known.store(&replica, &note(&signer, &replica)).unwrap();
        let whole = known.seen().unwrap();
        let older = replica.clone();

        let entry = b"two\nname birds\n".to_vec();
        let _ = replica.push(&entry).unwrap();
        let head = (2, replica.tree().root().unwrap());
        let birds: Name = "birds".parse().unwrap();
        let extract = Extract::new(signer.log_key().clone(), birds.clone()).unwrap();
        let extract = extract.continued(head, &[(1, entry)].into()).unwrap();
        let newest = note(&signer, &replica);
        known.store_name(&extract, &newest, whole.as_ref(), whole.as_ref()).unwrap();
        let kept = known.name(&birds).unwrap();
        assert_eq!((kept.extract, kept.seen.note), (extract.clone(), newest.clone()));
        assert!(known.name(&"cats".parse().unwrap()).is_none());
        // The replay is of an earlier state than the newest checkpoint, and known as such.
        let loaded = known.load().unwrap();
        assert_eq!((loaded.replica.size(), loaded.replayed), (1, whole.clone()));
        assert_eq!(loaded.seen.unwrap().note, newest);
        let history = |name: &Name| known.last_seen(name).unwrap().unwrap().0.size();
        assert_eq!((history(&birds), history(&"cats".parse().unwrap())), (2, 1));
        assert_eq!(known.keys().unwrap().size(), 2);

        // What is damaged is read again.
        let path = known.folder.join(EXTRACTS).join("birds");
        let good = std::fs::read(&path).unwrap();
        for at in [0, 70, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            files::replace(&path, &bad).unwrap();
            assert!(known.name(&birds).is_none(), "{at}");
        }
        files::replace(&path, &good).unwrap();
        // A checkpoint that another process has stored meanwhile is not replaced.
        known.store_name(&extract, &note(&signer, &older), whole.as_ref(), None).unwrap();
        assert_eq!(known.seen().unwrap().unwrap().note, newest);

        known.store(&replica, &newest).unwrap();
        assert!(known.name(&birds).is_none());
        let loaded = known.load().unwrap();
        assert_eq!((loaded.replica.size(), loaded.replayed), (2, loaded.seen));
    }

    fn index(signer: &LogSigner, replica: &Replica) -> SignedNames {
        let root = isn_format::log::names::grow(None, [], &mut |_| unreachable!(), &mut |_, _| Ok(()));
        let tree = (replica.size(), replica.tree().root().unwrap());
        SignedNames::sign(signer, tree.0, tree.1, root.unwrap()).unwrap()
    }

    #[test]
    fn other_files_are_no_notes() {
        let dir = tempfile::tempdir().unwrap();
        let logs = KnownLogs::new(dir.path());
        let signer = logs.new_signer(None).unwrap();
        let (known, replica) = (logs.log(signer.log_key()), Replica::new(signer.log_key().clone()));
        let note = index(&signer, &replica);
        known.rely_on(&note).unwrap();
        let notes = known.folder.join(NOTES);
        std::fs::write(notes.join(".isn-tmp-0123456789abcdef"), note.bytes()).unwrap();
        std::fs::write(notes.join("0123456789abcdef"), note.bytes()).unwrap();
        assert_eq!(known.relied_on().unwrap().len(), 1);
        known.store_checked(&replica, &self::note(&signer, &replica), &[note]).unwrap();
        assert_eq!(known.relied_on().unwrap().len(), 0);
    }

    #[test]
    fn processes_that_meet_a_log_at_the_same_time_do_not_disturb_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let signer = KnownLogs::new(dir.path().join("own")).new_signer(None).unwrap();
        let replica = Replica::new(signer.log_key().clone());
        let (note, names) = (note(&signer, &replica), index(&signer, &replica));
        for turn in 0..20 {
            let logs = KnownLogs::new(dir.path().join(turn.to_string()));
            let meet = || {
                let known = logs.log(signer.log_key());
                known.rely_on(&names).and_then(|()| known.store(&replica, &note))
            };
            std::thread::scope(|scope| {
                let all: Vec<_> = (0..8).map(|_| scope.spawn(meet)).collect();
                all.into_iter().for_each(|one| one.join().unwrap().unwrap());
            });
        }
    }
}
