//! Data whose law is known: shapes in the plane and in space, trees, mixtures, motions. Never called real.
//!
//! Each generator takes a [`Key`]; the same key gives the same points on every machine, and the first m of n points
//! do not depend on n. `label` is the class, arm, branch or component of a point, `parameter` its place along the
//! curve where there is one: what an embedding should find again.
//!
//! | generator | dimension | label | parameter |
//! |---|---|---|---|
//! | [`moons`] | 2 | which half circle | angle, in \[0, π\] |
//! | [`spirals`] | 2 | which arm | angle, in \[0, 2π · turns\] |
//! | [`swiss_roll`] | 3 | – | angle along the roll, in \[3π/2, 9π/2\] |
//! | [`tree`] | any | branch | distance from the root |
//! | [`gaussian_mixture`] | any | component | – |
//! | [`trajectory`] | any | – | time |
//!
//! **Sources**: moons and roll as in scikit-learn's `make_moons` and `make_swiss_roll` (Marsland 2014, Machine
//! Learning, chapter 6); the tree after the artificial tree of Moon et al. (2019), Visualizing structure and transitions
//! in high-dimensional biological data, Nature Biotechnology 37.
//!
//! # Examples
//! ```
//! use datasets::synthetic::{moons, trajectory};
//! use kernels::random::Key;
//! let set = moons(200, 0.1, Key::new(0));
//! assert_eq!((set.points.len(), set.labels.iter().filter(|&&label| label == 0).count()), (200, 100));
//! // A pendulum without friction: angle and speed.
//! let field = |_t: f64, [x, v]: [f64; 2]| [v, -x.sin()];
//! let path = trajectory(field, [1.0, 0.0], &[0.0, 1.0, 2.0], 100);
//! let energy = |[x, v]: [f64; 2]| v * v / 2.0 - x.cos();
//! assert!((energy(path[2]) - energy(path[0])).abs() < 1e-9);
//! ```
use std::f64::consts::PI;

use kernels::random::Key;

/// Points of `F` numbers with what is known about each. See the [module](self).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Synthetic<const F: usize> {
    /// The points.
    pub points: Vec<[f64; F]>,
    /// Class, arm, branch or component of each; 0 where there is one only.
    pub labels: Vec<usize>,
    /// Place of each along its curve; 0 where there is none.
    pub parameter: Vec<f64>,
}

impl<const F: usize> Synthetic<F> {
    fn push(&mut self, point: [f64; F], label: usize, parameter: f64) {
        self.points.push(point);
        self.labels.push(label);
        self.parameter.push(parameter);
    }
}

/// `N` uniform numbers in \[0, 1) for point `i`.
fn uniform<const N: usize>(key: Key, i: usize) -> [f64; N] {
    let mut numbers = [0.0; N];
    key.fold(i as u64).fold(0).fill_uniform(&mut numbers);
    numbers
}

/// `point` moved by independent normal numbers of standard deviation `noise`.
fn blurred<const F: usize>(point: [f64; F], noise: f64, key: Key, i: usize) -> [f64; F] {
    let mut normal = [0.0; F];
    key.fold(i as u64).fold(1).fill_normal(&mut normal);
    std::array::from_fn(|j| point[j] + noise * normal[j])
}

/// Two half circles of radius 1 that reach into each other; even points lie on the upper, odd ones on the lower.
///
/// The angle is uniform (scikit-learn spaces it evenly); `noise` is the standard deviation in both directions.
pub fn moons(n: usize, noise: f64, key: Key) -> Synthetic<2> {
    let mut set = Synthetic::default();
    for i in 0..n {
        let [u] = uniform(key, i);
        let (label, angle) = (i % 2, PI * u);
        let point = match label {
            0 => [angle.cos(), angle.sin()],
            _ => [1.0 - angle.cos(), 0.5 - angle.sin()],
        };
        set.push(blurred(point, noise, key, i), label, angle);
    }
    set
}

