//! The image service against a real registry on loopback. Unpacking gives files to their owners, so it needs root.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use drydock_image_service::{InProcess, Order, Outcome, Policy, Progress, Service, pull};
use drydock_images::service::{Answer, Credentials, Request};
use drydock_images::{Image as Stored, ImageStore};
use drydock_tests_harness::registry::{Compression, Fault, Guard, Image, Registry, Schema, archive, digest};
use tempfile::TempDir;
use tokio::task::LocalSet;

struct Lab {
    registry: Registry,
    folder: TempDir,
}

impl Lab {
    fn new() -> Self {
        let lab = Self { registry: Registry::start(), folder: TempDir::new().unwrap() };
        lab.rules(|_| {});
        lab
    }

    fn machine(&self) -> PathBuf {
        self.folder.path().join("images")
    }

    fn private(&self) -> PathBuf {
        self.folder.path().join("session/images")
    }

    fn store(&self) -> ImageStore {
        ImageStore::open(self.machine()).unwrap()
    }

    /// Loopback is allowed here; `change` says what else.
    fn rules(&self, change: impl FnOnce(&mut Policy)) {
        let mut policy = Policy { private: vec![self.registry.host()], ..Policy::default() };
        change(&mut policy);
        policy.save(&self.machine()).unwrap();
    }

    fn order(&self, image: &str, credentials: Option<(&str, &str)>) -> Order {
        Order {
            machine: self.machine(),
            private: self.private(),
            image: self.registry.name(image),
            credentials: credentials.map(|(user, password)| Credentials {
                username: user.to_owned(),
                password: password.to_owned(),
                ..Credentials::default()
            }),
            room: 1 << 30,
        }
    }

    async fn pull(&self, image: &str) -> Result<Stored, String> {
        match pull(&self.order(image, None), &Progress::default()).await {
            Outcome::Ready { digest, .. } => Ok(self.store().resolve(&digest).unwrap()),
            Outcome::Failed(failure) => Err(format!("{}: {}", failure.code, failure.reason)),
        }
    }

    fn service(&self) -> Rc<Service<InProcess>> {
        Service::new("session", self.machine(), self.private(), InProcess)
    }

    fn request(&self, image: &str) -> Request {
        Request::Pull { image: self.registry.name(image), credentials: Vec::new() }
    }
}

fn hello() -> Image {
    Image::of_files(&[("bin/hello", 0o755, b"hello"), ("etc/conf", 0o644, b"x")])
}

fn read(image: &Stored, file: &str) -> Option<Vec<u8>> {
    image.layers.iter().rev().find_map(|layer| std::fs::read(layer.join(file)).ok())
}

