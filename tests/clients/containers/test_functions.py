"""Functions in real containers: AWS's images by runtime, with the official clients of the Runtime API."""

import os
import pathlib
import re

import pytest

from engine import wait_until
from fixtures import PROVIDED
from hearth import UUID, zip_of
from test_function_logs import logs

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


def failed(invocation, kind):
    assert invocation.error == "Unhandled", invocation
    assert invocation.json["errorType"] == kind, invocation
    return invocation.json["errorMessage"]


def test_a_function_of_python(deploy, containers, python):
    source = """
import os, sys
count = 0

def handler(event, context):
    global count
    count += 1
    print("hello from", context.function_name)
    return {"event": event, "count": count, "python": "%d.%d" % sys.version_info[:2], "task": os.getcwd()}
"""
    function = deploy(source)
    cold, warm = function.invoke([1], LogType="Tail"), function.invoke([2], LogType="Tail")
    version = python.removeprefix("python")
    assert cold.json == {"event": [1], "count": 1, "python": version, "task": "/var/task"}
    assert warm.json == {"event": [2], "count": 2, "python": version, "task": "/var/task"}
    assert len(containers.of(function)) == 1
    start, *middle, report = cold.log.splitlines()
    assert UUID.search(start)[0] == UUID.search(report)[0] == cold.request_id
    assert f"hello from {function.name}" in middle
    assert "Init Duration" in report and "Init Duration" not in warm.log


def test_a_function_of_node(deploy, node):
    source = """
let count = 0;
exports.handler = async (event, context) => {
  if (event.fail) throw new TypeError("as asked");
  return { event, count: ++count, version: process.version, name: context.functionName };
};
"""
    function = deploy(files={"handler.js": source}, Runtime=node)
    results = [function.invoke({"n": number}).json for number in (1, 2)]
    assert [result["count"] for result in results] == [1, 2]
    assert results[0]["event"] == {"n": 1} and results[0]["name"] == function.name
    assert results[0]["version"].startswith(f"v{node.removeprefix('nodejs').removesuffix('.x')}.")
    assert failed(function.invoke({"fail": True}), "TypeError") == "as asked"
    assert function.invoke({"n": 3}).json["count"] == 3


def test_a_function_that_brings_its_runtime(deploy):
    function = deploy(files={"bootstrap": SHELL_RUNTIME}, Runtime=PROVIDED, Handler="any")
    invocation = function.invoke({"a": [1, 2]}, LogType="Tail")
    assert invocation.json == {"got": {"a": [1, 2]}}
    assert 'got {"a": [1, 2]}\n' in invocation.log
    assert function.invoke("again").json == {"got": "again"}


def test_a_function_on_the_official_crate_for_rust(deploy):
    bootstrap = (pathlib.Path(os.environ["HEARTH_TEST_FUNCTIONS"]) / "echo").read_bytes()
    function = deploy(files={"bootstrap": bootstrap}, Runtime=PROVIDED, Handler="any")
    assert [function.invoke({"number": number}).json for number in (1, 2)] == [{"number": 1}, {"number": 2}]
    assert failed(function.invoke({"do": "fail"}), "My.Error") == "as asked"


def test_a_function_that_is_an_image(engine, deploy, image_name, python, tmp_path):
    source = """
import os

def handler(event, context):
    return ["handler", event, os.getcwd(), os.environ.get("OF_IMAGE")]

def other(event, context):
    return ["other", event, os.getcwd(), os.environ.get("OF_IMAGE")]
"""
    (tmp_path / "app.py").write_text(source)
    (tmp_path / "Dockerfile").write_text(
        f"FROM public.ecr.aws/lambda/python:{python.removeprefix('python')}\n"
        "ENV OF_IMAGE=yes\nCOPY app.py /var/task/\nCMD [\"app.handler\"]\n"
    )
    engine.images.build(path=str(tmp_path), tag=image_name, rm=True)
    function = deploy.image(image_name)
    assert function.invoke(1).json == ["handler", 1, "/var/task", "yes"]
    assert function.invoke(2).json == ["handler", 2, "/var/task", "yes"]
    changed = deploy.image(image_name, ImageConfig={"Command": ["app.other"], "WorkingDirectory": "/opt"})
    # The client is told where the code is by the entry point, which asks the environment.
    assert changed.invoke(3).json == ["other", 3, "/opt", "yes"]
    client = ["/var/lang/bin/python3", "-m", "awslambdaric"]
    direct = deploy.image(image_name, ImageConfig={"EntryPoint": client, "Command": ["app.other"]}, Environment={"Variables": {"PYTHONPATH": "/var/runtime"}})
    assert direct.invoke(4).json == ["other", 4, "/var/task", "yes"]


