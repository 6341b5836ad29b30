//! The gates: what a recipe's `[gates]` require of a version before it may be published. They are on by
//! default.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use tokio::runtime::Runtime;

use super::build_output::BuildOutput;
use crate::ops::audit::Subject;
use crate::ops::audit::duplicates::{is_same, leakage};
use crate::ops::pairs::judging;
use crate::parallel;
use crate::progress::{Progress, Unit};
use crate::registry::Registry;
use crate::registry::log::WitnessPolicy;
use crate::steps::objects::recipe_of;
use crate::transport;
use isn_format::class::ClassId;
use isn_format::corrections::Action;
use isn_format::dataset_ref::VersionId;
use isn_format::digest::Digest;
use isn_format::error::{At, Error, Result, count};
use isn_format::groups::Groups;
use isn_format::index::{Full, FullRow, Index};
use isn_format::key::PublicKey;
use isn_format::ledger::Ledger;
use isn_format::ledger::policy::Settled;
use isn_format::log::{Built, History};
use isn_format::object::{ObjectKind, ObjectRef};
use isn_format::pairs::{Judged, Pairs, Ties};
use isn_format::possession::{self, Possession};
use isn_format::recipe::{Earlier, Gates, Rebuilders, Recipe};
use isn_format::split::{self, Assignments, Split};
use isn_format::text::shell_word;
use isn_format::texts::Texts;

/// Checks the objects of a build, and looks for leakage among its images. Returns the recipe's gates: what
/// [`rebuilt`] checks is not in the build.
///
/// # Errors
/// [`Error::Gates`] with everything that stands in the way; [`Error::Integrity`] or [`Error::Mistakes`] if an
/// object is damaged.
pub(super) fn check(output: &BuildOutput, progress: &dyn Progress) -> Result<Gates> {
    let (recipe, mut findings) = objects(output).map_err(|e| e.at(At::Build))?;
    let manifest = output.manifest();
    if recipe.gates.leakage && manifest.tally.splits().len() > 1 {
        let subject = Subject::build(&output.build)?;
        for group in leakage(&subject, parallel::available(), progress)? {
            let paths: Vec<&str> = group.members.iter().map(|item| item.path.as_str()).collect();
            let file = recipe.split.pairs.as_ref().filter(|_| !is_same(&subject.judged, &group.pair));
            let judge = file.map(|file| judging(file, &group.pair));
            let judge = judge.map_or_else(String::new, |line| format!("; if they are different: `{line}`"));
            findings.push(format!("leakage: {} show one picture{judge}", paths.join(" and ")));
        }
    }
    match findings.is_empty() {
        true => Ok(recipe.gates),
        false => Err(Error::Gates { what: manifest.id().to_string(), findings, is_unstated: false }),
    }
}

/// Checks that enough of the keys that the recipe names have stated that they built this version, and have
/// its images. `log` is what the log of `registry` says, if it has one; `runtime` is the one that has read
/// it.
///
/// # Errors
/// [`Error::Gates`] if they have not; [`Error::Trust`] if the attestation log is damaged; also fails if it
/// cannot be read.
pub(super) fn rebuilt(
    output: &BuildOutput,
    gates: &Gates,
    runtime: &Runtime,
    (registry, log): (&Registry, Option<&History>),
    progress: &dyn Progress,
) -> Result<()> {
    let Some(Rebuilders { keys, needed }) = &gates.rebuilt else { return Ok(()) };
    let (manifest, id) = (output.manifest(), output.manifest().id());
    let view = match log.map(|log| log.key().attestations()).transpose()? {
        Some(key) => runtime.block_on(registry.sync_log(&key, None, &WitnessPolicy::default()))?,
        None => None,
    };
    let stated: BTreeMap<PublicKey, Built> = view
        .iter()
        .flat_map(|view| view.replica.history().built(&id))
        .map(|(key, built)| (*key, built.clone()))
        .collect();
    let ours = (manifest.dataset, possession::inputs(manifest));
    let agrees =
        |key: &&PublicKey| stated.get(key).is_some_and(|built| (built.dataset, built.inputs) == ours);
    let agreeing: Vec<&PublicKey> = keys.iter().filter(agrees).collect();
    let mut holders: Vec<Possession> = agreeing.iter().map(|key| Possession::of(key)).collect();
    let is_read = agreeing.len() >= *needed;
    if is_read {
        let images = Subject::build(&output.build)?;
        progress.begin("read", Unit::Images, images.images.len() as u64);
        for at in 0..images.images.len() {
            let bytes = images.read(at)?;
            holders.iter_mut().for_each(|possession| possession.image(&bytes));
            progress.advance(1);
        }
        progress.end();
    }
    // Empty if there are too few, so that no image was read.
    let judged = agreeing.iter().zip(holders).take(if is_read { agreeing.len() } else { 0 });
    let proved: BTreeMap<&PublicKey, bool> = judged
        .map(|(key, possession)| {
            (*key, stated.get(*key).is_some_and(|it| it.possession == possession.digest()))
        })
        .collect();
    if proved.values().filter(|holds| **holds).count() >= *needed {
        return Ok(());
    }
    let each = keys.iter().map(|key| {
        let said = match stated.get(key) {
            None => "states nothing".into(),
            Some(built) if built.dataset != ours.0 => format!("states {}", built.dataset.prefixed()),
            Some(built) if built.inputs != ours.1 => "built it from another recipe or ledger".into(),
            Some(_) => match proved.get(key) {
                None => "states this".into(),
                Some(true) => "states this, and proves that it has the images".into(),
                Some(false) => "states this, and does not prove that it has the images".into(),
            },
        };
        format!("{} {said}", key.fingerprint())
    });
    let each: Vec<String> = each.collect();
    let finding = format!(
        "rebuilt: {needed} of {} must state that they built this, in the registry's attestation log (`isn attest \
         BUILD`, then `isn append FILE --registry {}`): {}",
        count(keys.len(), "key"),
        shell_word(registry.name()),
        each.join("; ")
    );
    Err(Error::Gates { what: id.to_string(), findings: vec![finding], is_unstated: true })
}

