//! A secret by reference, as a configuration file names it: a [`SecretRef`] that has a JSON Schema.
//!
//! Promise: a value that is not a reference is refused, and is not repeated in any message; it may be the secret
//! itself. Exceptions: none.

use std::borrow::Cow;

use keyward_secrets::SecretRef;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The schemes that can be written, for messages.
pub const FORMS: &str = "keyward://name, env://NAME or file:///absolute/path";

/// `keyward://name`, `env://NAME` or `file:///path`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reference(pub SecretRef);

impl Reference {
    /// Whether it names a file.
    pub const fn is_file(&self) -> bool {
        matches!(self.0, SecretRef::File(_))
    }

    /// Whether it leads into the embedded store.
    pub const fn is_embedded(&self) -> bool {
        matches!(self.0, SecretRef::Embedded(_))
    }
}

impl JsonSchema for Reference {
    fn schema_name() -> Cow<'static, str> {
        "Reference".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "secret-reference",
            "pattern": "^(keyward://.+|env://.+|file:///.+)$",
            "examples": ["keyward://openai"],
        })
    }
}
