//! Publishing over HTTP: who may publish, what is checked, and that nothing unfinished is ever public.

use std::io::Write;

use serde_json::{Value, json};

use super::{Answer, Served};
use crate::sandbox::{Sandbox, contents, eventually, ran};

const TOKEN: &str = "2f6b0c3e9a7d4851b6c0d2e4f6a8091b";
const OTHER: &str = "00000000000000000000000000000000";

/// Makes a build `out`, a registry `reg` with an empty log, a file with two tokens, and the statements of a
/// publish made elsewhere with the same key: the claim of the name and the release.
fn prepared() -> (Sandbox, Vec<String>, Vec<String>) {
    let sandbox = Sandbox::built();
    sandbox.isn(&["registry", "init", "reg"]).ok();
    let line = |name: &str, token: &str| format!("{name} {}\n", blake3::hash(token.as_bytes()));
    sandbox.write("tokens", (line("ci", TOKEN) + &line("other", OTHER)).as_bytes());
    let statements = said(&sandbox, "out", "elsewhere", "me");
    let packs = packs_of(&sandbox, "out");
    (sandbox, statements, packs)
}

/// The entries of a log after a build is published to another registry.
fn said(sandbox: &Sandbox, build: &str, registry: &str, key: &str) -> Vec<String> {
    sandbox.isn(&["publish", build, "--registry", registry, "--key", key]).ok();
    let files = contents(&sandbox.path(registry));
    let (_, bundle) = files.iter().rfind(|(name, _)| name.starts_with("log/tile/entries/000.p/")).unwrap();
    let (mut rest, mut entries) = (&bundle[..], Vec::new());
    while let Some((length, more)) = rest.split_at_checked(2) {
        let (entry, more) = more.split_at(usize::from(u16::from_be_bytes([length[0], length[1]])));
        entries.push(String::from_utf8(entry.to_vec()).unwrap());
        rest = more;
    }
    entries
}

fn packs_of(sandbox: &Sandbox, build: &str) -> Vec<String> {
    let files = contents(&sandbox.path(build));
    let (_, packs) = files.iter().find(|(name, _)| name.starts_with("packs/")).unwrap();
    String::from_utf8(packs.clone()).unwrap().lines().map(String::from).collect()
}

fn serve(sandbox: &Sandbox, more: &[&str]) -> Served {
    Served::start(sandbox, &[&["--publish-tokens", "tokens"], more].concat())
}

fn put(served: &Served, token: &str, path: &str, bytes: &[u8]) -> Answer {
    let length = bytes.len();
    let head =
        format!("PUT /-/publish/{path} HTTP/1.1\nAuthorization: Bearer {token}\nContent-Length: {length}");
    served.raw(&head, bytes)
}

fn stage_all(served: &Served, sandbox: &Sandbox, build: &str, token: &str, expected: u16) {
    for path in sandbox.objects(build, "") {
        let name = path.strip_prefix(&format!("{build}/")).unwrap();
        let answer = put(served, token, name, &sandbox.read(&path));
        assert_eq!(answer.status, expected, "{name}: {}", answer.text());
    }
}

fn post(served: &Served, token: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let length = body.len();
    let head = format!(
        "POST /-/publish/statements HTTP/1.1\nAuthorization: Bearer {token}\nContent-Length: {length}"
    );
    served.raw(&head, body.as_bytes())
}

/// The files that readers could find: all but hidden ones.
fn public(sandbox: &Sandbox) -> Vec<(String, Vec<u8>)> {
    let is_public = |(name, _): &(String, Vec<u8>)| !name.split('/').any(|part| part.starts_with('.'));
    contents(&sandbox.path("reg")).into_iter().filter(is_public).collect()
}

