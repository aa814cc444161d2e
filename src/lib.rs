//! Bulk loading of delimited files into databases.

pub mod arena;
pub mod cli;
pub mod codes;
pub mod config;
pub mod dialect;
pub mod engine;
pub mod error;
pub mod generate;
pub mod infer;
pub mod input;
pub mod limits;
pub mod parse;
pub mod record;
pub mod rejects;
pub mod report;
pub mod ring;
pub mod sink;
pub mod split;
