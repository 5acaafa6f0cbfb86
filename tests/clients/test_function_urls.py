"""Function URLs: how they are configured, and what plain HTTP gets of them.

Facts 70 to 78 are those recorded from AWS."""

import base64
import http.client
import json
import re
import urllib.parse

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from fixtures import Deployer, needs_node
from hearth import ACCOUNT, ANSWER_LIMIT, REGION, UUID, Host, refusal, wait_until

# Answers what the body says, or the event.
ECHO = """
import base64, json

def handler(event, context):
    if event.get("body") is None or event["rawPath"].startswith("/event"):
        return {"event": event, "arn": context.invoked_function_arn, "id": context.aws_request_id}
    body = event["body"]
    if event["isBase64Encoded"]:
        body = base64.b64decode(body)
    return json.loads(body)
"""
JSON = {"Content-Type": "application/json"}
FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)


class Url:
    """A function's URL, called by its host name over the host's own address."""

    def __init__(self, host, url):
        self.url = urllib.parse.urlsplit(url)
        self.address = urllib.parse.urlsplit(host.url)
        self.id = self.url.hostname.split(".")[0]

    def open(self, method="GET", path="/", body=None, headers=None):
        connection = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=ANSWER_LIMIT)
        connection.request(method, path, body, {"Host": self.url.netloc} | (headers or {}))
        return connection.getresponse()

    def call(self, *args, **kwargs):
        return Answer(self.open(*args, **kwargs))

    def answer(self, document):
        """What becomes of a function's answer."""
        return self.call("POST", "/", json.dumps(document), JSON)


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.text = response.status, response.headers, response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def seen(self):
        return self.status, self.headers["content-type"], self.text


def create(function, **settings):
    """A URL that everybody may call."""
    created = function.client.create_function_url_config(
        FunctionName=function.name, **({"AuthType": "NONE"} | settings)
    )
    if created["AuthType"] == "NONE":
        permit(function, "*", "NONE", **{name: settings[name] for name in settings if name == "Qualifier"})
    return created


def permit(function, principal, auth_type, **settings):
    function.client.add_permission(
        FunctionName=function.name,
        StatementId="url",
        Action="lambda:InvokeFunctionUrl",
        Principal=principal,
        FunctionUrlAuthType=auth_type,
        **settings,
    )


@pytest.fixture(scope="module")
def echo(deploy_once):
    return deploy_once(ECHO)


@pytest.fixture(scope="module")
def url(host, echo):
    return Url(host, create(echo)["FunctionUrl"])


def test_a_url_from_its_creation_to_its_end(host, deploy):
    function = deploy(ECHO)
    client, name = function.client, function.name
    created = create(function, Cors={"AllowOrigins": ["*"], "MaxAge": 60})
    port = host.url.rsplit(":", 1)[1]
    assert re.fullmatch(rf"http://[a-z0-9]{{32}}\.lambda-url\.{REGION}\.localhost:{port}/", created["FunctionUrl"])
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert set(created) - {"ResponseMetadata"} == {"FunctionUrl", "FunctionArn", "AuthType", "Cors", "CreationTime"}
    assert (created["FunctionArn"], created["AuthType"]) == (function.arn, "NONE")
    found = client.get_function_url_config(FunctionName=name)
    assert found["Cors"] == {"AllowOrigins": ["*"], "MaxAge": 60}
    assert found["LastModifiedTime"] == found["CreationTime"] == created["CreationTime"]
    updated = client.update_function_url_config(FunctionName=name, InvokeMode="RESPONSE_STREAM")
    assert (updated["InvokeMode"], updated["AuthType"], updated["Cors"]) == ("RESPONSE_STREAM", "NONE", found["Cors"])
    assert client.update_function_url_config(FunctionName=name)["InvokeMode"] == "RESPONSE_STREAM"
    assert updated["FunctionUrl"] == created["FunctionUrl"]
    deleted = client.delete_function_url_config(FunctionName=name)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert client.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"] == []
    assert Url(host, created["FunctionUrl"]).call().status == 403


