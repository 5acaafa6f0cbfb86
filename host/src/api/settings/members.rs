//! What the model says of settings.

use crate::api::shape::Shape::{Double, Integer, List, Structure, Text, Word};
use crate::api::shape::{ANY, KEY, Member, Pattern, Shape};

pub(super) const ROLE: Shape =
    Text(0, 10_000, Pattern::new(r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"));
pub(super) const HANDLER: Shape = Text(0, 128, Pattern::new(r"[^\s]+"));
pub(super) const LOG_GROUP: Shape = Text(1, 512, Pattern::new(r"[\.\-_/#A-Za-z0-9]+"));

pub(super) const VPC: Shape = Structure(&[
    Member::new("SubnetIds", List(0, 16, &Text(0, 1024, Pattern::new("subnet-[0-9a-z]*")))),
    Member::new("SecurityGroupIds", List(0, 5, &Text(0, 1024, Pattern::new("sg-[0-9a-zA-Z]*")))),
]);

#[rustfmt::skip]
pub(super) const FILE_SYSTEMS: Shape = List(0, 1, &Structure(&[
    Member::required("Arn", Text(0, 256, Pattern::new(r"arn:aws[a-zA-Z-]*:elasticfilesystem:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:access-point/fsap-[a-f0-9]{17}$|^arn:aws[-a-z]*:s3files:[0-9a-z-:]+:file-system/fs-[0-9a-f]{17,40}/access-point/fsap-[0-9a-f]{17,40}"))),
    Member::required("LocalMountPath", Text(0, 160, Pattern::new("/mnt/[a-zA-Z0-9-_.]+"))),
    Member::new("S3FilesConfig", Structure(&[
        Member::new("DirectS3Read", Word(&["ENABLED", "DISABLED", "AUTO"])),
    ])),
]));

pub(super) const IMAGE: Shape = Structure(&[
    Member::new("EntryPoint", List(0, 1500, &Text(0, usize::MAX, ANY))),
    Member::new("Command", List(0, 1500, &Text(0, usize::MAX, ANY))),
    Member::new("WorkingDirectory", Text(0, 1000, ANY)),
]);

/// Settings of AWS that a function would rely on, and that this host refuses.
#[rustfmt::skip]
pub(in crate::api) const REFUSED: &[Member] = &[
    Member::new("CapacityProviderConfig", Structure(&[
        Member::required("LambdaManagedInstancesCapacityProviderConfig", Structure(&[
            Member::required("CapacityProviderArn", Text(1, 140, Pattern::new(r"arn:aws[a-zA-Z-]*:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:capacity-provider:[a-zA-Z0-9-_]+"))),
            Member::new("PerExecutionEnvironmentMaxConcurrency", Integer(1, 1600)),
            Member::new("ExecutionEnvironmentMemoryGiBPerVCpu", Double(2.0, 8.0)),
        ])),
    ])),
    Member::new("DurableConfig", Structure(&[
        Member::new("KMSKeyArn", KEY),
        Member::new("RetentionPeriodInDays", Integer(1, 90)),
        Member::new("ExecutionTimeout", Integer(1, 31_622_400)),
    ])),
    Member::new("RuntimeConfig", Structure(&[
        Member::required("RuntimeArn", Text(48, 2048, Pattern::new(r"arn:[a-z-]+:lambda:[a-z0-9-]+:\d{12}:runtime/.+"))),
        Member::required("RuntimeAlias", Text(1, 128, ANY)),
    ])),
    Member::new("AcceleratorConfig", Structure(&[
        Member::required("AcceleratorMemorySize", Integer(i64::MIN, i64::MAX)),
    ])),
];

/// The same, of those that are given when a function is created.
pub(in crate::api) const REFUSED_AT_CREATION: &[Member] = &[
    Member::new(
        "TenancyConfig",
        Structure(&[Member::required("TenantIsolationMode", Word(&["PER_TENANT"]))]),
    ),
    PUBLISH_TO,
];

/// Versions of functions on AWS's managed instances.
pub(in crate::api) const PUBLISH_TO: Member = Member::new("PublishTo", Word(&["LATEST_PUBLISHED"]));
