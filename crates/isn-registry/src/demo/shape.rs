//! Outlines: [`Path`], and the [`Affine`] maps that place them.
//!
//! All arithmetic here is IEEE `+ - * /` and `sqrt`, which round the same everywhere; the `sin` and `cos` of
//! a maths library do not.

use std::f64::consts::PI;

/// A point, with x to the right and y down.
pub(super) type Point = (f64, f64);

/// Returns `(cos, sin)` of an angle in whole turns, from Taylor polynomials at a quarter of the angle,
/// doubled twice.
pub(super) fn direction(turns: f64) -> Point {
    let angle = (turns - (turns + 0.5).floor()) * (PI / 2.0);
    let q = angle * angle;
    let mut sin = angle * (1.0 - q / 6.0 * (1.0 - q / 20.0 * (1.0 - q / 42.0 * (1.0 - q / 72.0))));
    let mut cos = 1.0 - q / 2.0 * (1.0 - q / 12.0 * (1.0 - q / 30.0 * (1.0 - q / 56.0 * (1.0 - q / 90.0))));
    for _ in 0..2 {
        (cos, sin) = (cos * cos - sin * sin, 2.0 * sin * cos);
    }
    (cos, sin)
}

/// Returns the point at `u` of the way from `a` to `b`.
pub(super) fn between(a: Point, b: Point, u: f64) -> Point {
    (a.0 + (b.0 - a.0) * u, a.1 + (b.1 - a.1) * u)
}

/// Returns the length of a vector.
pub(super) fn length(v: Point) -> f64 {
    (v.0 * v.0 + v.1 * v.1).sqrt()
}

/// A map from `(x, y)` to `(a x + c y + e, b x + d y + f)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    a: f64,
    b: f64,
    c: f64,
    d: f64,
    e: f64,
    f: f64,
}

impl Affine {
    /// Moves by `(x, y)`.
    pub(super) fn shift(x: f64, y: f64) -> Self {
        Affine { a: 1.0, b: 0.0, c: 0.0, d: 1.0, e: x, f: y }
    }

    /// Stretches along the axes; a negative factor mirrors.
    pub(super) fn scale(x: f64, y: f64) -> Self {
        Affine { a: x, b: 0.0, c: 0.0, d: y, e: 0.0, f: 0.0 }
    }

    /// Turns clockwise, as seen with y down.
    pub(super) fn turn(turns: f64) -> Self {
        let (cos, sin) = direction(turns);
        Affine { a: cos, b: sin, c: -sin, d: cos, e: 0.0, f: 0.0 }
    }

    /// Applies `inner` first, then this map.
    pub(super) fn of(self, inner: Affine) -> Self {
        let (a, b) = self.vector((inner.a, inner.b));
        let (c, d) = self.vector((inner.c, inner.d));
        let (e, f) = self.point((inner.e, inner.f));
        Affine { a, b, c, d, e, f }
    }

    /// Returns the image of `p`.
    pub(super) fn point(&self, p: Point) -> Point {
        (self.a * p.0 + self.c * p.1 + self.e, self.b * p.0 + self.d * p.1 + self.f)
    }

    fn vector(&self, v: Point) -> Point {
        (self.a * v.0 + self.c * v.1, self.b * v.0 + self.d * v.1)
    }

    /// Returns the inverse map. The maps made in this module are never singular: no drawing scales by zero.
    pub(super) fn inverse(&self) -> Self {
        let scale = 1.0 / (self.a * self.d - self.b * self.c);
        let (a, b, c, d) = (self.d * scale, -self.b * scale, -self.c * scale, self.a * scale);
        Affine { a, b, c, d, e: -(a * self.e + c * self.f), f: -(b * self.e + d * self.f) }
    }
}

/// One or more closed outlines. Everything that any of them winds around is inside.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) contours: Vec<Vec<Point>>,
}

/// The number of straight pieces in which a span of a curve is drawn.
const PIECES: usize = 8;

impl Path {
    /// Makes a polygon with these corners.
    pub(super) fn polygon(corners: &[Point]) -> Self {
        Path { contours: vec![wound_right(corners.to_vec())] }
    }

    /// Makes a closed Catmull-Rom curve through the points.
    pub(super) fn smooth(points: &[Point]) -> Self {
        let n = points.len();
        let at = |i: usize| points[i % n];
        let curve = (0..n).flat_map(|i| span([at(i + n - 1), at(i), at(i + 1), at(i + 2)]));
        Path { contours: vec![wound_right(curve.collect())] }
    }

