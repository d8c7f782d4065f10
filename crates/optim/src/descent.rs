//! Descent on a plain function with the rates that theory gives: gradient, heavy ball, Nesterov, and the kick that leaves
//! saddles.
//!
//! For a quadratic with eigenvalues in $[\mu, L]$ and $\kappa = L/\mu$, the error shrinks per step by
//!
//! | method | step | memory | factor |
//! |---|---|---|---|
//! | gradient | $\frac2{L+\mu}$ | 0 | $\frac{\kappa-1}{\kappa+1}$ |
//! | heavy ball, $x_{t+1} = x_t-\eta\nabla f(x_t)+\beta(x_t-x_{t-1})$ | $\frac4{(\sqrt L+\sqrt\mu)^2}$ | $\bigl(\frac{\sqrt\kappa-1}{\sqrt\kappa+1}\bigr)^2$ | $\frac{\sqrt\kappa-1}{\sqrt\kappa+1}$ |
//! | Nesterov, $x_{t+1} = y_t-\eta\nabla f(y_t)$, $y_t = x_t+\beta(x_t-x_{t-1})$ | $\frac1L$ | $\frac{\sqrt\kappa-1}{\sqrt\kappa+1}$ | $\sqrt{1-1/\sqrt\kappa}$ |
//!
//! so that the steps needed grow like $\kappa$ without memory and like $\sqrt\kappa$ with it.
//!
//! **Use it** to study rates. To train a model take [`optimizers`](crate::optimizers), whose [`Sgd`](crate::optimizers::Sgd)
//! makes the same steps in PyTorch's form. **Papers**: Polyak (1964); Nesterov (1983); Jin et al. (2017), How to escape
//! saddle points efficiently, 1703.00887; Goodfellow et al. (2016), sections 4.3 and 8.2.
use crate::Error;
use crate::second_order::{Objective, check, norm};
use rand::Rng;
use rand_distr::StandardNormal;

/// What a step remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Nothing: gradient descent.
    None,
    /// Polyak's: the last step is repeated in part.
    HeavyBall,
    /// Nesterov's: the same, and the gradient is taken after it.
    Nesterov,
}

/// A method with its two numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Descent {
    /// What a step remembers.
    pub memory: Memory,
    /// $\eta$, above 0.
    pub learning_rate: f64,
    /// $\beta$, in [0, 1).
    pub momentum: f64,
}

/// Where a descent went.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The start and every point after it.
    pub points: Vec<Vec<f64>>,
    /// Whether the last point satisfied the condition.
    pub has_arrived: bool,
}

impl Path {
    /// Steps made.
    pub fn steps(&self) -> usize {
        self.points.len() - 1
    }
}

/// A point further away than this has diverged.
const FAR: f64 = 1e100;

impl Descent {
    /// Plain gradient descent.
    pub fn gradient(learning_rate: f64) -> Self {
        Self { memory: Memory::None, learning_rate, momentum: 0.0 }
    }

    /// The best numbers for a quadratic with eigenvalues from `mu` to `l`, and the factor by which the error shrinks per
    /// step (for Nesterov a bound on the factor).
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] unless 0 < `mu` ≤ `l` and both are finite.
    // ANCHOR: optimal
    pub fn optimal(memory: Memory, mu: f64, l: f64) -> Result<(Self, f64), Error> {
        check("mu", "finite and above 0", mu, mu > 0.0 && mu.is_finite())?;
        check("l", "finite and at least mu", l, l >= mu && l.is_finite())?;
        let root = (l / mu).sqrt();
        let factor = (root - 1.0) / (root + 1.0);
        let (learning_rate, momentum, rate) = match memory {
            Memory::None => (2.0 / (l + mu), 0.0, (l - mu) / (l + mu)),
            Memory::HeavyBall => (4.0 / (l.sqrt() + mu.sqrt()).powi(2), factor * factor, factor),
            Memory::Nesterov => (1.0 / l, factor, (1.0 - 1.0 / root).sqrt()),
        };
        Ok((Self { memory, learning_rate, momentum }, rate))
    }
    // ANCHOR_END: optimal

    /// Steps from `start` until `has_arrived(x)`, at most `max_steps`.
    ///
    /// ```
    /// use optim::descent::{Descent, Memory};
    /// use optim::problems::{Problem, Quadratic};
    ///
    /// let bowl = Quadratic::log_spaced(50, 100.0)?;
    /// let steps = |memory| {
    ///     let (method, _) = Descent::optimal(memory, 1.0, 100.0)?;
    ///     let path = method.run(bowl.objective(), &bowl.start(), 10_000, |x| x.iter().all(|x| x.abs() < 1e-6))?;
    ///     Ok::<usize, optim::Error>(path.steps())
    /// };
    /// assert!(steps(Memory::None)? > 6 * steps(Memory::HeavyBall)?);
    /// # Ok::<(), optim::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] for a rate or a momentum out of range, [`Error::Diverged`] when the point leaves a ball of
    /// radius 1e100 or is not finite, and those of the objective.
    pub fn run(
        &self,
        mut objective: impl Objective,
        start: &[f64],
        max_steps: usize,
        mut has_arrived: impl FnMut(&[f64]) -> bool,
    ) -> Result<Path, Error> {
        let Self { memory, learning_rate: rate, momentum } = *self;
        check("learning_rate", "finite and above 0", rate, rate > 0.0 && rate.is_finite())?;
        check("momentum", "in [0, 1)", momentum, (0.0..1.0).contains(&momentum))?;
        let mut points = vec![start.to_vec()];
        let mut before = start.to_vec();
        let mut x = start.to_vec();
        while !has_arrived(&x) {
            if points.len() > max_steps {
                return Ok(Path { points, has_arrived: false });
            }
            // ANCHOR: step
            let ahead: Vec<f64> =
                x.iter().zip(&before).map(|(x, before)| x + momentum * (x - before)).collect();
            let (_, gradient) = match memory {
                Memory::Nesterov => objective.evaluate(&ahead)?,
                Memory::None | Memory::HeavyBall => objective.evaluate(&x)?,
            };
            let next = ahead.iter().zip(&gradient).map(|(y, g)| y - rate * g).collect();
            // ANCHOR_END: step
            before = std::mem::replace(&mut x, next);
            let distance = norm(&x);
            if distance.is_nan() || distance >= FAR {
                let (method, step) = (memory.name(), points.len());
                return Err(Error::Diverged { method, step, distance, learning_rate: rate });
            }
            points.push(x.clone());
        }
        Ok(Path { points, has_arrived: true })
    }
}

