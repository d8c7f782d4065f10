//! Files: round trips, refusals, damage.
use dfdx::prelude::*;
use layers::{Checkpoint, CheckpointError, StepState, builders, load, params, save};
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;

type Net = (builders::Linear<3, 2, builders::Tanh>, builders::LeakyRelu, dfdx::nn::builders::BatchNorm1D<2>);

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    (folder, path)
}

#[test]
fn everything_in_a_model_comes_back_with_the_same_bits() {
    let (folder, path) = folder();
    let dev = Cpu::seed_from_u64(1);
    let mut model = dev.build_module::<Net, f32>();
    params::unflatten(
        &mut model,
        &[0.1, -0.0, f32::MIN_POSITIVE, f32::MAX, 1e-45, f32::INFINITY, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    )
    .unwrap();
    model.1.0 = 0.3;
    model.2.running_mean = dev.tensor([7.0, 8.0]);
    model.2.momentum = 0.25;
    save(&model, &path).unwrap();

    let mut other = dev.build_module::<Net, f32>();
    load(&mut other, &path).unwrap();
    let bits = |m: &Vec<f32>| m.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&params::flatten(&model)), bits(&params::flatten(&other)));
    assert_eq!((other.1.0, other.2.running_mean.array(), other.2.momentum), (0.3, [7.0, 8.0], 0.25));

    let first = fs::read(&path).unwrap();
    save(&other, &path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), first, "the same content gives the same bytes");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}

