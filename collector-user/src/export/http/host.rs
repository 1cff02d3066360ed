use std::net::{IpAddr, Ipv6Addr};

/// The names under which the endpoint answers.
///
/// A page in a browser of this host or of its network can let a name of its own
/// resolve to an address of this host, and read what is served there as if it
/// was its own ([DNS rebinding](https://en.wikipedia.org/wiki/DNS_rebinding)).
/// The browser then sends that name. An address cannot be had in that way.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    names: Vec<String>,
}

impl Hosts {
    /// These, the name of this host, and `localhost`.
    pub(super) fn new(names: &[String]) -> Self {
        let node = rustix::system::uname();
        let node = node.nodename().to_string_lossy().to_lowercase();
        let short = node.split('.').next().unwrap_or_default().to_owned();
        let mut names: Vec<String> = names.iter().map(|name| normal(name)).collect();
        names.extend(["localhost".to_owned(), short, node]);
        names.retain(|name| !name.is_empty());
        Self { names }
    }

    /// Whether a request for this host, with or without a port, is for this
    /// endpoint.
    pub(super) fn has(&self, authority: &str) -> bool {
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
        let name = normal(host);
        self.names.contains(&name) || name.ends_with(".localhost")
    }
}

/// A name as it is compared: DNS knows no case, and may have a dot at the end.
fn normal(name: &str) -> String {
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
    fn addresses_and_own_names_are_answered_and_no_others() {
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
            assert!(hosts.has(host), "{host}");
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
            assert!(!hosts.has(host), "{host}");
        }
    }
}
