// What the AWS SDK for JavaScript makes of the variables and files that it finds.
//
//     who|bucket TIMES [at-once]   asks STS who signs, or S3 for its first bucket
//     values PROFILE…              key, secret and session of each profile; "" is what nothing was said about
//     named PROFILE                the same, asked of this one profile and of nothing else
//     upload                       where an upload goes, in which region, and with which checksums; nothing is sent
//     walk FROM TO STEP            who signs at each of these seconds, and how long the credential has left
//     served SECONDS               asks so long who signs: the answer, the calls, and the requests to the endpoint
"use strict";

const { fromIni, fromNodeProviderChain } = require("@aws-sdk/credential-providers");
const { ListBucketsCommand, PutObjectCommand, S3Client } = require("@aws-sdk/client-s3");
const { GetCallerIdentityCommand, STSClient } = require("@aws-sdk/client-sts");

const [question, ...rest] = process.argv.slice(2);
const sts = new STSClient({});
const s3 = new S3Client({ forcePathStyle: true });

const questions = {
  who: async () => (await sts.send(new GetCallerIdentityCommand({}))).Arn,
  bucket: async () => (await s3.send(new ListBucketsCommand({}))).Buckets[0].Name,
};

async function ask(times, atOnce) {
  const answers = [];
  for (let i = 0; i < Number(times); i++) {
    const answer = questions[question]().then((text) => console.log(text));
    answers.push(answer);
    if (!atOnce) await answer;
  }
  await Promise.all(answers);
}

function show(found) {
  console.log(JSON.stringify([found.accessKeyId, found.secretAccessKey, found.sessionToken ?? ""]));
}

// The request as it would be sent.
async function upload() {
  const requestHandler = {
    handle: async (request) => {
      const scope = /Credential=([^,]*)/.exec(request.headers.authorization)[1].split("/");
      const checksums = Object.keys(request.headers).filter((name) => name.includes("checksum"));
      console.log(`${request.protocol}//${request.hostname}${request.path}`, scope[0], scope[2], checksums.length);
      process.exit(0);
    },
  };
  await new S3Client({ requestHandler }).send(new PutObjectCommand({ Bucket: "b", Key: "k", Body: "text" }));
}

// The clock of this process is the one that FAKETIME names; what it starts inherits that.
async function walk(from, to, step) {
  for (let second = from; second < to; second += step) {
    process.env.FAKETIME = `+${second}`;
    try {
      const who = await questions.who();
      // A successor is made while the old one serves. It has a minute to come, and here that is over at once.
      while (process.getActiveResourcesInfo().includes("ProcessWrap")) await new Promise(setImmediate);
      const { expiration } = await sts.config.credentials();
      console.log(second, who, Math.floor((expiration - Date.now()) / 1000));
    } catch (error) {
      console.log(second, error.name, error.message.replaceAll(/\s/g, "_"));
      break;
    }
  }
}

async function served(seconds) {
  let [who, calls, asked] = ["", 0, 0];
  // Node.js says so of every request, whoever makes it.
  require("node:diagnostics_channel").subscribe("http.client.request.start", ({ request }) => {
    if (request.path === "/get-credentials") asked++;
  });
  const end = Date.now() + Number(seconds) * 1000;
  for (; Date.now() < end; calls++) {
    who = await questions.who();
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  console.log(who, calls, asked);
}

async function main() {
  if (question in questions) return ask(...rest);
  if (question === "upload") return upload();
  if (question === "served") return served(...rest);
  if (question === "walk") return walk(...rest.map(Number));
  if (question === "named") return show(await fromIni({ profile: rest[0] })());
  for (const profile of rest) show(await fromNodeProviderChain(profile ? { profile } : {})());
}

main().catch((error) => {
  console.error(`${error.name}: ${error.message}`);
  process.exitCode = 1;
});
