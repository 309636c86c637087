//! The session page on the real server: terminals, files, the editor with the genuine kubectl, the keyboard alone.

use drydock_tests_browser::{Browser, Key};
use drydock_tests_harness::{Product, Server};
use serde_json::json;

const PLAYGROUND: &str = "button[aria-label='Start: Free playground']";
const NEW: &str = "button[aria-label='New terminal or file']";

/// A server, and a window on a playground with its prompt.
async fn playground(product: &Product) -> anyhow::Result<(Server, Browser)> {
    let server = Server::start(product, &[]);
    let browser = Browser::open().await?;
    browser.visit(&format!("http://{}/", server.address())).await?;
    browser.click(PLAYGROUND).await?;
    browser.wait_text(".xterm-rows", "you@drydock").await?;
    Ok((server, browser))
}

#[tokio::test]
async fn a_manifest_is_written_refused_at_its_line_applied_and_compared() -> anyhow::Result<()> {
    let product = Product::new();
    let (_server, browser) = playground(&product).await?;
    browser
        .type_into_terminal(
            "printf '%s\\n' 'apiVersion: v1' 'kind: ConfigMap' 'metadata:' '  name: menu' 'dta:' '  soup: tomato' > menu.yaml; echo writ''ten\n",
        )
        .await?;
    browser.wait_text(".xterm-rows", "written").await?;
    browser.click("button[aria-label='Files']").await?;
    browser.click("button[aria-label='Open menu.yaml']").await?;
    browser.wait_text(".cm-content", "soup: tomato").await?;

    browser.click_button("Apply").await?;
    browser.wait_text("main", "Not accepted").await?;
    browser.wait_text("main", "unknown field \"dta\"").await?;
    browser.wait_for(".cm-lint-marker-error").await?;
    // The complaint leads to its line, where it can be mended by typing.
    browser.click("ul button:has(.text-bad)").await?;
    browser.keys(&char::from(Key::Home).to_string()).await?;
    browser.chord(&[Key::Shift], &char::from(Key::End).to_string()).await?;
    browser.keys("data:").await?;
    browser.wait_text(".cm-content", "data:").await?;
    browser.wait_text("main", "Not saved").await?;

    browser.click_button("Apply").await?;
    browser.wait_text("main", "configmap/menu created").await?;
    browser.wait_gone(".cm-lint-marker-error").await?;
    browser.click_button("Diff").await?;
    browser.wait_text("main", "No differences").await?;
    browser.click(".cm-line:nth-child(6)").await?;
    browser.keys(&char::from(Key::End).to_string()).await?;
    browser.keys(" and basil").await?;
    browser.click_button("Diff").await?;
    browser.wait_text("main", "+  soup: tomato and basil").await?;

    // A comparison leaves the file alone; what was typed is still there after a reload.
    browser.reload().await?;
    browser.wait_text(".cm-content", "tomato and basil").await?;
    browser.wait_text("main", "Not saved").await?;
    browser.click("#tab-workstation").await?;
    browser.type_into_terminal("grep -c basil menu.yaml\n").await?;
    browser.wait_text(".xterm-rows", "\n0").await?;
    browser.no_errors().await?;
    browser.close().await
}

