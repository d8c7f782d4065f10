//! Training steps; `tests/peers/torch/steps.py` says what each computes.
use super::{Array, Prepare, Taped, device, elements, fill, uniform};
use bench_protocol::Case;
use bench_protocol::data::{fingerprint, hashed, labels};
use datasets::graphs::{NodeGraph, debian};
use kernels::sequence::gather_rows;
use kernels::sparse::{Csr, Segments, segment_mean, spmm};
use kernels::{Identity as NoActivation, InputGradient};
use layers::attention::Causal;
use layers::graph::OnGraph;
use layers::prelude::*;
use layers::recurrent::Recurrent;
use layers::transformer::PreNorm;
use std::hint::black_box;

/// Name and preparation of each.
pub(super) fn cases() -> Vec<(&'static str, Prepare)> {
    vec![
        ("mlp", |_| mlp()),
        ("mlp-small", |_| mlp_small()),
        ("lenet", |_| lenet()),
        ("resnet20", |_| resnet20()),
        ("unet", |_| unet()),
        ("vae", |_| vae()),
        ("wgan-gp", |_| wgan_gp()),
        ("lstm", |_| lstm()),
        ("transformer-block", |_| transformer_block()),
        ("gpt", |_| gpt()),
        ("ntk", |_| ntk()),
        ("gcn", |_| gcn()),
        ("graphsage", |_| graphsage()),
        ("neural-ode", |_| neural_ode()),
    ]
}

/// A case that trains `model` on `loss`; its values are the first loss and how far three steps lower it.
fn training<M, O>(
    mut model: M,
    mut optimizer: O,
    loss: impl Fn(&mut M, Gradients<f32, Cpu>) -> Taped<Rank0> + 'static,
) -> Case
where
    M: TensorCollection<f32, Cpu> + 'static,
    O: Step<M, f32, Cpu> + 'static,
{
    let mut gradients = Some(model.alloc_grads());
    let mut step = move || {
        let mut kept = gradients.take().unwrap_or_else(|| model.alloc_grads());
        model.zero_grads(&mut kept);
        let loss = loss(&mut model, kept);
        let value = loss.array();
        let mut found = loss.backward();
        optimizer.step(&mut model, &mut found).expect("the model is the optimiser's own");
        gradients = Some(found);
        f64::from(value)
    };
    let losses = [step(), step(), step(), step()];
    let values = vec![("loss".to_owned(), losses[0]), ("gain".to_owned(), losses[0] - losses[3])];
    Case { values, run: Box::new(move || _ = step()) }
}

/// Adam with PyTorch's defaults.
fn adam<M: TensorCollection<f32, Cpu>>(model: &M) -> layers::Adam<M, f32, Cpu> {
    layers::Adam::try_new(model, Default::default()).expect("the defaults are legal")
}

fn mlp() -> Case {
    type Mlp = (Linear<784, 512, Relu>, Linear<512, 512, Relu>, Linear<512, 10>);
    let mut model = fill(device().build_module::<Mlp, f32>(), 100);
    model.0.input_gradient = InputGradient::Skipped;
    let (x, y) = (uniform(1, Rank2::<128, 784>::default(), 1.0), labels(2, 128, 10));
    let optimizer = adam(&model);
    training(model, optimizer, move |model, gradients| {
        kernels::cross_entropy_mean(model.forward(x.trace(gradients)), &y)
    })
}

fn mlp_small() -> Case {
    type Mlp = (Linear<2, 64, Tanh>, Linear<64, 64, Tanh>, Linear<64, 2>);
    let mut model = fill(device().build_module::<Mlp, f32>(), 100);
    model.0.input_gradient = InputGradient::Skipped;
    let (x, y) = (uniform(1, Rank2::<64, 2>::default(), 1.0), labels(2, 64, 2));
    let optimizer = adam(&model);
    training(model, optimizer, move |model, gradients| {
        kernels::cross_entropy_mean(model.forward(x.trace(gradients)), &y)
    })
}

