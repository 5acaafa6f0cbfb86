"""Recorded facts 43 to 60: create, read, update, delete."""

import base64
import concurrent.futures
import hashlib
import re
import urllib.request

import pytest

from fixtures import PYTHON
from hearth import ACCOUNT, ANSWER_LIMIT, REGION, ROLE, UUID, Function, refusal, wait, zip_of

ECHO = "def handler(event, context):\n    return event\n"
PACKAGE = zip_of({"handler.py": ECHO})
LAST_MODIFIED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000")
IN_PROGRESS = {
    "LastUpdateStatus": "InProgress",
    "LastUpdateStatusReason": "The function is being created.",
    "LastUpdateStatusReasonCode": "Creating",
}


def create(client, name, package=PACKAGE, **settings):
    settings = {"Runtime": PYTHON, "Handler": "handler.handler", "Role": ROLE} | settings
    return client.create_function(FunctionName=name, Code={"ZipFile": package}, **settings)


def arn(name):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def configuration(answer):
    """A FunctionConfiguration without what differs from run to run; the form of that is checked."""
    fields = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    assert UUID.fullmatch(fields.pop("RevisionId"))
    assert LAST_MODIFIED.fullmatch(fields.pop("LastModified"))
    runtime_arn = fields.pop("RuntimeVersionConfig")["RuntimeVersionArn"]
    assert re.fullmatch(rf"arn:aws:lambda:{REGION}::runtime:[0-9a-f]{{64}}", runtime_arn)
    return fields


def expected(name, package=PACKAGE, **differing):
    """What AWS answers for a function with its defaults."""
    return {
        "Architectures": ["x86_64"],
        "CodeSha256": base64.b64encode(hashlib.sha256(package).digest()).decode(),
        "CodeSize": len(package),
        "Description": "",
        "EphemeralStorage": {"Size": 512},
        "FunctionArn": arn(name),
        "FunctionName": name,
        "Handler": "handler.handler",
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
        "MemorySize": 128,
        "PackageType": "Zip",
        "Role": ROLE,
        "Runtime": PYTHON,
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "State": "Active",
        "Timeout": 3,
        "TracingConfig": {"Mode": "PassThrough"},
        "Version": "$LATEST",
    } | differing


def test_fact_043_create_answers_pending(client):
    name = "fact-043"
    answer = create(client, name)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert configuration(answer) == expected(
        name, State="Pending", StateReason="The function is being created.", StateReasonCode="Creating"
    )
    wait(client, "function_active_v2", name)
    client.delete_function(FunctionName=name)


def test_fact_044_get_function_once_it_is_active(deploy):
    function = deploy(ECHO)
    answer = function.client.get_function(FunctionName=function.name)
    assert configuration(answer["Configuration"]) == expected(function.name, LastUpdateStatus="Successful")
    assert answer["Code"]["RepositoryType"] == "S3"
    assert set(answer) == {"Code", "Configuration", "ResponseMetadata"}
    with urllib.request.urlopen(answer["Code"]["Location"], timeout=ANSWER_LIMIT) as package:
        assert package.read() == PACKAGE
    alone = function.client.get_function_configuration(FunctionName=function.name)
    assert configuration(alone) == expected(function.name, LastUpdateStatus="Successful")


def test_facts_045_and_046_updates_answer_in_progress(deploy):
    function = deploy(ECHO)
    changes = {"Description": "Changed-Description", "MemorySize": 512, "Timeout": 10}
    changes |= {"Environment": {"Variables": {"ENV_A": "a"}}}
    answer = function.client.update_function_configuration(FunctionName=function.name, **changes)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert configuration(answer) == expected(function.name, **changes, **IN_PROGRESS)
    function.wait_until_updated()

    package = zip_of({"handler.py": "def handler(event, context):\n    return 'new'\n"})
    answer = function.client.update_function_code(FunctionName=function.name, ZipFile=package)
    assert configuration(answer) == expected(function.name, package, **changes, **IN_PROGRESS)
    function.wait_until_updated()

    answer = function.client.get_function_configuration(FunctionName=function.name)
    assert configuration(answer) == expected(function.name, package, **changes, LastUpdateStatus="Successful")
    assert function.invoke().json == "new"


def test_facts_047_and_048_delete_and_delete_again(client):
    name = "fact-047"
    create(client, name)
    wait(client, "function_active_v2", name)
    assert client.delete_function(FunctionName=name)["ResponseMetadata"]["HTTPStatusCode"] == 204
    refused = refusal(client, "delete_function", FunctionName=name)
    message = f"Function not found: {arn(name)}"
    assert refused == (404, "ResourceNotFoundException", message)
    assert refused.body == {"Type": "User", "Message": message}
    assert refusal(client, "invoke", FunctionName=name).message == f"{message}:$LATEST"


def test_fact_049_get_an_unknown_function(client):
    refused = refusal(client, "get_function", FunctionName="fact-049")
    message = f"Function not found: {arn('fact-049')}"
    assert refused == (404, "ResourceNotFoundException", message)
    assert refused.body == {"Type": "User", "Message": message}


