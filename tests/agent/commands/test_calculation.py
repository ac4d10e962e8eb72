"""Bash calculates with text, and runs the commands that stand in it."""

import pytest

from llmasos.agent.commands import parse

QUIET = [
    "echo $((1 + 2)) $((0x1f * 16#ff)) $[ 3 + 4 ]",
    "x=5; y=$((x * 2)); echo $((y + 1))",
    'x=$(wc -l < f); if [[ $x -gt 10 ]]; then echo "$x lines"; fi',
    "x=$(ls | wc -l); echo $((x - 1))",
    "start=$(date +%s); ls; echo $(( $(date +%s) - start )) seconds",
    "i=0; while (( i < 3 )); do echo $i; ((i++)); done",
    "i=0; while [ $i -lt 3 ]; do echo $i; i=$((i + 1)); done",
    "i=1; i=$(expr $i + 1); echo $((i))",
    "for ((i=0; i<10; i+=2)); do echo $i; done",
    "for i in {1..5}; do echo $((i * i)); done",
    "for i in 1 2 3; do echo $((i * i)); done",
    "for i in $(seq 1 10); do echo $((i % 2)); done",
    'mapfile -t lines < f; for ((i=0; i<${#lines[@]}; i++)); do echo "${lines[i]} ${lines[$i]}"; done',
    "a=(1 2 3); echo ${a[0]} ${a[-1]} ${a[@]:1:2} $((a[0] + a[1]))",
    'x=abcdef; echo "${x:1:3} ${x: -2} ${#x}"',
    'x=$(cat f); echo "${x:0:80}"',
    "n=${1:-10}; echo $n",
    "if [[ $# -gt 0 || $? -ne 0 ]]; then echo a; fi",
    "sum() { local a=$1 b=$2; echo $((a + b)); }; sum 1 2",
    "sum() { echo $(($1 + $2)); }; x=3; sum $x 4",
    '[ "$x" = "$y" ] && [[ "$x" == "$y" ]] && test -n "$x"',
    "[[ -v x && -v a[0] ]] && test -v y && echo set",
    "SECONDS=0; OPTIND=1; ls; echo $SECONDS $((SECONDS / 60))",
    "f() { echo $(($1)); }; f 3; set -- 1 2; echo $(($2))",
    'while read -r line; do n=$((n + 1)); echo "$n: $line"; done < f',
    "n=$(grep -c foo f); echo $((n / 2)) $(( $(nproc) - 1 ))",
    "a=([0]=x [5]=y); declare -A m=([one]=1 [two]=2)",
    "declare -i n=3; n+=1; echo $n",
    "declare -a a=(x y); declare -A m=([a]=1); local -r z='(a)'",
    "printf -v n %03d 7; echo $((n + 1))",
    "x=$(git rev-list --count HEAD); [ $x -gt 3 ] && echo many",
    "x=$(cat f | tr -cd 0-9); echo $((x + 1))",
    'cat <<EOF\n${x:-none} ${#x}\nEOF\necho "${y:-$(date)}"',
    "x='(a)'; echo \"$x\"; set -euo pipefail; set -- a b",
    'getopts "ab:" opt; wait -n',
]

