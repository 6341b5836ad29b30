//! Rebuild-only releases: everything except the pixels is published, and a user who has the
//! source builds the images.

use std::fs;

use serde_json::json;

use crate::sandbox::{Ran, Sandbox, contents, gradient, hash_of};
use crate::source::{EAGLE, OWL, layouts};

const CLASSES: [&str; 3] = ["ant", "bee", "cat"];

/// Like `Sandbox::published`, but rebuild-only.
fn published() -> (Sandbox, String) {
    let sandbox = Sandbox::built();
    let args = ["publish", "out", "--registry", "reg", "--key", "me", "--rebuild-only", "--json"];
    let report = sandbox.isn(&args).ok().json();
    assert_eq!((&report["rebuild_only"], &report["objects"]), (&json!(true), &json!(5)));
    sandbox.trust_me("reg");
    (sandbox, report["pin"].as_str().unwrap().into())
}

fn pull(sandbox: &Sandbox, more: &[&str]) -> Ran {
    sandbox.isn(&[&["pull", "grads@1.0", "--registry", "reg"], more].concat())
}

#[test]
fn it_is_whole_as_it_is_and_everybody_says_so() {
    let (sandbox, pin) = published();
    let files = contents(&sandbox.path("reg"));
    let packs: Vec<_> = files.iter().filter(|(name, _)| name.starts_with("packs/")).collect();
    assert!(packs.len() == 1 && packs[0].1.is_empty());
    assert!(files.iter().all(|(name, _)| !name.ends_with(".tar.zst")));

    let said = "rebuild-only, without images: grads@1.0";
    sandbox.isn(&["registry", "check", "reg"]).ok().fails(0, said);
    sandbox.isn(&["verify", "reg"]).ok().fails(0, said);
    sandbox.isn(&["verify", "grads@1.0", "--registry", "reg"]).ok().fails(0, said);
    let report = sandbox.isn(&["verify", "grads@1.0", "--registry", "reg", "--json"]).ok().json();
    assert_eq!((&report["rebuild_only"], &report["checked"]), (&json!(["grads@1.0"]), &json!(0)));
    sandbox.isn(&["info", "grads@1.0", "--registry", "reg"]).ok().fails(0, "rebuild-only: no images here");
    let info = sandbox.isn(&["info", "grads@1.0", "--registry", "reg", "--json"]).ok().json();
    assert_eq!((&info["rebuild_only"], &info["images"]), (&json!(true), &json!(24)));
    sandbox.isn(&["doctor", "--registry", "reg"]).ok();
    sandbox.isn(&["cite", "grads@1.0", "--registry", "reg"]).ok().fails(0, hash_of(&pin));
    sandbox.isn(&["mirror", "reg", "mirror"]).ok().fails(0, said);
    sandbox.isn(&["registry", "check", "mirror"]).ok().fails(0, said);

    for args in [&["pull"][..], &["fetch"]] {
        let ran = sandbox.isn(&[args, &["grads@1.0", "--registry", "reg"]].concat());
        let ran = ran.fails(7, "published to be built from your own source");
        assert!(ran.stderr.contains(&format!("isn pull '{pin}' --source DIR")), "{}", ran.stderr);
    }
    let report = pull(&sandbox, &["--source", "raw", "--json"]).ok().json();
    assert_eq!(report["pin"], pin.as_str());
    sandbox.isn(&["verify", "grads-1.0", "--expect", &pin]).ok();
    assert_eq!(sandbox.leftovers(), ["."; 0]);

    // A user who already has the images needs no source.
    sandbox.isn(&["pull", "grads@1.0", "--registry", "reg", "--to", "again"]).ok();
    // A missing list of packs is damage.
    fs::remove_dir_all(sandbox.path("reg/packs")).unwrap();
    sandbox.isn(&["registry", "check", "reg"]).fails(3, "leads to no images");
}