def test_fact_050_get_an_unknown_version(echo):
    refused = refusal(echo.client, "get_function", FunctionName=echo.name, Qualifier="1221")
    assert refused == (404, "ResourceNotFoundException", f"Function not found: {echo.arn}:1221")


def test_fact_051_the_latest_version_cannot_be_deleted_alone(echo):
    refused = refusal(echo.client, "delete_function", FunctionName=echo.name, Qualifier="$LATEST")
    message = "$LATEST version cannot be deleted without deleting the function."
    assert refused == (400, "InvalidParameterValueException", message)
    assert refused.body == {"Type": "User", "message": message}


def test_fact_052_an_update_while_one_is_in_progress(deploy_slowly):
    function = deploy_slowly(ECHO)
    function.client.update_function_configuration(FunctionName=function.name, Timeout=5)
    message = f"The operation cannot be performed at this time. An update is in progress for resource: {function.arn}"
    for operation, change in [
        ("update_function_configuration", {"Timeout": 4}),
        ("update_function_code", {"ZipFile": PACKAGE}),
    ]:
        refused = refusal(function.client, operation, FunctionName=function.name, **change)
        assert refused == (409, "ResourceConflictException", message)
        assert refused.body == {"Type": "User", "message": message}
    # The function goes on serving meanwhile.
    assert function.invoke("still here").json == "still here"
    function.wait_until_updated()
    function.client.update_function_configuration(FunctionName=function.name, Timeout=4)
    function.wait_until_updated()
    assert function.client.get_function_configuration(FunctionName=function.name)["Timeout"] == 4


def test_a_function_that_is_still_being_created_takes_nothing(slow_host):
    client = slow_host.client()
    create(client, "pending")
    message = (
        "The operation cannot be performed at this time. "
        "The function is currently in the following state: Pending"
    )
    for operation, change in [("invoke", {}), ("update_function_configuration", {"Timeout": 4})]:
        refused = refusal(client, operation, FunctionName="pending", **change)
        assert refused == (409, "ResourceConflictException", message)
    wait(client, "function_active_v2", "pending")
    assert client.invoke(FunctionName="pending", Payload=b"1")["Payload"].read() == b"1"
    client.delete_function(FunctionName="pending")


def test_fact_053_a_role_that_is_no_arn(client):
    refused = refusal(client, "create_function", **new_function("fact-053", Role="r1"))
    message = (
        "1 validation error detected: Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy regular "
        r"expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"
    )
    assert refused == (400, "ValidationException", message)


def test_fact_054_an_unknown_runtime(client):
    refused = refusal(client, "create_function", **new_function("fact-054", Runtime="non-existent-runtime"))
    message = (
        "Value non-existent-runtime at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
        "[nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, java25, python3.10, "
        "python3.11, java21, ruby3.3, ruby3.4, ruby3.2, python3.8, python3.9, java17, nodejs16.x, dotnet10, dotnet8, "
        "java11, dotnet6, nodejs18.x, provided.al2, java8.al2] or be a valid ARN"
    )
    assert refused == (400, "InvalidParameterValueException", message)
    assert refused.body == {"Type": "User", "message": message}


def test_fact_055_a_package_that_is_no_zip(client):
    message = "Could not unzip uploaded file. Please check your file, then try to upload again."
    for package in [b"not a zip", PACKAGE[:-30]]:
        refused = refusal(client, "create_function", **new_function("fact-055", Code={"ZipFile": package}))
        assert refused == (400, "InvalidParameterValueException", message)
        assert refused.body == {"Type": "User", "message": message}


def test_fact_056_two_architectures(client):
    both = ["x86_64", "arm64"]
    refused = refusal(client, "create_function", **new_function("fact-056", Architectures=both))
    message = (
        "1 validation error detected: Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: "
        "Member must have length less than or equal to 1"
    )
    assert refused == (400, "ValidationException", message)


def test_fact_057_a_request_that_is_too_large(client):
    code = {"ZipFile": bytes(53_000_000)}
    refused = refusal(client, "create_function", **new_function("fact-057", Code=code))
    message = "Request must be smaller than 70167211 bytes for the CreateFunction operation"
    assert refused == (413, "RequestEntityTooLargeException", message)


def test_fact_058_a_zip_that_is_too_large(client):
    code = {"ZipFile": bytes(52_428_801)}
    refused = refusal(client, "create_function", **new_function("fact-058", Code=code))
    assert refused == (413, "RequestEntityTooLargeException", "Zipped size must be smaller than 52428800 bytes")


def test_fact_059_a_runtime_that_is_no_longer_supported(client):
    refused = refusal(client, "create_function", **new_function("fact-059", Runtime="python3.7"))
    message = (
        "The runtime parameter of python3.7 is no longer supported for creating or updating AWS Lambda functions. "
        "We recommend you use a supported runtime while creating or updating functions."
    )
    assert refused == (400, "InvalidParameterValueException", message)
    assert refused.body == {"Type": "User", "message": message}


