//! The operations on a GPU: each family's cases on `Cuda` against the fused body of `Cpu` in f64.
//!
//! A program with these tests runs where there is a GPU; `cargo xtask gpu-pack` builds and packs it. Each test is meant
//! for a process of its own, since a fault on the device ends all work of its process: `gpu-run.sh` does that.
use super::laws::{Fused, Layout, Portable, Traced, Visit, difference, draw, draw_on, observed};
use crate::{Device, Real, RowMajor as _, cuda::stored, random::Key};
use dfdx::prelude::*;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The largest differences from `Cpu` in f64, in units of the largest number: of values and of gradients. Sums of a
/// device are added in another order in each run. Measured on an H100, in units of a case's slack: 5.8e-6 and 1.2e-5 in
/// f32, 1.4e-14 and 4.8e-14 in f64.
const SINGLE: [f64; 2] = [5e-5, 1e-4];
const DOUBLE: [f64; 2] = [1.5e-13, 5e-13];

/// Runs all cases it is shown on the device, whatever fails, and remembers how far off they are.
struct OnDevice {
    device: Cuda,
    key: Key,
    /// By operation: cases, and the largest differences in f32 and f64.
    seen: BTreeMap<&'static str, (usize, [[f64; 2]; 2])>,
    failures: Vec<String>,
}

impl OnDevice {
    fn new(seed: u64) -> Self {
        Self { device: Cuda::default(), key: Key::new(seed), seen: BTreeMap::new(), failures: Vec::new() }
    }

    /// Differences of values and of gradients from what `Cpu` has found.
    fn differences<E: Real>(
        &self,
        case: impl Portable,
        layout: Layout,
        (value, gradients): &(Vec<f64>, Vec<Vec<f64>>),
    ) -> Result<[f64; 2], String>
    where
        Cuda: Device<E>,
    {
        let run = || {
            let x = draw_on::<E, Cuda>(&self.device, case, self.key, layout);
            observed(case.run_on::<Fused, E, Cuda, OwnedTape<E, Cuda>>(&x), &x)
        };
        // The hook has printed the message; what it was goes into the list too.
        let (on_device, slopes) = catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
            let said = panic.downcast_ref::<String>().cloned();
            said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).into()))
                .unwrap_or_else(|| "a panic without a message".into())
        })?;
        if slopes.len() != gradients.len() {
            return Err(format!("{} gradients instead of {}", slopes.len(), gradients.len()));
        }
        let off = slopes.iter().zip(gradients).map(|(got, want)| {
            let scale = want.iter().map(|g| g.abs()).fold(0.0, f64::max);
            difference(got, want) * if scale < 1e-6 { scale.max(1e-12) } else { 1.0 }
        });
        Ok([difference(&on_device, value), off.fold(0.0, f64::max)])
    }

    /// Prints what was measured; panics with every failure.
    fn report(self) {
        for (operation, (cases, [single, double])) in &self.seen {
            println!(
                "measured\t{operation}\t{cases} cases\tf32 {:.1e} {:.1e}\tf64 {:.1e} {:.1e}",
                single[0], single[1], double[0], double[1]
            );
        }
        let shown: Vec<&str> = self.failures.iter().take(30).map(String::as_str).collect();
        assert!(shown.is_empty(), "{} failures, the first:\n{}", self.failures.len(), shown.join("\n"));
    }
}

impl Visit for OnDevice {
    fn visit(&mut self, case: impl Portable) {
        for &layout in case.layouts() {
            let x = draw::<f64>(case, self.key, layout);
            let want = observed(case.run_on::<Fused, f64, Cpu, Traced<f64>>(&x), &x);
            let found =
                [self.differences::<f32>(case, layout, &want), self.differences::<f64>(case, layout, &want)];
            let entry = self.seen.entry(case.operation()).or_default();
            entry.0 += 1;
            for (i, (found, bounds)) in found.into_iter().zip([SINGLE, DOUBLE]).enumerate() {
                let precision = ["f32", "f64"][i];
                match found {
                    Ok(off) => {
                        for (j, what) in ["values", "gradients"].into_iter().enumerate() {
                            let worst = &mut entry.1[i][j];
                            *worst = if off[j] > *worst || off[j].is_nan() { off[j] } else { *worst };
                            if off[j].is_nan() || off[j] > bounds[j] * case.slack() {
                                self.failures.push(format!(
                                    "{case:?} {layout:?} {precision}: {what} differ by {:e}",
                                    off[j]
                                ));
                            }
                        }
                    }
                    Err(said) => self.failures.push(format!("{case:?} {layout:?} {precision}: {said}")),
                }
            }
        }
    }
}

/// Every family that has a body for this device.
mod families {
    use super::OnDevice;

