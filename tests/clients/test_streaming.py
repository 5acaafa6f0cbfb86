"""Responses that are streamed: `InvokeWithResponseStream`, from the function's first byte to the client's last."""

import base64
import json

import pytest

from fixtures import Deployer, needs_node, started
from hearth import UUID, Stream, refusal, wait_for_file

# What happens to an event is what its `do` says.
RUNTIME = r"""
import base64, http.client, json, os, pathlib, select, time

runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
API = "/2018-06-01/runtime/invocation"
ERROR = {"errorType": "My.Error", "errorMessage": "as asked"}

def begin(content_type="text/plain"):
    runtime.putrequest("POST", f"{API}/{request_id}/response")
    runtime.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
    runtime.putheader("Content-Type", content_type)
    runtime.putheader("Transfer-Encoding", "chunked")
    runtime.putheader("Trailer", "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body")
    runtime.endheaders()

def write(data):
    runtime.send(b"%x\r\n%s\r\n" % (len(data), data))

def end(error=None):
    trailers = ""
    if error:
        body = base64.b64encode(json.dumps(error).encode()).decode()
        trailers = f"Lambda-Runtime-Function-Error-Type: {error['errorType']}\r\n"
        trailers += f"Lambda-Runtime-Function-Error-Body: {body}\r\n"
    runtime.send(f"0\r\n{trailers}\r\n".encode())
    runtime.getresponse().read()

def post(path, document, headers={}):
    runtime.request("POST", f"{API}/{request_id}/{path}", json.dumps(document), headers)
    runtime.getresponse().read()

def wait_for(path):
    while not pathlib.Path(path).exists():
        time.sleep(0.01)

while True:
    runtime.request("GET", f"{API}/next")
    invocation = runtime.getresponse()
    event = json.loads(invocation.read())
    request_id = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
    print("event:", event["do"], flush=True)
    if event["do"] == "plain":
        post("response", {"pid": os.getpid()})
        continue
    if event["do"] == "fail":
        post("error", event.get("error", ERROR))
        continue
    begin()
    write(b"one ")
    if event["do"] == "wait":
        wait_for(event["gate"])
        write(b"two")
        end()
    elif event["do"] == "fail later":
        write(b"two")
        end(ERROR)
    elif event["do"] == "hang":
        wait_for("/nowhere")
    elif event["do"] == "exit":
        os._exit(3)
    elif event["do"] == "much":
        wait_for(event["gate"])
        piece = bytes(1_000_000)
        for _ in range(event["megabytes"]):
            if "stuck" in event and not select.select([], [runtime.sock], [], 0.5)[1]:
                pathlib.Path(event["stuck"]).touch()
            write(piece)
        end()
"""


def fault(stream, kind, message):
    request_id = stream.answer["ResponseMetadata"]["RequestId"]
    return kind, {"errorType": kind, "errorMessage": f"RequestId: {request_id} Error: {message}"}


@pytest.fixture(scope="module")
def streaming(deploy_once):
    return deploy_once.provided(RUNTIME, Timeout=30)


def test_the_first_chunk_is_there_while_the_function_still_runs(streaming, tmp_path):
    gate = tmp_path / "gate"
    stream = Stream(streaming, {"do": "wait", "gate": str(gate)})
    # The function goes on only once this has been received.
    assert stream.chunk() == b"one "
    gate.touch()
    assert stream.rest() == b"two"
    assert stream.complete == {}
    headers = stream.answer["ResponseMetadata"]["HTTPHeaders"]
    assert stream.answer["ResponseMetadata"]["HTTPStatusCode"] == stream.answer["StatusCode"] == 200
    assert stream.answer["ExecutedVersion"] == "$LATEST"
    assert headers["content-type"] == "application/vnd.amazon.eventstream"
    assert UUID.fullmatch(stream.answer["ResponseMetadata"]["RequestId"])


