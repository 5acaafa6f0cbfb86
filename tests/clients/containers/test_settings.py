"""What `[backends.docker]` can be told: how containers are reached, how code gets there, what is in front of it."""

import os

import pytest
from botocore.exceptions import ClientError
from docker.types import Mount

from engine import wait_until
from fixtures import PROVIDED
from hearth import Host
from test_functions import SHELL_RUNTIME

ECHO = "def handler(event, context):\n    return event\n"


def works(function):
    results = [function.invoke(number) for number in (1, 2)]
    assert [(result.error, result.json) for result in results] == [(None, 1), (None, 2)]


def test_containers_are_reached_at_their_own_address_or_at_a_published_port(host_with, deploy_to, containers):
    for reach, published in [("direct", False), ("published", True)]:
        host = host_with(f'reach = "{reach}"')
        function = deploy_to(host)(ECHO)
        works(function)
        container = containers.one(function)
        ports = container.attrs["NetworkSettings"]["Ports"] or {}
        bindings = ports.get("8080/tcp") or []
        assert [binding["HostIp"] for binding in bindings] == (["127.0.0.1"] if published else [])


def test_a_network_of_the_users_own(engine, host_with, deploy_to, containers):
    network = engine.networks.create(f"hearth-tests-{os.getpid()}", driver="bridge")
    try:
        host = host_with(f'network = "{network.name}"')
        function = deploy_to(host)(ECHO)
        works(function)
        assert list(containers.one(function).attrs["NetworkSettings"]["Networks"]) == [network.name]
        function.client.delete_function(FunctionName=function.name)
        wait_until(lambda: not containers.of(function), "the container to be removed")
    finally:
        network.remove()


def test_the_network_of_the_engine_itself(host_with, deploy_to, containers):
    host = host_with('network = "host"')
    deploy = deploy_to(host)
    # Two at once must not come into one another's way.
    functions = [deploy(ECHO), deploy(ECHO)]
    for function in functions:
        works(function)
        assert containers.one(function).attrs["HostConfig"]["NetworkMode"] == "host"


def test_a_network_that_is_not_there_is_told(host_with, deploy_to):
    function = deploy_to(host_with('network = "no-such-network"'))(ECHO)
    with pytest.raises(ClientError, match="the engine has no network `no-such-network`: make it with"):
        function.invoke()


def test_names_and_servers_for_names(host_with, deploy_to):
    host = host_with('extra_hosts = ["db.example:192.0.2.7"]\ndns = ["192.0.2.53"]')
    source = """
import socket

def handler(event, context):
    return [socket.gethostbyname("db.example"), open("/etc/resolv.conf").read().split()]
"""
    address, resolver = deploy_to(host)(source).invoke().json
    assert address == "192.0.2.7" and resolver[:2] == ["nameserver", "192.0.2.53"]


def test_code_in_volumes_for_an_engine_that_does_not_see_our_files(engine, host_with, deploy_to, containers, client):
    before = {volume.name for volume in engine.volumes.list()}
    host = host_with('code = "volume"')
    deploy = deploy_to(host)
    files = {f"folder/{number}.txt": str(number) for number in range(500)}
    source = """
import os

def handler(event, context):
    return [len(os.listdir("folder")), open("folder/7.txt").read()]
"""
    function = deploy(files=files | {"handler.py": source})
    assert function.invoke().json == [500, "7"]
    mounts = {mount["Destination"]: mount for mount in containers.one(function).attrs["Mounts"]}
    assert {mounts[target]["Type"] for target in ("/var/task", "/var/hearth")} == {"volume"}
    assert not any(mount["RW"] for mount in mounts.values())
    works(deploy(ECHO))
    # Each content once: two codes and the emulator.
    volumes = {volume.name for volume in engine.volumes.list()} - before
    assert len(volumes) == 3
    host.stop()
    assert not volumes & {volume.name for volume in engine.volumes.list()}


def test_the_emulator_of_the_image(host_with, deploy_to, containers):
    """That of AWS: it knows no request ids and no log tails, and starts the function with the first event."""
    host = host_with('emulator = "image"')
    deploy = deploy_to(host)
    function = deploy(ECHO)
    works(function)
    assert "/var/hearth" not in [mount["Destination"] for mount in containers.one(function).attrs["Mounts"]]
    provided = deploy(files={"bootstrap": SHELL_RUNTIME}, Runtime=PROVIDED, Handler="any")
    assert provided.invoke([1]).json == {"got": [1]}


