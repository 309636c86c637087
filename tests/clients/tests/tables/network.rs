//! Services, names, Ingress and NetworkPolicy, with traffic.

use std::net::TcpListener;
use std::process::Command;

use drydock_tests_clients::{Client, run};
use drydock_tests_harness::wait_for;

/// Two pods behind Services of many kinds, one pod that asks, and one on a node's own network: outside of the pods'.
const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: web, image: drydock/demo:v1, ports: [{name: http, containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: web, port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: sticky}
spec: {selector: {app: web}, sessionAffinity: ClientIP, ports: [{port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: node}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 8000, targetPort: http}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: drydock/demo:v1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: outside}
spec: {terminationGracePeriodSeconds: 0, hostNetwork: true, containers: [{name: c, image: drydock/demo:v1, command: [sleep, '100000']}]}
";

/// Asks ten times; prints how many pods answered.
const WHO: &str = "for i in 1 2 3 4 5 6 7 8 9 10; do wget -T 5 -qO- URL; done | cut -d\" \" -f4 | sort -u | wc -l";

fn ready(client: &Client<'_>) {
    client.table(&[
        run("apply -f -").input(WEB).has("deployment.apps/web").has("service/balanced"),
        run("rollout status deployment/web --timeout=60s").has("successfully rolled out"),
        run("wait --for=condition=Ready pod/client pod/outside --timeout=60s").has("pod/client condition met"),
    ]);
}

pub(crate) fn services(client: &Client<'_>) {
    ready(client);
    let ask = |from: &str, address: &str| {
        run(format!("exec {from} -- wget -T 5 -qO- http://{address}")).has("demo v1 from web-").eventually()
    };
    let who =
        |service: &str| run(format!("exec client -- sh -c '{}'", WHO.replace("URL", &format!("http://{service}"))));
    client.table(&[
        ask("client", "web"),
        ask("client", &format!("web.{}.svc.cluster.local", client.namespace())),
        who("web").is("2").eventually(),
        // One client, one pod.
        ask("client", "sticky"),
        who("sticky").is("1"),
        run("get service balanced --no-headers").has("LoadBalancer").has("8000:").lacks("<pending>").eventually(),
        run("describe service web")
            .has("TargetPort:               http/TCP")
            .has("Session Affinity:         None")
            .since(36),
    ]);
    let balanced = client.step(&run("get service balanced -o jsonpath={.status.loadBalancer.ingress[0].ip}"));
    let port = client.step(&run("get service node -o jsonpath={.spec.ports[0].nodePort}"));
    let node = client.step(&run("get node master -o jsonpath={.status.addresses[0].address}"));
    let pods = client.step(&run("get pods -l app=web -o jsonpath={.items[*].status.podIP}"));
    client.table(&[
        ask("outside", &format!("{balanced}:8000")),
        ask("outside", &format!("{node}:{port}")),
        run("get endpointslices -l kubernetes.io/service-name=web -o jsonpath={.items[0].ports[0].name}:{.items[0].ports[0].port}")
            .is("web:8080"),
        // Nobody is behind it any more: refused, and not left waiting.
        run("scale deployment web --replicas=0").is("deployment.apps/web scaled"),
        run("exec client -- wget -T 5 -qO- http://web").code(1).has("Connection refused").eventually(),
        run("scale deployment web --replicas=2"),
        ask("client", "web"),
        run("create -f -")
            .input("apiVersion: v1\nkind: Service\nmetadata: {name: twice}\nspec: {ports: [{port: 80}, {port: 81}]}\n")
            .code(1)
            .has("spec.ports[0].name: Required value"),
        run(format!("expose deployment web --name=taken --port=80 --overrides='{{\"spec\":{{\"type\":\"NodePort\",\"ports\":[{{\"port\":80,\"nodePort\":{port}}}]}}}}'"))
            .code(1)
            .has("provided port is already allocated")
            .since(28),
    ]);
    assert_eq!(pods.split(' ').count(), 2, "two pods: {pods}");
}

/// A range more for Services, and a Service with an address of it.
const RANGE: &str = "apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: extra}
spec: {cidrs: [203.0.113.0/28]}
";
const IN_RANGE: &str = "apiVersion: v1
kind: Service
metadata: {name: extra}
spec: {clusterIP: 203.0.113.10, selector: {app: web}, ports: [{port: 80, targetPort: http}]}
";

pub(crate) fn ranges(client: &Client<'_>) {
    ready(client);
    let ask =
        |from: &str| run(format!("exec {from} -- wget -T 5 -qO- http://203.0.113.10")).has("from web-").eventually();
    let outside = "the provided network does not match the current range";
    client.table(&[
        run("apply -f -").input(IN_RANGE).code(1).has(outside),
        run("apply -f -").input(RANGE).is("servicecidr.networking.k8s.io/extra created"),
        run("wait --for=condition=Ready servicecidr/extra --timeout=20s").has("condition met"),
        run("apply -f -").input(IN_RANGE).is("service/extra created"),
        ask("client"),
        ask("outside"),
        run("create service clusterip other --clusterip=203.0.113.10 --tcp=80")
            .code(1)
            .has("failed to allocate IP 203.0.113.10: provided IP is already allocated"),
        run("get ipaddress 203.0.113.10 -o jsonpath={.spec.parentRef.resource}/{.spec.parentRef.namespace}/{.spec.parentRef.name}")
            .is(&format!("services/{}/extra", client.namespace())),
        run("get ipaddress 10.96.0.1 --no-headers").has("services/default/kubernetes"),
        // A range that is in use stays until it is not.
        run("delete servicecidr extra --wait=false").has("deleted"),
        run("get servicecidr extra -o jsonpath={.status.conditions[0].reason}").is("Terminating").eventually(),
        run("create service clusterip other --clusterip=203.0.113.11 --tcp=80").code(1).has(outside),
        run("delete service extra").has("deleted"),
        run("get ipaddress 203.0.113.10").code(1).has("NotFound"),
        run("get servicecidr extra").code(1).has("NotFound").eventually(),
    ]);
}

pub(crate) fn names(client: &Client<'_>) {
    let space = client.namespace();
    let look = |name: &str| run(format!("exec client -- nslookup {name}"));
    let headless = "apiVersion: v1\nkind: Service\nmetadata: {name: each}\nspec: {clusterIP: None, selector: {part: one}, ports: [{port: 8080, name: http}]}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: named, labels: {part: one}}\nspec: {hostname: first, subdomain: each, terminationGracePeriodSeconds: 0, containers: [{name: c, image: drydock/demo:v1}]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: elsewhere}\nspec: {type: ExternalName, externalName: web.SPACE.svc.cluster.local}\n".replace("SPACE", space);
    client.table(&[
        run("apply -f -").input(headless).has("service/elsewhere created"),
        run("wait --for=condition=Ready pod/named --timeout=60s"),
    ]);
    let address = client.step(&run("get pod named -o jsonpath={.status.podIP}"));
    let web = client.step(&run("get service web -o jsonpath={.spec.clusterIP}"));
    client.table(&[
        look(&format!("each.{space}.svc.cluster.local")).has(&format!("Address: {address}")).eventually(),
        look(&format!("first.each.{space}.svc.cluster.local")).has(&format!("Address: {address}")).eventually(),
        run("exec client -- wget -T 5 -qO- http://first.each:8080").has("demo v1 from first"),
        look(&format!("-type=srv _http._tcp.each.{space}.svc.cluster.local"))
            .has(&format!("first.each.{space}.svc.cluster.local")),
        look(&format!("elsewhere.{space}.svc.cluster.local"))
            .has(&format!("canonical name = web.{space}.svc.cluster.local"))
            .has(&web),
        run("exec client -- wget -T 5 -qO- http://elsewhere").has("demo v1 from web-").eventually(),
        look(&format!("nothing.{space}.svc.cluster.local")).code(1).has("NXDOMAIN"),
        look("kubernetes.default.svc.cluster.local").has("10.96.0.1"),
    ]);
    // The DNS server once more, behind a UDP Service with a name and port of its own.
    let udp = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: dns-{space}, namespace: kube-system}}\nspec: {{selector: {{k8s-app: kube-dns}}, ports: [{{name: d, port: 53, protocol: UDP, targetPort: 53}}]}}\n"
    );
    let selector = client.step(&run("get service kube-dns --namespace kube-system -o jsonpath={.spec.selector}:{.spec.ports[?(@.protocol==\"UDP\")].targetPort}"));
    let (labels, target) = selector.rsplit_once(':').expect("a selector and a port");
    let udp = udp.replace("{k8s-app: kube-dns}", labels).replace("targetPort: 53", &format!("targetPort: {target}"));
    let address = {
        client.step(&run("create -n kube-system -f -").input(udp).has("created"));
        client.step(&run(format!("get service -n kube-system dns-{space} -o jsonpath={{.spec.clusterIP}}")))
    };
    client.table(&[
        look(&format!("kubernetes.default.svc.cluster.local {address}"))
            .has(&format!("Server:\t\t{address}"))
            .has("10.96.0.1")
            .eventually(),
        run(format!("delete service -n kube-system dns-{space}")),
        run("delete pod named"),
    ]);
}

