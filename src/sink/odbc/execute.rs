//! One writer's connection: batches sent as arrays, answers examined, bad rows isolated.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::catalog::CatalogColumn;
use super::clue::{self, Clues};
use super::connect::{OdbcSpec, Session, fetch_all};
use super::isolate::{Attempt, Refusal, RowFault, isolate};
use super::judge::{Answer, judge};
use super::probe::Facts;
use super::profile::{ArrayOrder, Encode, RowSql, profile};
use super::raw::{Diagnostic, Statement};
use super::stamp::Stamped;
use super::statuses::{self, Partly, StatusArray};
use super::watchdog::{Doing, Watch, Watchdog, cancelled};
use super::waves::Arrangement;
use crate::arena::column::NULL_INDICATOR;
use crate::arena::{Batch, KeyNumbers, Values};
use crate::record::RejectClass;
use crate::sink::{ErrorClass, RowReject, Sink, SinkError};

/// Bytes counted for a cell beside its text: its length on the wire, or its number.
const CELL_BYTES: u64 = 16;

/// Bad rows of one array after which the next ones are short: the driver manager takes over one
/// diagnostic a bad row, each more slowly than the one before.
const MANY_BAD_ROWS: usize = 250;

/// Rows of a short array; with fewer bad rows they double again.
const ARRAY_ROWS_MIN: usize = 500;

/// What every writer of one target shares.
#[derive(Debug)]
pub(super) struct Plan {
    /// Address and settings.
    pub(super) spec: OdbcSpec,
    /// What the probe found.
    pub(super) facts: Facts,
    /// Keeps the time of all writers' calls.
    pub(super) watchdog: Watchdog,
}

impl Plan {
    /// A connection with its settings.
    pub(super) fn session(&self) -> Result<Session, SinkError> {
        Session::open(&self.spec, profile(self.facts.profile), self.facts.width)
    }
}

/// Where a sink's transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transaction {
    None,
    Open,
    /// A statement failed for good: only a rollback helps.
    Failed,
}

/// What a load sends, the same on every connection.
#[derive(Debug)]
pub(super) struct Shipment {
    /// The table, as statements name it.
    pub(super) table: String,
    /// The columns of the batches.
    pub(super) columns: Vec<CatalogColumn>,
    /// The statement.
    pub(super) sql: RowSql,
    /// In which arrays.
    pub(super) order: ArrayOrder,
    /// Whether the statement remembers a row that it failed on.
    pub(super) remembers: bool,
    /// The keys of rows, which `order` asks for.
    pub(super) keys: KeyNumbers,
    /// Whether file and record stand before the columns.
    pub(super) is_stamped: bool,
    /// Statement at the start of the transaction, where there is only one.
    pub(super) first_sql: Option<String>,
}

/// One writer's end.
pub(super) struct OdbcSink {
    plan: Arc<Plan>,
    shipment: Arc<Shipment>,
    sending: Sending,
    arrangement: Arrangement,
    transaction: Transaction,
}

/// What came of sending some rows.
enum Tried {
    /// All are in but these.
    In(Vec<RowReject>),
    /// None is.
    Refused(Refusal),
}

/// What belongs to one connection.
struct Sending {
    statement: Statement,
    control: Statement,
    /// Prepared queries by their texts.
    queries: HashMap<&'static str, Statement>,
    statuses: StatusArray,
    /// How the server leads to a bad row.
    clues: Clues,
    /// Whether the savepoint is where the next array needs it.
    savepoint_stands: bool,
    /// Most rows in the next array.
    array_rows: usize,
    encoder: Box<dyn Encode>,
    session: Session,
    watch: Arc<Watch>,
    query_timeout: Duration,
}

