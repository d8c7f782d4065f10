//! # After a spike
//!
//! *By hand, then in code.* All gradients were 1, and so was the second moment $v$. Then comes a single gradient $C$,
//! and after it gradients of 1 again. How many steps does it take until $v \le 2$
//!
//! 1. in Adam, $v \leftarrow \beta_2 v + (1 - \beta_2)g^2$,
//! 2. in Yogi, $v \leftarrow v - (1 - \beta_2)\operatorname{sign}(v - g^2)\,g^2$, and
//! 3. in AMSGrad, which divides by the largest $v$ so far?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// Steps until v is back at 2 (Adam, Yogi), for a large spike.
    pub fn recovery(spike: f64, beta2: f64) -> (f64, f64) {
        todo!("one falls by a factor, the other by a difference")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Adam's $v$ jumps to $1 + (1 - \beta_2)(C^2 - 1)$, and what exceeds 1 shrinks by $\beta_2$ per step:
    //! $\ln\bigl((1 - \beta_2)(C^2 - 1)\bigr)/\ln(1/\beta_2)$ steps. Yogi's jumps to $1 + (1 - \beta_2)C^2$ and comes
    //! down by $1 - \beta_2$ per step: $C^2 - 1/(1 - \beta_2)$. AMSGrad never recovers. Reddi's counter-example lives
    //! from the first: Adam forgets a large gradient before the next one comes. The price of a memory is small steps
    //! long after an outlier that meant nothing.
    //!
    //! The usual mistake is to call Yogi and Adam the same up to a sign. Downwards Yogi is slower by far.

    // ANCHOR: solution
    /// Steps until v is back at 2 (Adam, Yogi), for a large spike.
    pub fn recovery(spike: f64, beta2: f64) -> (f64, f64) {
        let share = 1.0 - beta2;
        let adam = (share * (spike * spike - 1.0)).ln() / -beta2.ln();
        (adam, spike * spike - 1.0 / share)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;
    use layers::Step;
    use optim::optimizers::{AdamConfig, AmsGradConfig, Optim, Rule, YogiConfig};

    /// Steps after the spike until this slot is back at 2; none within 5000.
    fn counted<R: Rule>(rule: R, slot: &str, spike: f64) -> Option<usize> {
        let mut w: Tensor<Rank1<1>, f64, Cpu> = Cpu::default().zeros();
        let mut optimizer = Optim::try_new(&w, rule).unwrap();
        let name = optimizer.parameters()[0].name.clone();
        let mut gradients = Gradients::leaky();
        let mut v_after = |gradient: f64| {
            gradients.get_or_alloc_mut(&w).unwrap()[0] = gradient;
            optimizer.step(&mut w, &mut gradients).unwrap();
            optimizer.slot(slot, &name).unwrap()[0]
        };
        for _ in 0..3000 {
            v_after(1.0);
        }
        v_after(spike);
        (1..5000).find(|_| v_after(1.0) <= 2.0)
    }

    fn check(recovery: fn(f64, f64) -> (f64, f64)) {
        for (spike, beta2) in [(30.0, 0.99), (20.0, 0.98)] {
            let (adam, yogi) = recovery(spike, beta2);
            let seen = counted(AdamConfig { beta2, ..Default::default() }, "square", spike).unwrap() as f64;
            assert!((adam - seen).abs() < 2.0, "Adam: {adam} steps, counted {seen}");
            let seen = counted(YogiConfig { beta2, ..Default::default() }, "square", spike).unwrap() as f64;
            assert!((yogi - seen).abs() < 3.0, "Yogi: {yogi} steps, counted {seen}");
            let largest = AmsGradConfig { beta2, ..Default::default() };
            assert_eq!(counted(largest, "largest_square", spike), None);
        }
    }

    #[test]
    fn solution_counts_as_the_rules_do() {
        check(super::solution::recovery);
    }

    #[test]
    #[should_panic = "the other by a difference"]
    fn task_is_open() {
        check(super::task::recovery);
    }

    #[test]
    #[should_panic = "Yogi: "]
    fn yogi_does_not_fall_by_a_factor() {
        check(|spike, beta2| {
            let (adam, _) = super::solution::recovery(spike, beta2);
            (adam, adam)
        });
    }
}
