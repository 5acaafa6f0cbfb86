//! How the host reaches a pod: at its own address, or through the API server, as `kubectl port-forward` does.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::cluster::{Cluster, Rights};
use crate::config::{Places, Reach};
use crate::instances::Instance;
use crate::outlook::Stage;
use crate::pod::PORT;

/// How long a pod's container runs without its port being reached until its address is taken for out of reach.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries to reach a port.
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// Finds out once, with the first pod, unless the settings say it.
pub(crate) struct Routes {
    cluster: Cluster,
    known: Mutex<Option<Way>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// At its own address.
    Direct,
    /// Through the API server.
    Tunnel,
}

impl Routes {
    pub(crate) fn new(cluster: Cluster, reach: Reach, places: &Places, rights: Rights) -> Self {
        let known = match reach {
            Reach::PodIp => Some(Way::Direct),
            Reach::PortForward => Some(Way::Tunnel),
            Reach::Auto if places.is_in_cluster || !rights.port_forward => Some(Way::Direct),
            Reach::Auto => None,
        };
        Self { cluster, known: Mutex::new(known) }
    }

    /// Where the emulator of a pod takes invocations, as soon as that is known.
    pub(crate) async fn endpoint(&self, instance: &Instance) -> io::Result<String> {
        let address = instance.until(|outlook| outlook.address.clone()).await;
        let direct =
            if address.contains(':') { format!("[{address}]:{PORT}") } else { format!("{address}:{PORT}") };
        let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let way = match known {
            Some(way) => way,
            None => self.find_out(instance, &direct).await,
        };
        match way {
            Way::Direct => Ok(direct),
            Way::Tunnel => {
                // There is nothing to forward to before.
                instance.until(|outlook| (outlook.stage == Stage::Running).then_some(())).await;
                let tunnel = Tunnel::open(self.cluster.pods(), instance.handle.clone()).await?;
                let endpoint = tunnel.endpoint.clone();
                instance.keep(tunnel);
                Ok(endpoint)
            }
        }
    }

    async fn find_out(&self, instance: &Instance, direct: &str) -> Way {
        let reached = async {
            while TcpStream::connect(direct).await.is_err() {
                sleep(TRY_AGAIN).await;
            }
        };
        let too_late = async {
            instance.until(|outlook| (outlook.stage == Stage::Running).then_some(())).await;
            sleep(PATIENCE).await;
        };
        let way = tokio::select! {
            () = reached => Way::Direct,
            () = too_late => Way::Tunnel,
        };
        if way == Way::Tunnel {
            tracing::info!(address = direct, "pods are out of reach; going through the API server");
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(way);
        way
    }
}

/// A port of this machine that leads to a pod. It is closed with this.
#[derive(Debug)]
pub(crate) struct Tunnel {
    endpoint: String,
    carrying: JoinHandle<()>,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

impl Tunnel {
    async fn open(pods: Api<Pod>, pod: String) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = listener.local_addr()?.to_string();
        Ok(Self { endpoint, carrying: tokio::spawn(carry_all(listener, pods, pod)) })
    }
}

/// Each connection is one to the API server. The host keeps its connections open, so that few are made.
async fn carry_all(listener: TcpListener, pods: Api<Pod>, pod: String) {
    while let Ok((stream, _)) = listener.accept().await {
        let (pods, pod) = (pods.clone(), pod.clone());
        tokio::spawn(async move {
            if let Err(error) = carry(stream, &pods, &pod).await {
                tracing::debug!(pod, %error, "a connection to a pod broke off");
            }
        });
    }
}

async fn carry(
    mut near: TcpStream,
    pods: &Api<Pod>,
    pod: &str,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut forwarder = pods.portforward(pod, &[PORT]).await?;
    let mut far = forwarder.take_stream(PORT).ok_or("the API server forwards no such port")?;
    let refused = forwarder.take_error(PORT);
    // That it closes without a reason is how a connection ends well.
    let refused = async {
        match refused {
            Some(refused) => match refused.await {
                Some(reason) => reason,
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        carried = copy_bidirectional(&mut near, &mut far) => drop(carried?),
        reason = refused => return Err(reason.into()),
    }
    forwarder.abort();
    Ok(())
}
