//! Clients of `isn serve` that take all they can and read nothing: other clients are served meanwhile.

use std::collections::VecDeque;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::statement::Statement;
use isn_registry::registry::layout;
use serde_json::json;

use crate::forger::Forger;
use crate::sandbox::{Sandbox, eventually};
use crate::serve::{Served, answer, with_object};

const TOKEN: &str = "2f6b0c3e9a7d4851b6c0d2e4f6a8091b";
const OTHER: &str = "00000000000000000000000000000000";

/// An HTTP/2 connection whose client reads only as many bytes of each answer as its initial window allows.
struct Http2(TcpStream);

impl Http2 {
    fn new(served: &Served, window: u32) -> Self {
        let mut stream = served.connect();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let mut client = Http2(stream);
        // SETTINGS_INITIAL_WINDOW_SIZE
        client.frame(4, 0, 0, &[&[0, 4], &window.to_be_bytes()[..]].concat()).unwrap();
        client
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> std::io::Result<()> {
        let length = (payload.len() as u32).to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()[..]].concat();
        self.0.write_all(&[&head[..], payload].concat())
    }

    /// Requests a path, with HEADERS that end both headers and request.
    fn get(&mut self, stream: u32, path: &str) {
        // `GET`, `http`, and literals for path and authority.
        let mut block = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
        block.extend_from_slice(path.as_bytes());
        block.extend_from_slice(b"\x01\x01x");
        self.frame(1, 0x5, stream, &block).unwrap();
    }

    fn ask(&mut self, path: &str, streams: u32) {
        (0..streams).for_each(|n| self.get(2 * n + 1, &format!("/{path}")));
    }

    fn ping(&mut self) -> std::io::Result<()> {
        (0..32).try_for_each(|_| self.frame(6, 0, 0, b"any time"))
    }
}

/// Requests a path from another address of this machine.
fn get_from_elsewhere(served: &Served, path: &str) -> crate::serve::Answer {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0)).into()).unwrap();
    socket.connect(&served.address.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    answer(stream)
}

