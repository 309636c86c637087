//! Signing in with OpenID Connect: authorization code with PKCE, state and nonce; groups of a claim become roles.

mod fetch;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use drydock_protocol::Role;
use drydock_protocol::account::SignInFailure;
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreResponseType,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessTokenHash, AdditionalClaims, AuthenticationFlow, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, IdTokenFields, IssuerUrl, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, StandardErrorResponse,
    StandardTokenResponse, TokenResponse, UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// How long somebody may take to sign in at the provider.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// Who are at it at once.
const AT_ONCE: usize = 1000;
/// Where the provider sends browsers back to.
pub(crate) const CALLBACK: &str = "/auth/oidc/callback";

/// Options of OpenID Connect.
#[derive(Args, Clone, Debug, Default)]
#[group(skip)]
pub(crate) struct Options {
    /// Issuer with which instructors and operators sign in by OpenID Connect, e.g. https://login.example.com/realms/school
    /// [default: none].
    #[arg(long, env = "DRYDOCK_OIDC_ISSUER", value_name = "URL")]
    oidc_issuer: Option<String>,
    /// The identifier that the provider gave this server [default: none].
    #[arg(long, env = "DRYDOCK_OIDC_CLIENT_ID", value_name = "ID")]
    oidc_client_id: Option<String>,
    /// The secret that the provider gave this server; rather by the environment or the file than by the command line, where other
    /// users of the machine see it [default: none].
    #[arg(long, env = "DRYDOCK_OIDC_CLIENT_SECRET", value_name = "SECRET", hide_env_values = true)]
    oidc_client_secret: Option<String>,
    /// What the button says.
    #[arg(long, env = "DRYDOCK_OIDC_LABEL", value_name = "TEXT", default_value = "Single sign-on")]
    oidc_label: String,
    /// A scope to ask for beside openid, profile and email; may be given again [default: none].
    #[arg(long = "oidc-scope", env = "DRYDOCK_OIDC_SCOPE", value_delimiter = ',', value_name = "SCOPE")]
    oidc_scopes: Vec<String>,
    /// The claim that holds a person's groups.
    #[arg(long, env = "DRYDOCK_OIDC_CLAIM", value_name = "CLAIM", default_value = "groups")]
    oidc_claim: String,
    /// A group whose people are instructors, * for everybody; may be given again [default: none].
    #[arg(long = "oidc-instructors", env = "DRYDOCK_OIDC_INSTRUCTORS", value_delimiter = ',', value_name = "GROUP")]
    oidc_instructors: Vec<String>,
    /// A group whose people are operators; may be given again [default: none].
    #[arg(long = "oidc-operators", env = "DRYDOCK_OIDC_OPERATORS", value_delimiter = ',', value_name = "GROUP")]
    oidc_operators: Vec<String>,
}

/// Why nobody was signed in.
#[derive(Debug, Error)]
pub(crate) enum OidcError {
    /// What is configured cannot be used.
    #[error("--oidc-issuer: {0}")]
    Options(String),
    /// It took too long, or the browser is another than the one that began.
    #[error("this sign-in was not begun by this browser, or too long ago")]
    Expired,
    /// The provider or the person said no.
    #[error("the provider refused: {0}")]
    Refused(String),
    /// The provider cannot be reached, or what it says cannot be believed.
    #[error("the provider's answer cannot be used: {0}")]
    Provider(String),
    /// Signed in, but in none of the groups.
    #[error("{0} is in no group that has a role here")]
    NoRole(String),
    /// As many are at it as may be.
    #[error("too many sign-ins at once")]
    Busy,
}

impl OidcError {
    /// What the page is told.
    pub(crate) fn failure(&self) -> SignInFailure {
        match self {
            OidcError::Expired => SignInFailure::Expired,
            OidcError::Refused(_) => SignInFailure::Refused,
            OidcError::NoRole(_) => SignInFailure::NoRole,
            OidcError::Options(_) | OidcError::Provider(_) => SignInFailure::Provider,
            OidcError::Busy => SignInFailure::Busy,
        }
    }
}

/// All claims that the standard does not name.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Further {
    #[serde(flatten)]
    claims: BTreeMap<String, Value>,
}

impl AdditionalClaims for Further {}

type Fields = IdTokenFields<
    Further,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Client = openidconnect::Client<
    Further,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A sign-in that was begun.
