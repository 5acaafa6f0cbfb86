"""Functions that call themselves, and are stopped before they do it for ever."""

import json
import os
import zlib

import boto3
import pytest

from fixtures import deployer, started
from hearth import refusal, wait_until

# AWS stops a function before it is run for the 17th time.
MOST = 16
CALLS_ITSELF = """
import json, boto3

def handler(event, context):
    with open(event["file"], "a") as file:
        file.write(context.aws_request_id + "\\n")
    if len(open(event["file"]).readlines()) < event["most"]:
        client = boto3.client("lambda", endpoint_url=event["host"])
        client.invoke(FunctionName=context.function_name, InvocationType="Event", Payload=json.dumps(event))
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory, services):
    yield from started(tmp_path_factory, "recursive", env=services.env)


@pytest.fixture
def looping(host, request, tmp_path):
    """A function that calls itself, and the file that says how often it was run."""
    for deploy in deployer(host.client(), request.node.name):
        packages = {"PYTHONPATH": os.path.dirname(os.path.dirname(boto3.__file__))}
        function = deploy(CALLS_ITSELF, Timeout=30, Environment={"Variables": packages})
        yield function, tmp_path / "runs"


def run(host, function, file, most):
    event = json.dumps({"file": str(file), "host": host.url, "most": most})
    function.client.invoke(FunctionName=function.name, InvocationType="Event", Payload=event)


def test_a_function_that_calls_itself_is_stopped(host, looping, services):
    function, file = looping
    queue = "arn:aws:sqs:us-east-1:000000000000:dropped"
    function.client.put_function_event_invoke_config(
        FunctionName=function.name, DestinationConfig={"OnFailure": {"Destination": queue}}
    )
    run(host, function, file, most=100)
    record = json.loads(services.next().json["MessageBody"])
    assert record["requestContext"]["condition"] == "RecursiveInvocation"
    assert "responsePayload" not in record
    assert len(file.read_text().splitlines()) == MOST


def test_a_function_that_may_call_itself_goes_on(host, looping):
    function, file = looping
    function.client.put_function_recursion_config(FunctionName=function.name, RecursiveLoop="Allow")
    run(host, function, file, most=MOST + 2)
    wait_until(lambda: file.exists() and len(file.read_text().splitlines()) == MOST + 2, "every run")


def test_a_call_that_closes_a_loop_is_refused(host, looping):
    function, file = looping
    client = function.client

    def lineage(count):
        name = f"{zlib.crc32(function.arn.encode()):08x}"
        return f"Root=1-66401234-00112233445566778899aabb;Sampled=0;Lineage=0000000a:3|{name}:{count}"

    def invoke(count):
        def add(request, **_):
            request.headers["X-Amzn-Trace-Id"] = lineage(count)

        client.meta.events.register("before-sign.lambda.Invoke", add, unique_id="lineage")
        try:
            return refusal(client, "invoke", FunctionName=function.name, Payload=b"{}")
        finally:
            client.meta.events.unregister("before-sign.lambda.Invoke", unique_id="lineage")

    refused = invoke(MOST - 1)
    assert (refused.status, refused.kind) == (400, "RecursiveInvocationException")
    assert refused.body["Type"] == "User"
    # The last one that is let in fails by itself, for want of a file.
    with pytest.raises(AssertionError, match="was granted"):
        invoke(MOST - 2)
