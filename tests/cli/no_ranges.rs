//! Servers that ignore ranges, as Python's `http.server` does: each shard is sent once, whichever part of it
//! is wanted.

use serde_json::Value;

use crate::sandbox::{Sandbox, contents, eventually};
use crate::server::{Fault, Request, Server};

const SHARD: &str = ".tar.zst";

/// Publishes `grads` 1.1: the shard of 1.0, with 72 images in some 6 requests, and one of the class `dog`.
fn published() -> Sandbox {
    let (sandbox, _) = Sandbox::published_large();
    let classes = ["ant", "bee", "cat", "dog"];
    sandbox.noise("raw2", &classes, 24);
    sandbox.large_recipe("1.1", &classes);
    sandbox.isn(&["build", "grads-1.1.toml", "--source", "raw2", "--out", "out2"]).ok();
    sandbox.publish("out2");
    assert_eq!(sandbox.objects("reg", SHARD).len(), 2);
    sandbox
}

/// Serves `reg` without ranges, and trusts it.
fn server(sandbox: &Sandbox) -> Server {
    let server = Server::faulty(&sandbox.path("reg"), "", usize::MAX, Fault::IgnoreRange);
    sandbox.trust_me(&server.url);
    server
}

fn lengths(sandbox: &Sandbox) -> Vec<u64> {
    sandbox.objects("reg", SHARD).iter().map(|shard| sandbox.read(shard).len() as u64).collect()
}

fn requests(server: &Server) -> Vec<Request> {
    server.log().into_iter().filter(|request| request.path.ends_with(SHARD)).collect()
}

/// Checks that each of `shards` shards was requested once, and a range only until the first answer.
fn check(server: &Server, shards: usize, most: u64) {
    let log = requests(server);
    assert_eq!(log.len(), shards, "{log:?}");
    assert!(log.iter().skip(1).all(|request| request.range.is_none()), "{log:?}");
    // The server counts what it has sent in another thread.
    eventually("the server has counted", || server.sent(SHARD) > 0);
    assert!(server.sent(SHARD) <= most, "{} of {most}", server.sent(SHARD));
}

fn images(sandbox: &Sandbox, tree: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = contents(&sandbox.path(tree));
    files.retain(|(name, _)| name != "ISN.json");
    files
}

fn pull(sandbox: &Sandbox, server: &Server, to: &str, more: &[&str]) -> Value {
    let args = ["pull", "grads@1.1", "--registry", &server.url, "--to", to, "--json"];
    sandbox.isn(&[&args, more].concat()).ok().json()
}

#[test]
fn a_whole_version_is_each_shard_once() {
    let sandbox = published();
    sandbox.pull("grads@1.1", &["--to", "whole"]).ok();
    let all: u64 = lengths(&sandbox).iter().sum();
    for jobs in ["1", "4"] {
        let server = server(&sandbox);
        let report = pull(&sandbox, &server, jobs, &["--no-cache", "--jobs", jobs]);
        check(&server, 2, all);
        assert!(report["fetched_bytes"].as_u64().unwrap() < all + all / 10, "{report} of {all}");
        assert!(images(&sandbox, jobs) == images(&sandbox, "whole"), "{jobs}");
    }
}

#[test]
fn a_part_is_its_shards_up_to_its_last_image() {
    let sandbox = published();
    let all = lengths(&sandbox);
    let server_of_dogs = server(&sandbox);
    pull(&sandbox, &server_of_dogs, "dogs", &["--no-cache", "--class", "dog"]);
    check(&server_of_dogs, 1, *all.iter().min().unwrap());
    let server_of_bees = server(&sandbox);
    pull(&sandbox, &server_of_bees, "bees", &["--no-cache", "--class", "bee"]);
    check(&server_of_bees, 1, *all.iter().max().unwrap());
    for part in ["dogs", "bees"] {
        sandbox.isn(&["verify", part]).ok();
    }
    // The first images of the shard, and one beyond a gap that is too wide for one range.
    let sums = String::from_utf8(sandbox.read("bees/B3SUMS")).unwrap();
    let ants: Vec<&str> =
        sums.lines().map(|line| &line[66..]).filter(|path| path.contains("/ant_")).collect();
    sandbox.write("list", format!("{}\n{}\n", ants[0], ants[4]).as_bytes());
    let server = server(&sandbox);
    let report = pull(&sandbox, &server, "ants", &["--no-cache", "--images", "list"]);
    check(&server, 1, *all.iter().max().unwrap());
    assert!(report["fetched_bytes"].as_u64().unwrap() < all.iter().max().unwrap() / 2, "{report} of {all:?}");
    sandbox.isn(&["verify", "ants"]).ok();
}

#[test]
fn what_a_fetch_brought_is_not_requested_again() {
    let sandbox = published();
    sandbox.pull("grads@1.1", &["--to", "whole"]).ok();
    let all = lengths(&sandbox);
    let server_of_dogs = server(&sandbox);
    let fetch = |server: &Server, more: &[&str]| {
        sandbox.isn(&[&["fetch", "grads@1.1", "--registry", &server.url], more].concat()).ok();
    };
    fetch(&server_of_dogs, &["--class", "dog"]);
    check(&server_of_dogs, 1, *all.iter().min().unwrap());
    let server = server(&sandbox);
    fetch(&server, &[]);
    check(&server, 1, *all.iter().max().unwrap());
    std::fs::remove_dir_all(sandbox.path("whole")).unwrap();
    pull(&sandbox, &server, "tree", &["--offline"]);
    check(&server, 1, *all.iter().max().unwrap());
    sandbox.isn(&["verify", "tree"]).ok();
    sandbox.isn(&["cache", "verify"]).ok();
}

#[test]
fn a_mirror_is_each_shard_once() {
    let sandbox = published();
    let server = server(&sandbox);
    sandbox.isn(&["mirror", &server.url, "copy"]).ok();
    check(&server, 2, lengths(&sandbox).iter().sum());
    sandbox.isn(&["verify", "copy"]).ok();
}

/// Requests that are under way when the first answer comes are ended, and their frames come with that answer.
#[test]
fn a_server_that_falsely_offers_ranges_is_read_once() {
    let sandbox = published();
    sandbox.pull("grads@1.1", &["--to", "whole"]).ok();
    let server = Server::faulty(&sandbox.path("reg"), "", usize::MAX, Fault::FalseOffer);
    sandbox.trust_me(&server.url);
    let report = pull(&sandbox, &server, "tree", &["--no-cache"]);
    assert!(requests(&server).len() > 2);
    let all: u64 = lengths(&sandbox).iter().sum();
    assert!(report["fetched_bytes"].as_u64().unwrap() < all + all / 10, "{report} of {all}");
    assert!(images(&sandbox, "tree") == images(&sandbox, "whole"));
}
