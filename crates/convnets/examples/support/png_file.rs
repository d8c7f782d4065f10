//! A PNG file of any colour type as red, green and blue, or an error that says what to do.
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

/// Pixels that a picture may have: 16 megapixels, as a good camera.
pub const MAX_PIXELS: usize = 1 << 24;

#[derive(Debug, thiserror::Error)]
pub enum PngError {
    #[error("{path} cannot be opened; check the path and the permissions")]
    Open { path: PathBuf, source: io::Error },
    #[error(
        "{path} is no PNG: it begins with {found}, a PNG begins with 89 50 4e 47 0d 0a 1a 0a; convert it to PNG first"
    )]
    NotPng { path: PathBuf, found: String },
    #[error("{path} ends before its picture does; copy or download it again")]
    Truncated { path: PathBuf },
    #[error("{path} is damaged; write the PNG again")]
    Damaged { path: PathBuf, source: png::DecodingError },
    #[error(
        "{path} says that it has {width} x {height} pixels, the limit is {MAX_PIXELS} in all; make it smaller"
    )]
    Huge { path: PathBuf, width: u32, height: u32 },
}

pub struct PngFile {
    pub width: usize,
    pub height: usize,
    channels: usize,
    bytes: Vec<u8>,
}

impl PngFile {
    /// Red, green and blue of every pixel, row by row from the top. What is transparent shows white paper.
    pub fn pixels(&self) -> impl Iterator<Item = [u8; 3]> {
        self.bytes.chunks_exact(self.channels).map(|pixel| {
            let (alpha, colours) = match pixel {
                [colours @ .., alpha] if self.channels.is_multiple_of(2) => (u32::from(*alpha), colours),
                colours => (255, colours),
            };
            let on_paper = |level: u8| ((alpha * u32::from(level) + (255 - alpha) * 255 + 127) / 255) as u8;
            match *colours {
                [red, green, blue] => [red, green, blue].map(on_paper),
                _ => [on_paper(colours[0]); 3],
            }
        })
    }
}

pub fn read(path: &Path) -> Result<PngFile, PngError> {
    let owned = || path.to_owned();
    let opened = |source| PngError::Open { path: owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(opened)?);
    let mut head = Vec::new();
    file.by_ref().take(8).read_to_end(&mut head).map_err(opened)?;
    if head != *b"\x89PNG\r\n\x1a\n" {
        let bytes: Vec<String> = head.iter().map(|byte| format!("{byte:02x}")).collect();
        let found = if bytes.is_empty() { "nothing".to_owned() } else { bytes.join(" ") };
        return Err(PngError::NotPng { path: owned(), found });
    }
    file.rewind().map_err(opened)?;
    let damaged = |source| match source {
        png::DecodingError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            PngError::Truncated { path: owned() }
        }
        source => PngError::Damaged { path: owned(), source },
    };
    // 16 bytes a pixel, the widest type: what the header asks for is looked at before anything is allocated for it.
    let limits = png::Limits { bytes: 16 * MAX_PIXELS };
    let mut decoder = png::Decoder::new_with_limits(file, limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let header = decoder.read_header_info().map_err(damaged)?;
    let (width, height) = (header.width, header.height);
    if u64::from(width) * u64::from(height) > MAX_PIXELS as u64 {
        return Err(PngError::Huge { path: owned(), width, height });
    }
    let mut reader = decoder.read_info().map_err(damaged)?;
    let size = reader.output_buffer_size().ok_or(PngError::Huge { path: owned(), width, height })?;
    let mut bytes = vec![0; size];
    let info = reader.next_frame(&mut bytes).map_err(damaged)?;
    bytes.truncate(info.buffer_size());
    let (width, height) = (width as usize, height as usize);
    Ok(PngFile { width, height, channels: info.color_type.samples(), bytes })
}
