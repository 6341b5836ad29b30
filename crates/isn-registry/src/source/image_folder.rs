//! Any tree with one folder for each class: `root/<split>/<class>/**` or, without splits, `root/<class>/**`,
//! where every image is train. The recipe may say which folders these are, and which files have the classes
//! of splits without folders of classes.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;

use super::annotated::Image;
use super::{EXTENSIONS, Entry, Listing, SourceLayout, annotated, below, image_stem, join, stem_before};
use isn_format::class::{Class, ClassId};
use isn_format::source_spec::{Ids, SourceSpec, segments};
use isn_format::split::Split;

/// Why a folder beside those of splits is left out.
pub(crate) const NO_SPLIT: &str = "not the folder of a split";

pub(super) fn list(listing: &mut Listing<'_>, spec: &SourceSpec, classes: &[Class]) {
    listing.layout = SourceLayout::ImageFolder;
    let entries = listing.entries("");
    let named = spec.split_folders();
    let wanted: Vec<_> = named.iter().map(|(split, folder)| (segments(folder), *split)).collect();
    let (splits, others) = find(listing, spec, "", &entries, &wanted);
    let names: Vec<&str> = named.iter().map(|(_, folder)| *folder).collect();
    let mut folders = Vec::new();
    for Class { id, .. } in classes {
        folders.extend(spec.folders_of(id).into_iter().map(|folder| (segments(folder), id)));
    }
    let mut seen: HashSet<&ClassId> = HashSet::new();
    listing.lists.extend(spec.annotated.iter().map(|(_, file)| file.clone()));
    match (splits.is_empty(), &spec.splits) {
        (true, None) if !spec.annotated.is_empty() => {
            let why =
                format!("there is no folder {}, and the recipe has annotated splits", joined(&names, "or"));
            return listing.problem(why);
        }
        (true, None) => {
            let whole = Place { path: "", id: "", split: Split::Train };
            seen.extend(list_classes(listing, spec, &folders, &whole, &entries));
        }
        (true, Some(_)) => {
            let why =
                format!("there is no folder {}, which the recipe names as splits", joined(&names, "or"));
            return listing.problem(why);
        }
        (false, given) => {
            left_out(listing, &others, &format!("{NO_SPLIT} ({})", names.join(", ")));
            for split in Split::ALL.into_iter().filter(|split| !splits.iter().any(|(_, had)| had == split)) {
                let given = given.iter().flatten().filter(|(of, _)| *of == split);
                let names: Vec<&str> = given.map(|(_, folder)| folder.as_str()).collect();
                if !names.is_empty() {
                    let names = joined(&names, "or");
                    listing.warnings.push(format!("no image is {split}: there is no folder {names}"));
                }
            }
            let is_annotated = |split| spec.annotated.iter().any(|(of, _)| *of == split);
            for (path, split) in splits.iter().filter(|(_, split)| !is_annotated(*split)) {
                let place = Place { path, id: split.as_str(), split: *split };
                let entries = listing.entries(path);
                seen.extend(list_classes(listing, spec, &folders, &place, &entries));
            }
            for (split, file) in &spec.annotated {
                let mut images = Vec::new();
                for (path, _) in splits.iter().filter(|(_, of)| of == split) {
                    list_below(listing, spec, None, (path, split.as_str()), &mut Vec::new(), &mut images);
                }
                seen.extend(annotated::add(listing, spec, classes, (*split, file), images));
            }
        }
    }
    for Class { id, .. } in classes.iter().filter(|class| !seen.contains(&class.id)) {
        let folders = spec.folders_of(id).join("/, nor ");
        let files: Vec<&str> = spec.annotated.iter().map(|(_, file)| file.as_str()).collect();
        let nor =
            if files.is_empty() { String::new() } else { format!(", and no row in {}", files.join(", ")) };
        listing.problem(format!("there is no folder {folders}/, neither below a split nor without one{nor}"));
    }
}

/// The folder of a split, or the source folder.
struct Place<'p> {
    path: &'p str,
    /// What is before the paths below it in source ids.
    id: &'p str,
    split: Split,
}

