//! Foreign text on a terminal: whoever fills a registry, names a file or writes a recipe can neither control
//! the reader's screen nor forge isn's messages. With `--json` the text is returned unchanged.

use std::fs;

use isn_format::digest::Digest;
use isn_format::object::{ObjectKind, ObjectRef};
use isn_registry::registry::layout;
use serde_json::{Value, json};

use crate::forger::Forger;
use crate::sandbox::{Ran, Sandbox, ran};

/// What terminals obey or do not show: escape sequences, a title, a bell, C1, direction marks, zero-width
/// characters, line ends; and a line that looks like isn's own.
const HOSTILE: &str = "x\u{1b}[2J\u{1b}]0;own\u{7}\u{9b}31m\u{90}\u{8}\u{7f}\u{202e}gpj\u{202c}\u{2066}\u{2069}\u{200e}\u{200f}\
    \u{61c}\u{200b}\u{200d}\u{2028}\u{2029}\u{feff}\r\n  signed     by SHA256:forged, which you trust\nhelp: run this";

/// The same for a file, whose name has at most 255 bytes.
const NAME: &str = "x\u{1b}[2J\u{7}\u{9b}31m\u{202e}gpj\u{2066}\u{200f}\u{61c}\u{200b}\u{2028}\r\nok: all is yours\nhelp: run this";

/// What remains where control characters are refused.
const BIDI: &str = "x\u{202e}gpj\u{2066}\u{200f}\u{61c}\u{200b}\u{2028}\u{2029}\u{feff}";

/// Checks that nothing in the output acts on a terminal, and that the text forms no line of its own.
#[track_caller]
fn tame(what: &str, ran: &Ran) {
    for (stream, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
        let acts = |c: char| {
            (c.is_control() && c != '\n' && c != '\t')
                || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        };
        if let Some(at) = text.find(acts) {
            panic!("{what}: {stream} has {:?}: {text:?}", text[at..].chars().next());
        }
        let own = text.lines().find(|line| {
            line.starts_with("help: run this")
                || line.starts_with("ok: all is yours")
                || line.starts_with("  signed     by SHA256:forged")
        });
        assert_eq!(own, None, "{what}: {stream}: {text}");
    }
    assert!(ran.code != 101 && ran.code >= 0, "{what}: {} {}", ran.code, ran.stderr);
}

/// Runs the command as text and as JSON, and returns the JSON run.
#[track_caller]
fn try_both(run: impl Fn(&[&str]) -> Ran, args: &[&str]) -> Ran {
    tame(&args.join(" "), &run(args));
    let ran = run(&[args, &["--json"]].concat());
    tame(&format!("{} --json", args.join(" ")), &ran);
    ran
}

/// Returns `grads@1.1` with hostile text wherever a manifest and its classes allow any.
fn hostile_version() -> Forger {
    let forger = Forger::new();
    let recipe = String::from_utf8(forger.bytes("grads-1.1.toml")).unwrap();
    let label = format!("label = \"the {BIDI} ant\"\ngroup = \"{BIDI}\"");
    forger.write("bad.toml", recipe.replace("label = \"the ant\"", &label).as_bytes());
    forger.isn(&["build", "bad.toml", "--source", "raw2", "--out", "bad"]).ok();
    for folder in ["objects", "packs"] {
        forger.copy(&format!("bad/{folder}"), &format!("reg/{folder}"));
    }
    let mut manifest: Value = serde_json::from_slice(&forger.bytes("bad/manifest.json")).unwrap();
    for field in ["title", "description", "licence", "citation", "source"] {
        manifest[field] = json!(HOSTILE);
    }
    manifest["authors"] = json!([HOSTILE]);
    let bytes = serde_json::to_vec_pretty(&manifest).unwrap();
    let built = Digest::of(&forger.bytes("bad/manifest.json"));
    let forged = ObjectRef::of(&bytes);
    forger.write(&format!("reg/{}", layout::object(ObjectKind::Manifest, &forged.blake3)), &bytes);
    if forger.path(&format!("reg/{}", layout::packs(&built))).exists() {
        let packs = forger.bytes(&format!("reg/{}", layout::packs(&built)));
        forger.write(&format!("reg/{}", layout::packs(&forged.blake3)), &packs);
    }
    forger.write("forged/manifest.json", &bytes);
    forger.append(&forger.release("forged", "1.1", &["me"]));
    forger
}

