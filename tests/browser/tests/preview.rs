//! What a learner serves, opened from the page: by menu, picture, details and terminal, and by nobody else.

use drydock_tests_browser::Browser;
use drydock_tests_harness::{Cluster, Product, Server, http};
use serde_json::json;

/// An address for documentation, at which these browsers find the server: they do not take it for their own machine's.
const ELSEWHERE: &str = "192.0.2.7";
/// A page with a style sheet and a script that says what it gets hold of.
const SITE: &str = r##"
apiVersion: v1
kind: ConfigMap
metadata: {name: site}
data:
  index.html: |
    <!doctype html><title>Site</title><link rel=stylesheet href=looks/style.css>
    <p id=said>nothing yet</p><form action=thanks.html><button>Send</button></form><script src=script.js></script>
  thanks.html: <!doctype html><title>Thanks</title><p id=said>thank you</p>
  style.css: "body { color: rgb(1, 2, 3) }"
  script.js: |
    const attempt = what => { try { return what() || "none" } catch { return "none" } };
    const said = [origin, attempt(() => document.cookie), attempt(() => localStorage.length + " stored")];
    const me = fetch("/api/v1/me", { credentials: "include" }).then(answer => answer.text(), () => "refused");
    const own = fetch("thanks.html").then(answer => answer.status, () => "refused");
    Promise.all([me, own]).then(more => { document.querySelector("#said").textContent = said.concat(more).join(", ") });
---
apiVersion: v1
kind: Pod
metadata: {name: site, labels: {app: site}}
spec:
  volumes:
  - {name: site, configMap: {name: site, items: [
      {key: index.html, path: index.html}, {key: thanks.html, path: thanks.html}, {key: script.js, path: script.js},
      {key: style.css, path: looks/style.css}]}}
  containers:
  - name: site
    image: drydock/demo:v1
    command: [busybox, httpd, -f, -p, "8080", -h, /site]
    readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
    volumeMounts: [{name: site, mountPath: /site}]
---
apiVersion: v1
kind: Service
metadata: {name: site}
spec: {type: NodePort, selector: {app: site}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
"##;

#[tokio::test]
async fn an_ingress_host_opens_from_the_page() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let browser = Browser::open().await?;
    browser.visit(&format!("http://{}/", server.address())).await?;
    browser.click("button[aria-label='Start: Ingress: one door for many websites']").await?;
    browser.wait_text("header", "3 nodes Ready").await?;
    browser.wait_text(".xterm-rows", "you@drydock").await?;
    browser.click("header button[aria-label='Open in the browser']").await?;
    browser.wait_text("header [role=menu]", "Nothing to open yet").await?;
    browser.type_into_terminal("kubectl create deployment shop --image=drydock/demo:v1\n").await?;
    browser.type_into_terminal("kubectl expose deployment shop --port=80 --target-port=8080 --type=NodePort\n").await?;
    browser.type_into_terminal("kubectl create ingress shop --rule='shop.example.com/*=shop:80'\n").await?;
    browser.type_into_terminal("kubectl rollout status deployment shop\n").await?;
    browser.wait_text(".xterm-rows", "successfully rolled out").await?;
    browser.wait_count(".diagram .opens", 2).await?;
    browser.click("header button[aria-label='Open in the browser']").await?;
    browser.wait_text("header [role=menu]", "http://shop.example.com/").await?;
    browser.is_accessible("the menu of what opens").await?;
    browser.screenshot("previews").await?;

    browser.click("header a[href*='shop-example-com--ingress']").await?;
    browser.follow_to_new_tab().await?;
    browser.wait_text("body", "demo v1 from shop-").await?;
    let address = browser.value("return location.href").await?;
    let address = address.as_str().unwrap_or_default().to_owned();
    assert!(address.contains("://shop-example-com--ingress--s-") && address.contains(".localhost:"), "{address}");
    assert_eq!(browser.value("return document.cookie").await?, json!(""));
    browser.close_tab().await?;

    // The mark in the picture, and the details.
    browser.click(".diagram .opens").await?;
    browser.follow_to_new_tab().await?;
    browser.wait_text("body", "demo v1 from shop-").await?;
    browser.close_tab().await?;
    browser.click("[id='Ingress/default/shop'], .diagram [aria-label^='Ingress shop']").await?;
    browser.wait_for("aside a[href*='shop-example-com--ingress']").await?;
    browser.is_accessible("the details of an Ingress").await?;
    browser.no_errors().await?;

    // The kubeconfig is to be had and to be taken back.
    browser.click("header button[aria-label='Open in the browser']").await?;
    browser.wait_text("header [role=menu]", "Kubeconfig for your own kubectl").await?;
    browser.click("header [role=menu] button[role=menuitem]").await?;
    browser.wait_text("dialog[open]", "until the session ends").await?;
    browser.wait_for("dialog[open] a[href$='/kubeconfig']").await?;
    browser.is_accessible("the kubeconfig's dialog").await?;
    browser.click_button("Make all void").await?;
    browser
        .wait_text("dialog[open] [role=status]", "No kubeconfig that was downloaded before is valid any more")
        .await?;
    browser.screenshot("kubeconfig").await?;
    browser.press("Escape").await?;
    browser.wait_gone("dialog[open]").await?;
    browser.no_errors().await?;
    is_closed_to_others(&address).await?;
    browser.close().await
}

async fn elsewhere() -> anyhow::Result<Browser> {
    Browser::open_where(ELSEWHERE, "127.0.0.1").await
}

/// The address alone opens nothing.
async fn is_closed_to_others(address: &str) -> anyhow::Result<()> {
    let stranger = elsewhere().await?;
    stranger.visit(address).await?;
    stranger.wait_text("body", "This preview is only for those who take part in its session").await?;
    stranger.close().await
}

#[tokio::test]
async fn below_a_path_a_guest_sees_the_page_and_the_page_gets_nothing() -> anyhow::Result<()> {
    let product = Product::new();
    let server = Server::start(&product, &[]);
    let (cluster, id) = Cluster::of_session(&product, &server, 1);
    cluster.kubectl_with("apply -f -", SITE).ok();
    cluster.kubectl("wait --for=condition=Ready pod/site --timeout=60s").ok();
    let invites = format!("/api/v1/sessions/{id}/invites");
    let invite = http::request(server.address(), "POST", &invites, r#"{"may":"watch"}"#);
    let port = server.address().rsplit(':').next().unwrap_or_default().to_owned();
    let home = format!("http://{ELSEWHERE}:{port}");

    let browser = elsewhere().await?;
    browser.visit(&format!("{home}{}", invite["path"].as_str().unwrap_or_default())).await?;
    browser.wait_text("header", "2 nodes Ready").await?;
    browser.click("header button[aria-label='Open in the browser']").await?;
    browser.wait_text("header [role=menu]", "worker-1:30080").await?;
    // Who only watches is offered nothing that is the owner's.
    browser.wait_count("header [role=menuitem]", 1).await?;
    browser.click("header a[role=menuitem]").await?;
    browser.follow_to_new_tab().await?;
    browser.wait_text("#said", "null, none, none, refused, 200").await?;
    assert_eq!(browser.value("return getComputedStyle(document.body).color").await?, json!("rgb(1, 2, 3)"));
    let address = browser.value("return location.href").await?;
    let address = address.as_str().unwrap_or_default().to_owned();
    assert!(address.starts_with(&format!("{home}/preview/{}/30080/", cluster.name())), "{address}");
    browser.screenshot("preview-below-a-path").await?;
    browser.click("button").await?;
    browser.wait_text("#said", "thank you").await?;
    is_closed_to_others(&address).await?;
    browser.close().await
}
