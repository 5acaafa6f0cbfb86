"""Functions on `awslambdaric`, AWS's own client of the Runtime API for Python, unmodified."""

import sys

import pytest

from conftest import PROVIDED
from emulator import python_emulator

SOURCE = """
def handler(event, context):
    print("event:", event)
    if event == "raise":
        raise KeyError("as asked")
    return [event, context.aws_request_id, context.invoked_function_arn.split(":")[5], context.memory_limit_in_mb]
"""

# It is found where this very interpreter has it.
BOOTSTRAP = f"""#!/bin/sh
exec {sys.executable} -m awslambdaric "$_HANDLER"
"""


@pytest.fixture(params=["host", "rie"])
def function(request, tmp_path):
    if request.param == "host":
        files = {"bootstrap": BOOTSTRAP, "handler.py": SOURCE}
        yield request.getfixturevalue("deploy")(files=files, Runtime=PROVIDED)
        return
    (tmp_path / "handler.py").write_text(SOURCE)
    with python_emulator(tmp_path) as emulator:
        yield emulator


def test_events_contexts_and_logs_pass_unchanged(function):
    for event in ({"a": ["\N{EURO SIGN}"]}, None, "raise", 7):
        invocation = function.invoke(event, LogType="Tail")
        assert f"event: {event}\n" in invocation.log_lines
        if event == "raise":
            assert (invocation.error, invocation.json["errorType"]) == ("Unhandled", "KeyError")
            continue
        seen, request_id, resource, memory = invocation.json
        assert (invocation.error, seen, request_id) == (None, event, invocation.request_id)
        assert (resource, int(memory) > 0) == ("function", True)
