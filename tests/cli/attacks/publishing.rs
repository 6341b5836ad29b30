//! What the holder of a token of `isn serve` can do to the server, to other publishers and to readers; and a
//! server that ends or is set back while somebody publishes.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pack::{Entry, Pack};
use isn_format::statement::{Owner, Statement};
use isn_registry::registry::layout;
use serde_json::{Value, json};

use crate::forger::Forger;
use crate::sandbox::{Ran, Sandbox, contents, eventually, ran};
use crate::serve::{Answer, Served};

const TOKEN: &str = "2f6b0c3e9a7d4851b6c0d2e4f6a8091b";

/// Starts a server of `reg` that accepts what the token `ci` publishes.
fn serve(sandbox: &Sandbox, more: &[&str]) -> Served {
    sandbox.write("tokens", format!("ci {}\n", blake3::hash(TOKEN.as_bytes())).as_bytes());
    Served::start(sandbox, &[&["--publish-tokens", "tokens"], more].concat())
}

fn stage(served: &Served, kind: ObjectKind, bytes: &[u8]) -> ObjectRef {
    let object = ObjectRef::of(bytes);
    let path = layout::object(kind, &object.blake3);
    let head = format!("PUT /-/publish/{path} HTTP/1.1\nAuthorization: Bearer {TOKEN}");
    let answer = served.raw(&format!("{head}\nContent-Length: {}", bytes.len()), bytes);
    assert!([200, 201].contains(&answer.status), "{}", answer.text());
    object
}

fn head_of_post(length: usize) -> String {
    format!("POST /-/publish/statements HTTP/1.1\nAuthorization: Bearer {TOKEN}\nContent-Length: {length}")
}

fn post(served: &Served, body: &Value) -> Answer {
    let body = body.to_string();
    served.raw(&head_of_post(body.len()), body.as_bytes())
}