#[test]
fn a_version_is_published_and_pulled() {
    let (sandbox, statements, packs) = prepared();
    let served = serve(&sandbox, &[]);
    stage_all(&served, &sandbox, "out", TOKEN, 201);
    // If an object is sent again, the server does not read it again.
    stage_all(&served, &sandbox, "out", TOKEN, 200);
    let before = public(&sandbox);
    assert!(before.iter().all(|(name, _)| !name.starts_with("objects/")));
    let body = json!({ "statements": statements, "packs": packs });
    let done = post(&served, TOKEN, &body);
    assert_eq!(done.status, 200, "{}", done.text());
    let report: Value = serde_json::from_slice(&done.body).unwrap();
    assert_eq!((&report["new_entries"], &report["entries"][1]["entry"]), (&json!(2), &json!(1)));
    assert_eq!(report["new_objects"], sandbox.objects("out", "").len());

    sandbox.trust_me(&served.url);
    sandbox.isn(&["pull", "grads@1.0", "--registry", &served.url, "--to", "tree"]).ok();
    sandbox.isn(&["verify", "reg"]).ok();
    sandbox.isn(&["log", "verify", "--registry", "reg"]).ok();
    // The same request again, as after a lost response, changes nothing.
    let after = public(&sandbox);
    let again = post(&served, TOKEN, &body);
    assert_eq!(again.status, 200, "{}", again.text());
    assert!(again.text().contains("\"new_entries\":0"), "{}", again.text());
    assert!(public(&sandbox) == after);
    let staged = contents(&sandbox.path("reg/.isn-staging"));
    assert!(staged.iter().all(|(name, _)| matches!(&name[..], ".lock" | ".made-by-isn")), "{staged:?}");
    stage_all(&served, &sandbox, "out", TOKEN, 200);

    // The next version uploads only what is new.
    sandbox.build_second_version();
    let all = said(&sandbox, "out2", "elsewhere", "me");
    let second = packs_of(&sandbox, "out2");
    for path in sandbox.objects("out2", "") {
        let answer = put(&served, TOKEN, path.strip_prefix("out2/").unwrap(), &sandbox.read(&path));
        assert!([200, 201].contains(&answer.status), "{}", answer.text());
    }
    let done = post(&served, TOKEN, &json!({ "statements": [all[2]], "packs": second }));
    assert_eq!(done.status, 200, "{}", done.text());
    sandbox.isn(&["pull", "grads@1.1", "--registry", &served.url, "--to", "tree2"]).ok();
    assert_eq!(served.metric("isn_publish_statements_total"), 3);
    served.signal("-TERM");
    let log = served.end().ok().stderr;
    assert!(log.contains("ci: ") && log.contains("entry 1 of the log") && !log.contains(TOKEN), "{log}");
}

/// A server that holds the log's key does not sign a planted log claim. Only its keeper can read why.
#[test]
fn a_planted_claim_is_not_signed_by_a_server() {
    let (sandbox, statements, packs) = prepared();
    let served = serve(&sandbox, &[]);
    stage_all(&served, &sandbox, "out", TOKEN, 201);
    let mut planted = (statements[0].len() as u16).to_be_bytes().to_vec();
    planted.extend_from_slice(statements[0].as_bytes());
    sandbox.write("reg/log/.isn-claims/0", &planted);
    let before = contents(&sandbox.path("reg"));
    let body = json!({ "statements": statements, "packs": packs });
    let refused = post(&served, TOKEN, &body);
    assert_eq!(refused.status, 500, "{}", refused.text());
    assert!(!refused.text().contains("claim"), "{}", refused.text());
    assert!(contents(&sandbox.path("reg")) == before);
    sandbox.isn(&["log", "unclaim", "--registry", "reg"]).ok();
    assert_eq!(post(&served, TOKEN, &body).status, 200);
    served.signal("-TERM");
    let log = served.end().ok().stderr;
    assert!(log.contains("log/.isn-claims/0 is not signed"), "{log}");
}

