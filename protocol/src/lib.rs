//! The words that Drydock's backend and browser app exchange: pure data, no input or output.
//!
//! Everything is JSON in `snake_case`, except terminal bytes, which travel as binary WebSocket frames
//! (see [`terminal`]). Instants are milliseconds since the Unix epoch, lengths of time say their unit in the
//! name. Unknown fields are ignored by readers, so that a newer server can speak to an older page.
//!
//! *Invariant:* depends on nothing else of the workspace and compiles for `wasm32-unknown-unknown`.

pub mod account;
pub mod check;
pub mod class;
pub mod editor;
pub mod error;
pub mod event;
pub mod fault;
pub mod file;
pub mod language;
pub mod lesson;
pub mod object;
pub mod operator;
pub mod path;
pub mod preview;
pub mod session;
pub mod terminal;
pub mod topology;
pub mod trace;

pub use account::{
    Account, AccountLink, ChangePassword, CreateAccountLink, CreateInvite, Deed, Invite, May, Me, RedeemInvite, Role,
    Setup, SignIn, SignInWays,
};
pub use check::{CheckState, CheckStatus};
pub use class::{
    Class, ClassAction, ClassEnvelope, ClassEvent, ClassPlace, ClassSeat, ClassState, CreateClass, CreatePost,
    Invitation, JoinClass, Joint, Learner, LearnerAction, Post, PostKind, Stuck, WatchControl,
};
pub use editor::{ManifestAction, ManifestOutcome, ManifestProblem, RunManifest};
pub use error::{ErrorBody, ErrorDetail};
pub use event::{Envelope, Notice, NoticeLevel, SessionEvent, Snapshot};
pub use fault::{Fault, FaultKind};
pub use file::{HomeFile, HomeFiles};
pub use language::Language;
pub use lesson::{
    Answer, AnswerVerdict, Answered, Block, Check, Hint, HintStatus, Lesson, LessonKind, LessonSummary, Level, Quiz,
    QuizOption, Step,
};
pub use object::{LogChunk, ObjectDetails, ObjectEvent};
pub use preview::{Port, Target};
pub use session::{
    CreateSession, EndReason, QueuePlace, Session, SessionState, StartStage, StartStep, StepState, WaitsFor,
};
pub use terminal::TerminalControl;
pub use topology::{
    Component, ComponentState, Container, Deployment, Endpoint, Ingress, IngressRoute, Namespace, Node, NodeRole,
    NodeState, Object, ObjectKey, ObjectKind, OwnerRef, Pod, PodHealth, ReplicaSet, Service, ServicePort, Topology,
    Workload,
};
pub use trace::{Stage, Trace};
