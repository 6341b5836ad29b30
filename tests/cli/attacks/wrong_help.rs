//! Help depends on what has happened, not on words in names, and it works.

use std::fs;

use crate::sandbox::{Ran, Sandbox, contents, ran};

/// Returns the help line and what follows it.
fn help(ran: &Ran) -> &str {
    ran.stderr.split_once("help: ").map_or("", |(_, help)| help)
}

#[track_caller]
fn helps(ran: &Ran, with: &str, but_not: &str) {
    let help = help(ran);
    assert!(help.contains(with) && !help.contains(but_not), "{}", ran.stderr);
}

/// Flips a bit in the middle of each file.
fn damage(sandbox: &Sandbox, files: &[String]) {
    assert!(!files.is_empty());
    for file in files {
        let mut bytes = sandbox.read(file);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        sandbox.write(file, &bytes);
    }
}

fn shards(sandbox: &Sandbox, root: &str) -> Vec<String> {
    sandbox.objects(root, ".tar.zst")
}

#[test]
fn a_shard_of_a_registry_is_none_of_the_cache_wherever_it_is() {
    let sandbox = Sandbox::built();
    sandbox.isn(&["publish", "out", "--registry", "pieces/offline", "--key", "me"]).ok();
    sandbox.trust_me("pieces/offline");
    damage(&sandbox, &shards(&sandbox, "pieces/offline"));
    let args =
        ["export", "grads@1.0", "--as", "npz", "--size", "20", "--to", "x", "--registry", "pieces/offline"];
    let ran = sandbox.isn(&args).fails(3, "pieces/offline");
    helps(&ran, "the operator of this one", "of the cache was");
}

#[test]
fn who_is_offline_is_not_told_by_an_address() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["list", "--registry", "http://127.0.0.1:1/offline/certificates"]);
    let ran = crate::sandbox::ran(command.env("ISN_RETRIES", "0")).fails(5, "cannot be reached");
    helps(&ran, "check the address", "ISN_OFFLINE");
}

#[test]
fn a_damaged_build_is_to_be_built_again() {
    let sandbox = Sandbox::built();
    damage(&sandbox, &shards(&sandbox, "out"));
    let ran = sandbox.isn(&["publish", "out", "--registry", "reg", "--key", "me"]).fails(3, "is damaged");
    helps(&ran, "isn build", "operator");
}

#[test]
fn another_release_under_the_same_version_needs_a_higher_one() {
    let (sandbox, _) = Sandbox::published();
    let classes = ["ant", "bee", "cat"];
    sandbox.image_folder("other", &classes, 9);
    sandbox.isn(&["build", "grads-1.0.toml", "--source", "other", "--out", "other-out"]).ok();
    let args = ["publish", "other-out", "--registry", "reg", "--key", "me"];
    helps(
        &sandbox.isn(&args).fails(1, "release grads@1.0 already exists"),
        "raise the version",
        "another path",
    );
}

#[test]
fn a_version_that_is_not_there_is_told_with_those_that_are() {
    let (sandbox, _) = Sandbox::published();
    sandbox.build_second_version();
    sandbox.publish("out2");
    sandbox.pull("grads@1.7", &[]).fails(6, "reg (it has 1.1, 1.0)");
    sandbox.pull("gards", &[]).fails(6, "reg (it has grads)").fails(6, "did you mean 'grads'?");
    sandbox.pull("grads@1.0", &["--split", "test"]).fails(6, "(it has train");
    sandbox.pull("grads@1.0", &["--class", "dog"]).fails(6, "(it has ant, bee, cat)");
}

#[test]
fn who_is_no_owner_is_told_what_an_owner_can_do() {
    let (sandbox, _) = Sandbox::published();
    sandbox.build_second_version();
    sandbox.isn(&["key", "new", "you", "--no-passphrase"]).ok();
    let ran = sandbox.isn(&["publish", "out2", "--registry", "reg", "--key", "you"]).fails(4, "not an owner");
    helps(&ran, "isn owner add", "pull by a pin");
}

#[test]
fn a_fingerprint_is_said_to_be_no_key() {
    let sandbox = Sandbox::new();
    let ran = sandbox.isn(&["trust", "add", "reg", "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"]);
    ran.fails(1, "is a fingerprint").fails(1, "ssh-ed25519");
}