def test_layers_are_merged_and_later_ones_win(client, deploy):
    contents = [{"python/one.py": "WHERE = 1", "python/both.py": "WHERE = 1"}, {"python/both.py": "WHERE = 2"}]
    layers = [
        client.publish_layer_version(LayerName=f"layer-{number}", Content={"ZipFile": zip_of(files)})["LayerVersionArn"]
        for number, files in enumerate(contents)
    ]
    source = "import one, both\n\ndef handler(event, context):\n    return [one.WHERE, both.WHERE]\n"
    assert deploy(source, Layers=layers).invoke().json == [1, 2]
    assert deploy(source, Layers=layers[::-1]).invoke().json == [1, 1]


def test_twenty_at_once_under_a_cap_of_five(client, deploy, containers, threads):
    source = "import time\n\ndef handler(event, context):\n    time.sleep(0.2)\n    return event\n"
    function = deploy(source, Timeout=60)
    client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=5)
    running = [threads.submit(function.invoke, number) for number in range(20)]
    most = 0
    while not all(invocation.done() for invocation in running):
        most = max(most, len(containers.of(function)))
    assert [invocation.result().json for invocation in running] == list(range(20))
    assert 1 < most <= 5


def test_a_deploy_under_load_fails_no_invocation(deploy, containers, threads):
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

    running = [threads.submit(invoke_for_ever) for _ in range(4)]
    for version in (1, 2):
        function.update_code({"handler.py": source(version)})
        wait_until(lambda: function.invoke().json == version, f"version {version} to serve")
    is_over = True
    answers = [answer for invocations in running for answer in invocations.result()]
    assert all(answer.error is None and answer.json in (0, 1, 2) for answer in answers)
    assert function.invoke().json == 2

    def deploys():
        return {container.labels["hearth.deploy"] for container in containers.of(function, status="running")}

    # What served the last invocations of the old one takes a moment to end.
    wait_until(lambda: len(deploys()) == 1, "the containers of former deploys to end")


