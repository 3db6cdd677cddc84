//! `flockerd endpoints`: the table of the Docker API as text, Markdown or JSON.

use std::fmt::Write;

use serde_json::json;

use crate::docker::endpoint::ENDPOINTS;

/// How the table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Markdown,
    Json,
}

/// Writes the table.
pub fn endpoints(format: Format) -> String {
    match format {
        Format::Text => text(),
        Format::Markdown => markdown(),
        Format::Json => json(),
    }
}

fn text() -> String {
    let mut text = format!("{:<7} {:<56} {:<6} MODE\n", "METHOD", "PATH", "SINCE");
    for row in ENDPOINTS {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<7} {:<56} {:<6} {}",
            row.method.as_str(),
            row.path,
            row.since.to_string(),
            row.mode.name()
        );
    }
    text
}

fn markdown() -> String {
    let mut text = String::from("| method | path | since | mode |\n| --- | --- | --- | --- |\n");
    for row in ENDPOINTS {
        let _ = writeln!(
            text,
            "| {} | `{}` | {} | {} |",
            row.method,
            row.path,
            row.since,
            row.mode.name()
        );
    }
    text
}

fn json() -> String {
    let rows = ENDPOINTS.iter().map(|row| {
        json!({ "method": row.method.as_str(), "path": row.path, "since": row.since.to_string(),
                "mode": row.mode.name() })
    });
    format!("{:#}\n", serde_json::Value::from(rows.collect::<Vec<_>>()))
}
