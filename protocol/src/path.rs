//! Addresses of the API, in one place for both sides.
//!
//! | method | path | body → answer |
//! | --- | --- | --- |
//! | GET | `/lessons?lang=` | → `[LessonSummary]` |
//! | GET | `/lessons/{slug}?lang=` | → `Lesson` |
//! | GET | `/lessons/{slug}/files/{name}` | → a picture of the lesson |
//! | POST | `/sessions` | `CreateSession` → 201 `Session` |
//! | GET | `/sessions` | → `[Session]` |
//! | GET | `/sessions/{id}` | → `Session` |
//! | DELETE | `/sessions/{id}` | → 202 `Session` |
//! | POST | `/sessions/{id}/extend` | → `Session` |
//! | POST | `/sessions/{id}/reset` | → 202 `Session` |
//! | POST | `/sessions/{id}/answers?lang=` | `Answer` → `AnswerVerdict` |
//! | GET | `/sessions/{id}/events` | server-sent events, see [`crate::event`] |
//! | GET | `/sessions/{id}/terminals/{tid}?node=&cols=&rows=` | WebSocket, see [`crate::terminal`] |
//! | GET | `/sessions/{id}/files` | → `HomeFiles` |
//! | GET | `/sessions/{id}/files/{path}` | → the file's bytes |
//! | PUT | `/sessions/{id}/files/{path}` | bytes → `HomeFile` |
//! | POST | `/sessions/{id}/manifest` | `RunManifest` → `ManifestOutcome` |
//! | POST | `/sessions/{id}/wake` | → `Session`, which sleeps no more |
//! | GET | `/sessions/{id}/manifests.yaml` | → what the learner made in the cluster, as YAML |
//! | POST | `/sessions/{id}/nodes/{node}/stop`, `…/start` | → 202 `Session` |
//! | POST | `/sessions/{id}/nodes` | → 201 `Session`: one worker more |
//! | DELETE | `/sessions/{id}/nodes/{node}` | → `Session` |
//! | POST | `/sessions/{id}/faults`, `…/faults/heal` | `Fault` → `Session` |
//! | GET | `/sessions/{id}/objects/{kind}?namespace=&name=` | → `ObjectDetails` |
//! | GET | `/sessions/{id}/logs?namespace=&pod=&container=&previous=` | server-sent events of `LogChunk` |
//! | GET | `/sessions/{id}/invites` | → `[Invite]` |
//! | POST | `/sessions/{id}/invites` | `CreateInvite` → 201 `Invite` |
//! | DELETE | `/sessions/{id}/invites/{may}` | → 204: the link does not hold any more, and its guests are out |
//! | POST | `/sessions/{id}/guests` | `RedeemInvite` → `Session` |
//! | GET | `/sessions/{id}/ports` | → `[Port]` |
//! | GET | `/sessions/{id}/preview?to=&path=` or `?url=&node=` | → 303 to a preview |
//! | GET | `/sessions/{id}/kubeconfig` | → a kubeconfig; DELETE makes all of them void |
//! | any | `/sessions/{id}/kube/{path}` | the API server, with a kubeconfig's token |
//! | GET | `/operator/overview` | → `operator::Overview` |
//! | GET | `/operator/history?hours=` | → `operator::History` |
//! | GET | `/classes` | → `[Class]`: the instructor's own |
//! | POST | `/classes` | `CreateClass` → 201 `Class` |
//! | GET | `/classes/{class}` | → `Class` |
//! | DELETE | `/classes/{class}` | → 204: the class and all that is known of its learners is removed |
//! | POST | `/classes/{class}/actions` | `ClassAction` → `Class` |
//! | GET | `/classes/{class}/events` | server-sent events of `ClassEnvelope`, see [`crate::class`] |
//! | POST | `/classes/{class}/posts` | `CreatePost` → 201 `Post` |
//! | DELETE | `/classes/{class}/posts/{post}` | → 204 |
//! | GET | `/classes/{class}/progress.csv` | → the class's progress, a row a learner |
//! | DELETE | `/classes/{class}/learners/{learner}` | → 204: what is known of the learner is removed, their session ended |
//! | DELETE | `/classes/{class}/learners/{learner}/hand` | → 204: the learner was helped |
//! | POST, DELETE | `/classes/{class}/learners/{learner}/joint` | → 204: asks to type in their terminal; ends it |
//! | GET | `/classes/{class}/learners/{learner}/terminal` | WebSocket, see [`crate::class`] |
//! | GET | `/join/{code}` | → `Invitation` |
//! | POST | `/join/{code}` | `JoinClass` → 201 `ClassPlace` |
//! | POST | `/sessions/{id}/class` | `LearnerAction` → `ClassSeat`, or 204 after leaving |
//! | GET | `/me` | → `Me` |
//! | POST | `/sign-in` | `SignIn` → `Me` |
//! | POST | `/sign-out` | → 204 |
//! | POST | `/setup` | `Setup` → `Me` |
//! | POST | `/password` | `ChangePassword` → 204 |
//! | GET | `/accounts` | → `[Account]` |
//! | POST | `/accounts/links` | `CreateAccountLink` → 201 `AccountLink` |
//! | DELETE | `/accounts/{person}` | → 204 |
//! | GET | `/deeds?before=`, `/deeds.csv?before=` | → `[Deed]`, the newest first |
//! | GET | `/openapi.json` | → OpenAPI document |

