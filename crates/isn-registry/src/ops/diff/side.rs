//! [`Side`]: one of two compared versions: a reference, a build or a tree.

use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;

use super::{Compared, Placement};
use crate::client::Client;
use crate::client::version_at::{Local, is_path};
use crate::files;
use crate::registry::{Registry, Snapshot, build};
use crate::tree_file::{Basis, list_of, read_classes, read_sums};
use isn_format::class::{Class, ClassId};
use isn_format::digest::Digest;
use isn_format::error::{At, Error, Missing, Result};
use isn_format::index::RowRef;
use isn_format::ledger::Ledger;
use isn_format::object::ObjectKind;
use isn_format::pixel_spec::ExifOrientation;
use isn_format::shard::MAX_IMAGE_LEN;
use isn_format::split::Split;
use isn_format::sums::{LineRef, Sums};
use isn_format::tree::B3SUMS;
use isn_pixels::{decode_rgb, pixel_digest};

/// A version.
pub(super) struct Side {
    pub(super) what: Compared,
    pub(super) classes: Vec<Class>,
    /// Its images, without `classes.csv`.
    pub(super) sums: Sums,
    pub(super) from: From,
    /// The parts that no signature covers. Empty for a folder, which is the user's own.
    pub(super) unsigned: &'static [&'static str],
    /// Warnings for the user.
    pub(super) warnings: Vec<String>,
}

/// Where its bytes are.
pub(super) enum From {
    Tree(PathBuf),
    Registry(Box<Registry>, Box<Snapshot>),
}

/// One image.
pub(super) struct Image {
    pub(super) source: String,
    pub(super) path: String,
    pub(super) class: ClassId,
    pub(super) split: Split,
    pub(super) blake3: Digest,
    /// `None` in a tree, which does not have pixel digests.
    pixels: Option<Digest>,
}

impl Image {
    /// Returns the name of its file without the extension.
    pub(super) fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.rsplit_once('.').map_or(name, |(stem, _)| stem)
    }

    pub(super) fn placement(&self) -> Placement {
        Placement {
            path: self.path.clone(),
            class: self.class.clone(),
            split: self.split,
            blake3: self.blake3,
        }
    }
}

impl Side {
    pub(super) fn open(runtime: &Runtime, client: &Client, what: &str) -> Result<Self> {
        let path = Path::new(what);
        if !files::is_absent(path) {
            return match Local::at(path)? {
                Local::Tree => Self::tree(path),
                Local::Build => {
                    let (registry, snapshot) = runtime.block_on(build::describe(path))?;
                    Ok(Self::version(registry, snapshot))
                }
            };
        }
        if is_path(what) {
            return Err(Error::not_found(Missing::File, what, ""));
        }
        let reference = what.parse().map_err(|why| Error::Subject { text: what.into(), why })?;
        let found = runtime.block_on(client.snapshot(&reference));
        let (registry, snapshot) = found.map_err(Error::nor_folder)?;
        Ok(Self::version(registry, snapshot))
    }

    fn version(registry: Registry, snapshot: Snapshot) -> Self {
        Side {
            warnings: snapshot.head.warnings.clone(),
            what: Compared {
                name: match snapshot.head.is_own {
                    true => registry.name().into(),
                    false => snapshot.head.manifest.id().to_string(),
                },
                dataset: snapshot.head.manifest.dataset,
            },
            classes: snapshot.classes().to_vec(),
            sums: snapshot.sums().clone(),
            unsigned: snapshot.head.unsigned(),
            from: From::Registry(Box::new(registry), Box::new(snapshot)),
        }
    }

    /// Opens the images that a tree lists, for a partial tree in `B3SUMS.selected`. Their files are not read.
    fn tree(root: &Path) -> Result<Self> {
        let (basis, dataset) = Basis::read(root)?;
        let Some(dataset) = dataset else {
            return Err(basis.err().unwrap_or_else(|| Error::Internal("a tree without a list".into())));
        };
        let sums = match (list_of(root), basis?) {
            (B3SUMS, Basis::Whole(full)) => full,
            (selected, _) => read_sums(root, selected)?,
        };
        let classes = read_classes(root, &sums)?;
        let what = Compared { name: root.display().to_string(), dataset };
        let warnings = absent(root, &sums).into_iter().collect();
        Ok(Side { what, classes, sums, from: From::Tree(root.into()), unsigned: &[], warnings })
    }

