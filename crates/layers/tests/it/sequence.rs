//! Embedding, recurrent layers, attention, Transformer blocks: PyTorch's values, gradients, laws.
use kernels::sequence::attention::attention;
use kernels::sequence::{
    Attention, Direction, KvCache, Mask, Recurrence, RnnActivation, attention_weights, sinusoid, top_k,
};
use layers::attention::{Causal, Everything, Rotary};
use layers::prelude::*;
use layers::recurrent::{Padded, Recurrent};
use layers::testing::{Golden, gradient_check};
use layers::transformer::PreNorm;
use layers::{Cost, assert_close, params};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Sequence<const F: usize, T = NoneTape> = Tensor<(usize, usize, Const<F>), f64, Cpu, T>;
type State<const H: usize> = Tensor<(usize, Const<H>), f64, Cpu>;

/// The elements of a tensor of a golden file.
fn numbers(golden: &Golden, path: &str) -> Vec<f64> {
    golden.value(path)["data"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn tensor<S: Shape>(golden: &Golden, path: &str, shape: S) -> Tensor<S, f64, Cpu> {
    Cpu::default().tensor_from_vec(numbers(golden, path), shape)
}

/// `(T, B, F)` → `(B, T, F)`, row by row of `width`.
fn batch_first(x: &[f64], batch: usize, width: usize) -> Vec<f64> {
    let positions = x.len() / batch / width;
    let at = |b: usize, t: usize| &x[(t * batch + b) * width..][..width];
    (0..batch).flat_map(|b| (0..positions).flat_map(move |t| at(b, t).to_vec())).collect()
}

/// The rule by which the generator fills parameter `t` (from 0) of a model.
fn fill(t: usize, shape: &[usize], name: &str) -> Vec<f64> {
    let base = |k: usize| (0.7 * (k + 1) as f64 + 1.3 * (t + 1) as f64).sin();
    let last = *shape.last().unwrap() as f64;
    let value = |k: usize| match shape.len() {
        2.. => base(k) / last.sqrt(),
        _ if name.ends_with("weight") => 1.0 + 0.1 * base(k),
        _ => 0.05 * base(k),
    };
    (0..shape.iter().product()).map(value).collect()
}

/// Norm and first three elements of a gradient, as the generator stores them.
fn assert_gradient(golden: &Golden, path: &str, gradient: &[f64], tolerance: f64) {
    let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    let want = golden.number(&format!("{path}/grad_norm"));
    assert_close!(norm, want, tolerance, 1e-12, "{path}");
    let first = golden.numbers(&format!("{path}/grad_first3"));
    assert_close!(&gradient[..first.len()], first, tolerance, tolerance * want, "{path}");
}

/// One layer and direction of a golden recurrence: fills it, runs it, returns the model for its gradients.
fn filled<M: TensorCollection<f64, Cpu>>(mut model: M, first: usize) -> M {
    let mut t = first;
    params::visit_mut(&mut model, |parameter, values: &mut [f64]| {
        // PyTorch's (G H, I), of which ours is another view.
        let torch =
            [parameter.shape[..parameter.shape.len() - 1].iter().product(), *parameter.shape.last().unwrap()];
        let shape = if parameter.name.starts_with("bias") { &[values.len()][..] } else { &torch[..] };
        values.copy_from_slice(&fill(t, shape, &parameter.name));
        t += 1;
    })
    .unwrap();
    model
}

fn recurrent_case<R1, R2>(golden: &Golden, case: &str, build: impl Fn() -> (R1, R2))
where
    R1: Recurrent<3, 4, f64, Cpu> + TensorCollection<f64, Cpu>,
    R2: Recurrent<8, 4, f64, Cpu> + TensorCollection<f64, Cpu>,
{
    let at = |name: &str| format!("{case}/{name}");
    let dev = Cpu::default();
    let layers = golden.number(&at("layers")) as usize;
    let directions = if golden.value(&at("bidirectional")).as_bool().unwrap() { 2 } else { 1 };
    let has_cell = golden.has(&at("c0"));
    let x: Sequence<3> = dev.tensor_from_vec(batch_first(&numbers(golden, &at("x")), 2, 3), (2, 5, Const));
    let states = |name: &str| -> Vec<State<4>> {
        let all = if golden.has(&at(name)) {
            numbers(golden, &at(name))
        } else {
            vec![0.0; 8 * layers * directions]
        };
        all.chunks(8).map(|state| dev.tensor_from_vec(state.to_vec(), (2, Const))).collect()
    };
    let (h0, c0, gh, gc) = (states("h0"), states("c0"), states("ghn"), states("gcn"));
    let options = |i: usize| Recurrence {
        direction: if i % directions == 1 { Direction::Reverse } else { Direction::Forward },
        hidden: Some(&h0[i]),
        cell: has_cell.then_some(&c0[i]),
        ..Default::default()
    };
    let first: Vec<R1> = (0..directions).map(|i| filled(build().0, 4 * i)).collect();
    let second: Vec<R2> = (0..if layers == 2 { directions } else { 0 })
        .map(|i| filled(build().1, 4 * (directions + i)))
        .collect();
    let mut finals = Vec::new();
    let mut outputs = Vec::new();
    for (i, layer) in first.iter().enumerate() {
        let x = if i == 0 { x.leaky_trace() } else { x.retaped() };
        let output = layer.run(x, &options(i));
        finals.push((output.hidden, output.cell));
        outputs.push(output.y.reshape_like(&(2, 5, 4)));
    }
    if layers == 2 {
        let back = outputs.pop().unwrap();
        let both = (outputs.pop().unwrap(), back).concat_along(Axis::<2>);
        let (both, tape) = both.reshape_like(&(2, 5, Const::<8>)).split_tape();
        let mut tape = Some(tape);
        for (i, layer) in second.iter().enumerate() {
            let both = both.clone().put_tape(tape.take().unwrap_or_default());
            let output = layer.run(both, &options(directions + i));
            finals.push((output.hidden, output.cell));
            outputs.push(output.y.reshape_like(&(2, 5, 4)));
        }
    }
    let y = match outputs.pop().unwrap() {
        back if directions == 2 => (outputs.pop().unwrap(), back).concat_along(Axis::<2>),
        y => y,
    };
    assert_close!(y, batch_first(&numbers(golden, &at("y")), 2, 4 * directions), 1e-9, 0.0, "{case}");
    let gy = dev.tensor_from_vec(batch_first(&numbers(golden, &at("gy")), 2, 4 * directions), *y.shape());
    let mut loss = (y * gy).sum::<Rank0, _>();
    let [mut hidden, mut cells] = [vec![], vec![]];
    for ((h, c), (gh, gc)) in finals.iter().zip(gh.iter().zip(&gc)) {
        hidden.extend(h.as_vec());
        cells.extend(c.as_vec());
        loss = loss + (h.retaped::<OwnedTape<f64, Cpu>>() * gh.clone()).sum::<Rank0, _>();
        loss = loss + (c.retaped::<OwnedTape<f64, Cpu>>() * gc.clone()).sum::<Rank0, _>();
    }
    assert_close!(hidden, numbers(golden, &at("hn")), 1e-9, 0.0, "{case}");
    let mut gradients = loss.backward();
    let gx = gradients.get(&x).as_vec();
    assert_close!(gx, batch_first_gradient(&numbers(golden, &at("gx"))), 1e-9, 0.0, "{case}");
    let collect =
        |states: &[State<4>]| states.iter().flat_map(|s| gradients.get(s).as_vec()).collect::<Vec<_>>();
    assert_close!(collect(&h0), numbers(golden, &at("gh0")), 1e-9, 0.0, "{case}");
    if has_cell {
        assert_close!(cells, numbers(golden, &at("cn")), 1e-9, 0.0, "{case}");
        assert_close!(collect(&c0), numbers(golden, &at("gc0")), 1e-9, 0.0, "{case}");
    }
    let mut index = 0;
    let mut check = |list: Vec<params::Parameter>, flat: Vec<f64>| {
        let mut flat = &flat[..];
        for parameter in list {
            let (this, rest) = flat.split_at(parameter.numel());
            assert_gradient(golden, &format!("{case}/params/{index}"), this, 1e-9);
            (flat, index) = (rest, index + 1);
        }
    };
    for layer in &first {
        check(params::list(layer), params::flatten_gradients(layer, &mut gradients).unwrap());
    }
    for layer in &second {
        check(params::list(layer), params::flatten_gradients(layer, &mut gradients).unwrap());
    }
}

fn batch_first_gradient(x: &[f64]) -> Vec<f64> {
    batch_first(x, 2, 3)
}

#[test]
fn recurrent_layers_are_those_of_pytorch() {
    let golden = Golden::open(crate::golden("recurrent_layers.json"));
    let dev = Cpu::default();
    for case in 0..6 {
        let path = format!("cases/{case}");
        match golden.text(&format!("{path}/kind")) {
            "RNN" => recurrent_case(&golden, &path, || {
                (dev.build_module::<Rnn<3, 4>, f64>(), dev.build_module::<Rnn<8, 4>, f64>())
            }),
            "LSTM" => recurrent_case(&golden, &path, || {
                (dev.build_module::<Lstm<3, 4>, f64>(), dev.build_module::<Lstm<8, 4>, f64>())
            }),
            "GRU" => recurrent_case(&golden, &path, || {
                (dev.build_module::<Gru<3, 4>, f64>(), dev.build_module::<Gru<8, 4>, f64>())
            }),
            other => panic!("no layer {other}"),
        }
        for i in 0..if case % 2 == 1 { 16 } else { 4 } {
            golden.skip(&format!("{path}/params/{i}/name")); // by position
            golden.skip(&format!("{path}/params/{i}/shape"));
        }
    }
    ["fill_rule", "phase", "note"].iter().for_each(|about| golden.skip(about));
    golden.finish();
}

#[test]
fn peepholes_and_leaky_units_are_those_of_pytorch() {
    let golden = Golden::open(crate::golden("recurrent_variants.json"));
    let dev = Cpu::default();
    let input = |case: &str| -> Sequence<3> {
        dev.tensor_from_vec(batch_first(&numbers(&golden, &format!("{case}/x")), 2, 3), (2, 5, Const))
    };
    let loss = |case: &str, y: Sequence<3, OwnedTape<f64, Cpu>>| {
        let want = batch_first(&numbers(&golden, &format!("{case}/y")), 2, 3);
        assert_close!(y, want, 1e-10, 0.0, "{case}");
        let gy = batch_first(&numbers(&golden, &format!("{case}/gy")), 2, 3);
        (y * dev.tensor_from_vec(gy, (2, 5, Const))).sum::<Rank0, _>().backward()
    };
    macro_rules! check {
        ($case:literal, $layer:ident, $gradients:ident, $x:ident) => {
            let all = |name: &str| numbers(&golden, &format!("{}/{name}", $case));
            assert_close!($gradients.get(&$x), batch_first_gradient(&all("gx")), 1e-10);
            assert_close!($gradients.get(&$layer.weight_ih), all("gW"), 1e-10);
            assert_close!($gradients.get(&$layer.weight_hh), all("gU"), 1e-10);
            assert_close!($gradients.get(&$layer.bias_ih), all("gb"), 1e-10);
            assert_close!($gradients.get(&$layer.bias_hh), all("gb"), 1e-10);
        };
    }
    let x = input("lstm_peephole");
    let mut layer = dev.build_module::<PeepholeLstm<3, 3>, f64>();
    layer.weight_ih.copy_from(&numbers(&golden, "lstm_peephole/W"));
    layer.weight_hh.copy_from(&numbers(&golden, "lstm_peephole/U"));
    layer.bias_ih.copy_from(&numbers(&golden, "lstm_peephole/b"));
    layer.bias_hh.copy_from(&[0.0; 12]);
    layer.peepholes.copy_from(&numbers(&golden, "lstm_peephole/p"));
    let gradients = loss("lstm_peephole", layer.forward(x.leaky_trace()));
    check!("lstm_peephole", layer, gradients, x);
    assert_close!(gradients.get(&layer.peepholes), numbers(&golden, "lstm_peephole/gp"), 1e-10);

    let x = input("leaky_alpha_0.3");
    let mut layer = dev.build_module::<Rnn<3, 3>, f64>();
    (layer.leak, layer.activation) = (0.3, RnnActivation::Tanh);
    layer.weight_ih.copy_from(&numbers(&golden, "leaky_alpha_0.3/W"));
    layer.weight_hh.copy_from(&numbers(&golden, "leaky_alpha_0.3/U"));
    layer.bias_ih.copy_from(&numbers(&golden, "leaky_alpha_0.3/b"));
    layer.bias_hh.copy_from(&[0.0; 3]);
    let gradients = loss("leaky_alpha_0.3", layer.forward(x.leaky_trace()));
    check!("leaky_alpha_0.3", layer, gradients, x);
    // The historical cells, Cho's order of the reset gate, and what the experiments measure: for the crate `sequence`.
    for other in [
        "lstm_1997",
        "gru_cho2014",
        "lstm_1997_feedback_3x1",
        "lstm_1997_feedback_2x2",
        "jacobian_product",
        "clip_global_norm_1.0",
    ] {
        golden.skip(other);
    }
    golden.finish();
}

fn keep_mask(golden: &Golden, path: &str) -> Mask {
    let rows = golden.value(path).as_array().unwrap();
    Mask::all().keys(rows.iter().flat_map(|row| row.as_array().unwrap()).map(|keep| keep == 1).collect())
}

/// Attention with `heads` heads on the operands of an entry, against its value and every gradient.
fn attention_entry<const C: usize, const V: usize>(
    golden: &Golden,
    entry: &str,
    [batch, queries, keys]: [usize; 3],
    options: &Attention<'_, C, f64, Cpu>,
) -> Gradients<f64, Cpu> {
    let at = |name: &str| format!("{entry}/{name}");
    let q = tensor(golden, &at("q"), (batch, queries, Const::<C>));
    let k = tensor(golden, &at("k"), (batch, keys, Const::<C>));
    let v = tensor(golden, &at("v"), (batch, keys, Const::<V>));
    let y = attention(q.leaky_trace(), k.retaped(), v.retaped(), options);
    assert_close!(y, numbers(golden, &at("y")), 1e-10, 0.0, "{entry}");
    let gradients =
        (y * tensor(golden, &at("gy"), (batch, queries, Const::<V>))).sum::<Rank0, _>().backward();
    assert_close!(gradients.get(&q), numbers(golden, &at("gq")), 1e-10, 0.0, "{entry}");
    assert_close!(gradients.get(&k), numbers(golden, &at("gk")), 1e-10, 0.0, "{entry}");
    assert_close!(gradients.get(&v), numbers(golden, &at("gv")), 1e-10, 0.0, "{entry}");
    gradients
}

#[test]
fn attention_is_that_of_pytorch() {
    let golden = Golden::open(crate::golden("attention.json"));
    let dev = Cpu::default();
    let mask = keep_mask(&golden, "scaled_dot_key_padding/keep_mask");
    attention_entry::<6, 3>(&golden, "scaled_dot_key_padding", [2, 4, 5], &Attention::new(1).mask(mask));
    let causal = Attention::new(1).mask(Mask::causal());
    attention_entry::<6, 6>(&golden, "scaled_dot_causal", [2, 5, 5], &causal);

    let entry = "music_transformer_relative_causal";
    let table = tensor(&golden, &format!("{entry}/Er"), (5, Const::<4>));
    let relative = Attention::new(1).mask(Mask::causal()).relative_keys(&table);
    let gradients = attention_entry::<4, 4>(&golden, entry, [1, 5, 5], &relative);
    assert_close!(gradients.get(&table), numbers(&golden, &format!("{entry}/gEr")), 1e-10);
    golden.skip(&format!("{entry}/note"));

    // Luong's dot: one tensor as keys and values.
    let (s, h) = (
        tensor(&golden, "luong_dot/s", (2, 4, Const::<4>)),
        tensor(&golden, "luong_dot/h", (2, 5, Const::<4>)),
    );
    let y = attention(s.leaky_trace(), h.retaped(), h.retaped(), &Attention::new(1).scale(1.0));
    assert_close!(y, numbers(&golden, "luong_dot/y"), 1e-10);
    let gradients = (y * tensor(&golden, "luong_dot/gy", (2, 4, Const::<4>))).sum::<Rank0, _>().backward();
    assert_close!(gradients.get(&s), numbers(&golden, "luong_dot/gs"), 1e-10);
    assert_close!(gradients.get(&h), numbers(&golden, "luong_dot/gh"), 1e-10);

    let band = golden.value("banded_mask_gpt3");
    let x: Sequence<2> = dev.zeros_like(&(1, 9, Const));
    let weights = attention_weights(&x, &x, &Attention::new(1).mask(Mask::banded(9, 3))).as_vec();
    let keep = band["keep"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    for (i, (weight, keep)) in weights.iter().zip(keep).enumerate() {
        assert_eq!(*weight > 0.0, keep == 1, "pair {i}");
    }

    let entry = "multi_head_2";
    let at = |name: &str| format!("{entry}/{name}");
    let layer = from_torch(&golden, entry, dev.build_module::<MultiHeadAttention<6, 2>, f64>());
    let (q, kv) =
        (tensor(&golden, &at("q"), (2, 4, Const::<6>)), tensor(&golden, &at("kv"), (2, 5, Const::<6>)));
    let mask = keep_mask(&golden, &at("keep_mask"));
    let y = layer.try_attend(q.leaky_trace(), kv.retaped(), &mask).unwrap();
    assert_close!(y, numbers(&golden, &at("y")), 1e-10);
    assert_close!(
        layer.try_weights(&q, &kv, &mask).unwrap(),
        numbers(&golden, &at("weights_per_head")),
        1e-10
    );
    let mut gradients = (y * tensor(&golden, &at("gy"), (2, 4, Const::<6>))).sum::<Rank0, _>().backward();
    assert_close!(gradients.get(&q), numbers(&golden, &at("gq")), 1e-10);
    assert_close!(gradients.get(&kv), numbers(&golden, &at("gkv")), 1e-10);
    assert_gradients(&golden, entry, &layer, &mut gradients, 1e-10);
    golden.skip(&at("fill_rule"));
    golden.skip(&at("phase"));
    // Scores that the crate `sequence` composes.
    for other in ["bahdanau_additive", "luong_general", "luong_concat", "luong_location", "luong_local_p"] {
        golden.skip(other);
    }
    golden.finish();
}

/// PyTorch's name of one of our tensors, and which third of that tensor it is.
fn torch_name(name: &str) -> (String, usize) {
    let name =
        name.replace("gamma", "weight").replace("beta", "bias").replace("cross_attn", "multihead_attn");
    for (third, of) in ["w_q", "w_k", "w_v"].iter().enumerate() {
        let ours = format!("{of}.");
        if name.contains(&ours) {
            return (name.replace(&ours, "in_proj_"), third);
        }
    }
    (name.replace("w_o", "out_proj"), 0)
}

/// Names and shapes of a golden model's parameters, in PyTorch's order.
fn torch_parameters(golden: &Golden, entry: &str) -> Vec<(String, Vec<usize>)> {
    let name = |parameter: usize| golden.text(&format!("{entry}/params/{parameter}/name")).to_owned();
    let shape = |parameter: usize| {
        golden.numbers(&format!("{entry}/params/{parameter}/shape")).iter().map(|&n| n as usize).collect()
    };
    let count = (0..).take_while(|i| golden.has(&format!("{entry}/params/{i}"))).count();
    (0..count).map(|i| (name(i), shape(i))).collect()
}

/// The model with its tensors filled by the generator's rule.
fn from_torch<M: TensorCollection<f64, Cpu>>(golden: &Golden, entry: &str, mut model: M) -> M {
    let all: BTreeMap<_, _> = torch_parameters(golden, entry)
        .into_iter()
        .enumerate()
        .map(|(t, (name, shape))| (name.clone(), fill(t, &shape, &name)))
        .collect();
    params::visit_mut(&mut model, |parameter, values: &mut [f64]| {
        let (name, third) = torch_name(&parameter.name);
        let from = third * values.len();
        values.copy_from_slice(&all[&name][from..from + values.len()]);
    })
    .unwrap();
    model
}

/// The gradients of all tensors, thirds put together, against the file.
fn assert_gradients<M: TensorCollection<f64, Cpu>>(
    golden: &Golden,
    entry: &str,
    model: &M,
    gradients: &mut Gradients<f64, Cpu>,
    tolerance: f64,
) {
    let flat = params::flatten_gradients(model, gradients).unwrap();
    let mut of: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut start = 0;
    for parameter in params::list(model) {
        let gradient = &flat[start..start + parameter.numel()];
        start += parameter.numel();
        of.entry(torch_name(&parameter.name).0).or_default().extend(gradient);
    }
    for (i, (name, _)) in torch_parameters(golden, entry).into_iter().enumerate() {
        assert_gradient(golden, &format!("{entry}/params/{i}"), &of[&name], tolerance);
    }
}

#[test]
fn transformer_blocks_are_those_of_pytorch() {
    let golden = Golden::open(crate::golden("transformer.json"));
    let dev = Cpu::default();
    fn encoder<N: layers::transformer::NormPlacement>(golden: &Golden, entry: &str) {
        let at = |name: &str| format!("{entry}/{name}");
        let block = Cpu::default().build_module::<TransformerEncoderBlock<8, 2, 12, N>, f64>();
        let block = from_torch(golden, entry, block);
        let x = tensor(golden, &at("x"), (2, 5, Const::<8>));
        let y = block.forward(x.leaky_trace());
        assert_close!(y, numbers(golden, &at("y")), 1e-9, 0.0, "{entry}");
        let mut gradients = (y * tensor(golden, &at("gy"), (2, 5, Const::<8>))).sum::<Rank0, _>().backward();
        assert_close!(gradients.get(&x), numbers(golden, &at("gx")), 1e-9, 0.0, "{entry}");
        assert_gradients(golden, entry, &block, &mut gradients, 1e-9);
        golden.skip(&at("heads"));
    }
    encoder::<layers::transformer::PostNorm>(&golden, "encoder_layer_post_ln");
    encoder::<PreNorm>(&golden, "encoder_layer_pre_ln");

    let entry = "decoder_layer_post_ln_causal";
    let at = |name: &str| format!("{entry}/{name}");
    let block = from_torch(&golden, entry, dev.build_module::<TransformerDecoderBlock<8, 2, 12>, f64>());
    let (x, memory) =
        (tensor(&golden, &at("x"), (2, 4, Const::<8>)), tensor(&golden, &at("memory"), (2, 5, Const::<8>)));
    let y = block.forward((x.leaky_trace(), memory.retaped()));
    assert_close!(y, numbers(&golden, &at("y")), 1e-9);
    let mut gradients = (y * tensor(&golden, &at("gy"), (2, 4, Const::<8>))).sum::<Rank0, _>().backward();
    assert_close!(gradients.get(&x), numbers(&golden, &at("gx")), 1e-9);
    assert_close!(gradients.get(&memory), numbers(&golden, &at("gmemory")), 1e-9);
    assert_gradients(&golden, entry, &block, &mut gradients, 1e-9);
    golden.skip(&at("heads"));

    let pe = sinusoid::<8, f64, _>(&dev, 0, 12);
    assert_close!(pe, numbers(&golden, "sinusoid_12"), 0.0, 1e-12);
    // Whole models, schedules and single functions: for the crates that have them.
    for other in ["fill_rule", "phase", "gpt2_tiny", "gelu_tanh", "noam", "layer_norm"] {
        golden.skip(other);
    }
    golden.finish();
}

fn normal<const F: usize>(dev: &Cpu, batch: usize, positions: usize) -> Sequence<F> {
    let mut x: Sequence<F> = dev.zeros_like(&(batch, positions, Const));
    x.fill_with_distr(rand_distr::StandardNormal);
    x
}

#[test]
fn gradients_of_every_layer_are_differences() {
    let dev = Cpu::seed_from_u64(1);
    macro_rules! check {
        ($($builder:ty => $x:expr;)*) => {$(
            for _ in 0..3 {
                gradient_check(&(dev.build_module::<$builder, f64>(), $x), |(model, x)| {
                    model.forward(x.leaky_trace()).square().mean()
                })
                .assert(1e-7);
            }
        )*};
    }
    check! {
        Rnn<3, 2> => dev.sample_normal::<Rank3<2, 4, 3>>();
        (Lstm<3, 2>, PeepholeLstm<2, 3>, Gru<3, 2>, Linear<2, 2>) => dev.sample_normal::<Rank3<2, 4, 3>>();
        Bidirectional<Gru<3, 2>, 4> => dev.sample_normal::<Rank3<2, 4, 3>>();
        (SinusoidalPositions, MultiHeadAttention<4, 2, Causal>) => dev.sample_normal::<Rank3<2, 3, 4>>();
        TransformerEncoderBlock<4, 2, 6, PreNorm, Gelu, Causal, Rotary> => dev.sample_normal::<Rank3<2, 3, 4>>();
    }
    let ids = dev.tensor([[2_usize, 0, 2], [4, 1, 1]]);
    gradient_check(&dev.build_module::<(Embedding<5, 4>, Gru<4, 2>), f64>(), |model| {
        model.forward(ids.leaky_trace()).square().mean()
    })
    .assert(1e-7);
    // One table for both ends: its gradient is the sum of both uses.
    gradient_check(&dev.build_module::<Embedding<5, 4>, f64>(), |table| {
        table.logits(table.forward(ids.leaky_trace()).tanh()).square().mean()
    })
    .assert(1e-7);
}

#[test]
fn the_forget_bias_is_the_sum_of_both_biases() {
    let mut layer = Cpu::seed_from_u64(2).build_module::<Lstm<3, 2>, f64>();
    let before = layer.clone();
    layer.set_forget_bias(1.0);
    let sum = (layer.bias_ih.clone() + layer.bias_hh.clone()).array();
    assert_eq!(sum[1], [1.0; 2]);
    for gate in [0, 2, 3] {
        assert_eq!(layer.bias_ih.array()[gate], before.bias_ih.array()[gate]);
    }
    assert!(before.bias_ih.as_vec().iter().all(|b| b.abs() <= 0.5_f64.sqrt()), "PyTorch's bound");
}

/// A padded batch is each sequence alone, in both directions and through two layers.
#[test]
fn padded_batches_are_sequences_alone() {
    let dev = Cpu::seed_from_u64(3);
    let model = dev.build_module::<(Bidirectional<Lstm<3, 2>, 4>, Bidirectional<Gru<4, 3>, 6>), f64>();
    let x = normal::<3>(&dev, 3, 5);
    let lengths = vec![5, 1, 3];
    let y = model.forward(Padded { x: x.clone(), lengths: lengths.clone() }).x.as_vec();
    for (b, &length) in lengths.iter().enumerate() {
        let alone = x.as_vec()[b * 15..b * 15 + 3 * length].to_vec();
        let alone: Sequence<3> = dev.tensor_from_vec(alone, (1, length, Const));
        let (valid, padding) = y[b * 30..(b + 1) * 30].split_at(6 * length);
        assert_close!(model.forward(alone), valid, 1e-12, 0.0, "sequence {b}");
        assert!(padding.iter().all(|&y| y == 0.0));
    }
}

/// With the input gate shut and the forget gate open the cell carries a number over 10,000 steps, and its gradient is 1.
#[test]
fn the_constant_error_carousel_is_constant() {
    let dev = Cpu::seed_from_u64(4);
    let mut layer = dev.build_module::<Lstm<1, 1>, f64>();
    layer.bias_ih.copy_from(&[-1e3, 1e3, 0.0, 0.0]);
    let c: State<1> = dev.tensor_from_vec(vec![0.3], (1, Const));
    let x: Sequence<1> = dev.zeros_like(&(1, 10_000, Const));
    let output = layer.run(x.leaky_trace(), &Recurrence { cell: Some(&c), ..Default::default() });
    assert_eq!(output.cell.as_vec(), [0.3]);
    let (_, tape) = output.y.split_tape();
    let gradient = output.cell.put_tape(tape).sum::<Rank0, _>().backward().get(&c).as_vec();
    assert_eq!(gradient, [1.0]);
}

#[test]
fn decoding_token_by_token_gives_the_whole_sequence() {
    let dev = Cpu::seed_from_u64(5);
    type Block = TransformerEncoderBlock<8, 2, 12, PreNorm, Gelu, Causal, Rotary>;
    let blocks = dev.build_module::<(Block, Block), f64>();
    let x = normal::<8>(&dev, 2, 7);
    let whole = blocks.forward(x.clone()).as_vec();
    let part = |x: &[f64], from: usize, to: usize| -> Vec<f64> {
        (0..2).flat_map(|b| x[(b * 7 + from) * 8..(b * 7 + to) * 8].to_vec()).collect()
    };
    let mut caches = [KvCache::new(2, 7), KvCache::new(2, 7)];
    for (from, to) in [(0, 3), (3, 4), (4, 6), (6, 7)] {
        let next: Sequence<8> = dev.tensor_from_vec(part(&x.as_vec(), from, to), (2, to - from, Const));
        let [first, second] = &mut caches;
        let hidden = blocks.0.try_decode(next, first).unwrap();
        let y = blocks.1.try_decode(hidden, second).unwrap();
        assert_close!(y, part(&whole, from, to), 1e-10, 0.0, "positions {from} to {to}");
    }
    let token = normal::<8>(&dev, 2, 1);
    let full = blocks.0.try_decode(token, &mut caches[0]);
    assert!(matches!(full, Err(kernels::Error::CacheFull { capacity: 7, len: 7, new: 1 })));
}

#[test]
fn masks_that_leave_nothing_are_typed_errors() {
    let dev = Cpu::seed_from_u64(6);
    let x = normal::<8>(&dev, 2, 3);
    let block = dev.build_module::<TransformerEncoderBlock<8, 2, 12>, f64>();
    let refused = block.try_run(x, &Mask::all().lengths(&[3, 0], 3));
    assert!(matches!(refused, Err(kernels::Error::NothingToAttend { sequence: 1, query: 0 })));
    let table = dev.build_module::<Embedding<5, 2>, f64>();
    let refused = table.try_lookup(dev.tensor([1, 5]));
    assert!(matches!(refused, Err(kernels::Error::IndexOutOfRange { position: 1, index: 5, rows: 5 })));
    assert!(table.try_sparse(&[7]).is_err());
}

#[test]
fn costs_are_those_of_the_papers() {
    const GPT2: usize = 50_257 * 768
        + 1024 * 768
        + 12 * <TransformerEncoderBlock<768, 12, 3072, PreNorm, Gelu, Causal> as Cost>::PARAMS
        + 2 * 768;
    const _: () = assert!(GPT2 == 124_439_808);
    // The quadratic part equals the linear one at 6 M positions: 12 M² = 2 n M.
    assert_eq!(<TransformerEncoderBlock<64, 4, 256> as Cost>::MACS, 2 * (6 * 64) * 64);
    let dev = Cpu::default();
    macro_rules! agree {
        ($($builder:ty),*) => {$(
            assert_eq!(<$builder as Cost>::PARAMS, params::count(&dev.build_module::<$builder, f32>()));
        )*};
    }
    agree!(Rnn<3, 5>, Lstm<3, 5>, PeepholeLstm<3, 5>, Gru<3, 5>, Bidirectional<Gru<3, 5>, 10>, Embedding<7, 3>);
    agree!(MultiHeadAttention<8, 2>, TransformerEncoderBlock<8, 2, 5>, TransformerDecoderBlock<8, 2, 5>);
}

#[test]
fn names_and_files_hold_every_tensor() {
    let dev = Cpu::seed_from_u64(7);
    let model = dev.build_module::<(Embedding<5, 4>, Bidirectional<Lstm<4, 2>, 4>, TransformerEncoderBlock<4, 2, 3>), f32>();
    let names = params::names(&model);
    for name in
        ["0.weight", "1.forward.weight_ih", "1.reverse.bias_hh", "2.self_attn.w_q.weight", "2.linear2.bias"]
    {
        assert!(names.iter().any(|n| n == name), "{name} is not in {names:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    layers::save(&model, &path).unwrap();
    let mut other = dev.build_module::<(Embedding<5, 4>, Bidirectional<Lstm<4, 2>, 4>, TransformerEncoderBlock<4, 2, 3>), f32>();
    layers::load(&mut other, &path).unwrap();
    assert_eq!(params::flatten(&other), params::flatten(&model));
}

/// The same cases in every run.
fn drawn(cases: u32) -> ProptestConfig {
    let rng_seed = proptest::test_runner::RngSeed::Fixed(2026);
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(drawn(64))]

    /// A causal stack: changing what comes after a position changes nothing at it, to the bit.
    #[test]
    fn causal_blocks_do_not_see_the_future(positions in 2_usize..9, from in 1_usize..8, seed in any::<u64>()) {
        let dev = Cpu::seed_from_u64(seed);
        let from = from.min(positions - 1);
        let block = dev.build_module::<TransformerEncoderBlock<4, 2, 6, PreNorm, Gelu, Causal>, f32>();
        let mut x: Tensor<(usize, usize, Const<4>), f32, _> = dev.zeros_like(&(1, positions, Const));
        x.fill_with_distr(rand_distr::StandardNormal);
        let y = block.forward(x.clone()).as_vec();
        let mut values = x.as_vec();
        values[from * 4..].iter_mut().for_each(|x| *x += 1.0);
        x.copy_from(&values);
        let moved = block.forward(x).as_vec();
        prop_assert_eq!(&y[..from * 4], &moved[..from * 4]);
        prop_assert!(y[from * 4..] != moved[from * 4..]);
    }

    /// Padding behind a sequence, masked, changes nothing at its positions.
    #[test]
    fn padding_changes_no_real_position(length in 1_usize..6, padding in 1_usize..4, seed in any::<u64>()) {
        let dev = Cpu::seed_from_u64(seed);
        let block = dev.build_module::<TransformerEncoderBlock<4, 2, 6>, f64>();
        let padded = normal::<4>(&dev, 1, length + padding);
        let alone: Sequence<4> = dev.tensor_from_vec(padded.as_vec()[..length * 4].to_vec(), (1, length, Const));
        let mask = Mask::all().lengths(&[length], length + padding);
        let y = block.try_run(padded, &mask).unwrap().as_vec();
        let want = block.forward(alone).as_vec();
        for (y, want) in y.iter().zip(&want) {
            prop_assert!((y - want).abs() <= 1e-12, "{} instead of {}", y, want);
        }
    }

    /// Without positions an encoder is equivariant: permuted inputs, permuted outputs.
    #[test]
    fn encoders_without_positions_are_equivariant(positions in 1_usize..8, seed in any::<u64>()) {
        let dev = Cpu::seed_from_u64(seed);
        let block = dev.build_module::<TransformerEncoderBlock<4, 2, 6, PreNorm>, f64>();
        let x = normal::<4>(&dev, 1, positions).as_vec();
        let order = kernels::random::Key::new(seed).permutation(positions);
        let permute = |x: &[f64]| -> Vec<f64> {
            order.iter().flat_map(|&i| x[i * 4..(i + 1) * 4].to_vec()).collect()
        };
        let run = |x: Vec<f64>| block.forward(dev.tensor_from_vec(x, (1, positions, Const::<4>))).as_vec();
        let (first, second) = (permute(&run(x.clone())), run(permute(&x)));
        for (a, b) in first.iter().zip(&second) {
            prop_assert!((a - b).abs() <= 1e-12);
        }
    }

    /// Every output of attention lies between the smallest and the largest value of its column.
    #[test]
    fn attention_is_a_mean(queries in 1_usize..5, keys in 1_usize..9, seed in any::<u64>()) {
        let dev = Cpu::seed_from_u64(seed);
        let (q, k, v) = (normal::<4>(&dev, 1, queries), normal::<4>(&dev, 1, keys), normal::<2>(&dev, 1, keys));
        let y = attention(q * 3.0, k, v.clone(), &Attention::new(1)).as_vec();
        let v = v.as_vec();
        for (i, y) in y.iter().enumerate() {
            let column = v.iter().skip(i % 2).step_by(2).copied();
            let (low, high) = column.fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(v), high.max(v)));
            prop_assert!(low - 1e-12 <= *y && *y <= high + 1e-12);
        }
    }

    /// The k largest are those of a sort.
    #[test]
    fn the_largest_are_those_of_a_sort(values in prop::collection::vec(-9_i32..9, 1..30), k in 0_usize..30) {
        let k = k.min(values.len());
        let dev = Cpu::default();
        let row: Vec<f64> = values.iter().map(|&v| v.into()).collect();
        let top = top_k(dev.tensor_from_vec(row.clone(), (1, row.len())), k);
        let mut order: Vec<usize> = (0..row.len()).collect();
        order.sort_by(|&i, &j| values[j].cmp(&values[i])); // stable
        prop_assert_eq!(&top.indices, &order[..k]);
    }
}

/// Value, tangent, and the gradient of a loss of the tangent alone, by weights, input and direction.
#[test]
fn tangents_of_sequence_layers_are_exact() {
    use layers::Dual;
    const STEP: f64 = 6e-6;
    let dev = Cpu::seed_from_u64(8);
    // The bias of the keys has gradient 0, as a shift of all scores: there a difference is rounding, 3e-7 of the floor.
    macro_rules! check {
        ($($builder:ty: $features:literal;)*) => {$(
            let name = stringify!($builder);
            let model = dev.build_module::<$builder, f64>();
            let x: Tensor<Rank3<2, 3, $features>, f64, _> = dev.sample_normal();
            let v: Tensor<Rank3<2, 3, $features>, f64, _> = dev.sample_normal();
            let dual = model.forward(Dual::new(x.leaky_trace(), v.clone()));
            assert_close!(dual.with_empty_tape().value(), model.forward(x.clone()), 1e-12, 1e-14, "{name}");
            let moved = |h: f64| model.forward(x.clone() + v.clone() * h);
            let difference = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            assert_close!(dual.tangent(), difference, 1e-8, 1e-9, "{name}");
            gradient_check(&(model.clone(), x, v), |(model, x, v)| {
                model.forward(Dual::new(x.leaky_trace(), v.clone())).tangent().square().mean()
            })
            .assert(1e-6);
        )*};
    }
    check! {
        Rnn<3, 2>: 3;
        Lstm<3, 2>: 3;
        PeepholeLstm<3, 2>: 3;
        Gru<3, 2>: 3;
        MultiHeadAttention<4, 2>: 4;
        MultiHeadAttention<4, 2, Causal, Rotary>: 4;
        Bidirectional<Lstm<3, 2>, 4>: 3;
        TransformerEncoderBlock<4, 2, 3>: 4;
        TransformerEncoderBlock<4, 1, 3, PreNorm, Gelu, Causal, Rotary>: 4;
    }
    let mut leaky = dev.build_module::<Rnn<3, 2>, f64>();
    (leaky.leak, leaky.activation) = (0.3, RnnActivation::Relu);
    let x: Tensor<Rank3<2, 3, 3>, f64, _> = dev.sample_normal();
    let dual = leaky.forward(Dual::constant(x.leaky_trace()));
    assert_close!(dual.value(), leaky.forward(x), 1e-13);
}

/// Cross-attention with masks: queries and memory of different lengths move together.
#[test]
fn tangents_of_decoder_blocks_are_exact() {
    use layers::Dual;
    const STEP: f64 = 6e-6;
    let dev = Cpu::seed_from_u64(9);
    let block = dev.build_module::<TransformerDecoderBlock<4, 2, 3, PreNorm, Gelu>, f64>();
    type Short = Tensor<Rank3<2, 3, 4>, f64, Cpu>;
    type Long = Tensor<Rank3<2, 5, 4>, f64, Cpu>;
    let (x, v): (Short, Short) = (dev.sample_normal(), dev.sample_normal());
    let (memory, w): (Long, Long) = (dev.sample_normal(), dev.sample_normal());
    let masks = (Mask::all().lengths(&[3, 2], 3), Mask::all().lengths(&[5, 4], 5));
    let moved = |h: f64| {
        let (x, memory) = (x.clone() + v.clone() * h, memory.clone() + w.clone() * h);
        block.try_run(x, memory, &masks.0, &masks.1).unwrap()
    };
    let dual = |block: &layers::modules::TransformerDecoderBlock<4, 2, 3, f64, Cpu, PreNorm, Gelu>,
                ([x, v], [memory, w]): ([&Short; 2], [&Long; 2])| {
        let (x, memory) = (Dual::new(x.leaky_trace(), v.clone()), Dual::new(memory.leaky_trace(), w.clone()));
        block.try_run_dual(x, memory, &masks.0, &masks.1).unwrap()
    };
    let y = dual(&block, ([&x, &v], [&memory, &w]));
    assert_close!(y.with_empty_tape().value(), moved(0.0), 1e-12, 1e-14);
    assert_close!(y.tangent(), (moved(STEP) - moved(-STEP)) / (2.0 * STEP), 1e-8, 1e-9);
    let all = ((block.clone(), x.clone()), (v.clone(), memory.clone()), w.clone());
    gradient_check(&all, |((block, x), (v, memory), w)| {
        dual(block, ([x, v], [memory, w])).tangent().square().mean()
    })
    .assert(1e-6);
    // The block as a module is the block without masks.
    let y = block.forward((Dual::new(x.leaky_trace(), v), Dual::new(memory.retaped(), w)));
    assert_close!(y.value(), block.forward((x, memory)), 1e-12, 1e-14);
}

/// Scores of rotated queries and keys depend on distances: the probabilities of a sequence do not change when it stands
/// behind others that are masked, and without rotation attention does not see order at all.
#[test]
fn rotary_attention_sees_distances_alone() {
    let dev = Cpu::seed_from_u64(10);
    let plain = dev.build_module::<MultiHeadAttention<8, 2>, f64>();
    let mut rotary = dev.build_module::<MultiHeadAttention<8, 2, Everything, Rotary>, f64>();
    params::unflatten(&mut rotary, &params::flatten(&plain)).unwrap();
    let x = normal::<8>(&dev, 1, 4);
    let values = x.as_vec();
    // The same four positions behind three more, which the mask hides.
    let behind: Vec<f64> =
        normal::<8>(&dev, 1, 3).as_vec().into_iter().chain(values.iter().copied()).collect();
    let behind: Sequence<8> = dev.tensor_from_vec(behind, (1, 7, Const));
    let hidden = Mask::all().keys((0..7).map(|key| key >= 3).collect());
    let alone = rotary.forward(x.clone()).as_vec();
    let shifted = rotary.try_attend(behind.clone(), behind, &hidden).unwrap().as_vec();
    assert_close!(shifted[3 * 8..].to_vec(), alone.clone(), 1e-12, 1e-14);
    // The last position of a reversed sequence: the same to attention without positions, another with them.
    let turned: Vec<f64> = values.chunks(8).rev().flatten().copied().collect();
    let turned: Sequence<8> = dev.tensor_from_vec(turned, (1, 4, Const));
    assert_close!(
        plain.forward(turned.clone()).as_vec()[24..].to_vec(),
        plain.forward(x).as_vec()[..8].to_vec(),
        1e-12,
        1e-14
    );
    let off =
        rotary.forward(turned).as_vec()[24..].iter().zip(&alone[..8]).any(|(a, b)| (a - b).abs() > 1e-3);
    assert!(off, "rotation changed nothing");
}