#[test]
fn images_that_cannot_be_built_need_a_ledger_that_the_recipe_names() {
    let sandbox = Sandbox::built();
    sandbox.write("raw/ant/broken.png", b"no image");
    let args = ["build", "grads-1.0.toml", "--source", "raw", "--out", "again"];
    let ran = sandbox.isn(&args).fails(1, "1 source image cannot be built");
    assert!(help(&ran).contains("[corrections]"), "{}", ran.stderr);
}

#[test]
fn what_is_no_source_is_told_with_what_is_one() {
    let sandbox = Sandbox::built();
    sandbox.write("photos.tar", b"");
    fs::create_dir(sandbox.path("empty")).unwrap();
    for (source, code, why) in
        [("photos.tar", 1, "is not a folder"), ("empty", 1, "is empty"), ("nowhere", 6, "cannot read")]
    {
        let args = ["build", "grads-1.0.toml", "--source", source, "--out", "again"];
        let ran = sandbox.isn(&args).fails(code, why);
        assert!(!help(&ran).is_empty(), "{source}: {}", ran.stderr);
    }
}

#[test]
fn the_doctor_says_what_of_the_home_cannot_be_read() {
    let sandbox = Sandbox::new();
    sandbox.write("home/trust.toml", b"no = [ trust");
    let report = sandbox.isn(&["doctor", "--json"]).fails(8, "trust.toml").json();
    let findings = report["findings"].as_array().unwrap();
    assert!(findings.iter().any(|one| one["what"] == "settings" && one["state"] == "wrong"), "{report}");
}

#[test]
fn a_registry_that_is_not_there_is_told_with_what_names_it() {
    let sandbox = Sandbox::new();
    let list = |registry: &str| sandbox.isn(&["list", "--registry", registry]);
    helps(
        &list("bundeled").fails(6, "there is no folder bundeled"),
        "did you mean bundled?",
        "registry init",
    );
    helps(
        &list("127.0.0.1:9555/reg").fails(1, "is not a URL"),
        "a registry is the path of a folder",
        "publish",
    );
    for verb in [&["list"][..], &["pull", "grads"], &["info", "grads@1.0"]] {
        let mut command = sandbox.command(verb);
        let ran = crate::sandbox::ran(command.env("ISN_REGISTRY", "nonsense"));
        let code = if verb[0] == "list" { 6 } else { ran.code };
        let ran = ran.fails(code, "there is no folder nonsense, the registry that ISN_REGISTRY names");
        helps(&ran, "correct ISN_REGISTRY", "check the path");
    }
    sandbox.write("isn.toml", b"registry = [\"gone\"]\n");
    sandbox.isn(&["list"]).fails(6, "the registry that isn.toml names");
    sandbox.write("isn.toml", b"registry = \"gone\"\n");
    sandbox.isn(&["list"]).fails(1, "line 1: registry must be a list: registry = [");
}

#[test]
fn a_folder_that_is_no_registry_is_told_for_what_it_is() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull("grads@1.0", &[]).ok();
    let list = |registry: &str| sandbox.isn(&["list", "--registry", registry]);
    helps(
        &list("raw").fails(6, "raw is not a registry: it has no registry.json"),
        "check the address",
        "publish",
    );
    helps(
        &list("grads-1.0").fails(6, "is not a registry"),
        "it is a tree: `isn verify grads-1.0`",
        "publish",
    );
    helps(&list("out").fails(6, "is not a registry"), "it is a build: `isn publish out", "registry init");
    let at_write = sandbox.isn(&["yank", "grads@1.0", "--reason", "x", "--registry", "raw", "--key", "me"]);
    helps(&at_write.fails(6, "raw is not a registry"), "isn registry init", "it is a tree");
    // An address that is mistyped shows as one by a pin too.
    let server = crate::server::Server::new(&sandbox.path("raw"));
    let ran = sandbox.isn(&["pull", &pin, "--to", "x", "--registry", &server.url, "--no-cache"]);
    ran.fails(6, "is not a registry: it has no registry.json");
    sandbox.isn(&["pull", &pin, "--to", "x", "--registry", "raw"]).fails(6, "raw is not a registry");
}

