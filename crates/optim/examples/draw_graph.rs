//! How does blame flow through my formula? Draws x·y + sin(x·y) and its gradient as graphs, for Graphviz or as a picture.
//!
//! `cargo run -p optim --example draw_graph -- --x 0.5 --y -2 --out graph.svg`
use std::{ffi::OsStr, fmt::Write, path::PathBuf, process::ExitCode};

use clap::Parser;
use nalgebra::DMatrix;
use optim::autodiff::{graph::ComputationGraph, tensor::Tape};

#[macro_use]
mod support;

/// Prints the graph of x·y + sin(x·y), or that of its derivative by x, in Graphviz's language.
#[derive(Parser)]
struct Arguments {
    /// Where
    #[arg(long, default_value_t = 0.5, allow_negative_numbers = true, value_parser = finite)]
    x: f64,
    /// Where
    #[arg(long, default_value_t = -2.0, allow_negative_numbers = true, value_parser = finite)]
    y: f64,
    /// The graph of the derivative by x
    #[arg(long)]
    derivative: bool,
    /// Each operation once, constants folded
    #[arg(long)]
    simplify: bool,
    /// A file for the picture: .dot or .svg
    #[arg(long, value_parser = picture)]
    out: Option<PathBuf>,
}

fn finite(word: &str) -> Result<f64, String> {
    word.parse().ok().filter(|number: &f64| number.is_finite()).ok_or("it must be a finite number".into())
}

fn picture(word: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(word);
    let is_known = path.extension().is_some_and(|end| end == "svg" || end == "dot");
    if is_known { Ok(path) } else { Err("its name must end in .dot or .svg".into()) }
}

/// Levels from left to right, an arrow for each argument.
fn svg(graph: &ComputationGraph) -> Result<String, optim::Error> {
    let at = |(level, height): (f64, f64)| (90.0 + 150.0 * level, 300.0 + 60.0 * height);
    let places = graph.layout()?;
    let mut text =
        String::from(r#"<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="13">"#);
    let mut draw =
        |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a string takes everything");
    for edge in graph.graph().edge_indices() {
        let Some((from, to)) = graph.graph().edge_endpoints(edge) else { continue };
        let place =
            |node| places.iter().find(|(n, _)| *n == node).map_or((0.0, 0.0), |(_, place)| at(*place));
        let ((x1, y1), (x2, y2)) = (place(from), place(to));
        draw(format_args!(r##"<path d="M{x1} {y1}L{x2} {y2}" stroke="#999" fill="none"/>"##));
    }
    for (node, place) in &places {
        let ((x, y), label) = (at(*place), graph.label(*node));
        let label = label.replace('&', "&amp;").replace('<', "&lt;").replace('\n', " = ");
        draw(format_args!(
            r##"<circle cx="{x}" cy="{y}" r="4"/><text x="{x}" y="{}" text-anchor="middle">{label}</text>"##,
            y - 9.0
        ));
    }
    Ok(text + "</svg>\n")
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let tape = Tape::new();
    let [x, y] = [arguments.x, arguments.y].map(|x| tape.input(DMatrix::from_element(1, 1, x)));
    let value = x * y + (x * y).sin();
    let result = if arguments.derivative { tape.gradient(value, &[x])[0] } else { value };
    let graph = ComputationGraph::from_tape(&tape, result, &[(x, "x"), (y, "y")]);
    let graph = if arguments.simplify { graph.simplify()? } else { graph };
    let nodes = graph.graph().node_count();
    eprintln!("{:.6} by {nodes} nodes, {} deep", result.number(), graph.depth()?);
    let Some(path) = &arguments.out else {
        println!("{}", graph.to_dot().trim_end());
        return Ok(());
    };
    let picture = if path.extension() == Some(OsStr::new("svg")) { svg(&graph)? } else { graph.to_dot() };
    std::fs::write(path, picture).map_err(|error| {
        format!(
            "{} could not be written; check the path, permissions and free space: {error}",
            path.display()
        )
        .into()
    })
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
