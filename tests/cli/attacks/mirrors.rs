//! A list of registries: a name is taken from the first that has it, and one that does not answer may have it. A pin is
//! the bytes, from wherever.

use std::fs;

use crate::forger::Forger;
use crate::sandbox::{Ran, ran};
use crate::server::Server;

/// Nothing answers there.
const AWAY: &str = "http://127.0.0.1:1";

/// A forger whose `reg` has `grads@1.0` and `other@1.0`; `mirror`, a copy of it; and `lab`, another log of somebody else's
/// with another `grads@1.0` and `third@1.0`. The reader knows `reg`, [`AWAY`] and a served copy by the one log's key, `lab`
/// by its own.
struct Lists {
    forger: Forger,
    served: Server,
    /// Serves `lab`, where the reader expects `reg`.
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

    /// Runs isn with a list, in a hurry.
    fn run(&self, list: &str, args: &[&str]) -> Ran {
        let mut command = self.forger.command(args);
        command.env("ISN_HOME", self.forger.path("reader")).env("ISN_REGISTRY", list);
        ran(command.env("ISN_RETRIES", "0").output().unwrap())
    }

    /// What the dataset of a build is called.
    fn hash(&self, build: &str) -> String {
        let manifest: serde_json::Value =
            serde_json::from_slice(&self.forger.bytes(&format!("{build}/manifest.json"))).unwrap();
        manifest["dataset"].as_str().unwrap().to_string()
    }
}

/// Who has a name, in the registries of [`Lists`].
const NAMES: [(&str, bool, bool); 4] =
    [("grads", true, true), ("other", true, false), ("third", false, true), ("nobodys", false, false)];

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
                    // Where it is from, or the exit code.
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
                    // A name of two logs is said, with both places; and that one was not asked.
                    let is_said = ran.stderr.matches("is a name in more than one log").count();
                    let is_two = expected.is_ok() && has_first && has_second && !is_mirror;
                    assert_eq!(is_said, usize::from(is_two), "{what}: {}", ran.stderr);
                    if expected.is_ok() && state != "answers" {
                        assert!(ran.stderr.contains("cannot be asked"), "{what}: {}", ran.stderr);
                    }
                    // By a pin: whoever has the bytes.
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
    let verbs: [&[&str]; 17] = [
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
    for was_seen in [false, true] {
        lists.forger.forget();
        if was_seen {
            lists.forger.reader(&["info", "other", "--registry", "reg"]).ok();
        }
        for args in verbs {
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
    // It says what helps.
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
    // The name is the first's: no other log can release a version of it.
    for first in ["reg", &lists.served.url] {
        lists.run(&format!("{first},lab"), &["info", "grads@2.0"]).fails(6, "grads@2.0 is not in");
    }
    lists.run("lab,reg", &["info", "grads@2.0"]).ok();
    let pin = format!("grads@2.0#{}", lists.hash(build));
    lists.run("reg,lab", &["info", &pin]).ok();
    // A mirror of the same log may be further on.
    lists.forger.forget();
    lists.forger.isn(&["publish", "out2", "--registry", "reg", "--key", "me"]).ok();
    lists.run("mirror,lab,reg", &["info", "grads@1.1"]).ok();
    // And that the first lacks the name altogether is no harm.
    lists.run("reg,lab", &["info", "third"]).ok();
}

#[test]
fn mirror_of_a_log_stands_in_wherever_it_stands() {
    let lists = Lists::new();
    let ran = lists.run(&format!("{AWAY},lab,mirror"), &["info", "grads", "--json"]).ok();
    assert_eq!(ran.json()["dataset"], lists.hash("out"));
    assert!(ran.stderr.contains("is a name in more than one log"), "{}", ran.stderr);
    // With another key meanwhile, too, and whatever was seen.
    lists.forger.isn(&["registry", "rotate-key", "reg"]).ok();
    lists.forger.copy("reg", "later");
    lists.forger.forget();
    for _ in 0..2 {
        let ran = lists.run(&format!("{AWAY},lab,later"), &["info", "grads", "--json"]).ok();
        assert_eq!(ran.json()["dataset"], lists.hash("out"));
    }
    // One that only says that it is that log.
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
    // Nobody has said whose log it shows; it was seen.
    lists.forger.copy("reg", "nearby");
    let away = |from: &str, to: &str| fs::rename(lists.forger.path(from), lists.forger.path(to)).unwrap();
    lists.run("nearby", &["info", "grads"]).ok();
    away("nearby", "elsewhere");
    let nearby = lists.forger.path("nearby").display().to_string();
    let ran = lists.run(&format!("{nearby},lab,mirror"), &["info", "grads", "--json"]).ok();
    assert_eq!(ran.json()["dataset"], lists.hash("out"));
    lists.run(&format!("{nearby},lab"), &["info", "grads"]).fails(5, "as last seen has that name");
    lists.run(&format!("{nearby},lab"), &["info", "third"]).ok();
    // Nothing is known of it: not even that it lacks a name that nobody ever had there.
    lists.forger.forget();
    lists.run(&format!("{nearby},lab"), &["info", "third"]).fails(5, "nothing is known of a log of it");
    lists.run(&format!("{nearby},lab"), &["info", "third"]).fails(5, "or pull by a pin");
    // A server that has nothing is no registry that lacks a name.
    fs::create_dir(lists.forger.path("empty")).unwrap();
    let nothing = Server::new(&lists.forger.path("empty"));
    for first in [&nothing.url, "empty"] {
        lists.run(&format!("{first},lab"), &["info", "third"]).fails(5, "registry.json is not in");
    }
    // A registry without a version is one.
    lists.forger.as_user("nobodys", &["registry", "init", "new"]).ok();
    lists.run("new,lab", &["info", "third"]).ok();
}

#[test]
fn registry_of_a_lock_is_looked_at_first() {
    let lists = Lists::new();
    lists.run("reg", &["pull", "grads", "--lock"]).ok();
    fs::remove_dir_all(lists.forger.path("grads-1.0")).unwrap();
    lists.forger.isn(&["yank", "grads@1.0", "--reason", "blurred", "--registry", "reg", "--key", "me"]).ok();
    // The mirror does not know of it yet.
    let args = ["sync", "--locked", "--json"];
    let ran = lists.run("mirror", &args).ok();
    assert!(ran.stderr.contains("grads@1.0 is yanked") && ran.stderr.contains("blurred"), "{}", ran.stderr);
    assert!(ran.json()["synced"][0]["warnings"].to_string().contains("blurred"));
    // Away, the bytes may come from the mirror.
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
    // The tree is there; and then it is not.
    for _ in 0..2 {
        let ran = lists.run("lab", &["sync"]).ok();
        assert!(ran.stderr.contains("warning: grads@1.0 is yanked"), "{}", ran.stderr);
        fs::remove_dir_all(lists.forger.path("grads-1.0")).unwrap();
    }
    lists.run("lab", &["sync"]).ok();
    // As it was last seen, if it cannot be looked at.
    fs::rename(lists.forger.path("reg"), lists.forger.path("elsewhere")).unwrap();
    let ran = lists.run(AWAY, &["sync"]).ok();
    assert!(ran.stderr.contains("warning: grads@1.0 is yanked"), "{}", ran.stderr);
}