impl Sending {
    /// Over a connection that has done nothing else: some drivers undo more than their statement
    /// after an error where they were asked for columns before (psqlodbc 13).
    fn open(plan: &Plan, watch: Arc<Watch>, shipment: &Shipment) -> Result<Self, SinkError> {
        let session = plan.session()?;
        let profile = session.profile;
        let mut statement = session.statement()?;
        if !profile.server_keeps_query_timeout() {
            let seconds = usize::try_from(plan.spec.query_timeout.as_secs()).unwrap_or(0);
            // A driver may refuse it (HYC00); the probe's facts say that it was only asked.
            let _ = statement.set_query_timeout_seconds(seconds);
        }
        for &(_, attribute, value) in profile.statement_attributes() {
            // The probe has noted a refusal, and then believes no status array.
            let _ = statement.set_number(attribute, value);
        }
        statement.set_numbered(plan.facts.statuses.exact);
        let prepared = statement.prepare(&shipment.sql.text).ok();
        prepared.map_err(|outcome| profile.explained(&shipment.table, session.error(&outcome)))?;
        let mut encoder = profile.encoder(&shipment.columns, plan.facts.width);
        if shipment.is_stamped {
            encoder = Box::new(Stamped::new(profile, encoder, plan.facts.width));
        }
        Ok(Self {
            statement,
            statuses: plan.facts.statuses,
            clues: profile.clues(),
            savepoint_stands: false,
            array_rows: usize::MAX,
            control: session.statement()?,
            queries: HashMap::new(),
            encoder,
            session,
            watch,
            query_timeout: plan.spec.query_timeout,
        })
    }

    fn control(&mut self, sql: &str) -> Result<(), SinkError> {
        let canceller = self.control.canceller();
        let control = &mut self.control;
        let (outcome, was_cancelled) =
            self.watch.during(Doing::Statement, Some(canceller), || control.execute_direct(sql));
        let result = outcome.ok().map_err(|outcome| self.session.error(&outcome));
        self.told(result, was_cancelled)
    }

    /// Runs a statement without parameters: the rows that it changed.
    fn counted(&mut self, sql: &str) -> Result<Option<u64>, SinkError> {
        self.control(sql)?;
        Ok(u64::try_from(self.control.row_count()).ok())
    }

    /// What a statement gave, where its error may be our own doing.
    fn told<T>(&self, result: Result<T, SinkError>, was_cancelled: bool) -> Result<T, SinkError> {
        match result {
            Err(error) if was_cancelled => Err(cancelled(self.query_timeout, error)),
            result => result,
        }
    }

    /// All rows of a query that is asked again and again: it is prepared once.
    fn query(&mut self, sql: &'static str) -> Result<Vec<Vec<Option<String>>>, SinkError> {
        let mut statement = match self.queries.remove(sql) {
            Some(statement) => statement,
            None => {
                let mut statement = self.session.statement()?;
                let prepared = statement.prepare(sql).ok();
                prepared.map_err(|outcome| self.session.error(&outcome))?;
                statement
            }
        };
        let canceller = statement.canceller();
        let asked = || {
            statement.execute_array(&[], 1).outcome.ok()?;
            fetch_all(&mut statement)
        };
        let (rows, was_cancelled) = self.watch.during(Doing::Statement, Some(canceller), asked);
        let rows = rows.map_err(|outcome| self.session.error(&outcome));
        self.queries.insert(sql, statement);
        self.told(rows, was_cancelled)
    }

    fn commit(&self) -> Result<(), SinkError> {
        self.watch.during(Doing::EndOfTransaction, None, || self.session.commit()).0
    }

    fn rollback(&self) -> Result<(), SinkError> {
        self.watch.during(Doing::EndOfTransaction, None, || self.session.rollback()).0
    }

    /// What the server has to say about the statement before, where the driver does not pass it
    /// on.
    fn warnings(&mut self) -> Result<Vec<Diagnostic>, SinkError> {
        let Some(sql) = self.session.profile.warnings_sql() else {
            return Ok(Vec::new());
        };
        let rows = self.query(sql)?;
        let warnings = rows.into_iter().map(|row| {
            let mut cells = row.into_iter().skip(1).map(Option::unwrap_or_default);
            Diagnostic {
                sqlstate: "01000".to_owned(),
                native: cells.next().and_then(|code| code.parse().ok()).unwrap_or(0),
                message: cells.next().unwrap_or_default(),
            }
        });
        Ok(warnings.collect())
    }

