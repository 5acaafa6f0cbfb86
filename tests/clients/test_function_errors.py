"""Recorded facts 12 to 24: how a function's failure looks. Always HTTP 200 and `Unhandled`.

Most ways to fail are rows of a table, which is gone through in two places: behind the host, whose process backend
brings a client of the Runtime API of its own, and behind `rie` alone, around AWS's own client `awslambdaric`.
"""

import contextlib
import json
import re
from dataclasses import dataclass, field

import pytest

from emulator import python_emulator
from fixtures import needs_node

# What a handler does is what its event says; it answers how often it was called in its process.
DOES_AS_TOLD = """
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
    told = {"answer": number}
    exec(event.get("do", ""), globals(), told)
    return told["answer"]
"""

# What a module does at its import is put before this.
SURVIVOR = "\n\ndef handler(event, context):\n    return 'unreachable'\n"


@dataclass(frozen=True)
class Reported:
    """An error that the function's own runtime reports. Its stack trace is looked at elsewhere."""

    kind: str
    message: str

    def check(self, invocation, from_init):
        error = failed(invocation)
        assert isinstance(error.pop("stackTrace"), list)
        request_id = "" if from_init else invocation.request_id
        assert error == {"errorMessage": self.message, "errorType": self.kind, "requestId": request_id}


@dataclass(frozen=True)
class Ended:
    """An error that Lambda itself makes, to the byte. The process is another one afterwards."""

    kind: str
    what: str

    def check(self, invocation, from_init=False):
        message = f"RequestId: {invocation.request_id} Error: {self.what}"
        error = {"errorType": self.kind, "errorMessage": message}
        assert failed(invocation) == error
        assert invocation.payload == json.dumps(error, separators=(",", ":")).encode()


@dataclass(frozen=True)
class TooLarge:
    """The one error that Lambda makes without the request's id."""

    def check(self, invocation, from_init):
        assert failed(invocation) == {
            "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
            "errorType": "Function.ResponseSizeTooLarge",
        }


@dataclass(frozen=True)
class Row:
    """A way to fail, and what it comes to. A fact goes by its number."""

    name: str
    outcome: Reported | Ended | TooLarge
    # What the handler does, or else the module at its import.
    handler: str | None = None
    module: str = "pass"
    settings: dict = field(default_factory=dict)
    places: tuple = ("host", "rie")


def exits(reason):
    return Ended("Runtime.ExitError", f"Runtime exited with error: {reason}")