/// Returns the server's peak memory, in kB.
fn peak(served: &Served) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Ends the clients with the test, however it ends.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn streams_that_take_nothing_are_ended_although_their_client_pings() {
    let sandbox = Sandbox::new();
    let (path, bytes) = with_object(&sandbox, 300_000);
    let served = Served::start_with_files(&sandbox, 400, &["--idle-timeout", "3s"]);
    let (full, done) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _end = End(&done);
        for window in [0, 1, 20_000] {
            let (served, path, full, done) = (&served, &path, &full, &done);
            scope.spawn(move || {
                let client = || {
                    let mut client = Http2::new(served, window);
                    client.ask(path, 32);
                    client
                };
                let mut clients: VecDeque<_> = (0..8).map(|_| client()).collect();
                while !done.load(Ordering::Relaxed) {
                    // On a busy machine, streams may be ended before the test has looked.
                    if !full.load(Ordering::Relaxed) {
                        clients.pop_front();
                        clients.push_back(client());
                    }
                    // Connections without new requests are closed after a while.
                    clients.retain_mut(|client| client.ping().is_ok());
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
        }
        // One address has used up its share of open files; other addresses are still served.
        eventually("one address has used up its share", || served.get(&path).status == 503);
        full.store(true, Ordering::Relaxed);
        let other = get_from_elsewhere(&served, &path);
        assert_eq!((other.status, other.body == bytes), (200, true));
        eventually("the stalled streams are ended", || served.get(&path).status == 200);
        eventually("their connections are closed", || served.metric("isn_connections") == 1);
        assert!(served.metric("isn_streams_stalled_total") >= 32);
    });
}

#[test]
fn streams_that_take_nothing_cost_little_memory() {
    let sandbox = Sandbox::new();
    let (path, _) = with_object(&sandbox, 1 << 20);
    sandbox.write("reg/releases/names", "a-name\n".repeat(9000).as_bytes());
    let served = Served::start(&sandbox, &[]);
    let mut clients = Vec::new();
    // A large file and one that is read at once, each not read at all and read in part.
    for (path, window) in
        [(path.as_str(), 0), (path.as_str(), 1), ("releases/names", 0), ("releases/names", 1)]
    {
        for _ in 0..60 {
            let mut client = Http2::new(&served, window);
            client.ask(path, 32);
            clients.push(client);
        }
    }
    let asked = || {
        let text = get_from_elsewhere(&served, "-/metrics").text();
        let answers = text.lines().filter_map(|line| line.strip_prefix("isn_requests_total{method=\"GET\""));
        answers.filter_map(|line| line.split(' ').nth(1)?.parse::<u64>().ok()).sum::<u64>()
    };
    eventually("all are answered", || asked() >= 240 * 32);
    assert!(peak(&served) < 120_000, "{} kB for 240 clients of one address", peak(&served));
    drop(clients);
}

/// Starts an upload that goes on for ever at a few bytes a second.
fn drip(served: &Served, token: &str, n: u32) -> TcpStream {
    let hex = blake3::hash(&n.to_le_bytes()).to_hex();
    let mut stream = served.connect();
    let head = format!("PUT /-/publish/objects/{}/{hex}.csv HTTP/1.1\r\nHost: x\r\n", &hex[..2]);
    write!(stream, "{head}Authorization: Bearer {token}\r\nContent-Length: 1000000\r\n\r\n").unwrap();
    stream
}

/// Gives `reg` two tokens.
fn with_tokens(sandbox: &Sandbox) {
    let line = |name: &str, token: &str| format!("{name} {}\n", blake3::hash(token.as_bytes()));
    sandbox.write("tokens", (line("ci", TOKEN) + &line("other", OTHER)).as_bytes());
}

fn put(served: &Served, token: &str, bytes: &[u8], kind: ObjectKind) -> u16 {
    let path = layout::object(kind, &ObjectRef::of(bytes).blake3);
    let head = format!("PUT /-/publish/{path} HTTP/1.1\nAuthorization: Bearer {token}");
    served.raw(&format!("{head}\nContent-Length: {}", bytes.len()), bytes).status
}

#[test]
fn slow_uploads_of_one_token_do_not_hold_up_another() {
    let sandbox = Sandbox::new();
    with_object(&sandbox, 10);
    with_tokens(&sandbox);
    let served = Served::start(&sandbox, &["--publish-tokens", "tokens", "--idle-timeout", "3s"]);
    let mut slow: Vec<_> = (0..16).map(|n| drip(&served, TOKEN, n)).collect();
    let uploads = || {
        let staged = crate::sandbox::contents(&sandbox.path("reg/.isn-staging"));
        staged.into_iter().filter(|(name, _)| name.contains(".isn-upload-")).count()
    };
    eventually("the slow uploads are under way", || uploads() > 0);
    assert_eq!(put(&served, OTHER, b"mine", ObjectKind::Classes), 201);
    eventually("the slow uploads are ended", || {
        slow.iter_mut().for_each(|stream| drop(stream.write_all(&[0; 6])));
        std::thread::sleep(Duration::from_millis(50));
        uploads() == 0
    });
    let said = slow.into_iter().map(answer).map(|answer| (answer.status, answer.text()));
    let (slow, refused): (Vec<_>, Vec<_>) = said.partition(|(status, _)| *status == 408);
    assert_eq!((slow.len(), refused.len()), (4, 12), "{refused:?}");
    assert!(slow[0].1.contains("less than 1024 bytes a second"), "{slow:?}");
    assert!(refused.iter().all(|(status, _)| *status == 503), "{refused:?}");
    assert_eq!(put(&served, TOKEN, b"mine", ObjectKind::Classes), 201);
}

#[test]
fn a_token_stages_so_many_objects_and_no_more() {
    let sandbox = Sandbox::new();
    with_object(&sandbox, 10);
    with_tokens(&sandbox);
    let served = Served::start(&sandbox, &["--publish-tokens", "tokens", "--publish-objects", "3"]);
    let stage = |token: &str, n: u8| put(&served, token, &[n], ObjectKind::Classes);
    assert_eq!([1, 2, 3, 3, 4].map(|n| stage(TOKEN, n)), [201, 201, 201, 200, 507]);
    assert_eq!(stage(OTHER, 4), 201);
    drop(served);
    let served = Served::start(&sandbox, &["--publish-tokens", "tokens", "--publish-objects", "3"]);
    assert_eq!(put(&served, TOKEN, &[4], ObjectKind::Classes), 507);
    assert_eq!(put(&served, OTHER, &[5], ObjectKind::Classes), 201);
}

/// Sends the release of a build with another index, and returns the answer.
fn publish_index(forger: &Forger, served: &Served, images: u64, index: &[u8]) -> (u16, String) {
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&forger.bytes("out2/manifest.json")).unwrap();
    let counted = manifest["images"].as_u64().unwrap() - manifest["splits"]["train"]["ant"].as_u64().unwrap();
    manifest["splits"]["train"]["ant"] = (images - counted).into();
    manifest["images"] = images.into();
    manifest["objects"]["index"] = serde_json::to_value(ObjectRef::of(index)).unwrap();
    let manifest = serde_json::to_vec(&manifest).unwrap();
    for (kind, bytes) in [(ObjectKind::Index, index), (ObjectKind::Manifest, &manifest)] {
        assert!([200, 201].contains(&put(served, TOKEN, bytes, kind)));
    }
    let ObjectRef { blake3, length } = ObjectRef::of(&manifest);
    let mut statement = forger.release_of("out2", "1.1");
    (statement.manifest, statement.manifest_len) = (blake3, length);
    let signed = forger.signed(&Statement::Release(statement), &["me"]);
    let body =
        json!({ "statements": [String::from_utf8(signed).unwrap()], "rebuild_only": true }).to_string();
    let head = format!("POST /-/publish/statements HTTP/1.1\nAuthorization: Bearer {TOKEN}");
    let answer = served.raw(&format!("{head}\nContent-Length: {}", body.len()), body.as_bytes());
    (answer.status, answer.text())
}

