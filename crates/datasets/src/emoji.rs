//! 640 emoji, each drawn twice: the same things in two styles, for translation between image domains.
//!
//! Style A is Google's Noto (shaded), style B Microsoft's Fluent Flat (flat colours, other outlines), 32 × 32 pixels
//! in colour of **16 levels, 0 to 15**. Row `i` of both is the same emoji; a few differ in pose or sense (clock,
//! abacus, the colour of a horse), as real pairs do. The class of an image is the emoji's category.
//!
//! **Unpaired learning** ([`EmojiPairs::unpaired`]): style A of the even and style B of the odd training rows, so that
//! no pair is complete; the 128 test pairs then judge. Opponents there: copying A has a mean square error of 0.0671
//! against B; the partner by raw pixels among 128 is right in 0.391 of cases.
//!
//! **Sources**: Noto Emoji (Google, Apache-2.0) and Fluent Emoji (Microsoft, MIT), rendered from SVG at 128 × 128 on
//! white and averaged over blocks of 4 × 4.
//!
//! # Examples
//! ```
//! use datasets::emoji;
//! let split = emoji().split();
//! assert_eq!((split.train.len(), split.test.len()), (512, 128));
//! let heart = split.test.emoji(0);
//! assert_eq!((heart.name.as_str(), heart.codepoint.as_str()), ("blue-heart", "1f499"));
//! let (a, b) = split.train.unpaired();
//! assert!(a.rows().all(|row| b.rows().all(|other| row != other)));
//! ```
use std::num::NonZeroU8;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::error::DataError;
use crate::idx::{Array, Values};
use crate::images::{ImageKind, Images};
use crate::registry::{self, Description, NamedSplit, Set};
use crate::split::{Role, Split, Subset};
use crate::table;

const KIND: ImageKind = ImageKind {
    name: "emoji",
    max_level: NonZeroU8::new(15).unwrap(),
    class_names: &[
        "Activities",
        "Animals & Nature",
        "Food & Drink",
        "Objects",
        "Smileys & Emotion",
        "Travel & Places",
    ],
};

pub(crate) const SET: Set = Set {
    name: KIND.name,
    title: "640 emoji in two styles, 32 x 32 pixels in colour of 16 levels (0 to 15), 6 categories",
    splits: &[NamedSplit {
        name: "split()",
        train: 512,
        validation: 0,
        test: 128,
        note: "pairs; unpaired() of the training part hides them",
    }],
    citation: "Google, Noto Emoji, https://github.com/googlefonts/noto-emoji; \
               Microsoft, Fluent Emoji, https://github.com/microsoft/fluentui-emoji",
};

/// What an emoji is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emoji {
    /// Its code points in hexadecimal, joined by `-`.
    pub codepoint: String,
    /// Its short name, such as `blue-heart`.
    pub name: String,
}

/// Emoji in both styles: row `i` of [`a`](Self::a) and of [`b`](Self::b) show the same. See the [module](self).
#[derive(Clone, Debug)]
pub struct EmojiPairs {
    a: Images<3, 32, 32>,
    b: Images<3, 32, 32>,
    emoji: Arc<[Emoji]>, // of the whole set, by row
    roles: Arc<[Role]>,  // likewise
}

/// All pairs, decoded at the first call and shared afterwards. See the [module](self).
pub fn emoji() -> EmojiPairs {
    static EMOJI: OnceLock<EmojiPairs> = OnceLock::new();
    EMOJI.get_or_init(|| load().expect(registry::PARSED)).clone()
}

fn load() -> Result<EmojiPairs, DataError> {
    let table = registry::embedded_table("emoji.tsv", &["index", "split", "category", "codepoint", "name"])?;
    let categories = table::classes(&table, "category", KIND.class_names)?;
    let labels = categories.iter().map(|&class| class as u8).collect(); // below 6
    let labels = Array::try_new(vec![table.len()], Values::U8(labels))?;
    let images = |file: &str| {
        let array = registry::embedded_array(file)?;
        Images::from_arrays((Path::new(file), array), (Path::new("emoji.tsv"), labels.clone()), KIND)
    };
    let names = table.texts("name")?.into_iter().zip(table.texts("codepoint")?);
    Ok(EmojiPairs {
        a: images("emoji-a.idx.gz")?,
        b: images("emoji-b.idx.gz")?,
        emoji: names
            .map(|(name, code)| Emoji { codepoint: code.to_owned(), name: name.to_owned() })
            .collect(),
        roles: table::roles(&table)?.into(),
    })
}

impl EmojiPairs {
    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.a.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.a.is_empty()
    }

    /// Style A, Noto: shaded. Labels are categories.
    pub fn a(&self) -> &Images<3, 32, 32> {
        &self.a
    }

    /// Style B, Fluent Flat, in the order of [`a`](Self::a).
    pub fn b(&self) -> &Images<3, 32, 32> {
        &self.b
    }

    /// What pair `i` shows.
    ///
    /// # Panics
    /// When `i` is not below [`len`](Self::len).
    pub fn emoji(&self, i: usize) -> &Emoji {
        &self.emoji[self.a.row(i)]
    }

    /// The pairs with the numbers `chosen`, in that order.
    pub fn select(&self, chosen: impl IntoIterator<Item = usize>) -> Self {
        let chosen: Vec<usize> = chosen.into_iter().collect();
        let pick = |images: &Images<3, 32, 32>| images.select(chosen.iter().copied());
        EmojiPairs { a: pick(&self.a), b: pick(&self.b), ..self.clone() }
    }

    /// 512 pairs for training, 128 for testing.
    pub fn split(&self) -> Split<Self> {
        let roles: Vec<Role> = self.a.rows().map(|row| self.roles[row]).collect();
        Split::by_role(self, &roles)
    }

    /// Style A of the pairs with even numbers and style B of those with odd ones: two domains without one whole pair.
    pub fn unpaired(&self) -> (Images<3, 32, 32>, Images<3, 32, 32>) {
        let every_second = |start| (start..self.len()).step_by(2);
        (self.a.select(every_second(0)), self.b.select(every_second(1)))
    }

    /// Name, sizes, split, sources, licences and citation.
    pub fn describe(&self) -> &'static Description {
        registry::describe_embedded(KIND.name)
    }
}

impl Subset for EmojiPairs {
    fn num_rows(&self) -> usize {
        self.len()
    }

    fn subset(&self, chosen: &[usize]) -> Self {
        self.select(chosen.iter().copied())
    }
}
