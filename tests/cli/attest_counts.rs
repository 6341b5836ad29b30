//! What keys state to have built, counted where versions are shown.

use serde_json::{Value, json};

use crate::attest_log::smaller_build;
use crate::sandbox::Sandbox;

/// A registry `reg` with no version; ann's and bob's statements about the build `out`, of whom the user knows
/// ann alone, and those of dan about another recipe.
fn stated() -> Sandbox {
    let sandbox = Sandbox::built();
    sandbox.isn(&["registry", "init", "reg"]).ok();
    smaller_build(&sandbox, "small");
    for (key, build) in [("ann", "out"), ("bob", "out"), ("dan", "small")] {
        sandbox.isn(&["key", "new", key, "--no-passphrase"]).ok();
        sandbox.isn(&["attest", build, "--key", key, "--out", key]).ok();
        sandbox.isn(&["append", key, "--registry", "reg"]).ok();
        if key != "ann" {
            std::fs::remove_file(sandbox.path("home/keys").join(key)).unwrap();
            std::fs::remove_file(sandbox.path("home/keys").join(format!("{key}.pub"))).unwrap();
        }
    }
    sandbox
}

/// Appends what ann states with other fields, signed by a new key.
fn state(sandbox: &Sandbox, key: &str, fields: &[(&str, &str)]) {
    let text = String::from_utf8(sandbox.read("ann")).unwrap();
    let said = text.lines().take_while(|line| !line.is_empty()).map(|line| {
        let other = fields.iter().find(|(field, _)| line.split(' ').next() == Some(field));
        other.map_or_else(|| format!("{line}\n"), |(field, value)| format!("{field} {value}\n"))
    });
    let said: String = said.collect();
    assert!(fields.iter().all(|(field, value)| said.contains(&format!("\n{field} {value}\n"))), "{said}");
    sandbox.isn(&["key", "new", key, "--no-passphrase"]).ok();
    sandbox.write(key, said.as_bytes());
    let mut sign = sandbox.program("ssh-keygen");
    let private = sandbox.path("home/keys").join(key);
    let sign = sign.args(["-q", "-Y", "sign", "-n", "statement@isn.v1", "-f"]).arg(private).arg(key);
    assert!(sign.output().unwrap().status.success());
    sandbox.write(key, &[said.as_bytes(), b"\n", &sandbox.read(&format!("{key}.sig"))].concat());
    sandbox.isn(&["append", key, "--registry", "reg"]).ok();
}

/// Appends what a key states that the user does not know.
fn state_unknown(sandbox: &Sandbox, key: &str, fields: &[(&str, &str)]) {
    state(sandbox, key, fields);
    std::fs::remove_file(sandbox.path("home/keys").join(key)).unwrap();
    std::fs::remove_file(sandbox.path("home/keys").join(format!("{key}.pub"))).unwrap();
}

#[cfg(feature = "serve")]
fn requests(said: &str) -> Vec<String> {
    let of_line = |line: &str| Some(line.split_once("GET ")?.1.split_whitespace().next()?.to_string());
    said.lines().filter_map(of_line).collect()
}

#[test]
fn before_a_release_it_is_said_who_states_which_hash() {
    let sandbox = stated();
    let manifest = |build: &str| -> Value {
        serde_json::from_slice(&sandbox.read(&format!("{build}/manifest.json"))).unwrap()
    };
    let (two, one) = (manifest("out")["dataset"].clone(), manifest("small")["dataset"].clone());
    let ran = sandbox.isn(&["info", "grads@1.0", "--registry", "reg"]).ok();
    let said =
        format!("{}: 2 keys state that they built this, 1 of them known to you\n", two.as_str().unwrap());
    assert!(ran.stdout.starts_with("grads@1.0 is not released\n") && ran.stdout.contains(&said));
    let said = format!("{}: 1 key states that it built this, not known to you\n", one.as_str().unwrap());
    assert!(ran.stdout.contains(&said), "{}", ran.stdout);
    let known = sandbox.isn(&["info", "grads@1.0", "--registry", "reg", "--json"]).ok().json();
    let rebuilt = &known["registries"][0]["rebuilt"];
    assert_eq!((&known["released"], &rebuilt[0]["dataset"]), (&json!(false), &two));
    assert_eq!(
        (&rebuilt[0]["keys"], &rebuilt[0]["known"], &rebuilt[1]["keys"]),
        (&json!(2), &json!(1), &json!(1))
    );
    let listed = sandbox.isn(&["list", "--registry", "reg"]).ok().stdout;
    assert!(
        listed.contains("grads  1.0  (not released: 2 keys state that they built this, 1 of them"),
        "{listed}"
    );
    let listed = sandbox.isn(&["list", "--registry", "reg", "--json"]).ok().json();
    assert_eq!((&listed["stated"][0]["dataset"], &listed["stated"][1]["keys"]), (&two, &Value::Null));
    assert_eq!(listed["more_stated"], 1);
    // Of what nobody states there is nothing to say.
    sandbox.isn(&["info", "grads@1.1", "--registry", "reg"]).fails(6, "grads@1.1");
    sandbox.isn(&["info", "grads", "--registry", "reg"]).fails(6, "grads");
}

