//! Readers of one name, by the index of names of a long log: what they read, and that they say what a reader
//! of the whole log says.

use std::fs;

use crate::forger::Forger;
use crate::sandbox::{Ran, contents};
use crate::server::{Fault, Request, Server};

/// A long log with all kinds of statements about `grads`: two releases, one of them yanked, a second owner, a
/// revoked key, and entries without effect.
fn rich() -> Forger {
    let forger = Forger::long().and_a_second_version();
    forger.new_key("you");
    for args in [
        &["owner", "add", "grads", "you", "--registry", "reg", "--key", "me"][..],
        &["yank", "grads@1.0", "--reason", "labels are wrong", "--registry", "reg", "--key", "me"],
        &["revoke", "you", "--name", "grads", "--reason", "lost", "--registry", "reg", "--key", "you"],
    ] {
        let ran = forger.isn(args);
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.stderr);
    }
    let second = forger.release("out2", "1.0", &["me"]);
    forger.append(&second);
    forger
}

/// The requests for files of the log and the index.
fn of_log(server: &Server) -> Vec<Request> {
    let is_its = |request: &Request| ["log/", "names/"].iter().any(|part| request.path.starts_with(part));
    server.log().into_iter().filter(is_its).collect()
}

/// A reader with an empty home who trusts the log at a server.
struct Reader<'a> {
    forger: &'a Forger,
    server: &'a Server,
}

impl<'a> Reader<'a> {
    fn new(forger: &'a Forger, server: &'a Server) -> Self {
        let _ = fs::remove_dir_all(forger.path("far"));
        forger.as_user("far", &["trust", "add", &server.url, &forger.anchor("reg").to_string()]).ok();
        Reader { forger, server }
    }

    fn run(&self, args: &[&str]) -> Ran {
        let ran = self.forger.as_user("far", &[args, &["--registry", &self.server.url]].concat());
        let _ = fs::remove_dir_all(self.forger.path("tree"));
        ran
    }

    /// Whether what it has seen of the log includes a replay of all entries.
    fn has_read_all(&self) -> bool {
        let files = contents(&self.forger.path("far/logs"));
        files.iter().any(|(name, _)| name.ends_with("/replay"))
    }

    fn kept(&self, folder: &str) -> usize {
        let files = contents(&self.forger.path("far/logs"));
        files.iter().filter(|(name, _)| name.contains(&format!("/{folder}/"))).count()
    }
}

#[test]
fn first_contact_of_one_name_reads_its_entries_and_not_the_log() {
    let forger = Forger::long();
    let server = Server::new(&forger.path("reg"));
    let reader = Reader::new(&forger, &server);
    reader.run(&["info", "grads@1.0"]).ok();
    let read = of_log(&server);
    let sent: usize = read.iter().map(|request| request.sent).sum();
    let paths: Vec<_> = read.iter().map(|request| (&request.path, request.sent)).collect();
    // A checkpoint, a note, two files of the index, entries in one range, tiles.
    assert!(read.len() <= 12 && sent < 60_000, "{} requests, {sent} bytes: {paths:#?}", read.len());
    let of_entries = read.iter().filter(|request| request.path.contains("/entries/"));
    assert!(of_entries.map(|request| request.sent).sum::<usize>() < 6000, "{paths:#?}");
    assert!(!reader.has_read_all());
    assert_eq!((reader.kept("names"), reader.kept("notes")), (1, 1));

    // Nothing is new: the checkpoint says so.
    let before = of_log(&server).len();
    reader.run(&["info", "grads@1.0"]).ok();
    assert_eq!(of_log(&server).len() - before, 1);
    // Another name reads its own entries.
    reader.run(&["info", "other@1.0"]).ok();
    assert_eq!((reader.kept("names"), reader.kept("notes")), (2, 1));
    assert!(!reader.has_read_all());
    // What is new of a name that was read is found in the new entries, without the index.
    forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
    let before = of_log(&server).len();
    reader.run(&["info", "grads@1.1"]).ok();
    let read = of_log(&server).split_off(before);
    assert!(read.iter().all(|request| !request.path.starts_with("names/")), "{read:#?}");
    assert!(!reader.has_read_all());

    // Who refuses the index, or asks about all names, reads the log.
    let careful = Reader::new(&forger, &server);
    careful.run(&["info", "grads@1.1", "--whole-log"]).ok();
    assert!(careful.has_read_all());
    let lists = Reader::new(&forger, &server);
    lists.run(&["log", "show"]).ok();
    assert!(lists.has_read_all());
    // After that, only what is new is read, as ever.
    let before = of_log(&server).len();
    lists.run(&["info", "grads@1.0"]).ok();
    assert_eq!(of_log(&server).len() - before, 1);
    // A log that is not long is read as a whole.
    let short = Forger::new();
    let server = Server::new(&short.path("reg"));
    let reader = Reader::new(&short, &server);
    reader.run(&["info", "grads@1.0"]).ok();
    assert!(reader.has_read_all());
    assert!(of_log(&server).iter().all(|request| !request.path.starts_with("names/")));
}

