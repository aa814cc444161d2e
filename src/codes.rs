//! The stable codes of rejects: what `fastload explain` knows and reject files carry.
//!
//! A code keeps its meaning for ever; new reasons get new numbers. 0301 to 0309: the grammar of
//! the dialect; 0311 to 0339: values; 0351 to 0369: what the database refused; 0371 to 0379: what
//! records are to each other.

use crate::record::{Fault, Malformed, RejectClass};

/// One reason for a reject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `FL-` and four digits.
    pub code: &'static str,
    /// The reason in one line.
    pub text: &'static str,
    /// What helps, with the flag; empty where only the data can be changed.
    pub help: &'static str,
}

/// Every code, in ascending order.
pub const CODES: &[Code] = &[
    BARE_QUOTE,
    TEXT_AFTER_QUOTE,
    UNTERMINATED_QUOTE,
    RECORD_TOO_LONG,
    TOO_FEW_FIELDS,
    TOO_MANY_FIELDS,
    SYNTAX,
    OUT_OF_RANGE,
    INTEGER_DIGITS,
    FRACTION_DIGITS,
    NOT_IN_CALENDAR,
    TOO_LONG,
    FIELD_TOO_LONG,
    ENCODING,
    NUL_BYTE,
    NULL,
    QUOTED_EMPTY,
    NOT_EXACT,
    DB_CONSTRAINT,
    DB_DUPLICATE,
    DB_NULL,
    DB_CONVERSION,
    DB_RANGE,
    DB_LENGTH,
    DB_ENCODING,
    DB_OTHER,
    SAME_KEY,
];

const fn code(code: &'static str, text: &'static str, help: &'static str) -> Code {
    Code { code, text, help }
}

const BARE_QUOTE: Code = code(
    "FL-0301",
    "a quote stands inside a field that does not begin with one",
    "`--bare-quote literal` takes it as an ordinary character, `--quote none` all quotes",
);
const TEXT_AFTER_QUOTE: Code = code(
    "FL-0302",
    "text follows a closing quote before the next delimiter",
    "a quote inside quotes is doubled, or escaped with `--escape`; `--quote none` gives quotes no \
     meaning",
);
const UNTERMINATED_QUOTE: Code = code(
    "FL-0303",
    "a quoted field is not closed before the end of the file",
    "`--quote none` gives quotes no meaning",
);
const RECORD_TOO_LONG: Code = code(
    "FL-0304",
    "the record is longer than the longest that is accepted",
    "`--max-record-bytes` raises the limit; a quote that is never closed looks the same",
);
const TOO_FEW_FIELDS: Code =
    code("FL-0305", "the record has too few fields", "`--fields pad` takes missing fields as NULL");
const TOO_MANY_FIELDS: Code = code(
    "FL-0306",
    "the record has too many fields",
    "`--fields truncate` drops the extra ones; `--trailing-delimiter` expects a delimiter at the \
     end of each record",
);
const SYNTAX: Code = code(
    "FL-0311",
    "the text is not a value of the column's type",
    "`--null-value` names texts that mean NULL, `--trim` drops blanks, `--date-format`, \
     `--time-format` and `--timestamp-format` say how dates are written",
);
const OUT_OF_RANGE: Code = code(
    "FL-0312",
    "the number is outside the range of the column's type",
    "a wider type in `--schema` or in the table holds it",
);
const INTEGER_DIGITS: Code = code(
    "FL-0313",
    "the decimal has more digits before the point than the column",
    "a larger precision in `--schema` or in the table holds it",
);
const FRACTION_DIGITS: Code = code(
    "FL-0314",
    "the value has more digits after the point than the column",
    "a larger scale in `--schema` or in the table holds it; nothing is rounded",
);
const NOT_IN_CALENDAR: Code = code(
    "FL-0315",
    "the date or time does not exist",
    "`--null-value` names texts that mean NULL (0000-00-00); `--date-format` says in which order \
     year, month and day stand",
);
const TOO_LONG: Code = code(
    "FL-0316",
    "the value is longer than the column",
    "a longer column in `--schema` or in the table holds it; nothing is cut",
);
const FIELD_TOO_LONG: Code = code(
    "FL-0317",
    "the field is longer than the longest that is accepted",
    "`--max-field-bytes` raises the limit",
);
const ENCODING: Code = code(
    "FL-0318",
    "the text is not valid in the encoding of the file",
    "`--encoding latin1` or `--encoding windows-1252` reads older files",
);
const NUL_BYTE: Code =
    code("FL-0319", "the text holds a NUL byte, which the target cannot store in text", "");
const NULL: Code = code(
    "FL-0320",
    "the column does not take NULL",
    "an unquoted empty field is NULL; `--const column=value` fills a column with one value",
);
const QUOTED_EMPTY: Code = code(
    "FL-0321",
    "a quoted empty text is no value of the column's type",
    "`--empty-as-null` takes it as NULL",
);
const NOT_EXACT: Code = code(
    "FL-0322",
    "the column would not give the value back unchanged",
    "a table made by `--create` keeps every value",
);
const DB_CONSTRAINT: Code = code("FL-0351", "the database refused the row for a constraint", "");
const DB_DUPLICATE: Code = code(
    "FL-0352",
    "the database refused the row for a key that the table already holds",
    "`--mode truncate` empties the table before the load",
);
const DB_NULL: Code = code(
    "FL-0353",
    "the database refused NULL in a column",
    "`--const column=value` fills a column with one value",
);
const DB_CONVERSION: Code =
    code("FL-0354", "the database could not convert a value to the column's type", "");