/// A command that the help line offers keeps its arguments intact, whatever a registry is called.
#[cfg(unix)]
#[test]
fn a_command_that_help_offers_has_the_name_of_a_registry_as_one_word() {
    let (sandbox, _) = Sandbox::published();
    for name in ["a b", "x;touch owned", "$(touch owned)", "it's `touch owned`", "-rf", "a&b|c>d", "~", "*"] {
        sandbox.copy("reg", &format!("away/{name}"));
        let place = sandbox.path("away").join(name);
        let mut command = sandbox.command(&["info", "grads@1.0", "--registry"]);
        command.arg(&place).env("ISN_HOME", sandbox.path("home-of-a-stranger"));
        let ran = ran(&mut command).fails(4, "isn trust add");
        let line = ran.stderr.lines().find(|line| line.trim_start().starts_with("isn trust add")).unwrap();
        let script = format!("isn() {{ printf '%s\\n' \"$3\"; }}\n{line}");
        let said =
            std::process::Command::new("sh").args(["-c", &script]).current_dir(sandbox.path("away")).output();
        let said = String::from_utf8(said.unwrap().stdout).unwrap();
        assert_eq!(said.trim_end_matches('\n'), place.to_str().unwrap(), "{line}");
        assert!(!sandbox.path("away/owned").exists(), "{line}");
    }
}

#[test]
fn text_of_a_registry_in_every_verb_that_reads_one() {
    let forger = hostile_version();
    let run = |args: &[&str]| forger.reader(args);
    for args in [
        &["info", "grads@1.1"][..],
        &["pull", "grads@1.1", "--to", "tree"],
        &["fetch", "grads@1.1"],
        &["images", "grads@1.1"],
        &["cite", "grads@1.1"],
        &["cite", "grads@1.1", "--format", "plain"],
        &["cite", "grads@1.1", "--format", "cff"],
        &["verify", "grads@1.1"],
        &["diff", "grads@1.0", "grads@1.1", "--html", "diff.html"],
        &["audit", "balance", "grads@1.1"],
        &["audit", "all", "grads@1.1"],
        &["audit", "labels", "grads@1.1", "--pixels"],
        &["verify-source", "grads@1.1", "--source", "raw"],
        &["prove", "grads@1.1"],
        &["owner", "show", "grads"],
        &["list"],
        &["log", "show"],
        &["log", "verify"],
        &["log", "watch", "--once"],
        &["doctor"],
    ] {
        try_both(run, &[args, &["--registry", "reg"]].concat());
    }
    for format in ["webdataset", "croissant", "imagefolder"] {
        for more in [&[][..], &["--json"]] {
            let _ = fs::remove_dir_all(forger.path("out-of-it"));
            let args = ["export", "grads@1.1", "--as", format, "--to", "out-of-it", "--registry", "reg"];
            let ran = run(&[&args[..], more].concat()).ok();
            tame(format, &ran);
        }
    }
    try_both(run, &["registry", "check", "reg"]);
    try_both(run, &["verify", "reg"]);
    try_both(run, &["mirror", "reg", "copy"]);
    try_both(run, &["verify", "tree"]);

    let info = run(&["info", "grads@1.1", "--registry", "reg"]).ok().stdout;
    let signed: Vec<&str> = info.lines().filter(|line| line.starts_with("  signed ")).collect();
    assert_eq!(signed.len(), 1, "{info}");
    assert!(info.contains("  |   signed     by SHA256:forged"), "{info}");
    let exact = run(&["info", "grads@1.1", "--registry", "reg", "--json"]).ok().json();
    for field in ["title", "description", "licence", "citation", "source"] {
        assert_eq!(exact[field], HOSTILE, "{field}");
    }
    assert_eq!(exact["authors"], json!([HOSTILE]));
}

