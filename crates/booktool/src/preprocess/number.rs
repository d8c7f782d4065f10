//! Numbers as a page shows them.
//!
//! Result files and tables write `-0.25`, `1.8e-16`, `61039` and `12.69 ± 0.55 (n = 3)`. A reader gets minus signs,
//! powers of ten and commas between thousands (as on the axes of figures), and in a table no line break inside of a
//! value.

use crate::error::Fault;

/// A number of less than this size is shown with a power of ten.
const SMALL: f64 = 1e-4;
/// A measured number of this size or more is shown with a power of ten. A count has no fraction and keeps its digits.
const LARGE: f64 = 1e9;
/// Exponents from here on, up and down, stay powers of ten.
const FAR: i32 = 5;
/// A whole number of fewer digits has no comma.
const GROUPED: usize = 5;

/// A number in a format of the directives, as Markdown or as TeX.
///
/// # Errors
/// [`Fault::Format`] for an unknown one.
pub fn formatted(value: f64, format: &str, in_maths: bool) -> Result<String, Fault> {
    let unknown = || Fault::Format { format: format.to_owned() };
    let kind = format.trim_end_matches(|c: char| c.is_ascii_digit());
    let decimals: usize = format[kind.len()..].parse().map_err(|_| unknown())?;
    let text = match kind {
        "." if decimals == 0 && value > 0.0 && value < 0.5 && !in_maths => "under 1".to_owned(), // not 0
        "." => format!("{value:.decimals$}"),
        "%" => {
            let sign = if in_maths { "\\,\\%" } else { "\u{202f}%" };
            format!("{:.decimals$}{sign}", 100.0 * value)
        }
        "MB" => {
            let unit = if in_maths { "\\,\\text{MB}" } else { "\u{202f}MB" };
            format!("{:.decimals$}{unit}", value / 1e6)
        }
        "e" => {
            let text = format!("{value:.decimals$e}");
            if !in_maths {
                return Ok(typeset(&text));
            }
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            format!("{mantissa} \\cdot 10^{{{exponent}}}")
        }
        _ => return Err(unknown()),
    };
    Ok(if in_maths { text } else { typeset(&text) })
}

/// A mean and its standard deviation, both as [`formatted`]; without spread the number alone.
///
/// # Errors
/// Those of [`formatted`].
pub fn with_spread(mean: f64, sd: Option<f64>, format: &str, in_maths: bool) -> Result<String, Fault> {
    let mean = formatted(mean, format, in_maths)?;
    let Some(sd) = sd else { return Ok(mean) };
    let sd = formatted(sd, format, in_maths)?;
    Ok(if in_maths { format!("{mean} \\pm {sd}") } else { format!("{mean}\u{a0}±\u{a0}{sd}") })
}

/// A text with its numbers in print; code, formulas and markup stay as they are.
pub fn typeset(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '`' | '$' => rest[1..].find(c).map(|end| end + 2),
            '<' => rest.find('>').map(|end| end + 1),
            _ => None,
        };
        let (taken, shown) = match skipped {
            Some(end) => (end, None),
            None => match number(rest).filter(|_| !is_word(before)) {
                Some((end, shown)) => (end, Some(shown)),
                None => (c.len_utf8(), None),
            },
        };
        out.push_str(shown.as_deref().unwrap_or(&rest[..taken]));
        before = rest[..taken].chars().next_back().unwrap_or(' ');
        rest = &rest[taken..];
        if let (true, Some(percent)) = (before.is_ascii_digit(), rest.strip_prefix(" %")) {
            out.push_str("\u{202f}%"); // no line begins with it
            rest = percent;
        }
    }
    out
}

/// A sentence of a result file: [`typeset`], with the exponents of its powers of ten raised.
pub fn prose(text: &str) -> String {
    raised(&typeset(text))
}

/// A cell of a table: [`prose`], and a value with its spread, its count or its factors stays on one line.
pub fn cell(text: &str) -> String {
    let text = alike(&prose(text));
    let text = text.replace(" ± ", "\u{a0}±\u{a0}").replace("(n = ", "(n\u{a0}=\u{a0}");
    let mut parts = text.split(" × ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_product =
            out.ends_with(|c: char| c.is_ascii_digit()) && part.starts_with(|c: char| c.is_ascii_digit());
        out += if is_product { "\u{202f}×\u{202f}" } else { " × " };
        out += part;
    }
    out
}

