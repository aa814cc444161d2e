//! What names and notes are made of.

pub(super) const GIVEN_NAMES: [&str; 24] = [
    "Ada",
    "Björn",
    "Chloé",
    "Dmitri",
    "Eleni",
    "Farid",
    "Gökhan",
    "Hannah",
    "Íris",
    "João",
    "Karl-Heinz",
    "Leila",
    "Małgorzata",
    "Noah",
    "Ömer",
    "Pia",
    "Rafael",
    "Sofie",
    "Theo",
    "Ursula",
    "Viktor",
    "Willem",
    "Yara",
    "Zdeněk",
];

pub(super) const FAMILY_NAMES: [&str; 20] = [
    "Almeida",
    "Bauer",
    "Costa Pereira",
    "D'Angelo",
    "Eriksson",
    "Fernández",
    "Großmann",
    "Hughes",
    "Ionescu",
    "Jansen",
    "Kowalczyk",
    "Lefèvre",
    "McCarthy",
    "Novák",
    "Öztürk",
    "Petersen",
    "Richter-Lang",
    "Šimić",
    "de Vries",
    "Wagner",
];

/// The common ones stand several times.
pub(super) const CURRENCIES: [&str; 10] =
    ["EUR", "EUR", "EUR", "EUR", "USD", "USD", "GBP", "CHF", "SEK", "JPY"];

pub(super) const STATUSES: [&str; 8] = ["A", "A", "A", "A", "A", "C", "D", "S"];

pub(super) const MEMO_WORDS: [&str; 20] = [
    "account",
    "annual",
    "bonus",
    "charge",
    "closing",
    "contract",
    "credit",
    "debit",
    "dividend",
    "electricity",
    "grocery",
    "holiday",
    "instalment",
    "loan",
    "mortgage",
    "pension",
    "receipt",
    "subscription",
    "tax",
    "tuition",
];
