//! The quick version of each experiment: it runs in seconds, its claims hold, its figures can be drawn.
use lab::{Check, Experiment, ExperimentConfig, Lab};
use optim::experiments::{
    AdamCounterexample, AdaptiveGeneralisation, ArchitectureAtlas, Bagging, BatchNormRates, BatchSizes,
    BayesianLine, BiasVariance, BlurredCost, Calibration, Checkpointing, ClassicalLearners, Conditioning,
    CountedLabellings, DenseAndFixup, DepthAndShortcuts, DiabetesValidation, Dimensionality,
    DropoutEqualises, DroppedMaps, DyingRelu, FewBits, FewLabels, GradientClipping, GradientNoise,
    GradientNorms, HeadStarts, HeavyDamping, HessianBulk, HessianProducts, HyperparameterSearch,
    KroneckerFactors, LabelNoise, LearningRateRange, LearningRateSchedules, LearningSlowdown, LeastVariance,
    LongSums, LossBand, LossShapes, MasksAndMixtures, Memorisation, MixtureDensity, NewtonRelatives,
    NielsenDigits, NoFreeLunch, OneMatrix, OptimizerPaths, OptimizerRace, PathDescent, PerceptronBound,
    PermutedCopies, PriceOfABound, RareRows, RectifiedPairs, RegulariserLeague, ReverseMode, RuleLeague,
    SaddleEscape, SecondOrderDigits, SgdRates, SharedWeights, SharpnessAware, SparseCodes, SparseStart,
    SpinGlass, StartAtDepth, ValuesOrGraph, VarianceReduction, WarmRestarts, WeightDecayMap,
    WidthWithoutOverfitting, Xor,
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
fn dropout_equalises() {
    let report = quick::<DropoutEqualises>();
    assert_eq!(report.predicted.iter().filter(|&&value| value > 0.0).count(), report.predicted_rank);
    assert!(report.products.windows(2).all(|pair| pair[0] >= pair[1]));
    // One number and two units: outside of the theorem, and no minimum is a bad one all the same. By hand: four minima, both
    // units of the square 1 / (2 + lambda); the saddles have one unit, of the square 1 / (1 + lambda).
    for surface in &report.surfaces {
        assert!(surface.excess < 1e-9, "keep {}: {}", surface.keep, surface.excess);
        assert_eq!((surface.minima.len(), surface.saddles.len(), surface.maxima.len()), (4, 4, 1));
        for (points, square) in [
            (&surface.minima, 2.0 / (2.0 + surface.lambda)),
            (&surface.saddles, 1.0 / (1.0 + surface.lambda)),
        ] {
            assert!(points.iter().all(|(x, y)| (x * x + y * y - square).abs() < 1e-9), "{points:?}");
        }
    }
    assert!(
        report.benign.iter().all(|benign| (benign.points, benign.minima) == (33, 8)),
        "{:?}",
        report.benign
    );
}

#[test]
fn width_without_overfitting() {
    let report = quick::<WidthWithoutOverfitting>();
    assert!(report.widths.windows(2).all(|pair| pair[1].parameters > pair[0].parameters));
    // A margin is positive where all images are read, and only there is there a ratio.
    for width in &report.widths {
        assert_eq!(width.norm_over_margin.is_some(), width.train_error.mean == 0.0, "{width:?}");
        assert!(
            width.norm_over_margin.is_none_or(|ratio| ratio.mean > 0.0 && width.margin.mean > 0.0),
            "{width:?}"
        );
    }
}

#[test]
fn path_descent() {
    let report = quick::<PathDescent>();
    assert!(report.sgd_difference.mean > 1e3 * report.path_difference.mean);
}

#[test]
fn memorisation() {
    let report = quick::<Memorisation>();
    assert_eq!(report.kinds.len(), 3);
    assert!(!report.is_full && report.kinds.iter().all(|kind| (0.0..1.0).contains(&kind.unrolled.mean)));
    assert_eq!(report.searched_after, [1, 2, 4, 8, 10]);
    for kind in &report.kinds {
        assert_eq!((kind.gini_by_pass.len(), kind.critical_by_pass.len()), (10, 5));
        // The averaged sensitivities are less unequal than the most unequal pass: the Gini coefficient is convex.
        let most = kind.gini_by_pass.iter().map(|gini| gini.mean + gini.sd).fold(0.0, f64::max);
        assert!(
            kind.gini.mean <= most,
            "{}: {} after all passes, {most} after one",
            kind.name,
            kind.gini.mean
        );
    }
}

#[test]
fn regulariser_league() {
    let report = quick::<RegulariserLeague>();
    assert_eq!(report.methods.len(), 14);
    assert!(report.methods[0].gain.mean == 0.0 && report.methods[0].gain.sd == 0.0);
}

#[test]
fn learning_slowdown() {
    let report = quick::<LearningSlowdown>();
    assert_eq!((report.neurons.len(), report.networks.len()), (4, 4));
}

#[test]
fn loss_shapes() {
    let report = quick::<LossShapes>();
    // Each loss has a value where the vote is right, and none is below its least: all but the likelihoods are at least 0.
    let has_density = |name: &str| name.starts_with("Poisson") || name.starts_with("Gaussian");
    let negative = report.losses.iter().find(|shape| {
        !has_density(&shape.name)
            && !shape.name.starts_with("confidence")
            && shape.values.iter().any(|&value| value < 0.0)
    });
    assert!(negative.is_none(), "{negative:?}");
    // Mistakes lie on the left of a vote: no loss asks there for less of the right class.
    let votes =
        report.losses.iter().filter(|shape| shape.family != "errors" && shape.family != "other errors");
    assert!(votes.filter(|shape| !has_density(&shape.name)).all(|shape| shape.slopes[0] <= 0.0));
}

#[test]
fn start_at_depth() {
    let report = quick::<StartAtDepth>();
    assert_eq!((report.runs.len(), report.signal_he.len()), (9, report.depth));
    // The last layer's derivative is the random factor itself.
    assert!((report.gradient_he[report.depth - 1] - 1.0).abs() < 0.1, "{:?}", report.gradient_he);
}

#[test]
fn dying_relu() {
    let report = quick::<DyingRelu>();
    assert!(report.activations.iter().all(|row| row.dead.len() == report.rates.len()));
    // The last count is that of the table, layer by layer, and a dead unit of one layer is one of two hundred.
    assert_eq!(report.activations[0].broken.iter().map(|broken| broken.mean).sum::<f64>(), 0.0);
    for (dying, dead) in report.dying.iter().zip(report.activations[0].dead.iter().flatten()) {
        let [first, second] = &dying[..] else { panic!("two hidden layers") };
        assert_eq!((first.len(), second.len()), (report.counted_after.len(), report.counted_after.len()));
        let last = (first[first.len() - 1].mean + second[second.len() - 1].mean) / 2.0;
        assert!((last - dead.mean).abs() < 1e-9, "{last} of both layers, {} in the table", dead.mean);
    }
    // A dead unit of the first layer has no gradient and sees the same images: it stays dead.
    for dying in &report.dying {
        assert!(dying[0].windows(2).all(|pair| pair[0].mean <= pair[1].mean), "{:?}", dying[0]);
    }
    // All rates start from the same weights.
    let starts: Vec<f64> = report.dying.iter().map(|dying| dying[0][0].mean).collect();
    assert!(starts.iter().all(|&start| start == starts[0]), "{starts:?}");
}

#[test]
fn label_noise() {
    let report = quick::<LabelNoise>();
    assert!(report.losses.iter().all(|row| row.best.mean >= row.last.mean));
}

#[test]
fn depth_and_shortcuts() {
    let report = quick::<DepthAndShortcuts>();
    assert_eq!((report.plain.len(), report.residual.len(), report.matched.len()), (4, 4, 4));
    assert!(report.plain_gradients.iter().chain(&report.residual_gradients).all(|ratio| ratio.mean > 0.0));
}

#[test]
fn architecture_atlas() {
    let report = quick::<ArchitectureAtlas>();
    assert!(report.networks.windows(2).all(|pair| pair[0].parameters <= pair[1].parameters));
}

#[test]
fn conditioning() {
    let report = quick::<Conditioning>();
    // Deterministic counts of an independent run in numpy.
    let want = [[62, 612, 6107], [24, 85, 288], [39, 139, 455], [21, 47, 86]];
    for (method, want) in report.methods.iter().zip(want) {
        let near = method.steps.iter().zip(want).all(|(&steps, want)| steps.abs_diff(want) <= 1);
        assert!(near, "{}: {:?}, expected {want:?}", method.name, method.steps);
    }
}

#[test]
fn saddle_escape() {
    let report = quick::<SaddleEscape>();
    assert!(report.steps.windows(2).all(|pair| pair[0].mean < pair[1].mean), "{:?}", report.steps);
}

#[test]
fn adam_counterexample() {
    let report = quick::<AdamCounterexample>();
    let ends = |index: usize| [&report.three, &report.ten].map(|sequence| sequence.walks[index].end);
    let [adam, amsgrad, descent] = [0, 1, 2].map(ends);
    assert!(adam.iter().all(|&x| x > 0.9), "{adam:?}");
    assert!(amsgrad.iter().chain(&descent).all(|&x| x < -0.9), "{amsgrad:?}, {descent:?}");
}

#[test]
fn adaptive_generalisation() {
    let report = quick::<AdaptiveGeneralisation>();
    // Values of an independent run in numpy.
    let want = [[0.75, 0.25], [0.75, 0.25], [0.75, 0.25], [0.987_914, -0.903_674], [0.987_914, -0.903_674]];
    for (solution, want) in report.solutions.iter().zip(want) {
        let off = (solution.positive - want[0]).abs().max((solution.negative - want[1]).abs());
        assert!(off < 1e-6, "{solution:?}, expected {want:?}");
    }
}

#[test]
fn gradient_clipping() {
    let report = quick::<GradientClipping>();
    assert_eq!((report.rates.len(), report.rates[0].accuracy.len()), (1, 3));
}

#[test]
fn learning_rate_range() {
    let report = quick::<LearningRateRange>();
    assert_eq!((report.suggestions.len(), report.losses[1].len()), (2, 2));
}

#[test]
fn learning_rate_schedules() {
    let report = quick::<LearningRateSchedules>();
    assert_eq!((report.schedules.len(), report.averaged.len()), (2, 3));
}

#[test]
fn loss_band() {
    let report = quick::<LossBand>();
    assert_eq!(report.widths.iter().map(|width| width.units).collect::<Vec<_>>(), [5, 10, 25, 50, 100]);
}

#[test]
fn optimizer_paths() {
    let report = quick::<OptimizerPaths>();
    assert_eq!((report.ravine.len(), report.valley.len()), (8, 8));
}

#[test]
fn optimizer_race() {
    let report = quick::<OptimizerRace>();
    assert_eq!(report.rules.len(), 3);
}

#[test]
fn second_order_digits() {
    let report = quick::<SecondOrderDigits>();
    assert!(report.newton_excess.windows(2).all(|pair| pair[1] <= pair[0]), "{:?}", report.newton_excess);
}

#[test]
fn spin_glass() {
    let report = quick::<SpinGlass>();
    assert_eq!(report.sizes.iter().map(|size| size.energies.len()).collect::<Vec<_>>(), [120, 120]);
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
    assert_eq!((report.labellings, report.simple), (64, 12));
    // Six of the twelve simple labellings change between a shown point and the unseen one behind it, by one of three.
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

#[test]
fn batch_norm_rates() {
    let report = quick::<BatchNormRates>();
    assert_eq!(report.rates, [0.01, 0.1, 0.5, 1.0, 3.0]);
    assert!(
        report.plain[2].mean > report.plain[0].mean + 10.0,
        "without batch norm there is a best rate: {report:?}"
    );
}

#[test]
fn weight_decay_map() {
    let report = quick::<WeightDecayMap>();
    assert_eq!((report.coupled.len(), report.coupled[0].len()), (1, 6));
}

#[test]
fn hyperparameter_search() {
    let report = quick::<HyperparameterSearch>();
    assert_eq!((report.trials.len(), report.budget), (27, 54));
    assert!(report.searches.iter().all(|search| search.error.mean < 60.0), "{:?}", report.table);
}

#[test]
fn mixture_density() {
    let report = quick::<MixtureDensity>();
    assert!(report.components.iter().map(Vec::len).sum::<usize>() > 200, "each input has a component");
}

#[test]
fn calibration() {
    let report = quick::<Calibration>();
    // Smoothing makes a network less certain: the temperature that it needs falls.
    assert!(
        report.temperature.windows(2).all(|pair| pair[1].mean < pair[0].mean),
        "{:?}",
        report.temperature
    );
}

#[test]
fn batch_sizes() {
    let report = quick::<BatchSizes>();
    assert_eq!((report.batches.len(), report.rates.len(), report.accuracy[2].len()), (3, 8, 8));
    assert_eq!(report.linear[0].mean, report.fixed[0].mean, "the smallest batch is where the rule starts");
    // Eight steps are one pass with batches of 32, half of one with 16, and two with 64.
    let [same, other] = [1, 2].map(|index| report.linear_steps[index].mean - report.linear[index].mean);
    assert_eq!((same, report.lamb_steps[1].mean), (0.0, report.lamb[1].mean), "as many steps as in a pass");
    assert!(other != 0.0, "twice as many steps as in a pass with batches of 64");
    assert_eq!(report.finite, 1.0, "a loss is not finite");
}

#[test]
fn head_starts() {
    let report = quick::<HeadStarts>();
    assert_eq!(report.orders, ["shuffled", "easy first", "hard first"]);
}

#[test]
fn gradient_norms() {
    let report = quick::<GradientNorms>();
    assert_eq!((report.losses.len(), report.noisy.len()), (6, 5));
    assert!(report.noise.mean > 1.0, "gradients of minibatches are longer than their mean");
}

#[test]
fn kronecker_factors() {
    let report = quick::<KroneckerFactors>();
    assert!(report.many_examples.iter().all(|&off| off > 1e-3), "over many examples it is an approximation");
}

#[test]
fn rectified_pairs() {
    let report = quick::<RectifiedPairs>();
    let [many, half, kept] = &report.networks[..] else { panic!("three networks") };
    assert_eq!((many.first_layer, half.first_layer, kept.first_layer), (16 * 26, 8 * 26, 8 * 26));
    assert_eq!(many.parameters - kept.parameters, 8 * 26); // what follows is as large
    // The most opposite of fifteen others is more opposite than that of seven.
    assert!(many.before.mean < half.before.mean && half.before.mean < 0.0, "{report:?}");
}

#[test]
fn sparse_start() {
    let report = quick::<SparseStart>();
    assert_eq!(report.starts.len(), 8);
    let rows = report.starts.iter();
    assert!(rows.filter(|row| row.activation == "ReLU").all(|row| row.saturated.mean == 0.0));
    assert!(report.starts.iter().all(|row| (0.0..=1.0).contains(&row.alike.mean)), "{report:?}");
}

#[test]
fn long_sums() {
    let report = quick::<LongSums>();
    let [single, _, double, compensated] = &report.ways[..] else { panic!("four ways") };
    assert_eq!((report.terms, report.counts[report.counts.len() - 1]), (300 * 784, 300 * 784));
    assert!(
        compensated.last.mean <= double.last.mean && double.last.mean < 1e-6 * single.last.mean,
        "{report:?}"
    );
}

#[test]
fn masks_and_mixtures() {
    let report = quick::<MasksAndMixtures>();
    assert_eq!(report.methods.len(), 9);
    assert!(report.methods[0].gain.mean == 0.0 && report.methods[0].gain.sd == 0.0);
    let [mean, drawn] = [7, 8].map(|i| report.methods[i].error.mean);
    assert!((report.drawn_over_mean.mean - (mean - drawn)).abs() < 1e-9);
}

#[test]
fn dropped_maps() {
    let report = quick::<DroppedMaps>();
    assert_eq!((report.networks.len(), report.pictures.len()), (3, 3));
    assert!(report.networks[0].gain.mean == 0.0 && report.networks[0].gain.sd == 0.0);
    let [as_is, single, whole] = &report.pictures[..] else { panic!("three rows") };
    for (kept, map) in [single, whole].into_iter().flat_map(|row| row.iter().zip(as_is)) {
        assert!(*kept == 0.0 || (kept - 2.0 * map).abs() <= 2e-3, "{kept} of {map}");
    }
    let places = 12 * 12;
    for (map, kept) in whole.chunks(places).zip(as_is.chunks(places)) {
        let is_dropped = map.iter().all(|a| *a == 0.0);
        assert!(is_dropped || map.iter().zip(kept).all(|(a, b)| *a > 0.0 || *b < 2e-3), "a map in part");
    }
}

#[test]
fn bagging() {
    let report = quick::<Bagging>();
    assert!(!report.is_full && (report.seen.mean - (1.0 - (-1.0_f64).exp())).abs() < 0.1, "{report:?}");
    for kind in &report.kinds {
        // One model has the squared error v; for all models the formula is an identity.
        let (first, last) = (kind.formula[0], report.members - 1);
        assert!((first - kind.variance.mean).abs() < 1e-12, "{kind:?}");
        assert!((kind.formula[last] - kind.squared[last].mean).abs() < 1e-9, "{kind:?}");
        assert!(kind.covariance.mean < kind.variance.mean, "{kind:?}");
    }
}

#[test]
fn sparse_codes() {
    let report = quick::<SparseCodes>();
    let zeros: Vec<f64> = report.codes.iter().map(|code| code.zeros.mean).collect();
    assert!(zeros[..4].iter().all(|&zeros| zeros == 0.0), "{zeros:?}");
    assert!(zeros[4..].windows(2).all(|pair| pair[0] < pair[1]), "a larger factor, more zeros: {zeros:?}");
    let on = |index: usize| report.codes[index].active.mean;
    assert!(on(0) > on(1) && on(1) > on(2) && on(2) > on(3), "{report:?}");
}

#[test]
fn few_labels() {
    let report = quick::<FewLabels>();
    assert_eq!((report.labelled, report.ways.len(), &report.epochs[..]), (100, 5, &[4, 6][..]));
    assert!(report.ways.iter().all(|way| way.accuracy.mean > 50.0), "{report:?}"); // a tenth would be chance
    assert_eq!(report.ways[1].gain.mean, 0.0);
}

#[test]
fn shared_weights() {
    let report = quick::<SharedWeights>();
    let apart: Vec<f64> = report.tied.iter().map(|way| way.apart.mean).collect();
    assert!(apart.windows(2).all(|pair| pair[0] > pair[1]) && apart[4] == 0.0, "{apart:?}");
}

#[test]
fn dense_and_fixup() {
    let report = quick::<DenseAndFixup>();
    assert_eq!(report.starts.len(), 3);
    assert!(report.size_gap < 0.02, "{} and {}", report.dense.parameters, report.plain.parameters);
    // From He's start the signal doubles in each block: the first loss of 64 blocks is beyond any other.
    let [fixed, he] = [0, 1].map(|i| report.starts[i].start_loss[2].mean);
    assert!(he > 1e6 * fixed, "{fixed}, {he}");
}

#[test]
fn rule_league() {
    let report = quick::<RuleLeague>();
    assert_eq!(report.rules.len(), 13);
    let memory = |name: &str| report.rules.iter().find(|rule| rule.name == name).unwrap().memory;
    // 49 · 32 + 32 · 10 weights; Adafactor keeps sums of rows and columns.
    assert_eq!((report.weights, memory("momentum"), memory("Adam")), (1888, 1.0, 2.0));
    assert_eq!((memory("Adafactor") * 1888.0).round(), 49.0 + 32.0 + 32.0 + 10.0);
}

#[test]
fn heavy_damping() {
    let report = quick::<HeavyDamping>();
    let runs = report.kinds.iter().flat_map(|kind| &kind.runs);
    assert_eq!(runs.map(|run| run.curve.len()).collect::<Vec<_>>(), [20; 9]);
    // With little damping all three are one heavy ball, and arrive: 3e-4, 2e-3 and 1e-4.
    let ends = report.kinds.iter().flat_map(|kind| &kind.runs[0].excess);
    assert!(ends.fold(0.0, |most: f64, &excess| most.max(excess)) < 1e-2);
}

#[test]
fn warm_restarts() {
    assert_eq!(quick::<WarmRestarts>().ends, [1, 3]);
}

#[test]
fn rare_rows() {
    let report = quick::<RareRows>();
    let share = |index: usize| report.rules[index].moved.iter().sum::<f64>() / report.seen.n as f64;
    assert!(share(1) > 5.0 * share(0), "Adam moves what it saw before, {} and {}", share(1), share(0));
}

#[test]
fn newton_relatives() {
    let report = quick::<NewtonRelatives>();
    assert!(report.squares[0].arrives == 1.0 && report.squares[2].name == "Newton");
    assert_eq!(report.saddles[0].curves[0].len(), 11);
}

#[test]
fn sharpness_aware() {
    let report = quick::<SharpnessAware>();
    assert!(report.runs.iter().flat_map(|run| &run.curvature).all(|&value| value > 0.0));
}

#[test]
fn few_bits() {
    let report = quick::<FewBits>();
    assert!(report.lost[0].mean > 10.0 * report.lost[5].mean && report.lost_scaled[5].mean == 0.0);
}

#[test]
fn permuted_copies() {
    let report = quick::<PermutedCopies>();
    // The last network on a line is its end, which computes the function of the first.
    let ends = report.to_copy.iter().map(|losses| (losses[0] - losses[losses.len() - 1]).abs());
    assert!(ends.fold(0.0, f64::max) <= report.difference + 1e-6);
}

#[test]
fn blurred_cost() {
    assert_eq!(quick::<BlurredCost>().waves.len(), 4);
}

#[test]
fn one_matrix() {
    let report = quick::<OneMatrix>();
    assert!((report.slope.mean - 1.0).abs() < 0.05, "growth against ln ρ: {}", report.slope);
}

#[test]
fn price_of_a_bound() {
    let report = quick::<PriceOfABound>();
    assert!(report.multipliers.windows(2).all(|pair| pair[0].mean > pair[1].mean || pair[0].mean == 0.0));
}

#[test]
fn hessian_bulk() {
    let report = quick::<HessianBulk>();
    let weights: Vec<usize> = report.spectra.iter().map(|spectrum| spectrum.weights).collect();
    assert_eq!(weights, [1363, 1405, 1510]); // 65 · 20 + 21 · classes
}

#[test]
fn values_or_graph() {
    let report = quick::<ValuesOrGraph>();
    assert!(report.graph.iter().zip(&report.forward).all(|(graph, forward)| graph > forward));
}

#[test]
fn counted_labellings() {
    let report = quick::<CountedLabellings>();
    assert_eq!(report.shattered, [2, 3, 4]);
}

#[test]
fn least_variance() {
    let report = quick::<LeastVariance>();
    let biased = |index: usize| report.estimators[index].bias.mean.abs() > 0.1;
    assert_eq!([0, 1, 2, 3, 4, 5].map(biased), [false, false, false, true, false, false]);
}

#[test]
fn classical_learners() {
    let report = quick::<ClassicalLearners>();
    assert!(report.learners.iter().all(|learner| learner.errors.len() == 2 && learner.settings.len() == 2));
}

#[test]
fn variance_reduction() {
    let report = quick::<VarianceReduction>();
    let last = |index: usize| report.methods[index].passes.last().copied();
    assert_eq!([last(0), last(1), last(4)], [Some(30.0); 3]);
}