#[test]
fn both_readers_say_the_same() {
    let forger = rich();
    let server = Server::new(&forger.path("reg"));
    let pin = forger.reader(&["info", "grads@1.1", "--registry", "reg", "--json"]).ok().json();
    let pin = format!("grads@1.1#{}", pin["dataset"].as_str().unwrap());
    let verbs = |text: &'static str| -> Vec<&'static str> { text.split(' ').collect() };
    let mut commands: Vec<Vec<&str>> = [
        "info grads",
        "info grads@1.0",
        "info grads@1.0 --json",
        "info grads@1.1",
        "info grads@1.2",
        "info other",
        "info nobodys@1.0",
        "pull grads@1.1 --to tree",
        "pull grads@1.0 --to tree --json",
        "cite grads@1.0",
        "images grads@1.1",
        "owner show grads",
        "owner show other --json",
        "owner show nobodys",
        "fetch grads@1.0",
        "prove grads@1.0 --out proof",
        "verify grads@1.0",
    ]
    .into_iter()
    .map(verbs)
    .collect();
    commands.push(vec!["info", &pin]);
    for args in commands {
        let answers = [&[][..], &["--whole-log"]].map(|more| {
            let reader = Reader::new(&forger, &server);
            let _ = fs::remove_file(forger.path("proof"));
            let ran = reader.run(&[&args[..], more].concat());
            let proof = fs::read(forger.path("proof")).ok();
            assert_ne!(ran.code, 2, "{args:?}: {}", ran.stderr);
            assert_eq!(reader.has_read_all(), !more.is_empty(), "{args:?}: {}", ran.stderr);
            // The bytes that were fetched differ.
            let mut out = ran.stdout.clone();
            if args.contains(&"--json") {
                let mut json = ran.json();
                json.as_object_mut().unwrap().remove("fetched_bytes");
                out = json.to_string();
            }
            let is_figure = |line: &&str| !line.contains("fetched");
            let lines = |text: &str| text.lines().filter(is_figure).map(String::from).collect::<Vec<_>>();
            (ran.code, lines(&out), lines(&ran.stderr), proof)
        });
        assert_eq!(answers[0], answers[1], "{args:?}");
    }
}

