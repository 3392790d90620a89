//! The demo, played whole, and pictures of two scenes in docs/: an SVG for light pages and one for dark ones.
//!
//! `CI_CREDS_REGENERATE=1 cargo test --test it picture` draws both anew; in CI that is refused.

#[path = "../../examples/demo/show/mod.rs"]
mod show;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use dev_vault::{DevVault, Dialect};
use serde_json::json;

use crate::support::steady::steady;
use crate::support::{AUDIENCE, World};

const COLUMNS: usize = 80;
/// Of one column and of one line, in the units of the picture, at a font size of 14.
const ADVANCE: f64 = 8.43;
const LINE: f64 = 19.0;
const MARGIN: f64 = 16.0;

/// Background, text, and the colour of each style by its number.
struct Palette {
    name: &'static str,
    background: &'static str,
    border: &'static str,
    text: &'static str,
    styles: [(&'static str, &'static str); 6],
}

const PALETTES: [Palette; 2] = [
    Palette {
        name: "light",
        background: "#ffffff",
        border: "#d0d7de",
        text: "#1f2328",
        styles: [
            ("1", "#1f2328"),
            ("2", "#6e7781"),
            ("31", "#cf222e"),
            ("32", "#116329"),
            ("33", "#7d4e00"),
            ("36", "#0550ae"),
        ],
    },
    Palette {
        name: "dark",
        background: "#0d1117",
        border: "#30363d",
        text: "#e6edf3",
        styles: [
            ("1", "#ffffff"),
            ("2", "#8b949e"),
            ("31", "#ff7b72"),
            ("32", "#7ee787"),
            ("33", "#e3b341"),
            ("36", "#79c0ff"),
        ],
    },
];

/// The text of each scene, in colour, and of the end.
fn scenes() -> Vec<String> {
    let mut scenes = Vec::new();
    let tool = Path::new(env!("CARGO_BIN_EXE_ci-creds"));
    show::play(tool, true, &mut |text| scenes.push(text.to_owned())).unwrap_or_else(|problem| panic!("{problem}"));
    scenes
}

/// A line as spans: the number of the style, or nothing, and the text.
fn spans(line: &str) -> Vec<(&str, &str)> {
    let mut spans = Vec::new();
    for (number, part) in line.split("\x1b[").enumerate() {
        let (style, text) = if number == 0 { ("0", part) } else { part.split_once('m').expect("a style") };
        if !text.is_empty() {
            spans.push((if style == "0" { "" } else { style }, text));
        }
    }
    spans
}

fn plain(line: &str) -> String {
    spans(line).into_iter().map(|(_, text)| text).collect()
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The lines as a picture. Each span says its own length: the columns stand whatever font the reader has.
fn draw(lines: &[&str], palette: &Palette) -> String {
    let width = COLUMNS as f64 * ADVANCE + 2.0 * MARGIN;
    let height = lines.len() as f64 * LINE + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\">\n<title>ci-creds in a terminal of {COLUMNS} columns</title>\n\
         <style>\ntext {{ font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; \
         fill: {}; white-space: pre; }}\n",
        palette.text
    );
    for (style, colour) in palette.styles {
        let weight = if style == "1" { " font-weight: bold;" } else { "" };
        let _ = writeln!(svg, ".s{style} {{ fill: {colour};{weight} }}");
    }
    let _ = writeln!(
        svg,
        "</style>\n<rect x=\"0.5\" y=\"0.5\" width=\"{:.0}\" height=\"{:.0}\" rx=\"6\" fill=\"{}\" stroke=\"{}\"/>",
        width - 1.0,
        height - 1.0,
        palette.background,
        palette.border
    );
    for (number, line) in lines.iter().enumerate() {
        let y = MARGIN + (number as f64 + 0.75) * LINE;
        let mut column = 0;
        for (style, text) in spans(line) {
            let blanks = text.len() - text.trim_start().len();
            let (x, shown) = (MARGIN + (column + blanks) as f64 * ADVANCE, text.trim());
            column += text.chars().count();
            if shown.is_empty() {
                continue;
            }
            let class = if style.is_empty() { String::new() } else { format!(" class=\"s{style}\"") };
            let length = shown.chars().count() as f64 * ADVANCE;
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\" xml:space=\"preserve\"{class}>{}</text>",
                escape(shown)
            );
        }
    }
    svg + "</svg>\n"
}

/// The pictures, each with the number of its scene.
const PICTURES: [(&str, usize); 2] = [("demo", 2), ("theft", 4)];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

#[test]
fn the_demo_goes_as_it_says_in_80_columns_and_the_pictures_show_it() {
    let scenes = scenes();
    for line in scenes.iter().flat_map(|scene| scene.lines()) {
        assert!(plain(line).len() <= COLUMNS, "{} columns: {line}", plain(line).len());
    }
    for (picture, number) in PICTURES {
        let scene = steady(&scenes[number - 1]);
        let lines: Vec<_> = scene.trim_end().lines().skip_while(|line| !plain(line).starts_with("-- ")).collect();
        assert!(lines.len() > 10, "{lines:?}");
        compare(picture, &lines);
    }
}

/// Holds the two files of a picture against its lines, or draws them anew.
fn compare(picture: &str, lines: &[&str]) {
    let regenerate = std::env::var_os("CI_CREDS_REGENERATE").is_some();
    assert!(!(regenerate && std::env::var_os("CI").is_some()), "CI compares, and writes nothing");
    for palette in &PALETTES {
        let (name, svg) = (format!("{picture}-{}.svg", palette.name), draw(lines, palette));
        if regenerate {
            std::fs::write(file(&name), svg).expect("the picture");
            continue;
        }
        let now = std::fs::read_to_string(file(&name)).unwrap_or_default();
        assert!(now == svg, "docs/{name} is stale: CI_CREDS_REGENERATE=1 cargo test --test it picture");
    }
}

#[test]
fn the_picture_of_a_diagnosis_is_what_doctor_prints() {
    let world = World::with(DevVault::builder().dialect(Dialect::OpenBao));
    let role = json!({
        "role_type": "jwt", "user_claim": "project_path", "bound_audiences": [AUDIENCE],
        "bound_claims": { "environment": "prod" }, "token_policies": ["job"],
    });
    world.vault.write("auth/gitlab/role/deploy", role);
    let line = "doctor aws --role 365-dev";
    let run = world.command_as("id-token", line).env("VAULT_AUTH_ROLE", "deploy");
    let ran = run.env("CLICOLOR_FORCE", "1").env("LC_ALL", "C.UTF-8").env("HOME", "/home/me").run();
    assert_eq!(ran.code, 77, "{}", ran.stdout);
    // A picture has one weight, and was not made on this machine at this moment.
    let text = steady(&ran.stdout.replace("\x1b[1;", "\x1b["));
    let times = |line: &str| line.split_once("Z, ").map_or_else(|| line.to_owned(), |(time, _)| format!("{time}Z"));
    let text_lines = text.lines().filter(|line| !line.trim_start().starts_with("jti "));
    let lines: Vec<_> = std::iter::once(format!("$ ci-creds {line}")).chain(text_lines.map(times)).collect();
    assert!(lines.iter().all(|line| plain(line).chars().count() <= COLUMNS), "{text}");
    compare("doctor", &lines.iter().map(String::as_str).collect::<Vec<_>>());
}
