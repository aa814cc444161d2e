//! `--tls` and `--tls-ca`: what is asked of the encryption of connections.

use std::fs::File;

use super::options::Options;
use super::target::TargetUrl;
use super::{TlsMode, TlsOptions};
use crate::error::{Error, ErrorKind, Result};

/// Checks the two options against each other and against the target.
///
/// # Errors
/// A target without connections, or authorities that nobody would ask (usage); a file of
/// authorities that cannot be read (configuration): some drivers would go on without it.
pub(super) fn tls_options(options: &Options, target: &TargetUrl) -> Result<TlsOptions> {
    let tls = TlsOptions { mode: options.tls, ca: options.tls_ca.clone() };
    if tls == TlsOptions::default() {
        return Ok(tls);
    }
    if !target.takes_credentials() {
        return Err(Error::usage(
            format!("--tls means nothing for {target}"),
            "it belongs to odbc: and dsn: targets",
        ));
    }
    let Some(ca) = &tls.ca else { return Ok(tls) };
    if tls.mode != Some(TlsMode::Verify) {
        return Err(Error::usage(
            "--tls-ca says whom to trust, and without --tls verify nobody is checked",
            "say --tls verify",
        ));
    }
    let is_file = File::open(ca).and_then(|file| file.metadata());
    match is_file {
        Ok(metadata) if metadata.is_file() => Ok(tls),
        Ok(_) => Err(wrong(format!("--tls-ca {}: is no file", ca.display()))),
        Err(source) => Err(wrong(format!("--tls-ca {}: {source}", ca.display()))),
    }
}

fn wrong(message: String) -> Error {
    ErrorKind::Config(message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(to: &str, mode: Option<TlsMode>, ca: Option<&std::path::Path>) -> Result<TlsOptions> {
        let ca = ca.map(std::path::Path::to_owned);
        let options = Options { tls: mode, tls_ca: ca, ..Options::default() };
        tls_options(&options, &TargetUrl::parse(to).unwrap())
    }

    #[test]
    fn what_belongs_together() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let verify = Some(TlsMode::Verify);
        assert_eq!(tls("null:", None, None).unwrap(), TlsOptions::default());
        assert_eq!(tls("dsn:x", verify, Some(file.path())).unwrap().mode, verify);
        let usage = |refused: Result<TlsOptions>| {
            matches!(refused.unwrap_err().kind(), ErrorKind::Usage { .. })
        };
        assert!(usage(tls("sqlite:x.db", Some(TlsMode::Require), None)));
        assert!(usage(tls("dsn:x", None, Some(file.path()))));
        assert!(usage(tls("dsn:x", Some(TlsMode::Require), Some(file.path()))));
        for missing in ["/nowhere/ca.pem", "/"] {
            let refused = tls("dsn:x", verify, Some(missing.as_ref())).unwrap_err();
            assert!(matches!(refused.kind(), ErrorKind::Config(_)), "{refused}");
        }
    }
}