def test_an_alias_has_a_url_of_its_own(host, deploy):
    function = deploy(ECHO)
    client, name = function.client, function.name
    version = client.publish_version(FunctionName=name)["Version"]
    client.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    urls = [create(function), create(function, Qualifier="live")]
    assert [url["FunctionArn"] for url in urls] == [function.arn, f"{function.arn}:live"]
    listed = client.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"]
    assert [url["FunctionUrl"] for url in listed] == [url["FunctionUrl"] for url in urls]
    assert Url(host, urls[1]["FunctionUrl"]).call().json["arn"] == f"{function.arn}:live"
    client.delete_alias(FunctionName=name, Name="live")
    assert Url(host, urls[1]["FunctionUrl"]).call().status == 403


def test_fact_070_a_url_that_exists(url, echo):
    parameters = {"FunctionName": echo.name, "AuthType": "NONE"}
    refused = refusal(echo.client, "create_function_url_config", **parameters)
    problem = "FunctionUrlConfig exists for this Lambda function"
    message = f"Failed to create function url config for [functionArn = {echo.arn}]. Error message:  {problem}"
    assert refused == (409, "ResourceConflictException", message)
    assert refused.body == {"Type": "User", "message": message}


@pytest.mark.parametrize("operation", ["get", "update", "delete"])
@pytest.mark.parametrize("exists", [True, False])
def test_fact_071_a_url_that_does_not_exist(deploy, client, operation, exists):
    name = deploy(ECHO).name if exists else "doesnotexist"
    refused = refusal(client, f"{operation}_function_url_config", FunctionName=name)
    message = "The resource you requested does not exist."
    assert refused == (404, "ResourceNotFoundException", message)
    assert refused.body == {"Type": "User", "Message": message}


def test_fact_072_without_a_permission_nobody_may_call(host, deploy):
    function = deploy(ECHO)
    created = function.client.create_function_url_config(FunctionName=function.name, AuthType="NONE")
    url = Url(host, created["FunctionUrl"])
    refused = url.call("POST", "/", "{}")
    assert (refused.status, refused.json) == (403, {"Message": FORBIDDEN})
    assert refused.headers["x-amzn-errortype"] == "AccessDeniedException"
    permit(function, "*", "NONE")
    assert url.answer({"statusCode": 201}).status == 201
    function.client.remove_permission(FunctionName=function.name, StatementId="url")
    assert url.call().status == 403


def test_another_account_may_call_if_the_policy_says_so(host, deploy):
    function = deploy(ECHO)
    url = Url(host, create(function, AuthType="AWS_IAM")["FunctionUrl"])
    ours, theirs = signed(url), signed(url, key="111111111111")
    assert (url.call(headers=ours).status, url.call(headers=theirs).status) == (200, 403)
    permit(function, "111111111111", "AWS_IAM")
    assert url.call(headers=theirs).status == 200
    assert url.call(headers=signed(url, key="222222222222")).status == 403


@pytest.mark.parametrize(
    ("settings", "member", "value", "constraint"),
    [
        ({"AuthType": "ALL"}, "authType", "'ALL'", "Member must satisfy enum value set: [NONE, AWS_IAM]"),
        ({"AuthType": None}, "authType", "null", "Member must not be null"),
        (
            {"InvokeMode": "UNKNOWN"},
            "invokeMode",
            "'UNKNOWN'",
            "Member must satisfy enum value set: [RESPONSE_STREAM, BUFFERED]",
        ),
        (
            {"Qualifier": "1"},
            "qualifier",
            "'1'",
            r"Member must satisfy regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$)",
        ),
        ({"Cors": {"MaxAge": 86401}}, "cors.maxAge", "'86401'", "Member must have value less than or equal to 86400"),
    ],
)
def test_settings_that_are_refused(echo, settings, member, value, constraint):
    parameters = {"FunctionName": echo.name, "AuthType": "NONE"} | settings
    parameters = {name: value for name, value in parameters.items() if value is not None}
    refused = refusal(echo.client, "create_function_url_config", **parameters)
    problem = f"Value {value} at '{member}' failed to satisfy constraint: {constraint}"
    assert refused == (400, "ValidationException", f"1 validation error detected: {problem}")


def test_what_no_url_can_be_for(client, echo):
    for parameters in [{"FunctionName": "doesnotexist"}, {"FunctionName": echo.name, "Qualifier": "none"}]:
        refused = refusal(client, "create_function_url_config", AuthType="NONE", **parameters)
        assert refused == (404, "ResourceNotFoundException", "Function does not exist")


