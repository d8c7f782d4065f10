//! Experiments as values: a list that the command line shows and runs.
use crate::execute::{run, to_value};
use crate::{About, Error, Experiment, ExperimentConfig, Figure, ResultFile, RunOptions};
use clap::{ArgAction, ArgMatches, Args, Command, FromArgMatches};
use serde_json::Value;
use std::marker::PhantomData;
use std::path::PathBuf;

/// An [`Experiment`] whose types are forgotten, so that experiments stand in one list.
#[derive(Clone, Copy)]
pub struct Entry {
    about: About,
    erased: &'static (dyn Erased + Sync),
}

/// The entry of experiment `X`, for a unit's `experiments()`.
pub fn entry<X: Experiment + 'static>() -> Entry {
    Entry { about: X::ABOUT, erased: &Typed::<X>(PhantomData) }
}

impl Entry {
    /// Name, lecture, paper, claim.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The experiment as a subcommand: one flag per field of its configuration, defaults in the help.
    pub fn command(&self) -> Command {
        self.erased.command()
    }

    /// Runs the experiment with the fields that `changes` sets, judges it and writes its result file.
    ///
    /// # Errors
    /// What the configuration, the method, its data or the file system refuse. Nothing is written then but
    /// metrics and checkpoints.
    pub fn run(&self, changes: &ArgMatches, options: &RunOptions) -> Result<ResultFile, Error> {
        self.erased.run(changes, options)
    }

    /// The figures of a result.
    ///
    /// # Errors
    /// [`Error::BrokenResult`] when the report in the file at `path` is not one of this experiment.
    pub fn figures(&self, result: &ResultFile, path: PathBuf) -> Result<Vec<Figure>, Error> {
        self.erased.figures(result, path)
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Entry").field(&self.about.name).finish()
    }
}

trait Erased {
    fn command(&self) -> Command;
    fn run(&self, changes: &ArgMatches, options: &RunOptions) -> Result<ResultFile, Error>;
    fn figures(&self, result: &ResultFile, path: PathBuf) -> Result<Vec<Figure>, Error>;
}

/// Says for each field of a configuration what it is when nothing is typed. Compiled once for all experiments.
fn with_defaults(command: Command, full: &Value, quick: &Value) -> Command {
    let ids: Vec<_> = command.get_arguments().map(|arg| arg.get_id().clone()).collect();
    ids.into_iter().fold(command, |command, id| {
        command.mut_arg(&id, |arg| {
            let defaults = format!("[full: {}, quick: {}]", full[id.as_str()], quick[id.as_str()]);
            let help = arg.get_help().map_or(defaults.clone(), |help| format!("{help} {defaults}"));
            let is_switch = matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse);
            let arg = if is_switch {
                arg.action(ArgAction::Set).num_args(0..=1).default_missing_value("true")
            } else {
                arg
            };
            arg.help(help).default_value(None::<&'static str>).help_heading("This experiment")
        })
    })
}

struct Typed<X>(PhantomData<fn() -> X>);

impl<X: Experiment> Erased for Typed<X> {
    fn command(&self) -> Command {
        let (full, quick) = (to_value(&X::Config::default()), to_value(&X::Config::quick()));
        // The form for updates requires no argument: what is not typed keeps the value of the configuration. The
        // claim comes after it, since clap would put the doc comment of the configuration in its place.
        let command = X::Config::augment_args_for_update(Command::new(X::ABOUT.name))
            .about(X::ABOUT.claim)
            .long_about(None)
            .after_help(format!("Lecture {}. {}", X::ABOUT.lecture, X::ABOUT.paper));
        with_defaults(command, &full, &quick)
    }

    fn run(&self, changes: &ArgMatches, options: &RunOptions) -> Result<ResultFile, Error> {
        let mut config = if options.quick { X::Config::quick() } else { X::Config::default() };
        config.update_from_arg_matches(changes).map_err(Error::Arguments)?;
        run::<X>(config, options)
    }

    fn figures(&self, result: &ResultFile, path: PathBuf) -> Result<Vec<Figure>, Error> {
        let report = serde_json::from_value(result.report.clone()).map_err(|error| Error::BrokenResult {
            path,
            problem: format!("its report is not one of this experiment: {error}"),
            remedy: format!("`cargo xtask run {}` writes it anew", X::ABOUT.name),
        })?;
        Ok(X::figures(&report))
    }
}
