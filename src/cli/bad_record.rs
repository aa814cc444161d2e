//! The record at which a load stopped, as a terminal shows it: place, line with a caret, column,
//! reason, the flag that helps, and the code.

use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};

use crate::error::BadRecord;

/// Bytes of the line that are shown around the fault.
const WINDOW_BYTES: usize = 120;

/// Renders the record. Nothing of its bytes reaches the terminal raw: control characters and bytes
/// that are no UTF-8 are escaped.
#[must_use]
pub fn render(bad: &BadRecord, renderer: &Renderer) -> String {
    let place = Place::of(bad);
    let origin = format!(
        "{}:{}:{} (byte {})",
        escape(bad.path.as_os_str().as_encoded_bytes()),
        place.line,
        place.column,
        place.byte
    );
    let column = describe_column(bad);
    // A database's words repeat the data, and the help may name the column.
    let (message, help) = (escape(bad.message.as_bytes()), escape(bad.help.as_bytes()));
    let mut group = Level::ERROR.primary_title(message).id(bad.code).element(Origin::path(origin));
    let label = if column.is_empty() { bad.class.to_owned() } else { column };
    if place.shown.is_empty() {
        group = group.element(Level::NOTE.message(label));
    } else {
        let start = place.caret.min(place.shown.len());
        let end = (start + place.caret_bytes).clamp(start, place.shown.len());
        group = group.element(
            Snippet::source(place.shown.as_str())
                .line_start(usize::try_from(place.line).unwrap_or(usize::MAX))
                .annotation(AnnotationKind::Primary.span(start..end).label(label)),
        );
    }
    let record = format!("record {}, class {}", bad.position.record, bad.class);
    group = group.element(Level::NOTE.message(record));
    if !help.is_empty() {
        group = group.element(Level::HELP.message(help));
    }
    // The place stands in its own line already; the renderer marks a second one, without a name.
    let text = renderer.render(&[group]);
    let lines: Vec<&str> = text.lines().filter(|line| line.trim() != ":::").collect();
    lines.join("\n")
}

fn describe_column(bad: &BadRecord) -> String {
    let mut text = String::new();
    if let Some(field) = bad.field {
        text.push_str(&format!("field {field}"));
    }
    if let Some(column) = &bad.column {
        let comma = if text.is_empty() { "" } else { ", " };
        text.push_str(&format!("{comma}column {}", escape(column.as_bytes())));
    }
    if let Some(ty) = &bad.type_name {
        text.push_str(&format!(" {}", escape(ty.as_bytes())));
    }
    text.trim_start().to_owned()
}

/// Where the fault is, and the part of its line that is shown.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    line: u64,
    /// Character in the line, from 1.
    column: u64,
    byte: u64,
    /// The window, escaped.
    shown: String,
    /// Offset of the fault in `shown`.
    caret: usize,
    /// Bytes of `shown` that the character at fault takes.
    caret_bytes: usize,
}

impl Place {
    fn of(bad: &BadRecord) -> Self {
        let start = bad.position.byte_offset;
        let byte = bad.fault_byte_offset.unwrap_or(start);
        let inside = usize::try_from(byte.saturating_sub(start)).unwrap_or(usize::MAX);
        if inside > bad.bytes.len() {
            // Past the part of the record that was kept.
            return Self {
                line: bad.position.line,
                column: 1,
                byte,
                shown: String::new(),
                caret: 0,
                caret_bytes: 0,
            };
        }
        let before = &bad.bytes[..inside];
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        let lines_before = before.iter().filter(|&&b| b == b'\n').count();
        let after = &bad.bytes[inside..];
        let line_end = inside + after.iter().position(|&b| b == b'\n').unwrap_or(after.len());
        let line = &bad.bytes[line_start..line_end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let at = (inside - line_start).min(line.len());
        let characters = String::from_utf8_lossy(&line[..at]).chars().count();
        let (shown, caret, caret_bytes) = window(line, at);
        Self {
            line: bad.position.line + lines_before as u64,
            column: characters as u64 + 1,
            byte,
            shown,
            caret,
            caret_bytes,
        }
    }
}

/// Cuts the line around `at` and escapes it; the offset of `at` in the result, and the bytes that
/// the character there takes in it.
fn window(line: &[u8], at: usize) -> (String, usize, usize) {
    let is_boundary = |index: usize| line.get(index).is_none_or(|byte| byte & 0xc0 != 0x80);
    let mut start =
        at.saturating_sub(WINDOW_BYTES / 2).min(line.len().saturating_sub(WINDOW_BYTES));
    let mut end = (start + WINDOW_BYTES).min(line.len());
    while !is_boundary(start) && start < at {
        start += 1;
    }
    while !is_boundary(end) && end > at {
        end -= 1;
    }
    let mut next = (at + 1).min(end);
    while next < end && !is_boundary(next) {
        next += 1;
    }
    let lead = if start > 0 { "…" } else { "" };
    let trail = if end < line.len() { "…" } else { "" };
    let before = format!("{lead}{}", escape(&line[start..at]));
    let fault = escape(&line[at..next.max(at)]);
    let rest = escape(&line[next.max(at)..end]);
    let caret = before.len();
    (format!("{before}{fault}{rest}{trail}"), caret, fault.len().max(1))
}

/// Text that is safe on a terminal: printable characters as they are, all else escaped.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || is_invisible(c) {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Text of several lines that is safe on a terminal.
#[must_use]
pub fn escape_lines(text: &str) -> String {
    text.split('\n').map(|line| escape(line.as_bytes())).collect::<Vec<_>>().join("\n")
}

/// Characters that turn or hide the text around them (Unicode, "Bidirectional Algorithm").
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Position;