@pytest.mark.parametrize(
    ("answer", "seen"),
    [
        pytest.param({"hello": "world"}, (200, "application/json", '{"hello":"world"}'), id="fact 73"),
        pytest.param(["hello", 3, True], (200, "application/json", '["hello",3,true]'), id="fact 74"),
        pytest.param("hello", (200, "application/json", "hello"), id="fact 75"),
        pytest.param(True, (200, "application/json", "true"), id="fact 76"),
        pytest.param({"statusCode": 200, "body": "body123"}, (200, "application/json", "body123"), id="a body"),
        pytest.param({"statusCode": "418", "body": "teapot"}, (418, "application/json", "teapot"), id="digits"),
    ],
)
def test_facts_073_to_076_what_becomes_of_an_answer(url, answer, seen):
    answered = url.answer(answer)
    assert answered.seen == seen
    assert answered.headers["content-length"] == str(len(seen[2]))


def test_a_response_with_everything(url):
    answered = url.answer(
        {
            "statusCode": 201,
            "headers": {"Content-Type": "text/html", "My-Header": "value"},
            "cookies": ["a=1; Secure", "b=2"],
            "body": base64.b64encode(b"<p>").decode(),
            "isBase64Encoded": True,
        }
    )
    assert answered.seen == (201, "text/html", "<p>")
    assert answered.headers["my-header"] == "value"
    assert answered.headers.get_all("set-cookie") == ["a=1; Secure", "b=2"]
    assert UUID.fullmatch(answered.headers["x-amzn-requestid"])
    assert answered.headers["x-amzn-trace-id"].startswith("Root=1-")


def test_fact_078_the_event(url):
    form = '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b", "User-Agent": "agent", "Cookie": "c=1; d=2"}
    answer = url.call("POST", "/event/a%20b?x=1&x=2", form, headers).json
    event, context = answer["event"], answer["event"]["requestContext"]
    assert base64.b64decode(event["body"]).decode() == form
    assert event["isBase64Encoded"] is True
    assert (event["version"], event["routeKey"]) == ("2.0", "$default")
    assert (event["rawPath"], event["rawQueryString"]) == ("/event/a%20b", "x=1&x=2")
    assert (event["queryStringParameters"], event["cookies"]) == ({"x": "1,2"}, ["c=1", "d=2"])
    assert event["headers"]["content-type"] == "multipart/form-data; boundary=b"
    assert event["headers"]["host"] == url.url.netloc
    assert context["http"] == {
        "method": "POST",
        "path": "/event/a%20b",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "agent",
    }
    assert (context["accountId"], context["apiId"], context["stage"]) == ("anonymous", url.id, "$default")
    assert context["domainName"] == url.url.hostname
    assert context["requestId"] == answer["id"]


def test_it_is_called_by_a_path_where_no_host_name_can_be_set(host, url):
    by_path = Url(host, host.url)
    event = by_path.call("GET", f"/_hearth/url/{url.id}/event/x?a=b", headers={"Host": "localhost"}).json["event"]
    assert (event["rawPath"], event["rawQueryString"]) == ("/event/x", "a=b")
    assert event["requestContext"]["apiId"] == url.id
    root = by_path.call("GET", f"/_hearth/url/{url.id}", headers={"Host": "localhost"}).json["event"]
    assert root["rawPath"] == "/"


def test_what_fails_is_told_as_by_a_web_server(host, deploy, url):
    function = deploy("def handler(event, context):\n    raise Exception('no')\n")
    failing = Url(host, create(function)["FunctionUrl"])
    assert failing.call().seen == (502, "application/json", "Internal Server Error")
    function.client.put_function_concurrency(FunctionName=function.name, ReservedConcurrentExecutions=0)
    throttled = failing.call()
    assert (throttled.status, throttled.json["Reason"]) == (
        429,
        "ReservedFunctionConcurrentInvocationLimitExceeded",
    )
    unknown = Url(host, f"http://{'0' * 32}.lambda-url.{REGION}.localhost/").call()
    assert unknown.seen == (403, "application/json", '{"Message":null}')
    assert url.call("POST", "/", b"x" * (6 * 1024 * 1024), JSON).status == 413


