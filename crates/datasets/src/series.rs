//! Measurements in the order of time.
//!
//! | set | steps | columns | train / test | beat this on the test part |
//! |---|---|---|---|---|
//! | [`lynx_hare`] | 21 years | hare and lynx, thousands of pelts | 15 / 6 | Lotka–Volterra fitted to the first part, 0.353 |
//! | [`ecg`] | 43,200 at 360 Hz | one lead, millivolt | 32,400 / 10,800 | |
//! | [`nino`] | 800 months | 5, degrees Celsius | 640 / 160 | anomaly of six months before, RMSE 0.888 |
//!
//! The first number is the root mean square of errors of logarithms over both species (a constant has 0.850). Two
//! periods of [`lynx_hare`] are all there is: a forecast beyond them is a story.
//!
//! **Sources**: pelts of the Hudson's Bay Company, in the numbers that textbooks print; MIT-BIH Arrhythmia Database,
//! record 208 from 19:35 (Moody & Mark 2001, IEEE Engineering in Medicine and Biology 20; PhysioNet), as in scipy;
//! sea-surface temperatures of the Niño regions, NOAA, as in pywavelets.
//!
//! # Examples
//! ```
//! use datasets::series::{ecg, lynx_hare, nino};
//! let split = lynx_hare().split();
//! assert_eq!(split.test.time(), [1915.0, 1916.0, 1917.0, 1918.0, 1919.0, 1920.0]);
//! assert_eq!(split.train.column("lynx")?[0], 4.0);
//! assert_eq!(ecg().split().train.len(), 90 * 360);
//! assert_eq!(nino().columns()[3], "nino34");
//! # Ok::<(), datasets::DataError>(())
//! ```
use std::path::Path;
use std::sync::OnceLock;

use crate::error::DataError;
use crate::features::Features;
use crate::idx::Values;
use crate::registry::{self, Description, NamedSplit, Set};
use crate::split::Split;

pub(crate) const LYNX_HARE: Set = Set {
    name: "lynx_hare",
    title: "pelts of hare and lynx in Canada, thousands a year, 1900 to 1920",
    splits: &[NamedSplit {
        name: "lynx_hare().split()",
        train: 15,
        validation: 0,
        test: 6,
        note: "the last years test",
    }],
    citation: "C. Elton, M. Nicholson (1942), The ten-year cycle in numbers of the lynx in Canada, Journal of Animal \
               Ecology 11, 215-244",
};

pub(crate) const ECG: Set = Set {
    name: "ecg",
    title: "two minutes of an electrocardiogram with irregular beats, 360 Hz, millivolt",
    splits: &[NamedSplit {
        name: "ecg().split()",
        train: 32_400,
        validation: 0,
        test: 10_800,
        note: "the last 30 s test",
    }],
    citation: "G. B. Moody, R. G. Mark (2001), The impact of the MIT-BIH Arrhythmia Database, IEEE Engineering in \
               Medicine and Biology 20(3), 45-50",
};

pub(crate) const NINO: Set = Set {
    name: "nino",
    title: "monthly sea-surface temperatures of the Nino regions, 800 months from 1950, degrees Celsius",
    splits: &[NamedSplit {
        name: "nino().split()",
        train: 640,
        validation: 0,
        test: 160,
        note: "the last months test",
    }],
    citation: "NOAA Climate Prediction Center, Monthly Nino regions sea-surface temperature",
};

/// Columns of measurements, the same times for all, equally far apart. See the [module](self).
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    name: &'static str,
    columns: Vec<String>,
    time: Vec<f64>,
    values: Features,
    train: usize, // steps of the whole series that train
}

impl Series {
    /// Number of steps.
    pub fn len(&self) -> usize {
        self.time.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.time.is_empty()
    }

    /// Names of the measurements.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// When each step was: years ([`lynx_hare`]; [`nino`], the middle of the month) or seconds ([`ecg`]).
    pub fn time(&self) -> &[f64] {
        &self.time
    }

