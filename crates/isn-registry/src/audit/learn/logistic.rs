//! Multinomial logistic regression with a quadratic penalty, fitted by L-BFGS from zero. There is only one
//! minimum, so the start does not matter.

use std::collections::VecDeque;

use rayon::prelude::*;

use super::folds::{FOLDS, stratified};
use super::softmax;
use super::space::{Space, dot};

/// The penalties to try, as multiples of 1/n times half the squared length of the weights. Rows have length
/// 1.
const PENALTIES: [f64; 3] = [0.3, 1.0, 3.0];
/// The number of steps that L-BFGS remembers.
const MEMORY: usize = 10;
const MAX_STEPS: usize = 200;
/// The length of the gradient, relative to the first one, at which the fit ends.
const SMALL_GRADIENT: f64 = 1e-4;

/// Returns for each row the probabilities from the model fitted to the folds without it, row by row. Of
/// several penalties, uses the one under which the given labels are the most likely.
pub(crate) fn cross_validated(space: &Space, labels: &[usize], classes: usize) -> Vec<f64> {
    let folds = stratified(labels, classes);
    let tried = PENALTIES.map(|penalty| {
        let rows = with_penalty(space, labels, classes, &folds, penalty);
        let likely = |(row, label): (usize, &usize)| libm::log(rows[row * classes + label].max(1e-300));
        let likelihood: f64 = labels.iter().enumerate().map(likely).sum();
        (likelihood, rows)
    });
    let best = tried.into_iter().reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map(|(_, rows)| rows).unwrap_or_default()
}

fn with_penalty(space: &Space, labels: &[usize], classes: usize, folds: &[usize], penalty: f64) -> Vec<f64> {
    let models: Vec<Model> = (0..FOLDS)
        .into_par_iter()
        .map(|fold| {
            let rows: Vec<usize> = (0..labels.len()).filter(|row| folds[*row] != fold).collect();
            Problem { space, labels, classes, rows, penalty }.solve()
        })
        .collect();
    let predict = |row: usize| models[folds[row]].probabilities(space.row(row));
    (0..labels.len()).into_par_iter().flat_map_iter(predict).collect()
}

/// One row of weights for each class, with the constant last.
struct Model {
    classes: usize,
    weights: Vec<f64>,
}

impl Model {
    fn probabilities(&self, x: &[f64]) -> Vec<f64> {
        let mut p = vec![0.0; self.classes];
        scores(&self.weights, x, &mut p);
        softmax(&mut p);
        p
    }
}

fn scores(weights: &[f64], x: &[f64], out: &mut [f64]) {
    for (score, w) in out.iter_mut().zip(weights.chunks_exact(x.len() + 1)) {
        *score = dot(&w[..x.len()], x) + w[x.len()];
    }
}

struct Problem<'a> {
    space: &'a Space,
    labels: &'a [usize],
    classes: usize,
    rows: Vec<usize>,
    penalty: f64,
}

impl Problem<'_> {
    /// Returns the loss at `weights`, and writes its gradient to `gradient`.
    fn loss(&self, weights: &[f64], gradient: &mut [f64]) -> f64 {
        let width = self.space.dimensions() + 1;
        gradient.fill(0.0);
        let mut loss = 0.0;
        let mut p = vec![0.0; self.classes];
        for &row in &self.rows {
            let x = self.space.row(row);
            scores(weights, x, &mut p);
            let own = p[self.labels[row]];
            loss += softmax(&mut p) - own;
            p[self.labels[row]] -= 1.0;
            for (g, p) in gradient.chunks_exact_mut(width).zip(&p) {
                g.iter_mut().zip(x).for_each(|(g, x)| *g += p * x);
                g[width - 1] += p;
            }
        }
        // The constants are not penalised.
        for (g, w) in gradient.chunks_exact_mut(width).zip(weights.chunks_exact(width)) {
            for (g, w) in g[..width - 1].iter_mut().zip(&w[..width - 1]) {
                *g += self.penalty * w;
                loss += self.penalty / 2.0 * w * w;
            }
        }
        loss
    }

    fn solve(&self) -> Model {
        let n = self.classes * (self.space.dimensions() + 1);
        let mut at = vec![0.0; n];
        let mut gradient = vec![0.0; n];
        let mut loss = self.loss(&at, &mut gradient);
        let enough = SMALL_GRADIENT * length(&gradient);
        let mut memory: VecDeque<Pair> = VecDeque::new();
        let (mut next, mut next_gradient) = (vec![0.0; n], vec![0.0; n]);
        for _ in 0..MAX_STEPS {
            if length(&gradient) <= enough {
                break;
            }
            let mut step = direction(&gradient, &memory);
            let mut slope = dot(&step, &gradient);
            if slope >= 0.0 {
                memory.clear();
                step = gradient.iter().map(|g| -g).collect();
                slope = dot(&step, &gradient);
            }
            // Halves the step until the loss falls enough (Armijo). The first step has no scale yet.
            let mut size = if memory.is_empty() { 1.0 / length(&gradient).max(1e-12) } else { 1.0 };
            let moved = loop {
                for ((next, at), step) in next.iter_mut().zip(&at).zip(&step) {
                    *next = at + size * step;
                }
                let next_loss = self.loss(&next, &mut next_gradient);
                if next_loss <= loss + 1e-4 * size * slope {
                    loss = next_loss;
                    break true;
                }
                size /= 2.0;
                if size < 1e-12 {
                    break false;
                }
            };
            if !moved {
                break;
            }
            if let Some(pair) = Pair::new(&at, &next, &gradient, &next_gradient) {
                memory.push_back(pair);
                if memory.len() > MEMORY {
                    memory.pop_front();
                }
            }
            std::mem::swap(&mut at, &mut next);
            std::mem::swap(&mut gradient, &mut next_gradient);
        }
        Model { classes: self.classes, weights: at }
    }
}

fn length(vector: &[f64]) -> f64 {
    dot(vector, vector).sqrt()
}

/// A step, and the change of the gradient along it.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// 1 divided by the product of the two.
    scale: f64,
}

impl Pair {
    /// Returns `None` if the curvature along the step is not positive enough to be of use.
    fn new(from: &[f64], to: &[f64], gradient: &[f64], next: &[f64]) -> Option<Self> {
        let difference = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| b - a).collect() };
        let (step, change) = (difference(from, to), difference(gradient, next));
        let product = dot(&step, &change);
        (product > 1e-12).then(|| Pair { step, change, scale: 1.0 / product })
    }
}

/// The two-loop recursion (Nocedal and Wright, Numerical Optimization, algorithm 7.4).
fn direction(gradient: &[f64], memory: &VecDeque<Pair>) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut alphas = Vec::with_capacity(memory.len());
    for pair in memory.iter().rev() {
        let alpha = pair.scale * dot(&pair.step, &q);
        q.iter_mut().zip(&pair.change).for_each(|(q, y)| *q -= alpha * y);
        alphas.push(alpha);
    }
    if let Some(last) = memory.back() {
        let scale = 1.0 / (last.scale * dot(&last.change, &last.change));
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for (pair, alpha) in memory.iter().zip(alphas.into_iter().rev()) {
        let beta = pair.scale * dot(&pair.change, &q);
        q.iter_mut().zip(&pair.step).for_each(|(q, s)| *q += (alpha - beta) * s);
    }
    q
}
