//! The embedded data at a glance: cheap opponents against the numbers that other programs gave, and a picture of each
//! set.
//!
//! Every chapter names an opponent that its model must beat. This experiment computes the cheap ones with our own code,
//! in the splits that the loaders give, and compares them with what scikit-learn and scripts in Python gave for the same
//! files: a wrong byte order, a wrong level, a shifted split or a leak shows as a number that differs.
use datasets::baseline::{
    Baseline, InterpolatedCounts, LogisticRegression, Majority, NearestNeighbours, NearestRows, Ridge,
};
use datasets::molecules::{Element, Molecule};
use datasets::{
    Cells, DataError, Features, Images, NodeGraph, Nuclei, Split, Standardiser, Subset, Tabular, analogies,
    breast_cancer, debian, diabetes, digits, ecg, emoji, fashion, freesolv, hsmm, iris, karate, lynx_hare,
    mnist, music, mutag, nino, nuclei, pbmc, prose, solubility, verses, wine, word_vectors,
};
use datasets::{cmudict, split::stratified_folds};
use lab::{
    About, Axis, Body, Bound, BoundSource, Check, Experiment, ExperimentConfig, Figure, Lab, Line, Measured,
    Plot, Ramp, Raster, Table, Tile,
};
use serde::{Deserialize, Serialize};

mod drawing;
use drawing::{along_edges, stress_layout};

/// Opponents and pictures of every embedded set.
#[derive(Debug)]
pub struct DatasetsOverview;

/// What may vary in [`DatasetsOverview`].
#[derive(Clone, Debug, Default, Serialize, Deserialize, clap::Args)]
#[non_exhaustive]
pub struct OverviewConfig {
    /// Leave out the opponents that take more than a second each
    #[arg(long)]
    pub fast_only: bool,
}

impl ExperimentConfig for OverviewConfig {
    fn quick() -> Self {
        Self { fast_only: true }
    }

    fn check(self) -> Result<Self, lab::Error> {
        Ok(self)
    }
}

/// One opponent on one set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Opponent {
    /// The set.
    pub set: String,
    /// The method, and the split where a set has several.
    pub method: String,
    /// What is measured.
    pub measure: String,
    /// Our number.
    pub ours: f64,
    /// The recorded number, rounded as it was recorded.
    pub recorded: f64,
    /// Decimals of the recorded number.
    pub decimals: usize,
    /// How ours is compared.
    pub kind: Kind,
}

/// How an opponent is compared with its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// Whole numbers and closed forms: equal when rounded.
    Exact,
    /// A fit that stops near a minimum, or folds that are drawn otherwise.
    Fitted,
}

/// What [`DatasetsOverview`] measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OverviewReport {
    /// Every opponent.
    pub opponents: Vec<Opponent>,
    /// The same as text.
    pub table: Table,
    /// Every set with what is in it and its terms.
    pub sets: Table,
    /// The first test verses.
    pub verses: Table,
    /// The first test words with their phonemes.
    pub cmudict: Table,
    /// Some molecules.
    pub molecules: Table,
    /// Embedded files.
    pub files: usize,
    /// Their size.
    pub megabytes: f64,
}

impl Experiment for DatasetsOverview {
    type Config = OverviewConfig;
    type Report = OverviewReport;
    const ABOUT: About = About {
        name: "datasets-overview",
        lecture: 1,
        paper: "Pedregosa et al. (2011), Scikit-learn: machine learning in Python",
        claim: "Our loaders, splits and cheap opponents give the numbers that independent programs give for the same files",
        sources: &[
            include_str!("overview.rs"),
            include_str!("overview/drawing.rs"),
            include_str!("../../datasets/data/data.tsv"),
            include_str!("../../datasets/src/baseline/mod.rs"),
            include_str!("../../datasets/src/baseline/linear.rs"),
            include_str!("../../datasets/src/baseline/counts.rs"),
        ],
    };

    fn run(config: &Self::Config, lab: &mut Lab) -> Result<Self::Report, lab::Error> {
        let mut opponents = Vec::new();
        type Part = fn(bool, &mut Vec<Opponent>) -> Result<(), DataError>;
        let parts: [Part; 8] = [images, pairs_and_picture, cells, tables, molecules, words, graph, series];
        for (done, part) in parts.iter().enumerate() {
            lab.progress("groups of sets", done as u64, parts.len() as u64, None)?;
            part(config.fast_only, &mut opponents).map_err(lab::Error::unit)?;
        }
        lab.progress("groups of sets", parts.len() as u64, parts.len() as u64, None)?;
        let bytes: usize = datasets::registry().iter().map(|file| file.size).sum();
        Ok(OverviewReport {
            table: opponents_table(&opponents),
            opponents,
            sets: sets_table(),
            verses: verses_table(),
            cmudict: cmudict_table(),
            molecules: molecules_table(),
            files: datasets::registry().len(),
            megabytes: bytes as f64 / 1e6,
        })
    }

