//! Three OpenBao nodes with one storage between them, by raft: a leader and two standbys. One cluster for all tests of
//! this process, which take it in turn: what one of them kills or seals, it cures.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::daemon::Daemon;
use super::operator::Operator;
use super::server::binary;

/// Nodes of a cluster: as few as can lose one.
pub const NODES: usize = 3;

/// A new leader is chosen within some seconds, on a machine that is busy with other tests too.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a node is asked for what it does not tell by itself.
const GLANCE: Duration = Duration::from_millis(20);

pub struct Cluster {
    nodes: Vec<Node>,
    /// What unseals each of them.
    key: String,
    token: String,
}

struct Node {
    address: SocketAddr,
    daemon: Daemon,
    is_up: bool,
}

/// How far a node is.
struct Place {
    leads: bool,
    applied: u64,
}

impl Cluster {
    /// The one that all share; none where there is no binary.
    pub fn shared() -> Option<MutexGuard<'static, Self>> {
        static CLUSTER: OnceLock<Option<Mutex<Cluster>>> = OnceLock::new();
        let cluster = CLUSTER.get_or_init(|| Self::start().map(Mutex::new)).as_ref()?;
        // Whoever failed with it left it as it was.
        let mut cluster = cluster.lock().unwrap_or_else(PoisonError::into_inner);
        cluster.cure();
        Some(cluster)
    }

    fn start() -> Option<Self> {
        let binary = binary()?;
        // As for every server whose port was free a moment ago.
        let mut said = String::new();
        for _ in 0..3 {
            let nodes: Result<Vec<_>, _> = (0..NODES).map(|number| Node::start(&binary, number)).collect();
            match nodes {
                Ok(nodes) => return Some(Self::join(nodes)),
                Err(last) => said = last,
            }
        }
        panic!("{} ended before it had started: {said}", binary.display());
    }

    /// Makes one cluster of nodes that know nothing of each other.
    fn join(nodes: Vec<Node>) -> Self {
        let first = Operator::new(nodes[0].address, String::new());
        let made = first.write("sys/init", &json!({ "secret_shares": 1, "secret_threshold": 1 }));
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let mut cluster = Self { nodes, key: text(&made["keys"][0]), token: text(&made["root_token"]) };
        cluster.unseal(0);
        // A node that joins may vote ten seconds later, and without votes nobody can be lost.
        let at_once = json!({ "server_stabilization_time": "0s" });
        cluster.operator().write("sys/storage/raft/autopilot/configuration", &at_once);
        for number in 1..NODES {
            let leader = json!({ "leader_api_addr": cluster.url(0) });
            cluster.at(number).write("sys/storage/raft/join", &leader);
            cluster.unseal(number);
        }
        cluster.cure();
        cluster.wait_for("three votes", || {
            let answer = cluster.operator().read("sys/storage/raft/configuration");
            let servers = answer["data"]["config"]["servers"].as_array().expect("servers");
            servers.iter().filter(|server| server["voter"] == true).count() == NODES
        });
        cluster
    }

    /// Where a node listens.
    pub fn url(&self, number: usize) -> String {
        format!("http://{}", self.nodes[number].address)
    }

    /// The operator at one node.
    pub fn at(&self, number: usize) -> Operator {
        Operator::new(self.nodes[number].address, self.token.clone())
    }

    /// The operator at the leader.
    pub fn operator(&self) -> Operator {
        self.at(self.leader())
    }

    /// The node that leads, once there is one.
    pub fn leader(&self) -> usize {
        let mut leader = None;
        self.wait_for("a leader", || {
            leader = (0..NODES).find(|number| self.place(*number).is_some_and(|place| place.leads));
            leader.is_some()
        });
        leader.expect("just found")
    }

    /// A node that does not.
    pub fn standby(&self) -> usize {
        (self.leader() + 1) % NODES
    }

    pub fn kill(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        node.daemon.kill();
        node.is_up = false;
        let address = node.address;
        self.wait_for("its end", || std::net::TcpStream::connect(address).is_err());
    }

    pub fn seal(&self, number: usize) {
        // A leader that ends its own term may not live to say so.
        let _ = self.at(number).try_to_send("POST", "sys/seal", &[], &Value::Null);
    }

    /// Everything runs, is unsealed, and knows what the leader knows.
    pub fn cure(&mut self) {
        for number in 0..NODES {
            let node = &mut self.nodes[number];
            if !node.is_up {
                node.daemon.start_again();
                node.is_up = true;
            }
            self.unseal(number);
        }
        self.wait_until_level();
    }

    /// What the leader has done so far, the standbys have done too.
    pub fn wait_until_level(&self) {
        self.wait_for("level nodes", || {
            let places: Vec<_> = (0..NODES).filter_map(|number| self.place(number)).collect();
            let leader = places.iter().find(|place| place.leads);
            leader.is_some_and(|leader| {
                places.len() == NODES && places.iter().all(|place| place.applied >= leader.applied)
            })
        });
    }

    /// As soon as the node listens.
    fn unseal(&self, number: usize) {
        let operator = self.at(number);
        let key = json!({ "key": self.key });
        self.wait_for("a node that listens", || {
            operator.try_to_send("POST", "sys/unseal", &[], &key).is_ok_and(|(status, _)| status == 200)
        });
    }

    /// None while it is down, sealed, or not told yet who leads.
    fn place(&self, number: usize) -> Option<Place> {
        let (status, answer) = self.at(number).try_to_send("GET", "sys/leader", &[], &Value::Null).ok()?;
        let applied = answer["raft_applied_index"].as_u64().filter(|_| status == 200)?;
        Some(Place { leads: answer["is_self"] == true, applied })
    }

    fn wait_for(&self, what: &str, mut is_there: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_there() {
            assert!(Instant::now() < deadline, "there is no {what}");
            std::thread::sleep(GLANCE);
        }
    }
}

impl Node {
    fn start(binary: &Path, number: usize) -> Result<Self, String> {
        let prefix = format!("bao-{number}.");
        let folder =
            tempfile::Builder::new().prefix(&prefix).tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let free = || TcpListener::bind("127.0.0.1:0").expect("a free port");
        let (jobs, others) = (free(), free());
        let [address, others] = [jobs, others].map(|socket| socket.local_addr().expect("its address"));
        let data = folder.path().join("data");
        std::fs::create_dir(&data).expect("a folder");
        // The shortest times that raft takes, and an autopilot that looks as often: the tests wait for both.
        let config = format!(
            "storage \"raft\" {{\n  path = \"{}\"\n  node_id = \"node-{number}\"\n  performance_multiplier = 1\n  \
             autopilot_reconcile_interval = \"200ms\"\n  autopilot_update_interval = \"100ms\"\n}}\n\
             listener \"tcp\" {{\n  address = \"{address}\"\n  cluster_address = \"{others}\"\n  tls_disable = true\n}}\n\
             api_addr = \"http://{address}\"\ncluster_addr = \"https://{others}\"\n",
            data.display()
        );
        let file = folder.path().join("config.hcl");
        std::fs::write(&file, config).expect("a file");
        let line = [&binary.display().to_string(), "server", &format!("-config={}", file.display())];
        let daemon = Daemon::start(&line, folder, "KILL", "server started")?;
        Ok(Self { address, daemon, is_up: true })
    }
}
