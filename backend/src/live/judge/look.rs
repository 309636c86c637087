//! One look at the cluster: expressions, hints, and where asked for commands and probes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use drydock_client::Object as _;
use drydock_protocol::{CheckState, HintStatus};

use super::plan::{self, Phase};
use super::{Depth, State, has_commands, probe};
use crate::lessons::{CheckKind, CommandCheck, Lists, Probe, ResourceName, Scope, Script, StepDefinition, Verdict};
use crate::live::raw::Raw;
use crate::sessions::Found;

/// How long a check's command may take.
const COMMAND: Duration = Duration::from_secs(8);
/// So many requests per body that is still missing: a load balancer chooses as it likes.
const TRIES: usize = 6;

/// Lists by what they hold; none where they are not known yet.
type Scopes<'a> = BTreeMap<&'a Lists, Option<Scope>>;

impl State {
    /// Looks and publishes; whether a step was fulfilled with that.
    pub(super) async fn look(&mut self, depth: Depth) -> bool {
        self.look_at_objects();
        if depth > Depth::Objects && self.has_open_commands() {
            // What is known already is not held back by what takes long.
            self.judge.hub.publish_checks(self.statuses());
            self.run_commands(depth).await;
        }
        let fulfilled = self.fulfilled(depth);
        self.judge.hub.put_steps_done(&fulfilled).await;
        self.judge.hub.publish_checks(self.statuses());
        if !fulfilled.is_empty() {
            self.hints();
        }
        !fulfilled.is_empty()
    }

    fn look_at_objects(&mut self) {
        let (done, _) = self.judge.hub.progress();
        let open: Vec<&str> = self
            .loaded
            .definition
            .steps
            .iter()
            .filter(|step| plan::phase(step, &done) == Phase::Open)
            .map(|step| step.id.as_str())
            .collect();
        let mut scopes = Scopes::new();
        let mut found = Vec::new();
        for expression in self.loaded.expressions.iter().filter(|it| open.contains(&it.step.as_str())) {
            let scope = scopes.entry(&expression.lists).or_insert_with(|| self.scope(&expression.lists));
            let verdict = match scope.as_ref().map(|scope| (expression.program.holds(scope), scope)) {
                None => Verdict { state: CheckState::Unmet, detail: None },
                Some((Ok(holds), scope)) => Verdict {
                    state: if holds { CheckState::Met } else { CheckState::Unmet },
                    detail: expression.detail.as_ref().and_then(|detail| detail.text(scope)),
                },
                Some((Err(reason), _)) => Verdict { state: CheckState::Error, detail: Some(reason) },
            };
            let seen = verdict.detail.clone().unwrap_or_default();
            found.push(((expression.step.clone(), expression.check.clone()), Found { verdict, seen }));
        }
        let hints = self.loaded.hints.iter().filter(|it| open.contains(&it.step.as_str())).filter_map(|hint| {
            let scope = scopes.entry(&hint.lists).or_insert_with(|| self.scope(&hint.lists)).as_ref()?;
            if !hint.when.holds(scope).unwrap_or(false) {
                return None;
            }
            let values = hint.values.iter().map(|(name, value)| Some((name.clone(), value.text(scope)?)));
            let values = values.collect::<Option<BTreeMap<_, _>>>()?;
            Some(HintStatus { step: hint.step.clone(), hint: hint.hint.clone(), values })
        });
        let hints: Vec<_> = hints.collect();
        drop(scopes);
        self.judge.hub.set_hints(hints);
        self.found.extend(found);
    }

    /// Takes back the hints of steps that were just fulfilled.
    fn hints(&self) {
        let (done, _) = self.judge.hub.progress();
        self.judge.hub.keep_hints(|hint| !done.contains(&hint.step));
    }

    fn objects(&self, resource: &ResourceName, namespace: Option<&str>) -> Option<Vec<Arc<Raw>>> {
        let reflector = self.judge.lists.of(resource);
        if !reflector.is_synced() {
            return None;
        }
        let mut objects = reflector.list();
        if let Some(namespace) = namespace {
            // What is in no namespace is in every list.
            objects.retain(|object| object.namespace().is_empty() || object.namespace() == namespace);
        }
        Some(objects)
    }

