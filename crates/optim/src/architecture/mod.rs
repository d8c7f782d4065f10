//! Lecture 7: what an architecture costs, what a shortcut buys, and what a project proposal must say.
//!
//! | I want | module |
//! |---|---|
//! | parameters, multiply-adds, memory, receptive field of a description | [`count`] |
//! | boxes and wires of a description, each with its share of the cost | [`draw`] |
//! | the descriptions of the networks that the course names | [`zoo`] |
//! | shortcuts around layers | [`skip`] for a depth known at run time, [`blocks`] as dfdx modules |
//! | a deep residual network without normalisation | [`fixup`] |
//! | both sides of a rectifier | [`crelu`] |
//! | a proposal that refuses to be vague | [`proposal`] |
//!
//! For a built model: `layers::params::count`; for a type at compile time: `layers::Cost`.
//!
//! The memory of activations is counted as the outputs of all layers, an activation being a layer of its own, as in PyTorch.
//! Our modules compute an activation in the place of their output. So described, an allocator that counts finds the same,
//! to a tenth, between the forward and the backward pass of a network of dfdx:
//! ```standalone_crate
//! use layers::prelude::*;
//! use optim::architecture::count::{Layer, Network, Size};
//! use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
//!
//! #[global_allocator]
//! static COUNTING: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;
//!
//! type Net = (Linear<784, 512, Tanh>, Linear<512, 512, Tanh>, Linear<512, 10>);
//! let dev = Cpu::seed_from_u64(0);
//! let model = dev.build_module::<Net, f32>();
//! let x: Tensor<Rank2<128, 784>, f32, _> = dev.sample_normal();
//! let forward = || kernels::cross_entropy_mean(model.forward(x.leaky_trace()), &[3; 128]);
//! drop(forward()); // threads and their tables are there now
//! let before = Region::new(COUNTING);
//! let loss = forward();
//! let kept = before.change().bytes_allocated - before.change().bytes_deallocated;
//! let dense = |out| Layer::Dense { out, bias: true };
//! let layers = vec![dense(512), Layer::InPlace, dense(512), Layer::InPlace, dense(10)];
//! let network = Network { name: "reader", input: Size::Vector(784), layers };
//! let counted = 4 * 128 * network.cost()?.elements;
//! assert!((kept as f64 / counted as f64 - 1.0).abs() < 0.1, "kept {kept}, counted {counted}");
//! # drop(loss.backward());
//! # Ok::<(), optim::Error>(())
//! ```
pub mod blocks;
pub mod count;
pub mod crelu;
pub mod draw;
pub mod fixup;
pub mod proposal;
pub mod skip;
pub mod zoo;