def test_cross_origin_requests(host, deploy):
    cors = {"AllowOrigins": ["https://a.test"], "AllowMethods": ["PUT"], "AllowHeaders": ["x-a"], "MaxAge": 60}
    url = Url(host, create(deploy(ECHO), Cors=cors)["FunctionUrl"])
    asked = {"Origin": "https://a.test", "Access-Control-Request-Method": "PUT"}
    preflight = url.call("OPTIONS", "/event", headers=asked)
    told = {name: value for name, value in preflight.headers.items() if name.startswith("access-control")}
    assert (preflight.status, preflight.text) == (200, "")
    assert told == {
        "access-control-allow-origin": "https://a.test",
        "access-control-allow-methods": "PUT",
        "access-control-allow-headers": "x-a",
        "access-control-max-age": "60",
    }
    assert url.call(headers={"Origin": "https://a.test"}).headers["access-control-allow-origin"] == "https://a.test"
    assert url.call(headers={"Origin": "https://b.test"}).headers["access-control-allow-origin"] is None


def signed(url, key=ACCOUNT, region=REGION):
    request = AWSRequest("GET", url.url.geturl())
    SigV4Auth(Credentials(key, "secret"), "lambda", region).add_auth(request)
    return dict(request.headers)


def test_whoever_must_sign(host, deploy):
    url = Url(host, create(deploy(ECHO), AuthType="AWS_IAM")["FunctionUrl"])
    for headers in [{}, {"Authorization": "Bearer x"}, signed(url, region="eu-west-1")]:
        refused = url.call(headers=headers)
        assert (refused.status, refused.json) == (403, {"Message": FORBIDDEN})
        assert refused.headers["x-amzn-errortype"] == "AccessDeniedException"
    context = url.call(headers=signed(url)).json["event"]["requestContext"]
    assert context["accountId"] == context["authorizer"]["iam"]["accessKey"] == ACCOUNT


STREAM = """
const fs = require('node:fs');
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  const { gate, prelude, late } = event.queryStringParameters ?? {};
  if (event.rawPath === '/early') throw new Error('early');
  if (prelude) stream = awslambda.HttpResponseStream.from(stream, JSON.parse(prelude));
  else stream.setContentType('text/plain');
  stream.write('one ');
  while (gate && !fs.existsSync(gate)) await new Promise((resolve) => setTimeout(resolve, 10));
  if (late) throw new Error('late');
  stream.write('two');
  stream.end();
});
"""


@pytest.fixture(scope="module")
def streaming(host, deploy_once):
    return Url(host, create(deploy_once.node(STREAM, Timeout=30), InvokeMode="RESPONSE_STREAM")["FunctionUrl"])


@needs_node
def test_fact_077_a_response_leaves_while_the_function_writes_it(streaming, tmp_path):
    gate = tmp_path / "gate"
    response = streaming.open(path=f"/?gate={urllib.parse.quote(str(gate))}")
    # The function goes on only once this has been received.
    assert response.read(4) == b"one "
    gate.touch()
    assert response.read() == b"two"
    assert (response.status, response.headers["content-type"]) == (200, "text/plain")


@needs_node
def test_a_streamed_response_with_a_head_of_its_own(streaming):
    prelude = {"statusCode": 201, "headers": {"Content-Type": "text/html", "x-a": "b"}, "cookies": ["c=1"]}
    answer = streaming.call(path=f"/?prelude={urllib.parse.quote(json.dumps(prelude))}")
    assert answer.seen == (201, "text/html", "one two")
    assert (answer.headers["x-a"], answer.headers["set-cookie"]) == ("b", "c=1")


@needs_node
def test_a_stream_that_fails(streaming):
    assert streaming.call(path="/early").seen == (502, "application/json", "Internal Server Error")
    with pytest.raises(http.client.IncompleteRead) as broken:
        streaming.call(path="/?late=1")
    assert broken.value.partial == b"one "


def test_a_url_is_there_again_after_a_restart(tmp_path):
    host = Host(tmp_path / "data")
    function = Deployer(host.client(), "restarted")(ECHO)
    before = Url(host, create(function)["FunctionUrl"])
    host.process.kill()
    host.process.wait()
    host = Host(tmp_path / "data")
    try:
        after = host.client().get_function_url_config(FunctionName=function.name)["FunctionUrl"]
        url = Url(host, after)
        assert url.id == before.id
        wait_until(lambda: url.call().status == 200, lambda: url.call().text)
    finally:
        host.stop()
