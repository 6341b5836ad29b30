//! The index of names of a long log: writers make it and catch up, `isn verify` and `isn mirror` make it
//! anew.

use std::fs;

use isn_format::dataset_ref::Name;
use isn_format::digest::Digest;
use isn_format::key::PrivateKey;
use isn_format::log::names::{Found, Node, Row, SignedNames, Top};
use isn_format::statement::{Owner, SignedStatement, Statement};
use isn_registry::known_logs::KnownLogs;
use isn_registry::registry::append::OwnLog;
use isn_registry::registry::layout;
use isn_registry::registry::publish::RegistryWriter;
use isn_registry::registry::store::FolderStore;
use isn_registry::trust::{Known, TrustStore};

use crate::sandbox::{Sandbox, contents};

/// A registry `reg` with a long log in which one key owns all names, and `busy` changes its owners often.
struct Long {
    sandbox: Sandbox,
    logs: KnownLogs,
    nobody: TrustStore,
    owner: PrivateKey,
    /// The owner statement of `busy` in force.
    busy: Option<Digest>,
}

impl Long {
    /// A log of 999 entries, the longest without an index.
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let logs = KnownLogs::new(sandbox.path("home/logs"));
        let nobody = TrustStore::open(sandbox.path("home/trust.toml")).unwrap();
        let reg = FolderStore::new(sandbox.path("reg"));
        RegistryWriter::init(&reg, "a long log", || logs.new_signer(None)).unwrap();
        let owner = PrivateKey::generate("an owner").unwrap();
        let mut long = Long { sandbox, logs, nobody, owner, busy: None };
        let claims: Vec<_> = (0..600).map(|number| long.claim(&format!("n{number}"))).collect();
        long.append("reg", &claims);
        let changes: Vec<_> = (0..399).map(|_| long.change()).collect();
        long.append("reg", &changes);
        long
    }

    fn signed(&self, owner: Owner) -> SignedStatement {
        SignedStatement::sign(&Statement::Owner(owner), &self.owner).unwrap()
    }

    fn claim(&self, name: &str) -> SignedStatement {
        let key = self.owner.public_line().key;
        self.signed(Owner::new(name.parse().unwrap(), None, 1, vec![key], Vec::new()))
    }

    fn change(&mut self) -> SignedStatement {
        let key = self.owner.public_line().key;
        let owner = Owner::new("busy".parse().unwrap(), self.busy, 1, vec![key], Vec::new());
        self.busy = Some(Digest::of(Statement::Owner(owner.clone()).to_string().as_bytes()));
        self.signed(owner)
    }

    fn append(&self, registry: &str, statements: &[SignedStatement]) {
        let store = Box::new(FolderStore::new(self.sandbox.path(registry)));
        let writer = RegistryWriter::open(store).unwrap();
        let known = Known { trust: &self.nobody, logs: &self.logs };
        OwnLog::open(&writer, known).unwrap().append(statements).unwrap();
    }

    /// The note, and the number of entries about a name, as a reader finds them.
    fn found(&self, registry: &str, name: &str) -> (u64, u64) {
        let name: Name = name.parse().unwrap();
        let read = |path: &str| self.sandbox.read(&format!("{registry}/{path}"));
        let note = SignedNames::parse("the note", read(layout::NAMES_NOTE)).unwrap();
        let text = String::from_utf8(note.bytes().to_vec()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let hash = Digest::from_prefixed(lines[5]).unwrap();
        let top = Top::parse(&read(&format!("names/top/{}", lines[4])), &hash).unwrap();
        let (mut node, mut prefix) = (top.node, Vec::new());
        let count = loop {
            match node.find(&name, &prefix) {
                Found::Row(row) => break self.count(registry, row),
                Found::Nothing => break 0,
                Found::Below(file, hash) => {
                    let bytes = read(&layout::names_file(&file));
                    prefix = match file {
                        isn_format::log::names::File::Node { prefix, .. } => prefix,
                        other => panic!("{other:?}"),
                    };
                    node = Node::parse(&bytes, &prefix, &hash).unwrap();
                }
            }
        };
        (note.claimed_size(), count)
    }

    fn count(&self, registry: &str, row: &Row) -> u64 {
        let mut places = Vec::new();
        for (level, index, hash) in row.blocks() {
            assert_eq!(level, 0);
            let of = row.subject().clone();
            let file = isn_format::log::names::File::Block { of, level, index };
            let bytes = self.sandbox.read(&format!("{registry}/{}", layout::names_file(&file)));
            places.extend(Row::places(&bytes, &hash).unwrap());
        }
        places.extend(row.last());
        // Each is an entry about the name, where its place says.
        for place in &places {
            let path = layout::LOG.entries(place.index / 256, 256);
            let folder = self.sandbox.path(registry);
            let Ok(bundle) = fs::read(folder.join(path)) else { continue };
            let entry = &bundle[place.offset as usize..][..usize::from(place.length)];
            let second = entry.split(|&b| b == b'\n').nth(1).unwrap();
            assert!(second.starts_with(b"name "), "{}", String::from_utf8_lossy(second));
        }
        assert_eq!(places.len() as u64, row.count());
        row.count()
    }

    fn names(&self, registry: &str) -> Vec<(String, Vec<u8>)> {
        contents(&self.sandbox.path(&format!("{registry}/names")))
    }
}

