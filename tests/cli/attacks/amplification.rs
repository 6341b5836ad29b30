//! Small inputs that expand: data from strangers, or left beside a tree, must not make isn hold more in
//! memory than is reasonable.

use std::fs::File;
use std::io::{Read, Write};

use isn_format::digest::Digest;
use isn_format::log::{LogSigner, SignedCheckpoint, TILE_WIDTH, Tree, bundle, leaf_hash};
use isn_format::manifest::{Manifest, Tally};
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::Pack;
use isn_format::statement::ReleaseStatement;
use isn_registry::keyring::read_private;
use isn_registry::registry::layout;

use crate::sandbox::{ISN, Ran, Sandbox, contents, hash_of, ran};

/// A registry `bad` that holds a pin, and a user who trusts nobody.
struct Stranger {
    sandbox: Sandbox,
    pin: String,
}

impl Stranger {
    fn new() -> Self {
        let (sandbox, pin) = Sandbox::published();
        sandbox.copy("reg", "bad");
        Stranger { sandbox, pin }
    }

    /// Releases the manifest as `change` leaves it, with the pin's hash, signed by a key that nobody trusts.
    fn release(&self, change: impl FnOnce(&mut Manifest)) -> ObjectRef {
        let manifest = self.sandbox.objects("reg", ".json").remove(0);
        let mut manifest = Manifest::parse("manifest", &self.sandbox.read(&manifest)).unwrap();
        change(&mut manifest);
        let reference = self.sandbox.plant("bad", ObjectKind::Manifest, &manifest.to_bytes().unwrap());
        let statement = ReleaseStatement {
            id: manifest.id(),
            dataset: manifest.dataset,
            manifest: reference.blake3,
            manifest_len: reference.length,
        };
        self.sandbox.plant_release("bad", statement);
        let packs = contents(&self.sandbox.path("reg/packs")).remove(0).1;
        self.sandbox.write(&format!("bad/{}", layout::packs(&reference.blake3)), &packs);
        reference
    }

    /// Writes a log that repeats one entry `size` times, signed by a key that nobody trusts.
    fn plant_log(&self, size: u64, entry: &[u8]) {
        let key = read_private(&self.sandbox.path("home/keys/me")).unwrap().unlock(|| Ok(None)).unwrap();
        let signer = LogSigner::new("example.org/log", key).unwrap();
        let tree = Tree::of((0..size).map(|_| leaf_hash(entry))).unwrap();
        let mut bytes = Vec::new();
        (0..TILE_WIDTH).for_each(|_| bundle::push(&mut bytes, entry).unwrap());
        for index in 0..size / TILE_WIDTH {
            self.sandbox.write(&format!("bad/{}", layout::LOG.entries(index, TILE_WIDTH)), &bytes);
        }
        let note = SignedCheckpoint::sign(&signer, size, tree.root().unwrap()).unwrap();
        self.sandbox.write("bad/log/checkpoint", note.bytes());
        let about = format!(
            "{{\"format\":\"isn-registry/1\",\"description\":\"d\",\"log_key\":\"{}\"}}\n",
            signer.log_key()
        );
        self.sandbox.write("bad/registry.json", about.as_bytes());
    }

    /// Extends a file of the registry with zeros beyond any valid length.
    fn lengthen(&self, path: &str, length: u64) {
        let path = self.sandbox.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::options().write(true).create(true).truncate(false).open(path).unwrap().set_len(length).unwrap();
    }

    fn pull(&self, mebibytes: u64) -> Ran {
        self.sandbox
            .with_memory(mebibytes, &["pull", &self.pin, "--registry", "bad", "--to", "tree", "-j", "2"])
    }
}

