"""Recorded facts 30 to 42: invocations that are refused, each with AWS's status, type, message and body."""

import json
import urllib.error
import urllib.request

import pytest

from hearth import ACCOUNT, ANSWER_LIMIT, REGION, refusal

NAME_PATTERN = (
    r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?"
    r"([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)
QUALIFIER_PATTERN = r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"
SOURCE_HIDDEN = "REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)"


def arn(name):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def invalid(parameter, value, constraint):
    problem = f"Value '{value}' at '{parameter}' failed to satisfy constraint: {constraint}"
    return (400, "ValidationException", f"1 validation error detected: {problem}")


def test_fact_030_an_unknown_function(client):
    refused = refusal(client, "invoke", FunctionName="doesnotexist")
    message = f"Function not found: {arn('doesnotexist')}:$LATEST"
    assert refused == (404, "ResourceNotFoundException", message)
    assert refused.body == {"Type": "User", "Message": message}


def test_fact_031_an_unknown_alias(echo):
    refused = refusal(echo.client, "invoke", FunctionName=echo.name, Qualifier="non-existent-alias")
    message = f"Function not found: {echo.arn}:non-existent-alias"
    assert refused == (404, "ResourceNotFoundException", message)
    assert refused.body == {"Type": "User", "Message": message}


def test_fact_032_a_name_outside_the_pattern(client):
    name = f"arn:aws:lambda:{REGION}:123400000000@function:myfn"
    refused = refusal(client, "invoke", FunctionName=name)
    assert refused == invalid("functionName", name, f"Member must satisfy regular expression pattern: {NAME_PATTERN}")


def test_fact_033_a_name_that_is_too_long_is_unknown(client):
    refused = refusal(client, "invoke", FunctionName="a" * 65)
    assert refused == (404, "ResourceNotFoundException", f"Function not found: {arn('a' * 65)}:$LATEST")


def test_fact_034_latest_in_lower_case_is_a_qualifier_like_any_other(echo):
    refused = refusal(echo.client, "invoke", FunctionName=echo.name, Qualifier="$latest")
    assert refused == (404, "ResourceNotFoundException", f"Function not found: {echo.arn}:$latest")


def test_fact_035_a_qualifier_outside_the_pattern(echo):
    refused = refusal(echo.client, "invoke", FunctionName=echo.name, Qualifier="invalid!")
    constraint = f"Member must satisfy regular expression pattern: {QUALIFIER_PATTERN}"
    assert refused == invalid("qualifier", "invalid!", constraint)


def test_fact_036_a_qualifier_that_is_too_long(echo):
    refused = refusal(echo.client, "invoke", FunctionName=echo.name, Qualifier="a" * 129)
    assert refused == invalid("qualifier", "a" * 129, "Member must have length less than or equal to 128")


def test_fact_037_two_qualifiers_that_differ(echo):
    refused = refusal(echo.client, "invoke", FunctionName=f"{echo.arn}:$LATEST", Qualifier="1")
    message = "The derived qualifier from the function name does not match the specified qualifier."
    assert refused == (400, "InvalidParameterValueException", message)
    assert refused.body == {"Type": "User", "message": message}


def test_fact_038_a_function_of_another_region(echo):
    elsewhere = echo.arn.replace(REGION, "eu-west-1")
    refused = refusal(echo.client, "invoke", FunctionName=elsewhere)
    message = f"Functions from 'eu-west-1' are not reachable in this region ('{REGION}')"
    assert refused == (404, "ResourceNotFoundException", message)
    assert refused.body == {"Type": "User", "Message": message}


def not_json(problem, line, column):
    return (
        400,
        "InvalidRequestContentException",
        f"Could not parse request body into json: Could not parse payload into json: {problem}\n"
        f" at [Source: {SOURCE_HIDDEN}; line: {line}, column: {column}]",
    )


EXPECTED = "expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"


def test_fact_039_a_payload_that_is_not_utf_8(echo):
    refused = refusal(echo.client, "invoke", FunctionName=echo.name, Payload=b"n\x87r\x9e\xe9\xb5\xd7I\xee\x9bmt")
    assert refused == not_json("Invalid UTF-8 start byte 0x87", 1, 3)
    assert refused.body == {"Type": "User", "message": refused.message}


def test_fact_040_a_payload_that_is_not_json(echo):
    payload = b"\x99\xeb,j\x07\xa1zYh"
    refused = refusal(echo.client, "invoke", FunctionName=echo.name, Payload=payload)
    assert refused == not_json(f"Unexpected character ((CTRL-CHAR, code 153)): {EXPECTED}", 1, 1)
    assert refused.body == {"Type": "User", "message": refused.message}


@pytest.mark.parametrize("payload", [b"{", b'{"a": }', b"[1,]", b"{} {}", b"nul", b'"open', b"'single'", b"01", b"NaN"])
def test_a_payload_that_is_nearly_json_is_refused_before_it_reaches_the_function(echo, payload):
    refused = refusal(echo.client, "invoke", FunctionName=echo.name, Payload=payload)
    assert (refused.status, refused.kind) == (400, "InvalidRequestContentException")
    assert refused.message.startswith("Could not parse request body into json: Could not parse payload into json: ")


THROTTLED = {
    "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
    "Type": "User",
    "message": "Rate Exceeded.",
}


def test_fact_041_a_function_without_any_concurrency_is_blocked(deploy):
    function = deploy("def handler(event, context):\n    return event\n")
    function.client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    refused = refusal(function.client, "invoke", FunctionName=function.name)
    assert refused == (429, "TooManyRequestsException", "Rate Exceeded.")
    assert refused.body == THROTTLED


def test_fact_042_reserved_concurrency_is_taken_up(deploy_strictly, threads, gate):
    function = deploy_strictly(gate.SOURCE, Timeout=60)
    function.client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=1)
    first = threads.submit(function.invoke, gate.event)
    gate.wait_until_reached()
    refused = refusal(function.client, "invoke", FunctionName=function.name)
    assert refused == (429, "TooManyRequestsException", "Rate Exceeded.")
    assert refused.body == THROTTLED
    gate.open()
    assert first.result().json == "old"
    assert function.invoke(gate.event).json == "old"