/// Checks that the registry has the earlier version whose splits the build took over, so that whoever has the
/// source can build it again from there; and, unless leakage is allowed, that no image of it is in another
/// split under another name. `history` is what its log says.
///
/// # Errors
/// [`Error::Invalid`] if it has none, or another one of that number; [`Error::Gates`] with the images that
/// have moved; also fails if the earlier version cannot be read.
pub(super) fn follows(
    output: &BuildOutput,
    gates: &Gates,
    runtime: &Runtime,
    registry: &Registry,
    history: Option<&History>,
) -> Result<()> {
    let Some(previous) = &output.manifest().previous else { return Ok(()) };
    let (_, recipe) = recipe_of(runtime, &output.store, &output.snapshot)?;
    let place = || shell_word(registry.name());
    let refuse = |why: String| Err(Error::invalid(output.manifest().id(), why));
    let Some(Earlier::Version(version)) = recipe.split.previous else {
        let splits = runtime.block_on(registry.find_object(
            ObjectKind::Splits,
            &previous.assignments,
            split::MAX_LEN,
        ))?;
        return match splits {
            Some(_) => Ok(()),
            None => refuse(format!(
                "takes over the splits b3:{} of a version that registry {} does not have, so that nobody could \
                 build it again from there: publish that version there first",
                previous.assignments,
                place()
            )),
        };
    };
    let earlier = VersionId { name: recipe.name, version };
    let Some((release, _)) = history.and_then(|history| history.release(&earlier)) else {
        return refuse(format!(
            "follows {earlier}, which registry {} has not released: publish that there first",
            place()
        ));
    };
    let manifest = ObjectRef { blake3: release.manifest(), length: release.manifest_len() };
    let head = runtime.block_on(registry.head(manifest, Vec::new()))?;
    if head.manifest.objects.assignments.blake3 != previous.assignments {
        return refuse(format!(
            "follows another {earlier} than that of registry {0}, with other splits: build it with --registry {0}",
            place()
        ));
    }
    if !gates.leakage {
        return Ok(());
    }
    let before = runtime.block_on(registry.complete(head))?;
    let sources = runtime.block_on(registry.sources(&before))?;
    let (index, now) = (output.snapshot.index(), output.sources(runtime)?);
    let now = Full { index, sources: &now };
    let moved = moved(Full { index: before.index(), sources: &sources }, now, &earlier);
    match moved.is_empty() {
        true => Ok(()),
        false => Err(Error::Gates {
            what: output.manifest().id().to_string(),
            findings: moved,
            is_unstated: false,
        }),
    }
}

