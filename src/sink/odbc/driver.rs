//! The driver behind a connection string, told from its library before it is loaded: which keywords
//! it knows, and how it reads values.

use odbc_api::environment;

use super::connection_text::Keywords;
use super::profile::ProfileName;
use crate::config::options::nearest;

/// Drivers whose keywords are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Driver {
    /// psqlodbc.
    Psqlodbc,
    /// MariaDB Connector/ODBC.
    Mariadb,
    /// IBM's CLI/ODBC driver.
    Db2,
    /// Any other.
    #[default]
    Other,
}

/// Keywords that the driver manager reads.
const OF_MANAGER: &str = "dsn driver description uid pwd";

/// psqlodbc 13 (`dlg_specific.h`), with the short forms, without those that are refused.
const OF_PSQLODBC: &str = "\
    server servername port database username password sslmode ca protocol a1 readonly a0 \
    fakeoidindex a2 showoidcolumn a3 rowversioning a4 showsystemtables a5 fetch a7 unknownsizes \
    a9 maxvarcharsize b0 maxlongvarcharsize b1 debug b2 commlog b3 usedeclarefetch b6 \
    textaslongvarchar b7 unknownsaslongvarchar b8 boolsaschar b9 parse c0 cancelasfreestmt c1 \
    extrasystableprefixes c2 updatablecursors c4 lfconversion c5 trueisminus1 c6 bi \
    byteaaslongvarbinary c7 useserversideprepare c8 lowercaseidentifier c9 gssauthusegss d0 \
    keepalivetime d1 keepaliveinterval d2 preferlibpq d3 xaopt d4 numericas d6 optionalerrors \
    d7 ignoretimeout d8 fetchrefcursors d9 batchsize lie";

/// MariaDB Connector/ODBC 3.1 and 3.2 (`ma_dsn.c`), without those that are refused.
const OF_MARIADB: &str = "\
    option options namedpipe tcpip server servername user password database db port \
    conn_timeout auto_reconnect no_prompt charset trace sslkey sslcert sslca sslcapath \
    sslcipher sslverify sslcrl sslcrlpath sslfp sslfplist tlspeerfp tlspeerfplist tlsversion \
    tlskeypwd forcetls socket serverkey interactive forwardonly schemanoerror read_timeout \
    write_timeout nolocalinfile nulliscurrent streamrs preponclient pscachesize maxcachekey \
    pcallback rcallback nobigint truncdt";

/// IBM's driver: the keywords of a connection and of a session ("CLI/ODBC configuration keywords").
const OF_DB2: &str = "\
    database dbalias hostname port protocol servicename instance username password \
    authentication security securitytransportmode sslservercertificate sslclientkeystoredb \
    sslclientkeystash sslclientkeystoredbpassword sslclientlabel sslclienthostnamevalidation \
    sslversion tlsversion accesstoken accesstokentype apikey targetprincipal \
    connecttimeout querytimeout querytimeoutinterval receivetimeout \
    tcpipconnecttimeout keepalivetimeout locktimeout txnisolation currentschema currentpath \
    currentfunctionpath currentpackageset currentsqlid schemalist dateformat codepage \
    programname programid clientapplname clientuserid clientwrkstnname clientacctstr \
    clientencalg enablelobs longdatacompat lobcachesize lobmaxcolumnsize mapbigintcdefault \
    mapchartowchar mapdatecdefault mapdecimalfloatdescribe maptimestampcdefault \
    decimalfloatroundingmode deferredprepare blockfornrows blocklobs fetbufsize cursorhold \
    keepstatement mode connecttype enableacr enableseamlessacr \
    enablealternateserverlistfirstconnect enablewlb maxacrretries acrretryinterval interrupt \
    timestamptruncerrtowarning reporttimestamptruncaserr retrycodes stmtconcentrator \
    concurrentaccessresolution allowedcursortypes arrayinputchain \
    trace";

impl Driver {
    /// The driver of a connection string: of its `DRIVER`, else of its data source.
    pub(super) fn of(keywords: &Keywords) -> Self {
        let named = match keywords.get(&["DRIVER"]) {
            Some(driver) => Some(driver.to_owned()),
            None => keywords.get(&["DSN"]).and_then(driver_of_source),
        };
        named.map_or(Self::Other, |driver| {
            let library = if driver.contains('/') { Some(driver) } else { library_of(&driver) };
            library.map_or(Self::Other, |library| Self::of_library(&library))
        })
    }

    fn of_library(path: &str) -> Self {
        let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        if name.starts_with("psqlodbc") {
            Self::Psqlodbc
        } else if name.starts_with("libmaodbc") {
            Self::Mariadb
        } else if name.starts_with("libdb2") {
            Self::Db2
        } else {
            Self::Other
        }
    }

    /// Whose database it is made for.
    pub(super) const fn usual_profile(self) -> Option<ProfileName> {
        match self {
            Self::Psqlodbc => Some(ProfileName::Postgresql),
            Self::Mariadb => Some(ProfileName::Mariadb),
            Self::Db2 => Some(ProfileName::Db2),
            Self::Other => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Psqlodbc => "PostgreSQL's driver",
            Self::Mariadb => "MariaDB's driver",
            Self::Db2 => "Db2's driver",
            Self::Other => "this driver",
        }
    }

