//! The dataset card of Hugging Face: `README.md`, whose YAML head says what files and columns there are.

use super::About;
use crate::error::count;

/// The text.
pub(super) fn card(about: &About<'_>) -> String {
    let manifest = about.manifest;
    // A JSON string is a YAML string.
    let quote = |text: &str| serde_json::Value::from(text).to_string();
    let names: String = about
        .class_ids()
        .iter()
        .enumerate()
        .map(|(label, id)| format!("          '{label}': {}\n", quote(id)))
        .collect();
    let splits: String = about
        .splits
        .iter()
        .map(|(split, images, bytes)| {
            format!("  - name: {split}\n    num_bytes: {bytes}\n    num_examples: {images}\n")
        })
        .collect();
    let files: String = about
        .splits
        .iter()
        .map(|(split, ..)| format!("  - split: {split}\n    path: data/{split}-*\n"))
        .collect();
    let labels: String = about
        .classes
        .iter()
        .enumerate()
        .map(|(label, class)| {
            format!(
                "| {label} | `{}` | {} | {} |\n",
                class.id,
                cell(&class.label),
                cell(class.group.as_deref().unwrap_or(""))
            )
        })
        .collect();
    format!(
        "---\nlicense: other\nlicense_name: {licence}\npretty_name: {title}\ntask_categories:\n- image-classification\n\
         dataset_info:\n  features:\n  - name: image\n    dtype: image\n  - name: label\n    dtype:\n      class_label:\n        names:\n{names}  \
         - name: path\n    dtype: string\n  splits:\n{splits}configs:\n- config_name: default\n  data_files:\n{files}---\n\n\
         # {heading}\n\n{description}\n\n- Pin: `{pin}`\n- Licence: {terms}\n- {images} in {classes} classes\n\n\
         | label | class | called | group |\n|---|---|---|---|\n{labels}\n## Citation\n\n```bibtex\n{citation}```\n",
        licence = quote(manifest.licence.lines().next().unwrap_or_default()),
        title = quote(&manifest.title),
        heading = manifest.title,
        description = manifest.description,
        pin = manifest.pin(),
        terms = manifest.licence,
        images = count(about.splits.iter().map(|(_, images, _)| *images as usize).sum(), "image"),
        classes = about.classes.len(),
        citation = about.citation,
    )
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