/// Returns a finding for each image that the version `earlier` has in other splits only: as the same source
/// file, or with the same pixels. An image that keeps its source id keeps its split, unless it is now one
/// picture with images of another split.
fn moved(before: Full<'_>, now: Full<'_>, earlier: &VersionId) -> Vec<String> {
    let mut there: HashMap<Digest, Vec<FullRow<'_>>> = HashMap::new();
    for row in before.rows() {
        there.entry(row.source_blake3()).or_default().push(row);
        there.entry(row.pixels()).or_default().push(row);
    }
    let ids: HashSet<&str> = now.sources.ids().collect();
    let find = |row: FullRow<'_>| {
        let same = there.get(&row.source_blake3()).or_else(|| there.get(&row.pixels()))?;
        let elsewhere = same.iter().all(|earlier| earlier.split() != row.split());
        elsewhere.then(|| {
            let (id, split) = (row.source(), row.split());
            match same.iter().find(|earlier| earlier.source() == id) {
                Some(same) => format!(
                    "moved: {id} is in {split}, and {earlier} has it in {}, as it is now one picture with images that \
                     are not there: remove those in the ledger that the recipe names, or take back that they are the \
                     same (groups, pairs)",
                    same.split()
                ),
                None if ids.contains(same[0].source()) => format!(
                    "moved: {id} is in {split}, and {earlier} has the same image in {} as {}: remove {id} in the ledger \
                     that the recipe names",
                    same[0].split(), same[0].source()
                ),
                None => format!(
                    "moved: {id} is in {split}, and {earlier} has that image in {} as {}: give the source its name \
                     back, or remove it in the ledger",
                    same[0].split(), same[0].source()
                ),
            }
        })
    };
    now.rows().filter_map(find).collect()
}

/// Checks the objects, and returns the recipe and the findings.
fn objects(output: &BuildOutput) -> Result<(Recipe, Vec<String>)> {
    let (runtime, store, snapshot) = (transport::runtime()?, &output.store, &output.snapshot);
    let objects = &snapshot.head.manifest.objects;
    let read = |kind: ObjectKind, object: &ObjectRef| {
        Ok::<_, Error>((store.locate(kind, &object.blake3), runtime.block_on(store.object(kind, object))?))
    };
    let (_, recipe) = recipe_of(&runtime, store, snapshot)?;
    let (index, ids) = (snapshot.index(), output.sources(&runtime)?.into_ids());
    let assignments = {
        let (what, bytes) = read(ObjectKind::Splits, &objects.assignments)?;
        Assignments::parse(&what, &bytes)?
    };
    let ledger = match &objects.corrections {
        Some(object) => {
            let (what, bytes) = read(ObjectKind::Corrections, object)?;
            Ledger::parse(&what, &bytes)?
        }
        None => Ledger::default(),
    };
    let groups = match &objects.groups {
        Some(object) => {
            let (what, bytes) = read(ObjectKind::Groups, object)?;
            Groups::parse(&what, &bytes)?
        }
        None => Groups::default(),
    };
    let judged = match &objects.pairs {
        Some(object) => {
            let (what, bytes) = read(ObjectKind::Pairs, object)?;
            Pairs::parse(&what, &bytes)?.judge()
        }
        None => Judged::default(),
    };
    let ties = Ties { groups: &groups, judged: &judged };
    let mut findings = Vec::new();
    licence(&snapshot.head.manifest.licence, &mut findings);
    val(&snapshot.index().counts(), &recipe.gates, recipe.needs_val(), &mut findings);
    replay((index, &ids), &recipe, &ledger, &assignments, &mut findings);
    findings.extend(ties.problems(&recipe.split));
    divided((index, &ids), &ties.joined(), &mut findings);
    Ok((recipe, findings))
}

/// A licence must be stated, not put off.
fn licence(licence: &str, findings: &mut Vec<String>) {
    const NONE: [&str; 8] = ["todo", "tbd", "unknown", "none", "n/a", "fixme", "xxx", "licence"];
    let said: String = licence.trim().trim_end_matches(['.', ':', '?', '!']).to_ascii_lowercase();
    if said.chars().all(|c| !c.is_alphanumeric()) || NONE.contains(&said.as_str()) {
        findings.push(format!("licence: '{}' does not state any terms", licence.trim()));
    }
}

/// Each class must have enough val images, if the version has any or is `needed` to.
fn val(
    splits: &BTreeMap<Split, BTreeMap<ClassId, u64>>,
    gates: &Gates,
    needed: bool,
    findings: &mut Vec<String>,
) {
    let Some(val) = splits.get(&Split::Val) else {
        if needed && splits.contains_key(&Split::Train) {
            findings.push(format!(
                "val_min: the version has no val images, and each class must have {}",
                gates.val_min
            ));
        }
        return;
    };
    let classes: BTreeSet<&ClassId> = splits.values().flat_map(BTreeMap::keys).collect();
    for class in classes {
        let n = val.get(class).copied().unwrap_or(0);
        let train = splits.get(&Split::Train).and_then(|train| train.get(class)).copied().unwrap_or(0);
        if n < u64::from(gates.val_min) {
            let images = count(n as usize, "val image");
            findings.push(format!("val_min: class {class} has {images}, and must have {}", gates.val_min));
        }
        let Some((low, high)) = gates.val_range else { continue };
        let all = n + train;
        if n < low.quota(all) || n > high.quota(all) {
            findings.push(format!(
                "val_range: class {class} has {n} of {all} images in val, not {low} to {high}"
            ));
        }
    }
}

