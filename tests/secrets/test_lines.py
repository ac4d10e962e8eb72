"""Passwords on command lines: known by where they stand, however they look."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmasos.secrets.lines import without_passwords

PASSWORD = "hunter22"


@pytest.mark.parametrize(
    "line",
    [
        "mysql -u root -phunter2secret-hunter22 db",
        "mysqldump --password=hunter22 db > all.sql",
        "sudo mysql -uroot -p'hunter22' db",
        "docker exec -it db mysql -phunter22",
        "sshpass -p hunter22 ssh x",
        "sshpass -phunter22 ssh x",
        "curl -u admin:hunter22 https://x",
        "curl -su 'admin:hunter22' https://x",
        "curl -uadmin:hunter22 https://x",
        "curl --user=admin:hunter22 https://x",
        "curl --user admin:hunter22 --proxy-user b:hunter22 https://x",
        'curl -H "Authorization: Bearer hunter22" https://x',
        "curl -H 'X-Api-Key: hunter22' https://x",
        "curl -b 'Cookie: s=hunter22' -d 'user=a&password=hunter22' https://x",
        """curl -d '{"user": "a", "password": "hunter22"}' https://x""",
        "curl 'https://x/?api_key=hunter22&a=1'",
        "psql postgres://u:hunter22@h/db",
        "docker login -p hunter22 -u me",
        "podman login --password hunter22 quay.io",
        "http --auth me:hunter22 x",
        "http -a me:hunter22 x",
        "gh auth login --with-token hunter22",
        "openssl enc -aes-256-cbc -k hunter22 -in a",
        "openssl rsa -passin pass:hunter22 -in a",
        "redis-cli -a hunter22 ping",
        "zip -P hunter22 a.zip a",
        "7z x -phunter22 a.7z",
        "ldapsearch -D cn=a -w hunter22",
        "smbclient -U me%hunter22 //h/s",
        "PGPASSWORD=hunter22 psql -h db",
        "export DB_PASSWORD='hunter22 and more'",
        "export AWS_SECRET_ACCESS_KEY=hunter22 REGION=eu",
        "set -gx GITHUB_TOKEN hunter22",
        "true && API_KEY=hunter22 ./run; ls",
        "ssh host 'mysql -u root -phunter22'",
        'bash -c "PGPASSWORD=hunter22 psql"',
        "kubectl create secret generic a --from-literal=key=hunter22",
        "xfreerdp /u:me /p:hunter22 /v:h",
        "vault login --token \\\n hunter22",
        "mysql -p'hunter22",
    ],
)
def test_a_password_is_left_out(line: str) -> None:
    done = without_passwords(line)
    assert PASSWORD not in done and "[redacted]" in done
    assert without_passwords(done) == done


@pytest.mark.parametrize(
    "line",
    [
        "docker run -p 8080:80 nginx",
        "mkdir -p build && cp -p a b",
        "sort --key=2 -k 3 a.csv",
        "mysql -p db",
        "docker login --password-stdin",
        "curl -u admin https://x",
        'mysql -p"$PASSWORD" db',
        "PGPASSWORD=$(pass show db) psql",
        "cd $PWD; PWD=/tmp ls",
        "grep -rni 'password' --include='*.conf' .",
        "git log --author=ada -p",
        "ssh -p 2222 host",
        "echo it's",
        "echo \\",
        "",
    ],
)
def test_other_lines_stay_as_they_are(line: str) -> None:
    assert without_passwords(line) == line


def test_what_is_not_secret_is_still_told() -> None:
    assert without_passwords("mysql -u root -phunter22 db -e 'SELECT 1' | less") == (
        "mysql -u root -p[redacted] db -e 'SELECT 1' | less"
    )
    assert without_passwords("curl -u 'ada:x y' https://h") == "curl -u 'ada:[redacted]' https://h"
    assert without_passwords("A_TOKEN=x B=y ls") == "A_TOKEN=[redacted] B=y ls"


@given(st.text(alphabet="ab -'\"\\=;|&()\n$pu:[]<>", max_size=60))
def test_any_line_can_be_read(line: str) -> None:
    without_passwords(line)
