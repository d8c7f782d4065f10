//! Molecules as graphs of atoms and bonds.
//!
//! | set | molecules | question | opponent: counts of atoms and bonds |
//! |---|---|---|---|
//! | [`mutag`] | 188 | does it cause mutations? | logistic regression 0.855, forest 0.880 (10 folds) |
//! | [`freesolv`] | 642 | free energy of solvation in water, kcal/mol | ridge, RMSE 2.33 |
//! | [`solubility`] | 1,278 | log₁₀ of solubility in water, mol/L | ridge, RMSE 0.979 |
//!
//! Ridge regression on Weisfeiler–Lehman labels reaches 0.927 and 0.691 on the last two: a hard opponent for message
//! passing on so few molecules. Always print the counts beside a graph network: on [`mutag`] they are nearly as good.
//!
//! **Traps**: [`Freesolv::calc`] is the prediction of a physical simulation: an opponent (RMSE 1.227 on the test part),
//! never an input. [`solubility`] is Huuskonen's collection, not the 1,128 molecules of ESOL. In [`mutag`] hydrogens
//! are left out and isomorphic molecules occur more than once.
//!
//! **Sources**: Debnath et al. (1991), Journal of Medicinal Chemistry 34; Mobley & Guthrie (2014), FreeSolv, Journal of
//! Computer-Aided Molecular Design 28; Huuskonen (2000), Journal of Chemical Information and Computer Sciences 40.
//! Atoms, bonds and their order are RDKit's reading of the SMILES strings.
//!
//! # Examples
//! ```
//! use datasets::molecules::{BondKind, Element, freesolv};
//! let ether = freesolv().train.iter().find(|row| row.name == "3-methylbut-1-ene").unwrap();
//! assert_eq!((ether.smiles.as_str(), ether.expt), ("CC(C)C=C", 1.83));
//! assert_eq!(ether.molecule.atoms().len(), 5);
//! assert!(ether.molecule.atoms().iter().all(|atom| atom.element == Element::C));
//! assert_eq!(ether.molecule.bonds()[3].kind, BondKind::Double);
//! ```
use std::str::FromStr;
use std::sync::OnceLock;

use crate::error::{DataError, Rule};
use crate::registry::{self, NamedSplit, Record, Set};
use crate::split::Split;
use crate::table;
use crate::tsv::Table;

pub(crate) const MUTAG: Set = Set {
    name: "mutag",
    title: "188 molecules, of which 125 cause mutations in Salmonella",
    splits: &[],
    citation: "A. K. Debnath et al. (1991), Structure-activity relationship of mutagenic aromatic and heteroaromatic \
               nitro compounds, Journal of Medicinal Chemistry 34, 786-797",
};

pub(crate) const FREESOLV: Set = Set {
    name: "freesolv",
    title: "642 molecules with their free energy of solvation in water, kcal/mol",
    splits: &[NamedSplit { name: "freesolv()", train: 514, validation: 0, test: 128, note: "drawn once" }],
    citation: "D. L. Mobley, J. P. Guthrie (2014), FreeSolv: a database of experimental and calculated hydration free \
               energies, Journal of Computer-Aided Molecular Design 28, 711-720",
};

pub(crate) const SOLUBILITY: Set = Set {
    name: "solubility",
    title: "1,278 molecules with the logarithm of their solubility in water, log10 mol/L",
    splits: &[NamedSplit {
        name: "solubility()",
        train: 1021,
        validation: 0,
        test: 257,
        note: "RDKit's; no molecule is in both parts",
    }],
    citation: "J. Huuskonen (2000), Estimation of aqueous solubility for a diverse set of organic compounds based on \
               molecular topology, Journal of Chemical Information and Computer Sciences 40, 773-777",
};

macro_rules! elements {
    ($($symbol:ident $number:literal $name:literal),+) => {
        /// A chemical element that occurs in the sets.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Element {
            $(#[doc = $name] $symbol,)+
        }

        impl Element {
            /// All of them, by atomic number.
            pub const ALL: &'static [Element] = &[$(Element::$symbol),+];

            /// The symbol, such as `Cl`.
            pub fn symbol(self) -> &'static str {
                match self { $(Element::$symbol => stringify!($symbol),)+ }
            }

            /// The number of protons.
            pub fn atomic_number(self) -> u8 {
                match self { $(Element::$symbol => $number,)+ }
            }
        }
    };
}
elements!(
    C 6 "Carbon.", N 7 "Nitrogen.", O 8 "Oxygen.", F 9 "Fluorine.", P 15 "Phosphorus.", S 16 "Sulphur.",
    Cl 17 "Chlorine.", Br 35 "Bromine.", Sn 50 "Tin.", I 53 "Iodine."
);

impl FromStr for Element {
    type Err = Rule;

    fn from_str(symbol: &str) -> Result<Self, Rule> {
        Element::ALL.iter().copied().find(|element| element.symbol() == symbol).ok_or(Rule::Atom)
    }
}

/// An atom that is no hydrogen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Atom {
    /// Its element.
    pub element: Element,
    /// What else is known; [`mutag`] knows elements only.
    pub state: Option<AtomState>,
}

