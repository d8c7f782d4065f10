//! Normalisations as modules: training and evaluation, tangents, folding, recalibration, files.
use layers::normalisation::recalibrate;
use layers::prelude::*;
use layers::testing::gradient_check;
use layers::{Along, Checkpoint, Cost, Dual, assert_close, losses, modules, params};

type Images = Tensor<Rank4<3, 4, 3, 2>, f64, Cpu>;
type Rows = Tensor<Rank2<6, 4>, f64, Cpu>;
type Traced<S> = Tensor<S, f64, Cpu, OwnedTape<f64, Cpu>>;
type Duals<S> = Dual<S, f64, Cpu, OwnedTape<f64, Cpu>>;

/// A module in evaluation and in training, three ways: gradients of weights and input, the tangent as a difference of
/// values, and the gradients of a loss of the tangent only.
fn is_exact<M, S>(module: &M, draw: impl Fn() -> Tensor<S, f64, Cpu>)
where
    S: ConstShape,
    M: TensorCollection<f64, Cpu>
        + Clone
        + Module<Tensor<S, f64, Cpu>, Output = Tensor<S, f64, Cpu>>
        + ModuleMut<Tensor<S, f64, Cpu>, Output = Tensor<S, f64, Cpu>>
        + Module<Traced<S>, Output = Traced<S>>
        + ModuleMut<Traced<S>, Output = Traced<S>>
        + Module<Duals<S>, Output = Duals<S>>
        + ModuleMut<Duals<S>, Output = Duals<S>>,
    Tensor<S, f64, Cpu>: TensorCollection<f64, Cpu>,
{
    const H: f64 = 6e-6;
    let name = std::any::type_name::<M>();
    let (x, v, weights) = (draw(), draw(), draw());
    let mean = |y: Traced<S>| losses::mse_mean(y, weights.clone()); // every output has a gradient of its own
    gradient_check(&(module.clone(), x.clone()), |(m, x)| mean(m.forward(x.leaky_trace()))).assert(1e-7);
    gradient_check(&(module.clone(), x.clone()), |(m, x)| mean(m.clone().forward_mut(x.leaky_trace())))
        .assert(1e-7);

    let at = |h: f64| x.clone() + v.clone() * h;
    let evaluated = |h: f64| module.forward(at(h));
    let trained = |h: f64| module.clone().forward_mut(at(h));
    let dual = || Dual::new(x.leaky_trace(), v.clone());
    let tangent = module.forward(dual()).tangent();
    assert_close!(tangent, (evaluated(H) - evaluated(-H)) / (2.0 * H), 1e-7, 1e-8, "evaluation of {name}");
    let tangent = module.clone().forward_mut(dual()).tangent();
    assert_close!(tangent, (trained(H) - trained(-H)) / (2.0 * H), 1e-7, 1e-8, "training of {name}");

    let all = (module.clone(), x.clone(), v.clone());
    gradient_check(&all, |(m, x, v)| mean(m.forward(Dual::new(x.leaky_trace(), v.clone())).tangent()))
        .assert(1e-6);
    gradient_check(&all, |(m, x, v)| {
        mean(m.clone().forward_mut(Dual::new(x.leaky_trace(), v.clone())).tangent())
    })
    .assert(1e-6);
}

