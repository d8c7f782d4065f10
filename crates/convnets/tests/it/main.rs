//! The one test binary of `convnets`.
mod counts;
mod explain;
mod features;
mod networks;
mod operators;
mod preprocess;
mod pretrained;
mod properties;
mod receptive_field;
mod robustness;
mod segmentation;
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
