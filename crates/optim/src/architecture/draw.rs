//! A counted description as a drawing: a box for each product, a path for what flows between them.
//!
//! Nothing is typed for a drawing: [`Drawing::of`] walks the layers that [`count`](super::count) counts, and each box keeps
//! its share of parameters and multiply-adds, so that all boxes together cost what the network costs. Two layers are
//! drawn as the products that they are counted as:
//!
//! | layer | boxes |
//! |---|---|
//! | recurrent | a matrix $(i + h) \times h$ for each gate, side by side, and the state, which flows back to them |
//! | attention | queries, keys and values, $d \times d$ each; two products of tokens, $T^2 d$ each; a matrix $d \times d$ |
//!
//! Normalisations and element-wise functions ($\varphi$) share the box of what they follow.
//!
//! **Use it** to show one block. **Not** for a whole network: fifty layers are fifty boxes below each other.
use super::count::{Layer, Network, Size, Window};
use crate::Error;

/// Half the height of a box, in rows.
const HALF: f64 = 0.4;
/// Half the width of a box, in columns.
const HALF_WIDTH: f64 = 0.45;
/// Width of a branch without layers, in columns.
const WIRE: f64 = 0.35;

/// A box.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "experiments", derive(serde::Serialize, serde::Deserialize))]
pub struct Part {
    /// What it computes, then what shares the box; the first word says most.
    pub words: Vec<String>,
    /// Its trainable parameters.
    pub parameters: u64,
    /// Its multiply-adds for one example.
    pub macs: u64,
    /// Its middle: columns to the right, rows down.
    pub at: (f64, f64),
}

/// Boxes and the path that draws them.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "experiments", derive(serde::Serialize, serde::Deserialize))]
pub struct Drawing {
    /// The boxes, from the input to the output.
    pub parts: Vec<Part>,
    /// One line through all of it, along every wire and around every box.
    pub path: Vec<(f64, f64)>,
    /// Where the size of the input stands, and that of the output.
    pub ends: [(f64, f64); 2],
    /// Columns; the first is from −½ to ½.
    pub columns: usize,
    /// Rows, those of input and output counted.
    pub rows: usize,
}

/// What a box says and costs.
#[derive(Clone, Debug, Default)]
struct Label {
    words: Vec<String>,
    parameters: u64,
    macs: u64,
}

impl Label {
    fn new(words: impl IntoIterator<Item = String>, parameters: usize, macs: usize) -> Self {
        Self { words: words.into_iter().collect(), parameters: parameters as u64, macs: macs as u64 }
    }
}

/// A box, or branches that meet again in one.
enum Piece {
    Box(Label),
    Fork { branches: Vec<Vec<Piece>>, join: Label, flows_back: bool },
}

impl Piece {
    fn width(&self) -> f64 {
        match self {
            Self::Box(_) => 1.0,
            Self::Fork { branches, .. } => branches.iter().map(|branch| width(branch)).sum::<f64>().max(1.0),
        }
    }

    fn rows(&self) -> usize {
        match self {
            Self::Box(_) => 1,
            Self::Fork { branches, .. } => deepest(branches) + 1,
        }
    }

    /// The box that what follows without weights belongs to.
    fn last(&mut self) -> &mut Label {
        match self {
            Self::Box(label) | Self::Fork { join: label, .. } => label,
        }
    }
}

fn width(branch: &[Piece]) -> f64 {
    branch.iter().map(Piece::width).fold(WIRE, f64::max)
}

fn rows(branch: &[Piece]) -> usize {
    branch.iter().map(Piece::rows).sum()
}

fn deepest(branches: &[Vec<Piece>]) -> usize {
    branches.iter().map(|branch| rows(branch)).max().unwrap_or(0).max(1)
}

