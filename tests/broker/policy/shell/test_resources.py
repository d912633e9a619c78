"""What a line is said to read, write and reach."""

from __future__ import annotations

import pytest

from broker.policy.shell import facts
from broker.shell.parser import ShellParser

PARSE = ShellParser()


@pytest.mark.parametrize(
    ("text", "touched"),
    [
        ("cat a /etc/x/../y", ["read /home/u/a", "read /etc/y"]),
        ("grep -A 3 -r word /var/log b", ["read /var/log", "read /home/u/b"]),
        ("head -n 5 a", ["read /home/u/a"]),
        ("cp a b /tmp", ["read /home/u/a", "read /home/u/b", "write /tmp"]),
        ("rm -rf -- -x", ["write /home/u/-x"]),
        ("sort <in >out 2>/dev/null", ["read /home/u/in", "write /home/u/out"]),
        ("chmod 600 k", ["write /home/u/k"]),
        ("systemctl restart nginx", []),
        ("mytool /opt/x ./y z", ["read /opt/x", "read /home/u/y"]),
        ("cd /etc && cat shadow", ["read /etc", "read /etc/shadow"]),
        ('cd "$x"; cat /a', ["read ⟨$x⟩", "read /a"]),
        ('cat ~/a "$x"', ["read ~/a", "read ⟨$x⟩"]),
        ("for f in a b; do rm $f; done", ["write /home/u/a", "write /home/u/b"]),
        ("sudo -u bob rm /x", ["write /x"]),
        ("sh -c 'cat /x'", ["read /x"]),
        ("curl -s https://u:p@example.com:8080/x?y -o /tmp/f", ["host example.com"]),
        ("curl example.com/x", ["host example.com"]),
        ("ssh -p 22 bob@db1 ls", ["host db1"]),
        ("rsync -a /x bob@db1:/y", ["host db1", "read /x"]),
        ("psql -h db2 -c 'select 1'", ["host db2"]),
        ("ping -c 1 192.0.2.1", ["host 192.0.2.1"]),
        ("wget 'http://[::1]/x'", ["host [::1]"]),
        ("echo http://a.example/ /etc/x", ["host a.example", "read /etc/x"]),
    ],
)
def test_touched(text: str, touched: list[str]) -> None:
    found = facts(PARSE(text), text, "/home/u", parse=PARSE)
    assert [" ".join(each) for each in found.touched] == touched


def test_resources_are_lists_by_kind() -> None:
    text = "cat /a; curl http://b.example"
    assert facts(PARSE(text), text, None).resources == {"reads": ["/a"], "hosts": ["b.example"]}
