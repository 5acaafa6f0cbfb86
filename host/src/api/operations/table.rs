//! The table.

use axum::routing::{MethodFilter, delete, get, post, put};

use super::{Family, Operation, Tier};
use crate::api::{
    account, aliases, code_signing, concurrency, event_invoke, event_sources, functions, invocations,
    layer_permissions, layers, permissions, provisioned, recursion, runtime_management, streaming, tags,
    updates, urls, versions,
};

/// All of them.
pub(super) const FAMILIES: &[Family] = &[
    INVOCATIONS,
    FUNCTIONS,
    VERSIONS,
    ALIASES,
    RESERVED,
    PROVISIONED,
    LAYERS,
    URLS,
    EVENT_INVOKE,
    TAGS,
    PERMISSIONS,
    ACCOUNT,
    RUNTIME_MANAGEMENT,
    RECURSION,
    EVENT_SOURCES,
    CODE_SIGNING,
    DURABLE_EXECUTIONS,
    CAPACITY,
    RESOURCE_POLICIES,
];

const INVOCATIONS: Family = Family {
    title: "Invocations",
    tier: Tier::Core,
    note: "A tenant's id is passed on to the function; instances are not kept apart by it.",
    operations: &[
        Operation::direct("Invoke", "/2015-03-31/functions/{name}/invocations", || post(invocations::invoke))
            .acts_on("ClientContext InvocationType LogType Payload Qualifier TenantId")
            .forgets("DurableExecutionName"),
        Operation::direct(
            "InvokeWithResponseStream",
            "/2021-11-15/functions/{name}/response-streaming-invocations",
            || post(streaming::invoke),
        )
        .acts_on("ClientContext InvocationType LogType Payload Qualifier TenantId"),
        Operation::own("InvokeAsync", "/2014-11-13/functions/{name}/invoke-async", || {
            post(invocations::invoke_async)
        })
        .acts_on("InvokeArgs"),
    ],
};

const FUNCTIONS: Family = Family {
    title: "Functions",
    tier: Tier::Core,
    note: "`VpcConfig`, `Role`, `FileSystemConfigs`, `KMSKeyArn` and `SnapStart` change nothing about a process or a \
           container of this host. Runtimes are those that the machine or its images have.",
    operations: &[
        Operation::own("CreateFunction", "/2015-03-31/functions", || post(functions::create))
            .acts_on(
                "Architectures Code DeadLetterConfig Environment EphemeralStorage FunctionName Handler ImageConfig \
                 Layers LoggingConfig MemorySize PackageType Publish Runtime Timeout",
            )
            .stores(
                "CodeSigningConfigArn Description FileSystemConfigs KMSKeyArn Role SnapStart Tags TracingConfig \
                 VpcConfig",
            )
            .refuses(
                "AcceleratorConfig CapacityProviderConfig DurableConfig PublishTo RuntimeConfig TenancyConfig",
            ),
        Operation::own("GetFunction", "/2015-03-31/functions/{name}", || get(functions::get))
            .acts_on("Qualifier"),
        Operation::own("GetFunctionConfiguration", "/2015-03-31/functions/{name}/configuration", || {
            get(functions::get_configuration)
        })
        .acts_on("Qualifier"),
        Operation::own("UpdateFunctionCode", "/2015-03-31/functions/{name}/code", || put(updates::code))
            .acts_on(
                "Architectures DryRun ImageUri Publish RevisionId S3Bucket S3Key S3ObjectVersion ZipFile",
            )
            .refuses("PublishTo")
            .forgets("S3ObjectStorageMode SourceKMSKeyArn"),
        Operation::own("UpdateFunctionConfiguration", "/2015-03-31/functions/{name}/configuration", || {
            put(updates::configuration)
        })
        .acts_on(
            "DeadLetterConfig Environment EphemeralStorage Handler ImageConfig Layers LoggingConfig MemorySize \
             RevisionId Runtime Timeout",
        )
        .stores("Description FileSystemConfigs KMSKeyArn Role SnapStart TracingConfig VpcConfig")
        .refuses("AcceleratorConfig CapacityProviderConfig DurableConfig RuntimeConfig"),
        Operation::own("DeleteFunction", "/2015-03-31/functions/{name}", || delete(functions::delete))
            .acts_on("Qualifier"),
        Operation::own("ListFunctions", "/2015-03-31/functions", || get(functions::list))
            .acts_on("FunctionVersion Marker MaxItems")
            .forgets("MasterRegion"),
    ],
};

