//! Matches the images of one version with those of another.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::side::Image;
use isn_format::sums::Sums;

/// Returns the images of each list that the other does not have at the same path with the same bytes, by
/// their numbers: the others are the same, and there may be a million of them.
pub(super) fn apart(old: &Sums, new: &Sums) -> (Vec<usize>, Vec<usize>) {
    let (mut before, mut after) = (old.images().enumerate().peekable(), new.images().enumerate().peekable());
    let (mut only_old, mut only_new) = (Vec::new(), Vec::new());
    loop {
        let order = match (before.peek(), after.peek()) {
            (Some((_, a)), Some((_, b))) => a.path.cmp(&b.path),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return (only_old, only_new),
        };
        let a = if order.is_le() { before.next() } else { None };
        let b = if order.is_ge() { after.next() } else { None };
        if let (Some((_, a)), Some((_, b))) = (a, b)
            && a.blake3 == b.blake3
        {
            continue;
        }
        only_old.extend(a.map(|(at, _)| at));
        only_new.extend(b.map(|(at, _)| at));
    }
}

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
