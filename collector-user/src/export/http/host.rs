use std::net::{IpAddr, Ipv6Addr};

/// The host names that the endpoint accepts.
///
/// A web page can let its own name resolve to an address of this host, and so read the
/// endpoint as if it was of the page's origin
/// ([DNS rebinding](https://en.wikipedia.org/wiki/DNS_rebinding)). The browser then sends
/// that name in the `Host` header. Addresses are not affected, and are always accepted.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    names: Vec<String>,
}

impl Hosts {
    /// These names, the node name of this host, and `localhost`.
    pub(super) fn new(names: &[String]) -> Self {
        let node = rustix::system::uname();
        let node = node.nodename().to_string_lossy().to_lowercase();
        let short = node.split('.').next().unwrap_or_default().to_owned();
        let mut names: Vec<String> = names.iter().map(|name| normalized(name)).collect();
        names.extend(["localhost".to_owned(), short, node]);
        names.retain(|name| !name.is_empty());
        Self { names }
    }

    /// Whether an authority, `host` or `host:port`, is accepted.
    pub(super) fn accept(&self, authority: &str) -> bool {
        let Some(host) = without_port(authority) else {
            return false;
        };
        if let Some(address) = host.strip_prefix('[') {
            let address = address.strip_suffix(']');
            return address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
        }
        if host.parse::<IpAddr>().is_ok() {
            return true;
        }
        let name = normalized(host);
        self.names.contains(&name) || name.ends_with(".localhost")
    }
}

/// A name in lower case and without a trailing dot, for comparison.
fn normalized(name: &str) -> String {
    let name = name.trim().to_lowercase();
    name.strip_suffix('.').unwrap_or(&name).to_owned()
}

/// The host of `host` or `host:port`.
fn without_port(authority: &str) -> Option<&str> {
    let end_of_address = authority.rfind(']').map_or(0, |end| end + 1);
    let Some(colon) = authority[end_of_address..].find(':') else {
        return Some(authority);
    };
    let (host, port) = authority.split_at(end_of_address + colon);
    let is_port = port[1..].bytes().all(|byte| byte.is_ascii_digit());
    is_port.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_own_names_are_accepted() {
        let hosts = Hosts::new(&["Metrics.Example.".to_owned()]);
        let own = rustix::system::uname();
        let own = own.nodename().to_string_lossy().into_owned();
        for host in [
            "127.0.0.1:9464",
            "192.0.2.7",
            "[::1]:9464",
            "[fe80::1]",
            "localhost",
            "LOCALHOST:1",
            "agent.localhost",
            "metrics.example:80",
            "metrics.example.",
            &own,
        ] {
            assert!(hosts.accept(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:9464",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "127.0.0.1:x",
            "[::1",
            "[evil.example]:1",
            "::1]",
            "metrics.example:80:80",
        ] {
            assert!(!hosts.accept(host), "{host}");
        }
    }
}
