//! The opaque form of a position: URL-safe base64 of the log's epoch and the position.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use entity::{Epoch, Position};
use uuid::Uuid;

const VERSION: u8 = 1;
const LENGTH: usize = 1 + 16 + 8;

/// The text that clients see, which is always 34 characters long. It is copied with every delivery: processors would get
/// in each other's way over the count of a shared one.
pub type CursorText = arrayvec::ArrayString<40>;

/// A place in one history of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Which history.
    pub epoch: Epoch,
    /// The last position that the holder has seen.
    pub position: Position,
}

/// Why a cursor is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// It is no cursor of this server, or ahead of its log.
    #[error("This is not a cursor of this server's log. Use one that it has given, from asOf or extensions.cursor.")]
    Invalid,
    /// The log no longer holds what follows it.
    #[error("What follows this cursor is no longer in the log. Fetch the data again and continue from its asOf.")]
    Expired,
}

impl Cursor {
    /// The text that clients see.
    pub fn encode(self) -> String {
        let mut bytes = [0; LENGTH];
        bytes[0] = VERSION;
        bytes[1..17].copy_from_slice(self.epoch.0.as_bytes());
        bytes[17..].copy_from_slice(&self.position.get().to_be_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The same, without an allocation that lasts.
    pub fn text(self) -> CursorText {
        CursorText::from(&self.encode()).expect("a cursor has 34 characters")
    }

    /// Reads the text that a client gave.
    ///
    /// # Errors
    /// [`CursorError::Invalid`] if it is none. A cursor of another epoch decodes; compare epochs.
    pub fn decode(text: &str) -> Result<Self, CursorError> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError::Invalid)?;
        let bytes: [u8; LENGTH] = bytes.try_into().map_err(|_| CursorError::Invalid)?;
        let (head, tail) = bytes.split_at(17);
        let position = i64::from_be_bytes(tail.try_into().map_err(|_| CursorError::Invalid)?);
        let epoch = Uuid::from_slice(&head[1..]).map_err(|_| CursorError::Invalid)?;
        if head[0] != VERSION {
            return Err(CursorError::Invalid);
        }
        let position = Position::new(position).map_err(|_| CursorError::Invalid)?;
        Ok(Self { epoch: Epoch(epoch), position })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_opaque_and_reads_back() {
        let cursor = Cursor { epoch: Epoch(Uuid::from_u128(7)), position: Position::new(1_234_567).unwrap() };
        assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
        for text in ["", "x", "AAAA", &cursor.encode()[1..], &format!("{}A", cursor.encode())] {
            assert_eq!(Cursor::decode(text), Err(CursorError::Invalid), "{text}");
        }
    }
}