    macro_rules! families {
        ($($family:ident $cases:path),* $(,)?) => { $(
            #[test]
            fn $family() {
                use $cases as rows;
                let mut visitor = OnDevice::new(20);
                rows::cases(&mut visitor);
                visitor.report();
            }
        )* };
    }
    families!(
        convolution crate::convolution::cases,
        core crate::tests::core,
        dropout crate::dropout::cases,
        elementwise crate::elementwise::cases,
        loss crate::loss::cases,
        matrix crate::matrix::cases,
        normalisation crate::normalisation::cases,
        pooling crate::pooling::cases,
        reduce crate::reduce::cases,
        resampling crate::resampling::cases,
    );
}

/// What must work before anything else does.
mod device {
    use super::*;
    use crate::InputGradient;

    #[test]
    fn a_device_gives_back_what_it_was_given() {
        let device = Cuda::default();
        let x = device.tensor([1.5_f32, -2.0, 0.25]);
        assert_eq!(x.array(), [1.5, -2.0, 0.25]);
        assert_eq!((x.clone() + x).array(), [3.0, -4.0, 0.5]);
    }

    #[test]
    fn two_devices_of_a_process_see_each_others_work() {
        let (one, other) = (Cuda::default(), Cuda::default());
        let x = one.tensor([1.0_f64, 2.0, 3.0]) * 2.0;
        let y: Tensor<Rank1<3>, f64, _> = other.tensor(x.array()) + 1.0;
        assert_eq!((y.array(), x.array()), ([3.0, 5.0, 7.0], [2.0, 4.0, 6.0]));
    }

    /// A dense layer and its loss, forward and backward: cuBLAS, kernels of dfdx, and one compiled at run time.
    #[test]
    fn a_layer_and_its_loss_are_those_of_the_cpu() {
        fn loss<D: Device<f32>>(device: &D) -> [Vec<f32>; 3] {
            let of = |key: u64| Key::new(key);
            let x: Tensor<Rank2<33, 7>, f32, D> = of(1).normal(device, Default::default());
            let w: Tensor<Rank2<5, 7>, f32, D> = of(2).normal(device, Default::default());
            let b: Tensor<Rank1<5>, f32, D> = of(3).normal(device, Default::default());
            let labels: Vec<usize> = (0..33).map(|i| i * 3 % 5).collect();
            let y = crate::linear(x.leaky_trace(), &w, &b, crate::Tanh, InputGradient::Needed);
            let loss = crate::cross_entropy_mean(y, &labels);
            let value = loss.as_vec();
            let gradients = loss.backward();
            [value, gradients.get(&w).as_vec(), gradients.get(&x).as_vec()]
        }
        let (got, want) = (loss(&Cuda::default()), loss(&Cpu::default()));
        for (got, want) in got.iter().zip(&want) {
            assert!(difference(got, want) <= 1e-5, "{got:?} instead of {want:?}");
        }
    }

