//! The readers of other people's formats: golden files, messages, and 10,000 mutations of each.
use std::path::Path;

use datasets::cifar::{self, Labels};
use datasets::csv::{self, Csv};
use datasets::error::Rule;
use datasets::idx::{Array, Values};
use datasets::npy::{self, Npz};
use datasets::{DataError, Images, NodeGraph, planetoid, tar, tsv};
use kernels::random::{Key, KeyRng};

use crate::TINY;

/// Mutations of each file.
const MUTATIONS: u64 = 10_000;

fn file() -> &'static Path {
    Path::new("some.file")
}

/// `bytes` after one to three accidents: cut, bit flipped, overwritten, doubled, removed, extreme numbers put in.
fn mutated(bytes: &[u8], rng: &mut KeyRng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=rng.below(3) {
        let at = rng.below(bytes.len() as u64 + 1) as usize;
        let stretch = at..(at + 1 + rng.below(8) as usize).min(bytes.len());
        match rng.below(7) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
            2 => bytes[stretch.start.min(stretch.end)..stretch.end].fill(0xFF),
            3 => bytes[stretch.start.min(stretch.end)..stretch.end].fill(0),
            4 => drop(bytes.drain(stretch.start.min(stretch.end)..stretch.end)),
            5 => {
                let piece = bytes[stretch.start.min(stretch.end)..stretch.end].to_vec();
                let end = stretch.end;
                bytes.splice(end..end, piece);
            }
            _ => {
                let words: [&[u8]; 8] =
                    [b"\t", b"\n", b",", b"\"", b"-1", b"NaN", b"99999999999999999999", b"\r\n"];
                let word = words[rng.below(8) as usize];
                bytes.splice(at..at, word.iter().copied());
            }
        }
    }
    bytes
}

/// Reads `MUTATIONS` mutations of `whole`; each must be read, or be one of this crate's errors about content. A panic
/// or an abort fails the test; so does a reader that accepts or refuses everything.
fn fuzz<T>(name: &str, whole: &[u8], read: impl Fn(&[u8]) -> Result<T, DataError>) {
    assert!(read(whole).is_ok(), "{name}: the whole file must be read");
    let mut refused = 0;
    for case in 0..MUTATIONS {
        let bytes = mutated(whole, &mut Key::new(7).fold(case).rng());
        match read(&bytes) {
            Ok(_) => {}
            Err(
                DataError::Format { .. }
                | DataError::Unsupported { .. }
                | DataError::NoColumn { .. }
                | DataError::GraphLength { .. }
                | DataError::NodeWord { .. }
                | DataError::EdgeEnd { .. }
                | DataError::EdgeTwice { .. },
            ) => refused += 1,
            Err(other) => panic!("{name}, case {case}: {other}"),
        }
    }
    assert!((MUTATIONS / 10..MUTATIONS).contains(&refused), "{name}: {refused} of {MUTATIONS} were refused");
}

fn csv_file() -> Vec<u8> {
    let rows = [["CCO", "ethanol, \"pure\"", "1.1"], ["C", "two\nlines", "-0.5"], ["", "", "7e-3"]];
    csv::encode(&["smiles", "name", "log_s"], rows).unwrap().into_bytes()
}

fn npy_file() -> Vec<u8> {
    npy::encode(
        &npy::Array::try_new(vec![3, 2], npy::Values::F64(vec![1.0, -2.0, 0.5, 4.0, 1e300, 0.0])).unwrap(),
    )
}

/// A zip of two arrays, one stored and one deflated, as `numpy.savez` and `savez_compressed` write them.
fn npz_file() -> &'static [u8] {
    include_bytes!("../golden/arrays.npz")
}

/// Three records of CIFAR-10.
fn cifar_file() -> Vec<u8> {
    (0..3u8)
        .flat_map(|label| std::iter::once(label * 4).chain((0..3072u32).map(move |i| (i / 12) as u8 ^ label)))
        .collect()
}

