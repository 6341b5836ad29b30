//! What to do when a version has to be built from source images, and cannot be.

use std::path::Path;

use isn_format::dataset_ref::{DatasetRef, Name};
use isn_format::error::Reject;
use isn_format::text::{is_formula, shell_path, shell_word};
use isn_registry::recipe_file::RECIPE_TOML;
use isn_registry::registry::BUNDLED;

/// There is a recipe in this registry, and no release.
pub(super) fn unreleased(reference: &DatasetRef, registry: &str) -> String {
    let command = match registry {
        BUNDLED => format!("isn pull {reference} --source DIR"),
        registry => {
            let name = reference.name().map_or_else(|| reference.to_string(), Name::to_string);
            let registry = shell_word(registry);
            format!(
                "isn recipe export {name} --registry {registry}\n  isn build {name}/{RECIPE_TOML} --source DIR"
            )
        }
    };
    format!("build it from your own copy of the source images:\n  {command}")
}

/// No registry has the images. `about` is the version's description: it says what to get, if anything does.
pub(super) fn needed(reference: &str, about: &str) -> String {
    let about: String = about.trim().lines().map(|line| format!("\n  | {line}")).collect();
    format!(
        "build it from your own copy of the source images:\n  isn pull {} --source DIR\nor use a registry that has \
         its images (--registry). The publisher describes the version:{about}",
        shell_word(reference)
    )
}

/// The source is not whole.
pub(super) fn incomplete(root: &Path, recipe: &str) -> String {
    format!(
        "nothing was built. `isn source check {} --recipe {}` lists what is missing: complete the source, and \
         build again. To try the recipe on what is there, `isn build --partial` builds it without a version",
        shell_path(root),
        shell_word(recipe)
    )
}

/// Images cannot be built, and the ledger does not say what to do with them. If the recipe is a registry's,
/// `exported` is its name.
pub(super) fn rejects(rejects: &[Reject], ledger: &Path, is_named: bool, exported: Option<&Name>) -> String {
    let first = rejects.iter().find(|reject| !is_formula(&reject.id));
    if first.is_none() && !rejects.is_empty() {
        return "no row of a ledger can name such an image, since a spreadsheet would run its id as a formula: rename \
                the file or its folder, and `folder` in the recipe with it, or repair the file; then build again"
            .into();
    }
    let (id, why) = first.map_or(("ID", "TEXT"), |one| (one.id.as_str(), one.reason.as_str()));
    // In short: the report has the rest.
    let why = why.split(':').next().unwrap_or_default();
    let (what, whom) = (
        format!("{} {} remove", shell_path(ledger), shell_word(id)),
        format!("--reason broken --evidence {} --reviewer 'YOUR NAME'", shell_word(why)),
    );
    let add = match id.starts_with('-') {
        false => format!("isn ledger add {what} {whom}"),
        // It would be an option.
        true => format!("isn ledger add {whom} -- {what}"),
    };
    let (add, lead) = match exported {
        Some(name) => (
            format!("isn recipe export {name}\n  {add}\n  isn build {name}/{RECIPE_TOML} --source DIR"),
            "the recipe comes with isn: write it to a folder, and ",
        ),
        None => (add, ""),
    };
    match (is_named, ledger.file_name().unwrap_or_default().display()) {
        (true, _) => {
            format!("{lead}add a decision for each image to the recipe's ledger, for example\n  {add}")
        }
        (false, file) => format!(
            "the recipe has no ledger to decide what happens to these images. Add these lines to it:\n  \
             [corrections]\n  file = \"{file}\"\nand a decision for each image to the ledger, for example\n  \
             {add}"
        ),
    }
}
