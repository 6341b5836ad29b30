//! [`Identity`]: what a version is, in the words of its authors, and what to name it by.

use isn_format::dataset_ref::{Name, Version};
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::tree::Origin;

/// What a version is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The dataset.
    pub name: Name,
    /// The version; of what nobody released, the one that its recipe is for. `None` if it was built from a
    /// part of its source.
    pub version: Option<Version>,
    /// The dataset hash.
    pub dataset: Digest,
    /// What to name it by: `name@version#b3:…`, or `unreleased:name/b3:…` if nobody has released it.
    pub pin: String,
    /// The title, one line for people.
    pub title: String,
    /// The description; empty if it is not known.
    pub description: String,
    /// The terms under which the images may be used.
    pub licence: String,
    /// Who made it; empty if that is not known.
    pub authors: Vec<String>,
    /// What its authors want to be cited too.
    pub citation: Option<String>,
    /// The number of images of the whole version.
    pub images: u64,
}

impl Identity {
    /// The identity of a tree with this `ISN.json`, which was read from `what`, and as many images.
    ///
    /// # Errors
    /// [`Error::Integrity`] if it names no dataset hash.
    pub fn of_tree(what: &str, origin: Origin, images: u64) -> Result<Self> {
        let dataset = origin.dataset().strip_prefix("b3:").and_then(|hash| hash.parse().ok());
        let dataset = dataset.ok_or_else(|| Error::integrity(what, "names no dataset hash"))?;
        let (name, version, pin, title, licence) = match origin {
            Origin::Released(known) => {
                (known.name, Some(known.version), known.pin, known.title, known.licence)
            }
            Origin::Unreleased(built) => {
                let version = (!built.part).then_some(built.recipe.version);
                (built.name, version, built.pin, built.title, built.licence)
            }
        };
        let (description, authors, citation) = (String::new(), Vec::new(), None);
        Ok(Identity { name, version, dataset, pin, title, description, licence, authors, citation, images })
    }

    /// Returns its version for a citation or an export.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it has none.
    pub fn whole(&self) -> Result<Version> {
        self.version.ok_or_else(|| {
            let why =
                "was built from a part of its source, and has no version: build it from the whole source";
            Error::invalid(&self.pin, why)
        })
    }

    /// The version as text, `part` of what has none.
    pub(crate) fn version_text(&self) -> String {
        self.version.map_or_else(|| "part".into(), |version| version.to_string())
    }

    /// Names it for people: `NAME@VERSION`, or the name alone of what has no version.
    pub fn title_of(&self) -> String {
        match self.version {
            Some(version) => format!("{}@{version}", self.name),
            None => format!("{} (a part)", self.name),
        }
    }
}
