"""Recorded facts 11 and 85 to 89, and whatever else follows from an asynchronous invocation."""

import datetime
import json
import re

import pytest

from fixtures import deployer, started
from hearth import ACCOUNT, REGION, refusal, wait_until

# The second retry would come after the least age that a function can be given.
CONFIG = """
[events]
retry_delays_seconds = [0.05, 61]
"""
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:topic"
BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/bus"
BUCKET = "arn:aws:s3:::bucket"
FAILS_IF_ASKED = """
def handler(event, context):
    if event.get("fail"):
        raise Exception("intentional failure")
    return {"got": event}
"""
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(scope="module")
def eager_host(tmp_path_factory, services):
    """A host that retries soon, and finds other services at the recording server."""
    yield from started(tmp_path_factory, "eager", config=CONFIG, env=services.env)


@pytest.fixture
def deploy(eager_host, request):
    yield from deployer(eager_host.client(), request.node.name)


def put(function, operation="put_function_event_invoke_config", **settings):
    answer = getattr(function.client, operation)(FunctionName=function.name, **settings)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def destinations(success=None, failure=None):
    given = {"OnSuccess": success, "OnFailure": failure}
    return {name: {"Destination": arn} for name, arn in given.items() if arn}


def send(function, event, **parameters):
    answer = function.client.invoke(
        FunctionName=function.name, InvocationType="Event", Payload=json.dumps(event), **parameters
    )
    return answer["ResponseMetadata"]["RequestId"]


def record_of(text):
    record = json.loads(text)
    assert TIMESTAMP.fullmatch(record.pop("timestamp")), text
    return record