struct Begun {
    at: Instant,
    person: String,
    redirect: RedirectUrl,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    client: Client,
}

/// Who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// Issuer and subject: the same for ever.
    pub(crate) id: String,
    /// How they are called.
    pub(crate) name: String,
    /// What they may do; `None` when they are in no group that counts.
    pub(crate) role: Option<Role>,
}

/// A provider of OpenID Connect.
pub(crate) struct Oidc {
    issuer: IssuerUrl,
    options: Options,
    begun: Mutex<HashMap<String, Begun>>,
}

impl Oidc {
    /// As the options say; `None` without an issuer.
    ///
    /// # Errors
    /// When the issuer is no address, or not one over TLS.
    pub(crate) fn new(options: Options) -> Result<Option<Oidc>, OidcError> {
        let Some(url) = options.oidc_issuer.clone() else { return Ok(None) };
        let issuer = IssuerUrl::new(url).map_err(|error| OidcError::Options(error.to_string()))?;
        let host = issuer.url().host_str().unwrap_or_default();
        let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if issuer.url().scheme() != "https" && !local {
            return Err(OidcError::Options("the provider has to be reached over https".to_owned()));
        }
        // Not clap's to check: it takes what the file says for no more than a default.
        if options.oidc_client_id.is_none() {
            return Err(OidcError::Options("--oidc-client-id is missing".to_owned()));
        }
        if options.oidc_instructors.is_empty() && options.oidc_operators.is_empty() {
            return Err(OidcError::Options(
                "say who may do what, with --oidc-instructors and --oidc-operators".to_owned(),
            ));
        }
        Ok(Some(Oidc { issuer, options, begun: Mutex::default() }))
    }

    /// What the button says.
    pub(crate) fn label(&self) -> &str {
        &self.options.oidc_label
    }

    /// Begins a sign-in: where to send the browser.
    ///
    /// # Errors
    /// When the provider cannot be reached.
    pub(crate) async fn begin(&self, person: &str, origin: &str) -> Result<String, OidcError> {
        let redirect = RedirectUrl::new(format!("{origin}{CALLBACK}")).map_err(provider)?;
        let metadata =
            CoreProviderMetadata::discover_async(self.issuer.clone(), &fetch::fetch).await.map_err(provider)?;
        let id = ClientId::new(self.options.oidc_client_id.clone().unwrap_or_default());
        let secret = self.options.oidc_client_secret.clone().map(ClientSecret::new);
        let client = Client::from_provider_metadata(metadata, id, secret);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
        let mut request = client
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .add_scopes(["profile", "email"].map(|scope| Scope::new(scope.to_owned())))
            .set_pkce_challenge(challenge)
            .set_redirect_uri(Cow::Borrowed(&redirect));
        for scope in &self.options.oidc_scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = request.url();
        let mut all = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, begun| begun.at.elapsed() < PATIENCE);
        if all.len() >= AT_ONCE {
            return Err(OidcError::Busy);
        }
        let begun = Begun { at: Instant::now(), person: person.to_owned(), redirect, nonce, verifier, client };
        all.insert(state.secret().clone(), begun);
        Ok(url.to_string())
    }

    /// Ends a sign-in that this browser began: who it is.
    ///
    /// # Errors
    /// When it was not begun here, or what the provider says does not hold.
    pub(crate) async fn finish(&self, person: &str, state: &str, code: &str) -> Result<Subject, OidcError> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).remove(state);
        let begun = begun.filter(|begun| begun.at.elapsed() < PATIENCE && begun.person == person);
        let Begun { redirect, nonce, verifier, client, .. } = begun.ok_or(OidcError::Expired)?;
        let tokens = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(provider)?
            .set_pkce_verifier(verifier)
            .set_redirect_uri(Cow::Borrowed(&redirect))
            .request_async(&fetch::fetch)
            .await
            .map_err(provider)?;
        let token = tokens.id_token().ok_or_else(|| OidcError::Provider("it gave no identity".to_owned()))?;
        let keys = client.id_token_verifier();
        let claims = token.claims(&keys, &nonce).map_err(provider)?;
        if let Some(expected) = claims.access_token_hash() {
            let key = token.signing_key(&keys).map_err(provider)?;
            let algorithm = token.signing_alg().map_err(provider)?;
            let actual = AccessTokenHash::from_token(tokens.access_token(), algorithm, key).map_err(provider)?;
            if actual != *expected {
                return Err(OidcError::Provider("its tokens do not belong together".to_owned()));
            }
        }
        let mut further = claims.additional_claims().claims.clone();
        let mut name = claims.name().and_then(|name| name.get(None)).map(|name| name.to_string());
        name = name.or_else(|| claims.preferred_username().map(|name| name.to_string()));
        name = name.or_else(|| claims.email().map(|email| email.to_string()));
        if !further.contains_key(&self.options.oidc_claim) || name.is_none() {
            // Some providers tell only those who ask.
            if let Ok(request) = client.user_info(tokens.access_token().clone(), Some(claims.subject().clone())) {
                let told: UserInfoClaims<Further, CoreGenderClaim> =
                    request.request_async(&fetch::fetch).await.map_err(provider)?;
                name = name.or_else(|| told.name().and_then(|name| name.get(None)).map(|name| name.to_string()));
                further.extend(told.additional_claims().claims.clone());
            }
        }
        let subject = claims.subject().as_str();
        let name = name.and_then(|name| crate::accounts::name(&name).ok());
        Ok(Subject {
            id: format!("{} {subject}", self.issuer.as_str()),
            name: name.unwrap_or_else(|| subject.chars().filter(|letter| letter.is_ascii_graphic()).take(64).collect()),
            role: self.role(further.get(&self.options.oidc_claim)),
        })
    }

    /// The highest role of the groups in a claim.
    fn role(&self, claim: Option<&Value>) -> Option<Role> {
        let groups: Vec<&str> = match claim {
            Some(Value::String(group)) => vec![group],
            Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let holds = |wanted: &[String]| wanted.iter().any(|group| groups.contains(&group.as_str()));
        let everybody = self.options.oidc_instructors.iter().any(|group| group == "*");
        match (holds(&self.options.oidc_operators), everybody || holds(&self.options.oidc_instructors)) {
            (true, _) => Some(Role::Operator),
            (false, true) => Some(Role::Instructor),
            (false, false) => None,
        }
    }
}

