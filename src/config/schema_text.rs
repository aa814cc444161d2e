//! Reads the text of `--schema`: `name TYPE [NOT NULL], …`, or a whole `CREATE TABLE` statement.
//!
//! The types are those of SQL:2023 part 2 that a delimited file can feed, with the aliases that
//! Db2, PostgreSQL, MariaDB and SQLite users write. What the text says besides columns and types
//! (keys, checks, defaults) concerns the database, not the values of a file: column constraints
//! other than `NOT NULL`, `NULL`, `PRIMARY KEY` and `GENERATED` are refused rather than dropped.

use std::fmt;

use super::schema::{Column, LengthUnit, SqlType, TextLength};
use crate::limits::DECIMAL_DIGITS;

/// Where and why a schema text is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError {
    /// Line from 1.
    pub line: usize,
    /// Column in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "schema, line {}, column {}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for SchemaError {}

/// Parses a schema text into columns, in their order.
///
/// A length without a unit counts characters, as the SQL standard has it; `(20 OCTETS)` and
/// `(20 BYTES)` count bytes, `(20 CODEUNITS32)` and `(20 CHAR)` characters. Names are taken as
/// written, without folding to one case.
///
/// # Errors
/// [`SchemaError`] at the first word that does not fit.
pub fn parse_schema(text: &str) -> Result<Vec<Column>, SchemaError> {
    let mut parser = Parser { text, tokens: tokenize(text)?, at: 0 };
    parser.schema()
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Number(u64),
    Symbol(char),
}

#[derive(Debug, Clone)]
struct Placed {
    token: Token,
    byte: usize,
}

fn error_at(text: &str, byte: usize, message: impl Into<String>) -> SchemaError {
    let before = &text[..byte];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    SchemaError {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message: message.into(),
    }
}

fn tokenize(text: &str) -> Result<Vec<Placed>, SchemaError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let byte = text.len() - rest.len();
        let Some(first) = rest.chars().next() else {
            return Ok(tokens);
        };
        let (token, length) = match first {
            '-' if rest.starts_with("--") => {
                rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
                continue;
            }
            '"' | '`' => {
                let Some((name, length)) = quoted_name(rest, first) else {
                    return Err(error_at(text, byte, "a quoted name without its closing quote"));
                };
                (Token::Quoted(name), length)
            }
            '0'..='9' => {
                let end = word_end(rest);
                let Ok(number) = rest[..end].parse() else {
                    let message = format!("`{}` is neither a name nor a number", &rest[..end]);
                    return Err(error_at(text, byte, message));
                };
                (Token::Number(number), end)
            }
            _ if is_word(first) => {
                let end = word_end(rest);
                (Token::Word(rest[..end].to_owned()), end)
            }
            '(' | ')' | ',' | '.' | ';' => (Token::Symbol(first), 1),
            other => {
                let message = format!("unexpected character {other:?}");
                return Err(error_at(text, byte, message));
            }
        };
        tokens.push(Placed { token, byte });
        rest = &rest[length..];
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '#' | '@')
}

fn word_end(rest: &str) -> usize {
    rest.find(|c| !is_word(c)).unwrap_or(rest.len())
}

