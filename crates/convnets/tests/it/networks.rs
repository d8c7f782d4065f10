//! Six small networks against PyTorch: logits, loss, every gradient, running statistics, evaluation.
use convnets::inception::{Conv, Inception};
use convnets::resnet::{Basic, BasicPadded, BasicProjected, BottleneckProjected, Conv3, Head};
use convnets::segmentation::weighted_cross_entropy;
use convnets::unet::UNet2;
use dfdx::nn::tensor_collection::TensorCollection;
use layers::prelude::*;
use layers::testing::Golden;
use layers::{assert_close, params};

type Traced<S> = Tensor<S, f64, Cpu, OwnedTape<f64, Cpu>>;
type Images<const C: usize> = Tensor<(usize, Const<C>, usize, usize), f64, Cpu>;

type Stem = (Conv3<3, 4>, BatchNorm2D<4, Relu>);
type NetA = (Stem, Basic<4>, BasicPadded<4, 8, 4>, Head<8, 5>);
type NetB = (Stem, Basic<4>, BasicProjected<4, 8, 2>, Head<8, 5>);
type NetC = (Stem, BasicProjected<4, 4, 1>, BasicProjected<4, 8, 2>, Head<8, 5>);
type Bottlenecks = (Stem, BottleneckProjected<4, 2, 8, 1>, BottleneckProjected<8, 3, 12, 2>, Head<12, 5>);

/// The model with the file's weights, and the file's input of `n` images.
fn start<M: BuildOnDevice<Cpu, f64>, const C: usize>(
    golden: &Golden,
    name: &str,
    (n, side): (usize, usize),
) -> (M::Built, Images<C>)
where
    M::Built: TensorCollection<f64, Cpu>,
{
    let dev = Cpu::default();
    let mut model = dev.build_module::<M, f64>();
    let phase = golden.number(&format!("{name}/phase"));
    crate::fill(&mut model, phase);
    assert_eq!(params::count(&model) as f64, golden.number(&format!("{name}/n_params")));
    let mut x = dev.zeros_like(&(n, Const, side, side));
    x.copy_from(&crate::input(n * C * side * side, phase));
    (model, x)
}

/// Loss and gradients against the file.
fn compare<M: TensorCollection<f64, Cpu>>(golden: &Golden, name: &str, model: &M, loss: Traced<Rank0>) {
    assert_close!(loss.array(), golden.number(&format!("{name}/loss")), 1e-9);
    let mut gradients = loss.backward();
    let flat = params::flatten_gradients(model, &mut gradients).unwrap();
    let mut rest = &flat[..];
    for (i, parameter) in params::list(model).iter().filter(|p| p.is_trainable).enumerate() {
        let (gradient, tail) = rest.split_at(parameter.numel());
        rest = tail;
        let expected = |key: &str| format!("{name}/params/{i}/{key}");
        let shape: Vec<f64> = parameter.shape.iter().map(|&n| n as f64).collect();
        assert_eq!(golden.numbers(&expected("shape")), shape, "{}", parameter.name);
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let what = format!("{name}: {} as {}", parameter.name, golden.text(&expected("name")));
        assert_close!(norm, golden.number(&expected("grad_norm")), 1e-9, 1e-10, "{what}");
        let first = &gradient[..gradient.len().min(3)];
        assert_close!(first.to_vec(), golden.numbers(&expected("grad_first3")), 1e-9, 1e-10, "{what}");
    }
    assert_eq!(golden.value(&format!("{name}/params")).as_array().unwrap().len(), params::names(model).len());
    let mut running = Vec::new();
    params::visit(model, |parameter, values| {
        if !parameter.is_trainable {
            running.extend_from_slice(values);
        }
    });
    let statistics = golden.value(&format!("{name}/running_stats_after_1_step")).as_array().unwrap().len();
    let expected: Vec<f64> = (0..statistics)
        .flat_map(|i| golden.numbers(&format!("{name}/running_stats_after_1_step/{i}/data")))
        .collect();
    assert_close!(running, expected, 1e-9, 1e-11, "{name}");
    golden.skip(name); // descriptions
}

