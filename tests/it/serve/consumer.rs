//! AWS's own tools in a command that outlasts its credentials three times. moto knows the keys, and refuses others.

use std::time::{Duration, Instant};

use dev_vault::{Fault, On};
use serde_json::{Value, json};

use super::{AWS, exec, minted};
use crate::consumer::{Sdk, installation, words};
use crate::support::moto::{self, Cloud};
use crate::support::{Ran, Run, World, tool};

/// A job whose credential lives for 11 seconds, of which 6 are served and 3 are half.
fn job(cloud: &Cloud, command: &[&str]) -> (World, Run) {
    let world = World::start();
    let run = job_of(&world, cloud, command);
    (world, run)
}

fn job_of(world: &World, cloud: &Cloud, command: &[&str]) -> Run {
    let (key, secret, session) = (cloud.role.key.clone(), cloud.role.secret.clone(), cloud.role.session.clone());
    let lend = move |mut answer: Value| {
        answer["lease_duration"] = json!(11);
        answer["data"]["access_key"] = json!(key);
        answer["data"]["secret_key"] = json!(secret);
        for name in ["session_token", "security_token"] {
            answer["data"][name] = json!(session);
        }
        answer
    };
    world.vault.inject(On::path("/aws/sts/365-dev").every(), Fault::rewrite(Box::new(lend)));
    exec(world, "secret-id", AWS, command)
        .env("AWS_ENDPOINT_URL", &cloud.endpoint)
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_PAGER", "")
}

/// One for each half of a life, which a busy machine makes longer, and the first; at least what three lifetimes need.
fn assert_reads_for(world: &World, passed: Duration) {
    let most = usize::try_from(passed.as_secs() / 3).expect("seconds") + 2;
    assert!((6..=most).contains(&minted(world)), "{} in {passed:?}", minted(world));
}

/// Asks for 19 seconds, and counts how often botocore asks the endpoint.
const BOTO3: &str = r"
import time
import boto3
from botocore.utils import ContainerMetadataFetcher as Fetcher
asked, real = 0, Fetcher.retrieve_full_uri
def count(*arguments, **more):
    global asked
    asked += 1
    return real(*arguments, **more)
Fetcher.retrieve_full_uri = count
client, calls, end = boto3.client('sts'), 0, time.time() + 19
while time.time() < end:
    arn = client.get_caller_identity()['Arn']
    calls += 1
    time.sleep(0.5)
print(arn, calls, asked)
";

// check: 24
#[test]
fn boto3_works_for_three_lifetimes_and_each_of_its_calls_reads_nothing() {
    let (Some(python), Some(cloud)) = (moto::python(), moto::cloud()) else { return };
    let (world, run) = job(cloud, &[&python.display().to_string(), "-c", BOTO3]);
    let begun = Instant::now();
    let ran = run.run();
    // Less than ten minutes are left at any time, so botocore asks before each call.
    assert_asked_before_each_call("boto3", &ran, cloud, &world, begun.elapsed());
}

/// It printed whose key it signs with, its calls, and its requests to the endpoint.
fn assert_asked_before_each_call(name: &str, ran: &Ran, cloud: &Cloud, world: &World, passed: Duration) {
    let words: Vec<_> = ran.stdout.split_whitespace().collect();
    let [arn, calls, asked] = words[..] else { panic!("{name}: {ran:?}") };
    let (calls, asked): (usize, usize) = (calls.parse().expect("calls"), asked.parse().expect("hits"));
    assert_eq!((arn, ran.code, ran.stderr.as_str()), (cloud.role.arn.as_str(), 0, ""), "{name}: {ran:?}");
    println!("{name}: {calls} calls, {asked} requests to the endpoint, {} reads of Vault", minted(world));
    assert!(calls >= 12 && (calls..=calls + 3).contains(&asked), "{name}: {calls} {asked}");
    assert_reads_for(world, passed);
}

#[test]
fn the_sdks_for_javascript_and_go_work_for_three_lifetimes_and_each_of_their_calls_reads_nothing() {
    if !tool::slow("the SDKs for JavaScript and Go at the endpoint") {
        return;
    }
    let Some(cloud) = moto::cloud() else { return };
    for sdk in Sdk::all() {
        let (words, modules) = sdk.served(19);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let (world, run) = job(cloud, &words);
        let run = run.env("NODE_PATH", modules).env("NODE_NO_WARNINGS", "1");
        let begun = Instant::now();
        let ran = run.run();
        // Less than five minutes are left at any time, so both ask before each call.
        assert_asked_before_each_call(sdk.name, &ran, cloud, &world, begun.elapsed());
    }
}

