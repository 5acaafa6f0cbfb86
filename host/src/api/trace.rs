//! X-Ray trace headers: every invocation has one, made here if the caller brings none.

use std::fmt::Write as _;

use uuid::Uuid;

/// A trace header for a request that came without one. Its random parts are those of the request's id.
pub(super) fn header(request_id: Uuid, unix_seconds: i64) -> String {
    let bytes = request_id.as_bytes();
    let mut text = String::with_capacity(74);
    let seconds = u32::try_from(unix_seconds).unwrap_or_default();
    let hexadecimal = |text: &mut String, bytes: &[u8]| {
        for byte in bytes {
            let _writing_to_a_string_does_not_fail = write!(text, "{byte:02x}");
        }
    };
    text.push_str("Root=1-");
    hexadecimal(&mut text, &seconds.to_be_bytes());
    text.push('-');
    hexadecimal(&mut text, &bytes[..12]);
    text.push_str(";Parent=");
    hexadecimal(&mut text, &bytes[8..]);
    text.push_str(";Sampled=0");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_header_has_x_rays_form() {
        let id = Uuid::parse_str("00112233-4455-6677-8899-aabbccddeeff").unwrap();
        assert_eq!(
            header(id, 0x6640_1234),
            "Root=1-66401234-00112233445566778899aabb;Parent=8899aabbccddeeff;Sampled=0"
        );
    }
}
