"""Permissions of functions and of layers."""

import json

import pytest

from hearth import ACCOUNT, REGION, UUID, refusal, zip_of

BUCKET = "arn:aws:s3:::bucket"
INVOKE = {"Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
NO_POLICY = (404, "ResourceNotFoundException", "The resource you requested does not exist.")


@pytest.fixture
def function(deploy):
    return deploy("def handler(event, context):\n    return event\n")


@pytest.fixture
def layer(client, request):
    name = request.node.name.replace("_", "-")
    published = client.publish_layer_version(LayerName=name, Content={"ZipFile": zip_of({"a": "b"})})
    yield name, published["LayerVersionArn"]
    client.delete_layer_version(LayerName=name, VersionNumber=1)


def policy_of(client, **what):
    answer = client.get_policy(**what)
    return json.loads(answer["Policy"]), answer["RevisionId"]


def test_a_policy_from_its_first_statement_to_its_last(client, function):
    name = function.name
    assert refusal(client, "get_policy", FunctionName=name) == NO_POLICY
    added = client.add_permission(
        FunctionName=name, StatementId="s3", SourceArn=BUCKET, SourceAccount=ACCOUNT, **INVOKE
    )
    assert added["ResponseMetadata"]["HTTPStatusCode"] == 201
    # The order of the members is AWS's, too.
    assert added["Statement"] == (
        '{"Sid":"s3","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction",'
        f'"Resource":"{function.arn}","Condition":{{"StringEquals":{{"AWS:SourceAccount":"{ACCOUNT}"}},'
        f'"ArnLike":{{"AWS:SourceArn":"{BUCKET}"}}}}}}'
    )
    url = {"Action": "lambda:InvokeFunctionUrl", "Principal": "*", "FunctionUrlAuthType": "NONE"}
    client.add_permission(FunctionName=name, StatementId="url", **url)
    client.add_permission(FunctionName=name, StatementId="other", Action="lambda:*", Principal="123456789012")
    organization = {"PrincipalOrgID": "o-0123456789"}
    client.add_permission(FunctionName=name, StatementId="all", Action="lambda:*", Principal="*", **organization)

    policy, revision = policy_of(client, FunctionName=name)
    assert (policy["Version"], policy["Id"]) == ("2012-10-17", "default")
    assert policy["Statement"][0] == json.loads(added["Statement"])
    assert [(one["Sid"], one["Principal"], one.get("Condition")) for one in policy["Statement"][1:]] == [
        ("url", "*", {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}),
        ("other", {"AWS": "arn:aws:iam::123456789012:root"}, None),
        ("all", "*", {"StringEquals": {"aws:PrincipalOrgID": "o-0123456789"}}),
    ]
    assert revision == client.get_function_configuration(FunctionName=name)["RevisionId"]

    for sid in ("s3", "url", "other", "all"):
        removed = client.remove_permission(FunctionName=name, StatementId=sid)
        assert removed["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(client, "get_policy", FunctionName=name) == NO_POLICY


def test_versions_and_aliases_have_policies_of_their_own(client, function):
    name = function.name
    version = client.publish_version(FunctionName=name)["Version"]
    alias = client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    for qualifier in (version, "live"):
        client.add_permission(FunctionName=name, StatementId="s", Qualifier=qualifier, **INVOKE)
        policy, _ = policy_of(client, FunctionName=name, Qualifier=qualifier)
        assert policy["Statement"][0]["Resource"] == f"{function.arn}:{qualifier}"
    assert refusal(client, "get_policy", FunctionName=name) == NO_POLICY
    revised = client.get_alias(FunctionName=name, Name="live")
    assert revised["RevisionId"] != alias["RevisionId"]
    client.remove_permission(FunctionName=name, StatementId="s", Qualifier="live", RevisionId=revised["RevisionId"])
    assert refusal(client, "get_policy", FunctionName=name, Qualifier="live") == NO_POLICY


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"StatementId": "there"},
            (
                409,
                "ResourceConflictException",
                "The statement id (there) provided already exists. Please provide a new statement id, or remove the "
                "existing statement.",
            ),
        ),
        (
            {"Principal": "invalid.nonaws.com"},
            (
                400,
                "InvalidParameterValueException",
                "The provided principal was invalid. Please check the principal and try again.",
            ),
        ),
        (
            {"Qualifier": "$LATEST"},
            (400, "InvalidParameterValueException", "We currently do not support adding policies for $LATEST."),
        ),
        (
            {"Qualifier": "nowhere"},
            (404, "ResourceNotFoundException", "Cannot find alias arn: {arn}:nowhere"),
        ),
        ({"Qualifier": "42"}, (404, "ResourceNotFoundException", "Function not found: {arn}:42")),
        (
            {"RevisionId": "wrong"},
            (
                412,
                "PreconditionFailedException",
                "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to "
                "retrieve the latest Revision Id",
            ),
        ),
        (
            {"StatementId": "a.b"},
            (
                400,
                "ValidationException",
                "1 validation error detected: Value 'a.b' at 'statementId' failed to satisfy constraint: Member must "
                "satisfy regular expression pattern: ([a-zA-Z0-9-_]+)",
            ),
        ),
        (
            {"FunctionUrlAuthType": "NONE"},
            (
                400,
                "InvalidParameterValueException",
                "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action",
            ),
        ),
    ],
)
def test_a_permission_that_cannot_be_added_is_refused(client, function, given, expected):
    client.add_permission(FunctionName=function.name, StatementId="there", **INVOKE)
    before = client.get_policy(FunctionName=function.name)["Policy"]
    status, kind, message = expected
    asked = {"FunctionName": function.name, "StatementId": "new"} | INVOKE | given
    assert refusal(client, "add_permission", **asked) == (status, kind, message.format(arn=function.arn))
    assert client.get_policy(FunctionName=function.name)["Policy"] == before