#[test]
fn who_may_not_publish_changes_nothing() {
    let (sandbox, statements, packs) = prepared();
    let served = serve(&sandbox, &[]);
    let before = contents(&sandbox.path("reg"));
    let path = &sandbox.objects("out", "")[0];
    let (name, bytes) = (path.strip_prefix("out/").unwrap(), sandbox.read(path));
    let body = json!({ "statements": statements, "packs": packs });
    for token in ["", "x", "2f6b0c3e9a7d4851b6c0d2e4f6a8091c", &blake3::hash(TOKEN.as_bytes()).to_string()] {
        let answer = put(&served, token, name, &bytes);
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{token}");
        assert_eq!(post(&served, token, &body).status, 401, "{token}");
    }
    let none = served.raw(&format!("PUT /-/publish/{name} HTTP/1.1\nContent-Length: 0"), b"");
    assert_eq!(none.status, 401);
    assert!(contents(&sandbox.path("reg")) == before);

    stage_all(&served, &sandbox, "out", TOKEN, 201);
    let before = public(&sandbox);
    // Another token does not see what is staged.
    let answer = post(&served, OTHER, &body);
    assert_eq!(answer.status, 422, "{}", answer.text());
    // A signature of other bytes, one that is not an owner's, and a release of a name without an owner.
    let forged: Vec<String> = statements.iter().map(|s| s.replace("version 1.0", "version 7.0")).collect();
    let answer = post(&served, TOKEN, &json!({ "statements": forged, "packs": packs }));
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(answer.text().contains("not valid"), "{}", answer.text());
    let answer = post(&served, TOKEN, &json!({ "statements": [statements[1]], "packs": packs }));
    assert_eq!(answer.status, 403, "{}", answer.text());
    sandbox.isn(&["key", "new", "you", "--no-passphrase"]).ok();
    let yours = said(&sandbox, "out", "yours", "you");
    let mixed = json!({ "statements": [statements[0], yours[1]], "packs": packs });
    let answer = post(&served, TOKEN, &mixed);
    assert_eq!(answer.status, 403, "{}", answer.text());
    // Malformed requests.
    for (body, status) in [
        (json!({ "statements": [] }), 400),
        (json!({ "statements": ["x"] }), 422),
        (json!({ "statements": statements, "packs": ["x"] }), 400),
        (json!({ "statements": statements, "packs": packs, "more": 1 }), 400),
        (json!({ "statements": statements }), 422),
        (json!({ "statements": ["x".repeat(2 << 20)] }), 413),
    ] {
        assert_eq!(post(&served, TOKEN, &body).status, status, "{:.80}", body.to_string());
    }
    assert!(public(&sandbox) == before);

    // Once a name has owners, nobody else can claim it.
    assert_eq!(post(&served, TOKEN, &body).status, 200);
    let after = public(&sandbox);
    let answer = post(&served, OTHER, &json!({ "statements": yours, "packs": packs }));
    assert_eq!(answer.status, 409, "{}", answer.text());
    assert!(answer.text().contains("no longer in force"), "{}", answer.text());
    assert!(public(&sandbox) == after);

    // A token that was removed is refused at once.
    sandbox.write("tokens", b"");
    assert_eq!(put(&served, TOKEN, name, &bytes).status, 401);
}