#[test]
fn a_long_log_gets_an_index_and_writers_keep_it() {
    let mut long = Long::new();
    assert!(!long.sandbox.path("reg/names").exists());
    let before = contents(&long.sandbox.path("reg"));
    long.append("reg", &[long.claim("late")]);
    assert_eq!(long.found("reg", "late"), (1000, 1));
    assert_eq!(long.found("reg", "n7"), (1000, 1));
    assert_eq!(long.found("reg", "busy"), (1000, 399));
    assert_eq!(long.found("reg", "nobody"), (1000, 0));
    // Whoever reads the log as before finds nothing new but the index.
    let is_new = |name: &str| !before.iter().any(|(there, _)| there == name);
    let new: Vec<String> = contents(&long.sandbox.path("reg")).into_iter().map(|(name, _)| name).collect();
    let others = |name: &&String| is_new(name) && !name.starts_with("names/") && !name.starts_with("log/");
    assert_eq!(new.iter().filter(others).count(), 0, "{new:?}");

    // An append changes the files above its name, and no others.
    let before = long.names("reg");
    let change = long.change();
    long.append("reg", &[change]);
    assert_eq!(long.found("reg", "busy"), (1001, 400));
    let after = long.names("reg");
    let changed = after.iter().filter(|file| !before.contains(file)).count();
    assert!((2..=5).contains(&changed), "{changed}");
    // Old states of a file are kept for a while, and then go.
    for _ in 0..20 {
        let change = long.change();
        long.append("reg", &[change]);
    }
    assert_eq!(long.found("reg", "busy"), (1021, 420));
    let tops = long.names("reg").into_iter().filter(|(name, _)| name.starts_with("top/")).count();
    assert_eq!(tops, 16);
    long.sandbox.isn(&["verify", "reg"]).ok();
}

#[test]
fn a_writer_catches_up_with_what_others_left_behind() {
    let mut long = Long::new();
    let (late, change) = (long.claim("late"), long.change());
    long.append("reg", &[late]);
    long.sandbox.copy("reg", "behind");
    long.sandbox.copy("home", "home-before");
    long.append("reg", std::slice::from_ref(&change));
    let last = long.claim("last");
    long.append("reg", std::slice::from_ref(&last));
    let whole = long.names("reg");
    let note = |files: &[(String, Vec<u8>)]| files.iter().find(|(name, _)| name == "note").unwrap().1.clone();

    // A writer that is killed after the checkpoint: before any file of the index is written, and before the
    // note is. An old isn, which makes no index, leaves the same.
    for has_files in [false, true] {
        let _ = fs::remove_dir_all(long.sandbox.path("reg"));
        let _ = fs::remove_dir_all(long.sandbox.path("home"));
        long.sandbox.copy("behind", "reg");
        long.sandbox.copy("home-before", "home");
        let before = long.names("reg");
        long.append("reg", std::slice::from_ref(&change));
        if !has_files {
            fs::remove_dir_all(long.sandbox.path("reg/names")).unwrap();
            for (name, bytes) in &before {
                long.sandbox.write(&format!("reg/names/{name}"), bytes);
            }
        } else {
            long.sandbox.write("reg/names/note", &note(&before));
        }
        assert_eq!(long.found("reg", "busy"), (1000, 399));
        // The index that is behind is no fault.
        long.sandbox.isn(&["verify", "reg"]).ok();
        long.append("reg", std::slice::from_ref(&last));
        assert_eq!(long.found("reg", "busy"), (1002, 400));
        assert_eq!(note(&long.names("reg")), note(&whole));
        long.sandbox.isn(&["verify", "reg"]).ok();
    }
    // What was damaged, removed, or signed by nobody is made anew; what a newer isn wrote stays.
    let damaged = |long: &mut Long, file: &str, bytes: Option<&[u8]>| {
        match bytes {
            Some(bytes) => long.sandbox.write(&format!("reg/names/{file}"), bytes),
            None => fs::remove_file(long.sandbox.path(&format!("reg/names/{file}"))).unwrap(),
        }
        let change = long.change();
        long.append("reg", &[change]);
    };
    let top = |long: &Long| {
        let note = String::from_utf8(long.sandbox.read("reg/names/note")).unwrap();
        format!("top/{}", note.lines().nth(4).unwrap())
    };
    let top_now = top(&long);
    damaged(&mut long, &top_now, Some(b"noise"));
    long.sandbox.isn(&["verify", "reg"]).ok();
    let top_now = top(&long);
    damaged(&mut long, &top_now, None);
    long.sandbox.isn(&["verify", "reg"]).ok();
    let forged = String::from_utf8(note(&whole)).unwrap().replace("b3:", "b3:0");
    for note in [b"noise".as_slice(), forged.as_bytes(), &[0; 5000]] {
        damaged(&mut long, "note", Some(note));
        long.sandbox.isn(&["verify", "reg"]).ok();
    }
    assert_eq!(long.found("reg", "busy"), (1007, 405));
    let newer = b"isn/v2 names\nwhatever\n";
    damaged(&mut long, "note", Some(newer));
    assert_eq!(long.sandbox.read("reg/names/note"), newer);
}