    /// Returns these images, numbered in the order of the list.
    ///
    /// # Errors
    /// [`Error::Integrity`] if a path in a tree does not say a split and a class; those of reading the
    /// sources of a version.
    pub(super) fn images(&self, runtime: &Runtime, numbers: &[usize]) -> Result<Vec<Image>> {
        match &self.from {
            From::Tree(root) => {
                let refuse =
                    |e: &dyn std::fmt::Display| Error::integrity(root.join(B3SUMS).display(), e).at(At::Tree);
                let image = |line: LineRef<'_>| {
                    let segments: Vec<&str> = line.path.segments().collect();
                    let [split, class, name] = segments[..] else {
                        return Err(refuse(&format!("{} is in no split and class", line.path)));
                    };
                    Ok(Image {
                        source: name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_string(),
                        path: line.path.to_string(),
                        class: class.parse().map_err(|e| refuse(&e))?,
                        split: split.parse().map_err(|e| refuse(&e))?,
                        blake3: line.blake3,
                        pixels: None,
                    })
                };
                numbers.iter().map(|at| image(self.sums.image(*at))).collect()
            }
            From::Registry(..) if numbers.is_empty() => Ok(Vec::new()),
            From::Registry(registry, snapshot) => {
                let sources = runtime.block_on(registry.sources_of(snapshot, numbers))?;
                let image = |(at, row): (usize, RowRef<'_>)| Image {
                    source: sources.id(at).into(),
                    path: row.path().to_string(),
                    class: row.class().clone(),
                    split: row.split(),
                    blake3: row.blake3(),
                    pixels: Some(sources.pixels()[at]),
                };
                Ok(numbers.iter().map(|at| snapshot.index().row(*at)).enumerate().map(image).collect())
            }
        }
    }

    pub(super) fn is_tree(&self) -> bool {
        matches!(self.from, From::Tree(_))
    }

    /// Returns the ledger that the version was made with.
    pub(super) fn ledger(&self, runtime: &Runtime) -> Result<Option<Ledger>> {
        let From::Registry(registry, snapshot) = &self.from else { return Ok(None) };
        let Some(object) = snapshot.head.manifest.objects.corrections else { return Ok(None) };
        let read = runtime.block_on(registry.object(ObjectKind::Corrections, &object));
        let what = registry.locate(ObjectKind::Corrections, &object.blake3);
        let ledger = read.and_then(|bytes| Ledger::parse(&what, &bytes)).map(Some);
        if snapshot.head.is_own { ledger.map_err(build::of_build) } else { ledger }
    }

    /// Returns the digest of the pixels that an image was encoded from. A PNG of a tree still has these
    /// pixels, if it is the file that `B3SUMS` lists; a JPEG does not.
    pub(super) fn pixels(&self, image: &Image) -> Option<Digest> {
        image.pixels.or_else(|| {
            let From::Tree(root) = &self.from else { return None };
            let bytes = files::read_capped(&root.join(&image.path), MAX_IMAGE_LEN).ok()?;
            let rgb = decode_rgb(&bytes, ExifOrientation::Ignore).ok()?;
            (bytes.starts_with(b"\x89PNG") && Digest::of(&bytes) == image.blake3)
                .then(|| pixel_digest(rgb.width, rgb.height, &rgb.pixels))
        })
    }
}

/// Returns a warning if a tree lacks files that it lists.
fn absent(root: &Path, sums: &Sums) -> Option<String> {
    let is_there =
        |line: &LineRef<'_>| line.path.under(root).symlink_metadata().is_ok_and(|about| about.is_file());
    let absent: Vec<LineRef<'_>> = sums.images().filter(|line| !is_there(line)).collect();
    let first = absent.first()?;
    Some(format!(
        "{} lacks {} of the images that it lists, the first of them {}: its list is compared (`isn verify` \
        names them all)",
        root.display(),
        absent.len(),
        first.path
    ))
}
