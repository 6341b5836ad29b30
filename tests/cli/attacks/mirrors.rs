//! Lists of registries: a name comes from the first registry that has it, and one that does not answer may
//! have it. A pin names the bytes, which may come from any registry.

use std::fs;

use crate::forger::Forger;
use crate::sandbox::{Ran, contents, ran};
use crate::server::{Fault, Server};

/// Nothing answers at this address.
const AWAY: &str = "http://127.0.0.1:1";

/// A forger whose `reg` has `grads@1.0` and `other@1.0`, with `mirror`, a copy of it, and `lab`, somebody
/// else's log with another `grads@1.0` and `third@1.0`. The reader knows `reg`, [`AWAY`] and a served copy by
/// the first log's key, and `lab` by its own.
struct Lists {
    forger: Forger,
    served: Server,
    /// Serves `lab` where the reader expects `reg`.
    lying: Server,
}

impl Lists {
    fn new() -> Self {
        let forger = Forger::new();
        forger.copy("reg", "mirror");
        let classes = ["ant", "bee", "cat"];
        forger.image_folder("raw-lab", &classes, 6);
        for name in ["grads", "third"] {
            forger.recipe(name, "1.0", &classes, "");
            let recipe = format!("{name}-1.0.toml");
            let out = format!("lab-{name}");
            forger.as_user("labs", &["build", &recipe, "--source", "raw-lab", "--out", &out]).ok();
            if name == "grads" {
                forger.as_user("labs", &["key", "new", "them", "--no-passphrase"]).ok();
            }
            forger.as_user("labs", &["publish", &out, "--registry", "lab", "--key", "them"]).ok();
        }
        let (served, lying) = (Server::new(&forger.path("reg")), Server::new(&forger.path("lab")));
        let log = forger.anchor("reg").to_string();
        for place in [AWAY, &served.url, &lying.url, "gone"] {
            fs::create_dir_all(forger.path("gone")).unwrap();
            forger.reader(&["trust", "add", place, &log]).ok();
        }
        forger.reader(&["trust", "add", "lab", &forger.anchor("lab").to_string()]).ok();
        fs::remove_dir(forger.path("gone")).unwrap();
        Lists { forger, served, lying }
    }

    /// Runs isn with a list of registries and short timeouts.
    fn run(&self, list: &str, args: &[&str]) -> Ran {
        let mut command = self.forger.command(args);
        command.env("ISN_HOME", self.forger.path("reader")).env("ISN_REGISTRY", list);
        ran(command.env("ISN_RETRIES", "0"))
    }

    /// Returns the dataset hash of a build.
    fn hash(&self, build: &str) -> String {
        let manifest: serde_json::Value =
            serde_json::from_slice(&self.forger.bytes(&format!("{build}/manifest.json"))).unwrap();
        manifest["dataset"].as_str().unwrap().to_string()
    }
}

/// Each name, and whether the first log and `lab` have it.
const NAMES: [(&str, bool, bool); 4] =
    [("grads", true, true), ("other", true, false), ("third", false, true), ("nobodys", false, false)];

/// Every verb that takes a name. A tree `tree` exists.
const BY_NAME: [&[&str]; 17] = [
    &["pull", "grads", "--to", "new"],
    &["pull", "grads@1.0", "--to", "new", "--lock"],
    &["pull", "grads", "--to", "new", "--source", "raw-lab"],
    &["fetch", "grads"],
    &["info", "grads"],
    &["images", "grads"],
    &["cite", "grads"],
    &["export", "grads", "--as", "webdataset", "--to", "new"],
    &["verify", "grads"],
    &["verify", "tree", "--expect", "grads"],
    &["verify-source", "grads", "--source", "raw-lab"],
    &["diff", "grads", "tree"],
    &["diff", "tree", "grads"],
    &["audit", "duplicates", "grads"],
    &["audit", "balance", "grads"],
    &["prove", "grads", "--out", "new"],
    &["owner", "show", "grads"],
];

