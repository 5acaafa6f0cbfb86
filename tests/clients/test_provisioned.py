"""Provisioned concurrency: instances that are started before anybody comes, and what is told of them.

Facts 41 and 79 to 83 are those recorded from AWS."""

import pytest

from fixtures import Deployer
from hearth import Host, refusal, wait_until

SOURCE = """
import os, pathlib, time

def handler(event, context):
    gate = event.get("gate")
    if gate:
        (pathlib.Path(gate) / "started").touch()
    while gate and not (pathlib.Path(gate) / "go-on").exists():
        time.sleep(0.01)
    return [os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], context.function_version, os.getpid()]
"""


class Provisioned:
    """A published function, and what is provisioned for its qualifiers."""

    def __init__(self, function):
        self.client, self.name, self.arn, self.function = function.client, function.name, function.arn, function

    def publish(self):
        return self.client.publish_version(FunctionName=self.name)["Version"]

    def put(self, qualifier, count):
        return self.client.put_provisioned_concurrency_config(
            FunctionName=self.name, Qualifier=qualifier, ProvisionedConcurrentExecutions=count
        )

    def get(self, qualifier):
        return self.client.get_provisioned_concurrency_config(FunctionName=self.name, Qualifier=qualifier)

    def wait_until(self, status, qualifier):
        wait_until(lambda: self.get(qualifier)["Status"] == status, lambda: self.get(qualifier))
        return self.get(qualifier)

    def invoke(self, qualifier, event=None):
        return self.function.invoke(event or {}, Qualifier=qualifier).json

    def refusal(self, operation, **parameters):
        return refusal(self.client, operation, FunctionName=self.name, **parameters)


@pytest.fixture
def provisioned(deploy):
    return Provisioned(deploy(SOURCE))


def figures(config):
    names = ["Requested", "Allocated", "Available"]
    return [config[f"{name}ProvisionedConcurrentExecutions"] for name in names]


def test_fact_079_latest_cannot_be_provisioned(provisioned):
    refused = provisioned.refusal(
        "put_provisioned_concurrency_config", Qualifier="$LATEST", ProvisionedConcurrentExecutions=1
    )
    message = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    assert refused == (400, "InvalidParameterValueException", message)
    assert refused.body == {"Type": "User", "message": message}


def test_fact_080_what_is_not_provisioned(provisioned):
    version = provisioned.publish()
    refused = provisioned.refusal("get_provisioned_concurrency_config", Qualifier=version)
    message = "No Provisioned Concurrency Config found for this function"
    assert refused == (404, "ProvisionedConcurrencyConfigNotFoundException", message)
    assert refused.body == {"Type": "User", "message": message}


def test_fact_081_instances_are_there_before_it_is_ready_and_see_what_they_are(host, provisioned):
    version = provisioned.publish()
    answer = provisioned.put(version, 2)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert (figures(answer), answer["Status"]) == ([2, 0, 0], "IN_PROGRESS")
    ready = provisioned.wait_until("READY", version)
    assert figures(ready) == [2, 2, 2]
    assert "StatusReason" not in ready
    instances = [it for it in host.admin("instances")["instances"] if it["function"] == provisioned.name]
    assert [it["state"] for it in instances] == ["idle", "idle"]
    assert provisioned.invoke(version)[:2] == ["provisioned-concurrency", version]
    assert provisioned.invoke("$LATEST")[:2] == ["on-demand", "$LATEST"]


def test_fact_082_an_init_that_fails(deploy):
    provisioned = Provisioned(deploy("raise Exception('not today')\n"))
    version = provisioned.publish()
    provisioned.put(version, 1)
    failed = provisioned.wait_until("FAILED", version)
    assert (figures(failed), failed["StatusReason"]) == ([1, 0, 0], "FUNCTION_ERROR_INIT_FAILURE")
    answer = provisioned.function.invoke({}, Qualifier=version)
    assert (answer.status, answer.error, answer.json["errorMessage"]) == (200, "Unhandled", "not today")
    assert provisioned.get(version)["Status"] == "FAILED"


