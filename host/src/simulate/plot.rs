//! Draws cold seconds against idle memory for all policies, as SVG: what is nearer to the lower left is better.

use std::fmt::Write;

use super::policy;

/// One policy's point.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) policy: String,
    pub(super) idle_gb_hours: f64,
    pub(super) cold_seconds: f64,
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 600.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 60.0;
/// Half the height of a label, and how wide its letters are.
const HALF_LINE: f64 = 7.0;
const LETTER: f64 = 6.8;
/// Colours that people tell apart however they see colours (Okabe and Ito).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"];

/// One direction, on a logarithmic scale.
#[derive(Clone, Copy, Debug)]
struct Axis {
    least: f64,
    most: f64,
    /// Where the least and the most are drawn.
    from: f64,
    to: f64,
}

/// Where a policy's point is drawn.
#[derive(Clone, Copy, Debug)]
struct Mark<'a> {
    name: &'a str,
    x: f64,
    y: f64,
}

/// Where something is drawn that nothing else should cover.
#[derive(Clone, Copy, Debug)]
struct Area {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// The drawing. Points of one family are joined by a line, in the order of idle memory.
pub(super) fn svg(title: &str, points: &[Point]) -> String {
    let x = Axis::over(points.iter().map(|point| point.idle_gb_hours), LEFT, WIDTH - RIGHT);
    let y = Axis::over(points.iter().map(|point| point.cold_seconds), HEIGHT - BOTTOM, TOP);
    let mut svg = String::new();
    frame(&mut svg, title, x, y);
    let mut families: Vec<Vec<Mark<'_>>> = Vec::new();
    for point in points {
        let mark =
            Mark { name: &point.policy, x: x.place(point.idle_gb_hours), y: y.place(point.cold_seconds) };
        let family = policy::family(mark.name);
        match families.iter_mut().find(|marks| policy::family(marks[0].name) == family) {
            Some(marks) => marks.push(mark),
            None => families.push(vec![mark]),
        }
    }
    let mut taken = Vec::new();
    for (marks, colour) in families.iter_mut().zip(COLOURS.iter().cycle()) {
        marks.sort_by(|a, b| a.x.total_cmp(&b.x));
        line(&mut svg, marks, colour, &mut taken);
    }
    for (marks, colour) in families.iter().zip(COLOURS.iter().cycle()) {
        for mark in marks {
            label(&mut svg, *mark, colour, &mut taken);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

impl Axis {
    /// An axis that holds all values, with a little room at both ends.
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (least, most) = values.fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), value| {
            // Zero has no place on a logarithmic axis; it is drawn at the edge.
            let value = value.max(1e-3);
            (least.min(value), most.max(value))
        });
        let (least, most) = if least <= most { (least, most) } else { (1.0, 10.0) };
        Self { least: least / 1.25, most: most * 1.25, from, to }
    }

    fn place(self, value: f64) -> f64 {
        let share = (value.max(self.least) / self.least).ln() / (self.most / self.least).ln();
        self.from + share * (self.to - self.from)
    }

    /// Round numbers on the axis: 1, 2 and 5 times powers of ten, and more if those are few.
    fn ticks(self) -> Vec<f64> {
        let ticks = |digits: &[f64]| {
            let decades = (-3..13).map(|power| 10_f64.powi(power));
            let all = decades.flat_map(|power| digits.iter().map(move |digit| digit * power));
            all.filter(|tick| (self.least..=self.most).contains(tick)).collect::<Vec<_>>()
        };
        let few = ticks(&[1.0, 2.0, 5.0]);
        if 4 <= few.len() { few } else { ticks(&[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0]) }
    }
}

impl Area {
    fn around(x: f64, y: f64, reach: f64) -> Self {
        Self { left: x - reach, right: x + reach, top: y - reach, bottom: y + reach }
    }

    fn overlaps(self, other: Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    fn is_inside(self) -> bool {
        LEFT <= self.left && self.right <= WIDTH && TOP <= self.top && self.bottom <= HEIGHT - BOTTOM
    }
}

fn frame(svg: &mut String, title: &str, x: Axis, y: Axis) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    put(
        svg,
        format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"Helvetica, Arial, sans-serif\" font-size=\"13\" fill=\"#222\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"32\" font-size=\"17\" font-weight=\"bold\">{}</text>",
            escape(title)
        ),
    );
    for tick in x.ticks() {
        let at = x.place(tick);
        put(svg, format_args!("<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#e4e4e4\"/>"));
        put(
            svg,
            format_args!(
                "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                bottom + 20.0,
                number(tick)
            ),
        );
    }
    for tick in y.ticks() {
        let at = y.place(tick);
        put(svg, format_args!("<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#e4e4e4\"/>"));
        put(
            svg,
            format_args!(
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                at + 4.5,
                number(tick)
            ),
        );
    }
    put(svg, format_args!("<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#222\"/>"));
    let (middle, low) = (f64::midpoint(LEFT, right), HEIGHT - 14.0);
    put(
        svg,
        format_args!(
            "<text x=\"{middle}\" y=\"{low}\" text-anchor=\"middle\">idle memory, GB·h (less is better)</text>"
        ),
    );
    let middle = f64::midpoint(TOP, bottom);
    put(
        svg,
        format_args!(
            "<text transform=\"translate(20 {middle}) rotate(-90)\" text-anchor=\"middle\">cold starts, seconds in sum (less is better)</text>"
        ),
    );
}

