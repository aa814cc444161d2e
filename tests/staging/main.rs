//! Loads by way of a staging table: the same cases over each database.

mod duplicates;
mod failures;
mod modes;
mod parts;
mod restarts;
mod settings;
mod support;
mod tables;
mod values;

use duplicates::*;
use failures::*;
use modes::*;
use parts::*;
use restarts::*;
use settings::*;
use support::Kind;
use tables::*;
use values::*;

macro_rules! for_each {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            use super::*;
            $(#[test] fn $case() { super::$case(Kind::Sqlite); })*
        }
        mod postgresql {
            use super::*;
            $(#[test] fn $case() { super::$case(Kind::Postgresql); })*
        }
        mod mariadb {
            use super::*;
            $(#[test] fn $case() { super::$case(Kind::Mariadb); })*
        }
        mod db2 {
            use super::*;
            $(#[test] fn $case() { super::$case(Kind::Db2); })*
        }
    };
}

for_each!(
    append_adds,
    upsert_changes_and_adds,
    upsert_of_a_key_alone,
    upsert_without_an_index,
    a_target_without_an_index_is_read_once,
    replace_exchanges,
    replace_by_nothing_empties,
    delete_takes_away,
    truncate_empties_first,
    many_rows_by_many_writers,
    an_own_table_is_gone_afterwards,
    a_named_table_is_kept_and_shared,
    a_table_that_lacks_a_column_is_refused,
    a_table_with_another_type_is_refused,
    a_load_may_create_both_tables,
    statements_are_explained,
    the_last_one_counts,
    the_first_one_counts,
    equal_keys_are_an_error,
    equal_keys_are_rejects,
    too_many_equal_keys,
    rejects_of_equal_keys_go_with_the_move,
    keys_of_several_columns,
    equality_is_the_databases_own,
    a_move_that_is_refused_changes_nothing,
    rejects_of_a_move_that_is_refused_stay,
    an_interrupted_move_changes_nothing,
    parts_are_moved_one_by_one,
    a_failed_part_leaves_the_rest,
    values_arrive_as_by_a_direct_load,
    a_move_may_lock_its_table,
    statistics_are_renewed,
    integrity_is_checked_in_db2_only,
    attributes_are_db2s,
    a_move_is_made_up_for,
    what_is_settled_stays_settled,
    a_job_that_is_given_up_is_cleaned_up,
);