    /// Sends some rows and returns the bad ones; the others are in.
    fn send(
        &mut self,
        batch: &Batch,
        rows: &[usize],
        shipment: &Shipment,
    ) -> Result<Vec<RowReject>, SinkError> {
        let (mut rejects, mut rest) = (Vec::new(), rows);
        while !rest.is_empty() {
            let (array, later) = rest.split_at(rest.len().min(self.array_rows));
            let bad = self.send_array(batch, array, shipment)?;
            self.array_rows = match bad.len() > MANY_BAD_ROWS {
                true => ARRAY_ROWS_MIN,
                false => self.array_rows.saturating_mul(2),
            };
            // What was found is a position in the array.
            rejects.extend(
                bad.into_iter().map(|reject| RowReject { row: array[reject.row], ..reject }),
            );
            rest = later;
        }
        Ok(rejects)
    }

    fn send_array(
        &mut self,
        batch: &Batch,
        rows: &[usize],
        shipment: &Shipment,
    ) -> Result<Vec<RowReject>, SinkError> {
        let believed = self.statuses.exact && !shipment.remembers;
        match self.attempt(batch, rows, shipment, believed)? {
            Tried::In(rejects) => Ok(rejects),
            Tried::Refused(refusal) => isolate(0..rows.len(), refusal, |positions| {
                Ok(match self.attempt(batch, &rows[positions], shipment, false)? {
                    Tried::In(_) => None,
                    Tried::Refused(refusal) => Some(refusal),
                })
            }),
        }
    }

    /// Sends some rows under a savepoint: afterwards all of them are in, or none; where `partly`
    /// says that the status array is to be believed, all but those that come back.
    fn attempt(
        &mut self,
        batch: &Batch,
        rows: &[usize],
        shipment: &Shipment,
        partly: bool,
    ) -> Result<Tried, SinkError> {
        let savepoint = self.session.profile.savepoint();
        if !self.savepoint_stands {
            self.control(savepoint.set)?;
        }
        let expected = rows.len();
        let (columns, sets) = self.encoder.encode(batch, rows);
        let marks = shipment.sql.marks.iter();
        let parameters: Vec<_> = marks.map(|&column| columns[column]).collect();
        let canceller = self.statement.canceller();
        let statement = &mut self.statement;
        let execute = || statement.execute_array(&parameters, sets);
        let (result, was_cancelled) = self.watch.during(Doing::Statement, Some(canceller), execute);
        if was_cancelled && !result.outcome.is_ok() {
            // Whatever the driver says of single rows then.
            return Err(cancelled(self.query_timeout, self.session.error(&result.outcome)));
        }
        let warnings = if result.outcome.is_ok() { self.warnings()? } else { Vec::new() };
        let answer = Answer {
            result: &result,
            statuses: self.statement.statuses(),
            rows: expected,
            must_count: shipment.sql.counted,
            warnings: &warnings,
            counted: (self.session.profile.counts_rows() || self.statuses.counts)
                .then_some(result.row_count),
        };
        let failed =
            if partly { statuses::read(&self.session, &answer, &shipment.columns)? } else { None };
        let tried = match failed {
            Some(Partly::Bad(rejects)) => Tried::In(rejects),
            // Rows one by one say the same again, or what is wrong.
            Some(Partly::Contradiction) | None => {
                match judge(&self.session, &answer, &shipment.columns)? {
                    Attempt::In => Tried::In(Vec::new()),
                    Attempt::Refused(fault) => {
                        let suspect = self.suspect(&fault, batch, rows, &shipment.columns)?;
                        Tried::Refused(Refusal { fault, suspect })
                    }
                }
            }
        };
        let after = match &tried {
            Tried::In(_) => savepoint.keep,
            Tried::Refused(_) => savepoint.undo,
        };
        for sql in after {
            self.control(sql)?;
        }
        if shipment.remembers && matches!(tried, Tried::Refused(_)) {
            let prepared = self.statement.prepare(&shipment.sql.text).ok();
            prepared.map_err(|outcome| self.session.error(&outcome))?;
        }
        self.savepoint_stands = savepoint.outlives_undo && matches!(tried, Tried::Refused(_));
        Ok(tried)
    }

