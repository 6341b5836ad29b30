//! Writers of one log, one after the other and all at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::registry::store::FolderStore;
use crate::transport::folder::Folder;
use isn_format::digest::Digest;
use isn_format::key::PrivateKey;
use isn_format::log::Hash;
use isn_format::statement::{Owner, Rebuilt, Statement};

const WRITERS: usize = 4;
const ROUNDS: usize = 25;

/// A folder in memory, where there is one, so that syncs cost nothing.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn open(root: &std::path::Path) -> RegistryWriter {
    RegistryWriter::open(Box::new(FolderStore::new(root))).unwrap()
}

/// Appends statements as a writer without a lock; returns the number of those that it was told are in the
/// log.
fn write(root: &std::path::Path, logs: &KnownLogs, lock: &std::path::Path, number: usize) -> usize {
    let owner = PrivateKey::generate("").unwrap();
    let key = owner.public_line().key;
    let mut appended = 0;
    for round in 0..ROUNDS {
        let name = format!("n{number}x{round}").parse().unwrap();
        let claim = Statement::Owner(Owner::new(name, None, 1, vec![key], Vec::new()));
        let signed = SignedStatement::sign(&claim, &owner).unwrap();
        let writer = RegistryWriter::open(Box::new(FolderStore::beside_others(root, lock))).unwrap();
        let log = OwnLog::open(&writer, Known::trusting_nobody(logs)).unwrap();
        log.append(&[signed]).unwrap();
        appended += 1;
    }
    appended
}

#[test]
fn one_claim_may_have_more_entries_than_a_bundle() {
    let dir = folder();
    let (root, logs) = (dir.path().join("registry"), KnownLogs::new(dir.path().join("logs")));
    RegistryWriter::init(&FolderStore::new(&root), "for tests", || logs.new_signer(None)).unwrap();
    let owner = PrivateKey::generate("").unwrap();
    let claims: Vec<SignedStatement> = (0..300)
        .map(|number| {
            let name = format!("n{number}").parse().unwrap();
            let claim = Owner::new(name, None, 1, vec![owner.public_line().key], Vec::new());
            SignedStatement::sign(&Statement::Owner(claim), &owner).unwrap()
        })
        .collect();
    let writer = open(&root);
    let log = OwnLog::open(&writer, Known::trusting_nobody(&logs)).unwrap();
    log.append(&claims).unwrap();
    assert_eq!(log.view().unwrap().replica.size(), 300);
}