#[test]
fn objects_are_what_their_names_say_or_are_not_staged() {
    let (sandbox, statements, packs) = prepared();
    let served = serve(&sandbox, &["--publish-quota", "100K"]);
    let path = &sandbox.objects("out", ".tar.zst")[0];
    let (name, bytes) = (path.strip_prefix("out/").unwrap(), sandbox.read(path));
    let mut other = bytes.clone();
    other[10] ^= 1;
    let answer = put(&served, TOKEN, name, &other);
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert_eq!(put(&served, TOKEN, name, &bytes[1..]).status, 422);
    for wrong in ["objects/../x", "objects/00/x.json", "objects/00/.isn-tmp-x", "objects/zz/x"] {
        assert_eq!(put(&served, TOKEN, wrong, b"x").status, 404, "{wrong}");
    }
    let head = format!("PUT /-/publish/{name} HTTP/1.1\nAuthorization: Bearer {TOKEN}");
    assert_eq!(served.raw(&format!("{head}\nTransfer-Encoding: chunked"), b"0\r\n\r\n").status, 411);
    // More than the quota, in one object and in total.
    let object = |seed: u8, length: usize| {
        let bytes = vec![seed; length];
        let hex = blake3::hash(&bytes).to_hex();
        (format!("objects/{}/{hex}.tar.zst", &hex[..2]), bytes)
    };
    let (large, large_bytes) = object(1, 102_401);
    assert_eq!(put(&served, TOKEN, &large, &large_bytes).status, 413);
    let (half, half_bytes) = object(2, 60_000);
    assert_eq!(put(&served, TOKEN, &half, &half_bytes).status, 201);
    let (rest, rest_bytes) = object(3, 60_000);
    assert_eq!(put(&served, TOKEN, &rest, &rest_bytes).status, 507);
    assert_eq!(put(&served, OTHER, &rest, &rest_bytes).status, 201);
    // An interrupted upload leaves nothing behind.
    let (broken, broken_bytes) = object(4, 30_000);
    let mut stream = served.connect();
    let head = format!(
        "PUT /-/publish/{broken} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 30000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&broken_bytes[..20_000]).unwrap();
    let uploads = || {
        let staged = contents(&sandbox.path("reg/.isn-staging"));
        staged.into_iter().filter(|(name, _)| name.contains(".isn-upload-")).count()
    };
    eventually("it is under way", || uploads() == 1);
    drop(stream);
    eventually("it is gone", || uploads() == 0);
    assert!(!sandbox.path(&format!("reg/.isn-staging/ci/{broken}")).exists());
    // Nor does an upload to a server that was killed in the middle, once the server has started again.
    let mut stream = served.connect();
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&broken_bytes[..20_000]).unwrap();
    eventually("it is under way", || uploads() == 1);
    drop(served);
    assert_eq!(uploads(), 1);
    let served = serve(&sandbox, &[]);
    assert_eq!(uploads(), 0);
    // Two servers would not know of each other's uploads.
    let two = ["serve", "reg", "--listen", "127.0.0.1:0", "--publish-tokens", "tokens"];
    sandbox.isn(&two).fails(1, "another `isn serve`");

    // If objects of a release are missing, the response names one of them.
    stage_all(&served, &sandbox, "out", TOKEN, 201);
    let shard = sandbox.path(&format!("reg/.isn-staging/ci/{name}"));
    std::fs::remove_file(&shard).unwrap();
    let body = json!({ "statements": statements, "packs": packs });
    let answer = post(&served, TOKEN, &body);
    assert_eq!(answer.status, 422);
    assert!(answer.text().contains(name), "{}", answer.text());
    assert!(public(&sandbox).iter().all(|(name, _)| !name.starts_with("objects/")));
    assert_eq!(put(&served, TOKEN, name, &bytes).status, 201);
    assert_eq!(post(&served, TOKEN, &body).status, 200);
}

#[test]
fn without_the_logs_key_nothing_is_taken() {
    let (sandbox, statements, packs) = prepared();
    std::fs::rename(sandbox.path("home/logs"), sandbox.path("gone")).unwrap();
    let served = serve(&sandbox, &[]);
    stage_all(&served, &sandbox, "out", TOKEN, 201);
    let before = public(&sandbox);
    let answer = post(&served, TOKEN, &json!({ "statements": statements, "packs": packs }));
    assert_eq!(answer.status, 500, "{}", answer.text());
    assert!(!answer.text().contains("home"), "{}", answer.text());
    assert!(public(&sandbox) == before);
    served.signal("-TERM");
    assert!(served.end().ok().stderr.contains("is not on this machine"));
}

