"""Bad input: AWS's error each time, nothing lost, nothing left behind."""

import base64
import http.client
import io
import json
import stat
import zipfile

import pytest

from hearth import ANSWER_LIMIT, entry, refusal
from test_lifecycle import PACKAGE, new_function

UNREADABLE = "Could not unzip uploaded file. Please check your file, then try to upload again."
TOO_LARGE = "Unzipped size must be smaller than 262144000 bytes"
SOURCE = "def handler(event, context):\n    return event\n"


def zip_with(*entries):
    """A zip with these entries, each a name or a ZipInfo, and its content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr(entry("handler.py"), SOURCE)
        for name, content in entries:
            package.writestr(name if isinstance(name, zipfile.ZipInfo) else entry(name), content)
    return buffer.getvalue()


def link(name, target):
    return entry(name, stat.S_IFLNK | 0o777), target


def zeros(megabytes, *, told=None):
    """A zip of zeros, a thousandth of their size; its directory tells another size where one is given."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package, package.open(entry("zeros"), "w", force_zip64=True) as file:
        for _ in range(megabytes):
            file.write(bytes(1 << 20))
    content = buffer.getvalue()
    if told is not None:
        content = rewritten_size(content, told)
    return content


def rewritten_size(content, size):
    """Writes another uncompressed size into both heads of the only entry."""
    size = size.to_bytes(4, "little")
    directory = content.rindex(b"PK\x01\x02")
    content = content[: directory + 24] + size + content[directory + 28 :]
    return content[:22] + size + content[26:]


def everything_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


