//! Which known word was meant.

/// The known word with the fewest edits from `given`, if it needs at most a third of its letters (at least 2).
pub fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let (distance, word) = known.iter().map(|k| (edits(given, k), *k)).min_by_key(|(d, _)| *d)?;
    (distance <= (word.chars().count() / 3).max(2)).then_some(word)
}

/// Levenshtein distance: insertions, deletions and substitutions; O(|a|·|b|) time, O(|b|) space.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_of_textbook_pairs() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("same", "same"), 0);
    }

    #[test]
    fn a_slip_finds_its_word_and_nonsense_finds_none() {
        let known = ["serve", "test-all", "test"];
        assert_eq!(nearest("sevre", &known), Some("serve"));
        assert_eq!(nearest("testall", &known), Some("test-all"));
        assert_eq!(nearest("xylophone", &known), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
