//! Secrets that stand where no secret belongs: in a tag, a name, a URL, a comment's place.
//!
//! Promise: a value that a detector is sure of is refused, wherever it stands in the file, and not repeated.
//! Exceptions: a secret without a form of its own (a plain password) is only refused where a reference is expected.

use std::sync::Arc;

use keyward_core::Confidence;
use keyward_mask::{Detectors, Profile, mask_bytes};
use serde_json::Value;

use super::problem::Report;
use super::tree::{Content, Node, join};

/// Reports every text in `node` that is a credential beyond doubt.
pub fn check(node: &Node, report: &mut Report<'_>) {
    let detectors = Detectors::builtin();
    let sure = detectors.iter().filter(|d| d.confidence() == Confidence::High && d.group() == "credentials");
    let names: Vec<String> = sure.map(|detector| detector.id().to_owned()).collect();
    // The shipped detectors make a profile: their own tests hold that.
    if let Ok(profile) = Profile::builder().detectors(detectors, &names).build() {
        walk(&Arc::new(profile), node, "", report);
    }
}

fn walk(profile: &Arc<Profile>, node: &Node, path: &str, report: &mut Report<'_>) {
    match &node.content {
        Content::Scalar(Value::String(text)) => {
            let found = mask_bytes(profile, text.as_bytes()).findings;
            if let Some(finding) = found.first() {
                report.concealed(
                    node.at,
                    format!("`{path}` holds a credential ({})", finding.detector),
                    "store it with `keyward secrets put NAME` and name it as keyward://NAME; replace it: it stood in a file",
                );
            }
        }
        Content::Scalar(_) => {}
        Content::List(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(profile, item, &format!("{path}[{index}]"), report);
            }
        }
        Content::Map(entries) => {
            for (key, item) in entries {
                walk(profile, item, &join(path, &key.name), report);
            }
        }
    }
}
