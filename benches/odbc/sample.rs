//! Accounts in an arena, and what a table must hold after it was sent.

use fastload::arena::column::CellRef;
use fastload::arena::{Batch, Segment};
use fastload::config::dialect::Dialect;
use fastload::config::schema::Column;
use fastload::config::{DateFormats, FieldSource, LoadColumn};
use fastload::generate::{
    ACCOUNT_COLUMNS, BadRecords, GenOptions, GenSize, Truth, accounts, accounts_schema,
};
use fastload::input::RawSource;
use fastload::parse::convert::Converter;
use fastload::parse::record_reader::RecordReader;
use fastload::parse::rows::{Cursor, Pause, RowParser, Window};
use fastload::record::ByteRange;
use fastload::sink::Layout;

use crate::bare::Bare;

/// Bytes of a text cell: longer than any value of the sample.
const STRIDE_BYTES: usize = 160;

/// The statement that creates a table of accounts; from 10 columns on they come again.
pub(crate) fn ddl(table: &str, columns: usize) -> String {
    assert!(columns == ACCOUNT_COLUMNS || columns == 2 * ACCOUNT_COLUMNS, "10 or 20 columns");
    // Lengths are in bytes where Db2 counts bytes.
    let schema = accounts_schema().replace("VARCHAR(60)", "VARCHAR(120)");
    let schema = schema.replace("VARCHAR(100)", "VARCHAR(160)").replace("(6)", "");
    let once: Vec<&str> = schema.split(", ").collect();
    let again = once.iter().map(|column| column.replacen(' ', "_AGAIN ", 1));
    let all = once.iter().map(|&column| column.to_owned()).chain(again);
    format!("CREATE TABLE {table} ({})", all.take(columns).collect::<Vec<_>>().join(", "))
}

/// Sums over a table that wrong values, shifted rows and wrong NULLs do not keep.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sums([i128; 7]);

impl Sums {
    /// By the generator, which wrote the values, and by the arena for the texts.
    fn expected(truth: &Truth, batch: &Batch) -> Self {
        let texts = |column: usize| {
            let column = &batch.columns[column];
            let lengths = (0..batch.rows()).map(|row| match column.cell(row) {
                CellRef::Text(text) => String::from_utf8_lossy(text).chars().count() as i128,
                _ => 0,
            });
            lengths.sum::<i128>()
        };
        let (name, memo) = (texts(2), texts(batch.columns.len() - 1));
        Self([
            truth.rows.into(),
            truth.account_id_sum,
            truth.branch_sum,
            truth.balance_cents,
            name,
            memo,
            i128::from(truth.rows - truth.nulls[1]),
        ])
    }

    /// By the server.
    pub(crate) fn on_server(bare: &Bare, table: &str) -> Self {
        let last = if bare.run(&format!("SELECT memo_again FROM {table} WHERE 1 = 0")) {
            "memo_again"
        } else {
            "memo"
        };
        let terms = [
            "COUNT(*)".to_owned(),
            "SUM(account_id)".to_owned(),
            "SUM(CAST(branch AS BIGINT))".to_owned(),
            "SUM(balance * 100)".to_owned(),
            "SUM(CAST(LENGTH(customer_name) AS BIGINT))".to_owned(),
            format!("SUM(CAST(LENGTH({last}) AS BIGINT))"),
            "COUNT(branch)".to_owned(),
        ];
        Self(terms.map(|term| {
            let sum = bare.scalar(&format!("SELECT {term} FROM {table}"));
            let whole = sum.split('.').next().unwrap_or_default();
            whole.parse().unwrap_or_else(|_| panic!("{term} of {table} is {sum}"))
        }))
    }

    /// After the sample was sent so many times.
    pub(crate) fn times(&self, sent: usize) -> Self {
        Self(self.0.map(|sum| sum * i128::try_from(sent).expect("a number of arrays")))
    }
}

/// An arena full of accounts.
pub(crate) struct Sample {
    /// The arena.
    pub(crate) batch: Batch,
    /// Sums over its rows.
    pub(crate) sums: Sums,
}

impl Sample {
    /// So many accounts as the target wants its cells.
    pub(crate) fn new(columns: &[Column], layout: &Layout, rows: usize) -> Self {
        let mut bytes = Vec::new();
        let options = GenOptions {
            size: GenSize::Records(rows as u64),
            seed: 7,
            header: false,
            bad: BadRecords::None,
        };
        let truth = accounts(&options, &mut bytes).expect("memory takes all bytes");
        let dialect = Dialect::default();
        let converters =
            columns.iter().zip(&layout.cells).enumerate().map(|(n, (column, &cell))| {
                let column = LoadColumn {
                    column: column.clone(),
                    source: FieldSource::Field(n % ACCOUNT_COLUMNS),
                    empty_as_null: false,
                };
                Converter::new(&column, cell, &dialect, &DateFormats::default(), layout.nul_in_text)
                    .expect("the profile's own cells")
            });
        let fields = (0..columns.len()).map(|n| Some(n % ACCOUNT_COLUMNS)).collect();
        let reader = RecordReader::new(&dialect, ACCOUNT_COLUMNS);
        let mut parser = RowParser::new(reader, converters.collect(), fields);
        let mut batch = Batch::new(&layout.cells, layout.indicators, 0);
        batch.lay_out(rows, &vec![STRIDE_BYTES; columns.len()]);
        batch.segments.push(Segment {
            file: 0,
            range: ByteRange::default(),
            base_record: 0,
            base_line: 0,
            records: 0,
            first_row: 0,
            source: RawSource::Owned { bytes: std::sync::Arc::new(Vec::new()), base: 0 },
            share_bytes: None,
            records_before: 0,
            numbered: 0,
            lines_before: 0,
            lines: 0,
            digest: 0,
        });
        let window = Window { bytes: &bytes, byte_offset: 0, last: true };
        parser.seek(0);
        let pause = parser.parse(window, bytes.len(), &mut Cursor::default(), &mut batch);
        assert!(matches!(pause, Pause::ChunkEnd | Pause::BatchFull), "{pause:?}");
        assert_eq!((batch.rows(), batch.rejects.len()), (rows, 0), "all records are rows");
        let sums = Sums::expected(&truth, &batch);
        Self { batch, sums }
    }
}
