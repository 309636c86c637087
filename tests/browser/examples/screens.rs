//! Takes a picture of every page, light and dark, for `docs/images` or another folder.
//!
//! `DRYDOCK_TEST_BINARY=target/release/drydock cargo run -p drydock-tests-browser --example screens -- docs/images`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use drydock_tests_browser::Browser;
use drydock_tests_harness::{Product, Server};
use serde_json::{Value, json};

/// Whoever looks at pictures has this account.
const PASSWORD: &str = "a ship in a dry dock";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let folder = PathBuf::from(std::env::args().nth(1).context("name the folder for the pictures")?);
    std::fs::create_dir_all(&folder)?;
    let product = Product::new();
    let server = Server::start(&product, &["--max-sessions", "5"]);
    let home = format!("http://{}", server.address());
    learner(&home, &folder).await?;
    class(&server, &home, &folder).await
}

/// The page as it is now, light and dark.
async fn shoot(browser: &Browser, folder: &Path, name: &str) -> anyhow::Result<()> {
    for theme in ["dark", "light"] {
        let feature = json!({"features": [{"name": "prefers-color-scheme", "value": theme}]});
        browser.devtools("Emulation.setEmulatedMedia", &feature).await?;
        // The page follows, and its colours change softly.
        let follows = "return document.documentElement.classList.contains('dark')";
        browser.wait_value(follows, &json!(theme == "dark")).await?;
        browser.settled().await?;
        let options = json!({"format": "webp", "quality": 82});
        let answer = browser.devtools("Page.captureScreenshot", &options).await?;
        let picture = answer["data"].as_str().context("Chromium gives the picture")?;
        let picture = base64::engine::general_purpose::STANDARD.decode(picture)?;
        std::fs::write(folder.join(format!("{name}-{theme}.webp")), picture)?;
    }
    Ok(())
}

async fn learner(home: &str, folder: &Path) -> anyhow::Result<()> {
    let browser = Browser::open().await?;
    browser.visit(home).await?;
    browser.wait_for("button[aria-label^='Start: Free playground']").await?;
    shoot(&browser, folder, "catalogue").await?;

    browser.click("button[aria-label^='Start: Services']").await?;
    browser.wait_text(".xterm-rows", "you@drydock").await?;
    let shop = "kubectl create deployment web --image=drydock/demo:v1 --replicas=3; kubectl rollout status deploy web";
    browser.run_typed(shop, "successfully rolled out").await?;
    browser.run_typed("kubectl expose deployment web --type=NodePort --port=80 --target-port=8080", "exposed").await?;
    browser.picture_shows("web").await?;
    shoot(&browser, folder, "session").await?;
    end(&browser).await?;
    shoot(&browser, folder, "ended").await?;

    browser.visit(home).await?;
    browser.click("button[aria-label^='Start: Free playground']").await?;
    browser.wait_text(".xterm-rows", "you@drydock").await?;
    let pods = "kubectl create deployment web --image=drydock/demo:v1 --replicas=8; kubectl rollout status deploy web";
    browser.run_typed(pods, "successfully rolled out").await?;
    shoot(&browser, folder, "playground").await?;
    end(&browser).await?;
    browser.close().await
}

async fn end(browser: &Browser) -> anyhow::Result<()> {
    browser.click_button("End").await?;
    browser.click("dialog[open] button:last-of-type").await?;
    browser.wait_text("main", "You ended this session.").await
}

async fn class(server: &Server, home: &str, folder: &Path) -> anyhow::Result<()> {
    let staff = Browser::open().await?;
    staff.visit(&format!("{home}/staff/setup?token={}", server.setup_token())).await?;
    staff.wait_for("#again").await?;
    shoot(&staff, folder, "setup").await?;
    for (field, text) in [("#name", "Grace"), ("#password", PASSWORD), ("#again", PASSWORD)] {
        staff.fill(field, text).await?;
    }
    staff.click_button("Make the account").await?;
    staff.wait_text("main", "No class yet").await?;
    staff.visit(&format!("{home}/staff/classes/new")).await?;
    staff.wait_text("main", "How a cluster works").await?;
    shoot(&staff, folder, "class-new").await?;

    let plan =
        json!({"title": "Kubernetes, first morning", "lessons": ["first-pod", "services"], "minutes": 90, "size": 12});
    let class = post(&staff, "/api/v1/classes", &plan).await?;
    let (id, code) = (class["id"].as_str().context("an id")?, class["code"].as_str().context("a code")?);
    let mut learners = Vec::new();
    for (name, command) in [
        ("Ada", "kubectl get nodes -o wide"),
        ("林小明", "kubectl run hello --image=drydock/demo:v1"),
        ("Linus", "kubectl get pods -A"),
    ] {
        let browser = Browser::open().await?;
        browser.visit(&format!("{home}/join/{code}")).await?;
        browser.wait_for("main input").await?;
        if learners.is_empty() {
            shoot(&browser, folder, "join").await?;
        }
        browser.fill("main input", name).await?;
        browser.click_button("Join").await?;
        browser.wait_text(".xterm-rows", "you@drydock").await?;
        browser.type_into_terminal(&format!("{command}\n")).await?;
        learners.push(browser);
    }
    let told = json!({"kind": "command", "text": "kubectl get pods -o wide"});
    post(&staff, &format!("/api/v1/classes/{id}/posts"), &told).await?;
    learners[0].wait_text("body", "A command from your instructor").await?;
    shoot(&learners[0], folder, "learner-in-class").await?;

    staff.visit(&format!("{home}/staff/classes/{id}")).await?;
    staff.wait_text("main", "kubectl get pods -A").await?;
    shoot(&staff, folder, "class").await?;
    staff.visit(&format!("{home}/staff/classes/{id}?show=code")).await?;
    staff.wait_text("body", code).await?;
    shoot(&staff, folder, "class-code").await?;
    staff.visit(&format!("{home}/staff/classes/{id}?learner=1")).await?;
    staff.wait_text(".xterm-rows", "worker-2").await?;
    shoot(&staff, folder, "class-terminal").await?;
    // The plots have a point a minute.
    staff.visit(&format!("{home}/staff/server")).await?;
    let points =
        "return [...document.querySelectorAll('main svg path')].some(it => it.getAttribute('d').includes('h0L'))";
    while staff.value(points).await? != json!(true) {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    }
    for (page, says) in [
        ("server", "API routes"),
        ("sessions", "first-pod"),
        ("accounts", "Grace (you)"),
        ("deeds", "/classes"),
        ("account", "Change password"),
    ] {
        staff.visit(&format!("{home}/staff/{page}")).await?;
        staff.wait_text("main", says).await?;
        shoot(&staff, folder, page).await?;
    }
    for browser in learners {
        browser.close().await?;
    }
    staff.close().await
}

/// Has the page send an order.
async fn post(browser: &Browser, path: &str, body: &Value) -> anyhow::Result<Value> {
    let script = format!(
        "window.answer = null;
        fetch({path}, {{method: 'POST', headers: {{'content-type': 'application/json'}}, body: {body}}})
            .then(it => it.json()).then(it => {{ answer = it; }}); return 0",
        path = json!(path),
        body = json!(body.to_string()),
    );
    browser.value(&script).await?;
    browser.wait_value("return answer !== null", &json!(true)).await?;
    browser.value("return answer").await
}