#[test]
fn first_of_a_list_by_every_state_of_it() {
    let lists = Lists::new();
    let builds = |name: &str| match name {
        "grads" => ("out".to_string(), "lab-grads".to_string()),
        name => (format!("out-{name}"), format!("lab-{name}")),
    };
    for (state, first) in [
        ("answers", lists.served.url.as_str()),
        ("is away", AWAY),
        ("is a disk that is not there", "gone"),
        ("lies", &lists.lying.url),
    ] {
        for second in ["mirror", "lab"] {
            let list = format!("{first},{second}");
            for (name, has_first, has_second) in NAMES {
                for was_seen in [false, true] {
                    lists.forger.forget();
                    if was_seen {
                        lists.forger.reader(&["info", "other", "--registry", "reg"]).ok();
                        lists.forger.reader(&["info", "third", "--registry", "lab"]).ok();
                    }
                    let (is_mirror, (ours, theirs)) = (second == "mirror", builds(name));
                    let what = format!("{name} where the first {state}, then {second}; seen: {was_seen}");
                    // The dataset hash that is expected, or the exit code.
                    let expected = match state {
                        "lies" => Err(4),
                        "answers" if has_first => Ok(&ours),
                        _ if is_mirror && has_first => Ok(&ours),
                        _ if is_mirror => Err(6),
                        "answers" if has_second => Ok(&theirs),
                        "answers" => Err(6),
                        _ if was_seen && !has_first && has_second => Ok(&theirs),
                        _ => Err(5),
                    };
                    let ran = lists.run(&list, &["info", name, "--no-cache", "--json"]);
                    match expected {
                        Err(code) => {
                            assert_eq!(ran.code, code, "{what}: {}{}", ran.stdout, ran.stderr);
                            let is_named =
                                code != 5 || ran.stderr.contains(first) || ran.stderr.contains("gone");
                            assert!(is_named, "{what}: {}", ran.stderr);
                        }
                        Ok(build) => {
                            assert_eq!(ran.code, 0, "{what}: {}{}", ran.stdout, ran.stderr);
                            assert_eq!(ran.json()["dataset"], lists.hash(build), "{what}");
                        }
                    }
                    // A name in two logs is reported, and so is a registry that could not be asked.
                    let is_said = ran.stderr.matches("is a name in more than one log").count();
                    let is_two = expected.is_ok() && has_first && has_second && !is_mirror;
                    assert_eq!(is_said, usize::from(is_two), "{what}: {}", ran.stderr);
                    if expected.is_ok() && state != "answers" {
                        assert!(ran.stderr.contains("cannot be asked"), "{what}: {}", ran.stderr);
                    }
                    // A pin is served by any registry that has the bytes.
                    for (build, is_there) in [(&ours, has_first), (&theirs, has_second)] {
                        let reaches_first = state == "answers" && build == &ours;
                        let reaches_lab = build == &theirs && (!is_mirror || state == "lies");
                        let reaches = reaches_first || (is_mirror && build == &ours) || reaches_lab;
                        if is_there && reaches {
                            let pin = format!("{name}@1.0#{}", lists.hash(build));
                            let ran = lists.run(&list, &["info", &pin, "--no-cache", "--json"]);
                            assert_eq!(ran.code, 0, "{what}, {pin}: {}", ran.stderr);
                            assert_eq!(ran.json()["dataset"], lists.hash(build), "{what}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn no_verb_takes_a_name_from_behind_a_registry_that_is_away() {
    let lists = Lists::new();
    lists.run("lab", &["pull", "grads", "--to", "tree"]).ok();
    for was_seen in [false, true] {
        lists.forger.forget();
        if was_seen {
            lists.forger.reader(&["info", "other", "--registry", "reg"]).ok();
        }
        for args in BY_NAME {
            let ran = lists.run(&format!("{AWAY},lab"), args);
            assert_eq!(ran.code, 5, "{args:?}: {}{}", ran.stdout, ran.stderr);
            assert!(ran.stderr.contains("127.0.0.1:1"), "{args:?}: {}", ran.stderr);
            assert!(
                !lists.forger.path("new").exists() && !lists.forger.path("isn.lock").exists(),
                "{args:?}"
            );
        }
        lists.forger.write("isn.toml", b"datasets = [\"grads\"]\n");
        lists.run(&format!("{AWAY},lab"), &["sync"]).fails(5, "127.0.0.1:1");
        assert!(!lists.forger.path("isn.lock").exists() && !lists.forger.path("grads-1.0").exists());
        fs::remove_file(lists.forger.path("isn.toml")).unwrap();
    }
    // The message says what helps.
    let ran = lists.run(&format!("{AWAY},lab"), &["info", "grads"]);
    ran.fails(5, "its log as last seen has that name, and no mirror of that log in the list answers");
}

#[test]
fn version_that_the_names_own_registry_lacks() {
    let lists = Lists::new();
    let build = "out-lab-2";
    lists.forger.recipe("grads", "2.0", &["ant", "bee", "cat"], "");
    let args = ["build", "grads-2.0.toml", "--source", "raw-lab", "--out", build];
    lists.forger.as_user("labs", &args).ok();
    lists.forger.as_user("labs", &["publish", build, "--registry", "lab", "--key", "them"]).ok();
    // The name belongs to the first log: no other log can release a version of it.
    for first in ["reg", &lists.served.url] {
        lists.run(&format!("{first},lab"), &["info", "grads@2.0"]).fails(6, "grads@2.0 is not in");
    }
    lists.run("lab,reg", &["info", "grads@2.0"]).ok();
    let pin = format!("grads@2.0#{}", lists.hash(build));
    lists.run("reg,lab", &["info", &pin]).ok();
    // A mirror of the same log may be newer.
    lists.forger.forget();
    lists.forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
    lists.run("mirror,lab,reg", &["info", "grads@1.1"]).ok();
    // It does no harm that the first registry lacks the name altogether.
    lists.run("reg,lab", &["info", "third"]).ok();
}

#[test]
fn mirror_of_a_log_stands_in_wherever_it_stands() {
    let lists = Lists::new();
    let ran = lists.run(&format!("{AWAY},lab,mirror"), &["info", "grads", "--json"]).ok();
    assert_eq!(ran.json()["dataset"], lists.hash("out"));
    assert!(ran.stderr.contains("is a name in more than one log"), "{}", ran.stderr);
    // Also after the log's key was rotated, whatever was seen before.
    lists.forger.isn(&["registry", "rotate-key", "reg"]).ok();
    lists.forger.copy("reg", "later");
    lists.forger.forget();
    for _ in 0..2 {
        let ran = lists.run(&format!("{AWAY},lab,later"), &["info", "grads", "--json"]).ok();
        assert_eq!(ran.json()["dataset"], lists.hash("out"));
    }
    // A registry that only claims to be that log.
    let about = lists.forger.bytes("reg/registry.json");
    lists.forger.copy("lab", "claims");
    for (was_seen, about) in [(true, &about), (false, &lists.forger.bytes("mirror/registry.json"))] {
        if !was_seen {
            lists.forger.forget();
        }
        lists.forger.write("claims/registry.json", about);
        let ran = lists.run(&format!("{AWAY},claims"), &["info", "grads"]);
        assert!(matches!(ran.code, 4 | 5), "{}: {}{}", ran.code, ran.stdout, ran.stderr);
        assert!(!ran.stdout.contains(&lists.hash("lab-grads")), "{}", ran.stdout);
    }
}

#[test]
fn registry_that_is_known_only_from_before() {
    let lists = Lists::new();
    // No trust names this registry's log, but it was seen.
    lists.forger.copy("reg", "nearby");
    let away = |from: &str, to: &str| fs::rename(lists.forger.path(from), lists.forger.path(to)).unwrap();
    lists.run("nearby", &["info", "grads"]).ok();
    away("nearby", "elsewhere");
    let nearby = lists.forger.path("nearby").display().to_string();
    let ran = lists.run(&format!("{nearby},lab,mirror"), &["info", "grads", "--json"]).ok();
    assert_eq!(ran.json()["dataset"], lists.hash("out"));
    lists.run(&format!("{nearby},lab"), &["info", "grads"]).fails(5, "as last seen has that name");
    lists.run(&format!("{nearby},lab"), &["info", "third"]).ok();
    // Nothing is known about the registry, so it may have any name.
    lists.forger.forget();
    lists.run(&format!("{nearby},lab"), &["info", "third"]).fails(5, "no log of it is known");
    lists.run(&format!("{nearby},lab"), &["info", "third"]).fails(5, "or pull by a pin");
    // A server with nothing on it does not count as a registry that lacks a name.
    fs::create_dir(lists.forger.path("empty")).unwrap();
    let nothing = Server::new(&lists.forger.path("empty"));
    for first in [&nothing.url, "empty"] {
        lists
            .run(&format!("{first},lab"), &["info", "third"])
            .fails(5, "is not a registry: it has no registry.json");
    }
    // A registry without versions is one that lacks the name.
    lists.forger.as_user("nobodys", &["registry", "init", "new"]).ok();
    lists.run("new,lab", &["info", "third"]).ok();
}

#[test]
fn registry_of_a_lock_is_looked_at_first() {
    let lists = Lists::new();
    lists.run("reg", &["pull", "grads", "--lock"]).ok();
    fs::remove_dir_all(lists.forger.path("grads-1.0")).unwrap();
    lists.forger.isn(&["yank", "grads@1.0", "--reason", "blurred", "--registry", "reg", "--key", "me"]).ok();
    // The mirror does not have the yank yet.
    let args = ["sync", "--locked", "--json"];
    let ran = lists.run("mirror", &args).ok();
    assert!(ran.stderr.contains("grads@1.0 is yanked") && ran.stderr.contains("blurred"), "{}", ran.stderr);
    assert!(ran.json()["synced"][0]["warnings"].to_string().contains("blurred"));
    // If the registry is away, the bytes may come from the mirror.
    fs::remove_dir_all(lists.forger.path("grads-1.0")).unwrap();
    fs::rename(lists.forger.path("reg"), lists.forger.path("elsewhere")).unwrap();
    lists.run("mirror", &args).ok();
    assert!(lists.forger.path("grads-1.0").exists());
}

#[test]
fn sync_of_a_yanked_version() {
    let lists = Lists::new();
    lists.run("reg", &["pull", "grads", "--lock"]).ok();
    let is_silent = lists.run("reg", &["sync"]).ok();
    assert_eq!(is_silent.stderr, "");
    lists.forger.isn(&["yank", "grads@1.0", "--reason", "blurred", "--registry", "reg", "--key", "me"]).ok();
    // First with the tree in place, then without it.
    for _ in 0..2 {
        let ran = lists.run("lab", &["sync"]).ok();
        assert!(ran.stderr.contains("warning: grads@1.0 is yanked"), "{}", ran.stderr);
        fs::remove_dir_all(lists.forger.path("grads-1.0")).unwrap();
    }
    lists.run("lab", &["sync"]).ok();
    // If the registry cannot be read, its log as last seen counts.
    fs::rename(lists.forger.path("reg"), lists.forger.path("elsewhere")).unwrap();
    let ran = lists.run(AWAY, &["sync"]).ok();
    assert!(ran.stderr.contains("warning: grads@1.0 is yanked"), "{}", ran.stderr);
}

#[test]
fn place_that_showed_a_trusted_log_before() {
    let lists = Lists::new();
    let forger = &lists.forger;
    lists.run("lab", &["pull", "grads", "--to", "tree"]).ok();
    forger.copy("reg", "host");
    let server = Server::new(&forger.path("host"));
    // No trust names this location; it is believed as a mirror of `reg`.
    lists.run(&server.url, &["info", "grads@1.0"]).ok();
    let places = || forger.bytes("reader/logs/places");
    let (before, list) = (places(), format!("{},lab", server.url));
    let entries = forger.entries();
    let forked = [&entries[..entries.len() - 1], &[forger.release("out2", "1.1", &["me"])]].concat();
    let about = forger.bytes("reg/registry.json");
    let mut without_key: serde_json::Value = serde_json::from_slice(&about).unwrap();
    without_key.as_object_mut().unwrap().remove("log_key");
    for state in ["shows no key and no log", "shows another log", "shows a forked log", "has nothing"] {
        for part in fs::read_dir(forger.path("host")).unwrap().map(|entry| entry.unwrap().path()) {
            if part.is_dir() { fs::remove_dir_all(part).unwrap() } else { fs::remove_file(part).unwrap() }
        }
        match state {
            "shows no key and no log" => {
                forger.write("host/registry.json", without_key.to_string().as_bytes());
            }
            "shows another log" => forger.copy("lab", "host"),
            "shows a forked log" => {
                let log = contents(&forger.path("reg/log"));
                forger.write_log(&forked);
                forger.copy("reg", "host");
                fs::remove_dir_all(forger.path("reg/log")).unwrap();
                log.into_iter().for_each(|(path, bytes)| forger.write(&format!("reg/log/{path}"), &bytes));
            }
            _ => {}
        }
        let is_gone = state == "has nothing";
        for args in BY_NAME {
            let ran = lists.run(&list, args);
            let what = format!("{args:?} where it {state}: {}{}", ran.stdout, ran.stderr);
            // `prove` asks only one registry.
            let code = if !is_gone {
                4
            } else if args[0] == "prove" {
                6
            } else {
                5
            };
            assert_eq!(ran.code, code, "{what}");
            assert!(ran.stderr.contains(&server.url), "{what}");
            assert!(!forger.path("new").exists() && !forger.path("isn.lock").exists(), "{what}");
        }
        forger.write("isn.toml", b"datasets = [\"grads\"]\n");
        let ran = lists.run(&list, &["sync"]);
        assert_eq!(ran.code, if is_gone { 5 } else { 4 }, "sync where it {state}: {}", ran.stderr);
        fs::remove_file(forger.path("isn.toml")).unwrap();
        // The registry's log as last seen does not have this name.
        let ran = lists.run(&list, &["info", "third"]);
        assert_eq!(ran.code, if is_gone { 0 } else { 4 }, "third where it {state}: {}", ran.stderr);
        // The bytes that a pin names may come from any registry.
        let pin = format!("grads@1.0#{}", lists.hash("lab-grads"));
        lists.run(&list, &["info", &pin, "--no-cache"]).ok();
        assert_eq!(places(), before, "where it {state}");
    }
    // The location may become another registry if the user says so.
    let log = forger.anchor("lab").to_string();
    fs::remove_dir_all(forger.path("host")).unwrap();
    forger.copy("lab", "host");
    forger.reader(&["trust", "add", &server.url, &log]).ok();
    let ran = lists.run(&list, &["info", "grads", "--json"]).ok();
    assert_eq!(ran.json()["dataset"], lists.hash("lab-grads"));
}

#[test]
fn yank_that_was_seen_by_every_verb_that_takes_a_pin() {
    let lists = Lists::new();
    let forger = &lists.forger;
    let pin = format!("grads@1.0#{}", lists.hash("out"));
    lists.run("reg", &["pull", "grads@1.0", "--lock"]).ok();
    fs::rename(forger.path("grads-1.0"), forger.path("tree")).unwrap();
    // A registry that has the bytes and names no log.
    let about = forger.bytes("reg/registry.json");
    let mut about: serde_json::Value = serde_json::from_slice(&about).unwrap();
    about.as_object_mut().unwrap().remove("log_key");
    forger.copy("reg", "bare");
    fs::remove_dir_all(forger.path("bare/log")).unwrap();
    forger.write("bare/registry.json", about.to_string().as_bytes());
    let bare = Server::new(&forger.path("bare"));
    forger.isn(&["yank", "grads@1.0", "--reason", "blurred", "--registry", "reg", "--key", "me"]).ok();
    lists.run("reg", &["fetch", "grads@1.0"]).ok();
    let broken = Server::faulty(&forger.path("reg"), "", usize::MAX, Fault::Status(500));
    let without_log = Server::faulty(&forger.path("reg"), "log/", usize::MAX, Fault::Status(403));
    for place in [&broken.url, &without_log.url] {
        forger.reader(&["trust", "add", place, &forger.anchor("reg").to_string()]).ok();
    }
    let ran = lists.run("reg", &["verify-source", "grads@1.0", "--source", "raw"]).ok();
    assert!(ran.stderr.contains("warning: grads@1.0 is yanked"), "{}", ran.stderr);
    let lock = String::from_utf8(forger.bytes("isn.lock")).unwrap();
    for (state, list, silent) in [
        ("is away", format!("{AWAY},{}", bare.url), Some(AWAY)),
        ("answers nothing but errors", format!("{},{}", broken.url, bare.url), Some(&*broken.url)),
        ("is a disk that is not there", format!("gone,{}", bare.url), Some("gone")),
        ("does not show its log", without_log.url.clone(), Some("log/checkpoint")),
        ("stands behind one that nobody knows", format!("{},reg", bare.url), None),
        ("is not in the list", bare.url.clone(), None),
        ("is not to be asked, nor one that nobody knows", "http://127.0.0.1:2".into(), Some(":2")),
    ] {
        let is_offline = state.contains("not to be asked");
        let first = list.split(',').next().unwrap();
        let locked = lock.lines().map(|line| match line.starts_with("registry = ") {
            true => format!("registry = \"{first}\"\n"),
            false => format!("{line}\n"),
        });
        forger.write("isn.lock", locked.collect::<String>().as_bytes());
        let verbs: [&[&str]; 13] = [
            &["pull", &pin, "--to", "new"],
            &["pull", &pin, "--to", "new", "--source", "raw"],
            &["verify-source", &pin, "--source", "raw"],
            &["verify", "tree", "--expect", &pin],
            &["diff", "tree", &pin],
            &["audit", "balance", &pin],
            &["sync"],
            &["info", &pin],
            &["fetch", &pin],
            &["verify", &pin],
            &["images", &pin],
            &["cite", &pin],
            &["export", &pin, "--as", "webdataset", "--to", "new"],
        ];
        for args in verbs {
            // This verb reads whole shards, and the cache has only parts of them.
            if is_offline && args[0] == "verify" && args[1] == pin {
                continue;
            }
            let offline: &[&str] = if is_offline { &["--offline"] } else { &[] };
            let ran = lists.run(&list, &[args, offline].concat());
            let what = format!("{args:?} where it {state}: {}{}", ran.stdout, ran.stderr);
            assert_eq!(ran.code, 0, "{what}");
            let told = ran.stderr.matches("warning: grads@1.0 is yanked").count();
            assert_eq!((told, ran.stderr.contains("blurred")), (1, true), "{what}");
            // With a pin no registry is needed to tell what a tree must contain.
            let asks = args[0] != "verify" || args[1] == pin;
            assert!(!asks || silent.is_none_or(|silent| ran.stderr.contains(silent)), "{what}");
            let _ = fs::remove_dir_all(forger.path("new"));
            let _ = fs::remove_dir_all(forger.path("grads-1.0"));
        }
    }
}

#[test]
fn what_a_log_says_that_nobody_believes() {
    let lists = Lists::new();
    let forger = &lists.forger;
    forger.copy("lab", "strange");
    let stranger = |args: &[&str]| {
        let mut command = forger.command(args);
        ran(command.env("ISN_HOME", forger.path("nobodys")))
    };
    for args in
        [&["owner", "show", "grads", "--registry", "strange"][..], &["log", "show", "--registry", "strange"]]
    {
        let ran = stranger(args).ok();
        assert!(ran.stderr.contains("nobody vouches for it"), "{args:?}: {}", ran.stderr);
        assert_eq!(stranger(&[args, &["--json"]].concat()).ok().json()["trusted"], false);
        let ran = forger.reader(&[&args[..args.len() - 1], &["lab"]].concat()).ok();
        assert_eq!(ran.stderr, "", "{args:?}");
    }
    // A registry that has no log has no names; the next one is asked.
    let about = forger.bytes("reg/registry.json");
    let mut about: serde_json::Value = serde_json::from_slice(&about).unwrap();
    about.as_object_mut().unwrap().remove("log_key");
    forger.write("bare/registry.json", about.to_string().as_bytes());
    let ran = lists.run("bare,lab", &["owner", "show", "grads", "--json"]).ok();
    assert_eq!(ran.json()["trusted"], true);
    // A registry that is not there may have the name.
    for first in ["gone", AWAY] {
        lists.run(&format!("{first},lab"), &["owner", "show", "grads"]).fails(5, "");
    }
}

#[test]
fn list_of_registries_of_which_one_is_away() {
    let lists = Lists::new();
    for list in [format!("{AWAY},lab"), format!("lab,{AWAY}"), "gone,lab".into()] {
        let ran = lists.run(&list, &["list"]);
        let code = if list.starts_with("gone") { 6 } else { 5 };
        assert!(ran.code == code && ran.stdout.contains("third  1.0"), "{list}: {}{}", ran.code, ran.stderr);
        // The error is a JSON object of its own, after the list.
        let ran = lists.run(&list, &["list", "--json"]);
        let listed: serde_json::Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
        assert_eq!(listed["datasets"].as_array().unwrap().len(), 2, "{list}");
        assert_eq!(ran.json()["exit_code"], code, "{list}");
    }
    lists.run(&format!("{AWAY},http://127.0.0.1:2"), &["list"]).fails(5, "127.0.0.1:2");
}

#[test]
fn notices_stand_in_the_order_of_the_list() {
    let lists = Lists::new();
    lists.run(&lists.served.url, &["info", "other"]).ok();
    let lab = Server::new(&lists.forger.path("lab"));
    lists.forger.reader(&["trust", "add", &lab.url, &lists.forger.anchor("lab").to_string()]).ok();
    lists.run(&lab.url, &["fetch", "third"]).ok();
    let ran = lists.run(&format!("{},{}", lists.served.url, lab.url), &["info", "third", "--offline"]).ok();
    let [first, second] = [&lists.served.url, &lab.url].map(|url| ran.stderr.find(url.as_str()).unwrap());
    assert!(first < second, "{}", ran.stderr);
}

/// Nobody signs the list that says which packs a version has.
#[test]
fn list_of_packs_that_lies_keeps_no_pin_from_the_next_registry() {
    let lists = Lists::new();
    let pin = format!("grads@1.0#{}", lists.hash("out"));
    let manifest = lists.forger.bytes("out/manifest.json");
    let list = format!("packs/{}", isn_format::digest::Digest::of(&manifest));
    assert!(lists.forger.path("mirror").join(&list).is_file());
    let unknown = format!("{}\n", isn_format::digest::Digest::of(b"no such pack"));
    let packs = contents(&lists.forger.path("lab/packs"));
    // Packs of another version, which do exist.
    lists.forger.copy("lab/objects", "mirror/objects");
    for lie in [unknown.as_bytes(), b"hello\n", &[b'a'; 5 << 20], &packs[0].1] {
        lists.forger.write(&format!("mirror/{list}"), lie);
        let pull = ["pull", &pin, "--no-cache", "--to", "tree"];
        assert_ne!(lists.run("mirror", &pull).code, 0);
        lists.run("mirror,reg", &pull).ok();
        lists.forger.reader(&["verify", "tree", "--expect", &pin]).ok();
        fs::remove_dir_all(lists.forger.path("tree")).unwrap();
    }
    // The list does not hide from anybody that the version has no images.
    lists.forger.write(&format!("reg/{list}"), b"");
    lists.run("mirror,reg", &["info", &pin, "--no-cache"]).ok();
}
