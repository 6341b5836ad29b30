//! `isn audit …`: finds what a curator should look at in a folder of images, a build or a version. It ranks
//! for review, and never changes anything.

pub mod balance;
mod different;
pub mod duplicates;
pub mod features;
pub mod images;
pub mod labels;
pub mod looks;
pub mod mask;
pub mod neighbours;
pub mod sheet;
pub mod subject;
pub mod todo;
mod version;

pub use subject::{FolderRecipe, Item, Subject};
