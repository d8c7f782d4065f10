//! The one test binary of `layers`.
mod checkpoint;
mod convolution;
mod cost;
mod dropout;
mod dual;
mod graph;
mod init;
mod line;
mod modules;
mod normalisation;
mod optimizer;
mod params;
mod plan;
mod pooling;
mod second_order;
mod sequence;
mod sgd;
mod sparse;
mod step;
mod testing;

/// Path of a golden file beside its generator.
fn golden(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// What a training loop may move to another thread.
const _: () = {
    const fn is_send_and_sync<T: Send + Sync>() {}
    type Net = (layers::modules::Linear<2, 2, f32, dfdx::tensor::Cpu>, layers::modules::Tanh);
    is_send_and_sync::<Net>();
    is_send_and_sync::<layers::Sgd<Net, f32, dfdx::tensor::Cpu>>();
    is_send_and_sync::<layers::Checkpoint>();
    is_send_and_sync::<layers::StepState>();
    is_send_and_sync::<layers::StepError>();
    is_send_and_sync::<layers::CheckpointError>();
    is_send_and_sync::<layers::params::ParamsError>();
};
