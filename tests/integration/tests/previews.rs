//! Previews and the kubeconfig gateway on a real cluster: what a browser and programs outside reach, and who does not.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use drydock_tests_harness::http::{Browser, cookies, raw, request};
use drydock_tests_harness::{Cluster, Follow, Product, Server, wait_for, wait_for_within};
use serde_json::Value;

/// A web server in shell: it upgrades, streams, counts what it is sent and sends what it is told.
const SERVE: &str = r#"
    read -r method path version
    upgrade=; length=0; cookie=; host=; proto=
    while read -r line; do
      line=${line%$(printf '\r')}
      [ -z "$line" ] && break
      case $line in
        [Uu]pgrade:*) upgrade=1 ;;
        [Cc]ontent-[Ll]ength:*) length=${line#*: } ;;
        [Cc]ookie:*) cookie=${line#*: } ;;
        [Hh]ost:*) host=${line#*: } ;;
        [Xx]-[Ff]orwarded-[Pp]roto:*) proto=${line#*: } ;;
      esac
    done
    if [ -n "$upgrade" ]; then
      printf 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
      exec cat
    fi
    case $path in
      /stream)
        printf 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n'
        exec sleep 3600 ;;
      /large)
        printf 'HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n'
        exec head -c 52428800 /dev/zero ;;
      /login)
        printf 'HTTP/1.1 302 Found\r\nLocation: %s://%s/home\r\nConnection: close\r\n\r\n' "${proto:-http}" "$host" ;;
      *)
        count=$(head -c "$length" | wc -c)
        printf 'HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Domain=localhost\r\nSet-Cookie: drydock_person=forged\r\n'
        printf 'Connection: close\r\n\r\n%s bytes for %s, cookies: %s\nby %s\n' "$count" "$host" "$cookie" "$proto" ;;
    esac
"#;

const APPS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: raw, labels: {app: raw}}
spec:
  volumes: [{name: raw, configMap: {name: raw}}]
  containers:
  - name: raw
    image: drydock/demo:v1
    command: [nc, -ll, -p, "9000", -e, sh, /raw/serve]
    volumeMounts: [{name: raw, mountPath: /raw}]
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: web, image: drydock/demo:v1}]}
---
apiVersion: v1
kind: Service
metadata: {name: raw}
spec: {type: NodePort, selector: {app: raw}, ports: [{port: 80, targetPort: 9000, nodePort: 30090}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec: {type: NodePort, selector: {app: nobody}, ports: [{port: 80, nodePort: 30081}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  rules:
  - host: shop.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: raw, port: {number: 80}}}}
      - {path: /info, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: vault}
spec:
  tls: [{hosts: [vault.example.com, "*.vault.io"], secretName: vault}]
  rules:
  - host: vault.example.com
    http: &raw {paths: [{path: /, pathType: Prefix, backend: {service: {name: raw, port: {number: 80}}}}]}
  - host: "*.vault.io"
    http: *raw
"#;

/// A NodePort.
const DOOR: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
";

/// A session with what its kubeconfig leads to.
struct Lab<'a> {
    cluster: Cluster<'a>,
    address: String,
    id: String,
    name: String,
}

fn lab<'a>(product: &'a Product, server: &Server) -> Lab<'a> {
    let (cluster, id) = Cluster::of_session(product, server, 1);
    let name = cluster.name().to_owned();
    Lab { cluster, address: server.address().to_owned(), id, name }
}

/// Sends a request as it is written and reads the answer to its end.
#[track_caller]
fn ask(address: &str, head: &str, body: &[u8]) -> String {
    let mut stream = begin(address, head);
    stream.write_all(body).expect("the body is sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[track_caller]
fn begin(address: &str, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time limit");
    stream.write_all(format!("{head}\r\n\r\n").as_bytes()).expect("the request is sent");
    stream
}

/// Reads until the text has been seen.
#[track_caller]
fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut seen = Vec::new();
    let mut part = [0; 4096];
    while !String::from_utf8_lossy(&seen).contains(text) {
        let read = stream.read(&mut part).expect("more comes");
        assert_ne!(read, 0, "it ended: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&part[..read]);
    }
    String::from_utf8_lossy(&seen).into_owned()
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split_once("\r\n\r\n").map_or(answer, |(head, _)| head);
    head.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name))).map(|it| it.1)
}

