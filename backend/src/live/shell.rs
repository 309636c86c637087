//! What the lesson engine does on a session's nodes. They are a learner's, who rules them as root: whatever runs there
//! is bounded in time, what it says is bounded by the host, and nothing of it is trusted.

use std::time::Duration;

use drydock_engine::host::{ExecOutput, HostError};
use drydock_engine::native::{NODE_SHELL, WORKSTATION};
use drydock_engine::{Engine, NodeFault};

use crate::faults;
use crate::lessons::{Act, Script};

/// How much later than inside the node a command is given up outside of it.
const SLACK: Duration = Duration::from_secs(2);

/// Runs things in one session.
#[derive(Clone)]
pub(crate) struct Shell {
    engine: Engine,
    session: String,
}

impl Shell {
    /// For the session of that name.
    pub(crate) fn new(engine: &Engine, session: &str) -> Shell {
        Shell { engine: engine.clone(), session: session.to_owned() }
    }

    /// The engine.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The session's name.
    pub(super) fn session(&self) -> &str {
        &self.session
    }

    /// Runs a script with `arguments`. With `strict`, the first command that fails ends it.
    ///
    /// # Errors
    /// What could not be done; a script that fails is an outcome.
    pub(crate) async fn run(
        &self,
        script: &Script,
        strict: bool,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<ExecOutput, String> {
        let seconds = limit.as_secs().max(1).to_string();
        let flags = if strict { "-ec" } else { "-c" };
        let head: Vec<&str> = if script.on == WORKSTATION {
            vec!["timeout", "-k", "1", &seconds, "bash", flags, &script.run, "bash"]
        } else {
            vec![NODE_SHELL, "timeout", "-k", "1", &seconds, NODE_SHELL, "sh", flags, &script.run, "sh"]
        };
        let argv: Vec<_> = head.into_iter().chain(arguments.iter().copied()).map(str::to_owned).collect();
        self.exec(&script.on, &argv, limit).await
    }

    /// Runs a program.
    ///
    /// # Errors
    /// What could not be done; a program that fails is an outcome.
    pub(super) async fn exec(&self, node: &str, argv: &[String], limit: Duration) -> Result<ExecOutput, String> {
        let run = self.engine.host().exec(&self.session, node, argv);
        match tokio::time::timeout(limit + SLACK, run).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error @ HostError::NoNode { .. })) => Err(error.to_string()),
            Ok(Err(error)) => Err(format!("{node} does not answer: {error}")),
            Err(_) => Err(format!("{node} did not answer within {} s", limit.as_secs())),
        }
    }

    /// Does something to the cluster.
    ///
    /// # Errors
    /// What failed, with what was said last.
    pub(crate) async fn act(&self, act: &Act, limit: Duration) -> Result<(), String> {
        let (engine, session) = (&self.engine, self.session.as_str());
        let outcome = match act {
            Act::Run(script) => {
                let output = self.run(script, true, &[], limit).await?;
                return if output.code == 0 { Ok(()) } else { Err(failure(script, &output, limit)) };
            }
            Act::Heal(node) => engine.fault_node(session, node, NodeFault::Heal).await,
            Act::AddNode => engine.add_node(session).await.map(|_| ()),
            Act::Fault(fault) => faults::perform(engine, session, &fault.told(), true).await,
        };
        outcome.map_err(|error| crate::error::chain(&error))
    }

    /// Writes a file into the workstation's home folder.
    ///
    /// # Errors
    /// What could not be done.
    pub(super) async fn write(&self, name: &str, text: &str, limit: Duration) -> Result<(), String> {
        let run = "cd ~ && printf %s \"$2\" > \"$1\"".to_owned();
        let script = Script { on: WORKSTATION.to_owned(), run };
        let output = self.run(&script, true, &[name, text], limit).await?;
        if output.code == 0 { Ok(()) } else { Err(failure(&script, &output, limit)) }
    }
}

/// What a script that failed said last.
fn failure(script: &Script, output: &ExecOutput, limit: Duration) -> String {
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(6)..].join(" | ");
    // `timeout` ends with 124, or 137 where it had to kill.
    let how = match output.code {
        124 | 137 => format!("did not end within {} s", limit.as_secs()),
        code => format!("ended with {code}"),
    };
    format!("on {} `{}` {how}: {last}", script.on, script.run.trim())
}