/// Lists the images of the classes in `place`, which has `entries`. Returns the classes that have a folder.
fn list_classes<'c>(
    listing: &mut Listing<'_>,
    spec: &SourceSpec,
    folders: &[(Vec<&str>, &'c ClassId)],
    place: &Place<'_>,
    entries: &[Entry],
) -> Vec<&'c ClassId> {
    let (found, others) = find(listing, spec, place.path, entries, folders);
    left_out(listing, &others, "not the folder of a class of the recipe");
    for (path, class) in &found {
        let id = match path[place.path.len()..].trim_start_matches('/') {
            "" => place.id.into(),
            inner => below(place.id, inner),
        };
        let mut images = Vec::new();
        list_below(listing, spec, Some(class), (path, &id), &mut Vec::new(), &mut images);
        for Image { path, id } in images {
            if let Some(found) = listing.find(path) {
                listing.add_found(found, id, class, place.split);
            }
        }
    }
    found.into_iter().map(|(_, class)| class).collect()
}

/// Names in a folder that lead to nothing that is wanted.
type Others = (String, Vec<String>);

/// Finds folders by the names on the way to them, in and below `path`, which has `entries`. Returns each with
/// its path, and what does not lead to one: names, by the folder that they are in.
fn find<'w, T: Copy>(
    listing: &mut Listing<'_>,
    spec: &SourceSpec,
    path: &str,
    entries: &[Entry],
    wanted: &[(Vec<&'w str>, T)],
) -> (Vec<(String, T)>, Vec<Others>) {
    if let Some((_, here)) = wanted.iter().find(|(way, _)| way.is_empty()) {
        return (vec![(path.into(), *here)], Vec::new());
    }
    let mut next: HashMap<_, Vec<(Vec<&'w str>, T)>> = HashMap::new();
    for (way, what) in wanted {
        if let Some((first, rest)) = way.split_first() {
            next.entry(spec.spelled(first)).or_default().push((rest.to_vec(), *what));
        }
    }
    let (mut found, mut others, mut deeper) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        match next.get(&spec.spelled(&entry.name)).filter(|_| entry.is_dir) {
            None => others.push(entry.name.clone()),
            Some(next) => {
                let inner = below(path, &entry.name);
                let is_end = next.iter().any(|(way, _)| way.is_empty());
                let entries = if is_end { Vec::new() } else { listing.entries(&inner) };
                let (more, out) = find(listing, spec, &inner, &entries, next);
                found.extend(more);
                deeper.extend(out);
            }
        }
    }
    let here = (!others.is_empty()).then(|| (path.to_owned(), others));
    (found, here.into_iter().chain(deeper).collect())
}

fn left_out(listing: &mut Listing<'_>, others: &[Others], why: &str) {
    for (path, names) in others {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        listing.left_out(path, None, &names, why);
    }
}

/// `a, b and c`.
fn joined(names: &[&str], last: &str) -> String {
    match names {
        [names @ .., end] if !names.is_empty() => format!("{} {last} {end}", names.join(", ")),
        names => names.concat(),
    }
}

/// Returns the name of an image without its extension.
fn stem_of<'n>(spec: &SourceSpec, name: &'n str) -> Option<&'n str> {
    match spec.ids {
        Ids::Ascii => stem_before(name, &EXTENSIONS),
        Ids::Text => image_stem(name),
    }
}

/// Lists the images in `path` and all folders below it, which are of one class or of none. `id` is what
/// source ids have for `path`. `above` is the chain of folders that lead here, with links resolved, since a
/// link back into it would never end.
fn list_below(
    listing: &mut Listing<'_>,
    spec: &SourceSpec,
    class: Option<&ClassId>,
    (path, id): (&str, &str),
    above: &mut Vec<PathBuf>,
    images: &mut Vec<Image>,
) {
    match fs::canonicalize(join(listing.root, path)) {
        Ok(real) if above.contains(&real) => {
            return listing.problem(format!("{path} is a link to a folder above it"));
        }
        Ok(real) => above.push(real),
        Err(error) => return listing.problem(format!("{path} cannot be read: {error}")),
    }
    let entries = listing.entries(path);
    let mut others = Vec::new();
    for entry in &entries {
        let inner = below(path, &entry.name);
        if entry.is_dir {
            list_below(listing, spec, class, (&inner, &below(id, &entry.name)), above, images);
        } else if let Some(stem) = stem_of(spec, &entry.name) {
            let id = below(id, stem);
            let id = spec.spelled(&id).into_owned();
            match spec.check_id(&id) {
                Err(why) => listing.problem(format!("{inner}: the name {why}: rename it")),
                Ok(()) => images.push(Image { path: inner, id }),
            }
        } else {
            others.push(entry.name.as_str());
        }
    }
    listing.left_out(path, class, &others, "not a JPEG or PNG by name");
    above.pop();
}
