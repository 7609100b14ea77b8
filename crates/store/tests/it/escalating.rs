//! Who may decide as well once an approval waited long enough, and that people are told so once.

use std::time::Duration;

use keyward_core::{Approvers, Escalation, NotificationId, People};
use keyward_store::{
    ApprovalState, Db, NewApproval, Notification, VoteDecision, VoteError, WhyNot, may_decide,
};

use crate::fixture::{TTL, asked_by, at, db, owner, person, vote};

const APPROVE: VoteDecision = VoteDecision::Approve;

fn escalating(after: u64, min: u32) -> NewApproval {
    let mut new = asked_by(&person("alice", &["eng", "leads"]), &after.to_be_bytes());
    new.approval.min = min;
    let escalate = Escalation { after: Duration::from_secs(after), to: vec!["group:leads".to_owned()] };
    new.approval.approvers.escalate = Some(escalate);
    new
}

fn lead(subject: &str) -> keyward_core::Principal {
    person(subject, &["leads"])
}

fn told(number: u128) -> Notification {
    Notification {
        id: NotificationId::new(number),
        target: "hook".to_owned(),
        notice: "{}".to_owned(),
        created_at: at(0),
        attempts: 0,
        next_at: Some(at(0)),
        error: String::new(),
    }
}

#[tokio::test]
async fn those_who_are_added_decide_from_then_on_and_nobody_over_their_own() {
    let (dir, db) = db().await;
    let new = escalating(60, 2);
    db.approval_create_or_attach(&new, at(0)).await.unwrap();
    let early = db.approval_vote(new.id, &lead("lea"), &vote(APPROVE, ""), at(59)).await;
    assert!(matches!(early, Err(VoteError::Refused(WhyNot::NotYet(from))) if from == at(60)), "{early:?}");
    // Nothing has to happen for it, and a restart changes nothing of it.
    db.close().await;
    let db = Db::open(dir.path().join("keyward.db")).await.unwrap();
    let own = db.approval_vote(new.id, &lead("alice"), &vote(APPROVE, ""), at(60)).await;
    assert!(matches!(own, Err(VoteError::Refused(WhyNot::SelfApproval))), "{own:?}");
    let one = db.approval_vote(new.id, &lead("lea"), &vote(APPROVE, ""), at(60)).await.unwrap();
    assert_eq!(one.approval.state, ApprovalState::Pending, "as many people as before");
    let twice = db.approval_vote(new.id, &lead("lea"), &vote(APPROVE, ""), at(61)).await;
    assert!(matches!(twice, Err(VoteError::AlreadyVoted)), "{twice:?}");
    let both = db.approval_vote(new.id, &owner("olivia"), &vote(APPROVE, ""), at(62)).await.unwrap();
    assert_eq!(both.approval.state, ApprovalState::Approved, "those before may still");
}

#[tokio::test]
async fn a_clock_that_goes_back_takes_the_right_away_again() {
    let (_dir, db) = db().await;
    let new = escalating(60, 1);
    let asked = db.approval_create_or_attach(&new, at(0)).await.unwrap().approval;
    let may = |now| may_decide(&asked, &lead("lea"), &People::default(), now);
    assert_eq!(
        (may(at(60)), may(at(10)), may(at(-500))),
        (Ok(()), Err(WhyNot::NotYet(at(60))), Err(WhyNot::NotYet(at(60))))
    );
}

#[tokio::test]
async fn an_escalation_is_noted_once_together_with_what_is_to_be_told() {
    let (dir, db) = db().await;
    let new = escalating(60, 2);
    db.approval_create_or_attach(&new, at(0)).await.unwrap();
    assert_eq!(db.approval_escalations_due(at(59), 10).await.unwrap(), []);
    let due = db.approval_escalations_due(at(60), 10).await.unwrap();
    assert_eq!(due.iter().map(|it| it.id).collect::<Vec<_>>(), [new.id]);
    // Somebody votes in between: what was read is not what is there, so nothing is noted, and it is read again.
    db.approval_vote(new.id, &owner("olivia"), &vote(APPROVE, ""), at(60)).await.unwrap();
    assert_eq!(db.approval_escalate(&due[0], &[told(1)], at(60)).await.unwrap(), None);
    assert_eq!(db.notification_due(at(60), 10).await.unwrap(), []);
    let due = db.approval_escalations_due(at(60), 10).await.unwrap();
    let event = db.approval_escalate(&due[0], &[told(1)], at(60)).await.unwrap().expect("an event");
    assert_eq!(
        (event.to, &*event.reason, event.by),
        (ApprovalState::Pending, "escalated to group:leads", None)
    );
    db.close().await;
    let db = Db::open(dir.path().join("keyward.db")).await.unwrap();
    assert_eq!(db.notification_due(at(60), 10).await.unwrap().len(), 1);
    assert_eq!(db.approval_escalations_due(at(600), 10).await.unwrap(), []);
    assert_eq!(db.approval_escalate(&due[0], &[told(2)], at(61)).await.unwrap(), None);
    // The second list comes later, and what is over does not escalate.
    let mut two = escalating(10, 1);
    let later = Escalation { after: Duration::from_secs(20), to: vec!["group:leads".to_owned()] };
    two.approval.and = vec![Approvers { names: vec!["group:other".to_owned()], escalate: Some(later) }];
    db.approval_create_or_attach(&two, at(0)).await.unwrap();
    let due = db.approval_escalations_due(at(15), 10).await.unwrap();
    assert!(db.approval_escalate(&due[0], &[], at(15)).await.unwrap().is_some());
    assert_eq!(db.approval_escalations_due(at(19), 10).await.unwrap(), []);
    assert_eq!(db.approval_escalations_due(at(20), 10).await.unwrap().len(), 1);
    assert_eq!(db.approval_escalations_due(at(0).plus(TTL), 10).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_shown_are_those_that_came_and_while_it_waits_those_that_will() {
    let (_dir, db) = db().await;
    let new = escalating(60, 1);
    let asked = db.approval_create_or_attach(&new, at(0)).await.unwrap().approval;
    let shown = |approval: &keyward_store::Approval, now| {
        approval.escalations(at(now)).into_iter().map(|it| (it.at, it.came)).collect::<Vec<_>>()
    };
    assert_eq!(shown(&asked, 59), [(at(60), false)]);
    assert_eq!(shown(&asked, 60), [(at(60), true)]);
    // Decided before: it never escalated, however late one looks.
    let denied = vote(VoteDecision::Deny, "no");
    let over = db.approval_vote(new.id, &owner("olivia"), &denied, at(30)).await.unwrap().approval;
    assert_eq!(shown(&over, 900), []);
}
