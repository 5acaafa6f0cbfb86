"""A tour of the API: every operation that this host has, with what makes it succeed."""

from fixtures import PYTHON
from hearth import ACCOUNT, REGION, ROLE, zip_of

NAME = "tour"
ALIAS = "live"
SOURCE = """
def handler(event, context):
    print(event)
    if "fail" in event:
        raise ValueError(event["fail"])
    return event
"""
PACKAGE = zip_of({"handler.py": SOURCE})
OTHER_PACKAGE = zip_of({"handler.py": "def handler(event, context):\n    return 'other'\n"})
PROFILE = f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/profile/version"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:tour"
STREAM = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/tour"
BUCKET = "arn:aws:s3:::tour"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{NAME}"

# Everything that can be set, but what this host has no place for.
SETTINGS = {
    "Description": "a function on tour",
    "Timeout": 10,
    "MemorySize": 256,
    "EphemeralStorage": {"Size": 1024},
    "Environment": {"Variables": {"COLOUR": "blue"}},
    "KMSKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/tour",
    "TracingConfig": {"Mode": "Active"},
    "LoggingConfig": {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "WARN"},
    "VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"], "Ipv6AllowedForDualStack": False},
    "DeadLetterConfig": {"TargetArn": QUEUE},
    "FileSystemConfigs": [
        {
            "Arn": f"arn:aws:elasticfilesystem:{REGION}:{ACCOUNT}:access-point/fsap-0123456789abcdef0",
            "LocalMountPath": "/mnt/tour",
        }
    ],
    "SnapStart": {"ApplyOn": "None"},
}
SPARE = {"Runtime": PYTHON, "Handler": "handler.handler", "Role": ROLE}


def functions(call, wait):
    """Functions, versions and aliases, and what is set for them."""
    publishers = {"SigningProfileVersionArns": [PROFILE]}
    policies = {"UntrustedArtifactOnDeployment": "Warn"}
    signing = call(
        "CreateCodeSigningConfig", Description="d", AllowedPublishers=publishers, CodeSigningPolicies=policies
    )["CodeSigningConfig"]["CodeSigningConfigArn"]
    layer = call(
        "PublishLayerVersion",
        LayerName=NAME,
        Description="a layer on tour",
        Content={"ZipFile": zip_of({"python/on_tour.py": ""})},
        CompatibleRuntimes=[PYTHON],
        CompatibleArchitectures=["x86_64"],
        LicenseInfo="MIT",
    )["LayerVersionArn"]
    code = {"ZipFile": PACKAGE}
    # All at once, under a name of its own: not every backend can run it.
    call(
        "CreateFunction",
        FunctionName=f"{NAME}-complete",
        Code=code,
        Layers=[layer],
        Tags={"stage": "test"},
        CodeSigningConfigArn=signing,
        Architectures=["x86_64"],
        PackageType="Zip",
        Publish=True,
        **SPARE | SETTINGS,
    )
    wait(f"{NAME}-complete")
    call("CreateFunction", FunctionName=NAME, Code=code, **SPARE)
    wait(NAME)
    call("UpdateFunctionConfiguration", FunctionName=f"{NAME}-complete", Layers=[layer], **SPARE | SETTINGS)
    call("UpdateFunctionConfiguration", FunctionName=NAME, Description="on tour")
    wait(NAME)
    call("PublishVersion", FunctionName=NAME, Description="the first")
    call("UpdateFunctionCode", FunctionName=NAME, ZipFile=OTHER_PACKAGE, Architectures=["x86_64"])
    wait(NAME)
    call("PublishVersion", FunctionName=NAME)
    call("GetFunction", FunctionName=f"{NAME}-complete", Qualifier="1")
    call("PutFunctionConcurrency", FunctionName=NAME, ReservedConcurrentExecutions=5)
    call("GetFunction", FunctionName=NAME)
    call("GetFunctionConfiguration", FunctionName=NAME, Qualifier="1")
    call("ListFunctions", MaxItems=50)
    call("ListFunctions", FunctionVersion="ALL", MaxItems=1)
    call("ListVersionsByFunction", FunctionName=NAME, MaxItems=2)
    weights = {"AdditionalVersionWeights": {"2": 0.5}}
    call("CreateAlias", FunctionName=NAME, Name=ALIAS, FunctionVersion="1", Description="d", RoutingConfig=weights)
    call("UpdateAlias", FunctionName=NAME, Name=ALIAS, FunctionVersion="2", RoutingConfig={}, Description="e")
    call("GetAlias", FunctionName=NAME, Name=ALIAS)
    call("ListAliases", FunctionName=NAME, FunctionVersion="2", MaxItems=10)
    call("GetFunctionConcurrency", FunctionName=NAME)
    call("PutFunctionCodeSigningConfig", FunctionName=NAME, CodeSigningConfigArn=signing)
    call("GetFunctionCodeSigningConfig", FunctionName=NAME)
    call("ListFunctionsByCodeSigningConfig", CodeSigningConfigArn=signing, MaxItems=10)
    call("GetAccountSettings")