pub(crate) fn ingresses(client: &Client<'_>) {
    let space = client.namespace();
    let host = format!("{space}.example.com");
    let pair = rcgen::generate_simple_self_signed(vec![host.clone()]).expect("a certificate");
    let folder = client.cluster().scratch();
    let (cert, key) = (folder.join(format!("{space}.crt")), folder.join(format!("{space}.key")));
    std::fs::write(&cert, pair.cert.pem()).expect("a file");
    std::fs::write(&key, pair.signing_key.serialize_pem()).expect("a file");
    client.table(&[
        run(format!("create secret tls cert --cert={} --key={}", cert.display(), key.display())).is("secret/cert created"),
        run("create deployment other --image=drydock/demo:v2").is("deployment.apps/other created"),
        run("expose deployment other --port=80 --target-port=8080").is("service/other exposed"),
        run("rollout status deployment/other --timeout=60s"),
        run(format!("create ingress shop --class=drydock --default-backend=other:80 --rule={host}/*=web:web,tls=cert --rule={host}/exact=other:80"))
            .is("ingress.networking.k8s.io/shop created"),
        run("get ingress shop -o jsonpath={.status.loadBalancer.ingress[0].ip}").has("10.").eventually(),
        run("get ingress shop --no-headers").has("drydock").has(&host).has("80, 443"),
        run("describe ingress shop").has("cert terminates").has("web:web (10.244."),
    ]);
    let address = client.step(&run("get ingress shop -o jsonpath={.status.loadBalancer.ingress[0].ip}"));
    let ask = |more: &str| run(format!("exec outside -- wget -T 5 -qO- {more}"));
    let to = format!("http://{address}");
    client.table(&[
        // A host with TLS is sent there; an annotation says otherwise.
        ask(&format!("--header 'Host: {host}' {to}/")).code(1).has(&format!("https://{host}/")).eventually(),
        run("annotate ingress shop nginx.ingress.kubernetes.io/ssl-redirect=false").has("shop annotated"),
        ask(&format!("--header 'Host: {host}' {to}/")).has("demo v1 from web-").eventually(),
        ask(&format!("--header 'Host: {host}' {to}/exact")).has("404").code(1),
        ask(&format!("--header 'Host: {space}.example.org' {to}/")).has("demo v").eventually(),
    ]);
    // With TLS, from this machine.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let _forward =
        client.follow(&format!("port-forward --namespace kube-system service/ingress-controller {free}:443"));
    wait_for("an answer over TLS", || {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "5", "--cacert"])
            .arg(&cert)
            .args(["--resolve", &format!("{host}:{free}:127.0.0.1"), &format!("https://{host}:{free}/")])
            .output()
            .expect("curl runs");
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        if answer.contains("demo v1 from web-") { Ok(()) } else { Err(format!("{output:?}")) }
    });
    client.table(&[run("delete ingress,deployment,service shop other --ignore-not-found")]);
}

