//! Values from `golden/classical.json`, made by `golden/gen_values.py` with numpy, scipy and PyTorch.
use layers::{assert_close, testing::Golden};
use nalgebra::SVector;
use optim::nielsen::{Example, Layer, Network};
use optim::perceptron::{MarginConfig, MaxEpochs, Perceptron, hard_margin, novikoff_bound};

fn classical() -> Golden {
    Golden::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/classical.json"))
}

fn rows<const D: usize>(numbers: &[f64]) -> Vec<SVector<f64, D>> {
    numbers.chunks_exact(D).map(SVector::from_column_slice).collect()
}

#[test]
fn classical_methods_agree_with_numpy_and_torch() {
    let golden = classical();
    perceptron(&golden);
    one_minibatch(&golden);
    crate::learning::golden(&golden);
    crate::sgd::golden(&golden);
    golden.skip("source");
    golden.skip("learning_slowdown"); // lecture 5
    golden.finish();
}

/// The whole run: which example is a mistake when, the weights that result, the bound that holds.
fn perceptron(golden: &Golden) {
    let x: Vec<SVector<f64, 3>> = rows(&golden.numbers("X"));
    let labels: Vec<i8> = golden.numbers("labels").into_iter().map(|label| label as i8).collect();
    golden.skip("perceptron/note");

    let fit = Perceptron::fit(&x, &labels, MaxEpochs(100)).unwrap();
    let mistakes: Vec<f64> = fit.mistakes.iter().map(|&i| i as f64).collect();
    assert_eq!(mistakes, golden.numbers("perceptron/mistake_sequence"));
    assert_eq!(fit.mistakes_per_epoch, [6, 4, 7, 2, 3, 0]); // the sequence, cut where it does not ascend
    assert_eq!(fit.epochs as f64, golden.number("perceptron/epochs"));
    assert_eq!(fit.mistakes.len() as f64, golden.number("perceptron/mistakes"));
    let w = &fit.perceptron;
    let got = [w.weights[0], w.weights[1], w.weights[2], w.bias];
    assert_close!(got, golden.numbers("perceptron/w"), 1e-13); // inputs are stored with 14 digits

    let margin = hard_margin(&x, &labels, MarginConfig::default().tolerance_rel(1e-7)).unwrap();
    let want = golden.number("perceptron/margin");
    assert!(
        margin.lower <= want * (1.0 + 1e-7) && want * (1.0 - 1e-7) <= margin.upper,
        "{margin:?}, want {want}"
    );
    assert_close!(margin.lower, want, 2e-7); // 7 digits are stored
    assert_close!(margin.radius, golden.number("perceptron/radius"), 1e-13);
    assert_close!(
        novikoff_bound(margin.radius, margin.lower),
        golden.number("perceptron/novikoff_bound"),
        5e-7
    );
    assert!(fit.mistakes.len() as f64 <= margin.novikoff_bound());
}

fn one_minibatch(golden: &Golden) {
    let layer = |weights: &str, bias: &str| {
        let numbers = |key| golden.numbers(&format!("nielsen_minibatch/{key}"));
        (numbers(weights), numbers(bias))
    };
    let network = |prefix: &str| {
        let (w1, b1) = layer(&format!("{prefix}W1"), &format!("{prefix}b1"));
        let (w2, b2) = layer(&format!("{prefix}W2"), &format!("{prefix}b2"));
        Network::<3, 4, 2>::from_layers(
            Layer::from_fn(|j, k| w1[3 * j + k], |j| b1[j]),
            Layer::from_fn(|j, k| w2[4 * j + k], |j| b2[j]),
        )
    };
    let x = rows(&golden.numbers("nielsen_minibatch/x"));
    let y = rows(&golden.numbers("nielsen_minibatch/y"));
    let batch: Vec<_> = x.into_iter().zip(y).map(|(x, y)| Example { x, y }).collect();

    let before = network("");
    assert_close!(before.cost(&batch).unwrap(), golden.number("nielsen_minibatch/cost"), 1e-12);
    let mut after = before.clone();
    after.update_mini_batch(&batch, golden.number("nielsen_minibatch/eta")).unwrap();
    let step = |network: &Network<3, 4, 2>| -> Vec<f64> {
        let pairs = network.parameters().zip(before.parameters());
        pairs.map(|(after, before)| after - before).collect()
    };
    // The step, not the weights: an error of the step would hide behind the size of the weights. Weights up to 2
    // are stored with 14 digits, so their difference is known to 1e-13; observed 7e-14.
    assert_close!(step(&after), step(&network("after/")), 1e-12, 2e-13);
}
