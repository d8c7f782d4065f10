//! One place where the instruction set is chosen, at run time.
//!
//! A loop nest is a [`Body`]. [`simd`] holds one copy of it per level, compiled for that level's instructions, and
//! runs the best one that this processor has; the compiler vectorises each copy by itself. All levels give the same
//! bits: loops use `mul_add`, which every level rounds once, and never leave the order of additions to the compiler.
#![allow(unsafe_code)]
use std::sync::OnceLock;

/// A loop nest that is compiled once per instruction set. Give `run` and all it calls `#[inline(always)]`; a part
/// of some thousand elements is one body.
pub trait Body {
    /// What the loops return.
    type Out;
    /// The loops.
    fn run(self) -> Self::Out;
}

/// Instruction sets that have their own copy of every loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What the target promises: SSE2 on x86-64, NEON on aarch64.
    Plain,
    /// AVX2 and FMA (x86-64-v3).
    V3,
    /// AVX-512 (x86-64-v4).
    V4,
}

/// The best level of this processor.
pub fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        {
            macro_rules! has { ($($feature:tt),*) => { $(is_x86_feature_detected!($feature))&&* } }
            if has!("avx512f", "avx512vl", "avx512bw", "avx512dq", "avx2", "fma") {
                return Level::V4;
            }
            if has!("avx2", "fma") {
                return Level::V3;
            }
        }
        Level::Plain
    })
}

/// Runs a body at the best level.
pub fn simd<B: Body>(body: B) -> B::Out {
    at_level(level(), body)
}

/// Runs a body at `wanted`, or at the best level if the processor lacks that one.
pub fn at_level<B: Body>(wanted: Level, body: B) -> B::Out {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn v3<B: Body>(body: B) -> B::Out {
            body.run()
        }
        #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
        fn v4<B: Body>(body: B) -> B::Out {
            body.run()
        }
        match wanted.min(level()) {
            // SAFETY: `level` has asked the processor for exactly these features. Test `levels_agree`.
            Level::V4 => return unsafe { v4(body) },
            // SAFETY: as above.
            Level::V3 => return unsafe { v3(body) },
            Level::Plain => (),
        }
    }
    let _ = wanted;
    body.run()
}

/// Asks the processor to bring the elements `from..from + n` of `x` into its nearest cache, some hundred bytes of them:
/// for loops that know which of distant rows they read next. A hint: it changes no value, and does nothing where there is
/// no such range or no such instruction.
#[inline(always)]
pub fn prefetch<E>(x: &[E], from: usize, n: usize) {
    /// What one line of a cache holds, and how many of them are asked for; what follows the hardware foresees by itself.
    const LINE: usize = 64;
    const MOST: usize = 8;
    let Some(row) = from.checked_add(n).and_then(|end| x.get(from..end)) else { return };
    let lines = (0..size_of_val(row).min(MOST * LINE)).step_by(LINE);
    #[cfg(target_arch = "x86_64")]
    for at in lines {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the address lies in `row`, and the instruction neither reads nor writes. Test `a_hint_changes_nothing`.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(row.as_ptr().cast::<i8>().add(at)) }
    }
    #[cfg(target_arch = "aarch64")]
    for at in lines {
        // SAFETY: as above; the assembly touches no register, flag or stack.
        unsafe {
            std::arch::asm!(
                "prfm pldl1keep, [{}]",
                in(reg) row.as_ptr().cast::<u8>().add(at),
                options(nostack, preserves_flags, readonly)
            );
        }
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    drop(lines);
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::loops::{lane_dot, lane_max, lane_sum};
    use crate::math;

    /// Every function of `math` and every reduction, folded into one number each.
    struct All<'a>(&'a [f32], &'a [f32]);
    impl Body for All<'_> {
        type Out = [u32; 4];
        #[inline(always)]
        fn run(self) -> [u32; 4] {
            let mut bits = 0_u32;
            for &x in self.0 {
                let [distribution, density] = math::normal(x);
                let [sin, cos] = math::sin_cos_turns(x.abs() / 16.0);
                let unary = [math::exp(x), math::expm1(x), math::tanh(x), math::sigmoid(x), math::ln(x)];
                let other = [math::ln_1p(x.abs() / 16.0), distribution, density, sin, cos];
                for y in unary.into_iter().chain(other) {
                    // A NaN has no sign that is promised.
                    bits = bits.rotate_left(1) ^ if y.is_nan() { 1 } else { y.to_bits() };
                }
            }
            [lane_sum(self.0).to_bits(), lane_dot(self.0, self.1).to_bits(), lane_max(self.1).to_bits(), bits]
        }
    }

    /// Neither the elements nor those beside them, whatever is asked for.
    #[test]
    fn a_hint_changes_nothing() {
        let x: Vec<u8> = (0..=255).collect();
        for (from, n) in
            [(0, 256), (0, 0), (256, 0), (255, 1), (3, 70), (200, 57), (usize::MAX, 2), (7, usize::MAX)]
        {
            prefetch(&x[..], from, n);
            prefetch(&x[1..1], from, n);
        }
        assert!(x.iter().enumerate().all(|(i, &x)| i == usize::from(x)));
    }

    #[test]
    fn levels_agree() {
        let x: Vec<f32> = (0..1003).map(|i| ((i * 7919) % 1009) as f32 / 50.0 - 10.0).collect();
        let y: Vec<f32> = x.iter().rev().copied().collect();
        let want = at_level(Level::Plain, All(&x, &y));
        for level in [Level::V3, Level::V4] {
            assert_eq!(
                at_level(level, All(&x, &y)),
                want,
                "{level:?} (this processor has {:?})",
                super::level()
            );
        }
    }
}
