//! The bald eagle: dark brown, head and tail white, a big yellow hook of a beak.

use super::Pose;
use super::anatomy::{Wing, eye, fan, hooked_beak, ragged, talons};
use crate::demo::canvas::Brush;
use crate::demo::paint::{Colour, Paint, rgb};
use crate::demo::random::Random;
use crate::demo::scene::{self, Backdrop::*};
use crate::demo::shape::{Affine, Path};

pub(super) const POSES: &[Pose] = &[
    Pose {
        draw: perched,
        backdrops: &[Sky, Foliage, Overcast, Hills, Water],
        scale: (0.64, 0.92),
        tilt: 0.01,
    },
    Pose { draw: soaring, backdrops: &[Sky, Overcast, Hills, Dusk], scale: (0.7, 1.0), tilt: 0.06 },
    Pose {
        draw: portrait,
        backdrops: &[Foliage, Sky, Water, Autumn, Overcast],
        scale: (0.8, 1.1),
        tilt: 0.015,
    },
    Pose { draw: flapping, backdrops: &[Sky, Water, Hills, Overcast], scale: (0.68, 0.95), tilt: 0.03 },
];

const WHITE: u32 = 0xf6f4ee;
const YELLOW: u32 = 0xf5b81e;

fn brown(random: &mut Random) -> Colour {
    rgb(random.pick(&[0x4a3424, 0x3d2b20, 0x553d2a])).times(random.range(0.9, 1.1))
}

/// The head on its neck, looking right; the neck ends ragged at about (0, 0.55). One unit is the whole
/// height.
fn head(brush: &mut Brush<'_>, nape: Colour) {
    let mut outline = vec![
        (0.34, 0.1),
        (0.3, -0.14),
        (0.12, -0.3),
        (-0.1, -0.3),
        (-0.27, -0.14),
        (-0.34, 0.15),
        (-0.42, 0.42),
    ];
    outline.extend(ragged((-0.46, 0.56), (0.34, 0.6), 5, 0.12));
    outline.push((0.33, 0.36));
    let white = Paint::linear(rgb(WHITE), (0.1, -0.3), nape, (-0.3, 1.0)).streaks(0.2, 0.05);
    brush.fill(&Path::smooth(&outline), &white);
    hooked_beak(brush, (0.3, 0.01), 0.38, rgb(YELLOW), rgb(0xe89c10));
    eye(brush, (0.15, -0.07), 0.055, rgb(0xf4d860));
    let brow = [(0.02, -0.17), (0.16, -0.155), (0.28, -0.1)];
    brush.fill(&Path::ribbon(&brow, 0.02, 0.045), &Paint::flat(rgb(0xb8b0a4)));
}

fn perched(brush: &mut Brush<'_>, random: &mut Random) {
    let brown = brown(random);
    fan(brush, (-0.2, 0.6), (0.3, 0.07), 0.72, 0.2, |_| rgb(WHITE));
    if random.chance(0.5) {
        scene::branch(brush, random, 0.86, 0.2);
    } else {
        scene::rock(brush, random, 0.86);
    }
    let body = [
        (-0.2, -0.5),
        (0.18, -0.48),
        (0.38, -0.2),
        (0.42, 0.12),
        (0.32, 0.45),
        (0.22, 0.72),
        (0.02, 0.82),
        (-0.2, 0.74),
        (-0.36, 0.4),
        (-0.4, -0.1),
    ];
    let paint = Paint::linear(brown.times(1.35), (0.2, -0.4), brown.times(0.8), (0.0, 0.8)).scales(0.13, 0.3);
    brush.fill(&Path::smooth(&body), &paint);
    for x in [-0.02, 0.2] {
        let thigh = [(x - 0.12, 0.45), (x + 0.12, 0.45), (x + 0.1, 0.75), (x, 0.84), (x - 0.09, 0.76)];
        brush.fill(&Path::smooth(&thigh), &Paint::flat(brown.times(0.95)).scales(0.08, 0.2));
        talons(brush, (x + 0.02, 0.85), 0.1, rgb(YELLOW));
    }
    let wing = [
        (-0.28, -0.42),
        (-0.06, -0.36),
        (0.06, -0.05),
        (0.02, 0.35),
        (-0.18, 0.72),
        (-0.4, 1.02),
        (-0.47, 0.6),
        (-0.46, 0.0),
    ];
    let paint =
        Paint::linear(brown.times(1.15), (0.0, -0.4), brown.times(0.65), (-0.3, 1.0)).scales(0.15, 0.34);
    brush.fill(&Path::smooth(&wing), &paint);
    let turn = random.about(0.05);
    head(
        &mut brush
            .placed(Affine::shift(0.08, -0.72).of(Affine::turn(turn)))
            .placed(Affine::scale(0.78, 0.78)),
        rgb(0xe4ddd0),
    );
}

