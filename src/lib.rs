//! Bulk loading of delimited files into databases.

pub mod arena;
pub mod cli;
pub mod config;
pub mod dialect;
pub mod error;
pub mod infer;
pub mod input;
pub mod limits;
pub mod parse;
pub mod record;
pub mod report;
pub mod ring;
pub mod sample;
pub mod sink;
