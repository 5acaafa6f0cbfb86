"""What goes wrong with pods, nodes, the API server and hosts: it is told at once, the next invocation works, nothing is
left."""

import os
import signal
import time
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError, WaiterError

from cluster import BUSYBOX, wait_until
from hearth import Host
from test_functions import image_of

ECHO = "def handler(event, context):\n    return event\n"
# Long enough for whatever is done to it meanwhile.
SLOW = "import time\n\ndef handler(event, context):\n    time.sleep(event)\n    return 'done'\n"


def of_host(host, function):
    return [it for it in host.admin("instances")["instances"] if it["function"] == function.name]


def name_of(pod):
    return pod["metadata"]["name"]


def is_gone(namespace, pod):
    return lambda: not namespace.exists(f"pods/{name_of(pod)}")


def evict(namespace, pod):
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name_of(pod)}}
    namespace.api.ask("POST", namespace.path(f"pods/{name_of(pod)}/eviction"), eviction)


HARM = {
    "deleted": lambda namespace, pod: namespace.remove(f"pods/{name_of(pod)}"),
    "deleted by force": lambda namespace, pod: namespace.remove(f"pods/{name_of(pod)}", gracePeriodSeconds=0),
    "evicted": evict,
}
BREAKAGE = {
    "killed": lambda double, namespace, pod: double.fault("killPod", namespace=namespace.name, pod=name_of(pod)),
    "out of memory": lambda double, namespace, pod: double.fault("oomPod", namespace=namespace.name, pod=name_of(pod)),
    "evicted by its node": lambda double, namespace, pod: double.fault("evictPod", namespace=namespace.name, pod=name_of(pod)),
}


def costs_no_invocation(host, namespace, function, harm):
    function.invoke()
    pod = namespace.one(function)
    harm(pod)
    # Until its node says that it has ended, which is what the host waits for.
    wait_until(lambda: name_of(pod) not in [it["handle"] for it in of_host(host, function)], "the host to notice", 15)
    wait_until(is_gone(namespace, pod), "the pod to be removed")
    assert function.invoke("next").json == "next"


def is_told_at_once(namespace, function, threads, harm):
    function.invoke(0)
    pod = namespace.one(function)
    running = threads.submit(function.invoke, 50)
    # A process that sleeps says nothing: that it is busy is seen by its next invocation, which gets another pod.
    function.invoke(0)
    harm(pod)
    answer = running.result(timeout=15)
    assert answer.error == "Unhandled" and answer.json["errorType"].startswith("Runtime."), answer
    wait_until(is_gone(namespace, pod), "the pod to be removed")
    assert function.invoke(0).json == "done"


@pytest.mark.parametrize("harm", HARM)
def test_a_pod_that_is_harmed_while_idle_costs_no_invocation(host, deploy, namespace, harm):
    costs_no_invocation(host, namespace, deploy(ECHO), lambda pod: HARM[harm](namespace, pod))


@pytest.mark.parametrize("breakage", BREAKAGE)
def test_a_pod_that_breaks_while_idle_costs_no_invocation(host, deploy, namespace, double, breakage):
    costs_no_invocation(host, namespace, deploy(ECHO), lambda pod: BREAKAGE[breakage](double, namespace, pod))


@pytest.mark.parametrize("harm", HARM)
def test_a_pod_that_is_harmed_while_busy_is_told_at_once(deploy, namespace, threads, harm):
    is_told_at_once(namespace, deploy(SLOW, Timeout=60), threads, lambda pod: HARM[harm](namespace, pod))


@pytest.mark.parametrize("breakage", BREAKAGE)
def test_a_pod_that_breaks_while_busy_is_told_at_once(deploy, namespace, threads, double, breakage):
    is_told_at_once(namespace, deploy(SLOW, Timeout=60), threads, lambda pod: BREAKAGE[breakage](double, namespace, pod))


def fails(function, *event):
    with pytest.raises(ClientError) as refused:
        function.invoke(*event)
    return str(refused.value)


