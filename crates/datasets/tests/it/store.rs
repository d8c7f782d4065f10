//! The folder of fetched data: absent, wrong, interrupted, locked, read-only, full. The only server is one of the test's
//! own, on this machine.
use std::fs;
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
};

use datasets::catalogue::{
    CIFAR_10, CORA, DISK_SETS, DiskFile, DiskSet, EMBRYOID_BODY, ESOL, Identity, MNIST,
};
use datasets::store::{Downloader, State, Store, disk_set};
use datasets::{DataError, gzip, on_disk};

/// sha256 of `content\n` and of `other\n`, by coreutils.
const CONTENT: &str = "434728a410a78f56fc1b5899c3593436e61ab0c731e9072d95e96db290205e53";

/// A set of two files that both hold `content\n`: one known by its unpacked content, one by its length and sum.
const TINY: DiskSet = DiskSet {
    name: "tiny",
    title: "two small files",
    files: &[
        DiskFile {
            name: "packed.txt.gz",
            urls: &["test://first/packed.txt.gz", "test://second/packed.txt.gz"],
            bytes: None,
            identity: Identity::Unpacked(CONTENT),
        },
        DiskFile {
            name: "plain.txt",
            urls: &["test://first/plain.txt"],
            bytes: Some(8),
            identity: Identity::Packed(CONTENT),
        },
    ],
    system: &[],
    split: None,
    licence: "ours",
    citation: "nobody",
    by_hand: "",
};

/// A folder for a store, one for a fake `curl`, and files that it can serve.
struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Scene { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(scene.path("served")).unwrap();
        fs::write(scene.path("served/packed.txt.gz"), gzip::pack(b"content\n")).unwrap();
        fs::write(scene.path("served/plain.txt"), "content\n").unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn store(&self) -> Store {
        Store::at(self.path("data"))
    }

    /// A program that takes curl's arguments and does `body` with $part, $url and $file, the served file.
    #[cfg(unix)]
    fn downloader(&self, body: &str) -> Downloader {
        use std::os::unix::fs::PermissionsExt;
        let served = self.path("served");
        let script = format!(
            "#!/bin/sh\nwhile [ $# -gt 2 ]; do shift; done\npart=$1 url=$2 file={}/${{url##*/}}\n{body}\n",
            served.display()
        );
        let path = self.path("curl");
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Downloader::Curl(path)
    }

    fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path("data/tiny")) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

#[test]
fn what_is_absent_says_where_it_was_looked_for_and_what_to_type() {
    let store = Store::at("/nowhere");
    assert_eq!(
        on_disk::cifar_10(&store).unwrap_err().to_string(),
        "`cifar-10-binary.tar.gz` is not here, looked in /nowhere/cifar-10/cifar-10-binary.tar.gz; type `cargo xtask \
         data fetch cifar-10`"
    );
    assert_eq!(
        on_disk::planetoid(&store, "cora").unwrap_err().to_string(),
        "`cora.tsv.gz` is not here, looked in /nowhere/cora/cora.tsv.gz; convert the Planetoid release \
         (github.com/kimiyoung/planetoid) to tables as the module `planetoid` describes, then type `cargo xtask data \
         import cora FOLDER`"
    );
    for error in [
        on_disk::mnist(&store).unwrap_err(),
        on_disk::cifar_100(&store).unwrap_err(),
        on_disk::esol(&store).unwrap_err(),
        on_disk::embryoid_body(&store).unwrap_err(),
    ] {
        assert!(matches!(error, DataError::Absent { .. }) && !error.to_string().contains('\n'), "{error}");
    }
    assert!(store.states(&MNIST).iter().all(|(_, state)| *state == State::Absent));
    assert!(store.verify(&MNIST).unwrap().is_empty());
    assert_eq!(
        disk_set("cifar").unwrap_err().to_string(),
        "`cifar` is no set that lives on disk; name one of fashion-mnist, mnist, cifar-10, cifar-100, cora, citeseer, \
         esol, embryoid-body"
    );
    let error = on_disk::planetoid(&store, "esol").unwrap_err().to_string();
    assert!(error.ends_with("name one of cora, citeseer"), "{error}");
}

