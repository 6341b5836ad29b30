//! [`Method`]: how the embeddings of a folder were computed. Two methods that differ in anything that decides
//! the numbers, but the processor, are never in one folder.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::EMBEDDINGS_JSON;
use crate::files;
use isn_format::digest::Digest;
use isn_format::error::{Error, Result};
use isn_format::text::shell_word;

/// The name of the format.
pub const FORMAT: &str = "isn-embeddings/1";
/// The maximum length of the file, in bytes.
const MAX_LEN: u64 = 1 << 20;

/// How embeddings are computed, as `embeddings.json` says it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// The name of the format.
    pub format: String,
    /// The BLAKE3 hash of the file of the model.
    pub model: Digest,
    /// Those of the files in which the model keeps its weights, if these are not in its own.
    pub weights: Vec<Digest>,
    /// The name of the tensor.
    pub layer: String,
    /// The side of the square pictures, in pixels.
    pub side: usize,
    /// `rgb` or `bgr`.
    pub channels: String,
    /// What is subtracted from each channel, in the model's order.
    pub mean: [f32; 3],
    /// What the result is divided by.
    pub std: [f32; 3],
    /// Which part of a picture is taken, and how it is resized.
    pub crop: String,
    /// Whether EXIF orientations count: `ignore` or `apply`.
    pub exif_orientation: String,
    /// The library that ran the model, and its version.
    pub library: String,
}

impl Method {
    /// Reads the method of a folder, and its text.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the folder has none, or one that this version does not know.
    pub(super) fn read(folder: &Path) -> Result<(Method, Vec<u8>)> {
        let file = folder.join(EMBEDDINGS_JSON);
        let Some(bytes) = files::read_capped_if_there(&file, MAX_LEN)? else {
            let why = format!(
                "has no {EMBEDDINGS_JSON}: expected a folder of `isn audit labels --save-embeddings`"
            );
            return Err(Error::invalid(folder.display(), why));
        };
        Ok((Method::parse(&file, &bytes)?, bytes))
    }

    /// Parses the text of a method.
    fn parse(file: &Path, bytes: &[u8]) -> Result<Method> {
        /// The format alone, which is read first.
        #[derive(Deserialize)]
        struct Named {
            format: String,
        }
        let refuse = |why: serde_json::Error| {
            Error::invalid(file.display(), format!("does not say how embeddings were computed: {why}"))
        };
        let Named { format } = serde_json::from_slice(bytes).map_err(refuse)?;
        if format != FORMAT {
            let why = format!("has format '{format}', and this isn reads {FORMAT}: a newer isn may read it");
            return Err(Error::invalid(file.display(), why));
        }
        serde_json::from_slice(bytes).map_err(refuse)
    }

    /// Makes this the method of a folder, and returns its text there.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the folder has another one, or other files; [`Error::Io`] if the file cannot be
    /// written.
    pub(super) fn claim(&self, folder: &Path) -> Result<Vec<u8>> {
        let file = folder.join(EMBEDDINGS_JSON);
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::Internal(e.to_string()))? + "\n";
        if files::is_absent(&file) {
            // Not what systems and killed runs leave, whose names begin with a dot.
            let is_other = |name: &&String| !name.starts_with('.') && *name != EMBEDDINGS_JSON;
            if let Some(other) = files::names_in(folder)?.iter().find(is_other) {
                let why = format!(
                    "has {other} in it and no {EMBEDDINGS_JSON}: name a new or an empty folder for embeddings"
                );
                return Err(Error::invalid(folder.display(), why));
            }
            if files::create_new(&file, text.as_bytes())? {
                return Ok(text.into_bytes());
            }
        }
        let (there, text) = Method::read(folder)?;
        match self.differences(&there)[..] {
            [] => Ok(text),
            ref differences => {
                let why = format!(
                    "has embeddings that were computed in another way ({}): name another folder",
                    differences.join(", ")
                );
                Err(Error::invalid(folder.display(), why))
            }
        }
    }

    /// Returns the options of `isn audit labels` that compute such embeddings, but for the model.
    pub(crate) fn options(&self) -> String {
        let three = |numbers: [f32; 3]| numbers.map(|number| number.to_string()).join(",");
        format!(
            "--layer {} --input-size {} --channels {} --mean={} --std={}",
            shell_word(&self.layer),
            self.side,
            shell_word(&self.channels),
            three(self.mean),
            three(self.std)
        )
    }

    /// What differs in another method, in words.
    fn differences(&self, there: &Method) -> Vec<String> {
        let object = |method: &Method| match serde_json::to_value(method) {
            Ok(serde_json::Value::Object(members)) => members,
            _ => serde_json::Map::new(),
        };
        let (here, there) = (object(self), object(there));
        let differs = |(name, value): (&String, &serde_json::Value)| {
            let other = &there[name];
            (value != other).then(|| format!("{name} {other} there, {value} here"))
        };
        here.iter().filter_map(differs).collect()
    }
}
