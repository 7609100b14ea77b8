use std::time::Duration;

use keyward_core::{People, PrincipalKind};
use keyward_store::approval::{
    APPROVERS_MAX, LIST_MAX, MIN_APPROVALS_MAX, OPERATION_BYTES_MAX, REASON_BYTES_MAX, SUMMARY_BYTES_MAX,
    TTL_MAX,
};
use keyward_store::{
    ApprovalFilter, ApprovalState, CancelError, Consumption, CreateError, Db, NewApproval, StateFilter,
    VoteDecision, VoteError, WhyNot, may_decide,
};

use crate::fixture::{ISSUER, TTL, asked_by, at, db, owner, person, reference, vote};

const APPROVE: VoteDecision = VoteDecision::Approve;
const DENY: VoteDecision = VoteDecision::Deny;

async fn ask(db: &Db, body: &[u8]) -> NewApproval {
    let new = asked_by(&person("alice", &["eng"]), body);
    assert!(db.approval_create_or_attach(&new, at(0)).await.unwrap().created);
    new
}

async fn state(db: &Db, new: &NewApproval) -> ApprovalState {
    db.approval_get(new.id).await.unwrap().unwrap().state
}

#[tokio::test]
async fn what_was_asked_comes_back_whole_and_survives_a_restart() {
    let (dir, db) = db().await;
    let new = ask(&db, b"body").await;
    db.approval_vote(new.id, &owner("olivia"), &vote(APPROVE, "fine by me"), at(5)).await.unwrap();
    let before = db.approval_get(new.id).await.unwrap().unwrap();
    db.close().await;
    let db = Db::open(dir.path().join("keyward.db")).await.unwrap();
    let after = db.approval_get(new.id).await.unwrap().unwrap();
    assert_eq!(after, before);
    assert_eq!(after.binding, new.binding);
    assert_eq!(after.principal, new.principal);
    assert_eq!(after.operation, new.operation);
    assert_eq!(after.approval, new.approval);
    assert_eq!(after.summary, new.summary);
    assert_eq!(
        (after.connection, after.rule, after.reason),
        (new.connection.clone(), new.rule.clone(), new.reason.clone())
    );
    assert_eq!(after.created_at, at(0));
    // Approved five seconds in, it may be used for its whole time to live from then on.
    assert_eq!(after.expires_at, at(5).plus(TTL));
    let [vote] = after.votes.as_slice() else { panic!("{:?}", after.votes) };
    assert_eq!(
        (&vote.by, vote.name.as_deref(), vote.reason.as_str()),
        (&reference("olivia"), Some("OLIVIA"), "fine by me")
    );
    assert!(matches!(db.approval_consume(new.id, &new.binding, at(6)).await.unwrap(), Consumption::Won(_)));
}

#[tokio::test]
async fn a_retry_attaches_while_it_is_live_and_asks_anew_afterwards() {
    let (_dir, db) = db().await;
    let first = ask(&db, b"r").await;
    let retry = asked_by(&first.principal, b"r");
    for live in [ApprovalState::Pending, ApprovalState::Approved] {
        assert_eq!(state(&db, &first).await, live);
        let again = db.approval_create_or_attach(&retry, at(1)).await.unwrap();
        assert!(!again.created && again.events.is_empty());
        assert_eq!(again.approval.id, first.id);
        if live == ApprovalState::Pending {
            db.approval_vote(first.id, &owner("olivia"), &vote(APPROVE, ""), at(2)).await.unwrap();
        }
    }
    assert!(matches!(
        db.approval_consume(first.id, &first.binding, at(3)).await.unwrap(),
        Consumption::Won(_)
    ));
    let again = db.approval_create_or_attach(&retry, at(4)).await.unwrap();
    assert!(again.created);
    assert_eq!((again.approval.id, again.approval.votes.len()), (retry.id, 0));
}

