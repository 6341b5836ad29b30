//! What every store must do: the same tests for folders and for buckets in memory.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path as At;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

use super::{BucketStore, Change, FolderStore, Store};
use crate::files;
use crate::known_logs::KnownLogs;
use crate::ops::registry::rotate_key;
use crate::registry::append::OwnLog;
use crate::registry::publish::{RegistryWriter, read_about};
use crate::registry::{Registry, layout};
use crate::transport;
use crate::transport::bucket::Bucket;
use crate::trust::Known;
use isn_format::digest::Digest;
use isn_format::error::{Error, NetworkKind, Result};
use isn_format::key::PrivateKey;
use isn_format::log::{SignedCheckpoint, SignedClaim, bundle};
use isn_format::object::ObjectRef;
use isn_format::statement::{Owner, SignedStatement, Statement};

fn bucket(store: &Arc<dyn ObjectStore>) -> BucketStore {
    BucketStore::new(Bucket::over("memory://bucket", store.clone())).unwrap()
}

fn both(check: impl Fn(&dyn Store, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    check(&FolderStore::new(dir.path().join("registry")), dir.path());
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    check(&bucket(&store), dir.path());
}

#[test]
fn files_are_created_once_replaced_changed_listed_and_removed() {
    both(|store, _| {
        assert!(store.is_free().unwrap());
        let _lock = store.begin().unwrap();
        assert!(store.is_free().unwrap(), "beginning leaves nothing that is not ours");
        assert_eq!((store.read("a/b").unwrap(), store.length("a/b").unwrap()), (None, None));
        assert!(store.create_new("a/b", b"one").unwrap());
        assert!(!store.create_new("a/b", b"two").unwrap());
        assert_eq!(store.read("a/b").unwrap().unwrap(), b"one");
        store.replace("a/b", b"three").unwrap();
        assert_eq!(store.length("a/b").unwrap(), Some(5));
        store.update("a/b", &mut |there| Ok(Some([there.unwrap(), b"!"].concat()))).unwrap();
        store.update("a/b", &mut |_| Ok(None)).unwrap();
        store.update("a/new", &mut |there| Ok(there.is_none().then(|| b"new".to_vec()))).unwrap();
        store.replace("a/c/d", b"").unwrap();
        store.replace("ab", b"").unwrap();
        assert_eq!(store.read("a/c/d").unwrap().as_deref(), Some(&b""[..]), "empty is not absent");
        let listed = store.list("a").unwrap();
        assert_eq!(listed, [("a/b".into(), 6), ("a/c/d".into(), 0), ("a/new".into(), 3)]);
        assert_eq!(store.list("none").unwrap(), []);
        assert!(!store.is_free().unwrap());
        store.remove("a/b").unwrap();
        store.remove("a/b").unwrap();
        for path in ["a/c/d", "a/new"] {
            store.remove(path).unwrap();
        }
        for folder in ["a/c", "a", "a"] {
            assert!(store.remove_folder(folder).unwrap());
        }
        let names: Vec<String> = store.list("").unwrap().into_iter().map(|(path, _)| path).collect();
        assert!(names.iter().all(|name| name == "ab" || name.starts_with(".isn-")), "{names:?}");
    });
}

#[test]
fn objects_of_one_part_and_of_many_are_what_they_are_called_or_not_there() {
    both(|store, dir| {
        for length in [0, 5, (8 << 20) + 1, 41 << 20] {
            let bytes: Vec<u8> = (0..length).map(|i: usize| (i / 7) as u8).collect();
            let (object, file) = (ObjectRef::of(&bytes), dir.join("object"));
            std::fs::write(&file, &bytes).unwrap();
            let path = format!("objects/{}", object.blake3);
            store.put(&path, &file, &object).unwrap();
            store.check(&path, &object).unwrap();
            assert!(store.read(&path).unwrap().unwrap() == bytes);
            let other = ObjectRef { blake3: Digest::of(b"other"), length: object.length };
            assert!(store.put("objects/x", &file, &other).unwrap_err().to_string().contains("is damaged"));
            assert_eq!(store.length("objects/x").unwrap(), None);
        }
    });
}

#[test]
fn nobodys_change_is_lost_in_a_bucket() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let created = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (store, created) = (&store, &created);
            scope.spawn(move || {
                let store = bucket(store);
                for round in 0..20 {
                    let line = format!("{writer} {round}\n");
                    store
                        .update("list", &mut |there| {
                            Ok(Some([there.unwrap_or_default(), line.as_bytes()].concat()))
                        })
                        .unwrap();
                    let is_first = store.create_new(&format!("claim/{round}"), line.as_bytes()).unwrap();
                    created.fetch_add(usize::from(is_first), Ordering::Relaxed);
                }
            });
        }
    });
    let list = String::from_utf8(bucket(&store).read("list").unwrap().unwrap()).unwrap();
    assert_eq!((list.lines().count(), created.into_inner()), (80, 20));
}