/// Prefix of every address.
pub const PREFIX: &str = "/api/v1";

/// Where a browser goes to sign in with OpenID Connect; no part of the API.
pub const OIDC_START: &str = "/auth/oidc/start";

/// `/api/v1/me`.
#[must_use]
pub fn me() -> String {
    format!("{PREFIX}/me")
}

/// `/api/v1/{verb}`, with `verb` one of `sign-in`, `sign-out`, `setup`, `password`.
#[must_use]
pub fn account_verb(verb: &str) -> String {
    format!("{PREFIX}/{verb}")
}

/// `/api/v1/accounts`.
#[must_use]
pub fn accounts() -> String {
    format!("{PREFIX}/accounts")
}

/// `/api/v1/accounts/{person}`.
#[must_use]
pub fn account(person: &str) -> String {
    format!("{PREFIX}/accounts/{}", encode(person))
}

/// `/api/v1/accounts/links`.
#[must_use]
pub fn account_links() -> String {
    format!("{PREFIX}/accounts/links")
}

/// `/api/v1/deeds?before=`, the deeds before that number; `None` begins with the newest.
#[must_use]
pub fn deeds(before: Option<u64>) -> String {
    before.map_or_else(|| format!("{PREFIX}/deeds"), |before| format!("{PREFIX}/deeds?before={before}"))
}

/// `/api/v1/deeds.csv`.
#[must_use]
pub fn deeds_csv() -> String {
    format!("{PREFIX}/deeds.csv")
}

/// `/api/v1/sessions/{id}/invites`.
#[must_use]
pub fn invites(id: &str) -> String {
    format!("{}/invites", session(id))
}

/// `/api/v1/sessions/{id}/invites/{may}`.
#[must_use]
pub fn invite(id: &str, may: crate::May) -> String {
    format!("{}/{}", invites(id), may.word())
}

/// `/api/v1/sessions/{id}/guests`.
#[must_use]
pub fn guests(id: &str) -> String {
    format!("{}/guests", session(id))
}

/// `/api/v1/lessons?lang=`.
#[must_use]
pub fn lessons(language: crate::Language) -> String {
    format!("{PREFIX}/lessons?lang={}", language.tag())
}

/// `/api/v1/lessons/{slug}?lang=`.
#[must_use]
pub fn lesson(slug: &str, language: crate::Language) -> String {
    format!("{PREFIX}/lessons/{}?lang={}", encode(slug), language.tag())
}

/// `/api/v1/lessons/{slug}/files/{name}`.
#[must_use]
pub fn lesson_file(slug: &str, name: &str) -> String {
    format!("{PREFIX}/lessons/{}/files/{}", encode(slug), encode(name))
}

/// `/api/v1/sessions`.
#[must_use]
pub fn sessions() -> String {
    format!("{PREFIX}/sessions")
}

/// `/api/v1/sessions/{id}`.
#[must_use]
pub fn session(id: &str) -> String {
    format!("{PREFIX}/sessions/{}", encode(id))
}

/// `/api/v1/sessions/{id}/{verb}`, with `verb` one of `extend`, `reset`, `events`, `wake`, `manifests.yaml`, `ports`,
/// `kubeconfig`.
#[must_use]
pub fn session_verb(id: &str, verb: &str) -> String {
    format!("{}/{verb}", session(id))
}

/// `/api/v1/sessions/{id}/answers?lang=`.
#[must_use]
pub fn answers(id: &str, language: crate::Language) -> String {
    format!("{}/answers?lang={}", session(id), language.tag())
}

/// `/api/v1/sessions/{id}/nodes/{node}/{verb}`, with `verb` one of `stop`, `start`.
#[must_use]
pub fn node_verb(id: &str, node: &str, verb: &str) -> String {
    format!("{}/nodes/{}/{verb}", session(id), encode(node))
}

/// `/api/v1/sessions/{id}/nodes`.
#[must_use]
pub fn nodes(id: &str) -> String {
    format!("{}/nodes", session(id))
}

/// `/api/v1/sessions/{id}/nodes/{node}`.
#[must_use]
pub fn node(id: &str, node: &str) -> String {
    format!("{}/{}", nodes(id), encode(node))
}

/// `/api/v1/sessions/{id}/faults`, or `…/faults/heal`.
#[must_use]
pub fn faults(id: &str, heal: bool) -> String {
    format!("{}/faults{}", session(id), if heal { "/heal" } else { "" })
}

