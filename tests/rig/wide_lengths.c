/* A stand-in for IBM's libdb2o.so, for tests only: the driver libdb2.so, whose length words
 * (SQLLEN, SQLULEN) have 4 bytes, with words of 8 bytes outside, as unixODBC declares them.
 *
 * It is linked against libdb2.so.1 and defines only the functions that hand length words over in
 * memory; dlsym() finds all others in libdb2 itself. Numbers passed by value need nothing: their
 * low half is where the driver looks for it. A word that the driver writes and that is never
 * negative is zeroed before; one that may be negative is widened afterwards. Only arrays of length
 * words must be copied, because their elements stand closer together inside.
 *
 * Limits: little-endian 64-bit machines; row-wise row sets, SQLExtendedFetch and descriptors by
 * SQLSetDescField are not served. Row-wise parameters pass as they are: the driver reads the low
 * half of each word.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sql.h>
#include <sqlext.h>

_Static_assert(sizeof(SQLLEN) == 8, "compile with the 8-byte words of unixODBC");

/* What was bound as parameter or column: the caller's words and the driver's. */
struct words {
    struct words *next;
    SQLUSMALLINT number;
    SQLLEN *outer;
    int32_t *inner;
    size_t room;
    /* The call that bound a parameter, to repeat it when the array has grown. */
    SQLSMALLINT io, c_type, sql_type, digits;
    SQLULEN size;
    SQLPOINTER values;
    SQLLEN stride;
};

struct statement {
    struct statement *next;
    SQLHSTMT handle;
    SQLULEN sets, rows, by_row;
    SQLULEN *processed, *fetched;
    struct words *parameters, *columns;
};

static struct statement *statements;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The driver's function of the same name and type. */
#define INNER(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define SUCCEEDED(code) ((code) == SQL_SUCCESS || (code) == SQL_SUCCESS_WITH_INFO)

static struct statement *statement_of(SQLHSTMT handle)
{
    pthread_mutex_lock(&lock);
    struct statement *s = statements;
    while (s && s->handle != handle)
        s = s->next;
    if (!s && (s = calloc(1, sizeof *s))) {
        *s = (struct statement){.next = statements, .handle = handle, .sets = 1, .rows = 1};
        statements = s;
    }
    pthread_mutex_unlock(&lock);
    if (!s)
        abort();
    return s;
}

static void drop_words(struct words **list)
{
    for (struct words *w; (w = *list);) {
        *list = w->next;
        free(w->inner);
        free(w);
    }
}

static void forget(SQLHSTMT handle)
{
    pthread_mutex_lock(&lock);
    struct statement **link = &statements, *s;
    while (*link && (*link)->handle != handle)
        link = &(*link)->next;
    if ((s = *link)) {
        *link = s->next;
        drop_words(&s->parameters);
        drop_words(&s->columns);
        free(s);
    }
    pthread_mutex_unlock(&lock);
}

static struct words *words_of(struct words **list, SQLUSMALLINT number)
{
    struct words *w = *list;
    while (w && w->number != number)
        w = w->next;
    if (!w) {
        if (!(w = calloc(1, sizeof *w)))
            abort();
        w->number = number;
        w->next = *list;
        *list = w;
    }
    return w;
}

/* Room for the words of `count` rows; returns whether the array has moved. */
static int make_room(struct words *w, size_t count)
{
    if (w->room >= count)
        return 0;
    free(w->inner);
    if (!(w->inner = calloc(count, sizeof *w->inner)))
        abort();
    w->room = count;
    return 1;
}

/* --- parameters ------------------------------------------------------------------------------ */

static SQLRETURN bind_inner(SQLHSTMT handle, struct words *w, SQLLEN *indicators)
{
    return INNER(SQLBindParameter)(handle, w->number, w->io, w->c_type, w->sql_type, w->size,
                                   w->digits, w->values, w->stride, indicators);
}

SQLRETURN SQLBindParameter(SQLHSTMT handle, SQLUSMALLINT number, SQLSMALLINT io,
                           SQLSMALLINT c_type, SQLSMALLINT sql_type, SQLULEN size,
                           SQLSMALLINT digits, SQLPOINTER values, SQLLEN stride,
                           SQLLEN *indicators)
{
    struct statement *s = statement_of(handle);
    struct words *w = words_of(&s->parameters, number);
    w->io = io, w->c_type = c_type, w->sql_type = sql_type, w->digits = digits;
    w->size = size, w->values = values, w->stride = stride, w->outer = indicators;
    make_room(w, s->sets);
    return bind_inner(handle, w, indicators ? (SQLLEN *)w->inner : NULL);
}

static SQLRETURN before_execute(struct statement *s)
{
    if (s->processed)
        *s->processed = 0;
    for (struct words *w = s->parameters; w; w = w->next) {
        if (!w->outer)
            continue;
        SQLRETURN code = SQL_SUCCESS;
        if (s->by_row)
            code = bind_inner(s->handle, w, w->outer);
        else if (make_room(w, s->sets))
            code = bind_inner(s->handle, w, (SQLLEN *)w->inner);
        if (!SUCCEEDED(code))
            return code;
        for (SQLULEN row = 0; !s->by_row && row < s->sets; row++)
            w->inner[row] = (int32_t)w->outer[row];
    }
    return SQL_SUCCESS;
}

