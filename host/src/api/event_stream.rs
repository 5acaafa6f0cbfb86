//! Frames of AWS's event streams: a length, headers, a payload, and checksums over both halves.

use bytes::{BufMut, Bytes, BytesMut};

/// Lengths of the whole and of the headers.
const LENGTHS: usize = 8;
const CHECKSUM: usize = 4;
/// The one type of header that is used here: text, with its length in two bytes.
const TEXT: u8 = 7;

/// Encodes a message. Names of headers are at most 255 bytes, their values at most 65,535; who writes them here
/// writes constants.
pub(super) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let headers_length: usize = headers.iter().map(|(name, value)| 1 + name.len() + 3 + value.len()).sum();
    let length = LENGTHS + CHECKSUM + headers_length + payload.len() + CHECKSUM;
    let mut frame = BytesMut::with_capacity(length);
    frame.put_u32(length_of(length));
    frame.put_u32(length_of(headers_length));
    frame.put_u32(crc32fast::hash(&frame));
    for (name, value) in headers {
        frame.put_u8(u8::try_from(name.len()).unwrap_or(u8::MAX));
        frame.put_slice(name.as_bytes());
        frame.put_u8(TEXT);
        frame.put_u16(u16::try_from(value.len()).unwrap_or(u16::MAX));
        frame.put_slice(value.as_bytes());
    }
    frame.put_slice(payload);
    frame.put_u32(crc32fast::hash(&frame));
    frame.freeze()
}

/// What is framed is smaller by orders of magnitude: a piece of a response, or the description of an error.
fn length_of(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_message_is_two_lengths_and_two_checksums() {
        assert_eq!(frame(&[], b"")[..], *b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2H\xeb}\x98\xc8\xff");
    }

    #[test]
    fn headers_stand_between_the_first_checksum_and_the_payload() {
        let encoded = frame(&[("content-type", "application/json")], b"{'foo':'bar'}");
        let expected = b"\x00\x00\x00=\x00\x00\x00 \x07\xfd\x83\x96\
            \x0ccontent-type\x07\x00\x10application/json{'foo':'bar'}\x8d\x9c\x08\xb1";
        assert_eq!(encoded[..], expected[..]);
    }
}
