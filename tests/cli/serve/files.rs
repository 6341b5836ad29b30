//! How a registry's files are served, and that nothing else is.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::{Served, with_object};
use crate::sandbox::Sandbox;

#[test]
fn parts_of_an_object() {
    let sandbox = Sandbox::new();
    // More than one piece, and not a whole number of pieces.
    let (path, bytes) = with_object(&sandbox, (3 << 20) + 17);
    let served = Served::start(&sandbox, &[]);
    let (length, etag) = (bytes.len(), format!("\"{}\"", &path[11..75]));
    let whole = served.raw(&format!("GET /{path} HTTP/1.1\nAccept-Encoding: gzip, zstd"), b"");
    assert_eq!(whole.status, 200);
    assert!(whole.body == bytes);
    for (name, value) in [
        ("etag", etag.as_str()),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("accept-ranges", "bytes"),
        ("content-type", "application/zstd"),
        ("x-content-type-options", "nosniff"),
        ("content-length", &length.to_string()),
    ] {
        assert_eq!(whole.header(name), Some(value), "{name}");
    }
    assert_eq!(whole.header("content-encoding"), None);
    let ask = |more: &str| served.raw(&format!("GET /{path} HTTP/1.1\n{more}"), b"");
    for (range, from, to) in [
        ("0-0", 0, 1),
        ("1048575-2097153", 1_048_575, 2_097_154),
        ("100-", 100, length),
        ("-5", length - 5, length),
        ("0-999999999", 0, length),
    ] {
        let part = ask(&format!("Range: bytes={range}"));
        assert_eq!(part.status, 206, "{range}");
        assert_eq!(part.header("content-range"), Some(&*format!("bytes {from}-{}/{length}", to - 1)));
        assert_eq!(part.header("content-length"), Some(&*(to - from).to_string()));
        assert!(part.body == bytes[from..to], "{range}");
    }
    let after = ask(&format!("Range: bytes={length}-"));
    assert_eq!((after.status, after.header("content-range")), (416, Some(&*format!("bytes */{length}"))));
    for whole in ["Range: bytes=0-1,5-6", "Range: lines=1-2", "Range: bytes=0-1\nIf-Range: \"other\""] {
        let answer = ask(whole);
        assert_eq!((answer.status, answer.body.len()), (200, length), "{whole}");
    }
    assert_eq!(ask(&format!("Range: bytes=0-1\nIf-Range: {etag}")).status, 206);
    let known = ask(&format!("If-None-Match: {etag}"));
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, Some(etag.as_str())));
    let head = served.raw(&format!("HEAD /{path} HTTP/1.1\nRange: bytes=0-1"), b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(&*length.to_string()));
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = served.raw(&format!("{method} /{path} HTTP/1.1"), b"");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    // Several requests on one connection, each sent before the previous response was read.
    let mut stream = served.connect();
    let one = format!("GET /{path} HTTP/1.1\r\nHost: x\r\nRange: bytes=7-1048590\r\n");
    let three = format!("{one}\r\n{one}\r\n{one}Connection: close\r\n\r\n");
    std::io::Write::write_all(&mut stream, three.as_bytes()).unwrap();
    let mut all = super::answer(stream).body;
    let body = &bytes[7..1_048_591];
    for last in [false, false, true] {
        assert!(all.starts_with(body));
        all.drain(..body.len());
        if !last {
            let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
            all.drain(..end + 4);
        }
    }
    assert!(all.is_empty());
}

#[test]
fn what_changes_is_asked_for_again() {
    let sandbox = Sandbox::new();
    with_object(&sandbox, 10);
    // A full tile, a partial one, and a long list.
    sandbox.write("reg/log/tile/0/000", &[1; 8192]);
    sandbox.write("reg/log/tile/0/001.p/3", &[1; 96]);
    sandbox.write("reg/releases/names", "a-name\n".repeat(20_000).as_bytes());
    let served = Served::start(&sandbox, &[]);
    let cache = |path: &str| served.get(path).header("cache-control").unwrap().to_string();
    assert_eq!(cache("log/tile/0/000"), "public, max-age=31536000, immutable");
    for path in ["log/tile/0/001.p/3", "log/checkpoint", "registry.json", "releases/names"] {
        assert_eq!(cache(path), "no-cache", "{path}");
    }
    for (path, text) in [("releases/names", "b-name\n".repeat(20_000)), ("log/checkpoint", "other".into())] {
        let before = served.get(path).header("etag").unwrap().to_string();
        let ask = || served.raw(&format!("GET /{path} HTTP/1.1\nIf-None-Match: {before}"), b"");
        assert_eq!(ask().status, 304);
        sandbox.write(&format!("reg/{path}"), text.as_bytes());
        let now = ask();
        assert_eq!((now.status, now.text() == text), (200, true), "{path}");
        assert_ne!(now.header("etag"), Some(before.as_str()));
    }
}