/// An archive of two small members.
fn tar_file() -> Vec<u8> {
    let member = |name: &str, content: &[u8]| {
        let mut header = [0u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        header[148..156].fill(b' ');
        header[156] = b'0';
        header[257..263].copy_from_slice(b"ustar\0");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let mut bytes = header.to_vec();
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    };
    [member("set/a.bin", b"first"), member("set/b.bin", &[7; 600]), vec![0; 1024]].concat()
}

fn read_tar(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, DataError> {
    Ok(tar::members(file(), bytes, &["a.bin", "b.bin"], 1 << 20)?.into_iter().collect())
}

const NODES: &[u8] = b"split\tlabel\twords\ntrain\t0\t1 3\nnone\t-1\t\ntest\t1\t0\nvalid\t1\t2 3\n";
const EDGES: &[u8] = b"a\tb\n0\t1\n1\t2\n0\t3\n";

fn graph(nodes: &[u8], edges: &[u8]) -> Result<NodeGraph, DataError> {
    planetoid::parse("tiny", (Path::new("nodes.tsv"), nodes), (Path::new("edges.tsv"), edges))
}

#[test]
fn ten_thousand_mutations_of_csv() {
    fuzz("csv", &csv_file(), |bytes| {
        let table = Csv::parse(file(), bytes)?;
        table.numbers("log_s").map(|numbers| numbers.len())
    });
}

#[test]
fn ten_thousand_mutations_of_npy_and_npz() {
    fuzz("npy", &npy_file(), |bytes| npy::parse(file(), bytes));
    fuzz("npz", npz_file(), |bytes| Npz::parse(file(), bytes, 1 << 20));
}

#[test]
fn ten_thousand_mutations_of_cifar_records_and_tar() {
    fuzz("cifar", &cifar_file()[..3073], |bytes| cifar::parse(file(), bytes, Labels::Ten));
    fuzz("tar", &tar_file(), read_tar);
}

#[test]
fn ten_thousand_mutations_of_planetoid_tables() {
    fuzz("nodes", NODES, |bytes| graph(bytes, EDGES));
    fuzz("edges", EDGES, |bytes| graph(NODES, bytes));
}

#[test]
fn ten_thousand_mutations_of_images_and_embedded_tables() {
    let images = Array::try_new(vec![3, 1, 2], Values::U8(vec![1, 2, 3, 4, 5, 6])).unwrap();
    let labels = Array::try_new(vec![3], Values::U8(vec![0, 1, 2])).unwrap();
    fuzz("images", &datasets::idx::encode(&images), |bytes| {
        let images = (Path::new("images"), datasets::idx::parse(Path::new("images"), bytes)?);
        Images::<1, 1, 2>::from_arrays(images, (Path::new("labels"), labels.clone()), TINY)
    });
    // What the loaders of molecules and tunes do with their columns.
    let columns = ["atoms", "bonds", "notes"];
    let rows = [["C,0,3,0,0 O,-1,0,0,0", "0-1:2", "74:6 | 0:12"], ["Cl", "", "60:4"]];
    let text = tsv::encode(&columns, rows).unwrap();
    fuzz("molecules", text.as_bytes(), |bytes| {
        let table = tsv::Table::parse(file(), bytes, &columns)?;
        let atoms = table.parsed("atoms", |field| {
            field.split(' ').map(str::parse).collect::<Result<Vec<datasets::molecules::Atom>, Rule>>()
        })?;
        table.parsed("bonds", |field| {
            let bonds = field.split(' ').filter(|bond| !bond.is_empty()).map(str::parse);
            bonds.collect::<Result<Vec<datasets::molecules::Bond>, Rule>>()
        })?;
        table.parsed("notes", |field| {
            field.split(' ').map(str::parse).collect::<Result<Vec<datasets::music::Token>, Rule>>()
        })?;
        Ok(atoms)
    });
}

#[test]
fn arrays_of_numpy_are_read_in_every_order() {
    // tests/golden/arrays.py says what is inside.
    let npz = Npz::parse(file(), npz_file(), 1 << 20).unwrap();
    assert_eq!(npz.names(), ["plain", "fortran", "big", "flags", "scalar", "bytes", "empty"]);
    let plain = npz.get("plain").unwrap();
    assert_eq!(
        (plain.shape(), plain.values()),
        (&[2, 3][..], &npy::Values::F32(vec![0.0, 0.5, 1.0, 1.5, 2.0, 2.5]))
    );
    let fortran = npz.get("fortran").unwrap();
    assert_eq!(fortran.shape(), [2, 3, 4]);
    assert_eq!(fortran.values(), &npy::Values::F64((0..24).map(f64::from).collect()));
    assert_eq!(npz.get("big").unwrap().values(), &npy::Values::I64(vec![-1, 1 << 40]));
    assert_eq!(npz.get("flags").unwrap().values(), &npy::Values::Bool(vec![true, false, true]));
    assert_eq!(
        (npz.get("scalar").unwrap().shape(), npz.get("scalar").unwrap().values().to_f64()),
        (&[][..], vec![7.0])
    );
    assert_eq!(npz.get("bytes").unwrap().values(), &npy::Values::U8(vec![200, 1]));
    assert!(npz.get("empty").unwrap().values().is_empty());
    assert!(npz.get("none").unwrap_err().to_string().starts_with("the table must have the column `none`"));
    for name in npz.names() {
        let array = npz.get(name).unwrap();
        assert_eq!(&npy::parse(file(), &npy::encode(array)).unwrap(), array, "{name}");
    }
    let objects = include_bytes!("../golden/objects.npy");
    assert_eq!(
        npy::parse(file(), objects).unwrap_err().to_string(),
        "some.file holds values of type \"|O\", but only f4, f8, i4, i8, u1 and b1 can be used here; convert the file \
         or choose another reader"
    );
    // A limit on what is unpacked, whatever the directory claims.
    let small = Npz::parse(file(), npz_file(), 100).unwrap_err();
    assert!(matches!(small, DataError::Format { rule: Rule::UnpackedSize { limit: 100 }, .. }), "{small}");
}

#[test]
fn messages_of_npy() {
    let whole = npy_file();
    let message = |bytes: &[u8]| npy::parse(file(), bytes).unwrap_err().to_string();
    assert!(
        message(b"PK").starts_with("some.file, byte 0: an NPY file must begin with \\x93NUMPY, found \"PK\"")
    );
    assert!(
        message(b"\x93NUMPY\x09\x00\x00\x00").starts_with("some.file, byte 6: the version must be 1, 2 or 3")
    );
    assert!(message(&whole[..40]).starts_with("some.file, byte 10: the head must be a whole dictionary"));
    let cut = message(&whole[..whole.len() - 1]);
    assert!(
        cut.starts_with("some.file, byte 128: the values must fill the shape [3, 2] exactly, found 47 bytes"),
        "{cut}"
    );
    // A head that claims 2^63 numbers for six.
    let text = String::from_utf8_lossy(&whole).into_owned();
    let at = text.find("(3, 2)").unwrap() - 2; // the mark of the file is three bytes as text, one as bytes
    let mut huge = whole.clone();
    huge[at..at + 6].copy_from_slice(b"(9, 9)");
    assert!(message(&huge).contains("[9, 9]"), "{}", message(&huge));
}

#[test]
fn csv_is_that_of_the_standard() {
    let text = "\u{FEFF}a,\"b \"\"c\"\"\",d\r\n\"1,\n2\",,\"\"\nlast,0.5,x";
    let table = Csv::parse(file(), text.as_bytes()).unwrap();
    assert_eq!(table.columns(), ["a", "b \"c\"", "d"]);
    assert_eq!(table.texts("a").unwrap(), ["1,\n2", "last"]);
    assert_eq!(table.texts("b \"c\"").unwrap(), ["", "0.5"]);
    let message = |text: &str| Csv::parse(file(), text.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        message(""),
        "some.file, line 1: the first line must name each column once, found no line; give each column one name"
    );
    assert!(message("a,a\n").contains("found \"a\""));
    assert_eq!(
        message("a,b\n\"x\n\",1\n2\n"),
        "some.file, line 4: each line must have 2 fields, found 1; complete the line, and remove tabs inside fields"
    );
    let quotes = "quotes must stand around whole fields and be doubled inside";
    for broken in ["a\n\"x", "a\nx\"y\"", "a\n\"x\"y"] {
        assert!(message(broken).starts_with(&format!("some.file, line 2: {quotes}")), "{}", message(broken));
    }
    let numbers = Csv::parse(file(), b"a,b\n\"1\n\",x\n2,inf\n").unwrap();
    let error = numbers.numbers("b").unwrap_err().to_string();
    assert!(
        error.starts_with("some.file, line 2, column `b`: the field must be a number, found \"x\""),
        "{error}"
    );
    assert_eq!(numbers.numbers("a").unwrap(), [1.0, 2.0]);
    // What is written is read back.
    let rows = vec![vec!["plain", "co,mma", "li\r\nne"], vec!["\"", "", "é"]];
    let text = csv::encode(&["x", "y", "z"], &rows).unwrap();
    let read = Csv::parse(file(), text.as_bytes()).unwrap();
    assert_eq!(
        (read.texts("y").unwrap(), read.texts("z").unwrap()),
        (vec!["co,mma", ""], vec!["li\r\nne", "é"])
    );
}

#[test]
fn records_of_cifar_become_images() {
    let images = cifar::parse(file(), &cifar_file(), Labels::Ten).unwrap();
    assert_eq!((images.len(), images.labels()), (3, vec![0, 4, 8]));
    assert_eq!(images.pixels(1)[..13], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
    assert_eq!(images.unit(1)[2][31][31], f32::from(255u8 ^ 1) / 255.0);
    let mut hundred = vec![19, 99];
    hundred.extend([5; 3072]);
    let images = cifar::parse(file(), &hundred, Labels::Hundred).unwrap();
    assert_eq!(images.class_names()[images.label(0)], "worm");
    assert_eq!(
        cifar::parse(file(), &hundred, Labels::Ten).unwrap_err().to_string(),
        "some.file, byte 3073: the file must be records of 3073 bytes, found 1; the file is cut off or of another set, \
         get it again"
    );
    hundred[1] = 100;
    let error = cifar::parse(file(), &hundred, Labels::Hundred).unwrap_err().to_string();
    assert!(error.starts_with("some.file, byte 1: a label must be below 100, found 100"), "{error}");
}

#[test]
fn members_of_an_archive_are_found_and_bad_names_refused() {
    let whole = tar_file();
    assert_eq!(
        read_tar(&whole).unwrap(),
        [("a.bin".to_owned(), b"first".to_vec()), ("b.bin".to_owned(), vec![7; 600])]
    );
    // Archives may end without their empty blocks, but not inside of a member.
    assert_eq!(read_tar(&whole[..whole.len() - 1024]).unwrap().len(), 2);
    let error = read_tar(&whole[..1500]).unwrap_err().to_string();
    assert!(error.contains("an archive must hold its last member whole"), "{error}");
    for name in ["../a.bin", "/a.bin"] {
        let mut bad = whole.clone();
        bad[..9].fill(0);
        bad[..name.len()].copy_from_slice(name.as_bytes());
        bad[148..156].fill(b' ');
        let sum: u32 = bad[..512].iter().map(|&byte| u32::from(byte)).sum();
        bad[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let error = read_tar(&bad).unwrap_err().to_string();
        assert!(
            error.starts_with("some.file, byte 0: a name must stay inside of the archive"),
            "{name}: {error}"
        );
    }
    let limited = tar::members(file(), &whole[..], &["b.bin"], 100).unwrap_err();
    assert!(
        matches!(limited, DataError::Format { rule: Rule::UnpackedSize { limit: 100 }, .. }),
        "{limited}"
    );
}
