use std::collections::BTreeMap;

use super::*;

mod division;

use crate::source::Position;
use isn_format::groups::Groups;
use isn_format::ledger::policy::Policy;
use isn_format::ledger::{Ledger, OLD_HEADER};
use isn_format::pairs::Judged;
use isn_format::source_kind::SourceKind;

/// Makes a recipe of the classes `ids`, with `[split]` and `version` as given.
fn recipe(ids: &[&str], version: &str, split: &str) -> Recipe {
    let classes: String =
        ids.iter().map(|id| format!("[[class]]\nid = \"{id}\"\nlabel = \"{id}\"\n")).collect();
    let text = format!(
        "format = \"isn-recipe/1\"\nname = \"x\"\nversion = \"{version}\"\ntitle = \"X\"\ndescription = \"x\"\n\
         licence = \"x\"\nauthors = [\"x\"]\n[source]\nkind = \"imagefolder\"\n[image]\nsize = 8\n[split]\n{split}\n{classes}"
    );
    Recipe::parse("recipe.toml", &text).unwrap()
}

fn pool(val: &str) -> String {
    format!("policy = \"pool\"\nval = {val}\nsalt = \"golden\"")
}

fn inheriting(val: &str, assignments: &Assignments) -> String {
    format!("{}\nprevious = \"b3:{}\"", pool(val), isn_format::digest::Digest::of(&assignments.to_csv()))
}

fn ledger(recipe: &Recipe, rows: &[&str], source: &Source) -> Settled {
    let rows: String = rows.iter().map(|row| format!("{row},r,s,,2024-01-01\n")).collect();
    let ledger = Ledger::parse("corrections.csv", format!("{OLD_HEADER}\n{rows}").as_bytes()).unwrap();
    let given = source.images.iter().map(|image| (image.id, image.class));
    let settled = Policy::default().settle(&ledger, &recipe.classes, given);
    assert_eq!(settled.problems, [""; 0]);
    settled
}

/// Makes images of `(id, class, split)`; the path is the id with an extension.
fn source(images: impl IntoIterator<Item = (String, &'static str, Split)>) -> Source {
    let mut images: Vec<(String, String, ClassId, Split)> = images
        .into_iter()
        .map(|(id, class, split)| (format!("{id}.jpg"), id, class.parse().unwrap(), split))
        .collect();
    images.sort();
    let images = images.iter().map(|(path, id, class, split)| SourceImage {
        path,
        id,
        class,
        split: *split,
        len: 1,
        modified_ns: 0,
        position: Position::File,
    });
    Source::of_images(SourceKind::ImageFolder, images)
}

fn plan(recipe: &Recipe, rows: &[&str], source: &Source) -> Result<Plan> {
    grouped(recipe, rows, source, &Groups::default(), None)
}

fn grouped(
    recipe: &Recipe,
    rows: &[&str],
    source: &Source,
    groups: &Groups,
    previous: Option<&Assignments>,
) -> Result<Plan> {
    let ties = Ties { groups, judged: &Judged::default() };
    Plan::new(recipe, &ledger(recipe, rows, source), source, ties, previous, &HashSet::new())
}

fn problems(plan: Result<Plan>) -> Vec<String> {
    match plan.unwrap_err() {
        Error::Mistakes { mistakes, .. } => mistakes.into_iter().map(|m| m.why).collect(),
        other => panic!("{other}"),
    }
}

fn paths(plan: &Plan, source: &Source) -> Vec<String> {
    (0..plan.len()).map(|at| plan.image(at, source).unwrap().path.to_string()).collect()
}

/// Returns the split of every image of the plan, by source id.
fn by_id<'s>(plan: &Plan, source: &'s Source) -> BTreeMap<&'s str, Split> {
    (0..plan.len()).map(|at| source.images.id(plan.source_of(at))).zip(plan.splits()).collect()
}

/// Returns the images of tests/vectors/splits.csv, in the splits of their source.
fn golden_source() -> Source {
    let eagles = (0..10).map(|i| (format!("n01614925_{i}"), "n01614925", Split::Train));
    let val = (0..3).map(|i| (format!("ILSVRC2012_val_0000000{i}"), "n01614925", Split::Val));
    let vultures = (0..6).map(|i| (format!("n01616318_{i}"), "n01616318", Split::Train));
    source(eagles.chain(val).chain(vultures))
}

#[test]
fn a_pool_is_divided_as_the_golden_vector_says() {
    let recipe = recipe(&["n01614925", "n01616318"], "1.0", &pool("0.25"));
    let source = golden_source();
    let plan = plan(&recipe, &[], &source).unwrap();
    let golden = include_str!("../../../../tests/vectors/splits.csv");
    assert_eq!(String::from_utf8(plan.assignments(&source, None).unwrap().to_csv()).unwrap(), golden);
    let paths = paths(&plan, &source);
    assert!(paths.is_sorted_by(|a, b| a < b));
    assert_eq!(paths.len(), 19);
    assert!(plan.warnings.is_empty() && plan.removed.is_empty());
    assert!(paths.iter().any(|path| path == "val/n01616318/n01616318_2.png"));
    assert!(paths.iter().any(|path| path == "train/n01614925/ILSVRC2012_val_00000002.png"));
}

