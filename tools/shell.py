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

_PROGRAMS = """
[ basename cat cksum cmp column comm cut dirname du df echo egrep expr false fgrep fold grep head hexdump id jq
join ls md5 md5sum nl nproc od paste printf ps pwd readlink realpath rev seq sha1sum sha256sum sha512sum shasum
stat strings tac tail test tr true type uname wc whereis which whoami
"""
_READERS = frozenset(_PROGRAMS.split())
_ACTIONS = """
-delete -exec -execdir -ok -okdir -fprint -fprint0 -fprintf -fls
"""
_FIND_ACTIONS = frozenset(_ACTIONS.split())
_VERBS = """
blame cat-file check-ignore cherry count-objects describe diff diff-tree for-each-ref grep log ls-files ls-tree
merge-base name-rev range-diff rev-list rev-parse shortlog show show-ref status whatchanged
"""
_GIT_READERS = frozenset(_VERBS.split())
_GIT_LISTINGS = {
    "branch": {"-a", "-r", "-v", "-vv", "--all", "--list", "--show-current", "--remotes"},
    "remote": {"-v", "--verbose"},
    "tag": {"-l", "--list", "-n"},
    "stash": {"list"},
    "worktree": {"list", "--porcelain"},
}
_GIT_FILTERS = {
    "branch": {"--list", "--contains", "--no-contains", "--merged", "--no-merged", "--points-at"},
    "tag": {"-l", "--list", "--contains", "--no-contains", "--merged", "--no-merged", "--points-at"},
}
"""With one of these a listing takes a name or pattern, which else would make something new."""
_GIT_CONFIG_READS = {"--get", "--get-all", "--get-regexp", "--list", "-l"}

_SED_TEXT = r"(?:\\.|\[\^?\]?[^\]\n{delimiter}]*\]|[^\\\n\[{delimiter}])*"
"""Up to the delimiter. One inside brackets is read in two ways by different programs, so it is no text."""
_SED_PATTERN = f"/{_SED_TEXT.format(delimiter='/')}/"
_SED_ADDRESS = rf"(?:\d+|\$|{_SED_PATTERN})(?:,(?:\+?\d+|\$|{_SED_PATTERN}))?\s*!?\s*"
_SED_REPLACE = "|".join(
    f"s{mark}{_SED_TEXT.format(delimiter=mark)}{mark}{_SED_TEXT.format(delimiter=mark)}{mark}[gpiI0-9]*"
    for mark in ("/", r"\|", "#", ",")
)
_SED_COMMAND = rf"(?:{_SED_ADDRESS})?(?:[pdq=]|{_SED_REPLACE})"
_SED_SCRIPT = re.compile(rf"{_SED_COMMAND}(?:\s*[;\n]\s*{_SED_COMMAND})*\s*;?\s*")
_SED_OPTIONS = frozenset({"-n", "-E", "-r", "-nE", "-nr", "-En", "-rn", "--quiet", "--silent", "--regexp-extended"})
_AWK_DANGER = re.compile(r"system|getline|>(?!=)|[|@]")
_HARMLESS_SETTING = re.compile(r"(?:LC_[A-Z]+|LANG|NO_COLOR)=[\w.-]*")
_OPENING_COMMENTS = re.compile(r"(?:\s*#[^\n]*\n)+")
_FIRST_PROGRAM = re.compile(r"\s*([\w./+-]+)(?=\s|$|[;|&])")


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


_LED_BY_CD = re.compile(r"\s*(?:cd\s+[^\s;&|]+\s*(?:&&|;|\n)\s*)+")
_ASSIGNMENTS = re.compile(r"(?:[A-Za-z_]\w*=\S*\s+)+")
_HEAD = re.compile(r"([\w./+-]+)(?:[ \t]+([a-z][\w:-]*))?")
_WITH_VERBS = frozenset(["apt", "brew", "bundle", "cargo", "docker", "gh", "git", "go", "kubectl", "make", "mise", "mvn", "npm", "npx", "pip", "pnpm", "poetry", "uv", "yarn"])


@lru_cache(maxsize=20000)
def head_of(command: str) -> str:
    """What kind of command line it is: the first program that is not `cd`, with its verb where it has verbs."""
    start = found.end() if (found := _LED_BY_CD.match(command)) else 0
    if assigned := _ASSIGNMENTS.match(command, start):
        start = assigned.end()
    head = _HEAD.match(command, start)
    if head is None:
        return ""
    program = head[1].rpartition("/")[2][:LONGEST_PROGRAM]
    return f"{program} {head[2][:LONGEST_PROGRAM]}" if program in _WITH_VERBS and head[2] else program


LONGEST_PROGRAM = 24
LONGEST_HEADED, MAX_HEADS = 600, 5
_PARTED = re.compile(r"&&|\|\||[;\n]")