def test_a_payload_of_exactly_six_mebibytes_passes_and_one_byte_more_does_not(deploy):
    function = deploy("def handler(event, context):\n    return len(event)\n")
    limit = 6 * 1024 * 1024
    assert function.invoke("x" * (limit - 2)).json == limit - 2
    refused = refusal(function.client, "invoke", FunctionName=function.name, Payload=json.dumps("x" * (limit - 1)))
    message = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
    assert refused == (413, "RequestEntityTooLargeException", message)


@pytest.mark.parametrize("qualifier", ["1", "99999"])
def test_an_unknown_version(echo, qualifier):
    refused = refusal(echo.client, "invoke", FunctionName=echo.name, Qualifier=qualifier)
    assert refused == (404, "ResourceNotFoundException", f"Function not found: {echo.arn}:{qualifier}")


@pytest.mark.parametrize(
    ("form", "qualifier"),
    [
        ("{name}", None),
        ("{name}:$LATEST", None),
        ("{name}", "$LATEST"),
        ("{account}:function:{name}", None),
        ("{account}:function:{name}:$LATEST", None),
        ("arn:aws:lambda:{region}:{account}:function:{name}", None),
        ("arn:aws:lambda:{region}:{account}:function:{name}:$LATEST", None),
        ("arn:aws:lambda:{region}:{account}:function:{name}:$LATEST", "$LATEST"),
        ("function:{name}", None),
    ],
)
def test_a_function_answers_to_every_form_of_its_name(echo, form, qualifier):
    name = form.format(name=echo.name, account=ACCOUNT, region=REGION)
    qualified = {"Qualifier": qualifier} if qualifier else {}
    answer = echo.client.invoke(FunctionName=name, Payload=b'"here"', **qualified)
    assert (answer["Payload"].read(), answer["ExecutedVersion"]) == (b'"here"', "$LATEST")
    found = echo.client.get_function(FunctionName=name, **qualified)["Configuration"]
    assert found["FunctionName"] == echo.name


def test_a_function_of_another_account_is_unknown(echo):
    elsewhere = echo.arn.replace(ACCOUNT, "123456789012")
    refused = refusal(echo.client, "invoke", FunctionName=elsewhere)
    assert (refused.status, refused.kind) in [(404, "ResourceNotFoundException"), (403, "AccessDeniedException")]


def test_accounts_and_regions_see_their_own_functions_only(host, echo):
    for client in [host.client(access_key="123456789012"), host.client(region="eu-west-1")]:
        assert client.list_functions()["Functions"] == []
        assert refusal(client, "invoke", FunctionName=echo.name).status == 404


def test_an_unknown_operation_gets_an_error_of_aws_s_form(host):
    request = urllib.request.Request(f"{host.url}/2015-03-31/no-such-thing", method="POST", data=b"{}")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=ANSWER_LIMIT)
    with caught.value as answer:
        assert answer.status == 404
        assert answer.headers["x-amzn-ErrorType"]
        assert json.loads(answer.read())["message"]
