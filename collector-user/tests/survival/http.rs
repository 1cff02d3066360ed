use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Stdio,
    time::{Duration, Instant},
};

use super::support::{Agent, PATIENCE, collector, value};

fn agent() -> Agent {
    Agent::with_stderr(Stdio::null())
}

fn dropped(agent: &Agent, reason: &str) -> f64 {
    let series = format!("collector_http_connections_dropped_total{{reason=\"{reason}\"}}");
    value(&agent.get("/metrics"), &series).unwrap()
}

fn refused(agent: &Agent, reason: &str) -> f64 {
    let series = format!("collector_http_requests_refused_total{{reason=\"{reason}\"}}");
    value(&agent.get("/metrics"), &series).unwrap()
}

/// Sends bytes, and reads until the agent closes the connection.
fn answer(agent: &Agent, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(&agent.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The agent may close before everything is sent.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn open_files(agent: &Agent) -> usize {
    let files = format!("/proc/{}/fd", agent.process.0.id());
    std::fs::read_dir(files).unwrap().count()
}

#[test]
fn many_idle_connections_leave_the_endpoint_reachable() {
    let agent = agent();
    let before = open_files(&agent);
    let idle: Vec<TcpStream> = (0..400)
        .map(|_| TcpStream::connect(&agent.address).unwrap())
        .collect();
    for _ in 0..20 {
        let metrics = agent.get("/metrics");
        assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
        assert!(open_files(&agent) <= before + 64 + 8);
    }
    let last = agent.get_until("/metrics", |answer| {
        let series = "collector_http_connections_dropped_total{reason=\"displaced\"}";
        value(answer, series).is_some_and(|count| count >= 300.0)
    });
    assert!(last.contains("collector_metric_up{metric=\"load_avg\",backend=\"procfs\"} 1"));
    drop(idle);
}

#[test]
fn busy_clients_leave_connections_for_others() {
    let agent = agent();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    let Ok(mut stream) = TcpStream::connect(&agent.address) else {
                        continue;
                    };
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                    let mut answer = [0; 4096];
                    let ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
                    while stream.write_all(ask).is_ok()
                        && stream.read(&mut answer).is_ok_and(|read| read > 0)
                        && !stop.load(std::sync::atomic::Ordering::SeqCst)
                    {}
                }
            });
        }
        std::thread::sleep(Duration::from_millis(300));
        for _ in 0..3 {
            agent.get_until("/healthz", |answer| answer.starts_with("HTTP/1.1 200"));
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
    });
}

#[test]
fn a_slow_request_is_dropped() {
    let agent = agent();
    let mut stream = TcpStream::connect(&agent.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
    let start = Instant::now();
    // One byte of a header at a time.
    while stream.write_all(b"x").is_ok() {
        if matches!(stream.read(&mut [0; 64]), Ok(0)) {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "it goes on for ever");
    }
    assert!(dropped(&agent, "slow_request") >= 1.0);
}

#[test]
fn a_malformed_or_too_large_request_is_refused() {
    let agent = agent();
    let garbage = answer(
        &agent,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
    );
    assert!(
        garbage.is_empty() || garbage.starts_with("HTTP/1.1 400"),
        "{garbage}"
    );
    let mut long = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nCookie: ".to_vec();
    long.resize(1 << 20, b'x');
    long.extend(b"\r\n\r\n");
    let long = answer(&agent, &long);
    assert!(
        long.is_empty() || long.starts_with("HTTP/1.1 431"),
        "{long}"
    );
    let pipelined = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50);
    let pipelined = [&pipelined[..], b"\0\0\0\r\n\r\n"].concat();
    let pipelined = answer(&agent, &pipelined);
    assert!(pipelined.matches("HTTP/1.1 200").count() <= 50);
    assert!(refused(&agent, "malformed") >= 2.0);
    assert!(answer(&agent, b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 4\r\n\r\nhaha")
        .starts_with("HTTP/1.1 405"));
    let head = answer(
        &agent,
        b"HEAD /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    assert!(
        head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
}

#[test]
fn a_request_with_a_foreign_host_name_is_refused() {
    let agent = Agent::start(
        "prometheus.hosts = [\"metrics.example\"]\n",
        |config, root| {
            let mut command = collector(&["run", "--config", config, "--root", root]);
            command.stderr(Stdio::null());
            command
        },
    );
    let ask = |target: &str, host: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nConnection: close\r\n{host}\r\n");
        answer(&agent, request.as_bytes())
    };
    for (target, host) in [
        ("/metrics", "Host: evil.example\r\n"),
        ("/metrics", "Host: evil.example:9464\r\n"),
        ("/metrics", ""),
        ("/metrics", "Host: localhost\r\nHost: evil.example\r\n"),
        ("http://evil.example/metrics", "Host: localhost\r\n"),
        ("/healthz", "Host: 127.0.0.1.evil.example\r\n"),
    ] {
        let answer = ask(target, host);
        assert!(
            answer.starts_with("HTTP/1.1 421"),
            "{target} {host}: {answer}"
        );
        assert!(answer.contains("prometheus.hosts"), "{answer}");
    }
    for host in ["127.0.0.1:9464", "[::1]", "localhost:1", "metrics.example"] {
        let answer = ask("/metrics", &format!("Host: {host}\r\n"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{host}: {answer}");
    }
    let old = answer(&agent, b"GET /healthz HTTP/1.0\r\n\r\n");
    assert!(old.starts_with("HTTP/1.0 200"), "{old}");
    assert!(refused(&agent, "host") >= 6.0);
}
