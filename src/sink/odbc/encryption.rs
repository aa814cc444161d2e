//! `--tls` as the keywords of each driver.

use std::path::Path;

use super::connection_text::Keywords;
use super::driver::Driver;
use crate::config::{TlsMode, TlsOptions};

/// A keyword under all its names, and the value that it gets.
type Setting = (&'static [&'static str], String);

const SSLMODE: &[&str] = &["SSLmode", "CA"];
const FORCETLS: &[&str] = &["FORCETLS"];
const SSLVERIFY: &[&str] = &["SSLVERIFY"];
const SSLCA: &[&str] = &["SSLCA"];
const SECURITY: &[&str] = &["Security", "SecurityTransportMode"];
const CERTIFICATE: &[&str] = &["SSLServerCertificate"];
const HOST_NAME: &[&str] = &["SSLClientHostnameValidation"];

/// Parameter of libpq for the trusted authorities; psqlodbc has no keyword for it.
pub(super) const LIBPQ_ROOT: &str = "sslrootcert";

/// Versions of the protocol that are none any more.
const OLD_VERSIONS: &[&str] = &["TLSv1.0", "TLSv1.1", "SSLv3"];

/// Completes a connection string with what `tls` asks for.
///
/// # Errors
/// A sentence: a driver whose keywords are not known, or a keyword of the user that says something
/// else.
pub(super) fn apply(tls: &TlsOptions, keywords: &mut Keywords) -> Result<(), String> {
    let Some(mode) = tls.mode else { return Ok(()) };
    let ca = tls.ca.as_deref();
    for (names, value) in settings(keywords.driver(), mode, ca)? {
        if let Some(given) = keywords.get(names)
            && !given.trim().eq_ignore_ascii_case(&value)
        {
            let name = names[0];
            return Err(format!(
                "--tls sets {name}={value}, and the connection string says {name}={given}: keep \
                 one of them"
            ));
        }
        keywords.set(names, &value);
    }
    if let (Driver::Psqlodbc, Some(ca)) = (keywords.driver(), ca) {
        keywords.set_libpq(LIBPQ_ROOT, utf8(ca)?);
    }
    if let Some(versions) = keywords.get(&["TLSVERSION", "SSLVERSION"])
        && mode != TlsMode::Off
        && OLD_VERSIONS.iter().any(|old| versions.to_lowercase().contains(&old.to_lowercase()))
    {
        return Err(format!("--tls wants TLS 1.2 or newer, and the connection string {versions}"));
    }
    Ok(())
}

fn settings(driver: Driver, mode: TlsMode, ca: Option<&Path>) -> Result<Vec<Setting>, String> {
    let set = |names, value: &str| (names, value.to_owned());
    let mut settings = match (driver, mode) {
        (Driver::Psqlodbc, TlsMode::Off) => vec![set(SSLMODE, "disable")],
        (Driver::Psqlodbc, TlsMode::Require) => vec![set(SSLMODE, "require")],
        (Driver::Psqlodbc, TlsMode::Verify) => vec![set(SSLMODE, "verify-full")],
        (Driver::Mariadb, TlsMode::Off) => vec![set(FORCETLS, "0"), set(SSLVERIFY, "0")],
        (Driver::Mariadb, TlsMode::Require) => vec![set(FORCETLS, "1")],
        (Driver::Mariadb, TlsMode::Verify) => vec![set(FORCETLS, "1"), set(SSLVERIFY, "1")],
        (Driver::Db2, TlsMode::Off) => vec![set(SECURITY, "NONE")],
        (Driver::Db2, TlsMode::Require) => vec![set(SECURITY, "SSL")],
        // The driver checks the certificate in any case, and the host name only when it is told to.
        (Driver::Db2, TlsMode::Verify) => vec![set(SECURITY, "SSL"), set(HOST_NAME, "Basic")],
        (Driver::Other, _) => {
            return Err(
                "--tls is known for the drivers of PostgreSQL (psqlodbc), MariaDB and Db2 \
                        only; for this driver write its own keywords into the connection string"
                    .to_owned(),
            );
        }
    };
    match (driver, ca) {
        (Driver::Mariadb, Some(ca)) => settings.push(set(SSLCA, utf8(ca)?)),
        (Driver::Db2, Some(ca)) => settings.push(set(CERTIFICATE, utf8(ca)?)),
        _ => {}
    }
    Ok(settings)
}

fn utf8(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| "the path in --tls-ca is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::odbc::connection_text::ConnectionText;

    fn applied(driver: Driver, text: &str, mode: TlsMode, ca: bool) -> Result<String, String> {
        let mut keywords = Keywords::parse(&ConnectionText::Keywords(text.to_owned())).unwrap();
        keywords.set_driver(driver);
        let tls = TlsOptions { mode: Some(mode), ca: ca.then(|| "/c a.pem".into()) };
        apply(&tls, &mut keywords).map(|()| keywords.to_text())
    }

    #[test]
    fn each_driver_gets_its_verifying_form() {
        let verify = |driver| applied(driver, "DRIVER=d;", TlsMode::Verify, true).unwrap();
        assert_eq!(
            verify(Driver::Psqlodbc),
            "DRIVER=d;SSLmode=verify-full;pqopt={sslrootcert='/c a.pem'};"
        );
        assert_eq!(verify(Driver::Mariadb), "DRIVER=d;FORCETLS=1;SSLVERIFY=1;SSLCA={/c a.pem};");
        assert_eq!(
            verify(Driver::Db2),
            "DRIVER=d;Security=SSL;SSLClientHostnameValidation=Basic;\
             SSLServerCertificate={/c a.pem};"
        );
        assert!(applied(Driver::Other, "DRIVER=d;", TlsMode::Require, false).is_err());
    }

    #[test]
    fn what_the_connection_string_says_must_agree() {
        for (driver, text) in [
            (Driver::Psqlodbc, "DRIVER=d;sslmode=prefer"),
            (Driver::Psqlodbc, "DRIVER=d;CA=require"),
            (Driver::Mariadb, "DRIVER=d;SSLVERIFY=0"),
            (Driver::Mariadb, "DRIVER=d;SSLCA=/other"),
            (Driver::Mariadb, "DRIVER=d;TLSVERSION={TLSv1.1,TLSv1.2}"),
            (Driver::Db2, "DRIVER=d;SSLClientHostnameValidation=Off"),
            (Driver::Db2, "DRIVER=d;SecurityTransportMode=none"),
        ] {
            assert!(applied(driver, text, TlsMode::Verify, true).is_err(), "{text}");
        }
        assert!(applied(Driver::Mariadb, "DRIVER=d;FORCETLS=1", TlsMode::Off, false).is_err());
        let same = applied(Driver::Psqlodbc, "SSLMODE=Require", TlsMode::Require, false).unwrap();
        assert_eq!(same, "SSLmode=require;");
    }
}