#[test]
fn a_text_that_is_no_reference_is_told_with_what_it_may_mean() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull("grads@1.0", &[]).ok();
    fs::create_dir(sandbox.path("Photos")).unwrap();
    for (text, meant) in [
        ("Photos", "`isn init ./Photos` writes a recipe"),
        ("Photos", "A version is written like photos"),
        ("Grads@1.0", "did you mean grads@1.0?"),
        ("grads==1.0", "did you mean grads@1.0?"),
        ("grads@1", "did you mean grads@1.0?"),
        ("grads@latest", "grads alone means its newest version"),
    ] {
        for verb in ["info", "images", "cite"] {
            helps(&sandbox.isn(&[verb, text]).fails(2, "invalid value"), meant, "\u{0}");
        }
    }
    // A tree, for a verb that takes none.
    let meant = "`isn verify ./grads-1.0` checks it. A version is written like grads@1.0";
    helps(&sandbox.isn(&["fetch", "grads-1.0"]).fails(2, "invalid value"), meant, "\u{0}");
    let ran = sandbox.isn(&["verify", "Grads@1.0"]).fails(1, "neither a folder nor a version");
    helps(&ran, "did you mean grads@1.0?", "\u{0}");
    let hash = pin.split_once("b3:").unwrap().1;
    helps(&sandbox.isn(&["pull", hash]).fails(6, "is not in"), &format!("in front: b3:{hash}"), "isn list");
    let ran = sandbox.isn(&["verify", "grads-1.0", "--expect", hash]).fails(6, "is not in");
    helps(&ran, &format!("in front: b3:{hash}"), "isn list");
    for verb in [&["verify", "nope"][..], &["diff", "nope", "grads@1.0"], &["audit", "duplicates", "nope"]] {
        sandbox.isn(verb).fails(6, "there is no folder nope, and nope is not in registry bundled");
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_written_to_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let (sandbox, _) = Sandbox::published();
    fs::create_dir(sandbox.path("closed")).unwrap();
    fs::set_permissions(sandbox.path("closed"), fs::Permissions::from_mode(0o555)).unwrap();
    let closed = sandbox.path("closed").display().to_string();
    for args in [
        &["pull", "grads@1.0", "--registry", "reg", "--to", "closed/tree"][..],
        &["build", "grads-1.0.toml", "--source", "raw", "--out", "closed/build"],
    ] {
        let Some(ran) = sandbox.bound(args) else { return };
        let ran = ran.fails(1, &format!("cannot write to the folder {closed}: Permission denied"));
        helps(&ran, &format!("`ls -ld {closed}` shows the permissions"), "isn-lock");
    }
}

#[test]
fn a_failed_run_says_what_it_keeps() {
    let sandbox = Sandbox::built();
    sandbox.write("raw/ant/broken.png", b"no image");
    let args = ["build", "grads-1.0.toml", "--source", "raw", "--out", "again"];
    let ran = sandbox.isn(&args).fails(1, "cannot be built");
    helps(
        &ran,
        "what is done is kept in ./.again.isn-partial: run the same command again to resume",
        "\u{0}",
    );
    assert!(sandbox.path(".again.isn-partial").exists());
    let ran = sandbox.isn(&["build", "grads-1.0.toml", "--source", "empty", "--out", "out3"]);
    assert!(!ran.stderr.contains("kept"), "{}", ran.stderr);
}

#[test]
fn a_source_that_is_none_is_told_with_what_it_is() {
    let (sandbox, _) = Sandbox::published();
    sandbox.pull("grads@1.0", &[]).ok();
    fs::create_dir_all(sandbox.path("photos/train")).unwrap();
    let build =
        |source: &str| sandbox.isn(&["build", "grads-1.0.toml", "--source", source, "--out", "again"]);
    build("photos/train").fails(1, "is empty");
    fs::create_dir_all(sandbox.path("photos/train/other")).unwrap();
    build("photos/train").fails(1, "is the folder of one split: did you mean --source photos?");
    fs::remove_dir_all(sandbox.path("grads-1.0/train/ant")).unwrap();
    fs::remove_dir_all(sandbox.path("grads-1.0/val/ant")).unwrap();
    build("grads-1.0").fails(1, "is a tree that isn wrote (it has B3SUMS), not source images");
    let ran = sandbox.isn(&["verify-source", "grads@1.0", "--source", "photos", "--registry", "reg"]);
    let ran = ran.fails(8, "FAILED: photos has none of the 24 source images");
    assert!(!ran.stdout.contains("ant_0"), "{}", ran.stdout);
    helps(&ran, "--source takes the folder", "\u{0}");
}

