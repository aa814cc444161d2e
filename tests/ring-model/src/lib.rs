//! The product's ring, compiled with loom's threads and atomics.

pub mod model;

#[path = "../../../src/ring/mod.rs"]
pub mod ring;