#[test]
fn isn_publishes_to_a_server() {
    let sandbox = Sandbox::built();
    sandbox.isn(&["registry", "init", "reg"]).ok();
    sandbox.write("tokens", format!("ci {}\n", blake3::hash(TOKEN.as_bytes())).as_bytes());
    let served = serve(&sandbox, &[]);
    let url = served.url.as_str();
    let publish = |build: &str, key: &str, token: &str, more: &[&str]| {
        let args = [&["publish", build, "--registry", url, "--key", key, "--json"], more].concat();
        // The curator's machine has no log keys.
        let mut command = sandbox.command(&args);
        command.env("ISN_TOKENS", tokens_for(url, token)).env("ISN_HOME", sandbox.path("curator"));
        ran(&mut command)
    };
    sandbox.copy("home/keys", "curator/keys");
    let restricted = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(sandbox.path("curator/keys/me"), restricted).unwrap();
    let before = contents(&sandbox.path("reg"));
    publish("out", "me", "", &[]).fails(1, "ISN_TOKENS");
    publish("out", "me", "not-a-token-of-this-server", &[]).fails(1, "is not one that the server knows");
    publish("out", "me", "two words", &[]).fails(1, "characters other than ASCII");
    publish("out", "me", TOKEN, &["--statement", "file"]).fails(1, "--statement");
    let dry = publish("out", "me", TOKEN, &["--dry-run"]).ok().json();
    assert_eq!((&dry["dry_run"], &dry["new_name"]), (&json!(true), &json!(true)));
    assert!(contents(&sandbox.path("reg")) == before);

    let done = publish("out", "me", TOKEN, &[]).ok();
    assert!(!done.stdout.contains(TOKEN) && !done.stderr.contains(TOKEN));
    assert_eq!(done.json()["new_objects"], sandbox.objects("out", "").len());
    let again = publish("out", "me", TOKEN, &[]).ok().json();
    assert_eq!((&again["already_published"], &again["new_objects"]), (&json!(true), &json!(0)));
    sandbox.trust_me(url);
    sandbox.isn(&["pull", "grads@1.0", "--registry", url, "--to", "tree"]).ok();

    // A name belongs to its owners; the second version uploads what is new, with a token from the file.
    sandbox.isn(&["key", "new", "you", "--no-passphrase"]).ok();
    sandbox.copy("home/keys", "curator/keys");
    for key in ["me", "you"] {
        let restricted = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(sandbox.path(&format!("curator/keys/{key}")), restricted).unwrap();
    }
    sandbox.build_second_version();
    publish("out2", "you", TOKEN, &[]).fails(4, "is not an owner of the name");
    let host = url.split("://").nth(1).unwrap();
    sandbox.write("curator/tokens.toml", format!("\"{host}\" = \"{TOKEN}\"\n").as_bytes());
    std::fs::set_permissions(
        sandbox.path("curator/tokens.toml"),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    publish("out2", "me", "", &[]).fails(1, "chmod 600");
    let restricted = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(sandbox.path("curator/tokens.toml"), restricted).unwrap();
    let second = publish("out2", "me", "", &[]).ok().json();
    let objects = sandbox.objects("out2", "").len();
    let new = second["new_objects"].as_u64().unwrap() as usize;
    assert!(new > 0 && new < objects, "{new} of {objects}");
    sandbox.isn(&["pull", "grads@1.1", "--registry", url, "--to", "tree2"]).ok();
    sandbox.isn(&["verify", "reg"]).ok();

    // A server that does not accept publishing, and a token that would be sent over the network in the clear.
    drop(served);
    let served = Served::start(&sandbox, &[]);
    let args = ["publish", "out", "--registry", &served.url, "--key", "you"];
    let mut command = sandbox.command(&args);
    // The release is there already, so nothing is needed from the server.
    ran(command.env("ISN_TOKENS", tokens_for(&served.url, TOKEN))).ok();
    let args = ["publish", "out", "--registry", "http://example.org/", "--key", "me"];
    let far = tokens_for("http://example.org", TOKEN);
    ran(sandbox.command(&args).env("ISN_TOKENS", far)).fails(1, "use https");
}

#[test]
fn a_token_that_is_too_short_is_refused_with_the_reason() {
    let sandbox = Sandbox::built();
    sandbox.isn(&["registry", "init", "reg"]).ok();
    let publish = |token: &str| {
        sandbox.write("tokens", format!("ci {}\n", blake3::hash(token.as_bytes())).as_bytes());
        let served = serve(&sandbox, &[]);
        let mut command = sandbox.command(&["publish", "out", "--registry", &served.url, "--key", "me"]);
        ran(command.env("ISN_TOKENS", tokens_for(&served.url, token)))
    };
    publish("secret").fails(1, "is not one that the server knows: it has fewer than 16 characters");
    publish("secretsecretsecr").ok();
}

#[test]
fn uploads_and_statements_do_not_disturb_each_other() {
    let (sandbox, statements, packs) = prepared();
    let served = serve(&sandbox, &[]);
    stage_all(&served, &sandbox, "out", TOKEN, 201);
    let body = json!({ "statements": statements, "packs": packs });
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let served = &served;
            scope.spawn(move || {
                for round in 0..40_u32 {
                    let bytes = [thread.to_le_bytes(), round.to_le_bytes()].concat();
                    let hex = blake3::hash(&bytes).to_hex();
                    let path = format!("objects/{}/{hex}.csv", &hex[..2]);
                    let answer = put(served, OTHER, &path, &bytes);
                    assert_eq!(answer.status, 201, "{}", answer.text());
                }
            });
        }
        for _ in 0..10 {
            let answer = post(&served, TOKEN, &body);
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    });
    sandbox.isn(&["verify", "reg"]).ok();
}