#[test]
fn only_what_agrees_with_a_release_is_counted() {
    let sandbox = stated();
    sandbox.publish("out");
    let expected = json!({ "keys": 2, "known": 1, "differ": [] });
    let line = "rebuilt    2 keys state that they built this, 1 of them known to you\n";
    let ran = sandbox.isn(&["info", "grads@1.0", "--registry", "reg"]).ok();
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    let info = sandbox.isn(&["info", "grads@1.0", "--registry", "reg", "--json"]).ok().json();
    assert_eq!(info["rebuilt"], expected);
    let pulled = sandbox.pull("grads@1.0", &["--to", "tree"]).ok();
    assert_eq!(pulled.json()["rebuilt"], expected);
    assert!(!pulled.stderr.contains("another hash"), "{}", pulled.stderr);
    let listed = sandbox.isn(&["list", "--registry", "reg"]).ok().stdout;
    assert!(listed.contains("grads  1.0 (2 keys state this hash, 1 of them known to you)"), "{listed}");
    // If the same recipe and ledger gave somebody another hash, it is said.
    state(&sandbox, "eve", &[("dataset", &format!("b3:{}", "0".repeat(64)))]);
    let ran = sandbox.isn(&["info", "grads@1.0", "--registry", "reg"]).ok();
    let said = ", known to you, built it from the same recipe and ledger, and states another hash: b3:000";
    assert!(ran.stderr.contains(said) && ran.stdout.contains(line), "{} {}", ran.stderr, ran.stdout);
}

/// Anybody can make any number of keys.
#[test]
fn a_full_list_is_said_to_be_full() {
    let sandbox = stated();
    sandbox.publish("out");
    let place = "reg/attestations/versions/grads/1.0";
    let mut full = sandbox.read(place);
    while full.len() < (256 << 10) - 1000 {
        isn_format::log::bundle::push(&mut full, &sandbox.read("ann")).unwrap();
    }
    sandbox.write(place, &full);
    for verb in ["info", "pull"] {
        let ran = sandbox.isn(&[verb, "grads@1.0", "--registry", "reg"]).ok();
        assert!(ran.stderr.contains("grads/1.0 is full"), "{}", ran.stderr);
        assert!(ran.stdout.contains("known to you"), "{}", ran.stdout);
    }
}

#[test]
fn strangers_neither_hide_known_keys_nor_fill_the_screen() {
    let sandbox = stated();
    sandbox.publish("out");
    let zeros = format!("b3:{}", "0".repeat(64));
    for key in ["x1", "x2", "x3"] {
        state_unknown(&sandbox, key, &[("inputs", &zeros)]);
    }
    // The manifest, with what it was built from, is not read.
    let list = ["list", "--registry", "reg"];
    let listed = sandbox.isn(&list).ok().stdout;
    assert!(listed.contains("1.0 (5 keys state this hash, 1 of them known to you)"), "{listed}");
    let json = sandbox.isn(&[&list[..], &["--json"]].concat()).ok().json();
    let same = &json["datasets"][0]["same_hash"]["1.0"];
    assert_eq!((&same["keys"], &same["known"], &same["inputs"]), (&json!(5), &json!(1), &Value::Null));
    // Each states something else.
    for number in 0..4 {
        let dataset = format!("b3:{}", number.to_string().repeat(64));
        state_unknown(&sandbox, &format!("y{number}"), &[("dataset", &dataset)]);
        state_unknown(&sandbox, &format!("z{number}"), &[("name", &format!("free-money-{number}"))]);
    }
    let ran = sandbox.isn(&["info", "grads@1.0", "--registry", "reg"]).ok();
    let said =
        "warning: 4 keys, not known to you, built it from the same recipe and ledger, and state another";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("built it from").count(), 1, "{}", ran.stderr);
    let listed = sandbox.isn(&list).ok().stdout;
    let said = "4 results of versions that are not released, stated by keys not known to you  (";
    assert!(listed.contains(said) && !listed.contains("free-money"), "{listed}");
    // Of names that are there, some are listed.
    for number in 0..11 {
        state_unknown(&sandbox, &format!("v{number}"), &[("version", &format!("2.{number}"))]);
    }
    let listed = sandbox.isn(&list).ok().stdout;
    assert_eq!(listed.matches("(not released: 1 key states").count(), 10, "{listed}");
    assert!(listed.contains("5 results of versions"), "{listed}");
}

/// A pull asks once, and only a registry that has something to say.
#[cfg(all(feature = "serve", target_os = "linux"))]
#[test]
fn counts_cost_a_pull_one_small_request_at_most() {
    let sandbox = stated();
    let pin = sandbox.publish("out");
    let served = crate::serve::Served::start(&sandbox, &[]);
    let pull = |more: &[&str]| {
        let _ = std::fs::remove_dir_all(sandbox.path("tree"));
        let args = ["pull", &pin, "--registry", &served.url, "--to", "tree", "--no-cache", "-v"];
        sandbox.isn(&[&args[..], more].concat()).ok()
    };
    let with = pull(&[]);
    assert!(with.stdout.contains("rebuilt  2 keys state"), "{}", with.stdout);
    let asked = format!("{}/attestations/versions/grads/1.0", served.url);
    let of_log = |said: &str| requests(said).into_iter().filter(|url| url.contains("/attestations/"));
    assert_eq!(of_log(&with.stderr).collect::<Vec<_>>(), [asked]);
    let about: Value = serde_json::from_slice(&sandbox.read("reg/registry.json")).unwrap();
    let without = json!({
        "format": about["format"], "description": about["description"], "log_key": about["log_key"]
    });
    sandbox.write("reg/registry.json", without.to_string().as_bytes());
    let none = pull(&[]);
    assert!(!none.stdout.contains("rebuilt"), "{}", none.stdout);
    assert_eq!(of_log(&none.stderr).count(), 0);
    assert_eq!(requests(&none.stderr).len() + 1, requests(&with.stderr).len());
}
