//! What `ci-creds secret` reads: sections of the configuration file, or a path and where its fields go.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::demand::Demand;
use super::plan::{Access, CredentialPlan, Plan};
use super::section::{is_section_name, quoted_name};
use super::source::Layers;
use super::{cache, check_vault_format, find_job_end, format_of, name, output, resolve_access_by, state};
use crate::claims::Claims;
use crate::cli;
use crate::error::{Error, Kind, Result};
use crate::origin::{Origin, WithOrigin};
use crate::provider::secret::{SecretSection, find_problem, join};
use crate::provider::shape::Shape;
use crate::render::format::Format;
use crate::typo::{nearest, quoted};

/// Decides everything about a run that fetches secrets.
///
/// # Errors
/// As [`super::resolve_fetch`].
pub(crate) fn resolve_secret(
    flags: &cli::SecretFlags,
    volume: cli::Volume,
    words: &[String],
    layers: &Layers<'_>,
) -> Result<Plan> {
    let sections = select_sections(&flags.wanted, layers)?;
    if sections.len() > 1 && flags.output.cache {
        return Err(Error::new(Kind::Usage, "--cache takes one secret a call")
            .hint("make a call for each of them, or drop --cache"));
    }
    let shapes: Vec<_> = sections.iter().map(|section| section.value.shape()).collect();
    let joined = join(&shapes).ok_or_else(|| Error::new(Kind::Internal, "no secret is asked for"))?;
    let demand = Demand { shape: Cow::Owned(joined), output: &flags.output, volume, words, keep_profile: false };
    let format = format_of(demand.output);
    check_vault_format(format, demand.output)?;
    let output = output::resolve_output(&demand, format, layers)?;
    let cache = cache::resolve_cache(&demand, format, layers)?;
    let state = state::resolve_state(flags.output.state, layers)?;
    let (Access { connection, login }, claims) = resolve_access_by(&flags.access, format == Format::Process, layers)?;
    let reads = sections.len() as u64;
    let mut wanted = resolve_sections(sections, claims.as_ref(), layers)?.into_iter();
    let first = wanted.next().ok_or_else(|| Error::new(Kind::Internal, "no secret is asked for"))?;
    let mut plan = Plan { state, others: wanted.collect(), ..Plan::new(connection, login, first, cache, output) };
    plan.reads = reads;
    plan.job_end = find_job_end(layers)?;
    Ok(plan)
}

/// What the flags say, or the sections that they name.
///
/// # Errors
/// As [`find_sections`], and [`Kind::Usage`] for a path or a variable that cannot be one.
pub(super) fn select_sections(
    wanted: &cli::SecretSelection,
    layers: &Layers<'_>,
) -> Result<Vec<WithOrigin<SecretSection>>> {
    let cli::SecretSelection { names, mapping } = wanted;
    match &mapping.path {
        Some(_) if !names.is_empty() => {
            Err(Error::new(Kind::Usage, "--path and the name of a section exclude each other").hint("keep one of them"))
        }
        Some(path) => Ok(vec![WithOrigin { value: parse_flags(mapping, path)?, origin: Origin::Flag("--path") }]),
        None => find_sections(names, layers),
    }
}

/// The sections of these names.
///
/// # Errors
/// [`Kind::Usage`] without a name; [`Kind::Config`] for one that no file has.
pub(super) fn find_sections(names: &[String], layers: &Layers<'_>) -> Result<Vec<WithOrigin<SecretSection>>> {
    let known: Vec<&str> = layers.files.all(|file| file.secrets().collect::<Vec<_>>()).flatten().collect();
    if names.is_empty() {
        let error = Error::new(Kind::Usage, "no secret is named");
        return Err(match known.first() {
            Some(first) => {
                error.hint(format!("ci-creds secret {first}; the configuration file has {}", known.join(", ")))
            }
            None => {
                error.hint("ci-creds secret --path PATH --env VAR=FIELD, or a [secret.NAME] in the configuration file")
            }
        });
    }
    let mut sections: Vec<WithOrigin<SecretSection>> = Vec::new();
    for name in names {
        if sections.iter().any(|section| section.value.name == *name) {
            return Err(Error::new(Kind::Usage, format!("the secret {} is named twice", quoted(name, "of that name")))
                .hint("keep one of them"));
        }
        let found = layers.files.find(|file| file.secret(name).cloned());
        sections.push(found.filter(|_| is_section_name(name)).ok_or_else(|| {
            let shown = quoted(name, "of that name");
            let error = Error::new(Kind::Config, format!("no configuration file has a section for the secret {shown}"));
            match nearest(name, known.iter().copied()) {
                Some(meant) => error.hint(format!("did you mean {meant}?")),
                None if known.is_empty() => error.hint(
                    "write [secret.NAME] with path and env into the configuration file, or pass --path and --env",
                ),
                None => error.hint(format!("the file has {}", known.join(", "))),
            }
        })?);
    }
    check_distinct(&sections)?;
    Ok(sections)
}