    /// Position of the row that the database seems to mean.
    fn suspect(
        &mut self,
        fault: &RowFault,
        batch: &Batch,
        rows: &[usize],
        columns: &[CatalogColumn],
    ) -> Result<Option<usize>, SinkError> {
        if rows.len() == 1 {
            return Ok(None);
        }
        match self.clues {
            Clues::None => Ok(None),
            Clues::Words => Ok(clue::by_words(fault, batch, rows, columns)),
            Clues::Asked { statements, query } => self.asked(statements, query),
        }
    }

    /// Position of the row by the server's own number of it, which counts from 1.
    fn asked(
        &mut self,
        statements: &[&str],
        query: &'static str,
    ) -> Result<Option<usize>, SinkError> {
        for sql in statements {
            match self.control(sql) {
                Ok(()) => {}
                Err(error) if error.class == ErrorClass::Permanent => {
                    // An older server: it is not asked again.
                    self.clues = Clues::None;
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
        }
        let number = self.query(query)?.into_iter().flatten().next().flatten();
        let number = number.and_then(|number| number.parse::<usize>().ok());
        Ok(number.and_then(|number| number.checked_sub(1)))
    }
}

impl OdbcSink {
    /// Asks what is to be sent, connects, and prepares; watched, as every later call is.
    pub(super) fn open(
        plan: Arc<Plan>,
        shipment: impl FnOnce() -> Result<Arc<Shipment>, SinkError>,
    ) -> Result<Self, SinkError> {
        let watch = plan.watchdog.watch();
        let open = || {
            let shipment = shipment()?;
            let sending = Sending::open(&plan, Arc::clone(&watch), &shipment)?;
            Ok((shipment, sending))
        };
        let (shipment, sending) = watch.during(Doing::Connect, None, open).0?;
        let arrangement = Arrangement::default();
        Ok(Self { plan, shipment, sending, arrangement, transaction: Transaction::None })
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
        for sql in self.sending.session.profile.transaction_sql() {
            self.sending.control(sql)?;
        }
        if let Some(sql) = &self.shipment.first_sql {
            self.sending.control(sql)?;
        }
        self.transaction = Transaction::Open;
        Ok(())
    }

    fn send(&mut self, batch: &Batch) -> Result<Vec<RowReject>, SinkError> {
        self.begin()?;
        let Self { sending, shipment, arrangement, .. } = self;
        let mut rejects = Vec::new();
        for request in requests(batch, self.plan.facts.request_bytes) {
            let rows = match request {
                Request::Send(rows) => rows,
                Request::TooLarge { row, bytes, most } => {
                    rejects.push(too_large(row, bytes, most));
                    continue;
                }
            };
            arrangement.of_batch(shipment.order, rows, &shipment.keys, batch);
            for positions in &arrangement.statements {
                let rows = &arrangement.rows[positions.clone()];
                rejects.extend(sending.send(batch, rows, shipment)?);
            }
        }
        // Waves find them out of order.
        rejects.sort_unstable_by_key(|reject| reject.row);
        Ok(rejects)
    }
}

impl Sink for OdbcSink {
    fn write(&mut self, batch: &Batch) -> Result<Vec<RowReject>, SinkError> {
        let result = self
            .send(batch)
            .map_err(|error| self.sending.session.profile.explained(&self.shipment.table, error));
        if result.is_err() {
            self.transaction = Transaction::Failed;
        }
        result
    }

    fn execute(&mut self, sql: &str) -> Result<Option<u64>, SinkError> {
        // What it does stands behind the savepoint, and would be undone with the next array.
        self.sending.savepoint_stands = false;
        let done = self.begin().and_then(|()| self.sending.counted(sql));
        if done.is_err() {
            self.transaction = Transaction::Failed;
        }
        done
    }

    fn commit(&mut self) -> Result<(), SinkError> {
        if self.transaction == Transaction::Failed {
            // PostgreSQL would answer such a commit with success, and roll back.
            return Err(SinkError::permanent(
                "a commit after a failed statement: the transaction must be rolled back first",
            ));
        }
        self.sending.commit()?;
        self.sending.savepoint_stands = false;
        self.transaction = Transaction::None;
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), SinkError> {
        self.sending.rollback()?;
        self.sending.savepoint_stands = false;
        self.transaction = Transaction::None;
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), SinkError> {
        let watch = Arc::clone(&self.sending.watch);
        let Self { plan, shipment, .. } = &*self;
        let open = || Sending::open(plan, Arc::clone(&watch), shipment);
        let new = watch.during(Doing::Connect, None, open).0?;
        let old = std::mem::replace(&mut self.sending, new);
        // Its driver may still try to say goodbye to a server that is gone.
        watch.during(Doing::EndOfTransaction, None, || drop(old));
        self.transaction = Transaction::None;
        Ok(())
    }
}

/// One request to the server, or a row that fits none.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Send(Range<usize>),
    TooLarge { row: usize, bytes: u64, most: u64 },
}

/// Cuts a batch where a request would be larger than the server takes.
fn requests(batch: &Batch, most: Option<u64>) -> Vec<Request> {
    let rows = batch.rows();
    if rows == 0 {
        return Vec::new();
    }
    let widest: u64 = batch.columns.iter().map(|column| wide(column.stride()) + CELL_BYTES).sum();
    let most = match most {
        Some(most) if widest.saturating_mul(wide(rows)) > most => most,
        _ => return vec![Request::Send(0..rows)],
    };
    let mut requests = Vec::new();
    let (mut start, mut sum) = (0, 0);
    for row in 0..rows {
        let bytes = row_bytes(batch, row);
        if sum + bytes > most && start < row {
            requests.push(Request::Send(start..row));
            (start, sum) = (row, 0);
        }
        if bytes > most {
            requests.push(Request::TooLarge { row, bytes, most });
            start = row + 1;
        } else {
            sum += bytes;
        }
    }
    if start < rows {
        requests.push(Request::Send(start..rows));
    }
    requests
}

fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn row_bytes(batch: &Batch, row: usize) -> u64 {
    let cells = batch.columns.iter().map(|column| {
        let word = column.indicators.get(row);
        match &column.values {
            Values::Bytes { .. } if word != NULL_INDICATOR => {
                u64::try_from(word).unwrap_or(0) + CELL_BYTES
            }
            _ => CELL_BYTES,
        }
    });
    cells.sum()
}

fn too_large(row: usize, bytes: u64, most: u64) -> RowReject {
    RowReject {
        row,
        class: RejectClass::Length,
        column: None,
        sqlstate: None,
        native: None,
        message: format!("the row has {bytes} bytes, and the server takes {most} in one request"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{CellType, IndicatorWidth};

    fn batch(lengths: &[i64]) -> Batch {
        let mut batch = Batch::new(&[CellType::Text], IndicatorWidth::Wide, 0);
        batch.lay_out(lengths.len(), &[100]);
        for (row, &length) in lengths.iter().enumerate() {
            batch.columns[0].indicators.set(row, length);
        }
        batch.set_rows(lengths.len());
        batch
    }

    #[test]
    fn requests_stay_under_the_bound() {
        let batch = batch(&[4, 4, 100, 4, -1]);
        assert_eq!(requests(&batch, None), [Request::Send(0..5)]);
        assert_eq!(requests(&batch, Some(10_000)), [Request::Send(0..5)]);
        assert_eq!(
            requests(&batch, Some(40)),
            [
                Request::Send(0..2),
                Request::TooLarge { row: 2, bytes: 116, most: 40 },
                Request::Send(3..5),
            ]
        );
        assert_eq!(
            requests(&batch, Some(116)),
            [Request::Send(0..2), Request::Send(2..3), Request::Send(3..5)]
        );
    }
}
