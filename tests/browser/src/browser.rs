//! Chromium through its driver, with waits that tell what they saw last.

mod driver;
mod form;
mod learner;
mod snapshot;

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// How long the page may take to show something.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

/// A browser window; driver and browser end with it.
pub struct Browser {
    client: Client,
    driver: Child,
    port: u16,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A test that failed has not closed its window, and a driver that is killed leaves the browser behind.
        let group = i32::try_from(self.driver.id()).map(Pid::from_raw);
        let _ = group.map(|group| killpg(group, Signal::SIGKILL));
        let _ = self.driver.wait();
    }
}

impl Browser {
    /// Starts the driver on a free port and opens a window.
    pub async fn open() -> anyhow::Result<Browser> {
        Self::open_with(&[]).await
    }

    /// A window in which a host that is nobody else's is a server of the test (`host:port`, or a host with every port).
    pub async fn open_where(host: &str, is: &str) -> anyhow::Result<Browser> {
        // A name without certificate is tried with TLS first otherwise.
        Self::open_with(&[&format!("--host-resolver-rules=MAP {host} {is}"), "--disable-features=HttpsUpgrades"]).await
    }

    async fn open_with(more: &[&str]) -> anyhow::Result<Browser> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("chromedriver is missing: run the tests through `cargo xtask test`")?;
        let profile = tempfile::tempdir()?;
        let mut options = json!({
            "binary": "/usr/bin/chromium",
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-quic",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--lang=en-US",
                "--window-size=1440,900", format!("--user-data-dir={}", profile.path().display()),
            ],
        });
        if let Some(arguments) = options["args"].as_array_mut() {
            arguments.extend(more.iter().map(|it| json!(it)));
        }
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        capabilities.insert("goog:loggingPrefs".to_owned(), json!({"browser": "ALL"}));
        let address = format!("http://127.0.0.1:{port}");
        let end = Instant::now() + PATIENCE;
        let client = loop {
            match ClientBuilder::new(HttpConnector::new()).capabilities(capabilities.clone()).connect(&address).await {
                Ok(client) => break client,
                Err(error) if Instant::now() >= end => return Err(error).context("chromedriver does not answer"),
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        };
        Ok(Browser { client, driver, port, _profile: profile })
    }

    /// Goes to an address.
    pub async fn visit(&self, address: &str) -> anyhow::Result<()> {
        Ok(self.client.goto(address).await?)
    }

    /// Goes on in the tab that the page has opened, once it is there.
    pub async fn follow_to_new_tab(&self) -> anyhow::Result<()> {
        let here = self.client.window().await?;
        let other = self
            .patiently(async || {
                let other = self.client.windows().await?.into_iter().find(|it| *it != here);
                Ok(other.ok_or_else(|| "no tab was opened".to_owned()))
            })
            .await?;
        Ok(self.client.switch_to_window(other).await?)
    }

    /// Closes this tab and goes on in the one before.
    pub async fn close_tab(&self) -> anyhow::Result<()> {
        self.client.close_window().await?;
        let first = self.client.windows().await?.into_iter().next().context("a tab is left")?;
        Ok(self.client.switch_to_window(first).await?)
    }

    /// Loads the page anew.
    pub async fn reload(&self) -> anyhow::Result<()> {
        Ok(self.client.refresh().await?)
    }

    /// Ends the window.
    pub async fn close(self) -> anyhow::Result<()> {
        Ok(self.client.clone().close().await?)
    }

    /// Clicks what a selector finds, once it is there.
    pub async fn click(&self, selector: &str) -> anyhow::Result<()> {
        self.wait_for(selector).await?;
        let element = self.client.find(Locator::Css(selector)).await?;
        element.click().await.with_context(|| format!("cannot click {selector}"))?;
        Ok(())
    }

    /// Clicks the button with this text.
    pub async fn click_button(&self, text: &str) -> anyhow::Result<()> {
        self.click_path(&format!("//button[normalize-space(.)='{text}']"), &format!("button {text:?}")).await
    }

    /// Clicks what an XPath finds, once it is there and can be clicked.
    async fn click_path(&self, path: &str, what: &str) -> anyhow::Result<()> {
        self.patiently(async || {
            let clicked = match self.client.find(Locator::XPath(path)).await {
                Ok(found) => found.click().await.is_ok(),
                Err(_) => false,
            };
            Ok(if clicked { Ok(()) } else { Err(format!("there is no {what}")) })
        })
        .await
    }

    /// Looks again and again until something is found; when the page had its time, says what was seen last, and what the page says.
    async fn patiently<T>(
        &self,
        mut look: impl AsyncFnMut() -> anyhow::Result<Result<T, String>>,
    ) -> anyhow::Result<T> {
        let end = Instant::now() + PATIENCE;
        loop {
            match look().await? {
                Ok(found) => return Ok(found),
                Err(seen) if Instant::now() >= end => bail!("{seen}; the page says:\n{}", self.text("body").await),
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Waits until a selector finds something.
    pub async fn wait_for(&self, selector: &str) -> anyhow::Result<()> {
        self.wait_count(selector, 1).await
    }

    /// Waits until a selector finds at least so many.
    pub async fn wait_count(&self, selector: &str, count: usize) -> anyhow::Result<()> {
        self.patiently(async || {
            let found = self.client.find_all(Locator::Css(selector)).await?.len();
            Ok(if found >= count { Ok(()) } else { Err(format!("{selector}: {found} in place of {count}")) })
        })
        .await
    }

    /// Waits until an element holds a text.
    pub async fn wait_text(&self, selector: &str, text: &str) -> anyhow::Result<()> {
        self.patiently(async || {
            let seen = self.text(selector).await;
            // A terminal's rows pad with non-breaking spaces.
            let says = seen.replace('\u{a0}', " ").contains(text);
            Ok(if says { Ok(()) } else { Err(format!("{selector} does not say {text:?}; it says:\n{seen}")) })
        })
        .await
    }

    async fn text(&self, selector: &str) -> String {
        let script = "return Array.from(document.querySelectorAll(arguments[0])).map(it => it.innerText ?? it.textContent).join('\\n')";
        let text = self.client.execute(script, vec![json!(selector)]).await.unwrap_or_default();
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Types as a person would, into the terminal that has the focus.
    ///
    /// # Errors
    /// When there is no terminal.
    pub async fn type_into_terminal(&self, text: &str) -> anyhow::Result<()> {
        self.click(".xterm-screen").await?;
        let area = self.client.find(Locator::Css(".xterm-helper-textarea")).await?;
        area.send_keys(&text.replace('\n', &char::from(Key::Enter).to_string())).await?;
        Ok(())
    }

    /// Waits until nothing is found any more.
    pub async fn wait_gone(&self, selector: &str) -> anyhow::Result<()> {
        self.patiently(async || {
            let is_gone = self.client.find_all(Locator::Css(selector)).await?.is_empty();
            Ok(if is_gone { Ok(()) } else { Err(format!("{selector} is still there")) })
        })
        .await
    }

    /// Waits until a script gives this value.
    pub async fn wait_value(&self, script: &str, expected: &Value) -> anyhow::Result<()> {
        self.patiently(async || {
            let seen = self.client.execute(script, Vec::new()).await?;
            Ok(if seen == *expected { Ok(()) } else { Err(format!("{script} gives {seen} in place of {expected}")) })
        })
        .await
    }

    /// What a script gives.
    pub async fn value(&self, script: &str) -> anyhow::Result<Value> {
        Ok(self.client.execute(script, Vec::new()).await?)
    }

    /// Presses keys where the focus is.
    pub async fn keys(&self, keys: &str) -> anyhow::Result<()> {
        Ok(self.client.active_element().await?.send_keys(keys).await?)
    }

    /// Presses a key while others are held.
    pub async fn chord(&self, held: &[Key], key: &str) -> anyhow::Result<()> {
        let held: String = held.iter().map(|it| char::from(*it)).collect();
        self.keys(&format!("{held}{key}{}", char::from(Key::Null))).await
    }

    /// Presses Tab until the focus is on what a selector finds; fails after `most` presses.
    pub async fn tab_to(&self, selector: &str, most: usize) -> anyhow::Result<()> {
        let script = "return document.activeElement?.matches(arguments[0]) ?? false";
        for _ in 0..most {
            if self.client.execute(script, vec![json!(selector)]).await? == json!(true) {
                return Ok(());
            }
            self.keys(&char::from(Key::Tab).to_string()).await?;
        }
        bail!("{most} presses of Tab do not reach {selector}");
    }

    /// Picks a file in the page's field for uploads.
    pub async fn pick_file(&self, file: &std::path::Path) -> anyhow::Result<()> {
        let field = self.client.find(Locator::Css("input[type=file]")).await?;
        Ok(field.send_keys(&file.display().to_string()).await?)
    }

    /// Double-clicks the word that a terminal's row begins with.
    pub async fn select_first_word(&self, row: &str) -> anyhow::Result<()> {
        let script = "const row = [...document.querySelectorAll('.xterm-rows > div')].filter(it => it.textContent.replaceAll('\u{a0}', ' ').trim() === arguments[0]).pop();
            if (!row) return false;
            const { left, top, height } = row.getBoundingClientRect();
            const screen = document.querySelector('.xterm-screen');
            const at = { bubbles: true, cancelable: true, view: window, clientX: left + 12, clientY: top + height / 2, button: 0, detail: 2 };
            screen.dispatchEvent(new MouseEvent('mousedown', { ...at, buttons: 1 }));
            document.dispatchEvent(new MouseEvent('mouseup', at));
            return true;";
        let found = self.client.execute(script, vec![json!(row)]).await?;
        anyhow::ensure!(found == json!(true), "the terminal has no row {row:?}");
        Ok(())
    }

    /// Runs axe-core over the page; fails on serious and critical findings.
    pub async fn is_accessible(&self, place: &str) -> anyhow::Result<()> {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../frontend/node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(file).context("axe-core is missing: build the web app first")?;
        self.settled().await?;
        let script = "const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
            // It reads the texts of a drawing without the space between them.
            const without = { 'label-content-name-mismatch': { enabled: false } };
            return axe.run(document, { runOnly: rules, rules: without }).then(it => it.violations
                .filter(it => it.impact === 'serious' || it.impact === 'critical')
                .map(it => it.id + ': ' + it.nodes.map(it => it.html + ' ' + it.failureSummary).join('; ')));";
        let found = self.client.execute(&format!("{axe}\n{script}"), Vec::new()).await?;
        anyhow::ensure!(found == json!([]), "{place}: {found:#}");
        Ok(())
    }

    /// Waits until nothing moves or fades in any more; a spinner always does.
    pub async fn settled(&self) -> anyhow::Result<()> {
        let moving = "return document.getAnimations().filter(it => it.playState === 'running'
            && it.effect.getComputedTiming().iterations !== Infinity).length";
        self.wait_value(moving, &json!(0)).await
    }

    /// Gives the keyboard to what a selector finds.
    pub async fn focus(&self, selector: &str) -> anyhow::Result<()> {
        self.wait_for(selector).await?;
        self.client.execute("document.querySelector(arguments[0]).focus()", vec![json!(selector)]).await?;
        Ok(())
    }

    /// Presses a key, by the name that browsers give it, where the keyboard is.
    pub async fn press(&self, key: &str) -> anyhow::Result<()> {
        let key = match key {
            "Enter" => Key::Enter,
            "Escape" => Key::Escape,
            "Tab" => Key::Tab,
            "ArrowLeft" => Key::Left,
            "ArrowRight" => Key::Right,
            "ArrowUp" => Key::Up,
            "ArrowDown" => Key::Down,
            _ => bail!("no key {key:?}"),
        };
        let value = char::from(key);
        let keyboard = KeyActions::new("keyboard".to_owned());
        let press = keyboard.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        Ok(self.client.perform_actions(press).await?)
    }

    /// Waits until the picture has an item of this name.
    pub async fn picture_shows(&self, name: &str) -> anyhow::Result<()> {
        self.wait_for(&format!("svg g[role='button'][aria-label*='{name}']")).await
    }

    /// Waits until the picture has no item of this name.
    pub async fn picture_hides(&self, name: &str) -> anyhow::Result<()> {
        self.wait_gone(&format!("svg g[role='button'][aria-label*='{name}']")).await
    }

    /// Chooses the interface's language.
    pub async fn choose_language(&self, tag: &str) -> anyhow::Result<()> {
        self.wait_for("header select").await?;
        let select = self.client.find(Locator::Css("header select")).await?;
        Ok(select.select_by_value(tag).await?)
    }

    /// Saves a picture of the window where CI's and people's eyes can find it.
    pub async fn screenshot(&self, name: &str) -> anyhow::Result<()> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/screenshots");
        std::fs::create_dir_all(folder)?;
        Ok(std::fs::write(format!("{folder}/{name}.png"), self.client.screenshot().await?)?)
    }

    /// Fails when the page logged an error. What was logged before is not told again.
    pub async fn no_errors(&self) -> anyhow::Result<()> {
        let answer = self.ask_driver("se/log", &json!({"type": "browser"})).await?;
        let entries = answer.as_array().context("the driver gives the log")?;
        // Pages have their icon elsewhere; what learners serve may have none.
        let icon = |entry: &Value| entry["message"].as_str().is_some_and(|it| it.contains("/favicon.ico "));
        let errors: Vec<_> = entries.iter().filter(|entry| entry["level"] == "SEVERE" && !icon(entry)).collect();
        anyhow::ensure!(errors.is_empty(), "the page logged {errors:?}");
        Ok(())
    }
}
