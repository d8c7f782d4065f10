//! Training that is killed, interrupted, damaged or diverges.
use datasets::Batches;
use dfdx::prelude::*;
use kernels::random::Key;
use lab::{CheckpointEvery, Error, Lab, LabOptions, Objective, Seed, Trainer, Unused};
use layers::{Checkpoint, Momentum, Sgd, SgdConfig};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Net = (Linear<64, 16>, Tanh, Linear<16, 10>);
type Built = <Net as BuildOnDevice<Cpu, f32>>::Built;
type Line = <Linear<1, 1> as BuildOnDevice<Cpu, f32>>::Built;
type Loss = Tensor<Rank0, f32, Cpu, OwnedTape<f32, Cpu>>;

const EPOCHS: u64 = 4;
const BATCH: usize = 32;
const TRAIN: usize = 1000;
const STEPS: u64 = EPOCHS * 32; // ⌈1000 / 32⌉ batches

/// Reads digits with noise from the step's own key, so that a lost key shows in the weights.
struct Digits {
    images: datasets::Images<1, 8, 8>,
    dev: Cpu,
    pace: Pace,
    calls: u64,
}

/// How fast training goes.
#[derive(Clone, Copy, PartialEq)]
enum Pace {
    Full,
    /// A dozen steps, then so slowly that a busy machine has half a minute to stop the process before its end.
    Slow,
}

impl Digits {
    fn new(pace: Pace) -> Self {
        Self { images: datasets::digits(), dev: Cpu::default(), pace, calls: 0 }
    }
}

impl Objective<Built, f32, Cpu> for Digits {
    fn loss(
        &mut self,
        model: &mut Built,
        batch: &Vec<usize>,
        key: Key,
        gradients: Gradients<f32, Cpu>,
    ) -> Result<Loss, Error> {
        self.calls += 1;
        if self.pace == Pace::Slow && self.calls > 12 {
            std::thread::sleep(Duration::from_millis(300));
        }
        let x: Tensor<(usize, Const<64>), f32, _> = self.images.flat_batch(batch, &self.dev);
        let mut noise = vec![0.0; batch.len() * 64];
        key.fill_normal(&mut noise);
        let noise = self.dev.tensor_from_vec(noise, *x.shape());
        let logits = model.forward_mut((x + noise * 0.1).traced(gradients));
        Ok(kernels::cross_entropy_mean(logits, &self.images.batch_labels(batch)))
    }