/// PyTorch's momentum.
fn momentum<M: TensorCollection<f32, Cpu>>(model: &M) -> layers::Sgd<M, f32, Cpu> {
    let config = layers::SgdConfig { momentum: layers::Momentum::HeavyBall(0.9), ..Default::default() };
    layers::Sgd::try_new(model, config).expect("the coefficient is legal")
}

fn lenet() -> Case {
    type LeNet = (
        (Conv2D<1, 6, 5, 1, 2, 1, Relu>, MaxPool2D<2, 2>),
        (Conv2D<6, 16, 5, 1, 0, 1, Relu>, MaxPool2D<2, 2>),
        Flatten,
        (Linear<400, 120, Relu>, Linear<120, 84, Relu>, Linear<84, 10>),
    );
    let mut model = fill(device().build_module::<LeNet, f32>(), 100);
    model.0.0.input_gradient = InputGradient::Skipped;
    let (x, y) = (uniform(1, Rank4::<64, 1, 28, 28>::default(), 1.0), labels(2, 64, 10));
    let optimizer = momentum(&model);
    training(model, optimizer, move |model, gradients| {
        kernels::cross_entropy_mean(model.forward(x.trace(gradients)), &y)
    })
}

/// Maps of one channel count; their height and width are numbers of the run, so that one function serves all stages.
type Maps<const B: usize, const C: usize> = Taped<(Const<B>, Const<C>, usize, usize)>;
/// A basic residual block of two convolutions and its normalisations.
type Block<const I: usize, const O: usize, const S: usize> =
    (UnbiasedConv2D<I, O, 3, S, 1>, BatchNorm2D<O, Relu>, UnbiasedConv2D<O, O, 3, 1, 1>, BatchNorm2D<O>);
/// A block that halves the extent, and the strided 1 × 1 convolution that leads past it.
type Halving<const I: usize, const O: usize> = (Block<I, O, 2>, UnbiasedConv2D<I, O, 1, 2>);
/// A block as it is built.
type Built<M> = <M as BuildOnDevice<Cpu, f32>>::Built;

/// The two convolutions of a block.
fn branch<const B: usize, const I: usize, const O: usize, const S: usize>(
    block: &mut Built<Block<I, O, S>>,
    x: Maps<B, I>,
) -> Maps<B, O> {
    let h = block.1.forward_mut(block.0.forward(x));
    block.3.forward_mut(block.2.forward(h))
}

/// relu(x + branch(x)).
fn residual<const B: usize, const C: usize>(block: &mut Built<Block<C, C, 1>>, x: Maps<B, C>) -> Maps<B, C> {
    let (x, tape) = x.split_tape();
    kernels::activate(kernels::add(branch(block, x.clone().put_tape(tape)), x), kernels::Relu)
}

/// relu(past(x) + branch(x)).
fn halving<const B: usize, const I: usize, const O: usize>(
    (block, past): &mut Built<Halving<I, O>>,
    x: Maps<B, I>,
) -> Maps<B, O> {
    let (x, tape) = x.split_tape();
    let (past, tape) = past.forward(x.clone().put_tape(tape)).split_tape();
    kernels::activate(kernels::add(branch(block, x.put_tape(tape)), past), kernels::Relu)
}

fn resnet20() -> Case {
    type ResNet = (
        (UnbiasedConv2D<3, 16, 3, 1, 1>, BatchNorm2D<16, Relu>, Repeated<Block<16, 16, 1>, 3>),
        (Halving<16, 32>, Repeated<Block<32, 32, 1>, 2>),
        (Halving<32, 64>, Repeated<Block<64, 64, 1>, 2>),
        Linear<64, 10>,
    );
    let mut model = fill(device().build_module::<ResNet, f32>(), 100);
    model.0.0.input_gradient = InputGradient::Skipped;
    let (x, y) = (uniform(1, (Const::<32>, Const::<3>, 32_usize, 32_usize), 1.0), labels(2, 32, 10));
    let optimizer = momentum(&model);
    training(model, optimizer, move |model, gradients| {
        let ((first, norm, blocks16), (half32, blocks32), (half64, blocks64), head) = model;
        let mut h = norm.forward_mut(first.forward(x.trace(gradients)));
        for block in &mut blocks16.modules {
            h = residual(block, h);
        }
        let mut h = halving(half32, h);
        for block in &mut blocks32.modules {
            h = residual(block, h);
        }
        let mut h = halving(half64, h);
        for block in &mut blocks64.modules {
            h = residual(block, h);
        }
        kernels::cross_entropy_mean(head.forward(kernels::global_avg_pool(h)), &y)
    })
}