#[test]
fn nothing_else_is_served() {
    let sandbox = Sandbox::new();
    let (path, _) = with_object(&sandbox, 10);
    let (dir, file) = path.rsplit_once('/').unwrap();
    let secret = b"a secret";
    for name in [
        "secret",
        "reg/.isn-lock-x",
        "reg/.isn-staging/ci/objects/x",
        "reg/keys/me",
        "reg/notes.txt",
        "reg/log/.isn-claims/0",
        "reg/objects/.isn-tmp-x",
        "reg/releases/.hidden",
        "reg/recipes/birds/.hidden",
    ] {
        sandbox.write(name, secret);
    }
    // Symlinks to a file and a folder outside the registry; a symlink that stays inside is
    // served like its target.
    let out = format!("objects/00/00{}.json", "0".repeat(62));
    std::fs::create_dir_all(sandbox.path("reg/objects/00")).unwrap();
    symlink(sandbox.path("secret"), sandbox.path(&format!("reg/{out}"))).unwrap();
    let linked = format!("objects/11/11{}.json", "1".repeat(62));
    sandbox.write(&format!("outside/11{}.json", "1".repeat(62)), secret);
    symlink(sandbox.path("outside"), sandbox.path("reg/objects/11")).unwrap();
    symlink(sandbox.path("reg/log/checkpoint"), sandbox.path("reg/releases/names")).unwrap();
    let served = Served::start(&sandbox, &[]);
    assert_eq!(served.get("releases/names").status, 200);
    for path in [
        "/",
        "/objects",
        "/objects/",
        "/releases/",
        &format!("/{dir}"),
        &format!("/{dir}/"),
        "/.isn-lock",
        "/.isn-lock-x",
        "/.isn-staging/ci/objects/x",
        "/keys/me",
        "/notes.txt",
        "/log/.isn-claims/0",
        "/objects/.isn-tmp-x",
        "/releases/.hidden",
        "/recipes/birds/.hidden",
        "/../secret",
        "/objects/../../secret",
        "/%2e%2e/secret",
        "/objects/%2e%2e/%2E%2E/secret",
        "/..%2fsecret",
        "/recipes/birds/..%2f..%2f..%2fsecret",
        "/recipes/birds/..",
        "/registry.json%00",
        "/registry.json/",
        "//registry.json",
        "/./registry.json",
        "/registry%2ejson",
        &format!("/{dir}/{}", file.replace('.', "%2e")),
        &format!("/{out}"),
        &format!("/{linked}"),
        "/-/",
        "/-/publish/statements",
        "/-/publish/objects/00/x",
    ] {
        let answer = served.raw(&format!("GET {path} HTTP/1.1"), b"");
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        assert!(!answer.text().contains("secret"), "{path}");
    }
    for path in ["\\..\\secret", "/\0", "/registry.json\u{1}", "registry.json"] {
        let answer = served.raw(&format!("GET {path} HTTP/1.1"), b"");
        assert!([400, 404].contains(&answer.status), "{path:?}: {}", answer.status);
    }
    let absolute = served.raw("GET http://elsewhere/registry.json HTTP/1.1", b"");
    assert_eq!(absolute.status, 200, "the host is not looked at");
}

