//! The surroundings of a bird: the [`Backdrop`] behind it, out of focus, and what it sits on.

use super::canvas::{Brush, Canvas};
use super::paint::{Colour, Paint, rgb};
use super::random::{Random, noise};
use super::shape::{Affine, Path, Point, direction};

/// A kind of surroundings. Each drawing of it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backdrop {
    /// Blue, with or without clouds.
    Sky,
    /// Grey and bright.
    Overcast,
    /// Orange below, blue above.
    Dusk,
    /// Hills below a sky.
    Hills,
    /// Green leaves and spots of light.
    Foliage,
    /// Leaves in red and gold.
    Autumn,
    /// Ripples.
    Water,
    /// Trunks and snow.
    SnowyWood,
    /// Grass.
    Meadow,
    /// Sand and far rocks.
    Desert,
    /// Leaves and flowers.
    Garden,
}

/// Paints the whole canvas.
pub(super) fn paint(canvas: &mut Canvas, backdrop: Backdrop, random: &mut Random) {
    let soft = (canvas.width().min(canvas.height()) / 28.0) as usize;
    match backdrop {
        Backdrop::Sky => {
            let top = rgb(random.pick(&[0x3f78b8, 0x5a94cf, 0x4a86c0, 0x7fb0dc]));
            gradient(canvas, top, rgb(random.pick(&[0xb9d6ee, 0xa4c8e8, 0xd8e6f0])));
            if random.chance(0.5) {
                clouds(canvas, random, 0.75);
            }
        }
        Backdrop::Overcast => {
            gradient(
                canvas,
                rgb(random.pick(&[0xb4bcc4, 0xc8ccd0])),
                rgb(random.pick(&[0xe4e6e6, 0xd6dade])),
            );
            clouds(canvas, random, 0.35);
        }
        Backdrop::Dusk => {
            gradient(
                canvas,
                rgb(random.pick(&[0x47568c, 0x6a6f9f])),
                rgb(random.pick(&[0xf0b070, 0xf4c692])),
            );
            clouds(canvas, random, 0.3);
        }
        Backdrop::Hills => {
            gradient(canvas, rgb(0x86b2d8), rgb(0xdfe8ea));
            let base = random.range(0.0, 0.35);
            for (i, far) in [0.0, 0.5, 1.0].into_iter().enumerate() {
                let colour = rgb(0x90a8b0).mix(rgb(random.pick(&[0x4f6f42, 0x5f7040])), far);
                ridge(&mut canvas.brush(), random, base + 0.22 * i as f64, colour);
            }
            canvas.blur(soft / 2);
        }
        Backdrop::Foliage => {
            let ground = random.pick(&[0x3f6a32, 0x55803e, 0x6f9648, 0x2f5330]);
            blobs(canvas, random, ground, &[0x87a94e, 0x5f8a3c, 0x2f5228, 0xa9c46a, 0x466f35], soft);
        }
        Backdrop::Autumn => {
            let ground = random.pick(&[0x9a6a30, 0x80602c]);
            blobs(canvas, random, ground, &[0xd09038, 0xb05a28, 0x6d5a2a, 0xe0b860, 0x8a7a3a], soft);
        }
        Backdrop::Water => {
            let (trough, crest) =
                random.pick(&[(0x2f5f7c, 0x7fb0c4), (0x3f6f6c, 0x8fb8a8), (0x54789a, 0xb4cadb)]);
            let (trough, crest, seed) = (rgb(trough), rgb(crest), random.bits());
            let half = canvas.height();
            canvas.repaint(|x, y, _| {
                let depth = y / half;
                let near = 0.05 + 0.10 * depth;
                let ripple = noise(x / half * 2.2 / near * 0.35, y / half / near * 2.4, seed);
                trough.mix(crest, ripple * 0.7 + (1.0 - depth) * 0.3)
            });
            canvas.blur(soft / 3);
        }
        Backdrop::SnowyWood => {
            gradient(canvas, rgb(random.pick(&[0xaebccb, 0xc2ccd6])), rgb(0xe9eef2));
            let mut brush = canvas.brush();
            for _ in 0..5 + random.below(5) {
                let (x, width, lean) = (random.range(-1.6, 1.6), random.range(0.06, 0.2), random.about(0.15));
                let bark = rgb(random.pick(&[0x75706c, 0x5d5a5a, 0x8f8a84, 0x4f5a50]));
                brush.fill(&Path::ribbon(&[(x, -2.0), (x + lean, 1.2)], width, width), &Paint::flat(bark));
            }
            ridge(&mut brush, random, 0.7, rgb(0xf0f3f6));
            canvas.blur(soft);
        }
        Backdrop::Meadow => {
            let (far, near) =
                random.pick(&[(0xb4c98a, 0x5c8a38), (0xcbc890, 0x8a8a40), (0xa8c8b0, 0x4f8440)]);
            gradient(canvas, rgb(far), rgb(near));
            let seed = random.bits();
            let unit = canvas.height() / 22.0;
            canvas.repaint(|x, y, c| c.times(0.86 + 0.28 * noise(x / unit, y / unit / 3.0, seed)));
            canvas.blur(soft / 3);
        }
        Backdrop::Desert => {
            gradient(canvas, rgb(random.pick(&[0x9fc0d8, 0xc8d4d8])), rgb(0xf0e4cc));
            let mut brush = canvas.brush();
            for (height, colour) in [(0.15, 0xc0a080), (0.4, 0xd0a870), (0.65, 0xc09458)] {
                let height = height + random.about(0.1);
                ridge(&mut brush, random, height, rgb(colour));
            }
            canvas.blur(soft / 2);
        }
        Backdrop::Garden => {
            let ground = random.pick(&[0x6f9a58, 0x8fb478, 0x4f7f4a, 0xa8c4a0]);
            let spots = [0x8fb860, 0x5f9048, 0xc4d890, 0xd87a94, 0x5a8a4a, 0xe8b0b8];
            blobs(canvas, random, ground, &spots, soft + 2);
        }
    }
}

