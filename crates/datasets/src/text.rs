//! Words: verses in two languages, a novel, and how English words are spoken.
//!
//! | set | rows | train / validation / test |
//! |---|---|---|
//! | [`verses`] | English and Spanish verses of the Bible, 4 to 17 words | 2,501 / 0 / 400 |
//! | [`prose`] | *Persuasion*, characters | 256,377 / 32,000 / 32,000 |
//! | [`cmudict`] | a word and its phonemes | 10,000 / 1,000 / 1,000 |
//!
//! **Traps**: verses share formulae ("and the lord spake unto moses"): near repeats across the parts remain, exact ones
//! do not. `á` and `fué` are the spelling of 1909. With 320,000 characters the novel is small: order-4 counts give
//! 2.04 bits per character on its test part, and a small recurrent network does not beat that in minutes.
//!
//! **Sources**: King James Version and Reina-Valera 1909; Jane Austen (1818), Persuasion, chapters 1 to 19; the CMU
//! Pronouncing Dictionary, Carnegie Mellon University.
//!
//! # Examples
//! ```
//! use datasets::text::{cmudict, prose, verses};
//! let pair = &verses().test[0];
//! assert_eq!(pair.reference, "Prv 3:20");
//! assert!(pair.english.starts_with("by his knowledge") && pair.spanish.starts_with("con su ciencia"));
//! assert_eq!(prose().split().test.len(), 32_000);
//! assert_eq!(cmudict().test[0].phonemes, ["IY1", "K", "W", "AH0", "L"]);   // equal
//! ```
use std::sync::OnceLock;

use crate::error::{DataError, Rule};
use crate::registry::{self, Description, NamedSplit, Record, Set};
use crate::split::Split;
use crate::table;

pub(crate) const VERSES: Set = Set {
    name: "verses",
    title: "2,901 verses of the Bible in English (1611/1769) and Spanish (1909), lower case, 4 to 17 words",
    splits: &[NamedSplit {
        name: "verses()",
        train: 2501,
        validation: 0,
        test: 400,
        note: "no test verse occurs in train; formulae do",
    }],
    citation: "King James Version; Reina-Valera 1909",
};

pub(crate) const PROSE: Set = Set {
    name: "prose",
    title: "Persuasion, chapters 1 to 19, 320,377 characters of 75 kinds",
    splits: &[NamedSplit {
        name: "prose().split()",
        train: 256_377,
        validation: 32_000,
        test: 32_000,
        note: "characters, in the order of the text",
    }],
    citation: "J. Austen (1818), Persuasion, John Murray, London",
};

pub(crate) const CMUDICT: Set = Set {
    name: "cmudict",
    title: "12,000 frequent English words of 3 to 10 letters and their phonemes, 69 symbols",
    splits: &[NamedSplit {
        name: "cmudict()",
        train: 10_000,
        validation: 1000,
        test: 1000,
        note: "drawn once; first pronunciation of each word",
    }],
    citation: "Carnegie Mellon University, The CMU Pronouncing Dictionary, http://www.speech.cs.cmu.edu/cgi-bin/cmudict",
};

/// One verse in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verse {
    /// Book, chapter and verse, such as `Prv 3:20`.
    pub reference: String,
    /// King James Version, lower case, with punctuation.
    pub english: String,
    /// Reina-Valera 1909, lower case, with punctuation.
    pub spanish: String,
}

impl Record for Verse {
    const SET: &'static str = VERSES.name;
}

/// The verses, decoded at the first call. See the [module](self).
pub fn verses() -> &'static Split<Vec<Verse>> {
    static VERSES: OnceLock<Split<Vec<Verse>>> = OnceLock::new();
    let load = || {
        let table = registry::embedded_table("verses.tsv.gz", &["split", "ref", "en", "es"])?;
        let (reference, english, spanish) = (table.texts("ref")?, table.texts("en")?, table.texts("es")?);
        let verse = |i: usize| Verse {
            reference: reference[i].to_owned(),
            english: english[i].to_owned(),
            spanish: spanish[i].to_owned(),
        };
        let all: Vec<Verse> = (0..table.len()).map(verse).collect();
        Ok::<_, DataError>(Split::by_role(&all, &table::roles(&table)?))
    };
    VERSES.get_or_init(|| load().expect(registry::PARSED))
}