fn unet() -> Case {
    type Twice<const I: usize, const O: usize> =
        (Conv2D<I, O, 3, 1, 1, 1, Relu>, Conv2D<O, O, 3, 1, 1, 1, Relu>);
    // Down, bottom; up and what reads the skip connection beside it, twice; the logit of each pixel.
    type UNet = (
        (Twice<1, 16>, Twice<16, 32>, Twice<32, 64>),
        (ConvTranspose2D<64, 32, 2, 2>, Twice<64, 32>),
        (ConvTranspose2D<32, 16, 2, 2>, Twice<32, 16>),
        Conv2D<16, 1, 1>,
    );
    let mut model = fill(device().build_module::<UNet, f32>(), 100);
    model.0.0.0.input_gradient = InputGradient::Skipped;
    let x = uniform(1, Rank4::<4, 1, 64, 64>::default(), 1.0);
    let y = labels(2, 4 * 64 * 64, 2).into_iter().map(|label| label as f32).collect();
    let y: Array<Rank4<4, 1, 64, 64>> = device().tensor_from_vec(y, Default::default());
    let optimizer = adam(&model);
    training(model, optimizer, move |model, gradients| {
        let ((down1, down2, bottom), (up2, side2), (up1, side1), head) = &*model;
        let half = MaxPool2D::<2, 2>;
        let (a, tape) = down1.forward(x.trace(gradients)).split_tape();
        let (b, tape) = down2.forward(half.forward(a.clone().put_tape(tape))).split_tape();
        let c = bottom.forward(half.forward(b.clone().put_tape(tape)));
        let (up, tape) = up2.forward(c).split_tape();
        let b = side2.forward(kernels::concat_channels(b.put_tape(tape), up));
        let (up, tape) = up1.forward(b).split_tape();
        let a = side1.forward(kernels::concat_channels(a.put_tape(tape), up));
        kernels::bce_with_logits_mean(head.forward(a), &y)
    })
}

fn vae() -> Case {
    // Encoder, mean, log-variance, decoder, logits.
    type Vae =
        (Linear<784, 400, Relu>, Linear<400, 20>, Linear<400, 20>, Linear<20, 400, Relu>, Linear<400, 784>);
    let mut model = fill(device().build_module::<Vae, f32>(), 100);
    model.0.input_gradient = InputGradient::Skipped;
    let (x, noise) =
        (uniform(1, Rank2::<128, 784>::default(), 1.0), uniform(2, Rank2::<128, 20>::default(), 1.7));
    let x = x.abs();
    let optimizer = adam(&model);
    training(model, optimizer, move |model, gradients| {
        let (h, tape) = model.0.forward(x.trace(gradients)).split_tape();
        let (mean, tape) = model.1.forward(h.clone().put_tape(tape)).split_tape();
        let (log_var, tape) = model.2.forward(h.put_tape(tape)).split_tape();
        let deviation = kernels::exp(log_var.clone().put_tape(tape) * 0.5);
        let z = kernels::add(kernels::mul(deviation, noise.clone()), mean.clone());
        let logits = model.4.forward(model.3.forward(z));
        let (reconstruction, tape) = (kernels::bce_with_logits_mean(logits, &x) * 784.0).split_tape();
        let variance = kernels::exp(log_var.clone().put_tape(tape));
        let (terms, tape) = (variance - log_var - 1.0).split_tape();
        let kl = kernels::mean_all(mean.put_tape(tape).square() + terms) * (0.5 * 20.0);
        kl + reconstruction
    })
}

