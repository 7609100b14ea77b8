//! Masks one field of JSON lines: `jsonl FIELD < in > out` adds `masked` and `findings` to each object.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::io::BufRead as _;
use std::sync::Arc;

use keyward_mask::{Detectors, Profile, mask_bytes};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let field = std::env::args().nth(1).unwrap_or_else(|| "text".to_owned());
    let profile =
        Arc::new(Profile::builder().detectors(Detectors::builtin(), &["credentials", "pii"]).build()?);
    for line in std::io::stdin().lock().lines() {
        let mut object: Value = serde_json::from_str(&line?)?;
        let text = object.get(&field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let masked = mask_bytes(&profile, text.as_bytes());
        let findings: Vec<Value> = masked
            .findings
            .iter()
            .map(|f| json!({"detector": *f.detector, "start": f.start, "end": f.end}))
            .collect();
        if let Some(object) = object.as_object_mut() {
            object.insert("masked".to_owned(), String::from_utf8_lossy(&masked.bytes).into());
            object.insert("findings".to_owned(), findings.into());
        }
        println!("{object}");
    }
    Ok(())
}
