//! People who depend on one crate: what they pull in, and that their own crate builds.
use crate::support::{cargo, output, read, root, text};

const UNITS: &[&str] =
    &["optim", "autoencoders", "generative", "convnets", "sequence", "graphs", "node", "theory"];

#[test]
fn one_unit_pulls_in_no_command_line_no_plots_and_no_data() {
    for unit in UNITS {
        let result = output(&mut cargo(&["tree", "-p", unit, "-e", "normal", "--prefix=none", "--offline"]));
        let (tree, code) = text(&result);
        assert_eq!(code, 0, "{tree}");
        assert!(tree.contains("dfdx v0.13.0"), "{tree}");
        for unwanted in
            ["clap", "kuva", "indicatif", "signal-hook", "png", "lab", "datasets", "mdbook-driver"]
        {
            let found = tree.lines().find(|line| line.split(' ').next() == Some(unwanted));
            assert_eq!(found, None, "`{unit}` pulls in `{unwanted}`");
        }
    }
}

#[test]
fn crates_outside_the_workspace_build_with_one_unit_each() {
    // `optim` alone: the modules that its rules train come along.
    let printed = cargo_does("run", "optim", "optim = { path = OPTIM }\n", OPTIM);
    let number = |what: &str| -> f64 {
        let line = printed.lines().find_map(|line| line.strip_prefix(what)).expect("a line for each number");
        line.trim().parse().expect("a number")
    };
    // Pilot: with seeds 100 to 119 a 39th to a 103rd of the first loss is left.
    assert!(number("mistakes:") >= 1.0, "{printed}");
    assert!(number("last loss:") < 0.04 * number("first loss:"), "{printed}");
    // `convnets` alone: what its networks are built and run with comes along.
    let printed = cargo_does(
        "check",
        "convnets",
        "convnets = { path = CONVNETS, features = [\"pretrained\"] }\n",
        CONVNETS,
    );
    assert_eq!(printed, "");
}

/// What `cargo check` or `cargo run` prints for a crate with these dependencies and this `main.rs`.
fn cargo_does(what: &str, name: &str, dependencies: &str, code: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder for the outside crate");
    let mut manifest = format!("{MANIFEST}\n[dependencies]\n{dependencies}");
    for unit in ["optim", "convnets"] {
        let path = root().join("crates").join(unit);
        manifest = manifest.replace(&unit.to_uppercase(), &format!("{path:?}"));
    }
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a writable folder");
        std::fs::write(path, content).expect("a writable file");
    };
    write("Cargo.toml", &manifest);
    write("Cargo.lock", &read(&root().join("Cargo.lock")));
    write("src/main.rs", code);
    // One folder for all runs: dfdx is compiled for the outside crates once, in two minutes.
    let mut command = cargo(&[what, "-q", "--offline"]);
    command.current_dir(folder.path()).env("CARGO_TARGET_DIR", target().join("outside"));
    let (printed, code) = text(&output(&mut command));
    assert_eq!(code, 0, "{name}: {printed}");
    printed
}

const MANIFEST: &str = r#"
[package]
name = "outside"
version = "0.1.0"
edition = "2024"

[workspace]

[profile.dev]
debug = false
"#;

/// What somebody writes who wants networks of the literature, their size, or one that is trained.
const CONVNETS: &str = r#"
use convnets::prelude::*;
use convnets::pretrained::{Error, Picture, Pretrained};

const _: () = assert!(ResNet18::<1000>::PLAN.totals_of([3, 224, 224]).params == 11_689_512);
const _: () = assert!(<UNet>::PLAN.totals_of([1, 572, 572]).params == 31_030_658);

fn main() -> Result<(), Error> {
    let dev = Cpu::seed_from_u64(0);
    let model = dev.build_module::<LeNet5, f32>();
    let logits: Tensor<Rank2<1, 10>, f32, _> = model.forward(dev.sample_normal::<Rank4<1, 1, 32, 32>>());
    let reader = Pretrained::Mnist.build(&dev)?;
    let digit = Picture::new(2, 2, vec![0, 255, 0, 0])?.fit()?;
    let read = reader.forward(dev.tensor(digit).reshape::<Rank4<1, 1, 28, 28>>());
    println!("{:?} {:?}", logits.array(), read.array());
    Ok(())
}
"#;

/// What somebody writes who wants the perceptron, or an optimiser for a model of their own, and nothing else.
const OPTIM: &str = r#"
use optim::layers::prelude::*;
use optim::optimizers::{Lion, LionConfig};
use optim::perceptron::{MaxEpochs, Perceptron};

fn main() -> Result<(), optim::Error> {
    let x = [[2.0, 1.0].into(), [1.0, 3.0].into(), [-1.0, -0.5].into(), [-2.0, 1.0].into()];
    let fit = Perceptron::<2>::fit(&x, &[1, 1, -1, -1], MaxEpochs(10))?;
    println!("mistakes: {}", fit.mistakes.len());
    assert_eq!(fit.perceptron.predict(&[3.0, 0.0].into()), 1);

    let seed = std::env::args().nth(1).map_or(0, |seed| seed.parse().expect("a whole number"));
    let dev = Cpu::seed_from_u64(seed);
    let mut model = dev.build_module::<(Linear<2, 16, Tanh>, Linear<16, 1>), f32>();
    let mut optimizer = Lion::try_new(&model, LionConfig { learning_rate: 0.01, ..Default::default() })?;
    let x: Tensor<Rank2<64, 2>, f32, _> = dev.sample_normal();
    let target = x.clone().sum::<Rank1<64>, _>().sin().reshape::<Rank2<64, 1>>();
    for step in 0..300 {
        let loss = (model.forward(x.leaky_trace()) - target.clone()).square().mean::<Rank0, _>();
        if [0, 299].contains(&step) {
            println!("{} loss: {}", if step == 0 { "first" } else { "last" }, loss.array());
        }
        optimizer.step(&mut model, &mut loss.backward())?;
    }
    Ok(())
}
"#;

/// The folder that this test itself was built into: `TARGET/debug/deps/it-…`.
fn target() -> std::path::PathBuf {
    let me = std::env::current_exe().expect("a test has a path");
    me.ancestors().nth(3).expect("TARGET/debug/deps/it").to_path_buf()
}
