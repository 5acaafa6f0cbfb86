"""Recorded facts 1 to 10: what an invocation is answered with."""

import base64
import json
import re

from fixtures import needs_node
from hearth import UUID, wait_for_file

PRINTS_ITS_EVENT = """
import json

def handler(event, context):
    print(json.dumps(event))
    return {}
"""

PRINTS_ITS_EVENT_NODE = """
exports.handler = async (event) => {
    console.log(JSON.stringify(event));
    return {};
};
"""

LOGS_AND_ANSWERS_CONTEXT = """
import logging

logging.getLogger().setLevel(logging.INFO)

def handler(event, context):
    print("Lambda log message - print function")
    logging.getLogger().info("Lambda log message - logging module")
    names = ["invoked_function_arn", "function_version", "function_name", "memory_limit_in_mb", "aws_request_id",
             "log_group_name", "log_stream_name", "client_context"]
    return {"context": {name: getattr(context, name) for name in names}}
"""

REPORT = re.compile(
    r"REPORT RequestId: <id>\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t"
    r"Max Memory Used: [1-9]\d* MB(\tInit Duration: \d+\.\d\d ms)?\t\n"
)
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def without_ids(invocation):
    """The log's lines with `<id>` for the request's own id, `<date>` for dates, and the last line's form checked."""
    lines = [line.replace(invocation.request_id, "<id>") for line in invocation.log_lines]
    assert REPORT.fullmatch(lines[-1]), lines[-1]
    return [DATE.sub("<date>", line) for line in lines[:-1]], "Init Duration" in lines[-1]


def test_fact_001_a_result_is_the_body(echo):
    invocation = echo.invoke({})
    assert (invocation.status, invocation.error, invocation.version) == (200, None, "$LATEST")
    assert invocation.payload == b"{}"
    assert invocation.headers["content-type"] == "application/json"


def test_fact_002_no_result_is_null(deploy):
    invocation = deploy("def handler(event, context):\n    pass\n").invoke()
    assert (invocation.status, invocation.error, invocation.version) == (200, None, "$LATEST")
    assert invocation.payload == b"null"


def test_fact_003_an_event_is_accepted_and_runs(deploy, tmp_path):
    function = deploy("import pathlib\n\ndef handler(event, context):\n    pathlib.Path(event['file']).touch()\n")
    invocation = function.invoke({"file": str(tmp_path / "ran")}, InvocationType="Event")
    assert (invocation.status, invocation.error, invocation.version) == (202, None, None)
    assert invocation.payload == b""
    wait_for_file(tmp_path / "ran")


def test_fact_004_a_dry_run_runs_nothing(deploy, tmp_path):
    function = deploy("import pathlib\n\ndef handler(event, context):\n    pathlib.Path(event['file']).touch()\n")
    invocation = function.invoke({"file": str(tmp_path / "ran")}, InvocationType="DryRun")
    assert (invocation.status, invocation.error, invocation.payload) == (204, None, b"")
    # A run of the same function that did happen shows that the other one did not.
    function.invoke({"file": str(tmp_path / "ran afterwards")})
    assert [path.name for path in tmp_path.iterdir()] == ["ran afterwards"]


def test_fact_005_the_log_tail_of_python(deploy):
    function = deploy(PRINTS_ITS_EVENT)
    cold, warm = function.invoke({}, LogType="Tail"), function.invoke({}, LogType="Tail")
    expected = ["START RequestId: <id> Version: $LATEST\n", "{}\n", "END RequestId: <id>\n"]
    assert without_ids(cold) == (expected, True)
    assert without_ids(warm) == (expected, False)


@needs_node
def test_fact_006_the_log_tail_of_node(deploy):
    invocation = deploy.node(PRINTS_ITS_EVENT_NODE).invoke({}, LogType="Tail")
    expected = ["START RequestId: <id> Version: $LATEST\n", "<date>\t<id>\tINFO\t{}\n", "END RequestId: <id>\n"]
    assert without_ids(invocation) == (expected, True)


