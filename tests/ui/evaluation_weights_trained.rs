//! The weights to evaluate are a copy that no step changes: an input with a tape goes to those under training.
use dfdx::prelude::*;
use optim::optimizers::{ScheduleFreeSgd, ScheduleFreeSgdConfig, TrainView};

fn main() {
    let dev = Cpu::default();
    let model = dev.build_module::<optim::layers::builders::Linear<2, 1>, f32>();
    let rule = ScheduleFreeSgd::try_new(&model, ScheduleFreeSgdConfig::default()).unwrap();
    let evaluation = TrainView::new(model, rule).evaluation().unwrap();
    let x: Tensor<Rank2<4, 2>, f32, _> = dev.sample_normal();
    evaluation.forward(x.leaky_trace());
}