#[test]
fn a_file_of_another_kind_is_told_by_its_head() {
    let sandbox = Sandbox::built();
    sandbox
        .write("ledger.csv", b"kind,source_id,says,labels,reason,source,reviewer,date,evidence\nclaim,a\n");
    let build = |recipe: &str| sandbox.isn(&["build", recipe, "--source", "raw", "--out", "again"]);
    build("ledger.csv").fails(1, "is a ledger, not a recipe");
    let ran = sandbox.isn(&["ledger", "show", "grads-1.0.toml"]).fails(1, "the header must be kind,");
    assert!(ran.stderr.contains("1 mistake") && ran.stderr.lines().count() < 4, "{}", ran.stderr);
    fs::create_dir(sandbox.path("recipe")).unwrap();
    fs::copy(sandbox.path("grads-1.0.toml"), sandbox.path("recipe/recipe.toml")).unwrap();
    helps(&build("recipe").fails(1, "recipe"), "name the file in it, recipe/recipe.toml", "\u{0}");
    sandbox.isn(&["publish", "nope", "--registry", "reg", "--key", "me"]).fails(6, "nope does not exist");
}

#[test]
fn other_next_steps() {
    let (sandbox, _) = Sandbox::published();
    let publish = ["publish", "out", "--registry", "http://127.0.0.1:9/r", "--key", "me"];
    let ran = sandbox.isn(&publish).fails(1, "no token is set for http://127.0.0.1:9/r");
    helps(&ran, "ISN_TOKENS as 127.0.0.1:9=TOKEN", "HOST");
    let yank = ["yank", "grads@9.0", "--reason", "x", "--registry", "reg", "--key", "me"];
    sandbox.isn(&yank).fails(6, "grads@9.0 is not in registry reg (it has 1.0)");
    sandbox.write("images", b"train/ant/none.png\n");
    let ran = sandbox.pull("grads@1.0", &["--images", "images"]).fails(6, "image train/ant/none.png");
    helps(&ran, "isn images 'grads@1.0#b3:", "\u{0}");
    let ran = sandbox.isn(&["sync", "--locked"]);
    let here = sandbox.path("").canonicalize().unwrap();
    ran.fails(6, &format!("isn.lock is not in {}", here.display()));
    let pull = ["pull", "grads@1.0", "--registry", "reg", "--lock", "--to", "/nowhere/x"];
    let ran =
        sandbox.isn(&pull).fails(1, "--to: /nowhere/x, for grads@1.0, is not below the project's folder");
    assert!(!ran.stderr.contains("mistake"), "{}", ran.stderr);
    #[cfg(feature = "serve")]
    {
        let serve = |listen: &str| sandbox.isn(&["serve", "reg", "--listen", listen]);
        serve("localhost:9999").fails(2, "expected ADDRESS:PORT");
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        serve(&address).fails(1, "another program uses that port, so choose another one");
    }
}

#[test]
fn a_setting_or_file_that_is_wrong_is_named() {
    let (sandbox, _) = Sandbox::published();
    let with = |args: &[&str], name: &str, value: &str| {
        crate::sandbox::ran(sandbox.command(args).env(name, value).env("ISN_RETRIES", "0"))
    };
    let list = ["list", "--registry", "https://127.0.0.1:1/r"];
    with(&list, "ISN_CA_BUNDLE", "/nope").fails(1, "ISN_CA_BUNDLE");
    sandbox.write("page/registry.json", b"<!doctype html><title>Welcome</title>");
    sandbox.isn(&["list", "--registry", "page"]).fails(1, "is a web page, not JSON");
    let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/r", plain.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in plain.incoming() {
            use std::io::{Read as _, Write as _};
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let ran = with(&["list", "--registry", &url], "NO_COLOR", "1").fails(5, "cannot be reached");
    helps(&ran, "does not speak TLS", "isn doctor");

    let recipe = String::from_utf8(sandbox.read("grads-1.0.toml")).unwrap();
    let build = |recipe: &str, out: &str| {
        sandbox.write("other.toml", recipe.as_bytes());
        sandbox.isn(&["build", "other.toml", "--source", "raw", "--out", out])
    };
    let ran = build(&format!("{recipe}\n[corrections]\nfile = \"none.csv\"\n"), "out3");
    ran.fails(1, "other.toml names none.csv, which does not exist: `isn ledger add`");
    build(&recipe.replace("Drawn gradients", "Other gradients"), "out4").ok();
    let publish =
        |build: &str, key: &str| sandbox.isn(&["publish", build, "--registry", "reg", "--key", key]);
    publish("out4", "me").fails(1, "already exists with the same images, but another title");
    let ran = publish("out", "home/keys/me.pub").fails(1, "no ssh agent is running");
    helps(&ran, "", "ssh-add -l");
    with(&["key", "new", "locked"], "ISN_PASSPHRASE", "a long secret").ok();
    helps(&publish("out", "locked").fails(1, "there is no terminal"), "set ISN_PASSPHRASE", "try again");
}

