"""Who may call a host that has a credentials file."""

import json
import os
import subprocess
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from fixtures import PYTHON, deployer, started
from hearth import ANSWER_LIMIT, ROLE, refusal, zip_of

KEYS = """
[default]
aws_access_key_id = AKIDEFAULT
aws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY

[other]
aws_access_key_id = ASIAOTHER
aws_secret_access_key = other
aws_session_token = a/session+token=
aws_account_id = 123456789012
"""
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ECHO = "def handler(event, context):\n    return event\n"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
UNKNOWN = "The security token included in the request is invalid."
FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "credentials"
    path.write_text(KEYS)
    return path


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, keys):
    """A host that knows who may call, and listens where others reach it."""
    yield from started(tmp_path_factory, "guarded", "--credentials", str(keys), listen="0.0.0.0:0")


def client_of(host, key, secret, token=None, region="us-east-1"):
    return boto3.client(
        "lambda",
        endpoint_url=host.url,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=ANSWER_LIMIT, proxies={}),
    )


@pytest.fixture
def client(guarded):
    client = client_of(guarded, "AKIDEFAULT", SECRET)
    # What refusals are read from.
    client.meta.events.register("after-call.lambda", lambda http_response, **_: keep(client, http_response))
    return client


def keep(client, http_response):
    client.last_answer = http_response


@pytest.fixture
def deploy(client, request):
    yield from deployer(client, request.node.name)


def get(url, headers=None, data=None):
    """Status and body of a plain request."""
    request = urllib.request.Request(url, headers=headers or {}, data=data)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_LIMIT) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_whoever_holds_a_key_does_what_they_like(deploy):
    function = deploy(ECHO)
    client = function.client
    assert function.invoke({"ä b": "+/ ~"}).json == {"ä b": "+/ ~"}
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:{function.name}"
    assert client.get_function(FunctionName=arn, Qualifier="$LATEST")["Configuration"]["State"] == "Active"
    client.tag_resource(Resource=arn, Tags={"key with space": "ü"})
    client.untag_resource(Resource=arn, TagKeys=["key with space", "b+c", "a"])
    client.create_alias(FunctionName=function.name, Name="a_b-c", FunctionVersion="$LATEST")
    assert client.get_alias(FunctionName=function.name, Name="a_b-c")["Name"] == "a_b-c"
    answer = client.invoke_with_response_stream(FunctionName=function.name, Payload=b'"streamed"')
    assert [event for event in answer["EventStream"]][0]["PayloadChunk"]["Payload"] == b'"streamed"'


def test_an_account_is_that_of_the_key(guarded):
    client = client_of(guarded, "ASIAOTHER", "other", "a/session+token=", "eu-west-3")
    created = client.create_function(
        FunctionName="theirs",
        Runtime=PYTHON,
        Handler="handler.handler",
        Role=ROLE,
        Code={"ZipFile": zip_of({"handler.py": ECHO})},
    )
    assert created["FunctionArn"] == "arn:aws:lambda:eu-west-3:123456789012:function:theirs"
    client.delete_function(FunctionName="theirs")


@pytest.mark.parametrize(
    "key, secret, token, kind, message",
    [
        ("AKIDEFAULT", "guessed", None, "InvalidSignatureException", MISMATCH),
        ("AKIDOTHER", SECRET, None, "UnrecognizedClientException", UNKNOWN),
        ("ASIAOTHER", "other", None, "UnrecognizedClientException", UNKNOWN),
        ("ASIAOTHER", "other", "wrong", "UnrecognizedClientException", UNKNOWN),
    ],
    ids=["wrong secret", "unknown key", "no token", "wrong token"],
)
def test_nobody_else_does_anything(guarded, key, secret, token, kind, message):
    client = client_of(guarded, key, secret, token)
    client.meta.events.register("after-call.lambda", lambda http_response, **_: keep(client, http_response))
    refused = refusal(client, "list_functions")
    assert refused == (403, kind, message)
    assert refused.body == {"message": message}
    assert refusal(client, "invoke", FunctionName="f", Payload=b"{}") == (403, kind, message)