    fn checks(report: &Self::Report) -> Vec<Check> {
        let distances = |kind| {
            let of = report.opponents.iter().filter(move |opponent| opponent.kind == kind);
            of.map(|one| (one.ours - one.recorded).abs() * 10f64.powi(one.decimals as i32))
                .collect::<Vec<_>>()
        };
        let largest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let fitted = report.opponents.iter().filter(|one| one.kind == Kind::Fitted);
        let shares: Vec<f64> = fitted.map(|one| (one.ours - one.recorded).abs()).collect();
        vec![
            // Half a unit is what rounding hides; one hundredth of a unit more for f32 against f64.
            Check::new(
                "exact",
                "largest difference of an opponent without a fit from its record, in units of the last digit recorded",
                Measured::exact(largest(&distances(Kind::Exact))),
                Bound::AtMost(0.51),
                BoundSource::Paper,
            )
            .reason_if_failed("a loader, a split or an opponent differs from what was recorded"),
            Check::new(
                "fitted",
                "largest difference of a fitted opponent's accuracy from its record",
                Measured::exact(largest(&shares)),
                Bound::AtMost(0.015),
                BoundSource::Paper,
            )
            .reason_if_failed("a fit stops far from its minimum, or folds differ more than their spread"),
        ]
    }

    fn figures(_report: &Self::Report) -> Vec<Figure> {
        // Pictures show the embedded bytes themselves; their checksums are among the sources.
        vec![
            grey_figure(
                "digits",
                &digits(),
                "Handwritten digits, 8 by 8 pixels in 17 levels. The first sixteen in the order of the file.",
            ),
            grey_figure(
                "fashion",
                &fashion().train,
                "Articles of clothing, 28 by 28 pixels. The first sixteen for training.",
            ),
            grey_figure("mnist", &mnist(), "Handwritten digits, 28 by 28 pixels. The first sixteen."),
            emoji_figure(),
            nuclei_figure(),
            pbmc_figure(),
            hsmm_figure(),
            vectors_figure(),
            music_figure(),
            molecules_figure(),
            degree_figure(),
            karate_figure(),
            iris_figure(),
            series_figure(),
        ]
    }
}

/// Adds a row: set, method, measure, our number, the record and its decimals.
fn exact(out: &mut Vec<Opponent>, names: [&str; 3], ours: f64, recorded: f64, decimals: usize) {
    let [set, method, measure] = names.map(str::to_owned);
    out.push(Opponent { set, method, measure, ours, recorded, decimals, kind: Kind::Exact });
}

/// As [`exact`] for the accuracy of a fit.
fn fitted(out: &mut Vec<Opponent>, set: &str, method: &str, ours: f64, recorded: f64) {
    let [set, method] = [set, method].map(str::to_owned);
    let measure = "accuracy".to_owned();
    out.push(Opponent { set, method, measure, ours, recorded, decimals: 3, kind: Kind::Fitted });
}

const ACCURACY: &str = "accuracy";

fn neighbours<const C: usize, const H: usize, const W: usize>(
    split: &Split<Images<C, H, W>>,
) -> Result<f64, DataError> {
    Ok(NearestNeighbours::fit(&split.train, 5)?.accuracy(&split.test))
}

fn logistic(
    train: (&Features, &[usize]),
    test: (&Features, &[usize]),
    classes: usize,
) -> Result<f64, DataError> {
    let c = if train.0.num_columns() > 100 { 0.01 } else { 1.0 };
    LogisticRegression::fit(train.0, train.1, classes, c)?.accuracy(test.0, test.1)
}

fn logistic_on_images<const C: usize, const H: usize, const W: usize>(
    split: &Split<Images<C, H, W>>,
) -> Result<f64, DataError> {
    let Split { train, test, .. } = split;
    let classes = train.class_names().len();
    logistic((&train.features(), &train.labels()), (&test.features(), &test.labels()), classes)
}

fn images(fast_only: bool, out: &mut Vec<Opponent>) -> Result<(), DataError> {
    let split = digits().by_writer();
    let majority = Majority::fit(&split.train)?.accuracy(&split.test);
    exact(out, ["digits", "largest class", ACCURACY], majority, 0.100, 3);
    exact(out, ["digits", "5 neighbours", ACCURACY], neighbours(&split)?, 0.964, 3);
    fitted(out, "digits", "logistic regression", logistic_on_images(&split)?, 0.897);
    exact(out, ["fashion", "5 neighbours", ACCURACY], neighbours(&fashion())?, 0.7875, 4);
    if !fast_only {
        fitted(out, "fashion", "logistic regression", logistic_on_images(&fashion())?, 0.810);
    }
    let split = mnist().front_back(1000, 400)?;
    exact(out, ["mnist, 1,000 / 400", "5 neighbours", ACCURACY], neighbours(&split)?, 0.8725, 4);
    Ok(())
}

fn pairs_and_picture(fast_only: bool, out: &mut Vec<Opponent>) -> Result<(), DataError> {
    let Split { train, test, .. } = emoji().split();
    let (a, b) = (test.a().features(), test.b().features());
    let distance = |i: usize, j: usize| {
        let square = |(x, y): (&f64, &f64)| (x - y) * (x - y);
        a.row(i).iter().zip(b.row(j)).map(square).sum::<f64>() / a.num_columns() as f64
    };
    let n = test.len();
    let copying = (0..n).map(|i| distance(i, i)).sum::<f64>() / n as f64;
    exact(out, ["emoji", "copy style A", "error against style B"], copying, 0.0671, 4);
    let found = (0..n).filter(|&i| (0..n).all(|j| distance(i, j) >= distance(i, i))).count();
    exact(out, ["emoji", "nearest picture of style B", "partner found"], found as f64 / n as f64, 0.391, 3);
    let split = Split { train: train.a().clone(), validation: train.a().select([]), test: test.a().clone() };
    exact(out, ["emoji, style A", "5 neighbours", ACCURACY], neighbours(&split)?, 0.375, 3);
    if !fast_only {
        let half = nuclei().halves();
        let (train, test) = (blurred(&half.train), blurred(&half.test));
        let threshold = otsu(&train);
        exact(
            out,
            ["nuclei", "Otsu's threshold after a blur", "overlap with the mask"],
            overlap(&test, threshold, &half.test),
            0.788,
            3,
        );
    }
    Ok(())
}