/// `/api/v1/sessions/{id}/objects/{kind}?namespace=&name=`, with `kind` as in [`crate::ObjectKind`].
#[must_use]
pub fn object(id: &str, kind: &str, namespace: &str, name: &str) -> String {
    format!("{}/objects/{}?namespace={}&name={}", session(id), encode(kind), encode(namespace), encode(name))
}

/// `/api/v1/sessions/{id}/logs?namespace=&pod=&container=&previous=`.
#[must_use]
pub fn logs(id: &str, namespace: &str, pod: &str, container: &str, previous: bool) -> String {
    let (namespace, pod, container) = (encode(namespace), encode(pod), encode(container));
    format!("{}/logs?namespace={namespace}&pod={pod}&container={container}&previous={previous}", session(id))
}

/// `/api/v1/sessions/{id}/terminals/{tid}?node=&cols=&rows=`.
#[must_use]
pub fn terminal(id: &str, terminal: &str, node: &str, cols: u16, rows: u16) -> String {
    format!("{}/terminals/{}?node={}&cols={cols}&rows={rows}", session(id), encode(terminal), encode(node))
}

/// `/api/v1/sessions/{id}/preview?to=&path=`, with `to` and `path` of a [`crate::Port`].
#[must_use]
pub fn preview(id: &str, to: &str, path: &str) -> String {
    format!("{}/preview?to={}&path={}", session(id), encode(to), encode(path))
}

/// `/api/v1/sessions/{id}/preview?node=&url=`, to which an address is added that a terminal of `node` shows.
#[must_use]
pub fn preview_of(id: &str, node: &str) -> String {
    format!("{}/preview?node={}&url=", session(id), encode(node))
}

/// `/api/v1/sessions/{id}/files`.
#[must_use]
pub fn files(id: &str) -> String {
    format!("{}/files", session(id))
}

/// `/api/v1/sessions/{id}/files/{path}`, with `path` relative to the home folder.
#[must_use]
pub fn file(id: &str, path: &str) -> String {
    let parts: Vec<_> = path.split('/').map(encode).collect();
    format!("{}/{}", files(id), parts.join("/"))
}

/// `/api/v1/sessions/{id}/manifest`.
#[must_use]
pub fn manifest(id: &str) -> String {
    format!("{}/manifest", session(id))
}

/// `/api/v1/operator/overview`.
#[must_use]
pub fn operator_overview() -> String {
    format!("{PREFIX}/operator/overview")
}

/// `/api/v1/operator/history?hours=`, of at most 168 hours.
#[must_use]
pub fn operator_history(hours: u32) -> String {
    format!("{PREFIX}/operator/history?hours={hours}")
}

/// `/api/v1/classes`.
#[must_use]
pub fn classes() -> String {
    format!("{PREFIX}/classes")
}

/// `/api/v1/classes/{class}`.
#[must_use]
pub fn class(class: &str) -> String {
    format!("{PREFIX}/classes/{}", encode(class))
}

/// `/api/v1/classes/{class}/{verb}`, with `verb` one of `actions`, `events`, `posts`, `progress.csv`.
#[must_use]
pub fn class_verb(id: &str, verb: &str) -> String {
    format!("{}/{verb}", class(id))
}

/// `/api/v1/classes/{class}/posts/{post}`.
#[must_use]
pub fn class_post(id: &str, post: u32) -> String {
    format!("{}/posts/{post}", class(id))
}

/// `/api/v1/classes/{class}/learners/{learner}`.
#[must_use]
pub fn learner(id: &str, learner: u32) -> String {
    format!("{}/learners/{learner}", class(id))
}

/// `/api/v1/classes/{class}/learners/{learner}/{verb}`, with `verb` one of `hand`, `joint`, `terminal`.
#[must_use]
pub fn learner_verb(id: &str, number: u32, verb: &str) -> String {
    format!("{}/{verb}", learner(id, number))
}

/// `/api/v1/join/{code}`.
#[must_use]
pub fn join(code: &str) -> String {
    format!("{PREFIX}/join/{}", encode(code))
}

/// `/api/v1/sessions/{id}/class`.
#[must_use]
pub fn session_class(id: &str) -> String {
    format!("{}/class", session(id))
}

/// Percent-encodes all but RFC 3986's unreserved characters.
fn encode(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for nibble in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cannot_break_out() {
        assert_eq!(session("a/../b?c"), "/api/v1/sessions/a%2F..%2Fb%3Fc");
        assert_eq!(file("s1", "lab/a b?.yaml"), "/api/v1/sessions/s1/files/lab/a%20b%3F.yaml");
        assert_eq!(
            terminal("s1", "t1", "worker-1", 80, 24),
            "/api/v1/sessions/s1/terminals/t1?node=worker-1&cols=80&rows=24"
        );
    }
}
