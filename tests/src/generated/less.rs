//! Scripts of which steps are left out.

use std::ops::Range;

use hostlet_testkit::oracle::Script;

/// What is not there any more: children, and sockets.
#[derive(Default)]
struct Gone {
    children: Vec<String>,
    sockets: Vec<String>,
}

/// The script without these steps, and without those that need a socket or child that would have come of them.
pub(super) fn without(script: &Script, steps: Range<usize>) -> Script {
    let mut less = script.clone();
    let mut gone = Gone::default();
    let mut at = 0;
    less.steps.retain_mut(|step| {
        let left_out = steps.contains(&at);
        at += 1;
        gone.stays(&mut step.line, left_out)
    });
    less
}

impl Gone {
    /// Whether a step can be performed still, perhaps with fewer sockets; if not, what it makes is not there either.
    fn stays(&mut self, line: &mut String, left_out: bool) -> bool {
        let before = line.clone();
        let all: Vec<&str> = before.split(' ').collect();
        let by = all.first().and_then(|w| w.strip_prefix('/'));
        let own = &all[usize::from(by.is_some())..];
        // The port of a socket: `{in.s1}`, `{in/c1.s1}`.
        let port = before.split_once('{').and_then(|(_, l)| l.split_once('}'));
        let port = port.and_then(|(name, _)| name.split_once('.'));
        let (holder, asked) = port.unwrap_or_default();
        let children = [by, holder.split_once('/').map(|(_, child)| child)];
        let socket = match own {
            [_, "=", _, of] | [_, of, ..] => of,
            _ => "",
        };
        let given = match own {
            ["give", _, child] | ["exit", child] => child,
            _ => "",
        };
        let needs_child = children.into_iter().flatten().chain([given]);
        let stays = !left_out
            && !self.sockets.iter().any(|s| s == socket || s == asked)
            && !needs_child
                .into_iter()
                .any(|c| self.children.iter().any(|g| g == c));
        match own {
            // Another program is handed what there is.
            ["exec", _, ..] if stays => {
                let there = |word: &&str| !self.sockets.iter().any(|s| s == word);
                *line = all.into_iter().filter(there).collect::<Vec<_>>().join(" ");
            }
            ["fork" | "exec", child, ..] if !stays => self.children.push((*child).to_owned()),
            [made, "=", ..] if !stays => self.sockets.push((*made).to_owned()),
            _ => {}
        }
        stays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(text: &str, steps: Range<usize>) -> Vec<String> {
        let script = Script::parse(text).unwrap();
        let less = without(&script, steps);
        let all = less.steps.iter();
        all.map(|s| format!("{} {}", s.actor, s.line)).collect()
    }

    #[test]
    fn what_needs_a_socket_goes_with_it() {
        let text = "in a = socket tcp4\nin bind a 0.0.0.0:80\npeer b = socket tcp4\n\
                    in c = accept a\nin d = dup c\nin send d m1\nin exec c1 a c\nin/c1 name c\n\
                    peer connect b 10.0.0.5:{in/c1.c}\nin/c1 name a";
        let all = left(text, 3..4);
        assert_eq!(
            all,
            [
                "in a = socket tcp4",
                "in bind a 0.0.0.0:80",
                "peer b = socket tcp4",
                "in exec c1 a",
                "in /c1 name a"
            ]
        );
        assert_eq!(left(text, 9..10).len(), 9);
    }

    #[test]
    fn what_needs_a_child_goes_with_it() {
        let text = "in a = socket tcp4\nin fork c1\nin/c1 b = socket tcp4\nin give a c1\nin name b\n\
                    peer d = socket udp4\npeer connect d 10.0.0.5:{in/c1.b}\nin exit c1\nin name a";
        let all = left(text, 1..2);
        assert_eq!(
            all,
            ["in a = socket tcp4", "peer d = socket udp4", "in name a"]
        );
    }
}