/// Sends a request with statements and leaves its answer unread.
fn begin_post(served: &Served, length: usize, body: &[u8]) -> TcpStream {
    let mut stream = served.connect();
    let head = head_of_post(length).replace('\n', "\r\n");
    write!(stream, "{head}\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    stream.write_all(body).unwrap();
    stream
}

/// Returns the packs of a build.
fn packs_of(sandbox: &Sandbox, build: &str) -> Vec<String> {
    let files = contents(&sandbox.path(build));
    let (_, packs) = files.into_iter().find(|(name, _)| name.starts_with("packs/")).unwrap();
    String::from_utf8(packs).unwrap().lines().map(String::from).collect()
}

/// The build `out2`, whose objects are in `reg`, and a server of `reg`.
struct Second {
    forger: Forger,
    served: Served,
    release: String,
    pack: (String, Pack),
}

impl Second {
    fn new() -> Self {
        let forger = Forger::new();
        let served = serve(&forger, &[]);
        let release = String::from_utf8(forger.release("out2", "1.1", &["me"])).unwrap();
        let [digest] = &packs_of(&forger, "out2")[..] else { panic!("one pack") };
        let digest = digest.clone();
        let bytes = forger.bytes(&format!("out2/objects/{}/{digest}.jsonl.zst", &digest[..2]));
        let pack = Pack::parse("the pack", &bytes, 1000).unwrap();
        Second { forger, served, release, pack: (digest, pack) }
    }

    /// Publishes the build with these packs beside its own.
    fn with_packs(&self, packs: impl IntoIterator<Item = Pack>) -> (u16, String) {
        let mut digests = vec![self.pack.0.clone()];
        for pack in packs {
            let bytes = pack.to_bytes().unwrap();
            digests.push(stage(&self.served, ObjectKind::Pack, &bytes).blake3.to_string());
        }
        let answer = post(&self.served, &json!({ "statements": [self.release], "packs": digests }));
        (answer.status, answer.text())
    }
}

#[test]
fn packs_that_name_shards_for_nothing_are_refused() {
    let second = Second::new();
    let own = &second.pack.1;
    let there = own.shards[0];
    let named_often = Pack { shards: vec![there; 20], entries: own.entries[..1].to_vec() };
    let (status, why) = second.with_packs([named_often]);
    assert!(status == 422 && why.contains("a shard twice"), "{status} {why}");
    let absent = (0..20_u32).map(|n| ObjectRef { length: 5, ..ObjectRef::of(&n.to_le_bytes()) });
    let (status, why) = second.with_packs([Pack { shards: absent.collect(), entries: Vec::new() }]);
    assert!(status == 422 && why.contains("20 shards, but only 0 images"), "{status} {why}");
    // Each of these packs is valid, but no client would read all of them.
    let entries: Vec<Entry> = own.entries.iter().filter(|entry| entry.shard == 0).cloned().collect();
    let parts = (0..entries.len()).flat_map(|from| (from + 1..=entries.len()).map(move |to| from..to));
    let parts = parts.map(|part| Pack { shards: vec![there], entries: entries[part].to_vec() });
    let parts: Vec<Pack> = parts.filter(|pack| pack != own).collect();
    let (status, why) = second.with_packs(parts.iter().cloned());
    assert!(status == 422 && why.contains("more than 16 times"), "{status} {why}");
    let (status, why) = second.with_packs(parts.into_iter().take(5));
    assert_eq!(status, 200, "{why}");
    second.forger.reader(&["pull", "grads@1.1", "--registry", "reg", "--to", "tree"]).ok();
}

/// Publishes a version without images whose manifest `change` edited, and returns the answer.
fn with_manifest(forger: &Forger, served: &Served, change: impl FnOnce(&mut Value)) -> (u16, String) {
    let mut manifest: Value = serde_json::from_slice(&forger.bytes("out2/manifest.json")).unwrap();
    change(&mut manifest);
    let object = stage(served, ObjectKind::Manifest, &serde_json::to_vec(&manifest).unwrap());
    let mut release = forger.release_of("out2", "1.1");
    (release.manifest, release.manifest_len) = (object.blake3, object.length);
    let signed = forger.signed(&isn_format::statement::Statement::Release(release), &["me"]);
    let statements = [String::from_utf8(signed).unwrap()];
    let answer = post(served, &json!({ "statements": statements, "rebuild_only": true }));
    (answer.status, answer.text())
}

#[test]
fn objects_that_are_longer_than_the_images_need_are_not_read() {
    let forger = Forger::new();
    let served = serve(&forger, &[]);
    // Padding that decompresses to nothing.
    let mut index = zstd::encode_all(&b""[..], 1).unwrap();
    let padding = 1_u32 << 20;
    index.extend([0x184D_2A50, padding].iter().flat_map(|word| word.to_le_bytes()));
    index.resize(index.len() + padding as usize, 0);
    let index = stage(&served, ObjectKind::Index, &index);
    let (status, why) = with_manifest(&forger, &served, |manifest| {
        manifest["objects"]["index"] = serde_json::to_value(index).unwrap();
    });
    assert!(
        status == 422 && why.contains("its index a length of 1048593 bytes, more than the 92160"),
        "{status} {why}"
    );
    for object in ["classes", "recipe", "assignments"] {
        let (status, why) = with_manifest(&forger, &served, |manifest| {
            manifest["objects"][object]["length"] = (1_u64 << 40).into()
        });
        assert!(
            status == 422 && why.contains("a length of 1099511627776 bytes, more than"),
            "{object}: {status} {why}"
        );
    }
}

#[test]
fn numbers_that_add_up_to_too_much_are_refused() {
    let forger = Forger::new();
    let served = serve(&forger, &[]);
    let (status, why) = with_manifest(&forger, &served, |manifest| {
        manifest["images"] = 1.into();
        manifest["splits"] = json!({ "train": { "ant": u64::MAX, "bee": 2 } });
    });
    assert!(status == 422 && why.contains("counts too many images"), "{status} {why}");
    let (status, why) = with_manifest(&forger, &served, |manifest| {
        for object in ["recipe", "assignments"] {
            manifest["objects"][object]["length"] = (u64::MAX - 1).into();
        }
    });
    assert!(status == 422 && why.contains("more bytes than any disk has"), "{status} {why}");
}

#[test]
fn who_waits_to_publish_is_one_of_few() {
    let sandbox = Sandbox::new();
    crate::serve::with_object(&sandbox, 10);
    let served = serve(&sandbox, &[]);
    let first = begin_post(&served, 1000, b"{");
    // Waits until the server reads the body of the first request.
    std::thread::sleep(Duration::from_millis(500));
    let waiting: Vec<_> = (0..12).map(|_| begin_post(&served, 100_000, &[b' '; 1000])).collect();
    let refused = |stream: &mut &TcpStream| {
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).is_ok() && &head == b"HTTP/1.1 503"
    };
    assert_eq!(waiting.iter().filter(|stream| refused(&mut &**stream)).count(), 10);
    drop(first);
}

