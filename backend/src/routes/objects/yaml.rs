//! A JSON value as the YAML that `kubectl get -o yaml` prints: keys in order, lists at the depth of their key, text quoted
//! only where it would be read as something else.

use serde_json::Value;
use serde_saphyr::SerializerOptions;

/// The YAML; nothing when the value cannot be written, which no object of the API is.
pub(crate) fn text(value: &Value) -> String {
    let mut options = SerializerOptions::default();
    options.compact_list_indent = true;
    options.empty_as_braces = true;
    options.prefer_block_scalars = true;
    options.min_fold_chars = usize::MAX;
    options.folded_wrap_chars = usize::MAX;
    serde_saphyr::to_string_with_options(value, options).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_as_kubectl_prints_it() {
        let pod = json!({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {"name": "web", "labels": {}, "creationTimestamp": "2026-11-21T01:00:00Z", "generation": 1},
            "spec": {
                "containers": [{"name": "demo", "args": ["-c", "one\ntwo\n"], "env": [{"name": "PORT", "value": "80"}]}],
                "hostNetwork": false, "tolerations": [],
            },
        });
        let want = "\
apiVersion: v1
kind: Pod
metadata:
  creationTimestamp: \"2026-11-21T01:00:00Z\"
  generation: 1
  labels: {}
  name: web
spec:
  containers:
  - args:
    - -c
    - |
      one
      two
    env:
    - name: PORT
      value: \"80\"
    name: demo
  hostNetwork: false
  tolerations: []
";
        assert_eq!(text(&pod), want);
    }

    #[test]
    fn text_stays_text() {
        for value in ["web", "app=web", "http://a:80/b", "a: b", "it's: so", "- a", "*", "a\tb\u{1b}", "#", "'", "\""] {
            assert_eq!(serde_saphyr::from_str::<Value>(&text(&json!(value))).unwrap(), json!(value), "{value:?}");
        }
        // What would be read as something else is quoted.
        for value in ["", "true", "80", "1e3", "0x1F", "null", "2026-11-21"] {
            assert_eq!(text(&json!(value)).trim_end(), format!("{value:?}"));
        }
    }

    #[test]
    fn lists_in_lists() {
        assert_eq!(text(&json!([[1, 2], {"a": [{"b": 1, "c": 2}]}])), "- - 1\n  - 2\n- a:\n  - b: 1\n    c: 2\n");
    }
}