fn gradient(canvas: &mut Canvas, top: Colour, bottom: Colour) {
    let height = canvas.height();
    canvas.repaint(|_, y, _| top.mix(bottom, y / height));
}

fn clouds(canvas: &mut Canvas, random: &mut Random, strength: f64) {
    let (unit, seed, cover) = (canvas.height() / 2.2, random.bits(), random.range(0.4, 0.55));
    canvas.repaint(|x, y, sky| {
        let (x, y) = (x / unit, y / unit * 2.0);
        let thick = noise(x, y, seed) * 0.6
            + noise(x * 2.3, y * 2.3, seed) * 0.3
            + noise(x * 5.0, y * 5.0, seed) * 0.1;
        sky.mix(rgb(0xfafafa), ((thick - cover) * 4.0).clamp(0.0, 1.0) * strength)
    });
}

fn blobs(canvas: &mut Canvas, random: &mut Random, ground: u32, colours: &[u32], soft: usize) {
    let ground = rgb(ground);
    gradient(canvas, ground.times(1.15), ground.times(0.8));
    let mut brush = canvas.brush();
    for _ in 0..45 {
        let (x, y, size) = (random.range(-1.6, 1.6), random.range(-1.6, 1.6), random.range(0.1, 0.38));
        let colour = rgb(random.pick(colours)).mix(ground, 0.15);
        brush
            .fill(&Path::ellipse(x, y, size, size * random.range(0.6, 1.0)), &Paint::flat(colour).alpha(0.7));
    }
    canvas.blur(soft);
}

/// Draws a skyline about the height `y`, filled to the bottom.
fn ridge(brush: &mut Brush<'_>, random: &mut Random, y: f64, colour: Colour) {
    let crest: Vec<Point> = (-5..=5).map(|i| (f64::from(i) * 0.4, y + random.about(0.16))).collect();
    let mut outline = super::shape::open_curve(&crest);
    outline.extend([(2.0, 3.0), (-2.0, 3.0)]);
    brush.fill(
        &Path::polygon(&outline),
        &Paint::linear(colour.times(1.08), (0.0, y), colour.times(0.9), (0.0, y + 1.0)),
    );
}

/// Draws a branch from edge to edge, with its upper side at `(0, y)` and some twigs and leaves below.
pub(super) fn branch(brush: &mut Brush<'_>, random: &mut Random, y: f64, thick: f64) {
    let slope = random.about(0.12);
    let middle = y + thick / 2.0;
    let line = [
        (-3.0, middle - 3.0 * slope + random.about(0.2)),
        (-1.0, middle - slope + random.about(0.04)),
        (0.0, middle),
        (1.0, middle + slope + random.about(0.04)),
        (3.0, middle + 3.0 * slope + random.about(0.2)),
    ];
    let bark = rgb(random.pick(&[0x6b5138, 0x7d6a55, 0x5a4a3c, 0x857868]));
    if random.chance(0.6) {
        let leaf = rgb(random.pick(&[0x5d8f3a, 0x7aa648, 0x4a7a38]));
        for _ in 0..2 + random.below(3) {
            let start = (random.pick(&[-1.0, 1.0]) * random.range(0.55, 1.2), middle);
            let end = (start.0 + random.about(0.4), middle + random.range(0.1, 0.4));
            brush
                .fill(&Path::ribbon(&[start, end], thick * 0.25, thick * 0.1), &Paint::flat(bark.times(0.8)));
            for _ in 0..3 {
                let (cos, sin) = direction(random.unit());
                let tip = (end.0 + cos * 0.2, end.1 + sin * 0.16);
                brush.fill(&Path::feather(end, tip, 0.1), &Paint::flat(leaf.times(random.range(0.8, 1.15))));
            }
        }
    }
    let paint =
        Paint::linear(bark.times(1.25), (0.0, y), bark.times(0.6), (0.0, y + thick)).streaks(0.12, 0.18);
    brush.fill(&Path::ribbon(&line, thick * 1.15, thick * 0.85), &paint);
}