/// What [`freesolv`] and [`solubility`] know of an atom besides its element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AtomState {
    /// Formal charge, in elementary charges.
    pub charge: i8,
    /// Hydrogens bound to it, which are no atoms of the graph.
    pub hydrogens: u8,
    /// Whether it belongs to an aromatic system.
    pub is_aromatic: bool,
    /// Whether it belongs to a ring.
    pub in_ring: bool,
}

impl FromStr for Atom {
    type Err = Rule;

    /// `C`, or `element,charge,hydrogens,aromatic,ring` as `C,0,1,1,1`.
    fn from_str(text: &str) -> Result<Self, Rule> {
        let flag = |text| match text {
            "0" => Ok(false),
            "1" => Ok(true),
            _ => Err(Rule::Atom),
        };
        let fields: Vec<&str> = text.split(',').collect();
        let (element, state) = match fields[..] {
            [element] => (element, None),
            [element, charge, hydrogens, aromatic, ring] => {
                let state = AtomState {
                    charge: charge.parse().map_err(|_| Rule::Atom)?,
                    hydrogens: hydrogens.parse().map_err(|_| Rule::Atom)?,
                    is_aromatic: flag(aromatic)?,
                    in_ring: flag(ring)?,
                };
                (element, Some(state))
            }
            _ => return Err(Rule::Atom),
        };
        Ok(Atom { element: element.parse()?, state })
    }
}

/// How two atoms are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BondKind {
    /// One pair of electrons.
    Single,
    /// Two pairs.
    Double,
    /// Three pairs.
    Triple,
    /// Part of an aromatic system.
    Aromatic,
}

impl BondKind {
    /// Pairs of electrons: 1, 2, 3, or 1.5 for an aromatic bond.
    pub fn order(self) -> f64 {
        match self {
            BondKind::Single => 1.0,
            BondKind::Double => 2.0,
            BondKind::Triple => 3.0,
            BondKind::Aromatic => 1.5,
        }
    }
}

/// A bond between two atoms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bond {
    /// Number of one atom, smaller than `b`.
    pub a: usize,
    /// Number of the other.
    pub b: usize,
    /// How they are bound.
    pub kind: BondKind,
}

impl FromStr for Bond {
    type Err = Rule;

    /// `a-b:kind` with a < b, kind one of `1`, `2`, `3`, `a`.
    fn from_str(text: &str) -> Result<Self, Rule> {
        let (ends, kind) = text.split_once(':').ok_or(Rule::Bond)?;
        let (a, b) = ends.split_once('-').ok_or(Rule::Bond)?;
        let (a, b) = (a.parse().map_err(|_| Rule::Bond)?, b.parse().map_err(|_| Rule::Bond)?);
        let kind = match kind {
            "1" => BondKind::Single,
            "2" => BondKind::Double,
            "3" => BondKind::Triple,
            "a" => BondKind::Aromatic,
            _ => return Err(Rule::Bond),
        };
        if a < b { Ok(Bond { a, b, kind }) } else { Err(Rule::Bond) }
    }
}

/// Atoms and the bonds between them; every bond joins two different atoms, and no two atoms have two bonds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Molecule {
    atoms: Vec<Atom>,
    bonds: Vec<Bond>,
}

impl Molecule {
    /// Joins atoms and bonds.
    ///
    /// # Errors
    /// [`DataError::BondEnd`] for a bond to an atom that is not there or to itself, [`DataError::BondTwice`] for a
    /// second bond between two atoms.
    pub fn try_new(atoms: Vec<Atom>, bonds: Vec<Bond>) -> Result<Self, DataError> {
        let mut ends: Vec<(usize, usize)> = Vec::with_capacity(bonds.len());
        for (index, bond) in bonds.iter().enumerate() {
            if bond.a >= bond.b || bond.b >= atoms.len() {
                return Err(DataError::BondEnd { index, a: bond.a, b: bond.b, atoms: atoms.len() });
            }
            ends.push((bond.a, bond.b));
        }
        ends.sort_unstable();
        match ends.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(DataError::BondTwice { a: pair[0].0, b: pair[0].1 }),
            None => Ok(Molecule { atoms, bonds }),
        }
    }

    /// The atoms, hydrogens left out.
    pub fn atoms(&self) -> &[Atom] {
        &self.atoms
    }

    /// The bonds.
    pub fn bonds(&self) -> &[Bond] {
        &self.bonds
    }

    /// Both directions of every bond as two lists, and the kind of each: what message passing takes.
    pub fn edge_index(&self) -> (Vec<usize>, Vec<usize>, Vec<BondKind>) {
        let (mut sources, mut targets, mut kinds) = (Vec::new(), Vec::new(), Vec::new());
        for &Bond { a, b, kind } in &self.bonds {
            sources.extend([a, b]);
            targets.extend([b, a]);
            kinds.extend([kind, kind]);
        }
        (sources, targets, kinds)
    }

    /// Number of bonds of each atom.
    pub fn degrees(&self) -> Vec<usize> {
        let mut degrees = vec![0; self.atoms.len()];
        self.bonds.iter().for_each(|bond| [bond.a, bond.b].into_iter().for_each(|end| degrees[end] += 1));
        degrees
    }
}