/// Brightness after a Gaussian blur of standard deviation 1, reflected at the border, cut off after four.
fn blurred(picture: &Nuclei) -> Vec<f64> {
    const REACH: usize = 4;
    let weights: Vec<f64> = (0..=REACH).map(|i| (-0.5 * (i * i) as f64).exp()).collect();
    let total = weights[0] + 2.0 * weights[1..].iter().sum::<f64>();
    let (height, width) = (picture.height(), picture.width());
    let max = f64::from(picture.max_level());
    let mut values: Vec<f64> = picture.pixels().iter().map(|&level| f64::from(level) / max).collect();
    // d c b a | a b c d | d c b a
    let reflected = |at: isize, n: usize| {
        let at = if at < 0 { -at - 1 } else { at } as usize;
        if at < n { at } else { 2 * n - 1 - at }
    };
    for is_vertical in [true, false] {
        let at = |row: usize, column: usize, offset: isize| match is_vertical {
            true => reflected(row as isize + offset, height) * width + column,
            false => row * width + reflected(column as isize + offset, width),
        };
        let blur = |i: usize| {
            let (row, column) = (i / width, i % width);
            let term = |offset: isize| weights[offset.unsigned_abs()] * values[at(row, column, offset)];
            (-(REACH as isize)..=REACH as isize).map(term).sum::<f64>() / total
        };
        values = (0..values.len()).map(blur).collect();
    }
    values
}

/// The threshold that parts a histogram of 256 bins best (Otsu 1979): the largest variance between both sides.
fn otsu(values: &[f64]) -> f64 {
    const BINS: usize = 256;
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let width = (high - low) / BINS as f64;
    let mut counts = [0.0; BINS];
    values.iter().for_each(|x| counts[(((x - low) / width) as usize).min(BINS - 1)] += 1.0);
    let centre = |bin: usize| low + (bin as f64 + 0.5) * width;
    let n: f64 = counts.iter().sum();
    let mean = (0..BINS).map(|bin| counts[bin] * centre(bin)).sum::<f64>() / n;
    let (mut below, mut sum, mut best) = (0.0, 0.0, (f64::NEG_INFINITY, low));
    for (bin, count) in counts.iter().enumerate().take(BINS - 1) {
        below += count;
        sum += count * centre(bin);
        let between = (mean * below - sum).powi(2) / (below * (n - below) + 1e-9);
        if between > best.0 {
            best = (between, centre(bin));
        }
    }
    best.1
}

/// Intersection over union of the pixels above a threshold and those of nuclei.
fn overlap(values: &[f64], threshold: f64, truth: &Nuclei) -> f64 {
    let (mut both, mut any) = (0, 0);
    for (x, &id) in values.iter().zip(truth.mask()) {
        both += usize::from(*x > threshold && id > 0);
        any += usize::from(*x > threshold || id > 0);
    }
    both as f64 / any as f64
}

fn cells(fast_only: bool, out: &mut Vec<Opponent>) -> Result<(), DataError> {
    let blood = pbmc().split().map(|part: Cells| (part.log_normalised(500.0), part.labels()));
    let muscle = hsmm().split().map(|part| (part.features(), part.labels()));
    for (name, split, classes, knn, linear) in
        [("pbmc", &blood, 10, 0.829, 0.864), ("hsmm", &muscle, 4, 0.630, 0.722)]
    {
        let ((a, b), (c, d)) = (&split.train, &split.test);
        let right = NearestRows::fit(a, b, classes, 5)?.num_correct(c, d)? as f64 / d.len() as f64;
        exact(out, [name, "5 neighbours", ACCURACY], right, knn, 3);
        if !fast_only {
            fitted(out, name, "logistic regression", logistic((a, b), (c, d), classes)?, linear);
        }
    }
    Ok(())
}

fn tables(_fast_only: bool, out: &mut Vec<Opponent>) -> Result<(), DataError> {
    let all: [(&str, Tabular<usize>, f64, f64); 3] = [
        ("iris", iris(), 0.933, 0.900),
        ("wine", wine(), 0.657, 0.971),
        ("breast_cancer", breast_cancer(), 0.929, 0.991),
    ];
    for (name, table, knn, linear) in all {
        let Split { train, test, .. } = table.split();
        let classes = table.class_names().len();
        let model = NearestRows::fit(train.features(), train.targets(), classes, 5)?;
        let right = model.num_correct(test.features(), test.targets())? as f64 / test.len() as f64;
        exact(out, [name, "5 neighbours, raw columns", ACCURACY], right, knn, 3);
        let parts = ((train.features(), train.targets()), (test.features(), test.targets()));
        fitted(out, name, "logistic regression", logistic(parts.0, parts.1, classes)?, linear);
    }
    let Split { train, test, .. } = diabetes().split();
    let scale = Standardiser::fit(train.features())?;
    let model = Ridge::fit_best(&scale.transform(train.features())?, train.targets(), &powers(-3.0, 3.0))?;
    let rmse = model.rmse(&scale.transform(test.features())?, test.targets())?;
    exact(out, ["diabetes", "ridge regression", "RMSE"], rmse, 53.2, 1);
    Ok(())
}

/// Thirteen penalties from 10^`low` to 10^`high`, equal ratios.
fn powers(low: f64, high: f64) -> Vec<f64> {
    (0..13).map(|i| 10f64.powf(low + (high - low) * f64::from(i) / 12.0)).collect()
}