def test_fact_083_reserved_concurrency_below_what_is_provisioned(provisioned):
    version = provisioned.publish()
    provisioned.put(version, 2)
    refused = provisioned.refusal("put_function_concurrency", ReservedConcurrentExecutions=1)
    message = " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2]."
    assert refused == (400, "InvalidParameterValueException", message)
    assert refused.body == {"message": message}


def test_fact_041_all_reserved_concurrency_provisioned_elsewhere_blocks_latest(provisioned):
    version = provisioned.publish()
    provisioned.client.put_function_concurrency(FunctionName=provisioned.name, ReservedConcurrentExecutions=1)
    provisioned.put(version, 1)
    provisioned.wait_until("READY", version)
    refused = provisioned.refusal("invoke")
    assert refused == (429, "TooManyRequestsException", "Rate Exceeded.")
    assert refused.body["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert provisioned.invoke(version)[0] == "provisioned-concurrency"


def test_more_than_is_reserved_cannot_be_provisioned(provisioned):
    version = provisioned.publish()
    provisioned.client.put_function_concurrency(FunctionName=provisioned.name, ReservedConcurrentExecutions=1)
    refused = provisioned.refusal(
        "put_provisioned_concurrency_config", Qualifier=version, ProvisionedConcurrentExecutions=2
    )
    message = (
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
    )
    assert refused == (400, "InvalidParameterValueException", message)


def test_what_was_on_demand_makes_way_and_what_was_provisioned_ends_with_it(provisioned):
    version = provisioned.publish()
    before = provisioned.invoke(version)
    assert before[0] == "on-demand"
    provisioned.put(version, 1)
    provisioned.wait_until("READY", version)
    during = provisioned.invoke(version)
    assert during[0] == "provisioned-concurrency"
    provisioned.client.delete_provisioned_concurrency_config(FunctionName=provisioned.name, Qualifier=version)
    assert provisioned.refusal("get_provisioned_concurrency_config", Qualifier=version).status == 404
    after = provisioned.invoke(version)
    assert after[0] == "on-demand"
    assert len({pid for _, _, pid in (before, during, after)}) == 3


def test_invocations_beyond_it_are_served_on_demand(provisioned, gate, threads):
    version = provisioned.publish()
    provisioned.put(version, 1)
    provisioned.wait_until("READY", version)
    first = threads.submit(provisioned.invoke, version, {"gate": gate.event})
    gate.wait_until_reached()
    assert provisioned.invoke(version)[0] == "on-demand"
    gate.open()
    assert first.result()[0] == "provisioned-concurrency"


def test_it_moves_with_its_alias(provisioned):
    client, name = provisioned.client, provisioned.name
    first = provisioned.publish()
    client.create_alias(FunctionName=name, Name="live", FunctionVersion=first)
    provisioned.put("live", 1)
    provisioned.wait_until("READY", "live")
    assert provisioned.invoke("live")[:2] == ["provisioned-concurrency", first]
    provisioned.function.update_code({"handler.py": SOURCE + "# changed\n"})
    second = provisioned.publish()
    client.update_alias(FunctionName=name, Name="live", FunctionVersion=second)
    provisioned.wait_until("READY", "live")
    assert provisioned.invoke("live")[:2] == ["provisioned-concurrency", second]
    assert provisioned.invoke(first)[:2] == ["on-demand", first]
    listed = client.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
    assert [(it["FunctionArn"], it["Status"]) for it in listed] == [(f"{provisioned.arn}:live", "READY")]
    refused = provisioned.refusal("get_provisioned_concurrency_config", Qualifier=second)
    assert refused.kind == "ProvisionedConcurrencyConfigNotFoundException"


def test_it_is_there_again_after_a_restart(tmp_path):
    host = Host(tmp_path / "data")
    provisioned = Provisioned(Deployer(host.client(), "restarted")(SOURCE))
    version = provisioned.publish()
    before = provisioned.put(version, 1)
    provisioned.wait_until("READY", version)
    host.process.kill()
    host.process.wait()
    host = Host(tmp_path / "data")
    try:
        provisioned.client = provisioned.function.client = host.client()
        ready = provisioned.wait_until("READY", version)
        assert ready["LastModified"] == before["LastModified"]
        assert provisioned.invoke(version)[0] == "provisioned-concurrency"
    finally:
        host.stop()