#[test]
fn verify_makes_the_index_anew_and_a_mirror_copies_only_what_follows_from_the_log() {
    let long = Long::new();
    long.append("reg", &[long.claim("late")]);
    let sandbox = &long.sandbox;
    sandbox.isn(&["verify", "reg"]).ok();
    sandbox.isn(&["mirror", "reg", "m"]).ok();
    assert!(long.names("m") == long.names("reg"));
    sandbox.isn(&["verify", "m"]).ok();

    let files = long.names("reg");
    let (node, bytes) = files.iter().find(|(name, _)| name.starts_with("node/")).unwrap();
    let path = format!("reg/names/{node}");
    sandbox.write(&path, &[bytes.as_slice(), b"x"].concat());
    sandbox.isn(&["verify", "reg"]).fails(3, &format!("changed: names/{node}"));
    // The mirror makes its files from the entries.
    fs::remove_dir_all(sandbox.path("m/names")).unwrap();
    sandbox.isn(&["mirror", "reg", "m"]).ok();
    assert!(long.names("m") == files);
    fs::remove_file(sandbox.path(&path)).unwrap();
    sandbox.isn(&["verify", "reg"]).fails(3, &format!("missing: names/{node}"));
    sandbox.write(&path, bytes);
    sandbox.write("reg/names/what", b"");
    sandbox.isn(&["verify", "reg"]).fails(3, "extra: names/what");
    fs::remove_file(sandbox.path("reg/names/what")).unwrap();

    // The log's key signs an index without the entries of a name: whoever makes it anew finds out.
    let note = SignedNames::parse("it", sandbox.read("reg/names/note")).unwrap();
    let key = fs::read_dir(sandbox.path("home/logs")).unwrap().flatten();
    let key = key.map(|folder| folder.path().join("vkey")).find(|path| path.exists()).unwrap();
    let key = fs::read_to_string(key).unwrap().trim_end().parse().unwrap();
    let signer = long.logs.log(&key).signer().unwrap().unwrap();
    let nothing = isn_format::log::names::grow(None, [], &mut |_| unreachable!(), &mut |_, _| Ok(()));
    let lie = SignedNames::sign(&signer, 1000, note.claimed_log_root(), nothing.unwrap()).unwrap();
    sandbox.write("reg/names/note", lie.bytes());
    sandbox.isn(&["verify", "reg"]).fails(3, "untrusted: names/note");
    sandbox.isn(&["mirror", "reg", "m2"]).fails(4, "is not the index of the log's entries");
    // What the log's key did not sign counts for nobody, and is not copied.
    let forged = String::from_utf8(note.bytes().to_vec()).unwrap().replacen("\n1000\n", "\n999\n", 1);
    sandbox.write("reg/names/note", forged.as_bytes());
    sandbox.isn(&["verify", "reg"]).fails(3, "untrusted: names/note");
    sandbox.isn(&["mirror", "reg", "m2"]).ok();
    assert!(!sandbox.path("m2/names").exists());
}
