//! The bytes a client sends to `isn serve`: HTTP/1.1, HTTP/2 or neither, to a server that also accepts
//! uploads. It is a real server on loopback, so this tests hyper's parsing as well as isn's use of it.
#![no_main]

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use isn::serve::{PublishOptions, ServeOptions, Server};
use isn_format::digest::Digest;
use isn_registry::known_logs::KnownLogs;
use isn_registry::trust::TrustStore;
use libfuzzer_sys::fuzz_target;

/// The content of files that the registry must not serve.
const SECRET: &[u8] = b"nobody may read this";
/// A request that takes longer than this is the server's fault.
const PATIENCE: Duration = Duration::from_secs(5);

/// The address of this process's only server.
static SERVER: LazyLock<SocketAddr> = LazyLock::new(|| {
    let root = std::env::temp_dir().join(format!("isn-fuzz-request-{}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    let write = |path: &str, bytes: &[u8]| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("is below the root")).expect("can be made");
        fs::write(path, bytes).expect("can be written");
    };
    write("registry/registry.json", include_bytes!("../../registry/registry.json"));
    write("registry/log/checkpoint", include_bytes!("../../registry/log/checkpoint"));
    let object = Digest::of(b"x").to_string();
    write(&format!("registry/objects/{}/{object}.csv", &object[..2]), b"x");
    // An object staged by a token, as an earlier server may have left it.
    let staged = format!("registry/.isn-staging/a/objects/{}/{object}.csv", &object[..2]);
    for secret in ["registry/secret", "registry/recipes/a/key", &staged, "secret"] {
        write(secret, SECRET);
    }
    write("tokens", format!("a {}\n", Digest::of(b"token")).as_bytes());
    let second = Duration::from_secs(1);
    let options = ServeOptions {
        registry: root.join("registry"),
        listen: ([127, 0, 0, 1], 0).into(),
        tls: None,
        max_connections: 64,
        max_per_address: 0,
        header_timeout: second,
        idle_timeout: second,
        grace: second,
        threads: 1,
        publish: Some(PublishOptions {
            tokens: root.join("tokens"),
            quota: 1 << 20,
            most_objects: 8,
            most_images: 100,
            most_entries: 100,
            logs: KnownLogs::new(root.join("logs")),
            trust: TrustStore::open(root.join("trust.toml")).expect("there is none"),
        }),
        log: true,
    };
    let server = Server::bind(&options, Arc::new(|line: &str| assert!(!line.contains('\n')))).expect("binds");
    let address = server.address();
    std::thread::spawn(move || server.run());
    address
});

fuzz_target!(|data: &[u8]| {
    let mut client = TcpStream::connect(*SERVER).expect("the server listens");
    client.set_read_timeout(Some(PATIENCE)).expect("is not zero");
    // The server may have refused and closed the connection before everything was sent.
    let _ = client.write_all(data).and_then(|()| client.shutdown(Shutdown::Write));
    let mut answer = Vec::new();
    let late = |e: &std::io::Error| {
        matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
    };
    if let Err(e) = client.read_to_end(&mut answer) {
        assert!(!late(&e), "not done after {PATIENCE:?}");
    }
    assert!(!answer.windows(SECRET.len()).any(|bytes| bytes == SECRET));
    assert!(!answer.starts_with(b"HTTP/1.1 500"), "{}", String::from_utf8_lossy(&answer));
});
