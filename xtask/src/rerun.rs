//! The tests of the whole product: dozens of processes share two processors with a browser, so one that fails is run once more by
//! itself. What passes only then is named at the end, to be mended.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _, stdout};
use std::process::Command;

use anyhow::{Context, bail};

/// More tests than this do not fail by chance.
const AT_MOST: usize = 3;

/// One test of a package: its program, and its name in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Test {
    program: String,
    name: String,
}

/// Runs the tests that `command` (`cargo test …`, without arguments for the test programs) stands for, one at a time.
///
/// # Errors
/// When they cannot be built or run, when more fail than by chance, or one fails twice.
pub(crate) fn run(command: impl Fn() -> Command) -> anyhow::Result<()> {
    let mut first = command();
    let (passed, said) = heard(first.args(["--no-fail-fast", "--", "--test-threads=1"]))?;
    if passed {
        return Ok(());
    }
    let failed = failed(&said);
    if failed.is_empty() || failed.len() > AT_MOST || !are_all(&failed, &said) {
        bail!("{first:?} failed");
    }
    let mut by_program: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for test in &failed {
        by_program.entry(&test.program).or_default().push(&test.name);
    }
    for (program, names) in by_program {
        eprintln!("      once more, alone: {program} {}", names.join(" "));
        let mut again = command();
        again.args(["--test", program, "--", "--test-threads=1", "--exact"]).args(&names);
        let (passed, said) = heard(&mut again)?;
        // A filter that finds nothing passes, too.
        let ran = said.iter().filter(|line| line.starts_with("test ") && line.ends_with(" ... ok")).count();
        if !passed || ran != names.len() {
            bail!("{again:?} failed twice");
        }
        eprintln!("      MEND: {program} {} passed only when run again", names.join(" "));
    }
    Ok(())
}

/// Runs a command that is seen while it runs; whether it succeeded, and what it said.
fn heard(command: &mut Command) -> anyhow::Result<(bool, Vec<String>)> {
    let (reader, writer) = std::io::pipe()?;
    // One pipe for both: which program runs stands in one, which test failed in the other.
    let mut child = command
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .with_context(|| format!("cannot run {command:?}"))?;
    // The ends that `command` holds would keep the pipe open.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut said = Vec::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        writeln!(stdout(), "{line}")?;
        said.push(line);
    }
    Ok((child.wait()?.success(), said))
}

/// The tests that failed, of programs that can be run by name.
fn failed(said: &[String]) -> Vec<Test> {
    let mut program = None;
    let mut found = Vec::new();
    for line in said {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("Running ") {
            // `tests/life.rs (…)` or `tests/escape/main.rs (…)`
            let file = rest.split(' ').next().unwrap_or_default();
            program =
                file.strip_prefix("tests/").map(|it| it.trim_end_matches(".rs").trim_end_matches("/main").to_owned());
        } else if line.starts_with("Doc-tests ") {
            program = None;
        } else if let (Some(name), Some(program)) =
            (line.strip_prefix("test ").and_then(|it| it.strip_suffix(" ... FAILED")), &program)
        {
            found.push(Test { program: program.clone(), name: name.to_owned() });
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Whether each program that cargo calls failed is one of these tests': others crashed, or cannot be run by name.
fn are_all(failed: &[Test], said: &[String]) -> bool {
    // `-p drydock-tests-integration --test life`
    let mut programs = said.iter().filter_map(|line| line.trim().strip_prefix("`-p ")?.strip_suffix('`')).peekable();
    programs.peek().is_some()
        && programs
            .all(|it| it.split_once(" --test ").is_some_and(|(_, name)| failed.iter().any(|it| it.program == name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn who_failed_is_found_by_program_and_name() {
        let said = "     Running unittests src/lib.rs (target/debug/deps/x-1)
test unit ... FAILED
     Running tests/escape/main.rs (target/debug/deps/escape-1)
test files::of_the_host ... FAILED
test others ... ok
     Running tests/life.rs (target/debug/deps/life-1)
test a_disk ... FAILED
failures:
    a_disk
   Doc-tests drydock_tests_integration
test src/lib.rs - thing (line 3) ... FAILED
error: 4 targets failed:
    `-p drydock-tests-integration --lib`";
        let found: Vec<_> = failed(&lines(said)).into_iter().map(|it| (it.program, it.name)).collect();
        let expected = [("escape", "files::of_the_host"), ("life", "a_disk")];
        assert_eq!(found, expected.map(|(program, name)| (program.to_owned(), name.to_owned())));
        assert!(!are_all(&failed(&lines(said)), &lines(said)), "a unit test is not run again");
    }

    /// A shell in place of cargo: it fails as `first` says, and as `then` says when a test is named.
    fn shell(first: &'static str, then: &'static str) -> impl Fn() -> Command {
        move || {
            let mut command = Command::new("sh");
            let script = format!("case \"$1\" in --test) {then};; *) {first};; esac");
            command.args(["-c", &script, "sh"]);
            command
        }
    }

    #[test]
    fn one_that_fails_has_one_more_chance() {
        const ONE: &str = "echo 'Running tests/life.rs (x)' >&2; echo 'test a ... FAILED'
echo ' `-p x --test life`'; exit 101";
        const TWO: &str = "echo 'Running tests/life.rs (x)' >&2; echo 'test a ... FAILED'
echo ' `-p x --test life`'; echo ' `-p x --test crashed`'; exit 101";
        const FOUR: &str =
            "echo 'Running tests/life.rs (x)' >&2; for it in a b c d; do echo \"test $it ... FAILED\"; done
echo ' `-p x --test life`'; exit 101";
        for (first, then, passes) in [
            ("true", "false", true),
            (ONE, "echo 'test a ... ok'", true),
            (ONE, "echo 'test a ... FAILED'; exit 101", false),
            // Nothing was found to run.
            (ONE, "true", false),
            // Another program did not come to the end of its tests.
            (TWO, "echo 'test a ... ok'", false),
            // It could not be built.
            ("exit 101", "echo 'test a ... ok'", false),
            (FOUR, "for it in a b c d; do echo \"test $it ... ok\"; done", false),
        ] {
            assert_eq!(run(shell(first, then)).is_ok(), passes, "{first} / {then}");
        }
    }
}