/// `arms` Archimedean spirals around the origin, each of `turns` turns and ending at radius 1; points go to the arms in
/// turn.
///
/// The angle is the square root of a uniform number, so that points are about equally dense along an arm.
///
/// # Panics
/// When `arms` is 0.
pub fn spirals(n: usize, arms: usize, turns: f64, noise: f64, key: Key) -> Synthetic<2> {
    assert!(arms > 0, "a spiral has an arm");
    let mut set = Synthetic::default();
    for i in 0..n {
        let [u] = uniform(key, i);
        let (label, radius) = (i % arms, u.sqrt());
        let angle = 2.0 * PI * turns * radius;
        let turned = angle + 2.0 * PI * label as f64 / arms as f64;
        set.push(blurred([radius * turned.cos(), radius * turned.sin()], noise, key, i), label, angle);
    }
    set
}

/// A sheet of width 21 rolled up in space: `(t cos t, height, t sin t)` with t uniform in \[3π/2, 9π/2\].
///
/// Two points that are near in space may be far apart on the sheet: what methods that follow the surface must see.
pub fn swiss_roll(n: usize, noise: f64, key: Key) -> Synthetic<3> {
    let mut set = Synthetic::default();
    for i in 0..n {
        let [u, height] = uniform(key, i);
        let t = 1.5 * PI * (1.0 + 2.0 * u);
        set.push(blurred([t * t.cos(), 21.0 * height, t * t.sin()], noise, key, i), 0, t);
    }
    set
}

/// A tree of straight branches of length 1 in `F` dimensions: branch 0 starts at the origin, every other one at the end
/// of an earlier one, each in a random direction. Points go to the branches in turn, at uniform places.
///
/// `parameter` is the distance from the root along the tree.
///
/// # Panics
/// When `branches` is 0.
pub fn tree<const F: usize>(n: usize, branches: usize, noise: f64, key: Key) -> Synthetic<F> {
    assert!(branches > 0, "a tree has a branch");
    let shape = key.fold(u64::MAX); // apart from the keys of points
    let mut starts: Vec<([f64; F], f64)> = vec![([0.0; F], 0.0)]; // point, distance from the root
    let mut directions: Vec<[f64; F]> = Vec::new();
    for branch in 0..branches {
        let mut direction = [0.0; F];
        shape.fold(branch as u64).fold(0).fill_normal(&mut direction);
        let norm = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
        directions.push(direction.map(|x| x / norm));
        if branch > 0 {
            let parent = shape.fold(branch as u64).fold(1).rng().below(branch as u64) as usize;
            let (start, distance) = starts[parent];
            starts.push((std::array::from_fn(|j| start[j] + directions[parent][j]), distance + 1.0));
        }
    }
    let mut set = Synthetic::default();
    for i in 0..n {
        let [along] = uniform(key, i);
        let (branch, (start, distance)) = (i % branches, starts[i % branches]);
        let point = std::array::from_fn(|j| start[j] + along * directions[branch][j]);
        set.push(blurred(point, noise, key, i), branch, distance + along);
    }
    set
}

/// A cloud of a [`gaussian_mixture`]: round, with a weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Component<const F: usize> {
    /// Its centre.
    pub mean: [f64; F],
    /// Its standard deviation in every direction.
    pub sd: f64,
    /// How often it is drawn, relative to the others; not negative.
    pub weight: f64,
}

