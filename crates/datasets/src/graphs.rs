//! Graphs whose nodes are to be classified.
//!
//! | set | nodes | edges | features | classes | train / validation / test |
//! |---|---|---|---|---|---|
//! | [`debian`] | 3,883 packages | 6,446 dependencies | 500 words and tags | 9 sections | 180 / 500 / 1,000 |
//! | [`karate`] | 34 members | 78 friendships | none | 2 clubs | 2 / 0 / 32 |
//!
//! Opponents on [`debian`]: the largest class 0.233, words alone 0.652, label propagation without words 0.741, a linear
//! model on words averaged over three steps 0.832. The last beats a two-layer graph network (0.789) here: report it
//! beside every one.
//!
//! **Trap**: features and edges of test nodes are visible in training (*transductive*). An experiment that claims to be
//! inductive must cut them.
//!
//! **Sources**: package lists of Debian 12 (largest connected part of nine archive sections; an edge where one package
//! depends on, recommends, suggests or enhances the other); Zachary (1977), An information flow model for conflict and
//! fission in small groups, Journal of Anthropological Research 33, as in networkx.
//!
//! # Examples
//! ```
//! use datasets::{debian, karate};
//! let graph = debian();
//! assert_eq!((graph.len(), graph.edges().len(), graph.num_features()), (3883, 6446, 500));
//! let (sources, targets) = graph.edge_index();                     // both directions
//! assert_eq!((sources.len(), targets.len()), (2 * 6446, 2 * 6446));
//! let club = karate();
//! assert_eq!(club.class_names()[club.label(33)], "Officer");
//! assert_eq!(club.split().train, [0, 33]);
//! ```
use std::collections::HashSet;

use crate::error::{DataError, Rule};
use crate::features::Features;
use crate::registry::{self, Description};
use crate::split::{Role, Split, rows_by_role};
use crate::tsv::Table;

/// An undirected graph with a class for every node; no edge twice, none from a node to itself. See the
/// [module](self).
#[derive(Clone, Debug, PartialEq)]
pub struct NodeGraph {
    name: &'static str,
    names: Vec<String>,
    class_names: Vec<String>,
    labels: Vec<Option<usize>>,
    roles: Vec<Role>,
    words: Vec<Vec<u32>>, // rising, of each node
    num_features: usize,
    edges: Vec<(usize, usize)>,
    weights: Vec<f64>,
    neighbours: Vec<Vec<usize>>, // rising, of each node
}

/// Everything that a [`NodeGraph`] is made of, checked by [`NodeGraph::try_new`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeGraphParts {
    /// Name of each node.
    pub names: Vec<String>,
    /// Names of the classes.
    pub class_names: Vec<String>,
    /// Class of each node; `None` where it is unknown.
    pub labels: Vec<Option<usize>>,
    /// Part of each node.
    pub roles: Vec<Role>,
    /// Features that each node has, rising; the others are 0.
    pub words: Vec<Vec<u32>>,
    /// Number of features, `F`.
    pub num_features: usize,
    /// Edges, each once, smaller node first.
    pub edges: Vec<(usize, usize)>,
    /// Weight of each edge.
    pub weights: Vec<f64>,
}

impl NodeGraph {
    /// Checks and joins the parts; `name` stands in messages and finds [`describe`](Self::describe).
    ///
    /// # Errors
    /// [`DataError::GraphLength`] when a list has not one entry for each node (or edge), [`DataError::EdgeEnd`] for an
    /// edge to a node that is not there or without the smaller node first, [`DataError::EdgeTwice`],
    /// [`DataError::NodeWord`] for a feature or class out of range.
    pub fn try_new(name: &'static str, parts: NodeGraphParts) -> Result<Self, DataError> {
        let nodes = parts.names.len();
        let lengths = [
            ("labels", parts.labels.len(), nodes),
            ("roles", parts.roles.len(), nodes),
            ("words", parts.words.len(), nodes),
            ("weights", parts.weights.len(), parts.edges.len()),
        ];
        if let Some(&(list, found, expected)) =
            lengths.iter().find(|&&(_, found, expected)| found != expected)
        {
            return Err(DataError::GraphLength { list, found, expected });
        }
        for (node, (words, label)) in parts.words.iter().zip(&parts.labels).enumerate() {
            let is_rising = words.windows(2).all(|pair| pair[0] < pair[1]);
            let in_range = words.last().is_none_or(|&word| (word as usize) < parts.num_features);
            if !is_rising || !in_range || label.is_some_and(|label| label >= parts.class_names.len()) {
                return Err(DataError::NodeWord {
                    node,
                    features: parts.num_features,
                    classes: parts.class_names.len(),
                });
            }
        }
        let (mut neighbours, mut seen) = (vec![Vec::new(); nodes], HashSet::new());
        for (index, &(a, b)) in parts.edges.iter().enumerate() {
            if a >= b || b >= nodes {
                return Err(DataError::EdgeEnd { index, a, b, nodes });
            }
            if !seen.insert((a, b)) {
                return Err(DataError::EdgeTwice { index, a, b });
            }
            neighbours[a].push(b);
            neighbours[b].push(a);
        }
        neighbours.iter_mut().for_each(|list| list.sort_unstable());
        let NodeGraphParts { names, class_names, labels, roles, words, num_features, edges, weights } = parts;
        Ok(NodeGraph {
            name,
            names,
            class_names,
            labels,
            roles,
            words,
            num_features,
            edges,
            weights,
            neighbours,
        })
    }

