//! People: who asks, what they may do, how they sign in and whom they let in.

use serde::{Deserialize, Serialize};

/// What somebody may do on this server. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Has sessions of their own.
    #[default]
    Learner,
    /// Holds classes.
    Instructor,
    /// Runs the server.
    Operator,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Learner, Self::Instructor, Self::Operator];

    /// As it is written in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Learner => "learner",
            Self::Instructor => "instructor",
            Self::Operator => "operator",
        }
    }
}

/// Who asks (`GET /api/v1/me`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// Identifier of the person.
    pub person: String,
    /// The name they gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What they may do.
    pub role: Role,
    /// Whether they signed in, as instructors and operators do.
    #[serde(default)]
    pub signed_in: bool,
    /// Whether they have a password here, which they can change.
    #[serde(default)]
    pub has_password: bool,
    /// How one can sign in.
    #[serde(default)]
    pub sign_in: SignInWays,
}

/// How one can sign in to this server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInWays {
    /// Whether there is an account yet; without one, the server's console shows the link that makes the first.
    #[serde(default)]
    pub ready: bool,
    /// With OpenID Connect: what the button says. It leads to [`crate::path::OIDC_START`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc: Option<String>,
}

/// Why a way through OpenID Connect signed nobody in: the page where one signs in is told with [`Self::word`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInFailure {
    /// It took too long, or another browser began it.
    Expired,
    /// The provider, or the person there, said no.
    Refused,
    /// Signed in there, but in no group that has a role here.
    NoRole,
    /// The provider cannot be reached, or what it says cannot be believed.
    Provider,
    /// As many are at it as may be, or too many tries came from one address.
    Busy,
}

impl SignInFailure {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Expired, Self::Refused, Self::NoRole, Self::Provider, Self::Busy];

    /// As it stands in the address of the page.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::NoRole => "no-role",
            Self::Provider => "provider",
            Self::Busy => "busy",
        }
    }

    /// From the address of the page.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.word() == word)
    }
}

/// Body of `POST /api/v1/sign-in`; the answer is [`Me`] and a cookie.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// The account's name.
    pub name: String,
    /// Its password.
    pub password: String,
}

/// Body of `POST /api/v1/setup`: makes the account that a link is for and signs in. The answer is [`Me`].
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// What the link holds.
    pub token: String,
    /// The account's name.
    pub name: String,
    /// Its password, at least [`PASSWORD_MIN`] characters.
    pub password: String,
}

/// Body of `POST /api/v1/password`; signs all other browsers of the account out.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangePassword {
    /// The present one.
    pub old: String,
    /// The next one.
    pub new: String,
}

/// The least number of characters of a password.
pub const PASSWORD_MIN: usize = 12;
/// The largest number of bytes of a password.
pub const PASSWORD_MAX: usize = 256;
/// The largest number of characters of a name.
pub const NAME_MAX: usize = 64;

/// An account (`GET /api/v1/accounts`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Identifier of the person.
    pub person: String,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Whether it comes from OpenID Connect.
    #[serde(default)]
    pub oidc: bool,
    /// When it was made.
    pub created_millis: u64,
    /// When it was last used.
    pub seen_millis: u64,
}

/// Body of `POST /api/v1/accounts/links`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateAccountLink {
    /// What the account may do: instructor or operator.
    pub role: Role,
}

/// A link that makes one account; shown once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLink {
    /// Path of the page, to which the browser adds its own origin.
    pub path: String,
    /// When it ends.
    pub expires_millis: u64,
}

/// What a guest of a session may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum May {
    /// See everything, change nothing.
    #[default]
    Watch,
    /// What the owner may, except to end it and to invite others.
    Work,
}

impl May {
    /// As it is written in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Work => "work",
        }
    }
}

/// Body of `POST /api/v1/sessions/{id}/invites`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateInvite {
    /// What those may do who open the link.
    pub may: May,
}

/// A link that lets others in. There is one of each kind; it holds until it is revoked, and its guests with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// What those may do who open it.
    pub may: May,
    /// Path of the page, to which the browser adds its own origin.
    pub path: String,
    /// How many have opened it.
    #[serde(default)]
    pub guests: u32,
}

/// Body of `POST /api/v1/sessions/{id}/guests`: opens an invitation.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedeemInvite {
    /// What the link holds.
    pub token: String,
}

/// What somebody did (`GET /api/v1/deeds`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// Number, growing.
    pub id: u64,
    /// When.
    pub at_millis: u64,
    /// Identifier of the person.
    pub person: String,
    /// Their name, as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Their role then.
    pub role: String,
    /// The address they came from.
    pub address: String,
    /// Method and route.
    pub action: String,
    /// What it was done to: the session, node, class or account.
    pub object: String,
    /// HTTP status of the answer.
    pub outcome: u16,
}
