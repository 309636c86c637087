//! What everybody gets at each route. A route that is missing here fails the test.
//!
//! Columns: nobody, other learner, watching guest, working guest, owner, other instructor, instructor of the class, operator.
//! Letters: `.` let through, `-` told that there is none, `x` forbidden, `s` to sign in first, a space: not tried.

const FREE: &str = "........";
const SEE: &str = "--...-..";
const WATCH: &str = "--...-.x";
const ACT: &str = "--x..-xx";
const MANAGE: &str = "--xx.-..";
const OWN: &str = "--xx.-xx";
const TEACH: &str = "sssss-..";
/// In a learner's terminal only their own instructor looks.
const LOOK_IN: &str = "sssss-.-";
const OPERATE: &str = "sssssxx.";

/// Method, path below `/api/v1`, who gets through.
const TABLE: &[(&str, &str, &str)] = &[
    ("GET", "/lessons", FREE),
    ("GET", "/lessons/{slug}", FREE),
    ("GET", "/lessons/{slug}/files/{name}", FREE),
    ("GET", "/sessions", FREE),
    ("POST", "/sessions", FREE),
    ("GET", "/sessions/{id}", SEE),
    ("POST", "/sessions/{id}/extend", MANAGE),
    ("POST", "/sessions/{id}/reset", "--xx -xx"),
    ("POST", "/sessions/{id}/wake", ACT),
    ("GET", "/sessions/{id}/manifests.yaml", OWN),
    ("POST", "/sessions/{id}/answers", ACT),
    ("POST", "/sessions/{id}/nodes", "--x  -xx"),
    ("DELETE", "/sessions/{id}/nodes/{node}", ACT),
    ("POST", "/sessions/{id}/nodes/{node}/stop", ACT),
    ("POST", "/sessions/{id}/nodes/{node}/start", ACT),
    ("POST", "/sessions/{id}/faults", ACT),
    ("POST", "/sessions/{id}/faults/heal", ACT),
    ("GET", "/sessions/{id}/objects/{kind}", WATCH),
    ("GET", "/sessions/{id}/logs", WATCH),
    ("GET", "/sessions/{id}/events", WATCH),
    ("GET", "/sessions/{id}/terminals/{terminal}", WATCH),
    ("GET", "/sessions/{id}/files", WATCH),
    ("GET", "/sessions/{id}/files/{path}", WATCH),
    ("PUT", "/sessions/{id}/files/{path}", ACT),
    ("POST", "/sessions/{id}/manifest", ACT),
    ("GET", "/sessions/{id}/invites", OWN),
    ("POST", "/sessions/{id}/invites", OWN),
    ("DELETE", "/sessions/{id}/invites/{may}", OWN),
    ("POST", "/sessions/{id}/guests", FREE),
    ("POST", "/sessions/{id}/class", OWN),
    ("GET", "/sessions/{id}/ports", WATCH),
    ("GET", "/sessions/{id}/preview", WATCH),
    ("GET", "/sessions/{id}/kubeconfig", OWN),
    ("DELETE", "/sessions/{id}/kubeconfig", OWN),
    // By the kubeconfig's token alone, whoever shows it.
    ("GET", "/sessions/{id}/kube", "ssssssss"),
    ("GET", "/sessions/{id}/kube/{path}", "ssssssss"),
    ("GET", "/me", FREE),
    ("POST", "/sign-in", FREE),
    ("POST", "/sign-out", ".....   "),
    ("POST", "/setup", FREE),
    ("POST", "/password", FREE),
    ("GET", "/accounts", OPERATE),
    ("POST", "/accounts/links", OPERATE),
    ("DELETE", "/accounts/{person}", OPERATE),
    ("GET", "/deeds", OPERATE),
    ("GET", "/deeds.csv", OPERATE),
    ("GET", "/operator/overview", OPERATE),
    ("GET", "/operator/history", OPERATE),
    ("GET", "/classes", "sssss..."),
    ("POST", "/classes", "sssss..."),
    ("GET", "/classes/{class}", TEACH),
    ("POST", "/classes/{class}/actions", "sssss .."),
    ("GET", "/classes/{class}/events", TEACH),
    ("POST", "/classes/{class}/posts", "sssss .."),
    ("DELETE", "/classes/{class}/posts/{post}", TEACH),
    ("GET", "/classes/{class}/progress.csv", TEACH),
    ("DELETE", "/classes/{class}/learners/{learner}", TEACH),
    ("DELETE", "/classes/{class}/learners/{learner}/hand", TEACH),
    ("POST", "/classes/{class}/learners/{learner}/joint", LOOK_IN),
    ("DELETE", "/classes/{class}/learners/{learner}/joint", LOOK_IN),
    ("GET", "/classes/{class}/learners/{learner}/terminal", LOOK_IN),
    ("GET", "/join/{code}", FREE),
    ("POST", "/join/{code}", FREE),
    ("GET", "/openapi.json", FREE),
    // These end what the others need, so they are tried last: the session's, then the class's.
    ("DELETE", "/sessions/{id}", MANAGE),
    ("DELETE", "/classes/{class}", "sssss-. "),
];

/// All of it, the destructive last.
pub(crate) fn in_order() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    TABLE.iter().map(|(method, path, expected)| (*method, leak(path), *expected))
}

/// Paths are asked for as the server describes them.
fn leak(path: &str) -> &'static str {
    Box::leak(format!("/api/v1{path}").into_boxed_str())
}

/// What of the server's own list is not here, and the other way round.
pub(crate) fn compare(routes: &[(String, String)]) -> Vec<String> {
    let here: Vec<_> = in_order().map(|(method, path, _)| (method.to_owned(), path.to_owned())).collect();
    let missing =
        routes.iter().filter(|route| !here.contains(route)).map(|route| format!("not in the table: {route:?}"));
    let gone = here.iter().filter(|route| !routes.contains(route)).map(|route| format!("no such route: {route:?}"));
    missing.chain(gone).collect()
}