    fn bad(bytes: &[u8], fault: Option<u64>) -> BadRecord {
        BadRecord {
            path: "orders.csv".into(),
            position: Position { byte_offset: 1000, record: 7, line: 9 },
            fault_byte_offset: fault,
            bytes: bytes.to_vec(),
            column: Some("amount".into()),
            type_name: Some("DECIMAL(15,2)".into()),
            field: Some(3),
            class: "conversion",
            code: "FL-0311",
            message: "not a number".into(),
            help: "--max-errors 1 loads the rest".into(),
            limit: 0,
        }
    }

    #[test]
    fn everything_is_there() {
        let text = render(&bad(b"1,2,abc,4\r\n", Some(1004)), &Renderer::plain());
        for part in [
            "error[FL-0311]: not a number",
            "orders.csv:9:5 (byte 1004)",
            "9 | 1,2,abc,4",
            "field 3, column amount DECIMAL(15,2)",
            "record 7, class conversion",
            "help: --max-errors 1",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
        let lines: Vec<&str> = text.lines().collect();
        let source = lines.iter().position(|line| line.contains("1,2,abc,4")).unwrap();
        let caret = lines[source + 1].find('^').unwrap();
        assert_eq!(caret, lines[source].find("abc").unwrap());
    }

    #[test]
    fn faults_behind_newlines_in_quotes() {
        let place = Place::of(&bad("\"ä\nö\",x\n".as_bytes(), Some(1000 + 8)));
        assert_eq!((place.line, place.column, place.byte), (10, 4, 1008));
        assert_eq!(place.shown, "ö\",x");
        let none = Place::of(&bad(b"a,b\n", None));
        assert_eq!((none.line, none.column, none.byte), (9, 1, 1000));
    }

    #[test]
    fn long_lines_are_cut_and_control_characters_escaped() {
        let mut line = vec![b'x'; 3000];
        line[1500] = 0x1b;
        let place = Place::of(&bad(&line, Some(2500)));
        assert!(place.shown.starts_with('…') && place.shown.ends_with('…'));
        assert!(place.shown.len() <= WINDOW_BYTES + 2 * "…".len() + "\\u{1b}".len());
        assert_eq!((place.column, place.caret), (1501, "…".len() + WINDOW_BYTES / 2));
        assert_eq!(place.caret_bytes, "\\u{1b}".len());
        let text = render(&bad(&line, Some(2500)), &Renderer::plain());
        assert!(!text.contains('\u{1b}'));
        assert_eq!(escape(b"a\tb\xff\xc3\xa4\x00"), "a\\tb\\xff\u{e4}\\u{0}");
    }

    #[test]
    fn odd_places_do_not_panic() {
        for line in
            [&b""[..], b"\n", b"\xff\xff", "ääääää".as_bytes(), &"€".repeat(200).into_bytes()]
        {
            for fault in 0..=line.len() as u64 + 5 {
                let text = render(&bad(line, Some(1000 + fault)), &Renderer::plain());
                assert!(text.contains("FL-0311"));
            }
        }
    }
}
