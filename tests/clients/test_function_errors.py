"""Recorded facts 12 to 24: how a function's failure looks. Always HTTP 200 and `Unhandled`."""

import json
import re

import pytest

from fixtures import needs_node

SURVIVOR = "\n\ndef handler(event, context):\n    return 'unreachable'\n"

BREAKS_AS_TOLD = """
import os
import signal
import sys
import tempfile
import time

number = 0
path = os.path.join(tempfile.gettempdir(), "content")

def handler(event, context):
    global number
    number += 1
    match event:
        case {"do": "write"}:
            with open(path, "w") as file:
                file.write("some-content")
        case {"do": "sleep"}:
            time.sleep(60)
        case {"do": "exit", "status": status}:
            sys.exit(status)
        case {"do": "vanish", "status": status}:
            os._exit(status)
        case {"do": "signal", "name": name}:
            os.kill(os.getpid(), getattr(signal, name))
            time.sleep(60)
    return {"number": number, "content": open(path).read() if os.path.exists(path) else None}
"""


def failed(invocation):
    """The error's JSON, once what all errors share is checked."""
    assert (invocation.status, invocation.error, invocation.version) == (200, "Unhandled", "$LATEST"), invocation
    return invocation.json


def ended(invocation, kind, what):
    """An error that Lambda itself made, to the byte."""
    message = f"RequestId: {invocation.request_id} Error: {what}"
    assert failed(invocation) == {"errorType": kind, "errorMessage": message}
    assert (
        invocation.payload == json.dumps({"errorType": kind, "errorMessage": message}, separators=(",", ":")).encode()
    )


@pytest.fixture(scope="module")
def fragile(deploy_once):
    """Fails in the way that the event says, with a timeout of one second."""
    return deploy_once(BREAKS_AS_TOLD, Timeout=1)


def test_fact_012_the_handler_raises(deploy):
    source = 'def handler(event, context):\n    raise Exception("Handler fails")\n'
    invocation = deploy(files={"lambda_handler_error.py": source}, Handler="lambda_handler_error.handler").invoke()
    error = failed(invocation)
    [frame] = error.pop("stackTrace")
    assert re.fullmatch(
        r'  File ".*/lambda_handler_error\.py", line 2, in handler\n    raise Exception\("Handler fails"\)\n', frame
    )
    assert error == {"errorMessage": "Handler fails", "errorType": "Exception", "requestId": invocation.request_id}


def test_fact_013_the_module_raises_at_import(deploy):
    source = 'raise Exception("Runtime startup fails")\n'
    function = deploy(files={"lambda_runtime_error.py": source}, Handler="lambda_runtime_error.handler")
    for _ in range(2):
        error = failed(function.invoke())
        trace = error.pop("stackTrace")
        assert error == {"errorMessage": "Runtime startup fails", "errorType": "Exception", "requestId": ""}
        assert re.fullmatch(
            r'  File ".*/lambda_runtime_error\.py", line 1, in <module>\n'
            r'    raise Exception\("Runtime startup fails"\)\n',
            trace[-1],
        )
        assert re.match(r'  File ".*/importlib/__init__\.py", line \d+, in import_module\n', trace[0])


def test_fact_014_the_runtime_exits_in_init(deploy):
    invocation = deploy("import sys\nsys.exit(0)" + SURVIVOR).invoke()
    ended(invocation, "Runtime.ExitError", "Runtime exited without providing a reason")


def test_fact_015_the_handler_exits(fragile):
    invocation = fragile.invoke({"do": "exit", "status": 0})
    ended(invocation, "Runtime.ExitError", "Runtime exited without providing a reason")
    assert fragile.invoke().json["number"] == 1


def test_fact_016_a_crash_in_init_is_told_at_once(deploy):
    # AWS's record shows a timeout, of a test that goes on printing; a runtime that is gone is told as such.
    invocation = deploy("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)" + SURVIVOR, Timeout=30).invoke()
    ended(invocation, "Runtime.ExitError", "Runtime exited with error: signal: segmentation fault")


