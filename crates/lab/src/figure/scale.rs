//! From values to pixels, and the round numbers written at an axis.
use super::{Axis, FigureError};

/// One direction of a plot: values between `low` and `high` at pixels between `start` and `end`.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    logarithmic: bool,
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

impl Scale {
    /// The values that `axis` shows, for data of this `extent`, on no pixels yet.
    pub(super) fn fit(axis: &Axis, extent: Option<(f64, f64)>) -> Result<Self, FigureError> {
        let label = || axis.label.clone();
        let names = axis.categories.len();
        let (low, high) = match axis.range {
            _ if names > 0 => (-0.5, names as f64 - 0.5),
            Some((low, high)) if low < high => (low, high),
            Some((low, high)) => return Err(FigureError::Range { axis: label(), low, high }),
            None => {
                let (low, high) = extent.ok_or_else(|| FigureError::Empty { axis: label() })?;
                if axis.logarithmic { (low, high) } else { padded(low, high) }
            }
        };
        if axis.logarithmic && low <= 0.0 {
            return Err(FigureError::NotPositive { axis: label(), value: low });
        }
        let (low, high) = match axis.logarithmic {
            true if low < high => (low, high),
            true => (low / 2.0, high * 2.0),
            false => (low, high),
        };
        Ok(Self { logarithmic: axis.logarithmic, low, high, start: 0.0, end: 1.0 })
    }

    /// The same values on these pixels.
    pub(super) fn on(mut self, start: f64, end: f64) -> Self {
        (self.start, self.end) = (start, end);
        self
    }

    /// Where a value lies, also outside of the ends.
    pub(super) fn pixel(&self, value: f64) -> f64 {
        let part = if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.start + part * (self.end - self.start)
    }

    /// The nearest value that is shown.
    pub(super) fn clamp(&self, value: f64) -> f64 {
        value.clamp(self.low, self.high)
    }

    /// Where bars begin: zero, or the end of the axis nearest to it.
    pub(super) fn base(&self) -> f64 {
        if self.logarithmic { self.low } else { self.clamp(0.0) }
    }

    /// First and last value shown.
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Round values with their texts, about `count` of them.
    pub(super) fn ticks(&self, count: usize) -> Vec<(f64, String)> {
        if self.logarithmic { self.ticks_of_ten(count) } else { self.ticks_in_steps(count) }
    }

    fn ticks_in_steps(&self, count: usize) -> Vec<(f64, String)> {
        // One number says nothing about the scale: a small panel gets more rather than one.
        let mut tries = (count..=4 * count.max(1)).map(|count| self.ticks_near(count));
        tries.find(|ticks| ticks.len() > 1).unwrap_or_else(|| self.ticks_near(count))
    }

    fn ticks_near(&self, count: usize) -> Vec<(f64, String)> {
        let rough = (self.high - self.low) / count.max(1) as f64;
        let power = 10f64.powi(rough.log10().floor() as i32);
        let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough * 0.8).unwrap_or(10.0);
        let step = factor * power;
        let decimals = (-(step.log10() + 1e-9).floor()).max(0.0) as usize;
        // Counting in whole steps keeps 0.1 + 0.2 out of the texts.
        let first = (self.low / step - 1e-6).ceil() as i64;
        let last = (self.high / step + 1e-6).floor() as i64;
        (first..=last).map(|i| (i as f64 * step, number(i as f64 * step, decimals))).collect()
    }

    fn ticks_of_ten(&self, count: usize) -> Vec<(f64, String)> {
        let first = (self.low.log10() - 1e-9).ceil() as i32;
        let last = (self.high.log10() + 1e-9).floor() as i32;
        let decades = last - first + 1;
        if decades <= 2 {
            let inside = |(m, power): (i32, i32)| {
                let value = f64::from(m) * 10f64.powi(power);
                let is_shown = value >= self.low * 0.999_999 && value <= self.high * 1.000_001;
                is_shown.then(|| (value, number(value, (-power).max(0) as usize)))
            };
            let multiples = |of: &[i32]| -> Vec<(f64, String)> {
                (first - 1..=last)
                    .flat_map(|power| of.iter().map(move |&m| (m, power)))
                    .filter_map(inside)
                    .collect()
            };
            let all = multiples(&[1, 2, 5]);
            // The numbers of a narrow panel would run into each other.
            return if all.len() > count + count / 2 { multiples(&[1, 5]) } else { all };
        }
        let stride = (decades as usize).div_ceil(count.max(2)).max(1);
        (first..=last).step_by(stride).map(|power| (10f64.powi(power), power_of_ten(power))).collect()
    }
}