#[test]
fn hints_of_a_registry_in_isn_list() {
    let (sandbox, _) = Sandbox::published();
    let run = |args: &[&str]| sandbox.isn(args);
    for file in ["names", "grads/versions"] {
        let path = format!("reg/releases/{file}");
        let good = sandbox.read(&path);
        for hints in [
            format!("{HOSTILE}\n"),
            format!("grads{BIDI}\n1.0{BIDI}\n"),
            "1.0\u{1b}[2J\ngrads\u{9b}2J\n".to_string(),
        ] {
            sandbox.write(&path, hints.as_bytes());
            try_both(run, &["list", "--registry", "reg"]);
            try_both(run, &["pull", "grads", "--registry", "reg", "--to", "t"]);
        }
        sandbox.write(&path, &good);
    }
    for file in ["registry.json", "log/checkpoint"] {
        let path = format!("reg/{file}");
        let good = sandbox.read(&path);
        let text = String::from_utf8(good.clone()).unwrap();
        for bad in [HOSTILE.to_string(), text.replacen("isn", HOSTILE, 1), text.replacen('\n', HOSTILE, 1)] {
            sandbox.write(&path, bad.as_bytes());
            for verb in ["list", "doctor"] {
                try_both(run, &[verb, "--registry", "reg"]);
            }
            try_both(run, &["log", "verify", "--registry", "reg"]);
            try_both(run, &["pull", "grads", "--registry", "reg", "--to", "t"]);
            try_both(run, &["registry", "check", "reg"]);
        }
        sandbox.write(&path, &good);
    }
}

#[cfg(unix)]
#[test]
fn names_of_files_in_every_verb_that_looks_at_some() {
    let (sandbox, pin) = Sandbox::published();
    let run = |args: &[&str]| sandbox.isn(args);
    sandbox.pull(&pin, &["--to", "tree"]).ok();
    sandbox.write(&format!("tree/{NAME}"), b"x");
    let faults = try_both(run, &["verify", "tree"]).fails(3, "").json()["faults"].clone();
    let is_it = |fault: &Value| fault.as_object().unwrap().values().any(|value| value == NAME);
    assert!(faults.as_array().unwrap().iter().any(is_it), "{faults}");
    let picture = sandbox.read("raw/ant/ant_0.png");
    for folder in [
        "reg",
        "reg/objects",
        "reg/releases",
        "reg/log",
        "out",
        "home/cache/objects",
        "home/keys",
        "home/logs",
    ] {
        sandbox.write(&format!("{folder}/{NAME}"), b"x");
    }
    sandbox.write(&format!("raw/ant/{NAME}.png"), &picture);
    sandbox.write(&format!("raw/bee/{NAME}.png"), b"no image");
    sandbox.write(&format!("raw/{NAME}/a.png"), &picture);
    sandbox.recipe("other", "1.0", &["ant", "bee", "cat"], "");
    for args in [
        &["verify", "reg"][..],
        &["registry", "check", "reg"],
        &["verify", "out"],
        &["mirror", "reg", "copy"],
        &["cache", "info"],
        &["cache", "verify"],
        &["cache", "gc", "--dry-run"],
        &["key", "list"],
        &["log", "evidence"],
        &["doctor", "--registry", "reg"],
        &["source", "check", "raw", "--recipe", "other-1.0.toml"],
        &["build", "other-1.0.toml", "--source", "raw", "--out", "other"],
        &["verify-source", &pin, "--source", "raw", "--registry", "reg"],
        &["pull", &pin, "--source", "raw", "--registry", "reg", "--to", "rebuilt"],
        &["audit", "all", "raw"],
        &["audit", "duplicates", "raw"],
        &["audit", "images", "raw"],
        &["audit", "balance", "raw"],
        &["audit", "labels", "raw", "--pixels"],
        &["diff", "tree", "out"],
    ] {
        try_both(run, args);
    }
}

