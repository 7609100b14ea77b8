//! Masks one field of JSON lines: `jsonl FIELD [PACK…] < in > out` adds `masked` and `findings` to each object. With
//! packs, these stand in place of the shipped ones.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::io::BufRead as _;
use std::sync::Arc;

use keyward_mask::{Detectors, Profile, mask_bytes};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let field = arguments.next().unwrap_or_else(|| "text".to_owned());
    let packs = arguments
        .map(|path| std::fs::read_to_string(&path).map(|yaml| (path, yaml)))
        .collect::<Result<Vec<_>, _>>()?;
    let detectors = if packs.is_empty() {
        Detectors::builtin()
    } else {
        let files: Vec<_> = packs.iter().map(|(path, yaml)| (path.as_str(), yaml.as_str())).collect();
        Arc::new(Detectors::load(&files)?)
    };
    let profile = Arc::new(Profile::builder().detectors(detectors, &["credentials", "pii"]).build()?);
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
