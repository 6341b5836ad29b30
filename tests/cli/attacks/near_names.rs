//! A name that is nearly right is told, with the one that was meant.

use crate::sandbox::Sandbox;

#[test]
fn a_misspelt_name_of_a_recipe_is_told_by_every_verb() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("source")).unwrap();
    for args in [
        &["pull", "imagebird"][..],
        &["pull", "imagebird@1.0"],
        &["fetch", "imagebird"],
        &["info", "imagebird"],
        &["images", "imagebird"],
        &["cite", "imagebird"],
        &["export", "imagebird", "--as", "npz", "--size", "8", "--to", "x"],
        &["verify", "imagebird"],
        &["diff", "imagebird", "demobirds"],
    ] {
        let meant = if args[1].contains('@') { "imagebirds@1.0" } else { "imagebirds" };
        let args = [args, &["--registry", "bundled"]].concat();
        sandbox.isn(&args).fails(6, &format!("did you mean '{meant}'?"));
    }
    for args in [
        &["build", "imagebird", "--source", "source"][..],
        &["recipe", "show", "imagebird"],
        &["recipe", "export", "imagebird"],
        &["source", "check", "source", "--recipe", "imagebird"],
    ] {
        sandbox.isn(args).fails(6, "did you mean 'imagebirds'?");
    }
    // One that is far from every name.
    let ran = sandbox.isn(&["info", "aardvarks", "--registry", "bundled"]).fails(6, "is not in registry");
    assert!(!ran.stderr.contains("did you mean"), "{}", ran.stderr);
}

#[test]
fn a_label_in_the_place_of_a_class_is_told_with_its_id() {
    let sandbox = Sandbox::new();
    for args in [
        &["pull", "demobirds"][..],
        &["fetch", "demobirds"],
        &["images", "demobirds"],
        &["export", "demobirds", "--as", "npz", "--size", "8", "--to", "x"],
    ] {
        for (label, id) in [("vulture", "n01616318"), ("PEACOCK", "n01806143")] {
            let args = [args, &["--class", label, "--registry", "bundled"]].concat();
            sandbox
                .isn(&args)
                .fails(6, &format!("{label} is the label of a class of demobirds@1.0#b3:"))
                .fails(6, &format!("not its id (id: {id})\n"))
                .fails(6, &format!("name the class by its id: --class {id}\n"));
        }
        let spaced = [args, &["--class", "bald eagle", "--registry", "bundled"]].concat();
        sandbox.isn(&spaced).fails(2, "a class is named by its id, which `isn info REF` lists");
        let args = [args, &["--class", "dodo", "--registry", "bundled"]].concat();
        sandbox.isn(&args).fails(6, "class dodo is not in demobirds@1.0#b3:");
    }
}

#[test]
fn what_takes_nothing_from_writers_is_told_with_what_does() {
    let sandbox = Sandbox::built();
    let next = "write to a registry in a folder or a bucket (--registry)";
    sandbox.isn(&["publish", "out", "--registry", "bundled", "--key", "me"]).fails(1, next);
    let next = "help: check the path: a relative path starts in the current folder";
    sandbox.isn(&["publish", "nope", "--registry", "reg", "--key", "me"]).fails(6, next);
    std::fs::create_dir(sandbox.path("source")).unwrap();
    let check = ["source", "check", "source", "--recipe", "imagebirds"];
    sandbox.isn(&check).fails(8, "help: get what is missing");
    sandbox.isn(&["list", "--registry", "htps://x.org/reg"]).fails(1, "did you mean https://x.org/reg?");
}