BAD_ZIPS = {
    "no zip": (b"PK\x03\x04 but not really", UNREADABLE),
    "cut off": (PACKAGE[: len(PACKAGE) // 2], UNREADABLE),
    "garbled": (PACKAGE[:40] + b"\xff" * 20 + PACKAGE[60:], UNREADABLE),
    "a name with ..": (zip_with(("../outside", "x")), UNREADABLE),
    "a name with .. in the middle": (zip_with(("a/../../outside", "x")), UNREADABLE),
    "an absolute name": (zip_with(("/tmp/hearth-outside", "x")), UNREADABLE),
    "a name with backslashes": (zip_with(("..\\outside", "x")), UNREADABLE),
    "an absolute link": (zip_with(link("passwd", "/etc/passwd")), UNREADABLE),
    "a link to above": (zip_with(link("up", "..")), UNREADABLE),
    "a link to above, in a folder": (zip_with(link("a/up", "../../x")), UNREADABLE),
    "a file behind a link": (zip_with(link("a", "/tmp"), ("a/hearth-outside", "x")), UNREADABLE),
    "a name given twice": (zip_with(("a", "1"), ("b/../a", "2")), UNREADABLE),
    "a bomb": (zeros(300), TOO_LARGE),
    "a bomb that tells a small size": (zeros(300, told=100), None),
}


@pytest.mark.parametrize("case", BAD_ZIPS)
def test_a_bad_zip_is_refused_and_leaves_nothing(host, client, case):
    package, message = BAD_ZIPS[case]
    code = host.data_dir / "code"
    before = everything_below(code)
    refused = refusal(client, "create_function", **new_function("bad-zip", Code={"ZipFile": package}))
    assert (refused.status, refused.kind) == (400, "InvalidParameterValueException")
    assert refused.message == message if message else refused.message in (UNREADABLE, TOO_LARGE)
    # What an earlier test deleted may go meanwhile.
    assert set(everything_below(code)) <= set(before)
    assert refusal(client, "get_function", FunctionName="bad-zip").status == 404


def test_a_bad_update_leaves_the_function_as_it_was(echo):
    before = echo.client.get_function_configuration(FunctionName=echo.name)
    for package, _ in BAD_ZIPS.values():
        refused = refusal(echo.client, "update_function_code", FunctionName=echo.name, ZipFile=package)
        assert (refused.status, refused.kind) == (400, "InvalidParameterValueException")
    after = echo.client.get_function_configuration(FunctionName=echo.name)
    assert after["RevisionId"] == before["RevisionId"]
    assert after["CodeSha256"] == before["CodeSha256"]
    assert echo.invoke("still here").json == "still here"


def test_exactly_the_largest_package_is_taken(deploy):
    # 250 MiB of zeros less the handler: the limit is of the sum.
    files = {"handler.py": SOURCE, "zeros": bytes(262_144_000 - len(SOURCE))}
    function = deploy(files=files)
    assert function.invoke("x").json == "x"


def test_links_and_modes_inside_the_package_are_kept(deploy):
    files = {
        "handler.py": "import os\n\ndef handler(event, context):\n"
        "    return [os.readlink('link'), open('link').read(), oct(os.stat('tool').st_mode & 0o777)]\n",
        "folder/target": "text",
        "tool": "#!/bin/sh\n",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for name, content in files.items():
            package.writestr(entry(name), content)
        package.writestr(*link("link", "folder/target"))
    function = deploy(SOURCE)
    function.client.update_function_code(FunctionName=function.name, ZipFile=buffer.getvalue())
    function.wait_until_updated()
    assert function.invoke().json == ["folder/target", "text", "0o755"]


MANDATORY = "Runtime and Handler are mandatory parameters for functions created with deployment packages."


@pytest.mark.parametrize("missing", ["Runtime", "Handler"])
def test_runtime_and_handler_are_mandatory(client, missing):
    parameters = new_function("incomplete")
    del parameters[missing]
    refused = refusal(client, "create_function", **parameters)
    assert refused == (400, "InvalidParameterValueException", MANDATORY)


def with_environment(**variables):
    return new_function("bad-environment", Environment={"Variables": variables})


@pytest.mark.parametrize(
    "key",
    [
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_EXECUTION_ENV",
        "LAMBDA_TASK_ROOT",
        "_HANDLER",
    ],
)
def test_reserved_environment_keys_are_refused(client, key):
    refused = refusal(client, "create_function", **with_environment(**{key: "mine"}))
    message = (
        "Lambda was unable to configure your environment variables because the environment variables you have "
        "provided contains reserved keys that are currently not supported for modification. "
        f"Reserved keys used in this request: {key}"
    )
    assert refused == (400, "InvalidParameterValueException", message)
    assert refused.body == {"Type": "User", "message": message}


def test_four_kibibytes_of_environment_are_the_limit(client, deploy):
    # What is measured is the JSON text: {"KEY":"…"}
    value = "x" * (4096 - len('{"KEY":""}'))
    function = deploy(SOURCE, Environment={"Variables": {"KEY": value}})
    assert function.invoke("x").json == "x"
    refused = refusal(client, "create_function", **with_environment(KEY=value + "x"))
    measured = json.dumps({"KEY": value + "x"}, separators=(",", ":"))
    message = (
        "Lambda was unable to configure your environment variables because the environment variables you have "
        f"provided exceeded the 4KB limit. String measured: {measured}"
    )
    assert refused == (400, "InvalidParameterValueException", message)


@pytest.mark.parametrize("name", ["A", "1A", "A-B", "A B", "", "A=B"])
def test_environment_keys_have_a_form(client, name):
    refused = refusal(client, "create_function", **with_environment(**{name: "value"}))
    assert (refused.status, refused.kind) == (400, "ValidationException")
    assert "at 'environment.variables' failed to satisfy constraint: " in refused.message


@pytest.mark.parametrize(
    ("settings", "parameter", "constraint"),
    [
        ({"MemorySize": 127}, "memorySize", "Member must have value greater than or equal to 128"),
        ({"Timeout": 0}, "timeout", "Member must have value greater than or equal to 1"),
        ({"Timeout": 901}, "timeout", "Member must have value less than or equal to 900"),
        (
            {"EphemeralStorage": {"Size": 511}},
            "ephemeralStorage.size",
            "Member must have value greater than or equal to 512",
        ),
        ({"Description": "x" * 257}, "description", "Member must have length less than or equal to 256"),
        ({"Architectures": ["riscv"]}, "architectures", "Member must satisfy constraint: "),
        ({"PackageType": "Tar"}, "packageType", "Member must satisfy enum value set: "),
    ],
)
def test_settings_beyond_their_bounds_are_refused(client, settings, parameter, constraint):
    refused = refusal(client, "create_function", **new_function("out-of-bounds", **settings))
    assert (refused.status, refused.kind) == (400, "ValidationException")
    assert refused.message.startswith("1 validation error detected: Value '")
    assert f" at '{parameter}' failed to satisfy constraint: {constraint}" in refused.message


def test_the_name_of_a_new_function_has_a_form(client):
    for name in ["with blank", "a" * 65, "no/slash"]:
        refused = refusal(client, "create_function", **new_function(name))
        assert (refused.status, refused.kind) == (400, "ValidationException"), name
        assert "at 'functionName' failed to satisfy constraint: " in refused.message


class Raw:
    """Requests that no SDK would make."""

    def __init__(self, host):
        self.connection = http.client.HTTPConnection(host.url.removeprefix("http://"), timeout=ANSWER_LIMIT)

    def __call__(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, headers or {})
        answer = self.connection.getresponse()
        return answer.status, answer.headers.get("x-amzn-ErrorType"), answer.read()


@pytest.fixture
def raw(host):
    return Raw(host)


@pytest.mark.parametrize("body", [b"", b"{", b"not json", b"[]", b"\xff\xfe", b'{"FunctionName": 1}', b'{"Code": []}'])
def test_a_request_whose_body_is_not_the_expected_json(raw, body):
    status, kind, answer = raw("POST", "/2015-03-31/functions", body)
    assert status == 400
    assert kind in ("InvalidRequestContentException", "SerializationException", "ValidationException")
    text = json.loads(answer)
    assert text.get("message") or text.get("Message")


def test_a_zip_that_is_not_base64(raw):
    body = json.dumps(new_function("not-base64") | {"Code": {"ZipFile": "not base64!"}}, default=str).encode()
    status, kind, _ = raw("POST", "/2015-03-31/functions", body)
    assert (status, kind) == (400, "SerializationException")


def test_fields_that_are_not_known_are_ignored(raw, client):
    parameters = new_function("with-unknown-field") | {"Colour": "blue"}
    parameters["Code"] = {"ZipFile": base64.b64encode(PACKAGE).decode()}
    status, _, _ = raw("POST", "/2015-03-31/functions", json.dumps(parameters).encode())
    assert status == 201
    client.delete_function(FunctionName="with-unknown-field")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/nowhere"),
        ("GET", "/2015-03-31/functions"),
        ("DELETE", "/2015-03-31/functions/a%20b"),
        ("POST", "/2015-03-31/functions/a%20b/invocations"),
        ("PATCH", "/2015-03-31/functions/f/invocations"),
        ("POST", "/2025-11-30/capacity-providers"),
    ],
)
def test_what_a_request_brings_in_vain_is_not_in_the_way_of_the_next_one(raw, method, path):
    for _ in range(3):
        status, _, _ = raw(method, path, b"x" * 300_000)
        assert status in (200, 400, 404, 501)
    assert raw("GET", "/2016-08-19/account-settings")[0] == 200


def test_a_path_that_is_no_utf_8_is_refused(raw):
    for path in ["/2015-03-31/functions/%ff", "/2015-03-31/functions/%ff/invocations"]:
        status, kind, _ = raw("POST" if path.endswith("s") else "GET", path)
        assert (status, kind) == (400, "ValidationException")


def test_an_unknown_kind_of_invocation(echo, raw):
    path = f"/2015-03-31/functions/{echo.name}/invocations"
    status, kind, answer = raw("POST", path, b"{}", {"X-Amz-Invocation-Type": "Sometimes"})
    assert (status, kind) == (400, "ValidationException")
    constraint = "at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: "
    assert constraint in json.loads(answer)["message"]


def test_a_client_context_that_is_not_base64_json(echo):
    refused = refusal(echo.client, "invoke", FunctionName=echo.name, ClientContext="!!!")
    assert (refused.status, refused.kind) == (400, "InvalidRequestContentException")


def test_a_client_that_hangs_up_breaks_nothing(echo, host):
    for sent in [b"POST /2015-03-31/functions HTTP/1.1\r\nContent-Length: 100\r\n\r\n{", b"GET", b"\x16\x03\x01\x00"]:
        connection = http.client.HTTPConnection(host.url.removeprefix("http://"))
        connection.connect()
        connection.sock.sendall(sent)
        connection.close()
    assert echo.invoke("still here").json == "still here"
