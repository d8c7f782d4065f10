//! Every kind of figure against committed pictures, byte by byte. `BLESS=1` rewrites them: look at them then.
use lab::{
    Axis, Body, Emphasis, Figure, FigureError, Frame, Frames, Heatmap, Line, Plot, Ramp, Raster, Slider, Tile,
};
use std::path::Path;

fn learning_curves() -> Plot {
    let epochs: Vec<f64> = (1..=20).map(f64::from).collect();
    let run = |best: f64, speed: f64, seed: f64| -> Vec<f64> {
        epochs.iter().map(|e| best - 0.4 * (-e * speed).exp() + 0.012 * (e * 1.7 + seed).sin()).collect()
    };
    let runs = |best, speed| [0.0, 2.0, 4.0].map(|seed| run(best, speed, seed));
    Plot::new(Axis::linear("epoch").range(0.0, 20.0), Axis::linear("test accuracy"))
        .line(Line::over_seeds("network", &epochs, &runs(0.93, 0.3)))
        .line(Line::over_seeds("averaged perceptron", &epochs, &runs(0.91, 0.5)))
        .horizontal("nearest class mean", 0.801)
        .vertical("rate halved", 12.0)
}

/// Steps down a parabola, for two sliders.
fn descent(axes: impl Fn() -> Plot) -> Frames {
    let rates = [0.1_f64, 0.5, 0.95];
    Frames::over_two(Slider::new("learning rate", rates), Slider::new("steps", [0, 2, 8]), |rate, steps| {
        let x = |step: i32| (1.0 - 2.0 * rates[rate]).powi(step);
        let path: Vec<_> = (0..=[0, 2, 8][steps]).map(|step| (x(step), x(step).powi(2))).collect();
        let end = path[path.len() - 1];
        let plot = axes()
            .line(Line::new("", (-10..=10).map(|i| f64::from(i) / 10.0).map(|x| (x, x * x))))
            .line(Line::new("path", path))
            .scatter("now", [end])
            .horizontal("minimum", 0.0);
        Frame::new(plot).note(format!("The loss is {:.2}.", end.1))
    })
    .still([1, 1])
}

fn free_axes() -> Plot {
    Plot::new(Axis::linear("weight"), Axis::linear("loss"))
}

