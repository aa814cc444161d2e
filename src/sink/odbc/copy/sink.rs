//! One writer's end: batches by COPY, bad rows found under savepoints.

use std::ops::Range;
use std::sync::Arc;

use postgres::Statement;

use super::super::catalog::CatalogColumn;
use super::super::clue;
use super::super::execute::{Plan, Transaction};
use super::super::isolate::{Refusal, RowFault, isolate};
use super::super::judge::fault_of;
use super::super::profile::{Profile, Verdict, profile};
use super::super::watchdog::Watch;
use super::connection::{Connection, Failure, Said};
use super::form::{Form, Stamp};
use super::{Way, binary, text};
use crate::arena::Batch;
use crate::record::RejectClass;
use crate::sink::{RowReject, Sink, SinkError};

/// Bytes that are handed to the connection together.
const PIECE_BYTES: usize = 64 << 10;

/// What a load sends, the same on every connection.
#[derive(Debug)]
pub(super) struct CopyShipment {
    /// The table, as statements name it.
    pub(super) table: String,
    /// The columns of the batches.
    pub(super) columns: Vec<CatalogColumn>,
    /// The statement.
    pub(super) sql: String,
    /// The form of its rows.
    pub(super) form: Form,
    /// What stands before the columns, in a staging table.
    pub(super) stamp: Option<Stamp>,
}

/// Where the savepoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Savepoint {
    None,
    /// Before the next COPY.
    Here,
    /// Before something that is to stay.
    Behind,
}

/// One writer's end.
pub(super) struct CopySink {
    plan: Arc<Plan>,
    way: Arc<Way>,
    watch: Arc<Watch>,
    shipment: CopyShipment,
    profile: &'static dyn Profile,
    connection: Connection,
    statement: Statement,
    transaction: Transaction,
    savepoint: Savepoint,
}

impl CopySink {
    /// Connects and prepares.
    pub(super) fn open(
        plan: Arc<Plan>,
        way: Arc<Way>,
        watch: Arc<Watch>,
        shipment: CopyShipment,
    ) -> Result<Self, SinkError> {
        let mut connection = Connection::open(&plan, &way, &watch)?;
        let statement = connection.prepare(&shipment.sql)?;
        Ok(Self {
            profile: profile(plan.facts.profile),
            plan,
            way,
            watch,
            shipment,
            connection,
            statement,
            transaction: Transaction::None,
            savepoint: Savepoint::None,
        })
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        match self.transaction {
            Transaction::Open => return Ok(()),
            Transaction::None => {}
            Transaction::Failed => {
                return Err(SinkError::permanent(
                    "a statement after a failed one: the transaction must be rolled back first",
                ));
            }
        }
        let mut sql = "BEGIN".to_owned();
        for statement in self.profile.transaction_sql() {
            sql.push_str("; ");
            sql.push_str(statement);
        }
        self.connection.execute(&sql)?;
        self.transaction = Transaction::Open;
        Ok(())
    }

    fn send(&mut self, batch: &Batch) -> Result<Vec<RowReject>, SinkError> {
        if batch.rows() == 0 {
            return Ok(Vec::new());
        }
        self.begin()?;
        let rows = 0..batch.rows();
        match self.attempt(batch, rows.clone())? {
            None => Ok(Vec::new()),
            Some(refusal) => isolate(rows, refusal, |rows| self.attempt(batch, rows)),
        }
    }

    /// Sends some rows under a savepoint: afterwards all of them are in, or none.
    fn attempt(&mut self, batch: &Batch, rows: Range<usize>) -> Result<Option<Refusal>, SinkError> {
        self.set_savepoint()?;
        let count = rows.len();
        let mut encoder = Encoder { batch, rows: rows.clone(), shipment: &self.shipment, at: None };
        let copied = self.connection.copy(&self.statement, |piece| encoder.fill(piece));
        let (fault, place) = match copied {
            Ok(copied) if usize::try_from(copied) == Ok(count) => {
                self.savepoint = Savepoint::Behind;
                return Ok(None);
            }
            Ok(copied) => (shortfall(copied, count), None),
            Err(Failure::Other(error)) => return Err(error),
            Err(Failure::Said(said)) => match self.profile.verdict(&said.diagnostic) {
                Verdict::World(class) => return Err(self.connection.world(class, *said)),
                Verdict::Row(class) => self.fault(class, *said),
            },
        };
        for sql in self.profile.savepoint().undo {
            self.connection.execute(sql)?;
        }
        let suspect = match place {
            _ if count == 1 => None,
            Some(line) => line.checked_sub(1),
            None => {
                let positions: Vec<usize> = rows.collect();
                clue::by_words(&fault, batch, &positions, &self.shipment.columns)
            }
        };
        Ok(Some(Refusal { fault, suspect }))
    }

