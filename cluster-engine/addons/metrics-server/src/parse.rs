//! A kubelet's `/metrics/resource`, as far as it is of use here.

use std::collections::BTreeMap;

/// Counters of a node at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// The node as a whole.
    pub node: Counters,
    /// Containers, by namespace, pod and container.
    pub containers: BTreeMap<(String, String, String), Counters>,
}

/// What is counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// Seconds of processor time since the start.
    pub cpu_seconds: f64,
    /// Bytes.
    pub working_set: f64,
    /// When the container began, in seconds since 1970; 0 if unknown.
    pub started: f64,
    /// When this was so, in seconds since 1970; 0 if the kubelet did not say.
    pub at: f64,
}

/// Reads the text exposition format; lines that are not understood are passed over.
pub fn reading(text: &str) -> Reading {
    let mut reading = Reading::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, labels, value, at)) = sample(line) else { continue };
        let label = |key: &str| labels.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
        let counters = if name.starts_with("node_") {
            &mut reading.node
        } else if name.starts_with("container_") {
            let (Some(namespace), Some(pod), Some(container)) = (label("namespace"), label("pod"), label("container"))
            else {
                continue;
            };
            reading.containers.entry((namespace, pod, container)).or_default()
        } else {
            continue;
        };
        match name {
            "node_cpu_usage_seconds_total" | "container_cpu_usage_seconds_total" => {
                counters.cpu_seconds = value;
                counters.at = at;
            }
            "node_memory_working_set_bytes" | "container_memory_working_set_bytes" => counters.working_set = value,
            "container_start_time_seconds" => counters.started = value,
            _ => {}
        }
    }
    reading
}

type Sample<'a> = (&'a str, Vec<(String, String)>, f64, f64);

/// `name{label="value"} 1.5 1700000000000`
fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(['{', ' '])?;
    let name = &line[..end];
    let mut rest = &line[end..];
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (key, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((key.to_owned(), value));
            rest = after;
        }
    }
    let mut numbers = rest.split_ascii_whitespace();
    let value = numbers.next()?.parse().ok()?;
    let at = numbers.next().and_then(|text| text.parse::<f64>().ok()).unwrap_or_default() / 1000.0;
    Some((name, labels, value, at))
}

/// The text up to the closing quote, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kubelet_says() {
        let text = "# HELP container_cpu_usage_seconds_total [STABLE] x\n\
            container_cpu_usage_seconds_total{container=\"c\",namespace=\"x\",pod=\"p\"} 1.5 1700000001000\n\
            container_memory_working_set_bytes{container=\"c\",namespace=\"x\",pod=\"p\"} 2.048e+06 1700000001000\n\
            container_start_time_seconds{container=\"c\",namespace=\"x\",pod=\"p\"} 1.7e+09 1700000001000\n\
            node_cpu_usage_seconds_total 9 1700000002500\n\
            node_memory_working_set_bytes 100\n\
            pod_cpu_usage_seconds_total{namespace=\"x\",pod=\"p\"} 7\n\
            container_cpu_usage_seconds_total{container=\"odd\\\"\\\\name\",namespace=\"x\",pod=\"q\",} 3\n\
            garbage\n{\ncontainer_x{broken 1\n";
        let reading = reading(text);
        assert_eq!(
            (reading.node.cpu_seconds, reading.node.working_set, reading.node.at),
            (9.0, 100.0, 1_700_000_002.5)
        );
        let one = &reading.containers[&("x".into(), "p".into(), "c".into())];
        assert_eq!((one.cpu_seconds, one.working_set, one.started), (1.5, 2_048_000.0, 1.7e9));
        assert_eq!(reading.containers[&("x".into(), "q".into(), "odd\"\\name".into())].cpu_seconds, 3.0);
        assert_eq!(reading.containers.len(), 2);
    }
}
