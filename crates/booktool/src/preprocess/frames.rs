//! Sliders of an interactive figure.
//!
//! `lab` writes such a figure as one SVG: the still frame is drawn, the others wait in `<defs>`, and `<metadata>` says
//! in JSON what the sliders are. The page gets the sliders hidden: `theme/course.js` shows and serves them. Without it
//! the still frame stands there, with the values that belong to it in words.

use serde::Deserialize;

use super::figures::escape;
use super::number;
use crate::error::Fault;

/// What the JSON says.
#[derive(Debug, Deserialize)]
struct Description {
    /// One or two, the last one moves fastest.
    sliders: Vec<Slider>,
    /// What each frame shows; empty when no frame says anything.
    notes: Vec<String>,
}

/// Something that a reader moves.
#[derive(Debug, Deserialize)]
struct Slider {
    name: String,
    values: Vec<String>,
    /// Index of the value of the still frame.
    still: usize,
}

/// The SVG without its description and the HTML of its sliders; `None` for a figure that does not move.
pub fn take_apart(path: &str, svg: &str) -> Result<Option<(String, String)>, Fault> {
    let Some((before, rest)) = svg.split_once("<metadata>") else { return Ok(None) };
    let fault = || Fault::Sliders { path: path.to_owned() };
    let (json, after) = rest.split_once("</metadata>").ok_or_else(fault)?;
    let json = json.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    let description: Description = serde_json::from_str(&json).map_err(|_| fault())?;
    let html = description.html().ok_or_else(fault)?;
    Ok(Some((format!("{before}{after}"), html)))
}

impl Description {
    /// The sliders and what is read below them; `None` when the numbers do not fit each other.
    fn html(&self) -> Option<String> {
        let mut frame = 0;
        let (mut rows, mut setting) = (String::new(), Vec::new());
        for Slider { name, values, still } in &self.sliders {
            let value = values.get(*still)?;
            frame = frame * values.len() + still;
            setting.push(format!("{} = {}", escape(name), escape(value)));
            let list = serde_json::to_string(values).ok()?;
            rows += &format!(
                "<label><span>{}</span><input type=\"range\" min=\"0\" max=\"{}\" value=\"{still}\" \
                 autocomplete=\"off\" aria-valuetext=\"{}\" data-values=\"{}\"><output aria-hidden=\"true\">{}</output>\
                 </label>",
                escape(name),
                values.len() - 1,
                escape(value),
                escape(&list),
                escape(value),
            );
        }
        let positions: usize = self.sliders.iter().map(|slider| slider.values.len()).product();
        if self.sliders.is_empty() || !(self.notes.is_empty() || self.notes.len() == positions) {
            return None;
        }
        let notes: Vec<String> = self.notes.iter().map(|note| number::typeset(note)).collect();
        let note = notes.get(frame).map_or("", String::as_str);
        let json = serde_json::to_string(&notes).ok()?;
        Some(format!(
            "<div class=\"sliders\" hidden>{rows}</div><p class=\"reading\" aria-live=\"polite\" data-notes=\"{}\">\
             <span class=\"setting\">{}. </span><span class=\"note\">{}</span></p>",
            escape(&json),
            setting.join(", "),
            escape(note),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sliders_come_from_the_description() {
        let svg = "<svg><g/><metadata>{&quot;sliders&quot;:[{&quot;name&quot;:&quot;a &lt; b&quot;,\
            &quot;values&quot;:[&quot;0.1&quot;,&quot;0.5&quot;],&quot;still&quot;:1},\
            {&quot;name&quot;:&quot;step&quot;,&quot;values&quot;:[&quot;0&quot;,&quot;1&quot;,&quot;2&quot;],\
            &quot;still&quot;:0}],&quot;notes&quot;:[&quot;p&quot;,&quot;q&quot;,&quot;r&quot;,&quot;-33 at 1e-5&quot;,\
            &quot;t&quot;,&quot;u&quot;]}</metadata><defs/></svg>";
        let (svg, html) = take_apart("f.svg", svg).unwrap().unwrap();
        assert_eq!(svg, "<svg><g/><defs/></svg>");
        let first = "<div class=\"sliders\" hidden><label><span>a &lt; b</span><input type=\"range\" min=\"0\" max=\"1\" \
            value=\"1\" autocomplete=\"off\" aria-valuetext=\"0.5\" data-values=\"[&quot;0.1&quot;,&quot;0.5&quot;]\">\
            <output aria-hidden=\"true\">0.5</output></label><label><span>step</span>";
        assert!(html.starts_with(first), "{html}");
        let last = "<span class=\"setting\">a &lt; b = 0.5, step = 0. </span><span class=\"note\">−33 at 10⁻⁵</span></p>";
        assert!(html.ends_with(last), "{html}");
    }

    #[test]
    fn a_figure_without_sliders_stays_as_it_is_and_a_broken_one_is_refused() {
        assert!(take_apart("f.svg", "<svg/>").unwrap().is_none());
        let slider = |still: usize, notes: &str| {
            let sliders = format!("[{{\"name\":\"a\",\"values\":[\"1\",\"2\"],\"still\":{still}}}]");
            format!("<svg><metadata>{{\"sliders\":{sliders},\"notes\":{notes}}}</metadata></svg>")
        };
        assert!(take_apart("f.svg", &slider(1, "[]")).unwrap().is_some());
        let empty = "<svg><metadata>{\"sliders\":[],\"notes\":[]}</metadata></svg>".to_owned();
        let open = "<svg><metadata>{\"sliders\":[]".to_owned();
        for broken in [slider(2, "[]"), slider(0, "[\"only one\"]"), empty, open] {
            let fault = take_apart("f.svg", &broken).unwrap_err();
            assert!(fault.to_string().contains("`f.svg`"), "{fault}");
        }
    }
}
