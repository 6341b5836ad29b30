use std::fs;

use serde_json::Value;

use crate::sandbox::{Sandbox, contents};

fn files(sandbox: &Sandbox, tree: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = contents(&sandbox.path(tree));
    files.retain(|(name, _)| name != "ISN.json");
    files
}

/// Publishes `grads` 1.0 with 24 images, and 1.1 with two more. Returns the pins.
fn two_versions() -> (Sandbox, String, String) {
    let (sandbox, first) = Sandbox::published();
    sandbox.build_second_version();
    let second = sandbox.publish("out2");
    (sandbox, first, second)
}

fn pull(sandbox: &Sandbox, reference: &str, more: &[&str]) -> Value {
    sandbox.isn(&[&["pull", reference, "--registry", "reg", "--json"], more].concat()).ok().json()
}

#[test]
fn a_later_version_beside_an_earlier_one_fetches_what_is_new() {
    let (sandbox, _, second) = two_versions();
    sandbox.pull("grads@1.1", &["--to", "whole"]).ok();
    let whole = files(&sandbox, "whole");
    fs::remove_dir_all(sandbox.path("whole")).unwrap();
    pull(&sandbox, "grads@1.0", &[]);
    let report = pull(&sandbox, "grads@1.1", &[]);
    assert_eq!(report["reused_images"], 24, "{report}");
    assert_eq!(files(&sandbox, "grads-1.1"), whole);
    sandbox.isn(&["verify", "grads-1.0", "--expect", "grads@1.0", "--registry", "reg"]).ok();
    // isn remembers where it pulled a tree to, so a tree in another folder is found.
    fs::remove_dir_all(sandbox.path("grads-1.0")).unwrap();
    let elsewhere = pull(&sandbox, "grads@1.1", &["--to", "far/away/tree"]);
    assert_eq!(elsewhere["reused_images"], 26);
    // A damaged image there is not reused.
    let image = whole.iter().find(|(name, _)| name.ends_with(".png")).unwrap();
    sandbox.write(&format!("grads-1.1/{}", image.0), &image.1[..image.1.len() - 1]);
    sandbox.write(&format!("far/away/tree/{}", image.0), &vec![0; image.1.len()]);
    let report = pull(&sandbox, "grads@1.1", &["--to", "third"]);
    assert_eq!(report["reused_images"], 25);
    sandbox.isn(&["verify", "third", "--expect", &second]).ok();
}

#[test]
fn a_tree_becomes_another_version_in_place() {
    let (sandbox, first, second) = two_versions();
    pull(&sandbox, "grads@1.0", &["--to", "birds"]);
    let report = pull(&sandbox, "grads@1.1", &["--to", "birds"]);
    assert_eq!(
        (&report["reused_images"], &report["replaced"]),
        (&Value::from(24), &Value::from("grads@1.0"))
    );
    sandbox.isn(&["verify", "birds", "--expect", &second]).ok();
    let report = pull(&sandbox, "grads@1.0", &["--to", "birds"]);
    assert_eq!(report["replaced"], "grads@1.1");
    sandbox.isn(&["verify", "birds", "--expect", &first]).ok();
    // A part is replaced by the whole version, and the other way round.
    let part = pull(&sandbox, "grads@1.0", &["--to", "birds", "--class", "bee"]);
    assert_eq!((&part["images"], &part["reused_images"]), (&Value::from(8), &Value::from(8)));
    assert_eq!(pull(&sandbox, "grads@1.0", &["--to", "birds"])["reused_images"], 8);
    sandbox.isn(&["verify", "birds", "--expect", &first]).ok();
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());

    // Refused if anything would be lost.
    for (name, bytes) in [("birds/notes.txt", &b"mine"[..]), ("birds/val/ant/mine.png", b"mine")] {
        sandbox.write(name, bytes);
        let before = contents(&sandbox.path("birds"));
        let args = ["pull", "grads@1.1", "--registry", "reg", "--to", "birds"];
        sandbox.isn(&args).fails(1, "birds already exists");
        assert_eq!(contents(&sandbox.path("birds")), before);
        fs::remove_file(sandbox.path(name)).unwrap();
    }
    let image = files(&sandbox, "birds").remove(3).0;
    sandbox.write(&format!("birds/{image}"), b"edited");
    sandbox
        .isn(&["pull", "grads@1.1", "--registry", "reg", "--to", "birds"])
        .fails(1, "birds already exists");
    assert_eq!(sandbox.read(&format!("birds/{image}")), b"edited");
    // Refused as well if another dataset is there.
    sandbox.isn(&["pull", "demobirds@1.0"]).ok();
    let args = ["pull", "grads@1.1", "--registry", "reg", "--to", "demobirds-1.0"];
    sandbox.isn(&args).fails(1, "demobirds-1.0 already exists");
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[cfg(unix)]
#[test]
fn images_are_copies_unless_links_are_asked_for() {
    use std::os::unix::fs::MetadataExt;
    let (sandbox, _, second) = two_versions();
    pull(&sandbox, "grads@1.0", &[]);
    pull(&sandbox, "grads@1.1", &["--to", "copies"]);
    let image = files(&sandbox, "grads-1.0").into_iter().find(|(name, _)| name.ends_with(".png")).unwrap().0;
    let inode = |tree: &str| fs::metadata(sandbox.path(tree).join(&image)).unwrap().ino();
    assert_ne!(inode("copies"), inode("grads-1.0"));
    fs::remove_dir_all(sandbox.path("copies")).unwrap();
    pull(&sandbox, "grads@1.1", &["--to", "links", "--hardlink"]);
    assert_eq!(inode("links"), inode("grads-1.0"));
    sandbox.isn(&["verify", "links", "--expect", &second]).ok();
    // Replacing a tree leaves other trees that share its files unchanged, and shares no more with them.
    pull(&sandbox, "grads@1.0", &["--to", "links", "--class", "ant"]);
    let ant = files(&sandbox, "links").into_iter().find(|(name, _)| name.ends_with(".png")).unwrap().0;
    let inode = |tree: &str| fs::metadata(sandbox.path(tree).join(&ant)).unwrap().ino();
    assert_ne!(inode("links"), inode("grads-1.0"));
    sandbox.isn(&["verify", "grads-1.0", "--expect", "grads@1.0", "--registry", "reg"]).ok();
}