/// A preview that was handed over: its host and its cookie.
struct Preview {
    address: String,
    host: String,
    cookie: String,
}

impl Preview {
    fn head(&self, method: &str, path: &str, more: &str) -> String {
        let Preview { host, cookie, .. } = self;
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nCookie: own=2; {cookie}\r\nConnection: close{more}")
    }

    fn get(&self, path: &str) -> String {
        ask(&self.address, &self.head("GET", path, ""), b"")
    }
}

impl Lab<'_> {
    fn path(&self, rest: &str) -> String {
        format!("/api/v1/sessions/{}/{rest}", self.id)
    }

    /// As a browser goes from the page to a preview.
    fn open(&self, query: &str) -> Preview {
        let answer = raw(&self.address, "GET", &self.path(&format!("preview?{query}")), "");
        let location = header(&answer, "location").unwrap_or_else(|| panic!("no way to {query}: {answer}"));
        let (host, path) = location.strip_prefix("http://").and_then(|it| it.split_once('/')).expect("a host");
        let answer = ask(&self.address, &format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close"), b"");
        let cookie = header(&answer, "set-cookie").unwrap_or_else(|| panic!("no cookie: {answer}"));
        assert!(cookie.contains("HttpOnly") && !cookie.contains("Domain"), "{cookie}");
        let cookie = cookie.split(';').next().expect("a pair").to_owned();
        let again = ask(&self.address, &format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close"), b"");
        assert!(again.starts_with("HTTP/1.1 403"), "a ticket is good once: {again}");
        Preview { address: self.address.clone(), host: host.to_owned(), cookie }
    }
}

/// A request for a preview below a path.
fn get_below_a_path(lab: &Lab<'_>, path: &str, more: &str) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {NOT_LOCAL}\r\nUser-Agent: test\r\nConnection: close{more}");
    ask(&lab.address, &head, b"")
}

/// The way to what a session serves at a port, below a path: where it leads, and the cookie that it sets.
fn open_below_a_path(lab: &Lab<'_>, own: &str, port: u16, path: &str) -> (String, String) {
    let answer = get_below_a_path(lab, &lab.path(&format!("preview?to={port}&path={path}")), own);
    let told = |name: &str| header(&answer, name).unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned();
    (told("location"), told("set-cookie"))
}

/// A cookie with which a browser comes that was let in.
fn with_cookie(own: &str, set: &str) -> String {
    format!("{own}; {}", set.split(';').next().expect("a pair"))
}

fn serve(product: &Product) -> Server {
    Server::start(product, &["--host", "embedded"])
}

#[test]
fn what_a_session_serves_opens_in_a_browser_and_for_nobody_else() {
    let product = Product::new();
    let server = serve(&product);
    let lab = lab(&product, &server);
    let script = product.scratch().join("serve");
    fs::write(&script, SERVE).expect("the script is written");
    lab.cluster.kubectl(&format!("create configmap raw --from-file=serve={}", script.display())).ok();
    let pair = rcgen::generate_simple_self_signed(["vault.example.com".to_owned()]).expect("a certificate");
    let (cert, key) = (product.scratch().join("vault.crt"), product.scratch().join("vault.key"));
    fs::write(&cert, pair.cert.pem()).expect("the certificate is written");
    fs::write(&key, pair.signing_key.serialize_pem()).expect("its key is written");
    lab.cluster.kubectl(&format!("create secret tls vault --cert={} --key={}", cert.display(), key.display())).ok();
    lab.cluster.kubectl_with("apply -f -", APPS).ok();
    lab.cluster.kubectl("wait --for=condition=Ready pod/raw pod/web --timeout=60s").ok();
    let ports = wait_for_within(Duration::from_secs(60), "what opens", || {
        let ports = request(&lab.address, "GET", &lab.path("ports"), "");
        let all = ports.as_array().expect("a list");
        let ready = |name: &str| all.iter().any(|it| it["name"] == name && it["ready"] == true);
        if ["shop", "vault", "web", "raw"].into_iter().all(ready) { Ok(all.clone()) } else { Err(ports.to_string()) }
    });
    let to = |name: &str| {
        let found = ports.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("{name} is not listed"));
        found["to"].as_str().expect("a word").to_owned()
    };
    // By node port, load balancer and Ingress.
    let raw_port = lab.open(&format!("to={}", to("raw")));
    let answer = raw_port.get("/");
    assert!(answer.contains(&format!("0 bytes for {}, cookies: own=2\n", raw_port.host)), "{answer}");
    assert_eq!(header(&answer, "set-cookie"), Some("a=1"), "{answer}");
    assert!(!answer.contains("forged"), "{answer}");
    let balanced = lab.open(&format!("to={}", to("web"))).get("/");
    assert!(balanced.contains("demo v1 from web"), "{balanced}");
    assert_eq!(to("shop"), "shop-example-com--ingress");
    let shop = lab.open("to=shop-example-com--ingress&path=/info");
    // The ingress controller starts with the first Ingress.
    let root = wait_for_within(Duration::from_secs(60), "the ingress controller", || {
        let root = shop.get("/");
        if root.starts_with("HTTP/1.1 200") { Ok(root) } else { Err(root) }
    });
    let info = shop.get("/info");
    assert!(root.contains("for shop.example.com,") && info.contains("\"version\":\"v1\""), "{root}{info}");
    assert_eq!(header(&shop.get("/login"), "location"), Some("/home"));
    encrypted(&lab, to("vault"));
    // Addresses as terminals show them.
    assert!(lab.open("url=http://shop.example.com/info").get("/info").contains("v1"));
    let ip = lab.cluster.kubectl("get service web -o jsonpath={.spec.clusterIP}").ok();
    wait_for("the Service's address", || {
        let answer = lab.open(&format!("url=http://{ip}")).get("/");
        if answer.contains("demo v1") { Ok(()) } else { Err(answer) }
    });
    // What listens on the workstation's localhost.
    let forward = "kubectl port-forward pod/web 8080:8080 >/dev/null 2>&1 &";
    lab.cluster.exec("workstation", &["bash", "-lc", forward]).ok();
    wait_for("the workstation's port", || {
        let answer = lab.open("url=http://localhost:8080/info").get("/info");
        if answer.contains("\"version\":\"v1\"") { Ok(()) } else { Err(answer) }
    });
    let elsewhere = raw(&lab.address, "GET", &lab.path("preview?url=https://kubernetes.io/"), "");
    assert!(elsewhere.starts_with("HTTP/1.1 404") && header(&elsewhere, "location").is_none(), "{elsewhere}");
    // WebSockets, streams, large bodies both ways.
    let upgrade = "\r\nConnection: Upgrade\r\nUpgrade: websocket";
    let mut socket = begin(&lab.address, &raw_port.head("GET", "/", upgrade).replacen("\r\nConnection: close", "", 1));
    until(&mut socket, "\r\n\r\n");
    socket.write_all(b"there and back").expect("sent");
    until(&mut socket, "there and back");
    until(&mut begin(&lab.address, &raw_port.head("GET", "/stream", "")), "first\n");
    let large = vec![b'x'; 30_000_000];
    let length = format!("\r\nContent-Length: {}", large.len());
    let answer = ask(&lab.address, &raw_port.head("POST", "/upload", &length), &large);
    assert!(answer.contains("30000000 bytes"), "{answer}");
    assert!(raw_port.get("/large").len() > 52_428_800);
    // Nothing answers: a sentence, not a wait.
    let nobody = lab.open("to=30081").get("/");
    assert!(
        nobody.starts_with("HTTP/1.1 502") && nobody.contains("Service nobody in namespace default has no ready pod"),
        "{nobody}"
    );
    assert!(lab.open("to=31999").get("/").contains("No Service of the cluster has node port 31999"));
    assert!(lab.open("to=workstation-9999").get("/").contains("Nothing listens on port 9999 of workstation"));
    // A stolen address, a cookie of another preview, another person, another session.
    let bare = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close", raw_port.host);
    let closed = |answer: &str| {
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("only for those who take part"), "{answer}");
        assert!(!answer.contains("bytes for"), "{answer}");
    };
    closed(&ask(&lab.address, &bare, b""));
    closed(&ask(&lab.address, &format!("{bare}\r\nCookie: {}", cookies(&lab.address)), b""));
    closed(&ask(&lab.address, &format!("{bare}\r\nCookie: {}", shop.cookie), b""));
    closed(&ask(
        &lab.address,
        &raw_port.head("POST", "/", "\r\nOrigin: http://30080--s-other.localhost\r\nContent-Length: 0"),
        b"",
    ));
    let stranger = Browser::default();
    let refused = stranger.raw(&lab.address, "GET", &lab.path("preview?to=30090"), "", &[]);
    assert!(refused.starts_with("HTTP/1.1 404"), "{refused}");
    for rest in ["ports", "kubeconfig"] {
        let refused = stranger.raw(&lab.address, "GET", &lab.path(rest), "", &[]);
        assert!(refused.starts_with("HTTP/1.1 404"), "{refused}");
    }
    // The app is not to be had under a preview's host, whatever a page says.
    for host in [raw_port.host.clone(), format!("x.localhost:{}", lab.address.rsplit(':').next().expect("port"))] {
        let more = format!("\r\nX-Forwarded-Host: {}\r\nCookie: {}", lab.address, cookies(&lab.address));
        let answer =
            ask(&lab.address, &format!("GET /api/v1/me HTTP/1.1\r\nHost: {host}\r\nConnection: close{more}"), b"");
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    below_a_path(&lab);
}

