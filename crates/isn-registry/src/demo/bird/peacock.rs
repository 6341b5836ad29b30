//! The peacock: a neck of glowing blue, and a train of green feathers with an eye-spot on each.

use super::Pose;
use super::anatomy::eye;
use crate::demo::canvas::Brush;
use crate::demo::paint::{Colour, Paint, rgb};
use crate::demo::random::Random;
use crate::demo::scene::{self, Backdrop::*};
use crate::demo::shape::{Affine, Path, Point, direction};

pub(super) const POSES: &[Pose] = &[
    Pose { draw: displaying, backdrops: &[Meadow, Foliage, Garden, Autumn], scale: (0.78, 1.02), tilt: 0.01 },
    Pose {
        draw: walking,
        backdrops: &[Meadow, Foliage, Garden, Hills, Desert],
        scale: (0.74, 0.98),
        tilt: 0.01,
    },
    Pose { draw: displaying, backdrops: &[Foliage, Meadow, Water, Garden], scale: (0.9, 1.2), tilt: 0.02 },
    Pose { draw: portrait, backdrops: &[Foliage], scale: (0.85, 1.1), tilt: 0.015 },
];

fn blue(random: &mut Random) -> Colour {
    rgb(random.pick(&[0x1746b8, 0x1a52c4, 0x123aa6]))
}

/// An eye-spot at the end of a feather that points along `towards`.
fn spot(brush: &mut Brush<'_>, at: Point, towards: f64, size: f64) {
    let place = Affine::shift(at.0, at.1).of(Affine::turn(towards)).of(Affine::scale(size, size));
    let mut brush = brush.placed(place);
    for (x, along, across, colour) in [
        (0.0, 1.15, 0.95, 0xa8b43c),
        (0.02, 0.85, 0.72, 0xc08a34),
        (0.0, 0.58, 0.54, 0x24a8b4),
        (-0.06, 0.36, 0.38, 0x14206e),
    ] {
        brush.fill(&Path::ellipse(x, 0.0, along, across), &Paint::flat(rgb(colour)));
    }
}

/// The raised train about `root`: rings of feathers, the outermost first.
fn train(brush: &mut Brush<'_>, root: Point, reach: f64, half_width: f64) {
    let plate: Vec<Point> = (0..=72)
        .map(|i| {
            let (cos, sin) = direction(0.75 + (f64::from(i) / 36.0 - 1.0) * (half_width + 0.012));
            // Scalloped: the tips of the outermost feathers.
            let edge = reach * if i % 4 == 2 { 1.05 } else { 1.1 };
            (root.0 + cos * edge, root.1 + sin * edge)
        })
        .chain([root])
        .collect();
    let green = Paint::radial(root, (0.1, rgb(0x9a8a2c)), (reach, rgb(0x1f5238)));
    brush.fill(&Path::polygon(&plate), &green);
    for (ring, feathers) in [(1.0, 18), (0.82, 16), (0.65, 13), (0.5, 10)] {
        for i in 0..=feathers {
            // Every other ring stands in the gaps of the one before.
            let turns =
                0.75 + (2.0 * f64::from(i) / f64::from(feathers) - 1.0) * half_width * (0.94 + 0.06 * ring);
            let (cos, sin) = direction(turns);
            let tip = (root.0 + cos * reach * ring, root.1 + sin * reach * ring);
            let shaft = Paint::linear(rgb(0x8a9a3c), root, rgb(0x55883c), tip);
            brush.fill(
                &Path::feather(root, (tip.0 + cos * 0.05, tip.1 + sin * 0.05), 0.12),
                &shaft.alpha(0.55),
            );
            spot(brush, tip, turns, 0.056 + 0.026 * ring);
        }
    }
    brush.fill(
        &Path::ellipse(root.0, root.1 - 0.1, 0.3, 0.34),
        &Paint::flat(rgb(0x2c8a5c)).scales(0.07, 0.45),
    );
}

/// The head looking right, its middle at the origin, about one unit with the crest.
fn head(brush: &mut Brush<'_>, blue: Colour) {
    for i in 0..6 {
        let (cos, sin) = direction(0.66 + f64::from(i) * 0.03);
        let tip = (-0.04 + cos * 0.6, sin * 0.6);
        brush.fill(&Path::ribbon(&[(-0.03, -0.1), tip], 0.015, 0.02), &Paint::flat(rgb(0x2a3f70)));
        brush.fill(&Path::ellipse(tip.0, tip.1, 0.05, 0.055), &Paint::flat(rgb(0x2a7fd0)));
    }
    let beak = [(0.14, -0.07), (0.3, -0.02), (0.44, 0.07), (0.28, 0.07), (0.14, 0.06)];
    brush.fill(&Path::smooth(&beak), &Paint::flat(rgb(0xb8aea0)));
    brush.fill(&Path::ellipse(0.0, 0.0, 0.21, 0.18), &Paint::flat(blue.times(1.15)));
    for stripe in [[(-0.08, -0.1), (0.06, -0.1), (0.17, -0.03)], [(-0.12, 0.05), (0.0, 0.09), (0.12, 0.06)]] {
        brush.fill(&Path::ribbon(&stripe, 0.06, 0.05), &Paint::flat(rgb(0xf2f2f0)));
    }
    brush.fill(&Path::ribbon(&[(-0.14, -0.03), (0.18, 0.01)], 0.045, 0.04), &Paint::flat(rgb(0x12183a)));
    eye(brush, (0.05, -0.02), 0.035, rgb(0x6a3a20));
}

