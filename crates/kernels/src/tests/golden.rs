//! Values from PyTorch in f64, beside their generator in `tests/golden`.