/// The name inside quotes, with doubled quotes resolved, and the bytes it takes in the text.
fn quoted_name(rest: &str, quote: char) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != quote {
            name.push(c);
        } else if chars.peek().is_some_and(|&(_, next)| next == quote) {
            name.push(quote);
            chars.next();
        } else {
            return Some((name, at + quote.len_utf8()));
        }
    }
    None
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|placed| &placed.token)
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, SchemaError> {
        let byte = self.tokens.get(self.at).map_or(self.text.len(), |p| p.byte);
        Err(error_at(self.text, byte, message))
    }

    /// The error at the token that was taken last.
    fn error_before<T>(&self, message: impl Into<String>) -> Result<T, SchemaError> {
        let byte = self.tokens[self.at.saturating_sub(1)].byte;
        Err(error_at(self.text, byte, message))
    }

    fn take_symbol(&mut self, symbol: char) -> bool {
        let found = self.peek() == Some(&Token::Symbol(symbol));
        self.at += usize::from(found);
        found
    }

    fn take_words(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(ahead, word)| {
            matches!(
                self.tokens.get(self.at + ahead).map(|p| &p.token),
                Some(Token::Word(given)) if given.eq_ignore_ascii_case(word)
            )
        });
        if found {
            self.at += words.len();
        }
        found
    }

    fn schema(&mut self) -> Result<Vec<Column>, SchemaError> {
        let statement = self.create_table()?;
        let mut columns: Vec<Column> = Vec::new();
        loop {
            let column = self.column()?;
            if columns.iter().any(|known| known.name == column.name) {
                return self.error_before(format!("column `{}` stands twice", column.name));
            }
            columns.push(column);
            if self.take_symbol(',') {
                continue;
            }
            if statement && !self.take_symbol(')') {
                return self.error("expected `,` or `)`");
            }
            self.take_symbol(';');
            return match self.peek() {
                None => Ok(columns),
                Some(_) if statement => self.error("text after the closing `)` is not understood"),
                Some(_) => self.error("expected `,` and the next column"),
            };
        }
    }

    /// Skips `CREATE TABLE [IF NOT EXISTS] name (`; whether it was there.
    fn create_table(&mut self) -> Result<bool, SchemaError> {
        if !self.take_words(&["create"]) {
            return Ok(false);
        }
        if !self.take_words(&["table"]) {
            return self.error("expected TABLE after CREATE");
        }
        self.take_words(&["if", "not", "exists"]);
        loop {
            self.name("a table name")?;
            if !self.take_symbol('.') {
                break;
            }
        }
        if !self.take_symbol('(') {
            return self.error("expected `(` after the table name");
        }
        Ok(true)
    }

    fn name(&mut self, what: &str) -> Result<String, SchemaError> {
        let name = match self.peek() {
            Some(Token::Word(name) | Token::Quoted(name)) if !name.is_empty() => name.clone(),
            Some(Token::Quoted(_)) => return self.error("a name must not be empty"),
            _ => return self.error(format!("expected {what}")),
        };
        self.at += 1;
        Ok(name)
    }

    fn column(&mut self) -> Result<Column, SchemaError> {
        let name = self.name("a column name")?;
        let ty = self.sql_type(&name)?;
        let mut column = Column { name, ty, nullable: true, generated: false };
        loop {
            if self.take_words(&["not", "null"]) || self.take_words(&["primary", "key"]) {
                column.nullable = false;
            } else if self.take_words(&["null"]) {
                column.nullable = true;
            } else if self.take_words(&["generated"]) {
                self.generated()?;
                column.generated = true;
            } else {
                break;
            }
        }
        match self.peek() {
            None | Some(Token::Symbol(',' | ')' | ';')) => Ok(column),
            _ => self.error("expected NOT NULL, `,` or the end after the type"),
        }
    }

    fn generated(&mut self) -> Result<(), SchemaError> {
        let when = self.take_words(&["always"]) || self.take_words(&["by", "default"]);
        if when && self.take_words(&["as", "identity"]) {
            return Ok(());
        }
        self.error("expected ALWAYS AS IDENTITY or BY DEFAULT AS IDENTITY")
    }

    fn sql_type(&mut self, column: &str) -> Result<SqlType, SchemaError> {
        let Some(Token::Word(word)) = self.peek() else {
            return self.error(format!("expected the type of column `{column}`"));
        };
        let word = word.to_ascii_uppercase();
        self.at += 1;
        match word.as_str() {
            "SMALLINT" | "INT2" => Ok(SqlType::SmallInt),
            "INTEGER" | "INT" | "INT4" => Ok(SqlType::Integer),
            "BIGINT" | "INT8" => Ok(SqlType::BigInt),
            "DECIMAL" | "DEC" | "NUMERIC" => self.decimal(),
            "REAL" | "FLOAT4" => Ok(SqlType::Real),
            "DOUBLE" | "FLOAT8" => {
                if word == "DOUBLE" {
                    self.take_words(&["precision"]);
                }
                Ok(SqlType::Double)
            }
            "FLOAT" => self.float(),
            "CHAR" | "CHARACTER" | "NCHAR" | "BPCHAR" => self.character(),
            "VARCHAR" | "VARCHAR2" | "NVARCHAR" | "TEXT" | "CLOB" => {
                Ok(SqlType::VarChar(self.text_length()?))
            }
            "DATE" => Ok(SqlType::Date),
            "TIME" => Ok(SqlType::Time),
            "TIMESTAMP" | "DATETIME" => self.timestamp(),
            "BOOLEAN" | "BOOL" => Ok(SqlType::Boolean),
            "BINARY" => self.binary(),
            "VARBINARY" | "BLOB" | "BYTEA" => Ok(SqlType::VarBinary(self.byte_length()?)),
            _ => self.error_before(unknown_type(&word)),
        }
    }

    /// A number in the range, inside parentheses that the caller has opened.
    fn number(&mut self, what: &str, low: u64, high: u64) -> Result<u64, SchemaError> {
        let Some(&Token::Number(number)) = self.peek() else {
            return self.error(format!("expected {what}, a number from {low} to {high}"));
        };
        if !(low..=high).contains(&number) {
            return self.error(format!("{what} must be from {low} to {high}"));
        }
        self.at += 1;
        Ok(number)
    }

    fn small(&mut self, what: &str, low: u8, high: u8) -> Result<u8, SchemaError> {
        let number = self.number(what, u64::from(low), u64::from(high))?;
        Ok(u8::try_from(number).expect("checked against a u8 just now"))
    }

    fn close(&mut self) -> Result<(), SchemaError> {
        if self.take_symbol(')') {
            return Ok(());
        }
        self.error("expected `)`")
    }

    fn decimal(&mut self) -> Result<SqlType, SchemaError> {
        if !self.take_symbol('(') {
            return self.error(
                "DECIMAL needs its precision and scale here, as in DECIMAL(15,2): the database's \
                 default would cut fractions",
            );
        }
        let precision = self.small("the precision", 1, DECIMAL_DIGITS)?;
        let scale = if self.take_symbol(',') { self.small("the scale", 0, precision)? } else { 0 };
        self.close()?;
        Ok(SqlType::Decimal { precision, scale })
    }

    /// `FLOAT(n)` counts binary digits: up to 24 is REAL (SQL standard, Db2, PostgreSQL).
    fn float(&mut self) -> Result<SqlType, SchemaError> {
        if !self.take_symbol('(') {
            return Ok(SqlType::Double);
        }
        let digits = self.small("the binary precision", 1, 53)?;
        self.close()?;
        Ok(if digits <= 24 { SqlType::Real } else { SqlType::Double })
    }

    fn character(&mut self) -> Result<SqlType, SchemaError> {
        if self.take_words(&["large", "object"]) || self.take_words(&["varying"]) {
            return Ok(SqlType::VarChar(self.text_length()?));
        }
        let one = TextLength { max: 1, unit: LengthUnit::Characters };
        Ok(SqlType::Char(self.text_length()?.unwrap_or(one)))
    }

    fn text_length(&mut self) -> Result<Option<TextLength>, SchemaError> {
        if !self.take_symbol('(') {
            return Ok(None);
        }
        let max = self.number("the length", 1, u64::from(u32::MAX))?;
        let unit =
            if ["octets", "octet", "bytes", "byte"].iter().any(|word| self.take_words(&[word])) {
                LengthUnit::Bytes
            } else {
                let _ = ["codeunits32", "characters", "char"]
                    .iter()
                    .any(|word| self.take_words(&[word]));
                LengthUnit::Characters
            };
        self.close()?;
        let max = u32::try_from(max).expect("checked against a u32 just now");
        Ok(Some(TextLength { max, unit }))
    }

    fn byte_length(&mut self) -> Result<Option<u32>, SchemaError> {
        if !self.take_symbol('(') {
            return Ok(None);
        }
        let max = self.number("the length", 1, u64::from(u32::MAX))?;
        self.close()?;
        Ok(Some(u32::try_from(max).expect("checked against a u32 just now")))
    }

    fn binary(&mut self) -> Result<SqlType, SchemaError> {
        if self.take_words(&["varying"]) || self.take_words(&["large", "object"]) {
            return Ok(SqlType::VarBinary(self.byte_length()?));
        }
        Ok(SqlType::Binary(self.byte_length()?.unwrap_or(1)))
    }

    fn timestamp(&mut self) -> Result<SqlType, SchemaError> {
        let mut precision = 6;
        if self.take_symbol('(') {
            precision = self.small("the precision", 0, 9)?;
            self.close()?;
        }
        self.take_words(&["without", "time", "zone"]);
        if self.take_words(&["with"]) {
            return self.error_before("timestamps with a time zone are not supported");
        }
        Ok(SqlType::Timestamp { precision })
    }
}