/// Rows that differ only in their path: a few bytes each when stored, and some 600 in memory.
#[test]
fn a_small_index_of_many_rows() {
    let stranger = Stranger::new();
    let hash = Digest::of(b"");
    let rows: u64 = 1_000_000;
    let mut index = zstd::Encoder::new(Vec::new(), 3).unwrap();
    for row in 0..rows {
        writeln!(
            index,
            "{{\"path\":\"train/ant/{row:08}.png\",\"class\":\"ant\",\"split\":\"train\",\"blake3\":\"{hash}\",\
             \"length\":1,\"width\":1,\"height\":1,\"pixels\":\"{hash}\",\"source\":\"{row:08}\",\
             \"source_blake3\":\"{hash}\"}}"
        )
        .unwrap();
    }
    let index = stranger.sandbox.plant("bad", ObjectKind::Index, &index.finish().unwrap());
    assert!(index.length < 10 << 20, "{}", index.length);
    stranger.release(|manifest| {
        manifest.objects.index = index;
        (manifest.images, manifest.bytes) = (rows, rows);
        let counts = [("ant".parse().unwrap(), rows)].into();
        manifest.tally = Tally::Classes([("train".parse().unwrap(), counts)].into());
    });
    stranger.pull(250).fails(3, "gives dataset hash");
}

#[test]
fn a_manifest_that_nobody_signed_and_that_asks_for_much() {
    let stranger = Stranger::new();
    let asks = |noun: &str, change: fn(&mut Manifest)| {
        stranger.release(change);
        stranger.pull(250).fails(3, noun);
    };
    asks("bytes of index: too many", |manifest| manifest.objects.index.length = (256 << 20) + 1);
    asks("bytes of classes.csv: too many", |manifest| manifest.objects.classes.length = (64 << 20) + 1);
    asks("bytes of recipe: too many", |manifest| manifest.objects.recipe.length = (64 << 20) + 1);
}

/// A list that repeats many packs, each of which is valid.
#[test]
fn a_list_of_many_packs() {
    let stranger = Stranger::new();
    let reference = stranger.release(|_| {});
    let list = stranger.sandbox.read(&format!("bad/{}", layout::packs(&reference.blake3)));
    let digest: Digest = String::from_utf8(list).unwrap().trim_end().parse().unwrap();
    let pack = stranger.sandbox.read(&format!("bad/{}", layout::object(ObjectKind::Pack, &digest)));
    let lines = zstd::decode_all(&pack[..]).unwrap();
    let mut list = String::new();
    for level in 1..20 {
        // The same lines at another compression level are another object.
        let pack =
            stranger.sandbox.plant("bad", ObjectKind::Pack, &zstd::bulk::compress(&lines, level).unwrap());
        list += &format!("{}\n", pack.blake3);
        let pack =
            stranger.sandbox.plant("bad", ObjectKind::Pack, &zstd::bulk::compress(&lines, -level).unwrap());
        list += &format!("{}\n", pack.blake3);
    }
    stranger.sandbox.write(&format!("bad/{}", layout::packs(&reference.blake3)), list.as_bytes());
    stranger.pull(1000).fails(3, "leads to packs of more than 16 times the version's images");
}

/// A log that nobody asked for is neither read nor kept.
#[test]
fn a_claimed_log_of_many_entries() {
    let stranger = Stranger::new();
    stranger.plant_log(20 * TILE_WIDTH, b"x");
    for verb in [&["pull", "--to", "tree"][..], &["info"], &["images"]] {
        let args = [&[verb[0], &stranger.pin, "--registry", "bad"], &verb[1..]].concat();
        let ran = stranger.sandbox.with_memory(1000, &args).ok();
        // The only warning is that nobody signed the version; the log is not mentioned.
        let unsigned = |line: &str| line.starts_with("warning: nobody whom you trust signed this version: ");
        assert!(ran.stderr.lines().all(unsigned), "{verb:?}: {}", ran.stderr);
        assert!(!stranger.sandbox.path("stranger/logs").exists(), "{verb:?}");
    }
}