#[test]
fn who_was_overtaken_is_asked_again_about_what_is_there_now() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (slow, fast) = (bucket(&store), bucket(&store));
    let mut seen = Vec::new();
    slow.update("file", &mut |there| {
        seen.push(there.map(<[u8]>::to_vec));
        if seen.len() < 3 {
            fast.replace("file", &[seen.len() as u8]).unwrap();
        }
        Ok(Some(b"mine".to_vec()))
    })
    .unwrap();
    assert_eq!(seen, [None, Some(vec![1]), Some(vec![2])]);
    assert_eq!(fast.read("file").unwrap().unwrap(), b"mine");
}

/// A store that supports no conditional writes, or only `If-None-Match`.
#[derive(Debug)]
struct Deaf {
    inner: InMemory,
    hears_create: bool,
}

impl fmt::Display for Deaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deaf")
    }
}

#[async_trait]
impl ObjectStore for Deaf {
    async fn put_opts(
        &self,
        at: &At,
        bytes: PutPayload,
        mut options: PutOptions,
    ) -> object_store::Result<PutResult> {
        if !(self.hears_create && options.mode == PutMode::Create) {
            options.mode = PutMode::Overwrite;
        }
        self.inner.put_opts(at, bytes, options).await
    }

    async fn put_multipart_opts(
        &self,
        at: &At,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &At, options: GetOptions) -> object_store::Result<GetResult> {
        self.inner.get_opts(at, options).await
    }

    fn delete_stream(
        &self,
        at: BoxStream<'static, object_store::Result<At>>,
    ) -> BoxStream<'static, object_store::Result<At>> {
        self.inner.delete_stream(at)
    }

    fn list(&self, prefix: Option<&At>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&At>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &At, to: &At, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[test]
fn a_store_that_ignores_conditions_is_refused_and_nothing_is_left() {
    for (hears_create, ignored) in [(false, "ignores If-None-Match"), (true, "ignores If-Match")] {
        let store: Arc<dyn ObjectStore> = Arc::new(Deaf { inner: InMemory::new(), hears_create });
        let signer = || -> isn_format::error::Result<_> { panic!("nothing is made") };
        let refused = RegistryWriter::init(&bucket(&store), "for tests", signer).unwrap_err().to_string();
        assert!(refused.contains(ignored), "{refused}");
        assert_eq!(bucket(&store).list("").unwrap(), []);
    }
}

#[test]
fn writers_race_in_a_bucket_and_each_statement_is_in_the_log_once() {
    const WRITERS: usize = 4;
    const ROUNDS: usize = 12;
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let logs: Vec<KnownLogs> =
        (0..WRITERS).map(|i| KnownLogs::new(dir.path().join(format!("logs{i}")))).collect();
    RegistryWriter::init(&bucket(&store), "for tests", || logs[0].new_signer(None)).unwrap();
    let writer = RegistryWriter::open(Box::new(bucket(&store))).unwrap();
    let anchor = OwnLog::open(&writer, Known::trusting_nobody(&logs[0])).unwrap().anchor().clone();
    for others in &logs[1..] {
        others.import_signer(&anchor, &logs[0].log(&anchor).key_path()).unwrap();
    }
    let write = |number: usize| -> Vec<u64> {
        let owner = PrivateKey::generate("").unwrap();
        let append = |round| {
            let name = format!("n{number}x{round}").parse().unwrap();
            let claim = Owner::new(name, None, 1, vec![owner.public_line().key], Vec::new());
            let signed = SignedStatement::sign(&Statement::Owner(claim), &owner).unwrap();
            let writer = RegistryWriter::open(Box::new(bucket(&store))).unwrap();
            OwnLog::open(&writer, Known::trusting_nobody(&logs[number]))
                .unwrap()
                .append(&[signed])
                .unwrap()
                .first
        };
        (0..ROUNDS).map(append).collect()
    };
    let mut entries: Vec<u64> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|i| {
                let write = &write;
                scope.spawn(move || write(i))
            })
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    entries.sort_unstable();
    assert_eq!(entries, (0..(WRITERS * ROUNDS) as u64).collect::<Vec<_>>());
    let view = OwnLog::open(&writer, Known::trusting_nobody(&logs[0])).unwrap().view().unwrap();
    let history = view.replica.history();
    assert_eq!((history.datasets().count(), history.rejected().len()), (WRITERS * ROUNDS, 0));
}