// Catalogue 97: another request finds another approval, and the one it names stays untouched.
#[tokio::test]
async fn an_approval_is_for_one_request_only() {
    let (_dir, db) = db().await;
    let new = ask(&db, b"reviewed").await;
    db.approval_vote(new.id, &owner("olivia"), &vote(APPROVE, ""), at(1)).await.unwrap();
    let other = asked_by(&new.principal, b"reviewed!");
    assert_eq!(db.approval_consume(new.id, &other.binding, at(2)).await.unwrap(), Consumption::OtherRequest);
    assert_eq!(state(&db, &new).await, ApprovalState::Approved);
    assert!(db.approval_create_or_attach(&other, at(2)).await.unwrap().created);
}

// Catalogue 99.
#[tokio::test]
async fn another_policy_or_credential_voids_it() {
    let (_dir, db) = db().await;
    for part in ["policy", "credential"] {
        let new = ask(&db, part.as_bytes()).await;
        db.approval_vote(new.id, &owner("olivia"), &vote(APPROVE, ""), at(1)).await.unwrap();
        let mut now = new.binding.clone();
        match part {
            "policy" => now.policy_version = "policy-2".into(),
            _ => now.credential_version = "v2".into(),
        }
        let Consumption::Void(change) = db.approval_consume(new.id, &now, at(2)).await.unwrap() else {
            panic!("{part}: consumed")
        };
        assert_eq!(change.approval.state, ApprovalState::Stale);
        assert_eq!(
            (change.events[0].from, change.events[0].to),
            (Some(ApprovalState::Approved), ApprovalState::Stale)
        );
        let late = db.approval_consume(new.id, &new.binding, at(3)).await.unwrap();
        assert_eq!(late, Consumption::NotApproved(Some(ApprovalState::Stale)), "{part}: back again");
    }
    // A retry under the new policy asks anew, and the old request ends.
    let new = ask(&db, b"retry").await;
    let mut retry = asked_by(&new.principal, b"retry");
    retry.binding.policy_version = "policy-2".into();
    let answer = db.approval_create_or_attach(&retry, at(4)).await.unwrap();
    assert!(answer.created);
    let moves: Vec<_> = answer.events.iter().map(|event| (event.approval, event.from, event.to)).collect();
    assert_eq!(
        moves,
        [
            (new.id, Some(ApprovalState::Pending), ApprovalState::Stale),
            (retry.id, None, ApprovalState::Pending)
        ]
    );
}

#[tokio::test]
async fn marking_stale_ends_only_what_lives() {
    let (_dir, db) = db().await;
    let new = ask(&db, b"s").await;
    let change = db.approval_mark_stale(new.id, "connection removed", at(1)).await.unwrap().unwrap();
    assert_eq!(
        (change.approval.state, change.events[0].reason.as_str()),
        (ApprovalState::Stale, "connection removed")
    );
    assert_eq!(db.approval_mark_stale(new.id, "", at(2)).await.unwrap(), None);
    assert_eq!(db.approval_mark_stale(asked_by(&owner("x"), b"").id, "", at(2)).await.unwrap(), None);
}

#[tokio::test]
async fn nobody_decides_over_their_own() {
    let (_dir, db) = db().await;
    // An agent of bob's, run for alice; alice and bob are in every group there is.
    let mut agent = person("agent-7", &["model-owners"]);
    agent.kind = PrincipalKind::Agent;
    agent.acting_for = vec![reference("alice"), reference("bob")];
    let mut new = asked_by(&agent, b"x");
    new.approval.approvers =
        vec!["group:model-owners".into(), format!("user:{ISSUER}#alice"), format!("user:{ISSUER}#agent-7")]
            .into();
    db.approval_create_or_attach(&new, at(0)).await.unwrap();
    let mut requester_as_user = agent.clone();
    requester_as_user.kind = PrincipalKind::User;
    requester_as_user.acting_for.clear();
    let mut for_alice = owner("carol");
    for_alice.acting_for = vec![reference("alice")];
    for who in [&agent, &requester_as_user, &owner("alice"), &owner("bob"), &for_alice] {
        for decision in [APPROVE, DENY] {
            let answer = db.approval_vote(new.id, who, &vote(decision, ""), at(1)).await;
            assert!(matches!(answer, Err(VoteError::Refused(WhyNot::SelfApproval))), "{who}: {answer:?}");
        }
    }
    // The same subject at another issuer is another person.
    let mut other_alice = owner("alice");
    other_alice.issuer = "https://elsewhere.test".into();
    assert!(db.approval_vote(new.id, &other_alice, &vote(APPROVE, ""), at(1)).await.is_ok());
}