const DENY: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}
";

const ALLOW: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}], ports: [{port: http}]}]
";

pub(crate) fn policies(client: &Client<'_>) {
    let ask = |pod: &str| run(format!("exec {pod} -- wget -T 2 -qO- http://web")).eventually();
    let (open, closed) = (|pod: &str| ask(pod).has("demo v1 from web-"), |pod: &str| ask(pod).code(1).has("timed out"));
    let egress = |rule: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: out}}\nspec: {{podSelector: {{matchLabels: {{app: stranger}}}}, policyTypes: [Egress], egress: [{rule}]}}\n"
        )
    };
    let dns = "{ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}";
    client.table(&[
        run("run stranger --image=drydock/demo:v1 --labels=app=stranger"),
        run("wait --for=condition=Ready pod/stranger --timeout=60s"),
        open("client"),
        open("stranger"),
        run("apply -f -").input(DENY).is("networkpolicy.networking.k8s.io/web created"),
        closed("client"),
        run("apply -f -").input(ALLOW).is("networkpolicy.networking.k8s.io/web configured"),
        open("client"),
        closed("stranger"),
        run("describe networkpolicy web").has("PodSelector: app=client").has("To Port: http/TCP"),
        run("delete networkpolicy web"),
        open("stranger"),
        // What goes out: names, and nothing else; then addresses of pods.
        run("apply -f -").input(egress(dns)).is("networkpolicy.networking.k8s.io/out created"),
        closed("stranger"),
        run("apply -f -").input(egress(&format!("{dns}, {{to: [{{ipBlock: {{cidr: 10.244.0.0/16}}}}]}}"))),
        open("stranger"),
        run("apply -f -")
            .input(egress(&format!("{dns}, {{to: [{{ipBlock: {{cidr: 10.244.0.0/16, except: [10.244.0.0/17]}}}}]}}"))),
        closed("stranger"),
        run("delete networkpolicy out"),
        open("stranger"),
        run("apply -f -")
            .input(DENY.replace("[Ingress]", "[Nowhere]"))
            .code(1)
            .has("spec.policyTypes[0]: Unsupported value: \"Nowhere\": supported values: \"Egress\", \"Ingress\""),
        run("delete pod,deployment,service --all --now --wait=false"),
    ]);
}
