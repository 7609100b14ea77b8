//! What a caller sends is looked into and masked, where rules ask for it.
//!
//! Promise: detectors run over the body, the target and the headers of a request before its verdict when a rule reads
//! `finding`; what masking changes is changed before anybody approves it, before its digest is taken and before a byte
//! leaves, and the request is understood anew, so that what was judged is what is sent. A body that cannot be looked into
//! (an encoding, a character set, more than is inspected) *fails closed*: a rule that reads `finding` counts as matching
//! where that is the safer side, and a request that a rule masks is refused.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, header};
use keyward_core::policy::RequestFindings;
use keyward_core::{Decision, Finding, Operation, Place};
use keyward_mask::walk::{BodyFormat, BodyMasker, Dialect, MaskError};
use keyward_mask::{Profile, mask_bytes};

use crate::call::{Call, CallBody, not_understood};
use crate::inject;
use crate::refusal::{Refusal, RefusalKind};
use crate::respond::mask_headers;
use crate::session::Session;

impl Session {
    /// Runs every detector over a request, where a rule reads what they find. None where it could not be looked into.
    pub(crate) async fn look_into(&self, call: Call) -> Result<(Call, Option<RequestFindings>), Refusal> {
        if !self.gateway.policy.reads_findings() {
            return Ok((call, Some(RequestFindings::default())));
        }
        let call = self.with_whole_body(call).await?;
        let found = self.detect(&call)?;
        Ok((call, found))
    }

    /// What every detector finds in a request. None where it cannot be looked into.
    pub(crate) fn detect(&self, call: &Call) -> Result<Option<RequestFindings>, Refusal> {
        let profiles = &self.target.profiles;
        let profile = profiles.everything()?;
        let Ok((_, mut found)) = masked_body(&profile, call) else { return Ok(None) };
        let operation = &call.operation;
        found.extend(mask_bytes(&profile, operation.path.as_bytes()).findings);
        found.extend(mask_bytes(&profile, operation.query.as_bytes()).findings);
        let Ok(in_headers) = mask_headers(&profile, &mut call.headers.clone()) else {
            return Ok(None);
        };
        found.extend(in_headers);
        let sorted = |mut names: Vec<Arc<str>>| {
            names.sort();
            names.dedup();
            names
        };
        let detectors = sorted(found.iter().map(|finding| Arc::clone(&finding.detector)).collect());
        let groups = sorted(detectors.iter().map(|detector| profiles.group_of(detector)).collect());
        Ok(Some(RequestFindings { detectors, groups, count: found.len() as u64 }))
    }

    /// Masks a request's body, where a rule asks for it.
    pub(crate) async fn mask_request(&self, call: Call, decision: &Decision) -> Result<Call, Refusal> {
        if !decision.mask.iter().any(|rule| rule.places.contains(&Place::Request)) {
            return Ok(call);
        }
        let mut call = self.with_whole_body(call).await?;
        let profiles = &self.target.profiles;
        let Some(profile) = profiles.at(Place::Request, &decision.mask, None, self.id.bits())? else {
            return Ok(call);
        };
        let (body, found) = masked_body(&profile, &call)?;
        if found.is_empty() {
            return Ok(call);
        }
        let api = self.target.settings.api();
        let before = &call.operation;
        let operation = call.understood_with(api, &body).map_err(not_understood)?;
        let facts = |operation: &Operation| {
            (operation.class, operation.touches_secret_file, operation.fetches_private)
        };
        let all = |of: &Operation| [of].into_iter().chain(&of.inner).map(facts).collect::<Vec<_>>();
        if all(&operation) != all(before) {
            return Err(Refusal::new(
                RefusalKind::BadRequest,
                "A rule masks this request, and would change what it does by that; send it without the secret.",
            ));
        }
        let operation = Arc::new(operation);
        call.shown = self.shown(&operation).await?;
        call.operation = operation;
        call.body = CallBody::Whole(body);
        call.masked = found;
        call.headers.remove(header::CONTENT_LENGTH); // the new one is set where it is sent
        inject::remove_digests(&mut call.headers);
        Ok(call)
    }
}

/// The whole body of a call, masked, and what was found in it.
fn masked_body(profile: &Arc<Profile>, call: &Call) -> Result<(Bytes, Vec<Finding>), Refusal> {
    let CallBody::Whole(bytes) = &call.body else { return Err(unreadable()) };
    if bytes.is_empty() {
        return Ok((Bytes::new(), Vec::new()));
    }
    if is_encoded(&call.headers) {
        return Err(unreadable());
    }
    mask_whole(profile, &call.headers, bytes).map_err(|error| unreadable().because(error))
}

/// Whether a body has an encoding, so that it cannot be looked into as it is.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    let coded = |value: &http::HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
    headers.get_all(header::CONTENT_ENCODING).iter().any(coded)
}

/// A whole body without an encoding, masked by what its type says it is, and what was found in it.
pub(crate) fn mask_whole(
    profile: &Arc<Profile>,
    headers: &HeaderMap,
    bytes: &Bytes,
) -> Result<(Bytes, Vec<Finding>), MaskError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut masker = BodyMasker::new(Arc::clone(profile), BodyFormat::of(content_type, Dialect::Generic));
    let mut out = Vec::with_capacity(bytes.len() + 64);
    masker.push(bytes, &mut out)?;
    masker.finish(&mut out)?;
    Ok((Bytes::from(out), masker.take_findings()))
}

fn unreadable() -> Refusal {
    Refusal::new(
        RefusalKind::UnsupportedBody,
        "A rule masks this request, and its body cannot be looked into; send it as UTF-8 without Content-Encoding.",
    )
}
