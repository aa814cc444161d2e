//! Rows to PostgreSQL by `COPY … FROM STDIN` over connections of our own (feature
//! `postgresql-copy`, `--copy`).
//!
//! The target stays the ODBC one: the catalog, new tables, the ledger's sessions and the moves of
//! a staging table go through the driver as ever. Only a writer's connection is another: its rows,
//! and the ledger's ranges that belong to them, go over a native connection in one transaction
//! ([decision 11](../../../../docs/decisions/0011-native-copy.md)).
//!
//! `address` finds where that connection goes, `table` refuses what COPY would do otherwise than
//! INSERT, `form` chooses between the binary and the text form, `binary`, `numeric` and `text`
//! write them, `connection` speaks with the server, and `sink` keeps the promises of a
//! [`Sink`](crate::sink::Sink).

mod address;
mod binary;
mod connection;
mod form;
mod numeric;
mod sink;
mod table;
mod text;

use std::sync::Arc;

use address::Address;
use form::{Form, Stamp, statement};
use sink::{CopyShipment, CopySink};

use super::connect::Session;
use super::profile::{Profile, ProfileName, quoted};
use super::watchdog::Doing;
use super::{OdbcTarget, catalog, check_column_count};
use crate::arena::CellType;
use crate::config::TlsMode;
use crate::config::schema::Column;
use crate::sink::{Layout, Routing, RowAction, Sink, SinkError};

/// Where and how a target's writers connect.
#[derive(Debug)]
pub(super) struct Way {
    /// The server.
    address: Address,
    /// Settings that the driver and its data source give a session, by name and value.
    settings: Vec<(String, String)>,
}

impl OdbcTarget {
    /// The same target, whose writers send their rows by COPY.
    ///
    /// # Errors
    /// Another database than PostgreSQL, an address that the connection string does not tell, or a
    /// connection that must be encrypted.
    pub fn by_copy(mut self) -> Result<Self, SinkError> {
        if self.facts().profile != ProfileName::Postgresql {
            return Err(SinkError::permanent(format!(
                "--copy is for PostgreSQL, and the database is {}; leave it out",
                self.facts().profile
            )));
        }
        self.check_clear()?;
        let way = self.ask("asking where to connect for --copy", |target, session| {
            let address = Address::find(&target.plan.spec, session.profile)?;
            Ok(Way { address, settings: address::settings(session)? })
        })?;
        self.copy = Some(Arc::new(way));
        Ok(self)
    }

    /// Rows never travel in the clear where the driver's connection is encrypted, unless the user
    /// says so.
    fn check_clear(&self) -> Result<(), SinkError> {
        let asked = matches!(self.plan.spec.tls.mode, Some(TlsMode::Require | TlsMode::Verify));
        let facts = self.facts().shown.iter();
        let found = facts.filter(|(name, _)| name == super::profile::ENCRYPTION);
        let encrypted = found.map(|(_, value)| value).any(|value| value != "none");
        if !asked && !encrypted {
            return Ok(());
        }
        let why = match asked {
            true => "--tls asks for encryption",
            false => "the driver's connection is encrypted",
        };
        Err(SinkError::permanent(format!(
            "{why}, and the connections of --copy cannot be; leave out --copy, or say --tls off \
             where rows may travel in the clear"
        )))
    }

    /// As [`Target::layout`](crate::sink::Target::layout), for COPY.
    pub(super) fn copy_layout(
        &self,
        table: &str,
        columns: &[Column],
        action: &RowAction,
    ) -> Result<Layout, SinkError> {
        let bounds = self.profile().bounds();
        check_column_count(table, columns.len(), bounds.columns)?;
        let (table, columns, asked) = (table.to_owned(), columns.to_vec(), action.clone());
        let shipment = self.ask("asking about a table", move |target, session| {
            target.copy_shipment(session, &table, &columns, &asked, true)
        })?;
        Ok(Layout {
            cells: self.copy_cells(&shipment),
            indicators: self.facts().width,
            writers_max: usize::MAX,
            batch_rows: bounds.batch_rows,
            batch_rows_max: bounds.batch_rows_max,
            replays: true,
            nul_in_text: bounds.nul_in_text,
            statement: shipment.sql,
            routing: Routing::Any,
        })
    }

    fn copy_cells(&self, shipment: &CopyShipment) -> Vec<CellType> {
        match &shipment.form {
            Form::Binary(wires) => wires.iter().map(|wire| wire.cell()).collect(),
            Form::Text => shipment.columns.iter().map(|c| self.profile().cell(c)).collect(),
        }
    }

    /// As [`Target::open`](crate::sink::Target::open), for COPY.
    pub(super) fn copy_open(
        &self,
        way: &Arc<Way>,
        table: &str,
        columns: &[Column],
        action: &RowAction,
    ) -> Result<Box<dyn Sink>, SinkError> {
        let watch = self.plan.watchdog.watch();
        let (table, columns, action) = (table.to_owned(), columns.to_vec(), action.clone());
        let ask = || {
            self.ask("asking about a table", move |target, session| {
                target.copy_shipment(session, &table, &columns, &action, false)
            })
        };
        let shipment = watch.during(Doing::Connect, None, ask).0?;
        self.spare.close();
        let sink = CopySink::open(Arc::clone(&self.plan), Arc::clone(way), watch, shipment)?;
        Ok(Box::new(sink))
    }

    fn copy_shipment(
        &self,
        session: &Session,
        table: &str,
        columns: &[Column],
        action: &RowAction,
        planned: bool,
    ) -> Result<CopyShipment, SinkError> {
        let (to, stamp) = match action {
            RowAction::Insert => (None, None),
            RowAction::Stage { table, run_id, .. } => {
                (Some(self.sql_name(table)?), Some(Stamp::new(run_id)))
            }
            RowAction::Upsert { .. } | RowAction::Delete { .. } => {
                return Err(SinkError::permanent(
                    "COPY only adds rows: --copy goes with --mode upsert and delete by way of a \
                     staging table only; add --staging, or leave out --copy",
                ));
            }
        };
        let name = self.table(table)?;
        let profile = self.profile();
        let (found, selected) = match profile.columns(session, &name, self.facts().quote)? {
            Some(found) => {
                let selected = catalog::select(&found, columns, table)?;
                if to.is_none() {
                    table::check(session, &name, &selected)?;
                }
                (found, selected)
            }
            None if planned => {
                let columns: Vec<_> = columns.iter().map(|c| profile.planned(c)).collect();
                (columns.clone(), columns)
            }
            None => return Err(SinkError::permanent(format!("there is no table {table}"))),
        };
        let form = Form::choose(&found, &selected);
        let quote = self.facts().quote;
        let table = to.unwrap_or_else(|| name.sql(quote));
        let names = selected.iter().map(|column| quoted(&column.column.name, quote));
        let sql = statement(&table, stamp.as_ref(), names, &form, quote);
        Ok(CopyShipment { table, columns: selected, sql, form, stamp })
    }
}
