use super::folds::{FOLDS, stratified};
use super::*;

/// Returns three clouds of points around three corners, with a few wrong labels: the rows, the labels, and
/// the wrong ones.
fn clouds() -> (Matrix, Vec<usize>, Vec<usize>) {
    let mut random = fastrand::Rng::with_seed(7);
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for row in 0..150 {
        let class = row % 3;
        for dimension in 0..12 {
            let centre = if dimension % 3 == class { 1.0 } else { 0.0 };
            values.push((centre + 0.6 * (random.f64() + random.f64() - 1.0)) as f32);
        }
        labels.push(class);
    }
    let wrong = vec![4, 30, 62, 77, 101, 140];
    wrong.iter().for_each(|row: &usize| labels[*row] = (labels[*row] + 1) % 3);
    (Matrix::new(150, 12, Values::Single(values)).unwrap(), labels, wrong)
}

#[test]
fn each_learner_finds_the_wrong_labels_first_and_sums_to_one() {
    let (points, labels, wrong) = clouds();
    for learner in [Learner::Ridge, Learner::Logistic, Learner::Neighbours, Learner::Both] {
        let predicted = predict(&points, &labels, 3, learner).unwrap();
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by(|a, b| predicted.at(*a, labels[*a]).total_cmp(&predicted.at(*b, labels[*b])));
        let mut first = order[..wrong.len()].to_vec();
        first.sort();
        assert_eq!(first, wrong, "{}", learner.as_str());
        for row in 0..labels.len() {
            let sum: f64 = predicted.row(row).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        }
    }
}

#[test]
fn an_own_label_has_no_say_in_its_row() {
    let (points, mut labels, _) = clouds();
    let before = neighbours::votes(&Space::of(&points), &labels, 3);
    labels[9] = 2;
    let after = neighbours::votes(&Space::of(&points), &labels, 3);
    assert_eq!(before[27..30], after[27..30]);
}

#[test]
fn the_result_does_not_depend_on_threads() {
    let (points, labels, _) = clouds();
    let with = |threads: usize| {
        let pool = crate::parallel::pool(threads).unwrap();
        pool.install(|| predict(&points, &labels, 3, Learner::Both))
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn folds_are_of_one_size_in_every_class() {
    let labels: Vec<usize> = (0..103).map(|row| if row < 50 { 0 } else { 1 + row % 2 }).collect();
    let folds = stratified(&labels, 4);
    for class in 0..3 {
        let count =
            |fold| (0..labels.len()).filter(|row| labels[*row] == class && folds[*row] == fold).count();
        let counts: Vec<usize> = (0..FOLDS).map(count).collect();
        assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
    }
}

#[test]
fn embeddings_that_say_nothing_predict_nothing() {
    for values in [vec![1.0; 12], vec![0.0; 12], [1e300, -1e300].repeat(6), [1e-320, 0.0].repeat(6)] {
        let points = Matrix::new(6, 2, Values::Double(values.clone())).unwrap();
        assert_eq!(predict(&points, &[0, 0, 0, 1, 1, 1], 2, Learner::Both), None, "{values:?}");
    }
}

#[test]
fn odd_embeddings_do_no_harm() {
    // A dimension that never varies, two equal rows, a row in the middle of all others, and a class of one
    // image.
    let values = vec![1.0, 0.0, 1.0, 0.0, 1.0, 2.0, 1.0, 1.0];
    let points = Matrix::new(4, 2, Values::Double(values)).unwrap();
    for learner in [Learner::Ridge, Learner::Logistic, Learner::Neighbours, Learner::Both] {
        let predicted = predict(&points, &[0, 0, 1, 0], 2, learner).unwrap();
        assert!((0..4).all(|row| predicted.row(row).all(|p| p.is_finite())));
    }
}
