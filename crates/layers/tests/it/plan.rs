//! Costs from types: against built models, against the run-time rules of shapes, and what is refused.
use kernels::ActivationKind;
use layers::plan::{Misfit, Plan, Reduction, Rounding, Taps, Totals};
use layers::prelude::*;
use layers::{Planned, params};

/// LeNet-5 of 1998 with full connections: 61,706 parameters.
type LeNet = (
    (Conv2D<1, 6, 5>, Tanh, AvgPool2D<2, 2>),
    (Conv2D<6, 16, 5>, Tanh, AvgPool2D<2, 2>, Flatten),
    (Linear<400, 120, Tanh>, Linear<120, 84, Tanh>, Linear<84, 10>),
);
const LENET: Totals = LeNet::PLAN.totals_of([1, 32, 32]);
const _: () = assert!(LENET.params == 61_706 && LENET.macs == 416_520);

#[test]
fn a_plan_counts_what_the_built_model_holds() {
    type Branches = Concat<(Conv2D<4, 3, 1>, (MaxPool2D<3, 1, 1>, GroupedConv2D<4, 6, 3, 2, 1, 1>))>;
    type Net = (
        (UnbiasedConv2D<3, 4, 3, 2, 1>, BatchNorm2D<4, Relu>, Branches),
        Repeated<Residual<(Conv2D<9, 9, 3, 1, 1>, Relu)>, 3>,
        (ConvTranspose2D<9, 2, 2, 2>, GlobalAvgPool, Linear<2, 5>),
    );
    let model = Cpu::default().build_module::<Net, f32>();
    let totals = Net::PLAN.totals([3, 16, 12]).unwrap();
    assert_eq!(totals.params as usize, params::count(&model));
    assert_eq!(totals.output, [5, 1, 1]);
    let rows = Net::PLAN.rows([3, 16, 12]).unwrap();
    let sum = |of: &dyn Fn(&Totals) -> u64| rows.iter().map(|row| of(&row.cost)).sum::<u64>();
    assert_eq!((sum(&|c| c.params), sum(&|c| c.macs)), (totals.params, totals.macs));
    assert_eq!(sum(&|c| c.activations), totals.activations);
    // 8×6 pixels after the stride; 16×12 after the transposed convolution, which multiplies at its input's pixels.
    let macs = 48 * (4 * 3 * 9 + 3 * 4 + 6 * 2 * 9 + 3 * 9 * 9 * 9 + 9 * 2 * 4) + 10;
    assert_eq!(totals.macs, macs);
    // Paths are those of the checkpoint.
    let names: Vec<String> = params::names(&model);
    for row in rows.iter().filter(|row| row.cost.params > 0) {
        assert!(names.contains(&format!("{}.weight", row.path)), "{} is not in {names:?}", row.path);
    }
    let x: Tensor<Rank4<1, 3, 16, 12>, f32, _> = Cpu::default().zeros();
    assert_eq!(model.forward(x).shape().1.size(), 5);
}

/// Operation by operation, counted by hand on maps of 4×6 pixels.
#[test]
fn operations_are_counted_beside_multiply_adds() {
    let operations = |plan: Plan| plan.totals([2, 4, 6]).unwrap().operations;
    let pixels = 4 * 6;
    // Two maps to three by 3×3, a bias, a ReLU; the same without a bias; with a function between the layers.
    assert_eq!(operations(Conv2D::<2, 3, 3, 1, 1, 1, Relu>::PLAN), 3 * pixels * (2 * 18 + 1 + 1));
    assert_eq!(operations(UnbiasedConv2D::<2, 3, 3, 1, 1>::PLAN), 3 * pixels * 2 * 18);
    assert_eq!(operations(<(UnbiasedConv2D<2, 3, 1>, Tanh)>::PLAN), 3 * pixels * (2 * 2 + 1));
    assert_eq!(operations(<BatchNorm2D<2, Relu>>::PLAN), 2 * pixels * 3);
    assert_eq!(operations(<BatchNorm2D<2>>::PLAN), 2 * pixels * 2);
    assert_eq!(operations(MaxPool2D::<2, 2>::PLAN), 2 * pixels);
    assert_eq!(operations(AvgPool2D::<3, 1, 1>::PLAN), 2 * pixels * 9);
    assert_eq!(operations(GlobalAvgPool::PLAN), 2 * pixels);
    // Rows in windows of 2, 2 and 2 of four, columns in windows of 2 and 2 and 2 and 2 and 2 of six.
    assert_eq!(operations(AdaptiveAvgPool2D::<3, 5>::PLAN), 2 * (2 + 2 + 2) * (2 + 2 + 2 + 2 + 2));
    assert_eq!(operations(<Residual<Relu>>::PLAN), 2 * pixels * (1 + 1));
    assert_eq!(operations(<Concat<(Relu, Identity)>>::PLAN), 2 * pixels);
    assert_eq!(operations(<ConvTranspose2D<2, 3, 2, 2>>::PLAN), 2 * pixels * 2 * 12 + 3 * 4 * pixels);
    assert_eq!(operations(<(Flatten, Linear<48, 5, Relu>)>::PLAN), 5 * (2 * 48 + 1 + 1));
    assert_eq!(operations(<(Dropout, Upsample<2>)>::PLAN), 0);
}