#[test]
fn keys_of_the_log_that_changed_are_followed() {
    let forger = Forger::long();
    let old = forger.anchor("reg");
    for _ in 0..2 {
        forger.isn(&["registry", "rotate-key", "reg"]).ok();
    }
    forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
    let server = Server::new(&forger.path("reg"));
    let new = forger.anchor("reg");
    for key in [&old, &new] {
        let reader = Reader::new(&forger, &server);
        forger.as_user("far", &["trust", "remove", &server.url, &new.to_string()]).ok();
        forger.as_user("far", &["trust", "add", &server.url, &key.to_string()]).ok();
        reader.run(&["info", "grads@1.1"]).ok();
        assert!(!reader.has_read_all());
        reader.run(&["prove", "grads@1.1", "--out", "proof"]).ok();
        // A proof is checked with the key that the log had by then, which this machine knows.
        forger.as_user("far", &["verify", "--proof", "proof"]).ok();
        fs::remove_file(forger.path("proof")).unwrap();
        // A mirror that names the log by its newest key is of the same log.
        let mirror = Server::new(&forger.path("reg"));
        let both = format!("{},{}", server.url, mirror.url);
        let ran = forger.as_user("far", &["info", "grads@1.1", "--registry", &both]);
        assert_eq!(ran.ok().stderr, "");
    }
}

#[test]
fn what_is_remembered_of_a_name_answers_offline() {
    let forger = rich();
    let server = Server::new(&forger.path("reg"));
    let reader = Reader::new(&forger, &server);
    let online = reader.run(&["fetch", "grads@1.0"]).ok();
    assert!(online.stderr.contains("grads@1.0 is yanked"), "{}", online.stderr);
    let offline = |args: &[&str]| reader.run(&[args, &["--offline"]].concat());
    let ran = offline(&["info", "grads@1.0"]).fails(0, "as it was last seen, with");
    assert!(ran.stderr.contains("grads@1.0 is yanked"), "{}", ran.stderr);
    offline(&["pull", "grads@1.0", "--to", "tree"]).ok();
    offline(&["info", "grads@3.0"]).fails(5, "was not contacted");
    // Of another name, nothing is remembered.
    offline(&["info", "other@1.0"]).fails(5, "was never seen");
    // A whole log that was read before still answers for it.
    forger.isn(&["list", "--registry", "reg"]).ok();
    reader.run(&["info", "other@1.0", "--whole-log"]).ok();
    offline(&["info", "other@1.0"]).ok();
    assert_eq!((reader.kept("names"), reader.kept("notes")), (0, 0));
    // A pin warns of what was read by the index.
    let reader = Reader::new(&forger, &server);
    let json = reader.run(&["info", "grads@1.0", "--json"]).ok().json();
    let pin = format!("grads@1.0#{}", json["dataset"].as_str().unwrap());
    let ran = forger.as_user("far", &["info", &pin, "--registry", &server.url, "--offline"]);
    assert!(ran.stderr.contains("grads@1.0 is yanked"), "{}", ran.stderr);
    // So does a tree, of which no registry is asked.
    reader.run(&["pull", "grads@1.0", "--to", "kept"]).ok();
    let hash = pin.split_once('#').unwrap().1;
    for expected in [&pin, hash] {
        let verify = ["verify", "kept", "--expect", expected];
        forger.as_user("far", &verify).fails(0, "grads@1.0 is yanked");
    }
}

