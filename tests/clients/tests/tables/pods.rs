//! Streams into and out of pods: WebSockets from a new kubectl, SPDY from an old one.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use drydock_tests_clients::{Client, run};
use drydock_tests_harness::wait_for;

pub fn streams(client: &Client<'_>) {
    let folder = std::env::temp_dir().join(format!("drydock-clients-{}-{}", std::process::id(), client.namespace()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (there, back) = (folder.join("there"), folder.join("back"));
    let text = "a line\n".repeat(20_000);
    std::fs::write(&there, &text).expect("a file");
    client.table(&[
        run("run hello --image=drydock/demo:v1").is("pod/hello created"),
        run("wait --for=condition=Ready pod/hello --timeout=60s").is("pod/hello condition met"),
        run("exec hello -- sh -c 'echo out; echo err >&2; exit 3'")
            .code(3)
            .has("out\n")
            .has("err\n")
            .has("command terminated with exit code 3"),
        run("exec -i hello -- cat").input("through the pipe\n").is("through the pipe"),
        run("exec hello -- nothing").code(1).has("nothing"),
        run("exec hello -c nope -- true").code(1).has("container not found").code(1),
        run(format!("cp {} hello:/tmp/there", there.display())),
        run("exec hello -- sh -c 'wc -c < /tmp/there'").is("140000"),
        run(format!("cp hello:/tmp/there {}", back.display())),
        run("logs hello").has("demo v1 listens on port 8080"),
        run("logs hello --tail=1 --timestamps").has("T").has("listens"),
        run("logs -l run=hello --prefix").has("[pod/hello/hello] demo v1"),
        run("logs hello --previous")
            .code(1)
            .is("Error from server (BadRequest): previous terminated container \"hello\" in pod \"hello\" not found"),
        run("logs hello -c nope").code(1).has("container nope is not valid for pod hello"),
        run("describe pod hello").has("Successfully assigned").has("Ready:          True"),
        run("events --for pod/hello").has("Scheduled").has("Started"),
    ]);
    assert_eq!(std::fs::read_to_string(&back).expect("the copy"), text, "a file comes back as it went");
    let _ = std::fs::remove_dir_all(&folder);
    forward(client);
    client.table(&[
        run("run echo --image=drydock/demo:v1 --stdin --restart=Never --command -- cat").is("pod/echo created"),
        run("wait --for=condition=Ready pod/echo --timeout=60s"),
        run("attach -i echo").input("hello\n").has("hello"),
        run("delete pod hello echo --now").has("pod \"hello\""),
    ]);
}

/// Two requests, one after the other, through a forwarded port.
fn forward(client: &Client<'_>) {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let _forward = client.start(&format!("port-forward pod/hello {free}:8080"));
    for _ in 0..2 {
        wait_for("an answer through the forwarded port", || {
            let ask = || -> std::io::Result<String> {
                let mut stream = TcpStream::connect(("127.0.0.1", free))?;
                stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer)?;
                Ok(answer)
            };
            match ask() {
                Ok(answer) if answer.contains("demo v1 from hello") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }
}

pub fn debugging(client: &Client<'_>) {
    client.table(&[
        run("run tool --image=drydock/demo:v1").is("pod/tool created"),
        run("wait --for=condition=Ready pod/tool --timeout=60s"),
        run("debug tool --image=drydock/demo:v1 -c helper --attach=false -- sleep 1000"),
        run("get pod tool -o jsonpath={.spec.ephemeralContainers[*].name}").is("helper"),
        run("get pod tool -o jsonpath={.status.ephemeralContainerStatuses[0].state.running}")
            .has("startedAt")
            .eventually(),
        run("debug tool --copy-to=copy --image=drydock/demo:v1 --attach=false -- sleep 1000"),
        run("get pod copy -o jsonpath={.metadata.name}").is("copy"),
        run("delete pod tool copy --now").has("pod \"copy\""),
    ]);
}