#[test]
fn published_again_with_images_it_has_them_and_never_the_other_way_round() {
    let (sandbox, pin) = published();
    // Nobody else adds images that were left out, and whoever does is told.
    sandbox.isn(&["key", "new", "other", "--no-passphrase"]).ok();
    let publish = ["publish", "out", "--registry", "reg", "--key", "other"];
    sandbox.isn(&publish).fails(4, "only a key of its owners can add them");
    pull(&sandbox, &[]).fails(7, "has no images of grads@1.0");
    let publish = ["publish", "out", "--registry", "reg", "--key", "me"];
    let ran = sandbox.isn(&publish).ok();
    assert!(ran.stderr.contains("check that they may be passed on"), "{}", ran.stderr);
    assert!(ran.stdout.contains("which are added"), "{}", ran.stdout);
    assert_eq!(sandbox.publish("out"), pin);
    pull(&sandbox, &[]).ok();
    sandbox.isn(&["publish", "out", "--registry", "reg", "--key", "me", "--rebuild-only"]).ok();
    pull(&sandbox, &["--to", "again", "--no-cache"]).ok();
    let info = sandbox.isn(&["info", "grads@1.0", "--registry", "reg", "--json"]).ok().json();
    assert_eq!(info["rebuild_only"], false);
    let report = sandbox.isn(&["registry", "check", "reg", "--json"]).ok().json();
    assert_eq!(report["rebuild_only"], json!([]));
}

