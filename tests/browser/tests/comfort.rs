//! What makes the session page comfortable: a file taken home from the shell, edits that are not lost, the picture's size,
//! a tablet's touch, an input method.

use drydock_tests_browser::{Browser, Key};
use drydock_tests_harness::{Product, Server};
use serde_json::{Value, json};

/// A playground with its prompt.
async fn playground(server: &Server) -> anyhow::Result<Browser> {
    let browser = Browser::open().await?;
    browser.visit(&format!("http://{}/", server.address())).await?;
    browser.click("button[aria-label='Start: Free playground']").await?;
    browser.wait_text(".xterm-rows", "you@drydock").await?;
    Ok(browser)
}

#[tokio::test]
async fn files_are_taken_home_and_edits_are_not_lost() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let browser = playground(&server).await?;
    let (home, offer) = (product.scratch().join("home"), "[role=status] a[download]");
    std::fs::create_dir(&home)?;
    let behaviour = json!({"behavior": "allow", "downloadPath": home});
    browser.devtools("Browser.setDownloadBehavior", &behaviour).await?;

    browser.run_typed("mkdir -p lab; echo 你好 > 'lab/my notes.txt'; download 'lab/my notes.txt'", "download").await?;
    browser.wait_text("[role=status]", "~/lab/my notes.txt is ready for you").await?;
    // Nothing is fetched before the learner says so.
    anyhow::ensure!(std::fs::read_dir(&home)?.next().is_none(), "the file came without being asked for");
    browser.click(offer).await?;
    drydock_tests_harness::wait_for("the file", || match std::fs::read_to_string(home.join("my notes.txt")) {
        Ok(text) if text == "你好\n" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    browser.run_typed("download nothing", "nothing is no file").await?;
    browser.run_typed("download /etc/hosts", "is not in your home folder").await?;
    // What the screen of old says is no offer; neither is a path that leads out.
    browser.reload().await?;
    browser.wait_text(".xterm-rows", "is not in your home folder").await?;
    browser.run_typed(r"printf '\e]5522;download;../etc/passwd\a'; echo o''ver", "over").await?;
    browser.wait_gone(offer).await?;

    // A file that changes under unsaved edits.
    browser.run_typed("echo 'soup: tomato' > menu.yaml; echo wri''tten", "written").await?;
    browser.click("button[aria-label='Files']").await?;
    browser.click("button[aria-label='Open menu.yaml']").await?;
    browser.wait_text(".cm-content", "soup: tomato").await?;
    browser.click(".cm-line").await?;
    browser.keys(&char::from(Key::End).to_string()).await?;
    browser.keys(" and basil").await?;
    browser.wait_text("main", "Not saved").await?;
    browser.click("#tab-workstation").await?;
    browser.run_typed("echo 'soup: onion' > menu.yaml; echo wri''tten", "written").await?;
    browser.click("#tab-menu-yaml, [role=tab][title='menu.yaml']").await?;
    browser.wait_text("[role=alert]", "This file changed on disk").await?;
    browser.screenshot("editor-warning").await?;
    browser.click_button("Load from disk").await?;
    browser.wait_text(".cm-content", "soup: onion").await?;
    browser.wait_gone("main [role=alert]").await?;
    // The same again, seen only when it is saved; the second time it is meant.
    browser.click(".cm-line").await?;
    browser.keys(&char::from(Key::End).to_string()).await?;
    browser.keys(" and thyme").await?;
    let write = "const link = location.pathname.replace('/sessions/', '/api/v1/sessions/') + '/files/menu.yaml';
        return fetch(link, { method: 'PUT', body: 'soup: leek\\n' }).then(it => it.status)";
    browser.wait_value(write, &json!(200)).await?;
    browser.click_button("Save").await?;
    browser.wait_text("[role=alert]", "This file changed on disk").await?;
    browser.wait_text("main", "Not saved").await?;
    browser.click_button("Save").await?;
    browser.wait_text("main", "Saved").await?;
    browser.click("#tab-workstation").await?;
    browser.run_typed("cat menu.yaml", "soup: onion and thyme").await?;
    browser.no_errors().await?;
    browser.close().await
}

/// Where things of the picture stand, whatever its size.
const PLACES: &str =
    "return [...document.querySelectorAll('svg.diagram g.place')].map(it => it.style.transform).join()";

#[tokio::test]
async fn the_picture_grows_and_shrinks_and_its_things_stay() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let browser = playground(&server).await?;
    browser.wait_count("g.good[aria-label^='worker-']", 2).await?;
    browser.wait_count("g.pod.good", 2).await?;
    let (places, width) = (browser.value(PLACES).await?, "return document.querySelector('svg.diagram').clientWidth");
    let before = browser.value(width).await?.as_f64().unwrap_or_default();
    browser.click("button[aria-label='Larger']").await?;
    browser.wait_text("[data-zoom]", "120 %").await?;
    let after = browser.value(width).await?.as_f64().unwrap_or_default();
    anyhow::ensure!((after / before - 1.2).abs() < 0.01, "{before} became {after}");
    browser.focus("svg.diagram g[tabindex='0']").await?;
    browser.keys("+").await?;
    browser.wait_text("[data-zoom]", "144 %").await?;
    browser.keys("--").await?;
    browser.wait_text("[data-zoom]", "100 %").await?;
    browser.keys("-").await?;
    browser.wait_text("[data-zoom]", "83 %").await?;
    browser.keys("0").await?;
    browser.wait_text("[data-zoom]", "100 %").await?;

    // The wheel keeps what is below the pointer where it is.
    let at = "const it = document.querySelector(\"g[aria-label^='worker-2']\").getBoundingClientRect();
        return [it.left, it.top]";
    let corner = browser.value(at).await?;
    let (x, y) = (corner[0].as_f64().unwrap_or_default(), corner[1].as_f64().unwrap_or_default());
    let wheel = json!({"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": -200, "modifiers": 2});
    browser.devtools("Input.dispatchMouseEvent", &wheel).await?;
    browser.wait_text("[data-zoom]", "165 %").await?;
    let stays = format!(
        "const it = document.querySelector(\"g[aria-label^='worker-2']\").getBoundingClientRect();
        return Math.hypot(it.left - {x}, it.top - {y}) < 4"
    );
    browser.wait_value(&stays, &json!(true)).await?;
    browser.wait_value(PLACES, &places).await?;
    browser.screenshot("zoom").await?;
    browser.click("[data-zoom]").await?;
    browser.wait_text("[data-zoom]", "100 %").await?;
    browser.wait_value(PLACES, &places).await?;
    browser.no_errors().await?;
    browser.close().await
}

