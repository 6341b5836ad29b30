//! Concurrent writers, and writers that die: every accepted release is in the log once, and no reader sees
//! half of one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Barrier, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use isn_format::dataset_ref::{Name, Version};
use isn_format::digest::Digest;
use isn_format::error::Error;
use isn_format::key::PrivateKey;
use isn_format::log::{LogKey, SignedCheckpoint};
use isn_format::statement::{Owner, ReleaseStatement, SignedStatement, Statement};
use isn_registry::known_logs::KnownLogs;
use isn_registry::registry::Registry;
use isn_registry::registry::append::OwnLog;
use isn_registry::registry::log::WitnessPolicy;
use isn_registry::registry::publish::RegistryWriter;
use isn_registry::registry::store::FolderStore;
use isn_registry::transport;
use isn_registry::trust::{Known, TrustStore};

use crate::forger::Forger;
use crate::sandbox::{self, contents};

const PUBLISHERS: u32 = 8;
/// So many that the log outgrows a tile of 256 entries.
const ROUNDS: u32 = 80;
/// The number of kills for each verb.
const KILLS: u32 = 20;

/// A release of one of four versions in each round, so that two publishers want each; no
/// two statements are equal.
fn release(round: u32, publisher: u32) -> Statement {
    Statement::Release(ReleaseStatement {
        id: format!("birds@{round}.{}", publisher / 2).parse().unwrap(),
        dataset: Digest::of(format!("{round} {publisher}").as_bytes()),
        manifest: Digest::of(b"manifest"),
        manifest_len: 8,
    })
}

fn open<'a>(writer: &'a RegistryWriter, logs: &'a KnownLogs) -> OwnLog<'a> {
    static NOBODY: LazyLock<TrustStore> = LazyLock::new(|| TrustStore::open("/no/such/trust.toml").unwrap());
    OwnLog::open(writer, Known { trust: &NOBODY, logs }).unwrap()
}

/// The releases that isn confirmed to one publisher.
fn publish(
    root: &Path,
    logs: &KnownLogs,
    owner: &PrivateKey,
    publisher: u32,
    start: &Barrier,
) -> Vec<(Version, Digest)> {
    let mut accepted = Vec::new();
    for round in 0..ROUNDS {
        let statement = release(round, publisher);
        let signed = SignedStatement::sign(&statement, owner).unwrap();
        start.wait();
        let writer = RegistryWriter::open(Box::new(FolderStore::new(root))).unwrap();
        match (open(&writer, logs).append(&[signed]), statement) {
            (Ok(_), Statement::Release(release)) => accepted.push((release.id.version, release.dataset)),
            (Err(Error::Conflict { why, .. }), _) => assert!(why.contains("is a second release"), "{why}"),
            (other, _) => panic!("{:?}", other.err()),
        }
    }
    accepted
}

