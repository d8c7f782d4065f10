//! The test helpers must fail when they should.
use dfdx::prelude::*;
use layers::assert_close;
use layers::testing::{Golden, gradient_check};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn message(test: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(test)).expect_err("should have failed");
    panic.downcast_ref::<String>().cloned().expect("a formatted message")
}

#[test]
fn assert_close_tells_the_worst_element() {
    assert_close!([1.0, 2.0], [1.0, 2.0 + 1e-9], 1e-9);
    assert_close!(f64::INFINITY, f64::INFINITY, 0.0);
    assert_close!(1.0_f32, 1.1_f64, 0.0, 0.11);
    let text = message(|| assert_close!(vec![1.0, 2.0, 5.0], [1.0, 2.5, 4.0], 1e-3, 0.0, "seed {}", 7));
    assert!(text.starts_with("seed 7: element 2: got 5e0, want 4e0, error 1.000e0 (2.500e-1 of"), "{text}");
    assert!(text.ends_with("2 of 3 elements differ"), "{text}");
    let text = message(|| assert_close!([1.0, f64::NAN, 9.0], [1.0, 2.0, 3.0], 0.1));
    assert!(text.starts_with("element 1: got NaN"), "{text}");
    let text = message(|| assert_close!([1.0], [1.0, 2.0], 0.1));
    assert_eq!(text, "got 1 numbers, want 2");
    message(|| assert_close!(f64::NAN, f64::NAN, 1.0));
    message(|| assert_close!(f64::INFINITY, f64::NEG_INFINITY, 1.0, f64::MAX));
}

#[test]
fn gradient_check_finds_the_wrong_derivative_of_dfdx_accurate_gelu() {
    let dev = Cpu::default();
    let x = dev.tensor([0.3, 1.0, -2.0]);
    gradient_check(&x, |x| x.leaky_trace().fast_gelu().sum()).assert(1e-9);
    let report = gradient_check(&x, |x| x.leaky_trace().accurate_gelu().sum());
    assert!(report.relative_error > 0.05, "dfdx has repaired accurate_gelu: {report:?}");
    assert_eq!((report.name.as_str(), report.checked), ("", 3));
    let text = message(|| report.assert(1e-6));
    assert!(text.starts_with(&format!("derivative by ``[{}]", report.index)), "{text}");
}

#[test]
fn gradient_check_names_the_tensor_and_sees_a_lost_tape() {
    let dev = Cpu::seed_from_u64(2);
    let model = dev.build_module::<(Linear<2, 3>, Tanh, Linear<3, 1>), f64>();
    let x: Tensor<Rank2<4, 2>, f64, _> = dev.sample_normal();
    let report = gradient_check(&(model, x), |(model, x)| {
        let hidden = model.1.forward(model.0.forward(x.clone())); // no tape: weights of layer 0 get no gradient
        model.2.forward(hidden.leaky_trace()).square().mean()
    });
    assert!(report.relative_error > 0.9, "{report:?}");
    assert!(report.name == "1" || report.name.starts_with("0.0."), "{report:?}");
    assert_eq!(report.analytic, 0.0);
}

#[test]
fn golden_fails_on_values_that_nobody_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("golden.json");
    std::fs::write(
        &path,
        r#"{"source": "hand", "runs": {"a": {"x": [1, 2], "y": 3}, "b": {"x": [[4], [5]]}}}"#,
    )
    .unwrap();

    let golden = Golden::open(&path);
    assert_eq!(golden.keys("runs"), ["a", "b"]);
    assert_eq!(golden.number("runs/a/x/0"), 1.0);
    assert_eq!(golden.numbers("runs/b/x"), [4.0, 5.0]);
    let text = message(|| golden.finish());
    assert!(text.contains(r#"["source", "runs/a/x/1", "runs/a/y"]"#), "{text}");

    let golden = Golden::open(&path);
    assert_eq!(golden.text("source"), "hand");
    golden.skip("runs/a");
    let text = message(|| drop(golden));
    assert!(text.contains(r#"["runs/b"]"#), "{text}");

    let golden = Golden::open(&path);
    golden.skip("source");
    golden.skip("runs");
    golden.finish();

    let golden = Golden::open(&path);
    let text = message(|| golden.skip("runs/c"));
    assert!(text.ends_with("has no value at `runs/c`"), "{text}");
    std::mem::forget(golden);
}
