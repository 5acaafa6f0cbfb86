//! Requests as events, answers as responses, and who may call.

use axum::http::{HeaderMap, Request};
use expect_test::{Expect, expect};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::*;
use crate::api::access::Signer;
use crate::catalog::url::Cors;
use crate::invoke::{Answered, Ending, FunctionError, StreamError, Streamed};

fn event_of(request: Request<&'static str>, path: &str, signer: Option<&Signer>) -> Value {
    let context = Context {
        url_id: "abc",
        domain: "abc.lambda-url.us-east-1.localhost",
        port: 3001,
        peer: [127, 0, 0, 1].into(),
        request_id: Uuid::nil(),
        trace_id: "Root=1",
        now: jiff::Timestamp::from_millisecond(1_583_348_638_390).unwrap(),
        account: "000000000000",
        signer,
    };
    let (head, body) = request.into_parts();
    serde_json::from_slice(&event::of(&context, &head, path, &Bytes::from_static(body.as_bytes()))).unwrap()
}

#[test]
fn a_request_becomes_an_event_in_format_2_0() {
    let request = Request::post("http://host/a%20b?p=1&p=2&q=a+b%21&empty=")
        .header("Host", "abc.lambda-url.us-east-1.localhost:3001")
        .header("User-Agent", "agent")
        .header("X-Two", "one")
        .header("X-Two", "two")
        .header("Cookie", "a=1; b=2")
        .header("Connection", "keep-alive")
        .header("Content-Type", "text/plain; charset=utf-8")
        .body("grüße")
        .unwrap();
    let event = event_of(request, "/a%20b", None);
    expect![[r#"
        {
          "body": "grüße",
          "cookies": [
            "a=1",
            "b=2"
          ],
          "headers": {
            "content-type": "text/plain; charset=utf-8",
            "cookie": "a=1; b=2",
            "host": "abc.lambda-url.us-east-1.localhost:3001",
            "user-agent": "agent",
            "x-amzn-trace-id": "Root=1",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "3001",
            "x-forwarded-proto": "http",
            "x-two": "one,two"
          },
          "isBase64Encoded": false,
          "queryStringParameters": {
            "empty": "",
            "p": "1,2",
            "q": "a b!"
          },
          "rawPath": "/a%20b",
          "rawQueryString": "p=1&p=2&q=a+b%21&empty=",
          "requestContext": {
            "accountId": "anonymous",
            "apiId": "abc",
            "domainName": "abc.lambda-url.us-east-1.localhost",
            "domainPrefix": "abc",
            "http": {
              "method": "POST",
              "path": "/a%20b",
              "protocol": "HTTP/1.1",
              "sourceIp": "127.0.0.1",
              "userAgent": "agent"
            },
            "requestId": "00000000-0000-0000-0000-000000000000",
            "routeKey": "$default",
            "stage": "$default",
            "time": "04/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390
          },
          "routeKey": "$default",
          "version": "2.0"
        }"#]]
    .assert_eq(&format!("{event:#}"));
}

#[test]
fn what_a_request_does_not_have_is_not_in_its_event() {
    let event = event_of(Request::get("/").body("").unwrap(), "/", None);
    for absent in ["body", "cookies", "queryStringParameters"] {
        assert_eq!(event.get(absent), None);
    }
    assert_eq!((&event["rawQueryString"], &event["isBase64Encoded"]), (&"".into(), &false.into()));
    assert_eq!(event["requestContext"].get("authorizer"), None);
}

#[test]
fn a_body_is_text_if_its_type_is_one_of_text() {
    for (content_type, body, encoded) in [
        (Some("application/json"), "{}", "{}"),
        (Some("application/problem+JSON"), "{}", "{}"),
        (Some("image/svg+xml"), "<svg/>", "<svg/>"),
        (Some("application/x-www-form-urlencoded"), "a=b", "YT1i"),
        (Some("multipart/form-data; boundary=x"), "--x", "LS14"),
        (None, "a", "YQ=="),
    ] {
        let mut request = Request::post("/");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let event = event_of(request.body(body).unwrap(), "/", None);
        let is_encoded = body != encoded;
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&encoded.into(), &is_encoded.into()));
    }
}

#[test]
fn whoever_signs_is_in_the_event() {
    let signer = Signer { key_id: "123456789012".to_owned(), account: Some("123456789012".to_owned()) };
    let event = event_of(Request::get("/").body("").unwrap(), "/", Some(&signer));
    assert_eq!(event["requestContext"]["accountId"], "123456789012");
    assert_eq!(
        event["requestContext"]["authorizer"].to_string(),
        r#"{"iam":{"accessKey":"123456789012","accountId":"123456789012","callerId":"123456789012","cognitoIdentity":null,"principalOrgId":null,"userArn":"arn:aws:iam::123456789012:root","userId":"123456789012"}}"#
    );
}

/// Status, headers and body, a line each.
async fn told(response: Result<Response, Refused>) -> String {
    let response = response.unwrap_or_else(Refused::into_response);
    let (head, body) = response.into_parts();
    let mut headers: Vec<_> = head.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    let body = match body.collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(error) => format!("({error})"),
    };
    format!("{}\n{}\n{body}\n", head.status.as_u16(), headers.join("\n"))
}

async fn answered(payload: &'static str) -> String {
    let payload = Bytes::from_static(payload.as_bytes());
    let response = answer::respond(&Answered { payload, function_error: None, log_result: None });
    told(response).await
}

