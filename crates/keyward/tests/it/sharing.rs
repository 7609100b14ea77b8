//! Two processes over one data directory: one of them serves, the other is refused (catalogue 113).

use crate::holding::Scene;
use crate::kit::{Person, call, request};

/// Approving on one node what another holds, a partition between them, clocks that differ: there is one node for a data directory,
/// so none of it can come up.
#[test]
fn catalogue_113_a_second_process_is_refused_and_the_call_runs_once() {
    let mut scene = Scene::new("10m", "50s");
    let held = scene.waiting(scene.export());
    let id = scene.asked();
    for _ in 0..2 {
        let (code, said) = scene.world.fails_to_start();
        assert_eq!(code, 1, "{said}");
        assert!(said.starts_with("error: ") && !said.contains("panicked"), "{said}");
        assert!(said.contains("data") && said.contains("in use by another process"), "{said}");
    }
    // The first one goes on as if nothing had been.
    assert_eq!(scene.state(&id), "pending");
    assert!(scene.upstream.saw_nothing());
    scene.approve(&id);
    let answer = held.join().unwrap().unwrap();
    assert_eq!((answer.status, &*answer.text()), (200, "the weights"), "{answer:?}");
    assert_eq!((scene.state(&id).as_str(), scene.upstream.seen().len()), ("consumed", 1));

    // Killed, it leaves the directory to another process, with what was pending in it.
    let other = "/models/v1/models/n/weights";
    let poll = [("Prefer", "respond-async")];
    let asked = call(scene.gateway.data, "GET", other, &scene.world.alice(), &poll, b"");
    assert_eq!(asked.status, 202, "{asked:?}");
    let pending = scene.asked();
    assert_eq!(scene.world.fails_to_start().0, 1);
    scene.gateway.restart(&scene.world);
    assert_eq!(scene.pending(), [&*pending]);
    assert_eq!(scene.upstream.seen().len(), 1);
    assert_eq!(scene.decide(Person::Olivia, &pending, "approve", "").status, 200);
    let again = request("GET", other, &scene.world.alice(), &[], b"");
    let answer = scene.waiting(again).join().unwrap().unwrap();
    assert_eq!((answer.status, &*answer.text()), (200, "the weights"), "{answer:?}");
    assert_eq!((scene.state(&pending).as_str(), scene.upstream.seen().len()), ("consumed", 2));
    assert_eq!(scene.executed().len(), 2);
    drop(scene.gateway);
    scene.world.verify();
}