def images(call, wait):
    """A function that is an image, whether the backend can run it or not."""
    name = f"{NAME}-image"
    config = {"EntryPoint": ["/bin/on-tour"], "Command": ["handler"], "WorkingDirectory": "/"}
    code = {"ImageUri": "registry.example/tour:1"}
    call("CreateFunction", FunctionName=name, Role=ROLE, PackageType="Image", Code=code, ImageConfig=config)
    wait(name)
    call("GetFunction", FunctionName=name)
    call("DeleteFunction", FunctionName=name)


def invocations(call):
    """Every way to invoke."""
    event = b'{"on": "tour"}'
    call("Invoke", FunctionName=NAME, Qualifier="1", LogType="Tail", InvocationType="RequestResponse", Payload=event)
    call("Invoke", FunctionName=NAME, Qualifier="1", Payload=b'{"fail": "on tour"}')
    call("Invoke", FunctionName=NAME, InvocationType="Event", Payload=event)
    call("Invoke", FunctionName=NAME, InvocationType="DryRun", Payload=event)
    call("InvokeAsync", FunctionName=NAME, InvokeArgs=event)
    call("InvokeWithResponseStream", FunctionName=NAME, Qualifier="1", LogType="Tail", Payload=event)
    call("InvokeWithResponseStream", FunctionName=NAME, Qualifier="1", Payload=b'{"fail": "on tour"}')


def settings(call):
    """What is set for functions besides their configuration."""
    call("DeleteFunctionConcurrency", FunctionName=NAME)
    provisioned = {"FunctionName": NAME, "Qualifier": "1"}
    call("PutProvisionedConcurrencyConfig", ProvisionedConcurrentExecutions=1, **provisioned)
    call("GetProvisionedConcurrencyConfig", **provisioned)
    call("ListProvisionedConcurrencyConfigs", FunctionName=NAME, MaxItems=10)
    call("DeleteProvisionedConcurrencyConfig", **provisioned)
    destinations = {"OnSuccess": {"Destination": QUEUE}, "OnFailure": {"Destination": QUEUE}}
    asynchronous = {"FunctionName": NAME, "Qualifier": "1"}
    call(
        "PutFunctionEventInvokeConfig",
        MaximumRetryAttempts=1,
        MaximumEventAgeInSeconds=60,
        DestinationConfig=destinations,
        **asynchronous,
    )
    call("UpdateFunctionEventInvokeConfig", MaximumRetryAttempts=0, **asynchronous)
    call("GetFunctionEventInvokeConfig", **asynchronous)
    call("ListFunctionEventInvokeConfigs", FunctionName=NAME, MaxItems=10)
    call("DeleteFunctionEventInvokeConfig", **asynchronous)
    call("PutFunctionRecursionConfig", FunctionName=NAME, RecursiveLoop="Allow")
    call("GetFunctionRecursionConfig", FunctionName=NAME)
    runtime = f"arn:aws:lambda:{REGION}::runtime:0123456789abcdef"
    call("PutRuntimeManagementConfig", FunctionName=NAME, UpdateRuntimeOn="Manual", RuntimeVersionArn=runtime)
    call("GetRuntimeManagementConfig", FunctionName=NAME, Qualifier="$LATEST")
    call("TagResource", Resource=FUNCTION, Tags={"stage": "test"})
    call("ListTags", Resource=FUNCTION)
    call("UntagResource", Resource=FUNCTION, TagKeys=["stage"])


