"""Functions in pods: AWS's images by runtime, with the official clients of the Runtime API."""

import os

import pytest

from cluster import BUSYBOX, wait_until
from fixtures import PROVIDED
from hearth import UUID, Stream, zip_of

ECHO = "def handler(event, context):\n    return event\n"

# A runtime of nothing but a shell.
SHELL_RUNTIME = r"""#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while true; do
  event=$(wget -q -S -O - "$api/next" 2>/tmp/headers)
  id=$(sed -n 's/^ *[Ll]ambda-[Rr]untime-[Aa]ws-[Rr]equest-[Ii]d: *\([0-9a-f-]*\).*/\1/p' /tmp/headers)
  echo "got $event"
  wget -q -O /dev/null --post-data "{\"got\": $event}" "$api/$id/response"
done
"""


def image_of(python):
    return f"public.ecr.aws/lambda/python:{python.removeprefix('python')}"


def failed(invocation, kind):
    assert invocation.error == "Unhandled", invocation
    assert invocation.json["errorType"] == kind, invocation
    return invocation.json["errorMessage"]


def test_a_function_of_python(deploy, namespace):
    source = """
import os
count = 0

def handler(event, context):
    global count
    count += 1
    print("hello from", context.function_name)
    return {"event": event, "count": count, "task": os.getcwd()}
"""
    function = deploy(source)
    cold, warm = function.invoke([1], LogType="Tail"), function.invoke([2], LogType="Tail")
    assert cold.json == {"event": [1], "count": 1, "task": "/var/task"}
    assert warm.json == {"event": [2], "count": 2, "task": "/var/task"}
    assert len(namespace.of(function)) == 1
    start, *middle, report = cold.log.splitlines()
    assert UUID.search(start)[0] == UUID.search(report)[0] == cold.request_id
    assert f"hello from {function.name}" in middle
    assert "Init Duration" in report and "Init Duration" not in warm.log


def test_a_function_that_brings_its_runtime(deploy):
    function = deploy(files={"bootstrap": SHELL_RUNTIME}, Runtime=PROVIDED, Handler="any")
    invocation = function.invoke({"a": [1, 2]}, LogType="Tail")
    assert invocation.json == {"got": {"a": [1, 2]}}
    assert 'got {"a": [1, 2]}\n' in invocation.log


def test_a_function_that_is_an_image_of_aws_runs_behind_the_emulator_of_hearth(deploy, namespace, python):
    # The handler is of Python itself: is the event something else than the context?
    function = deploy.image(image_of(python), ImageConfig={"Command": ["operator.is_not"]}, Timeout=30)
    invocation = function.invoke(1, LogType="Tail")
    assert invocation.json is True
    assert invocation.log.splitlines()[-1].startswith("REPORT RequestId: "), "AWS's emulator gives no log"
    [container] = namespace.one(function)["spec"]["containers"]
    assert "command" not in container and container["args"] == ["operator.is_not"]


def test_a_function_that_is_an_image_with_an_entry_point(deploy):
    config = {"EntryPoint": ["/bin/sh", "-c"], "Command": [SHELL_RUNTIME]}
    function = deploy.image(BUSYBOX, ImageConfig=config, Timeout=30)
    assert function.invoke([1]).json == {"got": [1]}


def test_an_image_with_an_emulator_of_its_own_needs_nothing_from_the_host(deploy, namespace, python):
    tags = {"hearth.emulator": "image"}
    function = deploy.image(image_of(python), ImageConfig={"Command": ["operator.is_not"]}, Timeout=30, Tags=tags)
    assert function.invoke(1).json is True
    assert "initContainers" not in namespace.one(function)["spec"]


def test_layers_are_merged_and_later_ones_win(client, deploy):
    contents = [{"python/one.py": "WHERE = 1", "python/both.py": "WHERE = 1"}, {"python/both.py": "WHERE = 2"}]
    layers = [
        client.publish_layer_version(LayerName=f"layer-{number}", Content={"ZipFile": zip_of(files)})["LayerVersionArn"]
        for number, files in enumerate(contents)
    ]
    source = "import sys\nsys.path.append('/opt/python')\nimport one, both\n\ndef handler(event, context):\n    return [one.WHERE, both.WHERE]\n"
    assert deploy(source, Layers=layers).invoke().json == [1, 2]
    assert deploy(source, Layers=layers[::-1]).invoke().json == [1, 1]