/// The marks of one family, and a line through them.
fn line(svg: &mut String, marks: &[Mark<'_>], colour: &str, taken: &mut Vec<Area>) {
    let path: Vec<_> = marks.iter().map(|mark| format!("{:.1},{:.1}", mark.x, mark.y)).collect();
    let path = path.join(" ");
    put(
        svg,
        format_args!(
            "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" opacity=\"0.6\"/>"
        ),
    );
    for Mark { x, y, .. } in marks {
        put(svg, format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>"));
        taken.push(Area::around(*x, *y, 5.0));
    }
    for pair in marks.windows(2) {
        let along = |share: f64| {
            (pair[0].x + share * (pair[1].x - pair[0].x), pair[0].y + share * (pair[1].y - pair[0].y))
        };
        let steps = (1..50).map(|step| along(f64::from(step) / 50.0));
        taken.extend(steps.map(|(x, y)| Area::around(x, y, 2.0)));
    }
}

/// A mark's name, beside it where nothing is yet; above it to the right if there is no such place.
fn label(svg: &mut String, mark: Mark<'_>, colour: &str, taken: &mut Vec<Area>) {
    let width = LETTER * f64::from(u32::try_from(mark.name.chars().count()).unwrap_or(0));
    let (left, middle) = (-9.0 - width, -width / 2.0);
    let offsets = [
        (9.0, -9.0),
        (left, 11.0),
        (9.0, 11.0),
        (left, -9.0),
        (9.0, 0.0),
        (left, 0.0),
        (middle, -18.0),
        (middle, 18.0),
        (9.0, -24.0),
        (left, 26.0),
        (9.0, 26.0),
        (left, -24.0),
        (middle, -36.0),
        (middle, 36.0),
    ];
    let areas = offsets.map(|(right, down)| Area {
        left: mark.x + right,
        right: mark.x + right + width,
        top: mark.y + down - HALF_LINE,
        bottom: mark.y + down + HALF_LINE,
    });
    let is_free = |area: &&Area| area.is_inside() && !taken.iter().any(|other| area.overlaps(*other));
    let area = *areas.iter().find(is_free).unwrap_or(&areas[0]);
    taken.push(area);
    let (x, y, name) = (area.left, f64::midpoint(area.top, area.bottom) + 4.5, escape(mark.name));
    put(svg, format_args!("<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{colour}\">{name}</text>"));
}

/// Writes one line. Writing to a text cannot fail.
fn put(svg: &mut String, line: std::fmt::Arguments<'_>) {
    let _infallible = writeln!(svg, "{line}");
}

/// A round number, with commas between thousands.
pub(super) fn number(value: f64) -> String {
    if value < 1000.0 {
        return format!("{value}");
    }
    let digits = format!("{value:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(all: &[(&str, f64, f64)]) -> Vec<Point> {
        all.iter()
            .map(|&(policy, idle_gb_hours, cold_seconds)| Point {
                policy: policy.to_owned(),
                idle_gb_hours,
                cold_seconds,
            })
            .collect()
    }

    #[test]
    fn every_policy_has_a_mark_and_a_name_and_every_family_a_line() {
        let svg = svg(
            "A < B",
            &points(&[
                ("ttl:10m", 1800.0, 12000.0),
                ("ttl:1m", 770.0, 115_000.0),
                ("greedy-dual", 900.0, 9000.0),
            ]),
        );
        let count = |what: &str| svg.matches(what).count();
        assert_eq!(
            [count("<circle"), count("<polyline"), count(">ttl:10m<"), count(">greedy-dual<")],
            [3, 2, 1, 1]
        );
        assert_eq!([count("A &lt; B"), count("</svg>")], [1, 1]);
    }

    #[test]
    fn marks_stay_inside_whatever_the_figures_are() {
        for (idle, cold) in [(0.0, 0.0), (1e-9, 1e12), (f64::MAX, 1.0)] {
            let svg = svg("", &points(&[("ttl:10m", idle, cold), ("ttl:1m", 5.0, 5.0)]));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{idle} {cold}");
        }
        assert!(svg("", &[]).ends_with("</svg>\n"));
    }

    #[test]
    fn labels_do_not_cover_one_another() {
        let mut taken = Vec::new();
        let mut svg = String::new();
        let mark = Mark { name: "ttl:10m", x: 300.0, y: 300.0 };
        (0..4).for_each(|_| label(&mut svg, mark, "#000", &mut taken));
        for (index, area) in taken.iter().enumerate() {
            assert!(taken[..index].iter().all(|other| !area.overlaps(*other)), "{index}");
        }
    }

    #[test]
    fn numbers_have_commas_between_thousands() {
        assert_eq!([0.5, 200.0, 1000.0, 2_000_000.0].map(number), ["0.5", "200", "1,000", "2,000,000"]);
    }
}
