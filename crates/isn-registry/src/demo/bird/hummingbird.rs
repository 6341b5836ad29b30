//! The hummingbird: small and green, with a bill like a needle, its wings a blur before a flower.

use super::Pose;
use super::anatomy::{Wing, eye, fan};
use crate::demo::canvas::Brush;
use crate::demo::paint::{Colour, Paint, rgb};
use crate::demo::random::Random;
use crate::demo::scene::{self, Backdrop::*};
use crate::demo::shape::{Affine, Path};

pub(super) const POSES: &[Pose] = &[
    Pose { draw: hovering, backdrops: &[Garden, Foliage, Sky, Overcast], scale: (0.7, 0.95), tilt: 0.02 },
    Pose { draw: perched, backdrops: &[Garden, Foliage, Sky, Autumn], scale: (0.68, 0.95), tilt: 0.02 },
    Pose { draw: hovering, backdrops: &[Garden, Meadow, Foliage], scale: (0.66, 0.9), tilt: 0.03 },
    Pose { draw: darting, backdrops: &[Garden, Foliage, Sky, Overcast], scale: (0.66, 0.95), tilt: 0.04 },
];

struct Plumage {
    back: Colour,
    belly: Colour,
    throat: Colour,
}

fn plumage(random: &mut Random) -> Plumage {
    Plumage {
        back: rgb(random.pick(&[0x2c9a50, 0x3aa648, 0x1f8f5c, 0x4a9f3a])),
        belly: rgb(random.pick(&[0xdcdccf, 0xe8e6da, 0xc9d0be])),
        throat: rgb(random.pick(&[0xc4204a, 0xb8286a, 0x2a9f6a, 0xd03a30])),
    }
}

/// Body and head along the x axis, looking right: the eye at (0.36, -0.07), the bill's tip at (1, -0.04).
fn body(brush: &mut Brush<'_>, plumage: &Plumage) {
    fan(brush, (-0.38, 0.06), (0.47, 0.1), 0.42, 0.13, |u| plumage.back.mix(rgb(0x2a3a38), 0.35 + 0.4 * u));
    brush.fill(
        &Path::ribbon(&[(0.4, -0.05), (0.72, -0.05), (1.0, -0.02)], 0.05, 0.02),
        &Paint::flat(rgb(0x1c1a1a)),
    );
    let torso = [
        (0.5, -0.04),
        (0.44, -0.16),
        (0.3, -0.2),
        (0.12, -0.14),
        (-0.12, -0.13),
        (-0.42, -0.0),
        (-0.46, 0.08),
        (-0.25, 0.16),
        (0.05, 0.2),
        (0.28, 0.12),
        (0.45, 0.05),
    ];
    let paint = Paint::linear(plumage.back.times(1.15), (0.0, -0.16), plumage.back.times(0.7), (0.0, 0.2))
        .scales(0.07, 0.3);
    brush.fill(&Path::smooth(&torso), &paint);
    let belly =
        [(0.3, 0.06), (0.1, 0.03), (-0.15, 0.06), (-0.36, 0.08), (-0.2, 0.17), (0.05, 0.2), (0.22, 0.15)];
    brush.fill(
        &Path::smooth(&belly),
        &Paint::linear(plumage.belly, (0.0, 0.04), plumage.belly.times(0.8), (0.0, 0.2)),
    );
    let throat = [(0.46, -0.03), (0.34, -0.01), (0.2, 0.02), (0.16, 0.12), (0.28, 0.15), (0.42, 0.06)];
    let gorget =
        Paint::linear(plumage.throat.times(1.35), (0.3, -0.02), plumage.throat.times(0.8), (0.25, 0.14));
    brush.fill(&Path::smooth(&throat), &gorget.scales(0.05, 0.3));
    eye(brush, (0.36, -0.08), 0.038, rgb(0x221814));
    brush.fill(&Path::ellipse(0.3, -0.09, 0.022, 0.016), &Paint::flat(rgb(0xf4f4f0)));
}

