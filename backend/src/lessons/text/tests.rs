//! A text with everything, and what is refused.

use super::*;

const DEFINITION: &str = r#"
order = 1
minutes = 5
[[step]]
id = "run"
[[step.check]]
id = "there"
resource = "v1/pods"
expression = "size(objects) > 0"
[[step]]
id = "think"
[[step.quiz]]
id = "why"
right = ["b"]
[[step.hint]]
id = "typo"
resource = "v1/pods"
when = "size(objects) == 0"
values = { n = "string(size(objects))" }
"#;

const HEAD: &str = "+++\ntitle = \"T\"\nsummary = \"S\"\ntopic = \"P\"\n+++\n";

fn read(body: &str) -> Result<Text, String> {
    let definition = crate::lessons::definition::parse(DEFINITION).expect("definition");
    parse(&format!("{HEAD}{body}"), &definition, &mut Renderer::new("x"))
}

#[track_caller]
fn refused(body: &str, part: &str) {
    let message = read(body).expect_err("refused");
    assert!(message.contains(part), "{message}");
}

#[test]
fn a_step_with_checks_and_hints() {
    let body = "## Run it {#run}\nDo this.\n\n```sh\nkubectl run x\n## not a heading\n```\n\n### Checks\n- `there`: It is **there**\n\n### Hint\nLook *twice*.\n### Hint\nStill no?\n### After\nIt ran.\n";
    let step = &read(body).expect("text").steps[0];
    assert_eq!((step.id.as_str(), step.title.as_str(), step.line), ("run", "Run it", 6));
    assert_eq!(step.body.len(), 2);
    assert!(
        matches!(&step.body[1], Block::Code { code, run_on: Some(node), .. } if code == "kubectl run x\n## not a heading" && node == "workstation")
    );
    assert_eq!(step.checks, [Check { id: "there".to_owned(), title: "It is **there**".to_owned() }]);
    assert_eq!(step.hints.len(), 2);
    assert!(step.hints[0].html.contains("<em>twice</em>"));
    assert_eq!(step.after.len(), 1);
}

const QUIZ: &str = "### Quiz {#why}\nWhy?\n- `a`: no\n- `b`: because of\n  `x`\n> So *it* is.\n";
const TYPO: &str = "### Hint {#typo}\nThere are `{n}` Pods, {x: 1}.\n";

#[test]
fn a_step_with_a_quiz() {
    let step = &read(&format!("## Think {{#think}}\n{QUIZ}{TYPO}")).expect("text").steps[0];
    let quiz = &step.quizzes[0];
    assert_eq!(quiz.question, "<p>Why?</p>\n");
    assert_eq!(quiz.options[1].html, "because of <code>x</code>");
    assert_eq!(quiz.explanation.as_deref(), Some("<p>So <em>it</em> is.</p>\n"));
    assert_eq!(step.hints[0].id.as_deref(), Some("typo"));
}

#[test]
fn mistakes_name_their_line() {
    refused("## No identifier\n", "line 6: a step's heading");
    refused("Prose.\n## X {#run}\n", "line 6: the head is followed by a step");
    refused("## X {#other}\n", "line 6: step \"other\" is not in lesson.toml");
    refused("## X {#run}\n", "line 6: step \"run\" does not say what its check \"there\"");
    refused("## X {#run}\n### Checks\n- there\n", "line 8: a check is written");
    refused("## X {#run}\n### Notes\n", "line 7: a step's parts");
    refused("## X {#run}\n### Checks\n- `there`: x\n- `more`: x\n", "line 6: check \"more\" of step \"run\" is not in");
    refused("## X {#run}\n```sh loudly\n```\n", "line 6: a code block does not know \"loudly\"");
    refused(&format!("## Think {{#think}}\n{TYPO}"), "does not say what its quiz \"why\"");
    refused(&format!("## Think {{#think}}\n{QUIZ}"), "does not say what its hint \"typo\"");
    refused(&format!("## Think {{#think}}\n{}{TYPO}", QUIZ.replace("`b`", "`c`")), "no answer `b`");
    refused(&format!("## Think {{#think}}\n{QUIZ}{}", TYPO.replace("{n}", "{m}")), "a place {m}");
    refused("## Think {#think}\n### Quiz {#why}\nWhy?\n- `a`: no\n", "line 7: a quiz is a question and at least two");
    refused(
        &format!("## T {{#think}}\n{QUIZ}{TYPO}## X {{#run}}\n### Checks\n- `there`: x\n"),
        "stands at another place",
    );
    let message = parse(
        "+++\ntitle = \n+++\n",
        &crate::lessons::definition::parse(DEFINITION).expect("definition"),
        &mut Renderer::new("x"),
    );
    assert!(message.expect_err("refused").starts_with("line 2: "));
}
