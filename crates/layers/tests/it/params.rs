//! The walker: names, flat vectors, missing gradients.
use dfdx::nn::modules as nn;
use dfdx::prelude::*;
use layers::params::{self, ParamsError};
use proptest::prelude::*;

type Deep = (
    builders::Linear<3, 4>,
    Residual<(builders::Linear<4, 4>, Tanh)>,
    builders::LayerNorm1D<4>,
    builders::BatchNorm1D<4>,
    Repeated<builders::UnbiasedLinear<4, 4>, 2>,
);
mod builders {
    pub use dfdx::nn::builders::*;
}

#[test]
fn every_tensor_has_the_path_of_its_fields() {
    let model = Cpu::default().build_module::<Deep, f32>();
    let list = params::list(&model);
    let rows: Vec<_> = list.iter().map(|p| (&p.name[..], &p.shape[..], p.is_trainable)).collect();
    assert_eq!(
        rows,
        [
            ("0.weight", &[4, 3][..], true),
            ("0.bias", &[4], true),
            ("1.0.0.weight", &[4, 4], true),
            ("1.0.0.bias", &[4], true),
            ("2.gamma", &[4], true),
            ("2.beta", &[4], true),
            ("3.scale", &[4], true),
            ("3.bias", &[4], true),
            ("3.running_mean", &[4], false),
            ("3.running_var", &[4], false),
            ("4.0.weight", &[4, 4], true),
            ("4.1.weight", &[4, 4], true),
        ]
    );
    assert_eq!(params::names(&model).len(), 10, "running statistics are not trainable");
    assert_eq!(params::count(&model), 12 + 4 + 16 + 4 + 4 * 4 + 2 * 16);
    assert_eq!(params::flatten(&model).len(), params::count(&model));
}

#[test]
fn a_bare_tensor_is_a_model_with_one_nameless_parameter() {
    let x: Tensor<Rank1<3>, f64, _> = Cpu::default().tensor([1.0, 2.0, 3.0]);
    assert_eq!(params::names(&x), [""]);
    assert_eq!(params::flatten(&x), [1.0, 2.0, 3.0]);
}

#[test]
fn a_vector_of_the_wrong_length_changes_nothing() {
    let mut model = Cpu::default().build_module::<Deep, f64>();
    let before = params::flatten(&model);
    for wrong in [0, before.len() - 1, before.len() + 1] {
        let error = params::unflatten(&mut model, &vec![0.0; wrong]).unwrap_err();
        assert_eq!(error, ParamsError::Length { expected: before.len(), got: wrong });
    }
    assert_eq!(params::flatten(&model), before);
}

#[test]
fn a_transposed_parameter_is_read_and_written_in_row_major_order() {
    let dev = Cpu::default();
    let mut model: nn::Linear<2, 3, f64, Cpu> = BuildModule::build(&dev);
    model.weight = dev.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).permute(); // (3, 2), memory of (2, 3)
    assert_eq!(params::flatten(&model)[..6], [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    let counting: Vec<f64> = (0..9).map(f64::from).collect();
    params::unflatten(&mut model, &counting).unwrap();
    assert_eq!(model.weight.array(), [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]);
    assert_eq!(params::flatten(&model), counting);
}

#[test]
fn writing_leaves_clones_and_ids_alone() {
    let dev = Cpu::seed_from_u64(1);
    let mut model = dev.build_module::<builders::Linear<2, 1>, f64>();
    let (copy, before) = (model.clone(), params::flatten(&model));
    let y = model.forward(dev.tensor([1.0, 1.0]).leaky_traced());
    params::unflatten(&mut model, &[7.0, 8.0, 9.0]).unwrap();
    assert_eq!(params::flatten(&copy), before);
    assert_eq!(
        y.sum().backward().get(&model.weight).array(),
        [[1.0, 1.0]],
        "the gradient is found by the old id"
    );
}

#[test]
fn gradients_flatten_in_the_order_of_the_weights() {
    let dev = Cpu::default();
    let model = (dev.tensor([1.0_f64, 2.0]), dev.tensor([[3.0_f64], [4.0]]), dev.tensor(5.0_f64));
    let loss = model.0.leaky_trace().square().sum() + model.1.leaky_trace().square().sum() * 10.0;
    let flat = params::flatten_gradients(&model, &mut loss.backward()).unwrap();
    assert_eq!(flat, [2.0, 4.0, 60.0, 80.0, 0.0], "the last tensor has no gradient");
}

#[test]
fn the_first_value_that_is_not_finite_is_named() {
    let dev = Cpu::default();
    let mut model = (dev.tensor([1.0_f32, 2.0]), (dev.tensor([3.0_f32]), dev.tensor([4.0_f32])));
    assert_eq!(params::first_not_finite(&model), None);
    model.1.1 = dev.tensor([f32::NAN]);
    model.1.0 = dev.tensor([f32::INFINITY]);
    assert_eq!(params::first_not_finite(&model).as_deref(), Some("1.0"));

    let model = (dev.tensor([1.0_f64]), dev.tensor([0.0_f64]));
    let mut gradients = (model.0.leaky_trace().sum() + model.1.leaky_trace().ln().sum()).backward(); // 1 / 0
    assert_eq!(params::first_gradient_not_finite(&model, &mut gradients).unwrap().as_deref(), Some("1"));
}

proptest! {
    #[test]
    fn unflatten_inverts_flatten(flat in prop::collection::vec(-1e3..1e3_f64, 3 * 4 + 4 + 4 * 2 + 2)) {
        let mut model = Cpu::default().build_module::<(builders::Linear<3, 4>, Tanh, builders::Linear<4, 2>), f64>();
        params::unflatten(&mut model, &flat).unwrap();
        prop_assert_eq!(params::flatten(&model), &flat[..]);
        prop_assert_eq!(model.2.bias.as_vec(), &flat[flat.len() - 2..]);
        let mut seen = Vec::new();
        params::visit(&model, |_, values| seen.extend_from_slice(values));
        prop_assert_eq!(&seen, &flat);
        params::visit_mut(&mut model, |p, values| if p.name == "2.weight" { values.fill(0.0) }).unwrap();
        prop_assert_eq!(&params::flatten(&model)[..16], &flat[..16]);
        prop_assert_eq!(model.2.weight.as_vec(), vec![0.0; 8]);
    }
}