const VERSIONS: Family = Family {
    title: "Versions",
    tier: Tier::Core,
    note: "",
    operations: &[
        Operation::own("PublishVersion", "/2015-03-31/functions/{name}/versions", || post(versions::publish))
            .acts_on("CodeSha256 RevisionId")
            .stores("Description")
            .refuses("PublishTo"),
        Operation::own("ListVersionsByFunction", "/2015-03-31/functions/{name}/versions", || {
            get(versions::list)
        })
        .acts_on("Marker MaxItems"),
    ],
};

const ALIASES: Family = Family {
    title: "Aliases",
    tier: Tier::Core,
    note: "",
    operations: &[
        Operation::own("CreateAlias", "/2015-03-31/functions/{name}/aliases", || post(aliases::create))
            .acts_on("FunctionVersion Name RoutingConfig")
            .stores("Description"),
        Operation::own("GetAlias", "/2015-03-31/functions/{name}/aliases/{alias}", || get(aliases::get)),
        Operation::own("UpdateAlias", "/2015-03-31/functions/{name}/aliases/{alias}", || {
            put(aliases::update)
        })
        .acts_on("FunctionVersion RevisionId RoutingConfig")
        .stores("Description"),
        Operation::own("DeleteAlias", "/2015-03-31/functions/{name}/aliases/{alias}", || {
            delete(aliases::delete)
        }),
        Operation::own("ListAliases", "/2015-03-31/functions/{name}/aliases", || get(aliases::list))
            .acts_on("FunctionVersion Marker MaxItems"),
    ],
};

const RESERVED: Family = Family {
    title: "Reserved concurrency",
    tier: Tier::Core,
    note: "",
    operations: &[
        Operation::own("PutFunctionConcurrency", "/2017-10-31/functions/{name}/concurrency", || {
            put(concurrency::put)
        })
        .acts_on("ReservedConcurrentExecutions"),
        Operation::own("GetFunctionConcurrency", "/2019-09-30/functions/{name}/concurrency", || {
            get(concurrency::get)
        }),
        Operation::own("DeleteFunctionConcurrency", "/2017-10-31/functions/{name}/concurrency", || {
            delete(concurrency::delete)
        }),
    ],
};

const PROVISIONED_PATH: &str = "/2019-09-30/functions/{name}/provisioned-concurrency";

const PROVISIONED: Family = Family {
    title: "Provisioned concurrency",
    tier: Tier::Core,
    note: "Instances are really started before the configuration is `READY`.",
    operations: &[
        Operation::own("PutProvisionedConcurrencyConfig", PROVISIONED_PATH, || put(provisioned::put))
            .acts_on("ProvisionedConcurrentExecutions Qualifier"),
        Operation::own("GetProvisionedConcurrencyConfig", PROVISIONED_PATH, || get(provisioned::get))
            .acts_on("Qualifier"),
        Operation::own("DeleteProvisionedConcurrencyConfig", PROVISIONED_PATH, || {
            delete(provisioned::delete)
        })
        .acts_on("Qualifier"),
        Operation::shared("ListProvisionedConcurrencyConfigs").acts_on("Marker MaxItems"),
    ],
};

const LAYER_PATH: &str = "/2018-10-31/layers/{name}/versions/{number}";

const LAYERS: Family = Family {
    title: "Layers",
    tier: Tier::Core,
    note: "Whoever reaches this host may use every layer on it, whatever its policy says.",
    operations: &[
        Operation::own("PublishLayerVersion", "/2018-10-31/layers/{name}/versions", || post(layers::publish))
            .acts_on("Content")
            .stores("CompatibleArchitectures CompatibleRuntimes Description LicenseInfo"),
        Operation::own("GetLayerVersion", LAYER_PATH, || get(layers::get)),
        Operation::shared("GetLayerVersionByArn").acts_on("Arn"),
        Operation::own("DeleteLayerVersion", LAYER_PATH, || delete(layers::delete)),
        Operation::own("ListLayers", "/2018-10-31/layers", || get(layers::list))
            .acts_on("CompatibleArchitecture CompatibleRuntime Marker MaxItems"),
        Operation::own("ListLayerVersions", "/2018-10-31/layers/{name}/versions", || {
            get(layers::list_versions)
        })
        .acts_on("CompatibleArchitecture CompatibleRuntime Marker MaxItems"),
        Operation::own(
            "AddLayerVersionPermission",
            "/2018-10-31/layers/{name}/versions/{number}/policy",
            || post(layer_permissions::add),
        )
        .acts_on("RevisionId StatementId")
        .stores("Action OrganizationId Principal"),
        Operation::own("GetLayerVersionPolicy", "/2018-10-31/layers/{name}/versions/{number}/policy", || {
            get(layer_permissions::get)
        }),
        Operation::own(
            "RemoveLayerVersionPermission",
            "/2018-10-31/layers/{name}/versions/{number}/policy/{statement}",
            || delete(layer_permissions::remove),
        )
        .acts_on("RevisionId"),
    ],
};

