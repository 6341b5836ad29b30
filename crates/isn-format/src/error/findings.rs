//! What errors list: mistakes in text files, images that cannot be built, and differences of a rebuilt
//! version.

use std::fmt;

use super::about;

/// One mistake in a text file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mistake {
    /// The line, counted from 1, if known.
    pub line: Option<usize>,
    /// What is wrong and what would be right.
    pub why: String,
}

/// A source image that cannot become part of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Reject {
    /// Its path in the source.
    pub path: String,
    /// Its source id, by which a ledger names it.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// A difference between an image of a rebuilt version and the released one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Its path in the released tree, or in the rebuilt one if only that has it.
    pub image: String,
    /// Its source id.
    pub source_id: String,
    /// Its file in the source, if there is one.
    pub source_path: Option<String>,
    /// The cause.
    pub cause: Blame,
    /// The difference in words.
    pub why: String,
}

/// The cause of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The source does not have the file.
    SourceMissing,
    /// The file in the source has other bytes.
    SourceFile,
    /// The same file decoded to other pixels.
    Decoder,
    /// The same pixels encoded to another file.
    Encoder,
    /// The image has another class or split, is missing, or should not exist: the recipe, the corrections,
    /// the split assignments or the set of source images differ.
    Recipe,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source_path {
            Some(path) => write!(f, "{} ({path})", about(&self.image, &self.why)),
            None => f.write_str(&about(&self.image, &self.why)),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => f.write_str(&about(format_args!("line {line}"), &self.why)),
            None => f.write_str(&self.why),
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&about(&self.path, &self.reason))
    }
}