/// An Ingress with TLS: without it the controller would only lead there.
fn encrypted(lab: &Lab<'_>, word: String) {
    assert_eq!(word, "vault-example-com--ingress");
    let vault = lab.open(&format!("to={word}"));
    let page = |preview: &Preview, host: &str| {
        wait_for_within(Duration::from_secs(60), "the controller knows the Ingress with TLS", || {
            let answer = preview.get("/");
            let is_whole = answer.contains(&format!("0 bytes for {host}, cookies: own=2\nby https\n"));
            if is_whole { Ok(()) } else { Err(answer) }
        });
    };
    page(&vault, "vault.example.com");
    assert_eq!(header(&vault.get("/login"), "location"), Some("/home"));
    let upgrade = "\r\nConnection: Upgrade\r\nUpgrade: websocket";
    let mut socket = begin(&lab.address, &vault.head("GET", "/", upgrade).replacen("\r\nConnection: close", "", 1));
    until(&mut socket, "\r\n\r\n");
    socket.write_all(b"there and back").expect("sent");
    until(&mut socket, "there and back");
    // A rule for many hosts, opened as a terminal shows one of them.
    page(&lab.open("url=https://one.vault.io/"), "one.vault.io");
}

/// Where no host of its own leads to a preview.
const NOT_LOCAL: &str = "192.0.2.7:8080";

