//! The course's real data, embedded or on disk: loaders, splits, batches, checksums.
#![forbid(unsafe_code)]
