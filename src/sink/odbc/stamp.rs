//! Rows of a staging table: file and record stand before the cells of the arena.

use super::catalog::CatalogColumn;
use super::parameter::Parameter;
use super::profile::{Encode, Profile, announced};
use crate::arena::{Batch, CellType, IndicatorWidth, Values};
use crate::config::schema::{Column, SqlType};
use crate::sink::staging::OWN_COLUMNS;

/// Columns of file and record, in this order, before the loaded ones.
pub(super) fn columns() -> [CatalogColumn; 2] {
    let [_, _, file, record] = OWN_COLUMNS;
    [(file, SqlType::Integer), (record, SqlType::BigInt)].map(|(name, ty)| CatalogColumn {
        column: Column { name: name.to_owned(), ty, nullable: false, generated: false },
        server_type: String::new(),
        announced: announced(ty),
    })
}

/// Puts the parameters of file and record before those of the cells.
pub(super) struct Stamped {
    stamps: Batch,
    /// Of the two columns of `stamps`.
    stamp_encoder: Box<dyn Encode>,
    /// Of the arena's columns.
    cell_encoder: Box<dyn Encode>,
    rows: Vec<usize>,
}

impl Stamped {
    pub(super) fn new(
        profile: &dyn Profile,
        cell_encoder: Box<dyn Encode>,
        width: IndicatorWidth,
    ) -> Self {
        Self {
            stamps: Batch::new(&[CellType::I32, CellType::I64], width, 0),
            stamp_encoder: profile.encoder(&columns(), width),
            cell_encoder,
            rows: Vec::new(),
        }
    }

    fn stamp(&mut self, batch: &Batch, rows: &[usize]) {
        self.stamps.lay_out(rows.len(), &[0, 0]);
        for (to, &row) in rows.iter().enumerate() {
            let file = batch.segment_of_row(row).file;
            let record = batch.row_position(row).record;
            if let Values::I32(files) = &mut self.stamps.columns[0].values {
                files[to] = i32::try_from(file).expect("a list of inputs");
            }
            if let Values::I64(records) = &mut self.stamps.columns[1].values {
                records[to] = i64::try_from(record).expect("records of a file");
            }
            for (column, bytes) in self.stamps.columns.iter_mut().zip([4, 8]) {
                column.indicators.set(to, bytes);
            }
        }
        self.stamps.set_rows(rows.len());
        self.rows.clear();
        self.rows.extend(0..rows.len());
    }
}

impl Encode for Stamped {
    fn encode<'a>(&'a mut self, batch: &'a Batch, rows: &[usize]) -> (Vec<Parameter<'a>>, usize) {
        self.stamp(batch, rows);
        let (mut parameters, sets) = self.stamp_encoder.encode(&self.stamps, &self.rows);
        let (cells, cell_sets) = self.cell_encoder.encode(batch, rows);
        assert_eq!(sets, cell_sets, "one profile makes both");
        parameters.extend(cells);
        (parameters, sets)
    }
}

#[cfg(test)]
mod tests {
    use super::super::profile::{ProfileName, profile};
    use super::*;

    #[test]
    fn parameters_of_file_and_record_come_first() {
        let mut batch = Batch::new(&[CellType::I32], IndicatorWidth::Wide, 0);
        batch.lay_out(3, &[0]);
        batch.set_rows(3);
        let segment = |file, base_record, first_row| crate::arena::Segment {
            file,
            range: crate::record::ByteRange { start: 0, end: 0 },
            base_record,
            base_line: 0,
            records: 2,
            first_row,
            share_bytes: None,
            records_before: 0,
            numbered: 0,
            lines_before: 0,
            lines: 0,
            digest: 0,
            source: crate::input::RawSource::Owned { bytes: std::sync::Arc::default(), base: 0 },
        };
        batch.segments.extend([segment(0, 10, 0), segment(4, 100, 2)]);
        for (row, record) in [(0, 1), (1, 2), (2, 7)] {
            batch.row_sources[row].record = record;
        }
        let profile = profile(ProfileName::Mariadb);
        let loaded = CatalogColumn { ..columns()[0].clone() };
        let encoder = profile.encoder(&[loaded], IndicatorWidth::Wide);
        let mut stamped = Stamped::new(profile, encoder, IndicatorWidth::Wide);
        let (parameters, sets) = stamped.encode(&batch, &[1, 2]);
        assert_eq!((parameters.len(), sets), (3, 2));
        let cell = |column: usize, row| match &stamped.stamps.columns[column].values {
            Values::I32(values) => i64::from(values[row]),
            Values::I64(values) => values[row],
            _ => unreachable!("numbers"),
        };
        assert_eq!([cell(0, 0), cell(1, 0)], [0, 12]);
        assert_eq!([cell(0, 1), cell(1, 1)], [4, 107]);
    }
}
