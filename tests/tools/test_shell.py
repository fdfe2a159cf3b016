import pytest

from tools.shell import head_of, heads_of, is_read_only, normal_form

READS = [
    "ls -la src",
    "cat a.py b.py",
    "cd /repo && grep -rn 'def f' . | head -20",
    "find . -name '*.py' -type f 2>/dev/null | sort | uniq -c",
    "sed -n '10,20p' a.py",
    "git --no-pager log --oneline -5",
    "git status; git diff HEAD~1 -- a.py",
    "git branch -a",
    "date +%s",
    "wc -l a.py\ntail -5 a.py",
    "ls missing 2>&1 || echo no",
    "awk '{print $1}' a.txt",
    "grep '$(x)' a.py",
    'grep "a|b" a.py',
    "grep 'x > y; rm z' a.py",
    "sed 's/a/b/g; 3d' a.py",
    "sed -nE '/^def /,+5p' a.py",
    "git log | sed 's|/home/[a-z]*|~|'",
    "sed -n 's/[[:space:]]*$//p' a.py",
    "awk 'NR>=10 && NR<=20' a.py",
    "git -C /repo status --short",
    "git --no-pager -C /repo log -3",
    "git config --get user.name",
    "git branch --contains 1a2b3c4",
    "git tag --list 'v1.*'",
    "git worktree list --porcelain",
    "git for-each-ref refs/heads",
    "gofmt -l internal/a.go",
    "LC_ALL=C sort a.txt",
    "command -v go",
    "# what is here?\nls -la",
    "nl -ba a.py | head -n 20 2>&1",
    "ps aux | grep '[p]ytest'",
]

CHANGES = [
    "",
    "rm a.py",
    "cd /repo",
    "ls; rm a.py",
    "ls\nrm a.py",
    "ls && touch a",
    "ls & rm a",
    "ls > files.txt",
    "ls >> /dev/null.txt",
    "echo hi > /dev/null/../a",
    "cat a | tee b",
    "echo $(rm a)",
    'echo "$(rm a)"',
    "echo `rm a`",
    "cat <(rm a)",
    "find . -delete",
    "find . -exec rm {} +",
    "sort -o a a",
    "sort -uo a a",
    "sort --output=a a",
    "uniq a b",
    "sed -i s/a/b/ a.py",
    "sed -n 'w out' a.py",
    "sed 's/a/b/e' a.py",
    "awk '{print > \"out\"}' a",
    "awk 'BEGIN{system(\"rm a\")}'",
    "awk -f program.awk a",
    "git checkout main",
    "git branch new",
    "git stash",
    "git -c core.pager=x log",
    "git diff --output=a",
    "git grep -Ovi x",
    "FOO=1 ls",
    "env rm a",
    "python -c 'print(1)'",
    "pytest",
    "(rm a)",
    "xargs rm",
    "cat 'unterminated",
    "cat <<EOF\nx\nEOF",
    "! rm a",
    "rg --pre sh x",
    "${EDITOR} a",
    "date 01020304",
    "sed 's/a/b/w out' a.py",
    "sed 's/a/b/; w out' a.py",
    "sed 's/a/b/\nw out' a.py",
    "sed 's/[/]a/w out' a.py",
    "sed 's/a/b/e; p' a.py",
    "sed '1e rm a' a.py",
    "sed -n -i p a.py",
    "sed -ni p a.py",
    "sed -n p --in-place=.bak a.py",
    "sed -f script a.py",
    'awk \'{print >= "out"; print > "out"}\' a',
    "find . -name '*.py' -exec grep -l x {} ;",
    "ls | xargs rm",
    "ls | xargs grep x",
    "git -C /repo push",
    "git -C /repo -c core.pager=x log",
    "git -C",
    "git config user.name me",
    "git branch --merged -D old",
    "git branch --list -m new",
    "git tag -l -d v1",
    "git worktree add ../other",
    "git stash list drop",
    "git cat-file --filters HEAD:a.py",
    "gofmt -w a.go",
    "gofmt -l -w a.go",
    "LC_ALL=C rm a",
    "LC_ALL=C",
    "PATH=. ls",
    "GIT_PAGER=./x git log",
    "LANG=$(rm a) ls",
    "command rm a",
    "# ls\nrm a",
    "ls # it's\nrm a",
    "echo 'a\n# b' ; rm a",
    "tree -R -L 1",
    "r\\m a",
    "for f in a b; do rm $f; done",
    "gh pr view 1",
]


@pytest.mark.parametrize("command", READS)
def test_a_command_that_only_reads_is_recognised(command: str) -> None:
    assert is_read_only(command)


@pytest.mark.parametrize("command", CHANGES)
def test_everything_else_counts_as_changing(command: str) -> None:
    assert not is_read_only(command)


def test_a_value_that_is_no_text_counts_as_changing() -> None:
    assert not is_read_only(["ls"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("git  status ", "git status"),
        ("cd 'x'&&ls   -la", "cd x && ls -la"),
        ("echo a \\\n b", "echo a b"),
        ("a\n\n  b;c", "a\nb ; c"),
        ('cat "a.txt"', "cat a.txt"),
    ],
)
def test_lines_that_a_shell_reads_alike_have_the_same_form(one: str, other: str) -> None:
    assert normal_form(one) == normal_form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("grep '|' f", "grep | f"),
        ('echo "a  b"', "echo 'a b'"),
        ("echo '$HOME'", "echo $HOME"),
        ("find . -name '*.py'", "find . -name *.py"),
        ("cat <<X\na  b\nX", "cat <<X\na b\nX"),
        ("echo a\\ b", "echo a b"),
    ],
)
def test_lines_that_a_shell_reads_differently_differ_in_form(one: str, other: str) -> None:
    assert normal_form(one) != normal_form(other)


@pytest.mark.parametrize(
    ("command", "head"),
    [
        ("ls -la", "ls"),
        ("cd /repo && go test ./...", "go test"),
        ("cd /a; cd b && FOO=1 BAR=2 git commit -m x", "git commit"),
        ("/usr/bin/python3 -m pytest", "python3"),
        ("git -C x status", "git"),
        ("", ""),
        ("'quoted program' x", ""),
    ],
)
def test_a_line_is_known_by_its_first_program_and_that_ones_verb(command: str, head: str) -> None:
    assert head_of(command) == head


@pytest.mark.parametrize(
    ("command", "heads"),
    [
        ("git add -A && git commit -m 'x'", ("git add", "git commit")),
        ("cd /repo && go test ./... | tail -5; git status", ("go test", "git status")),
        ("git add a || git add b\nls", ("git add", "ls")),
        ("git commit -F - <<EOF\nrm is only a word here; so is ls\nEOF", ("git commit",)),
        ("", ()),
    ],
)
def test_a_line_of_several_commands_is_known_by_all_their_heads_each_once(command: str, heads: tuple[str, ...]) -> None:
    assert heads_of(command) == heads
