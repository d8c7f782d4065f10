//! Broken files: always a typed error, never a panic, never much memory.
use std::path::{Path, PathBuf};

use datasets::error::{At, Rule};
use datasets::idx::{self, Array, Values};
use datasets::tsv::{self, Table};
use datasets::{DataError, Images, gzip};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::TINY;
use crate::round_trip::{arrays, seeded, tables};

fn file() -> &'static Path {
    Path::new("some.file")
}

/// The rule that an IDX file breaks, and where.
fn idx_rule(bytes: &[u8]) -> (Rule, usize) {
    match idx::parse(file(), bytes) {
        Err(DataError::Format { at: At::Byte(at), rule, .. }) => (rule, at),
        other => panic!("expected an error of format, got {other:?}"),
    }
}

#[derive(Clone, Debug)]
enum Damage {
    Truncate(Index),
    Append(Vec<u8>),
    Flip(Index, u8),
    Overwrite(Index, Vec<u8>),
    Remove(Index, usize),
}

impl Damage {
    fn to(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        match self {
            Damage::Truncate(at) => bytes.truncate(at.index(bytes.len())),
            Damage::Append(tail) => bytes.extend(tail),
            Damage::Flip(at, bit) => {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
            }
            Damage::Overwrite(at, patch) => {
                let at = at.index(bytes.len());
                bytes.iter_mut().skip(at).zip(patch).for_each(|(byte, &new)| *byte = new);
            }
            Damage::Remove(at, n) => {
                let at = at.index(bytes.len());
                bytes.drain(at..(at + n).min(bytes.len()));
            }
        }
        bytes
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let patch = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..9),
        Just(vec![0xFF; 8]),
        Just(b"\tNaN".to_vec()),
        Just(b"\n\n".to_vec()),
    ];
    prop_oneof![
        any::<Index>().prop_map(Damage::Truncate),
        prop::collection::vec(any::<u8>(), 1..9).prop_map(Damage::Append),
        (any::<Index>(), 0u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        (any::<Index>(), patch).prop_map(|(at, patch)| Damage::Overwrite(at, patch)),
        (any::<Index>(), 1usize..9).prop_map(|(at, n)| Damage::Remove(at, n)),
    ]
}

