//! As much of two protocols as it takes to see a commit going up.

use crate::place::Kind;

/// What one connection has said so far.
#[derive(Debug)]
pub(super) enum Protocol {
    /// PostgreSQL's; `started` once the start-up message has been seen.
    Postgresql { started: bool },
    /// MariaDB's.
    Mariadb,
}

/// Version of PostgreSQL's protocol in a start-up message; requests for encryption have others.
const POSTGRESQL_3: u32 = 196_608;

/// MariaDB's command that sends a statement.
const COM_QUERY: u8 = 3;

impl Protocol {
    pub(super) fn of(kind: Kind) -> Self {
        match kind {
            Kind::Postgresql => Self::Postgresql { started: false },
            Kind::Mariadb => Self::Mariadb,
            _ => unreachable!("{kind:?} is not led through this proxy"),
        }
    }

    /// The first message in `bytes`, if it is there completely: its length, and whether it is a
    /// commit.
    pub(super) fn message(&mut self, bytes: &[u8]) -> Option<(usize, bool)> {
        match self {
            Self::Postgresql { started: false } => {
                let length = number(bytes, 0)? as usize;
                let version = number(bytes.get(..length)?, 4)?;
                *self = Self::Postgresql { started: version == POSTGRESQL_3 };
                Some((length, false))
            }
            Self::Postgresql { started: true } => {
                let length = 1 + number(bytes, 1)? as usize;
                let message = bytes.get(..length)?;
                Some((length, message[0] == b'Q' && is_commit(&message[5..])))
            }
            Self::Mariadb => {
                let head = bytes.get(..4)?;
                let length = 4 + u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize;
                let message = bytes.get(..length)?;
                // A command is the first packet of its exchange.
                let is_query = head[3] == 0 && message.get(4) == Some(&COM_QUERY);
                Some((length, is_query && is_commit(&message[5..])))
            }
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
}

fn is_commit(statement: &[u8]) -> bool {
    let word: Vec<u8> = statement.iter().copied().take_while(u8::is_ascii_alphabetic).collect();
    word.eq_ignore_ascii_case(b"commit")
}

#[test]
fn commits_are_seen_and_other_messages_are_not() {
    let typed = |kind: u8, text: &str| {
        let length = u32::try_from(text.len() + 5).expect("short").to_be_bytes();
        [&[kind], &length[..], text.as_bytes(), b"\0"].concat()
    };
    let mut protocol = Protocol::of(Kind::Postgresql);
    let encryption = [0, 0, 0, 8, 4, 210, 22, 47];
    let startup = [&[0, 0, 0, 13, 0, 3, 0, 0][..], b"user\0"].concat();
    for (message, is_commit) in [
        (encryption.to_vec(), false),
        (startup, false),
        (typed(b'Q', "SELECT 1"), false),
        (typed(b'Q', "COMMIT"), true),
        (typed(b'Q', "commit; "), true),
        (typed(b'Q', "COMMITTED"), false),
        (typed(b'P', "COMMIT"), false),
    ] {
        assert_eq!(protocol.message(&message[..message.len() - 1]), None, "{message:?}");
        assert_eq!(protocol.message(&message), Some((message.len(), is_commit)), "{message:?}");
    }
    let packet = |sequence: u8, command: u8, text: &str| {
        let length = u8::try_from(text.len() + 1).expect("short");
        [&[length, 0, 0, sequence, command], text.as_bytes()].concat()
    };
    let mut protocol = Protocol::of(Kind::Mariadb);
    for (message, is_commit) in [
        (packet(1, COM_QUERY, "COMMIT"), false),
        (packet(0, COM_QUERY, "COMMIT"), true),
        (packet(0, 22, "COMMIT"), false),
        (packet(0, COM_QUERY, "INSERT"), false),
    ] {
        assert_eq!(protocol.message(&message[..message.len() - 1]), None, "{message:?}");
        assert_eq!(protocol.message(&message), Some((message.len(), is_commit)), "{message:?}");
    }
}
