//! Errors and warnings on standard error.

use std::io::{IsTerminal, Write};

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Level, Renderer};

use super::bad_record::{self, escape};
use crate::config::setting::ColorMode;
use crate::error::{Error, ErrorKind};

/// How messages look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Messages {
    colored: bool,
}

impl Messages {
    /// Decides on colour for standard error: the flag, NO_COLOR, whether it is a terminal.
    pub(super) fn new(mode: ColorMode) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let colored = match mode {
            ColorMode::Always => true,
            ColorMode::Never => false,
            ColorMode::Auto => {
                let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
                std::io::stderr().is_terminal() && !set("NO_COLOR") && !dumb
            }
        };
        Self { colored }
    }

    /// Whether to colour.
    pub(super) fn colored(self) -> bool {
        self.colored
    }

    fn renderer(self) -> Renderer {
        if self.colored {
            Renderer::styled().decor_style(DecorStyle::Ascii)
        } else {
            Renderer::plain()
        }
    }

    /// Prints an error.
    pub(super) fn error(self, error: &Error) {
        print(&self.render_error(error));
    }

    /// Prints a warning.
    pub(super) fn warning(self, text: &str) {
        let group = Level::WARNING.primary_title(escape(text.as_bytes()));
        print(&self.renderer().render(&[annotate_snippets::Group::with_title(group)]));
    }

    fn render_error(self, error: &Error) -> String {
        let renderer = self.renderer();
        let help = match error.kind() {
            ErrorKind::RejectLimit(bad) => return bad_record::render(bad, &renderer),
            ErrorKind::Usage { help, .. } | ErrorKind::Input { help, .. } => help.as_str(),
            ErrorKind::Internal(_) => "this is a fault of fastload; please report it",
            _ => "",
        };
        let title = Level::ERROR.primary_title(escape(error.to_string().as_bytes()));
        let group = annotate_snippets::Group::with_title(title);
        if help.is_empty() {
            return renderer.render(&[group]);
        }
        renderer.render(&[group.element(Level::HELP.message(escape(help.as_bytes())))])
    }
}

/// A closed standard error must not end a load, so a failure to write is dropped here: there is
/// no place left to say it.
pub(super) fn print(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_their_help_and_no_control_characters() {
        let messages = Messages { colored: false };
        let text = messages.render_error(&Error::usage("bad \u{1b}[31m", "do --this"));
        assert!(text.starts_with("error: bad \\u{1b}[31m"), "{text}");
        assert!(text.contains("help: do --this"), "{text}");
        let plain = messages.render_error(&ErrorKind::Config("x".into()).into());
        assert_eq!(plain, "error: x");
    }
}
