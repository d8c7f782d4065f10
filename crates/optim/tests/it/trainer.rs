//! The hand-written network and the dfdx module, trained by the course's trainer, end with the same weights.
use datasets::{Batches, digits};
use lab::{Lab, Trainer};
use layers::prelude::*;
use layers::{assert_close, params};
use nalgebra::SVector;
use optim::nielsen::{Example, Network, SigmoidModel, quadratic_cost};

#[test]
fn both_ways_of_training_give_the_same_weights() {
    const EPOCHS: u64 = 4;
    let images = digits().by_writer().train.select(0..400);
    let mut lab = Lab::quiet();
    let seed = lab.seeds(1)[0];
    let batches = Batches::new(images.len(), 10, seed.value());
    let start = Network::<64, 30, 10>::new(&mut seed.key("weights").rng());

    let mut by_hand = start.clone();
    let example = |i: usize| {
        let pixels = images.pixels(i).iter().map(|&level| f64::from(level) / 16.0);
        Example::labelled(SVector::from_iterator(pixels), images.label(i)).unwrap()
    };
    let examples: Vec<Example<64, 10>> = (0..images.len()).map(example).collect();
    for epoch in 0..EPOCHS {
        for batch in batches.epoch(epoch) {
            by_hand.update_mini_batch(batch.iter().map(|&i| &examples[i]), 3.0).unwrap();
        }
    }

    let dev = Cpu::default();
    type Model = SigmoidModel<64, 30, 10, f64, Cpu>;
    let mut model: Model = start.to_model(&dev).unwrap();
    let config = SgdConfig { learning_rate: 3.0, ..SgdConfig::default() };
    let mut optimizer = Sgd::try_new(&model, config).unwrap();
    let mut loss = |model: &mut Model, batch: &Vec<usize>, _: kernels::random::Key, gradients| {
        let outputs = model.forward_mut(images.flat_batch(batch, &dev).traced(gradients));
        quadratic_cost(outputs, images.one_hot(batch, &dev)).map_err(lab::Error::unit)
    };
    let trainer = Trainer::new("digits", EPOCHS, batches, seed.key("steps"));
    let history = trainer.run(&mut lab, &mut model, &mut optimizer, &mut loss).unwrap();
    assert!(history.epochs[3].loss < 0.7 * history.epochs[0].loss, "{history:?}"); // it does learn

    // The way from the start, since the start itself is most of the weights. Observed after 160 steps: 1e-15.
    let moved = |network: &Network<64, 30, 10>| -> Vec<f64> {
        let pairs = network.parameters().zip(start.parameters());
        pairs.map(|(after, before)| after - before).collect()
    };
    assert_close!(moved(&Network::from_model(&model)), moved(&by_hand), 1e-13);
    assert_eq!(params::count(&model), by_hand.parameters().count());
}
