//! The number of bytes sent over the network.

use std::fs;
use std::process::Stdio;

use crate::sandbox::{Sandbox, contents, eventually, noise};
use crate::server::{Fault, Server};

const SHARD: &str = ".tar.zst";

/// Publishes `grads@1.0` with ten classes of `count` images, 77 kB each; returns its pin.
fn ten_classes(count: usize) -> (Sandbox, Vec<String>, String) {
    let sandbox = Sandbox::new();
    let classes: Vec<String> = (0..10).map(|i| format!("class{i}")).collect();
    let names: Vec<&str> = classes.iter().map(String::as_str).collect();
    sandbox.noise("raw", &names, count);
    sandbox.large_recipe("1.0", &names);
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "out"]).ok();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    let pin = sandbox.publish("out");
    (sandbox, classes, pin)
}

fn pull(sandbox: &Sandbox, server: &Server, reference: &str, more: &[&str]) -> serde_json::Value {
    let args = ["pull", reference, "--registry", &server.url, "--json"];
    sandbox.isn(&[&args[..], more].concat()).ok().json()
}

#[test]
fn a_class_of_ten_costs_little_more_than_its_own_images() {
    let (sandbox, _, pin) = ten_classes(12);
    for class in ["class0", "class4", "class9"] {
        let server = Server::new(&sandbox.path("reg"));
        let report = pull(&sandbox, &server, &pin, &["--class", class, "--to", class, "--no-cache"]);
        let (own, fetched) = (report["bytes"].as_u64().unwrap(), report["fetched_bytes"].as_u64().unwrap());
        assert!(own > 900_000 && fetched * 100 <= own * 115, "{class}: {fetched} for {own}");
        // The server counted the same.
        assert!(server.sent("") * 100 <= own * 115, "{class}: {} for {own}", server.sent(""));
        sandbox.isn(&["verify", class, "--expect", &pin]).ok();
    }
}

#[test]
fn a_later_version_costs_what_is_new_and_a_relabelled_one_no_image() {
    let (sandbox, classes, _) = ten_classes(30);
    let names: Vec<&str> = classes.iter().map(String::as_str).collect();
    // One image in a hundred is replaced by another picture.
    for (class, number) in [("class2", 3), ("class5", 17), ("class8", 29)] {
        noise(9000 + number).save(sandbox.path(&format!("raw/{class}/{class}_{number}.png"))).unwrap();
    }
    sandbox.large_recipe("1.1", &names);
    sandbox.isn(&["build", "grads-1.1.toml", "--source", "raw", "--out", "out1"]).ok();
    // The third version differs from the second in one label only.
    fs::rename(sandbox.path("raw/class1/class1_1.png"), sandbox.path("raw/class7/class1_1.png")).unwrap();
    sandbox.large_recipe("1.2", &names);
    sandbox.isn(&["build", "grads-1.2.toml", "--source", "raw", "--out", "out2"]).ok();
    let (second, third) = (sandbox.publish("out1"), sandbox.publish("out2"));

    let server = Server::new(&sandbox.path("reg"));
    sandbox.trust_me(&server.url);
    pull(&sandbox, &server, "grads@1.0", &["--to", "tree"]);
    // Fetched images are in the cache and in the tree: either alone is enough.
    for without in ["cache", "tree"] {
        let server = Server::new(&sandbox.path("reg"));
        sandbox.trust_me(&server.url);
        sandbox.copy("home/cache", "kept");
        let to = format!("without-{without}/tree");
        if without == "cache" {
            fs::remove_dir_all(sandbox.path("home/cache/pieces")).unwrap();
        } else {
            fs::remove_dir_all(sandbox.path("tree")).unwrap();
            fs::remove_dir_all(sandbox.path("without-cache")).unwrap();
            sandbox.copy("kept", "home/cache");
        }
        let report = pull(&sandbox, &server, "grads@1.1", &["--to", &to]);
        let index = server.sent(".jsonl.zst");
        let changed = 3 * 77_000;
        let fetched = report["fetched_bytes"].as_u64().unwrap();
        assert!(fetched * 10 <= changed * 13 + 10 * index, "{without}: {fetched}, the index {index}");
        sandbox.isn(&["verify", &to, "--expect", &second]).ok();
        let before = server.sent(SHARD);
        let report = pull(&sandbox, &server, "grads@1.2", &["--to", &to]);
        assert_eq!((server.sent(SHARD), &report["replaced"]), (before, &"grads@1.1".into()), "{without}");
        sandbox.isn(&["verify", &to, "--expect", &third]).ok();
    }
}

#[test]
fn a_pull_that_was_killed_half_way_fetches_the_other_half() {
    let (sandbox, _, pin) = ten_classes(48);
    let shards = sandbox.objects("reg", SHARD);
    let whole: u64 = shards.iter().map(|shard| fs::metadata(sandbox.path(shard)).unwrap().len()).sum();
    for cache in [&["--no-cache"][..], &[]] {
        let server = Server::faulty(&sandbox.path("reg"), SHARD, usize::MAX, Fault::Throttle(2_000_000));
        let args = ["pull", &pin, "--registry", &server.url, "--to", "tree", "--json"];
        let args = [&args[..], cache].concat();
        let mut child = sandbox.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        eventually("half of the images are sent", || server.sent(SHARD) >= whole / 2);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!sandbox.path("tree").exists());
        let server = Server::new(&sandbox.path("reg"));
        let report = pull(&sandbox, &server, &pin, &[&["--to", "tree"], cache].concat());
        let fetched = report["fetched_bytes"].as_u64().unwrap();
        assert!(fetched * 100 <= whole * 55, "{fetched} of {whole}");
        assert!(server.sent(SHARD) * 100 <= whole * 60, "{} of {whole}", server.sent(SHARD));
        sandbox.isn(&["verify", "tree", "--expect", &pin]).ok();
        fs::remove_dir_all(sandbox.path("tree")).unwrap();
        assert!(contents(&sandbox.path("")).iter().all(|(name, _)| !name.contains("isn-partial")));
    }
}
