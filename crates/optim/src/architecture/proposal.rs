//! A project proposal as a type: it renders as Markdown, and refuses as long as it is vague.
//!
//! What must be there: a question, data with its licence and split, a metric, a baseline that has to be beaten, a model
//! with its cost, a budget, and a prediction that can turn out wrong. Risks and ablations may be none, but say so.
use std::fmt::Write;

use super::count::Network;
use crate::Error;

/// A proposal; every field starts empty.
#[derive(Clone, Debug, Default)]
pub struct Proposal {
    /// Title.
    pub title: String,
    /// What shall be found out, as one question.
    pub question: String,
    /// Which data, where from, under which licence.
    pub data: String,
    /// How it is split, and what the test set is used for: once, at the end.
    pub split: String,
    /// The number that decides.
    pub metric: String,
    /// What has to be beaten, with its number and its budget.
    pub baseline: String,
    /// What would be believed wrong afterwards, with a threshold: "accuracy at least 0.95 on the test set".
    pub prediction: String,
    /// The model.
    pub model: Option<Network>,
    /// Examples in the training set.
    pub examples: u64,
    /// Passes over them, seeds and settings that are tried: all runs together.
    pub epochs: u64,
    /// Examples in a minibatch.
    pub batch: u64,
    /// Multiply-adds that the machine makes in a second in this kind of work, measured.
    pub macs_per_second: f64,
    /// What may go wrong, and what then.
    pub risks: Vec<String>,
    /// What is left out one by one to see what mattered.
    pub ablations: Vec<String>,
}

impl Proposal {
    // ANCHOR: render
    /// The proposal as Markdown, with the cost of the model and the time that training takes.
    ///
    /// # Errors
    /// [`Error::Incomplete`] for the first field without which nothing could be decided; [`Error::DoesNotFit`] for a
    /// model that does not fit together.
    pub fn render(&self) -> Result<String, Error> {
        for (field, text, remedy) in [
            ("a title", &self.title, "name it"),
            ("a question", &self.question, "write one sentence that ends in a question mark"),
            ("data", &self.data, "say where they come from and under which licence"),
            ("a split", &self.split, "say what trains, what chooses, what tests"),
            ("a metric", &self.metric, "name the number that decides"),
            ("a baseline", &self.baseline, "name what has to be beaten, tuned with the same budget"),
            ("a prediction", &self.prediction, "say which result would prove you wrong, with a threshold"),
        ] {
            if text.trim().is_empty() {
                return Err(Error::Incomplete { field, remedy });
            }
        }
        if !self.prediction.contains(|c: char| c.is_ascii_digit()) {
            let remedy = "put a number into it; without one it cannot turn out wrong";
            return Err(Error::Incomplete { field: "a threshold in the prediction", remedy });
        }
        let Some(model) = &self.model else {
            return Err(Error::Incomplete { field: "a model", remedy: "describe its layers" });
        };
        let is_positive = self.macs_per_second.is_finite() && self.macs_per_second > 0.0;
        if [self.examples, self.epochs, self.batch].contains(&0) || !is_positive {
            let remedy = "give examples, epochs, batch and measured multiply-adds per second";
            return Err(Error::Incomplete { field: "a budget", remedy });
        }
        self.write(model)
    }
    // ANCHOR_END: render

    /// Hours that all training takes: three times the forward pass.
    ///
    /// # Errors
    /// Those of [`Network::cost`].
    pub fn hours(&self, model: &Network) -> Result<f64, Error> {
        let macs = 3.0 * model.cost()?.macs as f64 * self.examples as f64 * self.epochs as f64;
        Ok(macs / self.macs_per_second / 3600.0)
    }

    fn write(&self, model: &Network) -> Result<String, Error> {
        let cost = model.cost()?;
        let mut text = format!("# {}\n", self.title);
        let mut section = |name: &str, body: &str| {
            let _ = write!(text, "\n## {name}\n\n{body}\n"); // a String takes everything
        };
        section("Question", &self.question);
        section("Prediction", &self.prediction);
        section("Data", &format!("{}\n\nSplit: {}", self.data, self.split));
        section("Metric and baseline", &format!("{}, against {}", self.metric, self.baseline));
        section(
            "Model",
            &format!(
                "{}: {} parameters, {} multiply-adds for an example.",
                model.name, cost.parameters, cost.macs
            ),
        );
        section(
            "Budget",
            &format!(
                "{} examples, {} passes in all runs: {:.2} hours; {:.1} MB to train a batch of {} with Adam.",
                self.examples,
                self.epochs,
                self.hours(model)?,
                cost.training_bytes(self.batch, 2) as f64 / 1e6,
                self.batch
            ),
        );
        section("Risks", &list(&self.risks));
        section("Ablations", &list(&self.ablations));
        Ok(text)
    }
}

fn list(items: &[String]) -> String {
    if items.is_empty() {
        return "None that we know of.".to_owned();
    }
    items.iter().map(|item| format!("- {item}")).collect::<Vec<_>>().join("\n")
}