/// How many atoms there are, of each element, of hydrogens, in aromatic systems and in rings.
fn atom_counts(molecules: &[&Molecule]) -> Features {
    let elements = ["C", "N", "O", "F", "S", "P", "Cl", "Br", "I"];
    let row = |molecule: &&Molecule| {
        let atoms = molecule.atoms();
        let states = || atoms.iter().filter_map(|atom| atom.state);
        let mut row = vec![atoms.len() as f64];
        row.extend(
            elements.map(|symbol| atoms.iter().filter(|a| a.element.symbol() == symbol).count() as f64),
        );
        row.push(states().map(|state| f64::from(state.hydrogens)).sum());
        row.push(states().filter(|state| state.is_aromatic).count() as f64);
        row.push(states().filter(|state| state.in_ring).count() as f64);
        row
    };
    let values = molecules.iter().flat_map(row).collect();
    Features::try_new(4 + elements.len(), values).expect("whole rows")
}

fn ridge_on_counts(train: (&[&Molecule], &[f64]), test: (&[&Molecule], &[f64])) -> Result<f64, DataError> {
    let (a, c) = (atom_counts(train.0), atom_counts(test.0));
    let scale = Standardiser::fit(&a)?;
    Ridge::fit_best(&scale.transform(&a)?, train.1, &powers(-2.0, 4.0))?.rmse(&scale.transform(&c)?, test.1)
}

fn molecules(_fast_only: bool, out: &mut Vec<Opponent>) -> Result<(), DataError> {
    let parts = freesolv().as_ref().map(|part| {
        let molecules: Vec<&Molecule> = part.iter().map(|row| &row.molecule).collect();
        (molecules, part.iter().map(|row| row.expt).collect::<Vec<f64>>())
    });
    let rmse = ridge_on_counts((&parts.train.0, &parts.train.1), (&parts.test.0, &parts.test.1))?;
    exact(out, ["freesolv", "ridge on counts of atoms", "RMSE"], rmse, 2.33, 2);
    let test = &freesolv().test;
    let square = test.iter().map(|row| (row.calc - row.expt).powi(2)).sum::<f64>() / test.len() as f64;
    exact(out, ["freesolv", "molecular dynamics", "RMSE"], square.sqrt(), 1.227, 3);
    let parts = solubility().as_ref().map(|part| {
        let molecules: Vec<&Molecule> = part.iter().map(|row| &row.molecule).collect();
        (molecules, part.iter().map(|row| row.log_s).collect::<Vec<f64>>())
    });
    let rmse = ridge_on_counts((&parts.train.0, &parts.train.1), (&parts.test.0, &parts.test.1))?;
    exact(out, ["solubility", "ridge on counts of atoms", "RMSE"], rmse, 0.979, 3);

    let elements = [Element::C, Element::N, Element::O, Element::F, Element::I, Element::Cl, Element::Br];
    let row = |molecule: &Molecule| {
        let (atoms, bonds) = (molecule.atoms(), molecule.bonds());
        let mut row: Vec<f64> = elements
            .map(|element| atoms.iter().filter(|atom| atom.element == element).count() as f64)
            .to_vec();
        row.extend([atoms.len() as f64, bonds.len() as f64]);
        row.extend(
            [1.5, 1.0, 2.0, 3.0].map(|order| bonds.iter().filter(|b| b.kind.order() == order).count() as f64),
        );
        row
    };
    let x = Features::try_new(13, mutag().iter().flat_map(|one| row(&one.molecule)).collect())?;
    let y: Vec<usize> = mutag().iter().map(|one| usize::from(one.is_mutagenic)).collect();
    let mut accuracies = Vec::new();
    for seed in 0..3 {
        for fold in stratified_folds(&y, 10, seed)? {
            let rest: Vec<usize> = (0..y.len()).filter(|i| !fold.contains(i)).collect();
            let (a, b) = (x.subset(&rest), y.subset(&rest));
            accuracies.push(logistic((&a, &b), (&x.subset(&fold), &y.subset(&fold)), 2)?);
        }
    }
    let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
    fitted(out, "mutag, 3 × 10 folds", "logistic regression on counts", mean, 0.855);
    Ok(())
}

fn words(fast_only: bool, out: &mut Vec<Opponent>) -> Result<(), DataError> {
    let text = prose().text().as_bytes();
    let (before, test) = text.split_at(text.len() - 32_000);
    for (order, bits, decimals) in [(0, 4.45, 2), (4, 2.040, 3)] {
        if order > 0 && fast_only {
            continue;
        }
        let mut counts = InterpolatedCounts::new(order, 4.0, prose().alphabet().len());
        counts.learn(before, 0);
        let method = format!("counts of order {order}");
        exact(out, ["prose", &method, "bits per character"], counts.bits_per_token(test), bits, decimals);
    }
    let tokens = |order: usize, tune: &datasets::Tune| {
        let body = tune.tokens.iter().map(ToString::to_string);
        let start = std::iter::repeat_n("^".to_owned(), order);
        start.chain(body).chain(["$".to_owned()]).collect::<Vec<String>>()
    };
    let split = music();
    let all = split.train.iter().chain(&split.test).flat_map(|tune| tune.tokens.clone());
    let kinds = all.collect::<std::collections::HashSet<_>>().len() + 1;
    const ORDER: usize = 2;
    let mut counts = InterpolatedCounts::new(ORDER, 5.0, kinds);
    split.train.iter().for_each(|tune| counts.learn(&tokens(ORDER, tune), ORDER));
    let (mut bits, mut n) = (0.0, 0);
    for tune in &split.test {
        let tokens = tokens(ORDER, tune);
        bits += counts.bits_per_token(&tokens) * (tokens.len() - ORDER) as f64;
        n += tokens.len() - ORDER;
    }
    exact(out, ["music", "counts of order 2", "bits per token"], bits / f64::from(n as u32), 4.363, 3);
    let (right, asked) = word_vectors().score(analogies());
    exact(out, ["word vectors", "b − a + c", "analogies answered"], right as f64 / asked as f64, 0.737, 3);
    Ok(())
}

