//! The result as text for people.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::bad_record::escape;
use crate::config::schema::Column;
use crate::config::work::Effective;
use crate::report::{Counts, Report, RingStage, Stages, Status};

/// A number with a thin group every three digits: `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in binary units.
pub(super) fn bytes(count: u64) -> String {
    bytesize::ByteSize(count).display().iec().to_string()
}

fn table(headers: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(headers.to_vec());
    table
}

fn finish(mut table: Table, numbers_from: usize, columns: usize) -> String {
    for index in numbers_from..columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

/// Every effective value, where it comes from and why.
pub(super) fn effective_table(effective: &[Effective]) -> String {
    let mut table = table(&["option", "value", "from"]);
    for row in effective {
        let value = escape(row.value.as_bytes());
        table.add_row([row.key.to_owned(), value, escape(row.origin.to_string().as_bytes())]);
    }
    finish(table, 3, 3)
}

/// A table of numbers behind one name each.
pub(super) fn rates_table<const N: usize>(
    headers: &[&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    plain_table(headers, 1, rows)
}

/// A table whose columns from number `numbers_from` on are numbers.
pub(super) fn plain_table<const N: usize>(
    headers: &[&str; N],
    numbers_from: usize,
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let mut table = table(headers);
    for row in rows {
        table.add_row(row);
    }
    finish(table, numbers_from, N)
}

/// Columns of a table.
pub(super) fn columns_table(columns: &[Column]) -> String {
    let mut table = table(&["column", "type", "null", "generated"]);
    for column in columns {
        let yes = |flag| if flag { "yes" } else { "no" }.to_owned();
        table.add_row([
            escape(column.name.as_bytes()),
            column.ty.to_string(),
            yes(column.nullable),
            yes(column.generated),
        ]);
    }
    finish(table, 4, 4)
}

/// The summary of a load or a check.
pub(super) fn summary(report: &Report, verb: &str) -> String {
    let mut text = String::new();
    let totals = &report.totals;
    let status = match report.status {
        Status::Loaded => verb.to_owned(),
        Status::LoadedWithRejects => format!("{verb}, with rejects"),
        Status::AlreadyLoaded => "already loaded".to_owned(),
        Status::Stopped => "stopped".to_owned(),
        Status::Failed => "failed".to_owned(),
    };
    let place = match report.target.table.as_str() {
        "" => report.target.url.clone(),
        table => format!("{table} in {}", report.target.url),
    };
    let _ = writeln!(
        text,
        "{status}: {} rows into {} in {:.2} s",
        grouped(totals.rows_loaded),
        escape(place.as_bytes()),
        report.seconds
    );
    let headers = ["file", "size", "records", "loaded", "rejected", "other"];
    let mut files = table(&headers);
    let mut row = |name: String, counts: &Counts| {
        let other = counts.rows_skipped
            + counts.rows_filtered
            + counts.rows_superseded
            + counts.rows_rolled_back;
        files.add_row([
            name,
            bytes(counts.bytes),
            grouped(counts.records_read),
            grouped(counts.rows_loaded),
            grouped(counts.rows_rejected),
            grouped(other),
        ]);
    };
    for file in &report.files {
        row(escape(file.path.as_os_str().as_encoded_bytes()), &file.counts);
    }
    if report.files.len() > 1 {
        row("all".to_owned(), totals);
    }
    text.push_str(&finish(files, 1, headers.len()));
    rejects(&mut text, report);
    let _ = writeln!(
        text,
        "{:.0} rows/s, {:.1} MB/s, peak memory {}",
        report.rows_per_second,
        report.bytes_per_second / 1e6,
        bytes(report.peak_rss_bytes)
    );
    if !report.bottleneck.stage.is_empty() {
        text.push_str(&times(&report.stages, report.staging.is_some()));
        let _ =
            writeln!(text, "limited by {}: {}", report.bottleneck.stage, report.bottleneck.advice);
    }
    text
}

/// Where the time went, of all threads together.
fn times(stages: &Stages, is_staged: bool) -> String {
    let input = stages.parse.input_seconds + stages.parse.paced_seconds;
    let mut text = format!(
        "time by stage: input {input:.2} s, parse {:.2} s, write {:.2} s, commit {:.2} s",
        stages.parse.busy_seconds, stages.write.busy_seconds, stages.commit.busy_seconds
    );
    if is_staged {
        let (settle, moved) = (stages.settle.busy_seconds, stages.r#move.busy_seconds);
        let _ = write!(text, ", settle {settle:.2} s, move {moved:.2} s");
    }
    let RingStage { full_seconds, empty_seconds, .. } = stages.ring;
    let _ = writeln!(
        text,
        "; parsers waited {full_seconds:.2} s for writers, these {empty_seconds:.2} s for rows"
    );
    text
}

fn rejects(text: &mut String, report: &Report) {
    if report.totals.rows_rejected == 0 {
        return;
    }
    let classes: Vec<String> = report
        .rejects
        .by_class
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(class, count)| format!("{} {class}", grouped(*count)))
        .collect();
    let paths: Vec<String> = report
        .files
        .iter()
        .filter_map(|file| file.rejects.as_ref())
        .map(|path| escape(path.as_os_str().as_encoded_bytes()))
        .collect();
    let _ = writeln!(text, "rejects: {} in {}", classes.join(", "), paths.join(", "));
}

/// The result as a CSV file (`--summary PATH.csv`): one record for each input and one for all.
pub(super) fn summary_csv(report: &Report) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let all = ("total".as_bytes(), &report.totals);
    let files =
        report.files.iter().map(|file| (file.path.as_os_str().as_encoded_bytes(), &file.counts));
    let header = [
        "path",
        "bytes",
        "records_read",
        "rows_loaded",
        "rows_rejected",
        "rows_skipped",
        "rows_filtered",
        "rows_superseded",
        "rows_rolled_back",
    ];
    let mut records: Vec<Vec<Vec<u8>>> = vec![header.map(|name| name.as_bytes().to_vec()).to_vec()];
    for (path, counts) in files.chain(std::iter::once(all)) {
        let numbers = [
            counts.bytes,
            counts.records_read,
            counts.rows_loaded,
            counts.rows_rejected,
            counts.rows_skipped,
            counts.rows_filtered,
            counts.rows_superseded,
            counts.rows_rolled_back,
        ];
        let mut record = vec![path.to_vec()];
        record.extend(numbers.iter().map(|number| number.to_string().into_bytes()));
        records.push(record);
    }
    for record in records {
        writer.write_record(record).expect("a Vec takes every byte, all records have nine fields");
    }
    writer.into_inner().expect("a Vec takes every byte")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::Origin;
    use crate::report::{Bottleneck, FileReport, RejectReport, TargetReport};

    fn report() -> Report {
        let counts = Counts {
            bytes: 2048,
            records_read: 1234,
            rows_loaded: 1230,
            rows_rejected: 4,
            ..Counts::default()
        };
        Report {
            status: Status::LoadedWithRejects,
            target: TargetReport {
                url: "sqlite:x.db".into(),
                table: "t".into(),
                ..TargetReport::default()
            },
            files: vec![FileReport {
                path: "a\u{7}.csv".into(),
                counts,
                rejects: Some("a.csv.rejects".into()),
            }],
            totals: counts,
            rejects: RejectReport { path: None, by_class: [("length".to_owned(), 4)].into() },
            ..Report::default()
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn the_summary_names_what_matters() {
        let text = summary(&report(), "loaded");
        for part in [
            "loaded, with rejects: 1,230 rows into t in sqlite:x.db",
            "1,234",
            "2.0 KiB",
            "4 length in a.csv.rejects",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
        assert!(!text.contains('\u{7}'));
    }

    #[test]
    fn the_end_says_where_the_time_went() {
        let mut report = report();
        assert!(!summary(&report, "loaded").contains("time by stage"), "nothing ran");
        report.bottleneck = Bottleneck { stage: "write".into(), advice: "wait".into() };
        report.stages.parse.paced_seconds = 1.0;
        report.stages.write.busy_seconds = 2.5;
        report.stages.ring.full_seconds = 1.5;
        let text = summary(&report, "loaded");
        let end = "time by stage: input 1.00 s, parse 0.00 s, write 2.50 s, commit 0.00 s; parsers \
                   waited 1.50 s for writers, these 0.00 s for rows\nlimited by write: wait\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn the_csv_summary_reads_back() {
        let text = summary_csv(&report());
        let mut reader = csv::Reader::from_reader(text.as_slice());
        let records: Vec<_> = reader.byte_records().map(Result::unwrap).collect();
        assert_eq!(records.len(), 2);
        assert_eq!(&records[1][3], b"1230");
    }

    #[test]
    fn effective_values() {
        let rows = [Effective { key: "writers", value: "2".into(), origin: Origin::Flag }];
        assert!(
            effective_table(&rows).contains("writers  2      flag"),
            "{}",
            effective_table(&rows)
        );
    }
}