fn below_a_path(lab: &Lab<'_>) {
    let host = NOT_LOCAL;
    let get = |path: &str, more: &str| get_below_a_path(lab, path, more);
    let own = format!("\r\nCookie: {}", cookies(&lab.address));
    let (location, set) = open_below_a_path(lab, &own, 30090, "/deep");
    let prefix = location.strip_suffix("/deep").expect("the path").to_owned();
    assert!(prefix.starts_with(&format!("/preview/{}/30090/", lab.name)), "{prefix}");
    assert!(set.contains(&format!("Path=/preview/{}/30090/;", lab.name)), "{set}");
    let pass = with_cookie(&own, &set);
    let answer = get(&location, &pass);
    assert!(answer.contains(&format!("0 bytes for {host}, cookies: \n")), "{answer}");
    assert!(
        header(&answer, "content-security-policy")
            .is_some_and(|it| it.starts_with("sandbox ") && !it.contains("same-origin"))
    );
    assert_eq!(header(&answer, "set-cookie"), None, "{answer}");
    assert_eq!(header(&get(&format!("{prefix}/login"), &pass), "location"), Some(format!("{prefix}/home").as_str()));
    // What a page without an origin loads comes without cookies; the address alone opens nothing.
    assert!(get(&location, "\r\nSec-Fetch-Mode: no-cors").starts_with("HTTP/1.1 200"));
    assert!(get(&location, "\r\nAccept: */*").starts_with("HTTP/1.1 200"));
    let page = "\r\nAccept: text/html,*/*";
    let elsewhere = location.replace("/30090/", "/30081/");
    for (path, more) in [
        (&location, page.to_owned()),
        (&location, format!("{page}{own}")),
        (&location, "\r\nSec-Fetch-Mode: navigate".to_owned()),
        (&elsewhere, pass.clone()),
    ] {
        let answer = get(path, &more);
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    }
}