const DB_RANGE: Code = code(
    "FL-0355",
    "the target column cannot hold a value exactly",
    "a table made by `--create` keeps every value",
);
const DB_LENGTH: Code = code("FL-0356", "the database refused a value as too long", "");
const DB_ENCODING: Code =
    code("FL-0357", "the database could not store a text in its encoding", "");
const DB_OTHER: Code = code("FL-0358", "the database refused the row", "");

const SAME_KEY: Code = code(
    "FL-0371",
    "another record of the inputs has the same key",
    "`--duplicates` says which one counts: reject, skip (the first) or last",
);

impl Code {
    /// The code of a record whose key another one has too.
    #[must_use]
    pub const fn same_key() -> Self {
        SAME_KEY
    }

    /// The code of a record that breaks the grammar.
    #[must_use]
    pub const fn of_malformed(what: Malformed) -> Self {
        match what {
            Malformed::BareQuote => BARE_QUOTE,
            Malformed::TextAfterQuote => TEXT_AFTER_QUOTE,
            Malformed::UnterminatedQuote => UNTERMINATED_QUOTE,
            Malformed::RecordTooLong => RECORD_TOO_LONG,
            Malformed::TooFewFields => TOO_FEW_FIELDS,
            Malformed::TooManyFields => TOO_MANY_FIELDS,
        }
    }

    /// The code of a field that does not fit its column.
    #[must_use]
    pub const fn of_fault(what: Fault) -> Self {
        match what {
            Fault::Syntax => SYNTAX,
            Fault::OutOfRange => OUT_OF_RANGE,
            Fault::TooManyIntegerDigits => INTEGER_DIGITS,
            Fault::TooManyFractionDigits => FRACTION_DIGITS,
            Fault::NotInCalendar => NOT_IN_CALENDAR,
            Fault::TooLong => TOO_LONG,
            Fault::FieldTooLong => FIELD_TOO_LONG,
            Fault::Encoding => ENCODING,
            Fault::NulByte => NUL_BYTE,
            Fault::Null => NULL,
            Fault::QuotedEmpty => QUOTED_EMPTY,
            Fault::NotExact => NOT_EXACT,
        }
    }

    /// The code of a row that the target refused with this class.
    #[must_use]
    pub const fn of_refused_row(class: RejectClass) -> Self {
        match class {
            RejectClass::Constraint => DB_CONSTRAINT,
            RejectClass::Duplicate => DB_DUPLICATE,
            RejectClass::Null => DB_NULL,
            RejectClass::Conversion => DB_CONVERSION,
            RejectClass::Range => DB_RANGE,
            RejectClass::Length => DB_LENGTH,
            RejectClass::Encoding => DB_ENCODING,
            // A row has the grammar and the fields of its table behind it.
            RejectClass::Malformed | RejectClass::FieldCount | RejectClass::Other => DB_OTHER,
        }
    }

    /// The code by its name, in either case, with or without `FL-`.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_uppercase();
        let digits = name.strip_prefix("FL-").unwrap_or(&name);
        CODES.iter().find(|code| code.code.strip_prefix("FL-") == Some(digits)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_texts_are_one_line() {
        assert!(CODES.windows(2).all(|pair| pair[0].code < pair[1].code));
        for code in CODES {
            assert_eq!(code.code.len(), 7);
            assert!(!code.text.is_empty() && !code.text.contains('\n'));
            assert!(!code.help.contains('\n'));
        }
    }

    #[test]
    fn every_reason_has_a_code_that_can_be_explained() {
        let malformed = [
            Malformed::BareQuote,
            Malformed::TextAfterQuote,
            Malformed::UnterminatedQuote,
            Malformed::RecordTooLong,
            Malformed::TooFewFields,
            Malformed::TooManyFields,
        ];
        let faults = [
            Fault::Syntax,
            Fault::OutOfRange,
            Fault::TooManyIntegerDigits,
            Fault::TooManyFractionDigits,
            Fault::NotInCalendar,
            Fault::TooLong,
            Fault::FieldTooLong,
            Fault::Encoding,
            Fault::NulByte,
            Fault::Null,
            Fault::QuotedEmpty,
            Fault::NotExact,
        ];
        let mut seen: Vec<_> = malformed.map(Code::of_malformed).to_vec();
        seen.extend(faults.map(Code::of_fault));
        seen.push(Code::same_key());
        seen.extend(RejectClass::ALL[2..].iter().map(|&class| Code::of_refused_row(class)));
        assert!(seen.iter().all(|code| Code::find(code.code) == Some(*code)));
        seen.sort_by_key(|code| code.code);
        seen.dedup();
        assert_eq!(seen.len(), CODES.len(), "a code without a reason");
    }

    #[test]
    fn codes_are_found_as_people_write_them() {
        assert_eq!(Code::find("fl-0301"), Some(BARE_QUOTE));
        assert_eq!(Code::find(" 0301"), Some(BARE_QUOTE));
        assert_eq!(Code::find("FL-9999"), None);
        assert_eq!(Code::find(""), None);
    }
}
