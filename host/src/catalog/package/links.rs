//! Where symbolic links lead, decided before any of them exists.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// How many links may follow one another: Linux gives up there as well.
const MAX_LINKS: usize = 40;

/// Whether following `link` leaves the root, at its end or on its way. `links` has every link below the root, by
/// path. A link that leads round in circles stays inside for ever, and is fine.
pub(super) fn leads_outside(link: &Path, links: &BTreeMap<PathBuf, PathBuf>) -> bool {
    let mut place = PathBuf::new();
    let mut followed = 0;
    let mut ahead: VecDeque<Step> = steps(link);
    while let Some(step) = ahead.pop_front() {
        match step {
            Step::Outside => return true,
            Step::Up => {
                if !place.pop() {
                    return true;
                }
            }
            Step::Down(name) => {
                place.push(name);
                let Some(target) = links.get(&place) else { continue };
                followed += 1;
                if followed > MAX_LINKS {
                    return false;
                }
                place.pop();
                let rest = std::mem::replace(&mut ahead, steps(target));
                ahead.extend(rest);
            }
        }
    }
    false
}

enum Step {
    Down(OsString),
    Up,
    Outside,
}

fn steps(path: &Path) -> VecDeque<Step> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(Step::Down(name.to_owned())),
            Component::ParentDir => Some(Step::Up),
            Component::CurDir => None,
            Component::RootDir | Component::Prefix(_) => Some(Step::Outside),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(link: &str, links: &[(&str, &str)]) -> bool {
        let links = links.iter().map(|(link, target)| (PathBuf::from(link), PathBuf::from(target))).collect();
        leads_outside(Path::new(link), &links)
    }

    #[test]
    fn a_link_is_followed_step_by_step() {
        for (link, links, expected) in [
            ("a", &[("a", "b/c")][..], false),
            ("a", &[("a", "..")], true),
            ("d/a", &[("d/a", "..")], false),
            ("d/a", &[("d/a", "../..")], true),
            ("a", &[("a", "/b")], true),
            ("a", &[("a", "b/../c")], false),
            ("a", &[("a", "b/../../c/d")], true),
            // Looks three levels deep, and is at the root.
            ("e", &[("e", "s/d/u/.."), ("s/d/u", "../..")], true),
            ("e", &[("e", "s/d/u/x"), ("s/d/u", "../..")], false),
            ("a", &[("a", "b"), ("b", "a")], false),
        ] {
            assert_eq!(outside(link, links), expected, "{link} in {links:?}");
        }
    }
}