const URL_PATH: &str = "/2021-10-31/functions/{name}/url";

const URLS: Family = Family {
    title: "Function URLs",
    tier: Tier::Core,
    note: "How they are called: [function-urls.md](function-urls.md).",
    operations: &[
        Operation::own("CreateFunctionUrlConfig", URL_PATH, || post(urls::create))
            .acts_on("AuthType Cors InvokeMode Qualifier"),
        Operation::own("GetFunctionUrlConfig", URL_PATH, || get(urls::get)).acts_on("Qualifier"),
        Operation::own("UpdateFunctionUrlConfig", URL_PATH, || put(urls::update))
            .acts_on("AuthType Cors InvokeMode Qualifier"),
        Operation::own("DeleteFunctionUrlConfig", URL_PATH, || delete(urls::delete)).acts_on("Qualifier"),
        Operation::own("ListFunctionUrlConfigs", "/2021-10-31/functions/{name}/urls", || get(urls::list))
            .acts_on("Marker MaxItems"),
    ],
};

const EVENT_INVOKE_PATH: &str = "/2019-09-25/functions/{name}/event-invoke-config";

const EVENT_INVOKE: Family = Family {
    title: "Asynchronous invocation",
    tier: Tier::Core,
    note: "",
    operations: &[
        Operation::own("PutFunctionEventInvokeConfig", EVENT_INVOKE_PATH, || put(event_invoke::put))
            .acts_on("DestinationConfig MaximumEventAgeInSeconds MaximumRetryAttempts Qualifier"),
        Operation::own("UpdateFunctionEventInvokeConfig", EVENT_INVOKE_PATH, || post(event_invoke::update))
            .acts_on("DestinationConfig MaximumEventAgeInSeconds MaximumRetryAttempts Qualifier"),
        Operation::own("GetFunctionEventInvokeConfig", EVENT_INVOKE_PATH, || get(event_invoke::get))
            .acts_on("Qualifier"),
        Operation::own("DeleteFunctionEventInvokeConfig", EVENT_INVOKE_PATH, || delete(event_invoke::delete))
            .acts_on("Qualifier"),
        Operation::own(
            "ListFunctionEventInvokeConfigs",
            "/2019-09-25/functions/{name}/event-invoke-config/list",
            || get(event_invoke::list),
        )
        .acts_on("Marker MaxItems"),
    ],
};

const TAGS_PATH: &str = "/2017-03-31/tags/{resource}";

const TAGS: Family = Family {
    title: "Tags",
    tier: Tier::Core,
    note: "Of functions, code signing configs and event source mappings.",
    operations: &[
        Operation::own("TagResource", TAGS_PATH, || post(tags::add)).stores("Tags"),
        Operation::own("UntagResource", TAGS_PATH, || delete(tags::remove)).acts_on("TagKeys"),
        Operation::own("ListTags", TAGS_PATH, || get(tags::list)),
    ],
};

const PERMISSIONS: Family = Family {
    title: "Permissions",
    tier: Tier::Small,
    note: "They decide who may call a function's URL, and, on a host with a credentials file, which other accounts may \
           invoke a function.",
    operations: &[
        Operation::own("AddPermission", "/2015-03-31/functions/{name}/policy", || post(permissions::add))
            .acts_on(
                "Action EventSourceToken FunctionUrlAuthType InvokedViaFunctionUrl Principal PrincipalOrgID \
                 Qualifier RevisionId SourceAccount SourceArn StatementId",
            ),
        Operation::own("GetPolicy", "/2015-03-31/functions/{name}/policy", || get(permissions::get))
            .acts_on("Qualifier"),
        Operation::own("RemovePermission", "/2015-03-31/functions/{name}/policy/{statement}", || {
            delete(permissions::remove)
        })
        .acts_on("Qualifier RevisionId"),
    ],
};

const ACCOUNT: Family = Family {
    title: "Account settings",
    tier: Tier::Small,
    note: "",
    operations: &[Operation::own("GetAccountSettings", "/2016-08-19/account-settings", || {
        get(account::settings)
    })],
};

const RUNTIME_MANAGEMENT_PATH: &str = "/2021-07-20/functions/{name}/runtime-management-config";

