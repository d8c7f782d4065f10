//! The sides of the comparison and how each is prepared: ours, PyTorch, burn, candle.
use crate::Error;
use crate::machine::THREADS;
use crate::worker::Side;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What ours is called.
pub(crate) const OURS: &str = "ours";

/// Whom to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    /// PyTorch, eager, as it comes.
    Torch,
    /// PyTorch through `torch.compile`, training steps only; needs a C++ compiler.
    Compile,
    /// PyTorch with `fused=True` in the optimisers that have it.
    Fused,
    /// dfdx as it comes, without our kernels and optimisers.
    Dfdx,
    /// burn on its own CPU backend.
    Burn,
    /// candle on the CPU.
    Candle,
}

impl Peer {
    /// Name in tables and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Torch => "torch",
            Self::Compile => "compile",
            Self::Fused => "fused",
            Self::Dfdx => "dfdx",
            Self::Burn => "burn",
            Self::Candle => "candle",
        }
    }

    /// Prepares it, downloading and building what is missing, which is said beforehand on standard error.
    ///
    /// # Errors
    /// [`Error::Prepare`] when that fails.
    pub(crate) fn prepare(self, root: &Path) -> Result<Side, Error> {
        let name = self.name();
        let mut command = match self {
            Self::Torch => torch(root, name)?,
            Self::Compile => {
                let mut command = torch(root, name)?;
                command.arg("--compile");
                command.env("TORCHINDUCTOR_CACHE_DIR", root.join("target/peers/inductor"));
                command
            }
            Self::Fused => {
                let mut command = torch(root, name)?;
                command.arg("--fused");
                command
            }
            Self::Dfdx => return ours(Some(Way::Dfdx)),
            Self::Burn | Self::Candle => cargo_peer(root, name)?,
        };
        threads(&mut command);
        Ok(Side { name, command })
    }
}

/// Another way to the same numbers that this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    /// The tape of matrices of lecture 4, whose gradients are graphs.
    Graph,
    /// Dual numbers: forward mode.
    Duals,
    /// One example after the other.
    Loop,
    /// The library under ours alone: a peer, and none of [`ALL`](Self::ALL).
    Dfdx,
}

impl Way {
    /// Those that are ours.
    pub(crate) const ALL: [Self; 3] = [Self::Graph, Self::Duals, Self::Loop];

    /// Name in tables and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Graph => "graph",
            Self::Duals => "duals",
            Self::Loop => "loop",
            Self::Dfdx => "dfdx",
        }
    }
}

/// Our own side, or another way of ours: this program again.
///
/// # Errors
/// [`Error::Start`] when the path of this program is not known.
pub(crate) fn ours(way: Option<Way>) -> Result<Side, Error> {
    let name = way.map_or(OURS, Way::name);
    let program = std::env::current_exe().map_err(|source| Error::Start { name, source })?;
    let mut command = Command::new(program);
    command.arg("serve").args(way.map(Way::name));
    threads(&mut command);
    Ok(Side { name, command })
}

/// The same number of threads everywhere.
fn threads(command: &mut Command) {
    let threads = THREADS.to_string();
    for variable in ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "BENCH_THREADS"] {
        command.env(variable, &threads);
    }
}

/// PyTorch: the Python of the variable `PYTHON`, or one of our own under `target/`.
fn torch(root: &Path, name: &'static str) -> Result<Command, Error> {
    let folder = root.join("tests/peers/torch");
    let python = match std::env::var_os("PYTHON") {
        Some(python) => PathBuf::from(python),
        None => own_python(root, &folder, name)?,
    };
    let mut command = Command::new(python);
    command.arg(folder.join("serve.py"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("TORCH_LOGS", "-all");
    Ok(command)
}

/// A virtual environment with PyTorch, made once. The last thing that is written is the file `ready`.
fn own_python(root: &Path, folder: &Path, name: &'static str) -> Result<PathBuf, Error> {
    let environment = root.join("target/peers/python");
    let python = environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let ready = environment.join("ready");
    if !ready.exists() {
        eprintln!(
            "PyTorch is not prepared yet. This downloads from the Python package index: torch 2.15.0 (540 MB) and\n\
             8 small packages (15 MB), 1.2 GB under target/peers once unpacked, without the CUDA libraries (3 GB)\n\
             that a computation on the processor never calls. PYTHON=/path/to/python uses an installed one instead."
        );
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv"]).arg(&environment);
        perform(venv, name)?;
        let mut prepare = Command::new(&python);
        prepare.arg(folder.join("prepare.py"));
        perform(prepare, name)?;
        std::fs::write(&ready, "").map_err(|source| Error::Write { path: ready, source })?;
    }
    Ok(python)
}

/// A peer in Rust, a package of the workspace `tests/peers`.
fn cargo_peer(root: &Path, name: &'static str) -> Result<Command, Error> {
    let target = root.join("target/peers");
    let program = target.join("release").join(format!("{name}-peer{}", std::env::consts::EXE_SUFFIX));
    if !program.exists() {
        eprintln!(
            "{name} is not built yet. This downloads its sources (about 30 MB) and compiles for some minutes."
        );
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--locked", "--package", &format!("{name}-peer"), "--manifest-path"]);
    cargo.arg(root.join("tests/peers/Cargo.toml")).arg("--target-dir").arg(&target);
    perform(cargo, name)?;
    Ok(Command::new(program))
}

/// Runs a command to its end; standard output belongs to the tables.
fn perform(mut command: Command, name: &'static str) -> Result<(), Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let how = match command.stdin(Stdio::null()).stdout(std::io::stderr()).status() {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => format!("ended with {status}"),
        Err(error) => format!("does not start: {error}"),
    };
    Err(Error::Prepare { name, program, how })
}
