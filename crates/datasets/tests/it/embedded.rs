//! The embedded files are the recorded ones, and they hold what the documentation says.
use std::collections::BTreeSet;

use datasets::registry::{descriptions, sha256};
use datasets::{DataError, digits, mnist, registry, verify};

#[test]
fn sha256_agrees_with_the_standard() {
    // FIPS 180-2, appendix B.1.
    assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn checksums_and_sizes_are_the_recorded_ones() {
    assert_eq!(verify().unwrap(), 41);
    for file in registry() {
        assert_eq!(file.bytes.len(), file.size, "{}", file.file);
    }
}

#[test]
fn another_content_is_a_checksum_error_that_names_both_hashes() {
    let mut file = registry()[0].clone();
    file.sha256_unpacked = file.sha256.clone();
    let message = file.verify().unwrap_err().to_string();
    let found = "359cd13f0f514122884198b78a131df597421cbf5e93a76678fa96fc548f0d96";
    assert_eq!(
        message,
        format!(
            "sha256 of digits-images.idx.gz must be {}, found {found}; the file is left as it is and not used, \
             get it again",
            file.sha256
        )
    );
    file.bytes = b"something else";
    assert!(matches!(file.verify(), Err(DataError::Checksum { .. })));
}

#[test]
fn every_recorded_file_is_embedded_and_has_its_terms_written_down() {
    let (recorded, licences) = (include_str!("../../data/data.tsv"), include_str!("../../data/LICENSES.md"));
    assert_eq!(registry().len(), recorded.lines().count() - 1);
    for file in registry() {
        let heading = format!("## {}\n", file.set);
        let section = licences.split(&heading).nth(1).unwrap_or_else(|| panic!("no section `{heading}`"));
        let section = section.split("\n## ").next().unwrap();
        assert!(section.contains(&format!("`{}`", file.file)), "section {} lacks {}", file.set, file.file);
        assert!(section.contains(&file.licence), "section {} lacks `{}`", file.set, file.licence);
    }
}

#[test]
fn raw_values_have_the_recorded_sums_and_levels() {
    let sum = |pixels: &[u8]| pixels.iter().map(|&p| u64::from(p)).sum::<u64>();
    let digits = digits();
    assert_eq!((0..digits.len()).map(|i| sum(digits.pixels(i))).sum::<u64>(), 561_718);
    let levels: BTreeSet<u8> = (0..digits.len()).flat_map(|i| digits.pixels(i).to_vec()).collect();
    assert_eq!(levels, (0..=16).collect());
    assert_eq!(digits.max_level(), 16);

    let mnist = mnist();
    let part = |rows: std::ops::Range<usize>| rows.map(|i| sum(mnist.pixels(i))).sum::<u64>();
    assert_eq!(part(0..10_000), 262_146_600);
    assert_eq!(part(0..1000), 25_942_717);
    assert_eq!(part(9600..10_000), 10_622_721);
    assert_eq!((0..10_000).flat_map(|i| mnist.pixels(i).to_vec()).max(), Some(255));
}

#[test]
fn classes_have_the_recorded_counts() {
    assert_eq!(mnist().class_counts(), [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]);
    // scikit-learn, `numpy.bincount(load_digits().target)`.
    assert_eq!(digits().class_counts(), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
}

#[test]
fn the_first_digit_is_the_one_that_scikit_learn_documents() {
    // The array that the documentation of `load_digits` prints as `digits.images[0]`.
    let want = [
        [0, 0, 5, 13, 9, 1, 0, 0],
        [0, 0, 13, 15, 10, 15, 5, 0],
        [0, 3, 15, 2, 0, 11, 8, 0],
        [0, 4, 12, 0, 0, 8, 8, 0],
        [0, 5, 8, 0, 0, 9, 8, 0],
        [0, 4, 11, 0, 1, 12, 7, 0],
        [0, 2, 14, 5, 10, 12, 0, 0],
        [0, 0, 6, 13, 10, 0, 0, 0],
    ];
    assert_eq!(digits().pixels(0), want.as_flattened());
    assert_eq!(digits().label(0), 0);
}

#[test]
fn named_splits_are_disjoint_and_cover_what_they_say() {
    let rows = |part: &datasets::Images<1, 8, 8>| part.rows().collect::<BTreeSet<_>>();
    for split in [digits().by_writer(), digits().shuffled(0), digits().shuffled(1)] {
        let split = split.with_validation(200).unwrap();
        let parts = [rows(&split.train), rows(&split.validation), rows(&split.test)];
        assert_eq!(parts.each_ref().map(BTreeSet::len), [1237, 200, 360]);
        assert_eq!(parts.into_iter().flatten().collect::<BTreeSet<_>>().len(), 1797);
    }
    assert_eq!(digits().by_writer().test.rows().collect::<Vec<_>>(), (1437..1797).collect::<Vec<_>>());
    let split = digits().by_writer().with_validation(200).unwrap();
    assert_eq!(split.validation.rows().collect::<Vec<_>>(), (1237..1437).collect::<Vec<_>>());

    let split = mnist().front_back(8000, 2000).unwrap();
    assert_eq!(split.train.rows().collect::<Vec<_>>(), (0..8000).collect::<Vec<_>>());
    assert_eq!(split.test.rows().collect::<Vec<_>>(), (8000..10_000).collect::<Vec<_>>());
    assert!(split.validation.is_empty());
}

#[test]
fn an_overlap_is_an_error_that_says_how_many_rows_there_are() {
    assert_eq!(
        mnist().front_back(8000, 2001).unwrap_err().to_string(),
        "train and test rows must not overlap: 8000 + 2001 exceeds the 10000 rows; ask for at most 10000 in all"
    );
    assert!(matches!(mnist().front_back(usize::MAX, 1), Err(DataError::Overlap { .. })));
    assert_eq!(
        digits().by_writer().with_validation(1437).unwrap_err().to_string(),
        "a validation part must leave training rows, got 1437 of 1437; take fewer"
    );
}

#[test]
fn a_description_says_what_whence_and_on_which_terms() {
    assert_eq!(
        digits().describe().unwrap().to_string(),
        "digits: 1,797 handwritten digits, 8 x 8 pixels of 17 levels (0 to 16), 10 classes
  file      digits-images.idx.gz (u8 1797x8x8, 44098 bytes)
  file      digits-labels.idx.gz (u8 1797, 145 bytes)
  split     by_writer(): 1437 train, 360 test; the test writers are not in train
  split     shuffled(seed): 1437 train, 360 test; the same writers in both parts: easier
  source    package scikit-learn
  licence   BSD-3-Clause (package); CC-BY-4.0 (UCI)
  citation  E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine Learning \
         Repository, doi 10.24432/C50P49"
    );
    assert!(mnist().describe().unwrap().licence().contains("data unverified"));
    let names: Vec<&str> = descriptions().iter().map(|set| set.name).collect();
    assert_eq!(names.len(), 24);
    for description in descriptions() {
        assert!(!description.files.is_empty(), "{} has no file", description.name);
        assert!(description.title.is_ascii() && description.citation.is_ascii(), "{}", description.name);
    }
    let described: usize = descriptions().iter().map(|set| set.files.len()).sum();
    assert_eq!(described, registry().len(), "a file without a description, or with two");
}

#[test]
fn shared_between_threads() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<datasets::Images<1, 28, 28>>();
    is_send_and_sync::<datasets::EmojiPairs>();
    is_send_and_sync::<datasets::Cells>();
    is_send_and_sync::<datasets::NodeGraph>();
    is_send_and_sync::<DataError>();
}