    /// What tells a broadcast tensor from others.
    #[test]
    fn a_tensor_tells_how_many_elements_it_stores() {
        let device = Cuda::default();
        let x = device.tensor([[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        let fresh: Tensor<Rank2<2, 3>, f32, _> = device.zeros();
        let repeated = x.clone().broadcast::<Rank3<4, 2, 3>, _>();
        let turned = x.clone().permute::<Rank2<3, 2>, _>();
        let found = [stored(&x), stored(&fresh), stored(&repeated), stored(&turned)].map(Option::unwrap);
        assert_eq!(found.map(|stored| stored.len), [6; 4]);
        let [first, other, same, also] = found.map(|stored| stored.address);
        assert!(first != other && first == same && first == also && first != 0, "{found:?}");
        assert_eq!(repeated.shape().num_elements(), 24);
        let dense = repeated.leaky_trace().try_row_major().unwrap();
        assert_eq!(stored(&dense.retaped::<NoneTape>()).map(|stored| stored.len), Some(24));
        // Each element stands in four places; dfdx's own `contiguous` gives [[4, 2, ..]] less than that.
        assert_eq!(dense.sum::<Rank0, _>().backward().get(&repeated).as_vec(), vec![4.0; 24]);
    }
}

/// What the device refuses is an error, and it works on afterwards.
mod errors {
    use super::*;

    #[test]
    fn too_large_a_tensor_is_an_error() {
        let device = Cuda::default();
        let refused: Result<Tensor<(usize,), f32, Cuda>, _> = device.try_zeros_like(&(10_usize.pow(13),));
        assert!(refused.is_err(), "the device claims to have 40 TB");
        assert_eq!((device.tensor([1.0_f32]) + 1.0).array(), [2.0]);
    }

    /// dfdx launches a kernel with a thread for each element, and the driver refuses to launch none.
    #[test]
    fn a_tensor_without_elements_is_an_error() {
        let device = Cuda::default();
        let x: Tensor<(usize, Const<3>), f32, _> = device.zeros_like(&(0, Const));
        assert!(crate::try_activate(x, crate::Tanh).is_err());
        assert_eq!(crate::activate(device.tensor([0.0_f32]), crate::Tanh).array(), [0.0]);
    }

    #[test]
    fn a_label_out_of_range_is_refused_before_the_launch() {
        let device = Cuda::default();
        let logits: Tensor<Rank2<2, 3>, f32, _> = device.zeros();
        assert!(crate::try_cross_entropy_mean(logits.clone(), &[0, 3]).is_err());
        let loss = crate::cross_entropy_mean(logits, &[0, 2]).array();
        assert!((loss - 3.0_f32.ln()).abs() < 1e-6, "{loss}");
    }
}

/// Steps of optimisers where the tensors are.
mod update {
    use super::*;
    use crate::update::{
        AdamStep, Clip, Dims, Formula, Memory, Planned, Prepare, Slices, Statistics, UpdateDevice as _,
        clip_gradients, for_each_run, with_tensors,
    };
    use std::convert::Infallible;

    type Model<E, D> = (Tensor<Rank2<300, 7>, E, D>, Tensor<Rank1<3>, E, D>, Tensor<Rank0, E, D>);

    fn model<E: Real, D: Device<E>>(device: &D) -> Model<E, D> {
        let from = |key: u64, n: usize| -> Vec<E> {
            let numbers = Key::new(key).normal::<_, f64, _>(&Cpu::default(), (n,));
            numbers.as_vec().into_iter().map(E::of).collect()
        };
        (
            device.tensor_from_vec(from(1, 2100), Default::default()),
            device.tensor_from_vec(from(2, 3), Default::default()),
            device.tensor_from_vec(from(3, 1), ()),
        )
    }

    /// Gradients 2 w, of a sum without any rounding but that of one product.
    fn gradients<E: Real, D: Device<E>>(model: &Model<E, D>) -> Gradients<E, D> {
        let sum = model.0.leaky_trace().square().sum::<Rank0, _>() + model.1.leaky_trace().square().sum();
        (sum + model.2.leaky_trace().square()).backward()
    }

    fn elements<E: Real, D: Device<E>>(model: &Model<E, D>) -> Vec<E> {
        [model.0.as_vec(), model.1.as_vec(), model.2.as_vec()].concat()
    }

    fn adam(t: i32) -> Formula {
        Formula::Adam(AdamStep {
            rate: 0.1 / (1.0 - 0.9_f64.powi(t)),
            beta1: 0.9,
            beta2: 0.99,
            root_correction: (1.0 - 0.99_f64.powi(t)).sqrt(),
            epsilon: 1e-8,
            keeps_maximum: false,
        })
    }

    fn start<E: Real>(lengths: [usize; 3]) -> Vec<Memory<E>> {
        let mut all = vec![Memory::default(); 3];
        for (memory, n) in all.iter_mut().zip(lengths) {
            memory[..2].fill(vec![E::zero(); n]);
        }
        all
    }

    fn steps_agree<E: Real>()
    where
        Cpu: Device<E>,
        Cuda: Device<E>,
    {
        let (cpu, cuda) = (Cpu::default(), Cuda::default());
        let (mut here, mut there) = (model::<E, _>(&cpu), model::<E, _>(&cuda));
        let clone = there.clone();
        let mut memory = start::<E>([2100, 3, 1]);
        let mut resident = Cuda::resident(&there, &memory).unwrap().expect("this device runs formulas");
        let prepare = Prepare { scale: 0.5, limit: 1.5, l2: 0.1, decay: 0.01 };
        for t in 1..=20 {
            let mut slopes = gradients(&here);
            with_tensors(&mut here, Some(&mut slopes), |tensors: &mut [Slices<'_, E>]| {
                let prepare = |tensor: usize| (tensor != 1 || t % 2 == 0).then_some(prepare);
                for_each_run(tensors, &mut memory, crate::update::Cut::Runs, prepare, |run| {
                    adam(t).apply(run)
                })
            })
            .unwrap()
            .unwrap();
            let mut slopes = gradients(&there);
            let plan = |dims: &[Dims], statistics: &[Statistics]| {
                assert_eq!(dims[0].sizes(), [300, 7]);
                assert!(statistics.len() == 3 && statistics.iter().all(|statistics| statistics.is_finite));
                let planned: Vec<Planned> =
                    (0..3).map(|tensor| (tensor != 1 || t % 2 == 0).then_some((prepare, adam(t)))).collect();
                Ok::<_, Infallible>((planned, t))
            };
            let returned = Cuda::step_resident(&mut there, &mut slopes, &mut resident, true, plan).unwrap();
            assert_eq!(returned, Ok(t));
        }
        assert_eq!(elements(&there), elements(&here), "the same bits after 20 steps");
        assert_eq!(Cuda::from_resident(&resident).unwrap(), memory);
        assert_eq!(elements(&clone), elements(&model::<E, _>(&cuda)), "a clone keeps its values");
    }

    #[test]
    fn steps_on_the_device_have_the_bits_of_the_cpu() {
        steps_agree::<f32>();
        steps_agree::<f64>();
    }

    /// The gradients that a user allocates once belong to the model after a step too.
    #[test]
    fn tensors_keep_their_identity() {
        let device = Cuda::default();
        let mut model = model::<f32, _>(&device);
        let mut resident = Cuda::resident(&model, &start([2100, 3, 1])).unwrap().expect("as above");
        let mut kept = gradients(&model);
        let before = kept.get(&model.1).array();
        let plan = |_: &[Dims], statistics: &[Statistics]| {
            assert!(statistics.is_empty(), "nobody has asked");
            Ok::<_, Infallible>((vec![Some((Prepare::default(), adam(1))); 3], ()))
        };
        Cuda::step_resident(&mut model, &mut kept, &mut resident, false, plan).unwrap().unwrap();
        assert_eq!(kept.get(&model.1).array(), before);
        let clipped = clip_gradients(&model, &mut kept, Clip::GlobalNorm(1.0)).unwrap();
        assert!(clipped.is_clipped);
    }

    #[test]
    fn what_cannot_be_done_is_refused_before_anything_changes() {
        let device = Cuda::default();
        let mut model = model::<f32, _>(&device);
        let before = elements(&model);
        let all =
            |_: &[Dims], _: &[Statistics]| Ok::<_, &str>((vec![Some((Prepare::default(), adam(1))); 3], ()));
        let mut short = Cuda::resident(&model, &start([2100, 2, 1])).unwrap().expect("as above");
        let mut slopes = gradients(&model);
        let error = Cuda::step_resident(&mut model, &mut slopes, &mut short, false, all).unwrap_err();
        assert!(
            matches!(error, crate::Error::SlotLength { tensor: 1, slot: 0, slot_len: 2, weights: 3 }),
            "{error}"
        );
        let mut resident = Cuda::resident(&model, &start([2100, 3, 1])).unwrap().expect("as above");
        let refused = |_: &[Dims], _: &[Statistics]| Err::<(Vec<Planned>, ()), _>("no");
        let answer = Cuda::step_resident(&mut model, &mut slopes, &mut resident, false, refused).unwrap();
        assert_eq!(answer, Err("no"));
        assert_eq!(elements(&model), before);
        let mut turned = (model.0.clone().permute::<Rank2<7, 300>, _>(), model.1.clone(), model.2.clone());
        let mut slopes = turned.0.leaky_trace().sum::<Rank0, _>().backward();
        let error = Cuda::step_resident(&mut turned, &mut slopes, &mut resident, false, all).unwrap_err();
        assert!(matches!(error, crate::Error::NotRowMajor { tensor: 0 }), "{error}");
    }
}

/// Steps of the same work take no further memory.
mod memory {
    use super::*;
    use crate::InputGradient;

    /// Bytes in use on the device.
    fn used(device: &Cuda) -> usize {
        device.synchronize();
        let (free, total) = cudarc::driver::result::mem_get_info().expect("the driver counts its memory");
        total - free
    }

    /// 200 steps of a layer of 1024 × 1024, of which one alone makes buffers of more than 16 MiB.
    fn growth(is_cached: bool) -> usize {
        let device = Cuda::default();
        if is_cached {
            device.enable_cache();
        }
        let x: Tensor<Rank2<1024, 1024>, f32, _> = Key::new(1).normal(&device, Default::default());
        let w: Tensor<Rank2<1024, 1024>, f32, _> = Key::new(2).normal(&device, Default::default());
        let b: Tensor<Rank1<1024>, f32, _> = device.zeros();
        let step = || {
            let y = crate::linear(x.leaky_trace(), &w, &b, crate::Gelu, InputGradient::Skipped);
            let gradient = crate::mean_all(y).backward().get(&w);
            assert_eq!(gradient.shape().num_elements(), 1 << 20);
        };
        (0..5).for_each(|_| step());
        let before = used(&device);
        (0..200).for_each(|_| step());
        let after = used(&device);
        println!("measured\tmemory\t{before} bytes before, {after} after 200 steps, cache {is_cached}");
        after.saturating_sub(before)
    }

    #[test]
    fn does_not_grow_with_the_cache() {
        let grown = growth(true);
        assert!(grown <= 64 << 20, "{grown} bytes more after 200 steps");
    }

    #[test]
    fn does_not_grow_without_the_cache() {
        let grown = growth(false);
        assert!(grown <= 64 << 20, "{grown} bytes more after 200 steps");
    }
}
