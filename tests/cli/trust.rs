use crate::sandbox::Sandbox;

fn listed(sandbox: &Sandbox) -> usize {
    let trusted = sandbox.isn(&["trust", "list", "--json"]).ok().json();
    trusted["trusted"].as_array().unwrap().iter().filter(|key| !key["public_key"].is_null()).count()
}

#[test]
fn a_key_is_added_as_a_line_or_a_file_and_removed_by_its_fingerprint_too() {
    let (sandbox, _) = Sandbox::published();
    let line = sandbox.isn(&["key", "show", "me"]).ok().stdout;
    let line = line.trim();
    sandbox.write("me.pub", format!("{line}\n").as_bytes());
    let key = sandbox.isn(&["key", "list", "--json"]).ok().json();
    let fingerprint = key["keys"][0]["fingerprint"].as_str().unwrap();
    let info = |code: i32, text: &str| sandbox.isn(&["info", "grads", "--registry", "reg"]).fails(code, text);
    assert_eq!(listed(&sandbox), 1);
    info(0, fingerprint);
    for named in [line, "me.pub", fingerprint] {
        sandbox.isn(&["trust", "remove", "reg", named]).ok();
        info(4, "not trusted");
        sandbox.isn(&["trust", "remove", "reg", line]).fails(6, fingerprint);
        sandbox.isn(&["trust", "add", "./reg/", "me.pub"]).ok();
        info(0, fingerprint);
    }
    // Adding a folder twice has no further effect, however it is spelt.
    sandbox.isn(&["trust", "add", &sandbox.path("reg").display().to_string(), line]).ok();
    assert_eq!(listed(&sandbox), 1);
    // A URL with and without its default port and final slash is one registry.
    sandbox.isn(&["trust", "add", "https://Example.org:443/data/", line]).ok();
    sandbox.isn(&["trust", "add", "https://example.org/data", line]).ok();
    assert_eq!(listed(&sandbox), 2);
    sandbox.isn(&["trust", "remove", "HTTPS://example.org/data", fingerprint]).ok();
    assert_eq!(listed(&sandbox), 1);
}

/// An isn of before accepted any scheme.
#[test]
fn what_could_not_be_added_now_can_be_removed() {
    let (sandbox, _) = Sandbox::published();
    let line = sandbox.isn(&["key", "show", "me"]).ok().stdout;
    let trust = String::from_utf8(sandbox.read("home/trust.toml")).unwrap();
    let entry = format!("[registry.\"ftp://example.org/x\"]\nkeys = [\"{}\"]\n", line.trim());
    sandbox.write("home/trust.toml", format!("{trust}\n{entry}").as_bytes());
    assert_eq!(listed(&sandbox), 2);
    sandbox.isn(&["trust", "add", "ftp://example.org/x", line.trim()]).fails(1, "that isn reads");
    sandbox.isn(&["trust", "remove", "ftp://example.org/x", line.trim()]).ok();
    assert_eq!(listed(&sandbox), 1);
}

#[test]
fn the_bundled_registry_and_other_kinds_of_keys_are_refused() {
    let (sandbox, _) = Sandbox::published();
    let line = sandbox.isn(&["key", "show", "me"]).ok().stdout;
    let comes = "comes with the program and is trusted as the program is";
    sandbox.isn(&["trust", "add", "bundled", line.trim()]).fails(1, comes);
    sandbox.isn(&["trust", "remove", "bundled", line.trim()]).fails(1, comes);
    let rsa =
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQDLz0zfXnJ0KLYkdXRxkZ4wtEH2fsqVzCpWm0j9dqLPLuO8g0QZ8Kc= me";
    sandbox.isn(&["trust", "add", "reg", rsa]).fails(1, "public key");
    sandbox.isn(&["trust", "add", "reg", "nowhere.pub"]).fails(6, "nowhere.pub");
    sandbox.isn(&["trust", "add", "reg", "home/keys/me"]).fails(1, "home/keys/me");
    assert_eq!(listed(&sandbox), 1);
}

#[test]
fn the_demonstration_key_counts_for_the_bundled_registry_alone() {
    let sandbox = Sandbox::built();
    let key = concat!(env!("CARGO_MANIFEST_DIR"), "/registry/keys/demo");
    sandbox.isn(&["publish", "out", "--registry", "reg", "--key", key]).ok();
    sandbox.pull("grads@1.0", &[]).fails(4, "is not trusted for registry");
    // The repository's own registry, named as a folder, is a registry like any other.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/registry");
    sandbox.isn(&["pull", "demobirds@1.0", "--registry", folder]).fails(4, "is not trusted for registry");
    sandbox
        .isn(&["trust", "add", folder, concat!(env!("CARGO_MANIFEST_DIR"), "/registry/keys/demo.pub")])
        .ok();
    sandbox.isn(&["pull", "demobirds@1.0", "--registry", folder]).ok();
}

#[test]
fn the_name_of_an_own_key_is_answered_with_how_its_line_is_had() {
    let (sandbox, _) = Sandbox::published();
    let hint = "give the line that `isn key show me` prints";
    sandbox.isn(&["trust", "add", "reg", "me"]).fails(1, hint);
    sandbox.isn(&["trust", "add", "reg", "you"]).fails(1, "there is no such file");
    // A file of that name is a file.
    sandbox.write("me", sandbox.isn(&["key", "show", "me"]).ok().stdout.as_bytes());
    sandbox.isn(&["trust", "add", "reg", "me"]).ok();
}