    /// Puts the savepoint where it must be: what was executed or copied since the last one stays.
    fn set_savepoint(&mut self) -> Result<(), SinkError> {
        let savepoint = self.profile.savepoint();
        match self.savepoint {
            Savepoint::Here => return Ok(()),
            Savepoint::None => self.connection.execute(savepoint.set)?,
            Savepoint::Behind => {
                let keep = savepoint.keep.join("; ");
                self.connection.execute(&format!("{keep}; {}", savepoint.set))?
            }
        };
        self.savepoint = Savepoint::Here;
        Ok(())
    }

    /// The fault of a row, and the row's number among those that were sent. A constraint that is
    /// checked at the end is told without one.
    fn fault(&self, class: RejectClass, said: Said) -> (RowFault, Option<usize>) {
        let Said { diagnostic, place: (line, column) } = said;
        let columns = &self.shipment.columns;
        let fault = fault_of(class, &diagnostic, columns);
        let at = column.and_then(|name| columns.iter().position(|c| c.column.name == name));
        (RowFault { column: fault.column.or(at), native: None, ..fault }, line)
    }
}

/// A success with fewer rows than were sent.
fn shortfall(copied: u64, sent: usize) -> RowFault {
    RowFault {
        class: RejectClass::Other,
        column: None,
        sqlstate: None,
        native: None,
        message: format!(
            "the database reports success, and {copied} rows in for {sent} sent (a trigger or a \
             rule may have dropped them)"
        ),
    }
}

/// Rows of a batch as pieces of COPY's data.
struct Encoder<'a> {
    batch: &'a Batch,
    rows: Range<usize>,
    shipment: &'a CopyShipment,
    /// The next row, once the beginning is written.
    at: Option<usize>,
}

impl Encoder<'_> {
    /// Writes the next piece; whether there is another one.
    fn fill(&mut self, piece: &mut Vec<u8>) -> bool {
        let wires = match &self.shipment.form {
            Form::Binary(wires) => Some(wires),
            Form::Text => None,
        };
        let mut row = self.at.unwrap_or_else(|| {
            if wires.is_some() {
                piece.extend_from_slice(binary::HEAD);
            }
            self.rows.start
        });
        while row < self.rows.end && piece.len() < PIECE_BYTES {
            let stamp = self.shipment.stamp.as_ref().map(|stamp| self.stamped(stamp, row));
            match wires {
                Some(wires) => binary::put_row(self.batch, row, wires, stamp, piece),
                None => text::put_row(self.batch, row, stamp, piece),
            }
            row += 1;
        }
        self.at = Some(row);
        let has_more = row < self.rows.end;
        if !has_more && wires.is_some() {
            piece.extend_from_slice(binary::END);
        }
        has_more
    }

    fn stamped<'s>(&self, stamp: &'s Stamp, row: usize) -> (&'s Stamp, i32, i64) {
        let file = self.batch.segment_of_row(row).file;
        let record = self.batch.row_position(row).record;
        (
            stamp,
            i32::try_from(file).expect("a list of inputs"),
            i64::try_from(record).expect("records of a file"),
        )
    }
}

impl Sink for CopySink {
    fn write(&mut self, batch: &Batch) -> Result<Vec<RowReject>, SinkError> {
        let result =
            self.send(batch).map_err(|error| self.profile.explained(&self.shipment.table, error));
        if result.is_err() {
            self.transaction = Transaction::Failed;
        }
        result
    }

    fn execute(&mut self, sql: &str) -> Result<Option<u64>, SinkError> {
        // What it does stands behind the savepoint, and would be undone with the next batch.
        if self.savepoint == Savepoint::Here {
            self.savepoint = Savepoint::Behind;
        }
        let done = self.begin().and_then(|()| self.connection.execute(sql));
        if done.is_err() {
            self.transaction = Transaction::Failed;
        }
        done.map(Some)
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        match self.transaction {
            Transaction::Open => self.connection.commit()?,
            Transaction::None => {}
            Transaction::Failed => {
                // The server would answer such a commit with success, and roll back.
                return Err(SinkError::permanent(
                    "a commit after a failed statement: the transaction must be rolled back first",
                ));
            }
        }
        self.savepoint = Savepoint::None;
        self.transaction = Transaction::None;
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), SinkError> {
        if self.connection.is_out_of_step() {
            // The server undoes it when the connection goes.
            return self.reconnect();
        }
        self.connection.rollback()?;
        self.savepoint = Savepoint::None;
        self.transaction = Transaction::None;
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), SinkError> {
        let mut new = Connection::open(&self.plan, &self.way, &self.watch)?;
        let statement = new.prepare(&self.shipment.sql)?;
        self.statement = statement;
        std::mem::replace(&mut self.connection, new).close();
        self.savepoint = Savepoint::None;
        self.transaction = Transaction::None;
        Ok(())
    }
}
