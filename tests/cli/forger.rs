//! An attacker who holds a registry's keys and misuses them, and the reader who must not be fooled.

use std::fs;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::LazyLock;

use isn_format::digest::Digest;
use isn_format::key::{PrivateKey, PublicKey, Signer};
use isn_format::log::names::{Place, SignedNames, Subject, grow};
use isn_format::log::{LogKey, LogSigner, SignedCheckpoint, TILE_WIDTH, Tree, bundle, leaf_hash};
use isn_format::object::ObjectRef;
use isn_format::statement::{Advice, Owner, ReleaseStatement, Revocation, SignedStatement, Statement};
use isn_registry::keyring::read_private;
use isn_registry::known_logs::KnownLogs;
use isn_registry::registry::append::OwnLog;
use isn_registry::registry::publish::RegistryWriter;
use isn_registry::registry::store::FolderStore;
use isn_registry::registry::{About, layout};
use isn_registry::trust::{Known, TrustStore};

use crate::sandbox::{Ran, Sandbox, ran};

/// Every verb that writes to a log, as the owner of `reg`, who also has a key `stranger`, would run it next.
pub const WRITERS: [&[&str]; 11] = [
    &["publish", "out2", "--registry", "reg", "--key", "me"],
    &["publish", "out2", "--registry", "reg", "--key", "me", "--statement", "release.statement"],
    &["owner", "add", "grads", "stranger", "--registry", "reg", "--key", "me"],
    &["owner", "threshold", "grads", "1", "--registry", "reg", "--key", "me"],
    &["key", "rotate", "me", "stranger", "--registry", "reg", "--key", "me"],
    &["revoke", "me", "--reason", "why", "--registry", "reg", "--key", "me"],
    &["yank", "grads@1.0", "--reason", "why", "--registry", "reg", "--key", "me"],
    &["withdraw", "grads@1.0", "--reason", "why", "--registry", "reg", "--key", "me"],
    &["append", "collected", "--registry", "reg"],
    &["registry", "rotate-key", "reg"],
    &["registry", "init", "reg"],
];

/// A sandbox with `reg`: `grads@1.0` and `grads@1.1` built as `out` and `out2`, and `other@1.0`, all by the
/// key `me`; and a home `reader`, whose user trusts the registry by its log's key.
pub struct Forger {
    sandbox: Sandbox,
    /// The log's first entries, which are about other names.
    filler: &'static [SignedStatement],
}

/// More entries than are read as such by whoever asks for one name.
static FILLER: LazyLock<Vec<SignedStatement>> = LazyLock::new(|| {
    let owner = PrivateKey::generate("a filler").unwrap();
    let claim = |number: usize| {
        let name = format!("filler-{number}").parse().unwrap();
        let claim = Owner::new(name, None, 1, vec![*owner.public_key()], Vec::new());
        SignedStatement::sign(&Statement::Owner(claim), &owner).unwrap()
    };
    (0..1010).map(claim).collect()
});

impl Deref for Forger {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl Forger {
    /// Releases only `grads@1.0` and `other@1.0`: entries 0 to 3.
    pub fn new() -> Self {
        Forger::with(&[])
    }

    /// The same with a log so long that names are read by its index. The numbers of entries are larger by
    /// [`Forger::first`].
    pub fn long() -> Self {
        Forger::with(&FILLER)
    }

    /// One of each.
    pub fn both() -> [Self; 2] {
        [Forger::new(), Forger::long()]
    }

    fn with(filler: &'static [SignedStatement]) -> Self {
        let sandbox = Sandbox::built();
        if !filler.is_empty() {
            let logs = KnownLogs::new(sandbox.path("home/logs"));
            let store = FolderStore::new(sandbox.path("reg"));
            RegistryWriter::init(&store, "a long log", || logs.new_signer(None)).unwrap();
            let writer = RegistryWriter::open(Box::new(store)).unwrap();
            let nobody = TrustStore::open(sandbox.path("home/nobody.toml")).unwrap();
            OwnLog::open(&writer, Known { trust: &nobody, logs: &logs }).unwrap().append(filler).unwrap();
        }
        sandbox.build_second_version();
        sandbox.recipe("other", "1.0", &["ant", "bee"], "");
        sandbox.isn(&["build", "other-1.0.toml", "--source", "raw", "--out", "out-other"]).ok();
        for out in ["out", "out-other"] {
            sandbox.isn(&["publish", out, "--registry", "reg", "--key", "me"]).ok();
        }
        // The objects of 1.1 are there, for a forged release of it.
        for folder in ["objects", "packs"] {
            sandbox.copy(&format!("out2/{folder}"), &format!("reg/{folder}"));
        }
        let forger = Forger { sandbox, filler };
        forger.reader(&["trust", "add", "reg", &forger.anchor("reg").to_string()]).ok();
        forger
    }

