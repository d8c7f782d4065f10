//! Every embedded set holds what its documentation and the record of its making say.
use std::collections::{BTreeMap, BTreeSet, HashSet};

use datasets::molecules::{BondKind, Element, Solubility};
use datasets::music::{Token, Tune};
use datasets::text::PHONEMES;
use datasets::vectors::Analogy;
use datasets::*;
use dfdx::prelude::*;

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte)).sum()
}

fn sum_of<const C: usize, const H: usize, const W: usize>(images: &Images<C, H, W>) -> u64 {
    (0..images.len()).map(|i| sum(images.pixels(i))).sum()
}

fn counts<T: Ord>(values: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    values.into_iter().for_each(|value| *counts.entry(value).or_default() += 1);
    counts
}

fn sizes<T: Subset>(split: &Split<T>) -> (usize, usize, usize) {
    (split.train.num_rows(), split.validation.num_rows(), split.test.num_rows())
}

/// Each description says the sizes that its splits really have.
#[test]
fn described_splits_have_the_sizes_said() {
    let said = |name: &str| {
        let split = registry::describe(name).unwrap().splits[0];
        (split.train, split.validation, split.test)
    };
    assert_eq!(sizes(&fashion()), said("fashion"));
    assert_eq!(sizes(&emoji().split()), said("emoji"));
    let halves = nuclei().halves();
    assert_eq!((halves.train.height(), halves.validation.height(), halves.test.height()), said("nuclei"));
    assert_eq!(sizes(&pbmc().split()), said("pbmc"));
    assert_eq!(sizes(&hsmm().split()), said("hsmm"));
    assert_eq!(sizes(verses()), said("verses"));
    let parts = prose().split().map(str::len);
    assert_eq!((parts.train, parts.validation, parts.test), said("prose"));
    assert_eq!(sizes(cmudict()), said("cmudict"));
    assert_eq!(sizes(music()), said("music"));
    assert_eq!(sizes(freesolv()), said("freesolv"));
    assert_eq!(sizes(solubility()), said("solubility"));
    assert_eq!(sizes(&debian().split()), said("debian"));
    assert_eq!(sizes(&karate().split()), said("karate"));
    assert_eq!(sizes(&iris().split()), said("iris"));
    assert_eq!(sizes(&wine().split()), said("wine"));
    assert_eq!(sizes(&breast_cancer().split()), said("breast_cancer"));
    assert_eq!(sizes(&diabetes().split()), said("diabetes"));
    for series in [lynx_hare(), ecg(), nino()] {
        let split = series.split().map(|part| part.len());
        assert_eq!((split.train, split.validation, split.test), said(series.describe().name));
    }
    assert_eq!(verses().describe().name, "verses");
    assert_eq!(solubility().describe().name, "solubility");
    assert_eq!(word_vectors().describe().name, "vectors");
}

#[test]
fn fashion_has_every_class_equally_often() {
    let split = fashion();
    assert_eq!((sum_of(&split.train), sum_of(&split.test)), (57_441_455, 23_129_357));
    assert_eq!((split.train.class_counts(), split.test.class_counts()), (vec![100; 10], vec![40; 10]));
    let images =
        |part: &Images<1, 28, 28>| (0..part.len()).map(|i| part.pixels(i).to_vec()).collect::<HashSet<_>>();
    assert!(images(&split.train).is_disjoint(&images(&split.test)));
}

