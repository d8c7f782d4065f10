//! The weights in the crate are what its writers make of them. That the book's page has the same bytes is tested beside
//! the code.
use convnets::pretrained::{LeNet, Pretrained, rounding};
use layers::params;
use layers::prelude::*;

type Built = <LeNet as BuildOnDevice<Cpu, f32>>::Built;

/// The file of a model, with the words in the header of the network's own.
fn written(network: Pretrained, model: &Built) -> Vec<u8> {
    let (_, header) = safetensors::SafeTensors::read_metadata(network.bytes()).unwrap();
    let about = header.metadata().as_ref().and_then(|entries| entries.get("about")).unwrap();
    rounding::save(model, about).unwrap()
}

/// Rounding what was rounded changes nothing: the largest weight of an output is 127 steps again.
#[test]
fn shipped_weights_are_written_as_they_were_read() {
    for network in Pretrained::ALL {
        let model: Built = network.build(&Cpu::default()).unwrap();
        let (file, again) = (network.bytes(), written(network, &model));
        let differs = file.iter().zip(&again).position(|(a, b)| a != b);
        assert_eq!((again.len(), differs), (file.len(), None), "{}", network.name());
    }
}

/// The format that does not round keeps every bit: written, read and written again, the weights are the same bytes.
#[test]
fn shipped_weights_survive_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["first.safetensors", "second.safetensors"].map(|name| folder.path().join(name));
    for network in Pretrained::ALL {
        let dev = Cpu::seed_from_u64(1);
        let model: Built = network.build(&dev).unwrap();
        layers::save(&model, &paths[0]).unwrap();
        let mut copy = dev.build_module::<LeNet, f32>();
        assert_ne!(params::flatten(&copy), params::flatten(&model));
        layers::load(&mut copy, &paths[0]).unwrap();
        layers::save(&copy, &paths[1]).unwrap();
        let [first, second] = [0, 1].map(|i| std::fs::read(&paths[i]).unwrap());
        assert!(first == second, "{}: {} and {} bytes", network.name(), first.len(), second.len());
        assert!(written(network, &copy) == network.bytes(), "{}", network.name());
    }
}