/// A variable that two secrets set would hold the one or the other.
fn check_distinct(sections: &[WithOrigin<SecretSection>]) -> Result<()> {
    let mut known: Vec<&str> = Vec::new();
    for section in sections {
        let SecretSection { variables, files, .. } = &section.value;
        for (variable, _) in variables.iter().chain(files) {
            if known.contains(&variable.as_str()) {
                return Err(Error::new(
                    Kind::Config,
                    format!("{} is set twice by these secrets", quoted_name(variable)),
                )
                .hint("give each field a variable of its own"));
            }
            known.push(variable);
        }
    }
    Ok(())
}

/// The requests of these sections, their placeholders filled.
pub(super) fn resolve_sections(
    sections: Vec<WithOrigin<SecretSection>>,
    claims: Option<&Claims>,
    layers: &Layers<'_>,
) -> Result<Vec<CredentialPlan>> {
    sections.into_iter().map(|section| resolve_section(section, claims, layers)).collect()
}

fn resolve_section(
    section: WithOrigin<SecretSection>,
    claims: Option<&Claims>,
    layers: &Layers<'_>,
) -> Result<CredentialPlan> {
    let WithOrigin { value: section, origin } = section;
    let path = WithOrigin { value: section.path.clone(), origin: origin.clone() };
    let path = name::resolve_secret_path(path, claims, layers)?.value;
    let mint = section.mint(path);
    Ok(CredentialPlan {
        shape: Cow::Owned(section.shape()),
        role: section.name,
        role_origin: origin,
        mint,
        companions: Vec::new(),
        readiness: None,
        keep_profile: false,
    })
}

/// The section that the flags say.
fn parse_flags(wanted: &cli::SecretMapping, path: &str) -> Result<SecretSection> {
    let variables = parse_pairs("--env", &wanted.env, "PGUSER=username")?;
    let files = parse_pairs("--file", &wanted.file, "TLS_KEY=private_key")?;
    if variables.is_empty() && files.is_empty() {
        return Err(Error::new(Kind::Usage, "the secret sets no variable")
            .hint("--env VAR=FIELD for a variable, --file VAR=FIELD for a private file"));
    }
    for name in &wanted.unset {
        check_variable("--unset", name)?;
    }
    let kv = wanted.kv.as_deref().and_then(|version| version.parse().ok());
    let body = resolve_body(wanted)?;
    if kv.is_some() && body.is_some() {
        return Err(Error::new(Kind::Usage, "a secret of a KV engine is read, not written")
            .hint("drop --kv, or --set and --write"));
    }
    let section = SecretSection {
        name: String::new(),
        path: path.to_owned(),
        variables,
        files,
        body,
        kv,
        version: None,
        unset: wanted.unset.clone(),
        expires: wanted.expires.clone(),
    };
    let section = WithOrigin { value: section, origin: Origin::Flag("--path") };
    check_distinct(std::slice::from_ref(&section))?;
    Ok(section.value)
}

fn parse_pairs(flag: &'static str, texts: &[String], example: &str) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    for text in texts {
        let pair = text.split_once('=').filter(|(_, field)| !field.trim().is_empty());
        let Some((variable, field)) = pair else {
            return Err(Error::new(Kind::Usage, format!("{flag} takes a variable and a field"))
                .hint(format!("write the variable on the left: {flag} {example}")));
        };
        check_variable(flag, variable)?;
        pairs.push((variable.to_owned(), field.trim().to_owned()));
    }
    Ok(pairs)
}

fn check_variable(flag: &str, name: &str) -> Result<()> {
    match find_problem(name) {
        Some(problem) => Err(Error::new(Kind::Usage, format!("{flag}: {} {problem}", quoted_name(name)))
            .hint("choose another variable; the field of the answer is on the right")),
        None => Ok(()),
    }
}

/// What `--set` says, as the object that is written.
fn resolve_body(wanted: &cli::SecretMapping) -> Result<Option<String>> {
    let mut body = Map::new();
    for text in &wanted.set {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(
                Error::new(Kind::Usage, "--set takes a name and a value").hint("--set common_name=ci.example.com")
            );
        };
        if body.insert(name.to_owned(), Value::String(value.to_owned())).is_some() {
            return Err(Error::new(Kind::Usage, format!("--set: {} is given twice", quoted(name, "a parameter")))
                .hint("keep one of them"));
        }
    }
    Ok((wanted.write || !body.is_empty()).then(|| Value::Object(body).to_string()))
}

/// The variables that a run of these secrets owns, for its failure.
pub(crate) fn owned_shape(plan: &Plan) -> Option<Shape> {
    let others = plan.others.iter().map(|one| one.shape.as_ref().clone());
    let shapes: Vec<_> = std::iter::once(plan.shape.as_ref().clone()).chain(others).collect();
    join(&shapes)
}