#[test]
fn keep_keeps_and_a_relabelled_image_stays_in_its_split() {
    let recipe = recipe(&["cat", "dog"], "1.0", "policy = \"keep\"");
    let source = source([
        ("train/cat/1".into(), "cat", Split::Train),
        ("train/dog/2".into(), "dog", Split::Train),
        ("val/cat/deep/3".into(), "cat", Split::Val),
        ("val/dog/4".into(), "dog", Split::Val),
        ("val/dog/5".into(), "dog", Split::Val),
    ]);
    let plan =
        plan(&recipe, &["val/dog/4,relabel,cat", "val/dog/5,keep,", "train/cat/1,remove,"], &source).unwrap();
    assert_eq!(paths(&plan, &source), ["train/dog/2.png", "val/cat/3.png", "val/cat/4.png", "val/dog/5.png"]);
    assert_eq!(plan.removed, [Removed { source: 0, cause: Cause::Correction }]);
    let assignments = plan.assignments(&source, None).unwrap();
    let original = assignments.get("val/dog/4").unwrap();
    assert_eq!((original.class.as_str(), original.split), ("dog", Split::Val));
    assert!(assignments.get("train/cat/1").is_none());
    assert_eq!(plan.warnings.len(), 1);
    assert!(plan.warnings[0].starts_with("class cat (cat) has no train image: torchvision"));
}

#[test]
fn test_images_stay_test_images() {
    let recipe = recipe(&["a"], "1.0", &pool("0.5"));
    let images = (0..20).map(|i| (i.to_string(), "a", if i < 10 { Split::Test } else { Split::Train }));
    let source = source(images);
    let plan = plan(&recipe, &[], &source).unwrap();
    let splits = by_id(&plan, &source);
    let of = |split| splits.values().filter(|&&s| s == split).count();
    assert_eq!((of(Split::Train), of(Split::Val), of(Split::Test)), (5, 5, 10));
    assert!((0..10).all(|i| splits[i.to_string().as_str()] == Split::Test));
}

#[test]
fn all_problems_come_at_once() {
    let recipe = recipe(&["a", "b", "c", "d"], "1.0", "policy = \"keep\"");
    let source = source([
        ("train/a/1".into(), "a", Split::Train),
        ("train/a/x y".into(), "a", Split::Train),
        ("train/a/deep/1".into(), "a", Split::Train),
        ("train/a/Up".into(), "a", Split::Train),
        ("train/b/up".into(), "b", Split::Train),
        ("train/b/con".into(), "b", Split::Train),
        ("train/c/only".into(), "c", Split::Train),
        ("val/a/1".into(), "a", Split::Val),
    ]);
    let rows = ["nobody,remove,", "train/b/up,relabel,a", "train/c/only,remove,", "train/a/Up,relabel,a"];
    assert_eq!(
        problems(plan(&recipe, &rows, &source)),
        [
            "corrections: no image of the source has the id nobody: an id is the path in the source without \
             the extension. Correct that row of the ledger",
            "corrections: train/a/Up is of class a already: use keep",
            "train/a/x y.jpg: path 'train/a/x y.png' has a character outside A-Z a-z 0-9 . _ -: rename or remove it",
            "train/b/con.jpg: path 'train/b/con.png' has a segment that is a device name on Windows: rename or remove it",
            "train/a/1.jpg and train/a/deep/1.jpg would both be train/a/1.png",
            "train/a/Up.jpg and train/b/up.jpg would both be train/a/up.png apart from upper and lower case",
            "class b (b) has no image: the ledger gives 1 of its 2 images another class",
            "class c (c) has no image: the ledger removes 1 of its 1 image",
            "class d (d) has no image",
        ]
    );
}