def test_a_config_from_its_creation_to_its_end(deploy):
    function = deploy(FAILS_IF_ASKED)
    client, name = function.client, function.name
    missing = {
        "status": 404,
        "kind": "ResourceNotFoundException",
        "message": f"The function {function.arn}:$LATEST doesn't have an EventInvokeConfig",
    }
    missing = tuple(missing.values())
    assert refusal(client, "get_function_event_invoke_config", FunctionName=name) == missing
    assert refusal(client, "delete_function_event_invoke_config", FunctionName=name) == missing
    retries = {"MaximumRetryAttempts": 1}
    assert refusal(client, "update_function_event_invoke_config", FunctionName=name, **retries) == missing

    made = put(function, MaximumRetryAttempts=1, MaximumEventAgeInSeconds=90)
    assert isinstance(made.pop("LastModified"), datetime.datetime)
    assert made == {
        "FunctionArn": f"{function.arn}:$LATEST",
        "MaximumRetryAttempts": 1,
        "MaximumEventAgeInSeconds": 90,
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {}},
    }
    changed = put(function, "update_function_event_invoke_config", DestinationConfig=destinations(failure=QUEUE))
    assert changed["MaximumEventAgeInSeconds"] == 90
    assert changed["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {"Destination": QUEUE}}
    found = client.get_function_event_invoke_config(FunctionName=name)
    assert found["LastModified"] == changed["LastModified"]

    version = client.publish_version(FunctionName=name)["Version"]
    client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    for qualifier in ("1", "live"):
        put(function, Qualifier=qualifier, MaximumRetryAttempts=0)
    listed = client.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"]
    assert [one["FunctionArn"].rsplit(":", 1)[1] for one in listed] == ["$LATEST", "1", "live"]

    assert put(function, MaximumRetryAttempts=2).get("MaximumEventAgeInSeconds") is None
    answer = client.delete_function_event_invoke_config(FunctionName=name)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    client.delete_alias(FunctionName=name, Name="live")
    listed = client.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"]
    assert len(listed) == 1


def test_a_config_that_makes_no_sense_is_refused(deploy):
    function = deploy(FAILS_IF_ASKED)
    other = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:nobody"
    table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/t"
    for settings, expected in [
        (
            {},
            (400, "InvalidParameterValueException", "You must specify at least one of error handling or destination setting."),
        ),
        (
            {"Qualifier": "nowhere", "MaximumRetryAttempts": 0},
            (404, "ResourceNotFoundException", "The function doesn't exist."),
        ),
        (
            {"DestinationConfig": destinations(success=function.arn)},
            (400, "InvalidParameterValueException", "You can't specify the function as a destination for itself."),
        ),
        (
            {"DestinationConfig": destinations(success=other)},
            (400, "InvalidParameterValueException", f"The destination ARN {other} is invalid."),
        ),
        (
            {"DestinationConfig": destinations(success=table)},
            (
                400,
                "InvalidParameterValueException",
                "The provided destination config DestinationConfig("
                f"onSuccess=OnSuccess(destination={table}), onFailure=null) is invalid.",
            ),
        ),
        (
            {"MaximumRetryAttempts": 3, "MaximumEventAgeInSeconds": 59},
            (
                400,
                "ValidationException",
                "2 validation errors detected: Value '3' at 'maximumRetryAttempts' failed to satisfy constraint: "
                "Member must have value less than or equal to 2; Value '59' at 'maximumEventAgeInSeconds' failed to "
                "satisfy constraint: Member must have value greater than or equal to 60",
            ),
        ),
    ]:
        refused = refusal(
            function.client, "put_function_event_invoke_config", FunctionName=function.name, **settings
        )
        assert refused == expected


def test_fact_011_every_try_has_the_same_request_id(deploy, tmp_path):
    function = deploy("""
def handler(event, context):
    with open(event, "a") as tries:
        tries.write(f"{context.aws_request_id}\\n")
    raise Exception("once more")
""")
    put(function, MaximumRetryAttempts=1)
    tries = tmp_path / "tries"
    request_id = send(function, str(tries))

    def seen():
        return tries.read_text().split() if tries.exists() else []

    wait_until(lambda: len(seen()) == 2, lambda: f"it was tried {len(seen())} times")
    assert seen() == [request_id, request_id]


@pytest.mark.parametrize(
    ("limits", "condition", "tries"),
    [
        # Facts 86 and 87: both tries that the limits leave, and the one that would come too late.
        ({"MaximumRetryAttempts": 1}, "RetriesExhausted", 2),
        ({"MaximumRetryAttempts": 0}, "RetriesExhausted", 1),
        ({"MaximumEventAgeInSeconds": 60}, "EventAgeExceeded", 2),
    ],
)
def test_facts_086_and_087_a_failure_is_told_after_the_last_try(deploy, services, limits, condition, tries):
    function = deploy(FAILS_IF_ASKED)
    put(function, DestinationConfig=destinations(failure=QUEUE), **limits)
    request_id = send(function, {"fail": 1})
    message = services.next()
    assert (message.target, message.scope) == ("AmazonSQS.SendMessage", (ACCOUNT, REGION, "sqs"))
    assert message.json["QueueUrl"] == f"{services.url}/{ACCOUNT}/queue"
    record = record_of(message.json["MessageBody"])
    assert "File" in record["responsePayload"].pop("stackTrace")[0]
    assert record == {
        "version": "1.0",
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"{function.arn}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": tries,
        },
        "requestPayload": {"fail": 1},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {
            "errorMessage": "intentional failure",
            "errorType": "Exception",
            "requestId": request_id,
        },
    }


def test_fact_088_a_success_is_told(deploy, services):
    function = deploy(FAILS_IF_ASKED)
    put(function, DestinationConfig=destinations(success=TOPIC, failure=QUEUE))
    request_id = send(function, {"a": 1})
    message = services.next()
    assert message.scope == (ACCOUNT, REGION, "sns")
    assert (message.form["Action"], message.form["TopicArn"]) == ("Publish", TOPIC)
    assert record_of(message.form["Message"]) == {
        "version": "1.0",
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"{function.arn}:$LATEST",
            "condition": "Success",
            "approximateInvokeCount": 1,
        },
        "requestPayload": {"a": 1},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": {"got": {"a": 1}},
    }


def test_an_alias_has_destinations_of_its_own(deploy, services):
    function = deploy(FAILS_IF_ASKED)
    version = function.client.publish_version(FunctionName=function.name)["Version"]
    function.client.create_alias(FunctionName=function.name, Name="live", FunctionVersion=version)
    put(function, DestinationConfig=destinations(success=TOPIC))
    put(function, Qualifier="live", DestinationConfig=destinations(success=QUEUE))
    send(function, {}, Qualifier="live")
    message = services.next()
    record = record_of(message.json["MessageBody"])
    assert record["requestContext"]["functionArn"] == f"{function.arn}:live"
    assert record["responseContext"]["executedVersion"] == version