const RUNTIME_MANAGEMENT: Family = Family {
    title: "Runtime management",
    tier: Tier::Small,
    note: "Runtimes are what the machine or its images have, and are updated with those.",
    operations: &[
        Operation::own("PutRuntimeManagementConfig", RUNTIME_MANAGEMENT_PATH, || {
            put(runtime_management::put)
        })
        .acts_on("Qualifier")
        .stores("RuntimeVersionArn UpdateRuntimeOn"),
        Operation::own("GetRuntimeManagementConfig", RUNTIME_MANAGEMENT_PATH, || {
            get(runtime_management::get)
        })
        .acts_on("Qualifier"),
    ],
};

const RECURSION_PATH: &str = "/2024-08-31/functions/{name}/recursion-config";

const RECURSION: Family = Family {
    title: "Recursion",
    tier: Tier::Small,
    note: "",
    operations: &[
        Operation::own("PutFunctionRecursionConfig", RECURSION_PATH, || put(recursion::put))
            .acts_on("RecursiveLoop"),
        Operation::own("GetFunctionRecursionConfig", RECURSION_PATH, || get(recursion::get)),
    ],
};

const MAPPING_PATH: &str = "/2015-03-31/event-source-mappings/{id}";

const EVENT_SOURCES: Family = Family {
    title: "Event source mappings",
    tier: Tier::Control,
    note: "Queues of SQS are read, if this host knows an endpoint of it; all other sources are stored and shown.",
    operations: &[
        Operation::own("CreateEventSourceMapping", "/2015-03-31/event-source-mappings", || {
            post(event_sources::create)
        })
        .acts_on(
            "BatchSize Enabled EventSourceArn FilterCriteria FunctionName FunctionResponseTypes \
             MaximumBatchingWindowInSeconds ScalingConfig",
        )
        .stores(
            "AmazonManagedKafkaEventSourceConfig BisectBatchOnFunctionError DestinationConfig \
             DocumentDBEventSourceConfig KMSKeyArn LoggingConfig MaximumRecordAgeInSeconds \
             MaximumRetryAttempts MetricsConfig ParallelizationFactor ProvisionedPollerConfig Queues \
             SelfManagedEventSource SelfManagedKafkaEventSourceConfig SourceAccessConfigurations StartingPosition \
             StartingPositionTimestamp Tags Topics TumblingWindowInSeconds",
        ),
        Operation::own("GetEventSourceMapping", MAPPING_PATH, || get(event_sources::get)),
        Operation::own("UpdateEventSourceMapping", MAPPING_PATH, || put(event_sources::update))
            .acts_on(
                "BatchSize Enabled FilterCriteria FunctionName FunctionResponseTypes \
                 MaximumBatchingWindowInSeconds ScalingConfig",
            )
            .stores(
                "AmazonManagedKafkaEventSourceConfig BisectBatchOnFunctionError DestinationConfig \
                 DocumentDBEventSourceConfig KMSKeyArn LoggingConfig MaximumRecordAgeInSeconds \
                 MaximumRetryAttempts MetricsConfig ParallelizationFactor ProvisionedPollerConfig \
                 SelfManagedKafkaEventSourceConfig SourceAccessConfigurations TumblingWindowInSeconds",
            ),
        Operation::own("DeleteEventSourceMapping", MAPPING_PATH, || delete(event_sources::delete)),
        Operation::own("ListEventSourceMappings", "/2015-03-31/event-source-mappings", || {
            get(event_sources::list)
        })
        .acts_on("EventSourceArn FunctionName Marker MaxItems"),
    ],
};

const CODE_SIGNING_PATH: &str = "/2020-04-22/code-signing-configs/{arn}";
const SIGNING_OF_FUNCTION_PATH: &str = "/2020-06-30/functions/{name}/code-signing-config";

const CODE_SIGNING: Family = Family {
    title: "Code signing",
    tier: Tier::Control,
    note: "No signature is checked.",
    operations: &[
        Operation::own("CreateCodeSigningConfig", "/2020-04-22/code-signing-configs", || {
            post(code_signing::create)
        })
        .stores("AllowedPublishers CodeSigningPolicies Description Tags"),
        Operation::own("GetCodeSigningConfig", CODE_SIGNING_PATH, || get(code_signing::get)),
        Operation::own("UpdateCodeSigningConfig", CODE_SIGNING_PATH, || put(code_signing::update))
            .stores("AllowedPublishers CodeSigningPolicies Description"),
        Operation::own("DeleteCodeSigningConfig", CODE_SIGNING_PATH, || delete(code_signing::delete)),
        Operation::own("ListCodeSigningConfigs", "/2020-04-22/code-signing-configs", || {
            get(code_signing::list)
        })
        .acts_on("Marker MaxItems"),
        Operation::own(
            "ListFunctionsByCodeSigningConfig",
            "/2020-04-22/code-signing-configs/{arn}/functions",
            || get(code_signing::list_functions),
        )
        .acts_on("Marker MaxItems"),
        Operation::own("PutFunctionCodeSigningConfig", SIGNING_OF_FUNCTION_PATH, || {
            put(code_signing::put_for_function)
        })
        .stores("CodeSigningConfigArn"),
        Operation::own("GetFunctionCodeSigningConfig", SIGNING_OF_FUNCTION_PATH, || {
            get(code_signing::get_of_function)
        }),
        Operation::own("DeleteFunctionCodeSigningConfig", SIGNING_OF_FUNCTION_PATH, || {
            delete(code_signing::delete_of_function)
        }),
    ],
};

