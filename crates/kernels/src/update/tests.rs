//! The pass over all tensors: in place and on the host, for any number of threads, and what it refuses.
use super::*;
use crate::pool::with_threads;
use crate::random::Key;
use dfdx::nn::tensor_collection::{ModuleVisitor, TensorOptions};
use serde_json::Value;

type Model<const N: usize, E> =
    (Tensor<Rank2<N, 7>, E, Cpu>, Tensor<Rank1<3>, E, Cpu>, Tensor<Rank0, E, Cpu>, Tensor<Rank1<0>, E, Cpu>);

/// Several parts, a part that is not full, one element, and none.
fn model<const N: usize, E: Real>() -> Model<N, E>
where
    Cpu: crate::Device<E>,
{
    // Drawn in f64, so that both types start at the same numbers.
    fn draw<S: ConstShape, E: Real>(seed: u64) -> Tensor<S, E, Cpu>
    where
        Cpu: crate::Device<E>,
    {
        let shape = S::default();
        let numbers = Key::new(seed).normal::<_, f64, _>(&Cpu::default(), (shape.num_elements(),));
        let numbers = numbers.as_vec().into_iter().map(E::of).collect();
        Cpu::default().tensor_from_vec(numbers, shape)
    }
    (draw(1), draw(2), draw(3), Cpu::default().zeros())
}

/// Gradients 1 + w², which no two elements share.
fn gradients<const N: usize, E: Real>(model: &Model<N, E>) -> Gradients<E, Cpu>
where
    Cpu: crate::Device<E>,
{
    let cube = model.0.leaky_trace().powi(3).sum::<Rank0, _>() / E::of(3.0) + model.0.leaky_trace().sum();
    let rest = model.1.leaky_trace().square().sum() + model.2.leaky_trace().square();
    (cube + rest).backward()
}

fn elements<const N: usize, E: Real>(model: &Model<N, E>) -> Vec<E> {
    let mut all = model.0.as_vec();
    all.extend(model.1.array());
    all.push(model.2.array());
    all
}

