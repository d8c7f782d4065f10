//! # Win one, lose one
//!
//! *Open, with a fixed end.* Points $0, 1, \dots, 5$ on a line; the labels of $0, 2, 4$ are shown. Over all 64
//! labellings every learner is wrong on half of the unseen points. So for each labelling on which you beat the
//! nearest neighbour you must pay elsewhere.
//!
//! Write a learner that is right on all unseen points of the labelling *true exactly at the odd points*, where
//! the nearest neighbour is wrong on all of them. Where does it pay?

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// An answer for `point` after the examples `(point, label)`.
    pub fn learner(examples: &[(f64, bool)], point: f64) -> bool {
        todo!("{} examples, and what about {point}?", examples.len())
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! Answer the opposite of the nearest example. On labellings that alternate this is always right and the
    //! nearest neighbour always wrong; on labellings that are constant it is the other way round. In general
    //! its error is $1 - e$ where the neighbour's is $e$, on the same labelling, so both have mean $\tfrac12$:
    //! what it wins on one labelling it loses on the one with the unseen labels flipped.
    //!
    //! The usual mistake is to look for a *better* learner. There is none without a statement about which
    //! labellings occur. The nearest neighbour's statement is "near points are alike", and this learner's is
    //! "near points differ".

    // ANCHOR: solution
    use optim::learning::no_free_lunch::nearest_neighbour;

    /// An answer for `point` after the examples `(point, label)`.
    pub fn learner(examples: &[(f64, bool)], point: f64) -> bool {
        !nearest_neighbour(examples, point)
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::learning::no_free_lunch::{enumerate, majority, nearest_neighbour};

    /// Labels true at 1, 3, 5.
    const ODD: usize = 0b101010;

    fn check(learner: fn(&[(f64, bool)], f64) -> bool) {
        let train = [0, 2, 4];
        let neighbour = enumerate(&nearest_neighbour, 6, &train).unwrap();
        let errors = enumerate(&learner, 6, &train).unwrap();
        assert_eq!(neighbour[ODD], 1.0);
        assert_eq!(errors[ODD], 0.0, "wrong at the odd points");
        // The complement on the unseen points: no label true.
        assert_eq!(errors[0], 1.0, "it must pay where the unseen labels are flipped");
        assert_eq!(errors.iter().sum::<f64>() / 64.0, 0.5);
    }

    #[test]
    fn solution_wins_and_pays() {
        check(super::solution::learner);
    }

    #[test]
    #[should_panic = "3 examples"]
    fn task_is_open() {
        check(super::task::learner);
    }

    #[test]
    #[should_panic = "wrong at the odd points"]
    fn the_majority_does_not_win() {
        check(majority);
    }
}