/// The number of each image's file, and of its names.
#[cfg(unix)]
fn inodes(sandbox: &Sandbox, tree: &str) -> std::collections::BTreeMap<String, (u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let about = |name: &str| fs::metadata(sandbox.path(tree).join(name)).unwrap();
    let images = files(sandbox, tree).into_iter().filter(|(name, _)| name.ends_with(".png"));
    images.map(|(name, _)| (name.clone(), (about(&name).ino(), about(&name).nlink()))).collect()
}

#[cfg(unix)]
#[test]
fn what_a_replaced_tree_has_is_neither_read_again_nor_written() {
    let (sandbox, first, second) = two_versions();
    pull(&sandbox, "grads@1.0", &["--to", "birds"]);
    let before = inodes(&sandbox, "birds");
    assert_eq!(pull(&sandbox, "grads@1.1", &["--to", "birds"])["reused_images"], 24);
    let after = inodes(&sandbox, "birds");
    assert!(before.iter().all(|(name, inode)| after[name] == *inode), "{before:?} {after:?}");
    assert!(after.values().all(|(_, names)| *names == 1), "{after:?}");
    sandbox.isn(&["verify", "birds", "--expect", &second]).ok();
    // A damaged image is not taken over, though its length and time are the same.
    let image = sandbox.path("birds").join(before.keys().next().unwrap());
    let (time, mut bytes) = (fs::metadata(&image).unwrap().modified().unwrap(), fs::read(&image).unwrap());
    bytes[30] ^= 1;
    fs::write(&image, &bytes).unwrap();
    fs::File::options().write(true).open(&image).unwrap().set_modified(time).unwrap();
    let args = ["pull", "grads@1.0", "--registry", "reg", "--to", "birds"];
    sandbox.isn(&args).fails(1, "damaged or edited");
    bytes[30] ^= 1;
    fs::write(&image, &bytes).unwrap();
    sandbox.isn(&args).ok();
    sandbox.isn(&["verify", "birds", "--expect", &first]).ok();
}