    fn scope(&self, lists: &Lists) -> Option<Scope> {
        let mut scope = Scope::new();
        let resources = lists.with.iter().map(|(name, resource)| (name.as_str(), resource));
        for (name, resource) in std::iter::once(("objects", &lists.resource)).chain(resources) {
            let objects = self.objects(resource, lists.namespace.as_deref())?;
            scope.add(name, objects.iter().map(|object| &object.value));
        }
        Some(scope)
    }

    /// Runs commands and probes of open steps, one after the other: those of the step that comes next, and of others
    /// whose expressions hold already.
    async fn run_commands(&mut self, depth: Depth) {
        let steps: Vec<StepDefinition> = self
            .loaded
            .definition
            .steps
            .iter()
            .filter(|step| step.is_checked() && self.phase(step) == Phase::Open)
            .cloned()
            .collect();
        for (number, step) in steps.iter().enumerate().filter(|(_, step)| has_commands(step)) {
            let objects_hold = step
                .checks
                .iter()
                .filter(|check| matches!(check.kind, CheckKind::Objects(_)))
                .all(|check| self.state(step, &check.id) == Some(CheckState::Met));
            if depth == Depth::Near && number > 0 && !objects_hold {
                continue;
            }
            for check in &step.checks {
                let found = match &check.kind {
                    CheckKind::Objects(_) => continue,
                    CheckKind::Command(command) => self.command(command).await,
                    CheckKind::Probe(probe) => self.probe(&step.id, &check.id, probe).await,
                };
                tracing::debug!(step.id, check.id, seen = found.seen, "looked");
                self.found.insert((step.id.clone(), check.id.clone()), found);
            }
        }
    }

    async fn command(&self, command: &CommandCheck) -> Found {
        let script = Script { on: command.on.clone(), run: command.run.clone() };
        let output = match self.judge.shell.run(&script, false, &[], COMMAND).await {
            Ok(output) => output,
            // A node that is down is nothing wrong with the lesson.
            Err(reason) => return found(false, None, reason),
        };
        let said = String::from_utf8_lossy(&output.stdout);
        let met = output.code == 0 && command.contains.as_ref().is_none_or(|part| said.contains(part));
        let errors = String::from_utf8_lossy(&output.stderr);
        let excerpt: String = format!("{} {}", said.trim(), errors.trim()).chars().take(300).collect();
        found(met, None, format!("exit {} {excerpt:?}", output.code))
    }

    async fn probe(&mut self, step: &str, check: &str, probe: &Probe) -> Found {
        let host = self.judge.shell.engine().host();
        let nodes = match host.session(self.judge.shell.session()).await {
            Ok(session) => session.nodes,
            Err(error) => return found(false, None, error.to_string()),
        };
        let (registered, services) = (self.judge.lists.core("nodes"), self.judge.lists.core("services"));
        let request = match probe::request(probe, &nodes, &registered, &services) {
            Ok(request) => request,
            Err(reason) => return found(false, None, reason),
        };
        let wanted = usize::from(probe.distinct);
        let limit = Duration::from_secs(probe::SECONDS + 1);
        let mut last = String::new();
        let mut status = None;
        for _ in 0..wanted.max(1) * if wanted > 1 { TRIES } else { 1 } {
            let answer = match self.judge.shell.exec(&request.on, &request.argv, limit).await {
                Ok(output) => probe::answer(&request, &output.stdout)
                    .ok_or_else(|| String::from_utf8_lossy(&output.stderr).trim().chars().take(200).collect()),
                Err(reason) => Err(reason),
            };
            match answer {
                Ok(answer) => {
                    last = answer.excerpt();
                    status = Some(answer.status);
                    if answer.fits(probe) {
                        if self.seen.add(step, check, &answer.body) >= wanted {
                            return found(true, None, last);
                        }
                    } else if wanted == 1 {
                        break;
                    }
                }
                Err(reason) => {
                    last = format!("no answer: {reason}");
                    break;
                }
            }
        }
        let detail = match (wanted, status) {
            (1, status) => status.filter(|status| *status != probe.status).map(|status| status.to_string()),
            (wanted, _) => Some(format!("{} / {wanted}", self.seen.count(step, check).min(wanted))),
        };
        found(false, detail, last)
    }
}

fn found(met: bool, detail: Option<String>, seen: String) -> Found {
    let state = if met { CheckState::Met } else { CheckState::Unmet };
    Found { verdict: Verdict { state, detail }, seen }
}