#[test]
fn a_planted_claim_stops_a_writer_until_the_keys_holder_removes_it() {
    both_kinds(|open, logs| {
        RegistryWriter::init(open().as_ref(), "for tests", || logs.new_signer(None)).unwrap();
        let owner = PrivateKey::generate("").unwrap();
        let signed = |name: &str| {
            let owners = vec![owner.public_line().key];
            let claim = Statement::Owner(Owner::new(name.parse().unwrap(), None, 1, owners, Vec::new()));
            SignedStatement::sign(&claim, &owner).unwrap()
        };
        let writer = RegistryWriter::open(open()).unwrap();
        let log = OwnLog::open(&writer, Known::trusting_nobody(logs)).unwrap();
        log.append(&[signed("one")]).unwrap();
        let mut planted = Vec::new();
        bundle::push(&mut planted, signed("squatted").bytes()).unwrap();
        for claim in [planted.as_slice(), b"", b"isn/v2 claim\n", b"isn/v1 claim\n"] {
            let path = layout::LOG.claim(1);
            writer.store().replace(&path, claim).unwrap();
            let before = writer.store().list("").unwrap();
            let stopped = log.append(&[signed("two")]).err();
            assert!(matches!(stopped, Some(Error::Claim { .. })), "{stopped:?}");
            assert_eq!(writer.store().list("").unwrap(), before);
            assert_eq!(log.unclaim().unwrap(), [writer.store().locate(&path)]);
            assert_eq!(log.view().unwrap().replica.size(), 1);
        }
        // A log claim that a killed writer has created is finished, not removed.
        let mut entries = Vec::new();
        bundle::push(&mut entries, signed("two").bytes()).unwrap();
        let base = log.view().unwrap().replica;
        let claim = SignedClaim::sign(&log.signer(log.anchor()).unwrap(), &base, &entries).unwrap();
        writer.store().create_new(&layout::LOG.claim(1), &claim).unwrap();
        assert!(log.unclaim().unwrap_err().to_string().contains("can be finished"));
        assert_eq!(log.append(&[signed("three")]).unwrap().first, 2);
        assert_eq!(log.view().unwrap().replica.history().datasets().count(), 3);
    });
}

