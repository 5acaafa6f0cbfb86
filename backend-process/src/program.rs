//! What is started for a function, and in which environment (as on Lambda, with this machine's paths).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use hearth_core::LaunchSpec;
use hearth_rie::{Confinement, Program};

use crate::config::Config;
use crate::interpreter::Interpreter;
use crate::runtime::Runtime;

/// The folders of one instance.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// `/var/task` on Lambda: the code.
    pub(crate) task: PathBuf,
    /// `/opt` on Lambda: the layers.
    pub(crate) opt: PathBuf,
    /// `/var/runtime` on Lambda: the client of the Runtime API.
    pub(crate) runtime: PathBuf,
    /// `/tmp` on Lambda.
    pub(crate) tmp: Tmp,
    /// Where compiled Python modules are kept from one start to the next.
    pub(crate) pycache: PathBuf,
}

/// How an instance comes by temporary files of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tmp {
    /// The process sees this folder as `/tmp`, and this file as `/etc/hosts`.
    Mounted { folder: PathBuf, hosts: PathBuf },
    /// `TMPDIR` names this folder.
    Named(PathBuf),
}

/// What runs the function: its interpreter, or nothing but itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Engine<'a> {
    Interpreter(&'a Interpreter),
    Itself,
}

/// The command of an instance.
pub(crate) fn program(
    spec: &LaunchSpec,
    runtime: &Runtime,
    engine: Engine<'_>,
    place: &Place,
    config: &Config,
) -> Program {
    let (path, arguments) = command(runtime, engine, place);
    let environment = environment(spec, runtime, engine, place, config);
    let (path, arguments) =
        match environment.get("AWS_LAMBDA_EXEC_WRAPPER").filter(|wrapper| !wrapper.is_empty()) {
            // The bootstraps of AWS are shell scripts, so that a wrapper that is missing is a status of the shell's.
            Some(wrapper) if *runtime != Runtime::Provided => {
                let script = ["-c", r#"exec "$0" "$@""#, wrapper].map(OsString::from);
                (
                    PathBuf::from("/bin/sh"),
                    script.into_iter().chain([path.into_os_string()]).chain(arguments).collect(),
                )
            }
            _ => (path, arguments),
        };
    let (private_tmp, hosts) = match &place.tmp {
        Tmp::Mounted { folder, hosts } => (Some(folder.clone()), Some(hosts.clone())),
        Tmp::Named(_) => (None, None),
    };
    Program {
        path,
        arguments,
        environment: environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        directory: place.task.clone(),
        confinement: Confinement {
            open_files: Some(config.open_files),
            no_core_files: true,
            private_tmp,
            hosts,
        },
    }
}

fn command(runtime: &Runtime, engine: Engine<'_>, place: &Place) -> (PathBuf, Vec<OsString>) {
    match (runtime, engine) {
        (Runtime::Python(_), Engine::Interpreter(python)) => {
            let script = place.runtime.join("bootstrap.py");
            (python.path.clone(), vec![script.into(), place.opt.clone().into(), place.pycache.clone().into()])
        }
        (Runtime::Node(_), Engine::Interpreter(node)) => {
            (node.path.clone(), vec![place.runtime.join("bootstrap.mjs").into()])
        }
        (Runtime::Provided, _) | (_, Engine::Itself) => {
            let own = place.task.join("bootstrap");
            let of_layer = place.opt.join("bootstrap");
            (if !own.exists() && of_layer.exists() { of_layer } else { own }, Vec::new())
        }
    }
}

/// Settings of the user win, except over what Lambda reserves.
fn environment(
    spec: &LaunchSpec,
    runtime: &Runtime,
    engine: Engine<'_>,
    place: &Place,
    config: &Config,
) -> BTreeMap<String, String> {
    let task = place.task.display();
    let opt = place.opt.display();
    let own = place.runtime.display();
    let mut all = config.environment.clone();
    let mut set = |name: &str, value: String| all.insert(name.to_owned(), value);
    let beside =
        |path: &Path| path.parent().map(|folder| format!("{}:", folder.display())).unwrap_or_default();
    let interpreter =
        if let Engine::Interpreter(found) = engine { beside(&found.path) } else { String::new() };
    set("PATH", format!("{interpreter}/usr/local/bin:/usr/bin/:/bin:{opt}/bin"));
    set("LD_LIBRARY_PATH", format!("/lib64:/usr/lib64:{own}:{own}/lib:{task}:{task}/lib:{opt}/lib"));
    set("LANG", "en_US.UTF-8".to_owned());
    set("TZ", ":UTC".to_owned());
    if let Tmp::Named(folder) = &place.tmp {
        set("TMPDIR", folder.display().to_string());
    }
    match runtime {
        Runtime::Python(_) => {
            set("PYTHONPATH", own.to_string());
            set("LC_CTYPE", "C.UTF-8".to_owned());
        }
        Runtime::Node(major) => {
            let modules = format!("{opt}/nodejs/node{major}/node_modules:{opt}/nodejs/node_modules");
            set("NODE_PATH", format!("{modules}:{own}/node_modules:{own}:{task}"));
        }
        Runtime::Provided => {}
    }
    if *runtime != Runtime::Provided {
        set("PWD", task.to_string());
        set("SHLVL", "0".to_owned());
    }
    all.extend(spec.env.clone());
    all.extend(spec.secret_env.clone());
    all.insert("LAMBDA_TASK_ROOT".to_owned(), task.to_string());
    all.insert("LAMBDA_RUNTIME_DIR".to_owned(), own.to_string());
    if spec.slots > 1 {
        all.insert("AWS_LAMBDA_MAX_CONCURRENCY".to_owned(), spec.slots.to_string());
    }
    if let Some(wrapper) = all.get_mut("AWS_LAMBDA_EXEC_WRAPPER") {
        *wrapper = on_this_machine(wrapper, place);
    }
    all
}

/// A path as it would be on Lambda, as it is here.
fn on_this_machine(path: &str, place: &Place) -> String {
    for (there, here) in [("/opt/", &place.opt), ("/var/task/", &place.task)] {
        if let Some(rest) = path.strip_prefix(there) {
            return here.join(rest).display().to_string();
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            task: "/code".into(),
            opt: "/layers".into(),
            runtime: "/runtime".into(),
            tmp: Tmp::Named("/own".into()),
            pycache: "/pycache".into(),
        }
    }

    fn environment_of(runtime: &str, env: &[(&str, &str)]) -> String {
        let own = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect::<BTreeMap<_, _>>()
        };
        let secret_env = own(&[("AWS_SESSION_TOKEN", "token")]);
        let spec = LaunchSpec { env: own(env), secret_env, slots: 1, ..LaunchSpec::default() };
        let interpreter = Interpreter { path: "/lang/bin/x".into(), version: "1.2.3".into() };
        let runtime = Runtime::parse(runtime).unwrap();
        let engine =
            if runtime == Runtime::Provided { Engine::Itself } else { Engine::Interpreter(&interpreter) };
        let program = program(&spec, &runtime, engine, &place(), &Config::default());
        let lines =
            program.environment.iter().map(|(name, value)| format!("{}={}", name.display(), value.display()));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_environment_is_that_of_lambda_with_the_paths_of_this_machine() {
        let common = |path: &str| {
            format!(
                "AWS_SESSION_TOKEN=token\nLAMBDA_RUNTIME_DIR=/runtime\nLAMBDA_TASK_ROOT=/code\nLANG=en_US.UTF-8\n\
                 #LD_LIBRARY_PATH=/lib64:/usr/lib64:/runtime:/runtime/lib:/code:/code/lib:/layers/lib\n\
                 @PATH={path}/usr/local/bin:/usr/bin/:/bin:/layers/bin\n"
            )
        };
        let python = common("/lang/bin:").replace('#', "LC_CTYPE=C.UTF-8\n").replace('@', "");
        assert_eq!(
            environment_of("python3.13", &[]),
            python + "PWD=/code\nPYTHONPATH=/runtime\nSHLVL=0\nTMPDIR=/own\nTZ=:UTC"
        );
        let modules = "NODE_PATH=/layers/nodejs/node22/node_modules:/layers/nodejs/node_modules:\
                       /runtime/node_modules:/runtime:/code\n";
        let node = common("/lang/bin:").replace('#', "").replace('@', modules);
        assert_eq!(environment_of("nodejs22.x", &[]), node + "PWD=/code\nSHLVL=0\nTMPDIR=/own\nTZ=:UTC");
        let provided = common("").replace(['#', '@'], "");
        assert_eq!(environment_of("provided.al2023", &[]), provided + "TMPDIR=/own\nTZ=:UTC");
    }

    #[test]
    fn settings_of_the_user_win_except_over_what_is_reserved() {
        let env =
            environment_of("python3.13", &[("PATH", "/mine"), ("TZ", "X"), ("LAMBDA_TASK_ROOT", "/mine")]);
        for line in ["PATH=/mine", "TZ=X", "LAMBDA_TASK_ROOT=/code"] {
            assert!(env.lines().any(|found| found == line), "{line} in {env}");
        }
    }

    #[test]
    fn a_wrapper_gets_the_interpreter_as_its_arguments() {
        let interpreter = Interpreter { path: "/lang/bin/node".into(), version: "22.0.0".into() };
        let env = [("AWS_LAMBDA_EXEC_WRAPPER".to_owned(), "/opt/wrapper".to_owned())];
        let spec = LaunchSpec { env: env.into(), ..LaunchSpec::default() };
        let node = Runtime::Node("22".into());
        let program = program(&spec, &node, Engine::Interpreter(&interpreter), &place(), &Config::default());
        assert_eq!(program.path, Path::new("/bin/sh"));
        let expected =
            ["-c", r#"exec "$0" "$@""#, "/layers/wrapper", "/lang/bin/node", "/runtime/bootstrap.mjs"];
        assert_eq!(program.arguments, expected);
    }
}
