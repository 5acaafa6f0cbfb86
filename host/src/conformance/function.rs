//! What the kit's instances run: a function that answers with its event, in whichever runtime the backend has.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hearth_core::{Artifact, Image};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::catalog::digest::Digest;

/// What it writes as soon as it is loaded.
pub(super) const GREETING: &str = "hearth conformance";

/// A function that answers with its event.
#[derive(Clone, Debug)]
pub enum Function {
    /// Written here for this runtime.
    Runtime(String),
    /// An image that holds one.
    Image(String),
}

/// It as a launch specification names it.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    pub(super) runtime: String,
    pub(super) handler: String,
    pub(super) code: Option<Artifact>,
    pub(super) image: Option<Image>,
}

/// As in AWS's own tutorial for runtimes of one's own; where there is no curl, with python3.
const BOOTSTRAP: &str = r#"#!/bin/sh
echo "hearth conformance"
command -v curl >/dev/null || exec python3 -c '
import http.client, os
api, path = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"]), "/2018-06-01/runtime/invocation/"
while True:
    api.request("GET", path + "next")
    response = api.getresponse()
    event, id = response.read(), response.headers["Lambda-Runtime-Aws-Request-Id"]
    api.request("POST", path + id + "/response", event, {"Content-Type": "application/json"})
    api.getresponse().read()
'
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
head="${TMPDIR:-/tmp}/head.$$"
while event=$(curl -sS -D "$head" "$api/next"); do
    id=$(sed -n 's/^lambda-runtime-aws-request-id: *//Ip' "$head" | tr -d '\r')
    curl -sS -o /dev/null -H 'Content-Type: application/json' -d "$event" "$api/$id/response"
done
"#;
const PYTHON: &str =
    "print('hearth conformance', flush=True)\n\n\ndef handler(event, context):\n    return event\n";
const NODE: &str = "console.log('hearth conformance');\nexport const handler = async (event) => event;\n";

impl Function {
    /// Writes its code into a folder, packed and unpacked.
    pub(super) fn write(&self, folder: &Path) -> Result<Parts, String> {
        let (runtime, file, source) = match self {
            Self::Image(uri) => {
                let image = Image { uri: uri.clone(), ..Image::default() };
                return Ok(Parts { image: Some(image), ..Parts::default() });
            }
            Self::Runtime(runtime) if runtime.starts_with("python") => (runtime, "app.py", PYTHON),
            Self::Runtime(runtime) if runtime.starts_with("nodejs") => (runtime, "app.mjs", NODE),
            Self::Runtime(runtime) if runtime.starts_with("provided") => (runtime, "bootstrap", BOOTSTRAP),
            Self::Runtime(other) => {
                return Err(format!(
                    "there is no function for the runtime {other} here: provided.*, python* and nodejs* are known; \
                     give an image that answers with its event instead (--image)"
                ));
            }
        };
        let code =
            artifact(folder, file, source).map_err(|error| format!("cannot write a function: {error}"))?;
        Ok(Parts {
            runtime: runtime.clone(),
            handler: "app.handler".to_owned(),
            code: Some(code),
            image: None,
        })
    }
}

fn artifact(folder: &Path, file: &str, source: &str) -> io::Result<Artifact> {
    let (zip_path, dir_path) = (folder.join("code.zip"), folder.join("code"));
    let mut zip = ZipWriter::new(io::Cursor::new(Vec::new()));
    zip.start_file(file, SimpleFileOptions::default().unix_permissions(0o755))?;
    zip.write_all(source.as_bytes())?;
    let bytes = zip.finish()?.into_inner();
    fs::write(&zip_path, &bytes)?;
    fs::create_dir_all(&dir_path)?;
    let path = dir_path.join(file);
    fs::write(&path, source)?;
    fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    Ok(Artifact {
        sha256: Digest::of(&bytes).to_string(),
        size: bytes.len() as u64,
        zip_path: zip_path.display().to_string(),
        dir_path: dir_path.display().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_greets_and_a_runtime_without_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for runtime in ["provided.al2023", "python3.13", "nodejs22.x"] {
            let parts = Function::Runtime(runtime.to_owned()).write(folder.path()).unwrap();
            let code = parts.code.unwrap();
            assert_eq!((parts.runtime.as_str(), code.sha256.len()), (runtime, 64));
        }
        assert!([BOOTSTRAP, PYTHON, NODE].iter().all(|source| source.contains(GREETING)));
        let refused = Function::Runtime("java21".to_owned()).write(folder.path()).unwrap_err();
        assert!(refused.starts_with("there is no function for the runtime java21 here"), "{refused}");
    }
}
