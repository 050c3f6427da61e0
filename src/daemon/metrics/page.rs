//! How metrics are written: OpenMetrics 1.0, or the older text format of Prometheus.
//!
//! Decides the lines of a family and of a value. Which there are is in `families.rs`.

use std::fmt::{Display, Write as _};

use super::families::{Family, Kind};

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// For whoever accepts `application/openmetrics-text`.
    OpenMetrics,
    /// For everybody else.
    Plain,
}

impl Format {
    /// The value of the header line.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// A text that grows.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    format: Format,
    /// What the values belong to that are written now.
    family: &'static Family,
}

/// The labels of a value: names and values.
pub(super) type Labels<'l> = [(&'static str, &'l str)];

impl Page {
    /// A text without anything in it; `first` comes first.
    pub fn new(format: Format, first: &'static Family) -> Self {
        let mut page = Self {
            text: String::new(),
            format,
            family: first,
        };
        page.begin(first);
        page
    }

    /// The values of this family follow.
    pub fn begin(&mut self, family: &'static Family) {
        self.family = family;
        let (name, is_open) = (family.name, self.format == Format::OpenMetrics);
        let (suffix, kind) = match family.kind {
            Kind::Gauge => ("", "gauge"),
            Kind::Counter if is_open => ("", "counter"),
            Kind::Counter => ("_total", "counter"),
            Kind::Info if is_open => ("", "info"),
            Kind::Info => ("_info", "gauge"),
            Kind::Histogram => ("", "histogram"),
            Kind::Summary => ("", "summary"),
        };
        let help = family.help;
        let _ = writeln!(self.text, "# HELP {name}{suffix} {help}");
        let _ = writeln!(self.text, "# TYPE {name}{suffix} {kind}");
    }

    /// One value.
    pub fn value(&mut self, labels: &Labels<'_>, value: impl Display) {
        let suffix = match self.family.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram | Kind::Summary => "",
        };
        self.part(suffix, labels, value);
    }

    /// One value of those that a histogram or a summary has.
    pub fn part(&mut self, suffix: &str, labels: &Labels<'_>, value: impl Display) {
        self.text.push_str(self.family.name);
        self.text.push_str(suffix);
        let mut separator = '{';
        for (name, value) in labels {
            let _ = write!(self.text, "{separator}{name}=\"");
            self.escaped(value);
            self.text.push('"');
            separator = ',';
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// The whole text.
    pub fn finish(mut self) -> Vec<u8> {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text.into_bytes()
    }

    fn escaped(&mut self, value: &str) {
        for c in value.chars() {
            match c {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                other => self.text.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::families::{BUILD, TRANSITIONS};
    use super::*;

    #[test]
    fn both_formats_have_their_own_heads_and_the_same_values() {
        let written = |format| {
            let mut page = Page::new(format, &BUILD);
            page.value(&[("version", "1\"2\\3\n4")], 1);
            page.begin(&TRANSITIONS);
            page.value(&[("to", "MASTER"), ("cause", "owner")], 3_u64);
            let text = String::from_utf8(page.finish()).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let (open, plain) = (written(Format::OpenMetrics), written(Format::Plain));
        let values = [
            r#"keepalived_rs_build_info{version="1\"2\\3\n4"} 1"#,
            r#"keepalived_rs_transitions_total{to="MASTER",cause="owner"} 3"#,
        ];
        for lines in [&open, &plain] {
            assert_eq!([&*lines[2], &*lines[5]], values);
        }
        assert_eq!(open[1], "# TYPE keepalived_rs_build info");
        assert_eq!(plain[1], "# TYPE keepalived_rs_build_info gauge");
        assert_eq!(open[4], "# TYPE keepalived_rs_transitions counter");
        assert_eq!(plain[4], "# TYPE keepalived_rs_transitions_total counter");
        assert_eq!(open.last().unwrap(), "# EOF");
        assert_eq!(plain.len(), 6);
    }
}