/// Points drawn from round normal clouds. Their density is
/// $\sum_k w_k \, \mathcal N(x; \mu_k, \sigma_k^2 I) / \sum_k w_k$, so a model's likelihood can be compared with the truth.
///
/// # Panics
/// When no component has a positive weight.
pub fn gaussian_mixture<const F: usize>(n: usize, components: &[Component<F>], key: Key) -> Synthetic<F> {
    let total: f64 = components.iter().map(|component| component.weight).sum();
    assert!(total > 0.0, "a mixture needs a positive weight");
    let mut set = Synthetic::default();
    for i in 0..n {
        let [u] = uniform::<1>(key, i);
        let mut left = u * total;
        // Rounding may leave a rest behind the last component.
        let chosen = components.iter().position(|component| {
            left -= component.weight;
            left < 0.0
        });
        let last = || components.iter().rposition(|component| component.weight > 0.0).expect("asserted");
        let label = chosen.unwrap_or_else(last);
        let Component { mean, sd, .. } = components[label];
        set.push(blurred(mean, sd, key, i), label, 0.0);
    }
    set
}

/// The logarithm of the density of a [`gaussian_mixture`] at `point`, in nats.
pub fn gaussian_mixture_log_density<const F: usize>(components: &[Component<F>], point: [f64; F]) -> f64 {
    let total: f64 = components.iter().map(|component| component.weight).sum();
    let term = |component: &Component<F>| {
        let Component { mean, sd, weight } = component;
        let square: f64 = mean.iter().zip(point).map(|(mean, x)| ((x - mean) / sd).powi(2)).sum();
        (weight / total).ln() - 0.5 * square - F as f64 * (sd.ln() + 0.5 * (2.0 * PI).ln())
    };
    let terms: Vec<f64> = components.iter().filter(|c| c.weight > 0.0).map(term).collect();
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + terms.iter().map(|term| (term - largest).exp()).sum::<f64>().ln()
}

/// The solution of x' = `field`(t, x) at `times`, from `start` at the first of them, by the classical Runge–Kutta method
/// of order 4 with `substeps` equal steps between each two times. The error falls as the fourth power of a step.
///
/// # Panics
/// When `substeps` is 0.
pub fn trajectory<const F: usize>(
    field: impl Fn(f64, [f64; F]) -> [f64; F],
    start: [f64; F],
    times: &[f64],
    substeps: usize,
) -> Vec<[f64; F]> {
    assert!(substeps > 0, "a step between two times");
    let mut path = Vec::with_capacity(times.len());
    let mut x = start;
    for (i, &time) in times.iter().enumerate() {
        if i > 0 {
            let (from, step) = (times[i - 1], (time - times[i - 1]) / substeps as f64);
            for k in 0..substeps {
                let t = from + step * k as f64;
                let moved = |slope: [f64; F], h: f64| std::array::from_fn(|j| x[j] + h * slope[j]);
                let k1 = field(t, x);
                let k2 = field(t + step / 2.0, moved(k1, step / 2.0));
                let k3 = field(t + step / 2.0, moved(k2, step / 2.0));
                let k4 = field(t + step, moved(k3, step));
                x = std::array::from_fn(|j| x[j] + step / 6.0 * (k1[j] + 2.0 * k2[j] + 2.0 * k3[j] + k4[j]));
            }
        }
        path.push(x);
    }
    path
}

/// Lotka and Volterra's prey and predator: `x' = αx − βxy`, `y' = δxy − γy`, with \[α, β, γ, δ\].
pub fn lotka_volterra([alpha, beta, gamma, delta]: [f64; 4]) -> impl Fn(f64, [f64; 2]) -> [f64; 2] {
    move |_, [x, y]| [x * (alpha - beta * y), y * (delta * x - gamma)]
}

/// Van der Pol's oscillator: `x' = v`, `v' = μ(1 − x²)v − x`; stiff when μ is large.
pub fn van_der_pol(mu: f64) -> impl Fn(f64, [f64; 2]) -> [f64; 2] {
    move |_, [x, v]| [v, mu * (1.0 - x * x) * v - x]
}

/// Lorenz's weather (1963) with σ = 10, ρ = 28, β = 8/3: near states part exponentially.
pub fn lorenz(_t: f64, [x, y, z]: [f64; 3]) -> [f64; 3] {
    [10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z]
}