#[cfg(unix)]
#[test]
fn what_an_ended_pull_took_over_is_not_shared_with_a_tree_that_stays() {
    let (sandbox, _) = Sandbox::published();
    let shards = sandbox.objects("reg", ".tar.zst");
    sandbox.build_second_version();
    let second = sandbox.publish("out2");
    let new = sandbox.objects("reg", ".tar.zst").into_iter().find(|shard| !shards.contains(shard)).unwrap();
    pull(&sandbox, "grads@1.0", &["--to", "birds"]);
    let shard = sandbox.read(&new);
    fs::remove_file(sandbox.path(&new)).unwrap();
    sandbox.isn(&["pull", "grads@1.1", "--registry", "reg", "--to", "birds"]).fails(3, "is missing");
    assert!(inodes(&sandbox, "birds").values().all(|(_, names)| *names == 2));
    sandbox.isn(&["verify", "birds", "--expect", "grads@1.0", "--registry", "reg"]).ok();
    fs::rename(sandbox.path("birds"), sandbox.path("stays")).unwrap();
    sandbox.write(&new, &shard);
    pull(&sandbox, "grads@1.1", &["--to", "birds"]);
    for tree in ["birds", "stays"] {
        assert!(inodes(&sandbox, tree).values().all(|(_, names)| *names == 1), "{tree}");
    }
    sandbox.isn(&["verify", "birds", "--expect", &second]).ok();
    assert!(sandbox.leftovers().is_empty(), "{:?}", sandbox.leftovers());
}

#[test]
fn a_list_of_images_is_a_part_and_verify_knows_what_was_selected() {
    let (sandbox, pin) = Sandbox::published();
    sandbox.pull("grads@1.0", &["--to", "whole"]).ok();
    let sums = String::from_utf8(sandbox.read("whole/B3SUMS")).unwrap();
    let images: Vec<&str> = sums.lines().filter(|line| line.ends_with(".png")).collect();
    sandbox.write("list", format!("# two\n{}\n\n{}\n", images[3], &images[9][66..]).as_bytes());
    let report = sandbox.pull("grads@1.0", &["--to", "two", "--images", "list"]).ok().json();
    assert_eq!(report["images"], 2);
    let verified = sandbox.isn(&["verify", "two", "--expect", &pin]).ok().stdout;
    assert!(verified.contains("a part of the dataset: 2 images by name"), "{verified}");
    let here: Vec<String> = files(&sandbox, "two").into_iter().map(|(name, _)| name).collect();
    let mut expected = vec!["B3SUMS", "B3SUMS.selected", "classes.csv", &images[3][66..], &images[9][66..]];
    expected.sort_unstable();
    assert_eq!(here, expected);

    sandbox.write("wrong", b"val/ant/nothing.png\n../x\n");
    sandbox.pull("grads@1.0", &["--to", "no", "--images", "wrong"]).fails(1, "line 2: '../x'");
    sandbox.write("wrong", b"val/ant/nothing.png\ntrain/ant/nobody.png\n");
    let args = ["--to", "no", "--images", "wrong"];
    sandbox
        .pull("grads@1.0", &args)
        .fails(6, "image train/ant/nobody.png and 1 image more is not in grads@1.0");
    sandbox.write("wrong", b"# nothing\n");
    sandbox.pull("grads@1.0", &args).fails(1, "names no image");
    sandbox.pull("grads@1.0", &["--to", "no", "--images", "nowhere"]).fails(6, "nowhere");
    assert!(!sandbox.path("no").exists());

    // Verification notices an image that was removed from both the tree and the list of selected images.
    sandbox.pull("grads@1.0", &["--to", "bees", "--class", "bee"]).ok();
    let verified = sandbox.isn(&["verify", "bees"]).ok().stdout;
    assert!(verified.contains("a part of the dataset: class bee"), "{verified}");
    let selected = String::from_utf8(sandbox.read("bees/B3SUMS.selected")).unwrap();
    let (line, rest): (Vec<&str>, Vec<&str>) = selected.lines().partition(|line| line.contains("bee_3.png"));
    sandbox.write("bees/B3SUMS.selected", (rest.join("\n") + "\n").as_bytes());
    fs::remove_file(sandbox.path("bees").join(&line[0][66..])).unwrap();
    sandbox.isn(&["verify", "bees", "--expect", &pin]).fails(3, &line[0][66..]);
}

#[test]
fn a_relabelled_version_and_its_neighbour() {
    // The same bytes under another path are the same image.
    let (sandbox, _) = Sandbox::published();
    let classes = ["ant", "bee", "cat"];
    sandbox.image_folder("raw2", &classes, 8);
    fs::rename(sandbox.path("raw2/ant/ant_3.png"), sandbox.path("raw2/bee/ant_3.png")).unwrap();
    sandbox.recipe("grads", "1.1", &classes, "");
    sandbox.isn(&["build", "grads-1.1.toml", "--source", "raw2", "--out", "out2"]).ok();
    sandbox.publish("out2");
    pull(&sandbox, "grads@1.0", &[]);
    let report = pull(&sandbox, "grads@1.1", &[]);
    assert_eq!(report["reused_images"], 24, "{report}");
}