#[test]
fn a_source_file_that_was_saved_again_is_named() {
    let (sandbox, _) = published();
    // The same pixels with other encoder settings give other bytes.
    let image = image::open(sandbox.path("raw/bee/bee_1.png")).unwrap();
    let file = fs::File::create(sandbox.path("raw/bee/bee_1.png")).unwrap();
    let encoder = image::codecs::png::PngEncoder::new_with_quality(
        file,
        image::codecs::png::CompressionType::Fast,
        image::codecs::png::FilterType::NoFilter,
    );
    image.write_with_encoder(encoder).unwrap();
    let ran =
        pull(&sandbox, &["--source", "raw"]).fails(3, "1 source file differs from those of the release");
    assert!(ran.stderr.contains("/bee/bee_1.png: its source file differs"), "{}", ran.stderr);
    assert!(ran.stderr.contains("(bee/bee_1.png)") && !ran.stderr.contains("bee_2"), "{}", ran.stderr);
    let report = pull(&sandbox, &["--source", "raw", "--json"]).fails(3, "").json();
    assert_eq!(report["exit_code"], 3);
    let differences = report["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0]["cause"], "source-file");
    assert_eq!(differences[0]["source_path"], "bee/bee_1.png");
    assert_eq!(differences[0]["source_id"], "bee/bee_1");
    assert!(!sandbox.path("grads-1.0").exists());
    assert_eq!(sandbox.leftovers(), ["."; 0]);
}

#[test]
fn files_that_lack_or_differ_are_named_all_at_once() {
    let (sandbox, _) = published();
    for class in CLASSES {
        for i in 1..8 {
            sandbox.write(&format!("raw/{class}/{class}_{i}.png"), b"another file, and no image");
        }
    }
    let ran = pull(&sandbox, &["--source", "raw"]).fails(3, "21 source files differ");
    assert!(ran.stderr.contains("and 1 more (--json has them all)"), "{}", ran.stderr);
    let report = pull(&sandbox, &["--source", "raw", "--json"]).fails(3, "").json();
    assert_eq!(report["differences"].as_array().unwrap().len(), 21);

    fs::remove_dir_all(sandbox.path("raw/cat")).unwrap();
    fs::remove_file(sandbox.path("raw/ant/ant_0.png")).unwrap();
    let ran = pull(&sandbox, &["--source", "raw"]).fails(8, "lacks 9 images");
    assert!(ran.stderr.contains("the source has no image ant/ant_0"), "{}", ran.stderr);
    assert!(ran.stderr.contains("the source has no image cat/cat_7"), "{}", ran.stderr);
    let report = pull(&sandbox, &["--source", "raw", "--json"]).fails(8, "").json();
    let differences = report["differences"].as_array().unwrap();
    assert!(differences.len() == 9 && differences.iter().all(|d| d["cause"] == "source-missing"));
    assert_eq!(sandbox.leftovers(), ["."; 0]);
}

#[test]
fn images_that_the_release_did_not_have_are_the_recipes_to_blame() {
    let (sandbox, _) = published();
    for i in 0..8 {
        gradient(50, 40, i).save(sandbox.path(&format!("raw/ant/new_{i}.png"))).unwrap();
    }
    let report = pull(&sandbox, &["--source", "raw", "--json"]).fails(3, "").json();
    let differences = report["differences"].as_array().unwrap();
    assert!(differences.len() >= 8 && differences.iter().all(|d| d["cause"] == "recipe"), "{differences:?}");
    assert!(differences.iter().any(|d| d["why"] == "is not in the release"), "{differences:?}");
    assert!(report["help"].as_str().unwrap().contains("what the version's source did not"), "{report}");
    assert!(!sandbox.path("grads-1.0").exists());
    assert_eq!(sandbox.leftovers(), ["."; 0]);
}

#[test]
fn it_is_built_from_any_layout_of_imagenet() {
    let sandbox = layouts();
    let build = sandbox.isn(&["build", "grads-1.0.toml", "--source", "raw", "--out", "out", "--json"]).ok();
    sandbox.isn(&["key", "new", "me", "--no-passphrase"]).ok();
    sandbox.isn(&["publish", "out", "--registry", "reg", "--key", "me", "--rebuild-only"]).ok();
    sandbox.trust_me("reg");
    for source in ["tars", "kaggle"] {
        let to = format!("tree-{source}");
        let report = pull(&sandbox, &["--source", source, "--to", &to, "--no-cache", "--json"]).ok().json();
        assert_eq!(report["dataset"], build.json()["dataset"]);
    }
    // A file in an archive that differs is found there.
    let path = "tars/ILSVRC2012_img_train.tar";
    let mut bytes = sandbox.read(path);
    let name = format!("{OWL}_2.JPEG");
    let place = bytes.windows(name.len()).position(|window| window == name.as_bytes()).unwrap();
    bytes[place + 512 + 60] ^= 1;
    sandbox.write(path, &bytes);
    let ran = pull(&sandbox, &["--source", "tars", "--to", "other", "--no-cache"])
        .fails(3, "1 source file differs");
    assert!(ran.stderr.contains(&format!("(ILSVRC2012_img_train.tar/{OWL}.tar/{name})")), "{}", ran.stderr);
    assert!(!ran.stderr.contains(EAGLE), "{}", ran.stderr);
}

#[cfg(all(feature = "serve", target_os = "linux"))]
#[test]
fn it_is_published_through_a_server_which_takes_no_release_without_images_by_mistake() {
    use crate::serve::Served;
    const TOKEN: &str = "2f6b0c3e9a7d4851b6c0d2e4f6a8091b";
    let sandbox = Sandbox::built();
    sandbox.isn(&["registry", "init", "reg"]).ok();
    sandbox.write("tokens", format!("ci {}\n", blake3::hash(TOKEN.as_bytes())).as_bytes());
    let served = Served::start(&sandbox, &["--publish-tokens", "tokens"]);
    sandbox.write("home/tokens.toml", format!("\"{}\" = \"{TOKEN}\"\n", served.address).as_bytes());
    let path = sandbox.path("home/tokens.toml");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let args = ["publish", "out", "--registry", &served.url, "--key", "me", "--rebuild-only", "--json"];
    let report = sandbox.isn(&args).ok().json();
    assert_eq!((&report["rebuild_only"], &report["objects"]), (&json!(true), &json!(5)));
    sandbox.trust_me(&served.url);
    let at = ["--registry", served.url.as_str()];
    sandbox.isn(&[&["verify", "grads@1.0"], &at[..]].concat()).ok().fails(0, "rebuild-only, without images");
    sandbox.isn(&["registry", "check", served.url.as_str()]).ok().fails(0, "rebuild-only, without images");
    sandbox
        .isn(&[&["pull", "grads@1.0"], &at[..]].concat())
        .fails(7, "published to be built from your own source");
    let report =
        sandbox.isn(&[&["pull", "grads@1.0", "--source", "raw", "--json"], &at[..]].concat()).ok().json();
    sandbox.isn(&["verify", "grads-1.0", "--expect", report["pin"].as_str().unwrap()]).ok();
    sandbox.isn(&["verify", "reg"]).ok();
}