fn unknown_type(word: &str) -> String {
    const KNOWN: &str = "SMALLINT, INTEGER, BIGINT, DECIMAL(p,s), REAL, DOUBLE, CHAR(n), \
         VARCHAR(n), TEXT, DATE, TIME, TIMESTAMP(p), BOOLEAN, BINARY(n), VARBINARY(n)";
    format!("unknown type `{word}`; known are {KNOWN}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(text: &str) -> Vec<String> {
        let columns = parse_schema(text).expect(text);
        columns.iter().map(|c| c.ty.to_string()).collect()
    }

    fn fails(text: &str) -> String {
        parse_schema(text).expect_err(text).to_string()
    }

    #[test]
    fn every_type_and_alias() {
        assert_eq!(
            types("a smallint, b INT, c int4, d INTEGER, e bigint, f int8, g int2"),
            ["SMALLINT", "INTEGER", "INTEGER", "INTEGER", "BIGINT", "BIGINT", "SMALLINT"]
        );
        assert_eq!(
            types("a dec(15,2), b NUMERIC(31), c real, d double precision, e float, f float(24)"),
            ["DECIMAL(15,2)", "DECIMAL(31,0)", "REAL", "DOUBLE", "DOUBLE", "REAL"]
        );
        assert_eq!(
            types(
                "a char, b char(3), c character varying(9), d varchar(20 octets), e text, f clob"
            ),
            ["CHAR(1)", "CHAR(3)", "VARCHAR(9)", "VARCHAR(20 OCTETS)", "VARCHAR", "VARCHAR"]
        );
        assert_eq!(
            types("a date, b time, c timestamp, d timestamp(0), e bool, f varchar(8 codeunits32)"),
            ["DATE", "TIME", "TIMESTAMP(6)", "TIMESTAMP(0)", "BOOLEAN", "VARCHAR(8)"]
        );
        assert_eq!(
            types("a binary(4), b varbinary(8), c blob, d bytea, e binary varying(3)"),
            ["BINARY(4)", "VARBINARY(8)", "VARBINARY", "VARBINARY", "VARBINARY(3)"]
        );
    }

    #[test]
    fn names_nullability_and_identity() {
        let columns = parse_schema(
            "id BIGINT GENERATED ALWAYS AS IDENTITY, \"a \"\"b\"\"\" INT NOT NULL, Größe int null",
        )
        .unwrap();
        assert!(columns[0].generated);
        assert_eq!(columns[1].name, "a \"b\"");
        assert!(!columns[1].nullable);
        assert_eq!(columns[2].name, "Größe");
        assert!(columns[2].nullable);
    }

    #[test]
    fn create_table_with_comments() {
        let text =
            "-- accounts\nCREATE TABLE IF NOT EXISTS s.\"t\" (\n a INT, -- first\n b INT\n);";
        assert_eq!(types(text), ["INTEGER", "INTEGER"]);
    }

    #[test]
    fn errors_have_a_position() {
        assert!(fails("a INT,\n b WIDGET").starts_with("schema, line 2, column 4: unknown type"));
        assert!(fails("a INT, a INT").contains("stands twice"));
        assert!(fails("a DECIMAL").contains("precision and scale"));
        assert!(fails("a DECIMAL(5,6)").contains("from 0 to 5"));
        assert!(fails("a INT DEFAULT 3").contains("line 1, column 7"));
        assert!(fails("").contains("expected a column name"));
        assert!(fails("a INT,").contains("expected a column name"));
        assert!(fails("\"a INT").contains("closing quote"));
        assert!(fails("CREATE TABLE t (a INT").contains("`)`"));
        assert!(fails("a TIMESTAMP WITH TIME ZONE").contains("time zone"));
        assert!(fails("a VARCHAR(0)").contains("from 1"));
        assert!(fails("a VARCHAR(5").contains("`)`"));
    }

    #[test]
    fn what_is_printed_is_read_back() {
        let text = "a DECIMAL(7,3), b VARCHAR(9 OCTETS), c TIMESTAMP(3), d VARBINARY, e VARCHAR";
        let once = parse_schema(text).unwrap();
        let again: Vec<String> = once.iter().map(|c| format!("{} {}", c.name, c.ty)).collect();
        assert_eq!(parse_schema(&again.join(", ")).unwrap(), once);
    }
}