def test_fact_017_the_wrapper_script_is_missing(deploy):
    environment = {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/idontexist"}}
    invocation = deploy("pass" + SURVIVOR, Environment=environment).invoke()
    ended(invocation, "Runtime.ExitError", "Runtime exited with error: exit status 127")


def test_fact_018_the_function_times_out(fragile):
    invocation = fragile.invoke({"do": "sleep"}, LogType="Tail")
    ended(invocation, "Sandbox.Timedout", "Task timed out after 1.00 seconds")
    duration = float(re.search(r"\tDuration: ([\d.]+) ms", invocation.log_lines[-1])[1])
    assert 1000 <= duration < 2000


def test_facts_020_and_021_after_a_timeout_the_files_are_there_and_the_process_is_new(deploy):
    function = deploy(BREAKS_AS_TOLD, Timeout=1)
    assert function.invoke({"do": "write"}).json == {"number": 1, "content": "some-content"}
    assert function.invoke().json == {"number": 2, "content": "some-content"}
    ended(function.invoke({"do": "sleep"}), "Sandbox.Timedout", "Task timed out after 1.00 seconds")
    assert function.invoke().json == {"number": 1, "content": "some-content"}


def test_fact_022_the_response_is_too_large(deploy):
    function = deploy("def handler(event, context):\n    return 'x' * event\n")
    limit = 6291556
    largest = function.invoke(limit - 2)
    assert (largest.error, len(largest.payload)) == (None, limit)
    invocation = function.invoke(limit - 1)
    assert failed(invocation) == {
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }
    assert function.invoke(1).payload == b'"x"'


def test_fact_023_an_uncaught_exception_of_python(deploy):
    invocation = deploy("def handler(event, context):\n    raise Exception('Failed: ' + event['error_msg'])\n").invoke(
        {"error_msg": "some_error_msg"}
    )
    error = failed(invocation)
    assert list(error) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert (error["errorMessage"], error["errorType"]) == ("Failed: some_error_msg", "Exception")


@needs_node
def test_fact_024_an_uncaught_exception_of_node(deploy):
    source = "exports.handler = async (event) => { throw new Error('Error: ' + event.error_msg); };\n"
    error = failed(deploy.node(source).invoke({"error_msg": "some_error_msg"}))
    assert list(error) == ["errorType", "errorMessage", "trace"]
    assert (error["errorType"], error["errorMessage"]) == ("Error", "Error: some_error_msg")
    assert error["trace"][0] == "Error: Error: some_error_msg"
    assert re.search(r"handler\.js:1:\d+\)?$", error["trace"][1])


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"do": "exit", "status": 3}, "exit status 3"),
        ({"do": "vanish", "status": 1}, "exit status 1"),
        ({"do": "signal", "name": "SIGKILL"}, "signal: killed"),
        ({"do": "signal", "name": "SIGTERM"}, "signal: terminated"),
        ({"do": "signal", "name": "SIGSEGV"}, "signal: segmentation fault"),
        ({"do": "signal", "name": "SIGABRT"}, "signal: aborted"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_however_the_process_ends_it_is_told_and_the_next_invocation_works(fragile, event, reason):
    ended(fragile.invoke(event), "Runtime.ExitError", f"Runtime exited with error: {reason}")
    assert fragile.invoke().json["number"] == 1


def test_an_init_that_never_ends_is_a_timeout_of_the_invocation(deploy):
    invocation = deploy("import time\ntime.sleep(600)" + SURVIVOR, Timeout=1).invoke()
    ended(invocation, "Sandbox.Timedout", "Task timed out after 1.00 seconds")


def test_a_missing_module_is_named(deploy):
    error = failed(deploy("pass" + SURVIVOR, Handler="elsewhere.handler").invoke())
    assert error == {
        "errorMessage": "Unable to import module 'elsewhere': No module named 'elsewhere'",
        "errorType": "Runtime.ImportModuleError",
        "requestId": "",
        "stackTrace": [],
    }


def test_a_missing_handler_is_named(deploy):
    error = failed(deploy("pass" + SURVIVOR, Handler="handler.other").invoke())
    assert error == {
        "errorMessage": "Handler 'other' missing on module 'handler'",
        "errorType": "Runtime.HandlerNotFound",
        "requestId": "",
        "stackTrace": [],
    }


def test_a_result_that_is_no_json_is_the_functions_error(deploy):
    error = failed(deploy("def handler(event, context):\n    return object()\n").invoke())
    assert error["errorType"] == "Runtime.MarshalError"
    assert error["errorMessage"] == ("Unable to marshal response: Object of type object is not JSON serializable")


def test_a_function_that_takes_more_memory_than_it_has_is_killed(deploy):
    source = "def handler(event, context):\n    return len(b'x' * (event * 1024 * 1024))\n"
    function = deploy(source, MemorySize=128, Timeout=30)
    assert function.invoke(16).json == 16 * 1024 * 1024
    ended(function.invoke(1000), "Runtime.ExitError", "Runtime exited with error: signal: killed")
    assert function.invoke(16).json == 16 * 1024 * 1024
