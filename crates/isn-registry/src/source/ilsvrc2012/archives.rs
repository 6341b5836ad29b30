//! The official archives, read in place: `ILSVRC2012_img_train.tar`, a tar with one tar for each class, and
//! `ILSVRC2012_img_val.tar`, which has the validation images themselves. Of the inner tars, only those of the
//! recipe's classes are read.

use std::collections::BTreeMap;

use super::{add, add_val, left_out};
use crate::source::tar::Archive;
use crate::source::tar::walk::Member;
use crate::source::{EXTENSIONS, Found, Listing, Position, is_litter, join, stem_before};
use isn_format::class::Class;
use isn_format::error::Result;
use isn_format::ilsvrc2012::{OfficialArchive, TRAIN_TAR, VAL_TAR, is_class};
use isn_format::split::Split;

/// Returns the archive of a split.
pub(super) fn of(split: Split) -> OfficialArchive {
    if split == Split::Train { TRAIN_TAR } else { VAL_TAR }
}

/// Lists the archive at `path`.
pub(super) fn list(listing: &mut Listing<'_>, classes: &[Class], path: &str, split: Split) {
    let opened = Archive::open(&join(listing.root, path), path, listing.indexes.as_ref());
    let listed = opened.and_then(|mut archive| {
        let mut lister = Lister { listing, classes, path, archive: &mut archive };
        if split == Split::Train {
            lister.train()?
        } else {
            lister.val()?
        }
        archive.keep_index()?;
        Ok(archive)
    });
    match listed {
        Ok(archive) => listing.tars.push(archive),
        Err(error) => listing.problem_of(&error),
    }
}

struct Lister<'a, 'l, 'r> {
    listing: &'l mut Listing<'r>,
    classes: &'a [Class],
    path: &'a str,
    archive: &'a mut Archive,
}

impl Lister<'_, '_, '_> {
    fn train(&mut self) -> Result<()> {
        let outer = self.archive.members()?;
        let mut tars: BTreeMap<&str, &Member> = BTreeMap::new();
        let mut others = Vec::new();
        for member in outer.iter().filter(|member| !is_litter(name(member))) {
            match name(member).strip_suffix(".tar").filter(|class| is_class(class)) {
                Some(class) => {
                    if tars.insert(class, member).is_some() {
                        self.listing.problem(format!("{} has {class}.tar twice", self.path));
                    }
                }
                None => others.push(member.name.as_str()),
            }
        }
        left_out(self.listing, self.path, others);
        for Class { id, .. } in self.classes {
            let Some(tar) = tars.get(id.as_str()) else {
                self.listing.problem(format!("there is no {id}.tar in {}", self.path));
                continue;
            };
            // A damaged tar is reported, and the others are still read.
            let images = match self.archive.members_of(tar) {
                Ok(images) => images,
                Err(error) => {
                    self.listing.problem_of(&error);
                    continue;
                }
            };
            let folder = format!("{}/{}", self.path, tar.name);
            let (images, others) = images_of(&images);
            left_out(self.listing, &folder, others);
            for (stem, member) in images {
                let path = format!("{folder}/{}", member.name);
                let found = self.found(path, member);
                add(self.listing, found, stem, id, Split::Train);
            }
        }
        Ok(())
    }

    fn val(&mut self) -> Result<()> {
        let members = self.archive.members()?;
        let (images, others) = images_of(&members);
        left_out(self.listing, self.path, others);
        for (stem, member) in images {
            let found = self.found(format!("{}/{}", self.path, member.name), member);
            add_val(self.listing, found.path.clone(), stem, self.classes, |_, _| Some(found));
        }
        Ok(())
    }

    fn found(&self, path: String, member: &Member) -> Found {
        let position = Position::Tar { archive: self.listing.tars.len(), offset: member.offset };
        let modified_ns = self.archive.stamp().modified_ns;
        Found { path, len: member.length, modified_ns, position }
    }
}

/// Returns the last segment of a member's name. The folders before it mean nothing.
fn name(member: &Member) -> &str {
    member.name.rsplit('/').next().unwrap_or(&member.name)
}

/// Returns the images with their stems, and the names of everything else except litter.
fn images_of(members: &[Member]) -> (Vec<(&str, &Member)>, Vec<&str>) {
    let (mut images, mut others) = (Vec::new(), Vec::new());
    for member in members.iter().filter(|member| !is_litter(name(member))) {
        match stem_before(name(member), &EXTENSIONS) {
            Some(stem) => images.push((stem, member)),
            None => others.push(member.name.as_str()),
        }
    }
    (images, others)
}