/// A little room around the data; zero stays at the axis when all data lies on one side of it and near.
fn padded(low: f64, high: f64) -> (f64, f64) {
    let span = high - low;
    if span <= 0.0 {
        let room = if low == 0.0 { 1.0 } else { low.abs() * 0.5 };
        return (low - room, high + room);
    }
    let room = span * 0.04;
    let (below, above) = (low - room, high + room);
    (
        if low >= 0.0 && below < 0.0 { 0.0 } else { below },
        if high <= 0.0 && above > 0.0 { 0.0 } else { above },
    )
}

fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let text = if text.trim_start_matches(['-', '0', '.']).is_empty() { text.replace('-', "") } else { text };
    let (whole, rest) =
        text.split_once('.').map_or((text.as_str(), String::new()), |(w, r)| (w, format!(".{r}")));
    let digits = whole.trim_start_matches('-');
    if digits.len() < 5 {
        return text.replace('-', "−");
    }
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{}{grouped}{rest}", if whole.starts_with('-') { "−" } else { "" })
}

fn power_of_ten(power: i32) -> String {
    if (-3..=3).contains(&power) {
        return number(10f64.powi(power), (-power).max(0) as usize);
    }
    let raised = |c: char| match c {
        '-' => '⁻',
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        _ => char::from_u32(u32::from('⁰') + u32::from(c) - u32::from('0')).unwrap_or(c),
    };
    format!("10{}", power.to_string().chars().map(raised).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis, extent: (f64, f64), count: usize) -> Vec<String> {
        Scale::fit(axis, Some(extent)).unwrap().ticks(count).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        let axis = Axis::linear("x");
        assert_eq!(texts(&axis, (0.0, 10.0), 5), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(texts(&axis.clone().range(0.7, 1.0), (0.0, 1.0), 4), ["0.7", "0.8", "0.9", "1.0"]);
        assert_eq!(texts(&axis.clone().range(-0.5, 0.5), (0.0, 1.0), 2), ["−0.5", "0.0", "0.5"]);
        assert_eq!(texts(&axis.clone().range(-4.0, 4.0), (0.0, 1.0), 2), ["−4", "−2", "0", "2", "4"]);
        assert_eq!(texts(&axis.range(0.0, 40000.0), (0.0, 1.0), 4)[1], "10,000");
        let log = Axis::logarithmic("x");
        assert_eq!(texts(&log, (1e-5, 1e3), 10)[..3], ["10⁻⁵", "10⁻⁴", "0.001"]);
        assert_eq!(texts(&log, (0.03, 1.0), 5), ["0.05", "0.1", "0.2", "0.5", "1"]);
        assert_eq!(texts(&log, (0.03, 1.0), 3), ["0.05", "0.1", "0.5", "1"]);
    }

    #[test]
    fn pixels_follow_the_scale() {
        let scale = Scale::fit(&Axis::logarithmic("x").range(1.0, 100.0), None).unwrap().on(0.0, 200.0);
        assert!((scale.pixel(10.0) - 100.0).abs() < 1e-9);
        let scale = Scale::fit(&Axis::linear("y").range(-1.0, 3.0), None).unwrap().on(400.0, 0.0);
        assert!((scale.pixel(0.0) - 300.0).abs() < 1e-9);
    }

    #[test]
    fn impossible_axes_are_refused() {
        let log = Axis::logarithmic("loss");
        assert!(matches!(Scale::fit(&log, Some((0.0, 1.0))), Err(FigureError::NotPositive { .. })));
        assert!(matches!(
            Scale::fit(&Axis::linear("x").range(2.0, 1.0), None),
            Err(FigureError::Range { .. })
        ));
        assert!(matches!(
            Scale::fit(&Axis::linear("x").range(f64::NAN, 1.0), None),
            Err(FigureError::Range { .. })
        ));
        assert!(matches!(Scale::fit(&Axis::linear("x"), None), Err(FigureError::Empty { .. })));
    }
}
