"""Functions and extensions on AWS's own crates, unmodified: `lambda_runtime` and `lambda-extension`."""

import json
import os
import pathlib
import time

import pytest

from fixtures import PROVIDED
from emulator import Emulator
from hearth import Stream, wait_until, zip_of

# The crate calls an error by the type that it has in Rust.
PANIC = "&alloc::boxed::Box<dyn core::any::Any + core::marker::Send>"

FUNCTIONS = pathlib.Path(os.environ["HEARTH_TEST_FUNCTIONS"])


def deployed(deploy, name, **settings):
    files = {"bootstrap": (FUNCTIONS / name).read_bytes()}
    return deploy(files=files, Runtime=PROVIDED, Handler="any", **settings)


@pytest.fixture(params=["host", "rie"])
def echo(request, tmp_path):
    """An instance of the echo, behind the host and behind the emulator alone."""
    if request.param == "host":
        yield deployed(request.getfixturevalue("deploy"), "echo")
        return
    with Emulator([FUNCTIONS / "echo"], tmp_path) as emulator:
        emulator.wait_until_ready()
        yield emulator


def test_a_function_cold_and_warm(echo):
    cold, warm = (echo.invoke({"number": number}, LogType="Tail") for number in (1, 2))
    assert [(it.error, it.json) for it in (cold, warm)] == [(None, {"number": 1}), (None, {"number": 2})]
    assert ["Init Duration" in it.log_lines[-1] for it in (cold, warm)] == [True, False]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"do": "fail"}, {"errorType": "My.Error", "errorMessage": "as asked"}),
        ({"do": "panic"}, {"errorType": PANIC, "errorMessage": "Lambda panicked: as asked"}),
    ],
    ids=["error", "panic"],
)
def test_a_failure_comes_with_its_type_and_the_process_serves_on(echo, event, error):
    failed = echo.invoke(event)
    assert (failed.error, failed.json) == ("Unhandled", error)
    again = echo.invoke([1], LogType="Tail")
    assert (again.error, again.json) == (None, [1])
    assert "Init Duration" not in again.log_lines[-1]


@pytest.fixture(scope="module")
def streaming(deploy_once):
    return deployed(deploy_once, "stream", Timeout=30)


class Pieces:
    """What `stream` writes, piece by piece, wherever the chunks begin and end."""

    def __init__(self, function, event):
        self.stream = Stream(function, event)
        self.received = b""
        # The crate begins every stream with the head of an HTTP response.
        self.head = json.loads(self._up_to(bytes(8)))

    def __next__(self):
        return int(self._up_to(b"\n"))

    def _up_to(self, end):
        while end not in self.received:
            self.received += self.stream.chunk()
        found, _, self.received = self.received.partition(end)
        return found


def test_a_stream_arrives_as_it_is_written(streaming, tmp_path):
    gates = [tmp_path / "one", tmp_path / "two"]
    pieces = Pieces(streaming, {"gates": list(map(str, gates))})
    written, arrived = [], []
    for gate in [*gates, None]:
        written.append(next(pieces))
        arrived.append(time.time_ns() // 1000)
        if gate:
            # Only now does the function write on.
            gate.touch()
    assert (pieces.head["statusCode"], pieces.stream.rest(), pieces.stream.complete) == (200, b"", {})
    assert written[0] < arrived[0] < written[1] < arrived[1] < written[2] < arrived[2]


def test_a_process_that_ends_in_the_middle_of_a_stream(streaming, tmp_path):
    gate = tmp_path / "gate"
    pieces = Pieces(streaming, {"gates": [str(gate)], "exit": 3})
    next(pieces)
    gate.touch()
    assert pieces.stream.rest() == b""
    kind, details = pieces.stream.error
    assert (kind, details["errorType"]) == ("Runtime.ExitError", "Runtime.ExitError")


def test_a_function_with_several_slots_streams_to_all_at_once_behind_rie_alone(tmp_path):
    gates = [tmp_path / name for name in ("one", "two", "three")]
    with Emulator([FUNCTIONS / "stream"], tmp_path, AWS_LAMBDA_MAX_CONCURRENCY="3") as emulator:
        responses = [emulator.stream({"gates": [str(gate)]}) for gate in gates]
        # All have begun before any may go on.
        begun = [int(response.readline().split(bytes(8))[1]) for response in responses]
        assert emulator.stream({}).status == 409
        for gate, response, first in zip(gates, responses, begun):
            gate.touch()
            assert int(response.read()) > first


def test_an_extension_in_a_layer_is_told_of_invocations_and_of_the_end(deploy, tmp_path):
    notes = tmp_path / "notes"
    files = {"extensions/follower": (FUNCTIONS / "extension").read_bytes()}
    layer = deploy.client.publish_layer_version(LayerName="follower", Content={"ZipFile": zip_of(files)})
    environment = {"Variables": {"NOTES": str(notes)}}
    function = deployed(deploy, "echo", Layers=[layer["LayerVersionArn"]], Environment=environment)
    ids = [function.invoke().request_id for _ in range(2)]
    deploy.client.delete_function(FunctionName=function.name)
    told = [f"registered for {function.name} $LATEST", *(f"INVOKE {it}" for it in ids), "SHUTDOWN spindown"]
    wait_until(lambda: notes.read_text().splitlines() == told, lambda: f"it was told {notes.read_text()}")