/// The value of `ISN_TOKENS` with a token for a server's host.
fn tokens_for(url: &str, token: &str) -> String {
    match (url.split("://").nth(1), token) {
        (Some(host), token) if !token.is_empty() => format!("{host}={token}"),
        _ => String::new(),
    }
}

#[test]
fn a_statement_of_a_rebuild_is_sent_with_a_token_and_counts_as_an_entry() {
    let (sandbox, statements, _) = prepared();
    sandbox.isn(&["publish", "out", "--registry", "reg", "--key", "me"]).ok();
    for key in ["ann", "bob"] {
        sandbox.isn(&["key", "new", key, "--no-passphrase"]).ok();
        sandbox.isn(&["attest", "out", "--key", key, "--out", &format!("{key}.statement")]).ok();
    }
    let served = serve(&sandbox, &["--publish-entries", "1"]);
    let append = |file: &str| sandbox.isn(&["append", file, "--registry", &served.url]);
    append("ann.statement").fails(1, "no token is set");
    let host = served.url.strip_prefix("http://").unwrap();
    sandbox.write("home/tokens.toml", format!("\"{host}\" = \"{TOKEN}\"\n").as_bytes());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(sandbox.path("home/tokens.toml"), private).unwrap();
    }
    let before = public(&sandbox);
    let said = append("ann.statement").ok().stdout;
    assert_eq!(said, "the statement of a rebuild of grads@1.0 is entry 0 of the attestation log\n");
    assert_eq!(append("ann.statement").ok().stdout, said);
    let others = |files: Vec<(String, Vec<u8>)>| {
        let is_other = |name: &str| name != "registry.json" && !name.starts_with("attestations/");
        files.into_iter().filter(|(name, _)| is_other(name)).collect::<Vec<_>>()
    };
    assert!(others(public(&sandbox)) == others(before));
    append("bob.statement").fails(1, "this token may add 0 more today");
    // The two logs do not mix, and other statements are not sent in this way.
    let ann = String::from_utf8(sandbox.read("ann.statement")).unwrap();
    let answer = post(&served, OTHER, &json!({ "statements": [statements[0], ann] }));
    assert!(answer.status == 422 && answer.text().contains("is not of a rebuild"), "{}", answer.text());
    append("reg/releases/grads/1.0").fails(1, "append it where the registry's folder is");
    sandbox.isn(&["log", "verify", "--attestations", "--registry", &served.url]).ok();
    sandbox.isn(&["registry", "check", &served.url]).ok();
}
