//! The policies shipped with Keyward.

use super::PolicySource;

/// What the names of shipped policies begin with.
pub const BUILTIN_PREFIX: &str = "builtin:";
/// The policy to begin with.
pub const BASE_NAME: &str = "builtin:base";

/// Name and text of every pack. Base stands alone; the others stand beside it, or beside rules of one's own.
const PACKS: [(&str, &str); 5] = [
    (BASE_NAME, include_str!("../../../../policies/base.yaml")),
    ("builtin:inference", include_str!("../../../../policies/inference.yaml")),
    ("builtin:secret-files", include_str!("../../../../policies/secret-files.yaml")),
    ("builtin:agents", include_str!("../../../../policies/agents.yaml")),
    ("builtin:pii", include_str!("../../../../policies/pii.yaml")),
];

/// The names of the shipped policies.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    PACKS.iter().map(|(name, _)| *name)
}

impl PolicySource {
    /// The shipped base policy.
    pub fn base() -> Self {
        let [(name, text), ..] = PACKS;
        Self { name: name.to_owned(), text: text.to_owned() }
    }

    /// The shipped policy of this name (`builtin:agents`).
    pub fn builtin(name: &str) -> Option<Self> {
        let (name, text) = PACKS.iter().find(|(known, _)| *known == name)?;
        Some(Self { name: (*name).to_owned(), text: (*text).to_owned() })
    }
}
