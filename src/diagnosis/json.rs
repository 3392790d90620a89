//! The diagnosis as JSON: the form that docs/doctor.schema.json describes.

use serde::Serialize;

use super::{Check, Diagnosis, Mark, Note, Topic};
use crate::error::Kind;

/// The version of the form. It changes when a reader of the one before would misread it.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct DiagnosisObject<'a> {
    version: u32,
    ok: bool,
    exit_code: u8,
    checks: Vec<CheckObject<'a>>,
}

#[derive(Serialize)]
struct CheckObject<'a> {
    id: &'static str,
    status: &'static str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocked_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<DetailObject<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<NoteObject<'a>>,
}

#[derive(Serialize)]
struct DetailObject<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct NoteObject<'a> {
    status: &'static str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

const fn status(mark: Mark) -> &'static str {
    match mark {
        Mark::Good => "ok",
        Mark::Warning => "warning",
        Mark::Failure => "failed",
        Mark::Skip => "skipped",
    }
}

/// One document and the end of its last line.
pub(crate) fn render(diagnosis: &Diagnosis) -> String {
    let object = DiagnosisObject {
        version: VERSION,
        ok: diagnosis.code() == 0,
        exit_code: diagnosis.code(),
        checks: diagnosis.checks.iter().map(check_object).collect(),
    };
    // Texts and numbers always serialize.
    let text = serde_json::to_string_pretty(&object).unwrap_or_default();
    format!("{text}\n")
}

fn check_object(check: &Check) -> CheckObject<'_> {
    CheckObject {
        id: check.topic.name(),
        status: status(check.mark),
        text: &check.text,
        hint: check.change.as_deref(),
        kind: check.kind.map(Kind::name),
        exit_code: check.kind.map(Kind::code),
        blocked_by: check.blocked_by.map(Topic::name),
        details: check.details.iter().map(|(name, value)| DetailObject { name, value }).collect(),
        notes: check
            .notes
            .iter()
            .map(|Note { mark, text, change }| NoteObject { status: status(*mark), text, hint: change.as_deref() })
            .collect(),
    }
}
