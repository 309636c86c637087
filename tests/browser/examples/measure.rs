//! Measures the page in Chromium: how soon it can be used, and how smoothly the picture moves with 60 and 1,000 Pods.
//!
//! `DRYDOCK_TEST_BINARY=target/release/drydock cargo run --release -p drydock-tests-browser --example measure`

use std::io::Write as _;

use drydock_tests_browser::Browser;
use drydock_tests_harness::{Product, Server};
use serde_json::json;

/// Loads of the first page in each circumstance, each with an empty cache.
const LOADS: usize = 5;

/// Notes when the first lesson can be started, and when tasks end that keep the page from answering.
const WATCH: &str = r#"window.seen = null; window.ends = [0];
    new PerformanceObserver(list => ends.push(...list.getEntries().map(it => it.startTime + it.duration)))
        .observe({ type: "longtask", buffered: true });
    new MutationObserver((_, it) => {
        if (!document.querySelector("button[aria-label^='Start']")) return;
        seen = performance.now();
        it.disconnect();
    }).observe(document, { subtree: true, childList: true });"#;

/// Collects the time of each frame.
const COLLECT: &str =
    "window.frames_at = []; const frame = now => { frames_at.push(now); requestAnimationFrame(frame); };
    requestAnimationFrame(frame); return 0";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let home = format!("http://{}/", server.address());
    for (name, slow) in [("this machine", false), ("10 Mbit/s, 40 ms away, a processor 4 times as slow", true)] {
        let mut times = Vec::new();
        for _ in 0..LOADS {
            times.push(load(&home, slow).await?);
        }
        times.sort_by(f64::total_cmp);
        say(&format!("usable after {:.0} ms (median of {LOADS}, {name})", times[LOADS / 2]))?;
    }
    frames(&home).await
}

fn say(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// Milliseconds until the first page can be used: its lessons can be started, and no long task follows.
async fn load(home: &str, slow: bool) -> anyhow::Result<f64> {
    let browser = Browser::open().await?;
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({"source": WATCH})).await?;
    if slow {
        browser.devtools("Network.enable", &json!({})).await?;
        let line =
            json!({"offline": false, "latency": 40, "downloadThroughput": 1_250_000, "uploadThroughput": 1_250_000});
        browser.devtools("Network.emulateNetworkConditions", &line).await?;
        browser.devtools("Emulation.setCPUThrottlingRate", &json!({"rate": 4})).await?;
    }
    browser.visit(home).await?;
    browser
        .wait_value("return seen !== null && performance.now() - Math.max(seen, ...ends) > 2000", &json!(true))
        .await?;
    let time = browser.value("return Math.max(seen, ...ends)").await?.as_f64().unwrap_or(f64::NAN);
    browser.close().await?;
    Ok(time)
}

/// Says how long frames took since they are collected.
async fn tell(browser: &Browser, what: &str) -> anyhow::Result<()> {
    let script = "const times = frames_at.slice(1).map((it, at) => it - frames_at[at]).sort((a, b) => a - b);
        const sum = times.reduce((a, b) => a + b, 0);
        frames_at.length = 0;
        return [times.length / sum * 1000, times[Math.floor(times.length * 0.95)], times.at(-1)]";
    let found = browser.value(script).await?;
    let number = |at: usize| found[at].as_f64().unwrap_or(f64::NAN);
    say(&format!("{what}: {:.0} frames/s, 95 % within {:.0} ms, longest {:.0} ms", number(0), number(1), number(2)))
}

async fn frames(home: &str) -> anyhow::Result<()> {
    let browser = Browser::open().await?;
    browser.visit(home).await?;
    browser.click("button[aria-label='Start: Free playground']").await?;
    browser.wait_text(".xterm-rows", "you@drydock").await?;
    let sixty =
        "kubectl create deployment web --image=drydock/demo:v1 --replicas=60; kubectl rollout status deployment web";
    browser.run_typed(sixty, "successfully rolled out").await?;
    browser.value(COLLECT).await?;
    browser
        .run_typed("kubectl rollout restart deployment web; kubectl rollout status deployment web", "successfully")
        .await?;
    tell(&browser, "60 Pods, all replaced").await?;
    let gone =
        "kubectl delete deployment web --cascade=foreground; kubectl wait --for=delete pod -l app=web; echo go''ne";
    browser.run_typed(gone, "gone").await?;

    browser.value("frames_at.length = 0; return 0").await?;
    // In parts, for two processors make them, show them and measure. Nodes refuse most of these, and none can start: what is
    // measured is the page.
    for (part, node) in [(1, "worker-1"), (2, "worker-2"), (3, "worker-1"), (4, "worker-2")] {
        let pods = format!(
            "for i in $(seq 250); do printf 'apiVersion: v1\\nkind: Pod\\nmetadata: {{name: p-{part}-%s}}\\nspec: {{nodeName: {node}, containers: [{{name: c, image: none}}]}}\\n---\\n' $i; done"
        );
        browser
            .run_typed(&format!("{pods} | kubectl create -f - | tail -n 1"), &format!("pod/p-{part}-250 created"))
            .await?;
    }
    tell(&browser, "1,000 Pods, coming").await?;
    browser.settled().await?;
    browser.screenshot("thousand").await?;
    browser.value("frames_at.length = 0; return 0").await?;
    for key in ["+", "+", "-", "-"] {
        browser.focus("svg.diagram g[tabindex='0']").await?;
        browser.keys(key).await?;
        browser.settled().await?;
    }
    tell(&browser, "1,000 Pods, made larger and smaller").await?;
    browser.close().await
}
