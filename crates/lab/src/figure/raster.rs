//! Tiles of pixels as one PNG.
use super::font::{self, GLYPH_HEIGHT, GLYPH_WIDTH};
use super::{FigureError, Ramp, Raster};

/// Widest picture in px: the width of the book's text.
const WIDEST: usize = 680;
/// Largest number of picture pixels for one pixel of a tile.
const LARGEST_SCALE: usize = 16;
/// Space around tiles.
const GAP: usize = 6;
/// Picture pixels for one pixel of a letter.
const LETTER_SCALE: usize = 2;

/// Palette: 0 to 200 are the ramp, then ink, ground and the outline of tiles.
const STEPS: u8 = 200;
const INK: u8 = 201;
const GROUND: u8 = 202;
const OUTLINE: u8 = 203;

/// The picture as PNG.
pub(super) fn draw(raster: &Raster) -> Result<Vec<u8>, FigureError> {
    let columns = raster.columns;
    if columns == 0 || raster.tiles.is_empty() {
        return Err(FigureError::Tiles { tile: 0, expected: (1, 1), got: (0, 0) });
    }
    let (height, width) = raster.tiles[0].size();
    for (i, tile) in raster.tiles.iter().enumerate() {
        let (got, is_even) = (tile.size(), tile.pixels.iter().all(|row| row.len() == width));
        if got != (height, width) || !is_even || width == 0 {
            return Err(FigureError::Tiles { tile: i, expected: (height, width), got });
        }
        if let Some(&value) = tile.pixels.iter().flatten().find(|value| !value.is_finite()) {
            return Err(FigureError::NotFinite { name: format!("tile {i}"), value });
        }
    }
    let Grid { scale, cell, size } = grid(raster);
    let mut sheet = Sheet::new(size.0, size.1);
    for (i, tile) in raster.tiles.iter().enumerate() {
        let (left, top) = (GAP + i % columns * cell.0, GAP + i / columns * cell.1);
        sheet.fill((left - 1, top - 1), (width * scale + 2, height * scale + 2), Pixel::Step(OUTLINE));
        for (y, row) in tile.pixels.iter().enumerate() {
            for (x, &value) in row.iter().enumerate() {
                sheet.fill((left + x * scale, top + y * scale), (scale, scale), index(raster.ramp, value));
            }
        }
        if let Some(caption) = &tile.caption {
            let middle = left + width * scale / 2;
            sheet.words(middle, top + height * scale + GAP, cell.0, caption)?;
        }
    }
    Ok(sheet.encode(raster.ramp))
}

/// Width and height of the picture in px; of a raster that [`draw`] accepts.
pub(super) fn size(raster: &Raster) -> (usize, usize) {
    grid(raster).size
}

/// Where tiles stand.
struct Grid {
    /// Picture pixels for one pixel of a tile.
    scale: usize,
    /// Width and height of a tile with its caption and the gap behind it.
    cell: (usize, usize),
    /// Width and height of the picture.
    size: (usize, usize),
}

fn grid(raster: &Raster) -> Grid {
    let (height, width) = raster.tiles.first().map_or((1, 1), |tile| tile.size());
    let columns = raster.columns.max(1);
    let room = WIDEST.saturating_sub(GAP) / columns;
    let scale = (room.saturating_sub(GAP) / width.max(1)).clamp(1, LARGEST_SCALE);
    let has_captions = raster.tiles.iter().any(|tile| tile.caption.is_some());
    let caption_height = if has_captions { GLYPH_HEIGHT * LETTER_SCALE + GAP } else { 0 };
    let cell = (width * scale + GAP, height * scale + GAP + caption_height);
    let rows = raster.tiles.len().div_ceil(columns);
    Grid { scale, cell, size: (columns * cell.0 + GAP, rows * cell.1 + GAP) }
}

/// Place of a value in the ramp, or its colour when that is no ramp.
fn index(ramp: Ramp, value: f64) -> Pixel {
    let part = match ramp {
        Ramp::Ink { low, high } => (value - low) / (high - low),
        Ramp::Diverging { extreme } => 0.5 + 0.5 * value / extreme,
        Ramp::Rgb => {
            let [_, red, green, blue] = (value.clamp(0.0, 16_777_215.0).round() as u32).to_be_bytes();
            return Pixel::Colour([red, green, blue]);
        }
    };
    // A flat range gives NaN or infinity here; the cast sends NaN to the first step.
    Pixel::Step((part.clamp(0.0, 1.0) * f64::from(STEPS)).round() as u8)
}

/// Red, green and blue of every palette entry.
fn palette(ramp: Ramp) -> Vec<u8> {
    const BLUE: [f64; 3] = [0.0, 114.0, 178.0];
    const VERMILION: [f64; 3] = [213.0, 94.0, 0.0];
    const WHITE: [f64; 3] = [255.0; 3];
    let mix = |a: [f64; 3], b: [f64; 3], t: f64| [0, 1, 2].map(|i| (a[i] + (b[i] - a[i]) * t).round() as u8);
    let colour = |step: u8| {
        let part = f64::from(step) / f64::from(STEPS);
        match ramp {
            Ramp::Ink { .. } => mix(WHITE, [0.0; 3], part),
            Ramp::Diverging { .. } if part < 0.5 => mix(BLUE, WHITE, part * 2.0),
            Ramp::Diverging { .. } => mix(WHITE, VERMILION, part * 2.0 - 1.0),
            Ramp::Rgb => [0; 3], // its pixels are no steps
        }
    };
    (0..=STEPS).flat_map(colour).chain([0, 0, 0]).chain([255, 255, 255]).chain([204, 204, 204]).collect()
}