def test_an_image_that_cannot_be_had_is_told_and_its_pod_is_gone(deploy, namespace):
    function = deploy.image("lab.local/no-such-image:1", ImageConfig={"EntryPoint": ["/any"]})
    told = fails(function)
    assert "the pod did not come up: " in told and "lab.local/no-such-image:1" in told, told
    wait_until(lambda: not namespace.of(function), "the pod to be removed")


def test_a_program_that_an_image_does_not_have_is_told_and_its_pod_is_gone(deploy, namespace, python):
    function = deploy.image(image_of(python), ImageConfig={"EntryPoint": ["/no/such/program"]})
    invocation = function.invoke()
    assert invocation.error == "Unhandled" and "/no/such/program" in invocation.json["errorMessage"], invocation


def test_an_init_container_that_fails_is_told_with_what_it_wrote(host_with, deploy_to, namespace):
    host = host_with('code_url = "http://127.0.0.1:9"')
    function = deploy_to(host)(ECHO)
    told = fails(function)
    assert "its init container failed with exit status 1; it wrote: " in told and "127.0.0.1" in told, told
    wait_until(lambda: not namespace.of(function), "the pod to be removed")


def test_what_no_node_takes_is_told_with_the_scheduler_s_reason(host_with, deploy_to, namespace):
    host = host_with('unschedulable_seconds = 1\nnode_selector = { "hearth.tests/no" = "such-node" }')
    function = deploy_to(host)(ECHO)
    told = fails(function)
    assert "no node was found for it in 1 s: Unschedulable: 0/" in told, told
    wait_until(lambda: not namespace.of(function), "the pod to be removed")


def test_a_quota_that_is_full_is_told_and_what_ran_runs_on(deploy, namespace, threads):
    function, other = deploy(SLOW, Timeout=60), deploy(SLOW, Timeout=60)
    function.invoke(0)
    wait_until(lambda: len(namespace.pods()) == 1, "the pods of earlier tests to go")
    quota = {"metadata": {"name": "full"}, "spec": {"hard": {"pods": str(len(namespace.pods()))}}}
    namespace.make({"apiVersion": "v1", "kind": "ResourceQuota", **quota})
    try:
        # A quota that is new is not counted yet, and lets nothing through either.
        wait_until(lambda: "exceeded quota: full" in fails(other, 0), "the quota to count")
        assert function.invoke(0).json == "done"
    finally:
        namespace.remove("resourcequotas/full")
    wait_until(lambda: succeeds(other), "the function to work again")


def succeeds(function, *event):
    try:
        return function.invoke(*(event or [0])).error is None
    except ClientError:
        return False


def refused(deploy, **settings):
    """Why a function cannot be deployed."""
    with pytest.raises(WaiterError):
        deploy(ECHO, **settings)
    function = deploy.deployed[-1]
    state = function.client.get_function_configuration(FunctionName=function.name)
    assert state["State"] == "Failed", state
    return state["StateReason"]


def test_what_the_api_server_would_refuse_fails_the_deploy_with_the_reason(deploy, host_with, deploy_to):
    told = refused(deploy, Tags={"hearth.k8s.service-account": "no-such"})
    assert 'serviceaccount "no-such" not found' in told, told
    told = refused(deploy, Tags={"hearth.k8s.node": "any"})
    assert "the tag hearth.k8s.node: there is no such setting" in told, told
    told = refused(deploy_to(host_with('user = "0:0"')))
    assert "violates PodSecurity" in told, told


@contextmanager
def load(threads, invoke, loaders=3):
    """Invokes for ever, from several sides; answers how often that went well and what went wrong."""
    is_over, counts, errors = [], [], []

    def invoke_for_ever():
        while not is_over:
            try:
                assert invoke().error is None
                counts.append(time.monotonic())
            except ClientError as error:
                errors.append(error)

    running = [threads.submit(invoke_for_ever) for _ in range(loaders)]
    try:
        yield counts, errors
    finally:
        is_over.append(True)
        for loader in running:
            loader.result()


