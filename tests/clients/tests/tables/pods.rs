//! Streams into and out of pods: WebSockets from a new kubectl, SPDY from an old one.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use drydock_tests_clients::{Client, run};
use drydock_tests_harness::wait_for;

pub(crate) fn streams(client: &Client<'_>) {
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
        run("exec hello -c nope -- true").code(1).has("container nope is not valid for pod hello"),
        run(format!("cp {} hello:/tmp/there", there.display())),
        run("exec hello -- sh -c 'wc -c < /tmp/there'").is("140000"),
        run(format!("cp hello:/tmp/there {}", back.display())),
        run(format!("cp {} hello:/tmp/folder", folder.display())),
        run("exec hello -- ls /tmp/folder").has("there").has("back"),
        run(format!("cp {}/nothing hello:/tmp/x", folder.display())).code(1).has("doesn't exist in local filesystem"),
        run(format!("cp hello:/tmp/there nope:/tmp/x -c {}", "c")).code(1),
        run("describe pod hello").has("Successfully assigned").has("Ready:          True"),
        run("events --for pod/hello").has("Scheduled").has("Started"),
    ]);
    assert_eq!(std::fs::read_to_string(&back).expect("the copy"), text, "a file comes back as it went");
    let _ = std::fs::remove_dir_all(&folder);
    forward(client);
    let mut shell = client.terminal("exec --stdin --tty hello -- sh");
    shell.type_text("tty; stty size\n");
    shell.wait_text("/dev/pts/0\r\n24 100\r\n");
    shell.type_text("exit 4\n");
    assert_eq!(shell.end(), 4, "{}", shell.seen());
    client.table(&[run("delete pod hello --now").has("pod \"hello\"")]);
}

const TALKER: &str = "apiVersion: v1
kind: Pod
metadata: {name: talker, labels: {app: talker}}
spec:
  terminationGracePeriodSeconds: 0
  initContainers: [{name: first, image: drydock/demo:v1, command: [sh, -c, 'echo before all']}]
  containers:
  - {name: one, image: drydock/demo:v1, command: [sh, -c, 'for i in 1 2 3 4; do echo one $i; done; while ! [ -e /tmp/go ]; do sleep 0.1; done; echo one last; sleep 1000']}
  - {name: two, image: drydock/demo:v1, command: [sh, -c, 'echo two err >&2; sleep 1000']}
";

pub(crate) fn logs(client: &Client<'_>) {
    client.table(&[
        run("apply -f -").input(TALKER).is("pod/talker created"),
        run("wait --for=condition=Ready pod/talker --timeout=60s").is("pod/talker condition met"),
        run("logs talker -c one").is("one 1\none 2\none 3\none 4").eventually(),
        run("logs talker").has("Defaulted container \"one\" out of: one, two, first (init)").has("one 4"),
        run("logs talker -c one --tail=2").is("one 3\none 4"),
        run("logs talker -c one --tail=0").is(""),
        run("logs talker -c one --limit-bytes=8").is("one 1\non"),
        run("logs talker -c one --timestamps --tail=1").has("Z one 4").has("T"),
        run("logs talker -c one --since=1h --tail=1").is("one 4"),
        run("logs talker -c one --since-time=2100-01-01T00:00:00Z").is(""),
        run("logs talker -c one --since-time=2000-01-01T00:00:00Z --tail=1").is("one 4"),
        run("logs talker -c one --since-time=nonsense").code(1).has("cannot parse \"nonsense\""),
        run("logs talker -c first").is("before all"),
        run("logs talker -c two").is("two err").eventually(),
        run("logs talker --all-containers").has("before all").has("one 1").has("two err"),
        run("logs talker --all-containers --prefix --tail=1")
            .has("[pod/talker/one] one 4")
            .has("[pod/talker/two] two err"),
        run("logs -l app=talker -c one --prefix --tail=1").is("[pod/talker/one] one 4"),
        run("logs -l app=nobody").has("No resources found"),
        run("logs talker -c nope").code(1).has("container nope is not valid for pod talker"),
        run("logs talker -c one --previous")
            .code(1)
            .is("Error from server (BadRequest): previous terminated container \"one\" in pod \"talker\" not found"),
        run("logs nobody")
            .code(1)
            .is("error: error from server (NotFound): pods \"nobody\" not found in namespace \"NS\""
                .replace("NS", client.namespace())
                .as_str())
            .since(32),
    ]);
    let mut follow = client.follow("logs -f talker -c one --tail=1");
    follow.wait_text("one 4\n");
    client.step(&run("exec talker -c one -- touch /tmp/go"));
    follow.wait_text("one 4\none last\n");
    client.table(&[run("delete pod talker --now").has("deleted")]);
    assert_eq!(follow.end(), 0, "the log's end is the command's");
    client.table(&[
        run("run again --image=drydock/demo:v1 --command -- sh -c 'echo life of $HOSTNAME; [ -e /dev/shm/x ] && sleep 1000; touch /dev/shm/x; exit 9'"),
        run("get pod again -o jsonpath={.status.containerStatuses[0].restartCount}:{.status.containerStatuses[0].lastState.terminated.exitCode}")
            .is("1:9")
            .eventually(),
        run("logs again --previous").is("life of again"),
        run("get pod again --no-headers").has("1/1").has("Running").eventually(),
        run("delete pod again --now"),
    ]);
}

