//! Which cases there are, and what a person means by a name.
//!
//! A name is `CASE` for a training step and `CASE/SIZE` for everything else. Both sides build the same case under the
//! same name: ours in `ours/`, PyTorch's in `tests/peers/torch/`.

/// Which table a case belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// Whole training steps.
    Steps,
    /// One operation, with its backward pass where it has one.
    Operations,
    /// One step of each rule of lecture 8, and conjugate gradients.
    Updates,
    /// One model or operation at sizes that grow.
    Growth,
    /// The same numbers found in several ways of ours: what an idea of a lecture gains over the plain way.
    Ways,
}

impl Group {
    /// All of them, in the order in which they run.
    pub(crate) const ALL: [Self; 5] =
        [Self::Steps, Self::Operations, Self::Updates, Self::Growth, Self::Ways];

    /// What a person types, and the end of the result's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Operations => "operations",
            Self::Updates => "updates",
            Self::Growth => "growth",
            Self::Ways => "ways",
        }
    }

    /// The group of a case.
    pub(crate) fn of(case: &str) -> Self {
        match case.split_once('/') {
            None => Self::Steps,
            Some((family, _)) if GROWING.iter().any(|growing| growing.family == family) => Self::Growth,
            Some((rule, _)) if UPDATES.contains(&rule) => Self::Updates,
            Some(_) if WAYS.iter().any(|way| way.case == case) => Self::Ways,
            Some(_) => Self::Operations,
        }
    }
}

/// The training steps that the closing line speaks of.
pub(crate) const STEPS: &[&str] = &[
    "mlp",
    "mlp-small",
    "lenet",
    "resnet20",
    "unet",
    "vae",
    "wgan-gp",
    "ntk",
    "lstm",
    "transformer-block",
    "gpt",
    "gcn",
    "graphsage",
    "neural-ode",
];

/// The largest share of PyTorch's time that each training step is meant to take.
pub(crate) const GOALS: &[(&str, f64)] = &[
    ("mlp", 0.50),
    ("mlp-small", 0.06),
    ("lenet", 0.60),
    ("resnet20", 0.80),
    ("unet", 0.85),
    ("vae", 0.60),
    ("wgan-gp", 0.50),
    ("ntk", 0.70),
    ("lstm", 0.80),
    ("transformer-block", 0.85),
    ("gpt", 0.90),
    ("gcn", 0.50),
    ("graphsage", 0.70),
    ("neural-ode", 0.10),
];

/// The same of a step of Adam on a million weights beside PyTorch's fused one, of the perceptron beside PyTorch's with
/// fused Adam, and of Adam beside dfdx's.
pub(crate) const FUSED_GOALS: &[(&str, &str, f64)] =
    &[("adam/1m", "fused", 1.3), ("mlp", "fused", 0.90), ("adam/1m", "dfdx", 1.0 / 3.0)];

/// The rules of [`Group::Updates`]: what stands before the slash. Adam itself is among the operations.
pub(crate) const UPDATES: &[&str] = &[
    "sgd",
    "heavy-ball",
    "nesterov",
    "adagrad",
    "rmsprop",
    "adadelta",
    "adamw",
    "amsgrad",
    "adamax",
    "nadam",
    "radam",
    "rprop",
    "asgd",
    "adafactor",
    "conjugate-gradients",
];

/// A family of cases whose size grows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growing {
    /// What stands before the slash; the size stands behind it.
    pub(crate) family: &'static str,
    /// What grows.
    pub(crate) what: &'static str,
    /// The exponent of the time that the arithmetic alone asks for.
    pub(crate) exponent: f64,
}

