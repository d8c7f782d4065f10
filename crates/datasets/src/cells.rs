//! Single cells: what each of them makes of its genes.
//!
//! | set | cells | genes | values | label |
//! |---|---|---|---|---|
//! | [`pbmc`] | 700 from blood | 765 | counts of molecules, 0 to 259 | 10 cell types, or 6 coarse ones |
//! | [`hsmm`] | 271 muscle precursors | 200 | ln(1 + FPKM) | hours 0, 24, 48, 72 |
//!
//! **Traps**: the genes of both were chosen by looking at all cells, without labels. [`Cells::total_counts`] counts
//! over *all* genes of the experiment and is larger than the sum of the row: say which of the two a library size is.
//! In [`hsmm`], state 3 is 43 cells of another tissue: leave them out ([`TimeCourse::without_contaminants`]) for
//! trajectories. Time is not the first principal component there: |Spearman| with hours is 0.25 for the first and 0.70
//! for the second.
//!
//! **Sources**: Zheng et al. (2017), Massively parallel digital transcriptional profiling of single cells, Nature
//! Communications 8 (10x Genomics, 68k PBMC), as in scanpy's `pbmc68k_reduced`; Trapnell et al. (2014), The dynamics
//! and regulators of cell fate decisions are revealed by pseudotemporal ordering of single cells, Nature Biotechnology
//! 32, as in Bioconductor's HSMMSingleCell.
//!
//! # Examples
//! ```
//! use datasets::cells::{hsmm, pbmc};
//! let split = pbmc().split();
//! assert_eq!((split.train.len(), split.test.len()), (560, 140));
//! assert_eq!(pbmc().class_names()[pbmc().label(0)], "CD14+ Monocyte");
//! let log = pbmc().log_normalised(500.0);                       // ln(1 + 500 c / sum of the row)
//! assert_eq!((log.len(), log.num_columns()), (700, 765));
//! assert_eq!(hsmm().without_contaminants().len(), 271 - 43);
//! ```
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::error::{At, DataError, Rule};
use crate::features::Features;
use crate::idx::Values;
use crate::registry::{self, Description, NamedSplit, Set};
use crate::split::{Role, Split, Subset};
use crate::table;

/// The cell types of [`pbmc`], in the order of its labels.
pub const CELL_TYPES: [&str; 10] = [
    "CD14+ Monocyte",
    "CD19+ B",
    "CD34+",
    "CD4+/CD25 T Reg",
    "CD4+/CD45RA+/CD25- Naive T",
    "CD4+/CD45RO+ Memory",
    "CD56+ NK",
    "CD8+ Cytotoxic T",
    "CD8+/CD45RA+ Naive Cytotoxic",
    "Dendritic",
];

/// The groups of cell types of [`Cells::coarse`], in the order of its labels.
pub const COARSE_TYPES: [&str; 6] = ["B", "Cytotoxic", "Dendritic", "Monocyte", "Progenitor", "T"];

/// The group of each of [`CELL_TYPES`].
const COARSE: [usize; 10] = [3, 0, 4, 5, 5, 5, 1, 1, 5, 2];

pub(crate) const PBMC: Set = Set {
    name: "pbmc",
    title: "700 blood cells, counts of molecules of 765 genes, 10 cell types",
    splits: &[NamedSplit {
        name: "pbmc().split()",
        train: 560,
        validation: 0,
        test: 140,
        note: "drawn once; genes were chosen on all cells",
    }],
    citation: "G. X. Y. Zheng et al. (2017), Massively parallel digital transcriptional profiling of single cells, \
               Nature Communications 8, 14049; data by 10x Genomics",
};

pub(crate) const HSMM: Set = Set {
    name: "hsmm",
    title: "271 human muscle precursors at 0, 24, 48 and 72 h, ln(1 + FPKM) of 200 genes",
    splits: &[NamedSplit {
        name: "hsmm().split()",
        train: 217,
        validation: 0,
        test: 54,
        note: "drawn once; genes were chosen on all cells",
    }],
    citation: "C. Trapnell et al. (2014), The dynamics and regulators of cell fate decisions are revealed by \
               pseudotemporal ordering of single cells, Nature Biotechnology 32, 381-386",
};

