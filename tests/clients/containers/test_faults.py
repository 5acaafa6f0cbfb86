"""What goes wrong with containers, engines and hosts: it is told at once, the next invocation works, nothing is left."""

import os
import signal
import subprocess
import time

import pytest
from botocore.exceptions import ClientError

from engine import wait_until
from hearth import Host

ECHO = "def handler(event, context):\n    return event\n"
# Long enough for whatever is done to it meanwhile.
SLOW = "import time\n\ndef handler(event, context):\n    time.sleep(event)\n    return 'done'\n"


def is_gone(containers, container):
    return lambda: container.id not in [it.id for it in containers.engine.containers.list(all=True, ignore_removed=True)]


def of_host(host, function):
    return [it for it in host.admin("instances")["instances"] if it["function"] == function.name]


HARM = {
    "killed": lambda container: container.kill(),
    "stopped": lambda container: container.stop(timeout=1),
    "paused": lambda container: container.pause(),
    "removed": lambda container: container.remove(force=True),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_container_that_is_harmed_while_idle_costs_no_invocation(host, deploy, containers, harm):
    function = deploy(ECHO)
    function.invoke()
    container = containers.one(function)
    HARM[harm](container)
    wait_until(lambda: container.name not in [it["handle"] for it in of_host(host, function)], "the host to notice", 5)
    wait_until(is_gone(containers, container), "the container to be removed")
    assert function.invoke("next").json == "next"


@pytest.mark.parametrize("harm", HARM)
def test_a_container_that_is_harmed_while_busy_is_told_at_once(deploy, containers, threads, harm):
    function = deploy(SLOW, Timeout=60)
    function.invoke(0)
    container = containers.one(function)
    running = threads.submit(function.invoke, 50)
    # A process that sleeps says nothing: that it is busy is seen by its next invocation, which gets another container.
    function.invoke(0)
    HARM[harm](container)
    answer = running.result(timeout=10)
    assert answer.error == "Unhandled" and answer.json["errorType"] == "Runtime.ExitError", answer
    wait_until(is_gone(containers, container), "the container to be removed")
    assert function.invoke(0).json == "done"


def test_a_container_that_is_harmed_before_anybody_noticed_costs_no_invocation(deploy, containers):
    """The host's connection is the first to know."""
    function = deploy(ECHO)
    for number in range(5):
        function.invoke(number)
        containers.one(function).kill()
        assert function.invoke("next").json == "next"


def test_an_image_that_was_removed_is_told_and_comes_back(engine, host_with, deploy_to, containers, image_name, python):
    original = f"public.ecr.aws/lambda/python:{python.removeprefix('python')}"
    # An image of its own, not another name of the same one.
    build = f"FROM {original}\nLABEL unique={image_name}\n".encode()

    def make():
        import io

        engine.images.build(fileobj=io.BytesIO(build), tag=image_name, rm=True)

    make()
    host = host_with(f'pull = "never"\nimages = {{ "{python}" = "{image_name}" }}')
    function = deploy_to(host)(ECHO)
    assert function.invoke(1).json == 1
    containers.one(function).kill()
    wait_until(lambda: not containers.of(function), "the container to be removed")
    engine.images.remove(image_name, force=True)
    with pytest.raises(ClientError) as refused:
        function.invoke(2)
    assert refused.value.response["Error"]["Code"] == "ResourceNotReadyException"
    assert f"the engine does not have the image {image_name}" in str(refused.value)
    make()
    wait_until(lambda: succeeds(function), "the function to work again")


def succeeds(function):
    try:
        return function.invoke(3).json == 3
    except ClientError:
        return False


def test_an_image_that_cannot_be_had_fails_the_function_with_the_reason(client):
    for uri, reason in [
        ("localhost:1/no/such/image:1", "the image localhost:1/no/such/image:1 cannot be pulled"),
        ("public.ecr.aws/lambda/no-such-image", "the image public.ecr.aws/lambda/no-such-image:latest cannot be pulled"),
    ]:
        name = "no-such-image"
        client.create_function(FunctionName=name, Role="arn:aws:iam::000000000000:role/r", PackageType="Image", Code={"ImageUri": uri})
        state = wait_until(
            lambda: (now := client.get_function_configuration(FunctionName=name))["State"] != "Pending" and now,
            "the function to be active or not",
            60,
        )
        assert state["State"] == "Failed" and reason in state["StateReason"], state
        client.delete_function(FunctionName=name)


def test_an_engine_that_is_not_there_is_one_line(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
    environment |= {"HEARTH_PLUGIN_PATH": os.environ["HEARTH_PLUGIN_PATH"], "DOCKER_HOST": "unix:///no/such.sock"}
    command = [os.environ["HEARTH_BIN"], "--backend", "docker", "--listen", "127.0.0.1:0", "--data-dir", str(tmp_path)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)
    assert ended.returncode != 0
    [line] = [line for line in ended.stderr.splitlines() if "no container engine answers" in line]
    assert "at unix:///no/such.sock, named by DOCKER_HOST (there is no /no/such.sock)" in line


def test_a_killed_host_leaves_no_container_and_another_host_keeps_its_own(tmp_path, deploy_to, containers):
    one, other = (Host(tmp_path / name, "--backend", "docker") for name in ("one", "other"))
    try:
        orphaned, kept = (deploy_to(host)(ECHO) for host in (one, other))
        for function in (orphaned, kept):
            function.invoke()
        of_other = containers.one(kept)
        one.process.send_signal(signal.SIGKILL)
        one.process.wait()
        assert containers.of(orphaned), "there is nothing to clean up"
        one = Host(tmp_path / "one", "--backend", "docker")
        wait_until(lambda: not containers.of(orphaned), "the orphans to be removed", 5)
        assert containers.one(kept).id == of_other.id
        assert kept.invoke("still").json == "still"
    finally:
        assert [host.stop() for host in (one, other)] == [0, 0]
    assert not containers.of(kept), "a host that ends leaves nothing"


def test_a_backend_whose_process_is_killed_costs_no_container_and_no_warm_invocation(tmp_path, deploy_to, containers):
    host = Host(tmp_path / "data", "--backend", "docker", "--isolate-backend")
    try:
        function, other = (deploy_to(host)(ECHO) for _ in range(2))
        function.invoke()
        container = containers.one(function)
        killed = host.backend_process()
        os.kill(killed, signal.SIGKILL)
        assert function.invoke("meanwhile").json == "meanwhile"
        # A launch that is under way when it ends is told so: this one is to be asked of another process.
        wait_until(lambda: host.backend_process() not in (None, killed), "another process to hold the backend")
        assert other.invoke("launched by another process").json == "launched by another process"
        assert function.invoke("afterwards").json == "afterwards"
        assert containers.one(function).id == container.id
        container.kill()
        wait_until(lambda: not of_host(host, function), "the host to be told of an end that the first process would have told", 5)
        wait_until(is_gone(containers, container), "the container to be removed")
        function.invoke()
    finally:
        assert host.stop() == 0
    assert not containers.of(function), "a host that ends leaves nothing"


def test_an_engine_that_restarts_under_load_is_back_in_ten_seconds(
    engine, own_engine, tmp_path, deploy_to, containers, threads
):
    host = Host(tmp_path / "data", "--backend", "docker")
    try:
        function = deploy_to(host)("import time\n\ndef handler(event, context):\n    time.sleep(event)\n    return event\n", Timeout=60)
        function.invoke(0)
        is_over = False

        def invoke_for_ever():
            while not is_over:
                try:
                    function.invoke(0.01)
                except ClientError as error:
                    assert error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500, error

        load = [threads.submit(invoke_for_ever) for _ in range(3)]
        in_flight = threads.submit(function.invoke, 50)
        wait_until(lambda: len(containers.of(function)) >= 3, "the load")
        own_engine.stop()
        assert in_flight.result(timeout=10).json["errorType"] == "Runtime.ExitError"
        own_engine.start(engine)
        returned = time.monotonic()
        wait_until(lambda: not is_broken(function), "an invocation to succeed", 10)
        print(f"back after {time.monotonic() - returned:.1f} s")
        is_over = True
        for loader in load:
            loader.result()

        def is_tidy():
            known = {instance["handle"] for instance in of_host(host, function)}
            return {container.name: container.status for container in containers.of(function)} == dict.fromkeys(known, "running")

        wait_until(is_tidy, "what the engine's end left behind to be removed")
    finally:
        assert host.stop() == 0, host.log_path.read_text()
    assert not containers.of(function)


def is_broken(function):
    try:
        return function.invoke(0).error
    except ClientError:
        return True


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_is_full_is_told_and_what_ran_runs_on(small_disk, deploy_to):
    host = Host(small_disk / "data", "--backend", "docker")
    try:
        deploy = deploy_to(host)
        function = deploy(ECHO)
        assert function.invoke(1).json == 1
        with pytest.raises(ClientError) as refused:
            # It is small while it is packed.
            deploy(files={"handler.py": ECHO, "big": bytes(40 * 1024 * 1024)})
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500, refused.value
        assert function.invoke(2).json == 2
        assert deploy(ECHO + "# another\n").invoke(3).json == 3
    finally:
        assert host.stop() == 0
