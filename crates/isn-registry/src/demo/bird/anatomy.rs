//! The parts that several kinds of birds have. They all face right.

use crate::demo::canvas::Brush;
use crate::demo::paint::{Colour, Paint, rgb};
use crate::demo::shape::{Affine, Path, Point, between, direction, open_curve};

/// An eye: dark lid, iris, pupil, glint.
pub(super) fn eye(brush: &mut Brush<'_>, (x, y): Point, radius: f64, iris: Colour) {
    let disc = |r: f64| Path::ellipse(x, y, radius * r, radius * r);
    brush.fill(&disc(1.25), &Paint::flat(rgb(0x15100c)));
    brush.fill(&disc(1.0), &Paint::flat(iris));
    brush.fill(&disc(0.52), &Paint::flat(rgb(0x0a0808)));
    let glint = Path::ellipse(x - radius * 0.25, y - radius * 0.3, radius * 0.2, radius * 0.2);
    brush.fill(&glint, &Paint::flat(rgb(0xffffff)));
}

/// Draws the beak of a bird of prey, `size` long, with the middle of its root at `at`. `base` blends into
/// `tip`.
pub(super) fn hooked_beak(brush: &mut Brush<'_>, at: Point, size: f64, base: Colour, tip: Colour) {
    let mut brush = brush.placed(Affine::shift(at.0, at.1).of(Affine::scale(size, size)));
    let lower = [(-0.1, 0.1), (0.5, 0.16), (0.68, 0.24), (0.5, 0.34), (-0.1, 0.3)];
    brush.fill(&Path::smooth(&lower), &Paint::flat(base.times(0.72)));
    let upper = [
        (-0.1, -0.3),
        (0.3, -0.34),
        (0.7, -0.2),
        (0.98, 0.12),
        (1.0, 0.52),
        (0.9, 0.62),
        (0.78, 0.36),
        (0.6, 0.18),
        (0.2, 0.17),
        (-0.1, 0.16),
    ];
    brush.fill(&Path::smooth(&upper), &Paint::linear(base, (0.35, 0.0), tip, (0.95, 0.4)));
    let edge = [(-0.05, 0.16), (0.3, 0.17), (0.6, 0.2)];
    brush.fill(&Path::ribbon(&edge, 0.04, 0.03), &Paint::flat(base.times(0.45)));
    brush.fill(&Path::ellipse(0.22, -0.1, 0.07, 0.04), &Paint::flat(base.times(0.5)));
}

/// Draws a foot that grips what is below `at`.
pub(super) fn talons(brush: &mut Brush<'_>, at: Point, size: f64, skin: Colour) {
    let mut brush = brush.placed(Affine::shift(at.0, at.1).of(Affine::scale(size, size)));
    for x in [-0.6, 0.0, 0.6] {
        let toe = [(x * 0.4, -0.25), (x, 0.1), (x * 1.15, 0.55)];
        brush.fill(&Path::ribbon(&toe, 0.42, 0.3), &Paint::flat(skin.times(1.0 - 0.12 * x)));
        brush.fill(
            &Path::ribbon(&[(x * 1.15, 0.5), (x * 1.1, 0.85)], 0.22, 0.04),
            &Paint::flat(rgb(0x1c1814)),
        );
    }
}

/// A spread wing, from the shoulder at the origin out to the right.
pub(super) struct Wing {
    /// From the shoulder to the tip.
    pub span: f64,
    /// From the front edge to the rear edge at the body.
    pub chord: f64,
    /// How far the wrist is above the shoulder.
    pub lift: f64,
    /// The colour of the quills at the hand.
    pub primaries: Colour,
    /// The colour of the quills at the arm.
    pub secondaries: Colour,
    /// The colour of the small feathers over the arm.
    pub coverts: Colour,
    /// The width of a quill as a share of the chord. Below 0.2, the quills of the hand are separate fingers.
    pub quill: f64,
    /// The depth of darker bars across the quills.
    pub bars: f64,
}

/// The number of quills of a wing.
const QUILLS: usize = 19;