#[tokio::test]
async fn an_answer_in_format_2_0_is_the_response() {
    let payload = r#"{"statusCode": "201", "headers": {"Content-Type": "text/plain", "X-N": 1, "Date": "x"}, "cookies": ["a=1", "b=2"], "body": "aGk=", "isBase64Encoded": true}"#;
    expect![[r#"
        201
        content-type: "text/plain"
        set-cookie: "a=1"
        set-cookie: "b=2"
        x-amzn-remapped-date: "x"
        x-n: "1"
        hi
    "#]]
    .assert_eq(&answered(payload).await);
}

#[tokio::test]
async fn an_answer_of_another_form_is_the_body_of_one() {
    for (payload, body) in [
        (r#"{"b": "a \" b", "a": [1, 2]}"#, r#"{"b":"a \" b","a":[1,2]}"#),
        (r#"["hello", 3, true]"#, r#"["hello",3,true]"#),
        (r#""hello""#, "hello"),
        ("3.1", "3.1"),
        ("null", "null"),
        (r#"{"statusCode": 200}"#, ""),
        (r#"{"statusCode": 200, "body": {"a": 1}}"#, r#"{"a":1}"#),
    ] {
        assert_eq!(answered(payload).await, format!("200\ncontent-type: \"application/json\"\n{body}\n"));
    }
}

#[tokio::test]
async fn an_answer_that_can_be_no_response_is_a_failure_of_the_function() {
    let failure = "502\ncontent-type: \"application/json\"\nInternal Server Error\n";
    for payload in [
        "not JSON",
        r#"{"statusCode": "many"}"#,
        r#"{"statusCode": 99}"#,
        r#"{"statusCode": 200, "headers": {"a b": "c"}}"#,
        r#"{"statusCode": 200, "headers": {"a": ["c"]}}"#,
        r#"{"statusCode": 200, "cookies": ["a\n"]}"#,
        r#"{"statusCode": 200, "body": "!", "isBase64Encoded": true}"#,
    ] {
        assert_eq!(answered(payload).await, failure, "{payload}");
    }
    let function_error = Some(FunctionError::Unhandled);
    let failed = Answered { payload: "{}".into(), function_error, log_result: None };
    assert_eq!(told(answer::respond(&failed)).await, failure);
}

/// What becomes of a stream of these chunks.
async fn streamed(content_type: Option<&'static str>, chunks: &[&'static [u8]], fails: bool) -> String {
    let (sender, receiver) = mpsc::channel(9);
    let (told_end, ending) = oneshot::channel();
    for chunk in chunks {
        sender.send(Bytes::from_static(chunk)).await.unwrap();
    }
    drop(sender);
    let error = fails.then(|| StreamError { error_type: None, details: "{}".to_owned() });
    told_end.send(Ending { error, log_result: None }).unwrap();
    let content_type = content_type.map(HeaderValue::from_static);
    told(stream::respond(Streamed { content_type, chunks: receiver, ending }).await).await
}

#[tokio::test]
async fn a_stream_may_begin_with_a_head_of_its_own() {
    let with_head = Some("application/vnd.awslambda.http-integration-response");
    let check = |told: String, expected: Expect| expected.assert_eq(&told);
    let head = br#"{"statusCode": 418, "headers": {"Content-Type": "text/html"}, "cookies": ["a=1"]}"#;
    let pieces: [&[u8]; 5] = [head, &[0; 3], &[0; 5], b"one ", b"two"];
    check(
        streamed(with_head, &pieces, false).await,
        expect![[r#"
            418
            content-type: "text/html"
            set-cookie: "a=1"
            one two
        "#]],
    );
    check(
        streamed(Some("text/plain"), &[b"one ", b"two"], false).await,
        expect![[r#"
            200
            content-type: "text/plain"
            one two
        "#]],
    );
    check(
        streamed(None, &[], false).await,
        expect![[r#"
            200
            content-type: "application/octet-stream"

        "#]],
    );
}

#[tokio::test]
async fn a_stream_that_fails_has_no_response_before_its_first_byte_and_breaks_off_after_it() {
    let failure = "502\ncontent-type: \"application/json\"\nInternal Server Error\n";
    assert_eq!(streamed(None, &[], true).await, failure);
    let with_head = Some("application/vnd.awslambda.http-integration-response");
    assert_eq!(streamed(with_head, &[b"{\"statusCode\": 200}"], true).await, failure);
    assert_eq!(
        streamed(Some("text/plain"), &[b"one "], true).await,
        "200\ncontent-type: \"text/plain\"\n(the function failed in its response)\n"
    );
}

#[test]
fn browsers_are_told_what_the_settings_say() {
    let words = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
    let some = Cors {
        allow_credentials: Some(true),
        allow_headers: words(&["x-a", "x-b"]),
        allow_methods: words(&["GET", "PUT"]),
        allow_origins: words(&["https://a.test"]),
        expose_headers: words(&["x-c"]),
        max_age: Some(60),
    };
    let any = Cors { allow_origins: words(&["*"]), ..Cors::default() };
    let preflight = |cors: &Cors, origin: &'static str| {
        let asked = HeaderMap::from_iter([
            (header::ORIGIN, HeaderValue::from_static(origin)),
            (header::ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static("PUT")),
        ]);
        let response = cors::preflight(cors, &asked).unwrap();
        let headers = response.headers().iter();
        let mut told: Vec<_> =
            headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        told.sort();
        told.join("\n")
    };
    expect![[r"
        access-control-allow-credentials: true
        access-control-allow-headers: x-a,x-b
        access-control-allow-methods: GET,PUT
        access-control-allow-origin: https://a.test
        access-control-expose-headers: x-c
        access-control-max-age: 60
        vary: Origin"]]
    .assert_eq(&preflight(&some, "https://a.test"));
    assert_eq!(preflight(&some, "https://b.test"), "vary: Origin");
    assert_eq!(preflight(&any, "https://b.test"), "access-control-allow-origin: *\nvary: Origin");
    assert!(cors::preflight(&any, &HeaderMap::new()).is_none());
}
