//! Images on the engine: pulled once for all who wait, and looked at.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bollard::query_parameters::CreateImageOptions;
use futures_util::future::{BoxFuture, Shared};
use futures_util::{FutureExt, StreamExt};
use hearth_containers::runtimes;
use hearth_core::{BackendError, ErrorKind, Host, LaunchSpec, Progress, Result};

use crate::config::{Config, Pull};
use crate::credentials;
use crate::engine::Engine;
use crate::failure::{failure, is_missing};
use crate::reference;

/// An image that the engine has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Image {
    /// Its digest: what a tag means may change under a running deploy.
    pub(crate) id: String,
    pub(crate) entry_point: Vec<String>,
    pub(crate) command: Vec<String>,
}

/// A name and the architecture it is wanted for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wanted {
    pub(crate) uri: String,
    /// As Lambda says it: `x86_64` or `arm64`.
    pub(crate) architecture: String,
}

/// What the engine has, and what it is getting.
pub(crate) struct Images {
    engine: Engine,
    host: Host,
    pull: Pull,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    known: HashMap<Wanted, Arc<Image>>,
    /// Work under way, and the deploys that wait for it.
    under_way: HashMap<Wanted, (Getting, Waiting)>,
}

type Getting = Shared<BoxFuture<'static, Result<Arc<Image>>>>;
type Waiting = Arc<Mutex<BTreeSet<String>>>;

impl Wanted {
    /// The image that a function is to run in.
    pub(crate) fn by(spec: &LaunchSpec, config: &Config) -> Result<Self> {
        let architecture = spec.architecture.clone();
        if let Some(image) = &spec.image {
            return Ok(Self { uri: reference::tagged(&image.uri), architecture });
        }
        if let Some(image) = config.images.get(&spec.runtime) {
            return Ok(Self { uri: reference::tagged(image), architecture });
        }
        match runtimes::image(&spec.runtime) {
            Some(image) => Ok(Self { uri: format!("{}/{image}", config.image_prefix), architecture }),
            None => Err(BackendError::new(
                ErrorKind::SPEC_REJECTED,
                format!(
                    "there is no image for the runtime {0}: name one in [backends.docker.images], \"{0}\" = \"…\"",
                    spec.runtime
                ),
            )),
        }
    }

    /// In the engine's words.
    pub(crate) fn platform(&self) -> String {
        format!("linux/{}", self.engine_architecture())
    }

    fn engine_architecture(&self) -> &str {
        if self.architecture == "x86_64" { "amd64" } else { &self.architecture }
    }
}

impl Images {
    pub(crate) fn new(engine: Engine, host: Host, pull: Pull) -> Self {
        Self { engine, host, pull, state: Arc::default() }
    }

    /// The image of an instance that is to be launched.
    pub(crate) async fn get(&self, wanted: &Wanted, deploy_id: &str) -> Result<Arc<Image>> {
        let known = self.state().known.get(wanted).cloned();
        match known {
            Some(image) => Ok(image),
            None => self.fetch(wanted, deploy_id, self.pull).await,
        }
    }

    /// The image of a deploy: pulled anew if the user wants that.
    pub(crate) async fn prepare(&self, wanted: &Wanted, deploy_id: &str) -> Result<Arc<Image>> {
        if self.pull == Pull::Always {
            self.fetch(wanted, deploy_id, self.pull).await
        } else {
            self.get(wanted, deploy_id).await
        }
    }

    /// The engine says that it does not have this image any more.
    pub(crate) fn forget(&self, wanted: &Wanted) {
        self.state().known.remove(wanted);
    }

    /// Whoever comes while it is under way waits for the same, and hears of the same failure.
    async fn fetch(&self, wanted: &Wanted, deploy_id: &str, pull: Pull) -> Result<Arc<Image>> {
        let getting = {
            let mut state = self.state();
            if let Some((getting, waiting)) = state.under_way.get(wanted) {
                lock(waiting).insert(deploy_id.to_owned());
                getting.clone()
            } else {
                let waiting = Waiting::new(Mutex::new([deploy_id.to_owned()].into()));
                let getting = self.begin(wanted.clone(), pull, waiting.clone());
                state.under_way.insert(wanted.clone(), (getting.clone(), waiting));
                getting
            }
        };
        getting.await
    }