fn graph(_fast_only: bool, out: &mut Vec<Opponent>) -> Result<(), DataError> {
    let graph = debian();
    let split = graph.split();
    let mut counts = vec![0usize; graph.class_names().len()];
    split.test.iter().for_each(|&i| counts[graph.label(i)] += 1);
    let largest = counts.iter().max().copied().unwrap_or(0) as f64 / split.test.len() as f64;
    exact(out, ["debian", "largest class of the test part", ACCURACY], largest, 0.233, 3);
    let right = label_propagation(graph, &split);
    exact(out, ["debian", "label propagation", ACCURACY], right, 0.741, 3);
    Ok(())
}

/// Zhou et al. (2004): F ← α S F + (1 − α) Y with S = D^(−1/2) A D^(−1/2), α = 0.9, 50 times; accuracy on the test part.
fn label_propagation(graph: &NodeGraph, split: &Split<Vec<usize>>) -> f64 {
    const ALPHA: f64 = 0.9;
    let classes = graph.class_names().len();
    let root = |i: usize| (graph.neighbours(i).len().max(1) as f64).sqrt();
    let mut known = vec![vec![0.0; classes]; graph.len()];
    split.train.iter().for_each(|&i| known[i][graph.label(i)] = 1.0);
    let mut belief = known.clone();
    for _ in 0..50 {
        let step = |i: usize| {
            let mut row: Vec<f64> = known[i].iter().map(|y| (1.0 - ALPHA) * y).collect();
            for &j in graph.neighbours(i) {
                let weight = ALPHA / (root(i) * root(j));
                row.iter_mut().zip(&belief[j]).for_each(|(to, from)| *to += weight * from);
            }
            row
        };
        belief = (0..graph.len()).map(step).collect();
    }
    let answer = |i: usize| (0..classes).rev().max_by(|&a, &b| belief[i][a].total_cmp(&belief[i][b]));
    let right = split.test.iter().filter(|&&i| answer(i) == Some(graph.label(i))).count();
    right as f64 / split.test.len() as f64
}

fn series(_fast_only: bool, out: &mut Vec<Opponent>) -> Result<(), DataError> {
    let split = lynx_hare().split();
    let (mut sum, mut n) = (0.0, 0);
    for name in ["hare", "lynx"] {
        let train: Vec<f64> = split.train.column(name)?.into_iter().map(f64::ln).collect();
        let mean = train.iter().sum::<f64>() / train.len() as f64;
        for x in split.test.column(name)? {
            sum += (x.ln() - mean).powi(2);
            n += 1;
        }
    }
    exact(
        out,
        ["lynx_hare", "mean of the training years", "RMS error of logarithms"],
        (sum / f64::from(n)).sqrt(),
        0.850,
        3,
    );
    let (x, anomaly) = (nino().column("nino34")?, nino().column("nino34_anomaly")?);
    let rmse = |series: &[f64], back: usize| {
        let errors = (640..series.len()).map(|i| (series[i] - series[i - back]).powi(2));
        (errors.sum::<f64>() / (series.len() - 640) as f64).sqrt()
    };
    exact(out, ["nino", "same month of last year", "RMSE, °C"], rmse(&x, 12), 1.041, 3);
    exact(out, ["nino", "anomaly of 6 months before", "RMSE, °C"], rmse(&anomaly, 6), 0.888, 3);
    Ok(())
}

fn opponents_table(opponents: &[Opponent]) -> Table {
    let mut table = Table::new(["set", "opponent", "measure", "ours", "recorded"]);
    for one in opponents {
        let shown = |x: f64| format!("{x:.*}", one.decimals);
        table.row([
            one.set.clone(),
            one.method.clone(),
            one.measure.clone(),
            shown(one.ours),
            shown(one.recorded),
        ]);
    }
    table
}

fn sets_table() -> Table {
    let mut table = Table::new(["set", "what it is", "train / validation / test", "terms"]);
    for set in datasets::registry::descriptions() {
        let split = set.splits.first().map(|split| match split.validation {
            0 => format!("{} / {}", split.train, split.test),
            validation => format!("{} / {validation} / {}", split.train, split.test),
        });
        table.row([
            format!("`{}`", set.name),
            set.title.to_owned(),
            split.unwrap_or_default(),
            terms(set.name, &set.licence()),
        ]);
    }
    table
}

/// The terms of one set, where the list gives those of its neighbours as well: `lynx_hare: facts; ecg: open`.
fn terms(name: &str, licence: &str) -> String {
    let mut own = licence.split("; ").filter_map(|part| part.strip_prefix(name)?.strip_prefix(": "));
    own.next().unwrap_or(licence).to_owned()
}

fn verses_table() -> Table {
    let mut table = Table::new(["verse", "English, 1611", "Spanish, 1909"]);
    for verse in &verses().test[..4] {
        table.row([verse.reference.as_str(), &verse.english, &verse.spanish]);
    }
    table
}