def test_warm_instances_go_on_serving_while_the_api_server_is_gone(host, deploy, namespace, double, threads):
    function = deploy(SLOW, Timeout=60)
    with load(threads, lambda: function.invoke(0.01)) as (counts, errors):
        wait_until(lambda: len(counts) > 20, "the load")
        double.fault("apiGone", seconds=30)
        began = time.monotonic()
        while time.monotonic() < began + 30:
            before = len(counts)
            wait_until(lambda: len(counts) > before + 10, "invocations while the API server is gone", 5)
        wait_until(lambda: answers(namespace), "the API server to be back", 10)
        assert not errors, errors[:3]
    other = deploy(ECHO)
    wait_until(lambda: succeeds(other), "a new function to be served", 15)


def answers(namespace):
    try:
        return namespace.api.ask("GET", "/version")
    except Exception:
        return None


def test_a_pod_that_dies_while_the_api_server_is_gone_is_noticed_afterwards(host, deploy, namespace, double):
    function = deploy(ECHO)
    function.invoke()
    pod = namespace.one(function)
    double.fault("apiGone", seconds=3)
    double.fault("killPod", namespace=namespace.name, pod=name_of(pod))
    wait_until(lambda: name_of(pod) not in [it["handle"] for it in of_host(host, function)], "the host to notice", 15)
    wait_until(lambda: answers(namespace) and is_gone(namespace, pod)(), "the pod to be removed", 30)
    wait_until(lambda: succeeds(function), "the function to work again", 15)


def test_a_slow_api_server_makes_cold_starts_slow_and_nothing_else(deploy, namespace, double):
    warm, cold = deploy(ECHO), deploy(ECHO)
    warm.invoke()
    double.fault("slow", seconds=5)
    began = time.monotonic()
    for number in range(20):
        assert warm.invoke(number).json == number
    assert time.monotonic() - began < 5
    assert cold.invoke("cold").json == "cold"
    double.heal()


def test_calls_that_are_too_many_are_made_again(deploy, double):
    function = deploy(ECHO)
    double.fault("tooManyRequests", count=3, retryAfter=1)
    assert function.invoke(1).json == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "cutWatches", "everyMs": 1000},
        {"kind": "mergeEvents", "seed": 7, "percent": 70},
        {"kind": "compact"},
    ],
    ids=lambda fault: fault["kind"],
)
def test_a_watch_that_breaks_off_or_forgets_loses_nothing(host, deploy, namespace, double, threads, fault):
    function = deploy(SLOW, Timeout=60)
    double.fault(**fault)
    if fault["kind"] == "compact":
        # What was forgotten matters to those that come back.
        double.fault("cutWatches", everyMs=500)
    for _ in range(3):
        running = [threads.submit(function.invoke, 0.2) for _ in range(3)]
        assert [invocation.result(timeout=60).json for invocation in running] == ["done"] * 3
        for pod in namespace.of(function):
            HARM["deleted"](namespace, pod)
            wait_until(lambda: name_of(pod) not in [it["handle"] for it in of_host(host, function)], "the host to notice", 10)
        wait_until(lambda: not namespace.of(function), "the pods to go")


def test_a_node_that_is_lost_is_told_and_its_pods_are_removed(host, deploy, namespace, double, threads):
    function = deploy(SLOW, Timeout=120)
    function.invoke(0)
    pod = namespace.one(function)
    running = threads.submit(function.invoke, 100)
    wait_until(lambda: [it["state"] for it in of_host(host, function)] == ["busy"], "the invocation to run")
    double.fault("loseNode", afterMs=1000, tolerationMs=5000)
    assert running.result(timeout=20).error == "Unhandled"
    wait_until(lambda: "deletionTimestamp" in namespace.one(function)["metadata"], "the pod to be ended")
    # Nobody says that it has ended: it is removed all the same, in the end.
    wait_until(is_gone(namespace, pod), "the pod to be removed", 90)
    double.fault("findNode")
    wait_until(lambda: succeeds(function), "the function to work again")