fn wgan_gp() -> Case {
    type Critic = (Linear<784, 256>, LeakyRelu, Linear<256, 256>, LeakyRelu, Linear<256, 1>);
    type Generator = (Linear<64, 256, Relu>, Linear<256, 256, Relu>, Linear<256, 784, Tanh>);
    type Images = Rank2<64, 784>;
    let mut critic = fill(device().build_module::<Critic, f32>(), 100);
    (critic.1.0, critic.3.0) = (0.2, 0.2);
    let generator = fill(device().build_module::<Generator, f32>(), 200);
    let (real, noise) = (uniform(1, Images::default(), 1.0), uniform(2, Rank2::<64, 64>::default(), 1.0));
    let share: Array<Images> = uniform(3, (Const::<64>,), 1.0).abs().broadcast().contiguous();
    let rule = layers::AdamConfig { beta1: 0.0, beta2: 0.9, ..Default::default() };
    let optimizer = layers::Adam::try_new(&critic, rule);
    let optimizer = optimizer.expect("the betas are legal");
    training(critic, optimizer, move |critic, gradients| {
        let fake = generator.forward(noise.clone());
        let from_real = kernels::mul(real.clone(), share.clone());
        let from_fake = kernels::mul(fake.clone(), -share.clone() + 1.0);
        let between = kernels::add(from_real, from_fake);
        let of_fake = kernels::mean_all(critic.forward(fake.trace(gradients)));
        let of_real = kernels::mean_all(critic.forward(real.leaky_trace()));
        of_fake - of_real + layers::gradient_penalty(critic, &between, 1.0) * 10.0
    })
}

fn lstm() -> Case {
    type Classifier = (Lstm<64, 128>, Linear<128, 10>);
    let mut model = fill(device().build_module::<Classifier, f32>(), 100);
    model.0.input_gradient = InputGradient::Skipped;
    let (x, y) = (uniform(1, Rank3::<32, 64, 64>::default(), 1.0), labels(2, 32, 10));
    let optimizer = adam(&model);
    training(model, optimizer, move |model, gradients| {
        let output = model.0.run(x.trace(gradients), &Default::default());
        let (_, tape) = output.y.split_tape();
        kernels::cross_entropy_mean(model.1.forward(output.hidden.put_tape(tape)), &y)
    })
}

fn transformer_block() -> Case {
    type Block = TransformerEncoderBlock<128, 4, 512, PreNorm, Gelu>;
    type Tokens = Rank3<32, 64, 128>;
    let model = fill(device().build_module::<Block, f32>(), 100);
    let (x, y) = (uniform(1, Tokens::default(), 1.0), uniform(2, Tokens::default(), 1.0));
    let optimizer = adam(&model);
    training(model, optimizer, move |model, gradients| {
        kernels::mse_mean(model.forward(x.trace(gradients)), y.clone())
    })
}

fn gpt() -> Case {
    type Block = TransformerEncoderBlock<128, 4, 512, PreNorm, Gelu, Causal>;
    type Gpt = (
        Embedding<65, 128>,
        LearnedPositions<128, 128>,
        Repeated<Block, 4>,
        LayerNorm1D<128>,
        Linear<128, 65>,
    );
    let model = fill(device().build_module::<Gpt, f32>(), 100);
    let text = labels(1, 16 * 129, 65);
    let tokens = text.chunks_exact(129).flat_map(|line| &line[..128]).copied().collect();
    let tokens: Tensor<Rank2<16, 128>, usize, Cpu> = device().tensor_from_vec(tokens, Default::default());
    let next: Vec<usize> = text.chunks_exact(129).flat_map(|line| &line[1..]).copied().collect();
    let optimizer = adam(&model);
    training(model, optimizer, move |model, gradients| {
        let logits: Taped<Rank3<16, 128, 65>> = model.forward(tokens.trace(gradients));
        kernels::cross_entropy_mean(logits.reshape::<Rank2<2048, 65>>(), &next)
    })
}