#[cfg(unix)]
#[test]
fn arguments_in_every_verb() {
    let (sandbox, pin) = Sandbox::published();
    let run = |args: &[&str]| sandbox.isn(args);
    let path = format!("./{NAME}");
    for text in [NAME, HOSTILE, &path, &format!("grads@1.0{NAME}"), &format!("https://{NAME}.invalid/{NAME}")]
    {
        for args in [
            &["pull", text][..],
            &["pull", "grads", "--registry", text],
            &["pull", &pin, "--registry", "reg", "--to", text],
            &["pull", &pin, "--registry", "reg", "--images", text],
            &["pull", &pin, "--registry", "reg", "--split", text],
            &["pull", &pin, "--registry", "reg", "--class", text],
            &["fetch", text],
            &["export", &pin, "--registry", "reg", "--as", text],
            &["export", &pin, "--registry", "reg", "--as", "npz", "--to", text],
            &["sync", "--registry", text],
            &["verify", text],
            &["verify", "--proof", text],
            &["verify", "out", "--expect", text],
            &["info", text],
            &["images", text],
            &["list", "--registry", text],
            &["diff", text, text],
            &["cite", text],
            &["build", text, "--source", text, "--out", text],
            &["build", "grads-1.0.toml", "--source", text, "--out", text],
            &["source", "check", text, "--recipe", "grads-1.0.toml"],
            &["verify-source", text, "--source", text],
            &["audit", "labels", text, "--pixels"],
            &["audit", "labels", "raw", "--probs", text],
            &["audit", "duplicates", text],
            &["audit", "images", text],
            &["audit", "balance", text],
            &["audit", "all", text, "--html", text],
            &["publish", text, "--registry", "reg", "--key", text],
            &["publish", "out", "--registry", "reg", "--key", text],
            &["sign", text, "--key", "me"],
            &["append", text, "--registry", "reg"],
            &["owner", "show", text],
            &["owner", "add", "grads", text, "--registry", "reg", "--key", "me"],
            &["revoke", text, "--reason", text, "--registry", "reg", "--key", "me"],
            &["yank", "grads@1.0", "--reason", text, "--registry", "reg", "--key", "me"],
            &["withdraw", text, "--reason", "x", "--registry", "reg", "--key", "me"],
            &["log", "show", "--registry", text],
            &["log", "verify", "--registry", text],
            &["log", "watch", "--once", "--registry", text],
            &["prove", text],
            &["prove", &pin, "--registry", "reg", "--out", text],
            &["key", "new", text],
            &["key", "show", text],
            &["key", "rotate", text, text, "--registry", "reg", "--key", "me"],
            &["trust", "add", text, text],
            &["trust", "add", "reg", text],
            &["trust", "remove", text, text],
            &["registry", "init", text],
            &["registry", "check", text],
            &["registry", "rotate-key", text],
            &["mirror", text, text],
            &["ledger", "show", text],
            &["ledger", "add", text, text, text],
            &["ledger", "add", "l.csv", text, "keep", "--reason", "correct", "--reviewer", text],
            &["ledger", "import", "l.csv", text, "--source", text],
            &["ledger", "check", text],
            &["ledger", "diff", text, text],
            &["cache", "gc", "--max-size", text],
            &["doctor", "--registry", text],
            &["demo", "source", &format!("grads-1.0.toml/{text}")],
            &[text],
            &["--jobs", text, "list"],
            &["help", text],
        ] {
            let offline = [args, &["--offline"]].concat();
            tame(&args.join(" "), &run(&offline));
        }
        tame("json", &run(&["info", text, "--json", "--offline"]));
        #[cfg(feature = "serve")]
        for args in [
            &["serve", &format!("grads-1.0.toml/{text}")][..],
            &["review", "raw", "--ledger", text, "--reviewer", text],
        ] {
            tame(&args.join(" "), &run(args));
        }
    }
}

