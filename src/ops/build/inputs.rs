//! [`Inputs`]: what a build reads besides images.

use std::path::Path;

use tokio::runtime::Runtime;

use crate::corrections::Corrections;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::files;
use crate::object::ObjectKind;
use crate::ops::Registries;
use crate::recipe::{Recipe, SplitPolicy};
use crate::registry::{Registry, Snapshot};
use crate::split::Assignments;
use crate::transport;

/// Split assignments of ten million images; more is no such file.
const MAX_ASSIGNMENTS: u64 = 1 << 30;

/// A recipe and what it names, each with the exact bytes that become objects of the version.
pub struct Inputs {
    pub(super) recipe_bytes: Vec<u8>,
    pub(super) recipe: Recipe,
    pub(super) corrections_bytes: Option<Vec<u8>>,
    pub(super) corrections: Corrections,
    pub(super) previous: Option<Assignments>,
}

impl Inputs {
    /// From a recipe's file and the corrections beside it; the assignments of an earlier version come from the first
    /// of the registries that has them.
    pub fn read(recipe_path: &Path, registries: &Registries<'_>) -> Result<Self> {
        let what = recipe_path.display().to_string();
        let text = files::read_text(recipe_path)?;
        let recipe = Recipe::parse(&what, &text)?;
        let corrections = match &recipe.corrections {
            Some(file) => {
                let path = files::parent(recipe_path).join(file);
                Some((path.display().to_string(), files::read(&path)?))
            }
            None => None,
        };
        let previous = match previous_of(&recipe) {
            Some(digest) => Some(find_assignments(&transport::runtime()?, digest, registries)?),
            None => None,
        };
        Self::new(text, recipe, corrections, previous)
    }

    /// From the objects of a version, to build it again.
    pub fn of_version(runtime: &Runtime, registry: &Registry, snapshot: &Snapshot) -> Result<Self> {
        let objects = &snapshot.manifest.objects;
        let what = registry.locate(ObjectKind::Recipe, &objects.recipe.blake3);
        let text = runtime.block_on(registry.object(ObjectKind::Recipe, &objects.recipe))?;
        let text = String::from_utf8(text).map_err(|_| Error::integrity(&what, "is not UTF-8 text"))?;
        let recipe = Recipe::parse(&what, &text)?;
        let corrections = match &objects.corrections {
            Some(object) => {
                let bytes = runtime.block_on(registry.object(ObjectKind::Corrections, object))?;
                Some((registry.locate(ObjectKind::Corrections, &object.blake3), bytes))
            }
            None => None,
        };
        let previous = match previous_of(&recipe) {
            Some(digest) => Some(assignments_in(runtime, registry, digest)?.ok_or_else(|| {
                Error::not_found(
                    format!("split assignments b3:{digest}"),
                    format!("registry {}", registry.name()),
                )
            })?),
            None => None,
        };
        Self::new(text, recipe, corrections, previous)
    }

    fn new(
        text: String,
        recipe: Recipe,
        corrections: Option<(String, Vec<u8>)>,
        previous: Option<Assignments>,
    ) -> Result<Self> {
        let (corrections, corrections_bytes) = match corrections {
            Some((what, bytes)) => (Corrections::parse(&what, &bytes, &recipe.classes)?, Some(bytes)),
            None => (Corrections::default(), None),
        };
        Ok(Inputs { recipe_bytes: text.into_bytes(), recipe, corrections_bytes, corrections, previous })
    }
}

fn previous_of(recipe: &Recipe) -> Option<&Digest> {
    match &recipe.split {
        SplitPolicy::Pool { previous, .. } => previous.as_ref(),
        SplitPolicy::Keep => None,
    }
}

fn find_assignments(runtime: &Runtime, digest: &Digest, registries: &Registries<'_>) -> Result<Assignments> {
    for location in registries.locations {
        if let Some(found) = assignments_in(runtime, &registries.open(location)?, digest)? {
            return Ok(found);
        }
    }
    let place = format!("registry {}", registries.locations.join(", "));
    Err(Error::not_found(format!("split assignments b3:{digest}"), place))
}

fn assignments_in(runtime: &Runtime, registry: &Registry, digest: &Digest) -> Result<Option<Assignments>> {
    let found = runtime.block_on(registry.find_object(ObjectKind::Splits, digest, MAX_ASSIGNMENTS))?;
    found.map(|bytes| Assignments::parse(&registry.locate(ObjectKind::Splits, digest), &bytes)).transpose()
}
