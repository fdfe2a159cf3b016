"""Is a shell command line read-only? Parsed, never guessed: what is not understood counts as changing something.

A command line is read-only where every simple command in it is one of the programs below, used without any option that
writes a file or starts another program, and nothing is redirected except to /dev/null or between streams. Meant for a
fresh shell: a `cd` before a read-only command changes only that shell.
"""

import re
import shlex
from collections.abc import Callable, Sequence
from functools import lru_cache

_OPERATORS = {"&&", "||", "|", "|&", ";", "\n"}
_EXPANSION = re.compile(r"`|\$\(|\$\{|[<>]\(")
_QUIET_REDIRECTION = re.compile(r"(?:[12&]?>>?\s*/dev/null|[12]?>&[12]|<\s*/dev/null)(?=[\s;|&)]|$)")

_READERS = """
[ basename cat cmp column comm cut dirname du df echo egrep expr false fgrep fold grep head hexdump id jq join ls
md5sum nl od paste printf pwd readlink realpath rev seq sha1sum sha256sum sha512sum stat strings tac tail test tr
true type uname wc whereis which whoami
"""
_FIND_ACTIONS = """
-delete -exec -execdir -ok -okdir -fprint -fprint0 -fprintf -fls
"""
_GIT_READERS = """
blame cat-file describe diff diff-tree grep log ls-files ls-tree merge-base name-rev rev-list rev-parse shortlog
show show-ref status whatchanged
"""
_GIT_LISTINGS = {
    "branch": {"-a", "-r", "-v", "-vv", "--all", "--list", "--show-current", "--remotes"},
    "remote": {"-v", "--verbose"},
    "tag": {"-l", "--list", "-n"},
    "stash": {"list"},
    "worktree": {"list"},
}
_SED_SCRIPT = re.compile(r"(?:[\d$]+(?:,\+?[\d$]+)?p;?\s*)+|/[^/]*/(?:,/[^/]*/)?p")
_AWK_DANGER = re.compile(r"system|getline|[>|@]")


_PIECE = re.compile(
    r"(?P<quoted>'[^']*'|\"(?:\\.|[^\"\\])*\")|(?P<joined>\\\n)|(?P<escaped>\\.)|(?P<blank>[ \t\r]+)"
    r"|(?P<line>\s*\n\s*)|(?P<operator>&&|\|\|?|;+)|(?P<word>[^\s'\"\\&|;]+|.)",
    re.DOTALL,
)
_NEEDS_NO_QUOTES = re.compile(r"['\"]([\w./:=@%+,-]+)['\"]")


@lru_cache(maxsize=20000)
def normal_form(command: str) -> str:
    """The command line as a shell reads it: lines that differ only in blanks or needless quotes have the same form.

    Quotes that keep something from the shell stay, and a here-document is left as it is.
    """
    if "<<" in command:
        return command.strip()
    pieces: list[str] = []
    for piece in map(_normal_piece, _PIECE.finditer(command)):
        if piece := piece.lstrip(" ") if pieces and pieces[-1].endswith(" ") else piece:
            pieces.append(piece)
    return "".join(pieces).strip()


def _normal_piece(match: re.Match[str]) -> str:
    match match.lastgroup:
        case "quoted":
            plain = _NEEDS_NO_QUOTES.fullmatch(match[0])
            return plain[1] if plain else match[0]
        case "blank" | "joined":
            return " "
        case "line":
            return "\n"
        case "operator":
            return f" {match[0]} "
    return match[0]


def is_read_only(command: str) -> bool:
    """True only if running `command` in a fresh POSIX shell cannot change anything outside that shell."""
    return isinstance(command, str) and _is_read_only(command)


@lru_cache(maxsize=20000)
def _is_read_only(command: str) -> bool:
    if _hides_a_command(command):
        return False
    words = _split(_QUIET_REDIRECTION.sub(" ", command))
    if words is None:
        return False
    commands = _simple_commands(words)
    return any(each[0] != "cd" for each in commands) and all(_reads_only(each) for each in commands)


def _hides_a_command(command: str) -> bool:
    """True where an expansion could run something: outside single quotes, which is all the shell itself leaves alone."""
    return bool(_EXPANSION.search(re.sub(r"'[^']*'", "''", command)))


def _split(command: str) -> list[str] | None:
    """The shell's words and operators, or None where it does not parse. Line ends are operators, as in a shell."""
    lexer = shlex.shlex(command.strip(), posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:
        return None


def _simple_commands(words: Sequence[str]) -> list[list[str]]:
    commands: list[list[str]] = [[]]
    for word in words:
        if word in _OPERATORS or not word.strip("\n;"):
            commands.append([])
        else:
            commands[-1].append(word)
    return [each for each in commands if each]


def _reads_only(words: Sequence[str]) -> bool:
    program, arguments = words[0], words[1:]
    if any(re.fullmatch(r"[();<>|&]+", word) for word in words):
        return False
    if program in _READERS.split():
        return True
    check = _CHECKED.get(program)
    return check is not None and check(arguments)


def _no_option(*forbidden: str) -> Callable[[Sequence[str]], bool]:
    return lambda arguments: not any(
        word == each or word.startswith(f"{each}=") or (len(each) == 2 and re.match(rf"-\w*{each[1]}", word))
        for word in arguments
        for each in forbidden
    )


def _operands(arguments: Sequence[str]) -> list[str]:
    return [word for word in arguments if not word.startswith("-")]


def _sed(arguments: Sequence[str]) -> bool:
    """Only `sed -n '10,20p' file`: other scripts can write (`w`), run (`e`) or edit in place."""
    options = [word for word in arguments if word.startswith("-")]
    operands = _operands(arguments)
    return options == ["-n"] and bool(operands) and bool(_SED_SCRIPT.fullmatch(operands[0]))


def _awk(arguments: Sequence[str]) -> bool:
    operands = _operands(arguments)
    safe_options = all(re.match(r"-[Fv]", word) for word in arguments if word.startswith("-"))
    return safe_options and bool(operands) and not any(_AWK_DANGER.search(word) for word in arguments)


def _git(arguments: Sequence[str]) -> bool:
    if arguments[:1] == ["--no-pager"]:
        arguments = arguments[1:]
    if not arguments:
        return False
    verb, rest = arguments[0], arguments[1:]
    if verb in _GIT_LISTINGS:
        return all(word in _GIT_LISTINGS[verb] for word in rest) and (verb not in ("stash", "worktree") or bool(rest))
    if verb == "grep":
        return _no_option("-O", "--open-files-in-pager")(rest)
    return verb in _GIT_READERS.split() and _no_option("--output", "--ext-diff", "--textconv")(rest)


_CHECKED: dict[str, Callable[[Sequence[str]], bool]] = {
    "cd": lambda arguments: True,
    "find": lambda arguments: not set(_FIND_ACTIONS.split()).intersection(arguments),
    "rg": _no_option("--pre", "--hostname-bin"),
    "sort": _no_option("-o", "--output", "--compress-program"),
    "tree": _no_option("-o"),
    "file": _no_option("-C", "--compile"),
    "diff": _no_option("--output"),
    "date": lambda arguments: all(word.startswith(("+", "-u", "-I", "-R")) for word in arguments),
    "uniq": lambda arguments: len(_operands(arguments)) <= 1,
    "hostname": lambda arguments: not arguments,
    "printenv": lambda arguments: True,
    "env": lambda arguments: not arguments,
    "sed": _sed,
    "awk": _awk,
    "git": _git,
}
