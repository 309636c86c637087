//! A pod's own profile (`seccompProfile.type: Localhost`) as filters.
//!
//! A filter knows two answers, a profile many: for each answer there is a filter, and the kernel takes the strictest of
//! what they say. That is the profile's meaning as long as its rules contradict its default, which is all they are for.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::{Rules, table};
use crate::profile::{Action, Compare, Profile, Rule};

fn answer(action: Action, code: Option<u32>) -> SeccompAction {
    match action {
        Action::Allow => SeccompAction::Allow,
        Action::Log => SeccompAction::Log,
        Action::Errno => SeccompAction::Errno(code.unwrap_or(libc::EPERM.unsigned_abs())),
        // Nobody traces containers here: the call fails, as it does anywhere without a tracer.
        Action::Trace => SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        Action::Trap => SeccompAction::Trap,
        Action::Kill | Action::KillThread => SeccompAction::KillThread,
        Action::KillProcess => SeccompAction::KillProcess,
    }
}

/// The filters of a profile.
pub(super) fn compile(profile: &Profile, arch: TargetArch) -> Result<Vec<BpfProgram>, seccompiler::Error> {
    let otherwise = answer(profile.default_action, profile.default_errno_ret);
    let mut by_answer: Vec<(SeccompAction, Rules)> = Vec::new();
    for rule in &profile.syscalls {
        let said = answer(rule.action, rule.errno_ret);
        if said == otherwise {
            continue;
        }
        let at = by_answer.iter().position(|(known, _)| *known == said).unwrap_or_else(|| {
            by_answer.push((said, Rules::new()));
            by_answer.len() - 1
        });
        add(&mut by_answer[at].1, rule)?;
    }
    let mut programs = Vec::new();
    let mut push = |rules: Rules, mismatch: SeccompAction, matched: SeccompAction| {
        let filter = SeccompFilter::new(rules, mismatch, matched, arch)?;
        programs.push(BpfProgram::try_from(filter)?);
        Ok::<_, seccompiler::Error>(())
    };
    if otherwise != SeccompAction::Allow {
        // What any rule speaks of is let through here; a stricter answer comes from the rule's own filter.
        let mut spoken_of = Rules::new();
        for (number, rules) in by_answer.iter().flat_map(|(_, rules)| rules) {
            merge(&mut spoken_of, *number, rules.clone());
        }
        // A filter without a rule is refused; what nobody can call does no harm.
        spoken_of.entry(i64::from(i32::MAX)).or_default();
        push(spoken_of, otherwise, SeccompAction::Allow)?;
    }
    for (said, rules) in by_answer {
        if said != SeccompAction::Allow && !rules.is_empty() {
            push(rules, SeccompAction::Allow, said)?;
        }
    }
    Ok(programs)
}

fn add(rules: &mut Rules, rule: &Rule) -> Result<(), seccompiler::Error> {
    // Names that this kernel's architecture does not have are passed over, as libseccomp does.
    for number in rule.names.iter().filter_map(|name| table::number(name)) {
        merge(rules, number, conditions(rule)?);
    }
    Ok(())
}

/// No condition at all means always, and that wins over conditions.
fn merge(rules: &mut Rules, number: i64, more: Vec<SeccompRule>) {
    match rules.get_mut(&number) {
        Some(present) if present.is_empty() || more.is_empty() => present.clear(),
        Some(present) => present.extend(more),
        None => drop(rules.insert(number, more)),
    }
}

/// Arguments are to match together; two for the same argument are alternatives, as runc has it.
fn conditions(rule: &Rule) -> Result<Vec<SeccompRule>, seccompiler::Error> {
    let condition = |argument: &crate::profile::Argument| -> Result<SeccompCondition, seccompiler::Error> {
        let (op, value) = match argument.op {
            Compare::Ne => (SeccompCmpOp::Ne, argument.value),
            Compare::Lt => (SeccompCmpOp::Lt, argument.value),
            Compare::Le => (SeccompCmpOp::Le, argument.value),
            Compare::Eq => (SeccompCmpOp::Eq, argument.value),
            Compare::Ge => (SeccompCmpOp::Ge, argument.value),
            Compare::Gt => (SeccompCmpOp::Gt, argument.value),
            Compare::MaskedEq => (SeccompCmpOp::MaskedEq(argument.value), argument.value_two),
        };
        Ok(SeccompCondition::new(argument.index, SeccompCmpArgLen::Qword, op, value)?)
    };
    let mut seen = BTreeMap::new();
    rule.args.iter().for_each(|argument| *seen.entry(argument.index).or_insert(0) += 1);
    let all = rule.args.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
    if all.is_empty() {
        return Ok(Vec::new());
    }
    if seen.values().all(|count| *count == 1) {
        return Ok(vec![SeccompRule::new(all)?]);
    }
    all.into_iter().map(|one| Ok(SeccompRule::new(vec![one])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: usize) {
        let profile = Profile::parse(text.as_bytes()).unwrap();
        let arch = std::env::consts::ARCH.try_into().unwrap();
        assert_eq!(compile(&profile, arch).unwrap().len(), expected, "{text}");
    }

    #[test]
    fn an_answer_a_filter() {
        check(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#, 0);
        check(r#"{"defaultAction": "SCMP_ACT_ERRNO"}"#, 1);
        check(r#"{"defaultAction": "SCMP_ACT_LOG"}"#, 1);
        let rule = |action: &str, more: &str| {
            format!(r#"{{"names": ["mkdir", "mkdirat", "never_heard_of"], "action": "{action}"{more}}}"#)
        };
        let profile = |default: &str, rules: &[String]| {
            format!(r#"{{"defaultAction": "{default}", "syscalls": [{}]}}"#, rules.join(","))
        };
        let (allow, deny) = (rule("SCMP_ACT_ALLOW", ""), rule("SCMP_ACT_ERRNO", r#", "errnoRet": 38"#));
        check(&profile("SCMP_ACT_ERRNO", &[allow.clone()]), 1);
        check(&profile("SCMP_ACT_ERRNO", &[allow.clone(), deny.clone()]), 2);
        check(&profile("SCMP_ACT_ALLOW", &[allow, deny.clone()]), 1);
        check(&profile("SCMP_ACT_ALLOW", &[deny, rule("SCMP_ACT_KILL_PROCESS", "")]), 2);
        let args = r#", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]"#;
        check(&profile("SCMP_ACT_ERRNO", &[rule("SCMP_ACT_ALLOW", args)]), 1);
        let unknown = r#"{"names": ["never_heard_of"], "action": "SCMP_ACT_ERRNO"}"#.to_owned();
        check(&profile("SCMP_ACT_ALLOW", &[unknown]), 0);
    }
}
