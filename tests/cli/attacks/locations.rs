//! Texts that name a place: a URL that isn does not read, what is nearly one, and nothing at all are the
//! folder of no verb.

use std::collections::BTreeSet;

use crate::sandbox::Sandbox;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAseyEQCBeb1NGHyR87N4KsVrXrplS3fe+BHdSAZ+jig";

/// Every verb that takes a registry, which is the argument `REG`.
const REGISTRIES: &[&[&str]] = &[
    &["publish", "out", "--registry", "REG", "--key", "me"],
    &["registry", "init", "REG"],
    &["registry", "check", "REG"],
    &["registry", "rotate-key", "REG"],
    &["mirror", "reg", "REG"],
    &["mirror", "REG", "copy"],
    &["yank", "grads@1.0", "--reason", "x", "--registry", "REG", "--key", "me"],
    &["withdraw", "grads@1.0", "--reason", "x", "--registry", "REG", "--key", "me"],
    &["revoke", KEY, "--reason", "x", "--registry", "REG", "--key", "me"],
    &["key", "rotate", "me", "me", "--registry", "REG", "--key", "me"],
    &["owner", "add", "grads", "me", "--registry", "REG", "--key", "me"],
    &["owner", "show", "grads", "--registry", "REG"],
    &["trust", "add", "REG", KEY],
    &["trust", "remove", "REG", KEY],
    &["log", "verify", "--registry", "REG"],
    &["log", "unclaim", "--registry", "REG"],
    &["list", "--registry", "REG"],
    &["list", "--registry", "reg,REG"],
    &["info", "grads@1.0", "--registry", "REG"],
    &["pull", "grads@1.0", "--registry", "REG"],
    &["pull", "grads@1.0", "--registry", "reg,REG"],
    &["fetch", "grads@1.0", "--registry", "REG"],
    &["export", "grads@1.0", "--as", "npz", "--registry", "REG"],
    &["prove", "grads@1.0", "--registry", "REG"],
    &["diff", "grads@1.0", "grads@1.0", "--registry", "REG"],
    &["verify", "out", "--registry", "REG"],
    &["sync", "--registry", "REG"],
    #[cfg(feature = "serve")]
    &["serve", "REG"],
];

/// Every verb that writes to a path, which is the argument `PATH`.
const DESTINATIONS: &[&[&str]] = &[
    &["pull", "grads@1.0", "--registry", "reg", "--to", "PATH"],
    &["pull", "grads@1.0", "--registry", "reg", "--lock", "--to", "PATH"],
    &["build", "grads-1.0.toml", "--source", "raw", "--out", "PATH"],
    &["export", "grads@1.0", "--registry", "reg", "--as", "npz", "--to", "PATH"],
    &["export", "grads@1.0", "--registry", "reg", "--as", "imagefolder", "--to", "PATH"],
    &["demo", "source", "PATH"],
    &["man", "PATH"],
    &["prove", "grads@1.0", "--registry", "reg", "--out", "PATH"],
    &["diff", "grads@1.0", "grads@1.0", "--registry", "reg", "--html", "PATH"],
    &["audit", "duplicates", "raw", "--groups", "PATH"],
    &["audit", "images", "raw", "--html", "PATH"],
    &["yank", "grads@1.0", "--reason", "x", "--registry", "reg", "--key", "me", "--statement", "PATH"],
    &["ledger", "add", "PATH", "x", "remove", "--reason", "blank", "--reviewer", "me", "--source", "x"],
];

/// Texts that are neither a path nor a URL that isn reads, with what is said of them.
const TEXTS: [(&str, &str); 15] = [
    ("https:/x.org", "did you mean https://x.org?"),
    ("HTTPS:/x.org", "did you mean https://x.org?"),
    ("Https:x", "did you mean https://x?"),
    ("S3:/b", "did you mean s3://b?"),
    ("HTTP:x", "did you mean http://x?"),
    ("http:/", "is not a URL"),
    ("http;//x", "did you mean http://x?"),
    (" https:/x", "did you mean https://x?"),
    ("file:/srv/reg", "write the path, /srv/reg"),
    ("File:///srv/reg", "write the path, /srv/reg"),
    ("htps://x", "did you mean https://x?"),
    ("ssh://a/b", "https://, http://, s3://, gs:// or az://"),
    ("C:\\x", "is a path of Windows"),
    ("C:/x", "is a path of Windows"),
    ("a@b:reg", "is a folder on another machine"),
];

fn with<'a>(args: &[&'a str], text: &'a str) -> Vec<String> {
    args.iter().map(|arg| arg.replace("REG", text).replace("PATH", text)).collect()
}