fn provider(error: impl std::error::Error) -> OidcError {
    OidcError::Provider(crate::error::chain(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oidc(instructors: &[&str], operators: &[&str], issuer: &str) -> Result<Option<Oidc>, OidcError> {
        let list = |groups: &[&str]| groups.iter().map(|group| (*group).to_owned()).collect();
        Oidc::new(Options {
            oidc_issuer: Some(issuer.to_owned()),
            oidc_client_id: Some("drydock".to_owned()),
            oidc_instructors: list(instructors),
            oidc_operators: list(operators),
            ..Options::default()
        })
    }

    #[test]
    fn groups_become_roles() {
        let oidc = oidc(&["teachers"], &["admins"], "https://id.example").expect("usable").expect("set");
        let role = |claim: Value| oidc.role(Some(&claim));
        assert_eq!(role(serde_json::json!(["pupils", "teachers"])), Some(Role::Instructor));
        assert_eq!(role(serde_json::json!(["teachers", "admins"])), Some(Role::Operator));
        assert_eq!(role(serde_json::json!("admins")), Some(Role::Operator));
        for none in
            [serde_json::json!(["pupils"]), serde_json::json!({"admins": true}), serde_json::json!(["*"]), Value::Null]
        {
            assert_eq!(oidc.role(Some(&none)), None, "{none}");
        }
        assert_eq!(oidc.role(None), None);
    }

    #[test]
    fn everybody_may_be_an_instructor_but_no_operator() {
        let all = oidc(&["*"], &[], "http://127.0.0.1:1").expect("usable").expect("set");
        assert_eq!(all.role(None), Some(Role::Instructor));
        let all = oidc(&["*"], &["*"], "http://localhost").expect("usable").expect("set");
        assert_eq!(all.role(None), Some(Role::Instructor));
    }

    #[test]
    fn what_cannot_be_used_is_refused_at_the_start() {
        oidc(&["x"], &[], "http://id.example").err().expect("not over TLS");
        oidc(&["x"], &[], "nonsense").err().expect("no address");
        oidc(&[], &[], "https://id.example").err().expect("nobody has a role");
        let issuer = Some("https://id.example".to_owned());
        let nameless = Options { oidc_issuer: issuer, oidc_operators: vec!["x".to_owned()], ..Options::default() };
        Oidc::new(nameless).err().expect("no client");
    }
}
