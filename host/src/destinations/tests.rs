//! AWS's records of outcomes, word for word.

use super::*;

const ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST";

fn outcome<'a>(
    payload: &'a Bytes,
    condition: Condition,
    response: Option<(&'static str, bool)>,
) -> Outcome<'a> {
    Outcome {
        account: "000000000000",
        region: "us-east-1",
        function: "f",
        arn: ARN.to_owned(),
        request_id: "id",
        payload,
        condition,
        invoke_count: 3,
        response: response.map(|(payload, is_error)| Response {
            version: "$LATEST".to_owned(),
            payload: payload.into(),
            is_error,
        }),
    }
}

#[test]
fn a_record_has_what_aws_was_recorded_to_say() {
    let moment = Timestamp::from_millisecond(1_700_000_000_005).unwrap();
    let event = Bytes::from_static(b"{\"n\": 1.10}");
    for (condition, response, expected) in [
        (
            Condition::Success,
            Some(("null", false)),
            r#"{"version":"1.0","timestamp":"2023-11-14T22:13:20.005Z","requestContext":{"requestId":"id","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST","condition":"Success","approximateInvokeCount":3},"requestPayload":{"n": 1.10},"responseContext":{"statusCode":200,"executedVersion":"$LATEST"},"responsePayload":null}"#,
        ),
        (
            Condition::RetriesExhausted,
            Some((r#"{"errorMessage":"no"}"#, true)),
            r#"{"version":"1.0","timestamp":"2023-11-14T22:13:20.005Z","requestContext":{"requestId":"id","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST","condition":"RetriesExhausted","approximateInvokeCount":3},"requestPayload":{"n": 1.10},"responseContext":{"statusCode":200,"executedVersion":"$LATEST","functionError":"Unhandled"},"responsePayload":{"errorMessage":"no"}}"#,
        ),
        (
            Condition::ZeroReservedConcurrency,
            None,
            r#"{"version":"1.0","timestamp":"2023-11-14T22:13:20.005Z","requestContext":{"requestId":"id","functionArn":"arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST","condition":"ZeroReservedConcurrency","approximateInvokeCount":3},"requestPayload":{"n": 1.10}}"#,
        ),
    ] {
        assert_eq!(outcome(&event, condition, response).record(moment), expected);
    }
}

#[test]
fn a_dead_letter_tells_the_functions_own_error_and_no_more_than_a_kilobyte_of_it() {
    let event = Bytes::from_static(b"{}");
    let error = |response| outcome(&event, Condition::RetriesExhausted, response).error();
    assert_eq!(error(Some((r#"{"errorMessage":"no"}"#, true))), ("200", "no".to_owned()));
    assert_eq!(error(Some(("[]", true))), ("200", String::new()));
    assert_eq!(error(None), ("429", "Rate Exceeded.".to_owned()));
    let long: &'static str = Box::leak(format!(r#"{{"errorMessage":"{}"}}"#, "ü".repeat(1000)).into());
    assert_eq!(error(Some((long, true))).1, "ü".repeat(512));
}

#[test]
fn a_record_in_a_bucket_is_filed_by_date() {
    let key = s3_key("f", Timestamp::from_millisecond(1_700_000_000_005).unwrap());
    let (path, id) = key.split_at(key.len() - 36);
    assert_eq!(path, "aws/lambda/async/f/2023/11/14/2023-11-14T22.13.20-");
    assert!(id.parse::<Uuid>().is_ok(), "{id}");
}
