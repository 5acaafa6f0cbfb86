//! The address at which pods reach this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use crate::config::Places;

/// An address on the other side of whatever route leads to the world. Nothing is sent there.
const ELSEWHERE: &str = "203.0.113.1:9";

/// The address of the host's own pod if it is in one; otherwise the one by which it reaches the API server, since the
/// nodes are near that; and if that server is forwarded from this very machine, the one by which it reaches anything,
/// or any that others can reach.
pub(crate) fn own(places: &Places, api_server: &str) -> IpAddr {
    let found = places.pod_ip.or_else(|| towards(&host_and_port(api_server)?)).or_else(|| towards(ELSEWHERE));
    found.or_else(any).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// The address of this machine from which it would reach another, unless that is this machine as well.
fn towards(other: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect(other).ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}

fn any() -> Option<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let mut addresses = interfaces.filter_map(|interface| Some(interface.address?.as_sockaddr_in()?.ip()));
    addresses.find(|address| !address.is_loopback()).map(IpAddr::V4)
}

/// `https://10.0.0.1` is `10.0.0.1:443`.
fn host_and_port(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    let has_port = authority.parse::<SocketAddr>().is_ok()
        || !authority.ends_with(']')
            && authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if scheme == "http" { 80 } else { 443 };
    Some(if has_port { authority.to_owned() } else { format!("{authority}:{port}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_server_is_where_its_url_says() {
        for (url, expected) in [
            ("https://10.0.0.1", "10.0.0.1:443"),
            ("http://10.0.0.1/prefix", "10.0.0.1:80"),
            ("https://cluster.example:6443", "cluster.example:6443"),
            ("https://[fd00::1]", "[fd00::1]:443"),
            ("https://[fd00::1]:6443/", "[fd00::1]:6443"),
        ] {
            assert_eq!(host_and_port(url).as_deref(), Some(expected));
        }
    }

    #[test]
    fn the_hosts_own_pod_knows_best() {
        let places = Places { pod_ip: Some([10, 1, 2, 3].into()), ..Places::default() };
        assert_eq!(own(&places, "https://10.0.0.1"), IpAddr::from([10, 1, 2, 3]));
        assert_eq!(towards("127.0.0.1:9"), None, "no pod reaches this");
    }
}