def test_an_error_after_the_first_byte(streaming):
    stream = Stream(streaming, {"do": "fail later"})
    assert stream.rest() == b"one two"
    assert stream.error == ("My.Error", {"errorType": "My.Error", "errorMessage": "as asked"})
    assert set(stream.complete) == {"ErrorCode", "ErrorDetails"}


def test_an_error_before_the_first_byte(streaming):
    stream = Stream(streaming, {"do": "fail"})
    assert stream.rest() == b""
    assert stream.error == ("My.Error", {"errorType": "My.Error", "errorMessage": "as asked"})


def test_an_error_without_a_type_is_unhandled(streaming):
    stream = Stream(streaming, {"do": "fail", "error": {"why": "not said"}})
    assert stream.rest() == b""
    assert stream.error == ("Unhandled", {"why": "not said"})


def test_a_timeout_in_the_middle(deploy):
    stream = Stream(deploy.provided(RUNTIME, Timeout=1), {"do": "hang"})
    assert stream.rest() == b"one "
    assert stream.error == fault(stream, "Sandbox.Timedout", "Task timed out after 1.00 seconds")


def test_a_process_that_ends_in_the_middle(deploy):
    function = deploy.provided(RUNTIME)
    stream = Stream(function, {"do": "exit"})
    assert stream.rest() == b"one "
    assert stream.error == fault(stream, "Runtime.ExitError", "Runtime exited with error: exit status 3")
    assert function.invoke({"do": "plain"}).error is None


def test_a_function_that_does_not_stream(streaming, echo):
    plain = Stream(streaming, {"do": "plain"})
    assert json.loads(plain.rest())["pid"] > 1
    assert plain.complete == {}
    long = Stream(echo, "x" * 5_000_000)
    assert (json.loads(long.rest()), long.complete) == ("x" * 5_000_000, {})


def test_a_stream_that_is_invoked_without_streaming_comes_whole(streaming, tmp_path):
    gate = tmp_path / "gate"
    gate.touch()
    assert streaming.invoke({"do": "wait", "gate": str(gate)}).payload == b"one two"


@pytest.mark.parametrize("do", ["plain", "fail", "fail later"])
def test_the_tail_of_the_log_comes_with_the_end(streaming, do):
    stream = Stream(streaming, {"do": do}, LogType="Tail")
    stream.rest()
    lines = base64.b64decode(stream.complete["LogResult"]).decode().splitlines()
    request_id = stream.answer["ResponseMetadata"]["RequestId"]
    assert lines[0] == f"START RequestId: {request_id} Version: $LATEST"
    assert f"event: {do}" in lines
    assert lines[-1].startswith(f"REPORT RequestId: {request_id}\t")


def test_what_is_not_run_is_refused_as_by_invoke(streaming):
    client = streaming.client
    unknown = {"FunctionName": "doesnotexist"}
    refused = refusal(client, "invoke_with_response_stream", **unknown)
    assert (refused.status, refused.kind) == (404, "ResourceNotFoundException")
    assert refused == (refused.status, refused.kind, refusal(client, "invoke", **unknown).message)
    malformed = {"FunctionName": streaming.name, "Payload": b"{"}
    refused = refusal(client, "invoke_with_response_stream", **malformed)
    assert (refused.status, refused.kind) == (400, "InvalidRequestContentException")
    assert refused.message == refusal(client, "invoke", **malformed).message
    event = {"FunctionName": streaming.name, "InvocationType": "Event"}
    refused = refusal(client, "invoke_with_response_stream", **event)
    constraint = "Member must satisfy enum value set: [RequestResponse, DryRun]"
    message = f"1 validation error detected: Value 'Event' at 'invocationType' failed to satisfy constraint: {constraint}"
    assert refused == (400, "ValidationException", message)


def test_a_dry_run_runs_nothing(streaming):
    answer = streaming.client.invoke_with_response_stream(FunctionName=streaming.name, InvocationType="DryRun")
    assert answer["StatusCode"] == 204


