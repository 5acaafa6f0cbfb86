"""What functions write: kept in files, shown by `hearth logs`, sent to CloudWatch Logs."""

import json
import os
import re
import subprocess
import threading

import pytest

from fixtures import deployer, started
from hearth import ANSWER_LIMIT, wait_until

SAYS = """
def handler(event, context):
    print(event)
    return context.log_stream_name
"""
LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}) (.*)")


@pytest.fixture(scope="module")
def logging_host(tmp_path_factory, services):
    """A host that sends logs where CloudWatch Logs would be."""
    yield from started(tmp_path_factory, "logging", env={"AWS_ENDPOINT_URL_LOGS": services.url})


@pytest.fixture
def deploy_logging(logging_host, request):
    yield from deployer(logging_host.client(), request.node.name)


def command(host, *args):
    return [os.environ["HEARTH_BIN"], "logs", "--listen", host.url.removeprefix("http://"), *args]


def logs(host, *args):
    done = subprocess.run(command(host, *args), capture_output=True, text=True, timeout=ANSWER_LIMIT)
    return done.returncode, done.stdout, done.stderr


def shown(host, *args):
    """The lines, once the function's own are there."""
    status, text, problem = logs(host, *args)
    assert status == 0, problem
    return [LINE.fullmatch(line) for line in text.splitlines()]


def until_written(host, function, text):
    wait_until(lambda: text in logs(host, function.name)[1], f"{text!r} in the log of {function.name}")


def test_everything_that_a_function_writes_is_kept(host, deploy):
    function = deploy(SAYS)
    stream = function.invoke("first").json
    function.invoke("second")
    wait_until(lambda: logs(host, function.name)[1].count("REPORT") == 2, "two reports")
    lines = shown(host, function.name)
    assert {line[2] for line in lines} == {stream}
    assert [line[3].split()[0] for line in lines] == [
        *("START", "first", "END", "REPORT"),
        *("START", "second", "END", "REPORT"),
    ]


def test_lines_are_chosen_by_time_and_number(host, deploy):
    function = deploy(SAYS)
    function.invoke("only")
    wait_until(lambda: "REPORT" in logs(host, function.name)[1], "a report")
    everything = shown(host, function.name)
    assert [line[0] for line in shown(host, function.name, "-n", "1")] == [everything[-1][0]]
    assert len(shown(host, function.name, "--since", "1h")) == len(everything)
    assert shown(host, function.name, "--since", "2100-01-01T00:00:00Z") == []
    as_json = [json.loads(line) for line in logs(host, function.name, "--json")[1].splitlines()]
    assert [line["message"] for line in as_json] == [line[3] for line in everything]
    assert set(as_json[0]) == {"timestamp", "logStreamName", "message"}


def test_a_follower_sees_each_line_as_it_comes(host, deploy):
    function = deploy(SAYS)
    following = subprocess.Popen(command(host, "-f", function.name), stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(ANSWER_LIMIT, following.kill)
    watchdog.start()
    try:
        for word in ("one", "two"):
            function.invoke(word)
            # Hangs, until the watchdog ends it, if the line does not come.
            assert any(line.rstrip().endswith(f" {word}") for line in iter(following.stdout.readline, ""))
    finally:
        watchdog.cancel()
        following.kill()
        following.wait()


def test_a_log_outlives_its_function_and_is_kept_by_group(host, deploy):
    function = deploy(SAYS, LoggingConfig={"LogGroup": "/mine"})
    function.invoke("hello")
    until_written(host, function, "hello")
    function.client.delete_function(FunctionName=function.name)
    assert "hello" in logs(host, function.name, "--log-group", "/mine")[1]


def test_there_is_no_log_of_what_never_was(host):
    assert logs(host, "nowhere") == (
        1,
        "",
        "hearth: no function `nowhere` is deployed, and none of that name has written anything\n",
    )
    status, _, problem = logs(host, "nowhere", "--since", "yesterday")
    assert (status, "and no moment as in 2026-11-27T12:00:00Z" in problem) == (2, True)


def test_lines_reach_cloud_watch(deploy_logging, services):
    services.failures = 1
    function = deploy_logging(SAYS)
    stream = function.invoke("hello").json
    requests = [services.next()]
    while "hello" not in requests[-1].body.decode():
        requests.append(services.next())
    targets = [request.target.removeprefix("Logs_20140328.") for request in requests]
    assert targets == ["CreateLogGroup", "CreateLogGroup", "CreateLogStream", "PutLogEvents"]
    place = {"logGroupName": f"/aws/lambda/{function.name}", "logStreamName": stream}
    assert requests[1].json == {"logGroupName": place["logGroupName"]}
    assert requests[2].json == place
    sent = requests[3].json
    events = sent.pop("logEvents")
    assert sent == place
    assert "hello" in [event["message"] for event in events]
    assert [event["timestamp"] for event in events] == sorted(event["timestamp"] for event in events)
    assert requests[3].scope == ("000000000000", "us-east-1", "logs")