#[test]
fn emoji_are_pairs_of_16_levels_in_six_categories() {
    let pairs = emoji();
    assert_eq!((sum_of(pairs.a()), sum_of(pairs.b())), (23_467_600, 23_839_578));
    for style in [pairs.a(), pairs.b()] {
        let levels: BTreeSet<u8> = (0..640).flat_map(|i| style.pixels(i).to_vec()).collect();
        assert_eq!(levels, (0..=15).collect());
        // Activities, Animals, Food, Objects, Smileys, Travel
        assert_eq!(style.class_counts(), [52, 100, 86, 170, 101, 131]);
    }
    let split = pairs.split();
    assert!(split.test.a().rows().eq(0..128));
    assert_eq!(split.test.emoji(2).name, "horse-face");
    assert_eq!(split.train.emoji(0), pairs.emoji(128));
    // White paper: the upper left corner is white in all three channels of most drawings.
    let corner = |i: usize| pairs.a().unit(i).map(|channel| channel[0][0]);
    assert!((0..640).filter(|&i| corner(i) == [1.0; 3]).count() > 500);
    let dev = Cpu::default();
    let batch: Tensor<Rank4<2, 3, 32, 32>, f32, _> = pairs.b().batch(&[1, 0], &dev);
    assert_eq!(batch.array()[0], pairs.b().unit(1));
}

/// The recorded distance: it fails when the styles are not paired, or channels, rows and columns are mixed up.
#[test]
fn copying_style_a_has_the_recorded_error_against_style_b() {
    let test = emoji().split().test;
    let distance = |a: usize, b: usize| {
        let square = |(x, y): (f64, f64)| (x - y) * (x - y);
        let (a, b) = (test.a().unit_values::<f64>(a), test.b().unit_values::<f64>(b));
        a.zip(b).map(square).sum::<f64>() / 3072.0
    };
    let mean = (0..128).map(|i| distance(i, i)).sum::<f64>() / 128.0;
    assert!((mean - 0.0671).abs() < 5e-5, "{mean}");
    let nearest = |i: &usize| (0..128).all(|j| distance(*i, j) >= distance(*i, *i));
    assert_eq!((0..128).filter(nearest).count(), 50); // 0.391
    // Shifting the channels of one style must show: heart and horse are not grey.
    let red: f64 = test.a().unit(0)[0].as_flattened().iter().map(|&x| f64::from(x)).sum();
    let blue: f64 = test.a().unit(0)[2].as_flattened().iter().map(|&x| f64::from(x)).sum();
    assert!(blue > red + 50.0, "a blue heart: red {red}, blue {blue}");
}

#[test]
fn nuclei_have_the_recorded_levels_instances_and_halves() {
    let whole = nuclei();
    assert_eq!(sum(whole.pixels()), 1_077_485);
    assert_eq!(whole.pixels().iter().copied().collect::<BTreeSet<_>>(), (0..=31).collect());
    assert_eq!(whole.instances(), (1..=125).collect::<Vec<_>>());
    let Split { train, validation, test } = whole.halves();
    assert_eq!((train.instances().len(), test.instances().len(), validation.pixels().len()), (64, 67, 0));
    let shared = train.instances().into_iter().filter(|id| test.instances().contains(id));
    assert_eq!(shared.count(), 6);
    for (part, share) in [(&whole, 0.199), (&train, 0.184), (&test, 0.215)] {
        assert!((part.foreground() - share).abs() < 6e-4, "{} is not {share}", part.foreground());
    }
    assert_eq!(test.unit(3, 5), whole.unit(259, 5));
    assert_eq!(test.instance(3, 5), whole.instance(259, 5));

    let corners = [(10, 20), (192, 448)];
    let (image, mask): (Tensor<(usize, Const<1>, Const<64>, Const<64>), f32, _>, _) =
        test.batch(&corners, &Cpu::default()).unwrap();
    let tile = test.tile::<64, 64>(192, 448).unwrap();
    assert_eq!(image.as_vec()[4096..], *tile.image.as_flattened());
    let is_nucleus = tile.instances.as_flattened().iter().map(|&id| f32::from(u8::from(id > 0)));
    assert!(mask.as_vec()[4096..].iter().copied().eq(is_nucleus));
    assert_eq!(
        train.tile::<8, 8>(249, 0).unwrap_err().to_string(),
        "a window must lie inside of the 256 x 512 picture, got 8 x 8 at row 249, column 0; move it or make it smaller"
    );
    assert!(matches!(train.band(usize::MAX, 2), Err(DataError::Window { .. })));
}

