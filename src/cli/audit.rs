//! `isn audit …`: one module a kind of evidence.

mod pixels;

use clap::Subcommand;

pub(super) use pixels::{AllArgs, BalanceArgs, DuplicatesArgs, ImagesArgs};

/// `isn audit …`
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Find images that are there more than once, and those on both sides of a split
    Duplicates(DuplicatesArgs),
    /// Find images that are broken, tiny, blank, without colour, or much longer than wide
    Images(ImagesArgs),
    /// Count images by class and split, and say what an accuracy on a split can tell
    Balance(BalanceArgs),
    /// Duplicates, images and balance, with one look at each image
    All(AllArgs),
}
