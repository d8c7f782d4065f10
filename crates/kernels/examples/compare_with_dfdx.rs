//! How much faster are these operations than dfdx's own, forward and backward, on this machine?
//!
//! ```text
//! cargo run --release -p kernels --example compare_with_dfdx
//! ```
//! Each line is the median of many runs in turns, in microseconds, and the ratio of the two. The spread is the 90th
//! over the 10th percentile of ours: far above 1.5 means that something else used the cores.
mod support;

use dfdx::prelude::*;
use kernels::{Gelu, InputGradient, Relu, Tanh, activate, linear, random::Key};
use std::hint::black_box;
use std::time::Instant;

type Matrix<const M: usize, const N: usize> = Tensor<Rank2<M, N>, f32, Cpu>;

fn draw<const M: usize, const N: usize>(device: &Cpu, key: u64) -> Matrix<M, N> {
    Key::new(key).normal(device, Default::default())
}

/// Microseconds of one call.
fn time<R>(f: &dyn Fn() -> R) -> f64 {
    let start = Instant::now();
    black_box(f());
    start.elapsed().as_secs_f64() * 1e6
}

fn compare<A, B>(name: &str, dfdx: impl Fn() -> A, ours: impl Fn() -> B) {
    let mut times = [vec![], vec![]];
    let start = Instant::now();
    while times[0].len() < 11 || start.elapsed().as_secs_f64() < 0.5 && times[0].len() < 1001 {
        times[0].push(time(&dfdx));
        times[1].push(time(&ours));
    }
    for times in &mut times {
        times.sort_by(f64::total_cmp);
    }
    let at = |i: usize, share: f64| times[i][((times[i].len() - 1) as f64 * share) as usize];
    let [theirs, ours] = [0, 1].map(|i| at(i, 0.5));
    println!("{name:<34}{theirs:>10.1}{ours:>10.1}{:>8.2}{:>8.1}", ours / theirs, at(1, 0.9) / at(1, 0.1));
}

fn main() {
    support::no_arguments(include_str!("compare_with_dfdx.rs"));
    let device = Cpu::default();
    device.enable_cache();
    println!(
        "{} threads\n{:<34}{:>10}{:>10}{:>8}{:>8}",
        kernels::pool::threads(),
        "",
        "dfdx",
        "ours",
        "ratio",
        "spread"
    );
    let x = draw::<1000, 1000>(&device, 1);
    compare("tanh 1M", || x.clone().tanh(), || activate(x.clone(), Tanh));
    compare(
        "tanh 1M + backward",
        || x.leaky_trace().tanh().sum().backward(),
        || kernels::sum_all(activate(x.leaky_trace(), Tanh)).backward(),
    );
    compare("gelu 1M", || x.clone().fast_gelu(), || activate(x.clone(), Gelu));
    compare("softmax 1000 x 1000", || x.clone().softmax::<Axis<1>>(), || kernels::softmax(x.clone()));
    compare("sum 1M", || x.clone().sum::<Rank0, _>(), || kernels::sum_all(x.clone()));
    compare(
        "normal 1M",
        || -> Matrix<1000, 1000> { device.sample_normal() },
        || draw::<1000, 1000>(&device, 2),
    );
    let small = draw::<100, 300>(&device, 3);
    compare("tanh 30 k", || small.clone().tanh(), || activate(small.clone(), Tanh));
    let (a, b) = (draw::<512, 512>(&device, 4), draw::<512, 512>(&device, 5));
    compare("matmul 512", || a.clone().matmul(b.clone()), || kernels::matmul(a.clone(), b.clone()));
    let (a, b) = (draw::<128, 128>(&device, 4), draw::<128, 128>(&device, 5));
    compare("matmul 128", || a.clone().matmul(b.clone()), || kernels::matmul(a.clone(), b.clone()));

    let (input, w1, w2) =
        (draw::<128, 784>(&device, 6), draw::<512, 784>(&device, 7), draw::<10, 512>(&device, 8));
    let (b1, b2) = (device.zeros::<Rank1<512>>(), device.zeros::<Rank1<10>>());
    let labels: Vec<usize> = (0..128).map(|i| i % 10).collect();
    let one_hot: Matrix<128, 10> = device.tensor_from_vec(
        (0..1280).map(|i| if i % 10 == (i / 10) % 10 { 1.0 } else { 0.0 }).collect(),
        Default::default(),
    );
    compare(
        "784-512-10, batch 128, + backward",
        || {
            let w = |w: &Matrix<512, 784>| w.retaped::<OwnedTape<f32, Cpu>>().permute::<Rank2<784, 512>, _>();
            let h = input.leaky_trace().matmul(w(&w1));
            let h = (h + b1.retaped::<OwnedTape<f32, Cpu>>().broadcast()).relu();
            let y = h.matmul(w2.retaped::<OwnedTape<f32, Cpu>>().permute::<Rank2<512, 10>, _>());
            let y = y + b2.retaped::<OwnedTape<f32, Cpu>>().broadcast();
            cross_entropy_with_logits_loss(y, one_hot.clone()).backward()
        },
        || {
            let h = linear(input.leaky_trace(), &w1, &b1, Relu, InputGradient::Skipped);
            let y = linear(h, &w2, &b2, kernels::Identity, InputGradient::Needed);
            kernels::cross_entropy_mean(y, &labels).backward()
        },
    );
}
