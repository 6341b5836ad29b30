//! `grocerystore@1.0` of the bundled registry: a release without images, of photographs that anyone can have.

use std::fs;
use std::path::Path;

use crate::sandbox::{Sandbox, contents, real_data};

const PIN: &str = "grocerystore@1.0#b3:c9f9fed77f7bc235ed1d1bfbecda415864f13270e2bfeeacc8bc6f00aae878be";

#[test]
fn it_is_listed_and_says_which_source_it_needs() {
    let sandbox = Sandbox::new();
    let list = sandbox.isn(&["list"]).ok().stdout;
    assert!(list.contains("grocerystore  1.0"), "{list}");
    let info = sandbox.isn(&["info", "grocerystore@1.0", "--json"]).ok().json();
    assert_eq!((&info["pin"], &info["rebuild_only"]), (&PIN.into(), &true.into()));
    assert_eq!((&info["images"], &info["licence"]), (&5421.into(), &"MIT".into()));
    let text = sandbox.isn(&["info", "grocerystore@1.0"]).ok().stdout;
    let column = |label: &str| text.lines().find_map(|line| line.find(label));
    assert_eq!(column("Alpro Blueberry Soyghurt ("), column("Kiwi ("), "{text}");
    let ran =
        sandbox.isn(&["pull", "grocerystore@1.0"]).fails(7, "published to be built from your own source");
    for told in [
        &format!("\n    isn pull '{PIN}' --source DIR\n"),
        "\n    |   git clone https://github.com/marcusklasson/GroceryStoreDataset\n",
    ] {
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
    sandbox.isn(&["pull", "grocerystore@1.0", "--source", "nowhere"]).fails(6, "nowhere");
    assert!(!sandbox.path("grocerystore-1.0").exists());
    // The recipe and the groups that were released are those beside the datasheet.
    let registry = contents(&Path::new(env!("CARGO_MANIFEST_DIR")).join("registry"));
    for name in ["recipe.toml", "groups.csv"] {
        let path = format!("recipes/grocerystore/{name}");
        let (_, beside) = registry.iter().find(|(other, _)| *other == path).unwrap();
        assert!(
            registry.iter().any(|(name, bytes)| name.starts_with("objects/") && bytes == beside),
            "{name}"
        );
    }
}

#[test]
fn a_clone_of_its_source_arrives_at_the_released_hash() {
    let Some(data) = real_data().map(|data| data.join("grocerystore/dataset")).filter(|data| data.is_dir())
    else {
        return;
    };
    let sandbox = Sandbox::new();
    // A clone that lacks an image is refused at once, and the image is named.
    sandbox.copy(data.to_str().unwrap(), "part");
    fs::remove_file(sandbox.path("part/val/Fruit/Kiwi/Kiwi_003.jpg")).unwrap();
    sandbox
        .isn(&["pull", "grocerystore@1.0", "--source", "part"])
        .fails(8, "the source has no image val/Fruit/Kiwi/Kiwi_003");
    assert!(!sandbox.path("grocerystore-1.0").exists());
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
    // Under no deadline: without optimisation, and beside other tests, this takes minutes.
    let pulled =
        sandbox.command(&["pull", "grocerystore@1.0", "--source", data.to_str().unwrap()]).output().unwrap();
    assert!(pulled.status.success(), "{}", String::from_utf8_lossy(&pulled.stderr));
    sandbox.isn(&["verify", "grocerystore-1.0", "--expect", PIN]).ok();
}
