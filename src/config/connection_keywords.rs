//! Keywords of ODBC connection strings: whose values are secrets, and which no connection of ours
//! may have.

/// Parts of keywords whose value is a secret.
const SECRET_PARTS: &[&str] = &["pwd", "password", "secret", "token", "passphrase", "apikey"];

/// Keywords whose value is free text that may hold a secret.
const FREE_TEXT: &[&str] = &["pqopt", "d5", "connsettings", "a6", "initstmt"];

/// Values that turn a switch off.
const OFF: &[&str] = &["", "0", "no", "off", "false"];

const RUNS_SQL: &str = "runs SQL that fastload does not see; --session-sql runs statements on \
                        every connection";
const LOADS_CODE: &str = "lets the driver load program code from a place of its own; a data source \
                          of odbc.ini may have it";
const READS_FILES: &str = "brings in settings from a file that fastload cannot check; a data \
                           source of odbc.ini (DSN=NAME) may have them";
const MANY: &str = "sets options of psqlodbc that have keywords of their own; write those";
const LOGS: &str = "makes the driver write a log that may hold data and passwords; a data source \
                    of odbc.ini may have it";

/// Keywords that are refused, whatever the driver, and what each would do.
const REFUSED: &[(&str, &str)] = &[
    ("filedsn", READS_FILES),
    ("savefile", "writes the connection string, password included, to a file; leave it out"),
    // MariaDB and MySQL.
    ("initstmt", RUNS_SQL),
    ("plugin_dir", LOADS_CODE),
    ("use_mycnf", READS_FILES),
    ("load_data_local_dir", "lets the server read files of this machine; leave it out"),
    ("enable_local_infile", "lets the server read files of this machine; leave it out"),
    // psqlodbc, by their names and their short forms.
    ("connsettings", RUNS_SQL),
    ("a6", RUNS_SQL),
    (
        "pqopt",
        "passes any option to libpq; for certificates there are --tls and --tls-ca, and \
         PGSSLCERT and PGSSLKEY in the environment",
    ),
    ("d5", "is the short form of pqopt, which passes any option to libpq"),
    ("translationdll", LOADS_CODE),
    ("cx", MANY),
    ("ab", MANY),
    // The SQLite driver.
    ("loadext", LOADS_CODE),
];

/// Keywords that make a driver write a log; refused where they do not turn it off.
const LOGGING: &[&str] = &[
    "trace",
    "tracefile",
    "tracefilename",
    "tracepathname",
    "debug",
    "b2",
    "commlog",
    "b3",
    "logdir",
    "dumpfile",
];

/// Whether the value of a keyword is a secret, or free text that may hold one.
#[must_use]
pub fn is_secret(keyword: &str) -> bool {
    let keyword = keyword.to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| keyword.contains(part)) || FREE_TEXT.contains(&keyword.as_str())
}

/// Why a keyword may not be in a connection string; `None` when it may.
#[must_use]
pub fn refusal(keyword: &str, value: &str) -> Option<&'static str> {
    let keyword = keyword.to_ascii_lowercase();
    let is_off = OFF.contains(&value.trim().to_ascii_lowercase().as_str());
    if LOGGING.contains(&keyword.as_str()) && !is_off {
        return Some(LOGS);
    }
    REFUSED.iter().find(|(refused, _)| *refused == keyword).map(|(_, why)| *why)
}

/// Whether a text may be a keyword: letters, digits and what stands between words.
#[must_use]
pub fn is_keyword(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-. ".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_reasons_and_logs_may_be_off() {
        for keyword in ["SaveFile", "INITSTMT", "Plugin_Dir", "pqopt", "ConnSettings", "A6"] {
            assert!(refusal(keyword, "0").is_some(), "{keyword}");
        }
        assert!(refusal("Trace", "1").is_some_and(|why| why.contains("log")));
        assert_eq!(refusal("CommLog", "0"), None);
        assert_eq!(refusal("Server", "SAVEFILE=x"), None);
    }

    #[test]
    fn secrets_and_keywords_by_name() {
        for keyword in ["PWD", "Password", "SSLKEYPWD", "AccessToken", "pqopt"] {
            assert!(is_secret(keyword), "{keyword}");
        }
        assert!(!is_secret("Server") && !is_secret("SSLKEY"));
        assert!(is_keyword("Servername") && is_keyword("read_timeout") && is_keyword("Trust Cert"));
        for text in ["", "a{b", "a;b", "a\nb", "a\u{1b}", "PW\u{130}D"] {
            assert!(!is_keyword(text), "{text:?}");
        }
    }
}