/// What is known of a cell of [`pbmc`] besides its genes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cell {
    role: Role,
    label: usize,
    total_counts: u32,
    percent_mito: f64,
    cycle: (f64, f64),
    louvain: usize,
}

/// Counts of molecules by cell and gene, with cell types. See the [module](self).
#[derive(Clone, Debug)]
pub struct Cells {
    counts: Arc<[u16]>, // (cells, genes) of the whole set
    genes: Arc<[String]>,
    cells: Arc<[Cell]>,
    rows: Arc<[usize]>, // of this view
    is_coarse: bool,
}

/// The blood cells, decoded at the first call and shared afterwards. See the [module](self).
pub fn pbmc() -> Cells {
    static CELLS: OnceLock<Cells> = OnceLock::new();
    CELLS.get_or_init(|| load_pbmc().expect(registry::PARSED)).clone()
}

fn load_pbmc() -> Result<Cells, DataError> {
    let genes = registry::embedded_table("pbmc-genes.tsv", &["gene"])?;
    let columns = ["split", "label", "n_counts", "percent_mito", "s_score", "g2m_score", "louvain"];
    let table = registry::embedded_table("pbmc-cells.tsv", &columns)?;
    let (labels, roles) = (table::classes(&table, "label", &CELL_TYPES)?, table::roles(&table)?);
    let (total, louvain) = (table.integers("n_counts")?, table.integers("louvain")?);
    let [mito, s, g2m] =
        [table.numbers("percent_mito")?, table.numbers("s_score")?, table.numbers("g2m_score")?];
    let cell = |i| Cell {
        role: roles[i],
        label: labels[i],
        total_counts: total[i],
        percent_mito: mito[i],
        cycle: (s[i], g2m[i]),
        louvain: louvain[i],
    };
    let counts = expression("pbmc-counts.idx.gz", [table.len(), genes.len()])?;
    Ok(Cells {
        counts: counts.into_iter().map(|count| count as u16).collect(), // never negative
        genes: genes.texts("gene")?.into_iter().map(str::to_owned).collect(),
        cells: (0..table.len()).map(cell).collect(),
        rows: (0..table.len()).collect(),
        is_coarse: false,
    })
}

/// i16 values of an embedded file of these sizes.
fn expression(file: &str, expected: [usize; 2]) -> Result<Vec<i16>, DataError> {
    let file = Path::new(file);
    match registry::embedded_array(&file.to_string_lossy())?.into_parts() {
        (shape, Values::I16(values)) if shape == expected => Ok(values),
        (shape, Values::I16(_)) => {
            let rule = Rule::ImageShape { expected: expected[1..].to_vec() };
            Err(DataError::format(file, At::Byte(4), rule, format!("{shape:?}")))
        }
        (_, other) => Err(DataError::unsupported_values(file, &other, "i16")),
    }
}

impl Cells {
    /// Number of cells.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Symbols of the genes, in the order of the columns.
    pub fn genes(&self) -> &[String] {
        &self.genes
    }

    /// Molecules of each gene in cell `i`.
    ///
    /// # Panics
    /// When `i` is not below [`len`](Self::len); so do all methods that take a cell.
    pub fn counts(&self, i: usize) -> &[u16] {
        let start = self.rows[i] * self.genes.len();
        &self.counts[start..start + self.genes.len()]
    }

    /// The class of cell `i`: a cell type, or a group of them after [`coarse`](Self::coarse).
    pub fn label(&self, i: usize) -> usize {
        let label = self.cell(i).label;
        if self.is_coarse { COARSE[label] } else { label }
    }

    /// The class of each cell.
    pub fn labels(&self) -> Vec<usize> {
        (0..self.len()).map(|i| self.label(i)).collect()
    }

