//! Matches the images of one version with those of another.

use std::collections::BTreeMap;

use super::side::Image;

/// Returns images that belong together, or stand alone, as id, before and after, sorted by id.
pub(super) fn pairs<'a>(
    old: &'a [Image],
    new: &'a [Image],
    by_stem: bool,
) -> Vec<(&'a str, Option<&'a Image>, Option<&'a Image>)> {
    let key = |image: &'a Image| if by_stem { image.stem() } else { image.source.as_str() };
    let mut groups: BTreeMap<&str, (Vec<&Image>, Vec<&Image>)> = BTreeMap::new();
    old.iter().for_each(|image| groups.entry(key(image)).or_default().0.push(image));
    new.iter().for_each(|image| groups.entry(key(image)).or_default().1.push(image));
    let mut pairs = Vec::new();
    for (id, (mut before, mut after)) in groups {
        // A source id occurs once, but a stem may occur several times; then the most alike are matched.
        let likeness: [fn(&Image, &Image) -> bool; 4] =
            [|a, b| a.path == b.path, |a, b| a.blake3 == b.blake3, |a, b| a.class == b.class, |_, _| true];
        for alike in likeness {
            before.retain(|a| {
                let Some(at) = after.iter().position(|b| alike(a, b)) else { return true };
                pairs.push((id, Some(*a), Some(after.remove(at))));
                false
            });
        }
        pairs.extend(before.into_iter().map(|a| (id, Some(a), None)));
        pairs.extend(after.into_iter().map(|b| (id, None, Some(b))));
    }
    pairs
}