#[rustfmt::skip]
const DURABLE_EXECUTIONS: Family = Family {
    title: "Durable executions",
    tier: Tier::Outside,
    note: "",
    operations: &[
        Operation::refused("CheckpointDurableExecution", MethodFilter::POST, "/2025-12-01/durable-executions/{arn}/checkpoint"),
        Operation::refused("DeleteDurableExecution", MethodFilter::DELETE, "/2025-12-01/durable-executions/{arn}"),
        Operation::refused("GetDurableExecution", MethodFilter::GET, "/2025-12-01/durable-executions/{arn}"),
        Operation::refused("GetDurableExecutionHistory", MethodFilter::GET, "/2025-12-01/durable-executions/{arn}/history"),
        Operation::refused("GetDurableExecutionState", MethodFilter::GET, "/2025-12-01/durable-executions/{arn}/state"),
        Operation::refused("ListDurableExecutionsByFunction", MethodFilter::GET, "/2025-12-01/functions/{name}/durable-executions"),
        Operation::refused("PauseDurableExecution", MethodFilter::POST, "/2025-12-01/durable-executions/{arn}/pause"),
        Operation::refused("ResumeDurableExecution", MethodFilter::POST, "/2025-12-01/durable-executions/{arn}/resume"),
        Operation::refused("SendDurableExecutionCallbackFailure", MethodFilter::POST, "/2025-12-01/durable-execution-callbacks/{id}/fail"),
        Operation::refused("SendDurableExecutionCallbackHeartbeat", MethodFilter::POST, "/2025-12-01/durable-execution-callbacks/{id}/heartbeat"),
        Operation::refused("SendDurableExecutionCallbackSuccess", MethodFilter::POST, "/2025-12-01/durable-execution-callbacks/{id}/succeed"),
        Operation::refused("StopDurableExecution", MethodFilter::POST, "/2025-12-01/durable-executions/{arn}/stop"),
    ],
};

#[rustfmt::skip]
const CAPACITY: Family = Family {
    title: "Capacity providers and scaling",
    tier: Tier::Outside,
    note: "",
    operations: &[
        Operation::refused("CreateCapacityProvider", MethodFilter::POST, "/2025-11-30/capacity-providers"),
        Operation::refused("DeleteCapacityProvider", MethodFilter::DELETE, "/2025-11-30/capacity-providers/{name}"),
        Operation::refused("GetCapacityProvider", MethodFilter::GET, "/2025-11-30/capacity-providers/{name}"),
        Operation::refused("GetFunctionScalingConfig", MethodFilter::GET, "/2025-11-30/functions/{name}/function-scaling-config"),
        Operation::refused("ListCapacityProviders", MethodFilter::GET, "/2025-11-30/capacity-providers"),
        Operation::refused("ListFunctionVersionsByCapacityProvider", MethodFilter::GET, "/2025-11-30/capacity-providers/{name}/function-versions"),
        Operation::refused("PutFunctionScalingConfig", MethodFilter::PUT, "/2025-11-30/functions/{name}/function-scaling-config"),
        Operation::refused("UpdateCapacityProvider", MethodFilter::PUT, "/2025-11-30/capacity-providers/{name}"),
    ],
};

#[rustfmt::skip]
const RESOURCE_POLICIES: Family = Family {
    title: "Resource policies",
    tier: Tier::Outside,
    note: "",
    operations: &[
        Operation::refused("DeleteResourcePolicy", MethodFilter::DELETE, "/2026-07-09/resource-policy/{arn}"),
        Operation::refused("GetResourcePolicy", MethodFilter::GET, "/2026-07-09/resource-policy/{arn}"),
        Operation::refused("PutResourcePolicy", MethodFilter::PUT, "/2026-07-09/resource-policy/{arn}"),
    ],
};