#[test]
fn a_folder_with_the_name_of_a_dataset_is_no_version() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("photos")).unwrap();
    let ran =
        sandbox.isn(&["info", "photos"]).fails(6, "If you mean the folder here, it is a folder of files");
    helps(&ran, "`isn init ./photos`", "isn verify ./photos");
    helps(&ran, "`isn build RECIPE --source ./photos`", "isn verify ./photos");
    fs::write(sandbox.path("photos/B3SUMS"), "").unwrap();
    let ran = sandbox.isn(&["info", "photos"]).fails(6, "If you mean the folder here, it is a tree");
    helps(&ran, "write ./photos", "isn init");
}

#[test]
fn a_build_with_a_file_that_is_gone_is_incomplete() {
    let sandbox = Sandbox::built();
    let files = [sandbox.objects("out", ""), vec![list_of_packs(&sandbox)]].concat();
    assert_eq!(files.len(), 8);
    for file in files {
        let bytes = sandbox.read(&file);
        fs::remove_file(sandbox.path(&file)).unwrap();
        let ran = sandbox.isn(&["publish", "out", "--registry", "new", "--key", "me"]).fails(3, "is missing");
        assert!(ran.stderr.contains(&file), "{file}: {}", ran.stderr);
        helps(&ran, "damaged or incomplete: remove its folder, and build it again", "registry");
        sandbox.write(&file, &bytes);
    }
    assert!(!sandbox.path("new").exists());
}

fn list_of_packs(sandbox: &Sandbox) -> String {
    let list = contents(&sandbox.path("out/packs")).pop().unwrap().0;
    format!("out/packs/{list}")
}

#[cfg(unix)]
#[test]
fn a_build_that_cannot_be_read_is_no_registry() {
    use std::os::unix::fs::PermissionsExt;

    let sandbox = Sandbox::built();
    for file in [sandbox.objects("out", ""), vec![list_of_packs(&sandbox)]].concat() {
        let set = |mode| fs::set_permissions(sandbox.path(&file), fs::Permissions::from_mode(mode)).unwrap();
        set(0o000);
        let Some(ran) = sandbox.bound(&["publish", "out", "--registry", "new", "--key", "me"]) else {
            return;
        };
        let ran = ran.fails(1, "Permission denied");
        helps(&ran, &format!("`ls -ld {file}` shows the permissions"), "--registry");
        set(0o644);
    }
}

#[cfg(unix)]
#[test]
fn what_may_not_be_looked_at_is_not_missing() {
    use std::os::unix::fs::PermissionsExt;

    let (sandbox, _) = Sandbox::published();
    sandbox.pull("grads@1.0", &["--to", "locked/tree"]).ok();
    let publish = ["publish", "out", "--registry", "new", "--key", "me"];
    for (folder, args) in [
        ("locked", &["verify", "locked/tree"][..]),
        ("locked", &["diff", "locked/tree", "out"]),
        ("locked", &["info", "./locked/tree"]),
        ("home/keys", &publish),
    ] {
        let set = |mode| fs::set_permissions(sandbox.path(folder), fs::Permissions::from_mode(mode)).unwrap();
        set(0o000);
        let ran = sandbox.bound(args);
        set(0o755);
        let Some(ran) = ran else { return };
        helps(&ran.fails(1, "Permission denied"), "permissions", "isn key new");
    }
    assert!(!sandbox.path("new").exists());
}

#[test]
fn a_build_that_does_not_exist_asks_for_no_passphrase() {
    let sandbox = Sandbox::new();
    let mut new = sandbox.command(&["key", "new", "me"]);
    ran(new.env("ISN_PASSPHRASE", "correct horse")).ok();
    sandbox
        .isn(&["publish", "nope", "--registry", "reg", "--key", "me"])
        .fails(6, "error: nope does not exist");
}

