//! Pooling, resampling and branches as modules: shapes, tangents, gradients.
use layers::prelude::*;
use layers::resampling::{Bilinear, BilinearAligned};
use layers::testing::gradient_check;
use layers::{Cost, Dual, assert_close, losses, params};

type Images = Tensor<Rank4<2, 4, 6, 5>, f64, Cpu>;
type Traced<S> = Tensor<S, f64, Cpu, OwnedTape<f64, Cpu>>;
type Duals<S> = Dual<S, f64, Cpu, OwnedTape<f64, Cpu>>;

/// Gradients, the tangent as a difference of values, and gradients of a loss of the tangent only.
fn is_exact<M, S, O>(module: &M, draw: impl Fn() -> Tensor<S, f64, Cpu>)
where
    S: ConstShape,
    O: ConstShape,
    M: TensorCollection<f64, Cpu>
        + Clone
        + Module<Tensor<S, f64, Cpu>, Output = Tensor<O, f64, Cpu>>
        + Module<Traced<S>, Output = Traced<O>>
        + ModuleMut<Traced<S>, Output = Traced<O>>
        + Module<Duals<S>, Output = Duals<O>>,
    Tensor<S, f64, Cpu>: TensorCollection<f64, Cpu>,
{
    is_exact_to(1e-7, module, draw);
}

/// [`is_exact`] with another relative error of the differences, for losses with many small derivatives.
pub(crate) fn is_exact_to<M, S, O>(tolerance: f64, module: &M, draw: impl Fn() -> Tensor<S, f64, Cpu>)
where
    S: ConstShape,
    O: ConstShape,
    M: TensorCollection<f64, Cpu>
        + Clone
        + Module<Tensor<S, f64, Cpu>, Output = Tensor<O, f64, Cpu>>
        + Module<Traced<S>, Output = Traced<O>>
        + ModuleMut<Traced<S>, Output = Traced<O>>
        + Module<Duals<S>, Output = Duals<O>>,
    Tensor<S, f64, Cpu>: TensorCollection<f64, Cpu>,
{
    const H: f64 = 6e-6;
    let name = std::any::type_name::<M>();
    let (x, v) = (draw(), draw());
    let y = module.forward(x.clone());
    assert_eq!(module.clone().forward_mut(x.leaky_trace()).as_vec(), y.as_vec(), "{name}");
    let target = (y * 0.3).cos(); // every output has a gradient of its own
    let mean = |y: Traced<O>| losses::mse_mean(y, target.clone());
    gradient_check(&(module.clone(), x.clone()), |(m, x)| mean(m.forward(x.leaky_trace()))).assert(tolerance);
    let at = |h: f64| module.forward(x.clone() + v.clone() * h);
    let tangent = module.forward(Dual::new(x.leaky_trace(), v.clone())).tangent();
    assert_close!(tangent, (at(H) - at(-H)) / (2.0 * H), 1e-7, 1e-8, "{name}");
    gradient_check(&(module.clone(), x, v), |(m, x, v)| {
        mean(m.forward(Dual::new(x.leaky_trace(), v.clone())).tangent())
    })
    .assert(tolerance);
}

#[test]
fn pooling_is_exact() {
    let dev = Cpu::seed_from_u64(1);
    let images = || -> Images { dev.sample_normal() };
    is_exact(&MaxPool2D::<2, 2>, images);
    is_exact(&MaxPool2D::<3, 2, 1>, images);
    is_exact(&MaxPool2D::<2, 1, 0, 2>, images);
    is_exact(&MaxPool2DCeil::<2, 2>, images);
    is_exact(&AvgPool2D::<3, 2, 1>::default(), images);
    is_exact(&AvgPool2D::<3, 2, 1> { count: kernels::CountPadding::Excluded }, images);
    is_exact(&AvgPool2DCeil::<2, 2>::default(), images);
    is_exact(&AdaptiveAvgPool2D::<4, 3>, images);
    is_exact(&GlobalAvgPool, images);
    is_exact(&GlobalMaxPool, images);
    is_exact(&(IndexedMaxPool2D::<3, 2, 1>, MaxUnpool2D), images);
}

#[test]
fn resampling_is_exact() {
    let dev = Cpu::seed_from_u64(2);
    let images = || -> Images { dev.sample_normal() };
    is_exact(&Upsample::<2>::default(), images);
    is_exact(&Upsample::<2, Bilinear>::default(), images);
    is_exact(&Upsample::<3, BilinearAligned>::default(), images);
    is_exact(&PixelShuffle::<2>, images);
    is_exact(&PixelShuffle1D::<2>, || dev.sample_normal::<Rank3<2, 4, 5>>());
    is_exact(&PixelUnshuffle::<2>, || dev.sample_normal::<Rank4<2, 3, 4, 6>>());
}

