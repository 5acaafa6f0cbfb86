"""Code and layers that are fetched from buckets."""

import io
import zipfile

import pytest

from fixtures import PYTHON, deployer, started
from hearth import ROLE, refusal, zip_of

NO_SUCH_KEY = (
    400,
    "InvalidParameterValueException",
    "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified key does not exist.",
)


@pytest.fixture(scope="module")
def bucket_host(tmp_path_factory, services):
    yield from started(tmp_path_factory, "bucket", env=services.env)


@pytest.fixture
def deploy(bucket_host, request):
    yield from deployer(bucket_host.client(), request.node.name)


def answering(text):
    return zip_of({"handler.py": f"def handler(event, context):\n    return {text!r}\n"})


def stored(size):
    """A zip file that holds zeros and does not pack them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as package:
        package.writestr("padding", bytes(size))
    return buffer.getvalue()


def create(deploy, name, **code):
    settings = {"Runtime": PYTHON, "Handler": "handler.handler", "Role": ROLE}
    deploy.client.create_function(FunctionName=name, Code=code, **settings)
    return deploy.deployed_as(name)


def test_a_function_is_created_and_updated_from_a_bucket(deploy, services):
    services.objects = {
        "/code/my%20function.zip": answering("first"),
        "/code/my%20function.zip?versionId=v.2": answering("second"),
    }
    function = create(deploy, "from-s3", S3Bucket="code", S3Key="my function.zip")
    fetched = services.next()
    assert fetched.scope == ("000000000000", "us-east-1", "s3")
    assert function.invoke({}).json == "first"
    place = {"S3Bucket": "code", "S3Key": "my function.zip", "S3ObjectVersion": "v.2"}
    deploy.client.update_function_code(FunctionName=function.name, **place)
    function.wait_until_updated()
    assert function.invoke({}).json == "second"


def test_a_zip_file_in_a_bucket_may_be_larger_than_one_in_a_request(deploy, services):
    services.objects = {"/code/large.zip": (padding := stored(60_000_000))}
    published = deploy.client.publish_layer_version(
        LayerName="from-s3", Content={"S3Bucket": "code", "S3Key": "large.zip"}
    )
    assert published["Content"]["CodeSize"] == len(padding)


def test_an_object_that_is_not_there_is_told_in_awss_words(deploy, services):
    services.objects = {}
    place = {"S3Bucket": "code", "S3Key": "k"}
    settings = {"Runtime": PYTHON, "Handler": "handler.handler", "Role": ROLE}
    assert refusal(deploy.client, "create_function", FunctionName="f", Code=place, **settings) == NO_SUCH_KEY
    assert refusal(deploy.client, "publish_layer_version", LayerName="l", Content=place) == NO_SUCH_KEY


def test_what_is_no_zip_file_is_refused(deploy, services):
    services.objects = {"/code/text": b"this is text"}
    place = {"S3Bucket": "code", "S3Key": "text"}
    assert refusal(deploy.client, "publish_layer_version", LayerName="l", Content=place) == (
        400,
        "InvalidParameterValueException",
        "Could not unzip uploaded file. Please check your file, then try to upload again.",
    )
