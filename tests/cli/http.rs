use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::sandbox::{Ran, Sandbox, contents, has_tool, hash_of};
use crate::server::{Fault, Server};

/// Pulls a whole tree `whole`, for comparison, from the folder `reg`.
fn published() -> (Sandbox, String) {
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull(&pin, &["--to", "whole"]).ok();
    (sandbox, pin)
}

fn images(sandbox: &Sandbox, tree: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = contents(&sandbox.path(tree));
    files.retain(|(name, _)| name != "ISN.json");
    files
}

fn pull(sandbox: &Sandbox, server: &Server, reference: &str, to: &str) -> Ran {
    sandbox.isn(&["pull", reference, "--registry", &server.url, "--to", to, "--no-cache", "--json"])
}

/// Selects every other image, so that ranges begin in the middle of the shard.
fn classes(sandbox: &Sandbox, server: &Server, pin: &str, to: &str) -> Ran {
    let args = ["pull", pin, "--registry", &server.url, "--to", to, "--class", "bee", "--no-cache", "--json"];
    sandbox.isn(&args)
}

#[test]
fn a_static_server_is_a_registry() {
    let (sandbox, pin) = published();
    let server = Server::new(&sandbox.path("reg"));
    pull(&sandbox, &server, "grads@1.0", "tree")
        .fails(4, &format!("isn trust add {} 'ssh-ed25519", server.url));
    sandbox.trust_me(&server.url);
    for (to, reference) in [("a", "grads@1.0"), ("b", "grads"), ("c", &pin), ("d", hash_of(&pin))] {
        let report = pull(&sandbox, &server, reference, to).ok().json();
        assert_eq!(images(&sandbox, to), images(&sandbox, "whole"));
        assert_eq!(report["registry"], server.url.as_str());
    }
    let slash = format!("{}/", server.url);
    let list = sandbox.isn(&["list", "--registry", &slash]).ok().stdout;
    assert!(list.contains("grads  1.0"), "{list}");
    sandbox.isn(&["verify", "grads@1.0", "--registry", &slash]).ok();
    pull(&sandbox, &server, "grads@7.0", "none").fails(6, "grads@7.0 is not in registry");
    pull(&sandbox, &server, "nothing", "none").fails(6, "nothing is not in registry");
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn requests_that_need_no_answer_go_out_together() {
    let (sandbox, pin) = published();
    let rounds = |args: &[&str]| {
        let server =
            Server::faulty(&sandbox.path("reg"), "", usize::MAX, Fault::Rounds(Duration::from_millis(600)));
        sandbox.trust_me(&server.url);
        sandbox.isn(&[args, &["--registry", &server.url]].concat()).ok();
        (server.rounds(), server.log())
    };
    for (most, args) in [
        (4, &["pull", "grads@1.0", "--to", "a", "--no-cache"][..]),
        (5, &["pull", "grads", "--to", "b", "--no-cache"]),
        (4, &["pull", &pin, "--to", "c", "--no-cache"]),
        (5, &["pull", hash_of(&pin), "--to", "d", "--no-cache"]),
        (4, &["pull", "grads@1.0", "--to", "e", "--class", "bee", "--no-cache"]),
        (4, &["fetch", "grads@1.0"]),
        (3, &["info", "grads@1.0"]),
        (2, &["cite", "grads@1.0"]),
    ] {
        let (rounds, log) = rounds(args);
        assert!(rounds <= most, "{args:?}: {rounds} rounds: {log:#?}");
        let mut paths: Vec<&str> = log.iter().map(|request| request.path.as_str()).collect();
        paths.retain(|path| !path.ends_with(".tar.zst"));
        let requests = paths.len();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), requests, "{args:?} asks twice: {log:#?}");
    }
}

#[test]
fn a_part_asks_for_a_range_and_no_more_comes() {
    let (sandbox, pin) = published();
    let server = Server::new(&sandbox.path("reg"));
    let report = classes(&sandbox, &server, &pin, "bees").ok().json();
    let log = server.log();
    let shards: Vec<_> = log.iter().filter(|request| request.path.ends_with(".tar.zst")).collect();
    assert!(!shards.is_empty() && shards.iter().all(|request| request.range.is_some()), "{log:?}");
    let sent: usize = log.iter().filter(|r| r.sent != b"no file".len()).map(|r| r.sent).sum();
    assert_eq!(report["fetched_bytes"], sent, "{log:?}");
    sandbox.isn(&["verify", "bees", "--expect", &pin]).ok();
}