impl Wing {
    /// Draws the wing.
    pub(super) fn draw(&self, brush: &mut Brush<'_>) {
        let arm = open_curve(&[
            (0.0, 0.0),
            (self.span * 0.2, -self.lift * 0.55),
            (self.span * 0.45, -self.lift),
            (self.span * 0.62, -self.lift * 0.98),
        ]);
        let on_arm = |u: f64| {
            let place = u * (arm.len() - 1) as f64;
            let i = (place as usize).min(arm.len() - 2);
            between(arm[i], arm[i + 1], place - i as f64)
        };
        for i in (0..QUILLS).rev() {
            let u = i as f64 / (QUILLS - 1) as f64;
            let hand = ((u - 0.5) * 2.0).max(0.0);
            // At the arm, quills point back; along the hand they fan out until the first one points away.
            let turns = 0.262 - 0.07 * u - 0.2 * hand * hand.sqrt() - self.lift / self.span * 0.09;
            let reach = self.chord + (self.span * 0.46 - self.chord) * hand * (2.0 - hand)
                - hand * hand * self.span * 0.07;
            let (cos, sin) = direction(turns);
            let quill = on_arm(u);
            let tip = (quill.0 + cos * reach, quill.1 + sin * reach);
            let colour = self.secondaries.mix(self.primaries, (hand * 3.0).min(1.0));
            let shade = if i % 2 == 0 { 1.0 } else { 0.86 };
            let paint = Paint::linear(colour.times(1.12 * shade), quill, colour.times(0.85 * shade), tip);
            let width = self.chord * (self.quill + 0.16 * (1.0 - hand).max(0.0));
            brush.fill(&Path::feather(quill, tip, width), &paint.bars(self.chord * 0.24, self.bars));
        }
        let front: Vec<Point> = [0.0, 0.25, 0.5, 0.75, 1.0].map(on_arm).to_vec();
        let mut outline: Vec<Point> = front.iter().map(|p| (p.0, p.1 - self.chord * 0.08)).collect();
        outline.push((front[4].0 + self.chord * 0.12, front[4].1 + self.chord * 0.1));
        for (i, depth) in [(3, 0.34), (2, 0.44), (1, 0.5), (0, 0.55)] {
            outline.push((front[i].0, front[i].1 + self.chord * depth));
        }
        let top = Paint::linear(
            self.coverts.times(1.15),
            (0.0, -self.lift - self.chord * 0.1),
            self.coverts.times(0.85),
            (0.0, self.chord * 0.5),
        );
        brush.fill(&Path::smooth(&outline), &top.scales(self.chord * 0.2, 0.22));
    }
}

/// Draws feathers in a fan about `root`, `turns` wide about the direction `middle`, each `reach` long.
/// `colour` is called with the position of a feather in the fan, from 0 to 1. The middle one lies on top.
pub(super) fn fan(
    brush: &mut Brush<'_>,
    root: Point,
    (middle, turns): (f64, f64),
    reach: f64,
    width: f64,
    colour: impl Fn(f64) -> Colour,
) {
    const FEATHERS: usize = 9;
    for k in 0..FEATHERS {
        // From both sides inwards.
        let i = if k % 2 == 0 { k / 2 } else { FEATHERS - 1 - k / 2 };
        let u = i as f64 / (FEATHERS - 1) as f64;
        let (cos, sin) = direction(middle + (u - 0.5) * turns);
        let tip = (root.0 + cos * reach, root.1 + sin * reach);
        let colour = colour(u);
        let shade = if i % 2 == 0 { 1.04 } else { 0.92 };
        let paint = Paint::linear(colour.times(0.8 * shade), root, colour.times(shade), tip);
        brush.fill(&Path::feather(root, tip, width), &paint);
    }
}

/// Returns a jagged lower edge, as where a hood of feathers ends: points from `left` to `right`, every other
/// one `depth` lower.
pub(super) fn ragged(left: Point, right: Point, teeth: usize, depth: f64) -> Vec<Point> {
    (0..=teeth * 2)
        .map(|i| {
            let p = between(left, right, i as f64 / (teeth * 2) as f64);
            (p.0, p.1 + if i % 2 == 1 { depth } else { 0.0 })
        })
        .collect()
}