@lru_cache(maxsize=20000)
def heads_of(command: str) -> tuple[str, ...]:
    """What kinds of command lines it is made of, each once, in their order; of a pipeline its first program."""
    start = command.partition("<<")[0][:LONGEST_HEADED]
    heads = dict.fromkeys([head_of(part.strip()) for part in _PARTED.split(start)])
    return tuple([head for head in heads if head not in ("", "cd")])[:MAX_HEADS]


def is_read_only(command: str) -> bool:
    """True only if running `command` in a fresh POSIX shell cannot change anything outside that shell."""
    return isinstance(command, str) and _is_read_only(command)


@lru_cache(maxsize=20000)
def _is_read_only(command: str) -> bool:
    command = _OPENING_COMMENTS.sub("", command, count=1) if command.lstrip().startswith("#") else command
    if _begins_with_a_stranger(command) or _hides_a_command(command):
        return False
    words = _split(_QUIET_REDIRECTION.sub(" ", command))
    if words is None:
        return False
    commands = _simple_commands(words)
    return any(each[0] != "cd" for each in commands) and all(_reads_only(each) for each in commands)


def _begins_with_a_stranger(command: str) -> bool:
    """True where the first program already decides: most commands need no more parsing than that."""
    first = _FIRST_PROGRAM.match(command)
    return first is not None and first[1] not in _READERS and first[1] not in _CHECKED


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
    if any(re.fullmatch(r"[();<>|&]+", word) for word in words):
        return False
    while words and _HARMLESS_SETTING.fullmatch(words[0]):
        words = words[1:]
    if not words:
        return False
    program, arguments = words[0], words[1:]
    if program in _READERS:
        return True
    check = _CHECKED.get(program)
    return check is not None and check(arguments)


def _no_option(*forbidden: str) -> Callable[[Sequence[str]], bool]:
    return lambda arguments: (
        not any(
            word == each or word.startswith(f"{each}=") or (len(each) == 2 and re.match(rf"-\w*{each[1]}", word))
            for word in arguments
            for each in forbidden
        )
    )


def _operands(arguments: Sequence[str]) -> list[str]:
    return [word for word in arguments if not word.startswith("-")]


def _sed(arguments: Sequence[str]) -> bool:
    """Only scripts that print, delete, quit and replace: others can write (`w`), run (`e`) or edit in place (`-i`)."""
    options = [word for word in arguments if word.startswith("-")]
    operands = _operands(arguments)
    return _SED_OPTIONS.issuperset(options) and bool(operands) and bool(_SED_SCRIPT.fullmatch(operands[0]))


def _awk(arguments: Sequence[str]) -> bool:
    operands = _operands(arguments)
    safe_options = all(re.match(r"-[Fv]", word) for word in arguments if word.startswith("-"))
    return safe_options and bool(operands) and not any(_AWK_DANGER.search(word) for word in arguments)


def _git(arguments: Sequence[str]) -> bool:
    while arguments and arguments[0] in ("--no-pager", "-C"):
        arguments = arguments[2 if arguments[0] == "-C" else 1 :]
    if not arguments:
        return False
    verb, rest = arguments[0], arguments[1:]
    if verb in _GIT_LISTINGS:
        return _git_lists(verb, rest)
    if verb == "config":
        return bool(rest) and rest[0] in _GIT_CONFIG_READS
    if verb == "grep":
        return _no_option("-O", "--open-files-in-pager")(rest)
    return verb in _GIT_READERS and _no_option("--output", "--ext-diff", "--textconv", "--filters")(rest)


def _git_lists(verb: str, rest: Sequence[str]) -> bool:
    """`branch`, `tag` and the like, which list or make something, depending on their arguments."""
    filters = _GIT_FILTERS.get(verb, set())
    if not filters.isdisjoint(rest):
        return all(word in filters or word in _GIT_LISTINGS[verb] or not word.startswith("-") for word in rest)
    if verb in ("stash", "worktree") and rest[:1] != ["list"]:
        return False
    return all(word in _GIT_LISTINGS[verb] for word in rest)


def _gofmt(arguments: Sequence[str]) -> bool:
    """Without `-w` it only prints. Without files it would wait for its input."""
    return all(word in ("-l", "-d", "-e", "-s") for word in arguments if word.startswith("-")) and bool(
        _operands(arguments)
    )


_CHECKED: dict[str, Callable[[Sequence[str]], bool]] = {
    "cd": lambda arguments: True,
    "find": lambda arguments: _FIND_ACTIONS.isdisjoint(arguments),
    "rg": _no_option("--pre", "--hostname-bin"),
    "sort": _no_option("-o", "--output", "--compress-program"),
    "tree": _no_option("-o", "-R"),
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
    "gofmt": _gofmt,
    "command": lambda arguments: arguments[:1] in (["-v"], ["-V"]),
}