    /// Names of the classes, in the order of the labels.
    pub fn class_names(&self) -> &'static [&'static str] {
        if self.is_coarse { &COARSE_TYPES } else { &CELL_TYPES }
    }

    /// The same cells with 6 groups of cell types for classes ([`COARSE_TYPES`]).
    pub fn coarse(&self) -> Self {
        Cells { is_coarse: true, ..self.clone() }
    }

    /// Molecules of cell `i` over all genes of the experiment; larger than the sum of [`counts`](Self::counts).
    pub fn total_counts(&self, i: usize) -> u32 {
        self.cell(i).total_counts
    }

    /// Share of mitochondrial molecules in cell `i`, in \[0, 1\]; high in dying cells.
    pub fn percent_mito(&self, i: usize) -> f64 {
        self.cell(i).percent_mito
    }

    /// Scores of the S and G2/M phases of the cell cycle of cell `i`.
    pub fn cycle_scores(&self, i: usize) -> (f64, f64) {
        self.cell(i).cycle
    }

    /// The Louvain cluster that scanpy found for cell `i`.
    pub fn louvain(&self, i: usize) -> usize {
        self.cell(i).louvain
    }

    /// Counts as numbers, `(n, 765)`.
    pub fn features(&self) -> Features {
        let values = (0..self.len()).flat_map(|i| self.counts(i)).map(|&count| f64::from(count)).collect();
        Features::try_new(self.genes.len(), values).expect("whole rows")
    }

    /// `ln(1 + scale · count / sum of the row)`, `(n, 765)`; the course's baselines take `scale` 500.
    pub fn log_normalised(&self, scale: f64) -> Features {
        let row = |i| {
            let counts = self.counts(i);
            let sum: f64 = counts.iter().map(|&count| f64::from(count)).sum();
            counts.iter().map(move |&count| (scale * f64::from(count) / sum).ln_1p())
        };
        Features::try_new(self.genes.len(), (0..self.len()).flat_map(row).collect()).expect("whole rows")
    }

    /// The cells with the numbers `chosen`, in that order.
    pub fn select(&self, chosen: impl IntoIterator<Item = usize>) -> Self {
        Cells { rows: chosen.into_iter().map(|i| self.rows[i]).collect(), ..self.clone() }
    }

    /// 560 cells for training, 140 for testing.
    pub fn split(&self) -> Split<Self> {
        Split::by_role(self, &(0..self.len()).map(|i| self.cell(i).role).collect::<Vec<_>>())
    }

    /// Name, sizes, split, source, licence and citation.
    pub fn describe(&self) -> &'static Description {
        registry::describe_embedded(PBMC.name)
    }

    fn cell(&self, i: usize) -> &Cell {
        &self.cells[self.rows[i]]
    }
}

impl Subset for Cells {
    fn num_rows(&self) -> usize {
        self.len()
    }

    fn subset(&self, chosen: &[usize]) -> Self {
        self.select(chosen.iter().copied())
    }
}

/// A gene by both of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gene {
    /// Ensembl's identifier with its version.
    pub ensembl: String,
    /// The symbol, such as `ACTC1`.
    pub symbol: String,
}

/// A cell of [`hsmm`] without its genes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Moment {
    role: Role,
    hours: u32,
    pseudotime: f64,
    state: u8,
}

/// Expression by cell and gene at several times. See the [module](self).
#[derive(Clone, Debug)]
pub struct TimeCourse {
    expression: Arc<[i16]>, // (cells, genes), hundredths
    genes: Arc<[Gene]>,
    cells: Arc<[Moment]>,
    rows: Arc<[usize]>,
}

/// The muscle precursors, decoded at the first call and shared afterwards. See the [module](self).
pub fn hsmm() -> TimeCourse {
    static CELLS: OnceLock<TimeCourse> = OnceLock::new();
    CELLS.get_or_init(|| load_hsmm().expect(registry::PARSED)).clone()
}