def test_what_the_emulator_of_the_image_answers_is_told_apart(host_with, deploy_to, threads):
    source = """
import os, time

def handler(event, context):
    if event == "raise":
        raise ValueError("as asked")
    if event == "exit":
        os._exit(3)
    time.sleep(event)
    return event
"""
    function = deploy_to(host_with('emulator = "image"'))(source, Timeout=2)
    for event, kind, message in [
        ("raise", "ValueError", "as asked"),
        ("exit", "Runtime.ExitError", "RequestId: {} Error: Runtime exited with error: exit status 3"),
        (20, "Sandbox.Timedout", "RequestId: {} Error: Task timed out after 2.00 seconds"),
    ]:
        answer = function.invoke(event)
        assert (answer.error, answer.json["errorType"]) == ("Unhandled", kind), answer
        assert answer.json["errorMessage"] == message.format(answer.request_id)
        assert function.invoke(0).json == 0
    # It crashes when it is given an event while it has one: each has a container of its own.
    running = [threads.submit(function.invoke, 0.5) for _ in range(4)]
    assert [invocation.result().json for invocation in running] == [0.5] * 4


def test_the_emulator_of_the_image_for_one_function(deploy, containers):
    function = deploy(ECHO, Tags={"hearth.emulator": "image"})
    works(function)
    assert "/var/hearth" not in [mount["Destination"] for mount in containers.one(function).attrs["Mounts"]]


def test_limits_as_they_are_asked_for(host_with, deploy_to, containers):
    host = host_with('tmp = "disk"\ncpu = "quota"\nread_only_root = true\npids = 99\nuser = "1234:5678"')
    source = "import os\n\ndef handler(event, context):\n    return [os.getuid(), os.getgid(), os.access('/tmp', os.W_OK)]\n"
    function = deploy_to(host)(source, MemorySize=256)
    assert function.invoke().json[:2] == [1234, 5678]
    settings = containers.one(function).attrs["HostConfig"]
    assert settings["Memory"] == settings["MemorySwap"] == 256 * 1024 * 1024
    assert settings["NanoCpus"] == 256 * 1_000_000_000 // 1769
    assert settings["ReadonlyRootfs"] and settings["PidsLimit"] == 99


@pytest.mark.parametrize("emulator", ["hearth", "image"])
def test_the_engine_pauses_what_is_not_used_and_resumes_it(host_with, deploy_to, containers, emulator):
    host = host_with(f'emulator = "{emulator}"', pool="[pool]\npause_idle_after_seconds = 0.1")
    function = deploy_to(host)(ECHO)
    for number in range(3):
        assert function.invoke(number).json == number
        # The same container, each time.
        container = containers.one(function)
        wait_until(lambda: container.reload() or container.status == "paused", "the container to be paused")
        [instance] = host.admin("instances")["instances"]
        assert (instance["state"], instance["invocations"]) == ("paused", number + 1)
    # What the user has removed is told as ever.
    container.remove(force=True)
    wait_until(lambda: not host.admin("instances")["instances"], "the host to notice")
    assert function.invoke("next").json == "next"
    container = containers.one(function)
    wait_until(lambda: container.reload() or container.status == "paused", "the container to be paused")
    assert host.stop() == 0
    assert not containers.of(function)


def test_hearth_inside_a_container_with_the_engines_socket(engine, deploy_to, containers):
    """The engine does not see its files, so that code is sent; it is in the containers' network itself."""
    folders = {"/hearth": os.path.dirname(os.environ["HEARTH_BIN"]), "/plugins": os.environ["HEARTH_PLUGIN_PATH"]}
    usual = "unix:///var/run/docker.sock"
    folders["/docker.sock"] = os.environ.get("DOCKER_HOST", usual).removeprefix("unix://")
    container = engine.containers.run(
        "public.ecr.aws/lambda/provided:al2023",
        entrypoint=["/hearth/hearth", "--backend", "docker", "--listen", "0.0.0.0:3001", "--allow-anonymous"],
        environment={
            "HEARTH_PLUGIN_PATH": "/plugins",
            "HEARTH_DATA_DIR": "/tmp/data",
            "DOCKER_HOST": "unix:///docker.sock",
        },
        mounts=[Mount(target, source, type="bind") for target, source in folders.items()],
        detach=True,
    )
    try:
        container.reload()
        address = container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        inside = Host.at(f"http://{address}:3001")
        wait_until(lambda: answers(inside), f"hearth to serve: {container.logs().decode()}")
        function = deploy_to(inside)(ECHO)
        works(function)
        mounts = containers.one(function).attrs["Mounts"]
        assert {it["Type"] for it in mounts if it["Destination"] in ("/var/task", "/var/hearth")} == {"volume"}
        container.stop(timeout=20)
        assert not containers.of(function), container.logs().decode()
    finally:
        container.remove(force=True)


def answers(host):
    try:
        return host.admin("health")
    except OSError:
        return False
