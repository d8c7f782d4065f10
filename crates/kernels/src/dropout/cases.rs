//! Rows of the table for noise: by a fixed key, it is an affine function.
use super::{Noise, composed};
use crate::random::Key;
use crate::tests::hostile::{Hostile, Operations, refuses, zeros};
use crate::tests::laws::{Body, Case, Flat, Input, Portable, Spec, Visit, flat};
use crate::{Device, Error, Real};
use dfdx::prelude::*;

/// The method of [`NoiseDevice`].
pub const OPERATIONS: &Operations = &[(
    "noise",
    &["noise", "dropout", "feature_dropout", "alpha_dropout", "gaussian_dropout", "gaussian_noise"],
)];

#[derive(Clone, Copy, Debug)]
struct Noisy {
    noise: Noise,
    shape: (usize, usize, usize),
}

impl Case for Noisy {
    fn operation(self) -> &'static str {
        "noise"
    }

    fn inputs(self) -> Vec<Spec> {
        vec![Spec::new([self.shape.0, self.shape.1, self.shape.2])]
    }

    fn is_linear(self) -> bool {
        true
    }
}

impl Portable for Noisy {
    fn run_on<B: Body, E: Real, D: Device<E>, T: Tape<E, D>>(self, x: &[Input<E, D>]) -> Flat<E, T, D> {
        let (x, key) = (x[0].taped::<_, T>(self.shape), Key::new(31).fold(4));
        flat(
            match B::IS_FUSED {
                true => D::noise(x, self.noise, key),
                false => composed::noise(x, self.noise, key),
            }
            .unwrap(),
        )
    }
}

fn kinds(span: usize) -> [Noise; 5] {
    [
        Noise::Either { rate: 0.3, kept: [1.0 / 0.7, 0.0], dropped: 0.0, span: 1 },
        Noise::Either { rate: 0.6, kept: [0.8, 0.1], dropped: -1.3, span: 1 },
        Noise::Either { rate: 0.5, kept: [2.0, 0.0], dropped: 0.0, span },
        Noise::Factor { deviation: 0.7 },
        Noise::Term { deviation: 0.2 },
    ]
}

/// Small cases.
pub fn cases(visit: &mut impl Visit) {
    for shape in [(1, 1, 1), (2, 3, 5), (7, 11, 13)] {
        kinds(shape.2).into_iter().for_each(|noise| visit.visit(Noisy { noise, shape }));
    }
}

/// Cases that are cut into several parts.
pub fn large_cases(visit: &mut impl Visit) {
    let shape = (5, 70, 171);
    kinds(shape.2).into_iter().for_each(|noise| visit.visit(Noisy { noise, shape }));
}

/// No elements; rates and deviations out of range.
pub fn hostile(hostile: &mut Hostile) {
    let key = Key::new(1);
    for (n, l) in [(0, 5), (2, 0)] {
        let x = zeros((n, 3, l));
        macro_rules! nothing {
            ($($name:ident $setting:expr;)*) => { $(
                let y = super::$name(x.leaky_trace(), $setting, key);
                hostile.empty(stringify!($name), y, &[n, 3, l], 0.0, &[&x]);
            )* };
        }
        nothing! {
            noise Noise::Factor { deviation: 0.5 };
            dropout 0.5;
            feature_dropout 0.5;
            alpha_dropout 0.5;
            gaussian_dropout 0.5;
            gaussian_noise 0.5;
        }
    }
    hostile.always_fit(&["noise"]); // checked when the `Noise` is made
    let x = || zeros((3,));
    for rate in [-0.1, 1.0, f64::NAN, f64::INFINITY] {
        refuses! { hostile:
            "dropout", super::try_dropout(x(), rate, key) => Error::DropoutRate { .. }, [rate];
            "feature_dropout", super::try_feature_dropout(x(), rate, key)
                => Error::DropoutRate { .. }, [rate];
            "alpha_dropout", super::try_alpha_dropout(x(), rate, key) => Error::DropoutRate { .. }, [rate];
            "gaussian_dropout", super::try_gaussian_dropout(x(), rate, key)
                => Error::DropoutRate { .. }, [rate];
        }
    }
    for deviation in [-1.0, f64::NAN, f64::INFINITY] {
        refuses! { hostile:
            "gaussian_noise", super::try_gaussian_noise(x(), deviation, key)
                => Error::NoiseDeviation { .. }, [deviation];
        }
    }
}
