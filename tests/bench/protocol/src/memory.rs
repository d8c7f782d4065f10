//! How much memory this process uses, as Linux counts it; zeros elsewhere.

/// Bytes in the line `key` of /proc/self/status.
pub(crate) fn bytes(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| 1024 * kib)
}

/// Forgets the largest size so far. Where that is not possible the peak is that of the whole life.
pub(crate) fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The largest size since the reset without code and files, in bytes above `before`.
pub(crate) fn peak_above(before: u64) -> u64 {
    bytes("VmHWM").saturating_sub(bytes("RssFile") + before)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_peak_remembers_what_was_freed() {
        reset_peak();
        let before = bytes("RssAnon");
        drop(std::hint::black_box(vec![1_u8; 64 << 20]));
        let peak = peak_above(before);
        assert!((60 << 20..100 << 20).contains(&peak), "{peak}");
    }
}