fn portrait(brush: &mut Brush<'_>, random: &mut Random) {
    let brown = brown(random);
    let shoulders =
        [(-0.6, 0.55), (-0.2, 0.38), (0.3, 0.4), (0.62, 0.7), (0.75, 1.6), (0.0, 2.4), (-1.1, 1.6)];
    let paint = Paint::linear(brown.times(1.3), (0.0, 0.4), brown.times(0.8), (0.0, 1.3)).scales(0.2, 0.3);
    brush.fill(&Path::smooth(&shoulders), &paint);
    let size = random.range(1.35, 1.55);
    let place = Affine::shift(-0.1, -0.1).of(Affine::turn(random.about(0.03))).of(Affine::scale(size, size));
    head(&mut brush.placed(place), rgb(0xe0d8ca));
}

fn spread(random: &mut Random, brown: Colour) -> Wing {
    Wing {
        span: random.range(0.98, 1.08),
        chord: random.range(0.38, 0.44),
        lift: random.range(-0.02, 0.24),
        primaries: brown.times(0.8),
        secondaries: brown.times(1.0),
        coverts: brown.times(1.25),
        quill: 0.2,
        bars: 0.0,
    }
}

fn soaring(brush: &mut Brush<'_>, random: &mut Random) {
    let brown = brown(random);
    let wing = spread(random, brown);
    fan(brush, (0.0, 0.15), (0.25, 0.15), 0.55, 0.2, |_| rgb(WHITE));
    for side in [-1.0, 1.0] {
        wing.draw(&mut brush.placed(Affine::scale(side, 1.0)).placed(Affine::shift(0.06, -0.1)));
    }
    let body = Paint::linear(brown.times(1.35), (0.0, -0.3), brown.times(0.8), (0.0, 0.4)).scales(0.09, 0.25);
    brush.fill(&Path::ellipse(0.0, 0.04, 0.15, 0.33), &body);
    let size = 0.46;
    let turn = random.pick(&[0.0, -0.04, -0.1]);
    head(
        &mut brush.placed(Affine::shift(0.0, -0.36).of(Affine::turn(turn)).of(Affine::scale(size, size))),
        rgb(WHITE),
    );
}

fn flapping(brush: &mut Brush<'_>, random: &mut Random) {
    let brown = brown(random);
    let wing = spread(random, brown);
    let (far, near) = (random.range(-0.17, -0.1), random.range(-0.2, -0.12));
    let shoulder = Affine::shift(0.12, -0.1);
    wing.draw(&mut brush.placed(shoulder.of(Affine::turn(far)).of(Affine::scale(0.82, 0.82))));
    fan(brush, (-0.35, 0.16), (0.48, 0.09), 0.55, 0.18, |_| rgb(WHITE));
    let body =
        [(0.42, -0.12), (0.3, 0.12), (0.0, 0.24), (-0.35, 0.22), (-0.5, 0.12), (-0.2, -0.06), (0.2, -0.22)];
    let paint = Paint::linear(brown.times(1.3), (0.0, -0.2), brown.times(0.7), (0.0, 0.25)).scales(0.09, 0.3);
    brush.fill(&Path::smooth(&body), &paint);
    talons(brush, (-0.1, 0.27), 0.07, rgb(YELLOW));
    let place = Affine::shift(0.44, -0.14).of(Affine::turn(0.86)).of(Affine::scale(0.5, 0.5));
    head(&mut brush.placed(place.of(Affine::turn(0.1))), rgb(WHITE));
    wing.draw(
        &mut brush.placed(Affine::shift(0.1, -0.06).of(Affine::scale(-1.0, 1.0)).of(Affine::turn(near))),
    );
}
