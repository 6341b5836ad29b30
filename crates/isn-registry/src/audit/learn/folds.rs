//! Folds for cross-validation, drawn by hash, with every class equally divided among them.

/// The number of folds.
pub(crate) const FOLDS: usize = 5;

/// Returns the fold of each row. Each class is dealt out in the order of a hash of the row's number, starting
/// where the last class ended, so that the folds have equal sizes.
pub(crate) fn stratified(labels: &[usize], classes: usize) -> Vec<usize> {
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); classes];
    labels.iter().enumerate().for_each(|(row, label)| rows[*label].push(row));
    let mut folds = vec![0; labels.len()];
    let mut dealt = 0;
    for mut rows in rows {
        rows.sort_by_cached_key(|row| *blake3::hash(format!("isn folds {row}").as_bytes()).as_bytes());
        for row in rows {
            folds[row] = dealt % FOLDS;
            dealt += 1;
        }
    }
    folds
}