/// "Not found" would be an answer: a client goes on as if the registry did not have the file.
#[test]
fn what_is_not_a_file_is_not_answered_as_absent() {
    let sandbox = Sandbox::new();
    let (path, _) = with_object(&sandbox, 100);
    let file = sandbox.path("reg").join(&path);
    let served = Served::start(&sandbox, &[]);
    assert_eq!(served.get(&path).status, 200);
    let kinds: [(&str, &dyn Fn()); 4] = [
        ("a folder", &|| fs::create_dir(&file).unwrap()),
        ("a pipe", &|| assert!(Command::new("mkfifo").arg(&file).status().unwrap().success())),
        ("a link to itself", &|| symlink(file.file_name().unwrap(), &file).unwrap()),
        ("nothing", &|| {}),
    ];
    for (kind, put) in kinds {
        fs::remove_file(&file).or_else(|_| fs::remove_dir(&file)).unwrap();
        put();
        let answer = served.get(&path);
        assert_eq!(answer.status, if kind == "nothing" { 404 } else { 500 }, "{kind}");
        if kind == "nothing" {
            fs::write(&file, "x").unwrap();
        }
    }
}

#[test]
fn a_registry_whose_checkpoint_cannot_be_read_is_not_served() {
    let (sandbox, _) = Sandbox::published();
    let served = Served::start(&sandbox, &[]);
    assert_eq!(served.get("-/health").status, 200);
    let checkpoint = sandbox.path("reg/log/checkpoint");
    let kept = fs::read(&checkpoint).unwrap();
    fs::remove_file(&checkpoint).unwrap();
    fs::create_dir(&checkpoint).unwrap();
    assert_eq!(served.get("-/health").status, 503);
    sandbox.isn(&["serve", "reg", "--listen", "127.0.0.1:0"]).fails(5, "log/checkpoint is a folder");
    fs::remove_dir(&checkpoint).unwrap();
    assert_eq!(served.get("-/health").status, 503);
    sandbox.isn(&["serve", "reg", "--listen", "127.0.0.1:0"]).fails(3, "log/checkpoint is missing");
    // It would read it, and serve it to nobody.
    fs::write(sandbox.path("elsewhere"), kept).unwrap();
    symlink(sandbox.path("elsewhere"), &checkpoint).unwrap();
    let linked = "is a symlink to what is not served";
    sandbox.isn(&["serve", "reg", "--listen", "127.0.0.1:0"]).fails(1, linked);
    fs::remove_file(&checkpoint).unwrap();
    fs::rename(sandbox.path("elsewhere"), &checkpoint).unwrap();
    // Nor would it serve an object.
    fs::rename(sandbox.path("reg/objects"), sandbox.path("reg/moved")).unwrap();
    symlink("moved", sandbox.path("reg/objects")).unwrap();
    sandbox.isn(&["serve", "reg", "--listen", "127.0.0.1:0"]).fails(1, linked);
    fs::remove_file(sandbox.path("reg/objects")).unwrap();
    fs::rename(sandbox.path("reg/moved"), sandbox.path("reg/objects")).unwrap();
    // As of a disk that is not mounted.
    for folder in ["log", "objects", "packs", "pins", "releases"] {
        let at = sandbox.path("reg").join(folder);
        fs::rename(&at, sandbox.path("kept")).unwrap();
        symlink("nowhere", &at).unwrap();
        sandbox.isn(&["serve", "reg", "--listen", "127.0.0.1:0"]).fails(1, linked);
        fs::remove_file(&at).unwrap();
        fs::write(&at, "").unwrap();
        sandbox.isn(&["serve", "reg", "--listen", "127.0.0.1:0"]).fails(1, "is not a folder");
        fs::remove_file(&at).unwrap();
        fs::rename(sandbox.path("kept"), &at).unwrap();
    }
}

#[test]
fn a_link_that_leads_nowhere_is_not_answered_as_absent() {
    let sandbox = Sandbox::new();
    let (path, _) = with_object(&sandbox, 100);
    let served = Served::start(&sandbox, &[]);
    let folder = sandbox.path("reg").join(&path).parent().unwrap().to_path_buf();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(served.get(&path).status, 404);
    symlink("nowhere", &folder).unwrap();
    assert_eq!(served.get(&path).status, 500);
    fs::remove_file(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    symlink("nowhere", sandbox.path("reg").join(&path)).unwrap();
    assert_eq!(served.get(&path).status, 500);
    assert_eq!(served.get("releases/nothing").status, 404);
}
