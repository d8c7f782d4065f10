//! Files of weights with damage: a typed error or another number, never a panic, and never a model half loaded.
use crate::numbers;
use convnets::pretrained::{Pretrained, rounding};
use convnets::resnet::Basic;
use convnets::torchvision::{Layout, load, save};
use layers::prelude::*;
use proptest::prelude::*;
use proptest::sample::Index;
use std::error::Error;

/// One thing that may have happened to a file. Most of them in the first `header` bytes: there is what can be
/// misunderstood.
#[derive(Clone, Debug)]
enum Damage {
    Bit { at: Index, bit: u8 },
    HeaderByte { at: Index, byte: u8 },
    HeaderLength(u64),
    Cut(Index),
    Inserted { at: Index, bytes: Vec<u8> },
    Removed { at: Index, count: usize },
}

fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let one = prop_oneof![
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Damage::Bit { at, bit }),
        // Digits, quotes, brackets and commas keep the header JSON more often than others.
        (
            any::<Index>(),
            prop_oneof![Just(b'0'), Just(b'9'), Just(b'"'), Just(b'['), Just(b','), any::<u8>()]
        )
            .prop_map(|(at, byte)| Damage::HeaderByte { at, byte }),
        prop_oneof![0..4096_u64, any::<u64>()].prop_map(Damage::HeaderLength),
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..20))
            .prop_map(|(at, bytes)| Damage::Inserted { at, bytes }),
        (any::<Index>(), 1..40_usize).prop_map(|(at, count)| Damage::Removed { at, count }),
    ];
    prop::collection::vec(one, 1..4)
}

fn damaged(bytes: &[u8], what: &[Damage]) -> Vec<u8> {
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut bytes = bytes.to_vec();
    for damage in what {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match damage {
            Damage::Bit { at, bit } => bytes[at.index(length)] ^= 1 << bit,
            Damage::HeaderByte { at, byte } => bytes[at.index(header.min(length))] = *byte,
            Damage::HeaderLength(n) => {
                bytes[..8.min(length)].copy_from_slice(&n.to_le_bytes()[..8.min(length)])
            }
            Damage::Cut(at) => bytes.truncate(at.index(length)),
            Damage::Inserted { at, bytes: more } => {
                let at = at.index(length);
                bytes.splice(at..at, more.iter().copied());
            }
            Damage::Removed { at, count } => {
                let at = at.index(length);
                bytes.drain(at..length.min(at + count));
            }
        }
    }
    bytes
}

/// A message in one line, and a cause under it where there is one.
fn is_plain(error: &dyn Error) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.to_string().is_empty() || error.to_string().contains('\n') {
            return false;
        }
        cause = error.source();
    }
    true
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn damaged_torchvision_files_change_nothing(what in damage()) {
        type Net =
            ((UnbiasedConv2D<3, 2, 3>, BatchNorm2D<2, Relu>), (Basic<2>, Repeated<Basic<2>, 1>));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resnet.safetensors");
        save(&Cpu::seed_from_u64(1).build_module::<Net, f32>(), Layout::ResNet, &path).unwrap();
        let bytes = damaged(&std::fs::read(&path).unwrap(), &what);
        std::fs::write(&path, bytes).unwrap();
        let mut model = Cpu::seed_from_u64(2).build_module::<Net, f32>();
        let before = numbers(&model);
        match load(&mut model, Layout::ResNet, &path) {
            Err(error) => {
                prop_assert!(numbers(&model) == before, "{error}");
                prop_assert!(is_plain(&error), "{error:?}");
            }
            // The damage was among the numbers.
            Ok(()) => prop_assert!(numbers(&model).names().eq(before.names())),
        }
    }

    #[test]
    fn damaged_pretrained_weights_change_nothing(what in damage(), which in 0..2_usize) {
        type Head = (Flatten, Linear<4, 3>);
        let dev = Cpu::seed_from_u64(1);
        let small = rounding::save(&dev.build_module::<Head, f32>(), "a head").unwrap();
        let mut head = dev.build_module::<Head, f32>();
        let before = numbers(&head);
        match rounding::load(&mut head, &damaged(&small, &what)) {
            Err(error) => {
                prop_assert!(numbers(&head) == before, "{error}");
                prop_assert!(is_plain(&error), "{error:?}");
            }
            Ok(()) => prop_assert!(numbers(&head).names().eq(before.names())),
        }
        // The files of this crate do not fit another network, damaged or not.
        let shipped = damaged(Pretrained::ALL[which].bytes(), &what);
        prop_assert!(rounding::load(&mut head, &shipped).is_err());
    }
}