/// Long file lists in three trees: a neighbour, the tree being verified, and one at the destination of a
/// pull.
#[test]
fn a_long_list_in_a_folder_that_looks_like_a_tree() {
    let stranger = Stranger::new();
    for tree in ["neighbour", "there"] {
        stranger.sandbox.write(&format!("{tree}/ISN.json"), b"{}");
        for list in ["B3SUMS", "B3SUMS.selected", "classes.csv"] {
            let file = File::create(stranger.sandbox.path(&format!("{tree}/{list}"))).unwrap();
            file.set_len(3 << 30).unwrap();
        }
    }
    stranger.pull(300).ok();
    let registry = ["--registry", "bad"];
    let to = [&["pull", &stranger.pin, "--to", "there", "--no-cache"][..], &registry].concat();
    stranger.sandbox.with_memory(300, &to).fails(1, "there");
    stranger.sandbox.with_memory(300, &["audit", "balance", "there"]).fails(3, "B3SUMS");
    stranger.sandbox.with_memory(300, &["diff", "there", "out"]).fails(3, "B3SUMS");
    let export = ["export", &stranger.pin, "--as", "webdataset", "--to", "made", "--registry", "bad"];
    stranger.sandbox.with_memory(300, &export).ok();
}

/// A long ISN.json at the destination of a pull.
#[test]
fn a_long_note_of_a_tree() {
    let stranger = Stranger::new();
    stranger.pull(300).ok();
    // The shortened list makes the tree look like another version.
    let list = stranger.sandbox.read("tree/B3SUMS");
    stranger.sandbox.write("tree/B3SUMS", list.split_inclusive(|&byte| byte == b'\n').next().unwrap());
    File::create(stranger.sandbox.path("tree/ISN.json")).unwrap().set_len(3 << 30).unwrap();
    stranger.pull(300).fails(1, "damaged or edited (invalid: ISN.json (is longer than 67108864 bytes");
}

/// Lists that are read before anything in the registry is verified.
#[test]
fn long_lists_of_a_registry() {
    let stranger = Stranger::new();
    let pins = contents(&stranger.sandbox.path("bad/pins")).remove(0).0;
    let packs = contents(&stranger.sandbox.path("bad/packs")).remove(0).0;
    let hash = hash_of(&stranger.pin);
    for (file, args) in [
        ("registry.json".into(), &["verify", "bad"][..]),
        ("releases/names".into(), &["list", "--registry", "bad"]),
        ("releases/grads/versions".into(), &["list", "--registry", "bad"]),
        (format!("pins/{pins}"), &["info", hash, "--registry", "bad"]),
        (format!("packs/{packs}"), &["fetch", &stranger.pin, "--registry", "bad"]),
    ] {
        let path = stranger.sandbox.path(&format!("bad/{file}"));
        let before = std::fs::read(&path).unwrap();
        File::create(&path).unwrap().set_len(3 << 30).unwrap();
        let ran = stranger.sandbox.with_memory(300, args);
        let said = format!("{file} is longer than 4194304 bytes");
        // A fault of a folder that is verified is in the report.
        let is_said = ran.stderr.contains(&said) || ran.stdout.contains(&said);
        assert!(ran.code != 0 && is_said, "{file}: exit {}\n{}", ran.code, ran.stderr);
        std::fs::write(&path, before).unwrap();
    }
}

/// A user's own files are limited in length, too.
#[test]
fn long_files_of_a_user() {
    let stranger = Stranger::new();
    for name in ["trust.toml", "config.toml", "tokens.toml"] {
        stranger.sandbox.write(&format!("stranger/{name}"), b"");
        let path = stranger.sandbox.path(&format!("stranger/{name}"));
        File::create(&path).unwrap().set_len(3 << 30).unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let args = ["pull", &stranger.pin, "--registry", "http://127.0.0.1:1/", "--to", "tree"];
        let ran = stranger.sandbox.with_memory(300, &args);
        let is_said = ran.stderr.contains(&format!("{name} is longer than 4194304 bytes"));
        assert!(ran.code != 0 && is_said, "{name}: exit {}\n{}", ran.code, ran.stderr);
        std::fs::remove_file(&path).unwrap();
    }
}

