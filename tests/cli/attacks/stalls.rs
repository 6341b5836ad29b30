//! Servers that send a little now and then, and could delay a client for as long as they like. A client that
//! waited would get the whole answer in the end, so each test would fail rather than hang.

use crate::forger::Forger;
use crate::sandbox::{Ran, Sandbox, ran};
use crate::server::{Fault, Server};

const ALWAYS: usize = usize::MAX;
/// Bytes a second: enough to send something before each timeout, and below any minimum throughput.
const SLOW: usize = 200;

/// Runs isn with short timeouts.
fn hasty(sandbox: &Sandbox, args: &[&str]) -> Ran {
    let mut command = sandbox.command(args);
    ran(command.env("ISN_TIMEOUT", "2").env("ISN_RETRIES", "0"))
}

/// Makes `registry.json` of a registry longer.
fn pad(sandbox: &Sandbox, registry: &str, length: usize) {
    let path = format!("{registry}/registry.json");
    let mut about = sandbox.read(&path);
    about.resize(length, b' ');
    sandbox.write(&path, &about);
}

#[test]
fn a_registry_that_drips_is_given_up_and_a_mirror_is_asked() {
    let (sandbox, pin) = Sandbox::published();
    let log: serde_json::Value = serde_json::from_slice(&sandbox.read("reg/registry.json")).unwrap();
    sandbox.copy("reg", "slow");
    pad(&sandbox, "slow", 8000);
    let slow = Server::faulty(&sandbox.path("slow"), "registry.json", ALWAYS, Fault::Throttle(SLOW));
    let good = Server::new(&sandbox.path("reg"));
    for place in [&slow.url, &good.url] {
        sandbox.isn(&["trust", "add", place, log["log_key"].as_str().unwrap()]).ok();
    }
    for reference in ["grads@1.0", &pin] {
        hasty(&sandbox, &["info", reference, "--no-cache", "--registry", &slow.url]).fails(5, "too slow");
    }
    let list = format!("{},{}", slow.url, good.url);
    let ran = hasty(&sandbox, &["info", "grads@1.0", "--no-cache", "--registry", &list]).ok();
    assert!(ran.stderr.contains("cannot be asked") && ran.stderr.contains("too slow"), "{}", ran.stderr);
}

#[test]
fn images_that_drip_come_from_a_mirror() {
    let (sandbox, pin) = Sandbox::published_large();
    // A frame now and then does not count as progress either.
    let slow = Server::faulty(&sandbox.path("reg"), ".tar.zst", ALWAYS, Fault::Throttle(SLOW));
    let good = Server::new(&sandbox.path("reg"));
    let args = ["pull", &pin, "--no-cache", "--to", "tree", "--registry"];
    hasty(&sandbox, &[&args[..], &[&slow.url]].concat()).fails(5, "too slow");
    let list = format!("{},{}", slow.url, good.url);
    hasty(&sandbox, &[&args[..], &[&list]].concat()).ok();
    sandbox.isn(&["verify", "tree", "--expect", &pin]).ok();
}

#[test]
fn a_registry_asked_only_for_a_notice_holds_nothing_up() {
    let forger = Forger::new();
    let classes = ["ant", "bee", "cat"];
    forger.recipe("grads", "1.0", &classes, "");
    forger.image_folder("raw-lab", &classes, 6);
    forger.as_user("labs", &["build", "grads-1.0.toml", "--source", "raw-lab", "--out", "lab-out"]).ok();
    forger.as_user("labs", &["key", "new", "them", "--no-passphrase"]).ok();
    forger.as_user("labs", &["publish", "lab-out", "--registry", "lab", "--key", "them"]).ok();
    let notice = "is a name in more than one log";
    let list = |server: &Server| format!("reg,{}", server.url);
    let lab = Server::new(&forger.path("lab"));
    let ran = forger.reader(&["info", "grads", "--registry", &list(&lab)]).ok();
    assert!(ran.stderr.contains(notice), "{}", ran.stderr);
    // Faster than any minimum throughput, but longer than the client waits.
    pad(&forger, "lab", 80_000);
    for fault in [Fault::Throttle(4000), Fault::Silence] {
        let lab = Server::faulty(&forger.path("lab"), "registry.json", ALWAYS, fault);
        let ran = forger.reader(&["info", "grads", "--registry", &list(&lab)]).ok();
        assert!(!ran.stderr.contains(notice), "{}", ran.stderr);
    }
}

#[test]
fn a_source_that_drips_is_not_mirrored() {
    let (sandbox, _) = Sandbox::published_large();
    let slow = Server::faulty(&sandbox.path("reg"), ".jsonl.zst", ALWAYS, Fault::Throttle(SLOW));
    hasty(&sandbox, &["mirror", &slow.url, "m"]).fails(5, "too slow");
    let slow = Server::faulty(&sandbox.path("reg"), ".tar.zst", ALWAYS, Fault::Throttle(SLOW));
    hasty(&sandbox, &["mirror", &slow.url, "m"]).fails(5, "too slow");
    assert!(!sandbox.path("m/registry.json").exists());
    let good = Server::new(&sandbox.path("reg"));
    hasty(&sandbox, &["mirror", &good.url, "m"]).ok();
}

#[test]
fn a_server_that_takes_a_request_and_never_answers() {
    let (sandbox, _) = Sandbox::published();
    sandbox.build_second_version();
    let server = Server::faulty(&sandbox.path("reg"), "-/publish", ALWAYS, Fault::Silence);
    let host = server.url.strip_prefix("http://").unwrap();
    let mut command = sandbox.command(&["publish", "out2", "--registry", &server.url, "--key", "me"]);
    command.env("ISN_TIMEOUT", "1").env("ISN_TOKENS", format!("{host}=2f6b0c3e9a7d4851b6c0d2e4f6a8091b"));
    ran(&mut command).fails(5, "no answer in 1 seconds");
}

#[test]
fn a_server_that_asks_for_one_pause_after_another_is_given_up() {
    let (sandbox, pin) = Sandbox::published();
    let busy = Server::faulty(&sandbox.path("reg"), "", ALWAYS, Fault::Later(503, "3"));
    let begun = std::time::Instant::now();
    let mut command = sandbox.command(&["info", &pin, "--no-cache", "--registry", &busy.url]);
    let ran = ran(command.env("ISN_TIMEOUT", "1").env("ISN_RETRIES", "50"));
    ran.fails(5, "is busy and asks to retry in 3 seconds");
    assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{:?}", begun.elapsed());
}
