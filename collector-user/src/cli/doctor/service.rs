use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use collector::config::{Config, DEFAULT_PATH};

use super::{Check, Patient, State, fine};

/// What the agent needs to be run as a service.
pub(super) fn checks(patient: &Patient) -> Vec<Check> {
    match &patient.config {
        Err(problem) => vec![Check::wrong(
            "config",
            State::Failed,
            problem.clone(),
            "nothing starts with this configuration",
            "mend what is named, and try it with: collector config check",
        )],
        Ok(config) => vec![configuration(config), port(config)],
    }
}

fn configuration(config: &Config) -> Check {
    match &config.file {
        Some(file) => fine("config", file.display().to_string()),
        None => fine(
            "config",
            format!("the defaults: {DEFAULT_PATH} does not exist"),
        ),
    }
}

fn port(config: &Config) -> Check {
    const NAME: &str = "port";
    if !config.prometheus.enabled.value {
        return Check::new(NAME, State::Skipped, "prometheus.enabled is false");
    }
    let address = config.prometheus.listen.value;
    match TcpListener::bind(address) {
        Ok(_) => fine(NAME, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_collector(address) => {
            fine(NAME, format!("a collector is running and serves {address}"))
        }
        Err(error) => Check::wrong(
            NAME,
            State::Failed,
            format!("{address}: {error}"),
            "collector run does not start; the other subcommands work",
            "set prometheus.listen to another address, or prometheus.enabled to false",
        ),
    }
}

/// Whether it is a collector that listens there.
fn is_collector(address: SocketAddr) -> bool {
    const PATIENCE: Duration = Duration::from_millis(500);
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
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
    fn a_port_that_somebody_else_has_is_a_failure_with_a_remedy() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap();
        // Who listens there answers nothing and hangs up.
        let answering = std::thread::spawn(move || drop(other.accept()));
        let check = port(&config(address));
        answering.join().unwrap();
        assert_eq!(check.status, State::Failed);
        assert!(check.mend.unwrap().contains("prometheus.listen"));
    }
}
