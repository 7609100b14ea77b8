//! Routes of a connection of kind `http`, as a configuration file names them.

use keyward_core::OperationClass;
use keyward_gateway::understand::{OwnRoute, OwnRouteError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A route of a connection of kind `http`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The method; `GET` holds for `HEAD` too.
    pub method: RouteMethod,
    /// The path below the upstream's, such as `/jobs/*`: `*` is one segment, `**` at the end one or more.
    pub path: String,
    /// The class of calls that fit.
    #[schemars(schema_with = "class_schema")]
    pub class: OperationClass,
    /// Whether calls that fit may go on as a WebSocket, whose messages are then judged one by one. Of a `GET` alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub websocket: bool,
}

impl Route {
    /// As the gateway has it.
    pub fn own(&self) -> Result<OwnRoute, OwnRouteError> {
        let route = OwnRoute::new(self.method.name(), &self.path, self.class)?;
        Ok(if self.websocket { route.with_websocket() } else { route })
    }
}

fn class_schema(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<&str> = OperationClass::ALL.iter().map(|class| class.as_str()).collect();
    json_schema!({ "type": "string", "enum": words })
}

/// The method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "HTTP's own")]
pub enum RouteMethod {
    Get,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    /// Every method.
    #[serde(rename = "*")]
    Any,
}

impl RouteMethod {
    /// As requests have it; none for every method.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Get => Some("GET"),
            Self::Post => Some("POST"),
            Self::Put => Some("PUT"),
            Self::Patch => Some("PATCH"),
            Self::Delete => Some("DELETE"),
            Self::Options => Some("OPTIONS"),
            Self::Any => None,
        }
    }
}
