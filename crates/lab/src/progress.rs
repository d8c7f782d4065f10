//! Progress on standard error: a bar on a terminal, a plain line now and then in a pipe.
use std::time::{Duration, Instant};

/// How progress is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Not at all.
    #[default]
    Silent,
    /// A line at most once a second.
    Lines,
    /// A bar that is drawn over itself.
    #[cfg(feature = "cli")]
    Bar,
}

impl Progress {
    /// A bar when standard error is a terminal, lines otherwise.
    pub fn detect() -> Self {
        #[cfg(feature = "cli")]
        if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
            return Self::Bar;
        }
        Self::Lines
    }
}

const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// Draws progress and remembers when it last did.
#[derive(Debug)]
pub(crate) struct Reporter {
    style: Progress,
    name: String,
    started: Instant,
    last_line: Option<Instant>,
    #[cfg(feature = "cli")]
    bar: Option<(String, indicatif::ProgressBar)>,
}

impl Reporter {
    pub(crate) fn new(style: Progress, name: &str) -> Self {
        Self {
            style,
            name: name.to_string(),
            started: Instant::now(),
            last_line: None,
            #[cfg(feature = "cli")]
            bar: None,
        }
    }

    /// `done` of `total` parts of the piece of work called `label` are finished.
    pub(crate) fn report(&mut self, label: &str, done: u64, total: u64, loss: Option<f64>) {
        match self.style {
            Progress::Silent => {}
            Progress::Lines => {
                let now = Instant::now();
                let is_due = self.last_line.is_none_or(|last| now - last >= BETWEEN_LINES);
                if is_due {
                    self.last_line = Some(now);
                    eprintln!("{}", line(&self.name, label, done, total, loss, now - self.started));
                }
            }
            #[cfg(feature = "cli")]
            Progress::Bar => {
                let is_same = self.bar.as_ref().is_some_and(|(current, _)| current == label);
                if !is_same {
                    self.finish();
                    let template = "{prefix} {bar:30} {percent:>3} % · {msg}{elapsed}, {eta} left";
                    let style = indicatif::ProgressStyle::with_template(template)
                        .expect("the template is a constant and parses");
                    let bar = indicatif::ProgressBar::new(total).with_style(style);
                    bar.set_prefix(format!("{} {label}", self.name));
                    self.bar = Some((label.to_string(), bar));
                }
                if let Some((_, bar)) = &self.bar {
                    bar.set_length(total);
                    bar.set_position(done);
                    bar.set_message(loss.map_or(String::new(), |loss| format!("loss {loss:.4} · ")));
                }
            }
        }
    }

    /// A sentence of its own, such as the place where a run is resumed.
    pub(crate) fn say(&mut self, sentence: &str) {
        match self.style {
            Progress::Silent => {}
            Progress::Lines => eprintln!("{}: {sentence}", self.name),
            #[cfg(feature = "cli")]
            Progress::Bar => {
                self.finish();
                eprintln!("{}: {sentence}", self.name);
            }
        }
    }

    /// Leaves the last state of a bar on the screen.
    pub(crate) fn finish(&mut self) {
        #[cfg(feature = "cli")]
        if let Some((_, bar)) = self.bar.take() {
            bar.abandon();
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.finish();
    }
}

fn line(name: &str, label: &str, done: u64, total: u64, loss: Option<f64>, elapsed: Duration) -> String {
    let percent = 100 * u128::from(done.min(total)) / u128::from(total.max(1));
    let loss = loss.map_or(String::new(), |loss| format!(", loss {loss:.4}"));
    format!("{name} {label}: {percent} %{loss}, {:.1} s", elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_percent_loss_and_time() {
        let text = line("digits", "seed 0", 3, 8, Some(0.12345), Duration::from_millis(1500));
        assert_eq!(text, "digits seed 0: 37 %, loss 0.1235, 1.5 s");
        assert_eq!(line("digits", "seed 0", 0, 0, None, Duration::ZERO), "digits seed 0: 0 %, 0.0 s");
        assert!(line("d", "s", u64::MAX, u64::MAX, None, Duration::ZERO).contains("100 %"));
    }
}
