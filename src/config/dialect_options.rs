//! What the user said about the dialect: every part optional, the rest comes from a preset or
//! from the sniffer.

use super::dialect::{BareQuote, Encoding, FieldsRule, Terminator};
use super::setting::Preset;

/// Dialect flags as given; `None` means "not said".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DialectOptions {
    /// `--dialect`.
    pub preset: Option<Preset>,
    /// `--delimiter`.
    pub delimiter: Option<Vec<u8>>,
    /// `--quote`; the inner `None` is `--quote none`.
    pub quote: Option<Option<u8>>,
    /// `--escape`.
    pub escape: Option<Option<u8>>,
    /// `--double-quote`.
    pub double_quote: Option<bool>,
    /// `--header`, `--no-header`.
    pub header: Option<bool>,
    /// `--skip-lines`.
    pub skip_lines: Option<u64>,
    /// `--comment`.
    pub comment: Option<Option<u8>>,
    /// `--eol`.
    pub eol: Option<Terminator>,
    /// `--encoding`.
    pub encoding: Option<Encoding>,
    /// `--null-value`, each.
    pub null_values: Vec<Vec<u8>>,
    /// `--trim`.
    pub trim: Option<bool>,
    /// `--trailing-delimiter`.
    pub trailing_delimiter: Option<bool>,
    /// `--bare-quote`.
    pub bare_quote: Option<BareQuote>,
    /// `--fields`.
    pub fields: Option<FieldsRule>,
    /// `--max-record-bytes`.
    pub max_record_bytes: Option<usize>,
    /// `--max-field-bytes`.
    pub max_field_bytes: Option<usize>,
}
