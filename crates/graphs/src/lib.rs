//! Lectures 17, 18 and 23: networks on graphs, from message passing to molecules.
//!
//! **Not built yet.** This crate holds no code; the table lists what it will hold, one module per row.
//!
//! | lecture | paper or method |
//! |---|---|
//! | 17 | Message-passing framework |
//! | 17 | GCN |
//! | 17 | GraphSAGE with neighbour sampling |
//! | 17 | GIN |
//! | 17 | Weisfeiler-Lehman test and kernel |
//! | 18 | ChebNet |
//! | 18 | Graph Fourier transform, spectral filters |
//! | 18 | Graph wavelet network (GWNN) |
//! | 18 | Diffusion wavelets (Coifman & Maggioni) |
//! | 18 | Graph scattering autoencoder |
//! | 18 | Learnable scattering (LEGS) |
//! | 23 | PinSAGE |
//! | 23 | Molecular property prediction |
//! | 23 | Graph network simulator (GNS) |
//! | 23 | Drug discovery: SMILES to graph, virtual screening |
#![forbid(unsafe_code)]