#[test]
fn eight_publishers_race_and_every_accepted_release_is_in_the_log_once() {
    let dir = sandbox::folder();
    let root = dir.path().join("registry");
    let logs: Vec<KnownLogs> =
        (0..PUBLISHERS).map(|i| KnownLogs::new(dir.path().join(format!("logs{i}")))).collect();
    RegistryWriter::init(&FolderStore::new(&root), "for tests", || logs[0].new_signer(None)).unwrap();
    let owner = PrivateKey::generate("").unwrap();
    let name: Name = "birds".parse().unwrap();
    let anchor: LogKey = {
        let writer = RegistryWriter::open(Box::new(FolderStore::new(&root))).unwrap();
        let log = open(&writer, &logs[0]);
        let claim = Owner::new(name.clone(), None, 1, vec![owner.public_line().key], Vec::new());
        log.append(&[SignedStatement::sign(&Statement::Owner(claim), &owner).unwrap()]).unwrap();
        log.anchor().clone()
    };
    for others in &logs[1..] {
        others.import_signer(&anchor, &logs[0].log(&anchor).key_path()).unwrap();
    }
    let start = Barrier::new(PUBLISHERS as usize);
    let accepted: Vec<(Version, Digest)> = thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|i| {
                let (root, logs, owner, start) = (&root, &logs[i as usize], &owner, &start);
                scope.spawn(move || publish(root, logs, owner, i, start))
            })
            .collect();
        publishers.into_iter().flat_map(|publisher| publisher.join().unwrap()).collect()
    });
    // Of two publishers who wanted a version, one got it, and the log has that one's release.
    let expected: BTreeMap<Version, Digest> = accepted.iter().copied().collect();
    assert_eq!((accepted.len(), expected.len()), (320, 320));
    let registry =
        Registry::open(root.to_str().unwrap(), &isn_registry::transport::Access::default()).unwrap();
    let runtime = transport::runtime().unwrap();
    let view =
        runtime.block_on(registry.sync_log(&anchor, None, &WitnessPolicy::default())).unwrap().unwrap();
    let history = view.replica.history();
    let found: BTreeMap<Version, Digest> =
        history.dataset(&name).unwrap().releases.iter().map(|(v, released)| (*v, released.dataset)).collect();
    assert!(found == expected);
    assert_eq!((view.replica.size(), history.rejected().len()), (321, 0));
    let signed = SignedCheckpoint::parse("the checkpoint", view.note).unwrap();
    let mut entries = Vec::new();
    runtime.block_on(registry.audit_log(&anchor, &signed, |_, entry| entries.push(entry))).unwrap();
    assert!(entries.len() == 321 && entries.iter().all(Result::is_ok));
    // Claims and earlier forms of tiles that are no longer needed are removed.
    let files = contents(&root).len();
    assert!(files < 120, "{files} files");
}

/// `reg` and all homes, as saved.
fn reset(forger: &Forger) {
    for folder in ["reg", "home", "reader"] {
        let _ = fs::remove_dir_all(forger.path(folder));
        forger.copy(&format!("saved/{folder}"), folder);
    }
}

/// Kills runs of `args` at points spread over the duration of a whole run. After each, `check` looks at what
/// a reader sees; then the rerun must succeed and leave the same files as an undisturbed run.
fn kill_at_many_points(forger: &Forger, args: &[&str], check: impl Fn()) {
    forger.read("grads@1.0").ok();
    for folder in ["reg", "home", "reader"] {
        forger.copy(folder, &format!("saved/{folder}"));
    }
    let start = Instant::now();
    forger.isn(args).ok();
    let (full, whole) = (start.elapsed(), contents(&forger.path("reg")));
    let mut hit = 0;
    for at in 0..KILLS {
        reset(forger);
        let mut child = forger.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(full * at / KILLS + Duration::from_micros(500));
        child.kill().unwrap();
        hit += u32::from(child.wait().unwrap().code().is_none());
        let verified = forger.reader(&["log", "verify", "--registry", "reg"]).ok();
        assert!(verified.stdout.contains("0 without effect"), "{}", verified.stdout);
        forger.read("other@1.0").ok();
        check();
        forger.isn(args).ok();
        assert!(contents(&forger.path("reg")) == whole, "the rerun after kill {at} ended in other bytes");
        forger.reader(&["log", "verify", "--registry", "reg"]).ok();
    }
    assert!(hit > KILLS / 4, "{hit} of {KILLS} kills hit");
}

#[test]
fn a_killed_publish_is_in_the_log_or_not() {
    let forger = Forger::new();
    kill_at_many_points(&forger, &["publish", "out2", "--registry", "reg", "--key", "me"], || {
        let ran = forger.read("grads@1.1");
        assert!(matches!(ran.code, 0 | 6), "{}: {}", ran.code, ran.stderr);
        let newest = forger.read("grads").ok().json();
        assert_eq!(newest["version"] == "1.1", ran.code == 0);
    });
    forger.read("grads@1.1").ok();
}

#[test]
fn a_killed_yank_is_in_the_log_or_not() {
    let forger = Forger::new();
    let yank = ["yank", "grads@1.0", "--reason", "labels are wrong", "--registry", "reg", "--key", "me"];
    kill_at_many_points(&forger, &yank, || {
        let ran = forger.read("grads@1.0").ok();
        assert!(ran.stderr.is_empty() || ran.stderr.contains("is yanked"), "{}", ran.stderr);
    });
    forger.read("grads@1.0").fails(0, "is yanked");
}
