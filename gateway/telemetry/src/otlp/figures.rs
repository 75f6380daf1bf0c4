//! The figures of a scrape, read from its text.
//!
//! The text is our own, so that what cannot be read is left out and nothing is refused.

use super::{
    Attributes,
    proto::{
        AggregationTemporality, Data, Gauge, Histogram, HistogramDataPoint, Metric as Told, Number,
        NumberDataPoint, Sum,
    },
};
use crate::catalogue::{ALL, Kind, Metric};

/// Names and values.
type Labels = Vec<(String, String)>;

/// From when to when figures were counted, in nanoseconds since 1970.
pub(super) type Window = (u64, u64);

/// All series of one metric.
pub(super) struct Family {
    pub(super) metric: &'static Metric,
    pub(super) series: Vec<Series>,
}

/// One series.
pub(super) struct Series {
    pub(super) labels: Labels,
    pub(super) figure: Figure,
}

/// What a series tells.
pub(super) enum Figure {
    Whole(u64),
    Fraction(f64),
    Distribution(Distribution),
}

/// Observations by size.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Distribution {
    pub(super) bounds: Vec<f64>,
    /// Observations up to each bound, and at last all.
    up_to: Vec<u64>,
    pub(super) sum: f64,
    pub(super) count: u64,
}

impl Series {
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub(super) fn distribution(&self) -> Option<&Distribution> {
        match &self.figure {
            Figure::Distribution(distribution) => Some(distribution),
            _ => None,
        }
    }
}

/// Reads a scrape: the metrics of the catalogue that have a series, in the order of the text.
pub(super) fn read(text: &str) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for line in text.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let name = typed.split(' ').next().unwrap_or_default();
            let metric = ALL.iter().find(|metric| metric.name == name);
            families.extend(metric.map(|metric| Family { metric, series: Vec::new() }));
        } else if !line.starts_with('#')
            && let Some(family) = families.last_mut()
        {
            let _left_out = family.take(line);
        }
    }
    families.retain(|family| !family.series.is_empty());
    families
}

impl Family {
    /// Takes a sample of this metric; `None` for what is none of it.
    fn take(&mut self, line: &str) -> Option<()> {
        let (name, labels, value) = sample(line)?;
        let part = name.strip_prefix(self.metric.name)?;
        match self.metric.kind {
            Kind::Counter => self.add(labels, Figure::Whole(value.parse().ok()?)),
            Kind::FractionalCounter | Kind::Gauge => self.add(labels, Figure::Fraction(value.parse().ok()?)),
            Kind::Histogram(_) | Kind::Counts(_) => self.take_part(part, labels, value)?,
        }
        Some(())
    }

    fn add(&mut self, labels: Labels, figure: Figure) {
        self.series.push(Series { labels, figure });
    }

    /// Takes a bucket, the sum or the count of a distribution, whose samples stand together.
    fn take_part(&mut self, part: &str, mut labels: Labels, value: &str) -> Option<()> {
        let bound = match part {
            "_bucket" => Some(labels.pop().filter(|(name, _)| name == "le")?.1),
            _ => None,
        };
        if self.series.last().is_none_or(|last| last.labels != labels) {
            self.add(labels, Figure::Distribution(Distribution::default()));
        }
        let Some(Series { figure: Figure::Distribution(told), .. }) = self.series.last_mut() else {
            return None;
        };
        match (part, bound) {
            ("_bucket", Some(bound)) => {
                told.up_to.push(value.parse().ok()?);
                if bound != "+Inf" {
                    told.bounds.push(bound.parse().ok()?);
                }
            }
            ("_sum", _) => told.sum = value.parse().ok()?,
            ("_count", _) => told.count = value.parse().ok()?,
            _ => return None,
        }
        Some(())
    }

    /// So many figures there are.
    pub(super) fn points(&self) -> u64 {
        self.series.len() as u64
    }

    /// The metric as the protocol has it, under the name that it has in a scrape.
    pub(super) fn told(&self, window: Window) -> Told {
        let Metric { name, help, kind, .. } = self.metric;
        let attributes = |series: &Series| {
            let mut attributes = Attributes::default();
            series.labels.iter().for_each(|(name, value)| attributes.text(name, value.as_str()));
            attributes
        };
        let data = match kind {
            Kind::Gauge => Data::Gauge(Gauge { data_points: self.numbers(window, attributes) }),
            Kind::Counter | Kind::FractionalCounter => Data::Sum(Sum {
                data_points: self.numbers(window, attributes),
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: true,
            }),
            Kind::Histogram(_) | Kind::Counts(_) => {
                let point = |series: &Series| Some(series.distribution()?.told(attributes(series), window));
                histogram(self.series.iter().filter_map(point).collect())
            }
        };
        Told {
            name: (*name).to_owned(),
            description: (*help).to_owned(),
            unit: unit(name, kind).to_owned(),
            data: Some(data),
        }
    }

