//! A standby of a real cluster, addressed by a job.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::cluster::Cluster;
use super::operator::Operator;
use super::refused;
use super::site::{Site, lend, mount_lender, prepare};
use crate::support::{METHODS, Run, parallel};

const POLICY: &str = "path \"lender/creds/*\" { capabilities = [\"read\"] }";
const MAY_CREATE: &str = "path \"auth/token/create\" { capabilities = [\"update\"] }";
const LINE: &str = "aws --via creds --mount lender --role key";

/// A namespace of the leader's with all that a job needs in it.
fn make(cluster: &Cluster, name: &str) -> Operator {
    let operator = cluster.operator().make_namespace(name);
    prepare(&operator);
    mount_lender(&operator, "lender");
    lend(&operator, "lender/creds/key");
    operator
}

fn job(site: &Site<'_>, method: &str, line: &str, address: &str) -> Run {
    let namespace = site.operator.namespace.trim_end_matches('/');
    site.job(method, line).env("VAULT_ADDR", address).env("VAULT_NAMESPACE", namespace)
}

/// Identities that log in: what their login answers says how far the leader is.
fn logins() -> impl Iterator<Item = &'static str> {
    METHODS.into_iter().filter(|method| *method != "token")
}

#[test]
fn a_standby_serves_every_login_and_a_generator_token_every_time() {
    let Some(cluster) = Cluster::shared() else { return };
    let operator = make(&cluster, "served");
    let site = Site::at(operator.address, &operator, "served", POLICY);
    let address = cluster.url(cluster.standby());
    let runs: Vec<_> = logins().map(|method| job(&site, method, LINE, &address)).collect();
    cluster.wait_until_level();
    runs.iter().for_each(|run| drop(run.run().ok()));
    let run = job(&site, "generator-token", LINE, &address);
    cluster.wait_until_level();
    for _ in 0..25 {
        run.run().ok();
    }
    assert_eq!(operator.list("sys/leases/lookup/lender/creds/key").len(), runs.len() + 25);
}

#[test]
fn a_read_far_from_a_standby_that_has_caught_up_is_served_by_its_leader() {
    let Some(cluster) = Cluster::shared() else { return };
    let operator = make(&cluster, "far");
    let site = Site::at(operator.address, &operator, "far", POLICY);
    // A login's answer is on its way for longer than the standby is behind.
    let distance = Way::to(cluster.at(cluster.standby()).address, "", Duration::from_millis(100));
    let address = format!("http://{}", distance.address);
    let runs: Vec<_> = logins().map(|method| job(&site, method, LINE, &address)).collect();
    cluster.wait_until_level();
    parallel::each(runs, |run| drop(run.run().ok()));
}

#[test]
fn a_plain_token_at_a_standby_is_told_where_to_go_and_its_child_is_served() {
    let Some(cluster) = Cluster::shared() else { return };
    let operator = make(&cluster, "plain");
    let site = Site::at(operator.address, &operator, "plain", &format!("{POLICY}\n{MAY_CREATE}"));
    let run = job(&site, "token", LINE, &cluster.url(cluster.standby()));
    cluster.wait_until_level();
    let words =
        ["a lease under lender/creds/key may be left", "a standby of OpenBao", "point VAULT_ADDR to the active node"];
    refused(run.run(), (80, "leak"), &words);
    assert_eq!(operator.list("sys/leases/lookup/lender/creds/key"), [""; 0]);
    run.clone().arg("--child-token").run().ok();
    run.env("VAULT_ADDR", &cluster.url(cluster.leader())).run().ok();
}

#[test]
fn a_standby_that_does_not_forward_names_its_leader_and_is_followed_there() {
    let Some(cluster) = Cluster::shared() else { return };
    let operator = make(&cluster, "named");
    let site = Site::at(operator.address, &operator, "named", POLICY);
    let way = Way::to(cluster.at(cluster.standby()).address, "X-Vault-No-Request-Forwarding: true\r\n", Duration::ZERO);
    let address = format!("http://{}", way.address);
    let allowed = format!("{LINE} --redirect-host {}", cluster.url(cluster.leader()));
    let runs: Vec<_> =
        logins().map(|method| (job(&site, method, LINE, &address), job(&site, method, &allowed, &address))).collect();
    cluster.wait_until_level();
    for (refusing, following) in runs {
        refused(refusing.run(), (76, "protocol"), &["redirect", "--redirect-host"]);
        following.run().ok();
    }
}

#[test]
fn a_leader_that_was_killed_is_waited_for_and_else_told_as_not_reached() {
    let Some(mut cluster) = Cluster::shared() else { return };
    let operator = make(&cluster, "killed");
    let site = Site::at(operator.address, &operator, "killed", POLICY);
    let (leader, standby) = (cluster.leader(), cluster.standby());
    let hosts: String =
        (0..super::cluster::NODES).map(|node| format!(" --redirect-host {}", cluster.url(node))).collect();
    let once = format!("{LINE} --retries 0 --timeout 5s{hosts}");
    let address = cluster.url(standby);
    let jobs = |line: &str| logins().map(|method| job(&site, method, line, &address)).collect::<Vec<_>>();
    let (hasty, patient) = (jobs(&once), jobs(&format!("{LINE}{hosts}")));
    cluster.wait_until_level();
    cluster.kill(leader);
    // Another one is chosen only when the dead one has been silent for a second.
    parallel::each(hasty, |run| refused(run.run(), (69, "unavailable"), &["cannot reach"]));
    parallel::each(patient, |run| drop(run.run().ok()));
    cluster.cure();
}

/// The way to a server: it takes its time, and puts a header before those of every request.
struct Way {
    address: SocketAddr,
}

impl Way {
    fn to(server: SocketAddr, header: &'static str, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        // It ends with the process.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(server).expect("the server listens");
                std::thread::spawn(move || relay(&client, &server, header, delay));
            }
        });
        Self { address }
    }
}

fn relay(client: &TcpStream, server: &TcpStream, header: &str, delay: Duration) {
    // Either side may leave at any time.
    let leave = || drop((client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both)));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _ = std::io::copy(&mut &*server, &mut &*client);
            leave();
        });
        let mut requests = BufReader::new(client);
        while let Ok(Some(request)) = read_request(&mut requests, header) {
            std::thread::sleep(delay);
            if (&*server).write_all(&request).is_err() {
                break;
            }
        }
        leave();
    });
}

/// The next request, with the header behind its first line; none when the client has no more to say.
fn read_request(client: &mut impl BufRead, header: &str) -> std::io::Result<Option<Vec<u8>>> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if client.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse().expect("a length");
        }
        head += &line;
        if head == line {
            head += header;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body)?;
    Ok(Some([head.into_bytes(), body].concat()))
}
