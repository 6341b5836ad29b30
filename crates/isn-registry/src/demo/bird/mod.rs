//! The birds, and how one is put on a canvas. Each is drawn by a file of its own.

mod anatomy;
mod eagle;
mod hummingbird;
mod owl;
mod peacock;
mod vulture;

use super::canvas::{Brush, Canvas};
use super::random::Random;
use super::scene::{self, Backdrop};
use super::shape::Affine;

/// The five classes of ImageBirds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Species {
    BaldEagle,
    Vulture,
    GreatGreyOwl,
    Peacock,
    Hummingbird,
}

impl Species {
    /// All species, in the order of their ids.
    pub(super) const ALL: [Species; 5] =
        [Species::BaldEagle, Species::Vulture, Species::GreatGreyOwl, Species::Peacock, Species::Hummingbird];

    /// Returns the WordNet id that ILSVRC2012 uses for the class.
    pub(super) fn wnid(self) -> &'static str {
        match self {
            Species::BaldEagle => "n01614925",
            Species::Vulture => "n01616318",
            Species::GreatGreyOwl => "n01622779",
            Species::Peacock => "n01806143",
            Species::Hummingbird => "n01833805",
        }
    }

    fn poses(self) -> &'static [Pose] {
        match self {
            Species::BaldEagle => eagle::POSES,
            Species::Vulture => vulture::POSES,
            Species::GreatGreyOwl => owl::POSES,
            Species::Peacock => peacock::POSES,
            Species::Hummingbird => hummingbird::POSES,
        }
    }

    /// Draws a bird of the species in its surroundings. Every `turn`-th drawing has the same pose.
    pub(super) fn draw(self, canvas: &mut Canvas, turn: usize, random: &mut Random) {
        let poses = self.poses();
        let pose = &poses[turn % poses.len()];
        scene::paint(canvas, random.pick(pose.backdrops), random);
        let scale = random.range(pose.scale.0, pose.scale.1);
        let facing = random.pick(&[-1.0, 1.0]);
        let place = Affine::shift(random.about(0.1), random.about(0.06))
            .of(Affine::turn(random.about(pose.tilt)))
            .of(Affine::scale(scale * facing, scale));
        (pose.draw)(&mut canvas.brush().placed(place), random);
    }
}

/// One way in which a species is seen.
struct Pose {
    /// Draws it facing right, the frame's shorter side from -1 to 1.
    draw: fn(&mut Brush<'_>, &mut Random),
    /// The backdrops that suit it.
    backdrops: &'static [Backdrop],
    /// The range of its size.
    scale: (f64, f64),
    /// The maximum tilt, in turns.
    tilt: f64,
}