fn ntk() -> Case {
    type Mlp = (Linear<64, 256>, Tanh, Linear<256, 256>, Tanh, Linear<256, 1>);
    let mut model = fill(device().build_module::<Mlp, f32>(), 100);
    model.0.input_gradient = InputGradient::Skipped;
    let x = uniform(1, Rank2::<512, 64>::default(), 1.0);
    let compute = move || {
        let (z1, tape) = model.0.forward(x.leaky_trace()).split_tape();
        let (h1, tape) = model.1.forward(z1.clone().put_tape(tape)).split_tape();
        let (z2, tape) = model.2.forward(h1.clone().put_tape(tape)).split_tape();
        let (h2, tape) = model.3.forward(z2.clone().put_tape(tape)).split_tape();
        let (z3, tape) = model.4.forward(h2.clone().put_tape(tape)).split_tape();
        let slopes = kernels::sum_all(z3.clone().put_tape(tape)).backward();
        let hidden = kernels::add(layer_kernel(&slopes.get(&z1), &x), layer_kernel(&slopes.get(&z2), &h1));
        kernels::add(hidden, layer_kernel(&slopes.get(&z3), &h2))
    };
    let values = fingerprint("kernel", elements(&compute()));
    Case { values, run: Box::new(move || drop(black_box(compute()))) }
}

/// (d dᵀ) ∘ (a aᵀ + 1): what the weights and biases of one layer add to the kernel.
fn layer_kernel<const N: usize, const O: usize, const I: usize>(
    d: &Array<Rank2<N, O>>,
    a: &Array<Rank2<N, I>>,
) -> Array<Rank2<N, N>> {
    kernels::mul(kernels::gram(a.clone()) + 1.0, kernels::gram(d.clone()))
}

/// The features of all packages, (3883, 500).
fn features(graph: &NodeGraph) -> Array<(usize, Const<500>)> {
    let mut values = vec![0.0; graph.len() * 500];
    for node in 0..graph.len() {
        graph.words(node).iter().for_each(|&word| values[500 * node + word as usize] = 1.0);
    }
    device().tensor_from_vec(values, (graph.len(), Const))
}

/// D^−½ (A + 1) D^−½ of an undirected graph.
fn normalised(graph: &NodeGraph) -> Csr<f32> {
    let scale = |node: usize| (1.0 + graph.neighbours(node).len() as f32).sqrt().recip();
    let both = graph.edges().iter().flat_map(|&(a, b)| [(a, b), (b, a)]);
    let edges = both.chain((0..graph.len()).map(|node| (node, node)));
    let weighted: Vec<_> = edges.map(|(a, b)| (a as u32, b as u32, scale(a) * scale(b))).collect();
    Csr::try_from_edges(graph.len(), graph.len(), &weighted).expect("edges lie in the graph")
}

fn gcn() -> Case {
    type Gcn = (GraphConvolution<500, 16, Relu>, GraphConvolution<16, 9>);
    let graph = debian();
    let mut model = fill(device().build_module::<Gcn, f32>(), 100);
    model.0.input_gradient = InputGradient::Skipped;
    let (x, adjacency, trained) = (features(graph), normalised(graph), graph.split().train);
    let y: Vec<usize> = trained.iter().map(|&node| graph.label(node)).collect();
    let optimizer = adam(&model);
    training(model, optimizer, move |model, gradients| {
        let logits = model.forward(OnGraph { x: x.trace(gradients), graph: &adjacency }).x;
        kernels::cross_entropy_mean(gather_rows(logits, &trained), &y)
    })
}

