//! A lesson of the operator's own on the session page: a file for the editor, a hint about this learner's cluster, a
//! question, a step that waits, and what just happened.

use drydock_tests_browser::Browser;
use drydock_tests_harness::{Product, Server};
use serde_json::json;

const SETTINGS: &str = r#"
order = 1
minutes = 5
kind = "challenge"
workers = 1

[[step]]
id = "write"

[[step.check]]
id = "there"
resource = "v1/configmaps"
namespace = "default"
expression = "objects.exists(it, it.metadata.name == 'menu' && it.data.soup == 'tomato')"
detail = "string(objects.size())"

[[step.hint]]
id = "other"
resource = "v1/configmaps"
namespace = "default"
when = "objects.exists(it, it.metadata.name == 'menu' && it.data.soup != 'tomato')"
values = { soup = "objects.filter(it, it.metadata.name == 'menu')[0].data.soup" }

[[step.quiz]]
id = "where"
right = ["b"]

[[step]]
id = "again"
needs = ["write"]

[[step.check]]
id = "second"
resource = "v1/configmaps"
namespace = "default"
expression = "objects.exists(it, it.metadata.name == 'second')"
"#;

const TEXT: &str = r#"+++
title = "Soup of the day"
summary = "A ConfigMap holds a menu."
topic = "Kitchen"
+++
## Write the menu {#write}
```yaml file=menu.yaml
apiVersion: v1
kind: ConfigMap
metadata:
  name: menu
data:
  soup: <b>onion</b>
```
### Checks
- `there`: The ConfigMap `menu` offers `tomato`
### Quiz {#where}
Where is a ConfigMap kept?
- `a`: on a worker
- `b`: in etcd
> The API server keeps every object in **etcd**.
### Hint {#other}
Your menu offers `{soup}`.
### Hint
Change the file and apply it again.
### After
The API server stored a new revision.
## And another {#again}
```sh
kubectl create configmap second
```
### Checks
- `second`: There is a ConfigMap `second`
"#;

#[tokio::test]
async fn a_lesson_checks_hints_asks_waits_and_tells() -> anyhow::Result<()> {
    let product = Product::new();
    let folder = product.data().join("lessons/soup");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("lesson.toml"), SETTINGS)?;
    std::fs::write(folder.join("en.md"), TEXT)?;
    let server = Server::start(&product, &[]);
    let browser = Browser::open().await?;
    browser.visit(&format!("http://{}/", server.address())).await?;
    browser.wait_text("main", "Challenge").await?;
    browser.click("button[aria-label='Start: Soup of the day']").await?;
    browser.wait_text(".xterm-rows", "you@drydock").await?;

    // The step that waits says for what.
    browser.click_button("Next step").await?;
    browser.wait_text("main", "This step counts as soon as these are done:\n\nWrite the menu").await?;
    browser.click_button("Previous").await?;

    // The file lies in the home folder; applied as it is, the hint speaks of what it holds, as text.
    browser.click_button("Open in editor").await?;
    browser.wait_text(".cm-content", "<b>onion</b>").await?;
    browser.click_button("Apply").await?;
    browser.wait_text(".live-hint", "Your menu offers <b>onion</b>.").await?;
    browser.wait_value("return document.querySelectorAll('.live-hint b').length", &json!(0)).await?;
    browser.click_button("Stuck? Show a hint").await?;
    browser.wait_text("main", "Change the file and apply it again.").await?;

    browser.click("#tab-workstation").await?;
    browser.type_into_terminal("sed -i s/.b.onion.*/tomato/ menu.yaml; kubectl apply -f menu.yaml\n").await?;
    browser.wait_count("li.check-met", 1).await?;
    browser.wait_gone(".live-hint").await?;

    browser.click("input[type=radio][value=a]").await?;
    browser.click_button("Check answer").await?;
    browser.wait_text("main", "Not quite.").await?;
    browser.click("input[type=radio][value=b]").await?;
    browser.click_button("Check answer").await?;
    browser.wait_text(".quiz-right", "The API server keeps every object in etcd.").await?;
    browser.wait_text("main", "The API server stored a new revision.").await?;
    browser.is_accessible("lesson").await?;
    browser.screenshot("lesson").await?;

    // All of it is still there after a reload.
    browser.reload().await?;
    browser.wait_text(".quiz-right", "The API server keeps every object in etcd.").await?;
    browser.wait_text("main", "The API server stored a new revision.").await?;
    browser.click_button("Next step").await?;
    browser.wait_text("h1", "And another").await?;
    browser.click("button[aria-label='Run in the terminal: kubectl create configmap second']").await?;
    browser.wait_text(".xterm-rows", "configmap/second created").await?;
    browser.wait_text("main", "You finished this lesson").await?;
    browser.no_errors().await?;
    browser.close().await
}
