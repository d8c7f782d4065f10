//! What the numbers were taken on, and how busy it was.
use std::time::Duration;

/// Threads of every side.
pub(crate) const THREADS: usize = 2;

/// Busy cores above which a run is not called valid: PyTorch's barriers become many times slower as soon as another
/// process takes a core.
pub(crate) const MOST_LOAD: f64 = 0.3;

/// How long the load is measured.
const WINDOW: Duration = Duration::from_secs(3);

/// Cores that are busy now, on average over three seconds; `None` where nobody counts them.
///
/// Not the system's load average: that remembers the minute in which this benchmark was compiled.
pub(crate) fn load() -> Option<f64> {
    let (busy, all) = ticks()?;
    std::thread::sleep(WINDOW);
    let (busy_then, all_then) = ticks()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Some(cores as f64 * (busy_then - busy) as f64 / (all_then - all).max(1) as f64)
}

/// Ticks of all cores that were not idle, and all, since the start.
fn ticks() -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    busy_and_all(stat.lines().next()?)
}

/// The two sums of a line `cpu user nice system idle iowait irq softirq steal ...`.
fn busy_and_all(line: &str) -> Option<(u64, u64)> {
    let ticks: Vec<u64> = line.split_whitespace().skip(1).take(8).map_while(|t| t.parse().ok()).collect();
    let idle = ticks.get(3)? + ticks.get(4)?;
    let all = ticks.iter().sum::<u64>();
    Some((all - idle, all))
}

/// Processor and instruction sets in a few words.
pub(crate) fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field =
        |key: &str| info.lines().find(|line| line.starts_with(key)).and_then(|line| line.split_once(": "));
    let model = field("model name").map_or(std::env::consts::ARCH, |(_, model)| model);
    let flags = field("flags").map_or("", |(_, flags)| flags);
    let has = |flag: &str| flags.split(' ').any(|f| f == flag);
    let instructions = match (has("avx512f"), has("avx2")) {
        (true, _) => ", AVX-512",
        (_, true) => ", AVX2",
        _ => "",
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model}{instructions}, {cores} cores")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_waiting_are_not_busy() {
        assert_eq!(busy_and_all("cpu  10 1 5 100 7 2 3 4 50 0"), Some((25, 132)));
        assert_eq!(busy_and_all("cpu 1 2"), None);
    }
}
