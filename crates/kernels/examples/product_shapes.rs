//! How fast are matrix products of the shapes that training meets, on one thread and on all?
//!
//! ```text
//! cargo run --release -p kernels --example product_shapes
//! ```
//! Each line: the shape `m x k x n` (`T` behind an operand that is read transposed), microseconds of one call with one
//! thread and with all, GFLOP/s with all, and the 90th over the 10th percentile. Medians of many calls.
mod support;

use dfdx::prelude::*;
use kernels::pool::with_threads;
use kernels::random::Key;
use std::hint::black_box;
use std::time::{Duration, Instant};

type Matrix = Tensor<(usize, usize), f32, Cpu>;

/// `(rows, cols)`, in memory the other way round if `is_transposed`.
fn operand(device: &Cpu, rows: usize, cols: usize, is_transposed: bool) -> Matrix {
    match is_transposed {
        false => Key::new(1).normal(device, (rows, cols)),
        true => {
            Key::new(1).normal::<(usize, usize), f32, _>(device, (cols, rows)).permute::<_, Axes2<1, 0>>()
        }
    }
}

/// 10th, 50th and 90th percentile in microseconds.
fn time<R>(f: impl Fn() -> R) -> [f64; 3] {
    let (mut times, start) = (vec![], Instant::now());
    while times.len() < 15 || start.elapsed() < Duration::from_millis(250) {
        let start = Instant::now();
        black_box(f());
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    [0.1, 0.5, 0.9].map(|share| times[((times.len() - 1) as f64 * share) as usize])
}

fn report(name: &str, multiplications: usize, f: impl Fn()) {
    let [_, one, _] = with_threads(1, || time(&f));
    let [low, all, high] = time(&f);
    let speed = 2e-3 * multiplications as f64 / all;
    println!("{name:<28}{one:>10.1}{all:>10.1}{speed:>10.1}{:>8.2}", high / low);
}

fn main() {
    support::no_arguments(include_str!("product_shapes.rs"));
    let device = Cpu::default();
    device.enable_cache();
    let warm = operand(&device, 512, 512, false);
    time(|| kernels::matmul(warm.clone(), warm.clone() * 1.0));
    println!("{:<28}{:>10}{:>10}{:>10}{:>8}", "m x k x n", "one", "all", "GFLOP/s", "90/10");
    for (m, k, n, left, right) in [
        (64, 64, 64, false, false),
        (128, 128, 128, false, false),
        (256, 256, 256, false, false),
        (512, 512, 512, false, false),
        (1024, 1024, 1024, false, false),
        (128, 784, 512, false, false),
        (128, 784, 512, false, true),
        (784, 128, 512, true, false),
        (128, 512, 784, false, true),
        (128, 512, 10, false, false),
        (512, 128, 10, true, false),
        (128, 10, 512, false, false),
        (2048, 128, 512, false, false),
        (2048, 512, 128, false, false),
        (2048, 128, 128, false, false),
        (512, 2048, 128, true, false),
        (128, 2048, 512, true, false),
        (32, 128, 512, false, false),
        (512, 512, 1, false, false),
    ] {
        let (x, y) = (operand(&device, m, k, left), operand(&device, k, n, right));
        let mark = |is_transposed| if is_transposed { "T" } else { "" };
        let name = format!("{m}{} x {k} x {n}{}", mark(left), mark(right));
        report(&name, m * k * n, || drop(kernels::matmul(x.clone(), y.clone())));
    }
    let x: Tensor<(usize, usize, usize), f32, _> = Key::new(2).normal(&device, (128, 64, 32));
    let y: Tensor<(usize, usize, usize), f32, _> = Key::new(3).normal(&device, (128, 32, 64));
    report("128 of 64 x 32 x 64", 128 * 64 * 32 * 64, || drop(kernels::matmul(x.clone(), y.clone())));
    let x = operand(&device, 512, 784, false);
    report("gram 512 x 784", 512 * 512 * 784, || drop(kernels::gram(x.clone())));
    report("distances 512 x 784", 512 * 512 * 784, || drop(kernels::pairwise_squared_distances(x.clone())));
    let (x, y) = (operand(&device, 512, 16, false), operand(&device, 2000, 16, false));
    report("distances 512, 2000 x 16", 512 * 2000 * 16, || {
        drop(kernels::squared_distances(x.clone(), y.clone()))
    });
    let x: Tensor<(usize,), f32, _> = Key::new(4).normal(&device, (1_000_000,));
    report("dropout 1M", 0, || drop(kernels::dropout(x.clone(), 0.5, Key::new(5))));
}