def test_fact_060_another_revision_than_the_latest(deploy):
    function = deploy(ECHO)
    stale = {"FunctionName": function.name, "RevisionId": "00000000-0000-0000-0000-000000000000"}
    message = (
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve "
        "the latest Revision Id"
    )
    for operation, change in [
        ("update_function_configuration", {"Timeout": 4}),
        ("update_function_code", {"ZipFile": PACKAGE}),
    ]:
        refused = refusal(function.client, operation, **stale, **change)
        assert refused == (412, "PreconditionFailedException", message)
        assert refused.body == {"Type": "User", "message": message}
    current = function.client.get_function_configuration(FunctionName=function.name)["RevisionId"]
    function.client.update_function_configuration(FunctionName=function.name, RevisionId=current, Timeout=4)
    function.wait_until_updated()


def new_function(name, **settings):
    defaults = {"Runtime": PYTHON, "Handler": "handler.handler", "Role": ROLE, "Code": {"ZipFile": PACKAGE}}
    return {"FunctionName": name} | defaults | settings


def test_a_name_is_used_once(deploy):
    function = deploy(ECHO)
    refused = refusal(function.client, "create_function", **new_function(function.name))
    message = f"Function already exist: {function.name}"
    assert refused == (409, "ResourceConflictException", message)
    assert refused.body == {"Type": "User", "message": message}


def test_of_many_that_create_the_same_function_one_succeeds(host, client):
    def attempt(_):
        own = host.client()
        try:
            create(own, "contested")
            return "created"
        except own.exceptions.ResourceConflictException:
            return "refused"

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(attempt, range(8)))
    assert sorted(outcomes) == ["created"] + ["refused"] * 7
    wait(client, "function_active_v2", "contested")
    client.delete_function(FunctionName="contested")


def test_list_functions_in_pages(host, deploy):
    names = sorted(f"listed-{letter}" for letter in "dacb")
    for name in names:
        deploy(ECHO, name=name)
    pages = list(deploy.client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}))
    assert all(len(page["Functions"]) <= 2 for page in pages)
    listed = [function["FunctionName"] for page in pages for function in page["Functions"]]
    assert listed == sorted(listed)
    assert [name for name in listed if name.startswith("listed-")] == names


def test_the_digest_of_new_code_is_known_without_deploying_it(deploy):
    function = deploy(ECHO)
    package = zip_of({"handler.py": "def handler(event, context):\n    return 'new'\n"})
    answer = function.client.update_function_code(FunctionName=function.name, ZipFile=package, DryRun=True)
    assert answer["CodeSha256"] == base64.b64encode(hashlib.sha256(package).digest()).decode()
    assert function.invoke("old").json == "old"
    current = function.client.get_function_configuration(FunctionName=function.name)
    assert current["CodeSha256"] == base64.b64encode(hashlib.sha256(PACKAGE).digest()).decode()


def test_versions_keep_what_they_were_published_with(deploy):
    function = deploy("def handler(event, context):\n    return 'one'\n")
    published = function.client.publish_version(FunctionName=function.name)
    assert (published["Version"], published["FunctionArn"]) == ("1", f"{function.arn}:1")
    function.update_code({"handler.py": "def handler(event, context):\n    return 'two'\n"})
    assert function.invoke({}, Qualifier="1").json == "one"
    assert function.invoke({}).json == "two"
    listed = function.client.list_versions_by_function(FunctionName=function.name)["Versions"]
    assert [version["Version"] for version in listed] == ["$LATEST", "1"]


def test_an_alias_names_a_version(deploy):
    function = deploy("def handler(event, context):\n    return context.function_version\n")
    function.client.publish_version(FunctionName=function.name)
    function.client.create_alias(FunctionName=function.name, Name="live", FunctionVersion="1")
    invocation = function.invoke({}, Qualifier="live")
    assert (invocation.json, invocation.version) == ("1", "1")


def test_a_deleted_function_can_be_created_again(deploy):
    function = deploy("def handler(event, context):\n    return 'first'\n", name="reborn")
    assert function.invoke().json == "first"
    function.client.delete_function(FunctionName="reborn")
    function = deploy("def handler(event, context):\n    return 'second'\n", name="reborn")
    assert function.invoke().json == "second"


@pytest.mark.parametrize("waiter", ["function_active", "function_active_v2", "function_updated", "function_updated_v2"])
def test_the_official_waiters_understand_the_states(echo, waiter):
    echo.client.get_waiter(waiter).wait(FunctionName=echo.name, WaiterConfig={"Delay": 1, "MaxAttempts": 1})


def test_function_exists_is_a_waiter_too(deploy):
    function = deploy(ECHO)
    assert isinstance(function, Function)
    function.client.get_waiter("function_exists").wait(FunctionName=function.name)