#[test]
fn who_hangs_up_does_not_begin_another_check() {
    let forger = Forger::new();
    let served = serve(&forger, &["--grace", "1s"]);
    let threads = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", served.pid())).unwrap();
        let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")).unwrap();
        threads.trim().parse::<usize>().unwrap()
    };
    let body = json!({ "statements": [String::from_utf8(forger.release("out2", "1.1", &["me"])).unwrap()] });
    let body = body.to_string();
    let lock = File::open(forger.path("reg/.isn-lock")).unwrap();
    lock.lock().unwrap();
    let mut counted = Vec::new();
    for _ in 0..10 {
        let stream = begin_post(&served, body.len(), body.as_bytes());
        std::thread::sleep(Duration::from_millis(200));
        counted.push(threads());
        drop(stream);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(counted[9] <= counted[0] + 2, "{counted:?}");
}

#[test]
fn a_check_that_waits_does_not_keep_the_server_from_ending() {
    for (signals, grace) in [(1, "1s"), (2, "1h")] {
        let forger = Forger::new();
        let served = serve(&forger, &["--grace", grace]);
        let body =
            json!({ "statements": [String::from_utf8(forger.release("out2", "1.1", &["me"])).unwrap()] });
        let body = body.to_string();
        let lock = File::open(forger.path("reg/.isn-lock")).unwrap();
        lock.lock().unwrap();
        let _stream = begin_post(&served, body.len(), body.as_bytes());
        std::thread::sleep(Duration::from_millis(500));
        // Ensures that the test ends.
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let release = std::thread::spawn(move || {
            let _ = is_done.recv_timeout(Duration::from_secs(15));
            drop(lock);
        });
        let begun = Instant::now();
        served.signal("-TERM");
        if signals == 2 {
            eventually("no new connections", || TcpStream::connect(served.address).is_err());
            served.signal("-TERM");
        }
        let ended = served.end().ok();
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert!(ended.stderr.contains("some answers were cut off"), "{}", ended.stderr);
        drop(done);
        release.join().unwrap();
    }
}

#[test]
fn links_in_staging_are_not_followed() {
    let forger = Forger::new();
    let served = serve(&forger, &[]);
    forger.write("victim", b"precious");
    let then = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let victim = File::options().write(true).open(forger.path("victim")).unwrap();
    victim.set_modified(then).unwrap();
    let path = layout::object(ObjectKind::Classes, &ObjectRef::of(b"precious").blake3);
    let link = forger.path(&format!("reg/.isn-staging/ci/{path}"));
    std::fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(forger.path("victim"), &link).unwrap();
    let head = format!("HEAD /-/publish/{path} HTTP/1.1\nAuthorization: Bearer {TOKEN}");
    assert_eq!(served.raw(&head, b"").status, 500);
    assert_eq!(victim.metadata().unwrap().modified().unwrap(), then);
    // The folder above it may be a link, too.
    std::fs::remove_file(&link).unwrap();
    std::fs::remove_dir(link.parent().unwrap()).unwrap();
    forger.write(&format!("elsewhere/{}", link.file_name().unwrap().to_str().unwrap()), b"precious");
    symlink(forger.path("elsewhere"), link.parent().unwrap()).unwrap();
    assert_eq!(served.raw(&head, b"").status, 500);

    // A link to the right object would be moved to where readers look and lead nowhere for them.
    std::fs::remove_dir_all(forger.path("reg/objects")).unwrap();
    let objects = forger.objects("out2", "");
    for path in &objects {
        let path = path.strip_prefix("out2/").unwrap();
        let link = forger.path(&format!("reg/.isn-staging/ci/{path}"));
        let _ = std::fs::remove_file(link.parent().unwrap());
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(forger.path(&format!("out2/{path}")), link).unwrap();
    }
    let release = String::from_utf8(forger.release("out2", "1.1", &["me"])).unwrap();
    let answer = post(&served, &json!({ "statements": [release], "packs": packs_of(&forger, "out2") }));
    assert_eq!(answer.status, 500, "{}", answer.text());
    assert!(!forger.path("reg/objects").exists() || forger.objects("reg", "").is_empty());
    served.signal("-TERM");
    let log = served.end().ok().stderr;
    assert!(log.contains("is a link"), "{log}");
}

