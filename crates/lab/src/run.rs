//! What an experiment holds while it runs.
use crate::Device;

/// One independent repetition of an experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seed(u64);

impl Seed {
    /// The number, for results and for `Batches`.
    pub fn value(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Seeds, device and record of one run.
#[derive(Debug)]
pub struct Lab {
    device: Device,
    first_seed: u64,
    seeds: Vec<u64>,
}

impl Lab {
    /// A lab that prints and writes nothing, for tests and examples; seeds count from 0.
    pub fn quiet() -> Self {
        Self { device: Device::Cpu, first_seed: 0, seeds: Vec::new() }
    }

    /// Where to compute.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The next `count` seeds, counted from `--seed`; the result file lists them.
    pub fn seeds(&mut self, count: usize) -> Vec<Seed> {
        let seeds: Vec<u64> = (self.first_seed..).take(count).collect();
        self.seeds.clone_from(&seeds);
        seeds.into_iter().map(Seed).collect()
    }
}
