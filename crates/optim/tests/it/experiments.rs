//! The quick version of each experiment: it runs in seconds, its claims hold, its figures can be drawn.
use lab::{Check, Experiment, ExperimentConfig, Lab};
use optim::experiments::{
    BayesianLine, BiasVariance, Checkpointing, DiabetesValidation, Dimensionality, GradientNoise,
    HessianProducts, NielsenDigits, NoFreeLunch, PerceptronBound, ReverseMode, SgdRates, Xor,
};

fn quick<X: Experiment>() -> X::Report {
    let config = X::Config::quick().check().unwrap();
    let report = X::run(&config, &mut Lab::quiet()).unwrap();
    let checks = X::checks(&report);
    let broken: Vec<&Check> = checks.iter().filter(|check| !check.holds()).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    for figure in X::figures(&report) {
        let drawn = figure.draw().unwrap_or_else(|error| panic!("figure {}: {error}", figure.id));
        assert!(!drawn.is_empty());
        assert!(figure.caption.len() > 80 && figure.alt.len() > 80, "figure {} needs words", figure.id);
    }
    report
}

#[test]
fn perceptron_bound() {
    let report = quick::<PerceptronBound>();
    assert_eq!(report.pairs.len(), 45);
    assert!(report.pairs.iter().all(|pair| pair.margin <= pair.margin_at_most && pair.mistakes.len() == 3));
    assert!(report.crowded.last_passes.iter().all(|&mistakes| mistakes > 0), "{:?}", report.crowded);
}

#[test]
fn xor() {
    let report = quick::<Xor>();
    // Four mistakes, in the order of the examples, bring the weights back to zero: it would go on for ever.
    assert_eq!(
        (report.perceptron.cycle, report.perceptron.mistakes),
        (Some(4), 4 * report.perceptron.epochs)
    );
    assert_eq!(report.end_costs.iter().map(|end| end.networks).sum::<usize>(), report.networks);
}

#[test]
fn nielsen_digits() {
    let report = quick::<NielsenDigits>();
    assert_eq!(report.confusion.iter().flatten().sum::<usize>(), report.test_images * report.accuracy.n);
    let (confused, row) = (report.most_confused, &report.confusion[report.most_confused.label]);
    assert_eq!(row[confused.read_as], confused.times);
    assert!(report.misread.iter().all(|wrong| wrong.label != wrong.read_as && wrong.pixels.len() == 64));
    assert_eq!((report.learnt_weights.len(), report.learnt_weights[0].len()), (30, 64));
}

#[test]
fn bias_variance() {
    let report = quick::<BiasVariance>();
    // Pilot: bias² 0.495, 0.206, 0.0059 and variance 0.029, 0.035, 0.036 at degrees 0, 1, 3.
    for (degree, bias2, variance) in [(0, 0.495, 0.029), (1, 0.206, 0.035), (3, 0.0059, 0.036)] {
        let parts = &report.degrees[degree];
        assert!((parts.bias2.mean / bias2 - 1.0).abs() < 0.15, "degree {degree}: bias² {}", parts.bias2.mean);
        assert!(
            (parts.variance.mean / variance - 1.0).abs() < 0.15,
            "degree {degree}: {}",
            parts.variance.mean
        );
    }
    assert!(report.degrees.windows(2).all(|pair| pair[1].train.mean < pair[0].train.mean));
}

#[test]
fn diabetes_validation() {
    let report = quick::<DiabetesValidation>();
    assert_eq!((report.patients, report.features), (442, 10));
    assert!(report.least_squares.mean < 0.6 * report.mean_only.mean, "{report:?}");
}

#[test]
fn bayesian_line() {
    let report = quick::<BayesianLine>();
    assert!(report.stages.windows(2).all(|pair| pair[1].width < pair[0].width), "knowledge only grows");
}

