//! 279 tunes for the fiddle, note by note.
//!
//! Reels, jigs, hornpipes from *Ryan's Mammoth Collection* (Boston 1883), one voice, parsed from ABC notation: the key
//! signature is applied, an accidental holds for its letter until the bar line, ties are separate notes, ornaments are
//! left out. Lengths are in twelfths of a quarter note, so that triplets are whole numbers.
//!
//! Tunes repeat themselves: the opponent that counts is not the n-gram model alone (4.36 bits a token at order 2) but
//! one that also counts what the tune has said so far (2.695).
//!
//! **Source**: Ryan's Mammoth Collection of Fiddle Tunes (1883), Elias Howe, Boston; transcriptions as in music21.
//!
//! # Examples
//! ```
//! use datasets::music;
//! let split = music();
//! assert_eq!((split.train.len(), split.test.len()), (219, 60));
//! let tune = &split.test[0];
//! assert_eq!((tune.title.as_str(), tune.key.as_str()), ("ALL THE WAY TO GALWAY -- REEL", "G"));
//! assert_eq!(tune.metre.length(), 48);                                  // 2/2
//! assert_eq!(tune.bars().next().unwrap().len(), 7);
//! ```
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use crate::error::{DataError, Rule};
use crate::registry::{self, NamedSplit, Record, Set};
use crate::split::Split;
use crate::table;

pub(crate) const SET: Set = Set {
    name: "music",
    title: "279 fiddle tunes of 1883, 37,892 tokens of 204 kinds",
    splits: &[NamedSplit {
        name: "music()",
        train: 219,
        validation: 0,
        test: 60,
        note: "whole tunes; none shares its title or opening with one of the other part",
    }],
    citation: "W. B. Ryan (1883), Ryan's Mammoth Collection, Elias Howe, Boston",
};

/// One event of a tune. Its text form is that of the file: `74:6`, `0:12` for a rest, `|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Token {
    /// A note, or a rest when there is no pitch.
    Note {
        /// MIDI number, 60 is the C in the middle of the piano.
        pitch: Option<u8>,
        /// In twelfths of a quarter note, at least 1.
        length: u8,
    },
    /// The line between two bars.
    Bar,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Note { pitch, length } => write!(f, "{}:{length}", pitch.unwrap_or(0)),
            Token::Bar => f.write_str("|"),
        }
    }
}

impl FromStr for Token {
    type Err = Rule;

    fn from_str(text: &str) -> Result<Self, Rule> {
        if text == "|" {
            return Ok(Token::Bar);
        }
        let (pitch, length) = text.split_once(':').ok_or(Rule::Token)?;
        let (pitch, length): (u8, u8) =
            (pitch.parse().map_err(|_| Rule::Token)?, length.parse().map_err(|_| Rule::Token)?);
        if pitch > 127 || length == 0 {
            return Err(Rule::Token);
        }
        Ok(Token::Note { pitch: (pitch > 0).then_some(pitch), length })
    }
}

/// How a bar is counted: `beats` of a whole note's `unit`-th part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Metre {
    /// The upper number, at least 1.
    pub beats: u8,
    /// The lower number: 1, 2, 4, 8 or 16.
    pub unit: u8,
}

impl Metre {
    /// The length of a bar in twelfths of a quarter note.
    pub fn length(self) -> u32 {
        u32::from(self.beats) * 48 / u32::from(self.unit)
    }
}

impl fmt::Display for Metre {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.beats, self.unit)
    }
}

impl FromStr for Metre {
    type Err = Rule;

    fn from_str(text: &str) -> Result<Self, Rule> {
        let (beats, unit) = text.split_once('/').ok_or(Rule::Metre)?;
        let (beats, unit): (u8, u8) =
            (beats.parse().map_err(|_| Rule::Metre)?, unit.parse().map_err(|_| Rule::Metre)?);
        if beats == 0 || ![1, 2, 4, 8, 16].contains(&unit) {
            return Err(Rule::Metre);
        }
        Ok(Metre { beats, unit })
    }
}

/// A tune of one voice. See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tune {
    /// Title and kind, such as `GAME COCK -- REEL`.
    pub title: String,
    /// Key as written, such as `G` or `Am`; the pitches have it applied.
    pub key: String,
    /// The metre, the same throughout.
    pub metre: Metre,
    /// Notes, rests, and a bar line between each two bars; none at the end.
    pub tokens: Vec<Token>,
}

impl Tune {
    /// The notes and rests of each bar, without bar lines.
    pub fn bars(&self) -> impl Iterator<Item = &[Token]> + '_ {
        self.tokens.split(|&token| token == Token::Bar).filter(|bar| !bar.is_empty())
    }

    /// Length of a bar in twelfths of a quarter note; what [`Metre::length`] says, except at pick-ups and the ends of
    /// repeats.
    pub fn bar_length(bar: &[Token]) -> u32 {
        let length = |token: &Token| match token {
            Token::Note { length, .. } => u32::from(*length),
            Token::Bar => 0,
        };
        bar.iter().map(length).sum()
    }

    /// The tune with every pitch moved by `semitones`; `None` when one would leave MIDI's 1 to 127.
    pub fn transposed(&self, semitones: i8) -> Option<Self> {
        let moved = |token: &Token| match *token {
            Token::Note { pitch: Some(pitch), length } => {
                let pitch = pitch.checked_add_signed(semitones).filter(|pitch| (1..=127).contains(pitch))?;
                Some(Token::Note { pitch: Some(pitch), length })
            }
            other => Some(other),
        };
        Some(Tune { tokens: self.tokens.iter().map(moved).collect::<Option<_>>()?, ..self.clone() })
    }
}

impl Record for Tune {
    const SET: &'static str = SET.name;
}

/// The tunes, decoded at the first call. See the [module](self).
pub fn music() -> &'static Split<Vec<Tune>> {
    static TUNES: OnceLock<Split<Vec<Tune>>> = OnceLock::new();
    let load = || {
        let table = registry::embedded_table("music.tsv.gz", &["split", "title", "key", "metre", "notes"])?;
        let (titles, keys) = (table.texts("title")?, table.texts("key")?);
        let metres = table.parsed("metre", str::parse)?;
        let tokens = table.parsed("notes", |field| field.split(' ').map(str::parse).collect())?;
        let tune = |(i, tokens): (usize, Vec<Token>)| Tune {
            title: titles[i].to_owned(),
            key: keys[i].to_owned(),
            metre: metres[i],
            tokens,
        };
        let all: Vec<Tune> = tokens.into_iter().enumerate().map(tune).collect();
        Ok::<_, DataError>(Split::by_role(&all, &table::roles(&table)?))
    };
    TUNES.get_or_init(|| load().expect(registry::PARSED))
}