def test_twenty_at_once_under_a_cap_of_five(client, deploy, namespace, threads):
    source = "import time\n\ndef handler(event, context):\n    time.sleep(0.2)\n    return event\n"
    function = deploy(source, Timeout=60)
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=5)
    running = [threads.submit(function.invoke, number) for number in range(20)]
    most = 0
    while not all(invocation.done() for invocation in running):
        most = max(most, len(namespace.of(function)))
    assert [invocation.result().json for invocation in running] == list(range(20))
    assert 1 < most <= 5


def test_a_deploy_under_load_fails_no_invocation(deploy, namespace, threads):
    def source(version):
        return f"import time\n\ndef handler(event, context):\n    time.sleep(0.01)\n    return {version}\n"

    function = deploy(source(0), Timeout=60)
    function.invoke()
    is_over = False

    def invoke_for_ever():
        answers = []
        while not is_over:
            answers.append(function.invoke())
        return answers

    running = [threads.submit(invoke_for_ever) for _ in range(3)]
    for version in (1, 2):
        function.update_code({"handler.py": source(version)})
        wait_until(lambda: function.invoke().json == version, f"version {version} to serve")
    is_over = True
    answers = [answer for invocations in running for answer in invocations.result()]
    assert all(answer.error is None and answer.json in (0, 1, 2) for answer in answers)
    assert function.invoke().json == 2

    def deploys():
        pods = [pod for pod in namespace.of(function) if "deletionTimestamp" not in pod["metadata"]]
        return {pod["metadata"]["labels"]["hearth.deploy"] for pod in pods}

    wait_until(lambda: len(deploys()) == 1, "the pods of older deploys to go")


