"""Recorded facts 61 to 69, 84 and 85: what versions, aliases, layers and limits are refused with."""

import base64
import hashlib

import pytest

from hearth import ACCOUNT, REGION, refusal, zip_of

ECHO = {"handler.py": "def handler(event, context):\n    return event\n"}
REFUSED = {"Type": "User"}


@pytest.fixture
def function(deploy):
    """One with the versions 1 and 2, and an alias to the first."""
    function = deploy(files=ECHO)
    client, name = function.client, function.name
    client.publish_version(FunctionName=name)
    client.update_function_configuration(FunctionName=name, Description="the second")
    function.wait_until_updated()
    client.publish_version(FunctionName=name)
    client.create_alias(FunctionName=name, Name="custom", FunctionVersion="1")
    return function


@pytest.fixture
def layers(client, request):
    """Makes layers of one version each, or more versions of one; they go at the end."""
    published = []

    def publish(name):
        answer = client.publish_layer_version(LayerName=name, Content={"ZipFile": zip_of({"a": "b"})})
        published.append((name, answer["Version"]))
        return answer["LayerVersionArn"]

    yield publish
    for name, version in published:
        client.delete_layer_version(LayerName=name, VersionNumber=version)


def invalid(message):
    return 400, "InvalidParameterValueException", message


def missing(message):
    return 404, "ResourceNotFoundException", message


def test_fact_061_another_digest_than_that_of_latest(function):
    present = base64.b64encode(hashlib.sha256(zip_of(ECHO)).digest()).decode()
    told = refusal(function.client, "publish_version", FunctionName=function.name, CodeSha256="somenonexistentsha256")
    message = (
        f"CodeSHA256 (somenonexistentsha256) is different from current CodeSHA256 in $LATEST ({present}). Please try "
        "again with the CodeSHA256 in $LATEST."
    )
    assert told == invalid(message)
    assert told.body == REFUSED | {"message": message}


def test_fact_062_an_alias_that_exists(function):
    same = {"FunctionName": function.name, "Name": "custom", "FunctionVersion": "1"}
    told = refusal(function.client, "create_alias", **same)
    message = f"Alias already exists: {function.arn}:custom"
    assert told == (409, "ResourceConflictException", message)
    assert told.body == REFUSED | {"message": message}


def test_fact_063_an_alias_that_is_looked_for_in_vain(function):
    told = refusal(function.client, "get_alias", FunctionName=function.name, Name="non-existent")
    message = f"Cannot find alias arn: {function.arn}:non-existent"
    assert told == missing(message)
    assert told.body == REFUSED | {"Message": message}


def test_fact_064_an_alias_that_cannot_be_updated_because_there_is_none(function):
    told = refusal(function.client, "update_alias", FunctionName=function.name, Name="non-existent")
    message = f"Alias not found: {function.arn}:non-existent"
    assert told == missing(message)
    assert told.body == REFUSED | {"Message": message}


def test_fact_065_an_alias_that_is_called_as_a_version_might_be(function):
    called = {"FunctionName": function.name, "Name": "2024", "FunctionVersion": "1"}
    assert refusal(function.client, "create_alias", **called) == (
        400,
        "ValidationException",
        "1 validation error detected: Value '2024' at 'name' failed to satisfy constraint: Member must satisfy regular "
        "expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
    )


def test_fact_066_an_alias_with_weights_for_two_versions(function):
    weights = {"AdditionalVersionWeights": {"1": 0.1, "2": 0.2}}
    new = {"FunctionName": function.name, "Name": "weighted", "FunctionVersion": "1", "RoutingConfig": weights}
    told = refusal(function.client, "create_alias", **new)
    message = "Number of items in AdditionalVersionWeights cannot be greater than 1"
    assert told == invalid(message)
    assert told.body == REFUSED | {"message": message}


def test_fact_067_a_function_with_six_layers(function, layers):
    six = [layers(f"fact-067-{number}") for number in range(6)]
    told = refusal(function.client, "update_function_configuration", FunctionName=function.name, Layers=six)
    assert told == invalid("Cannot reference more than 5 layers.")
    assert told.body == REFUSED | {"message": told.message}


def test_fact_068_a_layer_version_that_does_not_exist(function, layers):
    absent = layers("fact-068").removesuffix(":1") + ":9"
    told = refusal(function.client, "update_function_configuration", FunctionName=function.name, Layers=[absent])
    assert told == invalid(f"Layer version {absent} does not exist.")
    assert told.body == REFUSED | {"message": told.message}


def test_fact_069_the_same_layer_twice(function, layers):
    first, second = layers("fact-069"), layers("fact-069")
    both = {"FunctionName": function.name, "Layers": [first, second]}
    told = refusal(function.client, "update_function_configuration", **both)
    assert told == invalid(
        "Two different versions of the same layer are not allowed to be referenced in the same function. "
        f"{first} and {second} are versions of the same layer."
    )
    assert told.body == REFUSED | {"message": told.message}


def test_fact_084_a_reservation_that_leaves_too_little_to_others(function):
    everything = function.client.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    reserve = {"FunctionName": function.name, "ReservedConcurrentExecutions": everything}
    told = refusal(function.client, "put_function_concurrency", **reserve)
    message = (
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
        "its minimum value of [100]."
    )
    assert told == invalid(message)
    assert told.body == {"message": message}


def test_fact_085_an_unknown_function_has_no_event_invoke_config(client):
    told = refusal(client, "get_function_event_invoke_config", FunctionName="fact-085")
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fact-085"
    message = f"The function {arn}:$LATEST doesn't have an EventInvokeConfig"
    assert told == missing(message)
    assert told.body == REFUSED | {"Message": message}
