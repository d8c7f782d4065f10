//! # A proposal for the digits
//!
//! Fill in a proposal that asks whether a small convolutional network reads the digits of 8 × 8 pixels (`datasets::digits`,
//! split by writers: 1437 train, 360 test) better than five nearest neighbours do. It must render; the model must have at
//! most 10,000 parameters; and all training, a choice of settings on a part of the training digits and five seeds included,
//! must fit into half an hour at $10^9$ multiply-adds per second. *Open:* carry it out, and find out whether your
//! prediction was wrong.

/// What is to be written.
pub mod task {
    use optim::architecture::proposal::Proposal;

    // ANCHOR: task
    /// The proposal.
    pub fn proposal() -> Proposal {
        todo!("what would prove you wrong?")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! The budget decides: 68,352 multiply-adds for a digit, three times that to train, and 1437 digits take less than a
    //! third of a second for a pass, so half an hour is 6000 passes. Nine settings of 100 passes each and five seeds of 200
    //! take a third of it.
    //!
    //! The usual mistake is to count the five seeds and to forget the settings that were tried before. The next one is to
    //! choose among them by the 360 test digits, after which these measure nothing.

    use optim::architecture::count::{Layer, Network, Size, Window};
    use optim::architecture::proposal::Proposal;

    // ANCHOR: solution
    /// The proposal.
    pub fn proposal() -> Proposal {
        let conv = |out, stride| Layer::Conv {
            out,
            window: Window::new(3, stride, 1),
            groups: 1,
            bias: true,
        };
        let layers = vec![
            conv(16, 1),
            Layer::Activation,
            conv(24, 2),
            Layer::Activation,
            Layer::Flatten,
            Layer::Dense { out: 10, bias: true },
        ];
        let model = Network { name: "two convolutions", input: Size::Image(1, 8, 8), layers };
        Proposal {
            title: "Do two convolutions read digits better than neighbours?".into(),
            question: "Is a shift of a pixel what nearest neighbours fail at?".into(),
            data: "datasets::digits, 1797 images of 8 × 8 pixels, CC BY 4.0".into(),
            split: "by writers: 1437 train, the last 200 of them choose, 360 test once".into(),
            metric: "accuracy on the 360 test digits, mean of 5 seeds".into(),
            baseline: "five nearest neighbours on the same pixels and split".into(),
            prediction: "at least 1 point more than the neighbours; \
                         after shifts of a pixel at least 5"
                .into(),
            model: Some(model),
            examples: 1437,
            epochs: 9 * 100 + 5 * 200,
            batch: 32,
            macs_per_second: 1e9,
            risks: vec!["360 digits are few: a point is 4 digits, so all seeds are shown".into()],
            ablations: vec!["the second convolution without its stride".into()],
        }
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use optim::Error;
    use optim::architecture::count::Size;
    use optim::architecture::proposal::Proposal;

    fn check(proposal: fn() -> Proposal) {
        let proposal = proposal();
        let text = proposal.render().unwrap();
        assert!(text.contains("## Prediction") && text.contains("## Budget"), "{text}");
        let model = proposal.model.as_ref().unwrap();
        assert_eq!((model.input, model.output().unwrap()), (Size::Image(1, 8, 8), Size::Vector(10)));
        assert!(model.cost().unwrap().parameters <= 10_000);
        assert_eq!((proposal.examples, proposal.macs_per_second), (1437, 1e9));
        assert!(proposal.hours(model).unwrap() <= 0.5);
        // Each of the three without which nothing could be decided is needed.
        let clear: [fn(&mut Proposal); 3] =
            [|p| p.baseline.clear(), |p| p.metric.clear(), |p| p.prediction = "better".into()];
        for clear in clear {
            let mut vague = proposal.clone();
            clear(&mut vague);
            assert!(matches!(vague.render(), Err(Error::Incomplete { .. })));
        }
    }

    #[test]
    fn solution_can_be_decided() {
        check(super::solution::proposal);
    }

    #[test]
    #[should_panic = "hours(model)"]
    fn settings_cost_as_well() {
        check(|| Proposal { epochs: 9 * 1000 + 5 * 200, ..super::solution::proposal() });
    }

    #[test]
    #[should_panic = "prove you wrong"]
    fn task_is_open() {
        check(super::task::proposal);
    }
}