/// Files of a repository that somebody else wrote.
#[test]
fn a_long_lock_file() {
    let stranger = Stranger::new();
    for (name, args) in [
        ("isn.lock", &["sync", "--locked"][..]),
        ("isn.toml", &["sync"]),
        ("isn.toml", &["list"]),
        ("isn.toml", &["pull", "grads@1.0"]),
    ] {
        File::create(stranger.sandbox.path(name)).unwrap().set_len(3 << 30).unwrap();
        let ran = stranger.sandbox.with_memory(300, args);
        let ran = ran.fails(1, &format!("{name} is longer than 4194304 bytes"));
        assert!(!ran.stderr.contains("operator") && !ran.stderr.contains("another copy"), "{}", ran.stderr);
        std::fs::remove_file(stranger.sandbox.path(name)).unwrap();
    }
}

/// Files that a user names, and the lists of a tree where another is to be.
#[test]
fn long_files_that_a_user_names() {
    let (sandbox, pin) = Sandbox::published();
    let lengthen = |name: &str| {
        File::options().create(true).append(true).open(sandbox.path(name)).unwrap().set_len(3 << 30).unwrap();
    };
    let is_users_own = |code, args: &[&str], said: &str| {
        let ran = sandbox.with_memory(300, args).fails(code, said);
        assert!(!ran.stderr.contains("operator") && !ran.stderr.contains("another copy"), "{}", ran.stderr);
    };
    lengthen("statement");
    for args in [
        &["sign", "statement", "--key", "home/keys/me"][..],
        &["append", "statement", "--registry", "reg"],
        &["verify", "--proof", "statement"],
    ] {
        is_users_own(1, args, "statement is longer than");
    }
    let pull = ["pull", &pin, "--registry", "reg", "--to", "tree"];
    sandbox.isn(&pull).ok();
    lengthen("tree/B3SUMS");
    is_users_own(1, &pull, "damaged or edited (invalid: B3SUMS");
    std::fs::remove_dir_all(sandbox.path("tree")).unwrap();
    sandbox.isn(&[&pull[..], &["--split", "val"]].concat()).ok();
    lengthen("tree/B3SUMS.selected");
    is_users_own(1, &pull, "damaged or edited (invalid: B3SUMS.selected");
}

/// Files of a cache that somebody else wrote to.
#[test]
fn long_files_in_a_cache() {
    let stranger = Stranger::new();
    let export = |to: &str, memory| {
        let args = ["export", &stranger.pin, "--as", "webdataset", "--to", to, "--registry", "bad"];
        stranger.sandbox.with_memory(memory, &args).ok()
    };
    export("first", 1000);
    let mut made = 0;
    for (name, _) in contents(&stranger.sandbox.path("stranger/cache")) {
        let file = File::options().write(true).open(stranger.sandbox.path(&format!("stranger/cache/{name}")));
        file.unwrap().set_len(3 << 30).unwrap();
        made += 1;
    }
    assert!(made > 0);
    for name in ["trees/x", "hints/pins/x"] {
        stranger.sandbox.write(&format!("stranger/cache/{name}"), b"");
        let file = File::create(stranger.sandbox.path(&format!("stranger/cache/{name}"))).unwrap();
        file.set_len(3 << 30).unwrap();
    }
    export("second", 300);
    stranger.sandbox.with_memory(300, &["cache", "gc", "--max-size", "1GB"]);
}

