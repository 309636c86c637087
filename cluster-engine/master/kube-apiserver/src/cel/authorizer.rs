//! The variable `authorizer`: `authorizer.group('apps').resource('deployments').namespace('x').check('create').allowed()`.

use std::fmt;
use std::sync::Arc;

use ::cel::common::types::{CelBool, CelString, Type};
use ::cel::common::value::{StaticVal, Val};
use ::cel::{DeclarationError, Env};

use super::opaque::opaque;

/// What is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Question {
    /// A service account to ask for instead of the requester, as `(namespace, name)`.
    pub(crate) account: Option<(String, String)>,
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// The path of a question that is not about a resource.
    pub(crate) path: String,
}

/// What is answered: allowed, and why.
pub(crate) type Answer = Arc<dyn Fn(&Question) -> (bool, String) + Send + Sync>;

/// A question on the way to being asked.
#[derive(Clone)]
pub(crate) struct Authorizer {
    answer: Answer,
    question: Question,
    stage: &'static Type,
}

static AUTHORIZER: Type = Type::new_unspecified_type("kubernetes.authorization.Authorizer");
static PATH: Type = Type::new_unspecified_type("kubernetes.authorization.PathCheck");
static GROUP: Type = Type::new_unspecified_type("kubernetes.authorization.GroupCheck");
static RESOURCE: Type = Type::new_unspecified_type("kubernetes.authorization.ResourceCheck");

opaque!(
    /// An answer.
    Verdict((bool, String)), DECISION = "kubernetes.authorization.Decision"
);

impl Authorizer {
    /// Asks with `answer`.
    pub(crate) fn new(answer: Answer) -> Self {
        Self { answer, question: Question::default(), stage: &AUTHORIZER }
    }

    /// The variable `authorizer.requestResource`: the request's own object, only the verb is open.
    pub(crate) fn of_request(answer: Answer, question: Question) -> Self {
        Self { answer, question, stage: &RESOURCE }
    }

    fn with(&self, stage: &'static Type, change: impl FnOnce(&mut Question)) -> Self {
        let mut next = Self { stage, ..self.clone() };
        change(&mut next.question);
        next
    }
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authorizer").field(&self.question).finish()
    }
}

impl Val for Authorizer {
    fn get_type(&self) -> &Type {
        self.stage
    }

    fn cel_type() -> &'static Type {
        &AUTHORIZER
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Self>().is_some_and(|other| other.question == self.question)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

impl StaticVal for Authorizer {}

pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    ::cel::add_member_overload!(env, fn path: (Authorizer, CelString) -> Authorizer, receiver = AUTHORIZER.to_owned())?;
    ::cel::add_member_overload!(env, fn group: (Authorizer, CelString) -> Authorizer, receiver = AUTHORIZER.to_owned())?;
    ::cel::add_member_overload!(env, fn service_account: (Authorizer, CelString, CelString) -> Authorizer, receiver = AUTHORIZER.to_owned())?;
    ::cel::add_member_overload!(env, fn resource: (Authorizer, CelString) -> Authorizer, receiver = GROUP.to_owned())?;
    ::cel::add_member_overload!(env, fn subresource: (Authorizer, CelString) -> Authorizer, receiver = RESOURCE.to_owned())?;
    ::cel::add_member_overload!(env, fn namespace: (Authorizer, CelString) -> Authorizer, receiver = RESOURCE.to_owned())?;
    ::cel::add_member_overload!(env, fn name: (Authorizer, CelString) -> Authorizer, receiver = RESOURCE.to_owned())?;
    ::cel::add_member_overload!(env, fn selector: (Authorizer, CelString) -> Authorizer, receiver = RESOURCE.to_owned(), name = "fieldSelector")?;
    ::cel::add_member_overload!(env, fn selector: (Authorizer, CelString) -> Authorizer, receiver = RESOURCE.to_owned(), name = "labelSelector")?;
    ::cel::add_member_overload!(env, fn check: (Authorizer, CelString) -> Verdict, receiver = RESOURCE.to_owned())?;
    ::cel::add_member_overload!(env, fn check: (Authorizer, CelString) -> Verdict, receiver = PATH.to_owned())?;
    ::cel::add_member_overload!(env, fn allowed: (Verdict) -> CelBool)?;
    ::cel::add_member_overload!(env, fn reason: (Verdict) -> CelString)?;
    ::cel::add_member_overload!(env, fn errored: (Verdict) -> CelBool)?;
    ::cel::add_member_overload!(env, fn error: (Verdict) -> CelString)
}

fn path(own: &Authorizer, path: &CelString<'_>) -> Authorizer {
    own.with(&PATH, |question| question.path = path.inner().to_owned())
}

fn group(own: &Authorizer, group: &CelString<'_>) -> Authorizer {
    own.with(&GROUP, |question| question.group = group.inner().to_owned())
}

fn service_account(own: &Authorizer, namespace: &CelString<'_>, name: &CelString<'_>) -> Authorizer {
    own.with(&AUTHORIZER, |question| {
        question.account = Some((namespace.inner().to_owned(), name.inner().to_owned()));
    })
}

fn resource(own: &Authorizer, resource: &CelString<'_>) -> Authorizer {
    own.with(&RESOURCE, |question| question.resource = resource.inner().to_owned())
}

fn subresource(own: &Authorizer, subresource: &CelString<'_>) -> Authorizer {
    own.with(&RESOURCE, |question| question.subresource = subresource.inner().to_owned())
}

fn namespace(own: &Authorizer, namespace: &CelString<'_>) -> Authorizer {
    own.with(&RESOURCE, |question| question.namespace = namespace.inner().to_owned())
}

fn name(own: &Authorizer, name: &CelString<'_>) -> Authorizer {
    own.with(&RESOURCE, |question| question.name = name.inner().to_owned())
}

/// Our authorizers decide without selectors, so a narrower question has the same answer.
fn selector(own: &Authorizer, _: &CelString<'_>) -> Authorizer {
    own.clone()
}

fn check(own: &Authorizer, verb: &CelString<'_>) -> Verdict {
    let question = Question { verb: verb.inner().to_owned(), ..own.question.clone() };
    Verdict((own.answer)(&question))
}

fn allowed(own: &Verdict) -> CelBool {
    own.0.0.into()
}

fn reason(own: &Verdict) -> CelString<'static> {
    CelString::from(own.0.1.clone())
}

/// Our authorizers answer from memory and do not fail.
fn errored(_: &Verdict) -> CelBool {
    false.into()
}

fn error(_: &Verdict) -> CelString<'static> {
    CelString::from(String::new())
}