    fn numbers(
        &self,
        (start_time_unix_nano, time_unix_nano): Window,
        attributes: impl Fn(&Series) -> Attributes,
    ) -> Vec<NumberDataPoint> {
        let point = |series: &Series| {
            let value = match series.figure {
                Figure::Whole(value) => Number::AsInt(i64::try_from(value).unwrap_or(i64::MAX)),
                Figure::Fraction(value) => Number::AsDouble(value),
                Figure::Distribution(_) => return None,
            };
            Some(NumberDataPoint {
                attributes: attributes(series).into_list(),
                start_time_unix_nano,
                time_unix_nano,
                value: Some(value),
            })
        };
        self.series.iter().filter_map(point).collect()
    }
}

/// A metric of distributions since the process began.
pub(super) fn histogram(data_points: Vec<HistogramDataPoint>) -> Data {
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    Data::Histogram(Histogram { data_points, aggregation_temporality })
}

impl Distribution {
    pub(super) fn told(&self, attributes: Attributes, (start, now): Window) -> HistogramDataPoint {
        // A bucket of a scrape holds all below its bound; one of the protocol only what is above the last.
        let below = std::iter::once(0).chain(self.up_to.iter().copied());
        let bucket_counts = below.zip(&self.up_to).map(|(below, up_to)| up_to.saturating_sub(below));
        HistogramDataPoint {
            attributes: attributes.into_list(),
            start_time_unix_nano: start,
            time_unix_nano: now,
            count: self.count,
            sum: Some(self.sum),
            bucket_counts: bucket_counts.collect(),
            explicit_bounds: self.bounds.clone(),
        }
    }
}

/// The unit of a metric, by the name that has it at its end.
fn unit(name: &str, kind: &Kind) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    match kind {
        Kind::Counts(_) => "{token}",
        _ if name.ends_with("_seconds") => "s",
        _ if name.ends_with("_bytes") || name.ends_with("_bytes_held") => "By",
        _ => "1",
    }
}

/// A line's name, labels and value.
fn sample(line: &str) -> Option<(&str, Labels, &str)> {
    let (head, value) = line.rsplit_once(' ')?;
    let Some((name, rest)) = head.split_once('{') else { return Some((head, Vec::new(), value)) };
    let mut rest = rest.strip_suffix('}')?;
    let mut labels = Vec::new();
    while let Some((label, quoted)) = rest.split_once("=\"") {
        let (text, after) = unquoted(quoted)?;
        labels.push((label.trim_start_matches(',').to_owned(), text));
        rest = after;
    }
    Some((name, labels, value))
}

/// The text up to the closing quote, and what follows it.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => text.push(match letters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            _ => text.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        ConfigSeries, Exposition, OverheadSeries, QuotaSeries, ReloadResult, UpstreamSeries,
        otlp::proto::{AnyValue, KeyValue, Value},
    };

    fn told(exposition: &Exposition, name: &str) -> Told {
        let families = read(&exposition.render());
        let family = families.iter().find(|family| family.metric.name == name);
        family.unwrap_or_else(|| panic!("no {name}")).told((5, 9))
    }

    fn text(key: &str, value: &str) -> KeyValue {
        let value = AnyValue { value: Some(Value::StringValue(value.into())) };
        KeyValue { key: key.into(), value: Some(value) }
    }

    #[test]
    fn every_figure_of_a_scrape_is_told_as_what_it_is() {
        let exposition = Exposition::new();
        exposition.scope(|| {
            QuotaSeries::new("a \"quoted\" team", "back\\slash\nline").refused("budget");
            UpstreamSeries::new("u").held(Duration::from_millis(1_500));
            ConfigSeries::new().reloaded(ReloadResult::Taken(7));
            let overhead = OverheadSeries::new();
            for micros in [30, 70, 2_000_000] {
                overhead.sent_after(Duration::from_micros(micros));
            }
        });
        let Some(Data::Sum(sum)) = told(&exposition, "tollgate_quota_refusals_total").data else {
            panic!("no sum")
        };
        assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
        let point = sum.data_points.iter().find(|point| point.value == Some(Number::AsInt(1)));
        let point = point.expect("a refusal");
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (5, 9));
        assert_eq!(
            point.attributes[..2],
            [text("team", "a \"quoted\" team"), text("project", "back\\slash\nline")]
        );

        let held = told(&exposition, "tollgate_hold_seconds_total");
        assert_eq!(held.unit, "s");
        let Some(Data::Sum(sum)) = held.data else { panic!("no sum") };
        assert_eq!(sum.data_points[0].value, Some(Number::AsDouble(1.5)));

        let Some(Data::Gauge(gauge)) = told(&exposition, "tollgate_config_version").data else {
            panic!("no gauge")
        };
        assert_eq!(gauge.data_points[0].value, Some(Number::AsDouble(7.0)));

        let Some(Data::Histogram(histogram)) = told(&exposition, "tollgate_overhead_seconds").data else {
            panic!("no histogram")
        };
        let point = &histogram.data_points[0];
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert_eq!((point.count, point.bucket_counts.iter().sum()), (3, 3_u64));
        assert_eq!((&point.bucket_counts[..2], point.bucket_counts.last()), (&[1, 1][..], Some(&1)));
    }

    #[test]
    fn what_is_no_sample_is_left_out() {
        let text = "# TYPE tollgate_reservations_open gauge\ntollgate_reservations_open{ 1\nother 3\n\n\
            tollgate_reservations_open x\n# TYPE nobody_knows counter\nnobody_knows 4\n";
        assert!(read(text).is_empty());
    }
}
