//! Rows of Db2 that are found by a key: `MERGE` in arrays, and what the catalogue says about the
//! key.

use super::super::keyed::{UniqueIndex, besides, key_names};
use super::super::{Counted, KeyFacts, RowSql, quoted};
use super::columns::{answer, literal, schema_of};
use crate::config::schema::SqlType;
use crate::sink::odbc::catalog::{CatalogColumn, TableName};
use crate::sink::odbc::connect::Session;
use crate::sink::{RowAction, SinkError};

/// `MERGE` of one row, executed for each row of an array in its order.
///
/// The source is a table of one row that Db2 and Derby have; the values stand where they are
/// compared, set and inserted. There each mark stands beside its column and takes that column's
/// type: no cast is needed, so none can cut a value. In the other form, `USING (VALUES (?, …))`,
/// which Derby does not know, marks have no type, and a cast to VARCHAR(n) cuts a longer text
/// without a word. The price is that a value is bound, and sent, once for each mark.
pub(super) fn merge_sql(
    table: &str,
    columns: &[CatalogColumn],
    key: &[usize],
    quote: char,
) -> RowSql {
    let name = |index: usize| quoted(&columns[index].column.name, quote);
    let on: Vec<String> = key.iter().map(|&index| format!("T.{} = ?", name(index))).collect();
    let others: Vec<usize> = (0..columns.len()).filter(|index| !key.contains(index)).collect();
    let sets: Vec<String> = others.iter().map(|&index| format!("{} = ?", name(index))).collect();
    let all: Vec<String> = (0..columns.len()).map(name).collect();
    let update = match sets.is_empty() {
        true => String::new(),
        false => format!(" WHEN MATCHED THEN UPDATE SET {}", sets.join(", ")),
    };
    let text = format!(
        "MERGE INTO {table} AS T USING SYSIBM.SYSDUMMY1 ON {}{update} \
         WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})",
        on.join(" AND "),
        all.join(", "),
        vec!["?"; columns.len()].join(", ")
    );
    let counted = if others.is_empty() { Counted::Free } else { Counted::EachOrMore };
    let marks = key.iter().copied().chain(others).chain(0..columns.len()).collect();
    RowSql { text, marks, counted }
}

/// What the catalogue says about a key. No index is asked for: `MERGE` needs none, and is slow
/// without one.
pub(super) fn facts(
    session: &Session,
    table: &TableName,
    columns: &[CatalogColumn],
    action: &RowAction,
) -> Result<KeyFacts, SinkError> {
    let key = key_names(columns, action.key());
    let loaded = |name: &String| columns.iter().any(|column| column.column.name == *name);
    let meeting = Meeting::ask(session, table)?;
    let merges_on_derby = matches!(action, RowAction::Upsert { .. })
        && meeting.as_ref().is_some_and(|meeting| meeting.is_derby);
    let one_writer = text_key(columns, action.key()).or_else(|| match meeting {
        None => Some("the catalogue does not tell what else is unique".to_owned()),
        Some(_) if merges_on_derby => {
            Some("Derby's MERGE waits for rows that other writers hold".to_owned())
        }
        Some(meeting) => meeting.why(&key, loaded),
    });
    // Derby 10.14 keeps a row on which a MERGE has failed and tries it again with the next one,
    // which then fails for it, or finds a row twice (21000).
    Ok(KeyFacts { one_writer, remembers: merges_on_derby, ..KeyFacts::FREE })
}

/// The collation of a database may take different texts for equal, and which it is, is asked in
/// another way on each server.
fn text_key(columns: &[CatalogColumn], key: &[usize]) -> Option<String> {
    let mut keys = key.iter().map(|&index| &columns[index].column);
    let text = keys.find(|column| matches!(column.ty, SqlType::Char(_) | SqlType::VarChar(_)))?;
    let name = &text.name;
    Some(format!(
        "the database's collation may take different texts of key column {name} for equal"
    ))
}

/// What may let rows of different keys meet.
struct Meeting {
    /// Whether the server is Derby, which looks for a key by reading rows of others, and finds
    /// out about deadlocks after a minute.
    is_derby: bool,
    /// Index, column, whether the server fills the column (1).
    indexes: Vec<Vec<Option<String>>>,
    /// Triggers and foreign keys into the table itself, in words.
    programs: Vec<Vec<Option<String>>>,
}

