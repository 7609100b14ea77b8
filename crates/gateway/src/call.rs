//! A request as it was understood: the operation, and exactly the bytes that will be forwarded.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderMap, Method};
use keyward_core::{Finding, Operation, OperationClass, Resource};
use keyward_mask::mask_bytes;
use keyward_wire::websocket::Kind as MessageKind;

use crate::body::{BodyError, read_to_end};
use crate::caller_body::CallerBody;
use crate::edge;
use crate::refusal::{Refusal, RefusalKind};
use crate::route::Route;
use crate::session::Session;
use crate::understand::{Api, BodyNeed, UnderstandError, body_need, may_export, message, understand};
use crate::websocket::{Opened, Opening};

/// A request on its way through the verdict. What is judged here is what is forwarded.
pub struct Call {
    /// The method.
    pub method: Method,
    /// What the caller sent, credentials removed.
    pub headers: HeaderMap,
    /// What it does.
    pub operation: Arc<Operation>,
    /// The same for records and people: every text in it masked.
    pub shown: Arc<Operation>,
    /// Its body.
    pub body: CallBody,
    /// What was masked in its body.
    pub masked: Vec<Finding>,
    /// What kind of call it is.
    pub(crate) form: CallForm,
}

/// What is judged as a call.
pub(crate) enum CallForm {
    /// A request.
    Request,
    /// A request that opens a WebSocket.
    Handshake(Box<Opening>),
    /// A message of the caller over a WebSocket.
    Message(Arc<Opened>, MessageKind),
}

/// The body of a call.
pub enum CallBody {
    /// Read to its end.
    Whole(Bytes),
    /// Passed on as it comes: no rule looks at it.
    Passing(CallerBody),
}

impl Session {
    /// Understands a request: reads the body where the verdict needs it, and says what the request does.
    /// Refuses one that the client token it came with is not for.
    pub async fn understand(
        &self,
        route: Box<Route>,
        parts: Box<Parts>,
        incoming: CallerBody,
    ) -> Result<Call, Refusal> {
        let (Route { path, query, .. }, parts) = (*route, *parts);
        let kind = self.target.settings.connection.kind;
        let declared = declared_length(&parts.headers);
        let limit = self.target.settings.request_body_bytes_max;
        if declared.is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
        let body = match body_need(kind, &parts.method, &path, &parts.headers) {
            BodyNeed::Whole => CallBody::Whole(self.whole(incoming).await?),
            BodyNeed::WholeIfShort if declared.is_some_and(|length| length <= self.inspected()) => {
                CallBody::Whole(self.whole(incoming).await?)
            }
            BodyNeed::None | BodyNeed::WholeIfShort if http_body::Body::is_end_stream(&incoming) => {
                CallBody::Whole(Bytes::new())
            }
            BodyNeed::None | BodyNeed::WholeIfShort => CallBody::Passing(incoming),
        };
        let bytes = match &body {
            CallBody::Whole(bytes) => Some(&**bytes),
            CallBody::Passing(_) => None,
        };
        let api = self.target.settings.api();
        let mut operation = understand(api, parts.method.as_str(), &path, &query, &parts.headers, bytes)
            .map_err(not_understood)?;
        operation.body_bytes = bytes.map(|b| b.len() as u64).or(declared);
        let connection = &self.target.settings.connection.name;
        if may_export(operation.class) && self.gateway.shared.weights.knows(connection, &operation) {
            operation.class = OperationClass::ModelExport;
        }
        self.for_operation(&operation)?;
        let operation = Arc::new(operation);
        let shown = self.shown(&operation).await?;
        Ok(Call {
            method: parts.method,
            headers: parts.headers,
            operation,
            shown,
            body,
            masked: Vec::new(),
            form: CallForm::Request,
        })
    }