#[test]
fn a_minor_version_inherits_and_nothing_moves() {
    let before = recipe(&["a", "b"], "1.0", &pool("0.3"));
    let source_of = |n: usize| {
        let class = |i: usize| if i.is_multiple_of(2) { "a" } else { "b" };
        source((0..n).map(|i| (format!("i{i}"), class(i), if i < 4 { Split::Test } else { Split::Train })))
    };
    let old_source = source_of(40);
    let old = plan(&before, &["i7,remove,"], &old_source).unwrap();
    let old_splits = by_id(&old, &old_source);

    // Half of val is removed, one image comes back, and ten are new.
    let gone: Vec<&str> =
        old_splits.iter().filter(|(_, split)| **split == Split::Val).map(|(id, _)| *id).take(5).collect();
    let rows: Vec<String> = gone.iter().map(|id| format!("{id},remove,")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let old = old.assignments(&old_source, None).unwrap();
    let after = recipe(&["a", "b"], "1.1", &inheriting("0.3", &old));
    let source = source_of(50);
    let inherit =
        |recipe, rows: &[&str], previous| grouped(recipe, rows, &source, &Groups::default(), previous);
    let new = inherit(&after, &rows, Some(&old)).unwrap();
    let splits = by_id(&new, &source);
    assert_eq!(splits.len(), 45);
    for (id, split) in &splits {
        assert_eq!(*split, old_splits.get(id).copied().unwrap_or(Split::Train), "{id}");
    }
    // An image that is gone is remembered, and comes back to the split where it was.
    let new = new.assignments(&source, Some(&old)).unwrap();
    let newest = recipe(&["a", "b"], "1.2", &inheriting("0.3", &new));
    let again = inherit(&newest, &[], Some(&new)).unwrap();
    assert!(gone.iter().all(|id| by_id(&again, &source)[id] == Split::Val));
    assert!(again.warnings.is_empty());

    // The recipe and the caller must agree, and so must the classes.
    assert!(inherit(&after, &[], None).is_err());
    assert!(inherit(&before, &[], Some(&old)).is_err());
    let class = "a".parse().unwrap();
    let row = Assignment { source_id: "i9", class: &class, split: Split::Val };
    let wrong = Assignments::new(vec![row]).unwrap();
    let found = problems(inherit(&after, &[], Some(&wrong)));
    assert_eq!(found, ["i9.jpg is of class b in the source, and of a in the earlier assignments"]);

    let alone = recipe(&["a", "b"], "1.1", &pool("0.3"));
    assert!(plan(&alone, &[], &source).unwrap().warnings[0].contains("names no earlier version"));
}

#[test]
fn small_images_count_like_removed_ones() {
    let recipe = recipe(&["n01614925", "n01616318"], "1.0", &pool("0.25"));
    let source = golden_source();
    let dropped = HashSet::from(["n01616318_2".to_owned(), "unknown".to_owned()]);
    let (none, groups, judged) = (Settled::default(), Groups::default(), Judged::default());
    let ties = Ties { groups: &groups, judged: &judged };
    let by_size = Plan::new(&recipe, &none, &source, ties, None, &dropped).unwrap();
    let by_ledger = plan(&recipe, &["n01616318_2,remove,"], &source).unwrap();
    assert_eq!(paths(&by_size, &source), paths(&by_ledger, &source));
    assert_eq!(by_size.removed.iter().map(|r| r.cause).collect::<Vec<_>>(), [Cause::Small]);
}

/// Pseudorandom numbers that are the same on every run.
struct Dice(blake3::OutputReader);

impl Dice {
    fn new(seed: u64) -> Self {
        Dice(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
    }

    /// Returns a number below `n`.
    fn roll(&mut self, n: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % n as u64) as usize
    }
}

#[test]
fn removing_a_train_image_moves_none_and_a_val_image_at_most_one() {
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let val = ["0.1", "0.2", "0.25", "0.5", "0.777", "0.9"][dice.roll(6)];
        let classes = ["a", "b", "c"];
        let recipe = recipe(&classes, "1.0", &pool(val));
        let sizes = [dice.roll(30) + 2, dice.roll(5) + 2, dice.roll(60) + 2];
        let images = classes.iter().zip(sizes).flat_map(|(class, n)| {
            (0..n).map(move |i| (format!("{class}{i}"), *class, Split::ALL[usize::from(i % 7 == 0)]))
        });
        let source = source(images.collect::<Vec<_>>());

        // Some images were removed before: the rule holds at every step.
        let mut removed: Vec<String> =
            (0..dice.roll(4)).map(|_| source.images.id(dice.roll(source.images.len())).to_owned()).collect();
        removed.sort();
        removed.dedup();
        let rows = |removed: &[String]| removed.iter().map(|id| format!("{id},remove,")).collect::<Vec<_>>();
        let splits = |removed: &[String]| {
            let rows = rows(removed);
            plan(&recipe, &rows.iter().map(String::as_str).collect::<Vec<_>>(), &source)
                .map(|plan| by_id(&plan, &source))
        };
        // There is no plan if a class loses all its images.
        let Ok(before) = splits(&removed) else { continue };
        for (class, n) in classes.iter().zip(sizes) {
            let of = |split| before.iter().filter(|(id, s)| id.starts_with(class) && **s == split).count();
            let quota = val.parse::<isn_format::split::Fraction>().unwrap().quota(n as u64) as usize;
            assert_eq!(
                of(Split::Val),
                quota.min(of(Split::Val) + of(Split::Train)),
                "seed {seed} class {class}"
            );
        }
        for (id, was) in &before {
            let mut more = removed.clone();
            more.push(id.to_string());
            let Ok(after) = splits(&more) else { continue };
            assert_eq!(after.len(), before.len() - 1);
            let moved: Vec<_> = after.iter().filter(|(id, split)| before[**id] != **split).collect();
            match was {
                Split::Val => {
                    assert!(
                        moved.len() <= 1 && moved.iter().all(|(_, split)| **split == Split::Val),
                        "{moved:?}"
                    )
                }
                _ => assert!(moved.is_empty(), "seed {seed}: {id} moved {moved:?}"),
            }
        }
    }
}