NO_REASON = Ended("Runtime.ExitError", "Runtime exited without providing a reason")
TIMED_OUT = Ended("Sandbox.Timedout", "Task timed out after 1.00 seconds")
OUT_OF_MEMORY = Ended("Runtime.OutOfMemory", "Runtime exited with error: signal: killed")
HASTY = {"Timeout": 1}
WRAPPED = {"Environment": {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/idontexist"}}}
NO_MODULE = Reported("Runtime.ImportModuleError", "Unable to import module 'elsewhere': No module named 'elsewhere'")
NO_HANDLER = Reported("Runtime.HandlerNotFound", "Handler 'other' missing on module 'handler'")
NO_JSON = Reported(
    "Runtime.MarshalError", "Unable to marshal response: Object of type object is not JSON serializable"
)
STARTUP = "Runtime startup fails"
SEGFAULT = "os.kill(os.getpid(), signal.SIGSEGV); time.sleep(60)"

ROWS = [
    Row("fact 012: the handler raises", Reported("Exception", "Handler fails"), "raise Exception('Handler fails')"),
    Row("fact 013: the import raises", Reported("Exception", STARTUP), module=f"raise Exception({STARTUP!r})"),
    Row("fact 014: exit 0 in the init", NO_REASON, module="sys.exit(0)"),
    Row("fact 015: exit 0 in the handler", NO_REASON, "sys.exit(0)"),
    # AWS's record shows a timeout, of a test that goes on printing; a runtime that is gone is told as such.
    Row("fact 016: a crash in the init", exits("signal: segmentation fault"), module=SEGFAULT),
    Row("fact 017: the wrapper script is missing", exits("exit status 127"), settings=WRAPPED),
    Row("fact 018: the handler takes too long", TIMED_OUT, "time.sleep(60)", settings=HASTY),
    Row("fact 022: the response is too large", TooLarge(), "answer = 'x' * (6291556 - 1)"),
    Row("the init takes too long", TIMED_OUT, module="time.sleep(600)", settings=HASTY),
    Row("an exit status", exits("exit status 3"), "sys.exit(3)"),
    Row("an exit past Python", exits("exit status 1"), "os._exit(1)"),
    Row("a kill", exits("signal: killed"), "os.kill(os.getpid(), signal.SIGKILL)"),
    Row("a termination", exits("signal: terminated"), "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)"),
    Row("a crash", exits("signal: segmentation fault"), SEGFAULT),
    Row("an abort", exits("signal: aborted"), "os.abort()"),
    Row("a missing module", NO_MODULE, settings={"Handler": "elsewhere.handler"}),
    Row("a missing handler", NO_HANDLER, settings={"Handler": "handler.other"}),
    Row("a result that is no JSON", NO_JSON, "answer = object()"),
    # By itself the emulator limits no memory: that is up to the container that it is in.
    Row("too much memory", OUT_OF_MEMORY, "b'x' * 10**9", settings={"MemorySize": 128}, places=("host",)),
]


@pytest.fixture(scope="module")
def functions(deploy_once, tmp_path_factory):
    """Makes functions, in either place; those with the same source and settings are one."""
    made, emulators = {}, contextlib.ExitStack()

    def make(where, source, settings):
        if where == "host":
            return deploy_once(source, **settings)
        folder = tmp_path_factory.mktemp("function")
        (folder / "handler.py").write_text(source)
        return emulators.enter_context(python_emulator(folder, **settings))

    def find(where, source, settings):
        key = repr((where, source, settings))
        if key not in made:
            made[key] = make(where, source, settings)
        return made[key]

    with emulators:
        yield find


@pytest.mark.parametrize(
    ("where", "row"), [pytest.param(where, row, id=f"{where} {row.name}") for row in ROWS for where in row.places]
)
def test_however_it_fails_it_is_told_and_the_next_invocation_works(functions, where, row):
    if row.handler is None:
        # Nobody can be asked anything: the next init fails in the same way.
        function = functions(where, f"import os, signal, sys, time\n{row.module}{SURVIVOR}", row.settings)
        for _ in range(2):
            row.outcome.check(function.invoke(), from_init=True)
        return
    function = functions(where, DOES_AS_TOLD, row.settings)
    row.outcome.check(function.invoke({"do": row.handler}), from_init=False)
    again = function.invoke()
    assert again.error is None
    if isinstance(row.outcome, Ended):
        assert again.json == 1


def failed(invocation):
    """The error's JSON, once what all errors share is checked."""
    assert (invocation.status, invocation.error) == (200, "Unhandled"), invocation
    return invocation.json


@pytest.mark.parametrize("where", ["host", "rie"])
def test_facts_012_and_013_the_stack_trace(functions, where):
    raises = "def handler(event, context):\n    raise Exception('Handler fails')\n"
    [frame] = failed(functions(where, raises, {}).invoke())["stackTrace"]
    raised = r"    raise Exception\('Handler fails'\)\n"
    assert re.fullmatch(r'  File ".*/handler\.py", line 2, in handler\n' + raised, frame)
    trace = failed(functions(where, "raise Exception('Runtime startup fails')\n", {}).invoke())["stackTrace"]
    raised = r"    raise Exception\('Runtime startup fails'\)\n"
    assert re.fullmatch(r'  File ".*/handler\.py", line 1, in <module>\n' + raised, trace[-1])
    assert re.match(r'  File ".*/importlib/__init__\.py", line \d+, in import_module\n', trace[0])


@pytest.mark.parametrize("where", ["host", "rie"])
def test_fact_022_the_largest_response(functions, where):
    largest = functions(where, DOES_AS_TOLD, {}).invoke({"do": "answer = 'x' * (6291556 - 2)"})
    assert (largest.error, len(largest.payload)) == (None, 6291556)


def test_facts_018_020_and_021_after_a_timeout_the_files_are_there_and_the_process_is_new(deploy):
    function = deploy(DOES_AS_TOLD, **HASTY)
    write = "with open(path, 'w') as file: file.write('some-content')"
    read = "answer = [number, open(path).read()]"
    assert function.invoke({"do": write}).json == 1
    assert function.invoke({"do": read}).json == [2, "some-content"]
    invocation = function.invoke({"do": "time.sleep(60)"}, LogType="Tail")
    TIMED_OUT.check(invocation)
    assert invocation.version == "$LATEST"
    duration = float(re.search(r"\tDuration: ([\d.]+) ms", invocation.log_lines[-1])[1])
    assert 1000 <= duration < 2000
    assert function.invoke({"do": read}).json == [1, "some-content"]


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