fn gallery() -> Vec<Figure> {
    let figure = |id: &str, body: Body| {
        Figure::new(id, "What to see. How it was made.", format!("a test picture: {id}"), body)
    };
    let loss = (0..60).map(|i| (f64::from(i), 10f64.powf(1.5 - f64::from(i) * 0.1)));
    let slow = (0..60).map(|i| (f64::from(i), 10f64.powf(1.5 - f64::from(i) * 0.02)));
    let log = Plot::new(Axis::linear("step"), Axis::logarithmic("distance to the minimum"))
        .line(Line::new("momentum", loss))
        .line(Line::new("plain", slow));
    let cloud = |cx: f64, cy: f64| {
        (0..25).map(move |i| {
            let t = f64::from(i);
            (cx + (t * 2.4).sin() * t * 0.04, cy + (t * 2.4).cos() * t * 0.04)
        })
    };
    let boundary = |slope: f64| {
        Plot::new(Axis::linear("x₁").range(-2.0, 2.0), Axis::linear("x₂").range(-2.0, 2.0))
            .scatter("", cloud(-0.7, -0.5))
            .scatter("", cloud(0.7, 0.6))
            .line(Line::new("", [(-2.0, -2.0 * slope), (2.0, 2.0 * slope)]))
    };
    let panels =
        (0..6).map(|i| boundary(-0.5 - 0.4 * f64::from(i)).title(format!("mistake {}", i + 1))).collect();
    let named = Plot::new(Axis::linear("length (mm)"), Axis::linear("width (mm)"))
        .scatter("setosa", cloud(-1.0, -0.5))
        .scatter("versicolor", cloud(0.2, 0.3))
        .scatter("virginica", cloud(1.2, 0.6));
    let bars = Plot::new(
        Axis::linear("test accuracy").range(0.0, 1.0),
        Axis::categories("", ["network, 30 hidden neurons", "averaged perceptron", "nearest class mean"]),
    )
    .bars("", [(0.898, 0.011), (0.9, 0.0015), (0.801, 0.0)])
    .vertical("chance", 0.1);
    let grouped = Plot::new(
        Axis::categories("data", ["train", "test", "test, shuffled labels"]),
        Axis::linear("error"),
    )
    .bars("dropout", [(0.05, 0.01), (0.1, 0.01), (0.9, 0.02)])
    .bars("none", [(0.0, 0.0), (0.14, 0.02), (0.91, 0.01)]);
    let histogram = Plot::new(Axis::linear("weight"), Axis::linear("count")).histogram(
        "first layer",
        (-3.0, 3.0),
        vec![1, 3, 12000, 30000, 41000, 22000, 9000, 400],
    );
    let counts: Vec<Vec<usize>> = (0..10)
        .map(|i| (0..10).map(|j| if i == j { 33 + i % 3 } else { (i * 7 + j * 3) % 11 / 8 * 2 }).collect())
        .collect();
    let signed = Heatmap {
        row_label: "from".into(),
        column_label: "to".into(),
        rows: vec!["a".into(), "b".into()],
        columns: vec!["x".into(), "y".into(), "z".into()],
        values: vec![vec![0.5, -0.25, 0.0], vec![-1.0, 0.125, 0.75]],
        decimals: 2,
        emphasis: Emphasis::Sign,
    };
    let ring = |r: f64| -> Vec<f64> {
        (0..64)
            .map(|i| {
                let (y, x) = (f64::from(i / 8) - 3.5, f64::from(i % 8) - 3.5);
                (1.0 - ((x * x + y * y).sqrt() - r).abs()).max(0.0)
            })
            .collect()
    };
    let tiles = (0..8)
        .map(|i| Tile::new(8, &ring(1.0 + f64::from(i) * 0.3)).caption(format!("{i}→{}", 9 - i)))
        .collect();
    let weights = (0..10)
        .map(|i| Tile::new(8, &ring(f64::from(i) * 0.4).iter().map(|v| v - 0.5).collect::<Vec<_>>()))
        .collect();
    let turning = Frames::over(Slider::new("mistakes", 1..=3), |k| {
        let panels = [0, 1].map(|i| boundary(-0.5 - 0.4 * (k + i) as f64).title(format!("order {i}")));
        Body::Panels { panels: panels.to_vec(), columns: 2 }
    });
    let growing = Frames::over(Slider::new("radius", ["small", "large"]), |k| Raster {
        tiles: (0..3).map(|i| Tile::new(8, &ring((k + i) as f64)).caption(format!("{i}"))).collect(),
        columns: 3,
        ramp: Ramp::Ink { low: 0.0, high: 1.0 },
    });
    vec![
        figure("descent", descent(free_axes).into()),
        figure("turning", turning.into()),
        figure("growing", growing.still([0]).into()),
        figure("curves", learning_curves().into()),
        figure("log", log.into()),
        figure("panels", Body::Panels { panels, columns: 3 }),
        figure("points", named.into()),
        figure("bars", bars.into()),
        figure("grouped", grouped.into()),
        figure("histogram", histogram.into()),
        figure("confusion", Heatmap::confusion((0..10).map(|digit| digit.to_string()), &counts).into()),
        figure("signed", signed.into()),
        figure("digits", Raster { tiles, columns: 4, ramp: Ramp::Ink { low: 0.0, high: 1.0 } }.into()),
        figure(
            "weights",
            Raster { tiles: weights, columns: 5, ramp: Ramp::Diverging { extreme: 0.5 } }.into(),
        ),
    ]
}

#[test]
fn figures_are_drawn_to_the_same_bytes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/figures");
    for figure in gallery() {
        let path = folder.join(figure.file_name("gallery"));
        let drawn = figure.draw().unwrap();
        if std::env::var_os("BLESS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &drawn).unwrap();
        }
        let kept = std::fs::read(&path).unwrap_or_default();
        assert!(drawn == kept, "{} changed; BLESS=1 rewrites it, then look at it", path.display());
    }
}