def test_fact_007_the_log_of_a_version(deploy):
    function = deploy(LOGS_AND_ANSWERS_CONTEXT)
    function.client.publish_version(FunctionName=function.name)
    invocation = function.invoke({}, Qualifier="1", LogType="Tail")
    assert invocation.version == "1"
    lines, _ = without_ids(invocation)
    assert lines == [
        "START RequestId: <id> Version: 1\n",
        "Lambda log message - print function\n",
        "[INFO]\t<date>\t<id>\tLambda log message - logging module\n",
        "END RequestId: <id>\n",
    ]


def test_fact_008_the_context_of_a_qualified_invocation(deploy):
    function = deploy(LOGS_AND_ANSWERS_CONTEXT)
    function.client.publish_version(FunctionName=function.name)
    invocation = function.invoke({}, Qualifier="1")
    context = invocation.json["context"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[1\][0-9a-f]{32}", context.pop("log_stream_name"))
    assert context == {
        "invoked_function_arn": f"{function.arn}:1",
        "function_version": "1",
        "function_name": function.name,
        "memory_limit_in_mb": "128",
        "aws_request_id": invocation.request_id,
        "log_group_name": f"/aws/lambda/{function.name}",
        "client_context": None,
    }
    unqualified = function.invoke({}).json["context"]
    assert (unqualified["invoked_function_arn"], unqualified["function_version"]) == (function.arn, "$LATEST")


@needs_node
def test_fact_009_the_client_context_reaches_the_function(deploy):
    given = {"custom": {"foo": "bar"}, "client": {"snap": ["crackle", "pop"]}, "env": {"fizz": "buzz"}}
    function = deploy.node("exports.handler = async (event, context) => ({ context });\n")
    invocation = function.invoke({}, ClientContext=base64.b64encode(json.dumps(given).encode()).decode())
    context = invocation.json["context"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", context.pop("logStreamName"))
    assert context == {
        "callbackWaitsForEmptyEventLoop": True,
        "functionVersion": "$LATEST",
        "functionName": function.name,
        "memoryLimitInMB": "128",
        "logGroupName": f"/aws/lambda/{function.name}",
        "clientContext": given,
        "invokedFunctionArn": function.arn,
        "awsRequestId": invocation.request_id,
    }


def test_fact_010_one_request_id_everywhere(deploy):
    function = deploy(
        "import logging\nlogging.getLogger().setLevel(logging.INFO)\n\n"
        "def handler(event, context):\n    logging.info('RequestId log message')\n    return context.aws_request_id\n"
    )
    invocation = function.invoke({}, LogType="Tail")
    assert UUID.fullmatch(invocation.request_id)
    assert invocation.json == invocation.request_id
    lines, _ = without_ids(invocation)
    assert lines == [
        "START RequestId: <id> Version: $LATEST\n",
        "[INFO]\t<date>\t<id>\tRequestId log message\n",
        "END RequestId: <id>\n",
    ]
    assert function.invoke({}).request_id != invocation.request_id


def test_the_log_tail_is_its_last_four_kibibytes(deploy):
    invocation = deploy("def handler(event, context):\n    print('x' * 10000)\n").invoke({}, LogType="Tail")
    assert len(invocation.log) == 4096
    assert invocation.log.startswith("xxx")
    assert invocation.log_lines[-1].startswith("REPORT ")


def test_without_being_asked_there_is_no_log_tail(echo):
    assert echo.invoke({}).log is None


def test_an_empty_payload_is_an_empty_object(echo):
    assert echo.invoke(Payload=b"").payload == b"{}"


def test_each_kind_of_json_passes_unchanged(echo):
    for event in ["", "text \u00e4\u6f22\U0001f600", 0, -1.5, True, None, [], [1, [2]], {"a": {"b": []}}]:
        assert echo.invoke(event).json == event
    assert echo.invoke(Payload=b" \n{ } ").json == {}