    fn evaluate(&mut self, model: &Built, _epoch: u64) -> Result<Vec<(&'static str, f64)>, Error> {
        let rows: Vec<usize> = (TRAIN..self.images.len()).collect();
        let x: Tensor<(usize, Const<64>), f32, _> = self.images.flat_batch(&rows, &self.dev);
        let logits = model.forward(x).as_vec();
        let best = |row: &[f32]| (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        let hits =
            logits.chunks(10).zip(&rows).filter(|(row, i)| best(row) == self.images.label(**i)).count();
        Ok(vec![("accuracy", hits as f64 / rows.len() as f64)])
    }
}

fn options(runs: &Path, every: u64, config: u64) -> LabOptions {
    LabOptions {
        name: "digits".into(),
        runs: Some(runs.to_path_buf()),
        identity: serde_json::json!({"config": config}),
        checkpoint_every: CheckpointEvery::Steps(every),
        command: "cargo xtask run digits".into(),
        ..LabOptions::default()
    }
}

fn built(seed: u64) -> (Built, Sgd<Built, f32, Cpu>) {
    let model = Cpu::seed_from_u64(seed).build_module::<Net, f32>();
    let config = SgdConfig { learning_rate: 0.1, momentum: Momentum::HeavyBall(0.9), ..SgdConfig::default() };
    let optimizer = Sgd::try_new(&model, config).unwrap();
    (model, optimizer)
}

/// Trains and returns the bits of the weights with the history as JSON.
fn train(lab: &mut Lab, pace: Pace) -> Result<(Vec<u32>, String), Error> {
    let (mut model, mut optimizer) = built(0);
    let halve = |step: u64| 0.1 * 0.5_f64.powi((step / 50) as i32);
    let trainer = Trainer::new("net", EPOCHS, Batches::new(TRAIN, BATCH, 0), Seed::from(0).key("steps"))
        .schedule(halve);
    let history = trainer.run(lab, &mut model, &mut optimizer, &mut Digits::new(pace))?;
    let bits = layers::params::flatten(&model).iter().map(|weight: &f32| weight.to_bits()).collect();
    Ok((bits, serde_json::to_string(&history).unwrap()))
}

fn checkpoint(runs: &Path) -> PathBuf {
    runs.join("digits/net.safetensors")
}

const RUNS: &str = "LAB_TEST_RUNS";

/// The process that the tests below start and kill: trains in the folder that its environment names, and has
/// nothing to do without it.
#[test]
fn child() {
    let Some(runs) = std::env::var_os(RUNS) else { return };
    lab::interrupt::listen();
    let mut lab = Lab::open(options(Path::new(&runs), 5, 1)).unwrap();
    match train(&mut lab, Pace::Slow) {
        Ok(_) => {}
        Err(error @ Error::Interrupted { .. }) => {
            eprintln!("{error}");
            std::process::exit(130);
        }
        Err(error) => panic!("{error}"),
    }
}

fn start(runs: &Path) -> Child {
    start_by(Command::new(std::env::current_exe().unwrap()), runs)
}

/// The child by a command that ends with the name of this program.
fn start_by(mut command: Command, runs: &Path) -> Child {
    command
        .args(["--exact", "training::child", "--nocapture"])
        .env(RUNS, runs)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Steps behind the checkpoint, 0 when there is none.
fn steps(runs: &Path) -> u64 {
    let path = checkpoint(runs);
    if !path.exists() {
        return 0;
    }
    Checkpoint::read(path).unwrap().integers("progress").unwrap()[2]
}

/// Waits until the child has written a checkpoint past `step`.
fn wait_past(runs: &Path, step: u64, child: &mut Child) {
    let started = Instant::now();
    while steps(runs) <= step {
        assert!(started.elapsed() < Duration::from_secs(60), "no checkpoint past step {step}");
        assert!(child.try_wait().unwrap().is_none(), "the child ended by itself");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn uninterrupted() -> (Vec<u32>, String) {
    train(&mut Lab::quiet(), Pace::Full).unwrap()
}

#[test]
fn a_killed_run_goes_on_with_the_same_bits() {
    let runs = tempfile::tempdir().unwrap();
    let mut reached = 0;
    for _ in 0..2 {
        let mut child = start(runs.path());
        wait_past(runs.path(), reached, &mut child);
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        let now = steps(runs.path());
        assert!(now > reached && now < STEPS, "killed at step {now} after {reached}, of {STEPS}");
        reached = now;
    }
    let resumed = train(&mut Lab::open(options(runs.path(), 5, 1)).unwrap(), Pace::Full).unwrap();
    let want = uninterrupted();
    assert!(resumed.0 == want.0, "the weights differ");
    assert_eq!(resumed.1, want.1);

    let metrics = std::fs::read_to_string(runs.path().join("digits/metrics.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen: Vec<u64> =
        lines.iter().filter(|l| l.get("epoch").is_none()).map(|l| l["step"].as_u64().unwrap()).collect();
    assert_eq!(seen, (1..=STEPS).collect::<Vec<_>>(), "each step stands in the metrics once");
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_a_checkpoint_and_says_how_to_go_on() {
    let runs = tempfile::tempdir().unwrap();
    for signal in ["-INT", "-TERM"] {
        let before = steps(runs.path());
        let mut child = start(runs.path());
        wait_past(runs.path(), before, &mut child);
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{signal}: {message}");
        assert!(message.contains("`cargo xtask run digits` goes on from the checkpoint in"), "{message}");
        assert!(steps(runs.path()) < STEPS);
    }
    let resumed = train(&mut Lab::open(options(runs.path(), 5, 1)).unwrap(), Pace::Full).unwrap();
    assert!(resumed == uninterrupted(), "the resumed run differs");
}

#[cfg(unix)]
#[test]
fn a_run_in_the_background_ignores_ctrl_c_and_hears_the_polite_kill() {
    let runs = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' INT HUP; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    let mut child = start_by(shell, runs.path());
    let send = |signal: &str, id: u32| {
        assert!(Command::new("kill").args([signal, &id.to_string()]).status().unwrap().success());
    };
    wait_past(runs.path(), 0, &mut child);
    send("-INT", child.id());
    send("-HUP", child.id());
    let before = steps(runs.path());
    wait_past(runs.path(), before, &mut child);
    send("-TERM", child.id());
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{message}");
    assert!(message.contains("goes on from the checkpoint in"), "{message}");
    assert!(steps(runs.path()) < STEPS);
}

/// A folder with a checkpoint from the middle of training.
fn half_way() -> (tempfile::TempDir, Vec<u8>) {
    struct Stop(Digits, u64);
    impl Objective<Built, f32, Cpu> for Stop {
        fn loss(
            &mut self,
            model: &mut Built,
            batch: &Vec<usize>,
            key: Key,
            gradients: Gradients<f32, Cpu>,
        ) -> Result<Loss, Error> {
            self.1 -= 1;
            if self.1 == 0 {
                return Err(Error::unit("enough"));
            }
            self.0.loss(model, batch, key, gradients)
        }
    }
    let runs = tempfile::tempdir().unwrap();
    let (mut model, mut optimizer) = built(0);
    let trainer = Trainer::new("net", EPOCHS, Batches::new(TRAIN, BATCH, 0), Seed::from(0).key("steps"));
    let mut lab = Lab::open(options(runs.path(), 5, 1)).unwrap();
    let error = trainer
        .run(&mut lab, &mut model, &mut optimizer, &mut Stop(Digits::new(Pace::Full), 41))
        .unwrap_err();
    assert_eq!(error.to_string(), "enough");
    assert_eq!(steps(runs.path()), 40);
    let bytes = std::fs::read(checkpoint(runs.path())).unwrap();
    (runs, bytes)
}

#[test]
fn a_damaged_checkpoint_is_refused_with_its_remedy() {
    let (runs, whole) = half_way();
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        bytes
    };
    let header = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let mut cases = vec![
        Vec::new(),
        whole[..4].to_vec(),
        whole[..whole.len() - 1].to_vec(),
        b"not a checkpoint".to_vec(),
    ];
    cases.extend((0..header + 8).step_by(61).map(flipped));
    cases.extend((1..whole.len()).step_by(997).map(|end| whole[..end].to_vec()));
    let mut refused = 0;
    for bytes in cases {
        std::fs::write(checkpoint(runs.path()), &bytes).unwrap();
        // A flip in a name inside of the header may leave a whole file of another model: refused as well.
        let mut lab = Lab::open(options(runs.path(), 1000, 1)).unwrap();
        match train(&mut lab, Pace::Full) {
            Ok(_) => {}
            Err(error) => {
                let text = error.to_string();
                assert!(
                    text.contains("net.safetensors") && text.contains("--fresh") && !text.contains('\n'),
                    "{text}"
                );
                refused += 1;
            }
        }
    }
    assert!(refused > 20, "{refused}");
    let afresh = LabOptions { starts_afresh: true, ..options(runs.path(), 1000, 1) };
    std::fs::write(checkpoint(runs.path()), b"damaged").unwrap();
    train(&mut Lab::open(afresh).unwrap(), Pace::Full).unwrap();
}

#[test]
fn a_checkpoint_of_another_run_is_refused_and_the_difference_named() {
    let (runs, _) = half_way();
    let other_config = train(&mut Lab::open(options(runs.path(), 1000, 2)).unwrap(), Pace::Full).unwrap_err();
    let text = other_config.to_string();
    assert!(text.contains("run.config = 1, this run has 2") && text.contains("--fresh"), "{text}");

    let mut lab = Lab::open(options(runs.path(), 1000, 1)).unwrap();
    let (mut model, mut optimizer) = built(0);
    let trainer = |key| Trainer::new("net", EPOCHS, Batches::new(TRAIN, BATCH, 0), key);
    let other_key =
        trainer(Key::new(9)).run(&mut lab, &mut model, &mut optimizer, &mut Digits::new(Pace::Full));
    assert!(other_key.unwrap_err().to_string().contains("key = "));

    let config = SgdConfig { learning_rate: 0.1, momentum: Momentum::HeavyBall(0.5), ..SgdConfig::default() };
    let mut other = Sgd::try_new(&model, config).unwrap();
    let error = trainer(Seed::from(0).key("steps")).run(
        &mut lab,
        &mut model,
        &mut other,
        &mut Digits::new(Pace::Full),
    );
    let text = error.unwrap_err().to_string();
    assert!(text.contains("momentum") && text.contains("--fresh"), "{text}");

    let dev = Cpu::seed_from_u64(0);
    let mut wide = dev.build_module::<(Linear<64, 17>, Tanh, Linear<17, 10>), f32>();
    let mut optimizer = Sgd::try_new(&wide, SgdConfig::default()).unwrap();
    let error = trainer(Seed::from(0).key("steps")).run(
        &mut lab,
        &mut wide,
        &mut optimizer,
        &mut |_: &mut _, _: &Vec<usize>, _, _| Err::<Loss, _>(Error::unit("the checkpoint was taken")),
    );
    let text = error.unwrap_err().to_string();
    assert!(text.contains("0.weight") && text.contains("[17, 64]") && text.contains("--fresh"), "{text}");
}

#[test]
fn what_is_not_finite_stops_with_step_and_place() {
    let run = |scale: fn(usize) -> f32| {
        let dev = Cpu::seed_from_u64(0);
        let mut model = dev.build_module::<Linear<1, 1>, f32>();
        let mut optimizer =
            Sgd::try_new(&model, SgdConfig { learning_rate: 0.1, ..SgdConfig::default() }).unwrap();
        let trainer = Trainer::new("line", 1, Batches::new(8, 1, 0), Key::new(0));
        let mut calls = 0;
        let error = trainer.run(
            &mut Lab::quiet(),
            &mut model,
            &mut optimizer,
            &mut |model: &mut Line, _: &Vec<usize>, _, gradients| {
                let x = dev.tensor([[1.0_f32]]).traced(gradients);
                calls += 1;
                Ok((model.forward_mut(x) * scale(calls)).square().mean())
            },
        );
        let finite = layers::params::first_not_finite(&model).is_none();
        (error.unwrap_err(), finite)
    };
    let (error, finite) = run(|call| if call == 4 { f32::NAN } else { 1.0 });
    assert!(
        matches!(error, Error::NotFinite { step: 3, what: "loss", value, tensor: None, .. } if value.is_nan()),
        "{error}"
    );
    assert!(finite);

    // √x has the value 0 and the slope ∞ at 0.
    let dev = Cpu::seed_from_u64(0);
    let mut model = dev.build_module::<Linear<1, 1>, f32>();
    let mut optimizer = Sgd::try_new(&model, SgdConfig::default()).unwrap();
    let trainer = Trainer::new("line", 1, Batches::new(8, 1, 0), Key::new(0));
    let error = trainer.run(
        &mut Lab::quiet(),
        &mut model,
        &mut optimizer,
        &mut |model: &mut Line, _: &Vec<usize>, _, gradients| {
            let y = model.forward_mut(dev.tensor([[1.0_f32]]).traced(gradients));
            Ok((y * 0.0).sqrt().mean())
        },
    );
    let error = error.unwrap_err();
    assert!(
        matches!(&error, Error::GradientNotFinite { step: 0, tensor, .. } if tensor == "weight"),
        "{error}"
    );
    assert_eq!(layers::params::first_not_finite(&model), None, "the model is as it was before the step");
}

#[test]
fn an_epoch_without_a_batch_is_refused() {
    let dev = Cpu::seed_from_u64(0);
    let mut model = dev.build_module::<Linear<1, 1>, f32>();
    let mut optimizer = Sgd::try_new(&model, SgdConfig::default()).unwrap();
    let never = &mut |_: &mut Line, _: &Vec<usize>, _, _| Err::<Loss, _>(Error::unit("there was a batch"));
    let trainer = Trainer::new("none", 3, Batches::new(7, 8, 0).drop_last(), Key::new(0));
    let error = trainer.run(&mut Lab::quiet(), &mut model, &mut optimizer, never).unwrap_err();
    assert!(matches!(error, Error::NoBatches { .. }), "{error}");
}

#[test]
fn dfdx_optimisers_train_without_checkpoints() {
    let runs = tempfile::tempdir().unwrap();
    let (mut model, _) = built(0);
    let mut adam = dfdx::optim::Adam::new(&model, AdamConfig { lr: 0.01, ..AdamConfig::default() });
    let trainer = Trainer::new("net", 1, Batches::new(TRAIN, BATCH, 0), Seed::from(0).key("steps"));
    let mut lab = Lab::open(options(runs.path(), 5, 1)).unwrap();
    let history = trainer.run(&mut lab, &mut model, &mut adam, &mut Digits::new(Pace::Full)).unwrap();
    assert!(history.metric("accuracy")[0] > 0.6, "{history:?}"); // 0.1 is chance
    assert!(!checkpoint(runs.path()).exists());
}

#[test]
fn an_unused_tensor_is_named_unless_it_is_frozen_on_purpose() {
    let run = |unused| {
        let dev = Cpu::seed_from_u64(0);
        let mut model = dev.build_module::<(Linear<1, 1>, Linear<1, 1>), f32>();
        let mut optimizer = Sgd::try_new(&model, SgdConfig::default()).unwrap();
        let trainer = Trainer::new("two", 1, Batches::new(4, 2, 0), Key::new(0)).unused(unused);
        let loss = &mut |model: &mut (Line, Line), _: &Vec<usize>, _, gradients| {
            Ok(model.1.forward_mut(dev.tensor([[1.0_f32]]).traced(gradients)).square().mean())
        };
        trainer.run(&mut Lab::quiet(), &mut model, &mut optimizer, loss)
    };
    let error = run(Unused::Refuse).unwrap_err().to_string();
    assert!(error.contains("0.weight") && error.contains("0.bias") && !error.contains("1.weight"), "{error}");
    run(Unused::CountAsZero).unwrap();
}

/// A run keeps no more batches than pass between two times that the cache is emptied. dfdx does not tell what it holds;
/// its text for debugging names every entry.
#[test]
fn memory_does_not_grow_with_the_steps() {
    let (mut model, mut optimizer) = built(0);
    let mut digits = Digits::new(Pace::Full);
    let mut entries = Vec::new();
    let objective = |model: &mut Built, batch: &Vec<usize>, key: Key, gradients: Gradients<f32, Cpu>| {
        entries.push(format!("{:?}", digits.dev).matches("BytesPtr").count());
        digits.loss(model, batch, key, gradients)
    };
    let trainer = Trainer::new("net", 12, Batches::new(TRAIN, BATCH, 0), Seed::from(0).key("steps"));
    let mut lab = Lab::quiet();
    trainer.run(&mut lab, &mut model, &mut optimizer, &mut { objective }).unwrap();
    let most = |steps: &[usize]| steps.iter().copied().max().unwrap();
    let (early, late) = entries.split_at(entries.len() / 2);
    assert!(entries.len() == 12 * 32 && most(early) > 64, "batches enter the cache: {}", most(early));
    assert!(most(late) <= most(early) + 8, "{} entries early, {} late", most(early), most(late));
}
