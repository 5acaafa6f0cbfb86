"""What AWS sends in every answer of an operation, though the model says of hardly any member that it must be there.

From recorded answers and AWS's API reference. A path ends in a member; `[]` stands for each element of a list, which
must have one.
"""

CONFIGURATION = """
    Architectures CodeSha256 CodeSize Description EphemeralStorage.Size FunctionArn FunctionName Handler LastModified
    LoggingConfig.LogFormat LoggingConfig.LogGroup MemorySize PackageType RevisionId Role Runtime SnapStart.ApplyOn
    SnapStart.OptimizationStatus Timeout TracingConfig.Mode Version
""".split()
# Images have none of these.
ONLY_OF_ZIP_FILES = {"Handler", "Location", "Runtime", "RuntimeVersionConfig"}
# Lists leave these out.
STATE = ["RuntimeVersionConfig.RuntimeVersionArn", "State"]
ALIAS = ["AliasArn", "Description", "FunctionVersion", "Name", "RevisionId"]
LAYER_VERSION = ["CreatedDate", "Description", "LayerVersionArn", "Version"]
LAYER_CONTENT = ["Content.CodeSha256", "Content.CodeSize", "Content.Location", "LayerArn"]
PROVISIONED = """
    AllocatedProvisionedConcurrentExecutions AvailableProvisionedConcurrentExecutions LastModified
    RequestedProvisionedConcurrentExecutions Status
""".split()
EVENT_INVOKE = ["DestinationConfig.OnFailure", "DestinationConfig.OnSuccess", "FunctionArn", "LastModified"]
URL = ["AuthType", "CreationTime", "FunctionArn", "FunctionUrl"]
CODE_SIGNING = """
    AllowedPublishers.SigningProfileVersionArns CodeSigningConfigArn CodeSigningConfigId
    CodeSigningPolicies.UntrustedArtifactOnDeployment LastModified
""".split()
MAPPING = """
    BatchSize EventSourceArn EventSourceMappingArn FunctionArn FunctionResponseTypes LastModified
    MaximumBatchingWindowInSeconds State StateTransitionReason UUID
""".split()


def below(parent, members):
    return [f"{parent}.{member}" for member in members]