proptest! {
    #![proptest_config(seeded(10_000))]

    /// Parsing is exact: what is accepted is written back as the very same bytes, all else is an error of format.
    #[test]
    fn idx_files(array in arrays(), damage in damage()) {
        let whole = idx::encode(&array);
        let bytes = damage.to(&whole);
        match idx::parse(file(), &bytes) {
            Ok(read) => {
                prop_assert!(!matches!(damage, Damage::Truncate(_) | Damage::Append(_)));
                prop_assert_eq!(idx::encode(&read), bytes);
            }
            Err(DataError::Format { rule, .. }) => match damage {
                Damage::Truncate(_) => {
                    prop_assert!(matches!(rule, Rule::IdxHeader { .. } | Rule::IdxTruncated { .. }), "{:?}", rule);
                }
                Damage::Append(_) => prop_assert!(matches!(rule, Rule::IdxTrailing { .. }), "{:?}", rule),
                _ => {}
            },
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn tsv_files((columns, rows) in tables(), damage in damage()) {
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let bytes = damage.to(tsv::encode(&columns, &rows).unwrap().as_bytes());
        match Table::parse(file(), &bytes, &columns) {
            Ok(table) => {
                let rows = (0..table.len()).map(|row| table.row(row).collect::<Vec<_>>());
                prop_assert_eq!(tsv::encode(&columns, rows).unwrap().into_bytes(), bytes);
                for column in table.columns() {
                    let numbers = table.numbers(column);
                    prop_assert!(numbers.map_or(true, |numbers| numbers.iter().all(|x| x.is_finite())));
                }
            }
            Err(DataError::Format { at: At::Line(line) | At::Field { line, .. }, .. }) => {
                prop_assert!((1..=bytes.iter().filter(|&&byte| byte == b'\n').count() + 1).contains(&line));
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

proptest! {
    #![proptest_config(seeded(10_000))]

    /// Damage to a packed file is found by its CRC, or is in a part of the header that says nothing about the
    /// content (time, system, name).
    #[test]
    fn packed_files(array in arrays(), damage in damage()) {
        let content = idx::encode(&array);
        let bytes = damage.to(&gzip::pack(&content));
        match gzip::unpack(file(), &bytes, content.len()) {
            Ok(unpacked) => {
                prop_assert!(unpacked == content || bytes.is_empty(), "{:?}", damage);
                prop_assert!(!matches!(damage, Damage::Truncate(_) | Damage::Append(_)));
            }
            Err(DataError::Format { rule: Rule::Gzip | Rule::UnpackedSize { .. }, .. }) => {}
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}

/// Headers that claim more than there is: every size here would be an allocation of gigabytes if it were believed.
#[test]
fn claims_are_not_believed() {
    for code in [0x08, 0x09, 0x0B, 0x0C, 0x0D, 0x0E] {
        for ndim in 1..=8u8 {
            for last in [0xFF, 0] {
                let mut bytes = vec![0, 0, code, ndim];
                bytes.extend(vec![0xFF; 4 * usize::from(ndim) - 1]);
                bytes.extend([last, 1, 2, 3]);
                assert!(matches!(idx_rule(&bytes).0, Rule::IdxTruncated { .. } | Rule::IdxSize));
            }
        }
    }
}

/// All tests of this module and of `readers` once more, in a process that may have 256 MiB of address space: a larger allocation, even
/// one that is never touched, aborts it.
#[cfg(target_os = "linux")]
#[test]
fn no_allocation_follows_a_claim() {
    let child = std::process::Command::new("sh")
        .args(["-c", "ulimit -v 262144; exec \"$0\" broken:: readers:: --skip \"$1\" --test-threads 1 2>&1"])
        .arg(std::env::current_exe().unwrap())
        .arg("broken::no_allocation_follows_a_claim")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains(" passed; 0 failed"), "{output}");
}

#[test]
fn a_stream_that_unpacks_to_much_more_is_stopped_at_the_limit() {
    let bomb = gzip::pack(&vec![0; 1 << 26]);
    assert!(bomb.len() < 1 << 17, "{}", bomb.len());
    assert_eq!(
        gzip::unpack(file(), &bomb, 1 << 20).unwrap_err().to_string(),
        "some.file, byte 1048576: the content must unpack to at most 1048576 bytes, found more than 1048576; raise \
         the limit if you trust the file"
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bomb.idx.gz");
    std::fs::write(&path, &bomb).unwrap();
    let error = idx::read_limited(&path, 1 << 20).unwrap_err();
    assert!(matches!(error, DataError::Format { rule: Rule::UnpackedSize { limit: 1_048_576 }, .. }));
}

#[test]
fn messages_of_idx() {
    let message = |bytes: &[u8]| idx::parse(file(), bytes).unwrap_err().to_string();
    assert_eq!(
        message(b""),
        "some.file, byte 0: the header must have 4 bytes, found 0; the file is cut off, get it again"
    );
    assert_eq!(
        message(b"<!DOCTYPE html>"),
        "some.file, byte 0: an IDX file must begin with two zero bytes, found 0x3c 0x21; check that this is an IDX \
         file and not packed or a web page"
    );
    assert_eq!(
        message(&[0, 0, 0x0A, 1]),
        "some.file, byte 2: the type must be one of 0x08, 0x09, 0x0b, 0x0c, 0x0d, 0x0e, found 0x0a; write the array \
         again with a type that IDX knows"
    );
    for ndim in [0, 9] {
        assert_eq!(
            message(&[0, 0, 8, ndim]),
            format!(
                "some.file, byte 3: the number of dimensions must lie in 1..=8, found {ndim}; flatten the array to \
                 at most 8 dimensions"
            )
        );
    }
    assert_eq!(
        message(&[0, 0, 8, 2, 0, 0]),
        "some.file, byte 4: the header must have 12 bytes, found 6; the file is cut off, get it again"
    );
    let mut overflow = vec![0, 0, 0x0E, 3];
    overflow.extend([0xFF; 12]);
    assert_eq!(
        message(&overflow),
        "some.file, byte 4: the product of the sizes must not overflow, found [4294967295, 4294967295, 4294967295]; \
         the header is damaged, get the file again"
    );
    assert_eq!(
        message(&[0, 0, 0x0B, 1, 0, 0, 0, 2, 1, 2, 3]),
        "some.file, byte 11: exactly 4 bytes of values must follow the header, found 3; the file is cut off, get it \
         again"
    );
    assert_eq!(
        message(&[0, 0, 0x08, 1, 0, 0, 0, 2, 1, 2, 3]),
        "some.file, byte 10: exactly 2 bytes of values must follow the header, found 3; the header and the values do \
         not belong together, get the file again"
    );
}

#[test]
fn messages_of_tsv() {
    let message = |text: &[u8]| Table::parse(file(), text, &["a", "b"]).unwrap_err().to_string();
    assert_eq!(
        message(b""),
        "some.file, line 1: each line must end with a line feed, found \"\"; the file is cut off, get it again"
    );
    assert_eq!(
        message(b"a\tb\n1\t2"),
        "some.file, line 2: each line must end with a line feed, found \"1\\t2\"; the file is cut off, get it again"
    );
    assert_eq!(
        message(b"b\ta\n"),
        "some.file, line 1: the header must be \"a\\tb\", found \"b\\ta\"; give the file of this set, columns in \
         this order"
    );
    assert_eq!(
        message(b"a\tb\n1\t2\n1\t2\t3\n"),
        "some.file, line 3: each line must have 2 fields, found 3; complete the line, and remove tabs inside fields"
    );
    assert!(message(b"a\tb\n\n").starts_with("some.file, line 2: each line must have 2 fields, found 1;"));
    assert_eq!(
        message(b"a\tb\n1\t\xFF\n"),
        "some.file, line 2, column `b`: text must be UTF-8, found byte 0xff; save the file as UTF-8"
    );
    assert_eq!(
        message(b"a\tb\r\n"),
        "some.file, line 1: lines must hold no carriage return, found \"\\r\"; save the file with line feeds alone"
    );
    let long = message(format!("{}\n", "x".repeat(1000)).as_bytes());
    assert!(long.contains(&format!("found \"{}…\"", "x".repeat(40))), "{long}");
}

#[test]
fn messages_of_numbers() {
    let table = |field: &str| {
        Table::parse(file(), format!("a\tb\n0\t1\n0\t{field}\n").as_bytes(), &["a", "b"]).unwrap()
    };
    for field in ["NaN", "inf", "-inf", "1e400"] {
        assert_eq!(
            table(field).numbers("b").unwrap_err().to_string(),
            format!(
                "some.file, line 3, column `b`: the number must be finite, found \"{field}\"; correct or drop the row"
            )
        );
    }
    for field in ["", "1,5", " 1", "0x10"] {
        assert_eq!(
            table(field).numbers("b").unwrap_err().to_string(),
            format!(
                "some.file, line 3, column `b`: the field must be a number, found \"{field}\"; correct or drop the row"
            )
        );
    }
    assert_eq!(
        table("256").integers::<u8>("b").unwrap_err().to_string(),
        "some.file, line 3, column `b`: the field must be a whole number in range, found \"256\"; correct or drop \
         the row"
    );
    assert_eq!(table("255").integers::<u8>("b").unwrap(), [1, 255]);
    assert_eq!(
        table("1").numbers("c").unwrap_err().to_string(),
        "the table must have the column `c`, it has a, b; name one of these"
    );
}

#[test]
fn messages_of_gzip() {
    let packed = gzip::pack(b"content");
    let message = |bytes: &[u8]| gzip::unpack(file(), bytes, 100).unwrap_err().to_string();
    let rule = "the content must be one whole gzip stream, found";
    let remedy = "get the file again, or drop `.gz` from its name if it is not packed";
    assert_eq!(
        message(b"not packed"),
        format!("some.file, byte 0: {rule} \"invalid gzip header\"; {remedy}")
    );
    let mut bytes = packed.clone();
    let crc = bytes.len() - 8;
    bytes[crc] ^= 1;
    assert_eq!(
        message(&bytes),
        format!(
            "some.file, byte 7: {rule} \"corrupt gzip stream does not have a matching checksum\"; {remedy}"
        )
    );
    assert!(message(&packed[..packed.len() - 1]).contains(rule));
    assert!(message(b"").contains(rule));
    // Two members are one stream.
    let two = [packed.clone(), packed.clone()].concat();
    assert_eq!(gzip::unpack(file(), &two, 14).unwrap(), b"contentcontent");
}

#[test]
fn messages_of_images() {
    let bytes =
        |shape: &[usize], values: &[u8]| Array::try_new(shape.to_vec(), Values::U8(values.to_vec())).unwrap();
    let read = |images: Array, labels: Array| {
        let files = ((Path::new("images"), images), (Path::new("labels"), labels));
        Images::<1, 1, 2>::from_arrays(files.0, files.1, TINY).unwrap_err().to_string()
    };
    let labels = || bytes(&[1], &[0]);
    let images = || bytes(&[1, 1, 2], &[0, 9]);
    let shape = "images, byte 4: the sizes after the first must be [1, 2], found";
    let remedy = "choose the reader for images of this size";
    assert_eq!(read(bytes(&[1, 2, 1], &[0, 9]), labels()), format!("{shape} [2, 1]; {remedy}"));
    assert_eq!(read(bytes(&[2], &[0, 9]), labels()), format!("{shape} []; {remedy}"));
    assert_eq!(
        read(bytes(&[1, 1, 2], &[0, 10]), labels()),
        "images, byte 17: a pixel must be at most 9, found 10; give the largest level that the images use"
    );
    let count = "labels, byte 4: there must be one label for each of 1 images, found sizes";
    let remedy = "give the label file that belongs to the image file";
    assert_eq!(read(images(), bytes(&[2], &[0, 1])), format!("{count} [2]; {remedy}"));
    assert_eq!(read(images(), bytes(&[1, 1], &[0])), format!("{count} [1, 1]; {remedy}"));
    assert_eq!(
        read(images(), bytes(&[1], &[3])),
        "labels, byte 8: a label must be below 3, found 3; give all classes a name, or the label file of this set"
    );
    let halves = Array::try_new(vec![1], Values::F32(vec![0.5])).unwrap();
    assert_eq!(
        read(images(), halves),
        "labels holds f32 values, but only u8 values can be used here; convert the file or choose another reader"
    );
}

#[test]
fn a_file_that_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("none.idx");
    let error = idx::read(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "`none.idx` is not here, looked in {}; check the path, or put the file there",
            path.display()
        )
    );
    assert!(matches!(error, DataError::Absent { looked_in, .. } if looked_in == [path]));
    assert!(matches!(Table::read(dir.path(), &["a"]), Err(DataError::Io { .. }))); // a folder
}