#[tokio::test]
async fn only_people_named_by_the_rule_decide() {
    let (_dir, db) = db().await;
    let mut new = asked_by(&person("alice", &[]), b"x");
    new.approval.approvers = vec!["group:model-owners".into(), format!("user:{ISSUER}#dave")].into();
    let approval = db.approval_create_or_attach(&new, at(0)).await.unwrap().approval;
    let mut service = owner("ci");
    service.kind = PrincipalKind::Service;
    let mut agent = owner("agent");
    agent.kind = PrincipalKind::Agent;
    let mut delegated = owner("erin");
    delegated.acting_for = vec![reference("frank")];
    let mut wrong_issuer = person("dave", &[]);
    wrong_issuer.issuer = "https://elsewhere.test".into();
    for (who, expected) in [
        (owner("olivia"), Ok(())),
        (person("dave", &[]), Ok(())),
        (service, Err(WhyNot::NotAPerson)),
        (agent, Err(WhyNot::NotAPerson)),
        (delegated, Err(WhyNot::OnBehalf)),
        (person("olivia", &["eng", "Model-Owners", "model-owners "]), Err(WhyNot::NotAnApprover)),
        (person("Dave", &[]), Err(WhyNot::NotAnApprover)),
        (wrong_issuer, Err(WhyNot::NotAnApprover)),
    ] {
        assert_eq!(may_decide(&approval, &who, &People::default(), at(1)), expected, "{who}");
        let voted = db.approval_vote(new.id, &who, &vote(APPROVE, ""), at(1)).await;
        match expected {
            Ok(()) => assert!(!matches!(voted, Err(VoteError::Refused(_))), "{who}: {voted:?}"),
            Err(why) => assert!(matches!(voted, Err(VoteError::Refused(w)) if w == why), "{who}: {voted:?}"),
        }
    }
}

#[tokio::test]
async fn catalogue_104_two_accounts_of_one_person_are_one() {
    let (_dir, db) = db().await;
    let elsewhere = |name: &str| {
        let mut account = owner(name);
        account.issuer = "https://elsewhere.test".into();
        account
    };
    let accounts = |name: &str| vec![owner(name).reference(), elsewhere(name).reference()];
    db.know(People::new([accounts("olivia"), accounts("alice")]));
    let mut new = asked_by(&person("alice", &[]), b"x");
    new.approval.min = 2;
    db.approval_create_or_attach(&new, at(0)).await.unwrap();
    let own = db.approval_vote(new.id, &elsewhere("alice"), &vote(APPROVE, ""), at(1)).await;
    assert!(matches!(own, Err(VoteError::Refused(WhyNot::SelfApproval))), "{own:?}");
    db.approval_vote(new.id, &owner("olivia"), &vote(APPROVE, ""), at(1)).await.unwrap();
    let twice = db.approval_vote(new.id, &elsewhere("olivia"), &vote(APPROVE, ""), at(2)).await;
    assert!(matches!(twice, Err(VoteError::AlreadyVoted)), "{twice:?}");
    let enough = db.approval_vote(new.id, &elsewhere("otto"), &vote(APPROVE, ""), at(3)).await.unwrap();
    assert_eq!(enough.approval.state, ApprovalState::Approved);
}

#[tokio::test]
async fn an_issuer_and_a_subject_cannot_be_cut_elsewhere() {
    let (_dir, db) = db().await;
    let mut new = asked_by(&person("alice", &[]), b"x");
    new.approval.approvers = vec![format!("user:{ISSUER}#a#b")].into();
    let approval = db.approval_create_or_attach(&new, at(0)).await.unwrap().approval;
    assert_eq!(may_decide(&approval, &person("a#b", &[]), &People::default(), at(1)), Ok(()));
    let mut cut_elsewhere = person("b", &[]);
    cut_elsewhere.issuer = format!("{ISSUER}#a").into();
    assert_eq!(may_decide(&approval, &cut_elsewhere, &People::default(), at(1)), Err(WhyNot::NotAnApprover));
}

