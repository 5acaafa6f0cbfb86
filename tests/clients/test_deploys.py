"""Many invocations at once, and deploys under running invocations."""

import pathlib

from hearth import refusal, wait_for_file

# Each invocation makes a file of its own, and waits until there are as many as the event says.
MEETS_OTHERS = """
import os, pathlib, time

def handler(event, context):
    folder = pathlib.Path(event["folder"])
    (folder / context.aws_request_id).touch()
    deadline = time.monotonic() + 50
    while len(list(folder.iterdir())) < event["others"]:
        assert time.monotonic() < deadline, "the others did not come"
        time.sleep(0.01)
    return os.getpid()
"""

# Counts how many are inside at once.
COUNTS_COMPANY = """
import pathlib, time

def handler(event, context):
    mine = pathlib.Path(event) / context.aws_request_id
    mine.touch()
    most = 0
    for _ in range(10):
        most = max(most, len(list(pathlib.Path(event).iterdir())))
        time.sleep(0.01)
    mine.unlink()
    return most
"""


def test_new_code_serves_while_the_old_finishes(deploy, threads, gate):
    function = deploy(gate.SOURCE, Timeout=60)
    old = threads.submit(function.invoke, gate.event)
    gate.wait_until_reached()
    function.update_code({"handler.py": "def handler(event, context):\n    return 'new'\n"})
    assert function.invoke().json == "new"
    assert not old.done()
    gate.open()
    assert old.result().json == "old"
    assert function.invoke().json == "new"


def test_a_new_configuration_is_seen_by_the_next_invocation(deploy, threads, gate):
    source = gate.SOURCE.replace('return "old"', 'import os; return os.environ.get("WHAT")')
    function = deploy(source, Timeout=60, Environment={"Variables": {"WHAT": "old"}})
    old = threads.submit(function.invoke, gate.event)
    gate.wait_until_reached()
    function.client.update_function_configuration(
        FunctionName=function.name, Environment={"Variables": {"WHAT": "new"}}
    )
    function.wait_until_updated()
    assert function.invoke(0).json == "new"
    gate.open()
    assert old.result().json == "old"


def test_a_deleted_function_finishes_what_it_began(deploy, threads, gate):
    function = deploy(gate.SOURCE, Timeout=60)
    running = threads.submit(function.invoke, gate.event)
    gate.wait_until_reached()
    function.client.delete_function(FunctionName=function.name)
    assert refusal(function.client, "invoke", FunctionName=function.name).status == 404
    gate.open()
    assert running.result().json == "old"


def test_twenty_at_once_have_twenty_instances(deploy, threads, tmp_path):
    function = deploy(MEETS_OTHERS, Timeout=60)
    event = {"folder": str(tmp_path), "others": 20}
    invocations = list(threads.map(lambda _: function.invoke(event), range(20)))
    assert [invocation.error for invocation in invocations] == [None] * 20
    assert len({invocation.json for invocation in invocations}) == 20
    assert len({invocation.request_id for invocation in invocations}) == 20


def test_reserved_concurrency_is_a_cap_and_those_above_it_wait(deploy, threads, tmp_path):
    function = deploy(COUNTS_COMPANY, Timeout=60)
    name = function.name
    answer = function.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)
    assert answer["ReservedConcurrentExecutions"] == 2
    assert function.client.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"] == 2
    invocations = list(threads.map(lambda _: function.invoke(str(tmp_path)), range(8)))
    assert [invocation.error for invocation in invocations] == [None] * 8
    assert max(invocation.json for invocation in invocations) == 2
    function.client.delete_function_concurrency(FunctionName=name)
    assert "ReservedConcurrentExecutions" not in function.client.get_function_concurrency(FunctionName=name)


def test_an_instance_is_used_again(deploy):
    function = deploy("import os\n\ndef handler(event, context):\n    return os.getpid()\n")
    first = function.invoke().json
    assert [function.invoke().json for _ in range(5)] == [first] * 5


def test_invocations_that_are_accepted_all_run(deploy, tmp_path):
    function = deploy("import pathlib\n\ndef handler(event, context):\n    pathlib.Path(event).touch()\n")
    for number in range(10):
        function.invoke(str(tmp_path / str(number)), InvocationType="Event")
    for number in range(10):
        wait_for_file(tmp_path / str(number))


def test_many_functions_at_once(deploy, threads):
    def round_trip(number):
        function = deploy(f"def handler(event, context):\n    return [event, {number}]\n")
        return function.invoke(number).json

    assert list(threads.map(round_trip, range(8))) == [[number, number] for number in range(8)]


def test_what_went_on_is_on_the_admin_page(host, deploy, threads, gate):
    function = deploy(gate.SOURCE, Timeout=60)
    function.invoke(0)
    [idle] = instances(host, function)
    assert idle["state"] == "idle"
    assert idle["invocations"] == 1
    assert idle["idle_seconds"] <= idle["age_seconds"]
    assert (idle["version"], idle["backend"], idle["memory_mb"]) == ("$LATEST", "process", 128)
    pid = idle["metadata"]["process.id"]
    assert pathlib.Path(f"/proc/{pid}").exists()

    running = threads.submit(function.invoke, gate.event)
    gate.wait_until_reached()
    [busy] = instances(host, function)
    assert (busy["state"], busy["idle_seconds"], busy["invocations"]) == ("busy", None, 2)
    gate.open()
    running.result()


def test_instances_are_evicted_by_hand(host, deploy):
    function = deploy("import os\n\ndef handler(event, context):\n    return os.getpid()\n")
    path = f"functions/{function.name}/evict"
    assert host.admin(path, "POST") == {"function": function.name, "evicted": False, "instances": 0}
    first = function.invoke().json
    assert host.admin(path, "POST") == {"function": function.name, "evicted": True, "instances": 1}
    assert function.invoke().json != first


def test_health_and_metrics(host, deploy):
    health = host.admin("health")
    assert (health["status"], health["backend"]) == ("ok", "process")
    function = deploy("def handler(event, context):\n    return 1 / event\n")
    for event in [0, 1, 1]:
        function.invoke(event)
    metrics = host.admin("metrics")
    counted = f'hearth_invocations_total{{function="{function.name}",outcome="%s"}} %d\n'
    assert counted % ("success", 2) in metrics
    assert counted % ("function_error", 1) in metrics
    assert f'hearth_cold_starts_total{{function="{function.name}"}} 1\n' in metrics
    for family in ["launch_seconds_bucket", "queue_seconds_bucket", "instances{"]:
        assert f"hearth_{family}" in metrics


def instances(host, function):
    return [it for it in host.admin("instances")["instances"] if it["function"] == function.name]
