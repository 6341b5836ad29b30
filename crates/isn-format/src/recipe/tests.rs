use super::*;
use crate::dataset_ref::Version;
use crate::digest::Digest;
use crate::error::Error;
use crate::key::PrivateKey;
use crate::ledger::policy::{Policy, Rule, Several};
use crate::source_spec::{HERE, Ids, ListSpec, Names};
use crate::split::Fraction;

const GOOD: &str = r#"format = "isn-recipe/1"
name = "imagebirds"
version = "1.0"
title = "ImageBirds"
description = "Birds."
licence = "See ImageNet."
authors = ["A. Curator"]

[source]
kind = "ilsvrc2012"

[image]
size = 160
filter = "bilinear"
encode = { jpeg = 95 }
small = "upscale"
exif_orientation = "apply"

[split]
policy = "pool"
val = 0.20
salt = "imagebirds"

[corrections]
file = "corrections.csv"

[[class]]
id = "n01616318"
label = "vulture"
group = "birds"

[[class]]
id = "n01614925"
label = "bald eagle"
"#;

fn parse(text: &str) -> Result<Recipe> {
    Recipe::parse("recipe.toml", text)
}

/// Returns the mistakes of [`GOOD`] with `from` replaced.
fn mistakes(from: &str, to: &str) -> Vec<(usize, String)> {
    assert!(GOOD.contains(from), "{from}");
    told(&GOOD.replacen(from, to, 1))
}

