//! Users and groups: who is root, and who else is in a group.

use zeroize::Zeroizing;

use super::system::{me, open_for_reading, read_to_end};

/// Whether this user is root.
///
/// In a user namespace that does not map root, the kernel shows root's files as those of the overflow user (`nobody`).
/// There, and only where nobody else can be called by that number, the overflow user counts as root. The kernel shows
/// every other user that is not mapped in the same way, so their folders count as root's there too.
pub(super) fn is_root(user: u32) -> bool {
    user == 0 || (user == OVERFLOW_USER && read("/proc/self/uid_map").is_some_and(|map| hides_root(&map)))
}

/// The kernel's own choice. Whoever changed `kernel.overflowuid` has no exception.
const OVERFLOW_USER: u32 = 65_534;

/// Whether nobody but root and us is in this group, as far as this machine's own files say. Root's group counts as root:
/// containers that run under any user (OpenShift) give their folders to it.
pub(super) fn is_alone_in(group: u32) -> bool {
    let listed = || is_private(group, me(), &read("/etc/passwd")?, &read("/etc/group")?).then_some(());
    group == 0 || listed().is_some()
}

fn read(path: &str) -> Option<Zeroizing<String>> {
    let file = open_for_reading(path.as_ref()).ok()??;
    read_to_end(file).ok().map(|(text, _)| text)
}

/// Whether the map of a user namespace has neither root outside nor the overflow user inside. A line is the first user
/// inside, the first user outside, and how many there are.
fn hides_root(map: &str) -> bool {
    let covers = |first: u64, count: u64, user: u32| (first..first.saturating_add(count)).contains(&u64::from(user));
    map.lines().all(|line| {
        let numbers: Vec<u64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        matches!(numbers[..], [inside, outside, count] if !covers(inside, count, OVERFLOW_USER) && !covers(outside, count, 0))
    })
}

/// Whether it is the group that a user has for himself: his own, nobody else's, and without further members. What a
/// directory service knows is not in these files: a group that they do not list is nobody's own.
fn is_private(group: u32, user: u32, passwd: &str, groups: &str) -> bool {
    let (group, user) = (group.to_string(), user.to_string());
    let mut name = None;
    for line in passwd.lines() {
        let fields: Vec<_> = line.split(':').collect();
        match fields[..] {
            [own, _, uid, gid, ..] if gid == group => {
                if uid != user {
                    return false;
                }
                name = Some(own);
            }
            _ if line.starts_with('+') => return false,
            _ => {}
        }
    }
    let Some(name) = name else { return false };
    let mut entries = groups.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut listed = false;
    entries.all(|fields| match fields[..] {
        [_, _, gid, members] if gid == group => {
            listed = true;
            members.split(',').all(|member| member.is_empty() || member == name)
        }
        _ => !fields[0].starts_with('+'),
    }) && listed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overflow_user_is_root_only_where_root_has_no_number_and_nobody_has_that_one() {
        for (map, expected) in [
            ("         0          0 4294967295\n", false),
            // `unshare -U`, bubblewrap: one user.
            ("1000 1000 1\n", true),
            ("0 1000 1\n", true),
            ("", true),
            // Root outside has a number inside: whoever is not mapped is somebody else.
            ("0 0 1\n", false),
            ("1000 0 1\n", false),
            // Rootless Podman: 65534 is a user of the container.
            ("0 1000 1\n1 100000 65536\n", false),
            ("0 100000 65535\n", false),
            ("0 100000 65534\n", true),
            ("no map", false),
        ] {
            assert_eq!(hides_root(map), expected, "{map}");
        }
        assert!(is_root(0) && !is_root(1000));
    }

    #[test]
    fn a_group_is_private_when_both_files_say_so() {
        const PASSWD: &str =
            "root:x:0:0:root:/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\nyou:x:1001:100::/:/bin/sh\n";
        let private = |passwd: &str, groups: &str| is_private(1000, 1000, passwd, groups);
        assert!(private(PASSWD, "root:x:0:\nme:x:1000:\n") && private(PASSWD, "me:x:1000:me\n"));
        // Another member, not listed, or another user's own.
        assert!(!private(PASSWD, "me:x:1000:me,you\n") && !private(PASSWD, "me:x:1000:you\n"));
        assert!(!private(PASSWD, "root:x:0:\n") && !private(PASSWD, ""));
        assert!(!private(&format!("{PASSWD}third:x:1002:1000::/:/bin/sh\n"), "me:x:1000:\n"));
        // A second name of the group, with members.
        assert!(!private(PASSWD, "me:x:1000:\nalias:x:1000:you\n"));
        // Nobody's own group; no account; accounts of a directory service.
        assert!(!is_private(100, 1000, PASSWD, "users:x:100:\n") && !private("", "me:x:1000:\n"));
        assert!(!private(&format!("{PASSWD}+::::::\n"), "me:x:1000:\n"));
        assert!(!private(PASSWD, "me:x:1000:\n+:::\n"));
    }
}
