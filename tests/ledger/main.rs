//! The ledger by itself, over SQLite: what a start decides, and a model of its protocol.

mod model;
mod starts;
mod support;