@pytest.mark.parametrize(
    "source, kind, message",
    [
        ("raise ValueError('as asked')", "ValueError", "as asked"),
        ("import os; os._exit(3)", "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        ("import time; time.sleep(60)", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
    ],
    ids=["error", "exit", "timeout"],
)
def test_what_goes_wrong_is_told_and_the_next_one_works(deploy, namespace, source, kind, message):
    source = f"def handler(event, context):\n    if event == 'now':\n        {source}\n    return event\n"
    function = deploy(source, Timeout=1)
    assert function.invoke("first").json == "first"
    pod = namespace.one(function)
    assert failed(function.invoke("now"), kind).endswith(message)
    assert function.invoke("next").json == "next"
    # The process was replaced, not the pod.
    assert namespace.one(function)["metadata"]["uid"] == pod["metadata"]["uid"]


def test_a_function_that_uses_too_much_memory_is_told_and_the_next_one_works(deploy):
    """On a node with control groups of version 2 the whole container goes, otherwise the process alone."""
    source = "def handler(event, context):\n    return len(b'x' * event)\n"
    function = deploy(source, MemorySize=128)
    assert function.invoke(1).json == 1
    assert failed(function.invoke(1 << 30), "Runtime.OutOfMemory").endswith("signal: killed")
    assert function.invoke(2).json == 2


def test_an_init_that_fails_is_told(deploy):
    function = deploy("raise ImportError('as asked')\n")
    assert failed(function.invoke(), "Runtime.ImportModuleError").endswith("as asked")


def test_a_response_is_streamed(deploy, python):
    """By a runtime of nothing but Python, since AWS's client for it does not stream."""
    source = """
import http.client, os, time
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
path = "/2018-06-01/runtime/invocation"
while True:
    api.request("GET", f"{path}/next")
    event = api.getresponse()
    event.read()
    request_id = event.headers["Lambda-Runtime-Aws-Request-Id"]

    def pieces():
        for number in (1, 2, 3):
            yield f"{number} ".encode()
            time.sleep(0.3)

    headers = {"Lambda-Runtime-Function-Response-Mode": "streaming", "Transfer-Encoding": "chunked"}
    api.request("POST", f"{path}/{request_id}/response", body=pieces(), headers=headers, encode_chunked=True)
    api.getresponse().read()
"""
    config = {"EntryPoint": ["python3", "-c"], "Command": [source]}
    function = deploy.image(image_of(python), ImageConfig=config, Timeout=20)
    stream = Stream(function, {})
    chunks = list(stream.chunks())
    assert b"".join(chunks) == b"1 2 3 " and len(chunks) == 3, "it came in one piece"
    assert "ErrorCode" not in stream.complete


def test_a_function_is_confined_as_on_lambda(deploy, namespace):
    source = """
import os

def handler(event, context):
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in open("/proc/self/status"))}
    return {
        "user": [os.getuid(), os.getgid()],
        "capabilities": status["CapEff"],
        "may gain privileges": status["NoNewPrivs"] == "0",
        "writable": [path for path in ("/", "/var/task", "/opt", "/var/runtime", "/var/hearth", "/tmp") if os.access(path, os.W_OK)],
        "told": [name for name in os.environ if name.startswith(("HEARTH", "KUBERNETES"))],
        "token": os.path.exists("/var/run/secrets/kubernetes.io"),
    }
"""
    function = deploy(source, MemorySize=256, EphemeralStorage={"Size": 600})
    invocation = function.invoke()
    assert invocation.error is None, invocation
    result = invocation.json
    assert result["user"] == [993, 990]
    assert int(result["capabilities"], 16) == 0
    assert not result["may gain privileges"]
    assert result["writable"] == ["/tmp"]
    # The cluster says where it is to every pod; functions are told no more than that.
    assert [name for name in result["told"] if not name.startswith("KUBERNETES")] == []
    assert not result["token"]
    spec = namespace.one(function)["spec"]
    assert {"name": "tmp", "emptyDir": {"sizeLimit": "600Mi"}} in spec["volumes"]
    assert spec["containers"][0]["resources"]["limits"] == {"memory": "288Mi"}


def test_credentials_are_in_a_secret_that_goes_with_its_pod(deploy, namespace, client):
    source = "import os\n\ndef handler(event, context):\n    return os.environ['AWS_ACCESS_KEY_ID']\n"
    function = deploy(source)
    assert function.invoke().json == "000000000000"
    pod = namespace.one(function)
    name = pod["metadata"]["name"]
    secret = namespace.exists(f"secrets/{name}")
    [owner] = secret["metadata"]["ownerReferences"]
    assert owner["uid"] == pod["metadata"]["uid"]
    open_values = [it.get("value") for it in pod["spec"]["containers"][0]["env"]]
    assert "000000000000" not in open_values
    client.delete_function(FunctionName=function.name)
    wait_until(lambda: not namespace.exists(f"pods/{name}"), "the pod to go")
    wait_until(lambda: not namespace.exists(f"secrets/{name}"), "the Secret to go")


def test_a_variable_means_what_it_says(deploy):
    """Kubernetes would put other variables into it."""
    source = "import os\n\ndef handler(event, context):\n    return os.environ['TEXT']\n"
    text = "$(AWS_REGION) $$ $$(HOME) $HOME"
    assert deploy(source, Environment={"Variables": {"TEXT": text}}).invoke().json == text


def test_everything_carries_the_labels_of_its_host(deploy, namespace, host):
    function = deploy(ECHO, name="labels_" + "x" * 57)
    function.invoke()
    [pod] = [pod for pod in namespace.pods() if pod["metadata"]["annotations"].get("hearth.function") == function.name]
    metadata = pod["metadata"]
    assert metadata["labels"]["hearth.version"] == "LATEST"
    assert metadata["annotations"]["hearth.version"] == "$LATEST"
    for label in ("hearth.owner", "hearth.epoch", "hearth.deploy"):
        assert metadata["labels"][label] and metadata["annotations"][label]
    [instance] = [it for it in host.admin("instances")["instances"] if it["handle"] == metadata["name"]]
    assert instance["metadata"]["pod.name"] == metadata["name"]


def test_code_of_many_files_arrives_whole(deploy):
    files = {f"folder/{number}.txt": str(number) for number in range(500)}
    files |= {"big": os.urandom(8 * 1024 * 1024)}
    source = """
import os

def handler(event, context):
    return [len(os.listdir("folder")), open("folder/7.txt").read(), os.path.getsize("big")]
"""
    assert deploy(files=files | {"handler.py": source}).invoke().json == [500, "7", 8 * 1024 * 1024]
