//! Continuation: descend on a blurred function first, and follow its minimum while the picture becomes sharp.
//!
//! $$ J^{(i)}(\theta) = \mathbb{E}_{\theta' \sim \mathcal N(\theta,\,\sigma_i^2 I)}\, J(\theta'), \qquad
//!    \sigma_0 > \sigma_1 > \dots > \sigma_n = 0 $$
//!
//! Blurring averages small dips away. Where it leaves a function with one minimum, that minimum does not depend on the
//! start, and each later stage starts where the one before it has ended.
//!
//! | the mean | how | exact |
//! |---|---|---|
//! | [`Blur`] | in closed form: cosines shrink by $e^{-\omega^2\sigma^2/2}$, powers gain moments | yes |
//! | [`sampled`] | over pairs $\pm\sigma\xi$, the same in every call | of the mean over these pairs |
//!
//! **Use it** for a function with many dips in one bowl. **Not** when the global minimum is narrow: blurring hides it, and
//! a wide one wins.
//! **Source**: Goodfellow et al. (2016), section 8.7.6.
use crate::Error;
use crate::descent::Descent;
use crate::problems::{Problem, Rastrigin, StyblinskiTang};
use crate::second_order::{Objective, check};
use kernels::random::Key;
use rand::Rng;
use rand_distr::StandardNormal;
use std::f64::consts::TAU;

/// A function whose mean over Gaussian noise on its argument is known.
pub trait Blur: Problem {
    /// Value and gradient at `x` of the mean over noise of standard deviation `sigma` on each coordinate; at 0 those of
    /// the function.
    fn blurred(&self, sigma: f64, x: &[f64]) -> (f64, Vec<f64>);
}

impl Blur for Rastrigin {
    fn blurred(&self, sigma: f64, x: &[f64]) -> (f64, Vec<f64>) {
        let left = 10.0 * (-0.5 * (TAU * sigma).powi(2)).exp(); // of the waves' height
        let value = x.iter().map(|x| x * x + sigma * sigma - left * (TAU * x).cos() + 10.0).sum();
        (value, x.iter().map(|x| 2.0 * x + left * TAU * (TAU * x).sin()).collect())
    }
}

impl Blur for StyblinskiTang {
    fn blurred(&self, sigma: f64, x: &[f64]) -> (f64, Vec<f64>) {
        let s = sigma * sigma;
        let term = |x: f64| x.powi(4) + 6.0 * x * x * s + 3.0 * s * s - 16.0 * (x * x + s) + 5.0 * x;
        let slope = |x: f64| 2.0 * x.powi(3) + (6.0 * s - 16.0) * x + 2.5;
        (x.iter().map(|x| 0.5 * term(*x)).sum(), x.iter().map(|x| slope(*x)).collect())
    }
}

/// Value and gradient of the mean of `objective` over `pairs` pairs $x \pm \sigma\xi$ with $\xi$ drawn from `key`, the
/// same in every call: a smooth function, whose gradient is the mean gradient.
///
/// # Errors
/// [`Error::InvalidHyper`] unless there is a pair and `sigma` is finite and not negative; those of the objective.
pub fn sampled(
    mut objective: impl Objective,
    sigma: f64,
    x: &[f64],
    pairs: usize,
    key: Key,
) -> Result<(f64, Vec<f64>), Error> {
    check("sigma", "finite and not negative", sigma, sigma.is_finite() && sigma >= 0.0)?;
    check("pairs", "at least 1", pairs as f64, pairs > 0)?;
    let mut rng = key.rng();
    let share = 0.5 / pairs as f64;
    let (mut mean, mut slope) = (0.0, vec![0.0; x.len()]);
    for _ in 0..pairs {
        let noise: Vec<f64> = x.iter().map(|_| rng.sample(StandardNormal)).collect();
        for side in [sigma, -sigma] {
            let at: Vec<f64> = x.iter().zip(&noise).map(|(x, xi)| x + side * xi).collect();
            let (value, gradient) = objective.evaluate(&at)?;
            mean += share * value;
            slope.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += share * g);
        }
    }
    Ok((mean, slope))
}

// ANCHOR: follow
/// Descends `steps` steps on the function blurred by each of `sigmas` in turn, from where the one before has ended;
/// `blurred(sigma, x)` is its value and gradient. The point that each stage has reached.
///
/// ```
/// use optim::continuation::{Blur, follow};
/// use optim::descent::Descent;
/// use optim::problems::{Problem, Rastrigin};
///
/// let waves = Rastrigin { dimension: 2 };
/// let blurred = |sigma: f64, x: &[f64]| Ok(waves.blurred(sigma, x));
/// let descent = Descent::gradient(0.002);
/// let plain = follow(blurred, &[0.0], descent, 2000, &waves.start())?;
/// let found = follow(blurred, &[1.0, 0.4, 0.2, 0.0], descent, 2000, &waves.start())?;
/// assert!(waves.value(&plain[0]) > 17.0); // the dip beside the start, (2.98, 2.98)
/// assert!(waves.value(&found[3]) < 1e-12); // the lowest, (0, 0)
/// # Ok::<(), optim::Error>(())
/// ```
///
/// # Errors
/// [`Error::EmptySchedule`] without a stage; [`Error::InvalidHyper`] unless the `sigmas` are finite, fall and end at 0;
/// those of [`Descent::run`] and of `blurred`.
pub fn follow(
    blurred: impl FnMut(f64, &[f64]) -> Result<(f64, Vec<f64>), Error>,
    sigmas: &[f64],
    descent: Descent,
    steps: usize,
    start: &[f64],
) -> Result<Vec<Vec<f64>>, Error> {
    let Some(&last) = sigmas.last() else { return Err(Error::EmptySchedule { what: "continuation" }) };
    check("the last sigma", "0, so that the function itself is descended on", last, last == 0.0)?;
    for pair in sigmas.windows(2) {
        let falls = pair[0].is_finite() && pair[0] > pair[1];
        check("sigmas", "finite and falling", pair[0], falls)?;
    }
    let mut at = At { blurred, sigma: 0.0 };
    let mut reached: Vec<Vec<f64>> = Vec::with_capacity(sigmas.len());
    for &sigma in sigmas {
        let from = reached.last().map_or(start, Vec::as_slice);
        at.sigma = sigma;
        let path = descent.run(&mut at, from, steps, |_| false)?;
        reached.extend(path.points.into_iter().next_back());
    }
    Ok(reached)
}
// ANCHOR_END: follow

/// A blurred function with its blur fixed.
struct At<F> {
    blurred: F,
    sigma: f64,
}

impl<F: FnMut(f64, &[f64]) -> Result<(f64, Vec<f64>), Error>> Objective for &mut At<F> {
    fn evaluate(&mut self, x: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        (self.blurred)(self.sigma, x)
    }
}