#[tokio::test]
async fn several_rules_must_all_name_the_approver() {
    let (_dir, db) = db().await;
    let mut new = asked_by(&person("alice", &[]), b"x");
    new.approval.and = vec![vec!["group:security".to_owned()].into()];
    db.approval_create_or_attach(&new, at(0)).await.unwrap();
    let one = db.approval_vote(new.id, &owner("olivia"), &vote(APPROVE, ""), at(1)).await;
    assert!(matches!(one, Err(VoteError::Refused(WhyNot::NotAnApprover))), "{one:?}");
    let both = person("sam", &["model-owners", "security"]);
    assert!(db.approval_vote(new.id, &both, &vote(APPROVE, ""), at(1)).await.is_ok());
}

// Catalogue 104, 105.
#[tokio::test]
async fn distinct_people_are_counted() {
    let (_dir, db) = db().await;
    let mut new = asked_by(&person("alice", &[]), b"q");
    new.approval.min = 2;
    db.approval_create_or_attach(&new, at(0)).await.unwrap();
    let first = db.approval_vote(new.id, &owner("olivia"), &vote(APPROVE, ""), at(1)).await.unwrap();
    assert_eq!(first.approval.state, ApprovalState::Pending);
    assert_eq!(
        (first.events[0].from, first.events[0].to),
        (Some(ApprovalState::Pending), ApprovalState::Pending)
    );
    // Again, with another name and more groups: the same person.
    let mut again = person("olivia", &["model-owners", "admins"]);
    again.name = Some("Somebody Else".into());
    let second = db.approval_vote(new.id, &again, &vote(APPROVE, ""), at(2)).await;
    assert!(matches!(second, Err(VoteError::AlreadyVoted)), "{second:?}");
    let early = db.approval_consume(new.id, &new.binding, at(2)).await.unwrap();
    assert_eq!(early, Consumption::NotApproved(Some(ApprovalState::Pending)));
    let other = db.approval_vote(new.id, &owner("oscar"), &vote(APPROVE, ""), at(3)).await.unwrap();
    assert_eq!((other.approval.state, other.approval.votes.len()), (ApprovalState::Approved, 2));
    let late = db.approval_vote(new.id, &owner("otto"), &vote(DENY, ""), at(4)).await;
    assert!(matches!(late, Err(VoteError::NotPending(ApprovalState::Approved))), "{late:?}");
}

#[tokio::test]
async fn one_denial_ends_it_also_by_who_approved_before() {
    let (_dir, db) = db().await;
    let mut new = asked_by(&person("alice", &[]), b"d");
    new.approval.min = 3;
    db.approval_create_or_attach(&new, at(0)).await.unwrap();
    db.approval_vote(new.id, &owner("olivia"), &vote(APPROVE, ""), at(1)).await.unwrap();
    db.approval_vote(new.id, &owner("oscar"), &vote(APPROVE, ""), at(2)).await.unwrap();
    let change =
        db.approval_vote(new.id, &owner("olivia"), &vote(DENY, "on second thought"), at(3)).await.unwrap();
    assert_eq!((change.approval.state, change.approval.approvals()), (ApprovalState::Denied, 1));
    assert_eq!(change.approval.ended_at, Some(at(3)));
    assert_eq!(
        (change.events[0].by.as_ref(), change.events[0].reason.as_str()),
        (Some(&reference("olivia")), "on second thought")
    );
    let late = db.approval_vote(new.id, &owner("otto"), &vote(APPROVE, ""), at(4)).await;
    assert!(matches!(late, Err(VoteError::NotPending(ApprovalState::Denied))), "{late:?}");
}