pub(crate) fn attaching(client: &Client<'_>) {
    client.table(&[
        // Attached from its start to its end.
        run("run echo --image=drydock/demo:v1 --stdin --rm --restart=Never --command -- cat")
            .input("attached\n")
            .has("attached")
            .has("pod \"echo\" deleted"),
        run("run code --image=drydock/demo:v1 --attach --rm --restart=Never --command -- sh -c 'sleep 0.5; exit 7'").code(7),
        run("run shell --image=drydock/demo:v1 --stdin --tty --command -- sh").is("pod/shell created").since(99),
        run("attach nobody").code(1).has("pods \"nobody\" not found"),
        run("create -f -")
            .input("apiVersion: v1\nkind: Pod\nmetadata: {name: shell}\nspec: {terminationGracePeriodSeconds: 0, containers: [{name: s, image: drydock/demo:v1, command: [sh], stdin: true, tty: true}]}\n")
            .is("pod/shell created"),
        run("wait --for=condition=Ready pod/shell --timeout=60s"),
    ]);
    let mut shell = client.terminal("attach --stdin --tty shell");
    shell.wait_text("If you don't see a command prompt, try pressing enter.");
    shell.type_text("echo here is $HOSTNAME\n");
    shell.wait_text("here is shell\r\n");
    drop(shell);
    client.table(&[
        // The shell outlives who looked at it.
        run("logs shell").has("here is shell"),
        run("delete pod shell --now"),
    ]);
}

pub(crate) fn measuring(client: &Client<'_>) {
    client.table(&[
        run("run busy --image=drydock/demo:v1 --labels=app=busy"),
        run("wait --for=condition=Ready pod/busy --timeout=60s"),
        run("top nodes --no-headers").has("master").has("worker-1").has("%").has("Mi").eventually(),
        run("top pods --containers -l app=busy").has("POD").has("busy").has("Mi").eventually(),
        run("top pod busy --no-headers").has("busy").has("m").eventually(),
        run("top pod nobody").code(1).has("not found"),
        run("events --for pod/busy").has("Scheduled").has("Pulled").has("Started").since(28),
        run("get events --field-selector involvedObject.name=busy,reason=Started -o jsonpath={.items[*].message}")
            .is("Container started"),
        run("wait --for=delete pod/busy --timeout=1s").code(1).has("timed out waiting for the condition on pods/busy"),
        run("wait --for=jsonpath={.status.phase}=Running pod/busy --timeout=10s")
            .is("pod/busy condition met")
            .since(28),
        run("wait --for=jsonpath={.status.podIP} pod/busy --timeout=10s").is("pod/busy condition met").since(31),
        run("wait --for=create pod/busy --timeout=10s").is("pod/busy condition met").since(31),
        run("delete pod busy --now --wait=false"),
        run("wait --for=delete pod/busy --timeout=60s"),
    ]);
}

/// Two requests, one after the other, through a forwarded port.
fn forward(client: &Client<'_>) {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let _forward = client.follow(&format!("port-forward pod/hello {free}:8080"));
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

pub(crate) fn debugging(client: &Client<'_>) {
    client.table(&[
        run("run tool --image=drydock/demo:v1").is("pod/tool created"),
        run("wait --for=condition=Ready pod/tool --timeout=60s"),
        run("debug tool --image=drydock/demo:v1 -c helper --target=tool --attach=false -- sleep 1000").since(28),
        run("get pod tool -o jsonpath={.spec.ephemeralContainers[*].name}").is("helper").since(28),
        run("get pod tool -o jsonpath={.status.ephemeralContainerStatuses[0].state.running}")
            .has("startedAt")
            .eventually()
            .since(28),
        // It sees the processes of the container that it was sent to.
        run("exec tool -c helper -- ps").has("/usr/local/bin/demo").since(28),
        run("debug tool --copy-to=copy --set-image=*=drydock/demo:v2 --same-node").since(28),
        run("wait --for=condition=Ready pod/copy --timeout=60s").since(28),
        run("get pod copy -o jsonpath={.spec.containers[0].image}").is("drydock/demo:v2").since(28),
        run("debug node/worker-1 --image=drydock/demo:v1 --profile=sysadmin -- sleep 1000")
            .has("Creating debugging pod node-debugger-worker-1-")
            .since(30),
        run("delete pod tool copy --now --ignore-not-found"),
    ]);
    let found = client.step(&run("get pods -o name").since(30));
    let Some(debugger) = found.lines().find(|name| name.contains("node-debugger")) else { return };
    client.table(&[
        run(format!("wait --for=condition=Ready {debugger} --timeout=60s")),
        run(format!("exec {debugger} -- sh -c 'ls /host; hostname; echo x > /dev/null && echo written'"))
            .has("etc")
            .has("worker-1")
            .has("written"),
        run(format!("delete {debugger} --now")),
    ]);
}