impl Meeting {
    /// From Db2's catalogue, else from Derby's, else nothing is known.
    fn ask(session: &Session, table: &TableName) -> Result<Option<Self>, SinkError> {
        let (schema, name) = (schema_of(table), literal(&table.table));
        for (indexes, programs, is_derby) in
            [(DB2_INDEXES, DB2_PROGRAMS, false), (DERBY_INDEXES, DERBY_PROGRAMS, true)]
        {
            let fill = |sql: &str| sql.replace("$SCHEMA", &schema).replace("$NAME", &name);
            if let Some(indexes) = answer(session, &fill(indexes))?
                && let Some(programs) = answer(session, &fill(programs))?
            {
                return Ok(Some(Self { is_derby, indexes, programs }));
            }
        }
        Ok(None)
    }

    fn why(self, key: &[&str], loaded: impl Fn(&String) -> bool) -> Option<String> {
        let others = besides(unique_indexes(&self.indexes, loaded), key);
        let others = others.into_iter().map(|index| format!("index {} is unique too", index.name));
        let programs = self.programs.into_iter().flatten().flatten();
        let all: Vec<String> = others.chain(programs).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

fn unique_indexes(
    rows: &[Vec<Option<String>>],
    loaded: impl Fn(&String) -> bool,
) -> Vec<UniqueIndex> {
    let mut indexes: Vec<UniqueIndex> = Vec::new();
    for row in rows {
        let [Some(name), Some(column), filled] = row.as_slice() else { continue };
        if indexes.last().is_none_or(|last| last.name != *name) {
            let name = name.clone();
            indexes.push(UniqueIndex { name, is_plain: true, ..UniqueIndex::default() });
        }
        if let Some(index) = indexes.last_mut() {
            index.is_generated |= filled.as_deref() == Some("1") && !loaded(column);
            index.columns.push(column.clone());
        }
    }
    indexes
}

/// Columns of unique indexes, and 1 for one that the server fills (Db2 catalogue views,
/// "SYSCAT.INDEXES", "SYSCAT.INDEXCOLUSE"); `I` is a column that an index only includes. Not seen
/// on a server.
const DB2_INDEXES: &str = "\
SELECT I.INDNAME, U.COLNAME, CASE WHEN C.GENERATED <> ' ' THEN 1 ELSE 0 END \
FROM SYSCAT.INDEXES I \
JOIN SYSCAT.INDEXCOLUSE U ON U.INDSCHEMA = I.INDSCHEMA AND U.INDNAME = I.INDNAME \
JOIN SYSCAT.COLUMNS C ON C.TABSCHEMA = I.TABSCHEMA AND C.TABNAME = I.TABNAME \
  AND C.COLNAME = U.COLNAME \
WHERE I.TABSCHEMA = $SCHEMA AND I.TABNAME = $NAME AND I.UNIQUERULE IN ('P', 'U') \
  AND U.COLORDER <> 'I' ORDER BY I.INDSCHEMA, I.INDNAME, U.COLSEQ";

const DB2_PROGRAMS: &str = "\
SELECT 'trigger ' || TRIGNAME || ' runs for its rows' FROM SYSCAT.TRIGGERS \
WHERE TABSCHEMA = $SCHEMA AND TABNAME = $NAME \
UNION ALL \
SELECT 'foreign key ' || CONSTNAME || ' points into the table itself' FROM SYSCAT.REFERENCES \
WHERE TABSCHEMA = $SCHEMA AND TABNAME = $NAME \
  AND REFTABSCHEMA = TABSCHEMA AND REFTABNAME = TABNAME";

/// Derby keeps the columns of an index as numbers in a text: `UNIQUE BTREE (2, 1)`. The last column
/// is a number because a CHAR(1) out of CASE ends IBM's connection to it.
const DERBY_INDEXES: &str = "\
SELECT G.CONGLOMERATENAME, C.COLUMNNAME, \
  CASE WHEN C.AUTOINCREMENTINC IS NOT NULL THEN 1 ELSE 0 END \
FROM SYS.SYSCONGLOMERATES G \
JOIN SYS.SYSTABLES T ON T.TABLEID = G.TABLEID \
JOIN SYS.SYSSCHEMAS S ON S.SCHEMAID = T.SCHEMAID \
JOIN SYS.SYSCOLUMNS C ON C.REFERENCEID = T.TABLEID \
WHERE S.SCHEMANAME = $SCHEMA AND T.TABLENAME = $NAME AND G.ISINDEX \
  AND CAST(G.DESCRIPTOR AS VARCHAR(2000)) LIKE 'UNIQUE%' \
  AND (CAST(G.DESCRIPTOR AS VARCHAR(2000)) LIKE '%(' || TRIM(CHAR(C.COLUMNNUMBER)) || ')%' \
    OR CAST(G.DESCRIPTOR AS VARCHAR(2000)) LIKE '%(' || TRIM(CHAR(C.COLUMNNUMBER)) || ',%' \
    OR CAST(G.DESCRIPTOR AS VARCHAR(2000)) LIKE '% ' || TRIM(CHAR(C.COLUMNNUMBER)) || ',%' \
    OR CAST(G.DESCRIPTOR AS VARCHAR(2000)) LIKE '% ' || TRIM(CHAR(C.COLUMNNUMBER)) || ')%') \
ORDER BY G.CONGLOMERATENAME, C.COLUMNNUMBER";

const DERBY_PROGRAMS: &str = "\
SELECT 'trigger ' || G.TRIGGERNAME || ' runs for its rows' \
FROM SYS.SYSTRIGGERS G \
JOIN SYS.SYSTABLES T ON T.TABLEID = G.TABLEID \
JOIN SYS.SYSSCHEMAS S ON S.SCHEMAID = T.SCHEMAID \
WHERE S.SCHEMANAME = $SCHEMA AND T.TABLENAME = $NAME \
UNION ALL \
SELECT 'foreign key ' || F.CONSTRAINTNAME || ' points into the table itself' \
FROM SYS.SYSFOREIGNKEYS K \
JOIN SYS.SYSCONSTRAINTS F ON F.CONSTRAINTID = K.CONSTRAINTID \
JOIN SYS.SYSCONSTRAINTS R ON R.CONSTRAINTID = K.KEYCONSTRAINTID AND R.TABLEID = F.TABLEID \
JOIN SYS.SYSTABLES T ON T.TABLEID = F.TABLEID \
JOIN SYS.SYSSCHEMAS S ON S.SCHEMAID = T.SCHEMAID \
WHERE S.SCHEMANAME = $SCHEMA AND T.TABLENAME = $NAME";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::Column;
    use crate::sink::odbc::profile::announced;

    fn columns() -> Vec<CatalogColumn> {
        ["V", "K\"1", "K2"]
            .map(|name| {
                let ty = SqlType::Integer;
                CatalogColumn {
                    column: Column { name: name.to_owned(), ty, nullable: true, generated: false },
                    server_type: String::new(),
                    announced: announced(ty),
                }
            })
            .into()
    }

    #[test]
    fn each_mark_has_its_column() {
        let merge = merge_sql("\"T\"", &columns(), &[1, 2], '"');
        assert_eq!(
            merge.text,
            "MERGE INTO \"T\" AS T USING SYSIBM.SYSDUMMY1 ON T.\"K\"\"1\" = ? AND T.\"K2\" = ? \
             WHEN MATCHED THEN UPDATE SET \"V\" = ? \
             WHEN NOT MATCHED THEN INSERT (\"V\", \"K\"\"1\", \"K2\") VALUES (?, ?, ?)"
        );
        assert_eq!(merge.marks, [1, 2, 0, 0, 1, 2]);
        assert_eq!(merge.marks.len(), merge.text.matches('?').count());
        let keys_only = merge_sql("\"T\"", &columns(), &[0, 1, 2], '"');
        assert!(!keys_only.text.contains("UPDATE"), "{}", keys_only.text);
        assert_eq!((keys_only.marks, keys_only.counted), (vec![0, 1, 2, 0, 1, 2], Counted::Free));
    }

    #[test]
    fn rows_may_meet_in_other_indexes() {
        let row = |cells: [&str; 3]| cells.map(|cell| Some(cell.to_owned())).to_vec();
        let meeting = |programs: &[&str]| Meeting {
            is_derby: false,
            indexes: vec![
                row(["ID", "ID", "1"]),
                row(["OWN", "K", "0"]),
                row(["OTHER", "K", "0"]),
                row(["OTHER", "V", "0"]),
            ],
            programs: programs.iter().map(|&words| vec![Some(words.to_owned())]).collect(),
        };
        let loaded = |name: &String| name != "ID";
        let why = meeting(&["trigger A runs"]).why(&["K"], loaded);
        assert_eq!(why.as_deref(), Some("index OTHER is unique too, trigger A runs"));
        let mut own = meeting(&[]);
        own.indexes.truncate(2);
        assert_eq!(own.why(&["K"], loaded), None);
    }
}