// Catalogue 102, the part that a given `now` decides.
#[tokio::test]
async fn time_runs_out_to_the_microsecond() {
    let (_dir, db) = db().await;
    let end = at(0).plus(TTL);
    let last = keyward_core::Timestamp::from_micros(end.micros() - 1);
    let (used, late, swept) = (ask(&db, b"1").await, ask(&db, b"2").await, ask(&db, b"3").await);
    let approved =
        db.approval_vote(used.id, &owner("olivia"), &vote(APPROVE, ""), last).await.unwrap().approval;
    assert_eq!(approved.expires_at, last.plus(TTL));
    for refused in [
        db.approval_vote(late.id, &owner("olivia"), &vote(APPROVE, ""), end).await,
        db.approval_vote(late.id, &owner("olivia"), &vote(DENY, ""), end).await,
    ] {
        assert!(matches!(refused, Err(VoteError::NotPending(ApprovalState::Expired))), "{refused:?}");
    }
    let cancelled = db.approval_cancel(late.id, &late.principal, "", end).await;
    assert!(matches!(cancelled, Err(CancelError::NotLive(ApprovalState::Expired))), "{cancelled:?}");
    assert_eq!(
        db.approval_consume(used.id, &used.binding, approved.expires_at).await.unwrap(),
        Consumption::NotApproved(Some(ApprovalState::Expired))
    );
    assert!(db.approval_expire(last).await.unwrap().is_empty());
    let mut expired: Vec<_> =
        db.approval_expire(end).await.unwrap().iter().map(|e| (e.approval, e.from)).collect();
    expired.sort_by_key(|(id, _)| *id);
    assert_eq!(expired.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [late.id, swept.id]);
    let events = db.approval_expire(approved.expires_at).await.unwrap();
    assert_eq!(
        (events.len(), events[0].from, events[0].to),
        (1, Some(ApprovalState::Approved), ApprovalState::Expired)
    );
    // A retry does not attach to what ran out, swept or not.
    let old = ask(&db, b"4").await;
    let answer = db.approval_create_or_attach(&asked_by(&old.principal, b"4"), end).await.unwrap();
    assert!(answer.created);
    assert_eq!((answer.events[0].approval, answer.events[0].to), (old.id, ApprovalState::Expired));
}

#[tokio::test]
async fn the_requester_withdraws_and_nobody_else() {
    let (_dir, db) = db().await;
    let mut agent = person("agent", &[]);
    agent.acting_for = vec![reference("alice")];
    let new = asked_by(&agent, b"c");
    db.approval_create_or_attach(&new, at(0)).await.unwrap();
    db.approval_vote(new.id, &owner("olivia"), &vote(APPROVE, ""), at(1)).await.unwrap();
    let other = db.approval_cancel(new.id, &owner("olivia"), "", at(2)).await;
    assert!(matches!(other, Err(CancelError::NotTheRequester)), "{other:?}");
    let change = db.approval_cancel(new.id, &person("alice", &[]), "not needed", at(2)).await.unwrap();
    assert_eq!(
        (change.approval.state, change.events[0].from),
        (ApprovalState::Cancelled, Some(ApprovalState::Approved))
    );
    let used = db.approval_consume(new.id, &new.binding, at(3)).await.unwrap();
    assert_eq!(used, Consumption::NotApproved(Some(ApprovalState::Cancelled)));
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let (_dir, db) = db().await;
    let absent = asked_by(&owner("x"), b"");
    assert!(db.approval_get(absent.id).await.unwrap().is_none());
    let voted = db.approval_vote(absent.id, &owner("olivia"), &vote(APPROVE, ""), at(0)).await;
    assert!(matches!(voted, Err(VoteError::NotFound)));
    let cancelled = db.approval_cancel(absent.id, &owner("x"), "", at(0)).await;
    assert!(matches!(cancelled, Err(CancelError::NotFound)));
    let used = db.approval_consume(absent.id, &absent.binding, at(0)).await.unwrap();
    assert_eq!(used, Consumption::NotApproved(None));
}