/// Nothing of a pull that failed is left.
#[track_caller]
fn is_clean(lab: &Lab) {
    assert!(lab.store().list().unwrap().is_empty());
    let layers = lab.machine().join("layers");
    assert_eq!(std::fs::read_dir(layers).into_iter().flatten().count(), 0, "layers are left");
    let left: Vec<_> =
        std::fs::read_dir(lab.store().pulls().unwrap()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn every_form_of_image_is_fetched_and_unpacked() {
    let lab = Lab::new();
    for (index, (how, schema)) in
        [(Compression::None, Schema::Oci), (Compression::Gzip, Schema::Docker), (Compression::Zstd, Schema::Oci)]
            .into_iter()
            .enumerate()
    {
        let text = format!("content {index} {}", "again ".repeat(100_000));
        let tar = archive(&[("file", 0o644, text.as_bytes())]);
        let upper = archive(&[("dir/.wh.gone", 0o644, b""), ("top", 0o600, b"t")]);
        let config = serde_json::json!({"Entrypoint": ["/x"], "User": "7", "StopSignal": "SIGQUIT"});
        let image = Image { layers: vec![(tar, how), (upper, how)], schema, config, ..hello() };
        let manifest = lab.registry.push(&format!("app:{index}"), &image);
        let stored = lab.pull(&format!("app:{index}")).await.unwrap();
        assert_eq!(read(&stored, "file").unwrap(), text.as_bytes(), "{how:?}");
        assert!(stored.layers[1].join("dir/gone").symlink_metadata().unwrap().file_type().is_char_device());
        assert_eq!(stored.config.entrypoint, ["/x"]);
        assert_eq!(stored.name, lab.registry.name(&format!("app:{index}")));
        assert_eq!(stored.id(), format!("{}@{manifest}", lab.registry.name("app")));
        let compressed: u64 = stored.size;
        assert!(compressed > 0 && (how == Compression::None || compressed < 100_000), "{how:?}: {compressed}");
    }
}

#[tokio::test]
async fn the_index_leads_to_the_image_of_this_machine() {
    let lab = Lab::new();
    let other = Image { architecture: "s390x".to_owned(), ..Image::of_files(&[("f", 0o644, b"other")]) };
    for (name, schema) in [("a:1", Schema::Docker), ("b:1", Schema::Oci)] {
        let images = [other.clone(), hello()].map(|image| Image { schema, ..image });
        let index = lab.registry.push_index(name, &images);
        let stored = lab.pull(name).await.unwrap();
        assert_eq!(read(&stored, "bin/hello").unwrap(), b"hello");
        assert!(stored.repo_digests.contains(&format!("{}@{index}", lab.registry.name(&name[..1]))));
        // By digest it is the same image, and nothing is fetched again.
        let before = lab.registry.requests().len();
        let pinned = lab.pull(&format!("{}@{index}", &name[..1])).await.unwrap();
        assert_eq!((pinned.digest, lab.registry.requests().len()), (stored.digest, before));
    }
    lab.registry.push_index("c:1", std::slice::from_ref(&other));
    let refused = lab.pull("c:1").await.unwrap_err();
    assert!(refused.contains("no match for platform in manifest: not found"), "{refused}");
    lab.registry.push("d:1", &other);
    assert!(lab.pull("d:1").await.unwrap_err().contains("it is for \"linux\"/\"s390x\""));
}

#[tokio::test]
async fn a_tag_that_moves_is_followed_and_known_layers_are_not_fetched_again() {
    let lab = Lab::new();
    let base = (archive(&[("base", 0o644, b"base")]), Compression::Gzip);
    let with = |text: &str| Image {
        layers: vec![base.clone(), (archive(&[("own", 0o644, text.as_bytes())]), Compression::Gzip)],
        ..hello()
    };
    lab.registry.push("app:v", &with("one"));
    let one = lab.pull("app:v").await.unwrap();
    assert_eq!(lab.registry.downloads(), 3, "{:?}", lab.registry.requests());
    lab.pull("app:v").await.unwrap();
    assert_eq!(lab.registry.downloads(), 3, "an unchanged tag fetches nothing");
    lab.registry.push("app:v", &with("two"));
    let two = lab.pull("app:v").await.unwrap();
    assert_eq!(lab.registry.downloads(), 5, "configuration and one layer");
    assert_ne!(one.digest, two.digest);
    assert_eq!(lab.store().resolve(&lab.registry.name("app:v")).unwrap().digest, two.digest);
    assert_eq!(lab.store().resolve(&one.repo_digests[0]).unwrap().digest, one.digest, "by digest the old one is there");
}

#[tokio::test]
async fn an_imported_image_keeps_its_name() {
    let lab = Lab::new();
    let files = lab.folder.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let source = drydock_images::Source::Directory(&files);
    let own = lab.store().build(&lab.registry.name("app:v"), &source, &Default::default()).unwrap();
    lab.registry.push("app:v", &hello());
    let pulled = lab.pull("app:v").await.unwrap();
    assert_ne!(own.digest, pulled.digest);
    assert_eq!(lab.store().resolve(&lab.registry.name("app:v")).unwrap().digest, own.digest);
}

#[tokio::test]
async fn refusals_have_upstreams_words() {
    let lab = Lab::new();
    lab.registry.push("app:v", &hello());
    lab.registry.push("secret:v", &hello());
    lab.registry.protect("secret", Guard::Token, "me", "word");
    lab.registry.push("basic:v", &hello());
    lab.registry.protect("basic", Guard::Basic, "me", "word");
    let name = |rest: &str| lab.registry.name(rest);
    let head = |rest: &str| {
        format!("failed to pull and unpack image \"{0}\": failed to resolve reference \"{0}\": ", name(rest))
    };
    assert_eq!(
        lab.pull("app:no").await.unwrap_err(),
        format!("NotFound: {}{}: not found", head("app:no"), name("app:no"))
    );
    let refused = lab.pull("secret:v").await.unwrap_err();
    assert!(refused.starts_with(&format!("Unknown: {}failed to authorize: failed to fetch anonymous token: unexpected status from GET request to http://", head("secret:v"))), "{refused}");
    assert!(refused.ends_with(": 401 Unauthorized"), "{refused}");
    assert_eq!(
        lab.pull("basic:v").await.unwrap_err(),
        format!(
            "Unknown: {}pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials",
            head("basic:v")
        )
    );
    for repository in ["secret:v", "basic:v"] {
        let wrong = pull(&lab.order(repository, Some(("me", "wrong"))), &Progress::default()).await;
        assert!(matches!(wrong, Outcome::Failed(_)), "{wrong:?}");
    }
    is_clean(&lab);
}

#[tokio::test]
async fn what_needs_credentials_goes_to_the_sessions_own_store() {
    let lab = Lab::new();
    for (repository, guard) in [("secret", Guard::Token), ("basic", Guard::Basic)] {
        lab.registry.push(&format!("{repository}:v"), &hello());
        lab.registry.protect(repository, guard, "me", "pass:word");
        let outcome =
            pull(&lab.order(&format!("{repository}:v"), Some(("me", "pass:word"))), &Progress::default()).await;
        let Outcome::Ready { private: true, digest } = outcome else { panic!("{outcome:?}") };
        let own = ImageStore::open(lab.private()).unwrap().resolve(&digest).unwrap();
        assert_eq!(read(&own, "bin/hello").unwrap(), b"hello");
    }
    assert!(lab.store().list().unwrap().is_empty(), "other sessions see nothing of it");
}

#[tokio::test]
async fn faulty_registries_leave_nothing_behind() {
    let lab = Lab::new();
    lab.registry.push("app:v", &hello());
    for (fault, expected) in [
        (Fault::Altered, "unexpected commit digest sha256:"),
        (Fault::Short, "failed size validation: "),
        (Fault::Endless, "failed size validation: "),
        (Fault::Broken, "unexpected status from GET request to http://"),
        (Fault::Redirect("http://127.0.0.1:1".to_owned()), "the address is not allowed: 127.0.0.1"),
        (Fault::Redirect("http://169.254.169.254".to_owned()), "the address is not allowed: 169.254.169.254"),
        (Fault::Redirect("file:///etc/passwd".to_owned()), "a redirect to nowhere"),
    ] {
        lab.registry.fail(fault.clone());
        let refused = lab.pull("app:v").await.unwrap_err();
        assert!(refused.contains(expected), "{fault:?}: {refused}");
        is_clean(&lab);
    }
    lab.registry.fail(Fault::None);
    lab.pull("app:v").await.unwrap();
}

#[tokio::test]
async fn hostile_layers_are_refused() {
    let lab = Lab::new();
    let mut evil = archive(&[("aa/evil", 0o644, b"x")]);
    let at = evil.windows(7).position(|window| window == b"aa/evil").unwrap();
    evil[at..at + 2].copy_from_slice(b"..");
    let sum: u32 = evil[..512]
        .iter()
        .enumerate()
        .map(|(i, byte)| if (148..156).contains(&i) { 32 } else { u32::from(*byte) })
        .sum();
    evil[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    lab.registry.push("evil:v", &Image { layers: vec![(evil, Compression::Gzip)], ..hello() });
    let refused = lab.pull("evil:v").await.unwrap_err();
    assert!(refused.contains("a path with `..`"), "{refused}");
    // A small blob that unpacks to more than the session may have.
    let zeros = vec![0_u8; 8 << 20];
    let bomb = archive(&[("zeros", 0o644, &zeros)]);
    lab.registry.push("bomb:v", &Image { layers: vec![(bomb, Compression::Gzip)], ..hello() });
    let order = Order { room: 1 << 20, ..lab.order("bomb:v", None) };
    let outcome = pull(&order, &Progress::default()).await;
    assert!(matches!(&outcome, Outcome::Failed(failure) if failure.reason.contains("too large")), "{outcome:?}");
    let many = vec![(archive(&[("f", 0o644, b"x")]), Compression::None); 128];
    lab.registry.push("many:v", &Image { layers: many, ..hello() });
    assert!(lab.pull("many:v").await.unwrap_err().contains("128 layers"));
    is_clean(&lab);
}

#[tokio::test]
async fn the_operators_rules_count() {
    let lab = Lab::new();
    lab.registry.push("app:v", &hello());
    lab.rules(|policy| policy.allow = false);
    assert_eq!(
        lab.pull("app:v").await.unwrap_err(),
        "PermissionDenied: pulling images is switched off on this machine"
    );
    lab.rules(|policy| policy.registries = vec!["docker.io".to_owned()]);
    let host = lab.registry.host();
    let refused = format!("PermissionDenied: images of {host} may not be pulled on this machine");
    assert_eq!(lab.pull("app:v").await.unwrap_err(), refused);
    lab.rules(|policy| policy.private.clear());
    let refused = lab.pull("app:v").await.unwrap_err();
    assert!(refused.contains("the address is not allowed: 127.0.0.1 is at a private"), "{refused}");
    assert!(lab.registry.requests().is_empty(), "nothing was sent to it");
}

#[tokio::test]
async fn mirrors_are_asked_first_and_learn_no_passwords() {
    let lab = Lab::new();
    let mirror = Registry::start();
    lab.registry.push("only/here:v", &hello());
    mirror.push("both:v", &hello());
    lab.rules(|policy| {
        policy.mirrors.insert(lab.registry.host(), vec![format!("http://{}", mirror.host())]);
    });
    lab.pull("both:v").await.unwrap();
    assert!(lab.registry.requests().is_empty());
    lab.pull("only/here:v").await.unwrap();
    mirror.protect("closed", Guard::Basic, "me", "word");
    lab.registry.push("closed:v", &hello());
    lab.registry.protect("closed", Guard::Basic, "me", "word");
    let outcome = pull(&lab.order("closed:v", Some(("me", "word"))), &Progress::default()).await;
    assert!(matches!(outcome, Outcome::Ready { .. }), "{outcome:?}");
    assert!(mirror.authorizations().is_empty(), "{:?}", mirror.authorizations());
}

#[tokio::test]
async fn redirects_learn_no_passwords() {
    let lab = Lab::new();
    let elsewhere = Registry::start();
    lab.rules(|policy| policy.private.push(elsewhere.host()));
    let image = hello();
    lab.registry.push("closed:v", &image);
    elsewhere.push("x:v", &image);
    lab.registry.protect("closed", Guard::Basic, "me", "word");
    lab.registry.fail(Fault::Redirect(format!("http://{}", elsewhere.host())));
    let outcome = pull(&lab.order("closed:v", Some(("me", "word"))), &Progress::default()).await;
    assert!(matches!(outcome, Outcome::Ready { .. }), "{outcome:?}");
    assert_eq!(elsewhere.downloads(), 1);
    assert!(elsewhere.authorizations().is_empty());
}

#[tokio::test]
async fn one_download_serves_all_who_ask() {
    let lab = Lab::new();
    lab.registry.push("app:v", &hello());
    lab.registry.fail(Fault::Held);
    let local = LocalSet::new();
    local
        .run_until(async {
            let service = lab.service();
            let asked: Vec<_> = (0..8)
                .map(|_| {
                    let (service, request) = (service.clone(), lab.request("app:v"));
                    tokio::task::spawn_local(async move { service.answer(request).await })
                })
                .collect();
            // The configuration is held, so the pull is under way and all of them wait for it.
            while lab.registry.downloads() == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            lab.registry.release();
            for answer in asked {
                assert!(matches!(answer.await.unwrap(), Answer::Ready { .. }));
            }
            assert_eq!(lab.registry.downloads(), 2, "{:?}", lab.registry.requests());
        })
        .await;
}

#[tokio::test]
async fn two_sessions_share_one_download() {
    let lab = Lab::new();
    lab.registry.push("app:v", &hello());
    lab.registry.fail(Fault::Held);
    let order = lab.order("app:v", None);
    let (progress, other) = (Progress::default(), Progress::default());
    let release = async {
        while lab.registry.downloads() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        lab.registry.release();
    };
    let (first, second, ()) = tokio::join!(pull(&order, &progress), pull(&order, &other), release);
    assert_eq!(first, second);
    assert_eq!(lab.registry.downloads(), 2, "{:?}", lab.registry.requests());
}

#[tokio::test]
async fn unused_images_make_room_and_used_ones_stay() {
    let lab = Lab::new();
    let large = |name: &str| {
        let bytes: Vec<u8> = digest(name.as_bytes()).bytes().cycle().take(3 << 20).collect();
        let image = Image { layers: vec![(archive(&[("f", 0o644, &bytes)]), Compression::None)], ..hello() };
        lab.registry.push(name, &image);
    };
    for name in ["a:v", "b:v", "c:v"] {
        large(name);
    }
    lab.rules(|policy| policy.budget = 7 << 20);
    let local = LocalSet::new();
    local
        .run_until(async {
            let service = lab.service();
            // One session may take half of the room.
            assert!(matches!(service.answer(lab.request("a:v")).await, Answer::Ready { .. }));
            let full = service.answer(lab.request("b:v")).await;
            assert!(matches!(&full, Answer::Failed(failure) if failure.code == "ResourceExhausted"), "{full:?}");
            // Nobody holds this one; it goes for the next.
            let unused = lab.pull("b:v").await.unwrap();
            lab.pull("c:v").await.unwrap();
            let names: Vec<String> = lab.store().list().unwrap().into_iter().map(|image| image.name).collect();
            assert_eq!(names, [lab.registry.name("a:v"), lab.registry.name("c:v")]);
            assert!(!unused.layers[0].exists());
            // With all in use there is no room, and what is there stays as it is.
            let other = Service::new("other", lab.machine(), lab.folder.path().join("other/images"), InProcess);
            let digest = lab.store().resolve(&lab.registry.name("c:v")).unwrap().digest;
            assert_eq!(other.answer(Request::Use { digest }).await, Answer::Done);
            let refused = lab.pull("b:v").await.unwrap_err();
            assert!(refused.starts_with("ResourceExhausted: no space left for images"), "{refused}");
            // A session that is over holds nothing.
            drop(other);
            lab.pull("b:v").await.unwrap();
            assert!(lab.store().resolve(&lab.registry.name("a:v")).is_ok());
            assert!(lab.store().resolve(&lab.registry.name("c:v")).is_err());
        })
        .await;
}

#[tokio::test]
async fn nodes_speak_to_the_service_on_a_socket() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let lab = Lab::new();
    lab.registry.push("app:v", &hello());
    let local = LocalSet::new();
    local
        .run_until(async {
            let path = lab.folder.path().join("sock");
            let listener = tokio::net::UnixListener::bind(&path).unwrap();
            tokio::task::spawn_local(lab.service().serve(listener));
            let ask = async |line: &str| {
                let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
                stream.write_all(line.as_bytes()).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                serde_json::from_str::<Answer>(&answer).unwrap()
            };
            let request = serde_json::to_string(&lab.request("app:v")).unwrap();
            assert!(matches!(ask(&format!("{request}\n")).await, Answer::Ready { .. }));
            let refused = ask("nonsense\n").await;
            assert!(matches!(&refused, Answer::Failed(failure) if failure.code == "InvalidArgument"), "{refused:?}");
        })
        .await;
}