    /// The same with `grads@1.1` as entry 4.
    pub fn with_two_versions() -> Self {
        Forger::new().and_a_second_version()
    }

    pub fn and_a_second_version(self) -> Self {
        self.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
        self
    }

    /// The number of the entry that is the first one in a short log.
    pub fn first(&self) -> u64 {
        self.filler.len() as u64
    }

    /// Runs isn as the user of another home.
    pub fn as_user(&self, home: &str, args: &[&str]) -> Ran {
        ran(self.command(args).env("ISN_HOME", self.path(home)))
    }

    pub fn reader(&self, args: &[&str]) -> Ran {
        self.as_user("reader", args)
    }

    /// Pulls from `reg` as the reader, checks that `tree` exists only on success, and removes it again.
    #[track_caller]
    pub fn read(&self, reference: &str) -> Ran {
        let ran = self.reader(&["pull", reference, "--registry", "reg", "--to", "tree", "--json"]);
        assert_eq!(ran.code == 0, self.path("tree").exists(), "{}", ran.stderr);
        let _ = fs::remove_dir_all(self.path("tree"));
        ran
    }

    /// Checks that the reader is refused with a message that names the attack.
    #[track_caller]
    pub fn refused(&self, reference: &str, attack: &str) -> Ran {
        let ran = self.read(reference).fails(4, attack);
        assert_eq!(self.leftovers(), [""; 0], "{}", ran.stderr);
        ran
    }

    /// The bytes of a file in the sandbox.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        self.sandbox.read(name)
    }

    /// Makes the reader forget every log it has seen, but not whom it trusts.
    pub fn forget(&self) {
        let _ = fs::remove_dir_all(self.path("reader/logs"));
    }

    /// The private half of one of the publisher's keys.
    pub fn private(&self, name: &str) -> PrivateKey {
        read_private(&self.path("home/keys").join(name)).unwrap().unlock(|| Ok(None)).unwrap()
    }

    pub fn public(&self, name: &str) -> PublicKey {
        *self.private(name).public_key()
    }

    /// Makes a new key for the publisher.
    pub fn new_key(&self, name: &str) -> PublicKey {
        self.isn(&["key", "new", name, "--no-passphrase"]).ok();
        self.public(name)
    }

    pub fn about(&self, registry: &str) -> About {
        About::parse("registry.json", &self.bytes(&format!("{registry}/registry.json"))).unwrap()
    }

    pub fn anchor(&self, registry: &str) -> LogKey {
        self.about(registry).log_key.unwrap()
    }

    /// The folder of logs in a home.
    pub fn logs(&self, home: &str) -> KnownLogs {
        KnownLogs::new(self.path(home).join("logs"))
    }

    pub fn log_signer(&self) -> LogSigner {
        self.logs("home").log(&self.anchor("reg")).signer().unwrap().unwrap()
    }

    /// The log's private key, for misuse.
    pub fn log_private(&self) -> PrivateKey {
        let path = self.logs("home").log(&self.anchor("reg")).key_path();
        read_private(&path).unwrap().unlock(|| Ok(None)).unwrap()
    }

    pub fn checkpoint(&self) -> SignedCheckpoint {
        SignedCheckpoint::parse("the checkpoint", self.bytes("reg/log/checkpoint")).unwrap()
    }

    /// The file of the bundle with the newest entries.
    pub fn bundle(&self) -> String {
        let size = self.checkpoint().claimed_size();
        let (index, width) = ((size - 1) / TILE_WIDTH, (size - 1) % TILE_WIDTH + 1);
        format!("reg/{}", layout::LOG.entries(index, width))
    }

    /// The newest tile of leaf hashes, with its bytes.
    pub fn hash_tile(&self) -> (String, Vec<u8>) {
        let path = self.bundle().replace("tile/entries", "tile/0");
        let bytes = self.bytes(&path);
        (path, bytes)
    }