impl Drawing {
    /// Draws a network from its description.
    ///
    /// # Errors
    /// Those of [`Network::cost`].
    ///
    /// # Examples
    /// ```
    /// use optim::architecture::{draw::Drawing, zoo};
    /// let network = zoo::mlp("reader", &[784, 30, 10]);
    /// let drawing = Drawing::of(&network)?;
    /// assert_eq!(drawing.parts.len(), 2);
    /// let drawn: u64 = drawing.parts.iter().map(|part| part.parameters).sum();
    /// assert_eq!(drawn, network.cost()?.parameters);
    /// # Ok::<(), optim::Error>(())
    /// ```
    pub fn of(network: &Network) -> Result<Self, Error> {
        let (pieces, _) = pieces(&network.layers, network.input)?;
        let columns = (width(&pieces).ceil() as usize).max(2);
        let rows = rows(&pieces) + 2;
        let centre = (columns as f64 - 1.0) / 2.0;
        let mut pen = Pen { parts: Vec::new(), path: vec![(centre, HALF)] };
        pen.sequence(&pieces, centre, 1);
        pen.path.push((centre, rows as f64 - 1.0 - HALF));
        let ends = [(centre, 0.0), (centre, rows as f64 - 1.0)];
        Ok(Self { parts: pen.parts, path: pen.path, ends, columns, rows })
    }
}

fn window(window: Window) -> String {
    let stride = if window.stride > 1 { format!(" / {}", window.stride) } else { String::new() };
    format!("{0}×{0}{stride}", window.kernel)
}

/// The layers as boxes, and the size behind them.
fn pieces(layers: &[Layer], mut size: Size) -> Result<(Vec<Piece>, Size), Error> {
    let mut pieces: Vec<Piece> = Vec::new();
    for layer in layers {
        let alone = Network { name: "", input: size, layers: vec![layer.clone()] };
        let (cost, out) = (alone.cost()?, alone.output()?);
        let whole =
            |words: Vec<String>| Piece::Box(Label { words, parameters: cost.parameters, macs: cost.macs });
        let shared = match layer {
            Layer::Norm => Some("norm"),
            Layer::Activation | Layer::InPlace => Some("φ"),
            Layer::Positions { .. } => Some("positions"),
            Layer::Segments { .. } => Some("segments"),
            Layer::Flatten => Some("flatten"),
            Layer::Time => Some("time"),
            _ => None,
        };
        match (shared, pieces.last_mut()) {
            (Some(word), Some(before)) => {
                let label = before.last();
                label.words.push(word.to_owned());
                label.parameters += cost.parameters;
            }
            (Some(word), None) => pieces.push(whole(vec![word.to_owned()])),
            (None, _) => pieces.extend(products(layer, size, out, whole)?),
        }
        size = out;
    }
    Ok((pieces, size))
}

/// A layer that has a box of its own, or several.
fn products(
    layer: &Layer,
    size: Size,
    out: Size,
    whole: impl Fn(Vec<String>) -> Piece,
) -> Result<Vec<Piece>, Error> {
    let features = |size: Size| match size {
        Size::Image(c, ..) => c,
        Size::Tokens(_, features) | Size::Vector(features) => features,
    };
    let inside = |branches: &[Vec<Layer>], word: &str| {
        let branches =
            branches.iter().map(|branch| Ok(pieces(branch, size)?.0)).collect::<Result<_, Error>>()?;
        Ok::<_, Error>(Piece::Fork { branches, join: Label::new([word.to_owned()], 0, 0), flows_back: false })
    };
    Ok(match (layer, size) {
        (Layer::Add(branches), _) => vec![inside(branches, "add")?],
        (Layer::Flow { evaluations, .. }, _) => {
            vec![whole(vec!["flow".to_owned(), format!("{evaluations} evaluations")])]
        }
        (Layer::Concat(branches), _) => vec![inside(branches, "join")?],
        (&Layer::Recurrent { hidden, gates }, Size::Tokens(steps, inputs)) => {
            let names: &[&str] = match gates {
                1 => &["new"],
                3 => &["reset", "update", "new"],
                4 => &["in", "forget", "new", "out"],
                _ => &[],
            };
            let gate = |k: usize| {
                let name = names.get(k).map_or_else(|| format!("gate {k}"), |name| (*name).to_owned());
                let weights = hidden * (inputs + hidden);
                let words = [name, format!("{}×{hidden}", inputs + hidden)];
                vec![Piece::Box(Label::new(words, weights + 2 * hidden, weights * steps))]
            };
            let join = Label::new(["state".to_owned(), hidden.to_string()], 0, 0);
            vec![Piece::Fork { branches: (0..gates).map(gate).collect(), join, flows_back: true }]
        }
        (Layer::Attention, Size::Tokens(tokens, d)) => {
            let matrix =
                |name: &str| Label::new([name.to_owned(), format!("{d}×{d}")], d * d + d, tokens * d * d);
            let product = |words: [&str; 2]| Label::new(words.map(str::to_owned), 0, tokens * tokens * d);
            let one = |name: &str| vec![Piece::Box(matrix(name))];
            let fork = |branches, join| Piece::Fork { branches, join, flows_back: false };
            let scores = fork(vec![one("queries"), one("keys")], product(["softmax", "q·k"]));
            vec![
                fork(vec![vec![scores], one("values")], product(["mean", "weighted"])),
                Piece::Box(matrix("output")),
            ]
        }
        (&Layer::Conv { out: maps, window: w, groups, .. }, _) => {
            let kind = match groups {
                1 => window(w),
                _ if groups == features(size) => format!("{} each", window(w)),
                _ => format!("{} in {groups}", window(w)),
            };
            vec![whole(vec![kind, maps.to_string()])]
        }
        (&Layer::Upconv { out: maps, factor }, _) => {
            vec![whole(vec![format!("up {factor}"), maps.to_string()])]
        }
        (&Layer::Pool(w), _) => vec![whole(vec![format!("pool {}", window(w))])],
        (&Layer::AdaptivePool(height, width), _) => vec![whole(vec![format!("pool to {height}×{width}")])],
        (Layer::GlobalMean, _) => vec![whole(vec!["mean".to_owned()])],
        (Layer::Embedding { vocabulary, features }, _) => {
            vec![whole(vec![format!("{vocabulary} vectors"), features.to_string()])]
        }
        (Layer::GraphConv { .. }, _) => {
            vec![whole(vec!["neighbours".to_owned(), format!("{}×{}", features(size), features(out))])]
        }
        _ => vec![whole(vec![format!("{}×{}", features(size), features(out))])],
    })
}