@pytest.mark.parametrize(
    "source, kind, message",
    [
        ("raise ValueError('as asked')", "ValueError", "as asked"),
        ("import os; os._exit(3)", "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        ("import time; time.sleep(60)", "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
        ("return len(b'x' * (1 << 30))", "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"),
    ],
    ids=["error", "exit", "timeout", "memory"],
)
def test_what_goes_wrong_is_told_and_the_next_one_works(deploy, containers, source, kind, message):
    source = f"def handler(event, context):\n    if event == 'now':\n        {source}\n    return event\n"
    function = deploy(source, Timeout=1, MemorySize=128)
    assert function.invoke("first").json == "first"
    container = containers.one(function)
    assert failed(function.invoke("now"), kind).endswith(message)
    assert function.invoke("next").json == "next"
    # The process was replaced, not the container.
    assert containers.one(function).id == container.id


def test_an_init_that_fails_is_told(deploy):
    function = deploy("raise ImportError('as asked')\n")
    assert failed(function.invoke(), "Runtime.ImportModuleError").endswith("as asked")


def test_a_response_is_streamed(client, deploy, node):
    source = """
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  for (const number of [1, 2, 3]) {
    stream.write(`${number} `);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  stream.end();
});
"""
    function = deploy(files={"handler.js": source}, Runtime=node, Timeout=20)
    response = client.invoke_with_response_stream(FunctionName=function.name, Payload=b"{}")
    events = list(response["EventStream"])
    chunks = [event["PayloadChunk"]["Payload"] for event in events if "PayloadChunk" in event]
    assert b"".join(chunks) == b"1 2 3 " and len(chunks) == 3, "it came in one piece"
    assert "ErrorCode" not in events[-1]["InvokeComplete"]


def test_facts_095_a_function_is_confined_as_on_lambda(deploy, containers):
    source = """
import os, resource

def handler(event, context):
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in open("/proc/self/status"))}
    tmp = os.statvfs("/tmp")
    limits = ["CORE", "MEMLOCK", "NOFILE", "STACK", "AS", "CPU", "DATA", "FSIZE", "RSS", "NPROC"]
    return {
        "user": [os.getuid(), os.getgid()],
        "capabilities": status["CapEff"],
        "may gain privileges": status["NoNewPrivs"] == "0",
        "tmp": tmp.f_blocks * tmp.f_frsize,
        "limits": {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}")) for name in limits},
        "writable": [path for path in ("/", "/var/task", "/opt", "/var/runtime", "/var/hearth", "/tmp") if os.access(path, os.W_OK)],
        "token": [name for name in os.environ if name.startswith("HEARTH")],
    }
"""
    function = deploy(source, MemorySize=256, EphemeralStorage={"Size": 600})
    invocation = function.invoke()
    assert invocation.error is None, invocation
    result = invocation.json
    assert result["user"] == [993, 990]
    assert int(result["capabilities"], 16) == 0
    assert not result["may gain privileges"]
    assert result["tmp"] == 600 * 1024 * 1024
    assert result["writable"] == ["/tmp"]
    assert result["token"] == []
    ten_gib = 10737418240
    assert result["limits"] == {
        "CORE": [ten_gib, ten_gib],
        "MEMLOCK": [65536, 65536],
        "NOFILE": [1024, 1024],
        "NPROC": [742, 742],
        "STACK": [8388608, -1],
        **{name: [-1, -1] for name in ("AS", "CPU", "DATA", "FSIZE", "RSS")},
    }
    settings = containers.one(function).attrs["HostConfig"]
    assert settings["CpuShares"] == 256 * 1024 // 1769
    assert settings["PidsLimit"] == 1024


def test_a_log_of_many_lines_is_kept_whole(host, deploy):
    source = """
def handler(event, context):
    for number in range(event):
        print(f"line {number}")
"""
    function = deploy(source)
    function.invoke(10_000)
    kept = lambda: logs(host, function.name)[1]
    wait_until(lambda: "REPORT" in kept(), "the report")
    assert re.findall(r" line (\d+)$", kept(), re.MULTILINE) == [str(number) for number in range(10_000)]


def test_many_containers_do_not_take_one_another_s_processes(deploy, containers):
    source = """
import threading

waiting = [threading.Thread(target=threading.Event().wait, daemon=True) for _ in range(80)]
for thread in waiting:
    thread.start()

def handler(event, context):
    return len(waiting)
"""
    function = deploy(source)
    client, name = function.client, function.name
    version = {"FunctionName": name, "Qualifier": client.publish_version(FunctionName=name)["Version"]}
    # Ten times eighty are more than one user may have.
    client.put_provisioned_concurrency_config(**version, ProvisionedConcurrentExecutions=10)
    status = lambda: client.get_provisioned_concurrency_config(**version)["Status"]
    wait_until(lambda: status() != "IN_PROGRESS", "the instances")
    assert status() == "READY"
    users = [container.attrs["Config"]["User"] for container in containers.of(function)]
    assert len(users) == 10 and max(map(users.count, users)) <= 8, users


def test_a_full_tmp_is_no_lack_of_memory(deploy):
    source = """
def handler(event, context):
    try:
        with open("/tmp/file", "wb") as file:
            for _ in range(event):
                file.write(b"x" * (1024 * 1024))
    except OSError as error:
        return error.strerror
    return "written"
"""
    function = deploy(source, MemorySize=128, Timeout=30)
    assert function.invoke(400).json == "written"
    assert function.invoke(600).json == "No space left on device"


def test_code_is_mounted_and_not_copied(deploy, containers):
    function = deploy("def handler(event, context):\n    return event\n")
    function.invoke()
    mounts = {mount["Destination"]: mount for mount in containers.one(function).attrs["Mounts"]}
    for target in ("/var/task", "/var/hearth"):
        assert mounts[target]["Type"] == "bind" and not mounts[target]["RW"], mounts


def test_a_function_reaches_the_host_by_its_name(deploy):
    source = "import socket\n\ndef handler(event, context):\n    return socket.gethostbyname('host.docker.internal')\n"
    assert re.fullmatch(r"\d+(\.\d+){3}", deploy(source).invoke().json)


def test_everything_carries_the_labels_of_its_host(deploy, containers, host):
    function = deploy("def handler(event, context):\n    return event\n")
    function.invoke()
    container = containers.one(function)
    assert container.name.startswith(f"hearth-{function.name}-")
    labels = container.labels
    assert labels["hearth.version"] == "$LATEST"
    assert {"hearth.owner", "hearth.epoch", "hearth.deploy"} <= set(labels)
    [instance] = [it for it in host.admin("instances")["instances"] if it["handle"] == container.name]
    assert instance["metadata"]["container.id"] == container.id
