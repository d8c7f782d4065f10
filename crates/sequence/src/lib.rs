//! Lectures 15 and 16: networks that read in order, and networks that attend.
//!
//! **Not built yet.** This crate holds no code; the table lists what it will hold, one module per row.
//!
//! | lecture | paper or method |
//! |---|---|
//! | 15 | Vanilla RNN, BPTT |
//! | 15 | LSTM |
//! | 15 | GRU |
//! | 15 | word2vec: skip-gram, CBOW, negative sampling, hierarchical softmax |
//! | 15 | Bahdanau attention |
//! | 15 | Luong attention (global, local, 3 scores) |
//! | 15 | seq2seq, beam search, BLEU on real pairs |
//! | 15 | RNN theory: BPTT truncation, spectral radius, echo state, Reber/adding tasks |
//! | 16 | Transformer (2017) |
//! | 16 | GPT-2 with BPE, training and sampling |
//! | 16 | GPT-3: in-context learning, scaling study |
//! | 16 | Music generation (MuseNet) |
//! | 16 | Attention in all its forms, side by side; attention maps |
//! | 16 | Next-token demo (terminal and page) |
#![forbid(unsafe_code)]