/// The derivative along a direction in weight space, and the gradients of a loss of it.
#[test]
fn weights_move_along_a_direction() {
    const H: f64 = 6e-6;
    fn check<M>(module: M, direction: M, x: &Rows)
    where
        M: TensorCollection<f64, Cpu>
            + Clone
            + Module<Rows, Output = Rows>
            + Along<Duals<Rank2<6, 4>>, Output = Duals<Rank2<6, 4>>>,
    {
        let (w, dw) = (params::flatten(&module), params::flatten(&direction));
        let at = |h: f64| {
            let mut module = module.clone();
            let weights: Vec<f64> = w.iter().zip(&dw).map(|(w, dw)| w + h * dw).collect();
            params::unflatten(&mut module, &weights).unwrap();
            module.forward(x.clone())
        };
        let tangent = module.along(&direction, Dual::constant(x.leaky_trace())).tangent();
        assert_close!(tangent, (at(H) - at(-H)) / (2.0 * H), 1e-8, 1e-9);
        gradient_check(&(module, x.clone()), |(m, x)| {
            m.along(&direction, Dual::constant(x.leaky_trace())).tangent().square().mean()
        })
        .assert(1e-7);
    }
    let dev = Cpu::seed_from_u64(10);
    let x: Rows = dev.sample_normal();
    type Net = (BatchNorm1D<4, Tanh>, LayerNorm1D<4>, (RMSNorm<4>, GroupNorm<4, 1>), LocalResponseNorm);
    check(moved(dev.build_module::<Net, f64>()), moved(moved(dev.build_module::<Net, f64>())), &x);
    type Branches = (Concat<(Linear<4, 2>, BatchNorm1D<4>)>, Linear<6, 4>);
    check(dev.build_module::<Branches, f64>(), moved(dev.build_module::<Branches, f64>()), &x);
}

/// Parameters and running statistics away from where they start.
fn moved<M: TensorCollection<f64, Cpu>>(mut module: M) -> M {
    let mut i = 0.0_f64;
    params::visit_mut(&mut module, |parameter, values| {
        for value in values {
            i += 1.0;
            *value += if parameter.name.contains("running_var") { 0.3 } else { 0.4 * i.sin() };
        }
    })
    .unwrap();
    module
}

#[test]
fn batch_norms_are_exact() {
    let dev = Cpu::seed_from_u64(1);
    let images = || -> Images { dev.sample_normal() };
    is_exact(&moved(dev.build_module::<BatchNorm2D<4>, f64>()), images);
    is_exact(&moved(dev.build_module::<BatchNorm2D<4, Tanh>, f64>()), images);
    is_exact(&moved(dev.build_module::<BatchNorm2D<4, Relu>, f64>()), images);
    is_exact(&moved(dev.build_module::<BatchNorm1D<4>, f64>()), || -> Rows { dev.sample_normal() });
    is_exact(&moved(dev.build_module::<BatchNorm1D<4>, f64>()), || dev.sample_normal::<Rank3<2, 4, 5>>());
}

#[test]
fn other_norms_are_exact() {
    let dev = Cpu::seed_from_u64(2);
    let images = || -> Images { dev.sample_normal() };
    let rows = || -> Rows { dev.sample_normal() };
    is_exact(&moved(dev.build_module::<LayerNorm1D<4>, f64>()), rows);
    is_exact(&moved(dev.build_module::<LayerNorm1D<4>, f64>()), || dev.sample_normal::<Rank4<2, 3, 2, 4>>());
    is_exact(&moved(dev.build_module::<RMSNorm<4>, f64>()), rows);
    is_exact(&moved(dev.build_module::<GroupNorm<4, 2>, f64>()), images);
    is_exact(&moved(dev.build_module::<GroupNorm<4, 1>, f64>()), images);
    is_exact(&InstanceNorm2D::default(), images);
    let config = kernels::LocalResponse { size: 3, k: 1.5, alpha: 0.2, beta: 0.75 };
    is_exact(&LocalResponseNorm { config }, images);
    let config = kernels::LocalResponse { size: 4, ..config };
    is_exact(&LocalResponseNorm { config }, images);
}

