//! What is written is read back, bit for bit, for every type and shape.
use std::path::Path;

use datasets::idx::{self, Array, Values};
use datasets::tsv::{self, Table};
use datasets::{DataError, gzip};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The same cases on every run.
pub fn seeded(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(0),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// An array of any of the six types, with up to eight sizes of which some may be 0.
pub fn arrays() -> impl Strategy<Value = Array> {
    prop::collection::vec(0usize..4, 1..=8).prop_flat_map(|shape| {
        let n = shape.iter().product::<usize>();
        macro_rules! values {
            ($kind:ident, $type:ty) => {
                prop::collection::vec(any::<$type>(), n).prop_map(Values::$kind).boxed()
            };
        }
        let values = prop_oneof![
            values!(U8, u8),
            values!(I8, i8),
            values!(I16, i16),
            values!(I32, i32),
            values!(F32, f32),
            values!(F64, f64),
        ];
        values.prop_map(move |values| Array::try_new(shape.clone(), values).unwrap())
    })
}

/// Column names and rows of fields that TSV can hold.
pub fn tables() -> impl Strategy<Value = (Vec<String>, Vec<Vec<String>>)> {
    const FIELD: &str = "[^\t\n\r]{0,6}";
    (1usize..5).prop_flat_map(|columns| {
        let names = prop::collection::vec(FIELD, columns);
        (names, prop::collection::vec(prop::collection::vec(FIELD, columns), 0..6))
    })
}

proptest! {
    #![proptest_config(seeded(256))]

    #[test]
    fn idx(array in arrays()) {
        let bytes = idx::encode(&array);
        // `encode` is compared, not the array: NaN is a value here, and NaN != NaN.
        let read = idx::parse(Path::new("x"), &bytes).unwrap();
        prop_assert_eq!(read.shape(), array.shape());
        prop_assert_eq!(read.values().type_name(), array.values().type_name());
        prop_assert_eq!(idx::encode(&read), bytes);
    }

    #[test]
    fn tsv((columns, rows) in tables()) {
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        let text = tsv::encode(&columns, &rows).unwrap();
        let table = Table::parse(Path::new("x"), text.as_bytes(), &columns).unwrap();
        prop_assert_eq!(table.len(), rows.len());
        for (i, row) in rows.iter().enumerate() {
            prop_assert!(table.row(i).eq(row.iter().map(String::as_str)));
        }
    }

    #[test]
    fn gzip(content: Vec<u8>) {
        prop_assert_eq!(gzip::unpack(Path::new("x"), &gzip::pack(&content), content.len()).unwrap(), content);
    }
}

#[test]
fn bytes_on_disk_are_big_endian() {
    let encode = |values| idx::encode(&Array::try_new(vec![1], values).unwrap())[2..].to_vec();
    assert_eq!(encode(Values::I16(vec![0x0102])), [0x0B, 1, 0, 0, 0, 1, 1, 2]);
    assert_eq!(encode(Values::I32(vec![0x0102_0304])), [0x0C, 1, 0, 0, 0, 1, 1, 2, 3, 4]);
    assert_eq!(encode(Values::F32(vec![1.0])), [0x0D, 1, 0, 0, 0, 1, 0x3F, 0x80, 0, 0]);
    assert_eq!(encode(Values::F64(vec![1.0])), [0x0E, 1, 0, 0, 0, 1, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn files_packed_and_not() {
    let dir = tempfile::tempdir().unwrap();
    let array = Array::try_new(vec![2, 0, 3], Values::F64(vec![])).unwrap();
    for name in ["a.idx", "a.idx.gz"] {
        idx::write(&dir.path().join(name), &array).unwrap();
        assert_eq!(idx::read(&dir.path().join(name)).unwrap(), array);
    }
    for name in ["a.tsv", "a.tsv.gz"] {
        tsv::write(&dir.path().join(name), &["x"], [["1"], ["2"]]).unwrap();
        assert_eq!(Table::read(&dir.path().join(name), &["x"]).unwrap().numbers("x").unwrap(), [1.0, 2.0]);
    }
    let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.count(), 4, "temporary files are renamed");
    let packed = std::fs::read(dir.path().join("a.idx.gz")).unwrap();
    assert_eq!(packed[..2], [0x1F, 0x8B]);
}

#[test]
fn a_write_that_fails_keeps_what_was_there_and_leaves_nothing_half_written() {
    let dir = tempfile::tempdir().unwrap();
    let occupied = dir.path().join("folder.idx");
    std::fs::create_dir(&occupied).unwrap(); // the rename onto a folder fails, for root too
    let array = Array::try_new(vec![1], Values::U8(vec![1])).unwrap();
    let error = idx::write(&occupied, &array).unwrap_err();
    assert!(matches!(error, DataError::Io { .. }));
    let start = format!("cannot write {}: ", occupied.display());
    let message = error.to_string();
    assert!(message.starts_with(&start), "{message}");
    assert!(
        message.ends_with("; check that the path exists, its permissions and the free space"),
        "{message}"
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// A disk that takes one block and no more: the test starts itself again under a limit on the size of files.
#[cfg(unix)]
#[test]
fn a_full_disk_is_one_error_and_the_old_file_stays() {
    const CHILD: &str = "DATASETS_TEST_FULL_DISK";
    const NAME: &str = "round_trip::a_full_disk_is_one_error_and_the_old_file_stays";
    if let Some(path) = std::env::var_os(CHILD) {
        let large = Array::try_new(vec![1 << 20], Values::U8(vec![1; 1 << 20])).unwrap();
        let error = idx::write(Path::new(&path), &large).unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("cannot write {}: ", Path::new(&path).display())),
            "{error}"
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.idx");
    let small = Array::try_new(vec![1], Values::U8(vec![1])).unwrap();
    idx::write(&path, &small).unwrap();
    let child = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" --exact \"$1\" 2>&1"])
        .arg(std::env::current_exe().unwrap())
        .arg(NAME)
        .env(CHILD, &path)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
    assert_eq!(idx::read(&path).unwrap(), small);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing half written stays");
}

#[test]
fn what_the_formats_cannot_hold_is_refused_before_writing() {
    let shape =
        |shape: &[usize], n| Array::try_new(shape.to_vec(), Values::U8(vec![0; n])).unwrap_err().to_string();
    assert_eq!(
        shape(&[2, 3], 5),
        "the product of the sizes [2, 3] must be the number of values, got 5 values; give the shape that the values \
         have"
    );
    let not_storable = "IDX holds 1 to 8 dimensions of less than 2^32 each, got sizes";
    assert!(shape(&[], 1).starts_with(not_storable));
    assert!(shape(&[1; 9], 1).starts_with(not_storable));
    assert!(shape(&[1 << 32, 0], 0).starts_with(not_storable));
    assert!(shape(&[1 << 31, 1 << 31, 1 << 31, 0], 0).starts_with(not_storable));

    assert_eq!(
        tsv::encode(&["a", "b"], [["1", "x\ty"]]).unwrap_err().to_string(),
        "a TSV field must hold no tab, line feed or carriage return, row 0, column `b` holds \"x\\ty\"; replace it \
         before writing"
    );
    assert!(
        tsv::encode(&["a\n"], [["1"]]).unwrap_err().to_string().contains("row header, column `a\n` holds")
    );
    assert_eq!(
        tsv::encode(&["a", "b"], [vec!["1"]]).unwrap_err().to_string(),
        "each row must have 2 fields, row 0 has 1; complete the row"
    );
}