/// Files of a cache that take no room on the disk and days to hash.
#[test]
fn long_files_of_a_cache_that_is_verified() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.isn(&["export", &pin, "--registry", "reg", "--as", "webdataset", "--to", "shards"]).ok();
    let server = crate::server::Server::new(&sandbox.path("reg"));
    sandbox.isn(&["export", &pin, "--registry", &server.url, "--as", "webdataset", "--to", "again"]).ok();
    let cache = sandbox.path("home/cache");
    sandbox.isn(&["fetch", &pin, "--registry", &server.url]).ok();
    let mut names: Vec<String> = contents(&cache).into_iter().map(|(name, _)| name).collect();
    let folders: std::collections::BTreeSet<&str> =
        names.iter().filter_map(|name| name.split('/').next()).collect();
    assert_eq!(folders.into_iter().collect::<Vec<_>>(), ["hints", "objects", "pieces", "tables"]);
    let hash = Digest::of(b"");
    names.push(format!("sources/{hash}.jsonl"));
    names.push(format!("trees/{hash}"));
    names.push(format!("hints/doubted/{hash}"));
    names.push(format!("decoded/{hash}"));
    // The name of a piece says its length, and anybody can choose it.
    let hex = hash.to_string();
    names.push(format!("pieces/{}/{hex}/0-{}-{hash}", &hex[..2], 3u64 << 40));
    for name in &names {
        std::fs::create_dir_all(cache.join(name).parent().unwrap()).unwrap();
        if File::create(cache.join(name)).unwrap().set_len(3 << 40).is_err() {
            return;
        }
    }
    let mut limited = sandbox.program("sh");
    limited.args(["-c", "ulimit -t 60; exec \"$0\" \"$@\"", ISN, "cache", "verify"]);
    let verified = ran(&mut limited).fails(3, "");
    for name in &names {
        assert!(verified.stdout.contains(name.as_str()), "{name}: {}", verified.stdout);
    }
    sandbox.isn(&["cache", "verify"]).ok();
}

/// Partial tiles and bundles that a folder keeps for readers that are behind. Zeros parse as entries of two
/// bytes each.
#[test]
fn long_narrow_tiles_and_bundles() {
    let stranger = Stranger::new();
    for (path, length) in [
        ("log/tile/entries/000.p/1", 3 << 30),
        ("log/tile/entries/000.p/1", 16 << 20),
        ("log/tile/0/000.p/1", 3 << 30),
    ] {
        stranger.lengthen(&format!("bad/{path}"), length);
        let verify = ["verify", "bad", "-j", "2"];
        stranger.sandbox.with_memory(200, &verify).fails(3, &format!("changed: {path}"));
        std::fs::remove_file(stranger.sandbox.path(&format!("bad/{path}"))).unwrap();
    }
}

/// Files of a folder that others may write to, too.
#[test]
fn long_files_where_a_writer_reads() {
    let stranger = Stranger::new();
    let release = stranger.sandbox.objects("reg", ".json").remove(0);
    let manifest = Manifest::parse("manifest", &stranger.sandbox.read(&release)).unwrap();
    let packs = layout::packs(&ObjectRef::of(&stranger.sandbox.read(&release)).blake3);
    for (path, cap) in [
        ("registry.json".into(), 4 << 20),
        ("releases/names".into(), 4 << 20),
        (layout::versions(&manifest.name), 4 << 20),
        (packs, 4 << 20),
        (layout::release(&manifest.id()), 32 << 10),
        ("log/checkpoint".into(), 64 << 10),
    ] {
        stranger.lengthen(&format!("reg/{path}"), 3 << 30);
        let publish = ["publish", "out", "--registry", "reg", "--key", "me"];
        let ran = stranger.sandbox.at_home_with_memory("home", 300, &publish);
        assert!([3, 4].contains(&ran.code), "{path}: {} {}", ran.code, ran.stderr);
        assert!(ran.stderr.contains(&format!("{path} is longer than {cap} bytes")), "{}", ran.stderr);
        stranger.sandbox.write(&format!("reg/{path}"), &stranger.sandbox.read(&format!("bad/{path}")));
    }
}

/// Anybody can publish a pack. Here a few bytes of one put every image into a shard of a gigabyte.
#[test]
fn a_pack_that_puts_the_images_into_a_long_shard() {
    let stranger = Stranger::new();
    let length = 1 << 30;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::io::repeat(0).take(length)).unwrap();
    let shard = ObjectRef { blake3: Digest::of_hasher(&hasher), length };
    stranger.lengthen(&format!("bad/{}", layout::object(ObjectKind::Shard, &shard.blake3)), length);
    let list = contents(&stranger.sandbox.path("bad/packs")).remove(0);
    let digest: Digest = String::from_utf8(list.1).unwrap().trim_end().parse().unwrap();
    let pack = stranger.sandbox.read(&format!("bad/{}", layout::object(ObjectKind::Pack, &digest)));
    let mut pack = Pack::parse("pack", &pack, 100).unwrap();
    pack.shards[0] = shard;
    // The last of the version's images fills the shard.
    let last = pack.entries.last_mut().unwrap();
    last.length = length - last.offset;
    let pack = stranger.sandbox.plant("bad", ObjectKind::Pack, &pack.to_bytes().unwrap());
    stranger.sandbox.write(&format!("bad/packs/{}", list.0), format!("{}\n", pack.blake3).as_bytes());
    let verify = ["verify", &stranger.pin, "--registry", "bad", "-j", "2"];
    stranger.sandbox.with_memory(300, &verify).fails(3, "its frame");
}