#[test]
fn a_preview_wakes_a_session_that_sleeps() {
    let product = Product::new();
    let server = Server::start(&product, &["--suspend-minutes", "1"]);
    let lab = lab(&product, &server);
    lab.cluster.kubectl("create deployment web --image=drydock/demo:v1").ok();
    lab.cluster.kubectl_with("apply -f -", DOOR).ok();
    lab.cluster.kubectl("rollout status deployment web").ok();
    let own = format!("\r\nCookie: {}", cookies(&lab.address));
    let (location, set) = open_below_a_path(&lab, &own, 30080, "/");
    let state = || request(&lab.address, "GET", &format!("/api/v1/sessions/{}", lab.id), "")["state"].clone();
    wait_for_within(Duration::from_secs(120), "sleep", || match state() {
        Value::String(state) if state == "Suspended" => Ok(()),
        other => Err(other.to_string()),
    });
    let answer = get_below_a_path(&lab, &location, &with_cookie(&own, &set));
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("demo v1"), "{answer}");
    assert_eq!(state(), "Ready");
}

#[test]
fn kubectl_works_through_the_gateway_as_long_as_its_token_holds() {
    let product = Product::new();
    let server = serve(&product);
    let lab = lab(&product, &server);
    let kubectl = |line: &str| lab.cluster.kubectl(line);
    assert!(kubectl("version").ok().contains("Server Version: v1.36"));
    kubectl("run web --image=drydock/demo:v1 --port=8080").ok();
    kubectl("wait --for=condition=Ready pod/web --timeout=60s").ok();
    assert!(kubectl("exec web -- echo one").ok().contains("one"));
    assert_eq!(lab.cluster.kubectl_with("exec -i web -- cat", "in and out\n").ok(), "in and out\n");
    let watch = Follow::start(lab.cluster.kubectl_command("get configmaps --watch -o name"));
    watch.wait_text("kube-root-ca.crt");
    kubectl("create configmap seen").ok();
    watch.wait_text("configmap/seen");
    let forward = Follow::start(lab.cluster.kubectl_command("port-forward pod/web :8080"));
    forward.wait_text("Forwarding from 127.0.0.1:");
    let line = forward.seen();
    let port = line.split("127.0.0.1:").nth(1).and_then(|it| it.split_whitespace().next()).expect("a port");
    let answer = ask(&format!("127.0.0.1:{port}"), "GET / HTTP/1.1\r\nHost: web\r\nConnection: close", b"");
    assert!(answer.contains("demo v1 from web"), "{answer}");
    let logs = Follow::start(lab.cluster.kubectl_command("logs -f web"));
    logs.wait_text("GET /");
    // More than any other request may bring: the API server's own limit counts.
    let data = "x".repeat(900_000);
    let large = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: large}}\ndata: {{text: {data}}}\n");
    lab.cluster.kubectl_with("create -f -", &large).ok();
    // A cookie is not enough, and a token is for its session only.
    let refused = raw(&lab.address, "GET", &lab.path("kube/api/v1/namespaces"), "");
    assert!(refused.starts_with("HTTP/1.1 401") && refused.contains("\"kind\":\"Status\""), "{refused}");
    let other = request(&lab.address, "POST", "/api/v1/sessions", r#"{"workers":1}"#);
    let other = other["id"].as_str().expect("id").to_owned();
    let kubeconfig = fs::read_to_string(lab.cluster.kubeconfig()).expect("kubeconfig");
    let token = kubeconfig.split("token: ").nth(1).and_then(|it| it.split_whitespace().next()).expect("a token");
    let ask_kube = |id: &str| {
        let bearer = [("Authorization", &*format!("Bearer {token}"))];
        Browser::default().raw(&lab.address, "GET", &format!("/api/v1/sessions/{id}/kube/version"), "", &bearer)
    };
    assert!(ask_kube(&lab.id).starts_with("HTTP/1.1 200"));
    assert!(ask_kube(&other).starts_with("HTTP/1.1 401"));
    // Taken back.
    assert!(raw(&lab.address, "DELETE", &lab.path("kubeconfig"), "").starts_with("HTTP/1.1 204"));
    assert!(ask_kube(&lab.id).starts_with("HTTP/1.1 401"));
    assert!(kubectl("get pods").failed().contains("not valid for this session any more"));
}