#[test]
fn whatever_is_missing_or_damaged_the_whole_log_answers() {
    let forger = rich();
    let files = contents(&forger.path("reg/names"));
    // The newest state.
    let top = files.iter().rev().find(|(name, _)| name.starts_with("top/")).map(|(name, _)| name.clone());
    // That of the names whose BLAKE3 begin as that of `grads` does.
    let digit = &isn_format::digest::Digest::of(b"grads").to_string()[..1];
    let node = files.iter().rev().find(|(name, _)| name.starts_with(&format!("node/{digit}/")));
    let node = node.map(|(name, _)| name.clone());
    let newer = b"isn/v2 names\nwhatever\n".to_vec();
    let good = |name: &str| forger.bytes(&format!("reg/names/{name}"));
    let flipped = |name: &str| {
        let mut bytes = good(name);
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        bytes
    };
    let (node, top) = (node.unwrap(), top.unwrap());
    let tile = forger.hash_tile().0["reg/".len()..].to_string();
    for (path, bytes) in [
        ("names/note".into(), None),
        ("names/note".into(), Some(b"noise".to_vec())),
        ("names/note".into(), Some(newer)),
        ("names/note".into(), Some(flipped("note"))),
        ("names/note".into(), Some(vec![b'x'; 5000])),
        (format!("names/{top}"), None),
        (format!("names/{top}"), Some(flipped(&top))),
        (format!("names/{top}"), Some(vec![0; 3 << 20])),
        (format!("names/{node}"), None),
        (format!("names/{node}"), Some(flipped(&node))),
        (tile.clone(), None),
        (tile.clone(), Some(vec![7; 32])),
        (tile, Some(vec![7; 10_000])),
    ] {
        let kept = forger.bytes(&format!("reg/{path}"));
        match &bytes {
            Some(bytes) => forger.write(&format!("reg/{path}"), bytes),
            None => fs::remove_file(forger.path(&format!("reg/{path}"))).unwrap(),
        }
        let server = Server::new(&forger.path("reg"));
        let reader = Reader::new(&forger, &server);
        let ran = reader.run(&["info", "grads@1.1"]);
        assert_eq!(ran.code, 0, "{path}: {}", ran.stderr);
        assert!(reader.has_read_all(), "{path} {:?}", bytes.map(|bytes| bytes.len()));
        forger.write(&format!("reg/{path}"), &kept);
    }
    // Nor does it matter why it is not to be had.
    for (path, status) in [("names/note", 403), ("names/top", 500), ("names/node", 403), ("log/tile/0", 403)]
    {
        let server = Server::faulty(&forger.path("reg"), path, 100, Fault::Status(status));
        let reader = Reader::new(&forger, &server);
        let ran = reader.run(&["info", "grads@1.1"]);
        assert_eq!(ran.code, 0, "{path}: {}", ran.stderr);
        assert!(reader.has_read_all(), "{path}");
    }
    // One that sends no ranges is slower.
    let server = Server::faulty(&forger.path("reg"), "entries", 100, Fault::IgnoreRange);
    let reader = Reader::new(&forger, &server);
    reader.run(&["info", "grads@1.1"]).ok();
    assert!(!reader.has_read_all());
}

#[test]
fn an_index_that_is_behind_is_made_up_for_by_the_entries_or_not_used() {
    let forger = Forger::long();
    let note = forger.bytes("reg/names/note");
    forger.isn(&["yank", "grads@1.0", "--reason", "wrong", "--registry", "reg", "--key", "me"]).ok();
    forger.write("reg/names/note", &note);
    let server = Server::new(&forger.path("reg"));
    let reader = Reader::new(&forger, &server);
    reader.run(&["info", "grads@1.0"]).fails(0, "grads@1.0 is yanked");
    assert!(!reader.has_read_all());
    // More than 1,000 entries later, it is not used, although it is whole.
    fs::remove_dir_all(forger.path("reg/names")).unwrap();
    let names = |from: &str, to: &str| fs::rename(forger.path(from), forger.path(to)).unwrap();
    forger.write_log(&forger.entries());
    names("reg/names", "names");
    let mut entries = forger.entries();
    entries.extend((0..1001).map(|number| format!("filler {number}").into_bytes()));
    forger.write_log(&entries);
    fs::remove_dir_all(forger.path("reg/names")).unwrap();
    names("names", "reg/names");
    let reader = Reader::new(&forger, &server);
    reader.run(&["info", "grads@1.0"]).fails(0, "grads@1.0 is yanked");
    assert!(reader.has_read_all(), "too far behind");
}