/// Training mode, gradients, one update of the running statistics, evaluation. A macro, and part by part: what a tuple of
/// tuples does to a type is found for each part alone, which compiles in a tenth of the time.
macro_rules! classify {
    ($golden:ident, $name:literal, $net:ty) => {{
        let (mut model, x) = start::<$net, 3>($golden, $name, (2, 8));
        let stem = model.0.forward_mut(x.leaky_trace());
        let first = model.1.forward_mut(stem);
        let second = model.2.forward_mut(first);
        let logits = model.3.forward_mut(second);
        assert_close!(logits.as_vec(), $golden.numbers(concat!($name, "/output/data")), 1e-9, 1e-10, $name);
        compare($golden, $name, &model, kernels::cross_entropy_mean(logits, &labels($golden, "labels")));
        let second = model.2.forward(model.1.forward(model.0.forward(x)));
        let evaluated = $golden.numbers(concat!($name, "/eval_output_after_1_stat_update/data"));
        assert_close!(model.3.forward(second).as_vec(), evaluated, 1e-9, 1e-10, $name);
    }};
}

fn labels(golden: &Golden, key: &str) -> Vec<usize> {
    golden.numbers(key).into_iter().map(|label| label as usize).collect()
}

#[test]
fn small_networks_agree_with_torch() {
    let golden = &Golden::open(crate::golden("mini_networks.json"));
    golden.skip("fill_rule");
    classify!(golden, "mini_resnet_basic_A", NetA);
    classify!(golden, "mini_resnet_basic_B", NetB);
    classify!(golden, "mini_resnet_basic_C", NetC);
    classify!(golden, "mini_resnet_bottleneck", Bottlenecks);
    inception(golden, "mini_inception_aux");
    unet(golden, "mini_unet");
}

/// The trunk, the rest, and the auxiliary head, whose loss counts 0.3.
fn inception(golden: &Golden, name: &str) {
    type Early = (Conv<1, 4, 3, 2, 1>, MaxPool2DCeil<3, 2>, Inception<4, 2, 2, 3, 1, 2, 1>);
    type Late = (Inception<8, 3, 2, 4, 1, 2, 3>, Head<12, 4>);
    type Aux = (AdaptiveAvgPool2D<2, 2>, Conv<8, 3, 1>, Flatten, Linear<12, 4>);
    let (model, x) = start::<(Early, Late, Aux), 1>(golden, name, (2, 17));
    let labels = labels(golden, "mini_inception_labels");
    let stem = model.0.0.forward(x.leaky_trace());
    let trunk = model.0.2.forward(model.0.1.forward(stem));
    let aux = model.2.1.forward(model.2.0.forward(trunk.with_empty_tape()));
    let aux = model.2.3.forward(model.2.2.forward(aux));
    let logits = model.1.1.forward(model.1.0.forward(trunk));
    assert_close!(logits.as_vec(), golden.numbers(&format!("{name}/output/data")), 1e-9, 1e-10);
    let loss = kernels::cross_entropy_mean(logits, &labels) + kernels::cross_entropy_mean(aux, &labels) * 0.3;
    compare(golden, name, &model, loss);
}

fn unet(golden: &Golden, name: &str) {
    let (model, x) = start::<UNet2<1, 3, 6, 12, 2>, 1>(golden, name, (1, 44));
    let maps = model.0.forward(x.leaky_trace());
    let logits = model.1.forward(maps);
    assert_close!(logits.as_vec(), golden.numbers(&format!("{name}/output/data")), 1e-9, 1e-10);
    let labels: Vec<usize> = (0..16).map(|i| usize::from(i % 3 == 0)).collect();
    let weights: Vec<f64> = (0..16).map(|i| 1.0 + 0.5 * (0.05 * f64::from(i)).sin()).collect();
    compare(golden, name, &model, weighted_cross_entropy(logits, &labels, &weights));
}