#[test]
fn a_folder_that_is_gone_is_told_with_what_the_cache_has() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.isn(&["fetch", "grads@1.0", "--registry", "reg", "--split", "val"]).ok();
    fs::rename(sandbox.path("reg"), sandbox.path("away")).unwrap();
    let pull = ["pull", "grads@1.0", "--registry", "reg", "--to", "t"];
    let ran = sandbox.isn(&pull).fails(6, "there is no folder reg");
    helps(&ran, "the cache has this version, or a part of it: `--offline` uses that", "check the path");
    let part = [&pull[..], &["--offline", "--split", "val"]].concat();
    sandbox.isn(&part).ok();
    for args in [
        &["pull", "grads@1.0", "--to", "w", "--offline"][..],
        &["pull", &pin, "--to", "w"],
        &["export", "grads@1.0", "--as", "npz", "--to", "e", "--offline"],
    ] {
        let ran = sandbox.isn(&[args, &["--registry", "reg"]].concat());
        let ran = ran.fails(5, "is not in the cache, and there is no folder reg");
        helps(&ran, "the cache has only part of the version", "`ls -l`");
    }
    // Of this one it has nothing.
    let ran = sandbox.isn(&["pull", "grads@1.1", "--registry", "reg"]).fails(6, "there is no folder reg");
    helps(&ran, "check the path", "--offline");
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_is_said_to_be_one() {
    let (sandbox, _) = Sandbox::published();
    std::os::unix::fs::symlink("nowhere/x", sandbox.path("link")).unwrap();
    for args in [
        &["mirror", "reg", "link"][..],
        &["mirror", "reg", "link/deeper"],
        &["publish", "out", "--registry", "link", "--key", "me"],
        &["man", "link"],
    ] {
        sandbox.isn(args).fails(1, "link is a link that leads nowhere");
    }
}

#[test]
fn what_is_wrong_with_a_lock_file_is_put_right_in_it() {
    let (sandbox, _) = Sandbox::published();
    let nothing = sandbox.isn(&["sync", "--locked"]).fails(6, "isn.lock is not in");
    helps(&nothing, "`isn pull REF --lock`; `isn sync` without --locked", "or list datasets");
    sandbox.pull("grads", &["--lock"]).ok();
    let lock = String::from_utf8(sandbox.read("isn.lock")).unwrap();
    let older = "`git checkout HEAD -- isn.lock`";
    for (damaged, with, but_not) in [
        (&lock[..60], older, "isn.toml asks"),
        ("", older, "isn.toml asks"),
        (&lock.replace("isn-lock/1", "locks/1"), older, "isn.toml asks"),
        ("<<<<<<< HEAD\n", "delete the lines that begin with <<<<<<<", older),
        (&lock.replace("isn-lock/1", "isn-lock/9"), "use the version of isn that wrote it", older),
    ] {
        sandbox.write("isn.lock", damaged.as_bytes());
        for args in [&["sync"][..], &["pull", "grads@1.0", "--registry", "reg", "--lock", "--to", "t"]] {
            helps(&sandbox.isn(args).fails(1, "isn.lock"), with, but_not);
        }
    }
    // The second way that it names.
    fs::remove_file(sandbox.path("isn.lock")).unwrap();
    sandbox.pull("grads@1.0", &["--lock"]).ok();
    assert_eq!(sandbox.read("isn.lock"), lock.as_bytes());
    sandbox.write("isn.toml", b"registry = [\"reg\"]\ndatasets = [\"other\"]\n");
    let ran = sandbox.isn(&["sync", "--locked"]).fails(1, "does not lock other");
    helps(&ran, "`isn sync` without --locked adds it to isn.lock", "git checkout");
    // The registry of the lock file is gone, and not that of the project.
    sandbox.write("isn.toml", b"registry = [\"bundled\"]\n");
    fs::rename(sandbox.path("reg"), sandbox.path("away")).unwrap();
    fs::remove_dir_all(sandbox.path("grads-1.0")).unwrap();
    let ran = sandbox.isn(&["sync"]).fails(6, "the registry that isn.lock names");
    helps(&ran, "correct isn.lock", "isn.toml");
}