    /// Its keywords in small letters, those of the driver manager among them.
    fn known(self) -> impl Iterator<Item = &'static str> {
        let own = match self {
            Self::Psqlodbc => OF_PSQLODBC,
            Self::Mariadb => OF_MARIADB,
            Self::Db2 => OF_DB2,
            Self::Other => "",
        };
        OF_MANAGER.split_whitespace().chain(own.split_whitespace())
    }

    /// Refuses a keyword that is not known to be harmless. Of other drivers nothing is known but
    /// what is refused for all.
    ///
    /// # Errors
    /// A sentence with the keyword and without its value.
    pub(super) fn check(self, keyword: &str, value: &str) -> Result<(), String> {
        let folded = keyword.to_ascii_lowercase();
        if self == Self::Mariadb && matches!(&*folded, "option" | "options") {
            return check_option(keyword, value);
        }
        if self == Self::Other || self.known().any(|name| name == folded) {
            return Ok(());
        }
        let meant = nearest(keyword, self.known())
            .map(|name| format!("; did you mean {}?", name.to_ascii_uppercase()))
            .unwrap_or_default();
        Err(format!(
            "the keyword {keyword} of the connection string is none that fastload knows of {}, and \
             unknown ones are refused{meant} (a data source of odbc.ini may have it)",
            self.name()
        ))
    }
}

/// Bits of the driver's `OPTION` that have a refused keyword, or one that is ours to set: a log, a
/// silent reconnection, option files, several statements in one.
const OPTION_REFUSED: u64 = 4 | 1 << 22 | 1 << 16 | 1 << 26;

fn check_option(keyword: &str, value: &str) -> Result<(), String> {
    match value.trim().parse::<u64>() {
        Ok(bits) if bits & OPTION_REFUSED == 0 => Ok(()),
        Ok(bits) => Err(format!(
            "{keyword}={bits} of the connection string is refused: {} of it would write a log, \
             reconnect silently, read option files or run several statements in one",
            bits & OPTION_REFUSED
        )),
        Err(_) => Err(format!("{keyword} of the connection string is no number")),
    }
}

/// The driver that a data source names; its library, or its name in odbcinst.ini.
fn driver_of_source(source: &str) -> Option<String> {
    let sources = environment().and_then(odbc_api::Environment::data_sources).ok()?;
    let found = sources.into_iter().find(|known| known.server_name.eq_ignore_ascii_case(source));
    found.map(|found| found.driver)
}

/// The library of a driver of odbcinst.ini.
fn library_of(driver: &str) -> Option<String> {
    let drivers = environment().and_then(odbc_api::Environment::drivers).ok()?;
    let found = drivers.into_iter().find(|known| known.description.eq_ignore_ascii_case(driver))?;
    let of_key = |key: &str| {
        let attributes = found.attributes.iter();
        attributes.clone().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, path)| path)
    };
    of_key("Driver64").or_else(|| of_key("Driver")).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::connection_keywords::refusal;

    #[test]
    fn libraries_lead_to_drivers() {
        for (library, driver) in [
            ("/usr/lib/x86_64-linux-gnu/odbc/psqlodbcw.so", Driver::Psqlodbc),
            ("/usr/lib/psqlodbca.so", Driver::Psqlodbc),
            ("/usr/lib/libmaodbc.so", Driver::Mariadb),
            ("/opt/clidriver/lib/libdb2.so", Driver::Db2),
            ("/opt/clidriver/lib/libdb2o.so.1", Driver::Db2),
            ("/psqlodbc/libsqlite3odbc.so", Driver::Other),
        ] {
            assert_eq!(Driver::of_library(library), driver, "{library}");
        }
    }

    #[test]
    fn unknown_keywords_are_refused_by_name_only() {
        let error = Driver::Psqlodbc.check("Srever", "hush").unwrap_err();
        assert!(error.contains("Srever") && error.contains("SERVER"), "{error}");
        assert!(!error.contains("hush"), "{error}");
        assert_eq!(Driver::Psqlodbc.check("Servername", "x"), Ok(()));
        assert_eq!(Driver::Db2.check("CurrentSchema", "x"), Ok(()));
        assert_eq!(Driver::Other.check("Whatever", "x"), Ok(()));
        assert!(Driver::Mariadb.check("CurrentSchema", "x").is_err());
    }

    #[test]
    fn bits_of_option_that_stand_for_refused_keywords() {
        assert_eq!(Driver::Mariadb.check("OPTION", "2"), Ok(()));
        for bits in ["65536", "4194306", "67108864", "4", "x"] {
            assert!(Driver::Mariadb.check("Options", bits).is_err(), "{bits}");
        }
    }

    #[test]
    fn no_list_holds_what_is_refused_for_all() {
        for driver in [Driver::Psqlodbc, Driver::Mariadb, Driver::Db2] {
            for keyword in driver.known() {
                assert_eq!(refusal(keyword, "0"), None, "{keyword}");
                assert_eq!(*keyword, keyword.to_ascii_lowercase());
            }
        }
    }
}
