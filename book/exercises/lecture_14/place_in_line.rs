//! # A place in the line
//!
//! A file of VGG's weights calls a layer `features.N`, where $N$ counts everything in line: convolutions, activations,
//! pooling, and the normalisations if there are any. Our types say block and layer.
//!
//! Write $N$ for convolution `layer` of block `block`, both from 0. `blocks` is the number of convolutions of each block; a
//! block ends in a pooling.

/// What is to be written.
pub mod task {
    // ANCHOR: task
    /// The number of the convolution in torchvision's line.
    pub fn place(blocks: &[usize], is_normalised: bool, block: usize, layer: usize) -> usize {
        todo!("{blocks:?}, {is_normalised}, layer {layer} of block {block}")
    }
    // ANCHOR_END: task
}

pub mod solution {
    //! A convolution takes two places, itself and its activation, or three with a normalisation between. A block takes one
    //! more, for its pooling. So VGG-16's convolutions stand at 0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28.
    //!
    //! The usual mistake is to count layers with weights only. Such a file loads, as long as shapes agree, and layers trade
    //! places without a word: VGG has many of one shape.

    // ANCHOR: solution
    /// The number of the convolution in torchvision's line.
    pub fn place(blocks: &[usize], is_normalised: bool, block: usize, layer: usize) -> usize {
        let slots = if is_normalised { 3 } else { 2 };
        let before: usize = blocks[..block].iter().map(|layers| slots * layers + 1).sum();
        before + slots * layer
    }
    // ANCHOR_END: solution
}

#[cfg(test)]
mod tests {
    use convnets::torchvision::Layout;

    /// Names of all weights of a net of these blocks, as our types give them.
    fn ours(blocks: &[usize], is_normalised: bool) -> Vec<(String, usize, usize)> {
        let layers = blocks.iter().enumerate().flat_map(|(block, layers)| (0..*layers).map(move |i| (block, i)));
        let name = |(block, layer)| {
            let tensor = if is_normalised { "0.weight" } else { "weight" };
            (format!("0.{block}.{layer}.{tensor}"), block, layer)
        };
        layers.map(name).collect()
    }

    fn check(place: fn(&[usize], bool, usize, usize) -> usize) {
        for blocks in [&[1, 1, 2, 2, 2][..], &[2, 2, 3, 3, 3], &[2, 2, 4, 4, 4], &[3], &[1, 5]] {
            for is_normalised in [false, true] {
                let names = ours(blocks, is_normalised);
                let keys = Layout::Vgg.keys(names.iter().map(|(name, ..)| name.as_str()));
                for (name, block, layer) in &names {
                    let place = place(blocks, is_normalised, *block, *layer);
                    assert_eq!(keys[name], format!("features.{place}.weight"), "{blocks:?}: {name}");
                }
            }
        }
        let vgg16 = [2, 2, 3, 3, 3];
        let line: Vec<usize> =
            ours(&vgg16, false).iter().map(|(_, block, layer)| place(&vgg16, false, *block, *layer)).collect();
        assert_eq!(line, [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]);
    }

    #[test]
    fn solution_is_torchvisions_line() {
        check(super::solution::place);
    }

    #[test]
    #[should_panic(expected = "[1, 1, 2, 2, 2]: 0.1.0.weight")]
    fn what_has_no_weights_counts_as_well() {
        check(|blocks, _, block, layer| blocks[..block].iter().sum::<usize>() + layer);
    }

    #[test]
    #[should_panic(expected = "not yet implemented")]
    fn task_is_open() {
        check(super::task::place);
    }
}
