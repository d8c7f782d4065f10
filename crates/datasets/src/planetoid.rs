//! Citation graphs of the Planetoid release (Cora, Citeseer, Pubmed) as two tables.
//!
//! The release itself consists of Python pickles, and a pickle is a program, so it is never read here: a script turns
//! it into `NAME.tsv.gz` with the columns `split`, `label` (−1 where unknown) and `words` (present features), and
//! `NAME-edges.tsv.gz` with `a` and `b`, each undirected edge once. The terms of the texts are unclear, so the course
//! does not contain them.
//!
//! **Source**: Yang, Cohen & Salakhutdinov (2016), Revisiting semi-supervised learning with graph embeddings, ICML.
//!
//! # Examples
//! ```
//! use std::path::Path;
//! use datasets::planetoid;
//! let nodes = b"split\tlabel\twords\ntrain\t0\t1 3\nnone\t-1\t\ntest\t1\t0\n";
//! let edges = b"a\tb\n0\t1\n1\t2\n";
//! let graph = planetoid::parse("tiny", (Path::new("n"), nodes), (Path::new("e"), edges))?;
//! assert_eq!((graph.len(), graph.num_features(), graph.class_names().len()), (3, 4, 2));
//! assert_eq!((graph.known_label(1), graph.split().test), (None, vec![2]));
//! # Ok::<(), datasets::DataError>(())
//! ```
use std::path::Path;

use crate::error::{DataError, Rule};
use crate::graphs::{self, NodeGraph, NodeGraphParts};
use crate::gzip;
use crate::table;
use crate::tsv::Table;

/// The largest number of classes or features that is believed.
const MOST: usize = 1 << 20;

/// Reads the two tables of a graph, each unpacked when its name ends in `.gz`.
///
/// # Errors
/// [`DataError::Absent`], [`DataError::Io`], or as [`parse`].
pub fn read(name: &'static str, nodes: &Path, edges: &Path) -> Result<NodeGraph, DataError> {
    let content = |path| gzip::read_file(path, gzip::DEFAULT_LIMIT);
    parse(name, (nodes, &content(nodes)?), (edges, &content(edges)?))
}

/// Parses the two tables of a graph. Each content comes with its file's name.
///
/// There are as many features as the largest that occurs says, and as many classes.
///
/// # Errors
/// [`DataError::Format`] for a table, or as [`NodeGraph::try_new`].
pub fn parse(
    name: &'static str,
    (node_file, nodes): (&Path, &[u8]),
    (edge_file, edges): (&Path, &[u8]),
) -> Result<NodeGraph, DataError> {
    let nodes = Table::parse(node_file, nodes, &["split", "label", "words"])?;
    let edges = graphs::edges(&Table::parse(edge_file, edges, &["a", "b"])?)?;
    let labels = nodes.parsed("label", |field| match field.parse::<i64>() {
        Ok(-1) => Ok(None),
        Ok(label) => match usize::try_from(label) {
            Ok(label) if label < MOST => Ok(Some(label)),
            _ => Err(Rule::Integer),
        },
        Err(_) => Err(Rule::Integer),
    })?;
    let words = nodes.parsed("words", |field| {
        let word =
            |text: &str| text.parse().ok().filter(|&word: &u32| (word as usize) < MOST).ok_or(Rule::Integer);
        field.split(' ').filter(|text| !text.is_empty()).map(word).collect::<Result<Vec<u32>, Rule>>()
    })?;
    let classes = labels.iter().flatten().max().map_or(0, |&label| label + 1);
    let parts = NodeGraphParts {
        names: (0..nodes.len()).map(|i| i.to_string()).collect(),
        class_names: (0..classes).map(|class| class.to_string()).collect(),
        labels,
        roles: table::roles(&nodes)?,
        num_features: words.iter().flatten().max().map_or(0, |&word| word as usize + 1),
        words,
        weights: vec![1.0; edges.len()],
        edges,
    };
    NodeGraph::try_new(name, parts)
}
