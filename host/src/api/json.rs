//! Is this JSON? And if not, what would AWS say?
//!
//! AWS parses payloads with Jackson, whose messages reach the client word for word. The check itself is
//! `serde_json`'s, which is fast; only a payload that fails it is read again, for the message.

use serde::de::IgnoredAny;

mod reader;

/// Checks a payload; the error is Jackson's message.
pub(super) fn check(payload: &[u8]) -> Result<(), String> {
    // Strings that are skipped are not checked for being UTF-8 on the way.
    if serde_json::from_slice::<IgnoredAny>(payload).is_ok() && std::str::from_utf8(payload).is_ok() {
        return Ok(());
    }
    Err(reader::complaint(payload))
}

#[cfg(test)]
mod tests {
    use super::reader::SOURCE;
    use super::*;

    const VALUES_DUE: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

    fn told(payload: &[u8]) -> String {
        let message = check(payload).unwrap_err();
        message.replace(SOURCE, "[").replace(VALUES_DUE, "(a value)")
    }

    #[test]
    fn what_aws_was_recorded_to_say_is_said_word_for_word() {
        assert_eq!(
            check(b"n\x87r\x9e\xe9\xb5\xd7I\xee\x9bmt").unwrap_err(),
            "Invalid UTF-8 start byte 0x87\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` \
             disabled); line: 1, column: 3]"
        );
        assert_eq!(
            check(b"\x99\xeb,j\x07\xa1zYh").unwrap_err(),
            "Unexpected character ((CTRL-CHAR, code 153)): expected a valid value (JSON String, Number, Array, Object \
             or token 'null', 'true' or 'false')\n at [Source: REDACTED \
             (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 1]"
        );
    }

    #[test]
    fn json_of_every_kind_passes() {
        for payload in [
            &b"{}"[..],
            b"[]",
            b"null",
            b" 1.5e-3\n",
            b"\"\\u00e9\xc3\xa9\"",
            b"{\"a\":[1,{\"b\":true}],\"c\":\"\"}",
        ] {
            assert_eq!(check(payload), Ok(()));
        }
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        assert_eq!(check(&deep), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (payload, expected) in [
            (
                &b"hello"[..],
                "Unrecognized token 'hello': was expecting (a value)\n at [; line: 1, column: 6]",
            ),
            (
                b"hello world",
                "Unrecognized token 'hello': was expecting (a value)\n at [; line: 1, column: 7]",
            ),
            (
                b"{'a': 1}",
                "Unexpected character (''' (code 39)): was expecting double-quote to start field name\n at [; line: 1, column: 2]",
            ),
            (
                b"{\"a\" 1}",
                "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value\n at [; line: 1, column: 6]",
            ),
            (
                b"{\"a\": 1,\n}",
                "Unexpected character ('}' (code 125)): was expecting double-quote to start field name\n at [; line: 2, column: 1]",
            ),
            (
                b"[1 2]",
                "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries\n at [; line: 1, column: 4]",
            ),
            (
                b"[1,]",
                "Unexpected character (']' (code 93)): expected a valid value (a value)\n at [; line: 1, column: 4]",
            ),
            (
                b"{\"a\": 1",
                "Unexpected end-of-input: expected close marker for Object (start marker at [; line: 1, column: 1])\n at [; line: 1, column: 8]",
            ),
            (b"{\"a\":", "Unexpected end-of-input within/between Object entries\n at [; line: 1, column: 6]"),
            (
                b"[1}",
                "Unexpected close marker '}': expected ']' (for Array starting at [; line: 1, column: 1])\n at [; line: 1, column: 3]",
            ),
            (b"\"abc", "Unexpected end-of-input in VALUE_STRING\n at [; line: 1, column: 5]"),
            (
                b"\"a\nb\"",
                "Illegal unquoted character ((CTRL-CHAR, code 10)): has to be escaped using backslash to be included in string value\n at [; line: 2, column: 1]",
            ),
            (b"\"\\x\"", "Unrecognized character escape 'x' (code 120)\n at [; line: 1, column: 4]"),
            (b"01", "Invalid numeric value: Leading zeroes not allowed\n at [; line: 1, column: 3]"),
            (
                b"1 x",
                "Unexpected character ('x' (code 120)): Expected space separating root-level values\n at [; line: 1, column: 3]",
            ),
            (b"\"\xc3\x28\"", "Invalid UTF-8 middle byte 0x28\n at [; line: 1, column: 4]"),
            (b"  ", "No content to map due to end-of-input\n at [; line: 1, column: 3]"),
        ] {
            assert_eq!(told(payload), expected, "{}", String::from_utf8_lossy(payload));
        }
    }

    #[test]
    fn a_payload_of_nothing_but_brackets_is_refused_without_recursion() {
        let told = told(&vec![b'['; 1_000_000]);
        assert!(told.starts_with("Unexpected end-of-input: expected close marker for Array"), "{told}");
    }
}
