//! MD5 (Rivest 1992, RFC 1321), for the one set whose publisher states no other checksum.
//!
//! It finds damage; it does not protect from a forger.

/// The state of a sum over bytes that come in pieces.
#[derive(Clone, Debug)]
pub(crate) struct Md5 {
    state: [u32; 4],
    pending: Vec<u8>, // less than a block
    length: u64,
}

const BLOCK: usize = 64;
const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

impl Md5 {
    pub(crate) fn new() -> Self {
        Md5 { state: [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476], pending: Vec::new(), length: 0 }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.length = self.length.wrapping_add(bytes.len() as u64);
        self.pending.extend_from_slice(bytes);
        let whole = self.pending.len() / BLOCK * BLOCK;
        let (blocks, _) = self.pending[..whole].as_chunks::<BLOCK>();
        for block in blocks {
            self.state = compress(self.state, block);
        }
        self.pending.drain(..whole);
    }

    /// The sum, 32 lower-case hexadecimal digits.
    pub(crate) fn finish(mut self) -> String {
        let bits = self.length.wrapping_mul(8);
        let zeros = (2 * BLOCK - 9 - self.pending.len() % BLOCK) % BLOCK;
        self.update(&[0x80]);
        self.update(&vec![0; zeros]);
        self.update(&bits.to_le_bytes());
        self.state.iter().flat_map(|word| word.to_le_bytes()).map(|byte| format!("{byte:02x}")).collect()
    }
}

fn compress(state: [u32; 4], block: &[u8; BLOCK]) -> [u32; 4] {
    let (words, _) = block.as_chunks::<4>();
    let [mut a, mut b, mut c, mut d] = state;
    for step in 0..BLOCK {
        let (mix, word) = match step / 16 {
            0 => ((b & c) | (!b & d), step),
            1 => ((d & b) | (!d & c), 5 * step + 1),
            2 => (b ^ c ^ d, 3 * step + 5),
            _ => (c ^ (b | !d), 7 * step),
        };
        // ⌊2³² |sin(step + 1)|⌋ is exact in f64.
        let constant = (((step + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
        let sum =
            a.wrapping_add(mix).wrapping_add(constant).wrapping_add(u32::from_le_bytes(words[word % 16]));
        let rotated = sum.rotate_left(SHIFTS[step / 16][step % 4]);
        (a, d, c, b) = (d, c, b, b.wrapping_add(rotated));
    }
    let add = |i: usize, x: u32| state[i].wrapping_add(x);
    [add(0, a), add(1, b), add(2, c), add(3, d)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn md5(bytes: &[u8], piece: usize) -> String {
        let mut sum = Md5::new();
        bytes.chunks(piece).for_each(|piece| sum.update(piece));
        sum.finish()
    }

    #[test]
    fn sums_of_the_standard_in_pieces_of_any_size() {
        // RFC 1321, appendix A.5.
        for (text, want) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            for piece in [1, 7, 64, 100] {
                assert_eq!(md5(text.as_bytes(), piece), want);
            }
        }
        // Every length around the ends of blocks: the sums differ, and pieces do not matter.
        let zeros = [0; 130];
        let sums: std::collections::HashSet<String> = (50..130).map(|n| md5(&zeros[..n], 64)).collect();
        assert_eq!(sums.len(), 80);
        assert!((50..130).all(|n| md5(&zeros[..n], 64) == md5(&zeros[..n], 3)));
    }
}