/// A molecule and whether it causes mutations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutag {
    /// Atoms and bonds; of the atoms only the elements are known.
    pub molecule: Molecule,
    /// The answer.
    pub is_mutagenic: bool,
}

/// A molecule and its free energy of solvation in water.
#[derive(Clone, Debug, PartialEq)]
pub struct Freesolv {
    /// The name.
    pub name: String,
    /// The SMILES string.
    pub smiles: String,
    /// What RDKit reads from it.
    pub molecule: Molecule,
    /// The measured value, kcal/mol.
    pub expt: f64,
    /// The value of a molecular-dynamics simulation, kcal/mol: an opponent, never an input.
    pub calc: f64,
}

/// A molecule and its solubility in water.
#[derive(Clone, Debug, PartialEq)]
pub struct Solubility {
    /// The name.
    pub name: String,
    /// The SMILES string.
    pub smiles: String,
    /// What RDKit reads from it.
    pub molecule: Molecule,
    /// log₁₀ of the solubility, mol/L.
    pub log_s: f64,
}

impl Record for Mutag {
    const SET: &'static str = MUTAG.name;
}
impl Record for Freesolv {
    const SET: &'static str = FREESOLV.name;
}
impl Record for Solubility {
    const SET: &'static str = SOLUBILITY.name;
}

/// The columns `atoms` and `bonds`.
fn molecules(table: &Table) -> Result<Vec<Molecule>, DataError> {
    let atoms = table.parsed("atoms", |field| field.split(' ').map(str::parse).collect())?;
    let bonds = table.parsed("bonds", |field| {
        field.split(' ').filter(|bond| !bond.is_empty()).map(str::parse).collect()
    })?;
    atoms.into_iter().zip(bonds).map(|(atoms, bonds)| Molecule::try_new(atoms, bonds)).collect()
}

/// The molecules of MUTAG, decoded at the first call. There is no fixed split: cross-validate with
/// [`stratified_folds`](crate::split::stratified_folds). See the [module](self).
pub fn mutag() -> &'static [Mutag] {
    static MOLECULES: OnceLock<Vec<Mutag>> = OnceLock::new();
    let load = || {
        let table = registry::embedded_table("mutag.tsv.gz", &["label", "atoms", "bonds"])?;
        let labels = table.parsed("label", |field| match field {
            "0" => Ok(false),
            "1" => Ok(true),
            _ => Err(Rule::OneOf { names: vec!["0".into(), "1".into()] }),
        })?;
        let rows = molecules(&table)?.into_iter().zip(labels);
        Ok::<_, DataError>(rows.map(|(molecule, is_mutagenic)| Mutag { molecule, is_mutagenic }).collect())
    };
    MOLECULES.get_or_init(|| load().expect(registry::PARSED))
}

/// The molecules of FreeSolv, decoded at the first call. See the [module](self).
pub fn freesolv() -> &'static Split<Vec<Freesolv>> {
    static MOLECULES: OnceLock<Split<Vec<Freesolv>>> = OnceLock::new();
    let load = || {
        let columns = ["split", "name", "smiles", "expt", "calc", "atoms", "bonds"];
        let table = registry::embedded_table("freesolv.tsv.gz", &columns)?;
        let (names, smiles) = (table.texts("name")?, table.texts("smiles")?);
        let (expt, calc) = (table.numbers("expt")?, table.numbers("calc")?);
        let row = |(i, molecule): (usize, Molecule)| Freesolv {
            name: names[i].to_owned(),
            smiles: smiles[i].to_owned(),
            molecule,
            expt: expt[i],
            calc: calc[i],
        };
        let all: Vec<Freesolv> = molecules(&table)?.into_iter().enumerate().map(row).collect();
        Ok::<_, DataError>(Split::by_role(&all, &table::roles(&table)?))
    };
    MOLECULES.get_or_init(|| load().expect(registry::PARSED))
}

/// Huuskonen's molecules, decoded at the first call. See the [module](self).
pub fn solubility() -> &'static Split<Vec<Solubility>> {
    static MOLECULES: OnceLock<Split<Vec<Solubility>>> = OnceLock::new();
    let load = || {
        let columns = ["split", "name", "smiles", "log_s", "atoms", "bonds"];
        let table = registry::embedded_table("solubility.tsv.gz", &columns)?;
        let (names, smiles, log_s) = (table.texts("name")?, table.texts("smiles")?, table.numbers("log_s")?);
        let row = |(i, molecule): (usize, Molecule)| Solubility {
            name: names[i].to_owned(),
            smiles: smiles[i].to_owned(),
            molecule,
            log_s: log_s[i],
        };
        let all: Vec<Solubility> = molecules(&table)?.into_iter().enumerate().map(row).collect();
        Ok::<_, DataError>(Split::by_role(&all, &table::roles(&table)?))
    };
    MOLECULES.get_or_init(|| load().expect(registry::PARSED))
}