/// A text whose means have no more digits behind the point than their spreads, as in `2.2 ± 1`; a power of ten and a
/// number with commas stay as they are.
fn alike(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_digit() || c == '.';
    let mut parts = text.split(" ± ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let behind = part.trim_start_matches(is_part);
        let spread = part[..part.len() - behind.len()].trim_end_matches('.');
        let start = out.trim_end_matches(is_part).len();
        let decimals = spread.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let own = out[start..].split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let is_plain = !spread.is_empty() && !behind.starts_with(['·', ',']) && !out[..start].ends_with(',');
        if let (true, Ok(mean)) = (is_plain && own > decimals, out[start..].parse::<f64>()) {
            out.replace_range(start.., &format!("{mean:.decimals$}"));
        }
        out.push_str(" ± ");
        out.push_str(part);
    }
    out
}

/// A text with the exponents of its powers of ten raised, as in `10^-3.68`; code stays as it is.
fn raised(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("10^").filter(|_| !text.contains('`')) {
        let is_part = |b: &u8| b.is_ascii_digit() || matches!(b, b'-' | b'.');
        let exponent = after[..after.bytes().take_while(is_part).count()].trim_end_matches('.');
        out.push_str(before);
        match exponent {
            "" => out.push_str("10^"),
            _ => out.push_str(&format!("10<sup>{}</sup>", exponent.replace('-', "−"))),
        }
        rest = &after[exponent.len()..];
    }
    out + rest
}

/// A mean with the digits that its spread allows: two of the standard deviation. Without spread up to four of its own.
pub fn measured(mean: f64, sd: Option<f64>) -> String {
    let largest = mean.abs().max(sd.unwrap_or(0.0));
    let is_large = largest >= LARGE && (sd.unwrap_or(0.0) > 0.0 || mean.fract() != 0.0);
    let is_far = is_large || (largest > 0.0 && largest < SMALL);
    let exponent = if is_far { largest.log10().floor() as i32 } else { 0 };
    if is_large && sd.is_none() {
        return large(mean);
    }
    let scale = 10_f64.powi(-exponent);
    let (mean, sd) = (mean * scale, sd.map(|sd| sd * scale));
    let decimals = decimals(mean, sd.unwrap_or(0.0));
    let text = match (sd, exponent) {
        (None, 0) => format!("{mean:.decimals$}"),
        (None, _) => return typeset(&format!("{mean:.decimals$}e{exponent}")),
        (Some(sd), 0) => format!("{mean:.decimals$} ± {sd:.decimals$}"),
        (Some(sd), _) => format!("({mean:.decimals$} ± {sd:.decimals$})·10{}", superscript(exponent)),
    };
    typeset(&text)
}

/// What a measured value is compared with: its digits, but no more than four that count.
pub fn compared(value: f64, mean: f64, sd: Option<f64>) -> String {
    if value != 0.0 && value.abs() < SMALL {
        return measured(value, None);
    }
    if value.abs() >= LARGE && value.fract() != 0.0 {
        return large(value);
    }
    let own = decimals(value, 0.0);
    let size = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    let least = (1.0 - size).clamp(0.0, 4.0) as usize; // two digits of a fraction
    let shown = own.min(decimals(mean, sd.unwrap_or(0.0)).max(if size < 0.0 { least } else { 0 }));
    typeset(&format!("{value:.shown$}"))
}

/// A measured number from [`LARGE`] on: two digits and a power of ten.
fn large(value: f64) -> String {
    typeset(&format!("{value:.1e}"))
}