/// Behind the wrapper the weight has the promised norm, and gradients reach what is trained.
#[test]
fn norms_of_weights_are_exact() {
    let dev = Cpu::seed_from_u64(3);
    let x: Rows = dev.sample_normal();
    let v: Rows = dev.sample_normal();
    let mut spectral = dev.build_module::<SpectralNorm<Linear<4, 3, Tanh>, 3>, f64>();
    for _ in 0..200 {
        spectral.forward_mut(x.clone());
    }
    let mut weight = dev.build_module::<WeightNorm<Linear<4, 3, Tanh>, 3>, f64>();
    weight.keep_lengths().unwrap();
    assert_close!(weight.forward(x.clone()), weight.module.forward(x.clone()), 1e-14);
    let weight = moved(weight);
    let target: Tensor<Rank2<6, 3>, f64, _> = dev.sample_normal();
    let mean = |y: Traced<Rank2<6, 3>>| losses::mse_mean(y, target.clone());
    gradient_check(&(weight.clone(), x.clone()), |(m, x)| mean(m.forward(x.leaky_trace()))).assert(1e-7);
    gradient_check(&(weight.clone(), x.clone(), v.clone()), |(m, x, v)| {
        mean(m.forward(Dual::new(x.leaky_trace(), v.clone())).tangent())
    })
    .assert(1e-6);
    // At the singular vectors of W the derivative of σ by u and v vanishes, so u and v may count as constants.
    gradient_check(&(spectral.clone(), x.clone()), |(m, x)| mean(m.forward(x.leaky_trace()))).assert(1e-6);
    gradient_check(&(spectral.clone(), x.clone(), v), |(m, x, v)| {
        mean(m.forward(Dual::new(x.leaky_trace(), v.clone())).tangent())
    })
    .assert(1e-6);
    assert_eq!(params::names(&spectral), ["module.weight", "module.bias"]); // u is not trained
    assert_eq!(params::names(&weight), ["module.weight", "module.bias", "g"]);

    // A weight scaled by 7 computes the same.
    let before = spectral.forward(x.clone());
    spectral.module.weight = spectral.module.weight.clone() * 7.0;
    assert_close!(spectral.forward(x), before, 1e-13);
}

/// Training moves the running statistics as PyTorch does, with any tape; evaluation leaves them.
#[test]
fn running_statistics_move_in_training_only() {
    let dev = Cpu::seed_from_u64(4);
    let mut norm = dev.build_module::<BatchNorm1D<4>, f64>();
    let x: Rows = dev.sample_normal::<Rank2<6, 4>>() * 3.0 + 2.0;
    let start = norm.clone();
    norm.forward(x.clone());
    norm.forward(x.leaky_trace());
    assert_eq!(norm.running_mean.array(), start.running_mean.array());
    norm.forward_mut(x.clone());
    let mut taped = start.clone();
    taped.forward_mut(x.leaky_trace());
    let mut dual = start;
    dual.forward_mut(Dual::constant(x.leaky_trace()));
    let columns = |f: &dyn Fn([f64; 6]) -> f64| -> [f64; 4] {
        std::array::from_fn(|c| f(std::array::from_fn(|row| x.array()[row][c])))
    };
    let average = |x: [f64; 6]| x.iter().sum::<f64>() / 6.0;
    let mean = columns(&|x| 0.1 * average(x));
    let variance = columns(&|x| 0.9 + 0.1 * x.iter().map(|v| (v - average(x)).powi(2)).sum::<f64>() / 5.0);
    for norm in [norm, taped, dual] {
        assert_close!(norm.running_mean, mean, 1e-14);
        assert_close!(norm.running_var, variance, 1e-14);
        assert_eq!(norm.num_batches_tracked, 1);
    }
}

