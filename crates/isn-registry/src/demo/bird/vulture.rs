//! The vulture: dark and hunched, with a bald reddish head that hangs from a ruff.

use super::Pose;
use super::anatomy::{Wing, eye, fan, hooked_beak, talons};
use crate::demo::canvas::Brush;
use crate::demo::paint::{Colour, Paint, rgb};
use crate::demo::random::Random;
use crate::demo::scene::{self, Backdrop::*};
use crate::demo::shape::{Affine, Path, Point, direction};

pub(super) const POSES: &[Pose] = &[
    Pose {
        draw: hunched,
        backdrops: &[Desert, Sky, Overcast, Meadow, Dusk],
        scale: (0.68, 0.95),
        tilt: 0.01,
    },
    Pose { draw: soaring, backdrops: &[Sky, Overcast, Desert], scale: (0.74, 1.0), tilt: 0.06 },
    Pose {
        draw: portrait,
        backdrops: &[Desert, Foliage, Meadow, Overcast],
        scale: (0.85, 1.12),
        tilt: 0.015,
    },
    Pose { draw: sunning, backdrops: &[Sky, Desert, Hills, Meadow], scale: (0.72, 0.92), tilt: 0.01 },
];

fn black(random: &mut Random) -> Colour {
    rgb(random.pick(&[0x2c2724, 0x332a24, 0x27262a])).times(random.range(0.9, 1.15))
}

fn skin(random: &mut Random) -> Colour {
    rgb(random.pick(&[0xc4504a, 0xb84440, 0xcf6458]))
}

/// The bare head looking right, its middle at the origin, about one unit long with the beak.
fn head(brush: &mut Brush<'_>, skin: Colour) {
    hooked_beak(brush, (0.2, 0.03), 0.42, rgb(0xe9dcc0), rgb(0xcfbf9c));
    let skull = [
        (0.34, 0.02),
        (0.26, -0.14),
        (0.06, -0.23),
        (-0.18, -0.2),
        (-0.32, -0.02),
        (-0.26, 0.17),
        (0.0, 0.21),
        (0.26, 0.17),
    ];
    let paint = Paint::linear(skin.times(1.2), (0.0, -0.2), skin.times(0.75), (0.0, 0.22)).bars(0.09, 0.06);
    brush.fill(&Path::smooth(&skull), &paint);
    for (y, width) in [(-0.02, 0.02), (0.05, 0.02)] {
        let fold = [(-0.24, y - 0.03), (-0.12, y + 0.05), (-0.02, y + 0.12)];
        brush.fill(&Path::ribbon(&fold, width, width), &Paint::flat(skin.times(0.6)));
    }
    eye(brush, (0.08, -0.05), 0.045, rgb(0x7a4a28));
}

/// A collar of short feathers in a ring about the origin.
fn ruff(brush: &mut Brush<'_>, size: f64, random: &mut Random) {
    let pale = rgb(random.pick(&[0xd9cbb4, 0xc8bba8, 0xe6ddd0]));
    for i in 0..20 {
        let (cos, sin) = direction(f64::from(i) * 7.0 / 20.0);
        let reach = size * random.range(0.85, 1.1);
        let paint = Paint::flat(pale.times(random.range(0.8, 1.08)));
        brush.fill(
            &Path::feather(
                (cos * size * 0.1, sin * size * 0.08),
                (cos * reach, sin * reach * 0.72),
                size * 0.5,
            ),
            &paint,
        );
    }
}

fn bare_neck(brush: &mut Brush<'_>, line: &[Point], start: f64, end: f64, skin: Colour) {
    let paint = Paint::linear(skin.times(1.0), (0.0, -0.8), skin.times(0.62), (0.0, 0.0)).bars(0.07, 0.12);
    brush.fill(&Path::ribbon(line, start, end), &paint);
}

fn hunched(brush: &mut Brush<'_>, random: &mut Random) {
    let (black, skin) = (black(random), skin(random));
    fan(brush, (-0.3, 0.55), (0.31, 0.05), 0.5, 0.18, |_| black.times(0.8));
    match random.below(3) {
        0 => scene::branch(brush, random, 0.82, 0.22),
        1 => scene::post(brush, random, 0.82),
        _ => scene::rock(brush, random, 0.82),
    }
    for x in [-0.05, 0.15] {
        brush.fill(&Path::ribbon(&[(x, 0.6), (x + 0.02, 0.8)], 0.08, 0.07), &Paint::flat(rgb(0xb8a890)));
        talons(brush, (x + 0.02, 0.82), 0.09, rgb(0xb8a890));
    }
    let body = [
        (-0.28, -0.66),
        (0.02, -0.68),
        (0.26, -0.42),
        (0.36, -0.05),
        (0.34, 0.35),
        (0.2, 0.66),
        (-0.1, 0.76),
        (-0.36, 0.7),
        (-0.55, 0.2),
        (-0.52, -0.35),
    ];
    let paint = Paint::linear(black.times(1.7), (0.2, -0.6), black.times(0.9), (0.0, 0.7)).scales(0.13, 0.35);
    brush.fill(&Path::smooth(&body), &paint);
    let wing = [
        (-0.36, -0.6),
        (-0.08, -0.56),
        (0.1, -0.2),
        (0.08, 0.25),
        (-0.12, 0.62),
        (-0.42, 1.0),
        (-0.56, 0.6),
        (-0.62, 0.0),
    ];
    let paint =
        Paint::linear(black.times(1.5), (0.0, -0.6), black.times(0.65), (-0.3, 0.9)).scales(0.16, 0.4);
    brush.fill(&Path::smooth(&wing), &paint);
    let low = random.range(-0.1, 0.12);
    bare_neck(brush, &[(0.12, -0.5), (0.34, -0.66 + low * 0.5), (0.5, -0.5 + low)], 0.24, 0.17, skin);
    ruff(&mut brush.placed(Affine::shift(0.15, -0.45).of(Affine::turn(0.1))), 0.26, random);
    bare_neck(brush, &[(0.2, -0.55), (0.36, -0.66 + low * 0.5), (0.5, -0.5 + low)], 0.2, 0.17, skin);
    let place = Affine::shift(0.54, -0.5 + low).of(Affine::turn(random.range(0.0, 0.08)));
    head(&mut brush.placed(place.of(Affine::scale(0.62, 0.62))), skin);
}