fn cmudict_table() -> Table {
    let mut table = Table::new(["word", "phonemes"]);
    for word in &cmudict().test[..6] {
        table.row([word.word.clone(), word.phonemes.join(" ")]);
    }
    table
}

fn molecules_table() -> Table {
    let mut table = Table::new(["set", "name", "SMILES", "atoms", "bonds", "value"]);
    for row in &freesolv().test[..3] {
        let (atoms, bonds) = (row.molecule.atoms().len(), row.molecule.bonds().len());
        let value = format!("{} kcal/mol", row.expt);
        table.row([
            "freesolv".into(),
            row.name.clone(),
            format!("`{}`", row.smiles),
            atoms.to_string(),
            bonds.to_string(),
            value,
        ]);
    }
    for row in &solubility().test[..3] {
        let (atoms, bonds) = (row.molecule.atoms().len(), row.molecule.bonds().len());
        let value = format!("{:.1e} mol/L", 10_f64.powf(row.log_s));
        table.row([
            "solubility".into(),
            row.name.clone(),
            format!("`{}`", row.smiles),
            atoms.to_string(),
            bonds.to_string(),
            value,
        ]);
    }
    table
}

fn grey_figure<const H: usize, const W: usize>(id: &str, images: &Images<1, H, W>, caption: &str) -> Figure {
    let tile = |i: usize| {
        let pixels: Vec<f64> = images.unit_values(i).collect();
        Tile::new(W, &pixels).caption(images.label(i).to_string())
    };
    let raster =
        Raster { tiles: (0..16).map(tile).collect(), columns: 8, ramp: Ramp::Ink { low: 0.0, high: 1.0 } };
    let alt = format!("Sixteen small grey pictures of the set {id} with the number of the class below each.");
    Figure::new(id, caption, alt, Body::Raster(raster))
}

fn emoji_figure() -> Figure {
    let test = emoji().split().test;
    let tile = |images: &Images<3, 32, 32>, i: usize, letter: &str| {
        let [red, green, blue] =
            [0, 1, 2].map(|channel| &images.pixels(i)[channel * 1024..(channel + 1) * 1024]);
        let colour = |at: usize| {
            let level = |channel: &[u8]| f64::from(channel[at]) * 17.0; // 15 levels to 255
            level(red) * 65_536.0 + level(green) * 256.0 + level(blue)
        };
        Tile::new(32, &(0..1024).map(colour).collect::<Vec<f64>>()).caption(letter)
    };
    let a = (0..8).map(|i| tile(test.a(), i, "A"));
    let b = (0..8).map(|i| tile(test.b(), i, "B"));
    let raster = Raster { tiles: a.chain(b).collect(), columns: 8, ramp: Ramp::Rgb };
    Figure::new(
        "emoji",
        "The same things in two styles, 32 by 32 pixels in colour. The first eight test pairs, style A above style B.",
        "Two rows of eight coloured emoji; each column shows the same thing drawn shaded above and flat below.",
        Body::Raster(raster),
    )
}

fn nuclei_figure() -> Figure {
    const SIDE: usize = 192;
    let tile = nuclei().halves().test.tile::<SIDE, SIDE>(0, 160).expect("inside of the picture");
    let image: Vec<f64> = tile.image.as_flattened().iter().map(|&x| f64::from(x)).collect();
    let mask: Vec<f64> =
        tile.instances.as_flattened().iter().map(|&id| f64::from(u8::from(id > 0))).collect();
    let tiles = vec![Tile::new(SIDE, &image).caption("picture"), Tile::new(SIDE, &mask).caption("nuclei")];
    let raster = Raster { tiles, columns: 2, ramp: Ramp::Ink { low: 1.0, high: 0.0 } };
    Figure::new(
        "nuclei",
        "Dim and bright nuclei touch each other. A part of the test half, and what belongs to a nucleus.",
        "Left a grey picture of bright blobs on black, right the same region in black and white, blobs filled.",
        Body::Raster(raster),
    )
}

/// The coordinates of each row along the first two principal components, by 200 power iterations each; signs are such
/// that the largest weight is positive.
fn principal_components(x: &Features) -> Vec<[f64; 2]> {
    let n = x.len() as f64;
    let means: Vec<f64> = (0..x.num_columns()).map(|j| x.column(j).sum::<f64>() / n).collect();
    let centred: Vec<Vec<f64>> =
        x.iter().map(|row| row.iter().zip(&means).map(|(x, mean)| x - mean).collect()).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut found: Vec<Vec<f64>> = Vec::new();
    for component in 0..2 {
        let mut w: Vec<f64> = (0..means.len()).map(|j| 1.0 + ((j * (component + 3)) % 7) as f64).collect();
        for _ in 0..200 {
            let mut next = vec![0.0; means.len()];
            for row in &centred {
                let score = dot(row, &w);
                next.iter_mut().zip(row).for_each(|(to, x)| *to += score * x);
            }
            for other in &found {
                let along = dot(&next, other);
                next.iter_mut().zip(other).for_each(|(to, o)| *to -= along * o);
            }
            let norm = dot(&next, &next).sqrt();
            w = next.into_iter().map(|x| x / norm).collect();
        }
        let largest = w.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
        found.push(w.iter().map(|x| x * largest.signum()).collect());
    }
    centred.iter().map(|row| [dot(row, &found[0]), dot(row, &found[1])]).collect()
}

