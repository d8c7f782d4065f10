//! dfdx alone, as it comes, without our kernels, layers and optimisers: what it can express of the cases.
use super::{Array, Prepare, Upstream, device, elements, fill, uniform};
use bench_protocol::{Case, data, data::fingerprint, data::labels};
use dfdx::nn::builders::{Linear, ReLU, Tanh};
use dfdx::optim::{Adam, AdamConfig, Momentum, Sgd, SgdConfig, WeightDecay};
use dfdx::prelude::*;

/// Name and preparation of each.
pub(super) fn cases() -> Vec<(&'static str, Prepare)> {
    macro_rules! sizes {
        ($($small:literal, $large:literal, $optimizer:expr;)*) => {
            vec![$(
                ($small, |_| update::<_, Rank2<100, 100>>($optimizer)),
                ($large, |_| update::<_, Rank2<1000, 1000>>($optimizer)),
            )*]
        };
    }
    let mut cases: Vec<(&'static str, Prepare)> = sizes! {
        "adamw/10k", "adamw/1m", |p| adam(p, Some(WeightDecay::Decoupled(1e-2)));
        "sgd/10k", "sgd/1m", |p| sgd(p, None);
        "heavy-ball/10k", "heavy-ball/1m", |p| sgd(p, Some(Momentum::Classic(0.9)));
        "nesterov/10k", "nesterov/1m", |p| sgd(p, Some(Momentum::Nesterov(0.9)));
    };
    cases.push(("mlp", |_| mlp()));
    cases.push(("mlp-small", |_| mlp_small()));
    cases.push(("adam/10k", |_| update::<_, Rank1<10_000>>(|p| adam(p, None))));
    cases.push(("adam/1m", |_| update::<_, Rank1<1_000_000>>(|p| adam(p, None))));
    cases
}

/// Adam with PyTorch's defaults.
fn adam<M>(model: &M, weight_decay: Option<WeightDecay>) -> Adam<M, f32, Cpu> {
    Adam::new(model, AdamConfig { lr: 1e-3, weight_decay, ..Default::default() })
}

fn sgd<M>(model: &M, momentum: Option<Momentum>) -> Sgd<M, f32, Cpu> {
    Sgd::new(model, SgdConfig { lr: 0.01, momentum, ..Default::default() })
}

/// A step with a gradient that is there; three of them before the values are compared.
fn update<O, S>(optimizer: impl Fn(&Array<S>) -> O) -> Case
where
    O: Optimizer<Array<S>, Cpu, f32> + 'static,
    S: ConstShape,
{
    let mut parameter: Array<S> = uniform(1, S::default(), 1.0);
    let gradient = Upstream::new(data::uniform(2, S::NUMEL, 1.0));
    let mut optimizer = optimizer(&parameter);
    let gradients = gradient.backward(parameter.leaky_trace() * 1.0);
    for _ in 0..3 {
        optimizer.update(&mut parameter, &gradients).expect("the parameter has a gradient");
    }
    let values = fingerprint("p", elements(&parameter));
    let step = move || optimizer.update(&mut parameter, &gradients).expect("it was possible before");
    Case { values, run: Box::new(step) }
}

/// Steps of Adam on the mean cross-entropy with one-hot targets.
fn training<M, const B: usize, const I: usize, const O: usize>(
    mut model: M,
    x: Array<Rank2<B, I>>,
    y: &[usize],
) -> Case
where
    M: TensorCollection<f32, Cpu>
        + ModuleMut<
            Tensor<Rank2<B, I>, f32, Cpu, OwnedTape<f32, Cpu>>,
            Output = Tensor<Rank2<B, O>, f32, Cpu, OwnedTape<f32, Cpu>>,
        > + ZeroGrads<f32, Cpu>
        + 'static,
    M::Error: std::fmt::Debug,
{
    let mut targets = vec![0.0; B * O];
    y.iter().enumerate().for_each(|(row, label)| targets[row * O + label] = 1.0);
    let targets: Array<Rank2<B, O>> = device().tensor_from_vec(targets, Default::default());
    let mut optimizer = adam(&model, None);
    let mut kept = Some(model.alloc_grads());
    let mut step = move || {
        let gradients = kept.take().expect("every step puts them back");
        let loss = cross_entropy_with_logits_loss(model.forward_mut(x.trace(gradients)), targets.clone());
        let value = loss.array();
        let mut gradients = loss.backward();
        optimizer.update(&mut model, &gradients).expect("every parameter has a gradient");
        model.zero_grads(&mut gradients);
        kept = Some(gradients);
        f64::from(value)
    };
    let losses = [step(), step(), step(), step()];
    let values = vec![("loss".to_owned(), losses[0]), ("gain".to_owned(), losses[0] - losses[3])];
    Case { values, run: Box::new(move || _ = step()) }
}

fn mlp() -> Case {
    type Mlp = (Linear<784, 512>, ReLU, Linear<512, 512>, ReLU, Linear<512, 10>);
    let model = fill(device().build_module::<Mlp, f32>(), 100);
    training(model, uniform(1, Rank2::<128, 784>::default(), 1.0), &labels(2, 128, 10))
}

fn mlp_small() -> Case {
    type Mlp = (Linear<2, 64>, Tanh, Linear<64, 64>, Tanh, Linear<64, 2>);
    let model = fill(device().build_module::<Mlp, f32>(), 100);
    training(model, uniform(1, Rank2::<64, 2>::default(), 1.0), &labels(2, 64, 2))
}
