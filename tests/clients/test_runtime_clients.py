"""Functions on AWS's own clients of the Runtime API, unmodified: `awslambdaric` for Python, `aws-lambda-ric` for Node."""

import contextlib
import os
import shutil
import sys
from dataclasses import dataclass

import pytest

from fixtures import PROVIDED
from emulator import Emulator

IN_PYTHON = """
import sys

def handler(event, context):
    print("do:", event["do"])
    match event["do"]:
        case "raise":
            raise KeyError("as asked")
        case "exit":
            sys.exit(3)
    return [event, context.aws_request_id, context.invoked_function_arn]
"""

IN_NODE = """
exports.handler = async (event, context) => {
  console.log('do:', event.do);
  if (event.do === 'raise') throw new RangeError('as asked');
  if (event.do === 'exit') process.exit(3);
  return [event, context.awsRequestId, context.invokedFunctionArn];
};
"""

# Where `cargo xtask test` has built it, which takes cmake and autotools.
NODE_CLIENT = os.environ.get("HEARTH_TEST_NODE_CLIENT", "")


@dataclass(frozen=True)
class Runtime:
    """How a function is started, what it is, and the type of what it raises."""

    command: tuple
    file: str
    source: str
    raises: str


PYTHON = Runtime((sys.executable, "-m", "awslambdaric"), "handler.py", IN_PYTHON, "KeyError")
NODE = Runtime((shutil.which("node"), NODE_CLIENT), "handler.js", IN_NODE, "RangeError")
BOTH = [
    pytest.param(PYTHON, id="python"),
    pytest.param(NODE, id="node", marks=pytest.mark.skipif(not NODE_CLIENT, reason="aws-lambda-ric is not built")),
]


@pytest.fixture(params=["host", "rie"])
def start(request, tmp_path):
    """Starts a function behind the host, or behind the emulator alone."""

    def in_host(runtime, handler):
        bootstrap = f'#!/bin/sh\nexec {" ".join(runtime.command)} "$_HANDLER"\n'
        files = {"bootstrap": bootstrap, runtime.file: runtime.source}
        return request.getfixturevalue("deploy")(files=files, Runtime=PROVIDED, Handler=handler)

    def in_emulator(runtime, handler):
        (tmp_path / runtime.file).write_text(runtime.source)
        return emulators.enter_context(Emulator([*runtime.command, handler], tmp_path))

    with contextlib.ExitStack() as emulators:
        yield in_host if request.param == "host" else in_emulator


@pytest.mark.parametrize("runtime", BOTH)
def test_results_errors_and_exits(start, runtime):
    function = start(runtime, "handler.handler")

    def invoke(event):
        invocation = function.invoke(event, LogType="Tail")
        assert f"do: {event['do']}" in invocation.log
        return invocation

    event = {"do": "return", "text": "\N{EURO SIGN}"}
    returned = invoke(event)
    seen, request_id, arn = returned.json
    assert (returned.error, seen, request_id, arn[:15]) == (None, event, returned.request_id, "arn:aws:lambda:")
    raised = invoke({"do": "raise"})
    assert (raised.error, raised.json["errorType"]) == ("Unhandled", runtime.raises)
    ended = invoke({"do": "exit"})
    message = f"RequestId: {ended.request_id} Error: Runtime exited with error: exit status 3"
    assert (ended.error, ended.json) == ("Unhandled", {"errorType": "Runtime.ExitError", "errorMessage": message})
    assert invoke({"do": "return"}).error is None


@pytest.mark.parametrize("runtime", BOTH)
def test_a_missing_module_is_told_by_each_invocation(start, runtime):
    function = start(runtime, "elsewhere.handler")
    for _ in range(2):
        failed = function.invoke()
        assert (failed.error, failed.json["errorType"]) == ("Unhandled", "Runtime.ImportModuleError")