#[test]
fn pbmc_has_the_recorded_counts_and_types() {
    let cells = pbmc();
    let all: Vec<u16> = (0..700).flat_map(|i| cells.counts(i).to_vec()).collect();
    assert_eq!(all.iter().map(|&count| u64::from(count)).sum::<u64>(), 486_651);
    assert_eq!((all.len(), all.iter().max()), (700 * 765, Some(&259)));
    let nonzero = all.iter().filter(|&&count| count > 0).count() as f64 / all.len() as f64;
    assert_eq!((nonzero * 1000.0).round(), 326.0);
    let by_type = |cells: &Cells| {
        let names = cells.class_names();
        let of = |name: &str| cells.labels().iter().filter(|&&label| names[label] == name).count();
        names.iter().map(|&name| (name, of(name))).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(
        by_type(&cells),
        BTreeMap::from([
            ("Dendritic", 240),
            ("CD14+ Monocyte", 129),
            ("CD19+ B", 95),
            ("CD4+/CD25 T Reg", 68),
            ("CD8+ Cytotoxic T", 54),
            ("CD8+/CD45RA+ Naive Cytotoxic", 43),
            ("CD56+ NK", 31),
            ("CD4+/CD45RO+ Memory", 19),
            ("CD34+", 13),
            ("CD4+/CD45RA+/CD25- Naive T", 8),
        ])
    );
    assert_eq!(
        by_type(&cells.coarse()),
        BTreeMap::from([
            ("Monocyte", 129),
            ("Dendritic", 240),
            ("B", 95),
            ("Cytotoxic", 85),
            ("T", 138),
            ("Progenitor", 13)
        ])
    );
    // Library sizes over all genes are never smaller than over the 765 that were kept.
    let row_sum = |i| cells.counts(i).iter().map(|&count| u32::from(count)).sum::<u32>();
    assert!((0..700).all(|i| cells.total_counts(i) >= row_sum(i)));
    assert_eq!((cells.total_counts(0), cells.louvain(2), cells.genes()[0].as_str()), (2557, 3, "HES4"));
    assert_eq!((cells.percent_mito(0), cells.cycle_scores(0)), (0.023_856_08, (-0.119_159_8, -0.816_889)));
    let log = cells.log_normalised(500.0);
    for (i, row) in log.iter().enumerate().take(5) {
        let total: f64 = row.iter().map(|x| x.exp_m1()).sum();
        assert!((total - 500.0).abs() < 1e-9, "row {i}: {total}");
    }
    let test = cells.split().test;
    assert_eq!(test.counts(0), cells.counts(2));
    assert_eq!(cells.features().row(3)[7], f64::from(cells.counts(3)[7]));
}

#[test]
fn hsmm_has_the_recorded_values_times_and_states() {
    let cells = hsmm();
    let hundredths: f64 = cells.features().values().iter().map(|x| (x * 100.0).round()).sum();
    assert_eq!(hundredths, 13_451_428.0);
    assert_eq!((cells.len(), cells.genes().len()), (271, 200));
    let hours = counts((0..271).map(|i| cells.hours(i)));
    assert_eq!(hours, BTreeMap::from([(0, 69), (24, 74), (48, 79), (72, 49)]));
    assert_eq!(TimeCourse::HOURS.map(|hours| cells.at(hours).len()), [69, 74, 79, 49]);
    assert!(cells.labels().iter().enumerate().all(|(i, &class)| TimeCourse::HOURS[class] == cells.hours(i)));
    let muscle = cells.without_contaminants();
    assert_eq!(muscle.len(), 228);
    assert!((0..228).all(|i| muscle.state(i) < 3));
    assert_eq!((cells.genes()[0].symbol.as_str(), cells.pseudotime(0)), ("ACTC1", 23.916_67));
    assert!(cells.split().test.expression(0).eq(cells.expression(1)));
}

#[test]
fn verses_are_short_and_no_test_verse_is_in_train() {
    let split = verses();
    let words =
        |text: &str| text.split_whitespace().filter(|word| word.contains(char::is_alphabetic)).count();
    for verse in split.train.iter().chain(&split.test) {
        for text in [&verse.english, &verse.spanish] {
            assert!((4..=17).contains(&words(text)), "{}: {text}", verse.reference);
            assert_eq!(text.to_lowercase(), *text, "{}", verse.reference);
        }
    }
    let bare = |text: &String| text.chars().filter(|c| c.is_alphabetic() || *c == ' ').collect::<String>();
    let sides: [fn(&Verse) -> &String; 2] = [|verse| &verse.english, |verse| &verse.spanish];
    for side in sides {
        let train: HashSet<String> = split.train.iter().map(|verse| bare(side(verse))).collect();
        assert!(split.test.iter().all(|verse| !train.contains(&bare(side(verse)))));
    }
    let spanish: HashSet<&str> = split
        .train
        .iter()
        .chain(&split.test)
        .flat_map(|verse| verse.spanish.split(|c: char| !(c.is_alphabetic() || "'’-".contains(c))))
        .filter(|word| word.contains(char::is_alphabetic))
        .collect();
    assert_eq!(spanish.len(), 3732);
}

#[test]
fn prose_is_ascii_in_three_parts_of_the_text() {
    let prose = prose();
    assert_eq!((prose.text().len(), prose.text().is_ascii(), prose.alphabet().len()), (320_377, true, 75));
    let split = prose.split();
    assert_eq!([split.train, split.validation, split.test].concat(), prose.text());
    assert!(split.train.starts_with("Chapter 1\n\nSir Walter Elliot, of Kellynch Hall"));
}

#[test]
fn cmudict_has_the_recorded_words_and_symbols() {
    let split = cmudict();
    let all: Vec<&Pronunciation> = split.train.iter().chain(&split.validation).chain(&split.test).collect();
    assert_eq!(all.iter().map(|row| &row.word).collect::<HashSet<_>>().len(), 12_000, "no word twice");
    assert!(all.iter().all(|row| {
        (3..=10).contains(&row.word.len()) && row.word.bytes().all(|byte| byte.is_ascii_lowercase())
    }));
    assert!(all.iter().all(|row| (1..=12).contains(&row.phonemes.len())));
    let used: BTreeSet<&str> = all.iter().flat_map(|row| row.phonemes.clone()).collect();
    assert_eq!(used, PHONEMES.into_iter().collect());
    let mean = all.iter().map(|row| row.phonemes.len()).sum::<usize>() as f64 / 12_000.0;
    assert_eq!((mean * 10.0).round(), 57.0);
    assert_eq!(split.test[0].without_stress(), ["IY", "K", "W", "AH", "L"]);
}

#[test]
fn word_vectors_answer_as_many_analogies_as_recorded() {
    let vectors = word_vectors();
    assert_eq!((vectors.len(), vectors.word(0), vectors.id("rome").is_some()), (4000, "the", true));
    assert_eq!(vectors.id("dfdx"), None);
    let scaled: f64 = vectors.vectors()[0].iter().map(|&x| f64::from(x) / 0.040_125).sum();
    assert!((scaled - scaled.round()).abs() < 1e-3, "row 0 is whole numbers times its scale: {scaled}");
    let of = |kind: &str| -> Vec<Analogy> {
        analogies().iter().filter(|pair| pair.kind == kind).cloned().collect()
    };
    let mut total = (0, 0);
    for (kind, share, asked) in [
        ("capital", 0.819, 210),
        ("nationality", 0.974, 756),
        ("gender", 0.838, 210),
        ("plural", 0.855, 552),
        ("past", 0.499, 870),
        ("comparative", 0.463, 272),
    ] {
        let score = vectors.score(&of(kind));
        assert_eq!(
            (score.1, (1000.0 * score.0 as f64 / asked as f64).round() / 1000.0),
            (asked, share),
            "{kind}"
        );
        total = (total.0 + score.0, total.1 + score.1);
    }
    assert_eq!(total, (2116, 2870)); // 0.737
    assert!((vectors.similarity(7, 7) - 1.0).abs() < 1e-6);
}

#[test]
fn analogies_leave_out_the_question_and_prefer_the_frequent_word() {
    let words = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
    let vectors = WordVectors::new(words, vec![[1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, 1.0], [0.0, 5.0]]);
    // b − a + c is c itself, which may not be the answer; d and e have the same direction.
    assert_eq!(vectors.word(vectors.answer(0, 1, 2)), "d");
    assert_eq!(vectors.nearest(&[1.0, 0.0], &[0]), Some(1));
    assert_eq!(WordVectors::<2>::new(vec![], vec![]).nearest(&[1.0, 0.0], &[]), None);
}

#[test]
fn tunes_have_the_recorded_metres_and_bars_that_fill() {
    let split = music();
    let all: Vec<&Tune> = split.train.iter().chain(&split.test).collect();
    let metres = counts(all.iter().map(|tune| tune.metre.to_string()));
    let want = [("2/4", 117), ("2/2", 95), ("6/8", 43), ("9/8", 14), ("4/4", 10)];
    assert_eq!(metres, want.into_iter().map(|(metre, n)| (metre.to_owned(), n)).collect());
    let tokens: Vec<Token> = all.iter().flat_map(|tune| tune.tokens.clone()).collect();
    assert_eq!(tokens.len(), 37_892);
    assert_eq!(tokens.iter().collect::<BTreeSet<_>>().len(), 204);
    let lengths: BTreeSet<u8> = tokens
        .iter()
        .filter_map(|token| match token {
            Token::Note { length, .. } => Some(*length),
            Token::Bar => None,
        })
        .collect();
    assert_eq!(lengths, BTreeSet::from([1, 2, 3, 4, 6, 9, 12, 18, 24]));
    for tune in &all {
        assert_ne!(tune.tokens.last(), Some(&Token::Bar), "{}", tune.title);
        let (whole, bars) = (tune.metre.length(), tune.bars().collect::<Vec<_>>());
        assert!(bars.iter().all(|bar| Tune::bar_length(bar) <= whole), "{}: an overfull bar", tune.title);
        let full = bars.iter().filter(|bar| Tune::bar_length(bar) == whole).count();
        assert!(full as f64 >= 0.8 * bars.len() as f64, "{}: {full} of {} bars", tune.title, bars.len());
    }
    let titles = |tunes: &[Tune]| tunes.iter().map(|tune| tune.title.clone()).collect::<HashSet<_>>();
    assert!(titles(&split.train).is_disjoint(&titles(&split.test)));
}

#[test]
fn transposing_moves_every_pitch_and_no_rest() {
    let tune = &music().test[0];
    let up = tune.transposed(2).unwrap();
    for (before, after) in tune.tokens.iter().zip(&up.tokens) {
        match (before, after) {
            (Token::Note { pitch: a, length: m }, Token::Note { pitch: b, length: n }) => {
                assert_eq!((a.map(|pitch| pitch + 2), m), (*b, n));
            }
            other => assert_eq!(other, (&Token::Bar, &Token::Bar)),
        }
    }
    assert_eq!(up.transposed(-2).as_ref(), Some(tune));
    assert_eq!((tune.transposed(60), tune.transposed(-100)), (None, None));
    for (text, token) in [("74:6", Some(74)), ("0:12", None)] {
        assert!(matches!(text.parse(), Ok(Token::Note { pitch, .. }) if pitch == token));
        assert_eq!(text.parse::<Token>().unwrap().to_string(), text);
    }
    for broken in ["", "74", "74:0", "128:3", "-1:3", "x:3"] {
        assert!(broken.parse::<Token>().is_err(), "{broken}");
    }
}

/// Bonds that an element makes at most, charges aside; sulphur and phosphorus expand.
fn valence(element: Element) -> f64 {
    match element {
        Element::C | Element::Sn => 4.0,
        Element::N => 3.0,
        Element::O => 2.0,
        Element::S => 6.0,
        Element::P => 5.0,
        _ => 1.0,
    }
}

#[test]
fn molecules_are_whole_and_obey_valence() {
    assert_eq!(mutag().len(), 188);
    assert_eq!(mutag().iter().filter(|row| row.is_mutagenic).count(), 125);
    assert_eq!(mutag().iter().map(|row| row.molecule.atoms().len()).sum::<usize>(), 3371);
    assert_eq!(mutag().iter().map(|row| row.molecule.bonds().len()).sum::<usize>(), 3721);
    let elements: BTreeSet<Element> =
        mutag().iter().flat_map(|row| row.molecule.atoms()).map(|atom| atom.element).collect();
    let symbols: Vec<&str> = elements.iter().map(|element| element.symbol()).collect();
    assert_eq!(symbols, ["C", "N", "O", "F", "Cl", "Br", "I"]);

    let (a, b) = (freesolv(), solubility());
    let freesolv = a.train.iter().chain(&a.test).map(|row| (&row.smiles, &row.molecule));
    let solubility = b.train.iter().chain(&b.test).map(|row| (&row.smiles, &row.molecule));
    let mut checked = 0;
    for (smiles, molecule) in freesolv.chain(solubility) {
        let mut order = vec![0.0; molecule.atoms().len()];
        for bond in molecule.bonds() {
            [bond.a, bond.b].into_iter().for_each(|end| order[end] += bond.kind.order());
            // Both ends of an aromatic bond are aromatic.
            let is_aromatic = |end: usize| molecule.atoms()[end].state.unwrap().is_aromatic;
            assert!(
                bond.kind != BondKind::Aromatic || is_aromatic(bond.a) && is_aromatic(bond.b),
                "{smiles}"
            );
        }
        for (atom, order) in molecule.atoms().iter().zip(order) {
            let state = atom.state.unwrap();
            let total = order + f64::from(state.hydrogens) - f64::from(state.charge.max(0));
            // Where two aromatic rings meet, three bonds count 4.5, and a nitrogen there gives its lone pair.
            let slack = if state.is_aromatic { 1.5 } else { 0.0 };
            assert!(total <= valence(atom.element) + slack, "{smiles}: {atom:?} has {total}");
            assert!(!state.is_aromatic || state.in_ring, "{smiles}");
        }
        let (sources, targets, kinds) = molecule.edge_index();
        assert_eq!(
            (sources.len(), targets.len(), kinds.len()),
            (molecule.bonds().len() * 2, sources.len(), sources.len())
        );
        assert_eq!(molecule.degrees().iter().sum::<usize>(), sources.len());
        checked += 1;
    }
    assert_eq!(checked, 1920);
    let smiles = |rows: &[Solubility]| rows.iter().map(|row| row.smiles.clone()).collect::<HashSet<_>>();
    assert!(smiles(&b.train).is_disjoint(&smiles(&b.test)));
    // The recorded opponents: the mean of the training part, and the physical simulation.
    let rmse = |errors: Vec<f64>| (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt();
    let mean = a.train.iter().map(|row| row.expt).sum::<f64>() / a.train.len() as f64;
    assert!((rmse(a.test.iter().map(|row| row.expt - mean).collect()) - 3.61).abs() < 0.005);
    assert!((rmse(a.test.iter().map(|row| row.expt - row.calc).collect()) - 1.227).abs() < 0.0005);
    let mean = b.train.iter().map(|row| row.log_s).sum::<f64>() / b.train.len() as f64;
    assert!((rmse(b.test.iter().map(|row| row.log_s - mean).collect()) - 2.02).abs() < 0.005);
}

#[test]
fn debian_is_one_connected_graph_of_the_recorded_size() {
    let graph = debian();
    assert_eq!((graph.len(), graph.edges().len(), graph.num_features()), (3883, 6446, 500));
    assert_eq!(graph.components(), [3883]);
    let names: Vec<&str> = graph.class_names().iter().map(String::as_str).collect();
    let by_class = counts((0..graph.len()).map(|i| names[graph.label(i)]));
    let want = [
        ("net", 969),
        ("science", 694),
        ("sound", 537),
        ("graphics", 428),
        ("gnome", 301),
        ("math", 249),
        ("web", 243),
        ("games", 232),
        ("kde", 230),
    ];
    assert_eq!(by_class, want.into_iter().collect());
    assert_eq!((graph.edge_homophily() * 1000.0).round(), 857.0);
    let degrees: Vec<usize> = (0..graph.len()).map(|i| graph.neighbours(i).len()).collect();
    let largest = (0..graph.len()).max_by_key(|&i| degrees[i]).unwrap();
    assert_eq!((graph.name(largest), degrees[largest]), ("tesseract-ocr", 170));
    assert_eq!(degrees.iter().sum::<usize>(), 2 * 6446);
    let leaves = degrees.iter().filter(|&&degree| degree == 1).count() as f64 / 3883.0;
    assert_eq!((leaves * 100.0).round(), 37.0);
    let words: usize = (0..graph.len()).map(|i| graph.words(i).len()).sum();
    assert_eq!((words as f64 / 388.3).round(), 194.0);
    assert_eq!((0..graph.len()).filter(|&i| graph.words(i).is_empty()).count(), 3);
    let split = graph.split();
    let train = counts(split.train.iter().map(|&i| graph.label(i)));
    assert_eq!(train, (0..9).map(|class| (class, 20)).collect());
    let parts: HashSet<usize> = [split.train, split.validation, split.test].concat().into_iter().collect();
    assert_eq!(parts.len(), 1680);
    let features = graph.features();
    assert_eq!(features.values().iter().sum::<f64>(), words as f64);
    assert!(graph.words(7).iter().all(|&word| features.row(7)[word as usize] == 1.0));
    assert_eq!(datasets::graphs::debian_words()[0], "used");
    assert_eq!(graph.describe().unwrap().name, "debian");
}

#[test]
fn karate_has_two_clubs_of_seventeen() {
    let graph = karate();
    assert_eq!((graph.len(), graph.edges().len(), graph.components()), (34, 78, vec![34]));
    assert_eq!(counts((0..34).map(|i| graph.label(i))), BTreeMap::from([(0, 17), (1, 17)]));
    assert_eq!((graph.weights()[0], graph.edges()[0], graph.name(33)), (4.0, (0, 1), "33"));
    assert_eq!((graph.neighbours(0).len(), graph.neighbours(33).len()), (16, 17));
}

#[test]
fn graphs_that_are_none_are_errors_that_say_why() {
    use datasets::graphs::NodeGraphParts;
    use datasets::split::Role;
    let whole = NodeGraphParts {
        names: ["x", "y", "z"].map(str::to_owned).to_vec(),
        class_names: vec!["one".to_owned()],
        labels: vec![Some(0), None, Some(0)],
        roles: vec![Role::Train; 3],
        words: vec![vec![0, 1], vec![], vec![1]],
        num_features: 2,
        edges: vec![(0, 1), (1, 2)],
        weights: vec![1.0, 0.5],
    };
    let graph = NodeGraph::try_new("tiny", whole.clone()).unwrap();
    assert_eq!((graph.neighbours(1), graph.known_label(1), graph.describe()), (&[0, 2][..], None, None));
    assert_eq!(graph.edge_index(), (vec![0, 1, 1, 2], vec![1, 0, 2, 1]));
    let message = |change: fn(&mut NodeGraphParts)| {
        let mut parts = whole.clone();
        change(&mut parts);
        NodeGraph::try_new("tiny", parts).unwrap_err().to_string()
    };
    let end = "edge 1 joins 2 and 1, but must join two of the 3 nodes, the smaller number first; nodes count from 0";
    assert_eq!(message(|parts| parts.edges[1] = (2, 1)), end);
    assert!(message(|parts| parts.edges[1] = (1, 1)).starts_with("edge 1 joins 1 and 1"));
    assert!(message(|parts| parts.edges[1] = (1, 3)).starts_with("edge 1 joins 1 and 3"));
    assert_eq!(
        message(|parts| parts.edges[1] = (0, 1)),
        "edge 1 joins 0 and 1 a second time, but each edge must be given once; drop it"
    );
    let node = "must have rising features below 2 and a class below 1; correct or drop it";
    assert_eq!(message(|parts| parts.words[0] = vec![1, 0]), format!("node 0 {node}"));
    assert_eq!(message(|parts| parts.words[2] = vec![2]), format!("node 2 {node}"));
    assert_eq!(message(|parts| parts.labels[1] = Some(1)), format!("node 1 {node}"));
    assert_eq!(
        message(|parts| parts.weights.truncate(1)),
        "`weights` must have 2 entries, one for each node or edge, got 1; complete the list"
    );
}

#[test]
fn tables_have_the_recorded_shapes_and_classes() {
    let shape =
        |table: &Tabular<usize>| (table.len(), table.features().num_columns(), table.class_names().len());
    assert_eq!(
        [iris(), wine(), breast_cancer()].map(|table| shape(&table)),
        [(150, 4, 3), (178, 13, 3), (569, 30, 2)]
    );
    // scikit-learn's documentation: 50 of each; 59, 71, 48; 212 malignant, 357 benign.
    assert_eq!(counts(iris().targets().to_vec()), BTreeMap::from([(0, 50), (1, 50), (2, 50)]));
    assert_eq!(counts(wine().targets().to_vec()), BTreeMap::from([(0, 59), (1, 71), (2, 48)]));
    assert_eq!(counts(breast_cancer().targets().to_vec()), BTreeMap::from([(0, 357), (1, 212)]));
    assert_eq!(iris().features().row(0), [5.1, 3.5, 1.4, 0.2]);
    assert_eq!(breast_cancer().columns()[27], "worst_concave_points");
    let diabetes = diabetes();
    assert_eq!((diabetes.len(), diabetes.features().num_columns(), diabetes.targets()[0]), (442, 10, 151.0));
    let split = diabetes.split();
    assert_eq!((split.test.targets()[0], split.test.features().row(0)[0]), (141.0, 72.0));
    assert_eq!(
        (diabetes.describe().files.len(), diabetes.describe().files[0].file.as_str()),
        (1, "diabetes.tsv")
    );
}

#[test]
fn series_have_the_recorded_values_and_ends() {
    let heart = ecg().column("mlii").unwrap();
    let raw: f64 = heart.iter().map(|x| x * 200.0 + 1024.0).sum();
    assert!((raw - 42_532_200.0).abs() < 1e-3, "{raw}");
    assert_eq!((heart.len(), ecg().time()[360]), (43_200, 1.0));
    let pelts = lynx_hare();
    assert_eq!((pelts.column("hare").unwrap()[1], pelts.time()[20]), (47.2, 1920.0));
    let error = pelts.column("fox").unwrap_err().to_string();
    assert_eq!(error, "the table must have the column `fox`, it has hare, lynx; name one of these");
    let sea = nino();
    assert_eq!(
        (sea.len(), sea.time()[0], *sea.values().row(799).last().unwrap()),
        (800, 1950.0 + 0.5 / 12.0, -0.5)
    );
    // The recorded opponents on the last 160 months.
    let (x, anomaly) = (sea.column("nino34").unwrap(), sea.column("nino34_anomaly").unwrap());
    let rmse = |series: &[f64], back: usize| {
        let errors = (640..800).map(|i| series[i] - series[i - back]);
        (errors.map(|e| e * e).sum::<f64>() / 160.0).sqrt()
    };
    let shown = |x: f64| (x * 1000.0).round() / 1000.0;
    assert_eq!(shown(rmse(&x, 12)), 1.041);
    assert_eq!([3, 6, 12].map(|back| shown(rmse(&anomaly, back))), [0.570, 0.888, 1.042]);
    // A constant, the mean of the logarithms of the training years, against the last six.
    let split = pelts.split();
    let square = |name: &str| {
        let logs = |part: &Series| part.column(name).unwrap().into_iter().map(f64::ln).collect::<Vec<_>>();
        let (train, test) = (logs(&split.train), logs(&split.test));
        let mean = train.iter().sum::<f64>() / train.len() as f64;
        test.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>()
    };
    assert_eq!(shown(((square("hare") + square("lynx")) / 12.0).sqrt()), 0.85);
}