// Catalogue 115.
#[tokio::test]
async fn one_principal_holds_only_so_many() {
    let (_dir, db) = db().await;
    let ask = |n: u8| {
        let mut new = asked_by(&person("alice", &[]), &[n]);
        new.live_max = 3;
        new
    };
    for n in 0..3 {
        db.approval_create_or_attach(&ask(n), at(0)).await.unwrap();
    }
    let more = db.approval_create_or_attach(&ask(3), at(1)).await;
    assert!(matches!(more, Err(CreateError::TooManyLive { limit: 3 })), "{more:?}");
    assert!(!db.approval_create_or_attach(&ask(2), at(1)).await.unwrap().created, "attaching is no new one");
    assert!(db.approval_create_or_attach(&asked_by(&person("bob", &[]), b"x"), at(1)).await.unwrap().created);
    // What ran out does not count, swept or not.
    assert!(db.approval_create_or_attach(&ask(3), at(0).plus(TTL)).await.unwrap().created);
}

#[tokio::test]
async fn limits_hold_at_the_limit() {
    let (_dir, db) = db().await;
    let mut n = 0_u32;
    let mut ask = |change: &dyn Fn(&mut NewApproval)| {
        n += 1;
        let mut new = asked_by(&person("alice", &[]), &n.to_be_bytes());
        change(&mut new);
        let db = db.clone();
        async move { db.approval_create_or_attach(&new, at(0)).await }
    };
    let groups = |count: usize| (0..count).map(|i| format!("group:g{i}")).collect::<Vec<_>>();
    let (empty_body, with_body) = {
        let mut new = asked_by(&person("alice", &[]), b"");
        new.summary.body = String::new();
        (
            serde_json::to_string(&new.summary).unwrap().len(),
            serde_json::to_string(&new.operation).unwrap().len(),
        )
    };
    let body = "a".repeat(SUMMARY_BYTES_MAX - empty_body);
    let query = "a".repeat(OPERATION_BYTES_MAX - with_body - ",\"query\":\"\"".len());
    ask(&|new| new.approval.approvers = groups(APPROVERS_MAX).into()).await.unwrap();
    ask(&|new| new.approval.min = MIN_APPROVALS_MAX).await.unwrap();
    ask(&|new| new.approval.ttl = TTL_MAX).await.unwrap();
    ask(&|new| new.summary.body.clone_from(&body)).await.unwrap_or_else(|e| panic!("{e:?}"));
    ask(&|new| new.operation.query.clone_from(&query)).await.unwrap_or_else(|e| panic!("{e:?}"));
    for refused in [
        ask(&|new| new.approval.approvers = groups(APPROVERS_MAX + 1).into()).await,
        ask(&|new| new.approval.approvers.names.clear()).await,
        ask(&|new| new.approval.and = vec![Vec::new().into()]).await,
        ask(&|new| new.approval.min = 0).await,
        ask(&|new| new.approval.min = MIN_APPROVALS_MAX + 1).await,
        ask(&|new| new.approval.ttl = Duration::ZERO).await,
        ask(&|new| new.approval.ttl = TTL_MAX + Duration::from_micros(1)).await,
        ask(&|new| new.summary.body = format!("{body}aa")).await,
        ask(&|new| new.operation.query = format!("{query}a")).await,
    ] {
        assert!(matches!(refused, Err(CreateError::Invalid(_))), "{refused:?}");
    }
    let id = ask(&|_| ()).await.unwrap().approval.id;
    let long = "r".repeat(REASON_BYTES_MAX + 1);
    let voted = db.approval_vote(id, &owner("olivia"), &vote(DENY, &long), at(1)).await;
    assert!(matches!(voted, Err(VoteError::ReasonTooLong)), "{voted:?}");
    let cancelled = db.approval_cancel(id, &person("alice", &[]), &long, at(1)).await;
    assert!(matches!(cancelled, Err(CancelError::ReasonTooLong)), "{cancelled:?}");
    db.approval_vote(id, &owner("olivia"), &vote(DENY, &long[1..]), at(1)).await.unwrap();
}