/// Every rule of this crate, with momentum and clipping, two steps.
fn steps<E: Real>(tensors: &mut [Slices<'_, E>], memory: &mut [Memory<E>], rule: usize) {
    for t in 1..=2 {
        let prepare = Prepare { scale: 0.5, limit: 1.0, l2: 0.1, decay: 0.01 };
        for_each_run(
            tensors,
            memory,
            Cut::Runs,
            |_| Some(prepare),
            |run| match rule {
                0 => sgd(run, 0.1, None),
                1 => sgd(run, 0.1, Some(SgdMomentum { coefficient: 0.9, share: 0.5, is_nesterov: true })),
                2 | 3 => {
                    let root_correction = (1.0 - 0.99_f64.powi(t)).sqrt();
                    let (rate, keeps_maximum) = (0.1 / (1.0 - 0.9_f64.powi(t)), rule == 3);
                    let step = AdamStep {
                        rate,
                        beta1: 0.9,
                        beta2: 0.99,
                        root_correction,
                        epsilon: 1e-8,
                        keeps_maximum,
                    };
                    adam(run, step)
                }
                _ => {
                    let (is_centred, momentum) = if rule == 4 { (false, 0.0) } else { (true, 0.9) };
                    let (rate, alpha, epsilon) = (0.1, 0.9, 1e-6);
                    let epsilon_in_root = rule == 6;
                    rmsprop(run, RmsPropStep { rate, alpha, epsilon, epsilon_in_root, is_centred, momentum })
                }
            },
        )
        .unwrap();
    }
}

fn memory<E: Real>(tensors: &[Slices<'_, E>], slots: usize) -> Vec<Memory<E>> {
    let zeros = |n: usize| std::array::from_fn(|slot| vec![E::zero(); if slot < slots { n } else { 0 }]);
    tensors.iter().map(|tensor| zeros(tensor.weights.len())).collect()
}

fn outcome<const N: usize, E: Real>(rule: usize, in_place: bool) -> (Vec<E>, Vec<Memory<E>>)
where
    Cpu: crate::Device<E>,
{
    let mut model = model::<N, E>();
    let mut gradients = gradients(&model);
    let slots = [0, 1, 2, 3, 1, 3, 3][rule];
    let run = |tensors: &mut [Slices<'_, E>]| {
        let mut memory = memory(tensors, slots);
        steps(tensors, &mut memory, rule);
        memory
    };
    let memory = match in_place {
        true => with_tensors(&mut model, Some(&mut gradients), run),
        false => composed::with_tensors(&mut model, Some(&mut gradients), run),
    };
    (elements(&model), memory.unwrap())
}

#[test]
fn steps_are_the_same_bits_for_any_threads_and_through_the_host() {
    for rule in 0..7 {
        let want = with_threads(1, || outcome::<9000, f32>(rule, true));
        assert_ne!(want.0, elements(&model::<9000, f32>()), "rule {rule} moves");
        for threads in [2, 7] {
            assert!(with_threads(threads, || outcome::<9000, f32>(rule, true)) == want, "{rule}, {threads}");
        }
        assert!(outcome::<9000, f32>(rule, false) == want, "rule {rule} through the host");
        assert!(outcome::<5, f64>(rule, false) == outcome::<5, f64>(rule, true), "rule {rule} in f64");
    }
}

#[test]
fn f32_steps_are_near_f64() {
    for rule in 0..7 {
        let (single, double) = (outcome::<50, f32>(rule, true).0, outcome::<50, f64>(rule, true).0);
        for (a, b) in single.iter().zip(&double) {
            assert!((f64::from(*a) - b).abs() < 1e-6, "rule {rule}: {a} and {b}"); // observed 3e-7
        }
    }
}

/// Every loop against a scalar formula of the papers, one step from zero slots.
#[test]
fn steps_are_the_formulas() {
    let start = elements(&model::<5, f64>());
    let mut twin = model::<5, f64>();
    let mut all = gradients(&twin);
    let mut gradients = Vec::new();
    with_tensors(&mut twin, Some(&mut all), |tensors| {
        tensors.iter().for_each(|tensor| gradients.extend_from_slice(tensor.gradient))
    })
    .unwrap();
    let prepared = |w: f64, g: f64| (0.5 * g).clamp(-1.0, 1.0) + 0.1 * w;
    for rule in 0..7 {
        let (got, _) = outcome::<5, f64>(rule, true);
        for ((&got, &w), &g) in got.iter().zip(&start).zip(&gradients) {
            let mut want = w;
            let (mut m, mut v, mut max, mut buffer) = (0.0, 0.0, 0.0_f64, 0.0);
            for t in 1..=2 {
                let h = prepared(want, g);
                want *= 0.99;
                want -= 0.1
                    * match rule {
                        0 => h,
                        1 => {
                            m = 0.9 * m + 0.5 * h;
                            h + 0.9 * m
                        }
                        2 | 3 => {
                            m = 0.9 * m + 0.1 * h;
                            v = 0.99 * v + 0.01 * h * h;
                            max = max.max(v);
                            let square = if rule == 3 { max } else { v } / (1.0 - 0.99_f64.powi(t));
                            m / (1.0 - 0.9_f64.powi(t)) / (square.sqrt() + 1e-8)
                        }
                        _ => {
                            m = 0.9 * m + 0.1 * h;
                            v = 0.9 * v + 0.1 * h * h;
                            let centred = if rule == 4 { v } else { v - m * m };
                            let root =
                                if rule == 6 { (centred + 1e-6).sqrt() } else { centred.sqrt() + 1e-6 };
                            buffer = h / root + if rule == 4 { 0.0 } else { 0.9 * buffer };
                            buffer
                        }
                    };
            }
            // Centring subtracts nearly equal numbers; observed 2e-14.
            assert!((got - want).abs() <= 1e-12 * want.abs().max(1.0), "rule {rule}: {got} and {want}");
        }
    }
}

/// 50 steps on a quadratic, every iterate.
#[test]
fn sgd_follows_pytorch() {
    let file: Value = serde_json::from_str(include_str!("../../tests/golden/sgd.json")).unwrap();
    let numbers = |value: &Value| -> Vec<f64> {
        let flat = |v: &Value| match v {
            Value::Array(list) => list.iter().map(|x| x.as_f64().unwrap()).collect(),
            x => vec![x.as_f64().unwrap()],
        };
        value.as_array().unwrap().iter().flat_map(flat).collect()
    };
    let (a, b) = (numbers(&file["A"]), numbers(&file["b"]));
    for (name, run) in file["runs"].as_object().expect("runs by name") {
        let param = |key: &str| run["params"][key].as_f64().unwrap_or(0.0);
        let mut x: Tensor<Rank1<4>, f64, _> =
            Cpu::default().tensor_from_vec(numbers(&file["x0"]), Default::default());
        let mut memory = [Memory::default()];
        memory[0][0] = vec![0.0; 4];
        for (t, want) in run["x"].as_array().expect("iterates").iter().enumerate() {
            let want = numbers(want);
            let scale = want.iter().map(|x| x.abs()).fold(0.0, f64::max);
            for (got, want) in x.array().iter().zip(&want) {
                // The file holds 13 digits of A, which 50 steps with eigenvalue 100 amplify.
                assert!((got - want).abs() <= 1e-9 * scale, "{name}, step {t}: {got} instead of {want}");
            }
            let at = x.array();
            let gradient: Vec<f64> =
                (0..4).map(|i| (0..4).map(|j| a[4 * i + j] * at[j]).sum::<f64>() - b[i]).collect();
            let mut gradients = Gradients::leaky();
            gradients.get_or_alloc_mut(&x).unwrap().copy_from_slice(&gradient);
            let coefficient = param("momentum");
            let is_nesterov = run["params"].get("nesterov").is_some();
            let momentum =
                (coefficient > 0.0).then_some(SgdMomentum { coefficient, share: 1.0, is_nesterov });
            let prepare = Prepare { l2: param("weight_decay"), ..Prepare::default() };
            with_tensors(&mut x, Some(&mut gradients), |tensors| {
                for_each_run(
                    tensors,
                    &mut memory,
                    Cut::Runs,
                    |_| Some(prepare),
                    |run| sgd(run, param("lr"), momentum),
                )
            })
            .unwrap()
            .unwrap();
        }
    }
}

/// A clone of a parameter, as a target network holds it, keeps its values; tensors that `prepare` leaves out too.
#[test]
fn steps_leave_clones_and_unprepared_tensors_alone() {
    let mut model = model::<9, f32>();
    let clone = model.clone();
    let mut gradients = gradients(&model);
    with_tensors(&mut model, Some(&mut gradients), |tensors| {
        let mut memory = memory(tensors, 0);
        for_each_run(
            tensors,
            &mut memory,
            Cut::Runs,
            |i| (i != 1).then(Prepare::default),
            |run| sgd(run, 1.0, None),
        )
    })
    .unwrap()
    .unwrap();
    assert_eq!(elements(&clone), elements(&super::tests::model::<9, f32>()));
    assert_ne!(model.0.as_vec(), clone.0.as_vec());
    assert_eq!(model.1.array(), clone.1.array());
    // No other owner is left behind: the next step must not copy.
    let address = std::ptr::from_ref(&model.0[[0, 0]]);
    descend(&mut model, &mut gradients, 0.1).unwrap();
    assert_eq!(std::ptr::from_ref(&model.0[[0, 0]]), address);
}

#[test]
fn steps_see_whole_tensors_when_asked() {
    let mut model = model::<9000, f64>();
    with_tensors(&mut model, None, |tensors| {
        assert!(tensors.iter().all(|tensor| tensor.gradient.is_empty()));
        let mut nothing = memory(tensors, 0);
        let seen = std::sync::Mutex::new(Vec::new());
        for_each_run(
            tensors,
            &mut nothing,
            Cut::Whole,
            |_| Some(Prepare::default()),
            |run| {
                seen.lock().unwrap().push((run.tensor, run.dims.sizes().to_vec(), run.weights.len()));
            },
        )
        .unwrap();
        let mut seen = seen.into_inner().unwrap();
        seen.sort();
        let want = [(0, vec![9000, 7], 63_000), (1, vec![3], 3), (2, vec![], 1), (3, vec![0], 0)];
        assert_eq!(seen, want);
    })
    .unwrap();
}

#[test]
fn squares_are_exact_and_the_same_for_any_threads() {
    let x: Vec<f32> = (0..100_003).map(|i| ((i * 7919) % 1009) as f32).collect();
    let want: f64 = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum(); // integers below 2^53: exact
    for threads in [1, 2, 7] {
        let sums = with_threads(threads, || squares(&[&x[..], &[], &x[..5], &[1e30_f32]]));
        assert_eq!(sums[..2], [want, 0.0]);
        assert_eq!(sums[2], x[..5].iter().map(|&x| f64::from(x * x)).sum::<f64>());
        assert!((sums[3] / 1e60 - 1.0).abs() < 1e-6, "no overflow in f32: {}", sums[3]);
    }
    assert!(squares(&[&[1.0_f32, f32::NAN][..]])[0].is_nan());
    assert_eq!(squares(&[&[1.0_f32, f32::INFINITY][..]])[0], f64::INFINITY);
}

/// Wherever it stands, whatever it is; and the largest, the smallest and a negative zero are numbers.
#[test]
fn what_is_no_number_is_found_everywhere() {
    fn check<E: Real>(no_numbers: [E; 3], numbers: [E; 4]) {
        let mut x: Vec<E> = (0..2 * CHUNK + 77).map(|i| numbers[i % 4]).collect();
        assert_eq!(first_not_finite(&[&x[..], &[], &x[..3]]), None);
        for at in [0, 1, 63, 64, CHUNK - 1, CHUNK, 2 * CHUNK + 63, 2 * CHUNK + 76] {
            for no_number in no_numbers {
                let was = std::mem::replace(&mut x[at], no_number);
                for threads in [1, 2, 7] {
                    let found = with_threads(threads, || first_not_finite(&[&[], &x[..at], &x[at..], &x]));
                    assert_eq!(found, Some(2), "{no_number:?} at {at}, {threads} threads");
                }
                x[at] = was;
            }
        }
    }
    check([f32::NAN, f32::INFINITY, -f32::INFINITY], [f32::MAX, f32::MIN, -0.0, 1e-45]);
    check([f64::NAN, f64::INFINITY, -f64::INFINITY], [f64::MAX, f64::MIN, -0.0, 5e-324]);
}

/// Four parts side by side are summed like each by itself: their sums, added in order, are the bits of the whole.
#[test]
fn squares_side_by_side_have_the_bits_of_each() {
    let x: Vec<f32> = (0..9 * CHUNK + 37).map(|i| (i as f32 * 0.37).sin() * 1e3).collect();
    let each = x.chunks(CHUNK).fold(0.0, |sum, part| sum + squares(&[part])[0]);
    assert_eq!(squares(&[&x[..]])[0].to_bits(), each.to_bits());
    let shifted = [&x[1..5 * CHUNK], &x[..CHUNK], &x[..2 * CHUNK], &x[3..7]];
    let alone = shifted.map(|slice| squares(&[slice])[0].to_bits());
    assert_eq!(squares(&shifted).iter().map(|sum| sum.to_bits()).collect::<Vec<_>>(), alone);
}

#[test]
fn prepared_squares_are_those_of_the_prepared_gradient() {
    let mut model = model::<30, f64>();
    let mut gradients = gradients(&model);
    let prepare = Prepare { scale: 0.5, limit: 1.0, l2: 0.1, decay: 0.3 };
    with_tensors(&mut model, Some(&mut gradients), |tensors| {
        let got = prepared_squares(tensors, |_| prepare);
        for (got, tensor) in got.iter().zip(tensors) {
            let pairs = tensor.weights.iter().zip(tensor.gradient);
            let want: f64 = pairs.map(|(w, g)| ((0.5 * g).clamp(-1.0, 1.0) + 0.1 * w).powi(2)).sum();
            assert!((got - want).abs() <= 1e-14 * want);
        }
    })
    .unwrap();
}

/// Values of torch.nn.utils and of the exact rule.
#[test]
fn clipping_follows_the_reference() {
    let file: Value = serde_json::from_str(include_str!("../../tests/golden/clipping.json")).unwrap();
    let rows = |key: &str| -> Vec<Vec<f64>> {
        let list = |v: &Value| v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
        file[key].as_array().unwrap().iter().map(list).collect()
    };
    let dev = Cpu::default();
    let zeros = || dev.zeros::<Rank1<3>>();
    let model: (Tensor<Rank1<3>, f64, Cpu>, _, _, _) = (zeros(), zeros(), zeros(), zeros());
    let clip = |clip: Clip| {
        let mut gradients = Gradients::leaky();
        let parts = [&model.0, &model.1, &model.2, &model.3];
        for (part, row) in parts.iter().zip(rows("grads")) {
            gradients.get_or_alloc_mut(*part).unwrap().copy_from_slice(&row);
        }
        let clipped = clip_gradients(&model, &mut gradients, clip).unwrap();
        (clipped, parts.map(|part| gradients.get(part).as_vec()))
    };
    let close = |got: &[Vec<f64>; 4], want: &[Vec<f64>]| {
        for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
            assert!((got - want).abs() <= 1e-13, "{got} instead of {want}");
        }
    };
    let (clipped, got) = clip(Clip::GlobalNorm(1.0));
    assert!((clipped.norm - file["global_norm"].as_f64().unwrap()).abs() < 1e-12 && clipped.is_clipped);
    close(&got, &rows("clipped_to_1"));
    close(&clip(Clip::Value(0.5)).1, &rows("clipped_value_0_5"));
    // What is small enough stays, bit for bit; clipping twice is clipping once.
    let (clipped, got) = clip(Clip::GlobalNorm(100.0));
    assert!(!clipped.is_clipped);
    assert_eq!(got.to_vec(), rows("grads"));
    let (_, got) = clip(Clip::Norm(0.25));
    for (got, row) in got.iter().zip(rows("grads")) {
        let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!((norm(got) - norm(&row).min(0.25)).abs() < 1e-15);
        assert!((got[0] * norm(&row) - row[0] * norm(got)).abs() < 1e-15, "the direction stays");
    }
}

/// Units of a norm-free network: each row by itself, against its own weights.
#[test]
fn adaptive_clipping_looks_at_rows() {
    let dev = Cpu::default();
    let w = dev.tensor([[3.0_f64, 4.0], [0.0, 0.0], [30.0, 40.0]]);
    let mut gradients = Gradients::leaky();
    gradients.get_or_alloc_mut(&w).unwrap().copy_from_slice(&[6.0, 8.0, 0.6, 0.8, 6.0, 8.0]);
    let clip = Clip::Adaptive { ratio: 0.5, floor: 0.1 };
    assert!(clip_gradients(&w, &mut gradients, clip).unwrap().is_clipped);
    let got = gradients.get(&w).array();
    let want = [[1.5, 2.0], [0.03, 0.04], [6.0, 8.0]]; // bounds 2.5, 0.05 and 25
    for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
        assert!((got - want).abs() < 1e-15, "{got} instead of {want}");
    }
}