/// A store whose host keeps the next checkpoint that it is given, and reports a failure.
struct Thief {
    inner: Box<dyn Store>,
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Store for Thief {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn locate(&self, path: &str) -> String {
        self.inner.locate(path)
    }

    fn registry(&self) -> Result<Registry> {
        self.inner.registry()
    }

    fn is_free(&self) -> Result<bool> {
        self.inner.is_free()
    }

    fn begin(&self) -> Result<Option<files::Lock>> {
        self.inner.begin()
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.inner.read(path)
    }

    fn length(&self, path: &str) -> Result<Option<u64>> {
        self.inner.length(path)
    }

    fn create_new(&self, path: &str, bytes: &[u8]) -> Result<bool> {
        self.inner.create_new(path, bytes)
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.inner.replace(path, bytes)
    }

    fn update(&self, path: &str, change: Change<'_>) -> Result<()> {
        if path != layout::CHECKPOINT {
            return self.inner.update(path, change);
        }
        let note = change(self.inner.read(path)?.as_deref())?;
        self.kept.lock().unwrap().extend(note);
        Err(Error::network(NetworkKind::Broken, path, "403 Forbidden"))
    }

    fn put(&self, path: &str, from: &Path, object: &ObjectRef) -> Result<()> {
        self.inner.put(path, from, object)
    }

    fn settle(&self, paths: &[String]) -> Result<()> {
        self.inner.settle(paths)
    }

    fn check(&self, path: &str, object: &ObjectRef) -> Result<()> {
        self.inner.check(path, object)
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, u64)>> {
        self.inner.list(folder)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.inner.remove(path)
    }

    fn remove_folder(&self, folder: &str) -> Result<bool> {
        self.inner.remove_folder(folder)
    }
}

#[test]
fn of_one_size_one_tree_is_signed_although_the_host_keeps_the_checkpoint_and_takes_back_the_claim() {
    for takes_bundle in [false, true] {
        both_kinds(|open, logs| {
            RegistryWriter::init(open().as_ref(), "for tests", || logs.new_signer(None)).unwrap();
            let writer = RegistryWriter::open(open()).unwrap();
            let log = OwnLog::open(&writer, Known::trusting_nobody(logs)).unwrap();
            log.append(&[claim_of("one")]).unwrap();
            drop(writer);
            let before = open().list("").unwrap();
            let kept = Arc::new(Mutex::default());
            let writer = RegistryWriter::open(Box::new(Thief { inner: open(), kept: kept.clone() })).unwrap();
            let failed =
                OwnLog::open(&writer, Known::trusting_nobody(logs)).unwrap().append(&[claim_of("two")]).err();
            assert!(matches!(failed, Some(Error::Network { .. })), "{failed:?}");
            drop(writer);
            let kept: Vec<u8> = kept.lock().unwrap().pop().unwrap();
            let kept = SignedCheckpoint::parse("the checkpoint", kept).unwrap();

            let writer = RegistryWriter::open(open()).unwrap();
            let store = writer.store();
            let bundle = layout::LOG.entries(0, 2);
            let taken = store.read(&bundle).unwrap().unwrap();
            for (path, _) in store.list("").unwrap() {
                let is_new = !before.iter().any(|(there, _)| *there == path);
                if is_new && !path.ends_with("lock") && (takes_bundle || path != bundle) {
                    store.remove(&path).unwrap();
                }
            }
            let log = OwnLog::open(&writer, Known::trusting_nobody(logs)).unwrap();
            if takes_bundle {
                let there = store.list("").unwrap();
                for refused in [log.append(&[claim_of("three")]).err(), log.view().err(), log.unclaim().err()]
                {
                    let why = "does not have the rest";
                    assert!(
                        matches!(&refused, Some(Error::Trust { why: said, .. }) if said.contains(why)),
                        "{refused:?}"
                    );
                }
                assert_eq!(store.list("").unwrap(), there);
                store.replace(&bundle, &taken).unwrap();
            }
            // The next writer finishes what was signed, whatever it appends itself.
            let appended = log.append(&[claim_of("three")]).unwrap();
            assert_eq!(appended.first, 2);
            assert_eq!(appended.view.replica.tree().root_at(2).unwrap(), kept.claimed_root());
            let history = appended.view.replica.history();
            assert_eq!(
                history.datasets().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
                ["one", "three", "two"]
            );
            // All tiles exist, too.
            let signed = SignedCheckpoint::parse("the checkpoint", appended.view.note.clone()).unwrap();
            let audit = store.registry().unwrap();
            transport::runtime()
                .unwrap()
                .block_on(audit.audit_log(log.anchor(), &signed, |_, _| ()))
                .unwrap();
        });
    }
}

/// The log's key was changed, but the registry's storage shows the old key, and nothing of what came after
/// it.
#[test]
fn of_one_size_one_tree_is_signed_after_the_storage_goes_back_to_an_older_key() {
    both_kinds(|open, logs| {
        RegistryWriter::init(open().as_ref(), "for tests", || logs.new_signer(None)).unwrap();
        let old = read_about(open().as_ref()).unwrap().unwrap();
        rotate_key(open(), Known::trusting_nobody(logs)).unwrap();
        let (before, checkpoint) =
            (open().list("").unwrap(), open().read(layout::CHECKPOINT).unwrap().unwrap());
        let append = |name: &str| {
            let writer = RegistryWriter::open(open()).unwrap();
            OwnLog::open(&writer, Known::trusting_nobody(logs))?
                .append(&[claim_of(name)])
                .map(|appended| appended.first)
        };
        assert_eq!(append("one").unwrap(), 1);
        let store = open();
        for (path, _) in store.list("").unwrap() {
            if !before.iter().any(|(there, _)| *there == path) && !path.ends_with("lock") {
                store.remove(&path).unwrap();
            }
        }
        store.replace(layout::CHECKPOINT, &checkpoint).unwrap();
        store.replace(layout::REGISTRY_JSON, &serde_json::to_vec(&old).unwrap()).unwrap();
        let refused = append("other").unwrap_err();
        assert!(matches!(refused, Error::Trust { .. }), "{refused}");
        assert_eq!(store.read(layout::CHECKPOINT).unwrap().unwrap(), checkpoint);
    });
}

#[test]
fn a_damaged_bundle_is_not_handed_on_under_a_new_signature() {
    both_kinds(|open, logs| {
        RegistryWriter::init(open().as_ref(), "for tests", || logs.new_signer(None)).unwrap();
        let writer = RegistryWriter::open(open()).unwrap();
        let log = OwnLog::open(&writer, Known::trusting_nobody(logs)).unwrap();
        log.append(&[claim_of("one"), claim_of("two")]).unwrap();
        let (store, path) = (writer.store(), layout::LOG.entries(0, 2));
        let whole = store.read(&path).unwrap().unwrap();
        // In the first entry, in the length of the second, and in the second.
        let second = 2 + usize::from(u16::from_be_bytes([whole[0], whole[1]]));
        for at in [40, second, second + 40] {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            store.replace(&path, &damaged).unwrap();
            let before = store.list("").unwrap();
            let refused = log.append(&[claim_of("three")]).err();
            assert!(matches!(refused, Some(Error::Integrity { .. })), "{refused:?}");
            assert_eq!(store.list("").unwrap(), before, "something was written");
        }
        store.replace(&path, &whole).unwrap();
        assert_eq!(log.append(&[claim_of("three")]).unwrap().first, 2);
    });
}

/// Outgrown files of a log are removed by the names that isn gave them, and not through a symlink; all other
/// files stay.
#[test]
#[cfg(unix)]
fn tidying_a_log_removes_what_isn_has_written_there_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (root, logs) = (dir.path().join("registry"), KnownLogs::new(dir.path().join("logs")));
    let open = || RegistryWriter::open(Box::new(FolderStore::new(&root)));
    RegistryWriter::init(&FolderStore::new(&root), "for tests", || logs.new_signer(None)).unwrap();
    let append = |from: usize, to: usize| {
        let statements: Vec<SignedStatement> = (from..to).map(|n| claim_of(&format!("n{n}"))).collect();
        OwnLog::open(&open()?, Known::trusting_nobody(&logs))?.append(&statements).map(drop)
    };
    append(0, 3).unwrap();
    let strangers = ["thesis", "02", "+1", "x/1", "1.bak"];
    for folder in ["log/tile/0/000.p", "log/tile/entries/000.p"] {
        for name in strangers {
            files::replace(&root.join(folder).join(name), b"x").unwrap();
        }
    }
    append(3, 30).unwrap();
    append(30, 276).unwrap();
    append(276, 277).unwrap();
    for folder in ["log/tile/0/000.p", "log/tile/entries/000.p"] {
        let mut there = FolderStore::new(&root).list(folder).unwrap();
        there.retain(|(path, _)| !strangers.iter().any(|name| *path == format!("{folder}/{name}")));
        assert_eq!(there, [], "what was outgrown is gone");
        assert!(strangers.iter().all(|name| root.join(folder).join(name).exists()));
        // The same folder elsewhere, behind a symlink, with more files whose names look like isn's.
        let (link, precious) = (root.join(folder.replace("000.p", "001.p")), dir.path().join("precious"));
        std::fs::rename(&link, &precious).unwrap();
        for name in ["1", "2", "3", "photos/1"] {
            files::replace(&precious.join(name), b"x").unwrap();
        }
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        let before = files::walk(&precious).unwrap();
        let refused = append(277, 297).unwrap_err();
        assert!(matches!(&refused, Error::Foreign { path, .. } if *path == link), "{refused}");
        assert_eq!(files::walk(&precious).unwrap(), before);
        std::fs::remove_file(&link).unwrap();
        std::fs::rename(&precious, &link).unwrap();
    }
}

/// An owner statement of some new owner for a name that is free.
fn claim_of(name: &str) -> SignedStatement {
    let owner = PrivateKey::generate("").unwrap();
    let owners = vec![owner.public_line().key];
    let claim = Statement::Owner(Owner::new(name.parse().unwrap(), None, 1, owners, Vec::new()));
    SignedStatement::sign(&claim, &owner).unwrap()
}

/// Runs the same check for a folder and for a bucket, each opened again as often as wanted, and with its own
/// home.
fn both_kinds(check: impl Fn(&dyn Fn() -> Box<dyn Store>, &KnownLogs)) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("registry");
    check(&|| Box::new(FolderStore::new(&root)), &KnownLogs::new(dir.path().join("logs-folder")));
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    check(&|| Box::new(bucket(&store)), &KnownLogs::new(dir.path().join("logs-bucket")));
}
