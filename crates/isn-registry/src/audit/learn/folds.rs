//! Folds of cross-validation: every class in equal parts in each, drawn by hash.

/// How many folds.
pub const FOLDS: usize = 5;

/// The fold of each row. Each class is dealt out in the order of a hash of the row's number; the next class goes on where
/// the last one ended, so that the folds are of one size.
pub fn stratified(labels: &[usize], classes: usize) -> Vec<usize> {
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
