//! Fast operations on dfdx tensors that dfdx 0.13 lacks or does slowly, with backward on its own tape.