/// The images of the version must agree with what the ledger settles to.
fn replay(
    (index, ids): (&Index, &Texts),
    recipe: &Recipe,
    ledger: &Ledger,
    assignments: &Assignments,
    findings: &mut Vec<String>,
) {
    let settled = match &recipe.corrections {
        Some(spec) => {
            let given = assignments.iter().map(|row| (row.source_id, row.class));
            spec.policy.settle(ledger, &recipe.classes, given)
        }
        None => Settled::default(),
    };
    findings.extend(settled.problems.iter().map(|problem| format!("ledger: {problem}")));
    for row in index.rows() {
        let source = ids.get(row.at());
        let Some(assigned) = assignments.get(source) else {
            findings.push(format!("ledger: {}: {} has no split assigned", row.path(), source));
            continue;
        };
        let class = match settled.corrections.get(source).map(|correction| &correction.action) {
            Some(Action::Remove) => {
                findings.push(format!(
                    "ledger: {} is in the version, but the ledger removes {}",
                    row.path(),
                    source
                ));
                continue;
            }
            Some(Action::Relabel(to)) => to,
            _ => assigned.class,
        };
        if class != row.class() {
            findings.push(format!(
                "ledger: {} is of class {}, but the ledger says {class}",
                row.path(),
                row.class()
            ));
        }
        if assigned.split != row.split() {
            findings.push(format!(
                "ledger: {} is in {}, but assigned to {}",
                row.path(),
                row.split(),
                assigned.split
            ));
        }
    }
}

/// No group of the recipe, nor a pair that is the same, may be in more than one split.
fn divided((index, ids): (&Index, &Texts), groups: &Groups, findings: &mut Vec<String>) {
    let mut sides: BTreeMap<&str, BTreeMap<Split, &str>> = BTreeMap::new();
    for row in index.rows() {
        let source = ids.get(row.at());
        if let Some(group) = groups.of(source) {
            sides.entry(&group[0]).or_default().entry(row.split()).or_insert(row.path().as_str());
        }
    }
    for paths in sides.into_values().filter(|paths| paths.len() > 1) {
        let paths: Vec<&str> = paths.into_values().collect();
        findings.push(format!("leakage: {} are of one group", paths.join(" and ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_more_than_a_word_for_none() {
        let told = |text: &str| {
            let mut findings = Vec::new();
            licence(text, &mut findings);
            findings.len()
        };
        for bad in ["TODO", "unknown.", "…", " ? ", "N/A"] {
            assert_eq!(told(bad), 1, "{bad}");
        }
        for good in ["CC0-1.0", "MIT", "ImageNet's terms", "unknown to us, ask the photographers"] {
            assert_eq!(told(good), 0, "{good}");
        }
    }

    #[test]
    fn val_is_counted_class_by_class() {
        let class = |id: &str| id.parse::<ClassId>().unwrap();
        let counts = |a: u64, b: u64| BTreeMap::from([(class("a"), a), (class("b"), b)]);
        let splits = BTreeMap::from([(Split::Train, counts(80, 95)), (Split::Val, counts(20, 5))]);
        let told_if = |needed, gates: &Gates, splits| {
            let mut findings = Vec::new();
            val(splits, gates, needed, &mut findings);
            findings
        };
        let told = |gates: &Gates, splits| told_if(false, gates, splits);
        assert_eq!(told(&Gates::default(), &splits), [""; 0]);
        let strict = Gates {
            val_min: 10,
            val_range: Some(("0.1".parse().unwrap(), "0.3".parse().unwrap())),
            ..Gates::default()
        };
        assert_eq!(
            told(&strict, &splits),
            [
                "val_min: class b has 5 val images, and must have 10",
                "val_range: class b has 5 of 100 images in val, not 0.1 to 0.3"
            ]
        );
        let no_val = BTreeMap::from([(Split::Train, counts(80, 95))]);
        assert_eq!(told(&strict, &no_val), [""; 0]);
        assert_eq!(
            told_if(true, &strict, &no_val),
            ["val_min: the version has no val images, and each class must have 10"]
        );
        let test_alone = BTreeMap::from([(Split::Test, counts(80, 95))]);
        assert_eq!(told_if(true, &strict, &test_alone), [""; 0]);
    }
}
