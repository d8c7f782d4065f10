//! Counts against torchvision's and against the built models.
use dfdx::nn::builders as theirs;
use dfdx::prelude::*;
use layers::builders::{Linear, Relu, Sigmoid, Tanh};
use layers::testing::Golden;
use layers::{Cost, params, summary};

fn agree<M: Cost + BuildOnDevice<Cpu, f32, Built: Cost>>() {
    let model = Cpu::default().build_module::<M, f32>();
    assert_eq!(params::count(&model), M::PARAMS);
    assert_eq!((<M::Built as Cost>::PARAMS, <M::Built as Cost>::MACS), (M::PARAMS, M::MACS));
    let summary = summary(&model);
    assert_eq!((summary.trainable, summary.fixed, summary.bytes), (M::PARAMS, 0, 4 * M::PARAMS));
}

#[test]
fn multilayer_perceptrons_cost_what_torch_counts() {
    type A = (Linear<784, 30, Sigmoid>, Linear<30, 10>);
    type B = (Linear<784, 100>, Relu, Linear<100, 10>);
    type C = (theirs::Linear<784, 512>, ReLU, theirs::Linear<512, 512>, ReLU, theirs::Linear<512, 10>);
    let golden = Golden::open(crate::golden("counts.json"));
    let counts = [
        ("mlp_784_30_10", A::PARAMS, A::MACS),
        ("mlp_784_100_10", B::PARAMS, B::MACS),
        ("mlp_784_512_512_10", C::PARAMS, C::MACS),
    ];
    for (name, params, macs) in counts {
        assert_eq!(params as f64, golden.number(&format!("models/{name}/parameters")), "{name}");
        assert_eq!(macs as f64, golden.number(&format!("models/{name}/macs")), "{name}");
    }
    agree::<A>();
    agree::<B>();
    agree::<C>();
    golden.skip(""); // convolutional and recurrent networks
    golden.finish();
}

#[test]
fn wrappers_add_up_their_parts() {
    type Inner = Residual<(theirs::UnbiasedLinear<6, 6>, Tanh)>;
    type Deep = ((), Inner, Repeated<Inner, 4>, (Linear<6, 2>,));
    assert_eq!(Inner::PARAMS, 36);
    assert_eq!((Deep::PARAMS, Deep::MACS), (5 * 36 + 14, 5 * 36 + 12));
    type Built = (Inner, Repeated<Inner, 4>, (Linear<6, 2>,));
    agree::<Built>();
}

#[test]
fn the_table_marks_running_statistics() {
    let model = Cpu::default().build_module::<(Linear<2, 3>, theirs::BatchNorm1D<3>), f64>();
    let table = summary(&model).to_string();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 8, "{table}");
    assert_eq!(lines[1], "0.weight        (3, 2)            6");
    assert_eq!(lines[5], "1.running_mean  (3) fixed         3");
    assert_eq!(lines[7], "15 trainable parameters, 6 fixed, 168 bytes");
}