#[test]
fn a_name_that_is_not_in_the_log_is_not_found() {
    let (sandbox, _) = Sandbox::published();
    for verb in ["yank", "withdraw"] {
        for (version, there) in
            [("grad@1.0", "did you mean 'grads@1.0'?"), ("nope@1.0", "`isn list --registry reg` shows")]
        {
            let args = [verb, version, "--reason", "x", "--registry", "reg", "--key", "me"];
            let ran = sandbox.isn(&args).fails(6, &format!("{version} is not in registry reg"));
            helps(&ran, there, "nothing was added");
        }
    }
}

#[cfg(feature = "serve")]
#[test]
fn who_serves_a_damaged_registry_keeps_it() {
    let (sandbox, _) = Sandbox::published();
    for bytes in [Some(&b"no note"[..]), None] {
        fs::remove_file(sandbox.path("reg/log/checkpoint")).unwrap();
        if let Some(bytes) = bytes {
            sandbox.write("reg/log/checkpoint", bytes);
        }
        let ran = sandbox.isn(&["serve", "reg", "--listen", "127.0.0.1:0"]);
        assert!([3, 4].contains(&ran.code), "{}", ran.stderr);
        helps(&ran, "Restore the files from a backup", "operator");
    }
}

#[test]
fn a_file_where_a_folder_is_needed_is_named() {
    let (sandbox, _) = Sandbox::published();
    sandbox.write("file", b"mine");
    let outputs: [&[&str]; 9] = [
        &["mirror", "reg"],
        &["registry", "init"],
        &["build", "grads-1.0.toml", "--source", "raw", "--out"],
        &["pull", "grads", "--registry", "reg", "--to"],
        &["export", "grads", "--registry", "reg", "--as", "imagefolder", "--to"],
        &["demo", "source"],
        &["man"],
        &["publish", "out", "--key", "me", "--registry"],
        &["prove", "grads", "--registry", "reg", "--out"],
    ];
    for args in outputs {
        for path in ["file/below", "file"] {
            // `isn prove` replaces a file.
            if (args[0], path) == ("prove", "file") {
                continue;
            }
            let ran = sandbox.isn(&[args, &[path]].concat());
            assert!([1, 4].contains(&ran.code), "{args:?} {path}: {}", ran.stderr);
            let is_told = ["file is a file, where a folder is needed", "not a folder"];
            assert!(is_told.iter().any(|told| ran.stderr.contains(told)), "{args:?} {path}: {}", ran.stderr);
            assert_eq!(sandbox.read("file"), b"mine", "{args:?}");
        }
    }
    for (variable, args) in
        [("ISN_HOME", &["key", "new", "other", "--no-passphrase"][..]), ("ISN_CACHE", &["cache", "info"])]
    {
        let ran = crate::sandbox::ran(sandbox.command(args).env(variable, "file"));
        helps(&ran.fails(1, "file"), "file is a file, where a folder is needed", "\u{0}");
    }
}

/// A pipe, a device and a link that leads nowhere are as much in the way.
#[test]
#[cfg(unix)]
fn what_is_no_folder_where_one_is_needed_is_named() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.write("file", b"mine");
    let pipe = std::process::Command::new("mkfifo").arg(sandbox.path("pipe")).status();
    assert!(pipe.unwrap().success());
    std::os::unix::fs::symlink("nowhere", sandbox.path("dangling")).unwrap();
    for (path, told) in [
        ("file", "file is a file, where a folder is needed"),
        ("pipe", "pipe is no folder, and one is needed there"),
        ("/dev/null", "/dev/null is no folder, and one is needed there"),
        ("dangling", "dangling is a link that leads nowhere"),
    ] {
        let with = |args: &[&str], variable: &str, path: &str| {
            crate::sandbox::ran(sandbox.command(args).env(variable, path))
        };
        for below in [path.to_owned(), format!("{path}/below")] {
            let ran = with(&["key", "new", "other", "--no-passphrase"], "ISN_HOME", &below);
            helps(&ran.fails(1, path), told, "\u{0}");
            let ran = with(&["fetch", &pin, "--registry", "reg"], "ISN_CACHE", &below);
            helps(&ran.fails(1, path), told, "cache gc");
        }
        let ran = sandbox.isn(&["pull", &pin, "--registry", "reg", "--to", &format!("{path}/below")]);
        let told = told.trim_start_matches(path);
        assert!(ran.code == 1 && ran.stderr.contains(told), "{path}: {}", ran.stderr);
    }
}