#[test]
fn aws_cli_works_for_three_lifetimes() {
    let (Some(aws), Some(cloud)) = (tool::find("aws"), moto::cloud()) else { return };
    let script = "end=$(($(date +%s) + 19)); while [ $(date +%s) -lt $end ]; do \
                  \"$0\" sts get-caller-identity --query Arn --output text --endpoint-url $AWS_ENDPOINT_URL || exit; \
                  sleep 1; done";
    let (world, run) = job(cloud, &["sh", "-c", script, &aws.display().to_string()]);
    let begun = Instant::now();
    let ran = run.run();
    let passed = begun.elapsed();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    let calls = ran.stdout.lines().count();
    println!("aws: {calls} calls, {} reads of Vault", minted(&world));
    assert!(calls >= 3 && ran.stdout.lines().all(|line| line == cloud.role.arn), "{ran:?}");
    assert_reads_for(&world, passed);
}

#[test]
fn what_vault_says_reaches_the_message_of_boto3() {
    let (Some(python), Some(cloud)) = (moto::python(), moto::cloud()) else { return };
    let script = "import boto3, time\ntime.sleep(8)\nboto3.client('sts').get_caller_identity()";
    let (world, run) = job(cloud, &[&python.display().to_string(), "-c", script]);
    let refused = dev_vault::Reply::error(403, "1 error occurred:\n\t* permission denied\n\n");
    let (tx, rx) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| tx.send(run.run()));
        while minted(&world) == 0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        world.vault.clear_faults();
        world.vault.inject(On::path("/aws/sts/365-dev").every(), Fault::answer(refused));
    });
    let ran = rx.recv().expect("its end");
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("CiCredsExpired") && ran.stderr.contains("no new credential of aws/sts"), "{ran:?}");
    world.assert_no_secret_in(&ran.stderr);
}

/// Asks who it is at the beginning, and when three lifetimes have passed.
const MAIN: &str = r#"terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}
provider "aws" {
  region = "us-east-1"
}
data "aws_caller_identity" "first" {}
resource "terraform_data" "wait" {
  input = data.aws_caller_identity.first.arn
  provisioner "local-exec" {
    command = "sleep 19"
  }
}
data "aws_caller_identity" "last" {
  depends_on = [terraform_data.wait]
}
output "who" {
  value = "${data.aws_caller_identity.first.arn} ${data.aws_caller_identity.last.arn}"
}
"#;

#[test]
fn terraform_works_for_three_lifetimes_and_prints_what_vault_says_when_there_is_none_left() {
    if !tool::slow("Terraform") {
        return;
    }
    let (Some(terraform), Some(cloud)) = (tool::find("terraform"), moto::cloud()) else { return };
    for fails in [false, true] {
        let world = World::start();
        let folder = world.path("terraform");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join("main.tf"), MAIN).expect("a configuration");
        let chdir = format!("-chdir={}", folder.display());
        let program = terraform.display().to_string();
        let run = job_of(&world, cloud, &[&program, &chdir, "apply", "-auto-approve", "-no-color"]);
        let run = run.env("CHECKPOINT_DISABLE", "1").env("TF_IN_AUTOMATION", "1");
        let mut init = std::process::Command::new(&terraform);
        init.args([&chdir, "init", "-no-color"]).env_clear().envs(installation(&run).variables());
        let ran = Ran::of(init);
        if ran.stderr.contains("Failed to query available provider packages") {
            tool::miss("terraform-provider-aws", "is in no mirror that Terraform was told of");
            return;
        }
        ran.ok();
        let ran = std::thread::scope(|scope| {
            let apply = scope.spawn(|| run.run());
            // The first credential, and the one before it expires: a run that fails begins well.
            while fails && minted(&world) < 3 && !apply.is_finished() {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            if fails {
                world.vault.clear_faults();
                let refused = dev_vault::Reply::error(403, "1 error occurred:\n\t* permission denied\n\n");
                world.vault.inject(On::path("/aws/sts/365-dev").every(), Fault::answer(refused));
            }
            apply.join().expect("its end")
        });
        if fails {
            assert!(ran.code != 0 && words(&ran.stderr).contains("no new credential of aws/sts/365-dev"), "{ran:?}");
        } else {
            let twice = format!("{0} {0}", cloud.role.arn);
            assert!(ran.code == 0 && ran.stdout.contains(&twice), "{ran:?}");
            println!("terraform: {} reads of Vault", minted(&world));
            assert!(minted(&world) >= 6, "{}", minted(&world));
        }
    }
}