/// Draws the top of a rock or a dead stump, with its upper edge about `y`.
pub(super) fn rock(brush: &mut Brush<'_>, random: &mut Random, y: f64) {
    let stone = rgb(random.pick(&[0x8c8880, 0x9a8a74, 0x74706c, 0xa49a8a]));
    let (left, right) = (-random.range(0.6, 1.1), random.range(0.6, 1.1));
    let outline = [
        (left, y + 0.9),
        (left * 0.85, y + 0.25),
        (left * 0.45, y + 0.02),
        (0.0, y),
        (right * 0.5, y + 0.04),
        (right * 0.9, y + 0.3),
        (right * 1.1, y + 1.2),
        (0.0, y + 1.6),
    ];
    let paint =
        Paint::linear(stone.times(1.2), (-0.2, y), stone.times(0.55), (0.2, y + 0.8)).streaks(0.3, 0.15);
    brush.fill(&Path::smooth(&outline), &paint);
}

/// Draws a post seen from the side, with its upper end at `(0, y)`.
pub(super) fn post(brush: &mut Brush<'_>, random: &mut Random, y: f64) {
    let wood = rgb(random.pick(&[0x8a7a68, 0x6f6152, 0x9a8f80]));
    let half = random.range(0.22, 0.34);
    let outline = [(-half, y + 0.03), (half, y), (half * 1.05, 4.0), (-half * 1.05, 4.0)];
    let paint = Paint::linear(wood.times(1.2), (-half, 0.0), wood.times(0.6), (half, 0.0)).streaks(0.5, 0.22);
    brush.fill(&Path::polygon(&outline), &paint);
    brush.fill(&Path::ellipse(0.0, y + 0.02, half, 0.05), &Paint::flat(wood.times(1.3)));
}

/// Draws level ground from `y` down, with a shadow where something stands at x = 0.
pub(super) fn ground(brush: &mut Brush<'_>, random: &mut Random, y: f64) {
    let earth = rgb(random.pick(&[0x8f9a50, 0xb09a70, 0x7f9448, 0xa8a088]));
    let top = y - 0.05;
    let paint =
        Paint::linear(earth.times(1.05), (0.0, top), earth.times(0.7), (0.0, top + 0.8)).streaks(0.15, 0.1);
    brush.fill(&Path::polygon(&[(-4.0, top), (4.0, top), (4.0, 4.0), (-4.0, 4.0)]), &paint);
    brush.fill(&Path::ellipse(0.0, y + 0.03, 0.5, 0.07), &Paint::flat(earth.times(0.35)).alpha(0.5));
}

/// Draws a flower of five petals that faces left, with its throat at the origin, for a hummingbird to hover
/// at.
pub(super) fn flower(brush: &mut Brush<'_>, random: &mut Random) {
    let petal = rgb(random.pick(&[0xe0304a, 0xf06a28, 0xe84a9a, 0xd8286a, 0xf09020]));
    let stem = [(0.1, 0.05), (0.5, 0.35), (0.55, 1.0), (0.7, 3.0)];
    brush.fill(&Path::ribbon(&stem, 0.05, 0.08), &Paint::flat(rgb(0x4f7f38)));
    for (tip, width) in [((0.65, 0.75), 0.16), ((0.95, 0.6), 0.2)] {
        brush.fill(&Path::feather((0.52, 0.55), tip, width), &Paint::flat(rgb(0x5c9440)));
    }
    let first = random.range(-0.05, 0.05);
    let mut face = brush.placed(Affine::shift(0.12, 0.0).of(Affine::scale(0.75, 1.0)));
    for i in 0..5 {
        let (cos, sin) = direction(first + f64::from(i) / 5.0);
        let paint = Paint::radial((0.0, 0.0), (0.05, petal.times(0.75)), (0.34, petal.times(1.2)));
        face.fill(&Path::feather((0.0, 0.0), (cos * 0.36, sin * 0.36), 0.34), &paint);
    }
    face.fill(&Path::ellipse(0.0, 0.0, 0.08, 0.08), &Paint::flat(petal.times(0.5)));
    face.fill(&Path::ribbon(&[(0.0, 0.0), (-0.12, -0.05)], 0.03, 0.05), &Paint::flat(rgb(0xf8e070)));
}
