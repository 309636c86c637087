//! The names that a machine has for itself. Nobody else can make one of them lead here.

use std::fs;

/// This machine's names, in small letters; what cannot be read adds none.
pub(super) fn of_this_machine() -> Vec<String> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    names(&read("/proc/sys/kernel/hostname"), &read("/etc/hosts"), &read("/etc/resolv.conf"))
}

/// The host's name, as other machines of its network write it, too: with the domains that names are looked up in, with `.local`, and
/// as `/etc/hosts` calls it on the same line.
fn names(host: &str, hosts: &str, resolver: &str) -> Vec<String> {
    let host = host.trim().trim_end_matches('.').to_ascii_lowercase();
    let Some(short) = host.split('.').next().filter(|it| !it.is_empty()) else { return Vec::new() };
    let lines = |text: &str| -> Vec<Vec<String>> {
        let code = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        code.map(|line| line.split_whitespace().map(str::to_ascii_lowercase).collect()).collect()
    };
    let mut found = vec![host.clone(), short.to_owned(), format!("{short}.local")];
    for line in lines(hosts) {
        let own = line.iter().skip(1).any(|name| *name == host || name == short);
        found.extend(line.into_iter().skip(1).filter(|_| own));
    }
    for line in lines(resolver) {
        let searched = matches!(line.first().map(String::as_str), Some("search" | "domain"));
        let domains = line.iter().skip(1).filter(|_| searched).map(|domain| domain.trim_matches('.'));
        found.extend(domains.filter(|domain| !domain.is_empty()).map(|domain| format!("{short}.{domain}")));
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, hosts: &str, resolver: &str, expected: &[&str]) {
        assert_eq!(names(host, hosts, resolver), expected, "{host}");
    }

    #[test]
    fn names_of_a_machine() {
        check("", "127.0.0.1 localhost\n", "search school.edu\n", &[]);
        check("Lab\n", "", "", &["lab", "lab.local"]);
        check("lab.school.edu", "", "", &["lab", "lab.local", "lab.school.edu"]);
        let hosts =
            "127.0.0.1 localhost\n0.0.0.0 ads.example\n127.0.1.1\tlab.campus.example lab # ours\n# 1.1.1.1 lab evil\n";
        check("lab", hosts, "", &["lab", "lab.campus.example", "lab.local"]);
        let resolver = "nameserver 10.0.0.1\nsearch school.edu. Campus.example .\noptions edns0\n";
        check("lab", "", resolver, &["lab", "lab.campus.example", "lab.local", "lab.school.edu"]);
    }
}
