//! What a browser is told when there is no preview: one clear sentence, in its language, and nothing of the session.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use drydock_protocol::Language;

/// Why there is no preview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The address means nothing.
    Unknown,
    /// Who asks has no part in the session, or the hand-over is over.
    Closed,
    /// The session is over, starts or sleeps.
    Away,
    /// No node is there.
    NoNode,
    /// No Ingress has an address.
    NoIngress,
    /// No Service has this port on the nodes.
    NoService {
        /// The port.
        port: u16,
    },
    /// No ready pod is behind the Service.
    NoEndpoints {
        /// Its namespace.
        namespace: String,
        /// Its name.
        service: String,
    },
    /// Nothing listens there.
    Refused,
    /// Nothing listens on a node's localhost.
    NotLocal {
        /// The node.
        node: String,
        /// The port.
        port: u16,
    },
    /// Something took the connection and did not answer.
    Silent,
    /// What answered was not HTTP, or broke off.
    Garbled,
    /// All connections of the session are in use.
    Crowded,
    /// A link of a terminal leads out of the session.
    Elsewhere {
        /// Where.
        url: String,
    },
    /// The app was asked for by a name that is not the server's.
    Name {
        /// Which.
        host: String,
    },
}

impl Reason {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Reason::Unknown | Reason::Elsewhere { .. } => StatusCode::NOT_FOUND,
            Reason::Closed => StatusCode::FORBIDDEN,
            Reason::Away | Reason::Crowded => StatusCode::SERVICE_UNAVAILABLE,
            Reason::Silent => StatusCode::GATEWAY_TIMEOUT,
            Reason::Name { .. } => StatusCode::MISDIRECTED_REQUEST,
            _ => StatusCode::BAD_GATEWAY,
        }
    }

    /// The sentence.
    pub(super) fn sentence(&self, language: Language) -> String {
        let [en, tw, cn] = self.sentences();
        match language {
            Language::English => en,
            Language::TraditionalChinese => tw,
            Language::SimplifiedChinese => cn,
        }
        .into_owned()
    }

    /// In English, in Traditional and in Simplified Chinese.
    fn sentences(&self) -> [Cow<'static, str>; 3] {
        let fixed = |sentences: [&'static str; 3]| sentences.map(Cow::Borrowed);
        let told = |sentences: [String; 3]| sentences.map(Cow::Owned);
        match self {
            Reason::Unknown => {
                fixed(["There is no preview at this address.", "這個網址沒有對應的預覽。", "这个网址没有对应的预览。"])
            }
            Reason::Closed => fixed([
                "This preview is only for those who take part in its session. If that is you, open it again from the session's page.",
                "這個預覽只開放給參與該工作階段的人。如果你是其中之一，請從工作階段頁面重新開啟。",
                "这个预览只对参与该会话的人开放。如果你是其中之一，请从会话页面重新打开。",
            ]),
            Reason::Away => fixed([
                "The session of this preview is not running. Look at its page.",
                "這個預覽所屬的工作階段目前沒有在執行，請到它的頁面查看。",
                "这个预览所属的会话目前没有运行，请到它的页面查看。",
            ]),
            Reason::NoNode => fixed([
                "The cluster has no node yet that could answer.",
                "叢集裡還沒有能回應的節點。",
                "集群里还没有能响应的节点。",
            ]),
            Reason::NoIngress => fixed([
                "No Ingress of the cluster has an address yet: look at kubectl get ingress -A.",
                "叢集裡還沒有取得位址的 Ingress：請執行 kubectl get ingress -A 查看。",
                "集群里还没有获得地址的 Ingress：请运行 kubectl get ingress -A 查看。",
            ]),
            Reason::NoService { port } => told([
                format!("No Service of the cluster has node port {port}, and nothing else answers there."),
                format!("叢集裡沒有 Service 使用 NodePort {port}，也沒有其他程式在那裡回應。"),
                format!("集群里没有 Service 使用 NodePort {port}，也没有其他程序在那里响应。"),
            ]),
            Reason::NoEndpoints { namespace, service } => told([
                format!(
                    "Service {service} in namespace {namespace} has no ready pod behind it: compare its selector with the labels of your pods, and look whether they are ready."
                ),
                format!(
                    "命名空間 {namespace} 的 Service {service} 後面沒有就緒的 Pod：請比對它的選擇器與 Pod 的標籤，並確認 Pod 是否就緒。"
                ),
                format!(
                    "命名空间 {namespace} 的 Service {service} 后面没有就绪的 Pod：请比对它的选择器与 Pod 的标签，并确认 Pod 是否就绪。"
                ),
            ]),
            Reason::Refused => fixed([
                "Nothing answers there: no program listens on this port, or a network policy keeps it closed.",
                "那裡沒有回應：沒有程式在監聽這個連接埠，或是被 NetworkPolicy 擋住。",
                "那里没有响应：没有程序在监听这个端口，或者被 NetworkPolicy 挡住。",
            ]),
            Reason::NotLocal { node, port } => told([
                format!("Nothing listens on port {port} of {node}: start it first, kubectl port-forward for instance."),
                format!("{node} 的連接埠 {port} 上沒有程式在監聽：請先啟動它，例如 kubectl port-forward。"),
                format!("{node} 的端口 {port} 上没有程序在监听：请先启动它，例如 kubectl port-forward。"),
            ]),
            Reason::Silent => fixed([
                "The program took the connection and did not answer in time.",
                "程式接受了連線，但沒有及時回應。",
                "程序接受了连接，但没有及时响应。",
            ]),
            Reason::Garbled => fixed([
                "What answered does not speak HTTP, or broke off.",
                "回應的內容不是 HTTP，或是中途斷線。",
                "响应的内容不是 HTTP，或者中途断开。",
            ]),
            Reason::Crowded => fixed([
                "This session has too many connections open. Close a preview and try again.",
                "這個工作階段開啟的連線太多，請關閉一些預覽後再試。",
                "这个会话打开的连接太多，请关闭一些预览后再试。",
            ]),
            Reason::Elsewhere { url } => told([
                format!("This address does not belong to the session's cluster: {url}"),
                format!("這個網址不屬於這個工作階段的叢集：{url}"),
                format!("这个网址不属于这个会话的集群：{url}"),
            ]),
            Reason::Name { host } => told([
                format!(
                    "This server does not answer as {host}. Open it by its IP address or its machine's name; for another name, start it with --public-url."
                ),
                format!(
                    "這台伺服器不以 {host} 這個名稱提供服務。請改用它的 IP 位址或主機名稱開啟；若要使用其他名稱，請在啟動時加上 --public-url。"
                ),
                format!(
                    "这台服务器不以 {host} 这个名称提供服务。请改用它的 IP 地址或主机名打开；如需使用其他名称，请在启动时加上 --public-url。"
                ),
            ]),
        }
    }
}