#[test]
fn no_free_lunch() {
    let report = quick::<NoFreeLunch>();
    assert_eq!((report.labelings, report.simple), (64, 12));
    // Six of the twelve simple labelings change between a shown point and the unseen one behind it, by one of three.
    let nearest = report.learners.iter().find(|learner| learner.name == "nearest neighbour").unwrap();
    assert!((nearest.simple - 1.0 / 6.0).abs() < 1e-12);
}

#[test]
fn dimensionality() {
    let report = quick::<Dimensionality>();
    // Pilot: 61.9, 2.41, 0.614, 0.385, 0.159.
    for ((d, got), want) in report.contrast.iter().zip([61.9, 2.41, 0.614, 0.385, 0.159]) {
        assert!((got.mean / want - 1.0).abs() < 0.15, "{d} dimensions: {}", got.mean);
    }
}

#[test]
fn reverse_mode() {
    let report = quick::<ReverseMode>();
    assert_eq!(report.parameters, 79_510);
    // The golden gradient of the drawn expression.
    let by = |name: &str| report.graph.nodes.iter().find(|node| node.0 == name).unwrap().2;
    for (name, want) in [("x", 1.6876270358103), ("y", 0.26654262729324), ("z", 2.009111288233)] {
        assert!((by(name) - want).abs() < 1e-12, "{name}: {}", by(name));
    }
}

#[test]
fn checkpointing() {
    let report = quick::<Checkpointing>();
    assert!(report.uniform.iter().any(|cost| (cost.setting, cost.peak_states) == (16, 32)), "{report:?}");
}

#[test]
fn hessian_products() {
    let report = quick::<HessianProducts>();
    assert_eq!(report.differences.len(), 2);
}

#[test]
fn sgd_rates() {
    let report = quick::<SgdRates>();
    // The document's eigenvalues: 0.00856 to 4.02, condition 470.
    assert!((report.smallest / 0.00856 - 1.0).abs() < 1e-3 && (report.largest / 4.02 - 1.0).abs() < 2e-3);
    assert!((report.condition / 470.0 - 1.0).abs() < 0.01, "{}", report.condition);
}

#[test]
fn gradient_noise() {
    let report = quick::<GradientNoise>();
    assert!(report.critical_rate > 2.0 * report.sufficient_rate, "sufficient, not necessary");
}

/// The same seed gives the same report, bit for bit.
#[test]
fn runs_repeat() {
    let config = || {
        let mut config = <NielsenDigits as Experiment>::Config::quick();
        (config.epochs, config.seeds) = (2, 2);
        config
    };
    let run = || NielsenDigits::run(&config(), &mut Lab::quiet()).unwrap();
    assert_eq!(serde_json::to_string(&run()).unwrap(), serde_json::to_string(&run()).unwrap());
}

/// Every field out of its range is refused, with its name.
#[test]
fn configurations_are_checked() {
    let name = |error: lab::Error| error.to_string();
    let mut config = <NielsenDigits as Experiment>::Config::default();
    config.seeds = 1;
    assert!(name(config.clone().check().unwrap_err()).contains("seeds must be at least 2"));
    (config.seeds, config.learning_rate) = (3, f64::NAN);
    assert!(name(config.clone().check().unwrap_err()).contains("learning_rate must be positive"));
    (config.learning_rate, config.batch_size) = (3.0, 0);
    assert!(name(config.clone().check().unwrap_err()).contains("batch_size must be at least 1"));
    (config.batch_size, config.perceptron_epochs) = (10, 0);
    assert!(name(config.check().unwrap_err()).contains("perceptron_epochs must be at least 1"));

    let mut config = <PerceptronBound as Experiment>::Config::default();
    config.tolerance = 1.0;
    assert!(name(config.clone().check().unwrap_err()).contains("tolerance must be in (0, 1)"));
    (config.tolerance, config.max_epochs) = (0.02, 0);
    assert!(name(config.check().unwrap_err()).contains("max_epochs must be at least 1"));

    let mut config = <Xor as Experiment>::Config::default();
    config.epochs = 0;
    assert!(name(config.check().unwrap_err()).contains("epochs must be at least 1"));
}
