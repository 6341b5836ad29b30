//! The great grey owl: a round grey head that is all face, two ringed discs around small yellow eyes, and a
//! white moustache.

use super::Pose;
use super::anatomy::{Wing, eye, talons};
use crate::demo::canvas::Brush;
use crate::demo::paint::{Colour, Paint, rgb};
use crate::demo::random::Random;
use crate::demo::scene::{self, Backdrop::*};
use crate::demo::shape::{Affine, Path};

pub(super) const POSES: &[Pose] = &[
    Pose {
        draw: perched,
        backdrops: &[SnowyWood, Foliage, Overcast, Autumn, Dusk],
        scale: (0.7, 0.98),
        tilt: 0.012,
    },
    Pose {
        draw: portrait,
        backdrops: &[SnowyWood, Foliage, Autumn, Overcast],
        scale: (0.85, 1.15),
        tilt: 0.02,
    },
    Pose { draw: flying, backdrops: &[SnowyWood, Overcast, Meadow, Foliage], scale: (0.76, 1.0), tilt: 0.05 },
    Pose { draw: perched, backdrops: &[SnowyWood, Autumn, Meadow, Hills], scale: (0.7, 0.98), tilt: 0.012 },
];

fn grey(random: &mut Random) -> Colour {
    rgb(random.pick(&[0x8e8a84, 0x99938a, 0x7f7d7c])).times(random.range(0.92, 1.08))
}

/// The head from the front, with radius 1. `aside` moves the face to where the owl looks.
fn head(brush: &mut Brush<'_>, grey: Colour, aside: f64) {
    let crown = [
        (0.0, -0.95),
        (0.62, -0.8),
        (1.0, -0.15),
        (0.92, 0.45),
        (0.45, 0.92),
        (-0.45, 0.92),
        (-0.92, 0.45),
        (-1.0, -0.15),
        (-0.62, -0.8),
    ];
    let paint = Paint::linear(grey.times(1.1), (0.0, -0.9), grey.times(0.72), (0.0, 0.9)).bars(0.15, 0.2);
    brush.fill(&Path::smooth(&crown), &paint);
    let mut face = brush.placed(Affine::shift(aside * 0.3, 0.06));
    for side in [-1.0, 1.0] {
        // The far disc is foreshortened.
        let narrow = 1.0 - 0.35 * (aside * side).max(0.0);
        let centre = (side * 0.4 * narrow, 0.0);
        let mut disc = face.placed(Affine::shift(centre.0, centre.1).of(Affine::scale(narrow, 1.0)));
        disc.fill(&Path::ellipse(0.0, 0.0, 0.53, 0.6), &Paint::flat(rgb(0x3d3835)));
        let pale = rgb(0xd2cec8);
        let rings = Paint::radial((0.0, 0.0), (0.1, pale.times(0.82)), (0.5, pale.times(1.04)));
        disc.fill(&Path::ellipse(0.0, 0.0, 0.48, 0.55), &rings.rings((0.0, 0.0), 0.12, 0.15));
    }
    // Two white crescents back to back between the eyes, and the dark line where they meet.
    for side in [-1.0, 1.0] {
        let crescent = [(side * 0.2, -0.42), (side * 0.07, -0.2), (side * 0.05, 0.05), (side * 0.12, 0.26)];
        face.fill(&Path::ribbon(&crescent, 0.15, 0.1), &Paint::flat(rgb(0xf2f0ec)));
        let moustache = [(side * 0.03, 0.55), (side * 0.24, 0.68), (side * 0.54, 0.64)];
        face.fill(&Path::ribbon(&moustache, 0.24, 0.1), &Paint::flat(rgb(0xf4f2ee)));
    }
    face.fill(&Path::ribbon(&[(0.0, -0.5), (0.0, 0.0)], 0.09, 0.04), &Paint::flat(rgb(0x4a4541)));
    face.fill(
        &Path::smooth(&[(0.0, 0.44), (0.1, 0.58), (0.0, 0.74), (-0.1, 0.58)]),
        &Paint::flat(rgb(0x2c2826)),
    );
    for side in [-1.0, 1.0] {
        let narrow = 1.0 - 0.35 * (aside * side).max(0.0);
        let centre = (side * 0.33 * narrow, 0.0);
        face.fill(&Path::ellipse(centre.0, centre.1, 0.19 * narrow, 0.19), &Paint::flat(rgb(0x4b4541)));
        eye(&mut face.placed(Affine::shift(centre.0, centre.1)), (0.0, 0.0), 0.125, rgb(0xf7cf1d));
    }
    let beak = [(-0.09, 0.16), (0.09, 0.16), (0.08, 0.34), (0.0, 0.52), (-0.08, 0.34)];
    face.fill(&Path::smooth(&beak), &Paint::linear(rgb(0xeede9a), (0.0, 0.15), rgb(0xc8a850), (0.0, 0.5)));
}