/// The text about a file, and shapes.
#[test]
fn the_header_holds_a_text() {
    let (_folder, path) = folder();
    let mut checkpoint = Checkpoint::default();
    checkpoint.insert_numbers("curve", &[1.0, 2.0]);
    checkpoint.write(&path).unwrap();
    assert_eq!(Checkpoint::read(&path).unwrap().about(), None);
    checkpoint.set_about("a \"curve\" of two numbers");
    checkpoint.write(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let read = Checkpoint::read(&path).unwrap();
    assert_eq!((read.about(), &read), (Some("a \"curve\" of two numbers"), &checkpoint));
    assert_eq!(read.renamed(str::to_uppercase).about(), read.about());
    read.write(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(read.shape("curve").unwrap(), [2]);
    assert!(matches!(read.shape("loss"), Err(CheckpointError::Missing { name }) if name == "loss"));
}

#[test]
fn names_are_plain_safetensors() {
    let (_folder, path) = folder();
    save(&Cpu::default().build_module::<Net, f64>(), &path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let weight = file.tensor("0.weight").unwrap();
    assert_eq!((weight.dtype(), weight.shape()), (safetensors::Dtype::F64, &[2, 3][..]));
    assert_eq!(file.tensor("1.slope").unwrap().data(), 0.01_f64.to_le_bytes());
}

#[test]
fn the_first_difference_is_named_and_nothing_is_copied() {
    let (_folder, path) = folder();
    let dev = Cpu::seed_from_u64(2);
    save(&dev.build_module::<(builders::Linear<3, 2>, builders::Linear<2, 1>), f32>(), &path).unwrap();

    fn refused<M: BuildOnDevice<Cpu, E>, E: kernels::Real>(path: &PathBuf) -> String
    where
        Cpu: kernels::Device<E>,
    {
        let mut model = Cpu::seed_from_u64(3).build_module::<M, E>();
        let before = params::flatten(&model);
        let error = load(&mut model, path).unwrap_err().to_string();
        assert_eq!(params::flatten(&model), before);
        error.split(';').next().unwrap().to_owned()
    }
    use builders::Linear;
    assert_eq!(
        refused::<(Linear<3, 2>, Linear<2, 3>), f32>(&path),
        "`1.weight` has shape [1, 2] in the checkpoint, [3, 2] is needed"
    );
    assert_eq!(
        refused::<(Linear<3, 2>, Linear<2, 1>), f64>(&path),
        "`0.weight` holds F32 in the checkpoint, F64 is needed"
    );
    assert_eq!(
        refused::<(Linear<3, 2>, Linear<2, 1>, Linear<1, 1>), f32>(&path),
        "there is no tensor `2.weight` in the checkpoint"
    );
    assert_eq!(
        refused::<(Linear<3, 2>,), f32>(&path),
        "the checkpoint has a tensor `1.bias` that the model has not"
    );
}

#[test]
fn a_bare_tensor_and_a_tuple_of_tensors_have_names() {
    let dev = Cpu::default();
    let (bare, pair) = (dev.tensor([1.0_f64, 2.0]), (dev.tensor(3.0_f64), dev.tensor([4.0_f64])));
    let mut checkpoint = Checkpoint::default();
    checkpoint.insert_model("bare", &bare);
    checkpoint.insert_model("", &pair);
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["0", "1", "bare"]);
    let mut other: Tensor<Rank1<2>, f64, _> = dev.zeros();
    checkpoint.load_model("bare", &mut other).unwrap();
    assert_eq!(other.array(), [1.0, 2.0]);
}

#[test]
fn one_file_holds_a_whole_run() {
    let (_folder, path) = folder();
    let state =
        StepState { rule: "nameless".into(), step: u64::MAX, learning_rate: 0.1, ..Default::default() };
    let mut checkpoint = Checkpoint::default();
    checkpoint.insert_text("config", "{ \"größe\": 3 }");
    checkpoint.insert_integers("keys", &[0, u64::MAX]);
    checkpoint.insert_numbers("losses", &[0.5, f64::NEG_INFINITY]);
    checkpoint.insert_state("optimizer", &state);
    checkpoint.write(&path).unwrap();
    let back = Checkpoint::read(&path).unwrap();
    assert_eq!(back, checkpoint);
    assert_eq!(back.text("config").unwrap(), "{ \"größe\": 3 }");
    assert_eq!(back.integers("keys").unwrap(), [0, u64::MAX]);
    assert_eq!(back.numbers("losses").unwrap(), [0.5, f64::NEG_INFINITY]);
    assert_eq!(back.state("optimizer").unwrap(), state);

    let missing = |error: CheckpointError, expected: &str| {
        assert!(matches!(&error, CheckpointError::Missing { name } if name == expected), "{error:?}");
    };
    missing(back.text("nothing").unwrap_err(), "nothing");
    missing(back.state("other").unwrap_err(), "other.rule");
    assert!(matches!(back.text("keys"), Err(CheckpointError::Dtype { .. })));
    assert!(matches!(back.integers("losses"), Err(CheckpointError::Dtype { .. })));
    assert!(matches!(back.numbers("config"), Err(CheckpointError::Dtype { .. })));

    let mut damaged = checkpoint.clone();
    damaged.insert_numbers("optimizer.slots.x.velocity.w", &[1.0]);
    assert!(matches!(damaged.state("optimizer"), Err(CheckpointError::Content { .. })));
    damaged = checkpoint.clone();
    damaged.insert_integers("optimizer.step", &[1, 2]);
    assert!(matches!(damaged.state("optimizer"), Err(CheckpointError::Shape { .. })));
}

#[test]
fn a_failed_write_leaves_the_old_content() {
    let (folder, path) = folder();
    let model = Cpu::default().build_module::<Net, f32>();
    // A folder in the place of the file: the rename fails after the bytes were written.
    fs::create_dir(&path).unwrap();
    fs::write(path.join("inside"), "old").unwrap();
    let error = save(&model, &path).unwrap_err();
    assert!(matches!(error, CheckpointError::Io { action: "written", .. }), "{error}");
    assert_eq!(fs::read_to_string(path.join("inside")).unwrap(), "old");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");

    let nowhere = folder.path().join("no/such/folder/model.safetensors");
    assert!(matches!(save(&model, &nowhere), Err(CheckpointError::Io { action: "written", .. })));
    assert!(matches!(save(&model, "/"), Err(CheckpointError::Io { action: "written", .. })));
    assert!(matches!(Checkpoint::read(&nowhere), Err(CheckpointError::Io { action: "read", .. })));
}

/// A file with an optimiser in it, and the length of its header.
fn bytes_of_a_run() -> (Vec<u8>, usize) {
    let (_folder, path) = folder();
    let mut checkpoint = Checkpoint::default();
    checkpoint.insert_model("model", &Cpu::default().build_module::<Net, f32>());
    checkpoint.insert_text("config", "text");
    checkpoint.write(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (bytes, header)
}

/// Everything that reads must return, whatever the bytes are.
fn read_all(bytes: &[u8]) -> Result<(), CheckpointError> {
    let (_folder, path) = folder();
    fs::write(&path, bytes).unwrap();
    let checkpoint = Checkpoint::read(&path)?;
    for name in checkpoint.names() {
        let _ = (
            checkpoint.text(name),
            checkpoint.integers(name),
            checkpoint.numbers(name),
            checkpoint.state(name),
        );
    }
    checkpoint.load_model("model", &mut Cpu::default().build_module::<Net, f32>())
}

#[test]
fn every_truncation_is_an_error() {
    let (bytes, _) = bytes_of_a_run();
    read_all(&bytes).unwrap();
    for length in 0..bytes.len() {
        let error = read_all(&bytes[..length]).expect_err("cut off");
        assert!(matches!(error, CheckpointError::Format { .. }), "{length}: {error}");
    }
    let longer = [&bytes[..], b"x"].concat();
    assert!(matches!(read_all(&longer), Err(CheckpointError::Format { .. })), "trailing bytes");
}

#[test]
fn a_header_that_promises_too_much_is_an_error() {
    let file =
        |header: &str| [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 16]].concat();
    for header in [
        r#"{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}}"#,
        r#"{"a":{"dtype":"F32","shape":[18446744073709551615,2],"data_offsets":[0,16]}}"#,
        r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}}"#,
        r#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#,
        r#"{"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}}"#,
        r#"{"a":{"dtype":"F33","shape":[4],"data_offsets":[0,16]}}"#,
        "[]",
        "",
    ] {
        let error = read_all(&file(header)).expect_err(header);
        assert!(matches!(error, CheckpointError::Format { .. }), "{header}: {error}");
    }
    for length in [u64::MAX, 100_000_001, 1 << 40] {
        let error = read_all(&[&length.to_le_bytes()[..], &[b'{'; 64]].concat()).unwrap_err();
        assert!(matches!(error, CheckpointError::Format { .. }), "{length}: {error}");
    }
    let good = r#"{"model":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#;
    assert!(matches!(read_all(&file(good)), Err(CheckpointError::Missing { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn flipped_bits_in_the_header_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8), 1..4)) {
        let (mut bytes, header) = bytes_of_a_run();
        for (index, bit) in flips {
            bytes[index.index(header)] ^= 1 << bit;
        }
        let _ = read_all(&bytes);
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read_all(&bytes).is_err());
    }
}
