//! A cloud that checks signatures: moto's server, once per test process, with users and a role that exist.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use super::tool;

/// The bucket that whoever is authenticated can list.
pub const BUCKET: &str = "artifacts-of-ci";

/// The running server. It ends when the test process does, for then its stdin is closed.
pub struct Cloud {
    pub endpoint: String,
    /// An IAM user's keys.
    pub user: Identity,
    /// An assumed role's keys and session.
    pub role: Identity,
    /// A user whose key looks like Exoscale's.
    pub storage: Identity,
    _stdin: ChildStdin,
}

/// Keys, and whose they are.
pub struct Identity {
    pub key: String,
    pub secret: String,
    pub session: Option<String>,
    pub arn: String,
}

/// Starts the server, makes the identities, and only then lets it refuse what is not signed by one of them.
const SERVER: &str = r#"
import json, sys, urllib.request
import boto3
from moto.core import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
endpoint = "http://%s:%d" % server.get_host_and_port()
known = dict(endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="set", aws_secret_access_key="up")
iam, sts, s3 = (boto3.client(name, **known) for name in ("iam", "sts", "s3"))
every = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
s3.create_bucket(Bucket=sys.argv[1])
user = iam.create_user(UserName="ci")["User"]
iam.put_user_policy(UserName="ci", PolicyName="all", PolicyDocument=every)
role = iam.create_role(RoleName="ci", AssumeRolePolicyDocument=every)["Role"]
iam.put_role_policy(RoleName="ci", PolicyName="all", PolicyDocument=every)
keys = iam.create_access_key(UserName="ci")["AccessKey"]
storage = iam.create_user(UserName="sos")["User"]
iam.put_user_policy(UserName="sos", PolicyName="all", PolicyDocument=every)
iam.create_access_key(UserName="sos")
storage_keys = {"AccessKeyId": "EXO1216fe31ae170c1d03b5f5d0", "SecretAccessKey": "sjEjWthov-naql9vmlDT_apgKq3bXe0ZC1mWr5uYt2o"}
record = iam_backends[DEFAULT_ACCOUNT_ID]["aws"].users["sos"].access_keys[0]
record.access_key_id, record.secret_access_key = storage_keys.values()
assumed = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="job")
urllib.request.urlopen(urllib.request.Request(endpoint + "/moto-api/reset-auth", data=b"0", method="POST", headers={"Content-Type": "text/plain"})).read()
for keys, arn in ((keys, user["Arn"]), (assumed["Credentials"], assumed["AssumedRoleUser"]["Arn"]), (storage_keys, storage["Arn"])):
    print(json.dumps([endpoint, keys["AccessKeyId"], keys["SecretAccessKey"], keys.get("SessionToken"), arn]), flush=True)
sys.stdin.read()
server.stop()
"#;

/// A Python that has boto3 and moto.
pub fn python() -> Option<PathBuf> {
    // Installed together with moto, in the same folder.
    let folder = tool::find("moto_server")?.parent()?.to_owned();
    let python = folder.join("python3");
    if python.exists() { Some(python) } else { tool::find("python3") }
}

/// The server, started when it is first asked for.
pub fn cloud() -> Option<&'static Cloud> {
    static CLOUD: OnceLock<Option<Cloud>> = OnceLock::new();
    CLOUD.get_or_init(|| python().map(start)).as_ref()
}

fn start(python: PathBuf) -> Cloud {
    let mut command = Command::new(python);
    command.arg("-c").arg(SERVER).arg(BUCKET).env_remove("AWS_PROFILE").env("AWS_EC2_METADATA_DISABLED", "true");
    #[expect(clippy::zombie_processes, reason = "it ends with this process, by its stdin")]
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("moto");
    let mut lines = BufReader::new(child.stdout.take().expect("its stdout")).lines();
    let mut identity = || {
        let line = lines.next().expect("moto's server did not start").expect("a line");
        let row: Vec<Value> = serde_json::from_str(&line).expect("a row");
        let text = |index: usize| row[index].as_str().map(str::to_owned);
        let must = |index: usize| text(index).expect("a text");
        (must(0), Identity { key: must(1), secret: must(2), session: text(3), arn: must(4) })
    };
    let ((endpoint, user), (_, role), (_, storage)) = (identity(), identity(), identity());
    Cloud { endpoint, user, role, storage, _stdin: child.stdin.take().expect("its stdin") }
}