fn body(brush: &mut Brush<'_>, grey: Colour) {
    let outline = [
        (0.0, -0.5),
        (0.4, -0.38),
        (0.52, 0.05),
        (0.45, 0.55),
        (0.2, 0.86),
        (-0.2, 0.86),
        (-0.45, 0.55),
        (-0.52, 0.05),
        (-0.4, -0.38),
    ];
    let paint = Paint::linear(grey.times(1.12), (0.0, -0.4), grey.times(0.85), (0.0, 0.9)).streaks(0.26, 0.5);
    brush.fill(&Path::smooth(&outline), &paint);
    for side in [-1.0, 1.0] {
        let wing = [(0.36, -0.4), (0.53, -0.2), (0.58, 0.3), (0.4, 0.96), (0.33, 0.6), (0.42, 0.1)];
        let wing: Vec<_> = wing.iter().map(|&(x, y)| (x * side, y)).collect();
        brush.fill(&Path::smooth(&wing), &Paint::flat(grey.times(0.68)).bars(0.13, 0.25));
    }
}

fn perched(brush: &mut Brush<'_>, random: &mut Random) {
    let grey = grey(random);
    let tail = [(-0.16, 0.7), (0.16, 0.7), (0.2, 1.3), (-0.2, 1.3)];
    brush.fill(&Path::polygon(&tail), &Paint::flat(grey.times(0.7)).bars(0.14, 0.3));
    match random.below(3) {
        0 => scene::post(brush, random, 0.84),
        _ => scene::branch(brush, random, 0.84, 0.18),
    }
    body(brush, grey);
    for side in [-0.14, 0.14] {
        talons(brush, (side, 0.86), 0.09, rgb(0x6f675e));
    }
    let aside = random.pick(&[0.0, 0.0, 0.4, 0.8]);
    let place = Affine::shift(0.0, -0.46).of(Affine::turn(random.about(0.04))).of(Affine::scale(0.56, 0.52));
    head(&mut brush.placed(place), grey, aside);
}

fn portrait(brush: &mut Brush<'_>, random: &mut Random) {
    let grey = grey(random);
    body(&mut brush.placed(Affine::shift(0.0, 1.15).of(Affine::scale(1.7, 1.7))), grey);
    let size = random.range(0.82, 0.94);
    let place = Affine::shift(0.0, -0.08).of(Affine::turn(random.about(0.04))).of(Affine::scale(size, size));
    head(&mut brush.placed(place), grey, random.range(-0.2, 0.7));
}

fn flying(brush: &mut Brush<'_>, random: &mut Random) {
    let grey = grey(random);
    let wing = Wing {
        span: random.range(0.95, 1.05),
        chord: random.range(0.48, 0.54),
        lift: random.range(0.05, 0.35),
        primaries: grey.times(0.95),
        secondaries: grey.times(1.05),
        coverts: grey.times(0.8),
        quill: 0.26,
        bars: 0.3,
    };
    for side in [-1.0, 1.0] {
        wing.draw(&mut brush.placed(Affine::scale(side, 1.0)).placed(Affine::shift(0.1, -0.1)));
    }
    body(&mut brush.placed(Affine::shift(0.0, 0.2).of(Affine::scale(0.5, 0.42))), grey);
    for side in [-0.1, 0.1] {
        brush.fill(&Path::ribbon(&[(side, 0.42), (side, 0.58)], 0.12, 0.09), &Paint::flat(grey.times(0.9)));
        talons(brush, (side, 0.6), 0.06, rgb(0x3f3a36));
    }
    head(&mut brush.placed(Affine::shift(0.0, -0.12).of(Affine::scale(0.38, 0.36))), grey, random.about(0.3));
}
