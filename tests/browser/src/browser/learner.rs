//! What learners do all the time: run the lesson's commands, answer its questions, go on.

use anyhow::Context;
use fantoccini::Locator;
use fantoccini::key::Key;
use serde_json::json;

use super::Browser;

/// The shell waits: its last line ends with a prompt, which may stand behind `^C`.
const IDLE: &str = r"const rows = [...document.querySelectorAll('.xterm-rows > div')]
    .map(it => it.textContent.replaceAll('\u00a0', ' ').trimEnd()).filter(it => it);
    return /you@drydock:[^ ]+[#$]$/.test(rows.at(-1) ?? '')";
/// Nothing but a prompt is on the screen.
const CLEAN: &str = r"const rows = [...document.querySelectorAll('.xterm-rows > div')]
    .map(it => it.textContent.replaceAll('\u00a0', ' ').trimEnd()).filter(it => it);
    return rows.length === 1 && /^you@drydock:[^ ]+[#$]$/.test(rows[0])";

impl Browser {
    /// Waits for the prompt and clears the screen, so that what is said next is said about what comes next.
    async fn clean_screen(&self) -> anyhow::Result<()> {
        self.wait_value(IDLE, &json!(true)).await.context("the shell is busy")?;
        self.click(".xterm-screen").await?;
        self.chord(&[Key::Control], "l").await?;
        self.wait_value(CLEAN, &json!(true)).await.context("the screen is not clean")
    }

    /// Clicks *Run* at the block whose commands hold a text, and waits until the terminal says something.
    ///
    /// # Errors
    /// When there is no such block, or the terminal says something else.
    pub async fn run_block(&self, holds: &str, says: &str) -> anyhow::Result<()> {
        self.clean_screen().await?;
        let path = format!("//article//button[contains(@aria-label, \"{holds}\")]");
        let run = self.client.find(Locator::XPath(&path)).await;
        run.with_context(|| format!("no block runs {holds:?}"))?.click().await?;
        self.wait_text(".xterm-rows", says).await.with_context(|| format!("after {holds:?}"))
    }

    /// Types a command at the prompt and waits until the terminal says something.
    ///
    /// # Errors
    /// When the terminal says something else.
    pub async fn run_typed(&self, command: &str, says: &str) -> anyhow::Result<()> {
        self.clean_screen().await?;
        self.type_into_terminal(&format!("{command}\n")).await?;
        self.wait_text(".xterm-rows", says).await.with_context(|| format!("after {command:?}"))
    }

    /// Answers the step's question with these options.
    ///
    /// # Errors
    /// When there is no such option.
    pub async fn answer(&self, options: &[&str], check: &str) -> anyhow::Result<()> {
        for option in options {
            self.click(&format!("fieldset input[value='{option}']")).await?;
        }
        self.click_button(check).await
    }

    /// Waits until all of the step's checks are green.
    ///
    /// # Errors
    /// When they are not.
    pub async fn all_green(&self, checks: usize) -> anyhow::Result<()> {
        self.wait_count("li.check-met", checks).await
    }

    /// Goes on to the step of this title.
    ///
    /// # Errors
    /// When another one comes.
    pub async fn next_step(&self, next: &str, title: &str) -> anyhow::Result<()> {
        self.click_button(next).await?;
        self.wait_text("h1", title).await
    }
}
