//! The bytes of a block: in a buffer of their own, or where the kernel wrote them.

use std::sync::Arc;

use crate::input::pages::Lent;

/// Where the bytes of a block are.
#[derive(Debug, Clone)]
pub enum BlockBytes {
    /// In a buffer of their own, which returns to the reader.
    Owned(Arc<Vec<u8>>),
    /// Where the kernel wrote them, in a buffer of a pool, which returns there.
    Lent(Arc<Lent>),
}

impl BlockBytes {
    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Lent(bytes) => bytes.bytes(),
        }
    }

    /// The buffer, if it is one to be filled again and nobody else has it. What is lent returns to
    /// its pool by being dropped.
    pub(super) fn into_buffer(self) -> Option<Vec<u8>> {
        match self {
            Self::Owned(bytes) => Arc::try_unwrap(bytes).ok(),
            Self::Lent(_) => None,
        }
    }
}

impl From<Vec<u8>> for BlockBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(Arc::new(bytes))
    }
}

impl From<Lent> for BlockBytes {
    fn from(bytes: Lent) -> Self {
        Self::Lent(Arc::new(bytes))
    }
}

impl Default for BlockBytes {
    fn default() -> Self {
        Self::Owned(Arc::default())
    }
}