#[tokio::test]
async fn listed_by_state_requester_and_page() {
    let (_dir, db) = db().await;
    let mut asked = Vec::new();
    for n in 0..6_u8 {
        let who = if n % 2 == 0 { person("alice", &[]) } else { person("bob", &[]) };
        let new = asked_by(&who, &[n]);
        db.approval_create_or_attach(&new, at(i64::from(n))).await.unwrap();
        asked.push(new.id);
    }
    db.approval_vote(asked[0], &owner("olivia"), &vote(APPROVE, ""), at(10)).await.unwrap();
    db.approval_vote(asked[1], &owner("olivia"), &vote(DENY, ""), at(10)).await.unwrap();
    let list = async |filter: ApprovalFilter| -> Vec<usize> {
        let found = db.approval_list(&filter).await.unwrap();
        found.iter().map(|a| asked.iter().position(|id| *id == a.id).unwrap()).collect()
    };
    let all = ApprovalFilter::default;
    assert_eq!(list(all()).await, [5, 4, 3, 2, 1, 0]);
    assert_eq!(list(ApprovalFilter { state: StateFilter::Live, ..all() }).await, [5, 4, 3, 2, 0]);
    assert_eq!(list(ApprovalFilter { state: StateFilter::Is(ApprovalState::Denied), ..all() }).await, [1]);
    assert_eq!(
        list(ApprovalFilter { state: StateFilter::Is(ApprovalState::Consumed), ..all() }).await,
        [] as [usize; 0]
    );
    assert_eq!(list(ApprovalFilter { requester: Some(reference("bob")), ..all() }).await, [5, 3, 1]);
    let bobs_live = ApprovalFilter { state: StateFilter::Live, requester: Some(reference("bob")), ..all() };
    assert_eq!(list(bobs_live).await, [5, 3]);
    assert_eq!(list(ApprovalFilter { limit: 2, ..all() }).await, [5, 4]);
    assert_eq!(list(ApprovalFilter { limit: 2, before: Some(asked[4]), ..all() }).await, [3, 2]);
    assert_eq!(list(ApprovalFilter { limit: 2, before: Some(asked[0]), ..all() }).await, [] as [usize; 0]);
}

#[tokio::test]
async fn a_list_is_bounded() {
    let (_dir, db) = db().await;
    for n in 0..=LIST_MAX {
        db.approval_create_or_attach(&asked_by(&person("alice", &[]), &n.to_be_bytes()), at(0))
            .await
            .unwrap();
    }
    for limit in [0, LIST_MAX, LIST_MAX + 1, u32::MAX] {
        let found = db.approval_list(&ApprovalFilter { limit, ..ApprovalFilter::default() }).await.unwrap();
        assert_eq!(found.len(), usize::try_from(LIST_MAX).unwrap(), "limit {limit}");
    }
}

#[tokio::test]
async fn the_last_used_of_the_like_is_similar() {
    let (_dir, db) = db().await;
    let used = async |path: &str, method: &str, who: &str| {
        let mut new = asked_by(&person(who, &["eng"]), path.as_bytes());
        (new.operation.path, new.operation.method) = (path.to_owned(), method.to_owned());
        db.approval_create_or_attach(&new, at(0)).await.unwrap();
        db.approval_vote(new.id, &owner("olivia"), &vote(APPROVE, ""), at(1)).await.unwrap();
        assert!(matches!(
            db.approval_consume(new.id, &new.binding, at(2)).await.unwrap(),
            Consumption::Won(_)
        ));
        new.id
    };
    let asked = async |path: &str| {
        let mut new = asked_by(&person("alice", &["eng"]), b"now");
        path.clone_into(&mut new.operation.path);
        let created = db.approval_create_or_attach(&new, at(3)).await.unwrap();
        let similar = db.approval_similar(&created.approval).await.unwrap();
        db.approval_cancel(new.id, &person("alice", &[]), "", at(4)).await.unwrap();
        similar.map(|it| it.id)
    };
    assert_eq!(asked("/a").await, None);
    used("/a", "DELETE", "alice").await;
    used("/a", "GET", "bob").await;
    assert_eq!(asked("/a").await, None, "another verb, another caller");
    let same = used("/a", "GET", "alice").await;
    let newer = used("/b", "GET", "alice").await;
    assert_eq!(
        (asked("/a").await, asked("/b").await, asked("/c").await),
        (Some(same), Some(newer), Some(newer))
    );
}