    /// Understands a message over the WebSocket that was opened as `opened`. `headers` are those of its handshake that rules
    /// read, and the type of the message.
    pub(crate) async fn understand_message(
        &self,
        opened: &Arc<Opened>,
        headers: HeaderMap,
        (form, payload): (MessageKind, Bytes),
    ) -> Result<Call, Refusal> {
        let kind = self.target.settings.connection.kind;
        let operation = message(kind, &opened.operation, form, &payload).map_err(not_understood)?;
        self.for_operation(&operation)?;
        let operation = Arc::new(operation);
        let shown = self.shown(&operation).await?;
        Ok(Call {
            method: Method::GET,
            headers,
            operation,
            shown,
            body: CallBody::Whole(payload),
            masked: Vec::new(),
            form: CallForm::Message(Arc::clone(opened), form),
        })
    }

    /// The operation as it may be recorded and shown: a path or a query may hold a credential (a webhook's token).
    pub(crate) async fn shown(&self, operation: &Arc<Operation>) -> Result<Arc<Operation>, Refusal> {
        // The connection's own credential is known from its first lease on. Whether it can be had is asked again later.
        let lease = self.lease().await.ok().flatten();
        let Some(mask) = self.request_mask(lease.as_ref())? else { return Ok(Arc::clone(operation)) };
        let resource = &operation.resource;
        let texts = [&operation.path, &operation.query, &resource.model, &resource.file];
        // One pass over all texts together: most hold nothing.
        let lists = resource.tools.iter().chain(&operation.fields);
        let all = texts.into_iter().chain(lists).map(String::as_str).collect::<Vec<_>>().join("\n");
        if mask_bytes(&mask, all.as_bytes()).findings.is_empty() {
            return Ok(Arc::clone(operation));
        }
        let mut shown = (**operation).clone();
        let Resource { model, file, tools } = &mut shown.resource;
        let texts = [&mut shown.path, &mut shown.query, model, file];
        for text in texts.into_iter().chain(tools).chain(&mut shown.fields) {
            *text = String::from_utf8_lossy(&mask_bytes(&mask, text.as_bytes()).bytes).into_owned();
        }
        Ok(Arc::new(shown))
    }

    /// The longest body that is looked at before the verdict, in bytes.
    pub(crate) fn inspected(&self) -> u64 {
        self.gateway.limits.inspect_body_bytes_max.min(self.target.settings.request_body_bytes_max)
    }

    /// Reads a body to its end, within what is inspected.
    pub(crate) async fn whole(&self, incoming: CallerBody) -> Result<Bytes, Refusal> {
        let limit = self.inspected();
        read_to_end(incoming, limit).await.map_err(|error| match error {
            BodyError::TooLarge(_) => too_large(limit),
            error => {
                let public = edge::fault_behind(&error)
                    .map_or("The request's body broke off.".into(), |f| f.to_string());
                Refusal::new(RefusalKind::BadRequest, public).because(error)
            }
        })
    }
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: u64) -> Refusal {
    Refusal::new(
        RefusalKind::BodyTooLarge,
        format!(
            "The request's body is longer than {limit} bytes, the most that is looked at before the verdict here."
        ),
    )
}

pub(crate) fn not_understood(error: UnderstandError) -> Refusal {
    let kind = match error.status().as_u16() {
        413 => RefusalKind::BodyTooLarge,
        415 => RefusalKind::UnsupportedBody,
        _ => RefusalKind::BadRequest,
    };
    Refusal::new(kind, error.public().into_owned()).because(error)
}

impl Call {
    /// The same call, where it opens a WebSocket.
    pub(crate) fn opening(self, opening: Option<Box<Opening>>) -> Self {
        match opening {
            Some(opening) => Self { form: CallForm::Handshake(opening), ..self },
            None => self,
        }
    }

    /// What the same call does with another body.
    pub(crate) fn understood_with(&self, api: Api<'_>, body: &[u8]) -> Result<Operation, UnderstandError> {
        if let CallForm::Message(opened, form) = &self.form {
            return message(api.kind, &opened.operation, *form, body);
        }
        let before = &self.operation;
        let mut operation =
            understand(api, &before.method, &before.path, &before.query, &self.headers, Some(body))?;
        operation.body_bytes = Some(body.len() as u64);
        Ok(operation)
    }
}