fn portrait(brush: &mut Brush<'_>, random: &mut Random) {
    let (black, skin) = (black(random), skin(random));
    let shoulders = [(-1.1, 0.7), (-0.6, 0.35), (0.0, 0.42), (0.5, 0.8), (0.7, 1.6), (0.0, 2.4), (-1.3, 1.6)];
    let paint = Paint::linear(black.times(1.6), (0.0, 0.3), black.times(0.8), (0.0, 1.3)).scales(0.2, 0.35);
    brush.fill(&Path::smooth(&shoulders), &paint);
    bare_neck(brush, &[(-0.35, 0.6), (-0.32, 0.1), (-0.1, -0.25)], 0.5, 0.42, skin);
    ruff(&mut brush.placed(Affine::shift(-0.32, 0.5)), 0.62, random);
    bare_neck(brush, &[(-0.36, 0.36), (-0.3, 0.0), (-0.1, -0.25)], 0.42, 0.42, skin);
    let place = Affine::shift(0.0, -0.3).of(Affine::turn(random.range(0.0, 0.05)));
    head(&mut brush.placed(place.of(Affine::scale(1.25, 1.25))), skin);
}

fn spread(random: &mut Random, black: Colour) -> Wing {
    Wing {
        span: random.range(0.98, 1.08),
        chord: random.range(0.4, 0.46),
        lift: random.range(0.2, 0.42),
        primaries: black.mix(rgb(0xb4aca4), random.range(0.3, 0.6)),
        secondaries: black.mix(rgb(0xb4aca4), random.range(0.2, 0.5)),
        coverts: black,
        quill: 0.15,
        bars: 0.0,
    }
}

fn soaring(brush: &mut Brush<'_>, random: &mut Random) {
    let (black, skin) = (black(random), skin(random));
    let wing = spread(random, black);
    fan(brush, (0.0, 0.1), (0.25, 0.09), 0.48, 0.16, |_| black.mix(rgb(0x8f8880), 0.3));
    for side in [-1.0, 1.0] {
        wing.draw(&mut brush.placed(Affine::scale(side, 1.0)).placed(Affine::shift(0.05, -0.08)));
    }
    brush.fill(&Path::ellipse(0.0, 0.02, 0.15, 0.32), &Paint::flat(black.times(1.2)).scales(0.1, 0.3));
    ruff(&mut brush.placed(Affine::shift(0.0, -0.26)), 0.13, random);
    let place = Affine::shift(0.02, -0.36).of(Affine::turn(random.pick(&[-0.02, -0.12, 0.05])));
    head(&mut brush.placed(place.of(Affine::scale(0.42, 0.42))), skin);
}

/// Wings held out to dry, as vultures do in the morning.
fn sunning(brush: &mut Brush<'_>, random: &mut Random) {
    let (black, skin) = (black(random), skin(random));
    fan(brush, (0.0, 0.5), (0.25, 0.06), 0.45, 0.16, |_| black.times(0.8));
    if random.chance(0.5) {
        scene::post(brush, random, 0.8);
    } else {
        scene::rock(brush, random, 0.8);
    }
    let wing = Wing { lift: random.range(0.1, 0.25), chord: 0.62, ..spread(random, black) };
    for side in [-1.0, 1.0] {
        let place = Affine::scale(side, 1.0).of(Affine::shift(0.12, -0.28)).of(Affine::turn(0.02));
        wing.draw(&mut brush.placed(place));
        talons(brush, (side * 0.1, 0.8), 0.09, rgb(0xb8a890));
    }
    let body = [
        (0.0, -0.46),
        (0.24, -0.25),
        (0.27, 0.2),
        (0.17, 0.66),
        (0.0, 0.78),
        (-0.17, 0.66),
        (-0.27, 0.2),
        (-0.24, -0.25),
    ];
    let paint = Paint::linear(black.times(1.6), (0.0, -0.4), black.times(0.9), (0.0, 0.7)).scales(0.12, 0.35);
    brush.fill(&Path::smooth(&body), &paint);
    bare_neck(brush, &[(0.0, -0.35), (0.03, -0.55), (0.1, -0.66)], 0.2, 0.15, skin);
    ruff(&mut brush.placed(Affine::shift(0.0, -0.36)), 0.24, random);
    bare_neck(brush, &[(0.01, -0.45), (0.04, -0.58), (0.1, -0.66)], 0.17, 0.15, skin);
    head(&mut brush.placed(Affine::shift(0.15, -0.68).of(Affine::scale(0.56, 0.56))), skin);
}
