//! Functions: create, read, update, list, delete.

use super::*;

#[tokio::test]
async fn a_creation_answers_pending() {
    let world = World::new().await;
    let created = world.post(FUNCTIONS, creation("f")).await;
    created.check(expect![[r#"
        201
        {
          "Architectures": [
            "x86_64"
          ],
          "CodeSha256": "WNO4htwc/vQUCPicIg/HqVezoIKuhVvJrrccXFSzxT8=",
          "CodeSize": 109,
          "Description": "",
          "EphemeralStorage": {
            "Size": 512
          },
          "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
          "FunctionName": "f",
          "Handler": "f.handler",
          "LastModified": "<date>",
          "LoggingConfig": {
            "LogFormat": "Text",
            "LogGroup": "/aws/lambda/f"
          },
          "MemorySize": 128,
          "PackageType": "Zip",
          "RevisionId": "<revision>",
          "Role": "arn:aws:iam::000000000000:role/r",
          "Runtime": "python3.12",
          "RuntimeVersionConfig": {
            "RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:42f2b28d8258c41a63374ac4365007738900f66a9b62a7eb1a2041a2e091d41b"
          },
          "SnapStart": {
            "ApplyOn": "None",
            "OptimizationStatus": "Off"
          },
          "State": "Pending",
          "StateReason": "The function is being created.",
          "StateReasonCode": "Creating",
          "Timeout": 3,
          "TracingConfig": {
            "Mode": "PassThrough"
          },
          "Version": "$LATEST"
        }
    "#]]);
}

#[tokio::test]
async fn a_function_that_is_active_is_described_in_full() {
    let world = World::new().await;
    world.create("f").await;
    world.get(&format!("{FUNCTIONS}/f")).await.check(expect![[r#"
        200
        {
          "Code": {
            "Location": "http://hearth.test:3001/_hearth/code/58d3b886dc1cfef41408f89c220fc7a957b3a082ae855bc9aeb71c5c54b3c53f",
            "RepositoryType": "S3"
          },
          "Configuration": {
            "Architectures": [
              "x86_64"
            ],
            "CodeSha256": "WNO4htwc/vQUCPicIg/HqVezoIKuhVvJrrccXFSzxT8=",
            "CodeSize": 109,
            "Description": "",
            "EphemeralStorage": {
              "Size": 512
            },
            "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
            "FunctionName": "f",
            "Handler": "f.handler",
            "LastModified": "<date>",
            "LastUpdateStatus": "Successful",
            "LoggingConfig": {
              "LogFormat": "Text",
              "LogGroup": "/aws/lambda/f"
            },
            "MemorySize": 128,
            "PackageType": "Zip",
            "RevisionId": "<revision>",
            "Role": "arn:aws:iam::000000000000:role/r",
            "Runtime": "python3.12",
            "RuntimeVersionConfig": {
              "RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:42f2b28d8258c41a63374ac4365007738900f66a9b62a7eb1a2041a2e091d41b"
            },
            "SnapStart": {
              "ApplyOn": "None",
              "OptimizationStatus": "Off"
            },
            "State": "Active",
            "Timeout": 3,
            "TracingConfig": {
              "Mode": "PassThrough"
            },
            "Version": "$LATEST"
          }
        }
    "#]]);
}

#[tokio::test]
async fn the_code_that_was_sent_can_be_fetched_where_the_answer_says() {
    let world = World::new().await;
    world.create("f").await;
    let location =
        world.get(&format!("{FUNCTIONS}/f")).await.json()["Code"]["Location"].as_str().unwrap().to_owned();
    let path = location.strip_prefix("http://hearth.test:3001").unwrap();
    let code = world.get(path).await;
    assert_eq!((code.status, STANDARD.encode(&code.body)), (200, zip("1")));
    assert_eq!(world.get("/_hearth/code/00").await.status, 404);
}

#[tokio::test]
async fn a_bad_creation_is_refused_in_awss_words_and_leaves_nothing() {
    let world = World::new().await;
    world.create("taken").await;
    let base = || creation("f");
    let without = |member: &str| {
        let mut base = base();
        base.as_object_mut().unwrap().remove(member);
        base
    };
    for (request, expected) in [
        (
            creation("taken"),
            r#"409 ResourceConflictException {"Type":"User","message":"Function already exist: taken"}"#,
        ),
        (
            with(base(), "Runtime", json!("cobol")),
            r#"400 InvalidParameterValueException {"Type":"User","message":"Value cobol at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, java25, python3.10, python3.11, java21, ruby3.3, ruby3.4, ruby3.2, python3.8, python3.9, java17, nodejs16.x, dotnet10, dotnet8, java11, dotnet6, nodejs18.x, provided.al2, java8.al2] or be a valid ARN"}"#,
        ),
        (
            without("Handler"),
            r#"400 InvalidParameterValueException {"Type":"User","message":"Runtime and Handler are mandatory parameters for functions created with deployment packages."}"#,
        ),
        (
            without("Role"),
            r#"400 ValidationException {"message":"1 validation error detected: Value null at 'role' failed to satisfy constraint: Member must not be null"}"#,
        ),
        (
            with(with(base(), "Timeout", json!(0)), "MemorySize", json!(1)),
            r#"400 ValidationException {"message":"2 validation errors detected: Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1; Value '1' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128"}"#,
        ),
        (
            with(base(), "Code", json!({"ZipFile": STANDARD.encode("no zip")})),
            r#"400 InvalidParameterValueException {"Type":"User","message":"Could not unzip uploaded file. Please check your file, then try to upload again."}"#,
        ),
        (
            with(base(), "Code", json!({"ZipFile": STANDARD.encode(zip_of(&[("../x", b"")]))})),
            r#"400 InvalidParameterValueException {"Type":"User","message":"Could not unzip uploaded file. Please check your file, then try to upload again."}"#,
        ),
        (
            with(base(), "Code", json!({"ZipFile": STANDARD.encode(zip_of(&[]))})),
            r#"400 InvalidParameterValueException {"Type":"User","message":"Uploaded file must be a non-empty zip"}"#,
        ),
        (
            with(base(), "Code", json!({"S3Bucket": "bucket", "S3Key": "k"})),
            r#"400 InvalidParameterValueException {"Type":"User","message":"Error occurred while GetObject. S3: no endpoint is known for it; set AWS_ENDPOINT_URL_S3"}"#,
        ),
        (
            with(base(), "Layers", json!(["arn:aws:lambda:us-east-1:000000000000:layer:l:9"])),
            r#"400 InvalidParameterValueException {"Type":"User","message":"Layer version arn:aws:lambda:us-east-1:000000000000:layer:l:9 does not exist."}"#,
        ),
        (
            with(base(), "FunctionName", json!("a".repeat(65))),
            &format!(
                r#"400 ValidationException {{"message":"1 validation error detected: Value '{}' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64"}}"#,
                "a".repeat(65)
            ),
        ),
        (
            with(base(), "Timeout", json!("soon")),
            r#"400 SerializationException {"Message":"STRING_VALUE can not be converted to an Integer"}"#,
        ),
    ] {
        assert_eq!(world.post(FUNCTIONS, request).await.told(), expected);
    }
    let answer = world.send("POST", FUNCTIONS, &[], "{\"FunctionName\": }").await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("x-amzn-errortype"), Some("InvalidRequestContentException"));
    assert_eq!(world.state.catalog.functions("000000000000", "us-east-1").len(), 1);
}

#[tokio::test]
async fn requests_and_zip_files_over_the_limit_are_refused() {
    let world = World::new().await;
    let large = with(creation("f"), "Code", json!({"ZipFile": STANDARD.encode(vec![0; 52_428_801])}));
    assert_eq!(
        world.post(FUNCTIONS, large).await.told(),
        r#"413 RequestEntityTooLargeException {"Message":"Zipped size must be smaller than 52428800 bytes"}"#
    );
    assert_eq!(
        world.send("POST", FUNCTIONS, &[], vec![b' '; 70_167_212]).await.told(),
        r#"413 RequestEntityTooLargeException {"Message":"Request must be smaller than 70167211 bytes for the CreateFunction operation"}"#
    );
}

#[tokio::test]
async fn an_update_answers_in_progress_and_then_serves() {
    let world = World::new().await;
    world.create("f").await;
    let changes = json!({"Description": "two", "Timeout": 10, "Environment": {"Variables": {"KEY": "a"}}, "LoggingConfig": {"LogFormat": "JSON"}});
    world.put(&format!("{FUNCTIONS}/f/configuration"), changes).await.check(expect![[r#"
        200
        {
          "Architectures": [
            "x86_64"
          ],
          "CodeSha256": "WNO4htwc/vQUCPicIg/HqVezoIKuhVvJrrccXFSzxT8=",
          "CodeSize": 109,
          "Description": "two",
          "Environment": {
            "Variables": {
              "KEY": "a"
            }
          },
          "EphemeralStorage": {
            "Size": 512
          },
          "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f",
          "FunctionName": "f",
          "Handler": "f.handler",
          "LastModified": "<date>",
          "LastUpdateStatus": "InProgress",
          "LastUpdateStatusReason": "The function is being created.",
          "LastUpdateStatusReasonCode": "Creating",
          "LoggingConfig": {
            "ApplicationLogLevel": "INFO",
            "LogFormat": "JSON",
            "LogGroup": "/aws/lambda/f",
            "SystemLogLevel": "INFO"
          },
          "MemorySize": 128,
          "PackageType": "Zip",
          "RevisionId": "<revision>",
          "Role": "arn:aws:iam::000000000000:role/r",
          "Runtime": "python3.12",
          "RuntimeVersionConfig": {
            "RuntimeVersionArn": "arn:aws:lambda:us-east-1::runtime:42f2b28d8258c41a63374ac4365007738900f66a9b62a7eb1a2041a2e091d41b"
          },
          "SnapStart": {
            "ApplyOn": "None",
            "OptimizationStatus": "Off"
          },
          "State": "Active",
          "Timeout": 10,
          "TracingConfig": {
            "Mode": "PassThrough"
          },
          "Version": "$LATEST"
        }
    "#]]);
    world.settled("f").await;
    let code = json!({"ZipFile": zip("2"), "Architectures": ["arm64"]});
    let updated = world.put(&format!("{FUNCTIONS}/f/code"), code).await;
    assert_eq!((updated.status, &updated.json()["LastUpdateStatus"]), (200, &json!("InProgress")));
    world.settled("f").await;
    world.invoke("f", "{}").await;
    let spec = world.backend.launched.lock().unwrap().pop().unwrap();
    assert_eq!(
        (spec.architecture.as_str(), spec.env["KEY"].as_str(), spec.timeout_ms),
        ("arm64", "a", 10_000)
    );
    assert_eq!(spec.env["AWS_LAMBDA_LOG_FORMAT"], "JSON");
}

#[tokio::test]
async fn a_bad_update_is_refused_in_awss_words() {
    let world = World::new().await;
    world.create("f").await;
    let (configuration, code) = (format!("{FUNCTIONS}/f/configuration"), format!("{FUNCTIONS}/f/code"));
    let stale = r#"412 PreconditionFailedException {"Type":"User","message":"The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"}"#;
    for (path, request, expected) in [
        (&configuration, json!({"RevisionId": "old"}), stale),
        (&code, json!({"RevisionId": "old", "ZipFile": zip("2")}), stale),
        (
            &format!("{FUNCTIONS}/g/code"),
            json!({"ZipFile": zip("2")}),
            r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:g","Type":"User"}"#,
        ),
        (
            &format!("{FUNCTIONS}/g/configuration"),
            json!({}),
            r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:g","Type":"User"}"#,
        ),
        (
            &code,
            json!({"ImageUri": "i"}),
            r#"400 InvalidParameterValueException {"Type":"User","message":"Please don't provide ImageUri when updating a function with packageType Zip."}"#,
        ),
        (
            &code,
            json!({}),
            r#"400 InvalidParameterValueException {"Type":"User","message":"Please provide exactly one of the following: ZipFile, S3Bucket and S3Key, or ImageUri."}"#,
        ),
    ] {
        assert_eq!(world.put(path, request).await.told(), expected);
    }
    let dry = world.put(&code, json!({"ZipFile": zip("2"), "DryRun": true})).await.json();
    let real = world.get(&configuration).await.json();
    assert_ne!(dry["CodeSha256"], real["CodeSha256"]);
    assert_eq!(dry["RevisionId"], real["RevisionId"]);

    world.post(FUNCTIONS, creation("unready")).await;
    assert_eq!(
        world.put(&format!("{FUNCTIONS}/unready/configuration"), json!({})).await.told(),
        r#"409 ResourceConflictException {"Type":"User","message":"The operation cannot be performed at this time. The function is currently in the following state: Pending"}"#
    );
}

#[tokio::test]
async fn functions_are_listed_in_pages_and_deleted() {
    let world = World::new().await;
    for name in ["b", "a", "c"] {
        world.create(name).await;
    }
    let first = world.get(&format!("{FUNCTIONS}/?MaxItems=2")).await.json();
    let names = |list: &Value| {
        let functions = list["Functions"].as_array().unwrap().iter();
        functions.map(|function| function["FunctionName"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&first), ["a", "b"]);
    assert!(first["Functions"][0].get("State").is_none());
    let marker = first["NextMarker"].as_str().unwrap();
    let second = world.get(&format!("{FUNCTIONS}?MaxItems=2&Marker={marker}")).await.json();
    assert_eq!((names(&second), &second["NextMarker"]), (vec!["c".to_owned()], &Value::Null));

    let every = world.get(&format!("{FUNCTIONS}?FunctionVersion=ALL")).await.json();
    assert_eq!(
        every["Functions"][0]["FunctionArn"],
        "arn:aws:lambda:us-east-1:000000000000:function:a:$LATEST"
    );

    assert_eq!(world.delete(&format!("{FUNCTIONS}/a")).await.told(), "204 ");
    assert_eq!(
        world.delete(&format!("{FUNCTIONS}/a")).await.told(),
        r#"404 ResourceNotFoundException {"Message":"Function not found: arn:aws:lambda:us-east-1:000000000000:function:a","Type":"User"}"#
    );
    assert_eq!(
        world.delete(&format!("{FUNCTIONS}/b?Qualifier=$LATEST")).await.told(),
        r#"400 InvalidParameterValueException {"Type":"User","message":"$LATEST version cannot be deleted without deleting the function."}"#
    );
}

#[tokio::test]
async fn what_is_published_with_an_update_is_described_as_the_version() {
    let world = World::new().await;
    let created = world.post(FUNCTIONS, with(creation("f"), "Publish", json!(true))).await.json();
    assert_eq!((&created["Version"], &created["State"]), (&json!("1"), &json!("Pending")));
    assert_eq!(created["FunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f");
    world.settled("f").await;
    world.settled("f:1").await;
    let updated =
        world.put(&format!("{FUNCTIONS}/f/code"), json!({"ZipFile": zip("2"), "Publish": true})).await.json();
    assert_eq!((&updated["Version"], &updated["State"]), (&json!("2"), &json!("Pending")));
    assert_eq!(updated["FunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f:2");
    assert!(updated.get("LastUpdateStatus").is_none());
    world.settled("f").await;
    let same = world.put(&format!("{FUNCTIONS}/f/code"), json!({"ZipFile": zip("2"), "Publish": true})).await;
    assert_eq!(same.json()["Version"], "2");
}

#[tokio::test]
async fn a_failed_deploy_is_told_with_its_cause() {
    let world = World::new().await;
    world.create("unpreparable").await;
    let configuration = world.get(&format!("{FUNCTIONS}/unpreparable/configuration")).await.json();
    assert_eq!(
        (&configuration["State"], &configuration["LastUpdateStatus"]),
        (&json!("Failed"), &json!("Failed"))
    );
    assert!(configuration["StateReason"].as_str().unwrap().contains("no interpreter for it"));
}

#[tokio::test]
async fn an_image_function_is_stored_and_launched() {
    let world = World::new().await;
    let image = json!({
        "FunctionName": "i",
        "PackageType": "Image",
        "Role": "arn:aws:iam::000000000000:role/r",
        "Code": {"ImageUri": "registry/i:1"},
        "ImageConfig": {"Command": ["app.handler"]},
    });
    world.post(FUNCTIONS, image).await;
    world.settled("i").await;
    let got = world.get(&format!("{FUNCTIONS}/i")).await.json();
    assert_eq!(
        got["Code"],
        json!({"RepositoryType": "ECR", "ImageUri": "registry/i:1", "ResolvedImageUri": "registry/i:1"})
    );
    assert_eq!(
        got["Configuration"]["ImageConfigResponse"],
        json!({"ImageConfig": {"Command": ["app.handler"]}})
    );
    assert_eq!(got["Configuration"].get("Runtime"), None);
    world.invoke("i", "{}").await;
    assert_eq!(world.backend.launched.lock().unwrap()[0].image.as_ref().unwrap().command, ["app.handler"]);
}
