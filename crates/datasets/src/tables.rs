//! Four small classical tables.
//!
//! | set | rows | features | target | beat this |
//! |---|---|---|---|---|
//! | [`iris`] | 150 | 4 lengths of flowers, cm | 3 species | 5 neighbours 0.933 |
//! | [`wine`] | 178 | 13 chemical measurements | 3 growers | logistic regression 0.971 |
//! | [`breast_cancer`] | 569 | 30 of cell nuclei | malignant or benign | logistic regression 0.991 |
//! | [`diabetes`] | 442 | 10 of patients | progression after a year | ridge, RMSE 53.2 |
//!
//! **Trap**: the columns have very different units; [`Standardiser`](crate::features::Standardiser) before anything
//! that measures distances. Accuracies are on 30, 35 and 113 test rows: one row is 3.3, 2.9 and 0.9 percent.
//!
//! **Sources**: Fisher (1936); Aeberhard & Forina (1991); Wolberg, Mangasarian, Street & Street (1995), all UCI; Efron,
//! Hastie, Johnstone & Tibshirani (2004), Least angle regression, Annals of Statistics 32; as in scikit-learn.
//!
//! # Examples
//! ```
//! use datasets::features::Standardiser;
//! use datasets::wine;
//! let split = wine().split();
//! let scale = Standardiser::fit(split.train.features())?;
//! let x = scale.transform(split.test.features())?;
//! assert_eq!((x.len(), x.num_columns()), (35, 13));
//! assert_eq!(wine().columns()[0], "alcohol");
//! # Ok::<(), datasets::DataError>(())
//! ```
use std::sync::OnceLock;

use crate::error::DataError;
use crate::features::Features;
use crate::registry::{self, Description, NamedSplit, Set};
use crate::split::{Role, Split, Subset};
use crate::table;
use crate::tsv;

macro_rules! set {
    ($constant:ident, $name:literal, $title:literal, $train:literal, $test:literal, $citation:literal) => {
        pub(crate) const $constant: Set = Set {
            name: $name,
            title: $title,
            splits: &[NamedSplit {
                name: concat!($name, "().split()"),
                train: $train,
                validation: 0,
                test: $test,
                note: "drawn once",
            }],
            citation: $citation,
        };
    };
}
set!(
    IRIS,
    "iris",
    "150 iris flowers, 4 lengths in cm, 3 species",
    120,
    30,
    "R. A. Fisher (1936), The use of multiple measurements in taxonomic problems, Annals of Eugenics 7, 179-188"
);
set!(
    WINE,
    "wine",
    "178 wines, 13 chemical measurements, 3 growers",
    143,
    35,
    "S. Aeberhard, M. Forina (1991), Wine, UCI Machine Learning Repository, doi 10.24432/C5PC7J"
);
set!(
    BREAST_CANCER,
    "breast_cancer",
    "569 tumours, 30 measurements of cell nuclei, malignant or benign",
    456,
    113,
    "W. Wolberg, O. Mangasarian, N. Street, W. Street (1995), Breast Cancer Wisconsin (Diagnostic), UCI Machine \
     Learning Repository, doi 10.24432/C5DW2B"
);
set!(
    DIABETES,
    "diabetes",
    "442 patients, 10 measurements in their own units, progression of diabetes after a year",
    354,
    88,
    "B. Efron, T. Hastie, I. Johnstone, R. Tibshirani (2004), Least angle regression, Annals of Statistics 32, 407-499"
);

/// Rows of features, each with a target: `Y` is `usize` for a class, `f64` for a number. See the [module](self).
#[derive(Clone, Debug, PartialEq)]
pub struct Tabular<Y> {
    name: &'static str,
    columns: Vec<String>,
    class_names: &'static [&'static str],
    features: Features,
    targets: Vec<Y>,
    roles: Vec<Role>,
}

impl<Y: Copy> Tabular<Y> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.features.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// Names of the features, in the order of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The features in their own units, `(n, F)`.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The target of each row.
    pub fn targets(&self) -> &[Y] {
        &self.targets
    }

    /// Names of the classes, in the order of the targets; empty for numbers.
    pub fn class_names(&self) -> &'static [&'static str] {
        self.class_names
    }

    /// The rows with the numbers `chosen`, in that order.
    pub fn select(&self, chosen: impl IntoIterator<Item = usize>) -> Self {
        let chosen: Vec<usize> = chosen.into_iter().collect();
        Tabular {
            features: self.features.subset(&chosen),
            targets: self.targets.subset(&chosen),
            roles: self.roles.subset(&chosen),
            ..self.clone()
        }
    }

    /// Four fifths of the rows for training, one fifth for testing.
    pub fn split(&self) -> Split<Self> {
        Split::by_role(self, &self.roles)
    }

    /// Name, sizes, split, source, licence and citation.
    pub fn describe(&self) -> &'static Description {
        registry::describe_embedded(self.name)
    }
}