/// A log that is read because its publisher is trusted, with empty entries of two bytes each.
#[test]
fn a_log_of_many_empty_entries() {
    let stranger = Stranger::new();
    let key = stranger.sandbox.isn(&["key", "show", "me"]).ok().stdout;
    stranger.sandbox.with_memory(300, &["trust", "add", "bad", key.trim()]).ok();
    stranger.plant_log(1 << 19, b"");
    let info = ["info", &stranger.pin, "--registry", "bad"];
    stranger.sandbox.with_memory(300, &info).ok();
    let kept = contents(&stranger.sandbox.path("stranger/logs"));
    let replay = kept.iter().find(|(name, _)| name.ends_with("/replay")).unwrap();
    assert!(replay.1.len() < (32 << 19) + (1 << 20), "{}", replay.1.len());
}

/// Files of a tree that take no room on the disk and days to read: what is too long for a tree is a fault
/// without being read.
#[test]
fn long_files_of_a_tree() {
    let stranger = Stranger::new();
    stranger.pull(1000).ok();
    let image = contents(&stranger.sandbox.path("tree/train")).remove(0).0;
    let limited = |args: &[&str]| {
        let mut limited = stranger.sandbox.program("sh");
        limited.args(["-c", "ulimit -t 60; exec \"$0\" \"$@\"", ISN]).args(args);
        ran(limited.env("ISN_HOME", stranger.sandbox.path("stranger")))
    };
    for (name, fault) in [
        ("train/ant/more.png", "extra: train/ant/more.png"),
        (&format!("train/{image}"), &format!("changed: train/{image} (has 3298534883328 bytes")),
        ("classes.csv", "changed: classes.csv (has 3298534883328 bytes"),
    ] {
        let path = stranger.sandbox.path(&format!("tree/{name}"));
        let before = std::fs::read(&path).ok();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Not every file system takes such a file.
        if File::create(&path).unwrap().set_len(3 << 40).is_err() {
            return;
        }
        let verified = limited(&["verify", "tree"]).fails(3, "");
        assert!(verified.stdout.contains(fault), "{}", verified.stdout);
        assert!(verified.stdout.contains("1 fault in"), "{}", verified.stdout);
        limited(&["pull", &stranger.pin, "--to", "tree", "--registry", "bad"]).fails(1, "damaged or edited");
        match before {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
    }
}

/// Objects of a registry or a build that take no room on the disk and days to read.
#[test]
fn long_objects_of_a_registry_and_of_a_build() {
    let sandbox = Sandbox::built();
    sandbox.publish("out");
    let limited = |args: &[&str]| {
        let mut limited = sandbox.program("sh");
        limited.args(["-c", "ulimit -t 60; exec \"$0\" \"$@\"", ISN]).args(args);
        ran(&mut limited)
    };
    for folder in ["reg", "out"] {
        for (name, bytes) in contents(&sandbox.path(&format!("{folder}/objects"))) {
            let path = sandbox.path(&format!("{folder}/objects/{name}"));
            if File::options().write(true).open(&path).unwrap().set_len(3 << 40).is_err() {
                return;
            }
            let verified = limited(&["verify", folder]).fails(3, "");
            assert!(verified.stdout.contains(&name), "{folder}/{name}: {}", verified.stdout);
            if folder == "out" {
                let publish = ["publish", "out", "--registry", "new", "--key", "me"];
                limited(&publish).fails(3, &name).fails(3, "build it again");
            }
            std::fs::write(&path, bytes).unwrap();
        }
    }
}