#[test]
fn an_index_that_hides_an_entry_is_found_out_by_whoever_reads_the_log() {
    let forger = Forger::long();
    forger.isn(&["yank", "grads@1.0", "--reason", "wrong", "--registry", "reg", "--key", "me"]).ok();
    let good = contents(&forger.path("reg/names"));
    let hidden = forger.checkpoint().claimed_size() - 1;
    forger.hide(hidden);
    let server = Server::new(&forger.path("reg"));
    let reader = Reader::new(&forger, &server);
    // The key of a log is enough to hide an entry from one reader, who keeps the note.
    let ran = reader.run(&["info", "grads@1.0"]).ok();
    assert_eq!(ran.stderr, "");
    assert_eq!((reader.has_read_all(), reader.kept("notes")), (false, 1));
    // It does not matter what the registry shows by then.
    fs::remove_dir_all(forger.path("reg/names")).unwrap();
    for (name, bytes) in &good {
        forger.write(&format!("reg/names/{name}"), bytes);
    }
    let why = "was signed by the log's key and is not the index of the log's entries";
    let ran = reader.run(&["log", "show"]).fails(4, why);
    assert!(ran.stderr.contains("evidence"), "{}", ran.stderr);
    let listed = forger.as_user("far", &["log", "evidence"]).ok().stdout;
    assert!(listed.contains("evidence"), "{listed}");
    let evidence = contents(&forger.path("far/logs"));
    let kept = |name: &str| evidence.iter().find(|(path, _)| path.ends_with(name)).map(|(_, bytes)| bytes);
    assert!(kept("/names.note").is_some() && kept("/checkpoint.note").is_some());
    // From then on, this reader has the log, and knows better.
    reader.run(&["info", "grads@1.0"]).fails(0, "grads@1.0 is yanked");
    assert_eq!((reader.kept("names"), reader.kept("notes")), (0, 0));

    // So does a whole reader of one name, and whoever verifies the registry.
    forger.hide(hidden);
    for (args, code) in [
        (&["info", "grads@1.0", "--whole-log"][..], 4),
        (&["info", "other", "--whole-log"], 4),
        (&["list"], 0),
    ] {
        let reader = Reader::new(&forger, &server);
        reader.run(&["info", "grads@1.0"]).ok();
        reader.run(args).fails(code, why);
    }
    let reader = Reader::new(&forger, &server);
    reader.run(&["info", "grads@1.0"]).ok();
    forger.as_user("far", &["registry", "check", &server.url]).fails(3, why);
    forger.isn(&["verify", "reg"]).fails(3, "untrusted: names/note");
}

#[test]
fn a_fork_and_a_rollback_are_seen_from_what_the_index_showed() {
    let forger = Forger::long().and_a_second_version();
    let server = Server::new(&forger.path("reg"));
    let entries = forger.entries();
    let forked = |more: usize| {
        let mut entries = entries.clone();
        entries[1] = forger.signed(&forger.yank("1.0"), &["me"]);
        entries.extend((0..more).map(|number| format!("filler {number}").into_bytes()));
        entries
    };
    let fork = "shows another history than was seen before (a fork";
    for more in [0, 1, 1500] {
        forger.write_log(&entries);
        let reader = Reader::new(&forger, &server);
        reader.run(&["info", "grads@1.0"]).ok();
        assert!(!reader.has_read_all());
        forger.write_log(&forked(more));
        // Of the name that was read, and of another one.
        for name in ["other@1.0", "grads@1.0"] {
            reader.run(&["info", name]).fails(4, fork);
        }
        reader.run(&["log", "verify"]).fails(4, fork);
        assert!(forger.as_user("far", &["log", "evidence"]).ok().stdout.contains("evidence"));
        // The log as it was is still the one.
        forger.write_log(&entries);
        reader.run(&["info", "grads@1.0"]).ok();
    }
    // A registry that shows less: what was seen counts, for the name that was read.
    let reader = Reader::new(&forger, &server);
    reader.run(&["info", "grads@1.1"]).ok();
    forger.write_log(&entries[..4]);
    reader.run(&["info", "grads@1.1"]).fails(0, "is a stale mirror");
    // Of another one it is refused, and not read for that.
    let before = of_log(&server).len();
    reader.run(&["info", "other@1.0"]).fails(4, "this mirror is stale");
    assert_eq!(of_log(&server).len() - before, 1);
    reader.run(&["log", "verify"]).fails(4, "this mirror is stale");
    fs::remove_dir_all(forger.path("reg/log")).unwrap();
    reader.run(&["info", "grads@1.1"]).fails(4, "a log does not go away");
}