SQLRETURN SQLExecute(SQLHSTMT handle)
{
    SQLRETURN code = before_execute(statement_of(handle));
    return SUCCEEDED(code) ? INNER(SQLExecute)(handle) : code;
}

#define EXEC_DIRECT(name, character)                                                              \
    SQLRETURN name(SQLHSTMT handle, character *text, SQLINTEGER length)                           \
    {                                                                                             \
        SQLRETURN code = before_execute(statement_of(handle));                                    \
        return SUCCEEDED(code) ? INNER(name)(handle, text, length) : code;                        \
    }
EXEC_DIRECT(SQLExecDirect, SQLCHAR)
EXEC_DIRECT(SQLExecDirectW, SQLWCHAR)

/* --- columns --------------------------------------------------------------------------------- */

SQLRETURN SQLBindCol(SQLHSTMT handle, SQLUSMALLINT number, SQLSMALLINT c_type, SQLPOINTER values,
                     SQLLEN stride, SQLLEN *indicators)
{
    struct statement *s = statement_of(handle);
    struct words *w = words_of(&s->columns, number);
    w->c_type = c_type, w->values = values, w->stride = stride, w->outer = indicators;
    make_room(w, s->rows);
    return INNER(SQLBindCol)(handle, number, c_type, values, stride,
                             indicators ? (SQLLEN *)w->inner : NULL);
}

/* A row set may have grown since its columns were bound. */
static SQLRETURN before_fetch(struct statement *s)
{
    if (s->fetched)
        *s->fetched = 0;
    for (struct words *w = s->columns; w; w = w->next) {
        if (!w->outer || !make_room(w, s->rows))
            continue;
        SQLRETURN code = INNER(SQLBindCol)(s->handle, w->number, w->c_type, w->values, w->stride,
                                           (SQLLEN *)w->inner);
        if (!SUCCEEDED(code))
            return code;
    }
    return SQL_SUCCESS;
}

static SQLRETURN after_fetch(struct statement *s, SQLRETURN code)
{
    SQLULEN rows = s->fetched ? *s->fetched : s->rows;
    for (struct words *w = s->columns; SUCCEEDED(code) && w; w = w->next)
        for (SQLULEN row = 0; w->outer && row < rows; row++)
            w->outer[row] = w->inner[row];
    return code;
}

SQLRETURN SQLFetch(SQLHSTMT handle)
{
    struct statement *s = statement_of(handle);
    SQLRETURN code = before_fetch(s);
    return SUCCEEDED(code) ? after_fetch(s, INNER(SQLFetch)(handle)) : code;
}

SQLRETURN SQLFetchScroll(SQLHSTMT handle, SQLSMALLINT orientation, SQLLEN offset)
{
    struct statement *s = statement_of(handle);
    SQLRETURN code = before_fetch(s);
    return SUCCEEDED(code) ? after_fetch(s, INNER(SQLFetchScroll)(handle, orientation, offset))
                           : code;
}

SQLRETURN SQLGetData(SQLHSTMT handle, SQLUSMALLINT number, SQLSMALLINT c_type, SQLPOINTER value,
                     SQLLEN size, SQLLEN *indicator)
{
    int32_t word[2] = {0, 0};
    SQLRETURN code = INNER(SQLGetData)(handle, number, c_type, value, size,
                                       indicator ? (SQLLEN *)word : NULL);
    if (indicator && SUCCEEDED(code))
        *indicator = word[0];
    return code;
}

/* --- attributes of statements ---------------------------------------------------------------- */

static int remember(struct statement *s, SQLINTEGER attribute, SQLPOINTER value)
{
    switch (attribute) {
    case SQL_ATTR_PARAMSET_SIZE: s->sets = (SQLULEN)value; break;
    case SQL_ATTR_PARAM_BIND_TYPE: s->by_row = (SQLULEN)value; break;
    case SQL_ATTR_PARAMS_PROCESSED_PTR: s->processed = value; break;
    case SQL_ATTR_ROWS_FETCHED_PTR: s->fetched = value; break;
    case SQL_ROWSET_SIZE:
    case SQL_ATTR_ROW_ARRAY_SIZE: s->rows = (SQLULEN)value; break;
    case SQL_ATTR_ROW_BIND_TYPE: return value == SQL_BIND_BY_COLUMN;
    default: break;
    }
    return 1;
}

#define SET_ATTRIBUTE(name)                                                                       \
    SQLRETURN name(SQLHSTMT handle, SQLINTEGER attribute, SQLPOINTER value, SQLINTEGER length)    \
    {                                                                                             \
        SQLRETURN code = INNER(name)(handle, attribute, value, length);                           \
        if (SUCCEEDED(code) && !remember(statement_of(handle), attribute, value))                 \
            code = SQL_ERROR;                                                                     \
        return code;                                                                              \
    }
