//! Who may decide over an approval.
//!
//! Promise: a person decides, in person, over what somebody else asked for, and only where the rule names them or a
//! group of theirs, from the beginning or since it escalated. Everything that is not plainly so is refused — *fails closed*.

use keyward_core::principal::PrincipalRef;
use keyward_core::{People, Principal, PrincipalKind, Timestamp};

use super::Approval;

/// Why somebody may not decide over an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WhyNot {
    /// They asked for it, or somebody asked on their behalf.
    #[error("nobody approves their own request, whatever their role")]
    SelfApproval,
    /// A service or an agent.
    #[error("only people approve; this is a service or an agent")]
    NotAPerson,
    /// A token used by one for another.
    #[error("an approval is given in person, not on behalf of somebody")]
    OnBehalf,
    /// The rule names neither them nor a group of theirs.
    #[error("the rule does not name you, or a group of yours, as approver")]
    NotAnApprover,
    /// The rule names them, or a group of theirs, once it escalated.
    #[error("the rule names you, or a group of yours, as approver from {0} on")]
    NotYet(Timestamp),
}

/// Whether `who` may approve or deny at `now`. Pure; the vote itself asks it again inside its transaction.
///
/// Accounts of one person are one. A requester's own denial is refused too: they cancel instead.
pub fn may_decide(
    approval: &Approval,
    who: &Principal,
    people: &People,
    now: Timestamp,
) -> Result<(), WhyNot> {
    let asked = |person: &PrincipalRef| {
        let requesters =
            std::iter::once(approval.principal.reference()).chain(approval.principal.acting_for.clone());
        requesters.into_iter().any(|requester| people.same(person, &requester))
    };
    if asked(&who.reference()) || who.acting_for.iter().any(asked) {
        return Err(WhyNot::SelfApproval);
    }
    if who.kind != PrincipalKind::User {
        return Err(WhyNot::NotAPerson);
    }
    if !who.acting_for.is_empty() {
        return Err(WhyNot::OnBehalf);
    }
    // The rule names a person as ISSUER#SUBJECT. An issuer holds no `#` (OpenID Connect Core, section 2: no fragment);
    // one that does could make two people read the same.
    if who.issuer.contains('#') {
        return Err(WhyNot::NotAnApprover);
    }
    match approval.approval.named_after(who) {
        None => Err(WhyNot::NotAnApprover),
        Some(after) if after > now.since(approval.created_at) => {
            Err(WhyNot::NotYet(approval.created_at.plus(after)))
        }
        Some(_) => Ok(()),
    }
}