def test_a_client_that_hangs_up_leaves_the_instance_as_it_was(host, deploy, tmp_path):
    function = deploy.provided(RUNTIME, Timeout=30)
    # Who comes next waits for this very instance.
    function.client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=1)
    pid = function.invoke({"do": "plain"}).json["pid"]
    gate = tmp_path / "gate"
    stream = Stream(function, {"do": "much", "megabytes": 20, "gate": str(gate)}, host.client())
    assert stream.chunk() == b"one "
    stream.hang_up()
    gate.touch()
    again = function.invoke({"do": "plain"})
    assert (again.error, again.json) == (None, {"pid": pid})


def test_a_client_that_does_not_read_cannot_keep_the_instance_past_the_timeout(host, deploy, tmp_path):
    function = deploy.provided(RUNTIME, Timeout=1)
    function.client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=1)
    gate = tmp_path / "gate"
    gate.touch()
    stream = Stream(function, {"do": "much", "megabytes": 200, "gate": str(gate)}, host.client())
    assert stream.chunk() == b"one "
    # It waits in line until the stream has been given up.
    assert function.invoke({"do": "plain"}).error is None
    assert len(stream.rest()) < 200_000_000
    assert stream.error == fault(stream, "Sandbox.Timedout", "Task timed out after 1.00 seconds")


@pytest.fixture
def fresh_host(tmp_path_factory):
    """A host whose memory has not been used."""
    yield from started(tmp_path_factory, "fresh")


def test_a_long_stream_takes_no_memory_and_a_client_that_does_not_read_slows_the_function(fresh_host, tmp_path):
    function = Deployer(fresh_host.client(), "memory").provided(RUNTIME, Timeout=120)
    gate, stuck = tmp_path / "gate", tmp_path / "stuck"
    gate.touch()
    event = {"do": "much", "gate": str(gate)}
    Stream(function, event | {"megabytes": 1}).rest()
    before = peak_of(fresh_host)
    stream = Stream(function, event | {"megabytes": 200, "stuck": str(stuck)})
    assert stream.chunk() == b"one "
    wait_for_file(stuck)
    assert sum(map(len, stream.chunks())) == 200_000_000
    assert stream.complete == {}
    growth = peak_of(fresh_host) - before
    print(f"the host's peak grew by {growth} KiB")
    assert growth < 30 * 1024


def peak_of(host):
    """The most memory that the host has ever used, in KiB."""
    with open(f"/proc/{host.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


NODE_SOURCE = """
const fs = require('node:fs');
const opened = async (gate) => {
  while (!fs.existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 10));
};
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  if (event.early) throw new RangeError('early');
  if (event.prelude) stream = awslambda.HttpResponseStream.from(stream, event.prelude);
  stream.write('one ');
  if (event.gate) await opened(event.gate);
  if (event.late) throw new TypeError('late');
  stream.write('two');
  stream.end();
});
"""


@pytest.fixture(scope="module")
def node(deploy_once):
    return deploy_once.node(NODE_SOURCE, Timeout=30)


@needs_node
def test_node_streams_through_its_global(node, tmp_path):
    gate = tmp_path / "gate"
    stream = Stream(node, {"gate": str(gate)})
    assert stream.chunk() == b"one "
    gate.touch()
    assert (stream.rest(), stream.complete) == (b"two", {})


@needs_node
def test_node_puts_a_prelude_before_an_http_response(node):
    prelude = {"statusCode": 201, "headers": {"x": "y"}}
    stream = Stream(node, {"prelude": prelude})
    head, body = stream.rest().split(bytes(8))
    assert (json.loads(head), body, stream.complete) == (prelude, b"one two", {})


@needs_node
@pytest.mark.parametrize(("when", "kind", "sent"), [("early", "RangeError", b""), ("late", "TypeError", b"one ")])
def test_errors_of_node_on_either_side_of_the_first_byte(node, when, kind, sent):
    stream = Stream(node, {when: True})
    assert stream.rest() == sent
    code, details = stream.error
    assert (code, details["errorType"], details["errorMessage"]) == (kind, kind, when)
