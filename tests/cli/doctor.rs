use std::fs;

use serde_json::Value;

use crate::sandbox::{Sandbox, ran};
use crate::server::{Fault, Server};

fn finding<'a>(report: &'a Value, what: &str) -> &'a Value {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().find(|one| one["what"] == what).unwrap_or_else(|| panic!("no {what} in {report}"))
}

#[test]
fn a_machine_in_order_and_one_that_is_not() {
    let (sandbox, _) = Sandbox::published();
    let server = Server::new(&sandbox.path("reg"));
    let doctor = |more: &[&str]| sandbox.isn(&[&["doctor", "--json"], more].concat());
    let report = doctor(&[]).ok().json();
    assert_eq!((&report["ok"], &report["facts"]["isn"]), (&true.into(), &env!("CARGO_PKG_VERSION").into()));
    assert!(!sandbox.path("home/cache").exists() && sandbox.leftovers().is_empty());
    let report = doctor(&["--registry", &server.url]).ok().json();
    assert_eq!(finding(&report, &format!("registry {}", server.url))["state"], "ok", "{report}");
    let text = sandbox.isn(&["doctor", "--registry", "reg"]).ok().stdout;
    assert!(text.contains("ok     registry reg: log "), "{text}");

    let no_parts = Server::faulty(&sandbox.path("reg"), "", usize::MAX, Fault::IgnoreRange);
    let report = doctor(&["--registry", &no_parts.url]).ok().json();
    assert_eq!(finding(&report, &format!("registry {}", no_parts.url))["state"], "note", "{report}");
    for (registry, cure) in [
        ("http://127.0.0.1:1", "proxy"),
        ("http://no-such-host.invalid", "DNS"),
        ("nowhere", "--registry"),
        ("raw", "--registry"),
    ] {
        let report = doctor(&["--registry", registry]).fails(8, cure).json();
        let found = finding(&report, &format!("registry {registry}"));
        assert_eq!((&found["state"], &report["ok"]), (&"wrong".into(), &false.into()), "{report}");
    }
    let offline = doctor(&["--registry", &server.url, "--offline"]).fails(8, "ISN_OFFLINE").json();
    assert_eq!(offline["ok"], false);
}

#[cfg(unix)]
#[test]
fn secrets_are_not_shown_and_must_not_be_readable() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    let mut command = sandbox.command(&["doctor", "--json"]);
    command.env("https_proxy", "http://user:hunter2@proxy:3128").env("ISN_TOKENS", "h=hunter2");
    command.env("ISN_PASSPHRASE", "hunter2");
    let ended = ran(&mut command).ok();
    assert!(
        !ended.stdout.contains("hunter2") && ended.stdout.contains("http://…@proxy:3128"),
        "{}",
        ended.stdout
    );
    fs::set_permissions(sandbox.path("home/keys/me"), fs::Permissions::from_mode(0o644)).unwrap();
    let report = sandbox.isn(&["doctor", "--json"]).fails(8, "chmod 600").json();
    assert_eq!(finding(&report, "secrets")["state"], "wrong");
    let mut command = sandbox.command(&["doctor", "--json"]);
    command
        .env("ISN_CACHE", sandbox.path("home/keys/me"))
        .env("ISN_CA_BUNDLE", sandbox.path("home/keys/me.pub"));
    let report = ran(&mut command).fails(8, "ISN_CACHE").json();
    for what in ["cache", "certificates"] {
        assert_eq!(finding(&report, what)["state"], "wrong", "{report}");
    }
}

/// A registry whose log cannot be read is of no use for names.
#[cfg(unix)]
#[test]
fn a_checkpoint_that_cannot_be_read_is_found() {
    let (sandbox, _) = Sandbox::published();
    let checkpoint = sandbox.path("reg/log/checkpoint");
    fs::remove_file(&checkpoint).unwrap();
    std::os::unix::fs::symlink("checkpoint", &checkpoint).unwrap();
    let report = sandbox.isn(&["doctor", "--registry", "reg", "--json"]).fails(8, "log/checkpoint").json();
    let findings = report["findings"].as_array().unwrap();
    let wrong = findings.iter().find(|one| one["state"] == "wrong" && one["what"] == "registry reg").unwrap();
    assert!(wrong["cure"].as_str().unwrap().contains("ls -l"), "{wrong}");
    fs::remove_file(&checkpoint).unwrap();
    sandbox.isn(&["doctor", "--registry", "reg"]).fails(8, "has no log/checkpoint");
    fs::write(&checkpoint, "no checkpoint").unwrap();
    let said = sandbox.isn(&["doctor", "--registry", "reg"]).fails(8, "isn verify REGISTRY").stdout;
    assert!(!said.contains("ok     registry"), "{said}");
}