impl<Y: Copy> Subset for Tabular<Y> {
    fn num_rows(&self) -> usize {
        self.len()
    }

    fn subset(&self, chosen: &[usize]) -> Self {
        self.select(chosen.iter().copied())
    }
}

fn load<Y>(
    set: Set,
    columns: &[&str],
    class_names: &'static [&'static str],
    targets: impl Fn(&tsv::Table) -> Result<Vec<Y>, DataError>,
) -> Result<Tabular<Y>, DataError> {
    let header = [&["split"], columns, &["target"]].concat();
    let table = registry::embedded_table(&format!("{}.tsv", set.name), &header)?;
    let by_column: Vec<Vec<f64>> =
        columns.iter().map(|column| table.numbers(column)).collect::<Result<_, _>>()?;
    let values = (0..table.len()).flat_map(|i| by_column.iter().map(move |column| column[i])).collect();
    Ok(Tabular {
        name: set.name,
        columns: columns.iter().map(|&column| column.to_owned()).collect(),
        class_names,
        features: Features::try_new(columns.len(), values)?,
        targets: targets(&table)?,
        roles: table::roles(&table)?,
    })
}

fn classes(set: Set, columns: &[&str], names: &'static [&'static str]) -> Tabular<usize> {
    load(set, columns, names, |table| table::classes(table, "target", names)).expect(registry::PARSED)
}

/// Flowers of three species of iris. See the [module](self).
pub fn iris() -> Tabular<usize> {
    const COLUMNS: [&str; 4] =
        ["sepal_length_(cm)", "sepal_width_(cm)", "petal_length_(cm)", "petal_width_(cm)"];
    static ROWS: OnceLock<Tabular<usize>> = OnceLock::new();
    ROWS.get_or_init(|| classes(IRIS, &COLUMNS, &["setosa", "versicolor", "virginica"])).clone()
}

/// Wines of three growers of one region. See the [module](self).
pub fn wine() -> Tabular<usize> {
    const COLUMNS: [&str; 13] = [
        "alcohol",
        "malic_acid",
        "ash",
        "alcalinity_of_ash",
        "magnesium",
        "total_phenols",
        "flavanoids",
        "nonflavanoid_phenols",
        "proanthocyanins",
        "color_intensity",
        "hue",
        "od280/od315_of_diluted_wines",
        "proline",
    ];
    static ROWS: OnceLock<Tabular<usize>> = OnceLock::new();
    ROWS.get_or_init(|| classes(WINE, &COLUMNS, &["class_0", "class_1", "class_2"])).clone()
}

/// Tumours, each described by its cell nuclei: mean, standard error and mean of the three worst of ten measurements.
/// See the [module](self).
pub fn breast_cancer() -> Tabular<usize> {
    const MEASURES: [&str; 10] = [
        "radius",
        "texture",
        "perimeter",
        "area",
        "smoothness",
        "compactness",
        "concavity",
        "concave_points",
        "symmetry",
        "fractal_dimension",
    ];
    static ROWS: OnceLock<Tabular<usize>> = OnceLock::new();
    let load = || {
        let named = |form: fn(&str) -> String| MEASURES.map(form);
        let columns = [
            named(|name| format!("mean_{name}")),
            named(|name| format!("{name}_error")),
            named(|name| format!("worst_{name}")),
        ];
        let columns: Vec<&str> = columns.as_flattened().iter().map(String::as_str).collect();
        classes(BREAST_CANCER, &columns, &["benign", "malignant"])
    };
    ROWS.get_or_init(load).clone()
}

/// Patients and how far their diabetes had progressed a year later. See the [module](self).
pub fn diabetes() -> Tabular<f64> {
    const COLUMNS: [&str; 10] = ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"];
    static ROWS: OnceLock<Tabular<f64>> = OnceLock::new();
    let load = || load(DIABETES, &COLUMNS, &[], |table| table.numbers("target")).expect(registry::PARSED);
    ROWS.get_or_init(load).clone()
}
