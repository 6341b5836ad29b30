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