/// What is painted: an entry of the palette, or a colour.
#[derive(Clone, Copy)]
enum Pixel {
    Step(u8),
    Colour([u8; 3]),
}

struct Sheet {
    width: usize,
    height: usize,
    pixels: Vec<Pixel>,
}

impl Sheet {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![Pixel::Step(GROUND); width * height] }
    }

    fn fill(&mut self, (left, top): (usize, usize), (width, height): (usize, usize), colour: Pixel) {
        for row in self.pixels.chunks_mut(self.width).skip(top).take(height) {
            row.iter_mut().skip(left).take(width).for_each(|pixel| *pixel = colour);
        }
    }

    /// Letters centred at `middle`, as many as `room` px hold.
    fn words(&mut self, middle: usize, top: usize, room: usize, words: &str) -> Result<(), FigureError> {
        let advance = (GLYPH_WIDTH + 1) * LETTER_SCALE;
        let width = words.chars().count() * advance - LETTER_SCALE.min(words.len());
        if width > room {
            return Err(FigureError::Caption { caption: words.into(), most: room / advance });
        }
        let left = middle.saturating_sub(width / 2);
        for (i, letter) in words.chars().enumerate() {
            let columns = font::glyph(letter).ok_or(FigureError::Letter { letter })?;
            for (x, column) in columns.into_iter().enumerate() {
                for y in (0..GLYPH_HEIGHT).filter(|y| column >> y & 1 == 1) {
                    let at = (left + i * advance + x * LETTER_SCALE, top + y * LETTER_SCALE);
                    self.fill(at, (LETTER_SCALE, LETTER_SCALE), Pixel::Step(INK));
                }
            }
        }
        Ok(())
    }

    fn encode(&self, ramp: Ramp) -> Vec<u8> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width as u32, self.height as u32);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        let palette = palette(ramp);
        let pixels: Vec<u8> = if ramp == Ramp::Rgb {
            encoder.set_color(png::ColorType::Rgb);
            let colour = |pixel: &Pixel| match *pixel {
                Pixel::Step(step) => [0, 1, 2].map(|i| palette[3 * usize::from(step) + i]),
                Pixel::Colour(colour) => colour,
            };
            self.pixels.iter().flat_map(colour).collect()
        } else {
            encoder.set_color(png::ColorType::Indexed);
            encoder.set_palette(palette);
            let step = |pixel: &Pixel| match *pixel {
                Pixel::Step(step) => step,
                Pixel::Colour(_) => INK, // `index` gives colours for `Ramp::Rgb` alone
            };
            self.pixels.iter().map(step).collect()
        };
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&pixels))
            .expect("the header fits the pixels and a Vec takes everything");
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tile;

    fn decoded(file: &[u8]) -> (u32, u32, Vec<u8>) {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.width, info.height, pixels)
    }

    #[test]
    fn pixels_come_back_from_the_file() {
        let ramp = Ramp::Diverging { extreme: 2.0 };
        let tile = Tile::new(2, &[-2.0, 0.0, 2.0, 9.0]);
        let (width, height, pixels) =
            decoded(&draw(&Raster { tiles: vec![tile], columns: 1, ramp }).unwrap());
        assert_eq!(
            (width, height),
            ((2 * LARGEST_SCALE + 2 * GAP) as u32, (2 * LARGEST_SCALE + 2 * GAP) as u32)
        );
        let pixel = |x: usize, y: usize| {
            let at = 3 * ((GAP + y * LARGEST_SCALE) * width as usize + GAP + x * LARGEST_SCALE);
            [pixels[at], pixels[at + 1], pixels[at + 2]]
        };
        let got = [pixel(0, 0), pixel(1, 0), pixel(0, 1), pixel(1, 1)];
        assert_eq!(got, [[0, 114, 178], [255, 255, 255], [213, 94, 0], [213, 94, 0]]);
    }

    #[test]
    fn colours_come_back_from_the_file() {
        let tile = Tile::new(2, &[16_711_680.0, 65_280.0, 255.0, 1_193_046.0]); // red, green, blue, #123456
        let (width, _, pixels) =
            decoded(&draw(&Raster { tiles: vec![tile.caption("a")], columns: 1, ramp: Ramp::Rgb }).unwrap());
        let pixel = |x: usize, y: usize| {
            let at = 3 * ((GAP + y * LARGEST_SCALE) * width as usize + GAP + x * LARGEST_SCALE);
            [pixels[at], pixels[at + 1], pixels[at + 2]]
        };
        let got = [pixel(0, 0), pixel(1, 0), pixel(0, 1), pixel(1, 1)];
        assert_eq!(got, [[255, 0, 0], [0, 255, 0], [0, 0, 255], [0x12, 0x34, 0x56]]);
        assert_eq!(pixels[..3], [255; 3], "the ground is white");
    }

    #[test]
    fn a_caption_is_drawn_and_a_long_or_strange_one_refused() {
        let raster = |caption: &str| Raster {
            tiles: vec![Tile::new(8, &[0.0; 64]).caption(caption)],
            columns: 1,
            ramp: Ramp::Ink { low: 0.0, high: 1.0 },
        };
        let count_ink = |caption| {
            let (_, _, pixels) = decoded(&draw(&raster(caption)).unwrap());
            pixels.chunks(3).filter(|pixel| pixel == &[0, 0, 0]).count()
        };
        assert_eq!(count_ink(" "), 0);
        assert_eq!(count_ink("1"), 10 * LETTER_SCALE * LETTER_SCALE); // ten dots in the glyph
        assert!(matches!(draw(&raster("☃")), Err(FigureError::Letter { letter: '☃' })));
        assert!(matches!(draw(&raster("much too long a caption")), Err(FigureError::Caption { .. })));
        assert_eq!(count_ink(""), 0);
    }
}
