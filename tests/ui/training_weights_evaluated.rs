//! Schedule-free learning trains at one point and is evaluated at another: an input without a tape goes to the other.
use dfdx::prelude::*;
use optim::optimizers::{ScheduleFreeSgd, ScheduleFreeSgdConfig, TrainView};

fn main() {
    let dev = Cpu::default();
    let model = dev.build_module::<optim::layers::builders::Linear<2, 1>, f32>();
    let rule = ScheduleFreeSgd::try_new(&model, ScheduleFreeSgdConfig::default()).unwrap();
    let mut training = TrainView::new(model, rule);
    let x: Tensor<Rank2<4, 2>, f32, _> = dev.sample_normal();
    training.forward_mut(x);
}