/// The constants' rules are those of [`Taps`].
#[test]
fn windows_agree_with_the_run_time_rules() {
    for kernel in 1..6 {
        for (stride, padding, dilation) in (0..36).map(|at| (1 + at % 3, at / 3 % 4, 1 + at / 12)) {
            let taps = Taps { kernel, stride, padding, dilation };
            for extent in 1..15 {
                let activation = ActivationKind::Identity;
                let taps_of_both = [taps; 2];
                let convolution = Plan::Convolution {
                    from: 2,
                    to: 3,
                    taps: taps_of_both,
                    groups: 1,
                    is_biased: true,
                    activation,
                };
                let reduction = Reduction::Max;
                let pool = |rounding| Plan::Pool { taps: taps_of_both, rounding, reduction };
                let pooled = |rounding| taps.pool_positions(extent, rounding).ok();
                let transposed = Plan::Transposed {
                    from: 2,
                    to: 3,
                    groups: 1,
                    taps: taps_of_both,
                    output_padding: [0; 2],
                    activation,
                };
                for (plan, expected) in [
                    (convolution, taps.positions(extent).ok()),
                    (pool(Rounding::Down), pooled(Rounding::Down)),
                    (pool(Rounding::Up), pooled(Rounding::Up)),
                    (transposed, taps.transposed(extent, 0).ok()),
                ] {
                    let found = plan.totals([2, extent, extent]).ok().map(|totals| totals.output[2]);
                    assert_eq!(found, expected, "{plan:?} on {extent}");
                }
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let error = LeNet::PLAN.rows([1, 4, 32]).unwrap_err();
    assert_eq!(error.to_string(), "0.0: input 4x32 smaller than kernel 5x5; pad by at least 1");
    let error = LeNet::PLAN.rows([1, 28, 28]).unwrap_err();
    assert_eq!(error.path, "2.0");
    assert_eq!(error.misfit, Misfit::Channels { expected: 400, found: 256 });
    let error = LeNet::PLAN.rows([3, 32, 32]).unwrap_err();
    assert_eq!(error.misfit, Misfit::Channels { expected: 1, found: 3 });
    type Unequal = (Concat<(MaxPool2D<2, 2>, Identity)>, GlobalAvgPool);
    let error = Unequal::PLAN.rows([1, 4, 4]).unwrap_err();
    assert_eq!(error.path, "0.0"); // the field of `Concat`
    assert_eq!(error.misfit, Misfit::Branches { first: [1, 2, 2], other: [1, 4, 4] });
    // What is cut out of the input cannot be larger than it.
    let skip = Plan::Skip(&Plan::Chain(&[<Upsample<2>>::PLAN]));
    let misfit = Misfit::Branches { first: [1, 4, 4], other: [1, 8, 8] };
    assert_eq!(skip.totals([1, 4, 4]), Err(misfit));
    assert_eq!(skip.rows([1, 4, 4]).unwrap_err().misfit, misfit);
    assert_eq!(Linear::<4, 2>::PLAN.totals([4, 2, 1]), Err(Misfit::Pixels { rows: 2, cols: 1 }));
}