/// The answer: a page to a browser, a line of text to a program.
pub(super) fn answer(reason: &Reason, headers: &HeaderMap) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wanted = text(header::ACCEPT_LANGUAGE).split(',').map(|it| it.split(';').next().unwrap_or_default());
    let language = Language::negotiate(wanted);
    let sentence = reason.sentence(language);
    let (kind, body) = if text(header::ACCEPT).contains("text/html") {
        ("text/html; charset=utf-8", page(&sentence, language))
    } else {
        ("text/plain; charset=utf-8", format!("{sentence}\n"))
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = reason.status();
    let fixed = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn page(sentence: &str, language: Language) -> String {
    let sentence = sentence.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<!doctype html><html lang=\"{}\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Drydock</title><style>:root{{color-scheme:light dark}}body{{margin:0;min-height:100vh;display:grid;\
         place-content:center;background:light-dark(#f6f8fb,#0b1119);color:light-dark(#0f1b2a,#e6edf5);\
         font:1.05rem/1.6 system-ui,'Noto Sans CJK TC',sans-serif}}main{{max-width:34rem;padding:2rem;border-left:4px solid \
         light-dark(#0b7285,#35b6cb)}}h1{{margin:0 0 .5rem;font-size:1rem;color:light-dark(#0b7285,#35b6cb)}}\
         p{{margin:0;overflow-wrap:anywhere}}</style><main><h1>Drydock</h1><p>{sentence}</p></main></html>",
        language.tag()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_for_browsers_and_a_line_for_programs() {
        let mut headers = HeaderMap::new();
        let plain = answer(&Reason::Closed, &headers);
        assert_eq!(plain.status(), StatusCode::FORBIDDEN);
        assert_eq!(plain.headers()["content-type"], "text/plain; charset=utf-8");
        headers.insert("accept", HeaderValue::from_static("text/html,*/*"));
        headers.insert("accept-language", HeaderValue::from_static("zh-TW,zh;q=0.9"));
        let page = answer(&Reason::Closed, &headers);
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        assert!(page.headers()["content-security-policy"].to_str().is_ok_and(|it| it.contains("sandbox")));
    }

    #[test]
    fn what_a_learner_names_is_never_markup() {
        let reason = Reason::Elsewhere { url: "http://x/<script>&".into() };
        let page = page(&reason.sentence(Language::English), Language::English);
        assert!(page.contains("&lt;script&gt;&amp;") && !page.contains("<script"), "{page}");
    }
}