    /// All entries from [`Forger::first`] on.
    pub fn entries(&self) -> Vec<Vec<u8>> {
        let size = self.checkpoint().claimed_size();
        let bundles = (0..size.div_ceil(TILE_WIDTH)).map(|index| {
            let width = TILE_WIDTH.min(size - index * TILE_WIDTH);
            self.bytes(&format!("reg/{}", layout::LOG.entries(index, width)))
        });
        let entries = bundles.flat_map(|bytes| {
            bundle::read_all(&bytes).unwrap().into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>()
        });
        entries.skip(self.filler.len()).collect()
    }

    /// Replaces the log with these entries: all bundles and tiles, and of a long one the index, signed by the
    /// log's key.
    pub fn write_log(&self, entries: &[Vec<u8>]) {
        self.write_log_by(entries, &self.log_signer());
    }

    pub fn write_log_by(&self, entries: &[Vec<u8>], signer: &LogSigner) {
        let _ = fs::remove_dir_all(self.path("reg/log"));
        let entries = self.filler.iter().map(|filler| filler.bytes().to_vec()).chain(entries.iter().cloned());
        let entries: Vec<Vec<u8>> = entries.collect();
        let tree = Tree::of(entries.iter().map(|entry| leaf_hash(entry))).unwrap();
        for (index, chunk) in (0..).zip(entries.chunks(TILE_WIDTH as usize)) {
            let mut bytes = Vec::new();
            for entry in chunk {
                bundle::push(&mut bytes, entry).unwrap();
            }
            self.write(&format!("reg/{}", layout::LOG.entries(index, chunk.len() as u64)), &bytes);
        }
        for (tile, bytes) in tree.tiles_since(0).unwrap() {
            self.write(&format!("reg/{}", layout::LOG.tile(tile.level, tile.index, tile.width)), &bytes);
        }
        let note = SignedCheckpoint::sign(signer, tree.size(), tree.root().unwrap()).unwrap();
        self.write("reg/log/checkpoint", note.bytes());
        if !self.filler.is_empty() {
            self.write_index(&entries, &tree, signer, |_| true);
        }
    }

    /// Replaces the index of names with one of the entries of `tree` that are to be `shown`.
    fn write_index(&self, entries: &[Vec<u8>], tree: &Tree, signer: &LogSigner, shown: impl Fn(u64) -> bool) {
        let _ = fs::remove_dir_all(self.path("reg/names"));
        let (mut offset, mut filed) = (0, Vec::new());
        for (index, entry) in (0..).zip(entries) {
            let place = Place { index, offset: offset + 2, length: entry.len() as u16 };
            filed.extend(Subject::of(entry).filter(|_| shown(index)).map(|subject| (subject, place)));
            let is_full = (index + 1).is_multiple_of(TILE_WIDTH);
            offset = if is_full { 0 } else { offset + 2 + entry.len() as u32 };
        }
        let root = grow(None, filed, &mut |_| unreachable!(), &mut |file, bytes| {
            self.write(&format!("reg/{}", layout::names_file(&file)), &bytes);
            Ok(())
        });
        let note = SignedNames::sign(signer, tree.size(), tree.root().unwrap(), root.unwrap()).unwrap();
        self.write("reg/names/note", note.bytes());
    }

    /// Signs an index of names without the entry `hidden`, as who has the log's key can.
    pub fn hide(&self, hidden: u64) {
        self.hide_by(&[hidden], &self.log_signer());
    }

    /// Signs the log as it is, and an index of names without the entries `hidden`.
    pub fn hide_by(&self, hidden: &[u64], signer: &LogSigner) {
        let entries = self.filler.iter().map(|filler| filler.bytes().to_vec()).chain(self.entries());
        let entries: Vec<Vec<u8>> = entries.collect();
        let tree = Tree::of(entries.iter().map(|entry| leaf_hash(entry))).unwrap();
        self.write_index(&entries, &tree, signer, |index| !hidden.contains(&index));
        let note = SignedCheckpoint::sign(signer, tree.size(), tree.root().unwrap()).unwrap();
        self.write("reg/log/checkpoint", note.bytes());
    }

    /// Appends an entry, whatever its content.
    pub fn append(&self, entry: &[u8]) {
        let mut entries = self.entries();
        entries.push(entry.to_vec());
        self.write_log(&entries);
    }