fn scatter(mut plot: Plot, points: &[[f64; 2]], groups: &[(&str, Vec<usize>)]) -> Plot {
    for (name, rows) in groups {
        plot = plot.scatter(*name, rows.iter().map(|&i| (points[i][0], points[i][1])));
    }
    plot
}

fn components_plot() -> Plot {
    Plot::new(Axis::linear("first principal component"), Axis::linear("second principal component"))
}

fn pbmc_figure() -> Figure {
    let cells = pbmc().coarse();
    let points = principal_components(&cells.log_normalised(500.0));
    let of = |names: &[&str]| {
        let is_one = |&i: &usize| names.contains(&cells.class_names()[cells.label(i)]);
        (0..cells.len()).filter(is_one).collect::<Vec<_>>()
    };
    let groups = [
        ("monocytes", of(&["Monocyte"])),
        ("dendritic", of(&["Dendritic"])),
        ("B cells", of(&["B"])),
        ("T and cytotoxic", of(&["T", "Cytotoxic"])),
    ];
    Figure::new(
        "pbmc",
        "Blood cells of one kind lie together. The 700 cells of pbmc along the first two principal components of the \
         logarithms of their counts, 13 progenitors left out.",
        "A scatter plot with several clouds; monocytes and dendritic cells are apart from B cells and T cells.",
        scatter(components_plot(), &points, &groups),
    )
}

fn hsmm_figure() -> Figure {
    let cells = hsmm().without_contaminants();
    let points = principal_components(&cells.features());
    let at = |hours: u32| (0..cells.len()).filter(|&i| cells.hours(i) == hours).collect::<Vec<_>>();
    let groups = [("0 h", at(0)), ("24 h", at(24)), ("48 h", at(48)), ("72 h", at(72))];
    Figure::new(
        "hsmm",
        "Time is not the first direction. The 228 muscle precursors of hsmm along the first two principal components: \
         hours separate along the second.",
        "A scatter plot of four groups, 0, 24, 48 and 72 hours; they spread along the horizontal axis and change along \
         the vertical one.",
        scatter(components_plot(), &points, &groups),
    )
}

fn vectors_figure() -> Figure {
    let vectors = word_vectors();
    let pairs: Vec<(usize, usize)> = analogies()
        .iter()
        .filter(|pair| pair.kind == "capital")
        .filter_map(|pair| Some((vectors.id(&pair.a)?, vectors.id(&pair.b)?)))
        .take(8)
        .collect();
    let ids: Vec<usize> = pairs.iter().map(|pair| pair.0).chain(pairs.iter().map(|pair| pair.1)).collect();
    let values = ids.iter().flat_map(|&id| vectors.vector(id)).map(|&x| f64::from(x)).collect();
    let points = principal_components(&Features::try_new(50, values).expect("whole rows"));
    let n = pairs.len();
    let groups = [("country", (0..n).collect()), ("capital", (n..2 * n).collect())];
    let mut plot = scatter(components_plot(), &points, &groups);
    for (&id, point) in ids.iter().zip(&points) {
        plot = plot.text(vectors.word(id), (point[0], point[1] + 0.12)); // above its point
    }
    Figure::new(
        "vectors",
        "From a country to its capital it is about the same way. Vectors of eight countries and their capitals along \
         their first two principal components.",
        "Points with words: countries on one side, their capitals on the other, in about the same order.",
        plot,
    )
}

fn music_figure() -> Figure {
    let tune = &music().test[0];
    let (mut time, mut notes, mut bars) = (0.0, Vec::new(), Vec::new());
    for token in &tune.tokens {
        match *token {
            datasets::music::Token::Note { pitch, length } => {
                if let Some(pitch) = pitch {
                    notes.push((time, f64::from(pitch)));
                }
                time += f64::from(length) / 12.0;
            }
            datasets::music::Token::Bar => bars.push((time, 60.0)),
        }
        if time > 32.0 {
            break;
        }
    }
    let plot = Plot::new(Axis::linear("time (quarter notes)"), Axis::linear("pitch (MIDI number)"))
        .scatter("note", notes)
        .scatter("bar line", bars);
    Figure::new(
        "music",
        "A tune repeats itself. The first eight bars of *All the way to Galway*, the first test tune.",
        "Dots that rise and fall like steps from left to right; the first four bars come again in the next four.",
        plot,
    )
}

fn degree_figure() -> Figure {
    let graph = debian();
    let mut counts = std::collections::BTreeMap::new();
    (0..graph.len()).for_each(|i| *counts.entry(graph.neighbours(i).len()).or_insert(0usize) += 1);
    let points = counts.into_iter().map(|(degree, n)| (degree as f64, n as f64));
    let plot = Plot::new(Axis::logarithmic("dependencies of a package"), Axis::logarithmic("packages"))
        .scatter("packages", points);
    Figure::new(
        "debian",
        "Few packages have many links. How many of the 3,883 packages of Debian have how many dependencies.",
        "Points on logarithmic axes fall along a line from 1,400 packages with one link to single packages with over 100.",
        plot,
    )
}