fn graphsage() -> Case {
    // Own features and the mean of the neighbours', in two layers.
    type Sage = (Linear<500, 64>, UnbiasedLinear<500, 64>, Linear<64, 9>, UnbiasedLinear<64, 9>);
    let graph = debian();
    let model = fill(device().build_module::<Sage, f32>(), 100);
    let x = features(graph);
    let neighbours = |seed: u32, nodes: &[usize]| -> Vec<usize> {
        let ten = nodes.iter().flat_map(|&node| [node; 10]).zip(0..);
        ten.map(|(node, i)| {
            let near = graph.neighbours(node);
            near[(hashed(seed, i) >> 8) as usize % near.len()]
        })
        .collect()
    };
    let batch = labels(1, 512, graph.len());
    let near = neighbours(2, &batch);
    let far = neighbours(3, &near);
    let y: Vec<usize> = batch.iter().map(|&node| graph.label(node)).collect();
    let mean_of = |drawn: &[usize]| {
        let tenths = drawn.iter().enumerate().map(|(i, &node)| (i as u32 / 10, node as u32, 0.1));
        Csr::try_from_edges(drawn.len() / 10, graph.len(), &tenths.collect::<Vec<_>>())
            .expect("nodes of the graph")
    };
    let (near_means, far_means, tens) = (mean_of(&near), mean_of(&far), Segments::from_lengths(&[10; 512]));
    let none = (device().zeros(), device().zeros());
    let optimizer = adam(&model);
    training(model, optimizer, move |model, gradients| {
        let first = |of: &[usize], means: &Csr<f32>, tape: OwnedTape<f32, Cpu>| {
            let (own, mean) = (&model.0, &model.1);
            let (of, means) = (gather_rows(x.clone(), of), spmm(means, x.clone()));
            let means = kernels::linear(
                means.put_tape(tape),
                &mean.weight,
                &none.0,
                NoActivation,
                InputGradient::Skipped,
            );
            let (means, tape) = means.split_tape();
            let own = kernels::linear(
                of.put_tape(tape),
                &own.weight,
                &own.bias,
                NoActivation,
                InputGradient::Skipped,
            );
            // A tape of its own: an operand without one is data and gets no gradient.
            let sum = kernels::add(own, means.retaped::<OwnedTape<f32, Cpu>>());
            kernels::activate(sum, kernels::Relu).split_tape()
        };
        let (_, tape) = x.trace(gradients).split_tape();
        let (one, tape) = first(&batch, &near_means, tape);
        let (two, tape) = first(&near, &far_means, tape);
        let means = segment_mean(two.put_tape(tape), &tens);
        let (means, tape) =
            kernels::linear(means, &model.3.weight, &none.1, NoActivation, InputGradient::Needed)
                .split_tape();
        let logits = model.2.forward(one.put_tape(tape)) + means;
        kernels::cross_entropy_mean(logits, &y)
    })
}

/// Dormand and Prince (1980): how each stage is reached from the slopes before it; the last row is the step of order 5.
const DOPRI5: [&[f64]; 7] = [
    &[],
    &[1.0 / 5.0],
    &[3.0 / 40.0, 9.0 / 40.0],
    &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
    &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0],
    &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
    &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
];

fn neural_ode() -> Case {
    type Field = (Linear<2, 64, Tanh>, Linear<64, 2>);
    let model = fill(device().build_module::<Field, f32>(), 100);
    let shape = Rank2::<256, 2>::default();
    let (x, target, step) = (uniform(1, shape, 1.0), uniform(2, shape, 1.0), 0.1);
    let optimizer = adam(&model);
    training(model, optimizer, move |model, gradients| {
        let (mut y, mut tape) = x.trace(gradients).split_tape();
        for _ in 0..10 {
            let mut slopes: Vec<Array<Rank2<256, 2>>> = Vec::with_capacity(6);
            for weights in &DOPRI5[..6] {
                let at = combination(&y, tape, step, weights, &slopes);
                let slope;
                (slope, tape) = model.forward(at).split_tape();
                slopes.push(slope);
            }
            (y, tape) = combination(&y, tape, step, DOPRI5[6], &slopes).split_tape();
        }
        kernels::mse_mean(y.put_tape(tape), target.clone())
    })
}

/// y + step (w₁ k₁ + w₂ k₂ + …), recorded on `tape`.
fn combination<S: Shape>(
    y: &Array<S>,
    tape: OwnedTape<f32, Cpu>,
    step: f64,
    weights: &[f64],
    slopes: &[Array<S>],
) -> Taped<S> {
    let mut at = y.clone().put_tape(tape);
    for (weight, slope) in weights.iter().zip(slopes).filter(|(weight, _)| **weight != 0.0) {
        let (so_far, tape) = at.split_tape();
        at = kernels::add(slope.clone().put_tape(tape) * ((step * weight) as f32), so_far);
    }
    at
}