fn neck(brush: &mut Brush<'_>, line: &[Point], base: f64, blue: Colour) {
    let (start, end) = (line[0], line[line.len() - 1]);
    let paint = Paint::linear(blue.times(0.75), start, blue.times(1.3), end).scales(0.06, 0.22);
    brush.fill(&Path::ribbon(line, base, base * 0.42), &paint);
    let shine: Vec<Point> = line.iter().map(|p| (p.0 + base * 0.08, p.1)).collect();
    brush.fill(&Path::ribbon(&shine, base * 0.3, base * 0.12), &Paint::flat(rgb(0x2fa0e0)).alpha(0.45));
}

fn displaying(brush: &mut Brush<'_>, random: &mut Random) {
    let blue = blue(random);
    scene::ground(brush, random, 0.82);
    for x in [-0.08, 0.1] {
        brush.fill(&Path::ribbon(&[(x, 0.55), (x, 0.82)], 0.05, 0.04), &Paint::flat(rgb(0x8a8070)));
    }
    train(brush, (0.0, 0.42), random.range(1.08, 1.2), random.range(0.25, 0.3));
    let breast =
        [(0.0, 0.0), (0.2, 0.16), (0.24, 0.42), (0.12, 0.64), (-0.12, 0.64), (-0.24, 0.42), (-0.2, 0.16)];
    let paint = Paint::linear(blue.times(1.2), (0.0, 0.0), blue.times(0.6), (0.0, 0.6)).scales(0.07, 0.25);
    brush.fill(&Path::smooth(&breast), &paint);
    let sway = random.about(0.12);
    neck(brush, &[(0.0, 0.3), (-0.02 + sway * 0.3, 0.02), (sway, -0.22)], 0.3, blue);
    head(&mut brush.placed(Affine::shift(sway + 0.02, -0.28).of(Affine::scale(0.52, 0.52))), blue);
}

/// In profile, the train folded behind.
fn walking(brush: &mut Brush<'_>, random: &mut Random) {
    let blue = blue(random);
    scene::ground(brush, random, 0.78);
    let droop = random.range(0.45, 0.66);
    let folded =
        [(-0.1, -0.02), (-0.6, 0.1), (-1.5, droop), (-1.55, droop + 0.16), (-0.7, 0.55), (-0.1, 0.38)];
    let place = Affine::shift(0.28, 0.0);
    let mut brush = brush.placed(place);
    for x in [-0.02, 0.14] {
        brush.fill(
            &Path::ribbon(&[(x, 0.36), (x - 0.05, 0.58), (x + 0.01, 0.8)], 0.06, 0.035),
            &Paint::flat(rgb(0x8a8070)),
        );
    }
    let paint = Paint::linear(rgb(0x3c9a5a), (-0.1, 0.1), rgb(0x6a7a34), (-1.4, droop)).scales(0.1, 0.3);
    brush.fill(&Path::smooth(&folded), &paint);
    for i in 0..18 {
        let u = 0.18 + 0.82 * f64::from(i) / 17.0;
        let across = random.about(0.85);
        let at = (-0.15 - 1.25 * u, (0.2 + (droop - 0.14) * u) + across * 0.17);
        spot(&mut brush, at, 0.46, 0.085);
    }
    let body =
        [(0.35, -0.08), (0.36, 0.16), (0.2, 0.38), (-0.1, 0.44), (-0.35, 0.3), (-0.3, 0.06), (0.0, -0.04)];
    let paint = Paint::linear(blue.times(1.1), (0.3, 0.0), rgb(0x2a7a58), (-0.25, 0.2)).scales(0.08, 0.3);
    brush.fill(&Path::smooth(&body), &paint);
    let wing = [(0.08, 0.02), (0.1, 0.2), (-0.15, 0.36), (-0.45, 0.36), (-0.2, 0.1)];
    brush.fill(&Path::smooth(&wing), &Paint::flat(rgb(0xb89a6c)).bars(0.08, 0.35));
    let lean = random.about(0.1);
    neck(&mut brush, &[(0.2, 0.14), (0.36, -0.14), (0.38 + lean, -0.5)], 0.34, blue);
    head(&mut brush.placed(Affine::shift(0.4 + lean, -0.58).of(Affine::scale(0.58, 0.58))), blue);
}

fn portrait(brush: &mut Brush<'_>, random: &mut Random) {
    let blue = blue(random);
    let root = (-0.1, 0.9);
    // The train fills the frame behind.
    let green = Paint::radial(root, (0.3, rgb(0x8f8a38)), (2.4, rgb(0x2c5f3a)));
    brush.fill(&Path::polygon(&[(-4.0, -4.0), (4.0, -4.0), (4.0, 4.0), (-4.0, 4.0)]), &green);
    for ring in [2.1, 1.6, 1.15] {
        for i in 0..=12 {
            let turns = 0.5 + (f64::from(i) + if ring == 1.6 { 0.5 } else { 0.0 }) / 24.0;
            let (cos, sin) = direction(turns + random.about(0.006));
            let tip = (root.0 + cos * ring, root.1 + sin * ring);
            brush.fill(&Path::ribbon(&[root, tip], 0.01, 0.05), &Paint::flat(rgb(0x6f9440)).alpha(0.6));
            spot(brush, tip, turns, 0.15);
        }
    }
    let lean = random.about(0.12);
    neck(brush, &[(-0.2, 1.5), (-0.18, 0.5), (-0.02 + lean, -0.15)], 0.9, blue);
    head(&mut brush.placed(Affine::shift(0.02 + lean, -0.25).of(Affine::scale(1.15, 1.15))), blue);
}