#[test]
fn the_catalogue_is_consistent() {
    for set in DISK_SETS {
        assert!(set.can_be_fetched() || !set.by_hand.is_empty(), "{}: no way to get it", set.name);
        for file in set.files {
            let digits = match file.identity {
                Identity::Unpacked(sum) | Identity::Packed(sum) => (sum, 64),
                Identity::Md5(sum) => (sum, 32),
                Identity::FirstSeen => continue,
            };
            let is_hex = digits.0.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
            assert!(is_hex && digits.0.len() == digits.1, "{}", file.name);
            assert!(
                file.urls.iter().all(|url| url.starts_with("https://") && url.ends_with(file.name)),
                "{}",
                file.name
            );
        }
    }
    assert!(CIFAR_10.can_be_fetched() && !CORA.can_be_fetched());
    let error =
        Store::at("/nowhere").fetch(&CORA, &Downloader::Curl("none".into()), &mut |_| {}).unwrap_err();
    assert!(
        error.to_string().starts_with("`cora` cannot be fetched; convert the Planetoid release"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_fetch_checks_names_and_records_every_file() {
    let scene = Scene::new();
    let mut said = Vec::new();
    let fetched = scene
        .store()
        .fetch(&TINY, &scene.downloader("cp \"$file\" \"$part\""), &mut |line| said.push(line.to_owned()))
        .unwrap();
    assert_eq!(fetched.iter().map(|file| file.sha256.as_str()).collect::<Vec<_>>(), [CONTENT; 2]);
    assert_eq!(said, ["fetches test://first/packed.txt.gz", "fetches test://first/plain.txt"]);
    assert_eq!(scene.names(), [".lock", "manifest.tsv", "packed.txt.gz", "plain.txt"]);
    let state = |name: &str| State::Checked(scene.path("data/tiny").join(name));
    assert_eq!(
        scene.store().states(&TINY),
        [("packed.txt.gz", state("packed.txt.gz")), ("plain.txt", state("plain.txt"))]
    );
    // The second time nothing is fetched: this downloader only fails.
    said.clear();
    scene.store().fetch(&TINY, &scene.downloader("exit 9"), &mut |line| said.push(line.to_owned())).unwrap();
    assert_eq!(said, ["packed.txt.gz is there", "plain.txt is there"]);
    assert_eq!(scene.store().verify(&TINY).unwrap().len(), 2);
}

#[cfg(unix)]
#[test]
fn an_interrupted_fetch_leaves_no_half_file_and_is_gone_on_with() {
    let scene = Scene::new();
    let half =
        scene.downloader("head -c 10 \"$file\" > \"$part\"; echo 'curl: (56) connection reset' >&2; exit 56");
    let error = scene.store().fetch(&TINY, &half, &mut |_| {}).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot fetch test://second/packed.txt.gz: curl: (56) connection reset; check the connection and try again, \
         what has arrived is kept"
    );
    assert_eq!(scene.names(), [".lock", ".part-packed.txt.gz"]);
    // A server that can go on: only the rest is written.
    let rest = scene.downloader(
        "have=$(cat \"$part\" 2>/dev/null | wc -c); tail -c +$((have + 1)) \"$file\" >> \"$part\"; echo $have >> \"$0.log\"",
    );
    scene.store().fetch(&TINY, &rest, &mut |_| {}).unwrap();
    assert_eq!(
        fs::read_to_string(scene.path("curl.log")).unwrap().split_whitespace().collect::<Vec<_>>(),
        ["10", "0"]
    );
    assert_eq!(scene.store().verify(&TINY).unwrap().len(), 2);
}

#[cfg(unix)]
#[test]
fn what_cannot_be_gone_on_with_is_fetched_from_the_beginning_and_mirrors_are_tried() {
    let scene = Scene::new();
    fs::create_dir_all(scene.path("data/tiny")).unwrap();
    fs::write(scene.path("data/tiny/.part-packed.txt.gz"), "of another file").unwrap();
    let picky = scene.downloader(
        "[ -e \"$part\" ] && { echo 'cannot resume' >&2; exit 33; }\ncase $url in *first/packed*) exit 22;; esac\ncp \"$file\" \"$part\"",
    );
    let mut said = Vec::new();
    scene.store().fetch(&TINY, &picky, &mut |line| said.push(line.to_owned())).unwrap();
    assert_eq!(
        said,
        [
            "goes on with test://first/packed.txt.gz",
            "fetches test://first/packed.txt.gz",
            "fetches test://second/packed.txt.gz",
            "fetches test://first/plain.txt"
        ]
    );
}

#[cfg(unix)]
#[test]
fn a_wrong_download_is_refused_and_removed() {
    let scene = Scene::new();
    let wrong = scene.downloader("printf 'other\\n' | gzip -n > \"$part\"");
    let error = scene.store().fetch(&TINY, &wrong, &mut |_| {}).unwrap_err();
    let message = error.to_string();
    assert!(
        matches!(error, DataError::Checksum { .. }) && message.contains(&format!("must be {CONTENT}")),
        "{message}"
    );
    assert_eq!(scene.names(), [".lock"]);
    let page = scene.downloader("echo '<html>' > \"$part\"");
    let error = scene.store().fetch(&TINY, &page, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("the content must be one whole gzip stream"), "{error}");
    let nothing = scene.downloader("exit 0");
    let error = scene.store().fetch(&TINY, &nothing, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("it wrote no file"), "{error}");
    let none = Downloader::Wget(scene.path("no such program"));
    assert!(matches!(scene.store().fetch(&TINY, &none, &mut |_| {}), Err(DataError::Download { .. })));
    assert_eq!(scene.names(), [".lock"]);
}

/// A web server on this machine that has the files of `folder` as `/MANNER/NAME`; its address.
#[cfg(unix)]
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(&stream, &folder); // a client that leaves early is part of the test
        }
    });
    format!("http://{address}")
}