#[test]
fn files_that_are_read_and_quoted() {
    let (sandbox, pin) = Sandbox::published();
    let run = |args: &[&str]| sandbox.isn(args);
    let toml = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    let ledger = "kind,source_id,says,labels,reason,source,reviewer,date,evidence\n";
    let row = |text: &str| {
        format!("{ledger}claim,\"{text}\",label,\"{text}\",,\"{text}\",,2026-01-01,\"{text}\"\n")
    };
    sandbox.recipe("led", "1.0", &["ant", "bee", "cat"], "\n[corrections]\nfile = \"l.csv\"\n");
    sandbox.write("good.csv", ledger.as_bytes());
    for text in [HOSTILE, NAME, BIDI] {
        let quoted = text.replace('\r', "").replace('\n', " ");
        for bad in [
            text.to_string(),
            format!("[\"{quoted}"),
            format!("\"{quoted}\" = 1\n{toml}"),
            toml.replace("Drawn gradients", &quoted),
            toml.replace("id = \"ant\"", &format!("id = \"{quoted}\"")),
            toml.replace("imagefolder", &quoted),
        ] {
            sandbox.write("bad.toml", bad.as_bytes());
            try_both(run, &["build", "bad.toml", "--source", "raw", "--out", "bad"]);
            try_both(run, &["source", "check", "raw", "--recipe", "bad.toml"]);
            try_both(run, &["ledger", "check", "bad.toml"]);
            for file in ["isn.toml", "isn.lock", "home/trust.toml", "home/config.toml", "home/tokens.toml"] {
                let before = fs::read(sandbox.path(file)).ok();
                sandbox.write(file, bad.as_bytes());
                for args in [&["sync"][..], &["list"], &["trust", "list"], &["doctor"]] {
                    tame(file, &run(&[args, &["--offline"]].concat()));
                }
                let _ = before.map_or_else(
                    || fs::remove_file(sandbox.path(file)),
                    |old| fs::write(sandbox.path(file), old),
                );
            }
        }
        for bad in [
            text.to_string(),
            row(text),
            row(text).replace("label", "nothing"),
            format!("{ledger}claim,{BIDI},label,ant,,{BIDI},,2026-01-01,{BIDI}\n"),
            format!("source_id,labels\n\"{text}\",\"{text}\"\n"),
            format!(
                "{ledger}decision,{BIDI},keep,,correct,,{BIDI},2026-01-01,{BIDI}\ndecision,{BIDI},remove,,other,,b,2026-01-01,\n"
            ),
        ] {
            sandbox.write("l.csv", bad.as_bytes());
            for args in [
                &["ledger", "show", "l.csv"][..],
                &["ledger", "check", "led-1.0.toml", "--source", "raw"],
                &["ledger", "diff", "good.csv", "l.csv"],
                &["ledger", "import", "i.csv", "l.csv", "--source", "x"],
                &["build", "led-1.0.toml", "--source", "raw", "--out", "led"],
                &["audit", "labels", "raw", "--labels", "l.csv", "--probs", "l.csv"],
                &["pull", &pin, "--registry", "reg", "--images", "l.csv", "--to", "t"],
                &["sign", "l.csv", "--key", "me"],
                &["append", "l.csv", "--registry", "reg"],
                &["verify", "--proof", "l.csv"],
                &["trust", "add", "reg", "l.csv"],
            ] {
                try_both(run, args);
            }
            let _ = fs::remove_dir_all(sandbox.path("led"));
        }
        for (file, args) in [
            ("tree/ISN.json", &["verify", "tree"][..]),
            ("tree/B3SUMS", &["verify", "tree"]),
            ("tree/classes.csv", &["verify", "tree"]),
            ("bad-build/manifest.json", &["verify", "bad-build"]),
        ] {
            sandbox.write(file, text.as_bytes());
            try_both(run, args);
        }
    }
}

#[cfg(all(feature = "serve", target_os = "linux"))]
#[test]
fn what_a_client_asks_of_a_server_that_logs() {
    use std::io::{Read as _, Write as _};

    let (sandbox, _) = Sandbox::published();
    let server = crate::serve::Served::start(&sandbox, &["--log"]);
    for path in [HOSTILE, NAME, BIDI, "\u{9b}2J\u{202e}", "%1b[2J%0d%0ahelp:%20run%20this"] {
        let mut stream = server.connect();
        let head = format!(
            "GET /{path} HTTP/1.1\r\nHost: {BIDI}\r\nUser-Agent: {BIDI}\r\nConnection: close\r\n\r\n"
        );
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let _ = server.get("registry.json");
    server.signal("-TERM");
    let ran = server.end();
    assert!(ran.stderr.contains("/registry.json"), "{}", ran.stderr);
    tame("serve --log", &ran);
}
