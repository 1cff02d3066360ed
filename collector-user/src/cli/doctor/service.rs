use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use collector::config::{Config, DEFAULT_PATH};

use super::{Check, CheckStatus, Examined, passed};

/// What the agent needs to run as a service.
pub(super) fn checks(examined: &Examined) -> Vec<Check> {
    match &examined.config {
        Err(problem) => vec![Check::failed(
            "config",
            CheckStatus::Failed,
            problem.to_string(),
            "no subcommand starts with this configuration",
            "fix the configuration, and check it with: collector config check",
        )],
        Ok(config) => vec![configuration(config), port(config)],
    }
}

fn configuration(config: &Config) -> Check {
    match &config.file {
        Some(file) => passed("config", file.display().to_string()),
        None => passed(
            "config",
            format!("the defaults: {DEFAULT_PATH} does not exist"),
        ),
    }
}

fn port(config: &Config) -> Check {
    const NAME: &str = "port";
    if !config.prometheus.enabled.value {
        return Check::new(NAME, CheckStatus::Skipped, "prometheus.enabled is false");
    }
    let address = config.prometheus.listen.value;
    match TcpListener::bind(address) {
        Ok(_) => passed(NAME, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_collector(address) => {
            passed(NAME, format!("a collector is running and serves {address}"))
        }
        Err(error) => Check::failed(
            NAME,
            CheckStatus::Failed,
            format!("{address}: {error}"),
            "collector run does not start; the other subcommands work",
            "set prometheus.listen to another address, or prometheus.enabled to false",
        ),
    }
}

/// Whether a collector listens on the address.
fn is_collector(address: SocketAddr) -> bool {
    const TIMEOUT: Duration = Duration::from_millis(500);
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().unwrap_or_default();
    String::from_utf8_lossy(&answer).contains("collector is alive")
}

#[cfg(test)]
mod tests {
    use collector::config::{Origin, Setting};

    use super::*;

    fn config(listen: SocketAddr) -> Config {
        let mut config = Config::default();
        config.prometheus.listen = Setting {
            value: listen,
            origin: Origin::Default,
        };
        config
    }

    #[test]
    fn a_port_in_use_is_a_failure_with_a_fix() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap();
        // The listener closes the connection without a response.
        let answering = std::thread::spawn(move || drop(other.accept()));
        let check = port(&config(address));
        answering.join().unwrap();
        assert_eq!(check.status, CheckStatus::Failed);
        assert!(check.fix.unwrap().contains("prometheus.listen"));
    }
}