def test_a_bus_and_a_bucket_are_told(deploy, services):
    function = deploy(FAILS_IF_ASKED)
    put(function, MaximumRetryAttempts=0, DestinationConfig=destinations(success=BUS, failure=BUCKET))
    send(function, {})
    message = services.next()
    assert (message.target, message.scope) == ("AWSEvents.PutEvents", (ACCOUNT, REGION, "events"))
    (entry,) = message.json["Entries"]
    assert record_of(entry.pop("Detail"))["requestContext"]["condition"] == "Success"
    assert entry == {
        "Source": "lambda",
        "DetailType": "Lambda Function Invocation Result - Success",
        "Resources": [f"{function.arn}:$LATEST", BUS],
        "EventBusName": "bus",
    }
    send(function, {"fail": 1})
    message = services.next()
    assert (message.method, message.scope) == ("PUT", (ACCOUNT, REGION, "s3"))
    place = rf"/bucket/aws/lambda/async/{function.name}/\d{{4}}/\d\d/\d\d/[-\dT.]{{19}}-[-\da-f]{{36}}"
    assert re.fullmatch(place, message.path), message.path
    assert record_of(message.body)["requestContext"]["condition"] == "RetriesExhausted"


def test_a_function_is_told_by_an_invocation(deploy, tmp_path):
    told = tmp_path / "told.json"
    # A file that is renamed into its place is whole.
    listener = deploy(
        f"""
import json, os

def handler(event, context):
    with open({str(told)!r} + ".part", "w") as file:
        json.dump(event, file)
    os.rename({str(told)!r} + ".part", {str(told)!r})
"""
    )
    function = deploy(FAILS_IF_ASKED)
    put(function, DestinationConfig=destinations(success=listener.arn))
    request_id = send(function, {"a": 1})
    wait_until(told.exists, lambda: "the function was not told")
    record = record_of(told.read_text())
    assert record["requestContext"]["requestId"] == request_id
    assert record["responsePayload"] == {"got": {"a": 1}}


@pytest.mark.parametrize("target", [QUEUE, TOPIC])
def test_fact_089_a_dead_letter_has_the_event_and_the_cause(deploy, services, target):
    function = deploy(FAILS_IF_ASKED, DeadLetterConfig={"TargetArn": target})
    put(function, MaximumRetryAttempts=0)
    request_id = send(function, {"fail": 1})
    message = services.next()
    expected = {"RequestID": request_id, "ErrorCode": "200", "ErrorMessage": "intentional failure"}
    if target == QUEUE:
        assert json.loads(message.json["MessageBody"]) == {"fail": 1}
        assert message.json["MessageAttributes"] == {
            name: {"DataType": "Number" if name == "ErrorCode" else "String", "StringValue": value}
            for name, value in expected.items()
        }
    else:
        entries = [f"MessageAttributes.entry.{place}" for place in (1, 2, 3)]
        form = message.form
        assert json.loads(form["Message"]) == {"fail": 1}
        assert {form[f"{one}.Name"]: form[f"{one}.Value.StringValue"] for one in entries} == expected


def test_an_event_for_a_function_that_may_not_run_is_given_up_at_once(deploy, services):
    function = deploy(FAILS_IF_ASKED)
    put(function, DestinationConfig=destinations(failure=QUEUE))
    function.client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    request_id = send(function, {"a": 1})
    assert record_of(services.next().json["MessageBody"]) == {
        "version": "1.0",
        "requestContext": {
            "requestId": request_id,
            "functionArn": f"{function.arn}:$LATEST",
            "condition": "ZeroReservedConcurrency",
            "approximateInvokeCount": 0,
        },
        "requestPayload": {"a": 1},
    }


def test_a_service_that_is_overloaded_is_told_again(deploy, services):
    function = deploy(FAILS_IF_ASKED)
    put(function, DestinationConfig=destinations(success=QUEUE))
    services.failures = 1
    send(function, {})
    first, second = services.next(), services.next()
    assert first.json == second.json