def permissions(call):
    """Policies of functions and of layers, and URLs."""
    statement = {"StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    call("AddPermission", FunctionName=NAME, SourceArn=BUCKET, SourceAccount=ACCOUNT, **statement)
    call("GetPolicy", FunctionName=NAME)
    call("RemovePermission", FunctionName=NAME, StatementId="s3")
    version = {"LayerName": NAME, "VersionNumber": 1}
    call("AddLayerVersionPermission", StatementId="s", Action="lambda:GetLayerVersion", Principal="*", **version)
    call("GetLayerVersionPolicy", **version)
    call("RemoveLayerVersionPermission", StatementId="s", **version)
    cors = {
        "AllowCredentials": True,
        "AllowHeaders": ["x-a"],
        "AllowMethods": ["GET"],
        "AllowOrigins": ["https://example.com"],
        "ExposeHeaders": ["x-b"],
        "MaxAge": 60,
    }
    url = {"FunctionName": NAME, "Qualifier": ALIAS}
    call("CreateFunctionUrlConfig", AuthType="NONE", Cors=cors, InvokeMode="BUFFERED", **url)
    call("UpdateFunctionUrlConfig", AuthType="AWS_IAM", **url)
    call("GetFunctionUrlConfig", **url)
    call("ListFunctionUrlConfigs", FunctionName=NAME, MaxItems=10)
    call("DeleteFunctionUrlConfig", **url)


def event_sources(call):
    """Event source mappings, none of which is enabled."""
    mapping = call(
        "CreateEventSourceMapping",
        FunctionName=NAME,
        EventSourceArn=STREAM,
        Enabled=False,
        BatchSize=10,
        StartingPosition="AT_TIMESTAMP",
        StartingPositionTimestamp=1_700_000_000,
        MaximumBatchingWindowInSeconds=1,
        FilterCriteria={"Filters": [{"Pattern": "{}"}]},
        DestinationConfig={"OnFailure": {"Destination": QUEUE}},
        FunctionResponseTypes=["ReportBatchItemFailures"],
        ParallelizationFactor=2,
        Tags={"stage": "test"},
    )["UUID"]
    call("GetEventSourceMapping", UUID=mapping)
    call("ListEventSourceMappings", FunctionName=NAME, EventSourceArn=STREAM, MaxItems=10)
    call("UpdateEventSourceMapping", UUID=mapping, BatchSize=20, TumblingWindowInSeconds=1)
    call("DeleteEventSourceMapping", UUID=mapping)


def layers(call):
    """What can be asked of layers."""
    version = {"LayerName": NAME, "VersionNumber": 1}
    arn = call("GetLayerVersion", **version)["LayerVersionArn"]
    call("GetLayerVersionByArn", Arn=arn)
    call("ListLayers", CompatibleRuntime=PYTHON, CompatibleArchitecture="x86_64", MaxItems=10)
    call("ListLayerVersions", LayerName=NAME, CompatibleRuntime=PYTHON, MaxItems=10)
    call("DeleteLayerVersion", **version)


def departure(call):
    """All goes again."""
    call("DeleteFunctionCodeSigningConfig", FunctionName=NAME)
    call("DeleteAlias", FunctionName=NAME, Name=ALIAS)
    call("DeleteFunction", FunctionName=NAME, Qualifier="2")
    call("DeleteFunction", FunctionName=NAME)
    call("DeleteFunction", FunctionName=f"{NAME}-complete")
    signing = call("ListCodeSigningConfigs", MaxItems=10)["CodeSigningConfigs"][0]["CodeSigningConfigArn"]
    call("GetCodeSigningConfig", CodeSigningConfigArn=signing)
    call("UpdateCodeSigningConfig", CodeSigningConfigArn=signing, Description="e")
    call("DeleteCodeSigningConfig", CodeSigningConfigArn=signing)


def tour(call, wait):
    """All of it: `call` makes a request and answers with the document, `wait` waits until a function is deployed."""
    functions(call, wait)
    images(call, wait)
    invocations(call)
    settings(call)
    permissions(call)
    event_sources(call)
    layers(call)
    departure(call)