impl Memory {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "gradient descent",
            Self::HeavyBall => "heavy ball",
            Self::Nesterov => "Nesterov",
        }
    }
}

/// Settings of [`perturbed`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerturbedConfig {
    /// $\eta$, above 0; 1/L in the paper.
    pub learning_rate: f64,
    /// $r$: length of a kick, above 0.
    pub radius: f64,
    /// Gradients shorter than this, above 0, ask for a kick.
    pub gradient_tolerance: f64,
    /// Steps between two kicks, and after the last one, at least 1.
    pub wait: usize,
    /// A kick that lowers the value by less than this within `wait` steps was the last: no saddle here.
    pub least_decrease: f64,
    /// Steps in all.
    pub max_steps: usize,
}

impl Default for PerturbedConfig {
    fn default() -> Self {
        Self {
            learning_rate: 0.1,
            radius: 1e-3,
            gradient_tolerance: 1e-4,
            wait: 200,
            least_decrease: 1e-4,
            max_steps: 10_000,
        }
    }
}

/// Where [`perturbed`] ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Perturbed {
    /// The point: where the last kick started if nothing came of it.
    pub x: Vec<f64>,
    /// The value there.
    pub value: f64,
    /// Steps made.
    pub steps: usize,
    /// Steps at which it was kicked.
    pub kicks: Vec<usize>,
    /// Whether a kick came to nothing, which is how a minimum looks.
    pub has_settled: bool,
    /// The value before each step.
    pub history: Vec<f64>,
}

/// Gradient descent that kicks itself off saddle points: where the gradient is short, a step of length `radius` in a random
/// direction, and `wait` steps to see whether the value falls (Jin et al. 2017, algorithm 2).
///
/// At a strict saddle of a function of $d$ variables a kick has a component of about $r/\sqrt d$ along a direction of
/// descent, which then grows by $1+\eta\lvert\lambda\rvert$ per step: $O(\log d)$ steps to leave.
///
/// # Errors
/// [`Error::InvalidHyper`] names the first setting out of range; [`Error::Diverged`], and those of the objective.
// ANCHOR: perturbed
pub fn perturbed<R: Rng + ?Sized>(
    mut objective: impl Objective,
    start: &[f64],
    config: PerturbedConfig,
    rng: &mut R,
) -> Result<Perturbed, Error> {
    let config = config.check()?;
    let mut x = start.to_vec();
    let (mut kicks, mut history) = (Vec::<usize>::new(), Vec::new());
    let mut last: Option<(Vec<f64>, f64)> = None;
    for step in 0..config.max_steps {
        let (value, mut gradient) = objective.evaluate(&x)?;
        history.push(value);
        let since = kicks.last().map(|kick| step - kick);
        if let (Some(waited), Some((before, value_before))) = (since, &last)
            && waited == config.wait
            && value > value_before - config.least_decrease
        {
            let (x, value) = (before.clone(), *value_before);
            return Ok(Perturbed { x, value, steps: step, kicks, has_settled: true, history });
        }
        let may_kick = since.is_none_or(|waited| waited > config.wait);
        if may_kick && norm(&gradient) <= config.gradient_tolerance {
            last = Some((x.clone(), value));
            kicks.push(step);
            let kick: Vec<f64> = x.iter().map(|_| rng.sample(StandardNormal)).collect();
            let scale = config.radius / norm(&kick);
            x.iter_mut().zip(&kick).for_each(|(x, kick)| *x += scale * kick);
            gradient = objective.evaluate(&x)?.1;
        }
        x.iter_mut().zip(&gradient).for_each(|(x, g)| *x -= config.learning_rate * g);
        let distance = norm(&x);
        if distance.is_nan() || distance >= FAR {
            let (method, learning_rate) = ("perturbed gradient descent", config.learning_rate);
            return Err(Error::Diverged { method, step, distance, learning_rate });
        }
    }
    let value = objective.evaluate(&x)?.0;
    Ok(Perturbed { x, value, steps: config.max_steps, kicks, has_settled: false, history })
}
// ANCHOR_END: perturbed

impl PerturbedConfig {
    /// Refuses values out of range.
    ///
    /// # Errors
    /// [`Error::InvalidHyper`] names the first.
    pub fn check(self) -> Result<Self, Error> {
        for (name, value) in [
            ("learning_rate", self.learning_rate),
            ("radius", self.radius),
            ("gradient_tolerance", self.gradient_tolerance),
            ("least_decrease", self.least_decrease),
        ] {
            check(name, "finite and above 0", value, value > 0.0 && value.is_finite())?;
        }
        check("wait", "at least 1", self.wait as f64, self.wait > 0)?;
        Ok(self)
    }
}
