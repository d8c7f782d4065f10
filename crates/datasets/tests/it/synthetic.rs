//! Generated data obey the law that their documentation states.
use std::f64::consts::PI;

use datasets::synthetic::*;
use kernels::random::Key;

fn norm<const F: usize>(x: [f64; F]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[test]
fn points_depend_on_the_key_and_not_on_how_many_there_are() {
    let (few, many) = (moons(10, 0.2, Key::new(3)), moons(100, 0.2, Key::new(3)));
    assert_eq!((&many.points[..10], &many.labels[..10]), (&few.points[..], &few.labels[..]));
    assert_ne!(moons(10, 0.2, Key::new(4)).points, few.points);
    let few: Synthetic<5> = tree(10, 4, 0.1, Key::new(3));
    assert_eq!(tree::<5>(50, 4, 0.1, Key::new(3)).points[..10], few.points);
}

#[test]
fn moons_lie_on_their_half_circles() {
    let set = moons(400, 0.0, Key::new(0));
    for ((point, &label), &angle) in set.points.iter().zip(&set.labels).zip(&set.parameter) {
        let (centre, up) = if label == 0 { ([0.0, 0.0], 1.0) } else { ([1.0, 0.5], -1.0) };
        let [x, y] = [point[0] - centre[0], point[1] - centre[1]];
        assert!((norm([x, y]) - 1.0).abs() < 1e-12 && y * up >= -1e-12 && (0.0..=PI).contains(&angle));
    }
    // Noise has the standard deviation asked for: of 800 numbers, within four standard errors (sd / √1600).
    let noisy = moons(400, 0.2, Key::new(0));
    let square = |(a, b): (&[f64; 2], &[f64; 2])| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
    let sd = (noisy.points.iter().zip(&set.points).map(square).sum::<f64>() / 800.0).sqrt();
    assert!((sd - 0.2).abs() < 4.0 * 0.2 / 1600f64.sqrt(), "{sd}");
}

#[test]
fn spirals_and_rolls_follow_their_parameter() {
    let set = spirals(300, 3, 1.5, 0.0, Key::new(1));
    for ((&point, &label), &angle) in set.points.iter().zip(&set.labels).zip(&set.parameter) {
        let radius = angle / (3.0 * PI);
        let turned = angle + 2.0 * PI * label as f64 / 3.0;
        assert!((norm(point) - radius).abs() < 1e-12);
        assert!((point[0] - radius * turned.cos()).abs() < 1e-12 && (0.0..=1.0).contains(&radius));
    }
    assert_eq!(set.labels[..4], [0, 1, 2, 0]);
    let roll = swiss_roll(300, 0.0, Key::new(1));
    for (point, &t) in roll.points.iter().zip(&roll.parameter) {
        assert!((norm([point[0], point[2]]) - t).abs() < 1e-12 && (0.0..21.0).contains(&point[1]));
        assert!((1.5 * PI..=4.5 * PI).contains(&t));
    }
}

#[test]
fn a_tree_is_connected_and_its_parameter_is_the_distance_from_the_root() {
    let set: Synthetic<6> = tree(3000, 5, 0.0, Key::new(2));
    let branch = |label: usize| {
        let rows = (0..3000).filter(|&i| set.labels[i] == label);
        let mut rows: Vec<(f64, [f64; 6])> = rows.map(|i| (set.parameter[i], set.points[i])).collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        rows
    };
    let branches: Vec<_> = (0..5).map(branch).collect();
    for rows in &branches {
        assert_eq!(rows.len(), 600);
        // Straight, of speed 1: distance in space is difference of parameter.
        let (first, last) = (rows[0], rows[599]);
        let apart: [f64; 6] = std::array::from_fn(|j| last.1[j] - first.1[j]);
        assert!((norm(apart) - (last.0 - first.0)).abs() < 1e-12 && last.0 - first.0 < 1.0);
    }
    assert!(norm(branches[0][0].1) < 0.02, "the first branch begins at the origin");
    // Every other branch begins where another one ends (600 uniform places leave gaps of some hundredths).
    for rows in &branches[1..] {
        let begins = |other: &Vec<(f64, [f64; 6])>| {
            let apart: [f64; 6] = std::array::from_fn(|j| rows[0].1[j] - other[599].1[j]);
            norm(apart) < 0.05
        };
        assert!(branches.iter().any(begins), "{:?}", rows[0]);
    }
}

#[test]
fn a_mixture_has_its_weights_means_and_density() {
    let components = [
        Component { mean: [-3.0, 0.0], sd: 0.5, weight: 1.0 },
        Component { mean: [0.0, 0.0], sd: 1.0, weight: 0.0 },
        Component { mean: [2.0, 1.0], sd: 1.0, weight: 3.0 },
    ];
    let n = 8000;
    let set = gaussian_mixture(n, &components, Key::new(5));
    let of = |label| set.labels.iter().filter(|&&l| l == label).count() as f64 / n as f64;
    assert!((of(0) - 0.25).abs() < 4.0 * (0.25f64 * 0.75 / n as f64).sqrt() && of(1) == 0.0);
    let rows: Vec<&[f64; 2]> =
        set.points.iter().zip(&set.labels).filter(|(_, l)| **l == 2).map(|(p, _)| p).collect();
    let mean = rows.iter().map(|point| point[0]).sum::<f64>() / rows.len() as f64;
    assert!((mean - 2.0).abs() < 4.0 / (rows.len() as f64).sqrt(), "{mean}");
    // One component: the normal density in the plane at distance 1, exp(−1/2) / 2π.
    let one = [Component { mean: [1.0, 1.0], sd: 1.0, weight: 7.0 }];
    let log = gaussian_mixture_log_density(&one, [1.0, 2.0]);
    assert!((log - (-0.5 - (2.0 * PI).ln())).abs() < 1e-12);
    // The density sums to one over the plane (midpoint rule, step 0.1).
    let step = 0.1;
    let cells = (-80..80).flat_map(|i| (-80..80).map(move |j| [f64::from(i) * step, f64::from(j) * step]));
    let mass: f64 = cells.map(|x| gaussian_mixture_log_density(&components, x).exp() * step * step).sum();
    assert!((mass - 1.0).abs() < 1e-6, "{mass}");
}

#[test]
fn trajectories_converge_with_order_four_and_keep_what_is_conserved() {
    // x'' = −x from (1, 0): cos t.
    let circle = |_t: f64, [x, v]: [f64; 2]| [v, -x];
    let error = |steps| (trajectory(circle, [1.0, 0.0], &[0.0, 2.0], steps)[1][0] - 2f64.cos()).abs();
    let order = (error(10) / error(20)).log2();
    assert!((order - 4.0).abs() < 0.2, "{order}");
    // Time is passed on: x' = 2 t.
    let path = trajectory(|t, [_]: [f64; 1]| [2.0 * t], [0.0], &[1.0, 2.0, 4.0], 1);
    assert!((path[2][0] - 15.0).abs() < 1e-12 && path[0] == [0.0]);
    // Lotka and Volterra conserve δx − γ ln x + βy − α ln y.
    let [alpha, beta, gamma, delta] = [0.431, 0.0220, 0.989, 0.0278];
    let kept = |[x, y]: [f64; 2]| delta * x - gamma * x.ln() + beta * y - alpha * y.ln();
    let path = trajectory(lotka_volterra([alpha, beta, gamma, delta]), [37.5, 5.5], &[0.0, 7.0, 20.0], 400);
    assert!(path.iter().all(|&x| (kept(x) - kept([37.5, 5.5])).abs() < 1e-8), "{path:?}");
    // Van der Pol's cycle has an amplitude of about 2, Lorenz's fixed points are (±√72, ±√72, 27).
    let late = trajectory(
        van_der_pol(1.0),
        [0.5, 0.0],
        &(0..200).map(|i| 20.0 + 0.1 * f64::from(i)).collect::<Vec<_>>(),
        20,
    );
    let highest = late[100..].iter().map(|x| x[0]).fold(0.0, f64::max);
    assert!((highest - 2.009).abs() < 0.01, "{highest}");
    let fixed = [72f64.sqrt(), 72f64.sqrt(), 27.0];
    assert!(norm(lorenz(0.0, fixed)) < 1e-12);
}