/// Runs `isn publish` of a build to a server.
fn publish(sandbox: &Sandbox, build: &str, served: &Served) -> Ran {
    let host = served.url.split("://").nth(1).unwrap();
    let mut command =
        sandbox.command(&["publish", build, "--registry", &served.url, "--key", "me", "--json"]);
    ran(command.env("ISN_TOKENS", format!("{host}={TOKEN}")))
}

#[test]
fn a_publish_that_was_killed_after_the_log_is_gone_on_with() {
    let sandbox = Sandbox::built();
    sandbox.isn(&["registry", "init", "reg"]).ok();
    let served = serve(&sandbox, &[]);
    publish(&sandbox, "out", &served).ok();
    let lists = [["releases/names", "releases/grads/versions"].as_slice(), &["releases/grads/1.0"]].concat();
    let before = lists.iter().map(|name| sandbox.read(&format!("reg/{name}"))).collect::<Vec<_>>();
    for gone in ["releases", "pins"] {
        std::fs::remove_dir_all(sandbox.path(&format!("reg/{gone}"))).unwrap();
    }
    let again = publish(&sandbox, "out", &served).ok().json();
    assert_eq!(again["already_published"], true);
    let after = lists.iter().map(|name| sandbox.read(&format!("reg/{name}"))).collect::<Vec<_>>();
    assert!(before == after);
    sandbox.trust_me(&served.url);
    sandbox.isn(&["pull", "grads@1.0", "--registry", &served.url, "--to", "tree"]).ok();
    // The same if only one of the files is missing.
    std::fs::remove_dir_all(sandbox.path("reg/pins")).unwrap();
    publish(&sandbox, "out", &served).ok();
    assert!(sandbox.path("reg/pins").exists());
    assert_eq!(served.metric("isn_publish_statements_total"), 2);
}

#[test]
fn a_log_that_was_set_back_is_not_published_to() {
    let sandbox = Sandbox::built();
    sandbox.build_second_version();
    sandbox.isn(&["registry", "init", "reg"]).ok();
    let served = serve(&sandbox, &[]);
    publish(&sandbox, "out", &served).ok();
    sandbox.copy("reg", "earlier");
    publish(&sandbox, "out2", &served).ok();
    std::fs::remove_dir_all(sandbox.path("reg/log")).unwrap();
    sandbox.copy("earlier/log", "reg/log");
    for build in ["out", "out2"] {
        publish(&sandbox, build, &served).fails(4, "its log has 2 entries, 3 were seen before");
    }
}

#[test]
fn a_token_adds_so_many_entries_in_a_day_and_no_more() {
    let forger = Forger::new();
    let served = serve(&forger, &["--publish-entries", "3"]);
    let claim = |name: &str| {
        let owner = Owner::new(name.parse().unwrap(), None, 1, vec![forger.public("me")], Vec::new());
        String::from_utf8(forger.signed(&Statement::Owner(owner), &["me"])).unwrap()
    };
    let send = |names: &[&str]| {
        let statements: Vec<String> = names.iter().map(|name| claim(name)).collect();
        post(&served, &json!({ "statements": statements }))
    };
    let before = contents(&forger.path("reg/log"));
    let answer = send(&["a", "b", "c", "d"]);
    assert_eq!(answer.status, 507, "{}", answer.text());
    assert!(contents(&forger.path("reg/log")) == before);
    assert_eq!(send(&["a", "b"]).status, 200);
    let answer = send(&["c", "d"]);
    assert!(answer.status == 507 && answer.text().contains("may add 1 more"), "{}", answer.text());
    // Objects that are there already do not count.
    assert_eq!(send(&["a", "b", "c"]).status, 200);
    assert_eq!(send(&["a", "b", "c"]).status, 200);
    assert_eq!(send(&["d"]).status, 507);
}