/// Draws a finger from one place to another.
async fn drag(browser: &Browser, from: (f64, f64), to: (f64, f64)) -> anyhow::Result<()> {
    let touch = async |kind: &str, points: Value| {
        browser.devtools("Input.dispatchTouchEvent", &json!({"type": kind, "touchPoints": points})).await
    };
    touch("touchStart", json!([{"x": from.0, "y": from.1}])).await?;
    for part in 1..=4 {
        let at = |a: f64, b: f64| a + (b - a) * f64::from(part) / 4.0;
        touch("touchMove", json!([{"x": at(from.0, to.0), "y": at(from.1, to.1)}])).await?;
    }
    touch("touchEnd", json!([])).await?;
    Ok(())
}

#[tokio::test]
async fn a_tablet_is_enough() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let browser = Browser::open().await?;
    let screen = json!({"width": 1024, "height": 768, "deviceScaleFactor": 1, "mobile": true});
    browser.devtools("Emulation.setDeviceMetricsOverride", &screen).await?;
    browser.devtools("Emulation.setTouchEmulationEnabled", &json!({"enabled": true, "maxTouchPoints": 2})).await?;
    browser.visit(&format!("http://{}/", server.address())).await?;
    browser.click("button[aria-label='Start: Your first Pod']").await?;
    browser.wait_text(".xterm-rows", "you@drydock").await?;
    browser.wait_value("return document.documentElement.scrollWidth <= innerWidth", &json!(true)).await?;
    let middle = async |selector: &str| -> anyhow::Result<(f64, f64)> {
        browser.wait_for(selector).await?;
        browser.settled().await?;
        let script = format!(
            "const it = document.querySelector(\"{selector}\").getBoundingClientRect();
            return [it.left + it.width / 2, it.top + it.height / 2]"
        );
        let at = browser.value(&script).await?;
        Ok((at[0].as_f64().unwrap_or_default(), at[1].as_f64().unwrap_or_default()))
    };

    // A finger is not as exact as a mouse: it takes the border from ten pixels away.
    let splitter = "[role=separator][aria-orientation=vertical]";
    let share = format!("return Number(document.querySelector('{splitter}').ariaValueNow)");
    let before = browser.value(&share).await?.as_f64().unwrap_or_default();
    let (x, y) = middle(splitter).await?;
    drag(&browser, (x + 10.0, y), (x + 110.0, y)).await?;
    let after = browser.value(&share).await?.as_f64().unwrap_or_default();
    anyhow::ensure!(after > before + 7.0, "a finger moved the border from {before} to {after}");
    let across = "[role=separator][aria-orientation=horizontal]";
    let (x, y) = middle(across).await?;
    drag(&browser, (x, y), (x, y + 80.0)).await?;
    browser.wait_value("return document.querySelectorAll('[data-dragging]').length", &json!(0)).await?;

    let (x, y) = middle("g[aria-label^='etcd']").await?;
    browser
        .devtools("Input.dispatchTouchEvent", &json!({"type": "touchStart", "touchPoints": [{"x": x, "y": y}]}))
        .await?;
    browser.devtools("Input.dispatchTouchEvent", &json!({"type": "touchEnd", "touchPoints": []})).await?;
    browser.wait_text("aside[aria-label='Details']", "etcd").await?;
    browser.settled().await?;
    browser.screenshot("tablet").await?;
    browser.no_errors().await?;
    browser.close().await
}