ALWAYS_SENT = {
    "AddLayerVersionPermission": ["RevisionId", "Statement"],
    "AddPermission": ["Statement"],
    "CreateAlias": ALIAS,
    "CreateCodeSigningConfig": below("CodeSigningConfig", CODE_SIGNING),
    "CreateEventSourceMapping": MAPPING,
    "CreateFunction": [*CONFIGURATION, *STATE, "StateReason", "StateReasonCode"],
    "CreateFunctionUrlConfig": URL,
    "DeleteAlias": [],
    "DeleteCodeSigningConfig": [],
    "DeleteEventSourceMapping": MAPPING,
    "DeleteFunction": [],
    "DeleteFunctionCodeSigningConfig": [],
    "DeleteFunctionConcurrency": [],
    "DeleteFunctionEventInvokeConfig": [],
    "DeleteFunctionUrlConfig": [],
    "DeleteLayerVersion": [],
    "DeleteProvisionedConcurrencyConfig": [],
    "GetAccountSettings": [
        *below("AccountLimit", ["CodeSizeUnzipped", "CodeSizeZipped", "ConcurrentExecutions", "TotalCodeSize"]),
        "AccountLimit.UnreservedConcurrentExecutions",
        *below("AccountUsage", ["FunctionCount", "TotalCodeSize"]),
    ],
    "GetAlias": ALIAS,
    "GetCodeSigningConfig": below("CodeSigningConfig", CODE_SIGNING),
    "GetEventSourceMapping": MAPPING,
    "GetFunction": [
        *below("Code", ["Location", "RepositoryType"]),
        *below("Configuration", [*CONFIGURATION, *STATE, "LastUpdateStatus"]),
    ],
    "GetFunctionCodeSigningConfig": ["CodeSigningConfigArn", "FunctionName"],
    "GetFunctionConcurrency": ["ReservedConcurrentExecutions"],
    "GetFunctionConfiguration": [*CONFIGURATION, *STATE, "LastUpdateStatus"],
    "GetFunctionEventInvokeConfig": EVENT_INVOKE,
    "GetFunctionRecursionConfig": ["RecursiveLoop"],
    "GetFunctionUrlConfig": [*URL, "LastModifiedTime"],
    "GetLayerVersion": [*LAYER_VERSION, *LAYER_CONTENT],
    "GetLayerVersionByArn": [*LAYER_VERSION, *LAYER_CONTENT],
    "GetLayerVersionPolicy": ["Policy", "RevisionId"],
    "GetPolicy": ["Policy", "RevisionId"],
    "GetProvisionedConcurrencyConfig": PROVISIONED,
    "GetRuntimeManagementConfig": ["FunctionArn", "UpdateRuntimeOn"],
    "Invoke": [],
    "InvokeAsync": [],
    "InvokeWithResponseStream": [],
    "ListAliases": below("Aliases[]", ALIAS),
    "ListCodeSigningConfigs": below("CodeSigningConfigs[]", CODE_SIGNING),
    "ListEventSourceMappings": below("EventSourceMappings[]", MAPPING),
    "ListFunctionEventInvokeConfigs": below("FunctionEventInvokeConfigs[]", EVENT_INVOKE),
    "ListFunctionUrlConfigs": below("FunctionUrlConfigs[]", [*URL, "LastModifiedTime"]),
    "ListFunctions": below("Functions[]", CONFIGURATION),
    "ListFunctionsByCodeSigningConfig": ["FunctionArns[]"],
    "ListLayerVersions": below("LayerVersions[]", LAYER_VERSION),
    "ListLayers": [
        "Layers[].LayerArn",
        "Layers[].LayerName",
        *below("Layers[].LatestMatchingVersion", LAYER_VERSION),
    ],
    "ListProvisionedConcurrencyConfigs": below("ProvisionedConcurrencyConfigs[]", ["FunctionArn", *PROVISIONED]),
    "ListTags": ["Tags"],
    "ListVersionsByFunction": below("Versions[]", CONFIGURATION),
    "PublishLayerVersion": [*LAYER_VERSION, *LAYER_CONTENT],
    "PublishVersion": [*CONFIGURATION, *STATE],
    "PutFunctionCodeSigningConfig": ["CodeSigningConfigArn", "FunctionName"],
    "PutFunctionConcurrency": ["ReservedConcurrentExecutions"],
    "PutFunctionEventInvokeConfig": EVENT_INVOKE,
    "PutFunctionRecursionConfig": ["RecursiveLoop"],
    "PutProvisionedConcurrencyConfig": PROVISIONED,
    "PutRuntimeManagementConfig": ["FunctionArn", "UpdateRuntimeOn"],
    "RemoveLayerVersionPermission": [],
    "RemovePermission": [],
    "TagResource": [],
    "UntagResource": [],
    "UpdateAlias": ALIAS,
    "UpdateCodeSigningConfig": below("CodeSigningConfig", CODE_SIGNING),
    "UpdateEventSourceMapping": MAPPING,
    "UpdateFunctionCode": [*CONFIGURATION, *STATE, "LastUpdateStatus"],
    "UpdateFunctionConfiguration": [
        *CONFIGURATION,
        *STATE,
        "LastUpdateStatus",
        "LastUpdateStatusReason",
        "LastUpdateStatusReasonCode",
    ],
    "UpdateFunctionEventInvokeConfig": EVENT_INVOKE,
    "UpdateFunctionUrlConfig": [*URL, "LastModifiedTime"],
}

# Headers, of answers that come from a function.
ALWAYS_IN_HEADERS = {
    "Invoke": ["x-amz-executed-version", "x-amz-log-result"],
    "InvokeWithResponseStream": ["x-amz-executed-version"],
}


def missing(document, path):
    """Where a member is missing that should be there."""
    step, _, rest = path.partition(".")
    name = step.removesuffix("[]")
    if name in ONLY_OF_ZIP_FILES and (document.get("PackageType") == "Image" or "ImageUri" in document):
        return
    if not isinstance(document, dict) or document.get(name) is None:
        yield name
    elif step.endswith("[]"):
        if not document[name]:
            yield f"{name} has no element"
        for one in document[name] if rest else []:
            yield from (f"{step}.{inner}" for inner in missing(one, rest))
    elif rest:
        yield from (f"{step}.{inner}" for inner in missing(document[name], rest))