/// What batch normalisation does to the layer before it: its length does not matter, so the gradient is orthogonal to
/// it and shrinks as it grows (Salimans & Kingma 2016; van Laarhoven 2017).
#[test]
fn the_weight_before_a_batch_norm_has_no_length() {
    let dev = Cpu::seed_from_u64(5);
    let model = dev.build_module::<(Linear<4, 1>, BatchNorm1D<1>), f64>();
    let x: Rows = dev.sample_normal();
    let target: Tensor<Rank2<6, 1>, f64, _> = dev.sample_normal();
    let mut model = model;
    model.1.epsilon = 0.0;
    let run = |scale: f64| {
        let mut model = model.clone();
        model.0.weight = model.0.weight.clone() * scale;
        let loss = losses::mse_mean(model.forward_mut(x.leaky_trace()), target.clone());
        let value = loss.array();
        let gradient = loss.backward().get(&model.0.weight).array()[0];
        (value, gradient, model.0.weight.array()[0])
    };
    let (loss, gradient, weight) = run(1.0);
    let along: f64 = gradient.iter().zip(weight).map(|(g, w)| g * w).sum();
    let length = |x: [f64; 4]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    assert!(along.abs() <= 1e-13 * length(gradient) * length(weight), "{along}");
    let (scaled_loss, scaled_gradient, _) = run(4.0);
    assert_close!(scaled_loss, loss, 1e-13);
    assert_close!(length(scaled_gradient) * 4.0, length(gradient), 1e-12);
}

/// A folded model computes what the model computed in evaluation.
#[test]
fn folding_changes_no_output() {
    let dev = Cpu::seed_from_u64(6);
    let mut model =
        dev.build_module::<(Linear<4, 5>, BatchNorm1D<5, Relu>, Linear<5, 3>, BatchNorm1D<3>), f32>();
    let x: Tensor<Rank2<20, 4>, f32, _> = dev.sample_normal();
    for _ in 0..5 {
        model.forward_mut(x.clone());
    }
    let before = model.forward(x.clone());
    model.1.fold_into(&mut model.0.weight, &mut model.0.bias).unwrap();
    model.3.fold_into(&mut model.2.weight, &mut model.2.bias).unwrap();
    assert_close!(model.forward(x.clone()), before, 1e-5, 1e-5);
    // The plain layers alone: what a deployed model keeps.
    let plain = model.2.forward(model.0.forward(x).relu());
    assert_close!(plain, before, 1e-5, 1e-5);
}

#[test]
#[should_panic(expected = "the first axis of the weight must be the channels")]
fn a_weight_with_other_outputs_is_not_folded() {
    let dev = Cpu::default();
    let mut norm = dev.build_module::<BatchNorm1D<3>, f32>();
    let mut weight = dev.zeros::<Rank2<4, 2>>();
    let mut bias = dev.zeros::<Rank1<3>>();
    norm.fold_into(&mut weight, &mut bias).unwrap();
}

/// Recalibrated statistics are the plain means over the batches, in nested models too.
#[test]
fn recalibration_takes_plain_means() {
    let dev = Cpu::seed_from_u64(7);
    let mut model = dev.build_module::<(BatchNorm1D<4>, Residual<(Linear<4, 4>, BatchNorm1D<4>)>), f64>();
    let batches: Vec<Rows> = (0..3).map(|i| dev.sample_normal::<Rank2<6, 4>>() + f64::from(i)).collect();
    model.forward_mut(batches[0].clone() * 100.0); // statistics of another time
    let run = |model: &mut _, batches: &[Rows]| {
        recalibrate(
            model,
            |model: &mut <(BatchNorm1D<4>, Residual<(Linear<4, 4>, BatchNorm1D<4>)>) as BuildOnDevice<
                Cpu,
                f64,
            >>::Built| { batches.iter().for_each(|x| drop(model.forward_mut(x.clone()))) },
        )
    };
    run(&mut model, &batches);
    let mean = batches.iter().fold(dev.zeros::<Rank1<4>>(), |sum, x| sum + x.clone().mean::<Rank1<4>, _>());
    assert_close!(model.0.running_mean, mean / 3.0, 1e-13);
    assert_eq!((model.0.num_batches_tracked, (model.1).0.1.num_batches_tracked), (3, 3));
    // Without a batch nothing changes but the count.
    let before = model.0.running_var.array();
    run(&mut model, &[]);
    assert_eq!((model.0.running_var.array(), model.0.num_batches_tracked), (before, 0));
}