/// A text cut into a training, a validation and a test part in reading order. See the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prose {
    text: &'static str,
}

/// The novel, unpacked at the first call. See the [module](self).
pub fn prose() -> Prose {
    static PROSE: OnceLock<String> = OnceLock::new();
    let load = || {
        let content = registry::embedded("prose.txt.gz").unpacked().expect(registry::PARSED);
        String::from_utf8(content).expect(registry::PARSED)
    };
    Prose { text: PROSE.get_or_init(load) }
}

impl Prose {
    /// The whole text: ASCII, so a character is a byte.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// The characters that occur, rising: what a model of characters has for classes.
    pub fn alphabet(&self) -> Vec<char> {
        let mut seen = [false; 128];
        self.text.bytes().for_each(|byte| seen[usize::from(byte & 0x7F)] = true);
        (0u8..128).filter(|&byte| seen[usize::from(byte)]).map(char::from).collect()
    }

    /// The last 32,000 characters for testing, the 32,000 before them for validation, all others for training.
    pub fn split(&self) -> Split<&'static str> {
        const PART: usize = 32_000;
        let (front, test) = self.text.split_at(self.text.len() - PART);
        let (train, validation) = front.split_at(front.len() - PART);
        Split { train, validation, test }
    }

    /// Name, size, split, source, licence and citation.
    pub fn describe(&self) -> &'static Description {
        registry::describe_embedded(PROSE.name)
    }
}

/// The phonemes of [`cmudict`]: ARPAbet, vowels with their stress (0 none, 1 primary, 2 secondary), in order.
#[rustfmt::skip]
pub const PHONEMES: [&str; 69] = [
    "AA0", "AA1", "AA2", "AE0", "AE1", "AE2", "AH0", "AH1", "AH2", "AO0", "AO1", "AO2", "AW0", "AW1", "AW2", "AY0",
    "AY1", "AY2", "B", "CH", "D", "DH", "EH0", "EH1", "EH2", "ER0", "ER1", "ER2", "EY0", "EY1", "EY2", "F", "G", "HH",
    "IH0", "IH1", "IH2", "IY0", "IY1", "IY2", "JH", "K", "L", "M", "N", "NG", "OW0", "OW1", "OW2", "OY0", "OY1", "OY2",
    "P", "R", "S", "SH", "T", "TH", "UH0", "UH1", "UH2", "UW0", "UW1", "UW2", "V", "W", "Y", "Z", "ZH",
];

/// A word and how it is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pronunciation {
    /// Lower-case letters, 3 to 10 of them.
    pub word: String,
    /// Symbols of [`PHONEMES`], at most 12.
    pub phonemes: Vec<&'static str>,
}

impl Pronunciation {
    /// The phonemes without the digits of stress.
    pub fn without_stress(&self) -> Vec<&'static str> {
        self.phonemes.iter().map(|symbol| symbol.trim_end_matches(['0', '1', '2'])).collect()
    }
}

impl Record for Pronunciation {
    const SET: &'static str = CMUDICT.name;
}

/// The pronunciations, decoded at the first call. See the [module](self).
pub fn cmudict() -> &'static Split<Vec<Pronunciation>> {
    static WORDS: OnceLock<Split<Vec<Pronunciation>>> = OnceLock::new();
    let symbol = |name: &str| PHONEMES.iter().copied().find(|&symbol| symbol == name).ok_or(Rule::Phoneme);
    let load = || {
        let table = registry::embedded_table("cmudict.tsv.gz", &["split", "word", "phonemes"])?;
        let phonemes = table.parsed("phonemes", |field| field.split(' ').map(symbol).collect())?;
        let words = table.texts("word")?.into_iter().map(str::to_owned);
        let all: Vec<Pronunciation> =
            words.zip(phonemes).map(|(word, phonemes)| Pronunciation { word, phonemes }).collect();
        Ok::<_, DataError>(Split::by_role(&all, &table::roles(&table)?))
    };
    WORDS.get_or_init(|| load().expect(registry::PARSED))
}
