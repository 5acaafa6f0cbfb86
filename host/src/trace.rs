//! X-Ray trace headers: every invocation has one, made here if the caller brings none.
//!
//! A header tells which functions a request has come through, and how often: `Lineage=<function>:<count>|…`, each
//! function by eight digits. SDKs in functions send the header on, to Lambda and to queues, so that a function that
//! calls itself through others is seen:
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html>.

use std::fmt::Write as _;

use uuid::Uuid;

/// A trace header for a request that came without one. Its random parts are those of the request's id.
pub fn header(request_id: Uuid, unix_seconds: i64) -> String {
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

/// How often a request may come back to a function: AWS stops it after about 16 times.
const LONGEST_LOOP: u32 = 16;
/// Most functions that a lineage tells of; the first ones make way.
const LONGEST_LINEAGE: usize = 32;
const LINEAGE: &str = "Lineage=";

/// A request's step into a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The header, as the function is given it.
    pub header: String,
    /// Whether the request has been in this function so often that it is in a loop.
    pub is_loop: bool,
}

/// What stands for a function in a lineage.
pub fn lineage_name(arn: &str) -> String {
    format!("{:08x}", crc32fast::hash(arn.as_bytes()))
}

/// The step of a request with this header into the function with this name in a lineage.
pub fn step(header: &str, function: &str) -> Step {
    let lineage = header.split(';').find_map(|field| field.trim().strip_prefix(LINEAGE)).unwrap_or_default();
    let entry = |text: &str| {
        let (name, count) = text.rsplit_once(':')?;
        Some((name.to_owned(), count.parse::<u32>().ok()?))
    };
    let mut entries: Vec<_> = lineage.split('|').filter_map(entry).collect();
    let count = match entries.iter().position(|(name, _)| name == function) {
        Some(place) => entries.remove(place).1.saturating_add(1),
        None => 0,
    };
    entries.push((function.to_owned(), count));
    let skipped = entries.len().saturating_sub(LONGEST_LINEAGE);

    let mut text = String::with_capacity(header.len() + LINEAGE.len() + 12);
    for field in header.split(';').filter(|field| !field.trim().starts_with(LINEAGE)) {
        text.push_str(field);
        text.push(';');
    }
    text.push_str(LINEAGE);
    for (place, (name, count)) in entries[skipped..].iter().enumerate() {
        let separator = if place == 0 { "" } else { "|" };
        let _writing_to_a_string_does_not_fail = write!(text, "{separator}{name}:{count}");
    }
    Step { header: text, is_loop: count >= LONGEST_LOOP }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_comes_back_too_often_is_in_a_loop() {
        let mut header = "Root=1-a-b;Parent=c;Sampled=0".to_owned();
        for count in 0..=LONGEST_LOOP {
            let first = step(&header, "0000000a");
            assert_eq!(first.is_loop, count == LONGEST_LOOP, "{header}");
            header = step(&first.header, "0000000b").header;
            assert_eq!(
                header,
                format!("Root=1-a-b;Parent=c;Sampled=0;Lineage=0000000a:{count}|0000000b:{count}")
            );
        }
    }

    #[test]
    fn a_lineage_is_bounded_and_what_is_none_is_left_out() {
        assert_eq!(step("Root=1;Lineage=x|y:|z:1", "a").header, "Root=1;Lineage=z:1|a:0");
        let long = (0..100).fold("Root=1".to_owned(), |header, name| step(&header, &name.to_string()).header);
        assert_eq!(long.matches('|').count(), LONGEST_LINEAGE - 1);
        assert!(long.ends_with("|98:0|99:0"), "{long}");
    }

    #[test]
    fn a_trace_header_has_x_rays_form() {
        let id = Uuid::parse_str("00112233-4455-6677-8899-aabbccddeeff").unwrap();
        assert_eq!(
            header(id, 0x6640_1234),
            "Root=1-66401234-00112233445566778899aabb;Parent=8899aabbccddeeff;Sampled=0"
        );
    }
}