    /// A task of its own, which does not end with whoever asked first.
    fn begin(&self, wanted: Wanted, pull: Pull, waiting: Waiting) -> Getting {
        let (engine, host, state) = (self.engine.clone(), self.host.clone(), self.state.clone());
        let task = tokio::spawn(async move {
            let got = obtain(&engine, &wanted, pull, |step| tell(&host, &waiting, &step)).await.map(Arc::new);
            let mut state = lock(&state);
            state.under_way.remove(&wanted);
            if let Ok(image) = &got {
                state.known.insert(wanted, image.clone());
            }
            got
        });
        task.map(|ended| {
            ended.unwrap_or_else(|panic| Err(BackendError::internal("a pull ended badly").caused_by(&panic)))
        })
        .boxed()
        .shared()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far a pull is.
struct Step {
    text: String,
    done: u64,
    total: u64,
}

fn tell(host: &Host, waiting: &Waiting, step: &Step) {
    for deploy_id in lock(waiting).iter() {
        let Step { text, done, total } = step;
        host.progress(Progress {
            deploy_id: deploy_id.clone(),
            step: text.clone(),
            done: *done,
            total: *total,
        });
    }
}

async fn obtain(engine: &Engine, wanted: &Wanted, pull: Pull, tell: impl Fn(Step)) -> Result<Image> {
    let uri = &wanted.uri;
    if pull != Pull::Always {
        if let Some(image) = look_at(engine, wanted).await? {
            return Ok(image);
        }
        if pull == Pull::Never {
            return Err(rejected(format!(
                "the engine does not have the image {uri}, and is not to pull it; `docker pull {uri}`, or set `pull` in \
                 [backends.docker]"
            )));
        }
    }
    self::pull(engine, wanted, tell).await?;
    look_at(engine, wanted).await?.ok_or_else(|| {
        BackendError::internal(format!("the image {uri} was pulled, and the engine does not have it"))
            .retryable()
    })
}

/// What the engine has under this name.
async fn look_at(engine: &Engine, wanted: &Wanted) -> Result<Option<Image>> {
    let uri = &wanted.uri;
    let found = match engine.docker.inspect_image(uri).await {
        Ok(found) => found,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(failure(&format!("the image {uri} cannot be looked at"), &error)),
    };
    let architecture = found.architecture.unwrap_or_default();
    if !architecture.is_empty() && architecture != wanted.engine_architecture() {
        return Err(rejected(format!(
            "the image {uri} is for {architecture}, and the function for {}; pull the one for it with `docker pull \
             --platform {} {uri}`",
            wanted.architecture,
            wanted.platform()
        )));
    }
    let config = found.config.unwrap_or_default();
    Ok(Some(Image {
        id: found.id.unwrap_or_else(|| uri.clone()),
        entry_point: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
    }))
}

async fn pull(engine: &Engine, wanted: &Wanted, tell: impl Fn(Step)) -> Result<()> {
    let uri = &wanted.uri;
    tracing::info!(image = uri, "pulling");
    let options = CreateImageOptions {
        from_image: Some(uri.clone()),
        platform: wanted.platform(),
        ..CreateImageOptions::default()
    };
    let credentials = credentials::of_registry(uri).await;
    let mut steps = engine.docker.create_image(Some(options), None, credentials).boxed();
    let mut layers: HashMap<String, (i64, i64)> = HashMap::new();
    while let Some(step) = steps.next().await {
        let step = step.map_err(|error| not_pulled(uri, &error))?;
        if let (Some(layer), Some(detail)) = (step.id, step.progress_detail)
            && step.status.as_deref() == Some("Downloading")
        {
            layers.insert(layer, (detail.current.unwrap_or(0), detail.total.unwrap_or(0)));
        }
        let sum =
            |part: fn(&(i64, i64)) -> i64| u64::try_from(layers.values().map(part).sum::<i64>()).unwrap_or(0);
        tell(Step {
            text: format!("pulling {uri}"),
            done: sum(|layer| layer.0),
            total: sum(|layer| layer.1),
        });
    }
    Ok(())
}

/// That there is no such image, or none for this user, does not change by trying again.
fn not_pulled(uri: &str, error: &bollard::errors::Error) -> BackendError {
    let failed = failure(&format!("the image {uri} cannot be pulled"), error);
    let text = failed.to_string();
    let final_words = [
        "not found",
        "does not exist",
        "denied",
        "unauthorized",
        "no matching manifest",
        "invalid reference",
    ];
    let is_final =
        failed.kind == ErrorKind::NOT_FOUND || final_words.iter().any(|words| text.contains(words));
    if is_final {
        BackendError { retryable: false, kind: ErrorKind::SPEC_REJECTED, ..failed }
    } else {
        failed
    }
}

fn rejected(message: String) -> BackendError {
    BackendError::new(ErrorKind::SPEC_REJECTED, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(runtime: &str, image: Option<&str>, config: &Config) -> Result<String> {
        let image =
            image.map(|uri| hearth_core::Image { uri: uri.to_owned(), ..hearth_core::Image::default() });
        let spec = LaunchSpec {
            runtime: runtime.to_owned(),
            architecture: "x86_64".to_owned(),
            image,
            ..LaunchSpec::default()
        };
        Wanted::by(&spec, config).map(|wanted| format!("{} {}", wanted.uri, wanted.platform()))
    }

    #[test]
    fn the_image_is_that_of_the_runtime_unless_the_user_names_another() {
        let mut config = Config::default();
        let python = wanted("python3.13", None, &config).unwrap();
        assert_eq!(python, "public.ecr.aws/lambda/python:3.13 linux/amd64");
        config.image_prefix = "mirror.example/lambda".to_owned();
        config.images.insert("python3.12".to_owned(), "mine/python".to_owned());
        let of = |runtime| wanted(runtime, None, &config).unwrap();
        assert_eq!(of("python3.13"), "mirror.example/lambda/python:3.13 linux/amd64");
        assert_eq!(of("python3.12"), "mine/python:latest linux/amd64");
        assert_eq!(wanted("", Some("mine/function:7"), &config).unwrap(), "mine/function:7 linux/amd64");
        let error = wanted("cobol85", None, &config).unwrap_err();
        assert_eq!(error.kind, ErrorKind::SPEC_REJECTED);
    }

    #[test]
    fn an_image_that_is_not_there_is_not_asked_for_again() {
        for (message, is_final) in [
            ("manifest for a:1 not found: manifest unknown", true),
            ("pull access denied for a, repository does not exist or may require 'docker login'", true),
            ("unauthorized: authentication required", true),
            ("no matching manifest for linux/arm64 in the manifest list entries", true),
            ("Get https://a/v2/: dial tcp: lookup a: no such host", false),
        ] {
            let error = bollard::errors::Error::DockerResponseServerError {
                status_code: 500,
                message: message.to_owned(),
            };
            let error = not_pulled("a:1", &error);
            assert_eq!(
                (error.kind == ErrorKind::SPEC_REJECTED, error.retryable),
                (is_final, !is_final),
                "{message}"
            );
        }
    }
}
