//! A class from its plan to its removal: an instructor and three learners, each in a browser of their own.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use drydock_tests_browser::Browser;
use drydock_tests_harness::{Product, Server, http};
use serde_json::json;

const PASSWORD: &str = "a ship in a dry dock";
/// A name with markup, as the server and pages must show it and nothing else.
const WANG: &str = "<b>王小明</b>";
/// The beginning that the instructor plans: local time, so near that clusters are made ready now.
const SOON: &str = "const at = new Date(Date.now() + 4 * 60000 - new Date().getTimezoneOffset() * 60000);
    return at.toISOString().slice(0, 16)";

/// Makes the first account with the link on the console, and a class of two lessons that begins soon: its code.
async fn plan(ines: &Browser, server: &Server) -> anyhow::Result<String> {
    let link = format!("http://{}/staff/setup?token={}", server.address(), server.setup_token());
    ines.visit(&link).await?;
    ines.fill("#name", "Ines").await?;
    ines.fill("#password", PASSWORD).await?;
    ines.fill("#again", PASSWORD).await?;
    ines.click_button("Make the account").await?;
    ines.wait_text("main", "No class yet").await?;
    ines.click("a[href='/staff/classes/new']").await?;
    ines.fill("#title", "Pods on Monday").await?;
    ines.choose("Your first Pod").await?;
    ines.choose("Services").await?;
    ines.choose("At a fixed time").await?;
    let soon = ines.value(SOON).await?;
    ines.pick("input[type=datetime-local]", soon.as_str().context("a time")?).await?;
    ines.fill("input[type=number][max='1440']", "30").await?;
    ines.fill("input[type=number][max='500']", "3").await?;
    ines.look("class-new").await?;
    ines.click_button("Make the class").await?;
    ines.wait_text("main", "Nobody has joined yet").await?;
    ines.wait_text("main", "Begins in").await?;
    ines.wait_text("main", "Lesson 1 of 2").await?;
    let code = ines.value("return /\\b[A-Z]{7}\\b/.exec(document.querySelector('main').innerText)?.[0] ?? ''").await?;
    let code = code.as_str().unwrap_or_default().to_owned();
    anyhow::ensure!(code.len() == 7, "the page shows no code");
    Ok(code)
}

/// How many clusters are ready for whoever comes next.
fn warm(server: &Server) -> Option<String> {
    let page = http::raw(server.address(), "GET", "/metrics", "");
    page.lines().find_map(|line| line.strip_prefix("drydock_warm_clusters ")).map(|it| it.trim().to_owned())
}