    /// Number of nodes, `N`.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name of node `i`.
    ///
    /// # Panics
    /// When `i` is not below [`len`](Self::len); so do all methods that take a node.
    pub fn name(&self, i: usize) -> &str {
        &self.names[i]
    }

    /// The class of node `i`.
    ///
    /// # Panics
    /// Also when the class is unknown; [`known_label`](Self::known_label) says so instead.
    pub fn label(&self, i: usize) -> usize {
        self.labels[i].expect("every node of an embedded graph has a class")
    }

    /// The class of node `i`; `None` when it is unknown, as for 15 nodes of Citeseer.
    pub fn known_label(&self, i: usize) -> Option<usize> {
        self.labels[i]
    }

    /// Names of the classes, in the order of the labels.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Every edge once, `(a, b)` with a < b.
    pub fn edges(&self) -> &[(usize, usize)] {
        &self.edges
    }

    /// Weight of each edge; 1 where the set has none.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Both directions of every edge as two lists: `a → b` and `b → a` of the first, then of the second …
    pub fn edge_index(&self) -> (Vec<usize>, Vec<usize>) {
        let both = self.edges.iter().flat_map(|&(a, b)| [(a, b), (b, a)]);
        both.unzip()
    }

    /// The nodes that share an edge with node `i`, rising.
    pub fn neighbours(&self, i: usize) -> &[usize] {
        &self.neighbours[i]
    }

    /// Number of features, `F`.
    pub fn num_features(&self) -> usize {
        self.num_features
    }

    /// The features that node `i` has, rising.
    pub fn words(&self, i: usize) -> &[u32] {
        &self.words[i]
    }

    /// 1 where a node has a feature, 0 elsewhere, `(N, F)`.
    pub fn features(&self) -> Features {
        let mut values = vec![0.0; self.len() * self.num_features];
        for (i, words) in self.words.iter().enumerate() {
            words.iter().for_each(|&word| values[i * self.num_features + word as usize] = 1.0);
        }
        Features::try_new(self.num_features, values).expect("whole rows")
    }

    /// The nodes of each part, rising.
    pub fn split(&self) -> Split<Vec<usize>> {
        rows_by_role(&self.roles)
    }

    /// Share of edges between nodes of the same known class, in \[0, 1\]; NaN when there are no edges.
    pub fn edge_homophily(&self) -> f64 {
        let same =
            self.edges.iter().filter(|&&(a, b)| self.labels[a].is_some() && self.labels[a] == self.labels[b]);
        same.count() as f64 / self.edges.len() as f64
    }

    /// Number of nodes in each connected part, the largest first.
    pub fn components(&self) -> Vec<usize> {
        let (mut seen, mut sizes) = (vec![false; self.len()], Vec::new());
        for start in 0..self.len() {
            if seen[start] {
                continue;
            }
            seen[start] = true;
            let (mut open, mut size) = (vec![start], 0);
            while let Some(node) = open.pop() {
                size += 1;
                for &next in &self.neighbours[node] {
                    if !std::mem::replace(&mut seen[next], true) {
                        open.push(next);
                    }
                }
            }
            sizes.push(size);
        }
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        sizes
    }

    /// Name, sizes, split, source, licence and citation; `None` for a graph that is not embedded.
    pub fn describe(&self) -> Option<&'static Description> {
        registry::describe(self.name)
    }
}

/// The columns `a` and `b`.
pub(crate) fn edges(table: &Table) -> Result<Vec<(usize, usize)>, DataError> {
    Ok(table.integers("a")?.into_iter().zip(table.integers("b")?).collect())
}