/// A beating wing: drawn several times at neighbouring angles, each time almost transparent.
fn beating(brush: &mut Brush<'_>, turns: f64, size: f64, colour: Colour) {
    for i in 0..4 {
        let place = Affine::turn(turns + f64::from(i) * 0.018).of(Affine::scale(size, size));
        let tip = (0.82, -0.03);
        let vane = Path::feather((0.0, 0.0), tip, 0.34);
        let paint = Paint::linear(colour.times(0.75), (0.0, 0.0), colour.times(1.2), tip).streaks(0.12, 0.12);
        brush.placed(place).fill(&vane, &paint.alpha(0.34));
    }
}

fn wing_colour(random: &mut Random) -> Colour {
    rgb(random.pick(&[0x77706c, 0x8a8684, 0x5f5e66]))
}

fn hovering(brush: &mut Brush<'_>, random: &mut Random) {
    let (plumage, wing) = (plumage(random), wing_colour(random));
    let size = random.range(0.8, 0.95);
    let place =
        Affine::shift(-0.3, 0.1).of(Affine::turn(random.range(-0.1, -0.04))).of(Affine::scale(size, size));
    let bill = place.point((1.0, -0.02));
    scene::flower(
        &mut brush.placed(Affine::shift(bill.0 - 0.1, bill.1).of(Affine::scale(0.95, 0.95))),
        random,
    );
    let mut bird = brush.placed(place);
    let beat = random.range(-0.34, -0.26);
    beating(&mut bird.placed(Affine::shift(0.12, -0.08)), beat + 0.04, 0.95, wing.times(0.8));
    body(&mut bird, &plumage);
    beating(&mut bird.placed(Affine::shift(0.02, -0.04)), beat - 0.06, 1.1, wing);
}

/// Wings forward and back, seen from the side and a little from behind; no flower.
fn darting(brush: &mut Brush<'_>, random: &mut Random) {
    let (plumage, wing) = (plumage(random), wing_colour(random));
    let place = Affine::shift(-0.12, 0.05).of(Affine::turn(random.range(-0.09, 0.0)));
    let mut bird = brush.placed(place);
    let spread = Wing {
        span: 0.85,
        chord: 0.2,
        lift: 0.04,
        primaries: wing,
        secondaries: wing.times(1.1),
        coverts: wing.times(0.8),
        quill: 0.42,
        bars: 0.0,
    };
    let (far, near) = (random.range(-0.17, -0.1), random.range(-0.2, -0.12));
    spread.draw(
        &mut bird.placed(Affine::shift(0.12, -0.1).of(Affine::turn(far)).of(Affine::scale(0.85, 0.85))),
    );
    body(&mut bird, &plumage);
    let place = Affine::shift(0.04, -0.06).of(Affine::scale(-1.0, 1.0)).of(Affine::turn(near));
    spread.draw(&mut bird.placed(place));
}

fn perched(brush: &mut Brush<'_>, random: &mut Random) {
    let (plumage, wing) = (plumage(random), wing_colour(random));
    scene::branch(brush, random, 0.46, 0.07);
    let turn = random.range(-0.17, -0.1);
    let mut bird = brush.placed(Affine::shift(-0.06, 0.2).of(Affine::turn(turn)));
    body(&mut bird, &plumage);
    let folded = [(0.12, -0.06), (0.08, 0.04), (-0.2, 0.08), (-0.62, 0.12), (-0.35, -0.02), (-0.1, -0.1)];
    bird.fill(
        &Path::smooth(&folded),
        &Paint::linear(wing.times(0.9), (0.1, 0.0), wing.times(0.55), (-0.6, 0.1)),
    );
    for x in [-0.06, 0.04] {
        brush.fill(&Path::ribbon(&[(x, 0.38), (x + 0.01, 0.5)], 0.04, 0.05), &Paint::flat(rgb(0x4a3f3a)));
    }
}