#[test]
fn claims_alone_keep_writers_from_signing_two_trees_of_one_size() {
    let dir = folder();
    let root = dir.path().join("registry");
    let logs: Vec<KnownLogs> =
        (0..WRITERS).map(|i| KnownLogs::new(dir.path().join(format!("logs{i}")))).collect();
    RegistryWriter::init(&FolderStore::new(&root), "for tests", || logs[0].new_signer(None)).unwrap();
    let anchor = OwnLog::open(&open(&root), Known::trusting_nobody(&logs[0])).unwrap().anchor().clone();
    let key = logs[0].log(&anchor).key_path();
    for logs in &logs[1..] {
        logs.import_signer(&anchor, &key).unwrap();
    }
    OwnLog::open(&open(&root), Known::trusting_nobody(&logs[0])).unwrap().view().unwrap();

    let done = AtomicBool::new(false);
    let (appended, seen) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen: BTreeMap<u64, Hash> = BTreeMap::new();
            while !done.load(Ordering::Relaxed) {
                let note = std::fs::read(root.join(layout::CHECKPOINT)).unwrap();
                let note = SignedCheckpoint::parse("checkpoint", note).unwrap().verify(&anchor).unwrap();
                let root = *seen.entry(note.size).or_insert(note.root);
                assert_eq!(root, note.root, "two trees of {} entries", note.size);
            }
            seen
        });
        let writers: Vec<_> = logs
            .iter()
            .enumerate()
            .map(|(i, logs)| {
                let (root, lock) = (&root, dir.path().join(format!("lock{i}")));
                scope.spawn(move || write(root, logs, &lock, i))
            })
            .collect();
        let written: Vec<_> = writers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        let seen = reader.join().unwrap();
        (written.into_iter().map(Result::unwrap).sum::<usize>(), seen)
    });
    assert_eq!(appended, WRITERS * ROUNDS);
    assert!(!seen.is_empty());
    // The slower of the last two writers may have put the earlier checkpoint there: the next writer mends
    // that.
    for logs in &logs {
        OwnLog::open(&open(&root), Known::trusting_nobody(logs)).unwrap().view().unwrap();
    }
    // Every writer, and a new reader, finds the same log at the end, with every claim in it once.
    for logs in logs.iter().chain([&KnownLogs::new(dir.path().join("reader"))]) {
        let registry = Registry::over("it".into(), Box::new(Folder::new(&root)));
        let (known, policy) = (logs.log(&anchor), WitnessPolicy::default());
        let sync = registry.sync_log(&anchor, Some(&known), &policy);
        let view = transport::runtime().unwrap().block_on(sync).unwrap().unwrap();
        assert_eq!(view.replica.history().datasets().count(), appended);
        assert_eq!((view.replica.size(), view.replica.history().rejected()), (appended as u64, &[][..]));
        for (size, root) in &seen {
            assert_eq!(view.replica.tree().root_at(*size).unwrap(), *root);
        }
    }
}

/// What is beyond the limit could never be signed, so a claim for it would stop every later writer.
#[test]
fn a_full_log_takes_no_entry_and_no_claim_for_one() {
    let dir = folder();
    let (root, logs) = (dir.path().join("registry"), KnownLogs::new(dir.path().join("logs")));
    RegistryWriter::init(&FolderStore::new(&root), "for tests", || logs.new_signer(None)).unwrap();
    let writer = open(&root);
    let main = OwnLog::open(&writer, Known::trusting_nobody(&logs)).unwrap();
    let log = main.attestations(&writer, &logs).unwrap();
    let most = log.anchor().most_entries();
    // Nearly full, of what has no effect.
    let entries = vec![&b"x"[..]; most as usize - 1];
    log.commit(&Replica::new(log.anchor().clone()), &entries).unwrap();
    let stated: Vec<SignedStatement> = (0..2)
        .map(|_| {
            let (id, any) = ("grads@1.0".parse().unwrap(), Digest::of(b"any"));
            let rebuilt = Rebuilt { id, dataset: any, inputs: any, sources: any, possession: any };
            SignedStatement::sign(&Statement::Rebuilt(rebuilt), &PrivateKey::generate("").unwrap()).unwrap()
        })
        .collect();
    let claim = |first| root.join(log.files.claim(first));
    let refused = |more: &[SignedStatement]| {
        let why = log.append(more).err().unwrap().to_string();
        assert!(why.contains("is one too many") && why.contains("may have 100000 entries"), "{why}");
    };
    refused(&stated);
    assert!(!claim(most - 1).exists());
    assert_eq!(log.append(&stated[..1]).unwrap().first, most - 1);
    refused(&stated[1..]);
    assert!(!claim(most).exists());
    // One that an isn without this check has left is removed.
    let (view, mut bundle) = (log.view().unwrap(), Vec::new());
    bundle::push(&mut bundle, stated[1].bytes()).unwrap();
    let signer = log.signer(log.anchor()).unwrap();
    std::fs::write(claim(most), SignedClaim::sign(&signer, &view.replica, &bundle).unwrap()).unwrap();
    let why = log.view().err().unwrap().to_string();
    assert!(why.contains("past the 100000 entries that it may have"), "{why}");
    assert_eq!(log.unclaim().unwrap().len(), 1);
    assert_eq!(log.view().unwrap().replica.size(), most);
}