/// Returns a row of an index, with three hashes.
fn row(n: u32, hash: impl Fn(u32) -> String) -> String {
    let [image, pixels, source] = [0, 1, 2].map(hash);
    let row = json!({
        "path": format!("train/ant/{n:08}.png"),
        "class": "ant",
        "split": "train",
        "blake3": image,
        "length": 1,
        "width": 1,
        "height": 1,
        "pixels": pixels,
        "source": format!("ant/{n}.png"),
        "source_blake3": source,
    });
    format!("{row}\n")
}

#[test]
fn an_index_that_unfolds_to_much_is_refused_before_it_is_read() {
    let forger = Forger::new();
    with_tokens(&forger);
    let served = Served::start(&forger, &["--publish-tokens", "tokens", "--publish-images", "2000000"]);
    let row = |n: u32| row(n, |_| "0".repeat(64));
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    (0..1_000_000).for_each(|n| encoder.write_all(row(n).as_bytes()).unwrap());
    let index = encoder.finish().unwrap();
    let (status, why) = publish_index(&forger, &served, 1_000_000, &index);
    assert_eq!(status, 422, "{why}");
    assert!(why.contains("decompresses to more than"), "{why}");
    // More rows than the manifest says, and more images than the server takes.
    let few = zstd::encode_all((0..200).map(row).collect::<String>().as_bytes(), 1).unwrap();
    let (status, why) = publish_index(&forger, &served, 100, &few);
    assert!(status == 422 && why.contains("more than the 100 lines"), "{status} {why}");
    let (status, why) = publish_index(&forger, &served, 2_000_001, &few);
    assert!(status == 422 && why.contains("takes 2000000 at most"), "{status} {why}");
    assert!(peak(&served) < 100_000, "{} kB", peak(&served));
    assert_eq!(served.metric("isn_publish_statements_total"), 0);
}