    /// Measurements by step and column, `(T, F)`.
    pub fn values(&self) -> &Features {
        &self.values
    }

    /// One measurement over time.
    ///
    /// # Errors
    /// [`DataError::NoColumn`].
    pub fn column(&self, name: &str) -> Result<Vec<f64>, DataError> {
        match self.columns.iter().position(|column| column == name) {
            Some(j) => Ok(self.values.column(j).collect()),
            None => Err(DataError::NoColumn { column: name.to_owned(), columns: self.columns.clone() }),
        }
    }

    /// The first steps for training, the last for testing, without a step between.
    pub fn split(&self) -> Split<Self> {
        let train = self.train.min(self.len());
        Split {
            train: self.range(0..train),
            validation: self.range(0..0),
            test: self.range(train..self.len()),
        }
    }

    /// Name, size, split, source, licence and citation.
    pub fn describe(&self) -> &'static Description {
        registry::describe_embedded(self.name)
    }

    fn range(&self, steps: std::ops::Range<usize>) -> Self {
        Series {
            time: self.time[steps.clone()].to_vec(),
            values: self.values.select(steps),
            columns: self.columns.clone(),
            ..*self
        }
    }
}

fn from_table(
    set: Set,
    file: &str,
    times: &[&str],
    columns: &[&str],
    train: usize,
) -> Result<Series, DataError> {
    let table = registry::embedded_table(file, &[times, columns].concat())?;
    let years = table.numbers("year")?;
    let time = match times {
        [_, month] => {
            let months = table.numbers(month)?;
            years.iter().zip(months).map(|(year, month)| year + (month - 0.5) / 12.0).collect()
        }
        _ => years,
    };
    let by_column: Vec<Vec<f64>> =
        columns.iter().map(|column| table.numbers(column)).collect::<Result<_, _>>()?;
    let values = (0..table.len()).flat_map(|i| by_column.iter().map(move |column| column[i])).collect();
    Ok(Series {
        name: set.name,
        columns: columns.iter().map(|&column| column.to_owned()).collect(),
        time,
        values: Features::try_new(columns.len(), values)?,
        train,
    })
}

/// Hare and lynx, decoded at the first call. See the [module](self).
pub fn lynx_hare() -> &'static Series {
    static SERIES: OnceLock<Series> = OnceLock::new();
    let load = || from_table(LYNX_HARE, "lynx_hare.tsv", &["year"], &["hare", "lynx"], 15);
    SERIES.get_or_init(|| load().expect(registry::PARSED))
}

/// Sea-surface temperatures, decoded at the first call. See the [module](self).
pub fn nino() -> &'static Series {
    const COLUMNS: [&str; 5] = ["nino12", "nino3", "nino4", "nino34", "nino34_anomaly"];
    static SERIES: OnceLock<Series> = OnceLock::new();
    let load = || from_table(NINO, "nino.tsv.gz", &["year", "month"], &COLUMNS, 640);
    SERIES.get_or_init(|| load().expect(registry::PARSED))
}

/// A heart, decoded at the first call. See the [module](self).
pub fn ecg() -> &'static Series {
    /// Steps in a second.
    const RATE: usize = 360;
    static SERIES: OnceLock<Series> = OnceLock::new();
    let load = || {
        let file = "ecg.idx.gz";
        let samples = match registry::embedded_array(file)?.into_parts() {
            (_, Values::I16(samples)) => samples,
            (_, other) => return Err(DataError::unsupported_values(Path::new(file), &other, "i16")),
        };
        // The recorder writes 1024 for zero and 200 steps a millivolt.
        let millivolt: Vec<f64> = samples.iter().map(|&x| (f64::from(x) - 1024.0) / 200.0).collect();
        Ok(Series {
            name: ECG.name,
            columns: vec!["mlii".to_owned()],
            time: (0..millivolt.len()).map(|i| i as f64 / RATE as f64).collect(),
            values: Features::try_new(1, millivolt)?,
            train: 90 * RATE,
        })
    };
    SERIES.get_or_init(|| load().expect(registry::PARSED))
}
