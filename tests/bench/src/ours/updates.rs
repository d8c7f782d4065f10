//! One step of every rule of lecture 8 that PyTorch has too, on ten thousand and on a million weights, with its defaults;
//! and conjugate gradients.
use super::{Array, Prepare, Upstream, elements, uniform};
use bench_protocol::{Case, data, data::fingerprint};
use dfdx::prelude::{ConstShape, Cpu, Rank1, Rank2, Tensor, TensorFromVec};
use dfdx::tensor::Trace;
use layers::{Rule, Step};
use optim::optimizers::*;
use optim::second_order::{CgConfig, conjugate_gradient};
use std::hint::black_box;

/// Name and preparation of each.
pub(super) fn cases() -> Vec<(&'static str, Prepare)> {
    macro_rules! sizes {
        ($($small:literal, $large:literal, $config:expr;)*) => {
            vec![
                $(
                    ($small, |_| update::<_, Rank2<100, 100>>($config)),
                    ($large, |_| update::<_, Rank2<1000, 1000>>($config)),
                )*
                ("conjugate-gradients/256", |_| conjugate_gradients::<256>()),
                ("conjugate-gradients/1024", |_| conjugate_gradients::<1024>()),
            ]
        };
    }
    sizes! {
        "sgd/10k", "sgd/1m", SgdConfig::default();
        "heavy-ball/10k", "heavy-ball/1m", SgdConfig { momentum: Momentum::HeavyBall(0.9), ..Default::default() };
        "nesterov/10k", "nesterov/1m", SgdConfig { momentum: Momentum::Nesterov(0.9), ..Default::default() };
        "adagrad/10k", "adagrad/1m", AdaGradConfig::default();
        "rmsprop/10k", "rmsprop/1m", RmsPropConfig::default();
        "adadelta/10k", "adadelta/1m", AdadeltaConfig::default();
        "adamw/10k", "adamw/1m", AdamWConfig::default();
        "amsgrad/10k", "amsgrad/1m", AmsGradConfig::default();
        "adamax/10k", "adamax/1m", AdamaxConfig::default();
        "nadam/10k", "nadam/1m", NAdamConfig::default();
        "radam/10k", "radam/1m", RAdamConfig::default();
        "rprop/10k", "rprop/1m", RpropConfig::default();
        "asgd/10k", "asgd/1m", AsgdConfig::default();
        "adafactor/10k", "adafactor/1m", AdafactorConfig::default();
    }
}

/// A step with a gradient that is there; three of them before the values are compared.
fn update<R: Rule + 'static, S: ConstShape>(rule: R) -> Case {
    let mut parameter: Array<S> = uniform(1, S::default(), 1.0);
    let gradient = Upstream::new(data::uniform(2, S::NUMEL, 1.0));
    let mut optimizer =
        Optim::<R, Array<S>, f32, Cpu>::try_new(&parameter, rule).expect("the defaults are legal");
    let mut gradients = gradient.backward(parameter.leaky_trace() * 1.0);
    for _ in 0..3 {
        optimizer.step(&mut parameter, &mut gradients).expect("the parameter is the optimiser's own");
    }
    let values = fingerprint("p", elements(&parameter));
    let step = move || _ = optimizer.step(&mut parameter, &mut gradients).expect("it was possible before");
    Case { values, run: Box::new(step) }
}

/// Steps of conjugate gradients that are timed: no tolerance ends them earlier.
const CG_STEPS: usize = 32;

/// Conjugate gradients in double precision for $Ax = b$ with $A = GG^\top/n + I/10$, from zero.
fn conjugate_gradients<const N: usize>() -> Case {
    let device = Cpu::default(); // without a cache: it would keep the vector of every product
    let doubles = |seed, n| data::uniform(seed, n, 1.0).into_iter().map(f64::from).collect::<Vec<_>>();
    let factor: Tensor<Rank2<N, N>, f64, Cpu> = device.tensor_from_vec(doubles(1, N * N), Default::default());
    let mut elements = (kernels::gram(factor) / N as f64).as_vec();
    elements.iter_mut().step_by(N + 1).for_each(|a| *a += 0.1);
    let matrix: Tensor<Rank2<N, N>, f64, Cpu> = device.tensor_from_vec(elements, Default::default());
    let b = doubles(2, N);
    let solve = move || {
        let product = |v: &[f64]| {
            let v: Tensor<Rank1<N>, f64, Cpu> = device.tensor_from_vec(v.to_vec(), Default::default());
            kernels::matmul(matrix.clone(), v).as_vec()
        };
        conjugate_gradient(product, &b, CgConfig { tolerance: 0.0, max_iterations: CG_STEPS })
    };
    let values = fingerprint("x", solve().x);
    Case { values, run: Box::new(move || drop(black_box(solve()))) }
}