#[test]
fn what_else_lies_beside_a_recipe_is_not_shown() {
    let sandbox = Sandbox::new();
    with_object(&sandbox, 10);
    let secret = b"-----BEGIN OPENSSH PRIVATE KEY-----";
    sandbox.write("reg/recipes/birds/recipe.toml", b"a recipe");
    sandbox.write("reg/recipes/birds/corrections.csv", b"a ledger");
    sandbox.write("reg/keys/log", secret);
    let others = ["id_ed25519", "me", "tokens.toml", "notes.txt", "recipe.toml~", ".env", "key.pem"];
    for name in others {
        sandbox.write(&format!("reg/recipes/birds/{name}"), secret);
    }
    // A name that would be served, but the link's target is not.
    symlink("../../keys/log", sandbox.path("reg/recipes/birds/README.md")).unwrap();
    symlink("../../keys/log", sandbox.path("reg/recipes/birds/link.csv")).unwrap();
    let served = Served::start(&sandbox, &[]);
    for name in ["recipe.toml", "corrections.csv"] {
        assert_eq!(served.get(&format!("recipes/birds/{name}")).status, 200, "{name}");
    }
    for name in others.into_iter().chain(["README.md", "link.csv"]) {
        let answer = served.get(&format!("recipes/birds/{name}"));
        assert_eq!(answer.status, 404, "{name}: {}", answer.text());
    }
}

#[test]
fn a_mirror_does_not_follow_links_of_recipes() {
    let forger = Forger::new();
    forger.write("secret", b"-----BEGIN OPENSSH PRIVATE KEY-----");
    forger.write("reg/recipes/birds/notes.txt", b"not copied");
    std::fs::create_dir_all(forger.path("reg/recipes/grads")).unwrap();
    symlink(forger.path("secret"), forger.path("reg/recipes/grads/recipe.toml")).unwrap();
    forger.reader(&["mirror", "reg", "m"]).fails(1, "reg/recipes/grads/recipe.toml is a symlink");
    assert!(!forger.path("m/recipes/grads/recipe.toml").exists());
    std::fs::remove_file(forger.path("reg/recipes/grads/recipe.toml")).unwrap();
    forger.write("reg/recipes/grads/recipe.toml", b"a recipe");
    forger.reader(&["mirror", "reg", "m"]).ok();
    assert_eq!(forger.bytes("m/recipes/grads/recipe.toml"), b"a recipe");
    assert!(!forger.path("m/recipes/birds").exists());
}

#[test]
fn a_long_check_locks_nobody_out() {
    let forger = Forger::new();
    with_tokens(&forger);
    let served = Served::start(&forger, &["--publish-tokens", "tokens"]);
    let row = |n: u32| row(n, |salt| blake3::hash(&[n, salt].map(u32::to_le_bytes).concat()).to_string());
    let rows = 60_000;
    let index = zstd::encode_all((0..rows).map(row).collect::<String>().as_bytes(), 1).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (served, forger, done) = (&served, &forger, &done);
        let looking = scope.spawn(move || {
            let _end = End(done);
            let (mut free, mut held) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                let lock = std::fs::File::open(forger.path("reg/.isn-lock")).unwrap();
                *(if lock.try_lock().is_ok() { &mut free } else { &mut held }) += 1;
                drop(lock);
                std::thread::sleep(Duration::from_millis(5));
            }
            (free, held)
        });
        let _end = End(done);
        // The rows are well-formed but do not match the dataset hash, which only shows at the end.
        let (status, why) = publish_index(forger, served, rows.into(), &index);
        assert_eq!(status, 422, "{why}");
        assert!(why.contains("gives dataset hash"), "{why}");
        done.store(true, Ordering::Relaxed);
        let (free, held) = looking.join().unwrap();
        assert!(free > 20 && held < free, "free {free} times, held {held} times");
    });
}