#[test]
fn branches_are_exact() {
    let dev = Cpu::seed_from_u64(3);
    let images = || -> Images { dev.sample_normal() };
    type Two = Concat<(Identity, (MaxPool2D<3, 1, 1>, Tanh))>;
    type Four = Concat<(
        MaxPool2D<3, 1, 1>,
        Identity,
        (BatchNorm2D<4>, Sigmoid),
        (AvgPool2D<3, 1, 1>, GroupNorm<4, 2>),
    )>;
    is_exact(&dev.build_module::<Two, f64>(), images);
    let four = dev.build_module::<Four, f64>();
    let x = images();
    let y: Tensor<Rank4<2, 16, 6, 5>, f64, _> = four.forward(x.clone());
    let parts =
        [four.0.0.forward(x.clone()), x.clone(), four.0.2.forward(x.clone()), four.0.3.forward(x.clone())];
    for (i, part) in parts.into_iter().enumerate() {
        let joined: Vec<f64> = y.as_vec().chunks(30).skip(4 * i).take(4).flatten().copied().collect();
        assert_eq!(joined, part.as_vec()[..120], "branch {i}");
    }
    assert_eq!(params::names(&four)[0], "0.2.0.weight");
    assert_eq!(Four::PARAMS, 16);
    gradient_check(&(four, x), |(m, x)| m.clone().forward_mut(x.leaky_trace()).square().mean()).assert(1e-7);
    // Features, not maps.
    type Wide = Concat<(Linear<3, 2>, Linear<3, 4, Tanh>)>;
    let wide = dev.build_module::<Wide, f64>();
    let y: Tensor<Rank2<5, 6>, f64, _> = wide.forward(dev.sample_normal::<Rank2<5, 3>>());
    assert_eq!((y.shape().1.size(), Wide::PARAMS), (6, 3 * 6 + 6));
}

/// Images of a size known at run time.
#[test]
fn run_time_sizes() {
    let dev = Cpu::default();
    let x: Tensor<(usize, Const<4>, usize, usize), f32, _> = dev.zeros_like(&(2, Const, 9, 7));
    assert_eq!(*MaxPool2D::<2, 2>.forward(x.clone()).shape(), (2, Const::<4>, 4, 3));
    assert_eq!(*MaxPool2DCeil::<2, 2>.forward(x.clone()).shape(), (2, Const::<4>, 5, 4));
    assert_eq!(*Upsample::<2>::default().forward(x.clone()).shape(), (2, Const::<4>, 18, 14));
    let y: Tensor<(usize, Const<1>, usize, usize), f32, _> = PixelShuffle::<2>.forward(x.clone());
    assert_eq!(*y.shape(), (2, Const::<1>, 18, 14));
    assert_eq!(*GlobalAvgPool.forward(x).shape(), (2, Const::<4>));
}

/// Between pooling and its way back stands a part of the network, whose gradients go to the places of the maxima.
#[test]
fn maps_are_put_back_where_they_came_from() {
    let dev = Cpu::default();
    let x = dev.tensor([[[[1.0_f64, 5.0, 2.0, 0.0], [3.0, 4.0, 6.0, 8.0]]]]);
    let (pooled, indices) = IndexedMaxPool2D::<2, 2>.forward(x.leaky_trace());
    let unpooled = MaxUnpool2D.forward((pooled.square(), indices));
    assert_eq!(unpooled.array(), [[[[0.0, 25.0, 0.0, 0.0], [0.0, 0.0, 0.0, 64.0]]]]);
    let gradient = unpooled.sum().backward().get(&x).array();
    assert_eq!(gradient, [[[[0.0, 10.0, 0.0, 0.0], [0.0, 0.0, 0.0, 16.0]]]]);
}

#[test]
#[should_panic(expected = "the 4 pooling indices do not belong to maps of 6 elements")]
fn indices_of_other_maps() {
    let dev = Cpu::default();
    let maps: Tensor<Rank4<1, 1, 4, 4>, f32, _> = dev.zeros();
    let (_, indices) = IndexedMaxPool2D::<2, 2>.forward(maps);
    let other: Tensor<Rank4<1, 1, 3, 2>, f32, _> = dev.zeros();
    MaxUnpool2D.forward((other, indices));
}

#[test]
#[should_panic(expected = "a window that spans 5 positions does not fit an axis of 4")]
fn a_window_larger_than_the_image() {
    let x: Tensor<_, f32, _> = Cpu::default().zeros_like(&(1, 1, 4, 9));
    MaxPool2D::<5, 1>.forward(x);
}