SET_ATTRIBUTE(SQLSetStmtAttr)
SET_ATTRIBUTE(SQLSetStmtAttrW)

/* ODBC's own attributes are words or pointers; a pointer is written whole. IBM's, from 1000 on,
 * have sizes of their own. */
#define GET_ATTRIBUTE(name)                                                                       \
    SQLRETURN name(SQLHSTMT handle, SQLINTEGER attribute, SQLPOINTER value, SQLINTEGER room,      \
                   SQLINTEGER *length)                                                            \
    {                                                                                             \
        if (value && attribute < 1000)                                                            \
            *(SQLULEN *)value = 0;                                                                \
        return INNER(name)(handle, attribute, value, room, length);                               \
    }
GET_ATTRIBUTE(SQLGetStmtAttr)
GET_ATTRIBUTE(SQLGetStmtAttrW)

/* --- numbers handed back through pointers ---------------------------------------------------- */

SQLRETURN SQLRowCount(SQLHSTMT handle, SQLLEN *count)
{
    int32_t word[2] = {-1, 0};
    SQLRETURN code = INNER(SQLRowCount)(handle, (SQLLEN *)word);
    if (count)
        *count = word[0];
    return code;
}

#define DESCRIBE_COLUMN(name, character)                                                          \
    SQLRETURN name(SQLHSTMT handle, SQLUSMALLINT number, character *text, SQLSMALLINT room,       \
                   SQLSMALLINT *length, SQLSMALLINT *type, SQLULEN *size, SQLSMALLINT *digits,    \
                   SQLSMALLINT *nullable)                                                         \
    {                                                                                             \
        if (size)                                                                                 \
            *size = 0;                                                                            \
        return INNER(name)(handle, number, text, room, length, type, size, digits, nullable);     \
    }
DESCRIBE_COLUMN(SQLDescribeCol, SQLCHAR)
DESCRIBE_COLUMN(SQLDescribeColW, SQLWCHAR)

SQLRETURN SQLDescribeParam(SQLHSTMT handle, SQLUSMALLINT number, SQLSMALLINT *type, SQLULEN *size,
                           SQLSMALLINT *digits, SQLSMALLINT *nullable)
{
    if (size)
        *size = 0;
    return INNER(SQLDescribeParam)(handle, number, type, size, digits, nullable);
}

#define COLUMN_ATTRIBUTE(name)                                                                    \
    SQLRETURN name(SQLHSTMT handle, SQLUSMALLINT column, SQLUSMALLINT field, SQLPOINTER text,     \
                   SQLSMALLINT room, SQLSMALLINT *length, SQLLEN *number)                         \
    {                                                                                             \
        int32_t word[2] = {0, 0};                                                                 \
        SQLRETURN code = INNER(name)(handle, column, field, text, room, length,                   \
                                     number ? (SQLLEN *)word : NULL);                             \
        if (number && SUCCEEDED(code))                                                            \
            *number = word[0];                                                                    \
        return code;                                                                              \
    }
COLUMN_ATTRIBUTE(SQLColAttribute)
COLUMN_ATTRIBUTE(SQLColAttributeW)

#define DIAGNOSTIC_FIELD(name)                                                                    \
    SQLRETURN name(SQLSMALLINT type, SQLHANDLE handle, SQLSMALLINT record, SQLSMALLINT field,     \
                   SQLPOINTER value, SQLSMALLINT room, SQLSMALLINT *length)                       \
    {                                                                                             \
        if (field != SQL_DIAG_ROW_NUMBER && field != SQL_DIAG_ROW_COUNT)                          \
            return INNER(name)(type, handle, record, field, value, room, length);                 \
        int32_t word[2] = {0, 0};                                                                 \
        SQLRETURN code = INNER(name)(type, handle, record, field, word, room, length);            \
        if (value && SUCCEEDED(code))                                                             \
            *(SQLLEN *)value = word[0];                                                           \
        return code;                                                                              \
    }
DIAGNOSTIC_FIELD(SQLGetDiagField)
DIAGNOSTIC_FIELD(SQLGetDiagFieldW)

/* --- the end of a statement ------------------------------------------------------------------ */

SQLRETURN SQLFreeStmt(SQLHSTMT handle, SQLUSMALLINT option)
{
    SQLRETURN code = INNER(SQLFreeStmt)(handle, option);
    if (option == SQL_DROP)
        forget(handle);
    else if (option == SQL_RESET_PARAMS)
        drop_words(&statement_of(handle)->parameters);
    else if (option == SQL_UNBIND)
        drop_words(&statement_of(handle)->columns);
    return code;
}

SQLRETURN SQLFreeHandle(SQLSMALLINT type, SQLHANDLE handle)
{
    if (type == SQL_HANDLE_STMT)
        forget(handle);
    return INNER(SQLFreeHandle)(type, handle);
}
