//! A user who trusts a publisher's key and no log, and a registry that hides its log: from one who has read
//! it before, though no pull has succeeded yet, and from one who has not.

use std::fs;

use crate::forger::Forger;
use crate::server::Server;

/// What stands in the place of `registry.json`, and the exit codes of a pull by name: of a user who has read
/// the log, if it is still there and if it is gone; of one who has not, likewise. The release is yanked, so a
/// pull that has read the log ends with 1.
const STATES: [(&str, [i32; 4]); 7] = [
    ("as it was", [1, 4, 1, 4]),
    ("damaged", [1, 4, 3, 3]),
    ("a web page", [1, 4, 1, 1]),
    ("of a newer format", [1, 4, 1, 1]),
    ("missing", [1, 4, 6, 6]),
    ("of another log", [1, 4, 4, 4]),
    // Nobody can tell this from a registry that never had a log, except who has read it.
    ("without a log", [1, 4, 0, 0]),
];

#[test]
fn log_that_was_read_counts_with_a_publishers_key() {
    let forger = Forger::new();
    forger.isn(&["yank", "grads@1.0", "--reason", "why", "--registry", "reg", "--key", "me"]).ok();
    forger.isn(&["registry", "init", "other"]).ok();
    let key = forger.isn(&["key", "show", "me"]).ok().stdout;
    let about = String::from_utf8(forger.bytes("reg/registry.json")).unwrap();
    let put = |state: &str| match state {
        "as it was" => forger.write("host/registry.json", about.as_bytes()),
        "damaged" => forger.write("host/registry.json", b"garbage\n"),
        "a web page" => forger.write("host/registry.json", b"<html>Welcome</html>"),
        "of a newer format" => {
            forger.write("host/registry.json", about.replace("registry/1", "registry/9").as_bytes());
        }
        "missing" => fs::remove_file(forger.path("host/registry.json")).unwrap(),
        "of another log" => forger.write("host/registry.json", &forger.bytes("other/registry.json")),
        _ => forger.write(
            "host/registry.json",
            br#"{"format":"isn-registry/1","description":"as before there were logs"}"#,
        ),
    };
    for is_served in [true, false] {
        for (state, codes) in STATES {
            for (case, code) in codes.into_iter().enumerate() {
                let (was_read, is_there) = (case < 2, case % 2 == 0);
                let _ = fs::remove_dir_all(forger.path("host"));
                forger.copy("reg", "host");
                let server = is_served.then(|| Server::new(&forger.path("host")));
                let place = server.as_ref().map_or("host", |server| &server.url);
                let pull = |user: &str| {
                    forger
                        .as_user(user, &["pull", "grads", "--registry", place, "--no-cache", "--to", "tree"])
                };
                let users =
                    [format!("{is_served}-{state}-{case}-key"), format!("{is_served}-{state}-{case}")];
                forger.as_user(&users[0], &["trust", "add", place, key.trim()]).ok();
                if was_read {
                    pull(&users[0]).fails(1, "has no version that is neither yanked nor withdrawn");
                    pull(&users[1]).fails(4, "is signed by a key that is not trusted");
                }
                put(state);
                if !is_there {
                    fs::remove_file(forger.path("host/log/checkpoint")).unwrap();
                }
                // A folder without that file is not asked.
                let code = if state == "missing" && !is_served { 6 } else { code };
                let what =
                    format!("{place}: registry.json {state}, read before: {was_read}, log: {is_there}");
                let ran = pull(&users[0]);
                assert_eq!(ran.code, code, "{what}: {}", ran.stderr);
                assert_eq!(forger.path("tree").exists(), code == 0, "{what}");
                let _ = fs::remove_dir_all(forger.path("tree"));
                // Who trusts nobody gets nothing.
                let ran = pull(&users[1]);
                assert!(ran.code != 0 && !forger.path("tree").exists(), "{what}: {}", ran.stderr);
            }
        }
    }
}

/// What was read before any pull succeeded counts wherever a recorded log does, and no longer than it.
#[test]
fn log_that_was_read_before_it_is_recorded() {
    let forger = Forger::new();
    let key = forger.isn(&["key", "show", "me"]).ok().stdout;
    let log = forger.anchor("reg").to_string();
    forger.copy("reg", "host");
    forger.copy("reg", "mirror");
    forger.copy("reg", "bare");
    let user = |args: &[&str]| forger.as_user("user", args);
    user(&["trust", "add", "host", key.trim()]).ok();
    let contact = || user(&["info", "nothing", "--registry", "host"]).fails(6, "nothing is not in");
    contact();
    assert!(!user(&["trust", "list"]).ok().stdout.contains(&log));
    // If it is away, a mirror of that log answers for it, and the log as last seen says what it lacks.
    fs::rename(forger.path("host"), forger.path("elsewhere")).unwrap();
    user(&["info", "grads", "--registry", "host,mirror"]).fails(0, "so a mirror of its log was");
    user(&["info", "nothing", "--registry", "host,mirror"]).fails(6, "nothing is not in");
    fs::rename(forger.path("elsewhere"), forger.path("host")).unwrap();
    // A yank that was seen is said with a pin, by a registry without a log.
    let yank = ["yank", "grads@1.0", "--reason", "blurred", "--registry", "reg", "--key", "me"];
    forger.isn(&yank).ok();
    fs::remove_dir_all(forger.path("host")).unwrap();
    forger.copy("reg", "host");
    contact();
    let without = br#"{"format":"isn-registry/1","description":""}"#;
    forger.write("bare/registry.json", without);
    fs::remove_dir_all(forger.path("bare/log")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&forger.bytes("out/manifest.json")).unwrap();
    let pin = format!("grads@1.0#{}", manifest["dataset"].as_str().unwrap());
    user(&["info", &pin, "--registry", "bare"]).fails(0, "grads@1.0 is yanked");
    // The first pull that succeeds records it.
    user(&["info", "other", "--registry", "host"]).fails(0, "first contact: registry ");
    assert!(user(&["trust", "list"]).ok().stdout.contains(&log));
    assert_eq!(user(&["info", "other", "--registry", "host"]).ok().stderr, "");
    // The location may become another registry, if the user says so before or after.
    for was_recorded in [true, false] {
        fs::remove_dir_all(forger.path("host")).unwrap();
        if !was_recorded {
            forger.copy("reg", "host");
            contact();
            fs::remove_dir_all(forger.path("host")).unwrap();
        }
        forger.isn(&["registry", "init", "host"]).ok();
        forger.isn(&["publish", "out", "--registry", "host", "--key", "me"]).ok();
        user(&["info", "grads", "--registry", "host"]).fails(4, "expected");
        user(&["trust", "remove", "host", &log]).ok();
        user(&["info", "grads", "--registry", "host"]).fails(0, "first contact");
        user(&["trust", "remove", "host", &forger.anchor("host").to_string()]).ok();
        forger.isn(&["trust", "remove", "host", &forger.anchor("host").to_string()]).ok();
    }
}
