//! The program as its users meet it: the real binary, real files, real databases, and everything
//! that goes wrong around them.

mod bench;
mod changing;
mod columns;
mod config;
mod databases;
mod exit_codes;
mod identifiers;
mod inputs;
mod json;
mod rate;
mod restart;
mod support;
mod ways;
