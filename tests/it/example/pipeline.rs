//! A GitLab pipeline, as far as the examples use it: its jobs, and their scripts in the runner's own shape.
//!
//! A keyword that is not listed here fails the test: a pipeline must not rely on what nobody looks at.

use std::collections::BTreeMap;

use yaml_rust2::yaml::Hash;
use yaml_rust2::{Yaml, YamlLoader};

/// One job, with what it inherits.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) environment: Option<String>,
    /// The container image that the job runs in.
    pub(crate) image: Option<String>,
    /// Variable and audience.
    pub(crate) id_tokens: Vec<(String, String)>,
    /// `before_script` and `script`, which GitLab joins.
    pub(crate) script: Vec<String>,
    pub(crate) after_script: Vec<String>,
}

const KEYWORDS: [&str; 12] = [
    "extends",
    "image",
    "environment",
    "id_tokens",
    "before_script",
    "script",
    "after_script",
    "retry",
    "variables",
    "needs",
    "when",
    "artifacts",
];

/// Keys of a pipeline that are no job.
const GLOBAL: [&str; 2] = ["image", "variables"];

/// The jobs of a pipeline, in its order; hidden ones only where another one extends them.
pub(super) fn parse(text: &str) -> Vec<Job> {
    let documents = YamlLoader::load_from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let [document] = documents.as_slice() else { panic!("not one document: {text}") };
    let top = document.as_hash().expect("a pipeline is a map");
    let jobs = top.iter().filter(|(key, _)| !GLOBAL.contains(&name(key).as_str()) && !name(key).starts_with('.'));
    let jobs: Vec<_> = jobs.map(|(key, body)| job(&name(key), body, top)).collect();
    assert!(!jobs.is_empty(), "no job: {text}");
    jobs
}

fn job(job_name: &str, body: &Yaml, top: &Hash) -> Job {
    let own = body.as_hash().unwrap_or_else(|| panic!("{job_name} is not a job"));
    let base = own.get(&key("extends")).map(|base| top.get(base).and_then(Yaml::as_hash).expect("the extended job"));
    let mut merged = base.cloned().unwrap_or_default();
    merged.extend(own.clone());
    for keyword in merged.keys() {
        assert!(KEYWORDS.contains(&name(keyword).as_str()), "{job_name}: {keyword:?} is not looked at by this test");
    }
    let get = |keyword: &str| merged.get(&key(keyword)).unwrap_or(&Yaml::BadValue);
    let mut variables = texts(top.get(&key("variables")).unwrap_or(&Yaml::BadValue));
    variables.extend(texts(get("variables")));
    let image = if get("image").is_badvalue() { top.get(&key("image")) } else { merged.get(&key("image")) };
    // A name, or a name with what is run in it.
    let image = image.and_then(|image| image.as_str().or_else(|| image["name"].as_str()));
    let tokens = get("id_tokens").as_hash().cloned().unwrap_or_default();
    let token = |(variable, body): (&Yaml, &Yaml)| (name(variable), name(&body["aud"]));
    Job {
        name: job_name.to_owned(),
        variables,
        environment: get("environment").as_str().map(str::to_owned),
        image: image.map(str::to_owned),
        id_tokens: tokens.iter().map(token).collect(),
        script: [lines(get("before_script")), lines(get("script"))].concat(),
        after_script: lines(get("after_script")),
    }
}

fn key(text: &str) -> Yaml {
    Yaml::String(text.to_owned())
}

fn name(yaml: &Yaml) -> String {
    yaml.as_str().unwrap_or_else(|| panic!("not a text: {yaml:?}")).to_owned()
}

fn texts(yaml: &Yaml) -> BTreeMap<String, String> {
    yaml.as_hash().into_iter().flatten().map(|(variable, value)| (name(variable), name(value))).collect()
}

fn lines(yaml: &Yaml) -> Vec<String> {
    yaml.as_vec().into_iter().flatten().map(name).collect()
}

/// What gitlab-runner (19.1 and later) gives to the shell for these lines, with the echo that it puts before each.
pub(crate) fn runner_script(lines: &[String]) -> String {
    let echoed = |line: &String| format!("echo {}\n{line}\n", quoted(&format!("$ {line}")));
    let body: String = lines.iter().map(echoed).collect();
    format!(
        "case \"$(set -o)\" in *\"pipefail\"*) set -o pipefail;; esac\nset -o errexit\nset +o noclobber\n\
         (eval {}) < /dev/null\nexit 0\n",
        quoted(&body)
    )
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