#[test]
fn names_are_those_of_torchvision_and_files_come_back() {
    let dev = Cpu::seed_from_u64(8);
    type Net = (Linear<4, 4>, BatchNorm2D<4>, LayerNorm1D<4>, GroupNorm<4, 2>, RMSNorm<4>);
    let mut model = moved(dev.build_module::<Net, f32>().to_dtype::<f64>());
    model.1.num_batches_tracked = 7;
    let names: Vec<String> = params::list(&model).into_iter().map(|p| p.name).collect();
    let want = "0.weight 0.bias 1.weight 1.bias 1.running_mean 1.running_var 2.weight 2.bias 3.weight 3.bias 4.weight";
    assert_eq!(names.join(" "), want);
    assert_eq!(params::count(&model), Net::PARAMS);
    let mut checkpoint = Checkpoint::default();
    checkpoint.insert_model("", &model);
    let mut other = dev.build_module::<Net, f64>();
    checkpoint.load_model("", &mut other).unwrap();
    assert_eq!(params::flatten(&other), params::flatten(&model));
    assert_eq!(other.1.running_var.array(), model.1.running_var.array());
    assert_eq!(other.1.num_batches_tracked, 7);
}

/// `num_batches_tracked` as PyTorch writes it.
#[test]
fn a_count_in_whole_numbers_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bn.safetensors");
    let header = br#"{"bias":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[8,16]},"running_mean":{"dtype":"F64","shape":[1],"data_offsets":[16,24]},"running_var":{"dtype":"F64","shape":[1],"data_offsets":[24,32]},"weight":{"dtype":"F64","shape":[1],"data_offsets":[32,40]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    for (i, number) in [0.5_f64, 0.0, 1.5, 2.5, 3.5].into_iter().enumerate() {
        file.extend(if i == 1 { 12_i64.to_le_bytes() } else { number.to_le_bytes() });
    }
    std::fs::write(&path, file).unwrap();
    let mut norm = Cpu::default().build_module::<BatchNorm2D<1>, f64>();
    Checkpoint::read(&path).unwrap().load_model("", &mut norm).unwrap();
    assert_eq!((norm.num_batches_tracked, norm.running_var.array(), norm.weight.array()), (12, [2.5], [3.5]));
}

#[test]
#[should_panic(expected = "1 values per mean cannot be normalised")]
fn one_sample_cannot_train_a_batch_norm() {
    let dev = Cpu::default();
    dev.build_module::<BatchNorm1D<3>, f32>().forward_mut(dev.zeros::<Rank2<1, 3>>());
}

/// The whole is the parts: type, cost, training by the optimiser.
#[test]
fn norms_train_in_a_model() {
    use layers::{Sgd, SgdConfig, Step};
    let dev = Cpu::seed_from_u64(9);
    let mut model: (
        modules::Linear<2, 8, f32, Cpu>,
        modules::BatchNorm1D<8, f32, Cpu, modules::Relu>,
        modules::Linear<8, 2, f32, Cpu>,
    ) = dev.build_module::<(Linear<2, 8>, BatchNorm1D<8, Relu>, Linear<8, 2>), f32>();
    let x: Tensor<Rank2<64, 2>, f32, _> = dev.sample_normal();
    let labels: Vec<usize> = x.array().iter().map(|[a, b]| usize::from(a * b > 0.0)).collect();
    let mut sgd = Sgd::try_new(&model, SgdConfig { learning_rate: 0.3, ..SgdConfig::default() }).unwrap();
    for _ in 0..300 {
        let loss = losses::cross_entropy_mean(model.forward_mut(x.leaky_trace()), &labels);
        sgd.step(&mut model, &mut loss.backward()).unwrap();
    }
    let loss = losses::cross_entropy_mean(model.forward(x), &labels).array();
    assert!(loss < 0.15, "evaluation after training: {loss}"); // chance is 0.69
}
