"""Recorded fact 90, and other settings that are stored and shown: runtime management, recursion, code signing."""

import re

import pytest

from hearth import ACCOUNT, REGION, refusal

ECHO = "def handler(event, context):\n    return event\n"
PROFILE = f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/profile/version"
RUNTIME = f"arn:aws:lambda:{REGION}::runtime:0123456789abcdef"
GONE = f"arn:aws:lambda:{REGION}:{ACCOUNT}:code-signing-config:csc-00000000000000000"


@pytest.fixture
def function(deploy):
    return deploy(ECHO)


@pytest.fixture
def config(client):
    made = client.create_code_signing_config(AllowedPublishers={"SigningProfileVersionArns": [PROFILE]})
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    arn = made["CodeSigningConfig"]["CodeSigningConfigArn"]
    yield arn
    client.delete_code_signing_config(CodeSigningConfigArn=arn)


def body(answer):
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def test_runtime_management_is_kept_by_version(client, function):
    name = function.name
    assert body(client.get_runtime_management_config(FunctionName=name)) == {
        "UpdateRuntimeOn": "Auto",
        "FunctionArn": function.arn,
    }
    by_hand = {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": RUNTIME}
    expected = by_hand | {"FunctionArn": function.arn}
    assert body(client.put_runtime_management_config(FunctionName=name, **by_hand)) == expected
    assert body(client.get_runtime_management_config(FunctionName=name)) == expected
    version = client.publish_version(FunctionName=name)["Version"]
    of_version = client.get_runtime_management_config(FunctionName=name, Qualifier=version)
    assert (of_version["UpdateRuntimeOn"], of_version["FunctionArn"]) == ("Auto", f"{function.arn}:{version}")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"UpdateRuntimeOn": "Never"}, "ValidationException"),
        ({}, "ValidationException"),
        ({"UpdateRuntimeOn": "Manual"}, "InvalidParameterValueException"),
        ({"UpdateRuntimeOn": "Auto", "RuntimeVersionArn": RUNTIME}, "InvalidParameterValueException"),
        ({"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": PROFILE}, "ValidationException"),
    ],
)
def test_runtime_management_that_makes_no_sense_is_refused(client, function, given, kind):
    told = refusal(client, "put_runtime_management_config", FunctionName=function.name, **given)
    assert (told.status, told.kind) == (400, kind)


def test_fact_090_recursion_is_terminated_unless_it_is_allowed(client, function):
    name = function.name
    assert body(client.get_function_recursion_config(FunctionName=name)) == {"RecursiveLoop": "Terminate"}
    allow = {"RecursiveLoop": "Allow"}
    assert body(client.put_function_recursion_config(FunctionName=name, **allow)) == allow
    assert body(client.get_function_recursion_config(FunctionName=name)) == allow
    told = refusal(client, "put_function_recursion_config", FunctionName=name, RecursiveLoop="InvalidValue")
    assert told == (
        400,
        "ValidationException",
        "1 validation error detected: Value 'InvalidValue' at 'recursiveLoop' failed to satisfy constraint: Member "
        "must satisfy enum value set: [Terminate, Allow]",
    )


def test_a_code_signing_config_from_its_creation_to_its_end(client):
    publishers = {"SigningProfileVersionArns": [PROFILE]}
    made = client.create_code_signing_config(Description="d", AllowedPublishers=publishers)["CodeSigningConfig"]
    assert re.fullmatch(r"csc-[0-9a-z]{17}", made["CodeSigningConfigId"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", made.pop("LastModified"))
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:code-signing-config:{made['CodeSigningConfigId']}"
    assert made == {
        "CodeSigningConfigId": made["CodeSigningConfigId"],
        "CodeSigningConfigArn": arn,
        "Description": "d",
        "AllowedPublishers": publishers,
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"},
    }
    enforce = {"UntrustedArtifactOnDeployment": "Enforce"}
    client.update_code_signing_config(CodeSigningConfigArn=arn, CodeSigningPolicies=enforce)
    found = client.get_code_signing_config(CodeSigningConfigArn=arn)["CodeSigningConfig"]
    assert (found["CodeSigningPolicies"], found["Description"]) == (enforce, "d")
    listed = client.list_code_signing_configs()["CodeSigningConfigs"]
    assert arn in [one["CodeSigningConfigArn"] for one in listed]
    deleted = client.delete_code_signing_config(CodeSigningConfigArn=arn)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    for operation in (
        "get_code_signing_config",
        "update_code_signing_config",
        "delete_code_signing_config",
        "list_functions_by_code_signing_config",
    ):
        told = refusal(client, operation, CodeSigningConfigArn=arn)
        message = f"The Lambda code signing configuration {arn} can not be found."
        assert told == (404, "ResourceNotFoundException", message), operation


def test_a_function_follows_a_code_signing_config(client, deploy, config):
    function = deploy(ECHO, CodeSigningConfigArn=config)
    name = function.name
    following = {"CodeSigningConfigArn": config, "FunctionName": name}
    assert body(client.get_function_code_signing_config(FunctionName=name)) == following
    listed = client.list_functions_by_code_signing_config(CodeSigningConfigArn=config)
    assert listed["FunctionArns"] == [function.arn]
    told = refusal(client, "delete_code_signing_config", CodeSigningConfigArn=config)
    assert (told.status, told.kind) == (409, "ResourceConflictException")
    client.delete_function_code_signing_config(FunctionName=name)
    assert body(client.get_function_code_signing_config(FunctionName=name)) == {}
    assert body(client.put_function_code_signing_config(FunctionName=name, CodeSigningConfigArn=config)) == following
    told = refusal(client, "put_function_code_signing_config", FunctionName=name, CodeSigningConfigArn=GONE)
    assert told == (
        404,
        "CodeSigningConfigNotFoundException",
        f"The code signing configuration cannot be found. Check that the provided configuration is not deleted: {GONE}.",
    )
    client.delete_function_code_signing_config(FunctionName=name)
