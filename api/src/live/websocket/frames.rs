//! Frames that wait to be written to a client.
//!
//! A server's frame is a header of a few bytes and the message as it is (RFC 6455, section 5.2). So a message that goes to
//! very many clients is copied once for each of them, from where it lies to where the system reads it, and nothing is
//! allocated or looked at for it.

/// The last frame of a message, which is text.
const TEXT: u8 = 0x81;
/// The longest header of a frame without a mask.
const MAX_HEADER_BYTES: usize = 10;

/// Whole frames, of which the first bytes may be written already. Holds no memory once everything is.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    written: usize,
}

impl Frames {
    /// Makes room for this many messages of so many bytes in all, so that a burst allocates once.
    pub(super) fn reserve(&mut self, messages: usize, bytes: usize) {
        self.bytes.reserve(messages * MAX_HEADER_BYTES + bytes);
    }

    /// Adds a text message: these parts in a row, which are text together.
    pub(super) fn text(&mut self, parts: &[&[u8]]) {
        let length = parts.iter().map(|part| part.len()).sum();
        self.reserve(1, length);
        self.header(TEXT, length);
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
    }

    /// In the shortest form of the length, as it has to be.
    fn header(&mut self, first: u8, length: usize) {
        self.bytes.push(first);
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(length @ 0..=125), _) => self.bytes.push(length),
            (_, Ok(length)) => {
                self.bytes.push(126);
                self.bytes.extend_from_slice(&length.to_be_bytes());
            }
            (_, Err(_)) => {
                self.bytes.push(127);
                self.bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
    }

    /// Adds what somebody else has made: whole frames.
    pub(super) fn made(&mut self, frames: &[u8]) {
        self.bytes.extend_from_slice(frames);
    }

    /// What is to be written next.
    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// So many bytes of it were.
    pub(super) fn wrote(&mut self, count: usize) {
        self.written += count;
        if self.written == self.bytes.len() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
impl Frames {
    /// The text messages that wait, all of them short.
    pub(super) fn short_texts(&self) -> Vec<String> {
        let (mut rest, mut texts) = (self.waiting(), Vec::new());
        while let [TEXT, length @ 0..=125, after @ ..] = rest {
            let (text, after) = after.split_at((*length).into());
            texts.push(String::from_utf8(text.to_vec()).expect("it is text"));
            rest = after;
        }
        assert_eq!(rest, b"", "there is something else");
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        let cases: [(usize, &[u8]); 8] = [
            (0, &[0]),
            (1, &[1]),
            (125, &[125]),
            (126, &[126, 0, 126]),
            (255, &[126, 0, 255]),
            (65_535, &[126, 0xff, 0xff]),
            (65_536, &[127, 0, 0, 0, 0, 0, 1, 0, 0]),
            (1 << 20, &[127, 0, 0, 0, 0, 0, 0x10, 0, 0]),
        ];
        for (length, header) in cases {
            let mut frames = Frames::default();
            let (start, end) = (vec![b'a'; length / 3], vec![b'b'; length - length / 3]);
            frames.text(&[&start, b"", &end]);
            assert_eq!(frames.waiting(), [&[0x81], header, &start, &end].concat(), "{length}");
        }
    }

    #[test]
    fn what_is_written_is_given_back() {
        let mut frames = Frames::default();
        frames.reserve(2, 100);
        let room = frames.bytes.capacity();
        frames.text(&[b"ab"]);
        frames.made(&[0x8a, 0]);
        frames.wrote(3);
        assert_eq!(frames.waiting(), b"b\x8a\0");
        frames.text(&[b"c"]);
        assert_eq!((frames.waiting(), frames.bytes.capacity()), (&b"b\x8a\0\x81\x01c"[..], room));
        frames.wrote(6);
        assert_eq!((frames.waiting(), frames.bytes.capacity()), (&b""[..], 0));
    }
}