def test_what_is_not_there_cannot_be_removed(client, function):
    ask = {"FunctionName": function.name, "StatementId": "s"}
    assert refusal(client, "remove_permission", **ask) == (
        404,
        "ResourceNotFoundException",
        "No policy is associated with the given resource.",
    )
    client.add_permission(FunctionName=function.name, StatementId="other", **INVOKE)
    assert refusal(client, "remove_permission", **ask) == (
        404,
        "ResourceNotFoundException",
        "Statement s is not found in resource policy.",
    )
    nobody = f"Function not found: arn:aws:lambda:{REGION}:{ACCOUNT}:function:nobody"
    for operation, more in [("remove_permission", {"StatementId": "s"}), ("get_policy", {})]:
        told = refusal(client, operation, FunctionName="nobody", **more)
        assert told == (404, "ResourceNotFoundException", nobody)


def test_a_policy_has_a_limit(client, function):
    longest = f"arn:aws:s3:::{'x' * 9000}"
    client.add_permission(FunctionName=function.name, StatementId="a", SourceArn=longest, **INVOKE)
    client.add_permission(FunctionName=function.name, StatementId="b", SourceArn=longest, **INVOKE)
    ask = {"FunctionName": function.name, "StatementId": "c", "SourceArn": longest}
    told = refusal(client, "add_permission", **ask, **INVOKE)
    assert (told.status, told.kind) == (400, "PolicyLengthExceededException")


def test_a_permission_while_a_function_is_made_does_not_stop_that(deploy_slowly, slow_host):
    client = slow_host.client()
    function = deploy_slowly("pass")
    client.update_function_configuration(FunctionName=function.name, Description="changes")
    client.add_permission(FunctionName=function.name, StatementId="s", **INVOKE)
    function.wait_until_updated()
    assert client.get_function_configuration(FunctionName=function.name)["Description"] == "changes"


def test_a_layers_policy_from_its_first_statement_to_its_last(client, layer):
    name, arn = layer
    version = {"LayerName": name, "VersionNumber": 1}
    none = (404, "ResourceNotFoundException", "No policy is associated with the given resource.")
    assert refusal(client, "get_layer_version_policy", **version) == none
    allow = version | {"Action": "lambda:GetLayerVersion", "Principal": "123456789012"}
    added = client.add_layer_version_permission(StatementId="s1", **allow)
    assert added["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert added["Statement"] == (
        '{"Sid":"s1","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},'
        f'"Action":"lambda:GetLayerVersion","Resource":"{arn}"}}'
    )
    assert UUID.fullmatch(added["RevisionId"])
    everybody = allow | {"Principal": "*", "OrganizationId": "o-0123456789"}
    client.add_layer_version_permission(StatementId="s2", RevisionId=added["RevisionId"], **everybody)
    stale = refusal(client, "add_layer_version_permission", StatementId="s3", RevisionId="wrong", **allow)
    assert stale == (
        412,
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to retrieve the "
        "latest Revision Id",
    )
    again = refusal(client, "add_layer_version_permission", StatementId="s1", **allow)
    assert (again.status, again.kind) == (409, "ResourceConflictException")
    policy = json.loads(client.get_layer_version_policy(**version)["Policy"])
    assert (policy["Version"], policy["Id"]) == ("2012-10-17", "default")
    assert policy["Statement"][1]["Condition"] == {"StringEquals": {"aws:PrincipalOrgID": "o-0123456789"}}

    client.remove_layer_version_permission(StatementId="s1", **version)
    assert refusal(client, "remove_layer_version_permission", StatementId="s1", **version) == (
        404,
        "ResourceNotFoundException",
        "Statement s1 is not found in resource policy.",
    )
    client.remove_layer_version_permission(StatementId="s2", **version)
    assert refusal(client, "get_layer_version_policy", **version) == none


def test_a_layers_permission_that_makes_no_sense_is_refused(client, layer):
    name, arn = layer
    ask = {"LayerName": name, "VersionNumber": 2, "StatementId": "s", "Principal": "*"}
    assert refusal(client, "add_layer_version_permission", Action="lambda:GetLayerVersion", **ask) == (
        404,
        "ResourceNotFoundException",
        f"Layer version {arn.removesuffix('1')}2 does not exist.",
    )
    assert refusal(client, "add_layer_version_permission", Action="lambda:*", **ask) == (
        400,
        "ValidationException",
        "1 validation error detected: Value 'lambda:*' at 'action' failed to satisfy constraint: Member must satisfy "
        "regular expression pattern: lambda:GetLayerVersion",
    )