/// Answers one request in the manner that its path begins with.
#[cfg(unix)]
fn answer(mut stream: &TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut head = BufReader::new(stream).lines();
    let request = head.next().transpose()?.unwrap_or_default(); // GET /whole/plain.txt HTTP/1.1
    let mut from = 0;
    for line in head {
        let line = line?.to_ascii_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().unwrap();
        } else if line.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let (manner, name) = path.split_once('/').unwrap();
    let mut content = fs::read(folder.join(name))?;
    let total = content.len();
    let status = match manner {
        "missing" => "404 Not Found",
        "broken" => "500 Internal Server Error",
        "whole" | "half" if from > 0 => {
            content.drain(..from);
            "206 Partial Content"
        }
        _ => "200 OK",
    };
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n", content.len())?;
    if status.starts_with("206") {
        write!(stream, "Content-Range: bytes {from}-{}/{total}\r\n", total - 1)?;
    }
    write!(stream, "\r\n")?;
    match manner {
        "half" => content.truncate(content.len() / 2),
        "wrong" => *content.last_mut().unwrap() ^= 1,
        _ => {}
    }
    stream.write_all(&content)
}

/// Every program of this machine that downloads, without the proxy that a user may have.
#[cfg(unix)]
fn downloaders(scene: &Scene) -> Vec<Downloader> {
    use std::os::unix::fs::PermissionsExt;
    let kinds: [(&str, fn(PathBuf) -> Downloader); 2] =
        [("curl", Downloader::Curl), ("wget", Downloader::Wget)];
    let runs = |name: &str| {
        std::process::Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success())
    };
    let found: Vec<Downloader> = kinds
        .into_iter()
        .filter(|(name, _)| runs(name))
        .map(|(name, kind)| {
            let path = scene.path(&format!("direct-{name}"));
            let script =
                format!("#!/bin/sh\nunset http_proxy HTTP_PROXY all_proxy ALL_PROXY\nexec {name} \"$@\"\n");
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            kind(path)
        })
        .collect();
    assert!(!found.is_empty(), "install curl or wget: `data fetch` needs one");
    found
}