/// Waits until so many clusters are ready ahead.
async fn wait_warm(server: &Server, count: &str) {
    let end = Instant::now() + Duration::from_secs(90);
    loop {
        let seen = warm(server);
        if seen.as_deref() == Some(count) {
            return;
        }
        assert!(Instant::now() < end, "{seen:?} clusters are ready in place of {count}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Says a name at the door, and waits until the cluster is ready.
async fn enter(learner: &Browser, name: &str) -> anyhow::Result<()> {
    learner.wait_text("main", "Pods on Monday").await?;
    learner.fill("input[name=name]", name).await?;
    learner.click_button("Join").await?;
    learner.wait_text("aside", name).await?;
    learner.wait_text("header", "3 nodes Ready").await?;
    learner.wait_text(".xterm-rows", "you@drydock").await
}

/// The tile of a learner on the instructor's page.
fn tile(number: u32) -> String {
    format!("li:has(a[href='?learner={number}'])")
}

/// Minutes that the class has left.
async fn minutes_left(ines: &Browser) -> anyhow::Result<u32> {
    let clock = ines.value("return document.querySelector('[role=timer]').textContent").await?;
    let minutes = clock.as_str().and_then(|it| it.split(':').next()?.parse().ok());
    minutes.with_context(|| format!("no clock: {clock}"))
}

#[tokio::test]
async fn an_instructor_with_three_learners_through_a_class() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let home = format!("http://{}", server.address());
    let ines = Browser::open().await?;
    let code = plan(&ines, &server).await?;
    ines.look("class-empty").await?;
    ines.click("a[href='?show=code']").await?;
    ines.wait_text("[data-code]", &code).await?;
    ines.look("class-code").await?;
    ines.click("a[href='?']").await?;

    // The beginning is near: a cluster for each who is expected is there before anybody comes.
    wait_warm(&server, "3").await;

    // One by the link, one by typing the code as people do, one with a name that must stay a name.
    let (ada, bob, wang) = (Browser::open().await?, Browser::open().await?, Browser::open().await?);
    ada.visit(&format!("{home}/join/{code}")).await?;
    ada.wait_text("main", "Your name").await?;
    ada.inspect("join-name").await?;
    enter(&ada, "Ada").await?;
    wait_warm(&server, "2").await;
    bob.visit(&format!("{home}/")).await?;
    bob.click("a[href='/join']").await?;
    bob.wait_text("h1", "Join a class").await?;
    bob.inspect("join-code").await?;
    bob.fill("input[name=code]", "no").await?;
    bob.click_button("Go on").await?;
    bob.wait_text("[role=alert]", "seven letters").await?;
    let (begin, end) = code.split_at(3);
    bob.fill("input[name=code]", &format!("{}-{}", begin.to_lowercase(), end.to_lowercase())).await?;
    bob.click_button("Go on").await?;
    enter(&bob, "Ada").await?;
    bob.wait_text("aside", "Ada (2)").await?;
    wang.visit(&format!("{home}/join/{code}")).await?;
    wang.choose_language("zh-TW").await?;
    wang.wait_text("main", "Pods on Monday").await?;
    wang.fill("input[name=name]", WANG).await?;
    wang.click("form button[type=submit]").await?;
    wang.wait_text("aside", WANG).await?;
    wang.wait_text(".xterm-rows", "you@drydock").await?;
    for name in ["Ada", "Ada (2)", WANG] {
        ines.wait_text("main", name).await?;
    }
    ines.click_button("Begin now").await?;
    ines.wait_text("main", "Under way").await?;

    // What they do is seen as it happens: a command, a step that is done, a hand.
    ines.wait_text(&tile(2), "Step 1 of").await?;
    ada.type_into_terminal("kubectl get nodes\n").await?;
    ines.wait_text(&tile(1), "$ kubectl get nodes").await?;
    bob.click("input[type=radio][value=master]").await?;
    bob.click_button("Check answer").await?;
    ines.wait_text(&tile(2), "Step 2 of").await?;
    bob.click_button("Next step").await?;
    bob.type_into_terminal("kubectl run hello --image=drydock/demo:v1\n").await?;
    bob.all_green(2).await?;
    ines.wait_text(&tile(2), "Step 3 of").await?;
    ines.wait_text(&tile(2), "$ kubectl run hello").await?;
    wang.click_button("舉手").await?;
    ines.wait_text(&tile(3), "Asks for help").await?;

    // Told to all: a message, and a command that a button runs.
    ines.fill("#tell", "Look at `worker-1` in the picture.").await?;
    ines.click_button("Send").await?;
    for learner in [&ada, &bob, &wang] {
        learner.wait_text("article.rise", "Look at worker-1 in the picture").await?;
    }
    ines.choose("Command").await?;
    ines.fill("#tell", "echo from-the-in''structor").await?;
    ines.click_button("Send").await?;
    bob.wait_text("body", "A command from your instructor").await?;
    bob.is_accessible("a session in a class").await?;
    bob.screenshot("class-told").await?;
    bob.click("article.rise pre + button").await?;
    bob.wait_text(".xterm-rows", "from-the-instructor").await?;
    ines.wait_text(&tile(2), "$ echo from-the-in''structor").await?;
    ines.value("document.activeElement.blur(); window.scrollTo(0, 0)").await?;
    ines.look("class-grid").await?;

    together(&ines, &ada).await?;
    pause(&ines, &ada, &wang).await?;

    // More time, for the class and all clusters.
    let before = minutes_left(&ines).await?;
    ines.click_button("10 min more").await?;
    ines.wait_value("return +document.querySelector('[role=timer]').textContent.split(':')[0] > 32", &json!(true))
        .await?;
    let after = minutes_left(&ines).await?;
    assert!(after >= before + 9, "{after} minutes after {before}");

    // Who reloads is where they were.
    wang.reload().await?;
    wang.wait_text("aside", WANG).await?;
    wang.wait_text("aside", "放下手").await?;

    ines.click_button("End class").await?;
    ines.click("dialog[open] button:last-of-type").await?;
    for learner in [&ada, &bob] {
        learner.wait_text("main", "The class is over").await?;
    }
    ines.wait_text("main", "Over").await?;
    progress(&ines, product.scratch()).await?;
    ines.click_button("Remove data").await?;
    ines.click("dialog[open] button:last-of-type").await?;
    ines.wait_text("main", "No class yet").await?;
    let late = format!("{home}/join/{code}");
    ada.visit(&late).await?;
    ada.wait_text("main", "There is no class with this code").await?;
    // The one page that asks for what is held, and what is not there any more, logs that it is not given.
    ada.no_errors().await.err().context("409 and 404 are in the log")?;
    for window in [bob, wang, ines] {
        window.no_errors().await?;
        window.close().await?;
    }
    ada.close().await
}

/// The instructor looks at a terminal; the learner sees it, is asked, agrees, and ends it.
async fn together(ines: &Browser, ada: &Browser) -> anyhow::Result<()> {
    ines.click("a[href='?learner=1']").await?;
    ines.wait_text(".xterm-rows", "kubectl get nodes").await?;
    ines.wait_text("main", "Read only").await?;
    ada.wait_text("aside", "Your instructor is looking at your terminal").await?;
    ines.type_into_terminal("echo with''out\n").await?;
    ines.click_button("Ask to type too").await?;
    ada.wait_text("[role=alertdialog]", "May your instructor type in your terminal?").await?;
    ada.is_accessible("being asked").await?;
    ada.screenshot("class-asked").await?;
    ada.click_button("Allow").await?;
    ines.wait_text("main", "You may type, too").await?;
    ines.type_into_terminal("echo tog''ether\n").await?;
    ada.wait_text(".xterm-rows", "together").await?;
    ines.wait_text(".xterm-rows", "together").await?;
    ines.look("class-watch").await?;
    let typed = ada.value("return document.querySelector('.xterm-rows').innerText").await?;
    assert!(!typed.to_string().contains("without"), "typed before it was allowed: {typed}");
    ada.click_button("End this").await?;
    ines.wait_text("main", "Read only").await?;
    ines.click("main a[href='?']").await
}

/// The instructor asks for attention: terminals take no input, and nothing else changes the cluster, until the class goes on.
async fn pause(ines: &Browser, ada: &Browser, wang: &Browser) -> anyhow::Result<()> {
    ines.click_button("Pause").await?;
    wang.wait_text("[role=alert]", "課堂暫停中").await?;
    ada.wait_text("[role=alert]", "The class is paused").await?;
    ada.is_accessible("a paused class").await?;
    ada.type_into_terminal("echo in-the-pa''use\n").await?;
    ada.click_button("Reset").await?;
    ada.click("dialog[open] button:last-of-type").await?;
    ada.wait_text("body", "nothing changes the cluster until your instructor goes on").await?;
    ada.wait_text("header", "3 nodes Ready").await?;
    ada.screenshot("class-paused").await?;
    ines.click_button("Go on").await?;
    ines.wait_text("main", "Under way").await?;
    ada.wait_gone("p[role=alert]").await?;
    ada.type_into_terminal("echo after''wards\n").await?;
    ada.wait_text(".xterm-rows", "afterwards").await?;
    let typed = ada.value("return document.querySelector('.xterm-rows').innerText").await?;
    assert!(!typed.to_string().contains("in-the-pause"), "typed in the pause: {typed}");
    Ok(())
}

/// The table of progress has a row for each, and what they did.
async fn progress(ines: &Browser, folder: &std::path::Path) -> anyhow::Result<()> {
    let folder = folder.join("downloads");
    std::fs::create_dir_all(&folder)?;
    ines.download_to(&folder).await?;
    ines.click("main a[download]").await?;
    let table = ines.downloaded(&folder, ".csv").await?;
    let row = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    assert!(row("Ada,").contains(",0,"), "{table}");
    assert!(row("Ada (2),").contains(",2,"), "{table}");
    assert!(!row(WANG).is_empty(), "{table}");
    Ok(())
}