#[test]
fn a_path_at_which_nothing_is_ends_every_verb_with_one_code() {
    let (sandbox, _) = Sandbox::published();
    let mut wrong = Vec::new();
    for line in [
        "append ./no --registry reg",
        "attest ./no --key me",
        "attest verify ./no out",
        "attest verify ./no ./nor",
        "audit all ./no",
        "audit duplicates ./no",
        "audit labels ./no --pixels",
        "audit labels --probs no.npy --labels nor.npy",
        "audit mask ./no --kept ./nor",
        "build ./no --source raw --out o",
        "build grads-1.0.toml --source ./no --out o",
        "cite ./no",
        "diff out ./no",
        "diff ./no out",
        "export ./no --as webdataset --to o",
        "info ./no",
        "init ./no",
        "ledger check ./no",
        "ledger import l.csv ./no",
        "list --registry ./no",
        "log verify --registry ./no",
        "mirror ./no m",
        "publish ./no --registry reg --key me",
        "pull ./no",
        "registry check ./no",
        "review ./no --ledger l.csv --reviewer me",
        "review raw --ledger l.csv --reviewer me --suspects ./no",
        "serve ./no",
        "serve reg --publish-tokens ./no",
        "sign ./no --key me",
        "source check ./no --recipe grads-1.0.toml",
        "source check raw --recipe ./no",
        "trust add reg ./no",
        "trust add reg no.pub",
        "verify ./no",
        "verify --proof ./no",
    ] {
        let ran = sandbox.isn(&line.split(' ').collect::<Vec<_>>());
        if (ran.code, help(&ran).contains("check the path")) != (6, true) {
            wrong.push(format!("{line}: {}: {}", ran.code, ran.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.concat());
    for left in ["o", "l.csv", "m"] {
        assert!(!sandbox.path(left).exists(), "{left}");
    }
}

#[test]
fn files_of_a_project_say_what_is_wrong_in_words_of_theirs() {
    let sandbox = Sandbox::new();
    let project = |text: &str, why: &str| {
        sandbox.write("isn.toml", text.as_bytes());
        sandbox.isn(&["sync"]).fails(1, why);
    };
    project(
        "[datasets]\nbirds = \"1.0\"\n",
        "datasets must be a list of references: datasets = [\"birds@1.0\"]",
    );
    project("datasets = \"birds@1.0\"\n", "datasets must be a list of references");
    project("datasets = [\"birds@one\"]\n", "'one' is not a version");
    let merged = "registry = [\"bundled\"]\n<<<<<<< HEAD\ndatasets = []\n=======\n>>>>>>> theirs\n";
    project(merged, "isn.toml: line 2: the marks of a merge conflict");
    std::fs::remove_file(sandbox.path("isn.toml")).unwrap();
    sandbox.write("isn.lock", merged.as_bytes());
    sandbox.isn(&["sync", "--locked"]).fails(1, ".lock: line 2: the marks of a merge conflict");
}

#[test]
fn part_of_a_hash_is_no_version_of_a_dataset() {
    let ran = Sandbox::new().isn(&["fetch", "b3:123"]).fails(2, "a shortened hash is not enough");
    assert!(!ran.stderr.contains("did you mean"), "{}", ran.stderr);
}

#[test]
fn what_is_meant_is_told_where_it_can_be_known() {
    let (sandbox, _) = Sandbox::published();
    let says = |line: &[&str], code: i32, what: &str| {
        let ran = sandbox.isn(line).fails(code, what);
        assert!(!ran.stderr.contains("entity not found"), "{}", ran.stderr);
    };
    says(&["pull", "grads", "--class", "the bee"], 2, "is named by its id, not by its label: `isn info REF`");
    says(&["owner", "show", "grads@1.0"], 2, "did you mean grads?");
    says(&["mirror", "reg", "m", "nope@1.0"], 6, "`isn list --registry reg` shows what");
    says(&["serve", "bundled"], 1, "`isn mirror bundled DIR` copies it to a folder");
    says(&["serve", "reg", "--publish-tokens", "nope"], 6, "No such file");
    sandbox.write("any.txt", b"not a proof\n");
    says(&["verify", "--proof", "any.txt"], 1, "is not a proof: it does not begin with");
}
