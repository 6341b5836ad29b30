//! What holds for every policy, whatever the images, groups and removals.

use std::collections::BTreeMap;

use super::*;

const POLICIES: [&str; 3] = ["pool", "threshold", "top-up"];

fn drawn(policy: &str, val: &str) -> String {
    format!("policy = \"{policy}\"\nval = {val}\nsalt = \"golden\"\ngroups = \"groups.csv\"")
}

/// Makes a source of three classes with val images, and groups of two to four of its images, some across
/// classes.
fn made(dice: &mut Dice, test: bool) -> (Source, Groups) {
    let mut images = Vec::new();
    for class in ["a", "b", "c"] {
        for i in 0..dice.roll(40) + 25 {
            let split = match dice.roll(12) {
                0 if test => Split::Test,
                0 | 1 => Split::Val,
                _ => Split::Train,
            };
            images.push((format!("{class}{i}"), class, split));
        }
    }
    let source = source(images);
    let mut free: Vec<String> =
        source.images.iter().filter(|i| i.split != Split::Test).map(|i| i.id.to_owned()).collect();
    let groups = (0..dice.roll(7))
        .map(|_| (0..dice.roll(3) + 2).map(|_| free.swap_remove(dice.roll(free.len()))).collect());
    let groups: Vec<Vec<String>> = groups.collect();
    (source, Groups::new(groups).unwrap())
}

fn removing(ids: &[String]) -> Vec<String> {
    ids.iter().map(|id| format!("{id},remove,")).collect()
}

fn splits<'s>(
    recipe: &Recipe,
    removed: &[String],
    source: &'s Source,
    groups: &Groups,
    previous: Option<&Assignments>,
) -> Option<BTreeMap<&'s str, Split>> {
    let rows = removing(removed);
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    grouped(recipe, &rows, source, groups, previous).ok().map(|plan| by_id(&plan, source))
}

fn assert_whole(groups: &Groups, splits: &BTreeMap<&str, Split>, seed: u64) {
    for group in groups.iter() {
        let sides: HashSet<Split> = group.iter().filter_map(|id| splits.get(id.as_str()).copied()).collect();
        assert!(sides.len() < 2, "seed {seed}: {group:?} lies on {sides:?}");
    }
}

#[test]
fn groups_stay_whole_and_removals_move_at_most_one_image_for_each_val_image_removed() {
    let mut looked_at = 0;
    for seed in 0..90 {
        let mut dice = Dice::new(seed);
        let policy = POLICIES[dice.roll(3)];
        let val = ["0.1", "0.2", "0.25", "0.4"][dice.roll(4)];
        let recipe = recipe(&["a", "b", "c"], "1.0", &drawn(policy, val));
        let (source, groups) = made(&mut dice, true);
        let Some(before) = splits(&recipe, &[], &source, &groups, None) else { continue };
        assert_whole(&groups, &before, seed);
        if policy == "top-up" {
            let val = source.images.iter().filter(|image| image.split == Split::Val);
            val.for_each(|image| assert_eq!(before[image.id], Split::Val, "seed {seed}: {}", image.id));
        }
        for _ in 0..6 {
            let mut removed: Vec<String> = (0..dice.roll(6) + 1)
                .map(|_| source.images.id(dice.roll(source.images.len())).to_owned())
                .collect();
            removed.sort();
            removed.dedup();
            let Some(after) = splits(&recipe, &removed, &source, &groups, None) else { continue };
            assert_whole(&groups, &after, seed);
            let val_gone = removed.iter().filter(|id| before[id.as_str()] == Split::Val).count();
            let moved: Vec<_> = after.iter().filter(|(id, split)| before[**id] != **split).collect();
            let most = if policy == "threshold" { 0 } else { val_gone };
            assert!(moved.len() <= most, "seed {seed}, {policy}: {removed:?} moved {moved:?}");
            looked_at += 1;
        }
    }
    assert!(looked_at > 400, "{looked_at}");
}

#[test]
fn with_an_earlier_version_nothing_moves_except_out_of_val() {
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let policy = POLICIES[dice.roll(3)];
        let (source, groups) = made(&mut dice, false);
        let first = recipe(&["a", "b", "c"], "1.0", &drawn(policy, "0.2"));
        let Ok(old) = grouped(&first, &[], &source, &Groups::default(), None) else { continue };
        let before = by_id(&old, &source);
        let old = old.assignments(&source, None).unwrap();
        let hash = isn_format::digest::Digest::of(&old.to_csv());
        let split = format!("{}\nprevious = \"b3:{hash}\"", drawn(policy, "0.2"));
        let next = recipe(&["a", "b", "c"], "1.1", &split);
        let removed: Vec<String> = (0..dice.roll(5)).map(|n| source.images.id(n * 3).to_owned()).collect();
        let after = splits(&next, &removed, &source, &groups, Some(&old)).unwrap();
        assert_whole(&groups, &after, seed);
        for (id, split) in &after {
            let (was, alone) = (before[id], groups.of(id).is_none());
            assert!(
                *split == was || (was == Split::Val && !alone),
                "seed {seed}: {id} moved from {was} to {split}"
            );
        }
    }
}