/// What is drawn so far.
struct Pen {
    parts: Vec<Part>,
    path: Vec<(f64, f64)>,
}

impl Pen {
    /// Goes to the box from above, around it, and ends at the middle of its lower side.
    fn outline(&mut self, label: &Label, (x, y): (f64, f64)) {
        let Label { words, parameters, macs } = label.clone();
        self.parts.push(Part { words, parameters, macs, at: (x, y) });
        let (left, right, top, bottom) = (x - HALF_WIDTH, x + HALF_WIDTH, y - HALF, y + HALF);
        let down = [(x, top), (left, top), (left, bottom), (x, bottom)];
        self.path.extend(down.into_iter().chain([(right, bottom), (right, top)]).chain(down));
    }

    /// Goes back over everything since point `from` of the path, to that point.
    fn back_to(&mut self, from: usize) {
        let again: Vec<_> = self.path[from..].iter().rev().skip(1).copied().collect();
        self.path.extend(again);
    }

    /// Draws boxes from this row on; the next free row.
    fn sequence(&mut self, pieces: &[Piece], centre: f64, mut row: usize) -> usize {
        for piece in pieces {
            match piece {
                Piece::Box(label) => self.outline(label, (centre, row as f64)),
                Piece::Fork { branches, join, flows_back } => {
                    let fork = self.path.len() - 1;
                    let (top, low) = (self.path[fork], (row + deepest(branches)) as f64);
                    let wide = branches.iter().map(|branch| width(branch)).sum::<f64>();
                    let mut left = centre - wide / 2.0;
                    for (i, branch) in branches.iter().enumerate() {
                        let middle = left + width(branch) / 2.0;
                        left += width(branch);
                        if !matches!(branch.first(), Some(Piece::Fork { .. })) {
                            self.path.push((middle, row as f64 - HALF));
                        }
                        self.sequence(branch, middle, row);
                        self.path.extend([(middle, low - 1.0 + HALF), (centre, low - HALF)]);
                        if i + 1 < branches.len() {
                            self.back_to(fork);
                        }
                    }
                    self.outline(join, (centre, low));
                    if *flows_back {
                        let (from, right) = (self.path.len() - 1, centre + wide / 2.0 - 0.01);
                        self.path.extend([(right, low + HALF), (right, top.1), top]);
                        self.back_to(from);
                    }
                }
            }
            row += piece.rows();
        }
        row
    }
}
