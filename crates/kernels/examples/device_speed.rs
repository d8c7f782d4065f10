//! How fast a GPU runs what this crate gives it: a table of cases, tab-separated, on standard output.
//!
//! `cargo xtask gpu-pack` packs it, and with it `device_speed.py`, which measures the same cases in PyTorch. Each time is
//! the median of 20 after 5 for warming up, with the device waited for around each, dfdx's cache enabled. The rate is that
//! of the arithmetic, or of the memory that the case must read and write at least.
use cudarc::driver::{CudaDevice, CudaSlice};
use dfdx::prelude::*;
use kernels::convolution::{Convolution, Steps, try_conv2d};
use kernels::random::Key;
use kernels::update::{
    AdamStep, Cut, Formula, Memory, Planned, Prepare, UpdateDevice, for_each_run, with_tensors,
};
use std::convert::Infallible;
use std::error::Error;
use std::time::{Duration, Instant};

const WARM_UP: usize = 5;
const REPEATS: usize = 20;

/// The median of a case.
fn median(
    repeats: usize,
    wait: impl Fn(),
    mut case: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<Duration, Box<dyn Error>> {
    for _ in 0..WARM_UP.min(repeats) {
        case()?;
    }
    let mut times = Vec::with_capacity(repeats);
    for _ in 0..repeats {
        wait();
        let start = Instant::now();
        case()?;
        wait();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// A row: the case, milliseconds, how many units a second, the unit.
fn row(case: &str, time: Duration, amount: f64, unit: &str) {
    let seconds = time.as_secs_f64();
    println!("{case}\t{:.4}\t{:.1}\t{unit}", seconds * 1e3, amount / seconds / 1e9);
}

fn copies() -> Result<(), Box<dyn Error>> {
    let device = CudaDevice::new(0)?;
    let from: CudaSlice<f32> = device.alloc_zeros(1 << 28)?;
    let mut to: CudaSlice<f32> = device.alloc_zeros(1 << 28)?;
    let wait = || device.synchronize().expect("the device answers");
    let time = median(REPEATS, wait, || Ok(device.dtod_copy(&from, &mut to)?))?;
    row("copy of 1 GiB on the device", time, 2.0 * 4.0 * f64::from(1 << 28), "GB/s");
    Ok(())
}

fn products<const N: usize>(device: &Cuda) -> Result<(), Box<dyn Error>> {
    let a: Tensor<Rank2<N, N>, f32, _> = Key::new(1).normal(device, Default::default());
    let b: Tensor<Rank2<N, N>, f32, _> = Key::new(2).normal(device, Default::default());
    let time = median(
        REPEATS,
        || device.synchronize(),
        || {
            kernels::try_matmul(a.clone(), b.clone())?;
            Ok(())
        },
    )?;
    row(&format!("matmul {N} f32"), time, 2.0 * (N as f64).powi(3), "GFLOP/s");
    Ok(())
}

fn convolution(device: &Cuda) -> Result<(), Box<dyn Error>> {
    let x: Tensor<Rank4<128, 32, 28, 28>, f32, _> = Key::new(1).normal(device, Default::default());
    let w: Tensor<Rank4<64, 32, 3, 3>, f32, _> = Key::new(2).normal(device, Default::default());
    let b: Tensor<Rank1<64>, f32, _> = device.zeros();
    let forward = 2.0 * 128.0 * 64.0 * 28.0 * 28.0 * 32.0 * 9.0;
    let time = median(
        REPEATS,
        || device.synchronize(),
        || {
            let conv = Convolution::square(Steps::<1, 1>);
            let _: Tensor<Rank4<128, 64, 28, 28>, f32, _> = try_conv2d(x.clone(), &w, Some(&b), conv)?;
            Ok(())
        },
    )?;
    row("conv2d 32 to 64, 3x3, b128, 28x28, forward", time, forward, "GFLOP/s");
    let time = median(
        REPEATS,
        || device.synchronize(),
        || {
            let conv = Convolution::square(Steps::<1, 1>);
            let y: Tensor<Rank4<128, 64, 28, 28>, f32, _, OwnedTape<f32, Cuda>> =
                try_conv2d(x.leaky_trace(), &w, Some(&b), conv)?;
            let gradients = kernels::try_sum_all(y).and_then(|sum| sum.try_backward());
            gradients.map(drop).map_err(|error| error.to_string().into())
        },
    )?;
    row("conv2d the same, with sum and backward", time, 3.0 * forward, "GFLOP/s");
    Ok(())
}

fn adam(device: &Cuda) -> Result<(), Box<dyn Error>> {
    const N: usize = 10_000_000;
    let mut w: Tensor<Rank1<N>, f32, _> = Key::new(1).normal(device, Default::default());
    let mut gradients = w.leaky_trace().square().sum::<Rank0, _>().backward();
    let mut memory = vec![Memory::default()];
    memory[0][..2].fill(vec![0.0; N]);
    let formula = Formula::Adam(AdamStep {
        rate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        root_correction: 1.0,
        epsilon: 1e-8,
        keeps_maximum: false,
    });
    let mut resident =
        Cuda::resident(&w, &memory)?.ok_or("this device should run the formulas of optimisers")?;
    for (name, wants_statistics) in [("", false), (", gradients checked", true)] {
        let time = median(
            REPEATS,
            || device.synchronize(),
            || {
                let plan = |_: &[_], _: &[_]| {
                    let planned: Vec<Planned> = vec![Some((Prepare::default(), formula))];
                    Ok::<_, Infallible>((planned, ()))
                };
                _ = Cuda::step_resident(&mut w, &mut gradients, &mut resident, wants_statistics, plan)?;
                Ok(())
            },
        )?;
        row(&format!("Adam of 10^7 weights{name}"), time, 7.0 * 4.0 * N as f64, "GB/s");
    }
    let time = median(
        1,
        || device.synchronize(),
        || {
            with_tensors(&mut w, Some(&mut gradients), |tensors| {
                let prepare = |_| Some(Prepare::default());
                for_each_run(tensors, &mut memory, Cut::Runs, prepare, |run| formula.apply(run))
            })??;
            Ok(())
        },
    )?;
    row("Adam of 10^7 weights, through the host", time, 7.0 * 4.0 * N as f64, "GB/s");
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("case\tmilliseconds\trate\tunit");
    copies()?;
    let device = Cuda::default();
    device.enable_cache();
    products::<1024>(&device)?;
    products::<4096>(&device)?;
    convolution(&device)?;
    adam(&device)?;
    Ok(())
}