#[test]
fn a_relabelled_image_keeps_its_split_under_every_policy() {
    for policy in POLICIES {
        let recipe = recipe(&["a", "b", "c"], "1.0", &drawn(policy, "0.3"));
        let (source, groups) = made(&mut Dice::new(5), true);
        let before = by_id(&grouped(&recipe, &[], &source, &groups, None).unwrap(), &source);
        let moved: Vec<String> = source
            .images
            .iter()
            .filter(|i| i.class.as_str() == "a")
            .take(9)
            .map(|i| format!("{},relabel,b", i.id))
            .collect();
        let rows: Vec<&str> = moved.iter().map(String::as_str).collect();
        let after = by_id(&grouped(&recipe, &rows, &source, &groups, None).unwrap(), &source);
        assert_eq!(before, after, "{policy}");
    }
}

#[test]
fn a_threshold_decides_each_image_by_itself() {
    let recipe = recipe(&["a", "b", "c"], "1.0", &drawn("threshold", "0.25"));
    let (source, groups) = made(&mut Dice::new(1), false);
    let all = by_id(&grouped(&recipe, &[], &source, &groups, None).unwrap(), &source);
    let mut half = source.clone();
    half.images.retain(|image| image.id.len() == 2 || image.class.as_str() == "c");
    for (id, split) in by_id(&grouped(&recipe, &[], &half, &groups, None).unwrap(), &half) {
        assert_eq!(all[id], split, "{id}");
    }
    let val = all.values().filter(|split| **split == Split::Val).count();
    assert!(val > all.len() / 8 && val < all.len() / 2, "{val} of {}", all.len());
}

#[test]
fn caps_and_equal_classes() {
    let source = source((0..90).map(|i| {
        let class = ["a", "a", "a", "b", "b", "c"][i % 6];
        (format!("i{i}"), class, if i % 5 == 0 { Split::Val } else { Split::Train })
    }));
    let counts = |balance: &str| {
        let recipe = recipe(&["a", "b", "c"], "1.0", &format!("policy = \"keep\"\n[balance]\n{balance}"));
        let plan = plan(&recipe, &[], &source).unwrap();
        let counts = plan.counts();
        assert_eq!(plan.removed.iter().filter(|r| r.cause == Cause::Surplus).count() + plan.len(), 90);
        // Surplus images keep their split for later versions.
        assert_eq!(plan.assignments(&source, None).unwrap().iter().len(), 90);
        counts.into_values().flat_map(BTreeMap::into_values).collect::<Vec<_>>()
    };
    assert_eq!(counts(""), [36, 24, 12, 9, 6, 3]);
    assert_eq!(counts("train = 20\nval = 5"), [20, 20, 12, 5, 5, 3]);
    assert_eq!(counts("equal = true"), [12, 12, 12, 3, 3, 3]);
    assert_eq!(counts("equal = true\ntrain = 10"), [10, 10, 10, 3, 3, 3]);
}

#[test]
fn what_the_source_divides_is_a_persons_to_remove() {
    let recipe = recipe(&["a"], "1.0", "policy = \"keep\"\ngroups = \"groups.csv\"");
    let source = source([
        ("x".into(), "a", Split::Train),
        ("y".into(), "a", Split::Val),
        ("z".into(), "a", Split::Train),
    ]);
    let groups = Groups::new([vec!["x".into(), "y".into()]]).unwrap();
    let found = problems(grouped(&recipe, &[], &source, &groups, None));
    assert_eq!(
        found,
        ["x.jpg (train) and y.jpg (val) show one picture, and stay in more than one split: remove those \
            of all splits but one in the ledger"]
    );
    assert!(grouped(&recipe, &["y,remove,"], &source, &groups, None).is_ok());
}

#[test]
fn a_quota_that_groups_leave_no_room_for_is_told() {
    let recipe = recipe(&["a"], "1.0", &drawn("pool", "0.5"));
    let source = source((0..10).map(|i| (format!("i{i}"), "a", Split::Train)));
    let groups = Groups::new([(0..7).map(|i| format!("i{i}")).collect()]).unwrap();
    let found = problems(grouped(&recipe, &[], &source, &groups, None));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("val quota lacks 5 images, and 3 are in no group"), "{found:?}");
}