/// A place in the plane for each node: the second and third eigenvectors of the random walk, by power iteration.
fn spectral_layout(graph: &NodeGraph) -> Vec<[f64; 2]> {
    let degree: Vec<f64> = (0..graph.len()).map(|i| graph.neighbours(i).len() as f64).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).zip(&degree).map(|((a, b), d)| a * b * d).sum::<f64>();
    let mut found = vec![vec![1.0; graph.len()]];
    for axis in 0..2 {
        let mut v: Vec<f64> = (0..graph.len()).map(|i| ((i * (2 * axis + 5)) % 11) as f64).collect();
        for _ in 0..500 {
            for other in &found {
                let along = dot(&v, other) / dot(other, other);
                v.iter_mut().zip(other).for_each(|(to, o)| *to -= along * o);
            }
            // Half of the walk stays where it is, so that no eigenvalue is negative.
            let step =
                |i: usize| 0.5 * (v[i] + graph.neighbours(i).iter().map(|&j| v[j]).sum::<f64>() / degree[i]);
            let next: Vec<f64> = (0..graph.len()).map(step).collect();
            let norm = dot(&next, &next).sqrt();
            v = next.into_iter().map(|x| x / norm).collect();
        }
        found.push(v);
    }
    (0..graph.len()).map(|i| [found[1][i], found[2][i]]).collect()
}

fn molecules_figure() -> Figure {
    let panel = |title: &str, molecule: &Molecule| {
        let atoms = molecule.atoms();
        let mut neighbours = vec![Vec::new(); atoms.len()];
        for bond in molecule.bonds() {
            neighbours[bond.a].push(bond.b);
            neighbours[bond.b].push(bond.a);
        }
        let places = stress_layout(&neighbours);
        let mut elements: Vec<Element> = atoms.iter().map(|atom| atom.element).collect();
        elements.sort_by_key(|element| element.atomic_number());
        elements.dedup();
        let of = |element| (0..atoms.len()).filter(|&i| atoms[i].element == element).collect::<Vec<_>>();
        let groups: Vec<_> = elements.into_iter().map(|element| (element.symbol(), of(element))).collect();
        let plot = Plot::new(Axis::linear("bonds"), Axis::linear("bonds")).title(title);
        scatter(plot.line(Line::new("bond", along_edges(&neighbours, &places))), &places, &groups)
    };
    let caffeine = freesolv().test.iter().find(|row| row.name == "caffeine").expect("a molecule of the set");
    let chrysene = solubility().test.iter().find(|row| row.name == "6-aminochrysene").expect("another");
    Figure::new(
        "molecules",
        "One molecule of each set, its hydrogens left out.",
        "Three graphs of atoms and bonds, rings among them, atoms marked by their elements.",
        Body::Panels {
            panels: vec![
                panel("mutag, the first", &mutag()[0].molecule),
                panel("freesolv, caffeine", &caffeine.molecule),
                panel("solubility, 6-aminochrysene", &chrysene.molecule),
            ],
            columns: 3,
        },
    )
}

fn karate_figure() -> Figure {
    let graph = karate();
    let places = spectral_layout(graph);
    let neighbours: Vec<Vec<usize>> = (0..graph.len()).map(|i| graph.neighbours(i).to_vec()).collect();
    let edges = Line::new("friendship", along_edges(&neighbours, &places));
    let of = |label: usize| (0..graph.len()).filter(|&i| graph.label(i) == label).collect::<Vec<_>>();
    let groups = [("Mr. Hi", of(0)), ("officer", of(1))];
    let plot = Plot::new(Axis::linear("second eigenvector of the walk"), Axis::linear("third eigenvector"));
    Figure::new(
        "karate",
        "A club before it broke apart. Members and friendships, placed by the second and third eigenvectors of a random \
         walk: without having seen a label, the first direction parts the two later clubs.",
        "Thirty-four points joined by lines, two groups on the left and on the right with a few links between.",
        scatter(plot.line(edges), &places, &groups),
    )
}

fn iris_figure() -> Figure {
    let table = iris();
    let points: Vec<[f64; 2]> = table.features().iter().map(|row| [row[2], row[3]]).collect();
    let of = |class: usize| (0..table.len()).filter(|&i| table.targets()[i] == class).collect::<Vec<_>>();
    let groups = [("setosa", of(0)), ("versicolor", of(1)), ("virginica", of(2))];
    let plot = Plot::new(Axis::linear("length of a petal (cm)"), Axis::linear("width of a petal (cm)"));
    Figure::new(
        "iris",
        "One species is apart, two touch. Petals of the 150 flowers of iris.",
        "A scatter plot: setosa at the lower left by itself, versicolor and virginica next to each other above.",
        scatter(plot, &points, &groups),
    )
}

fn series_figure() -> Figure {
    let line = |name: &str, series: &datasets::Series, column: &str, range: std::ops::Range<usize>| {
        let values = series.column(column).expect("a column of the set");
        Line::new(name, range.map(|i| (series.time()[i], values[i])))
    };
    let pelts = lynx_hare();
    let years = Plot::new(Axis::linear("year"), Axis::linear("pelts (thousands)"))
        .title("lynx_hare")
        .line(line("hare", pelts, "hare", 0..pelts.len()))
        .line(line("lynx", pelts, "lynx", 0..pelts.len()));
    let heart = Plot::new(Axis::linear("time (s)"), Axis::linear("lead MLII (mV)")).title("ecg").line(line(
        "heart",
        ecg(),
        "mlii",
        0..5 * 360,
    ));
    let sea = Plot::new(Axis::linear("year"), Axis::linear("anomaly (°C)")).title("nino").line(line(
        "Niño 3.4",
        nino(),
        "nino34_anomaly",
        0..nino().len(),
    ));
    Figure::new(
        "series",
        "Three ways to oscillate. Hares and the lynx that eat them, two periods; five seconds of a heart with irregular \
         beats; the sea in the Pacific warmer or colder than usual.",
        "Three panels: two waves, the lower one behind the upper; sharp beats of unequal shape; an irregular wave around \
         zero.",
        Body::Panels { panels: vec![years, heart, sea], columns: 1 },
    )
}