/// A column of numbers apart by spaces; an empty field is none.
pub(crate) fn words(table: &Table, column: &str) -> Result<Vec<Vec<u32>>, DataError> {
    let word = |text: &str| text.parse().map_err(|_| Rule::Integer);
    table.parsed(column, |field| field.split(' ').filter(|text| !text.is_empty()).map(word).collect())
}

#[cfg(feature = "graphs")]
mod embedded {
    use std::sync::OnceLock;

    use super::*;
    use crate::registry::{NamedSplit, Set};
    use crate::table;

    /// Archive sections of Debian, in the order of the labels.
    const SECTIONS: [&str; 9] =
        ["games", "gnome", "graphics", "kde", "math", "net", "science", "sound", "web"];

    pub(crate) const DEBIAN: Set = Set {
        name: "debian",
        title: "3,883 packages of Debian 12, 6,446 dependencies, 500 words each present or not, 9 archive sections",
        splits: &[NamedSplit {
            name: "debian().split()",
            train: 180,
            validation: 500,
            test: 1000,
            note: "20 of each section train; 2,203 nodes have no part but all are seen",
        }],
        citation: "The Debian Project (2023), package lists of Debian 12",
    };

    pub(crate) const KARATE: Set = Set {
        name: "karate",
        title: "34 members of a karate club, 78 weighted friendships, 2 sides after the club broke apart",
        splits: &[NamedSplit {
            name: "karate().split()",
            train: 2,
            validation: 0,
            test: 32,
            note: "the two leaders train",
        }],
        citation: "W. W. Zachary (1977), An information flow model for conflict and fission in small groups, Journal of \
                   Anthropological Research 33, 452-473",
    };

    /// The packages of Debian, decoded at the first call. See the [module](super).
    pub fn debian() -> &'static NodeGraph {
        static GRAPH: OnceLock<NodeGraph> = OnceLock::new();
        let load = || {
            let nodes =
                registry::embedded_table("debian-nodes.tsv.gz", &["split", "section", "name", "words"])?;
            let edges = edges(&registry::embedded_table("debian-edges.tsv.gz", &["a", "b"])?)?;
            let parts = NodeGraphParts {
                names: nodes.texts("name")?.into_iter().map(str::to_owned).collect(),
                class_names: SECTIONS.map(str::to_owned).to_vec(),
                labels: table::classes(&nodes, "section", &SECTIONS)?.into_iter().map(Some).collect(),
                roles: table::roles(&nodes)?,
                words: words(&nodes, "words")?,
                num_features: debian_words().len(),
                weights: vec![1.0; edges.len()],
                edges,
            };
            NodeGraph::try_new(DEBIAN.name, parts)
        };
        GRAPH.get_or_init(|| load().expect(registry::PARSED))
    }

    /// What the features of [`debian`] stand for: 463 words of name and description, 37 tags.
    pub fn debian_words() -> &'static [String] {
        static WORDS: OnceLock<Vec<String>> = OnceLock::new();
        let load = || {
            let table = registry::embedded_table("debian-words.tsv", &["word"])?;
            Ok::<_, DataError>(table.texts("word")?.into_iter().map(str::to_owned).collect())
        };
        WORDS.get_or_init(|| load().expect(registry::PARSED))
    }

    /// Zachary's karate club, decoded at the first call; weights count the places where two members met. See the
    /// [module](super).
    pub fn karate() -> &'static NodeGraph {
        const CLUBS: [&str; 2] = ["Mr. Hi", "Officer"];
        static GRAPH: OnceLock<NodeGraph> = OnceLock::new();
        let load = || {
            let nodes = registry::embedded_table("karate-nodes.tsv", &["node", "club"])?;
            let table = registry::embedded_table("karate-edges.tsv", &["a", "b", "weight"])?;
            let leaders = [0, nodes.len() - 1];
            let role = |i| if leaders.contains(&i) { Role::Train } else { Role::Test };
            let parts = NodeGraphParts {
                names: nodes.texts("node")?.into_iter().map(str::to_owned).collect(),
                class_names: CLUBS.map(str::to_owned).to_vec(),
                labels: table::classes(&nodes, "club", &CLUBS)?.into_iter().map(Some).collect(),
                roles: (0..nodes.len()).map(role).collect(),
                words: vec![Vec::new(); nodes.len()],
                num_features: 0,
                edges: edges(&table)?,
                weights: table.numbers("weight")?,
            };
            NodeGraph::try_new(KARATE.name, parts)
        };
        GRAPH.get_or_init(|| load().expect(registry::PARSED))
    }
}

#[cfg(feature = "graphs")]
pub(crate) use embedded::{DEBIAN, KARATE};
#[cfg(feature = "graphs")]
pub use embedded::{debian, debian_words, karate};