def test_what_is_not_signed_is_refused(guarded):
    told = json.dumps({"message": "Missing Authentication Token"}, separators=(",", ":")).encode()
    for path in ("/2015-03-31/functions", "/_hearth/instances", "/_hearth/metrics", "/nowhere"):
        assert get(guarded.url + path) == (403, told), path
    assert get(guarded.url + "/_hearth/health")[0] == 200
    status, body = get(guarded.url + "/2015-03-31/functions", headers={"Authorization": "Bearer secret"})
    assert (status, b"Authorization header requires 'Credential' parameter" in body) == (403, True)
    assert b"secret" not in body


def test_another_accounts_function_is_invoked_by_those_whom_its_policy_lets(deploy, guarded):
    function = deploy(ECHO)
    other = client_of(guarded, "ASIAOTHER", "other", "a/session+token=")
    other.meta.events.register("after-call.lambda", lambda http_response, **_: keep(other, http_response))
    denied = "User: arn:aws:iam::123456789012:root is not authorized to {} on resource: {} because no {}"
    reason = "resource-based policy allows it"
    invoke = denied.format("perform: lambda:InvokeFunction", function.arn, reason)
    read = denied.format("perform this operation", function.arn, reason)
    assert refusal(other, "invoke", FunctionName=function.arn) == (403, "AccessDeniedException", invoke)
    function.client.add_permission(
        FunctionName=function.name,
        StatementId="other",
        Action="lambda:InvokeFunction",
        Principal="123456789012",
    )
    assert other.invoke(FunctionName=function.arn, Payload=b"1")["Payload"].read() == b"1"
    assert refusal(other, "get_function", FunctionName=function.arn) == (403, "AccessDeniedException", read)


def test_a_link_to_code_needs_no_signature_of_its_reader(deploy):
    function = deploy(ECHO)
    location = function.client.get_function(FunctionName=function.name)["Code"]["Location"]
    assert "X-Amz-Expires=600" in location
    status, code = get(location)
    assert (status, code) == (200, zip_of({"handler.py": ECHO}))
    assert get(location.split("?")[0])[0] == 403
    assert get(location.replace("X-Amz-Expires=600", "X-Amz-Expires=60000"))[0] == 403


def test_a_function_calls_its_host_with_its_own_keys(deploy, guarded):
    inner = deploy(ECHO)
    function = deploy(
        """
import os
import boto3

def handler(event, context):
    client = boto3.client("lambda", endpoint_url=event["host"])
    return client.invoke(FunctionName=event["inner"], Payload=b'"from inside"')["Payload"].read().decode()
""",
        Timeout=30,
        Environment={"Variables": {"PYTHONPATH": os.path.dirname(os.path.dirname(boto3.__file__))}},
    )
    answer = function.invoke({"host": guarded.url, "inner": inner.name})
    assert answer.json == '"from inside"'


def test_a_url_with_iam_serves_whoever_signs(deploy, guarded):
    function = deploy("def handler(event, context):\n    return event['requestContext']['authorizer']['iam']\n")
    url = function.client.create_function_url_config(FunctionName=function.name, AuthType="AWS_IAM")["FunctionUrl"]
    url = f"{guarded.url}/_hearth/url/{url.split('/')[2].split('.')[0]}/a%20b?c=d"
    refused = (403, json.dumps({"Message": FORBIDDEN}, separators=(",", ":")).encode())
    assert get(url) == refused

    def link(secret):
        request = AWSRequest("GET", url)
        SigV4QueryAuth(Credentials("AKIDEFAULT", secret), "lambda", "us-east-1", expires=60).add_auth(request)
        return request.url

    assert get(link("guessed")) == refused
    status, body = get(link(SECRET))
    assert (status, json.loads(body)["accessKey"]) == (200, "AKIDEFAULT")


def test_the_command_line_signs_too(guarded, keys):
    def instances(*args):
        command = [os.environ["HEARTH_BIN"], "instances", "--listen", guarded.url.removeprefix("http://"), *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_LIMIT)

    assert instances("--credentials", str(keys)).returncode == 0
    refused = instances()
    assert refused.returncode == 1
    assert "Missing Authentication Token" in refused.stderr
    assert "name a file with its keys with --credentials FILE" in refused.stderr