#[cfg(unix)]
#[test]
fn a_mirror_serves_whole_files_or_none() {
    let scene = Scene::new();
    let base = serve(scene.path("served"));
    for downloader in downloaders(&scene) {
        let from = |manner: &str, say: &mut dyn FnMut(&str)| {
            scene.store().fetch_from(&TINY, &format!("{base}/{manner}"), &downloader, say)
        };
        let fails = |manner: &str| from(manner, &mut |_| {}).unwrap_err();
        for (manner, status) in [("missing", "404"), ("broken", "500")] {
            let error = fails(manner);
            assert!(matches!(error, DataError::Download { .. }), "{error}");
            assert!(error.to_string().contains(status), "{downloader:?}: {error}");
        }
        assert!(matches!(fails("wrong"), DataError::Checksum { .. } | DataError::Format { .. }));
        assert!(!scene.names().iter().any(|name| name == "packed.txt.gz"));

        // Cut off half-way: what has come is kept under another name, and gone on with.
        let error = fails("half");
        assert!(matches!(error, DataError::Download { .. }), "{error}");
        assert_eq!(scene.names(), [".lock", ".part-packed.txt.gz"], "{downloader:?}");
        let part = fs::metadata(scene.path("data/tiny/.part-packed.txt.gz")).unwrap().len();
        let whole = fs::metadata(scene.path("served/packed.txt.gz")).unwrap().len();
        assert_eq!(part, whole / 2, "{downloader:?}");
        let mut said = Vec::new();
        assert_eq!(from("whole/", &mut |line| said.push(line.to_owned())).unwrap().len(), 2);
        assert_eq!(
            said,
            [format!("goes on with {base}/whole/packed.txt.gz"), format!("fetches {base}/whole/plain.txt")]
        );
        assert_eq!(scene.names(), [".lock", "manifest.tsv", "packed.txt.gz", "plain.txt"]);
        assert_eq!(scene.store().verify(&TINY).unwrap().len(), 2);
        fs::remove_dir_all(scene.path("data")).unwrap();

        // A server that knows no ranges: from the beginning.
        fails("half");
        assert_eq!(from("unranged", &mut |_| {}).unwrap().len(), 2);
        fs::remove_dir_all(scene.path("data")).unwrap();

        // Nobody there.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let nobody = scene.store().fetch_from(&TINY, &format!("http://{closed}"), &downloader, &mut |_| {});
        let error = nobody.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot fetch http://{closed}/packed.txt.gz: ")), "{error}");
        fs::remove_dir_all(scene.path("data")).unwrap();
    }
}

#[test]
fn a_mirror_is_a_web_address() {
    let store = Store::at("/nowhere");
    for base in ["", "mirror", "http://", "--output=/etc/passwd", "file:///etc", "https://a b"] {
        let error = store.fetch_from(&CORA, base, &Downloader::Curl("none".into()), &mut |_| {}).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the base of a mirror must be a web address, found `{base}`; give one such as \
                 https://mirror.example/data"
            )
        );
    }
}

#[test]
fn imports_copy_what_is_right_and_name_what_is_not() {
    let scene = Scene::new();
    let imported = scene.store().import(&TINY, &scene.path("served")).unwrap();
    assert_eq!(imported.len(), 2);
    let served = scene.path("served/plain.txt");
    assert_eq!(scene.store().import(&TINY, &served).unwrap().len(), 1);
    assert_eq!(scene.names(), [".lock", "manifest.tsv", "packed.txt.gz", "plain.txt"]);
    assert_eq!(scene.store().file(&TINY, "plain.txt").unwrap(), scene.path("data/tiny/plain.txt"));

    fs::write(&served, "contents\n").unwrap();
    let error = scene.store().import(&TINY, &served).unwrap_err().to_string();
    let length = "must have 8 bytes, found 9; it is cut off or another file, get it again";
    assert_eq!(error, format!("{} {length}", served.display()), "the file of the reader, not a copy");
    fs::write(&served, "CONTENT\n").unwrap();
    let error = scene.store().import(&TINY, &served).unwrap_err();
    assert!(matches!(&error, DataError::Checksum { file, .. } if *file == served), "{error}");
    assert_eq!(scene.names(), [".lock", "manifest.tsv", "packed.txt.gz", "plain.txt"], "the old file stays");
    let other = scene.path("served/other.txt");
    fs::write(&other, "x").unwrap();
    assert_eq!(
        scene.store().import(&TINY, &other).unwrap_err().to_string(),
        format!(
            "{} must be or hold a file of `tiny`, but is none of packed.txt.gz, plain.txt; give the file with its own \
             name, or its folder",
            other.display()
        )
    );
    assert!(matches!(scene.store().import(&TINY, &scene.path("none")), Err(DataError::Absent { .. })));
}

