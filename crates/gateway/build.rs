//! Makes what `make ui` built part of the binary. Where nothing is built, the table is empty and the gateway serves a page
//! that says so: building with cargo needs no Node.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Compressed copies lie beside the files that they are of.
const COPIES: [(&str, &str); 2] = [("br", "br"), ("gz", "gzip")];

fn main() -> Result<(), Box<dyn Error>> {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    if dist.join("index.html").exists() {
        gather(&dist, &mut files)?;
    }
    files.sort();
    let mut table = String::from("&[\n");
    for file in &files {
        let name = text(file.strip_prefix(&dist)?)?;
        if name.starts_with('.') || COPIES.iter().any(|(suffix, _)| name.ends_with(&format!(".{suffix}"))) {
            continue;
        }
        let file = text(file)?;
        writeln!(table, "File {{ name: {name:?}, bytes: include_bytes!({file:?}), copies: &[")?;
        for (suffix, coding) in COPIES {
            let copy = dist.join(format!("{name}.{suffix}"));
            if copy.exists() {
                let copy = text(&copy)?;
                writeln!(table, "({coding:?}, include_bytes!({copy:?})),")?;
            }
        }
        table.push_str("] },\n");
    }
    table.push(']');
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("ui_files.rs"), table)?;
    Ok(())
}

fn text(path: &Path) -> Result<&str, &'static str> {
    path.to_str().ok_or("a file of ui/dist has a name that is no UTF-8")
}

fn gather(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
