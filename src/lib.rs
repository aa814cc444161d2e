//! Bulk loading of delimited files into databases.

pub mod arena;
pub mod codes;
pub mod config;
pub mod engine;
pub mod error;
pub mod generate;
pub mod input;
pub mod limits;
pub mod parse;
pub mod record;
pub mod rejects;
pub mod report;
pub mod ring;
pub mod sink;
pub mod split;
