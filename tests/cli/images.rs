use crate::sandbox::Sandbox;

#[test]
fn the_paths_of_a_part_with_its_origin_go_into_a_pull() {
    let sandbox = Sandbox::new();
    let listed = |args: &[&str]| sandbox.isn(&[&["images", "demobirds@1.0"], args].concat()).ok().stdout;
    let val = listed(&["--split", "val", "--origin", "val"]);
    assert_eq!(val.lines().count(), 10);
    assert!(val.lines().all(|path| path.starts_with("val/") && path.contains("/ILSVRC2012_val_")), "{val}");
    let rest = listed(&["--split", "val", "--origin", "train"]);
    assert_eq!(val.lines().count() + rest.lines().count(), listed(&["--split", "val"]).lines().count());
    sandbox.write("original.txt", val.as_bytes());
    let pull = ["pull", "demobirds@1.0", "--images", "original.txt", "--to", "part", "--json"];
    let pulled = sandbox.isn(&pull).ok().json();
    assert_eq!(pulled["images"], 10);

    let object = sandbox.isn(&["images", "demobirds@1.0", "--class", "n01614925", "--json"]).ok().json();
    let images = object["images"].as_array().unwrap();
    assert!(images.iter().all(|image| image["class"] == "n01614925" && image["width"].as_u64().unwrap() > 0));
    sandbox.isn(&["images", "demobirds@1.0", "--class", "n00000001"]).fails(6, "class n00000001 is not in");
    sandbox
        .isn(&["images", "demobirds@1.0", "--origin", "dev"])
        .fails(2, "possible values: train, val, test");
}
