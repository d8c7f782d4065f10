//! Inception v4 and both Inception-ResNets: every module against PyTorch, gradients of slim ones, the sums of blocks.
use convnets::blocks::{Percent, ScaledResidual};
use convnets::inception::{self, BranchesA, BranchesB, BranchesC, Reduction, ResidualReduction};
use layers::prelude::*;
use layers::testing::{Golden, gradient_check};
use layers::{assert_close, params};

/// Every module at its published widths: orders of branches, rows and columns, padding, strides, factors of the sums.
#[test]
fn modules_compute_what_their_figures_say() {
    let golden = Golden::open(crate::golden("inception.json"));
    module_agrees!(golden, "stem_v4", inception::StemV4, 3);
    module_agrees!(golden, "inception_a4", inception::InceptionA4, 384);
    module_agrees!(golden, "reduction_a4", Reduction<384, 192, 224, 256, 384>, 384);
    module_agrees!(golden, "inception_b4", inception::InceptionB4, 1024);
    module_agrees!(golden, "reduction_b4", inception::ReductionB4, 1024);
    module_agrees!(golden, "inception_c4", inception::InceptionC4, 1536);
    module_agrees!(golden, "stem_residual_1", inception::StemResidual1, 3);
    module_agrees!(golden, "residual_a1", inception::ResidualA1, 256);
    module_agrees!(golden, "reduction_a1", Reduction<256, 192, 192, 256, 384>, 256);
    module_agrees!(golden, "residual_b1", inception::ResidualB1, 896);
    module_agrees!(golden, "reduction_b1", ResidualReduction<896, 256, 384, 256, 256, 1792>, 896);
    module_agrees!(golden, "residual_c1", inception::ResidualC1, 1792);
    module_agrees!(golden, "inception_a2", inception::InceptionA2, 192);
    module_agrees!(golden, "residual_a2", inception::ResidualA, 320);
    module_agrees!(golden, "reduction_a2", Reduction<320, 256, 256, 384, 384>, 320);
    module_agrees!(golden, "residual_b2", inception::ResidualB, 1088);
    module_agrees!(golden, "reduction_b2", ResidualReduction<1088, 256, 384, 288, 320, 2080>, 1088);
    module_agrees!(golden, "residual_c2", inception::ResidualC, 2080);
    type LastC = ScaledResidual<BranchesC<2080, 192, 224, 256, 448>, Identity, Percent<100>>;
    module_agrees!(golden, "residual_c2_last", LastC, 2080);
    golden.skip("source");
    golden.finish();
}

type Images = Tensor<(usize, Const<3>, usize, usize), f32, Cpu>;

/// The compiler has fitted the modules together, from pixels to logits.
#[test]
fn whole_networks_are_modules() {
    fn is_network<M>()
    where
        M: BuildOnDevice<Cpu, f32>,
        M::Built: Module<Images, Output = Tensor<(usize, Const<7>), f32, Cpu>>,
    {
    }
    is_network::<inception::InceptionV4<7>>();
    is_network::<inception::InceptionResNetV1<7>>();
    is_network::<inception::InceptionResNetV2<7>>();
}

/// Slim twins of every kind of module, in training: parameters and input against finite differences.
#[test]
fn slim_modules_have_their_gradients() {
    macro_rules! check {
        ($module:ty, $channels:literal, $side:literal, $out:literal) => {{
            let dev = Cpu::seed_from_u64(11);
            let module = dev.build_module::<$module, f64>();
            let x: Tensor<Rank4<2, $channels, $side, $side>, f64, _> = dev.sample_normal();
            let free = (2, Const::<$channels>, $side, $side);
            let y = module.clone().forward_mut(x.clone().reshape_like(&free));
            assert_eq!(y.shape().1.size(), $out, stringify!($module));
            let scale: Tensor<_, f64, _> = dev.sample_like(y.shape(), rand_distr::StandardNormal);
            gradient_check(&(module, x), |(m, x)| {
                let y = m.clone().forward_mut(x.leaky_trace().reshape_like(&free));
                (y * scale.clone()).sum::<Rank0, _>()
            })
            .assert(1e-6);
        }};
    }
    check!(inception::InceptionA4<4, 2, 1>, 4, 4, 4);
    check!(inception::InceptionB4<4, 1, 2, 3, 1, 1>, 4, 4, 4);
    check!(inception::InceptionC4<6, 1, 2, 3, 2>, 6, 3, 6);
    check!(Reduction<4, 2, 2, 3, 2>, 4, 5, 9);
    check!(inception::ReductionB4<4, 2, 2, 3>, 4, 5, 9);
    check!(ResidualReduction<4, 2, 1, 2, 3, 10>, 4, 5, 10);
    check!(ScaledResidual<BranchesA<4, 2, 2, 3, 7>, Relu, Percent<17>>, 4, 4, 4);
    check!(ScaledResidual<BranchesB<4, 1, 2, 3, 2, 3>, Relu, Percent<10>>, 4, 4, 4);
    check!(ScaledResidual<BranchesC<4, 1, 2, 3, 4>, Identity, Percent<100>>, 4, 4, 4);
}

/// What a block adds is its factor times the branches, and with the factor 0 nothing: the block is a ReLU, exactly.
#[test]
fn blocks_add_their_share() {
    type Branches = BranchesA<4, 2, 2, 3, 7>;
    let dev = Cpu::seed_from_u64(12);
    let x: Tensor<_, f64, _> =
        dev.sample_like(&(2_usize, Const::<4>, 5_usize, 5_usize), rand_distr::StandardNormal);
    let block = dev.build_module::<ScaledResidual<Branches, Relu, Percent<17>>, f64>();
    let sum = block.branch.forward(x.clone()) * 0.17 + x.clone();
    assert_close!(block.forward(x.clone()).as_vec(), sum.relu().as_vec(), 1e-14, 1e-15);
    let mut none = dev.build_module::<ScaledResidual<Branches, Relu, Percent<0>>, f64>();
    params::unflatten(&mut none, &params::flatten(&block)).unwrap();
    assert_eq!(none.forward(x.clone()).as_vec(), x.relu().as_vec());
}