#[tokio::test]
async fn a_terminal_copies_takes_files_withstands_floods_and_comes_back() -> anyhow::Result<()> {
    let product = Product::new();
    let (_server, browser) = playground(&product).await?;

    browser.type_into_terminal("echo copied-''word\n").await?;
    browser.wait_text(".xterm-rows", "\ncopied-word").await?;
    browser.select_first_word("copied-word").await?;
    browser.chord(&[Key::Control], "c").await?;
    // No interrupt was sent: the prompt is the same, and takes what is pasted.
    browser.type_into_terminal("echo two-").await?;
    browser.chord(&[Key::Control, Key::Shift], "v").await?;
    browser.wait_text(".xterm-rows", "# echo two-copied-word").await?;
    browser.type_into_terminal("\n").await?;
    browser.wait_text(".xterm-rows", "\ntwo-copied-word").await?;

    browser.type_into_terminal("yes\n").await?;
    browser.wait_text(".xterm-rows", "\ny\ny\ny").await?;
    browser.chord(&[Key::Control], "c").await?;
    browser.type_into_terminal("echo sto''pped\n").await?;
    browser.wait_text(".xterm-rows", "\nstopped").await?;

    let file = product.scratch().join("greeting.txt");
    std::fs::write(&file, "你好，叢集\n".repeat(50_000))?;
    browser.pick_file(&file).await?;
    browser.wait_text("main", "Uploaded to ~/greeting.txt").await?;
    browser.type_into_terminal("sort -u greeting.txt; wc -l < greeting.txt\n").await?;
    browser.wait_text(".xterm-rows", "你好，叢集").await?;
    browser.wait_text(".xterm-rows", "\n50000").await?;
    let size = "const link = location.pathname.replace('/sessions/', '/api/v1/sessions/') + '/files/greeting.txt';
        return fetch(link).then(it => it.arrayBuffer()).then(it => it.byteLength)";
    assert_eq!(browser.value(size).await?, json!(16 * 50_000));
    std::fs::File::create(&file)?.set_len(9 << 20)?;
    browser.pick_file(&file).await?;
    browser.wait_text("main", "greeting.txt is larger than 8 MB").await?;

    browser.click(NEW).await?;
    browser.click_button("worker-1").await?;
    browser.wait_text(".xterm-rows", "worker-1:").await?;
    browser.click("button[aria-label='Split: terminal beside this one']").await?;
    browser.wait_text(".xterm-rows", "you@drydock").await?;
    browser.reload().await?;
    browser.wait_text(".xterm-rows", "worker-1:").await?;
    browser.wait_text(".xterm-rows", "you@drydock").await?;
    browser.click("#tab-workstation").await?;
    browser.wait_text(".xterm-rows", "50000").await?;
    browser.no_errors().await?;
    browser.close().await
}

#[tokio::test]
async fn the_keyboard_alone_is_enough_and_nothing_is_hidden_from_those_who_listen() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let browser = Browser::open().await?;
    browser.visit(&format!("http://{}/", server.address())).await?;
    browser.wait_text("main", "Your first Pod").await?;
    browser.is_accessible("catalogue").await?;
    let enter = char::from(Key::Enter).to_string();
    browser.tab_to("button[aria-label='Start: Your first Pod']", 60).await?;
    browser.keys(&enter).await?;
    browser.wait_text(".xterm-rows", "you@drydock").await?;
    browser.wait_text("main", "Meet your cluster").await?;
    browser.wait_for("input[type=radio][value=master]").await?;
    browser.is_accessible("session").await?;

    // F6 goes around; the terminal keeps Tab for itself.
    let f6 = char::from(Key::F6).to_string();
    let terminal = "return document.activeElement.matches('.xterm-helper-textarea')";
    for _ in 0..4 {
        if browser.value(terminal).await? == json!(true) {
            break;
        }
        browser.keys(&f6).await?;
    }
    browser.keys(&format!("kubectl get nodes{enter}")).await?;
    browser.wait_text(".xterm-rows", "worker-2").await?;
    browser.keys(&f6).await?;
    browser.tab_to("[aria-label='Steps'] button:not([aria-current])", 40).await?;
    browser.keys(&enter).await?;
    browser.wait_text("h1", "Run a Pod").await?;
    // The focus is on the new step's title; its first command is not far.
    browser.tab_to("button[aria-label^='Run in the terminal: kubectl run hello']", 20).await?;
    browser.keys(&enter).await?;
    browser.wait_text(".xterm-rows", "pod/hello created").await?;
    browser.wait_value("return document.querySelectorAll('li.check-met').length", &json!(2)).await?;

    // A menu by arrows and Esc, a question by Esc.
    browser.keys(&f6).await?;
    browser.tab_to(NEW, 80).await?;
    browser.keys(&enter).await?;
    browser.wait_for("[role=menuitem]:focus").await?;
    browser.is_accessible("menu").await?;
    browser.keys(&char::from(Key::Down).to_string()).await?;
    browser.wait_value("return document.activeElement.textContent", &json!("master")).await?;
    browser.keys(&char::from(Key::Escape).to_string()).await?;
    browser.wait_gone("[role=menuitem]").await?;
    browser.wait_for(&format!("{NEW}:focus")).await?;
    browser.click_button("Reset").await?;
    browser.wait_for("dialog[open]").await?;
    browser.is_accessible("question").await?;
    browser.keys(&char::from(Key::Escape).to_string()).await?;
    browser.wait_gone("dialog[open]").await?;

    browser.click("button[aria-label='Switch to dark theme']").await?;
    browser.wait_for("html.dark").await?;
    browser.is_accessible("session, dark").await?;
    browser.choose_language("zh-TW").await?;
    browser.wait_for("html[lang='zh-TW']").await?;
    browser.wait_text("h1", "執行一個 Pod").await?;
    browser.is_accessible("session in Chinese").await?;
    browser.no_errors().await?;
    browser.close().await
}