/// The families of [`Group::Growth`].
pub(crate) const GROWING: &[Growing] = &[
    Growing { family: "batch", what: "batch of a 64-64-1 network", exponent: 1.0 },
    Growing { family: "width", what: "width of a w-w-1 network, batch 64", exponent: 2.0 },
    Growing { family: "attention", what: "length of causal attention", exponent: 2.0 },
    Growing { family: "edges", what: "edges and nodes of a graph, SpMM of 16 features", exponent: 1.0 },
    Growing { family: "density", what: "edges between a million nodes, the same SpMM", exponent: 1.0 },
];

/// One way to the numbers of a case of [`Group::Ways`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Described {
    /// The case.
    pub(crate) case: &'static str,
    /// What it computes.
    pub(crate) what: &'static str,
    /// The side that goes this way.
    pub(crate) side: &'static str,
    /// How it does.
    pub(crate) how: &'static str,
    /// How often it has to, until everything that the first way finds at once is found.
    pub(crate) passes: u32,
}

const fn way([case, what, side, how]: [&'static str; 4], passes: u32) -> Described {
    Described { case, what, side, how, passes }
}

const GRADIENT: &str = "gradient of a 784-100-10 network, batch 32";
const CHAIN: &str = "derivative through a million operations";
const TEN: &str = "training step of a 784-30-10 network, batch 10";
const HUNDRED: &str = "the same, batch 100";

/// The ways of [`Group::Ways`], ours first in each case.
pub(crate) const WAYS: &[Described] = &[
    way(["gradient/784-100-10", GRADIENT, "ours", "dfdx's tape, our kernels"], 1),
    way(["gradient/784-100-10", GRADIENT, "graph", "tape of matrices"], 1),
    way(["gradient/784-100-10", GRADIENT, "duals", "dual numbers"], 79_510),
    way(["chain/1m", CHAIN, "ours", "tape of numbers"], 1),
    way(["chain/1m", CHAIN, "duals", "dual numbers"], 1),
    way(["minibatch/10", TEN, "ours", "examples as rows of a matrix"], 1),
    way(["minibatch/10", TEN, "loop", "one example after the other"], 1),
    way(["minibatch/100", HUNDRED, "ours", "examples as rows of a matrix"], 1),
    way(["minibatch/100", HUNDRED, "loop", "one example after the other"], 1),
];

/// The cases that `wanted` selects: a case, everything before a slash, or the name of a group; all without a word.
///
/// # Errors
/// The first word that selects nothing.
pub(crate) fn select(known: &[String], wanted: &[String]) -> Result<Vec<String>, String> {
    let fits = |case: &str, word: &str| {
        case == word
            || Group::of(case).name() == word
            || case.split_once('/').is_some_and(|(family, _)| family == word)
    };
    if let Some(word) = wanted.iter().find(|word| !known.iter().any(|case| fits(case, word))) {
        return Err(word.clone());
    }
    let mut chosen: Vec<String> = known
        .iter()
        .filter(|case| wanted.is_empty() || wanted.iter().any(|word| fits(case, word)))
        .cloned()
        .collect();
    chosen.sort_by_key(|case| Group::of(case)); // stable: within a group the order of the list
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<String> {
        ["exp/10k", "exp/1m", "batch/16", "mlp", "mlp-small"].map(str::to_owned).to_vec()
    }

    fn selected(words: &[&str]) -> Result<Vec<String>, String> {
        select(&known(), &words.iter().map(|word| word.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn words_select_cases_families_and_groups() {
        assert_eq!(selected(&["mlp"]).unwrap(), ["mlp"]);
        assert_eq!(selected(&["exp"]).unwrap(), ["exp/10k", "exp/1m"]);
        assert_eq!(selected(&["exp/1m", "steps"]).unwrap(), ["mlp", "mlp-small", "exp/1m"]);
        assert_eq!(selected(&[]).unwrap(), ["mlp", "mlp-small", "exp/10k", "exp/1m", "batch/16"]);
    }

    #[test]
    fn a_word_that_selects_nothing_is_named() {
        assert_eq!(selected(&["mlp", "expo"]), Err("expo".into()));
    }
}