/// Fills the list of names up to the length that readers accept.
fn with_full_list(forger: &Forger) -> Vec<u8> {
    let mut names = forger.bytes("reg/releases/names");
    for number in 0.. {
        let name = format!("zz{number:062}\n");
        let left = (4 << 20) - 5 - names.len();
        names.extend_from_slice(&name.as_bytes()[name.len().saturating_sub(left)..]);
        if left <= name.len() {
            break;
        }
    }
    forger.write("reg/releases/names", &names);
    names
}

#[test]
fn a_list_that_is_full_stops_nobody_and_nothing_goes_into_the_log_that_it_has_no_room_for() {
    let forger = Forger::new();
    let classes = ["ant", "bee", "cat"];
    forger.recipe("a-new-name", "1.0", &classes, "");
    forger.isn(&["build", "a-new-name-1.0.toml", "--source", "raw", "--out", "new"]).ok();
    let names = with_full_list(&forger);
    let log = contents(&forger.path("reg/log"));
    let publish = |out: &str| forger.isn(&["publish", out, "--registry", "reg", "--key", "me"]);
    publish("new").fails(1, "releases/names has no room for a-new-name");
    assert!(contents(&forger.path("reg/log")) == log && forger.bytes("reg/releases/names") == names);
    publish("out2").ok();
    forger.reader(&["list", "--registry", "reg"]).ok();
}

#[test]
fn what_is_wrong_with_its_own_log_a_server_tells_its_keeper_and_not_the_publisher() {
    let forger = Forger::new();
    let bundle = forger.bundle();
    let bytes = forger.bytes(&bundle);
    let bundle = bundle.strip_prefix("reg/").unwrap();
    let faults: [(&str, Option<Vec<u8>>); 3] = [
        (bundle, None),
        (bundle, Some(bytes.iter().map(|byte| byte ^ 1).collect())),
        ("registry.json", Some(b"{".to_vec())),
    ];
    forger.copy("reg", "saved");
    for (file, fault) in faults {
        std::fs::remove_dir_all(forger.path("reg")).unwrap();
        forger.copy("saved", "reg");
        let served = serve(&forger, &[]);
        let path = forger.path("reg").join(file);
        match fault {
            None => std::fs::remove_file(path).unwrap(),
            Some(bytes) => std::fs::write(path, bytes).unwrap(),
        }
        let yank = String::from_utf8(forger.signed(&forger.yank("1.0"), &["me"])).unwrap();
        let answer = post(&served, &json!({ "statements": [yank] }));
        assert_eq!(answer.status, 500, "{file}: {}", answer.text());
        assert!(!answer.text().contains("reg/"), "{file}: {}", answer.text());
        served.signal("-TERM");
        let said = served.end().stderr;
        assert!(said.contains("a publish failed: ") && said.contains(file), "{file}: {said}");
    }
}

#[test]
fn a_file_of_tokens_that_others_may_write_to_lets_nobody_publish() {
    use std::os::unix::fs::PermissionsExt as _;
    let forger = Forger::new();
    let served = serve(&forger, &[]);
    let opened = |mode| {
        std::fs::set_permissions(forger.path("tokens"), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let yank =
        json!({ "statements": [String::from_utf8(forger.signed(&forger.yank("1.0"), &["me"])).unwrap()] });
    let object = layout::object(ObjectKind::Classes, &ObjectRef::of(b"x").blake3);
    let put = format!("PUT /-/publish/{object} HTTP/1.1\nAuthorization: Bearer {TOKEN}\nContent-Length: 1");
    // The server reads the file again for each request.
    opened(0o666);
    assert_eq!((post(&served, &yank).status, served.raw(&put, b"x").status), (500, 500));
    let start = ["serve", "reg", "--listen", "127.0.0.1:0", "--publish-tokens", "tokens"];
    forger.isn(&start).fails(4, "may be changed by others (mode 666)");
    opened(0o644);
    assert_eq!((post(&served, &yank).status, served.raw(&put, b"x").status), (200, 201));
    served.signal("-TERM");
    let said = served.end().stderr;
    assert!(said.contains("may be changed by others (mode 666)"), "{said}");
}
