//! Who may, as tables.

use super::*;

fn caller(role: Role) -> Caller {
    Caller { person: "p".to_owned(), name: None, role, sign_in: None }
}

/// The letters of what is allowed: See, Watch, Act, Preview, Manage, Own.
fn allowed(role: Role, relation: Relation) -> String {
    let uses = [Use::See, Use::Watch, Use::Act, Use::Preview, Use::Manage, Use::Own];
    let letters = uses.iter().zip("SWAPMO".chars());
    letters.map(|(wanted, letter)| if may(&caller(role), &relation, *wanted) { letter } else { '-' }).collect()
}

#[test]
fn who_may_what() {
    use Role::{Instructor, Learner, Operator};
    let nobody = Relation::default();
    let owner = Relation { owner: true, ..nobody };
    let watch = Relation { guest: Some(May::Watch), ..nobody };
    let work = Relation { guest: Some(May::Work), ..nobody };
    let teaches = Relation { instructor: true, ..nobody };
    let joint = Relation { instructor: true, joint: true, ..nobody };
    for (role, relation, expected) in [
        (Learner, nobody, "------"),
        (Learner, owner, "SWAPMO"),
        (Learner, watch, "SW-P--"),
        (Learner, work, "SWAP--"),
        // Who is no instructor any more is nobody in what was their class.
        (Learner, joint, "------"),
        (Instructor, nobody, "------"),
        (Instructor, owner, "SWAPMO"),
        (Instructor, teaches, "SW-PM-"),
        (Instructor, joint, "SWAPM-"),
        (Instructor, work, "SWAP--"),
        (Operator, nobody, "S---M-"),
        (Operator, teaches, "SW-PM-"),
        (Operator, watch, "SW-PM-"),
        (Operator, owner, "SWAPMO"),
    ] {
        assert_eq!(allowed(role, relation), expected, "{role:?} {relation:?}");
    }
}

#[test]
fn how_routes_are_guarded() {
    for (method, route, expected) in [
        (Method::GET, "/lessons/x", Guard::Free),
        (Method::POST, "/api/v1/sessions", Guard::Free),
        (Method::GET, "/api/v1/operator/overview", Guard::From(Role::Operator)),
        (Method::DELETE, "/accounts/x", Guard::From(Role::Operator)),
        (Method::GET, "/deeds", Guard::From(Role::Operator)),
        (Method::GET, "/classes/x/progress.csv", Guard::From(Role::Instructor)),
        (Method::GET, "/api/v1/sessions/0123", Guard::Needs(Use::See)),
        (Method::DELETE, "/api/v1/sessions/0123", Guard::Needs(Use::Manage)),
        (Method::PATCH, "/api/v1/sessions/0123", Guard::Needs(Use::Manage)),
        (Method::POST, "/sessions/0123/reset", Guard::Needs(Use::Own)),
        (Method::GET, "/api/v1/sessions/0123/invites", Guard::Needs(Use::Own)),
        (Method::POST, "/api/v1/sessions/0123/guests", Guard::Token),
        (Method::GET, "/api/v1/sessions/0123/events", Guard::Needs(Use::Watch)),
        (Method::GET, "/api/v1/sessions/0123/terminals/main", Guard::Needs(Use::Watch)),
        (Method::PUT, "/api/v1/sessions/0123/files/a/b", Guard::Needs(Use::Act)),
        (Method::GET, "/api/v1/sessions/0123/something/new", Guard::Needs(Use::Watch)),
        (Method::POST, "/api/v1/sessions/0123/something/new", Guard::Needs(Use::Act)),
    ] {
        assert_eq!(guard_of(&method, route), expected, "{method} {route}");
    }
}

#[test]
fn what_a_pause_holds() {
    for (method, route, expected) in [
        (Method::POST, "/api/v1/sessions/0123/reset", true),
        (Method::POST, "/api/v1/sessions/0123/nodes", true),
        (Method::DELETE, "/api/v1/sessions/0123/nodes/worker-2", true),
        (Method::POST, "/sessions/0123/nodes/worker-1/stop", true),
        (Method::POST, "/sessions/0123/faults", true),
        (Method::POST, "/sessions/0123/faults/heal", true),
        // What is read, written down, answered or asked goes on.
        (Method::GET, "/api/v1/sessions/0123/nodes", false),
        (Method::GET, "/api/v1/sessions/0123/events", false),
        (Method::PUT, "/api/v1/sessions/0123/files/reset", false),
        (Method::POST, "/api/v1/sessions/0123/answers", false),
        (Method::POST, "/api/v1/sessions/0123/class", false),
        (Method::POST, "/api/v1/sessions/0123/wake", false),
        (Method::DELETE, "/api/v1/sessions/0123", false),
        (Method::POST, "/api/v1/sessions/0123/extend", false),
        (Method::POST, "/api/v1/classes/reset/actions", false),
        (Method::POST, "/api/v1/sessions", false),
    ] {
        assert_eq!(changes_cluster(&method, route), expected, "{method} {route}");
    }
    for (method, path, expected) in [
        (Method::GET, "/api/v1/pods?watch=true", false),
        (Method::GET, "/api/v1/namespaces/default/pods/hello/log?follow=true", false),
        (Method::GET, "/api/v1/namespaces/default/pods/hello/portforward?ports=80", false),
        (Method::GET, "/api/v1/namespaces/default/configmaps/exec", false),
        (Method::POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", false),
        (Method::POST, "/api/v1/namespaces/default/pods", true),
        (Method::PATCH, "/apis/apps/v1/namespaces/default/deployments/web?dryRun=All", true),
        (Method::DELETE, "/api/v1/nodes/worker-1", true),
        (Method::GET, "/api/v1/namespaces/default/pods/hello/exec?command=sh", true),
        (Method::POST, "/api/v1/namespaces/default/pods/hello/attach", true),
    ] {
        assert_eq!(changes_through_kube(&method, path), expected, "{method} {path}");
    }
    let owner = Relation { owner: true, ..Relation::default() };
    let work = Relation { guest: Some(May::Work), ..Relation::default() };
    let teaches = Relation { instructor: true, ..Relation::default() };
    for (paused, relation, changes, expected) in [
        (true, owner, true, true),
        (true, work, true, true),
        (true, owner, false, false),
        (false, owner, true, false),
        (true, teaches, true, false),
    ] {
        assert_eq!(held(paused, &relation, changes), expected, "{paused} {relation:?} {changes}");
    }
}
