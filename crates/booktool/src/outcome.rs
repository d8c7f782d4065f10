//! What a check of the rendered book found.
use std::fmt;

/// Result of a check: a number of things that are right, and one line of text for each that is not.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Number of checks that passed.
    pub passed: usize,
    /// One line for each fault: page, rule, what was found.
    pub failed: Vec<String>,
    /// One line for each check that could not be made, with the reason and the remedy.
    pub skipped: Vec<String>,
}

impl Outcome {
    /// Counts one check: passed when it found nothing, otherwise every fault is a failure of its own.
    pub fn record(&mut self, faults: impl IntoIterator<Item = String>) {
        let before = self.failed.len();
        self.failed.extend(faults);
        self.passed += usize::from(self.failed.len() == before);
    }

    /// Both outcomes together, in this order.
    pub fn merge(mut self, other: Outcome) -> Outcome {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
        self
    }
}

/// The summary line, `12 passed, 1 failed, 0 skipped`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_with_two_faults_is_two_failures_and_no_pass() {
        let mut outcome = Outcome::default();
        outcome.record([]);
        outcome.record(["a".into(), "b".into()]);
        let skipped = Outcome { skipped: vec!["no browser".into()], ..Outcome::default() };
        assert_eq!(outcome.merge(skipped).to_string(), "1 passed, 2 failed, 1 skipped");
    }
}