#[test]
fn what_was_seen_of_a_name_counts_beside_an_older_replay() {
    let forger = Forger::long();
    let server = Server::new(&forger.path("reg"));
    let reader = Reader::new(&forger, &server);
    reader.run(&["list"]).ok();
    assert!(reader.has_read_all());
    let before = forger.entries();
    let fillers = (0..1001).map(|number| format!("filler {number}").into_bytes());
    let mut after: Vec<Vec<u8>> = before.iter().cloned().chain(fillers).collect();
    after.push(forger.signed(&forger.yank("1.0"), &["me"]));
    forger.write_log(&after);
    reader.run(&["info", "grads@1.0"]).fails(0, "grads@1.0 is yanked");
    assert_eq!(reader.kept("names"), 1);
    // The registry goes back to where the replay ends, or further.
    for entries in [&before[..], &before[..4], &after[..100]] {
        forger.write_log(entries);
        for verb in [&["info", "grads@1.0"][..], &["pull", "grads@1.0", "--to", "tree"]] {
            let ran = reader.run(verb).fails(0, "is a stale mirror");
            assert!(ran.stderr.contains("grads@1.0 is yanked"), "{}", ran.stderr);
        }
    }
    forger.write_log(&before);
    reader.run(&["info", "other@1.0"]).fails(0, "is a stale mirror");
    reader.run(&["list"]).fails(0, "is a stale mirror");
    // What a replay has shown is not forgotten for an index that does not have it.
    forger.write_log(&after);
    reader.run(&["list"]).ok();
    after.extend((0..1001).map(|number| format!("more filler {number}").into_bytes()));
    forger.write_log(&after);
    forger.hide(forger.checkpoint().claimed_size() - 1002);
    reader.run(&["info", "grads@1.0"]).fails(4, "is not the index of the log's entries");
}

#[test]
fn a_key_that_the_log_has_given_up_has_no_say_any_more() {
    let forger = Forger::long();
    let (old, anchor) = (forger.log_signer(), forger.anchor("reg"));
    forger.isn(&["registry", "rotate-key", "reg"]).ok();
    forger.isn(&["yank", "grads@1.0", "--reason", "wrong", "--registry", "reg", "--key", "me"]).ok();
    let size = forger.checkpoint().claimed_size();
    let honest = [contents(&forger.path("reg/names")), contents(&forger.path("reg/log"))];
    let server = Server::new(&forger.path("reg"));
    let reader = || {
        let reader = Reader::new(&forger, &server);
        let new = forger.anchor("reg").to_string();
        forger.as_user("far", &["trust", "remove", &server.url, &new]).ok();
        forger.as_user("far", &["trust", "add", &server.url, &anchor.to_string()]).ok();
        reader
    };
    let restore = || {
        for (folder, files) in ["names", "log"].into_iter().zip(&honest) {
            fs::remove_dir_all(forger.path(&format!("reg/{folder}"))).unwrap();
            files.iter().for_each(|(name, bytes)| forger.write(&format!("reg/{folder}/{name}"), bytes));
        }
    };
    // Whoever has seen the change, by another name or in the whole log, knows better.
    for first in [&["info", "other@1.0"][..], &["log", "show"]] {
        restore();
        let reader = reader();
        reader.run(first).ok();
        forger.hide_by(&[size - 2, size - 1], &old);
        reader.run(&["info", "grads@1.0"]).fails(4, "foreign");
        restore();
        reader.run(&["info", "grads@1.0"]).fails(0, "grads@1.0 is yanked");
    }
    // Who has not is found out about by whoever reads the log later, as of any key that it ever had.
    forger.hide_by(&[size - 2, size - 1], &old);
    let reader = reader();
    reader.run(&["info", "grads@1.0"]).ok();
    restore();
    let why = "was signed by the log's key and is not the index of the log's entries";
    reader.run(&["log", "show"]).fails(4, why);
}