#[test]
fn svg_uses_only_colours_that_follow_the_theme() {
    let known = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#cccccc", "white", "none"];
    for figure in gallery().iter().filter(|figure| !matches!(figure.body, Body::Raster(_))) {
        let text = String::from_utf8(figure.draw().unwrap()).unwrap();
        for attribute in ["fill=\"", "stroke=\""] {
            for piece in text.split(attribute).skip(1) {
                let colour = piece.split('"').next().unwrap();
                assert!(known.contains(&colour), "{}: {attribute}{colour}", figure.id);
            }
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused() {
    let plot = || Plot::new(Axis::linear("x"), Axis::linear("y"));
    let draw = |plot: Plot| Figure::new("f", "", "", plot).draw().unwrap_err();
    let line = |name: &str| Line::new(name, [(0.0, 1.0), (1.0, 2.0)]);
    let five = (0..5).fold(plot(), |plot, _| plot.line(line("same")));
    assert!(matches!(draw(five), FigureError::TooManySeries { got: 5, most: 4 }));
    assert!(matches!(draw(plot().scatter("s", [(0.0, f64::NAN)])), FigureError::NotFinite { .. }));
    assert!(matches!(
        draw(plot().line(line("l").band([(0.0, 1.0)]))),
        FigureError::Band { points: 2, band: 1, .. }
    ));
    assert!(matches!(draw(plot()), FigureError::Empty { .. }));
    let log = Plot::new(Axis::linear("x"), Axis::logarithmic("y")).scatter("s", [(0.0, 0.0)]);
    assert!(matches!(draw(log), FigureError::NotPositive { .. }));
    let uneven = Raster {
        tiles: vec![Tile::new(2, &[0.0; 4]), Tile::new(2, &[0.0; 6])],
        columns: 2,
        ramp: Ramp::Diverging { extreme: 1.0 },
    };
    assert!(matches!(Figure::new("f", "", "", uneven).draw(), Err(FigureError::Tiles { tile: 1, .. })));
    let empty = Heatmap::confusion(["a"], &[]);
    assert!(matches!(Figure::new("f", "", "", empty).draw(), Err(FigureError::Matrix { .. })));
}

/// Each frame as the drawing that a page shows when the sliders are there.
fn taken_apart(file: &str, frames: usize, still: usize) -> Vec<String> {
    let (shown, hidden) = file.split_once("<metadata>").unwrap();
    let shown = shown.replace('\n', "");
    let mut pieces = shown.split("<g data-gap=\"\">");
    let mut shared = vec![pieces.next().unwrap()];
    let mut at_first = Vec::new();
    for (content, rest) in pieces.map(|piece| piece.split_once("</g>").unwrap()) {
        at_first.push(content);
        shared.push(rest);
    }
    let of = |i: usize| {
        let gaps: Vec<&str> = if i == still {
            at_first.clone()
        } else {
            let mark = format!("<g data-frame=\"{i}\">");
            let line = hidden.lines().find_map(|line| line.strip_prefix(&mark)).unwrap();
            let groups = line.strip_suffix("</g></g>").unwrap().strip_prefix("<g>").unwrap();
            groups.split("</g><g>").collect()
        };
        assert_eq!(gaps.len() + 1, shared.len(), "frame {i}");
        let rest = gaps.iter().zip(&shared[1..]).flat_map(|(gap, shared)| [gap, shared]);
        std::iter::once(&shared[0]).chain(rest).copied().collect()
    };
    (0..frames).map(of).collect()
}

#[test]
fn every_frame_is_the_picture_that_it_would_be_alone() {
    let draw = |body: Body| String::from_utf8(Figure::new("f", "c", "a", body).draw().unwrap()).unwrap();
    // With ranges of their own, plots alone have the axes that the frames share.
    let axes = || Plot::new(Axis::linear("weight").range(-1.5, 1.5), Axis::linear("loss").range(-0.1, 1.2));
    let frames = descent(axes);
    let file = draw(frames.clone().into());
    assert!(file.contains("The loss is 0.00.") && file.contains("learning rate"));
    let seen = taken_apart(&file, 9, 4);
    for (i, (frame, seen)) in frames.frames.iter().zip(&seen).enumerate() {
        let alone = draw(frame.body.clone()).replace('\n', "");
        assert_eq!(format!("{seen}</svg>"), alone, "frame {i}");
    }
    // No step is the same picture for all rates, and with the rate one half the first step ends in the minimum, where
    // the others stay; all others differ.
    assert_eq!(seen.iter().collect::<std::collections::BTreeSet<_>>().len(), 6);
    let alone: usize = frames.frames.iter().map(|frame| draw(frame.body.clone()).len()).sum();
    assert!(file.len() < alone / 2, "{} bytes, {alone} when each frame is a file", file.len());
}

#[test]
fn frames_have_the_range_that_all_of_them_need() {
    let plot = |x: f64| Plot::new(Axis::linear("x"), Axis::linear("y")).scatter("", [(0.0, 0.0), (x, x)]);
    let frames = Frames::over(Slider::new("reach", [1, 100]), |i| plot([1.0, 100.0][i])).still([0]);
    let file = String::from_utf8(Figure::new("f", "c", "a", frames).draw().unwrap()).unwrap();
    let first = file.split("<defs>").next().unwrap();
    assert!(first.contains(">100</text>"), "{first}");
}

#[test]
fn sliders_that_lead_nowhere_are_refused() {
    let draw = |frames: Frames| Figure::new("f", "", "", frames).draw().unwrap_err();
    let good = descent(free_axes);
    let still = |positions: &[usize]| good.clone().still(positions.iter().copied());
    for positions in [&[1][..], &[1, 3], &[3, 0], &[0, 0, 0]] {
        assert!(matches!(draw(still(positions)), FigureError::Still { .. }), "{positions:?}");
    }
    let missing = Frames { frames: good.frames[1..].to_vec(), ..good.clone() };
    assert!(matches!(draw(missing), FigureError::FrameCount { expected: 9, got: 8 }));
    let three = Frames { sliders: vec![Slider::new("a", [0, 1]); 3], ..good.clone() };
    assert!(matches!(draw(three), FigureError::Sliders { got: 3 }));
    let fixed = Frames::over(Slider::new("a", [0]), |_| good.frames[0].clone());
    assert!(matches!(draw(fixed), FigureError::Slider { values: 1, .. }));

    let pair = |frame: Frame| {
        let mut frame = Some(frame);
        Frames::over(Slider::new("a", [0, 1]), |i| match i {
            0 => good.frames[0].clone(),
            _ => frame.take().unwrap(),
        })
    };
    let axes = Plot::new(Axis::linear("weight"), Axis::linear("error")).scatter("", [(0.0, 0.0)]);
    assert!(matches!(draw(pair(axes.into())), FigureError::FrameAxes { frame: 1 }));
    let raster = Raster { tiles: vec![], columns: 1, ramp: Ramp::Rgb };
    assert!(matches!(draw(pair(raster.into())), FigureError::FrameShape { frame: 1 }));
    let tile = |side: usize| Raster {
        tiles: vec![Tile::new(side, &vec![0.0; side * side])],
        columns: 1,
        ramp: Ramp::Rgb,
    };
    let uneven = Frames::over(Slider::new("a", [0, 1]), |i| tile(40 + i));
    assert!(matches!(draw(uneven), FigureError::FrameShape { frame: 1 }));
    let nested = Frames::over(Slider::new("a", [0, 1]), |_| Body::from(good.clone()));
    assert!(matches!(draw(nested), FigureError::FrameShape { frame: 0 }));
    let large = Frames::over(Slider::new("a", 0..30), |i| {
        let i = i as i32;
        let points = (0..1000).map(move |j| (f64::from(j), f64::from([i, 1000 - i][(j % 2) as usize])));
        Plot::new(Axis::linear("x"), Axis::linear("y")).line(Line::new("", points))
    });
    assert!(matches!(draw(large), FigureError::TooLarge { frames: 30, most: 300_000, .. }));
}