/// One tensor under two names.
#[derive(Clone)]
struct Tied(Tensor<Rank1<3>, f64, Cpu>);
impl TensorCollection<f64, Cpu> for Tied {
    type To<E2: Dtype, D2: dfdx::tensor_ops::Device<E2>> = ();
    fn iter_tensors<V: ModuleVisitor<Self, f64, Cpu>>(
        visitor: &mut V,
    ) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        visitor.visit_fields(
            (
                Self::tensor("a", |s| &s.0, |s| &mut s.0, TensorOptions::reset_to_zeros()),
                Self::tensor("b", |s| &s.0, |s| &mut s.0, TensorOptions::reset_to_zeros()),
            ),
            |_| (),
        )
    }
}

#[test]
fn steps_refuse_what_they_cannot_do() {
    let dev = Cpu::default();
    let mut tied = Tied(dev.tensor([1.0, 2.0, 3.0]));
    let error = with_tensors(&mut tied, None, |_| ()).unwrap_err();
    assert!(matches!(error, Error::VisitedTwice), "{error}");

    let matrix: Tensor<Rank2<2, 3>, f64, _> = dev.zeros();
    let mut permuted = (matrix.clone(), matrix.permute::<Rank2<3, 2>, _>());
    let error = with_tensors(&mut permuted, None, |_| ()).unwrap_err();
    assert!(matches!(error, Error::NotRowMajor { tensor: 1 }), "{error}");

    let mut w = dev.tensor([1.0_f64, 2.0]);
    let mut gradients = Gradients::leaky();
    let short = <Cpu as Storage<f64>>::try_alloc_len(&dev, 1).unwrap();
    *gradients.get_or_alloc_mut(&w).unwrap() = short;
    let error = with_tensors(&mut w, Some(&mut gradients), |_| ()).unwrap_err();
    assert!(matches!(error, Error::GradientLength { tensor: 0, gradient: 1, weights: 2 }), "{error}");

    let mut memory = [Memory::default()];
    memory[0][1] = vec![0.0; 3];
    let mut gradients = w.leaky_trace().sum::<Rank0, _>().backward();
    let error = with_tensors(&mut w, Some(&mut gradients), |tensors| {
        for_each_run(tensors, &mut memory, Cut::Runs, |_| Some(Prepare::default()), |run| sgd(run, 1.0, None))
    })
    .unwrap()
    .unwrap_err();
    assert!(matches!(error, Error::SlotLength { tensor: 0, slot: 1, slot_len: 3, weights: 2 }), "{error}");
    assert_eq!(w.array(), [1.0, 2.0]);
}