fn told(text: &str) -> Vec<(usize, String)> {
    match parse(text) {
        Err(Error::Mistakes { what, mistakes }) if what == "recipe.toml" => {
            mistakes.into_iter().map(|m| (m.line.unwrap(), m.why)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn version_2_says_how_many_images_there_are() {
    let (train, val) = (Split::Train, Split::Val);
    let eagle: ClassId = "n01614925".parse().unwrap();
    let one = parse(GOOD).unwrap();
    assert_eq!((one.edition, one.needs_whole()), (Edition::One, false));
    assert_eq!((one.expected(&eagle, train), one.expected(&eagle, val)), (Some(1300), Some(50)));
    let expect = "label = \"bald eagle\"\nexpect = { train = 7 }";
    let needs_two = "[[class]] expect needs format = \"isn-recipe/2\"";
    assert_eq!(mistakes("label = \"bald eagle\"", expect)[0].1, needs_two);
    // ImageNet's numbers are known.
    let two = GOOD.replace("isn-recipe/1", "isn-recipe/2");
    assert!(parse(&two).unwrap().needs_whole());
    let told_of_it = &told(&two.replace("label = \"bald eagle\"", expect))[0].1;
    assert_eq!(told_of_it, "[[class]] expect is not for ilsvrc2012, whose folders and counts are known");
    let folder = two.replace("\"ilsvrc2012\"", "\"imagefolder\"");
    let parsed = parse(&folder.replace("label = \"bald eagle\"", expect)).unwrap();
    assert_eq!((parsed.expected(&eagle, train), parsed.expected(&eagle, val)), (Some(7), None));
    assert_eq!(parsed.expected(&"n01616318".parse().unwrap(), train), None);
    for (wrong, why) in [("{ train = -1 }", "must be"), ("{ dev = 1 }", "unknown key"), ("7", "must be")] {
        let text =
            folder.replace("label = \"bald eagle\"", &format!("label = \"bald eagle\"\nexpect = {wrong}"));
        assert!(told(&text)[0].1.contains(why), "{:?}", told(&text));
    }
    let net = two.replace("file = \"corrections.csv\"", "file = \"corrections.csv\"\nnet = 2");
    assert_eq!(parse(&net).unwrap().corrections.unwrap().policy.rule, Rule::Net(2));
    assert!(told(&net.replace("net = 2", "net = 2\nagree = 2"))[0].1.contains("beside agree"));
    assert!(
        told(&net.replace("isn-recipe/2", "isn-recipe/1"))[0]
            .1
            .contains("[corrections] net needs format = \"isn-recipe/2\"")
    );
    assert!(told(&GOOD.replace("isn-recipe/1", "isn-recipe/3"))[0].1.contains("isn-recipe/2"));
}

#[test]
fn version_2_says_which_folders_are_splits_and_classes() {
    let folder = |text: &str| {
        GOOD.replace("isn-recipe/1", "isn-recipe/2").replace("\"ilsvrc2012\"", "\"imagefolder\"") + text
    };
    let splits = "\nsplits = { train = [\"Training\"], val = [\"valid\", \"more/val\"] }";
    let text = folder("folder = \"Fruit/Golden Delicious (1)\"\n")
        .replace("\"imagefolder\"", &format!("\"imagefolder\"{splits}"));
    let spec = parse(&text).unwrap().source;
    let given = [(Split::Train, "Training"), (Split::Val, "valid"), (Split::Val, "more/val")];
    assert_eq!(spec.split_folders(), given);
    assert_eq!(spec.folders_of(&"n01614925".parse().unwrap()), ["Fruit/Golden Delicious (1)"]);
    assert_eq!(spec.folders_of(&"n01616318".parse().unwrap()), ["n01616318"]);
    let several = parse(&folder("folder = [\"a/b\", \"c\"]\n")).unwrap().source;
    assert_eq!(several.folders_of(&"n01614925".parse().unwrap()), ["a/b", "c"]);
    let plain = parse(&folder("")).unwrap().source;
    assert_eq!(plain.split_folders().len(), 3);
    let bad = |text: &str| told(&folder(&format!("{text}\n"))).remove(0).1;
    for (text, why) in [
        ("folder = \"../up\"", "must be the path of a folder below the source"),
        ("folder = \"/root\"", "must be the path"),
        ("folder = \"a//b\"", "must be the path"),
        ("folder = \"\"", "must be the path"),
        ("folder = \"a\\u0007\"", "has a control character"),
        ("folder = \"Val/x\"", "begins with the name of one, val"),
        ("folder = \"n01616318/x\"", "'n01616318/x' is in 'n01616318', the folder of line 28"),
        ("folder = 3", "must be a text in quotes"),
        ("folder = []", "is empty: name a folder, or leave it out"),
        ("folder = [\"a\", \"../up\"]", "must be the path"),
        ("folder = [\"a\", \"a/b\"]", "'a/b' is in 'a'"),
        ("folder = [\"a\", \"n01616318\"]", "'n01616318' is in 'n01616318'"),
        ("folder = \"n01616318\"", "is in 'n01616318'"),
        ("folder = \".\"", "'n01616318' is in '.', the folder of line 35"),
    ] {
        assert!(bad(text).contains(why), "{text}: {}", bad(text));
    }
    for (splits, why) in [
        ("{}", "is empty"),
        ("{ dev = [\"x\"] }", "unknown key"),
        ("{ train = \"x\" }", "must be a list"),
        ("{ train = [\".\"] }", "must name folders"),
        ("{ train = [\"a\"], val = [\"a/b\"] }", "'a/b' is in 'a'"),
    ] {
        let text = folder("").replace("\"imagefolder\"", &format!("\"imagefolder\"\nsplits = {splits}"));
        assert!(told(&text)[0].1.contains(why), "{splits}: {:?}", told(&text));
    }
    // The spelling of composed characters makes no difference.
    let twice = "folder = \"cafe\u{301}\"\n[[class]]\nid = \"x\"\nlabel = \"x\"\nfolder = \"café\"";
    assert!(bad(twice).contains("is in 'café'"), "{}", bad(twice));
    let hash =
        |names: &str| folder("").replace("\"imagefolder\"", &format!("\"imagefolder\"\nnames = {names}"));
    assert_eq!(parse(&hash("\"hash\"")).unwrap().source.names, Names::Hash);
    assert_eq!((plain.names, plain.ids), (Names::Keep, Ids::Text));
    assert!(told(&hash("\"other\""))[0].1.contains("must be \"keep\" or \"hash\""));
    // Neither is for version 1, nor for ImageNet.
    let class = folder("folder = \"x\"\n");
    let one = class.replace("isn-recipe/2", "isn-recipe/1");
    assert_eq!(told(&one)[0].1, "[[class]] folder needs format = \"isn-recipe/2\"");
    let imagenet = class.replace("\"imagefolder\"", "\"ilsvrc2012\"");
    assert!(told(&imagenet)[0].1.contains("[[class]] folder is not for ilsvrc2012"), "{:?}", told(&imagenet));
    let splits = "kind = \"ilsvrc2012\"\nsplits = { train = [\"x\"] }";
    assert!(mistakes("kind = \"ilsvrc2012\"", splits)[0].1.contains("[source] splits needs format"));
    let text = GOOD.replace("isn-recipe/1", "isn-recipe/2").replace("kind = \"ilsvrc2012\"", splits);
    assert!(told(&text)[0].1.contains("is not for ilsvrc2012"));
}

#[test]
fn reads_every_field() {
    let recipe = parse(GOOD).unwrap();
    assert_eq!(recipe.name.as_str(), "imagebirds");
    assert_eq!(recipe.version.to_string(), "1.0");
    assert_eq!(recipe.source, SourceSpec::new(SourceKind::Ilsvrc2012));
    let image = PixelSpec {
        size: 160,
        filter: Filter::Bilinear,
        encode: Encoding::Jpeg { quality: 95 },
        small: Small::Upscale,
        exif_orientation: ExifOrientation::Apply,
    };
    assert_eq!(recipe.image, image);
    let SplitPolicy::Pool(Draw { val, salt }) = &recipe.split.policy else { panic!() };
    assert_eq!((val.to_string().as_str(), salt.as_str()), ("0.2", "imagebirds"));
    assert_eq!((recipe.split.previous, &recipe.split.groups), (None, &None));
    let ledger = CorrectionsSpec { file: "corrections.csv".into(), policy: Policy::default() };
    assert_eq!(recipe.corrections, Some(ledger));
    assert_eq!((recipe.balance, recipe.gates), (Balance::default(), Gates::default()));
    assert_eq!(recipe.classes.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["n01614925", "n01616318"]);
    assert_eq!(
        (recipe.classes[0].group.as_deref(), recipe.classes[1].group.as_deref()),
        (None, Some("birds"))
    );
}

#[test]
fn line_ends_of_windows_change_nothing() {
    let several = GOOD.replace("\"Birds.\"", "\"\"\"Birds,\nand more.\"\"\"");
    let [unix, windows] = [&several, &several.replace('\n', "\r\n")].map(|text| parse(text).unwrap());
    assert_eq!(unix.description, "Birds,\nand more.");
    assert_eq!(windows.description, unix.description);
    assert_eq!(told(&GOOD.replace("Birds.", "a\\rb")).len(), 1);
}

#[test]
fn of_a_long_text_only_the_first_syntax_error_is_told() {
    assert!(told(&(GOOD.to_string() + &"=\n".repeat(50))).len() > 50);
    let long = GOOD.to_string() + &"=\n".repeat(MAX_RECOVERABLE);
    assert_eq!(told(&long).len(), 1);
}

#[test]
fn what_may_be_left_out_has_the_defaults_of_the_format() {
    let image =
        "filter = \"bilinear\"\nencode = { jpeg = 95 }\nsmall = \"upscale\"\nexif_orientation = \"apply\"\n";
    let pool = "policy = \"pool\"\nval = 0.20\nsalt = \"imagebirds\"";
    let text = GOOD
        .replace(image, "")
        .replace(pool, "policy = \"keep\"")
        .replace("[corrections]\nfile = \"corrections.csv\"\n", "");
    let recipe = parse(&text).unwrap();
    let image = PixelSpec {
        size: 160,
        filter: Filter::CatmullRom,
        encode: Encoding::Png,
        small: Small::Keep,
        exif_orientation: ExifOrientation::Ignore,
    };
    assert_eq!((recipe.image, recipe.split.policy, recipe.corrections), (image, SplitPolicy::Keep, None));
}

#[test]
fn previous_assignments_are_named_by_their_hash() {
    let hash = Digest::of(b"");
    let text = GOOD.replace("salt =", &format!("previous = \"b3:{hash}\"\nsalt ="));
    assert_eq!(parse(&text).unwrap().split.previous, Some(Earlier::Assignments(hash)));
    let found = mistakes("salt =", "previous = \"abc\"\nsalt =");
    assert_eq!(found.len(), 1);
    assert!(found[0].0 == 22 && found[0].1.starts_with("[split] previous is wrong: "), "{found:?}");
}

#[test]
fn the_previous_version_is_named_by_its_number_in_version_2() {
    let text = GOOD.replace("version = \"1.0\"", "version = \"1.10\"");
    let text = text.replace("salt =", "previous = \"1.9\"\nsalt =");
    let needs_two = "[split] previous is a version, which needs format = \"isn-recipe/2\"";
    assert_eq!(told(&text)[0].1, needs_two);
    let two = text.replace("isn-recipe/1", "isn-recipe/2");
    let one_nine = Version { major: 1, minor: 9 };
    assert_eq!(parse(&two).unwrap().split.previous, Some(Earlier::Version(one_nine)));
    for later in ["1.10", "2.0"] {
        let told = told(&two.replace("1.9", later));
        assert!(told[0].1.ends_with(&format!("must be an earlier version: {later} is not")), "{told:?}");
    }
}

#[test]
fn each_mistake_has_its_line_and_reason() {
    for (from, to, line, why) in [
        ("isn-recipe/1", "isn-recipe/3", 1, "format must be \"isn-recipe/1\" or \"isn-recipe/2\""),
        ("format = \"isn-recipe/1\"", "", 1, "format is missing"),
        ("\"imagebirds\"", "\"Image Birds\"", 2, "name is wrong: 'Image Birds' is not a dataset name"),
        ("\"1.0\"", "1.0", 3, "version must be a text in quotes"),
        ("\"1.0\"", "\"1\"", 3, "version is wrong: '1' is not a version"),
        ("\"ImageBirds\"", "\"\"", 4, "title is empty"),
        ("\"ImageBirds\"", "\"a\\nb\"", 4, "title has a line break"),
        ("\"Birds.\"", "\"\\u0007\"", 5, "description has a control character"),
        ("[\"A. Curator\"]", "[]", 7, "authors is empty"),
        ("[\"A. Curator\"]", "[\"x\", 3]", 7, "authors must be a text"),
        ("[\"A. Curator\"]", "\"A. Curator\"", 7, "authors must be a list"),
        ("\"ilsvrc2012\"", "\"imagenet\"", 10, "[source] kind must be \"ilsvrc2012\" or \"imagefolder\""),
        ("kind = \"ilsvrc2012\"", "", 9, "[source] kind is missing"),
        ("160", "0", 13, "[image] size must be a whole number from 1 to 4096"),
        ("160", "4097", 13, "[image] size must be a whole number from 1 to 4096"),
        ("160", "160.0", 13, "[image] size must be a whole number"),
        ("160", "-1", 13, "[image] size must be a whole number"),
        ("\"bilinear\"", "\"lanczos3\"", 14, "[image] filter must be \"catmullrom\" or \"bilinear\""),
        ("{ jpeg = 95 }", "\"jpeg\"", 15, "[image] encode must be \"png\" or { jpeg = QUALITY }"),
        ("{ jpeg = 95 }", "{ jpeg = 101 }", 15, "[image] encode jpeg must be a whole number from 1 to 100"),
        (
            "{ jpeg = 95 }",
            "{ jpeg = 95, fast = true }",
            15,
            "unknown key '[image] encode fast' (known: jpeg)",
        ),
        ("\"upscale\"", "true", 16, "[image] small must be \"keep\" or \"upscale\" or \"drop\""),
        (
            "\"pool\"",
            "\"random\"",
            20,
            "[split] policy must be \"keep\" or \"pool\" or \"threshold\" or \"top-up\"",
        ),
        ("val = 0.20", "", 19, "[split] val is missing"),
        ("0.20", "1", 21, "[split] val is wrong: 1 is not a fraction"),
        ("0.20", "2e-1", 21, "[split] val is wrong: 2e-1 is not a fraction"),
        ("0.20", "\"0.2\"", 21, "[split] val must be a number"),
        ("salt = \"imagebirds\"", "salt = \"\"", 22, "[split] salt is empty"),
        (
            "\"corrections.csv\"",
            "\"../corrections.csv\"",
            25,
            "[corrections] file must be the name of a file beside",
        ),
        ("id = \"n01616318\"", "", 27, "[[class]] id is missing"),
        (
            "id = \"n01616318\"",
            "id = \"n00000000\"",
            28,
            "[[class]] id 'n00000000' is not one of the 1,000 classes",
        ),
        ("id = \"n01616318\"", "id = \"a/b\"", 28, "[[class]] id is wrong: class id 'a/b'"),
        (
            "id = \"n01616318\"",
            "id = \"n01614925\"",
            33,
            "[[class]] id 'n01614925' repeats the class of line 28",
        ),
        ("\"vulture\"", "\" vulture\"", 29, "[[class]] label starts or ends with white space"),
        ("\"birds\"", "\"\"", 30, "[[class]] group is empty"),
        (
            "group = \"birds\"",
            "gruop = \"birds\"",
            30,
            "unknown key '[[class]] gruop' (known: id, label, group, folder, expect)",
        ),
        ("[corrections]\nfile", "[correction]\nfile", 24, "unknown key 'correction'"),
    ] {
        let found = mistakes(from, to);
        assert_eq!(found.len(), 1, "{to}: {found:?}");
        assert!(found[0].0 == line && found[0].1.starts_with(why), "{to}: {found:?}");
    }
}

#[test]
fn a_policy_takes_its_own_keys_only() {
    let found = mistakes("\"pool\"", "\"keep\"");
    let whys: Vec<_> = found.iter().map(|(line, why)| (*line, why.as_str())).collect();
    let why = |key: &str| format!("[split] {key} does not go with policy = \"keep\"");
    assert_eq!(whys, [(21, why("val").as_str()), (22, why("salt").as_str())]);
}

#[test]
fn a_class_of_an_image_folder_is_no_split_and_one_folder() {
    let text = GOOD.replace("ilsvrc2012", "imagefolder").replace("n01616318", "cat");
    assert!(parse(&text).is_ok());
    let found = told(&text.replace("\"cat\"", "\"Train\""));
    assert!(found[0].1.contains("'Train' is the name of a split"), "{found:?}");
    let found = told(&text.replace("n01614925", "CAT"));
    assert!(found[0].1.contains("'CAT' repeats the class of line 28"), "{found:?}");
}

#[test]
fn what_a_curator_asks_for_is_read() {
    let care =
        "[corrections]\nagree = 2\nseveral = \"remove\"\ntogether = [[\"mturk\", \"cleanlab\"], [\"a\"]]\n";
    let more = "[balance]\ntrain = 100\nval = 20\nequal = true\n[gates]\nleakage = \"allow\"\nval_min = 50\n\
                val_range = [0.1, 0.3]\n";
    let text = GOOD
        .replace("[corrections]\n", &format!("{more}{care}"))
        .replace("salt =", "groups = \"groups.csv\"\nsalt =")
        .replace("\"pool\"", "\"top-up\"");
    let recipe = parse(&text).unwrap();
    let together = vec![vec!["mturk".into(), "cleanlab".into()], vec!["a".into()]];
    let policy = Policy { rule: Rule::Agree(2), several: Several::Remove, together };
    assert_eq!(recipe.corrections.unwrap().policy, policy);
    assert_eq!(recipe.balance, Balance { caps: vec![(Split::Train, 100), (Split::Val, 20)], equal: true });
    let fraction = |text: &str| text.parse::<Fraction>().unwrap();
    let val_range = Some((fraction("0.1"), fraction("0.3")));
    assert_eq!(recipe.gates, Gates { leakage: false, val_min: 50, val_range, rebuilt: None });
    assert_eq!(recipe.split.groups.as_deref(), Some("groups.csv"));
    assert!(matches!(recipe.split.policy, SplitPolicy::TopUp(_)));

    for (from, to, why) in [
        ("agree = 2", "agree = 0", "[corrections] agree must be a whole number from 1 to 100"),
        ("several = \"remove\"", "several = true", "[corrections] several must be \"keep\" or \"remove\""),
        ("[\"a\"]", "\"a\"", "[corrections] together must be a list"),
        ("train = 100", "train = 0", "[balance] train must be a whole number from 1 to"),
        ("equal = true", "equal = 1", "[balance] equal must be true or false"),
        ("\"allow\"", "\"warn\"", "[gates] leakage must be \"refuse\" or \"allow\""),
        ("[0.1, 0.3]", "[0.1]", "[gates] val_range must be two fractions"),
        ("[0.1, 0.3]", "[0.1, 3]", "[gates] val_range is wrong: 3 is not a fraction"),
        (
            "\"groups.csv\"",
            "\"../groups.csv\"",
            "[split] groups must be the name of a file beside the recipe",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        let found = told(&text.replacen(from, to, 1));
        assert!(found.len() == 1 && found[0].1.starts_with(why), "{to}: {found:?}");
    }
}

#[test]
fn pairs_are_of_version_2() {
    let text = GOOD.replace("salt =", "pairs = \"pairs.csv\"\nsalt =");
    let found = told(&text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1.starts_with("[split] pairs needs format = \"isn-recipe/2\""), "{found:?}");
    let text = text.replace("isn-recipe/1", "isn-recipe/2");
    assert_eq!(parse(&text).unwrap().split.pairs.as_deref(), Some("pairs.csv"));
    let found = told(&text.replace("\"pairs.csv\"", "\"a/pairs.csv\""));
    assert!(found[0].1.starts_with("[split] pairs must be the name of a file beside"), "{found:?}");
}

/// Of version 2 alone: version 1 does not know it.
#[test]
fn gates_may_name_who_must_have_built_the_version() {
    let key = |seed: u8| PrivateKey::of_seed(seed).public_line().key;
    let gate = format!("[gates]\nrebuilt = {{ keys = [\"{}\", \"{} ann\"], needed = 2 }}\n", key(1), key(2));
    let text = GOOD.replace("[corrections]\n", &format!("{gate}[corrections]\n"));
    assert!(told(&text)[0].1.contains("rebuilt"), "{:?}", told(&text));
    let text = text.replace("isn-recipe/1", "isn-recipe/2");
    let rebuilt = Some(Rebuilders { keys: vec![key(1), key(2)], needed: 2 });
    assert_eq!(parse(&text).unwrap().gates, Gates { rebuilt, ..Gates::default() });
    let (one, two) = (key(1).to_string(), key(2).to_string());
    for (from, to, why) in [
        ("needed = 2", "needed = 3", "[gates] rebuilt needed is more than there are keys: 2"),
        ("needed = 2", "needed = 0", "[gates] rebuilt needed must be a whole number from 1 to 32"),
        (", needed = 2", "", "[gates] rebuilt needed is missing"),
        (two.as_str(), one.as_str(), "[gates] rebuilt keys names a key twice"),
        ("ssh-ed25519", "ssh-rsa", "[gates] rebuilt keys"),
        ("needed = 2", "needed = 2, who = 1", "who"),
    ] {
        assert!(text.contains(from), "{from}");
        let found = told(&text.replacen(from, to, 1));
        assert!(!found.is_empty() && found[0].1.contains(why), "{to}: {found:?}");
    }
}

#[test]
fn all_mistakes_come_at_once_in_the_order_of_the_file() {
    let text = GOOD.replace("160", "\"big\"").replace("0.20", "2").replace("name =", "nmae =");
    let lines: Vec<_> = told(&text).into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, [1, 2, 13, 21]);
}

#[test]
fn syntax_errors_and_repeated_keys_are_told_with_their_lines() {
    let found = told(&GOOD.replace("version =", "name = \"x\"\nversion =").replace("160", "0"));
    assert!(found[0] == (3, "duplicate key".into()) && found[1].0 == 14 && found.len() == 2, "{found:?}");
    let found = told("format = \nname = [1\n\ntitle");
    assert!(found.len() >= 2 && found[0].0 == 1, "{found:?}");
    assert!(!told("").is_empty());
}

#[test]
fn a_recipe_in_the_registry_is_read() {
    for (text, name, size, classes, groups) in [
        (include_str!("../../../../registry/recipes/imagebirds/recipe.toml"), "imagebirds", 160, 5, 1),
        (
            include_str!("../../../../registry/recipes/imagebirds-320/recipe.toml"),
            "imagebirds-320",
            320,
            5,
            1,
        ),
        (
            include_str!("../../../../registry/recipes/imagesubnet50/recipe.toml"),
            "imagesubnet50",
            160,
            50,
            10,
        ),
    ] {
        let recipe = parse(text).unwrap();
        assert_eq!((recipe.name.as_str(), recipe.version.to_string().as_str()), (name, "1.0"));
        assert_eq!(
            (recipe.image.size, recipe.image.encode, recipe.classes.len()),
            (size, Encoding::Png, classes)
        );
        let SplitPolicy::Pool(Draw { val, salt }) = &recipe.split.policy else {
            panic!("{:?}", recipe.split)
        };
        assert_eq!((val.to_string().as_str(), salt.as_str()), ("0.2", name.trim_end_matches("-320")));
        let of_group: std::collections::BTreeMap<_, usize> =
            recipe.classes.iter().fold(Default::default(), |mut counts, class| {
                *counts.entry(class.group.as_deref().unwrap()).or_default() += 1;
                counts
            });
        assert_eq!(of_group.len(), groups);
        assert!(of_group.values().all(|&n| n == 5), "{of_group:?}");
        let labels: std::collections::HashSet<_> = recipe.classes.iter().map(|class| &class.label).collect();
        assert_eq!(labels.len(), classes);
    }
}

#[test]
fn no_text_makes_it_panic() {
    let mut dice = blake3::Hasher::new().finalize_xof();
    let mut roll = |n: usize| {
        let mut bytes = [0; 4];
        dice.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % n
    };
    for _ in 0..3000 {
        let mut text = GOOD.as_bytes().to_vec();
        for _ in 0..=roll(4) {
            let (at, len) = (roll(text.len()), roll(12));
            let end = (at + len).min(text.len());
            match roll(3) {
                0 => drop(text.drain(at..end)),
                1 => text[at] = b"\"[]{}=#.\n\\0\xc3"[roll(12)],
                _ => text.extend_from_within(at..end),
            }
        }
        let text = String::from_utf8_lossy(&text);
        if let Err(error) = parse(&text) {
            assert!(matches!(&error, Error::Mistakes { mistakes, .. } if !mistakes.is_empty()), "{error}");
        }
    }
}

#[test]
fn a_list_and_annotated_splits() {
    let folder = GOOD.replace("isn-recipe/1", "isn-recipe/2").replace("\"ilsvrc2012\"", "\"imagefolder\"");
    let with = |source: &str| folder.replace("\"imagefolder\"", source);
    let list = |more: &str| with(&format!("\"list\"\n{more}"));
    let spec = parse(&list("list = \"meta/labels.csv\"")).unwrap().source;
    let given = ListSpec {
        file: "meta/labels.csv".into(),
        images: HERE.into(),
        path: "path".into(),
        label: "label".into(),
        split: None,
    };
    assert_eq!((spec.kind, spec.ids, spec.list), (SourceKind::List, Ids::Text, Some(given.clone())));
    let more = "list = \"l.csv\"\nimages = \"a/b\"\ncolumns = { path = \"id\", split = \"set\" }\nnames = \"hash\"\n\
                splits = { train = [\"learn\"], test = [\"final exam\"] }";
    let spec = parse(&list(more)).unwrap().source;
    let given = ListSpec {
        file: "l.csv".into(),
        images: "a/b".into(),
        path: "id".into(),
        split: Some("set".into()),
        ..given
    };
    assert_eq!((spec.list, spec.names), (Some(given), Names::Hash));
    // Words may be any, and those of one class in those of another.
    let words = |word: &str| list("list = \"l.csv\"") + &format!("folder = {word}\nexpect = {{ val = 3 }}\n");
    let recipe = parse(&words("[\"a/b\", \"a\", \"..\", \"Test/x\", \"/\"]")).unwrap();
    assert_eq!(recipe.source.folders_of(&"n01614925".parse().unwrap()), ["a/b", "a", "..", "Test/x", "/"]);
    assert_eq!(recipe.expected(&"n01614925".parse().unwrap(), Split::Val), Some(3));
    for (text, why) in [
        (list(""), "[source] list is missing"),
        (list("list = \"../l.csv\""), "must be the path"),
        (list("list = \".\""), "must be the path of a file in the source"),
        (list("list = \"/l.csv\""), "must be the path"),
        (list("list = 3"), "must be a text"),
        (list("list = \"l.csv\"\nimages = \"..\""), "must be the path"),
        (list("list = \"l.csv\"\ncolumns = { file = \"x\" }"), "unknown key '[source] columns file'"),
        (list("list = \"l.csv\"\ncolumns = { path = \" x\" }"), "starts or ends with white space"),
        (list("list = \"l.csv\"\ncolumns = \"x\""), "must be a table"),
        (list("list = \"l.csv\"\nannotated = { val = \"x\" }"), "is for kind = \"imagefolder\" alone"),
        (words("\"\""), "is empty"),
        (words("\"n01616318\""), "'n01616318' repeats the word of line"),
        (words("[\"a\", \"a\"]"), "'a' repeats the word of line"),
        (with("\"imagefolder\"\nlist = \"l.csv\""), "is for kind = \"list\" alone"),
        (with("\"imagefolder\"\nannotated = {}"), "is empty"),
        (with("\"imagefolder\"\nannotated = { val = \"../x\" }"), "must be the path"),
        (with("\"imagefolder\"\nannotated = { dev = \"x\" }"), "unknown key"),
        (with("\"ilsvrc2012\"\nannotated = { val = \"x\" }"), "is not for ilsvrc2012"),
        (
            list("list = \"l.csv\"").replace("isn-recipe/2", "isn-recipe/1"),
            "must be \"ilsvrc2012\" or \"imagefolder\"",
        ),
    ] {
        let told = told(&text);
        assert!(told.iter().any(|(_, told)| told.contains(why)), "{why}: {told:?}");
    }
    let spec = parse(&with("\"imagefolder\"\nannotated = { val = \"val/x.txt\" }")).unwrap().source;
    assert_eq!(spec.annotated, [(Split::Val, "val/x.txt".to_owned())]);
}