#[test]
fn a_file_that_changed_is_hashed_again_and_not_used_when_wrong() {
    let scene = Scene::new();
    scene.store().import(&TINY, &scene.path("served")).unwrap();
    let path = scene.path("data/tiny/plain.txt");
    fs::write(&path, "CONTENT\n").unwrap(); // of the same length
    let old = fs::File::options().write(true).open(&path).unwrap();
    old.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(5)).unwrap();
    assert_eq!(scene.store().states(&TINY)[1], ("plain.txt", State::Unchecked(path.clone())));
    let error = scene.store().file(&TINY, "plain.txt").unwrap_err();
    assert!(matches!(&error, DataError::Checksum { file, .. } if *file == path), "{error}");
    assert!(scene.store().verify(&TINY).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "CONTENT\n", "it is left as it is");
    fs::write(&path, "content\n").unwrap();
    assert!(scene.store().file(&TINY, "plain.txt").is_ok());
    assert!(matches!(scene.store().states(&TINY)[1].1, State::Checked(_)), "and is recorded again");
}

#[test]
fn a_set_without_published_sums_keeps_those_of_its_first_import() {
    let scene = Scene::new();
    let path = scene.path("served").join(ESOL.files[0].name);
    fs::write(&path, "smiles,measured log solubility in mols per litre\nCCO,1.1\n").unwrap();
    let first = scene.store().import(&ESOL, &path).unwrap();
    assert_eq!(first[0].sha256.len(), 64);
    let table = on_disk::esol(&scene.store()).unwrap();
    assert_eq!(table.numbers("measured log solubility in mols per litre").unwrap(), [1.1]);
    fs::write(&path, "smiles\nC\n").unwrap();
    assert!(matches!(scene.store().import(&ESOL, &path), Err(DataError::Checksum { .. })));
    let npz = scene.path("served").join(EMBRYOID_BODY.files[0].name);
    fs::write(&npz, include_bytes!("../golden/arrays.npz")).unwrap();
    scene.store().import(&EMBRYOID_BODY, &npz).unwrap();
    assert_eq!(on_disk::embryoid_body(&scene.store()).unwrap().names().len(), 7);
}

#[test]
fn one_process_writes_at_a_time_and_the_other_learns_who() {
    let scene = Scene::new();
    scene.store().import(&TINY, &scene.path("served")).unwrap();
    let lock = fs::File::options().write(true).open(scene.path("data/tiny/.lock")).unwrap();
    lock.try_lock().unwrap();
    let error = scene.store().import(&TINY, &scene.path("served")).unwrap_err().to_string();
    let start = format!("`tiny` is being written by process {} (it holds ", std::process::id());
    assert!(error.starts_with(&start) && error.ends_with(".lock); wait until it is done"), "{error}");
    drop(lock);
    scene.store().import(&TINY, &scene.path("served")).unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_and_a_broken_manifest_are_errors() {
    let scene = Scene::new();
    fs::write(scene.path("data"), "a file where the folder should be").unwrap();
    let error = scene.store().import(&TINY, &scene.path("served")).unwrap_err().to_string();
    assert!(error.starts_with("cannot write ") && error.contains("data/tiny"), "{error}");
    fs::remove_file(scene.path("data")).unwrap();
    scene.store().import(&TINY, &scene.path("served")).unwrap();
    fs::write(scene.path("data/tiny/manifest.tsv"), "file\tbytes\n").unwrap();
    let error = scene.store().file(&TINY, "plain.txt").unwrap_err().to_string();
    assert!(error.contains("manifest.tsv, line 1: the header must be"), "{error}");
    assert!(matches!(scene.store().states(&TINY)[0].1, State::Unchecked(_)));
}

/// A disk that takes one block and no more: the test starts itself again under a limit on the size of files.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_half_file() {
    const CHILD: &str = "DATASETS_TEST_FULL_STORE";
    const NAME: &str = "store::a_full_disk_leaves_no_half_file";
    if let Some(folder) = std::env::var_os(CHILD) {
        let folder = Path::new(&folder);
        let error = Store::at(folder.join("data")).import(&ESOL, &folder.join("served")).unwrap_err();
        assert!(error.to_string().starts_with("cannot write "), "{error}");
        return;
    }
    let scene = Scene::new();
    fs::write(scene.path("served").join(ESOL.files[0].name), vec![b'x'; 1 << 20]).unwrap();
    let child = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" --exact \"$1\" 2>&1"])
        .arg(std::env::current_exe().unwrap())
        .arg(NAME)
        .env(CHILD, scene.dir.path())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
    let left: Vec<_> =
        fs::read_dir(scene.path("data/esol")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, [".lock"]);
}
