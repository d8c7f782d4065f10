//! Lecture 4: Hessian-vector products as models.
use layers::prelude::*;
use layers::{Along, Dual, assert_close, params};
use nalgebra::DMatrix;
use optim::autodiff::hessian_times_model;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rand_distr::StandardNormal;

fn normal(rows: usize, columns: usize, rng: &mut StdRng) -> DMatrix<f64> {
    DMatrix::from_fn(rows, columns, |_, _| rng.sample(StandardNormal))
}

/// With batch norm: the product is that of the differences of gradients, linear, and 0 where nothing is trained.
#[test]
fn products_with_a_model_are_models() {
    type Net = (Linear<3, 4, Tanh>, BatchNorm1D<4>, Linear<4, 2>);
    type Built = <Net as BuildOnDevice<Cpu, f64>>::Built;
    let dev = Cpu::seed_from_u64(5);
    let mut model = dev.build_module::<Net, f64>();
    let x: Tensor<Rank2<6, 3>, f64, _> = dev.sample_normal();
    model.forward_mut(x.leaky_trace()); // running statistics that are not 0
    let labels = [0, 1, 1, 0, 1, 0];
    let mut rng = StdRng::seed_from_u64(6);
    let count = params::count(&model);
    let times = |v: &[f64]| {
        let mut direction = model.clone();
        params::unflatten(&mut direction, v).unwrap();
        let loss = |model: &Built, direction: &Built| {
            model.along(direction, Dual::constant(x.leaky_trace())).cross_entropy_mean(&labels)
        };
        hessian_times_model(&model, &direction, loss).unwrap()
    };
    let v: Vec<f64> = normal(count, 1, &mut rng).as_slice().to_vec();
    let product = times(&v);
    params::visit(&product, |parameter, values| {
        assert!(parameter.is_trainable || values.iter().all(|v| *v == 0.0), "{}", parameter.name);
    });
    let gradient = |h: f64| {
        let mut moved = model.clone();
        let mut flat = params::flatten(&moved);
        flat.iter_mut().zip(&v).for_each(|(w, v)| *w += h * v);
        params::unflatten(&mut moved, &flat).unwrap();
        let loss = kernels::cross_entropy_mean(moved.forward(x.leaky_trace()), &labels);
        params::flatten_gradients(&moved, &mut loss.backward()).unwrap()
    };
    let (up, down) = (gradient(1e-5), gradient(-1e-5));
    let differences: Vec<f64> = up.iter().zip(&down).map(|(a, b)| (a - b) / 2e-5).collect();
    assert_close!(params::flatten(&product), differences, 1e-6, 1e-8);
    let three: Vec<f64> = v.iter().map(|v| 3.0 * v).collect();
    let scaled: Vec<f64> = params::flatten(&product).iter().map(|p| 3.0 * p).collect();
    assert_close!(params::flatten(&times(&three)), scaled, 1e-12, 1e-14);
}

/// Running statistics are no inputs of the tape.
#[test]
fn inputs_are_what_is_trained() {
    let model = Cpu::default().build_module::<(Linear<3, 4>, BatchNorm1D<4>), f64>();
    let tape = optim::autodiff::tensor::Tape::new();
    let inputs = tape.inputs_of(&model).unwrap();
    let names: Vec<&str> = inputs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, params::names(&model));
}