def test_a_killed_host_leaves_no_pod_and_another_host_keeps_its_own(tmp_path, deploy_to, namespace, arguments):
    arguments, environment = arguments
    one, other = (Host(tmp_path / name, *arguments, env=environment) for name in ("one", "other"))
    try:
        orphaned, kept = (deploy_to(host)(ECHO) for host in (one, other))
        for function in (orphaned, kept):
            function.invoke()
        of_other = namespace.one(kept)
        one.process.send_signal(signal.SIGKILL)
        one.process.wait()
        assert namespace.of(orphaned), "there is nothing to clean up"
        one = Host(tmp_path / "one", *arguments, env=environment)
        wait_until(lambda: not namespace.of(orphaned), "the orphans to be removed", 15)
        assert namespace.one(kept)["metadata"]["uid"] == of_other["metadata"]["uid"]
        assert kept.invoke("still").json == "still"
    finally:
        assert [host.stop() for host in (one, other)] == [0, 0]
    assert not namespace.of(kept), "a host that ends leaves nothing"


def test_a_backend_whose_process_is_killed_costs_no_pod_and_no_warm_invocation(tmp_path, deploy_to, namespace, arguments):
    arguments, environment = arguments
    host = Host(tmp_path / "data", *arguments, "--isolate-backend", env=environment)
    try:
        function, other = (deploy_to(host)(ECHO) for _ in range(2))
        function.invoke()
        pod = namespace.one(function)
        killed = host.backend_process()
        os.kill(killed, signal.SIGKILL)
        assert function.invoke("meanwhile").json == "meanwhile"
        # A launch that is under way when it ends is told so: this one is to be asked of another process.
        wait_until(lambda: host.backend_process() not in (None, killed), "another process to hold the backend")
        assert other.invoke("launched by another process").json == "launched by another process"
        assert function.invoke("afterwards").json == "afterwards"
        assert name_of(namespace.one(function)) == name_of(pod)
        namespace.remove(f"pods/{name_of(pod)}", gracePeriodSeconds=0)
        wait_until(lambda: not of_host(host, function), "the host to be told of an end that the first process would have told")
        function.invoke()
    finally:
        assert host.stop() == 0
    assert not namespace.of(function), "a host that ends leaves nothing"


def test_pods_go_with_the_pod_of_their_host(tmp_path, deploy_to, namespace, arguments):
    """A host in the cluster that never comes back is cleaned up after by the cluster."""
    arguments, environment = arguments
    pause = {"name": "pause", "image": BUSYBOX, "command": ["sleep", "600"], "securityContext": CONFINED}
    spec = {"containers": [pause], "securityContext": POD_CONFINED, "terminationGracePeriodSeconds": 1}
    pod = namespace.make({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hearth-0"}, "spec": spec})
    environment = environment | {"POD_NAME": "hearth-0", "POD_UID": pod["metadata"]["uid"], "POD_NAMESPACE": namespace.name}
    host = Host(tmp_path / "data", *arguments, env=environment)
    function = deploy_to(host)(ECHO)
    function.invoke()
    [owner] = namespace.one(function)["metadata"]["ownerReferences"]
    assert owner["uid"] == pod["metadata"]["uid"]
    host.process.send_signal(signal.SIGKILL)
    host.process.wait()
    namespace.remove("pods/hearth-0", gracePeriodSeconds=0)
    wait_until(lambda: not namespace.of(function), "the pods of the host to go")


CONFINED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
POD_CONFINED = {"runAsNonRoot": True, "runAsUser": 993, "seccompProfile": {"type": "RuntimeDefault"}}


def test_a_warm_invocation_calls_no_api(deploy, double):
    function = deploy(ECHO)
    function.invoke()
    before = double.calls()
    for number in range(200):
        assert function.invoke(number).json == number
    # The watch may have been taken up anew meanwhile.
    made = {call: count - before.get(call, 0) for call, count in double.calls().items() if not call.startswith("watch ")}
    assert not any(made.values()), made