OBEYED = [
    "x=$(cat f); echo $((x))",
    "x=$(cat f); y=$x; echo $((1 + y))",
    "echo $(( $(cat f) + 1 ))",
    "read x < f; (( x > 0 ))",
    "builtin read x < f; (( x > 0 ))",
    "while read n; do t=$((t + n)); done < f",
    "while read n; do ((t += n)); done < f",
    "while read n; do [[ $n -gt 0 ]]; done < f",
    "while read n; do [ $n -gt 0 ]; done < f",
    "while read n; do test $n -gt 0; done < f",
    "while read; do ((t += REPLY)); done < f",
    "mapfile -t a < f; echo $((a[0]))",
    "mapfile < f; echo $((MAPFILE))",
    "read x < f; y=abc; echo ${y:x}",
    "read x < f; y=abc; echo ${y:0:$x}",
    "read x < f; echo ${a[x]}",
    "read x < f; echo ${a[$x]}",
    "read x < f; a[x]=1",
    "read x < f; a=([x]=1)",
    "read x < f; declare -a a=([$x]=1)",
    "read x < f; let x",
    "read x < f; let 'y = x'",
    "for n in $(cat f); do echo $((n)); done",
    "for n in *; do echo $((n)); done",
    "for n in $(seq 3); do seq() { cat f; }; echo $((n)); done",
    "declare -i x=$(cat f)",
    "declare -i x; x=$(cat f)",
    "read x < f; for ((i=0; i<x; i++)); do :; done",
    "f() { echo $(($1)); }; f $(cat f)",
    "set -- $(cat f); echo $(($1))",
    "f() { for n; do echo $((n)); done; }; f *",
    "bash -c 'echo $(($1))' a \"$(cat f)\"",
    "x1=$(cat f); i=1; echo $((x$i))",
    'printf -v x %s "$(cat f)"; echo $((x))',
    "x=$(wc -l *); echo $((x))",
    "x=$(grep -c a *); echo $((x))",
    "x=$(grep -rc a); echo $((x))",
    'x=$(stat -c %s "$y"); echo $((x))',
    "cd a*; echo $((1 $PWD))",
    "[[ -v $x ]]",
    'test -v "$x"',
    '[ -v "$x" ]',
    'wait -n -p "$x"',
    'x="a[\\$(rm x)]"; echo $((x))',
    "env x=\"$(cat f)\" bash -c 'echo $((x))'",
    "x=$(cat f) bash -c 'echo $((x))'",
    "x=$(cat f); eval 'echo $((x))'",
    'f() { echo $(($1)); }; time f "$(cat f)"',
    "f() { echo $(($1)); }; eval 'f \"$(cat f)\"'",
    'builtin set -- "$(cat f)"; echo $(($1))',
    "bash -s \"$(cat f)\" <<< 'echo $(($1))'",
    "LINENO=$(cat f)",
    "[[ 'a[$'\"(rm x)]\" -eq 0 ]]",
    "[[ $'a[\\x24(rm x)]' -eq 0 ]]",
    "let 'a[$'\"(rm x)]\"",
    "test -v 'a[$'\"(rm x)]\"",
    "[[ -v 'a[$'\"(rm x)]\" ]]",
    "a[b['$'\"(rm x)\"]]=1",
    "x='a[$'; x+='(rm x)]'; echo $((x))",
]

HIDDEN = [
    "echo \"${y:-'$(rm x)'}\"",
    "echo \"${y-'$(rm x)'}\"",
    "echo \"${y:='$(rm x)'}\"",
    "echo \"${y:+'`rm x`'}\"",
    "echo \"${y:-$'$(rm x)'}\"",
    "echo \"${y:-a'b$(rm x)'c}\"",
    "echo \"${y#'$(rm x)'}\"",
    "cat <<EOF\n${y:-'$(rm x)'}\nEOF",
    "cat <<< \"${y:-'$(rm x)'}\"",
    "echo $(( '$(rm x)' ))",
    "(( '$(rm x)' ))",
    "echo $[ '$(rm x)' ]",
    "a['$(rm x)']=1",
    "echo ${a['$(rm x)']}",
    "for ((i='$(rm x)'; i<3; i++)); do :; done",
    "declare -a a='($(rm x))'",
    "declare -a 'a=($(rm x))'",
    "local 'a=($(rm x))'",
    'declare -a a="$x"',
    "set -o allexport",
]


@pytest.mark.parametrize("command", QUIET)
def test_calculating_with_numbers_only_reads(command: str) -> None:
    program = parse(command)
    assert program.effects == {"reads"}, program.why
    assert not program.dynamic, program.why


@pytest.mark.parametrize("command", [*OBEYED, *HIDDEN])
def test_text_that_bash_may_run_fails_closed(command: str) -> None:
    program = parse(command)
    assert program.dynamic
    assert "unknown" in program.effects
