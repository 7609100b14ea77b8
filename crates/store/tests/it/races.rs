//! Catalogue 100, 101, 105: whoever races, one state comes of it, and it is the one that the winners were told.

use keyward_core::ApprovalId;
use keyward_store::{
    ApprovalFilter, ApprovalState, CancelError, Change, Consumption, Db, StateFilter, VoteDecision, VoteError,
};
use tokio::task::JoinSet;

use crate::fixture::{TTL, asked_by, at, db, owner, person, vote};

/// Lets all of them begin at the same moment, on several threads.
async fn all_at_once<T: Send + 'static>(
    racers: Vec<std::pin::Pin<Box<dyn Future<Output = T> + Send>>>,
) -> Vec<T> {
    let gate = std::sync::Arc::new(tokio::sync::Barrier::new(racers.len()));
    let mut running = JoinSet::new();
    for racer in racers {
        let gate = std::sync::Arc::clone(&gate);
        running.spawn(async move {
            gate.wait().await;
            racer.await
        });
    }
    running.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_a_hundred_consumers_wins() {
    let (_dir, db) = db().await;
    let new = asked_by(&person("alice", &[]), b"once");
    db.approval_create_or_attach(&new, at(0)).await.unwrap();
    db.approval_vote(new.id, &owner("olivia"), &vote(VoteDecision::Approve, ""), at(1)).await.unwrap();
    let racers = (0..100)
        .map(|_| {
            let (db, new) = (db.clone(), new.clone());
            Box::pin(async move { db.approval_consume(new.id, &new.binding, at(2)).await.unwrap() }) as _
        })
        .collect();
    let answers = all_at_once(racers).await;
    let won = answers.iter().filter(|answer| matches!(answer, Consumption::Won(_))).count();
    let lost = answers
        .iter()
        .filter(|answer| matches!(answer, Consumption::NotApproved(Some(ApprovalState::Consumed))))
        .count();
    assert_eq!((won, lost), (1, 99));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_a_hundred_equal_requests_makes_the_approval() {
    let (_dir, db) = db().await;
    let racers = (0..100)
        .map(|_| {
            let db = db.clone();
            let new = asked_by(&person("alice", &[]), b"same");
            Box::pin(async move {
                let answer = db.approval_create_or_attach(&new, at(0)).await.unwrap();
                (answer.created, answer.approval.id, answer.events.len())
            }) as _
        })
        .collect();
    let answers: Vec<(bool, ApprovalId, usize)> = all_at_once(racers).await;
    assert_eq!(answers.iter().filter(|(created, ..)| *created).count(), 1);
    assert_eq!(answers.iter().map(|(.., events)| events).sum::<usize>(), 1);
    assert!(answers.iter().all(|(_, id, _)| *id == answers[0].1));
    let live = ApprovalFilter { state: StateFilter::Live, ..ApprovalFilter::default() };
    assert_eq!(db.approval_list(&live).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn more_votes_than_needed_approve_once() {
    let (_dir, db) = db().await;
    let mut new = asked_by(&person("alice", &[]), b"quorum");
    new.approval.min = 3;
    db.approval_create_or_attach(&new, at(0)).await.unwrap();
    let racers = (0..20)
        .map(|n| {
            let (db, id) = (db.clone(), new.id);
            // Ten people, each twice.
            let by = owner(&format!("owner-{}", n % 10));
            Box::pin(async move { db.approval_vote(id, &by, &vote(VoteDecision::Approve, ""), at(1)).await })
                as _
        })
        .collect();
    let answers: Vec<Result<Change, VoteError>> = all_at_once(racers).await;
    let counted: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
    assert_eq!(counted.len(), 3);
    assert_eq!(counted.iter().filter(|c| c.approval.state == ApprovalState::Approved).count(), 1);
    assert!(answers.iter().all(|answer| matches!(
        answer,
        Ok(_) | Err(VoteError::AlreadyVoted | VoteError::NotPending(ApprovalState::Approved))
    )));
    let standing = db.approval_get(new.id).await.unwrap().unwrap();
    let people: std::collections::HashSet<_> = standing.votes.iter().map(|vote| vote.by.clone()).collect();
    assert_eq!((standing.votes.len(), people.len()), (3, 3));
}

/// What one racer was told: the state it reached, or none where it lost.
type Told = Option<ApprovalState>;

fn racers(
    db: &Db,
    new: &keyward_store::NewApproval,
) -> Vec<std::pin::Pin<Box<dyn Future<Output = Told> + Send>>> {
    let end = at(0).plus(TTL);
    let before_end = at(2);
    let vote = |by: &'static str, decision| {
        let (db, id) = (db.clone(), new.id);
        Box::pin(async move {
            match db.approval_vote(id, &owner(by), &vote(decision, ""), before_end).await {
                Ok(change) => Some(change.approval.state),
                Err(VoteError::NotPending(state)) => {
                    assert_ne!(state, ApprovalState::Pending);
                    None
                }
                Err(other) => panic!("{other:?}"),
            }
        }) as std::pin::Pin<Box<dyn Future<Output = Told> + Send>>
    };
    let cancel = {
        let (db, id) = (db.clone(), new.id);
        Box::pin(async move {
            match db.approval_cancel(id, &person("alice", &[]), "", before_end).await {
                Ok(change) => Some(change.approval.state),
                Err(CancelError::NotLive(_)) => None,
                Err(other) => panic!("{other:?}"),
            }
        })
    };
    let expire = {
        let (db, id) = (db.clone(), new.id);
        Box::pin(async move {
            let events = db.approval_expire(end).await.unwrap();
            events.iter().find(|event| event.approval == id).map(|event| event.to)
        })
    };
    let consume = {
        let (db, new) = (db.clone(), new.clone());
        Box::pin(async move {
            match db.approval_consume(new.id, &new.binding, before_end).await.unwrap() {
                Consumption::Won(change) => Some(change.approval.state),
                Consumption::NotApproved(Some(_)) => None,
                other => panic!("{other:?}"),
            }
        })
    };
    vec![vote("olivia", VoteDecision::Approve), vote("oscar", VoteDecision::Deny), cancel, expire, consume]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn catalogue_101_a_thousand_rounds_end_in_one_state_each() {
    use ApprovalState::{Approved, Cancelled, Consumed, Denied, Expired};
    let (_dir, db) = db().await;
    let mut seen = std::collections::BTreeMap::new();
    for round in 0..1_000_u32 {
        let new = asked_by(&person("alice", &[]), &round.to_be_bytes());
        db.approval_create_or_attach(&new, at(0)).await.unwrap();
        let mut entrants = racers(&db, &new);
        let by = usize::try_from(round).unwrap() % entrants.len();
        entrants.rotate_left(by);
        let told: Vec<ApprovalState> = all_at_once(entrants).await.into_iter().flatten().collect();
        let standing = db.approval_get(new.id).await.unwrap().unwrap();

        let ends: Vec<_> = told.iter().copied().filter(|state| !state.is_live()).collect();
        let approved = told.contains(&Approved);
        match ends.as_slice() {
            [end] => assert_eq!(*end, standing.state, "round {round}: the winner was told the truth"),
            [] => assert!(approved && standing.state == Approved, "round {round}: {told:?}"),
            more => panic!("round {round}: two ends {more:?}"),
        }
        assert!(approved || standing.state != Consumed, "round {round}: consumed without approval");
        assert!(!(approved && standing.state == Denied), "round {round}: denied after approval");
        assert_eq!(standing.ended_at.is_some(), !standing.state.is_live());
        assert!(matches!(standing.state, Approved | Denied | Cancelled | Expired | Consumed));
        *seen.entry(standing.state.as_str()).or_insert(0) += 1;
        // The next round's expiry is about the next round alone.
        db.approval_expire(at(0).plus(TTL * 3)).await.unwrap();
    }
    assert!(seen.len() >= 3, "the races were no races: {seen:?}");
}
