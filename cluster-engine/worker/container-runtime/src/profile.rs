//! Seccomp profiles as they lie on a node's disk: the OCI runtime specification's JSON.

use serde::{Deserialize, Serialize};

/// What a container may call, and what happens when it calls something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// For calls that no rule speaks of.
    pub default_action: Action,
    /// Error number of `default_action`, `EPERM` when absent.
    #[serde(default)]
    pub default_errno_ret: Option<u32>,
    /// Rules, in no order.
    #[serde(default)]
    pub syscalls: Vec<Rule>,
}

/// Calls and what happens on them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Names of calls; unknown ones are passed over.
    pub names: Vec<String>,
    /// What happens.
    pub action: Action,
    /// Error number of `action`, `EPERM` when absent.
    #[serde(default)]
    pub errno_ret: Option<u32>,
    /// Only with these arguments.
    #[serde(default)]
    pub args: Vec<Argument>,
}

/// What an argument must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Argument {
    /// Which, from 0.
    pub index: u8,
    /// To compare with; the mask of [`Compare::MaskedEq`].
    pub value: u64,
    /// What [`Compare::MaskedEq`] compares with.
    #[serde(default)]
    pub value_two: u64,
    /// How.
    pub op: Compare,
}

/// What happens on a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the specification's words")]
pub enum Action {
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    #[serde(rename = "SCMP_ACT_KILL")]
    Kill,
    #[serde(rename = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
}

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the specification's words")]
pub enum Compare {
    #[serde(rename = "SCMP_CMP_NE")]
    Ne,
    #[serde(rename = "SCMP_CMP_LT")]
    Lt,
    #[serde(rename = "SCMP_CMP_LE")]
    Le,
    #[serde(rename = "SCMP_CMP_EQ")]
    Eq,
    #[serde(rename = "SCMP_CMP_GE")]
    Ge,
    #[serde(rename = "SCMP_CMP_GT")]
    Gt,
    #[serde(rename = "SCMP_CMP_MASKED_EQ")]
    MaskedEq,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Profile, String> {
        let profile: Profile = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        match profile.syscalls.iter().flat_map(|rule| &rule.args).find(|argument| argument.index > 5) {
            Some(argument) => Err(format!("a system call has no argument {}", argument.index)),
            None => Ok(profile),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_read() {
        let text = r#"{"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_MASKED_EQ"}]}]}"#;
        let profile = Profile::parse(text.as_bytes()).unwrap();
        assert_eq!((profile.default_action, profile.syscalls.len()), (Action::Errno, 2));
        for (wrong, expected) in [
            ("", "EOF"),
            (r#"{"defaultAction": "ALLOW"}"#, "unknown variant"),
            (
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}"#,
                "no argument 6",
            ),
        ] {
            let error = Profile::parse(wrong.as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