#[tokio::test]
async fn an_input_method_composes_in_terminal_and_editor() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let browser = playground(&server).await?;
    // Zhuyin as it is typed, then the words that were chosen.
    let compose = async |steps: &[&str], chosen: &str| -> anyhow::Result<()> {
        for step in steps {
            let length = step.chars().count();
            let composition = json!({"text": step, "selectionStart": length, "selectionEnd": length});
            browser.devtools("Input.imeSetComposition", &composition).await?;
        }
        browser.devtools("Input.insertText", &json!({"text": chosen})).await?;
        Ok(())
    };
    browser.run_typed("echo re''ady", "ready").await?;
    browser.type_into_terminal("echo ").await?;
    compose(&["ㄋ", "ㄋㄧ", "ㄋㄧˇ", "你ㄏ", "你ㄏㄠˇ"], "你好").await?;
    browser.wait_text(".xterm-rows", "# echo 你好").await?;
    browser.type_into_terminal("，叢集\n").await?;
    browser.wait_text(".xterm-rows", "\n你好，叢集").await?;

    browser.run_typed("echo '# ' > memo.yaml; echo wri''tten", "written").await?;
    browser.click("button[aria-label='Files']").await?;
    browser.click("button[aria-label='Open memo.yaml']").await?;
    browser.wait_text(".cm-content", "#").await?;
    browser.click(".cm-line").await?;
    browser.keys(&char::from(Key::End).to_string()).await?;
    compose(&["ㄐ", "ㄐㄧ", "ㄐㄧㄝˊ", "節ㄉ", "節ㄉㄧㄢˇ"], "節點").await?;
    browser.click_button("Save").await?;
    browser.wait_text("main", "Saved").await?;
    browser.click("#tab-workstation").await?;
    browser.run_typed("cat memo.yaml", "\n# 節點").await?;
    browser.no_errors().await?;
    browser.close().await
}