    /// Makes an ellipse about `(x, y)`.
    pub(super) fn ellipse(x: f64, y: f64, rx: f64, ry: f64) -> Self {
        let points = (0..32).map(|i| {
            let (cos, sin) = direction(i as f64 / 32.0);
            (x + rx * cos, y + ry * sin)
        });
        Path { contours: vec![points.collect()] }
    }

    /// Makes a ribbon along the curve through `points`, with its full width given at the start and at the
    /// end, and round ends.
    pub(super) fn ribbon(points: &[Point], start: f64, end: f64) -> Self {
        let line = open_curve(points);
        let last = line.len() - 1;
        let half = |i: usize| (start + (end - start) * i as f64 / last as f64) / 2.0;
        let side = |i: usize, sign: f64| {
            let (before, after) = (line[i.saturating_sub(1)], line[(i + 1).min(last)]);
            let along = (after.0 - before.0, after.1 - before.1);
            let scale = sign * half(i) / length(along).max(1e-9);
            (line[i].0 - along.1 * scale, line[i].1 + along.0 * scale)
        };
        let outline: Vec<Point> =
            (0..=last).map(|i| side(i, 1.0)).chain((0..=last).rev().map(|i| side(i, -1.0))).collect();
        let mut contours = vec![wound_right(outline)];
        for i in [0, last] {
            contours.extend(Path::ellipse(line[i].0, line[i].1, half(i), half(i)).contours);
        }
        Path { contours }
    }

    /// Makes a feather from quill to tip: widest (`width` in all) two thirds of the way, with a rounded end.
    pub(super) fn feather(quill: Point, tip: Point, width: f64) -> Self {
        let along = (tip.0 - quill.0, tip.1 - quill.1);
        let across = (-along.1 / length(along).max(1e-9) * width, along.0 / length(along).max(1e-9) * width);
        let at =
            |u: f64, v: f64| (quill.0 + along.0 * u + across.0 * v, quill.1 + along.1 * u + across.1 * v);
        Path::smooth(&[
            at(0.0, 0.0),
            at(0.35, 0.38),
            at(0.72, 0.5),
            at(0.95, 0.3),
            at(1.0, 0.0),
            at(0.95, -0.3),
            at(0.72, -0.5),
            at(0.35, -0.38),
        ])
    }
}

/// Returns the Catmull-Rom curve through `points`, with its ends.
pub(super) fn open_curve(points: &[Point]) -> Vec<Point> {
    let last = points.len() - 1;
    let spans = (0..last).flat_map(|i| {
        span([points[i.saturating_sub(1)], points[i], points[i + 1], points[(i + 2).min(last)]])
    });
    spans.chain([points[last]]).collect()
}

/// Returns points from the second point to just before the third.
fn span([p0, p1, p2, p3]: [Point; 4]) -> impl Iterator<Item = Point> {
    (0..PIECES).map(move |i| {
        let t = i as f64 / PIECES as f64;
        let blend = |a: f64, b: f64, c: f64, d: f64| {
            0.5 * (2.0 * b
                + t * ((c - a) + t * ((2.0 * a - 5.0 * b + 4.0 * c - d) + t * (3.0 * (b - c) + d - a))))
        };
        (blend(p0.0, p1.0, p2.0, p3.0), blend(p0.1, p1.1, p2.1, p3.1))
    })
}

/// Two overlapping contours in opposite directions would cut a hole, so all go one way.
fn wound_right(mut contour: Vec<Point>) -> Vec<Point> {
    let next = contour.iter().cycle().skip(1);
    let area: f64 = contour.iter().zip(next).map(|(p, q)| p.0 * q.1 - q.0 * p.1).sum();
    if area < 0.0 {
        contour.reverse();
    }
    contour
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directions_are_those_of_the_circle() {
        for i in -100..100 {
            let turns = f64::from(i) / 37.0;
            let (cos, sin) = direction(turns);
            assert!((cos - libm::cos(turns * 2.0 * PI)).abs() < 1e-7, "{turns}");
            assert!((sin - libm::sin(turns * 2.0 * PI)).abs() < 1e-7, "{turns}");
        }
    }

    #[test]
    fn the_inverse_leads_back() {
        let there = Affine::shift(3.0, -2.0).of(Affine::turn(0.1)).of(Affine::scale(-2.0, 0.5));
        let (x, y) = there.inverse().point(there.point((0.7, 0.9)));
        assert!((x - 0.7).abs() < 1e-12 && (y - 0.9).abs() < 1e-12);
    }
}
