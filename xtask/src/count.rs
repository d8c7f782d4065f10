//! Reads the closing lines of test runners.

/// How many checks passed, failed and were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
}

impl Count {
    pub fn add(&mut self, other: Count) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    pub fn total(&self) -> u64 {
        self.passed + self.failed + self.skipped
    }
}

/// The counts on a closing line: rustc's `test result: ok. 3 passed; 0 failed; 1 ignored; …` or our own
/// `3 passed, 0 failed, 1 skipped`. Any other line gives `None`.
pub fn closing_line(line: &str) -> Option<Count> {
    let line = line.trim();
    let counts = match line.strip_prefix("test result: ") {
        Some(rest) => rest.split_once(". ")?.1,
        None if line.starts_with(|c: char| c.is_ascii_digit()) => line,
        None => return None,
    };
    let mut count = Count::default();
    let mut named = 0;
    for piece in counts.split([',', ';']) {
        let Some((number, what)) = piece.trim().split_once(' ') else { continue };
        let target = match what {
            "passed" => &mut count.passed,
            "failed" => &mut count.failed,
            "ignored" | "skipped" => &mut count.skipped,
            _ => continue,
        };
        *target = number.parse().ok()?;
        named += 1;
    }
    (named >= 2).then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rustc_and_our_own_closing_lines() {
        let rustc = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.1s";
        assert_eq!(closing_line(rustc), Some(Count { passed: 12, failed: 2, skipped: 1 }));
        let ours = "40 passed, 0 failed, 3 skipped";
        assert_eq!(closing_line(ours), Some(Count { passed: 40, failed: 0, skipped: 3 }));
        assert_eq!(closing_line("5 passed, 1 failed"), Some(Count { passed: 5, failed: 1, skipped: 0 }));
    }

    #[test]
    fn leaves_other_lines_alone() {
        for line in [
            "test count::tests::reads ... ok",
            "running 3 tests",
            "3 passed the door",
            "",
            "claims: 4 listed",
        ] {
            assert_eq!(closing_line(line), None, "{line}");
        }
    }
}