    /// Appends the invalid `entry` and checks that it has no effect for the reason `why`: a pull of `grads`
    /// warns about it, a pull of another name does not. Returns the entry's number.
    #[track_caller]
    pub fn has_no_effect(&self, entry: &[u8], why: &str) -> u64 {
        self.append(entry);
        let index = self.checkpoint().claimed_size() - 1;
        let told = format!("entry {index} of the log is about grads and has no effect");
        let ran = self.read("grads@1.0").ok();
        let warning = ran.stderr.lines().find(|line| line.starts_with("warning:") && line.contains(&told));
        assert!(warning.is_some_and(|line| line.contains(why)), "expected '{why}' in:\n{}", ran.stderr);
        let warnings = ran.json()["warnings"].to_string();
        assert!(warnings.contains(&told), "{warnings}");
        let ran = self.read("other@1.0").ok();
        assert_eq!(ran.stderr, "", "another name");
        let ran = self.reader(&["log", "verify", "--registry", "reg"]).fails(8, "NO EFFECT");
        let line = format!("{index:>6}  NO EFFECT: ");
        let line = ran.stdout.lines().find_map(|found| found.strip_prefix(&line));
        assert!(line.is_some_and(|line| line.contains(why)), "expected '{why}' in:\n{}", ran.stdout);
        index
    }

    /// Like [`Forger::has_no_effect`], for an entry that `grads@version` depends on.
    #[track_caller]
    pub fn releases_nothing(&self, entry: &[u8], version: &str, why: &str) {
        let index = self.has_no_effect(entry, why);
        let ran =
            self.refused(&format!("grads@{version}"), &format!("entry {index} of the log has no effect"));
        assert!(ran.stderr.contains(why), "expected '{why}' in:\n{}", ran.stderr);
    }

    /// A statement signed by the publisher's keys.
    pub fn signed(&self, statement: &Statement, keys: &[&str]) -> Vec<u8> {
        let (first, more) = keys.split_first().unwrap();
        let signed = SignedStatement::sign(statement, &self.private(first)).unwrap();
        let signed = more.iter().fold(signed, |signed, key| signed.sign_also(&self.private(key)).unwrap());
        signed.bytes().to_vec()
    }

    /// The release statement of the build `out` as `grads@version`.
    pub fn release_of(&self, out: &str, version: &str) -> ReleaseStatement {
        let manifest = self.bytes(&format!("{out}/manifest.json"));
        let ObjectRef { blake3, length } = ObjectRef::of(&manifest);
        let json: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        ReleaseStatement {
            id: format!("grads@{version}").parse().unwrap(),
            dataset: Digest::from_prefixed(json["dataset"].as_str().unwrap()).unwrap(),
            manifest: blake3,
            manifest_len: length,
        }
    }

    pub fn release(&self, out: &str, version: &str, keys: &[&str]) -> Vec<u8> {
        self.signed(&Statement::Release(self.release_of(out, version)), keys)
    }

    /// A statement about `grads` with these owners that follows `previous`.
    pub fn owner(&self, previous: Option<Digest>, threshold: usize, owners: &[&str]) -> Statement {
        let keys = owners.iter().map(|name| self.public(name)).collect();
        Statement::Owner(Owner::new("grads".parse().unwrap(), previous, threshold, keys, Vec::new()))
    }

    /// What the next owner statement must name if this is the last one.
    pub fn id(&self, statement: &Statement) -> Digest {
        Digest::of(statement.to_string().as_bytes())
    }

    pub fn revocation(&self, key: &str) -> Statement {
        let (name, key) = ("grads".parse().unwrap(), self.public(key));
        Statement::Revoke(Revocation { name, key, reason: "the laptop was stolen".into() })
    }

    pub fn yank(&self, version: &str) -> Statement {
        let id = format!("grads@{version}").parse().unwrap();
        Statement::Yank(Advice { id, reason: "labels are wrong".into() })
    }

    /// The notes of the forks that the reader has seen, by folder.
    pub fn evidence(&self) -> Vec<PathBuf> {
        let json = self.reader(&["log", "evidence", "--json"]).ok().json();
        let list = json["evidence"].as_array().unwrap().clone();
        list.iter().map(|one| PathBuf::from(one["path"].as_str().unwrap())).collect()
    }
}
