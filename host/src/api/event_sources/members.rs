//! Members of a mapping that are stored and shown as they come, and what the model says of them.

use crate::api::shape::Shape::{Boolean, Integer, List, Map, Structure, Text, Timestamp, Word};
use crate::api::shape::{ANY, DESTINATION, KEY, Member, Pattern, RESOURCE};

/// Those that may change.
#[rustfmt::skip]
pub(super) const CHANGEABLE: &[Member] = &[
    Member::new("FilterCriteria", Structure(&[
        Member::new("Filters", List(0, usize::MAX, &Structure(&[Member::new("Pattern", Text(0, 4096, ANY))]))),
    ])),
    Member::new("KMSKeyArn", KEY),
    Member::new("MetricsConfig", Structure(&[
        Member::new("Metrics", List(0, 3, &Word(&["EventCount", "ErrorCount", "KafkaMetrics"]))),
    ])),
    Member::new("LoggingConfig", Structure(&[Member::new("SystemLogLevel", Word(&["DEBUG", "INFO", "WARN"]))])),
    Member::new("ScalingConfig", Structure(&[Member::new("MaximumConcurrency", Integer(2, 1000))])),
    Member::new("ParallelizationFactor", Integer(1, 10)),
    Member::new("DestinationConfig", Structure(&[
        Member::new("OnSuccess", Structure(GOES_TO)),
        Member::new("OnFailure", Structure(GOES_TO)),
    ])),
    Member::new("MaximumRecordAgeInSeconds", Integer(-1, 604_800)),
    Member::new("BisectBatchOnFunctionError", Boolean),
    Member::new("MaximumRetryAttempts", Integer(-1, 10_000)),
    Member::new("TumblingWindowInSeconds", Integer(0, 900)),
    Member::new("SourceAccessConfigurations", List(0, 23, &Structure(&[
        Member::new("Type", Word(ACCESS_TYPES)),
        Member::new("URI", Text(1, 200, NAME)),
    ]))),
    Member::new("AmazonManagedKafkaEventSourceConfig", Structure(&[CONSUMER_GROUP, SCHEMA_REGISTRY])),
    Member::new("SelfManagedKafkaEventSourceConfig", Structure(&[
        CONSUMER_GROUP,
        SCHEMA_REGISTRY,
        Member::new("ConsumptionMode", Word(&["Stream", "Queue"])),
    ])),
    Member::new("DocumentDBEventSourceConfig", Structure(&[
        Member::new("DatabaseName", Text(1, 63, Pattern::new(r"[^ /\.$\x22]*"))),
        Member::new("CollectionName", Text(1, 57, COLLECTION)),
        Member::new("FullDocument", Word(&["UpdateLookup", "Default"])),
    ])),
    Member::new("ProvisionedPollerConfig", Structure(&[
        Member::new("MinimumPollers", Integer(1, 200)),
        Member::new("MaximumPollers", Integer(1, 10_000)),
        Member::new("PollerGroupName", Text(0, 128, Pattern::new("[a-zA-Z0-9-_]*"))),
    ])),
];

/// Those that are given once.
#[rustfmt::skip]
pub(super) const LASTING: &[Member] = &[
    Member::new("StartingPosition", Word(&["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"])),
    Member::new("StartingPositionTimestamp", Timestamp),
    Member::new("Topics", List(1, 1, &Text(1, 249, Pattern::new(r"[^.]([a-zA-Z0-9\-_.]+)")))),
    Member::new("Queues", List(1, 1, &Text(1, 1000, ANY))),
    Member::new("SelfManagedEventSource", Structure(&[
        Member::new("Endpoints", Map(1, 2, &Word(&["KAFKA_BOOTSTRAP_SERVERS"]), &List(1, 10, &Text(1, 300, HOST)))),
    ])),
];

const GOES_TO: &[Member] = &[Member::new("Destination", DESTINATION)];

const CONSUMER_GROUP: Member = Member::new("ConsumerGroupId", Text(1, 200, NAME));

#[rustfmt::skip]
const SCHEMA_REGISTRY: Member = Member::new("SchemaRegistryConfig", Structure(&[
    Member::new("SchemaRegistryURI", Text(1, 10_000, Pattern::new(r"[a-zA-Z0-9-\/*:_+=.@-]*"))),
    Member::new("EventRecordFormat", Word(&["JSON", "SOURCE"])),
    Member::new("AccessConfigs", List(0, usize::MAX, &Structure(&[
        Member::new("Type", Word(REGISTRY_ACCESS_TYPES)),
        Member::new("URI", RESOURCE),
    ]))),
    Member::new("SchemaValidationConfigs", List(0, usize::MAX, &Structure(&[
        Member::new("Attribute", Word(&["KEY", "VALUE"])),
    ]))),
]));

const NAME: Pattern = Pattern::new(r"[ a-zA-Z0-9-\/*:_+=.@-]*");
const HOST: Pattern = Pattern::new(
    r"(([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\-]*[a-zA-Z0-9])\.)*([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9\-]*[A-Za-z0-9]):[0-9]{1,5}",
);
/// What begins with `system.` is refused by the database itself, which this host does not read.
const COLLECTION: Pattern =
    Pattern { shown: r"(^(?!(system\x2e)))(^[_a-zA-Z0-9])([^$]*)", tested: "[_a-zA-Z0-9][^$]*" };

const REGISTRY_ACCESS_TYPES: &[&str] =
    &["BASIC_AUTH", "CLIENT_CERTIFICATE_TLS_AUTH", "SERVER_ROOT_CA_CERTIFICATE", "OAUTHBEARER_AUTH"];
const ACCESS_TYPES: &[&str] = &[
    "BASIC_AUTH",
    "VPC_SUBNET",
    "VPC_SECURITY_GROUP",
    "SASL_SCRAM_512_AUTH",
    "SASL_SCRAM_256_AUTH",
    "VIRTUAL_HOST",
    "CLIENT_CERTIFICATE_TLS_AUTH",
    "SERVER_ROOT_CA_CERTIFICATE",
    "OAUTHBEARER_AUTH",
    "OAUTHBEARER_SCOPE",
    "OAUTHBEARER_AUDIENCE",
    "OAUTHBEARER_LOGICAL_CLUSTER",
    "OAUTHBEARER_IDENTITY_POOL",
    "IAM_AUTH",
    "IAM_OAUTHBEARER_AUTH",
];