/// A bound as its author wrote it; one that was computed, with four digits behind the point.
pub fn bound(value: f64) -> String {
    const WRITTEN: usize = 6; // digits behind the point that a person writes
    let value = value + 0.0; // no negative zero
    if value != 0.0 && value.abs() < SMALL {
        return typeset(&format!("{value:e}"));
    }
    let text = value.to_string();
    match text.split_once('.') {
        Some((_, digits)) if digits.len() > WRITTEN => {
            let text = format!("{value:.4}");
            typeset(text.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => typeset(&text),
    }
}

/// Digits behind the point: two of the standard deviation; without spread those of the value, up to four digits.
fn decimals(mean: f64, sd: f64) -> usize {
    if sd > 0.0 {
        return (1.0 - sd.log10().floor()).max(0.0) as usize;
    }
    let most = if mean == 0.0 { 0 } else { (3.0 - mean.abs().log10().floor()).clamp(0.0, 12.0) as usize };
    let digits = format!("{mean:.most$}");
    digits.split_once('.').map_or(0, |(_, decimals)| decimals.trim_end_matches('0').len())
}

/// Whether a digit or a hyphen behind this character belongs to a word, as in `784-100-10`, `L2` or `f'`.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '−' | '\'' | ')' | ']' | '#' | '&' | '^' | '/')
}

/// The number at the start of a text: its length, and how it is printed.
fn number(text: &str) -> Option<(usize, String)> {
    let digits = |at: usize| text[at..].bytes().take_while(u8::is_ascii_digit).count();
    let sign = usize::from(text.starts_with('-'));
    let whole = digits(sign);
    let mut end = sign + whole;
    if whole == 0 {
        return None;
    }
    // Somebody's comma in a number too short for one.
    let is_next = |at: usize, c| text[at..].starts_with(c) && digits(at + 1) == 3;
    if whole + 3 < GROUPED && is_next(end, ',') && !is_next(end + 4, ',') {
        let (_, shown) = number(&text[..end + 4].replacen(',', "", 1))?;
        return Some((end + 4, shown));
    }
    if text[end..].starts_with('.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    let mantissa = &text[sign..end];
    let mut exponent = None;
    if let Some(rest) = text[end..].strip_prefix('e') {
        let start = end + 1 + usize::from(rest.starts_with('-'));
        let length = digits(start);
        exponent = text[end + 1..start + length].parse::<i32>().ok().filter(|_| length > 0);
        end = if exponent.is_some() { start + length } else { end };
    }
    if text[end..].starts_with(|c: char| c.is_alphanumeric()) && exponent.is_none() && sign == 0 {
        return None;
    }
    let has_fraction = exponent.is_none() && mantissa.contains('.');
    if let Some(value) = text[..end].parse::<f64>().ok().filter(|value| has_fraction && value.abs() >= LARGE)
    {
        return Some((end, large(value)));
    }
    let minus = if sign == 1 { "−" } else { "" };
    Some((end, format!("{minus}{}", exponent.map_or_else(|| grouped(mantissa), |e| scientific(mantissa, e)))))
}

/// Commas between the thousands of a long number.
fn grouped(number: &str) -> String {
    let whole = number.split_once('.').map_or(number, |(whole, _)| whole);
    if whole.len() < GROUPED {
        return number.to_owned();
    }
    let mut out = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + &number[whole.len()..]
}

/// A number written with an exponent: with a point where that is short, else with a power of ten.
fn scientific(mantissa: &str, exponent: i32) -> String {
    let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len()) as i32;
    match mantissa.parse::<f64>() {
        Ok(0.0) => "0".to_owned(),
        Ok(value) if (1 - FAR..=decimals).contains(&exponent) => {
            format!("{:.*}", (decimals - exponent).max(0) as usize, value * 10_f64.powi(exponent))
        }
        Ok(1.0) if decimals == 0 => format!("10{}", superscript(exponent)),
        _ => format!("{mantissa}·10{}", superscript(exponent)),
    }
}

fn superscript(exponent: i32) -> String {
    let raised = |c| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32(u32::from('⁰') + u32::from(digit) - u32::from('0')).unwrap_or(digit),
    };
    exponent.to_string().chars().map(raised).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_of_ten_are_raised_in_cells_and_not_in_code() {
        assert_eq!(cell("10^-3.68 mol/L"), "10<sup>−3.68</sup> mol/L");
        assert_eq!(cell("from 10^2 to 10^3."), "from 10<sup>2</sup> to 10<sup>3</sup>.");
        assert_eq!(cell("`10^2`"), "`10^2`");
        assert_eq!(cell("10^x"), "10^x");
        assert_eq!(prose("up to 10^10 minima, -1 of them"), "up to 10<sup>10</sup> minima, −1 of them");
    }

    #[test]
    fn numbers_are_printed_and_words_are_left_alone() {
        for (text, printed) in [
            ("-0.25", "−0.25"),
            ("-1.3 to -0.7", "−1.3 to −0.7"),
            ("5.8e-3 ± 9.8e-4", "0.0058 ± 0.00098"),
            ("1.79e-16", "1.79·10⁻¹⁶"),
            ("1e-6 above the minimum", "10⁻⁶ above the minimum"),
            ("2e4", "2·10⁴"),
            ("1.4e0; 1.23e2", "1.4; 123"),
            ("0e0", "0"),
            ("new point, -1 (-2)", "new point, −1 (−2)"),
            (
                "784-100-10, VGG-16, 3x3, L2, 5th, 10-fold, x_1",
                "784-100-10, VGG-16, 3x3, L2, 5th, 10-fold, x_1",
            ),
            ("`-1e-3` $-1$ <b data-x=\"-1\">-1</b>", "`-1e-3` $-1$ <b data-x=\"-1\">−1</b>"),
            ("a ` b, -2 and 1e", "a ` b, −2 and 1e"),
            ("1.", "1."),
            ("the 90 % interval, error, %", "the 90\u{202f}% interval, error, %"),
            ("−3 and ½", "−3 and ½"),
            ("9999, 10000, -61100840 and 12345.6", "9999, 10,000, −61,100,840 and 12,345.6"),
            ("79,510 weights", "79,510 weights"),
            ("1,797 digits, -1,000 / 400", "1797 digits, −1000 / 400"),
            ("338619288234.667 and -2500000000.5", "3.4·10¹¹ and −2.5·10⁹"),
            ("15470264320 and 999999999.5", "15,470,264,320 and 999,999,999.5"), // a count; less than 10⁹
            ("1,234,567 and 3,5-dimethylphenol", "1,234,567 and 3,5-dimethylphenol"),
        ] {
            assert_eq!(typeset(text), printed, "{text}");
        }
        assert_eq!(cell("12.69 ± 0.55 (n = 3)"), "12.69\u{a0}±\u{a0}0.55 (n\u{a0}=\u{a0}3)");
        assert_eq!(
            cell("3 × 224 × 224; absolute error, × 2"),
            "3\u{202f}×\u{202f}224\u{202f}×\u{202f}224; absolute error, × 2"
        );
    }

    #[test]
    fn a_mean_in_a_cell_has_no_more_decimals_than_its_spread() {
        for (text, printed) in [
            ("2.2e-3 ± 1e-3", "0.002 ± 0.001"),
            ("2.4e-2 ± 2e-2", "0.02 ± 0.02"),
            ("1.4e0 ± 1e0", "1 ± 1"),
            ("-2.66 ± 0.5 (n = 3)", "−2.7 ± 0.5 (n = 3)"),
            ("1.44 ± 0.5; 0.763 ± 0.030", "1.4 ± 0.5; 0.763 ± 0.030"),
            ("12 ± 0.5", "12 ± 0.5"), // no digits are made up
            ("1.4 ± 3·10⁻⁵", "1.4 ± 3·10⁻⁵"),
            ("1234567.5 ± 2", "1,234,567.5 ± 2"),
            ("a.b ± c", "a.b ± c"),
        ] {
            let printed = printed.replace(" ± ", "\u{a0}±\u{a0}").replace("(n = ", "(n\u{a0}=\u{a0}");
            assert_eq!(cell(text), printed, "{text}");
        }
    }

    #[test]
    fn a_spread_decides_the_digits() {
        for (mean, sd, printed) in [
            (0.93456, Some(0.0123), "0.935 ± 0.012"),
            (-5.1, Some(0.32), "−5.10 ± 0.32"),
            (1.79e-16, Some(5.6e-17), "(1.79 ± 0.56)·10⁻¹⁶"),
            (0.0, Some(0.0), "0 ± 0"),
            (0.5, None, "0.5"),
            (8062.0, None, "8062"),
            (493_224.4, None, "493,224"),
            (338_619_288_234.667, None, "3.4·10¹¹"),
            (338_619_288_234.667, Some(390_309_161_940.44), "(3.4 ± 3.9)·10¹¹"),
            (48_318_971_904.0, None, "48,318,971,904"), // a count
            (48_318_971_904.0, Some(0.0), "48,318,971,904 ± 0"),
            (0.123_456, None, "0.1235"),
            (1e-5, None, "10⁻⁵"),
            (-2.581e-9, None, "−2.581·10⁻⁹"),
            (0.0, None, "0"),
        ] {
            assert_eq!(measured(mean, sd), printed);
        }
    }

    #[test]
    fn a_baseline_has_the_digits_of_what_it_is_compared_with() {
        for (value, mean, sd, printed) in [
            (0.80123, 0.93456, Some(0.0123), "0.801"),
            (79_510.0, 1.014, None, "79,510"),
            (19_173.588_96, 0.053_71, Some(0.00053), "19,174"),
            (3.608_741_774, 1e-15, Some(2e-17), "3.609"),
            (1.0, 0.3517, None, "1"),
            (338_619_288_234.667, 2.302_55, None, "3.4·10¹¹"),
            (48_318_971_904.0, 2.302_55, None, "48,318,971,904"),
            (0.43143, 0.00434, Some(0.00018), "0.4314"),
            (0.4, 91.0, Some(14.0), "0.4"),
            (12.743, 10.46, Some(0.001), "12.74"),
            (66.3, 19.5, Some(2.6), "66.3"),
            (-0.2831, 0.9813, Some(0.0037), "−0.2831"),
            (3e-7, 1.0, None, "3·10⁻⁷"),
        ] {
            assert_eq!(compared(value, mean, sd), printed);
        }
    }

    #[test]
    fn a_bound_is_short() {
        for (value, printed) in [
            (1e-12, "10⁻¹²"),
            (-0.0, "0"),
            (-0.7, "−0.7"),
            (0.249_999, "0.249999"),
            (86.0, "86"),
            (1.0 / 3.0, "0.3333"),
            (20.0 / 3.0 + 1e-9, "6.6667"),
            (0.72 - 1e-10, "0.72"),
            (7.0 - 1e-12, "7"),
        ] {
            assert_eq!(bound(value), printed);
        }
    }
}