#[test]
fn faults_that_a_client_can_live_with() {
    let (sandbox, pin) = published();
    for (at, (on, times, fault)) in [
        (".tar.zst", usize::MAX, Fault::IgnoreRange),
        (".tar.zst", 1, Fault::LateRange(100)),
        (".tar.zst", 2, Fault::Cut(1000)),
        (".tar.zst", 1, Fault::Cut(0)),
        (".json", 1, Fault::Cut(100)),
        (".jsonl.zst", 2, Fault::Cut(100)),
        ("releases", 2, Fault::Status(503)),
        (".tar.zst", 2, Fault::Status(503)),
        (".jsonl.zst", 1, Fault::Status(429)),
        ("releases", 1, Fault::Redirect),
    ]
    .into_iter()
    .enumerate()
    {
        let server = Server::faulty(&sandbox.path("reg"), on, times, fault.clone());
        let to = format!("tree{at}");
        let ran = pull(&sandbox, &server, &pin, &to);
        assert_eq!(ran.code, 0, "{fault:?} on {on}: {}", ran.stderr);
        assert_eq!(images(&sandbox, &to), images(&sandbox, "whole"), "{fault:?} on {on}");
        let bees = format!("bees{at}");
        let server = Server::faulty(&sandbox.path("reg"), on, times, fault.clone());
        let ran = classes(&sandbox, &server, &pin, &bees);
        assert_eq!(ran.code, 0, "{fault:?} on {on}: {}", ran.stderr);
        sandbox.isn(&["verify", &bees, "--expect", &pin]).ok();
    }
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn faults_that_end_a_pull_leave_no_tree_and_the_next_pull_succeeds() {
    let (sandbox, pin) = published();
    for (on, fault, code, message) in [
        (".tar.zst", Fault::NoContentRange, 5, "sent a part without saying which"),
        (".tar.zst", Fault::LateRange(1), 5, "sent bytes from"),
        (".tar.zst", Fault::WrongBytes, 3, "shard"),
        (".tar.zst", Fault::Gzip, 5, "compressed the file in transit"),
        (".json", Fault::Gzip, 5, "compressed the file in transit"),
        (".tar.zst", Fault::Redirect, 5, "redirect"),
        (".tar.zst", Fault::Status(503), 5, "503"),
        (".tar.zst", Fault::Status(403), 5, "403"),
        (".tar.zst", Fault::Status(404), 3, "is missing"),
        (".json", Fault::Status(404), 3, "is missing"),
        ("releases", Fault::Status(404), 6, "is not in registry"),
        (".tar.zst", Fault::Cut(0), 5, ".tar.zst"),
    ] {
        let server = Server::faulty(&sandbox.path("reg"), on, usize::MAX, fault.clone());
        // The images of this class begin after the start of the shard, so wrong bytes differ
        // from the right ones.
        let args = [
            "pull",
            &pin,
            "--registry",
            &server.url,
            "--to",
            "tree",
            "--class",
            "bee",
            "--no-cache",
            "--json",
        ];
        let ran = sandbox.isn(&args);
        assert_eq!(ran.code, code, "{fault:?} on {on}: {}", ran.stderr);
        assert!(ran.stderr.contains(message), "{fault:?} on {on}: {}", ran.stderr);
        assert!(ran.stderr.contains(&server.url), "{fault:?} on {on}: {}", ran.stderr);
        assert_eq!(ran.json()["exit_code"], code);
        assert!(!sandbox.path("tree").exists(), "{fault:?} on {on}");
    }
    let server = Server::new(&sandbox.path("reg"));
    classes(&sandbox, &server, &pin, "tree").ok();
    sandbox.isn(&["verify", "tree", "--expect", &pin]).ok();
    // No server listens at all.
    sandbox
        .isn(&["pull", &pin, "--registry", "http://127.0.0.1:1", "--to", "none"])
        .fails(5, "cannot be reached");
}

#[test]
fn what_came_before_a_cut_is_not_fetched_again() {
    let (sandbox, pin) = published();
    let whole = pull(&sandbox, &Server::new(&sandbox.path("reg")), &pin, "one").ok().json();
    let shard = sandbox.read(&sandbox.objects("reg", ".tar.zst")[0]).len();
    let cut = shard * 2 / 3;
    let server = Server::faulty(&sandbox.path("reg"), ".tar.zst", 1, Fault::Cut(cut));
    pull(&sandbox, &server, &pin, "two").ok();
    let ranges: Vec<_> =
        server.log().iter().filter(|r| r.path.ends_with(".tar.zst")).map(|r| r.range).collect();
    let [Some((first, _)), Some((second, _))] = ranges[..] else { panic!("{ranges:?}") };
    // The pull resumes at the first frame that was not complete.
    assert!(first == 0 && second <= cut as u64 && second as usize > cut / 2, "{ranges:?}");

    // The same over two runs: the server fails for good, and comes back later.
    let server = Server::faulty(&sandbox.path("reg"), ".tar.zst", usize::MAX, Fault::Cut(0));
    pull(&sandbox, &server, &pin, "three").fails(5, ".tar.zst");
    let report = pull(&sandbox, &Server::new(&sandbox.path("reg")), &pin, "three").ok().json();
    assert_eq!(report["fetched_bytes"], whole["fetched_bytes"]);
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn a_shard_that_is_too_short_is_damage_and_not_the_networks_fault() {
    let (sandbox, pin) = published();
    let shard = sandbox.objects("reg", ".tar.zst").remove(0);
    let whole = sandbox.read(&shard);
    for length in [0, 100, whole.len() / 2] {
        sandbox.write(&shard, &whole[..length]);
        let server = Server::new(&sandbox.path("reg"));
        let tree = format!("tree{length}");
        let ran = pull(&sandbox, &server, &pin, &tree).fails(3, &shard["reg/".len()..]);
        assert!(ran.stderr.contains("ends before byte"), "{}", ran.stderr);
        classes(&sandbox, &server, &pin, &format!("bees{length}")).fails(3, &shard["reg/".len()..]);
        assert!(!sandbox.path(&tree).exists());
    }
}

#[test]
fn pythons_file_server_is_a_registry() {
    if !has_tool("python3") {
        return;
    }
    let (sandbox, pin) = published();
    let mut server = Command::new("python3")
        .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"])
        .arg(sandbox.path("reg"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    // Serving HTTP on 127.0.0.1 port 40077 (http://127.0.0.1:40077/) ...
    let url = line.split(['(', ')']).nth(1).unwrap_or_default().to_string();
    let ran = sandbox.isn(&["pull", &pin, "--registry", &url, "--to", "tree"]);
    server.kill().unwrap();
    server.wait().unwrap();
    ran.ok();
    assert_eq!(images(&sandbox, "tree"), images(&sandbox, "whole"));
}
