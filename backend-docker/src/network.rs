//! How the host reaches a container.

use std::net::Ipv4Addr;

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::InspectNetworkOptions;
use hearth_core::{BackendError, Result};
use tokio::sync::OnceCell;

use crate::config::{Config, Reach};
use crate::engine::Engine;
use crate::failure::{failure, is_missing};

/// Where emulators listen in a network of their own.
pub(crate) const PORT: u16 = 8080;

/// How the host reaches containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// At their own addresses.
    Direct,
    /// Through a port that the engine publishes at `bind`, and that is reached at `connect`.
    Published { bind: String, connect: String },
    /// They have the engine's own network.
    Host { address: String },
}

/// The network that containers are in.
pub(crate) struct Network {
    engine: Engine,
    name: String,
    reach: Reach,
    published_address: Option<String>,
    subnets: OnceCell<Vec<Subnet>>,
}

impl Network {
    pub(crate) fn new(engine: Engine, config: &Config) -> Self {
        Self {
            engine,
            name: config.network.clone(),
            reach: config.reach,
            published_address: config.published_address.clone(),
            subnets: OnceCell::new(),
        }
    }

    /// How the next container is reached. Looked at anew each time: this machine's own addresses may change.
    pub(crate) async fn route(&self) -> Result<Route> {
        let remote = self.engine.address.remote_host();
        if self.name == "host" {
            return Ok(Route::Host { address: remote.unwrap_or("127.0.0.1").to_owned() });
        }
        let subnets = self.subnets.get_or_try_init(|| self.subnets()).await?;
        let is_inside =
            || own_addresses().iter().any(|own| subnets.iter().any(|subnet| subnet.contains(*own)));
        let is_direct = match self.reach {
            Reach::Direct => true,
            Reach::Published => false,
            Reach::Auto => remote.is_none() && is_inside(),
        };
        if is_direct {
            return Ok(Route::Direct);
        }
        // On another machine, at all of its addresses: which of them is the one by which it is known here, only its
        // user can tell.
        let (bind, connect) = match (&self.published_address, remote) {
            (Some(address), _) => (address.as_str(), address.as_str()),
            (None, Some(host)) => ("", host),
            (None, None) => ("127.0.0.1", "127.0.0.1"),
        };
        Ok(Route::Published { bind: bind.to_owned(), connect: connect.to_owned() })
    }

    async fn subnets(&self) -> Result<Vec<Subnet>> {
        let name = &self.name;
        let network = match self.engine.docker.inspect_network(name, None::<InspectNetworkOptions>).await {
            Ok(network) => network,
            // An engine may call its default by another name: then ports are published.
            Err(error) if is_missing(&error) && name == "bridge" => return Ok(Vec::new()),
            Err(error) if is_missing(&error) => {
                return Err(BackendError::config(format!(
                    "the engine has no network `{name}`: make it with `docker network create {name}`, or change `network` \
                     in [backends.docker]"
                )));
            }
            Err(error) => return Err(failure(&format!("the network {name} cannot be looked at"), &error)),
        };
        let config = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
        Ok(config.into_iter().filter_map(|part| Subnet::parse(&part.subnet?)).collect())
    }
}

impl Route {
    /// Where a running container takes invocations. `port` is the one that its emulator listens at.
    pub(crate) fn endpoint(&self, container: &ContainerInspectResponse, port: u16) -> Result<String> {
        let settings = container.network_settings.clone().unwrap_or_default();
        match self {
            Self::Host { address } => Ok(format!("{address}:{port}")),
            Self::Direct => {
                let networks = settings.networks.unwrap_or_default();
                let address = networks
                    .into_values()
                    .filter_map(|network| network.ip_address)
                    .find(|address| !address.is_empty());
                address.map(|address| format!("{address}:{port}")).ok_or_else(|| {
                    BackendError::internal(
                        "the container has no address of its own: set `reach = \"published\"` in [backends.docker]",
                    )
                })
            }
            Self::Published { connect, .. } => {
                // An engine may publish IPv6 at another port than IPv4.
                let bindings = settings
                    .ports
                    .and_then(|mut ports| ports.remove(&format!("{port}/tcp"))?)
                    .unwrap_or_default();
                let published = bindings
                    .into_iter()
                    .filter(|binding| !binding.host_ip.as_deref().unwrap_or_default().contains(':'))
                    .find_map(|binding| binding.host_port);
                published
                    .map(|port| format!("{connect}:{port}"))
                    .ok_or_else(|| BackendError::internal("the engine published no port of the container"))
            }
        }
    }
}

/// An IPv4 network, `172.17.0.0/16`. Containers are reached by IPv4 only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Subnet {
    network: u32,
    mask: u32,
}

impl Subnet {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let length: u32 = length.parse().ok().filter(|length| *length <= 32)?;
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
        Some(Self { network: address.parse::<Ipv4Addr>().ok()?.to_bits() & mask, mask })
    }

    fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & self.mask == self.network
    }
}

/// The addresses of this machine, or of the container that the host itself is in.
fn own_addresses() -> Vec<Ipv4Addr> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    interfaces.filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip())).collect()
}

#[cfg(test)]
mod tests {
    use bollard::models::{EndpointSettings, NetworkSettings, PortBinding};

    use super::*;

    #[test]
    fn an_address_is_in_a_subnet_or_not() {
        let docker = Subnet::parse("172.17.0.0/16").unwrap();
        assert!(docker.contains(Ipv4Addr::new(172, 17, 255, 1)));
        assert!(!docker.contains(Ipv4Addr::new(172, 18, 0, 1)));
        assert!(Subnet::parse("0.0.0.0/0").unwrap().contains(Ipv4Addr::LOCALHOST));
        assert_eq!((Subnet::parse("fd00::/8"), Subnet::parse("10.0.0.0/33")), (None, None));
    }

    #[test]
    fn this_machine_has_the_address_of_its_loopback() {
        assert!(own_addresses().contains(&Ipv4Addr::LOCALHOST));
    }

    fn container() -> ContainerInspectResponse {
        let binding =
            |ip: &str, port: &str| PortBinding { host_ip: Some(ip.into()), host_port: Some(port.into()) };
        let network =
            EndpointSettings { ip_address: Some("172.17.0.2".into()), ..EndpointSettings::default() };
        let ports = [("8080/tcp".into(), Some(vec![binding("::", "32775"), binding("127.0.0.1", "32776")]))];
        let settings = NetworkSettings {
            networks: Some([("bridge".into(), network)].into()),
            ports: Some(ports.into()),
            ..NetworkSettings::default()
        };
        ContainerInspectResponse { network_settings: Some(settings), ..ContainerInspectResponse::default() }
    }

    #[test]
    fn the_endpoint_is_where_the_route_leads() {
        let published = Route::Published { bind: String::new(), connect: "engine.example".to_owned() };
        let host = Route::Host { address: "127.0.0.1".to_owned() };
        for (route, endpoint) in [
            (Route::Direct, "172.17.0.2:8080"),
            (published, "engine.example:32776"),
            (host, "127.0.0.1:8080"),
        ] {
            assert_eq!(route.endpoint(&container(), PORT).unwrap(), endpoint);
        }
        assert!(Route::Direct.endpoint(&ContainerInspectResponse::default(), PORT).is_err());
    }
}