fn load_hsmm() -> Result<TimeCourse, DataError> {
    let genes = registry::embedded_table("hsmm-genes.tsv", &["ensembl", "gene"])?;
    let table = registry::embedded_table("hsmm-cells.tsv", &["split", "hours", "pseudotime", "state"])?;
    let (roles, hours) = (table::roles(&table)?, table.integers("hours")?);
    let (pseudotime, state) = (table.numbers("pseudotime")?, table.integers("state")?);
    let cell = |i| Moment { role: roles[i], hours: hours[i], pseudotime: pseudotime[i], state: state[i] };
    let names = genes.texts("ensembl")?.into_iter().zip(genes.texts("gene")?);
    Ok(TimeCourse {
        expression: expression("hsmm-expr.idx.gz", [table.len(), genes.len()])?.into(),
        genes: names.map(|(e, s)| Gene { ensembl: e.to_owned(), symbol: s.to_owned() }).collect(),
        cells: (0..table.len()).map(cell).collect(),
        rows: (0..table.len()).collect(),
    })
}

impl TimeCourse {
    /// The times at which cells were taken, in hours.
    pub const HOURS: [u32; 4] = [0, 24, 48, 72];

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The genes, in the order of the columns.
    pub fn genes(&self) -> &[Gene] {
        &self.genes
    }

    /// ln(1 + FPKM) of each gene in cell `i`, to two decimals.
    ///
    /// # Panics
    /// When `i` is not below [`len`](Self::len); so do all methods that take a cell.
    pub fn expression(&self, i: usize) -> impl ExactSizeIterator<Item = f64> + '_ {
        let start = self.rows[i] * self.genes.len();
        self.expression[start..start + self.genes.len()].iter().map(|&x| f64::from(x) / 100.0)
    }

    /// Hours in differentiation medium of cell `i`: one of [`HOURS`](Self::HOURS).
    pub fn hours(&self, i: usize) -> u32 {
        self.cells[self.rows[i]].hours
    }

    /// Position of each cell's time in [`HOURS`](Self::HOURS): the class for the task "which time point?".
    pub fn labels(&self) -> Vec<usize> {
        let class = |i| Self::HOURS.iter().position(|&hours| hours == self.hours(i));
        (0..self.len()).map(|i| class(i).expect("a test has seen every time of the file")).collect()
    }

    /// The place of cell `i` along the trajectory that the paper's method (Monocle) found.
    pub fn pseudotime(&self, i: usize) -> f64 {
        self.cells[self.rows[i]].pseudotime
    }

    /// The branch that the paper's method gave cell `i`: 1 and 2 are muscle, 3 is contamination.
    pub fn state(&self, i: usize) -> u8 {
        self.cells[self.rows[i]].state
    }

    /// ln(1 + FPKM), `(n, 200)`.
    pub fn features(&self) -> Features {
        let values = (0..self.len()).flat_map(|i| self.expression(i)).collect();
        Features::try_new(self.genes.len(), values).expect("whole rows")
    }

    /// The cells with the numbers `chosen`, in that order.
    pub fn select(&self, chosen: impl IntoIterator<Item = usize>) -> Self {
        TimeCourse { rows: chosen.into_iter().map(|i| self.rows[i]).collect(), ..self.clone() }
    }

    /// The cells that are muscle: states 1 and 2.
    pub fn without_contaminants(&self) -> Self {
        self.select((0..self.len()).filter(|&i| self.state(i) != 3))
    }

    /// The cells taken after `hours`.
    pub fn at(&self, hours: u32) -> Self {
        self.select((0..self.len()).filter(|&i| self.hours(i) == hours))
    }

    /// 217 cells for training, 54 for testing.
    pub fn split(&self) -> Split<Self> {
        Split::by_role(self, &self.rows.iter().map(|&row| self.cells[row].role).collect::<Vec<_>>())
    }

    /// Name, sizes, split, source, licence and citation.
    pub fn describe(&self) -> &'static Description {
        registry::describe_embedded(HSMM.name)
    }
}

impl Subset for TimeCourse {
    fn num_rows(&self) -> usize {
        self.len()
    }

    fn subset(&self, chosen: &[usize]) -> Self {
        self.select(chosen.iter().copied())
    }
}