fn names(sandbox: &Sandbox) -> BTreeSet<String> {
    let entries = std::fs::read_dir(sandbox.path("")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Runs each verb with each text, and checks the exit code, what is said, and that nothing is created.
fn all_refuse(verbs: &[&[&str]], texts: &[(&str, &str)], code: i32) {
    let (sandbox, _) = Sandbox::published();
    let before = names(&sandbox);
    let mut wrong = Vec::new();
    for verb in verbs {
        for (text, said) in texts {
            let args = with(verb, text);
            let ran = sandbox.isn(&args.iter().map(String::as_str).collect::<Vec<_>>());
            if ran.code != code || !ran.stderr.contains(said) {
                wrong.push(format!("{args:?}: {}: {}{}", ran.code, ran.stdout, ran.stderr));
            }
            for made in names(&sandbox).difference(&before) {
                wrong.push(format!("{args:?} made {made}"));
                let _ = std::fs::remove_dir_all(sandbox.path(made));
                let _ = std::fs::remove_file(sandbox.path(made));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let trusted = sandbox.isn(&["trust", "list"]).ok().stdout;
    assert!(!texts.iter().any(|(text, _)| !text.is_empty() && trusted.contains(text)), "{trusted}");
}

#[test]
fn what_is_no_url_that_isn_reads_is_the_registry_of_no_verb() {
    all_refuse(REGISTRIES, &TEXTS, 1);
}

#[test]
fn what_is_nearly_a_url_or_one_is_the_destination_of_no_verb() {
    let texts: Vec<(&str, &str)> = TEXTS
        .iter()
        .map(|&(text, _)| text)
        .chain(["https://x/y", "HTTPS://h/x", "s3://b/x"])
        .map(|text| (text, "write to a path"))
        .collect();
    all_refuse(DESTINATIONS, &texts, 1);
}

#[test]
fn what_is_nearly_a_url_or_one_is_no_home_and_no_cache() {
    let sandbox = Sandbox::new();
    for variable in ["ISN_HOME", "ISN_CACHE"] {
        for text in TEXTS.iter().map(|&(text, _)| text).chain(["https://x/y", "s3://b/x"]) {
            let mut new = sandbox.command(&["key", "new", "me", "--no-passphrase"]);
            let ran = crate::sandbox::ran(new.env(variable, text)).fails(1, "write to a path");
            assert!(ran.stderr.contains(&format!("of {variable} is no path")), "{}", ran.stderr);
        }
    }
    assert!(names(&sandbox).is_empty(), "{:?}", names(&sandbox));
}

#[test]
fn an_empty_argument_is_an_error_that_says_so() {
    const OTHERS: [&[&str]; 12] = [
        &["verify", "REG"],
        &["audit", "images", "REG"],
        &["diff", "out", "REG"],
        &["pull", "grads@1.0", "--registry", "reg", "--source", "REG"],
        &["build", "grads-1.0.toml", "--source", "REG", "--out", "new"],
        &["build", "grads-1.0.toml", "--source=REG", "--out", "new"],
        &["publish", "out", "--registry", "reg", "--key", "REG"],
        &["owner", "add", "grads", "REG", "--registry", "reg", "--key", "me"],
        &["key", "rotate", "REG", "me", "--registry", "reg", "--key", "me"],
        &["trust", "add", "reg", "REG"],
        &["registry", "init", "new", "--origin", "REG"],
        &["registry", "init", "new", "--log-key", "REG"],
    ];
    let alone = REGISTRIES.iter().filter(|verb| !verb.contains(&"reg,REG"));
    let verbs: Vec<&[&str]> = alone.chain(DESTINATIONS).chain(&OTHERS).copied().collect();
    all_refuse(&verbs, &[("", "it is empty")], 2);
}

#[test]
fn an_empty_registry_in_a_list_is_an_error() {
    let lists: Vec<&[&str]> = REGISTRIES.iter().filter(|verb| verb.contains(&"reg,REG")).copied().collect();
    all_refuse(&lists, &[("", "registry '' is empty")], 1);
    let (sandbox, _) = Sandbox::published();
    for (text, code) in [("reg,", 1), ("reg,,reg", 1), (",", 1), ("", 0), (" ", 0)] {
        let ran = sandbox.command(&["list"]).env("ISN_REGISTRY", text).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(code), "{text:?}: {said}");
        assert!(code == 0 || said.contains("registry '' of ISN_REGISTRY is empty"), "{text:?}: {said}");
    }
}

#[test]
fn every_verb_names_a_registry_in_the_same_way() {
    // These take a list, whose items are trimmed.
    let lists = ["list", "info", "pull", "fetch", "export", "prove", "diff", "verify", "sync"];
    let reads_list = |verb: &[&str]| {
        lists.contains(&verb[0]) || [["owner", "show"], ["log", "verify"]].iter().any(|two| verb[..2] == *two)
    };
    let single: Vec<&[&str]> = REGISTRIES.iter().filter(|verb| !reads_list(verb)).copied().collect();
    let why = "begins or ends with a blank";
    all_refuse(&single, &[(" odd", why), ("odd ", why), ("\u{a0}odd", why)], 1);
    // A folder with a comma in its name is one registry.
    let sandbox = Sandbox::built();
    sandbox.isn(&["publish", "out", "--registry", "a,b", "--key", "me"]).ok();
    for registry in ["a,b", "./a,b"] {
        let ran = sandbox.isn(&["list", "--registry", registry]).ok();
        assert!(ran.stdout.contains("grads  1.0"), "{}", ran.stdout);
    }
    sandbox.isn(&["list", "--registry", "a,c"]).fails(6, "there is no folder a");
}

#[test]
fn a_folder_of_an_odd_name_is_named_with_a_dot_before_it() {
    let (sandbox, pin) = Sandbox::published();
    for (number, (text, _)) in TEXTS.iter().filter(|(text, _)| !text.contains("://")).enumerate() {
        let (registry, tree) = (format!("./{text}/reg{number}"), format!("./{text}/tree{number}"));
        sandbox.isn(&["mirror", "reg", &registry]).ok();
        sandbox.isn(&["list", "--registry", &registry]).ok();
        sandbox.isn(&["pull", &pin, "--registry", &registry, "--to", &tree]).ok();
        sandbox.isn(&["verify", &tree]).ok();
    }
}
