//! The one test binary of `convnets`.

/// A module on weights of sines ([`fill`], running statistics too) and the golden input, in evaluation: shape, norm and
/// every 41st number of the output that PyTorch has.
macro_rules! module_agrees {
    ($golden:expr, $name:literal, $module:ty, $channels:literal) => {{
        let path = |key: &str| format!(concat!("modules/", $name, "/{}"), key);
        let size = $golden.numbers(&path("input"));
        assert_eq!(size[0], f64::from($channels));
        let side = size[1] as usize;
        let dev = Cpu::default();
        let mut module = dev.build_module::<$module, f64>();
        crate::fill(&mut module, 0.0);
        layers::params::visit_mut(&mut module, |parameter, values: &mut [f64]| {
            for (k, value) in values.iter_mut().enumerate() {
                match parameter.name.rsplit('.').next() {
                    Some("running_mean") => *value = 0.05 * (k as f64).sin(),
                    Some("running_var") => *value = 1.0 + 0.1 * (k as f64).cos(),
                    _ => {}
                }
            }
        })
        .unwrap();
        let mut x = dev.zeros_like(&(1_usize, Const::<$channels>, side, side));
        x.copy_from(&crate::input($channels * side * side, 0.0));
        let y = module.forward(x);
        let shape: Vec<f64> = y.shape().concrete().into_iter().map(|n| n as f64).collect();
        assert_eq!(shape, $golden.numbers(&path("shape")), $name);
        let y = y.as_vec();
        let norm = y.iter().map(|y| y * y).sum::<f64>().sqrt();
        layers::assert_close!(norm, $golden.number(&path("norm")), 1e-10, 1e-12, $name);
        let some: Vec<f64> = y.into_iter().step_by(41).collect();
        layers::assert_close!(some, $golden.numbers(&path("every_41st")), 1e-9, 1e-10, $name);
    }};
}

mod counts;
mod explain;
mod features;
mod folding;
mod inception;
mod networks;
mod operators;
mod original;
mod preprocess;
mod pretrained;
mod properties;
mod receptive_field;
mod robustness;
mod segmentation;
mod support_vectors;
mod torchvision;
mod whole;

/// Path of a golden file beside its generator.
fn golden(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The weights of the golden networks: tensor `t` in order, element `k`, from a sine.
fn fill<M: dfdx::nn::tensor_collection::TensorCollection<f64, dfdx::tensor::Cpu>>(model: &mut M, phase: f64) {
    let mut t = 0.0;
    layers::params::visit_mut(model, |parameter, values| {
        if !parameter.is_trainable {
            return;
        }
        t += 1.0;
        let rows = parameter.shape[0] as f64;
        let fan_in = values.len() as f64 / rows;
        for (k, value) in values.iter_mut().enumerate() {
            let base = (0.7 * (k as f64 + 1.0) + 1.3 * t + phase).sin();
            *value = match parameter.ndim() {
                1 if parameter.name.ends_with("weight") => 1.0 + 0.1 * base,
                1 => 0.05 * base,
                _ => (2.0 / fan_in).sqrt() * base,
            };
        }
    })
    .unwrap();
}

/// The golden networks' input.
fn input(n: usize, phase: f64) -> Vec<f64> {
    (0..n).map(|k| (0.11 * (k as f64 + 1.0).powf(1.1) + phase).sin()).collect()
}

/// All of a model's numbers, bit by bit.
fn numbers<M: dfdx::nn::tensor_collection::TensorCollection<f32, dfdx::tensor::Cpu>>(
    model: &M,
) -> layers::Checkpoint {
    let mut all = layers::Checkpoint::default();
    all.insert_model("", model);
    all
}
