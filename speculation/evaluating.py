"""The engine measured on recorded sessions: train on some, predict and replay others. Needs files, no database or broker.

`evaluate` returns the document that the command prints. One agent a source; each is trained on that source's sessions and
follows those of other tasks. docs/evaluation.md explains every figure.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from speculation.engine.baselines import Chance, Ngram, NgramCounts, Oracle, Recalled, Wrong, reads_of
from speculation.engine.calibration import cross_fit
from speculation.engine.evaluation import Judged, Scores, judge
from speculation.engine.guessing import ChainGuesser, Guesser, NoGuesses, PatternGuesser
from speculation.engine.mining import Miner
from speculation.engine.prediction import Predictor
from speculation.engine.replay import Totals, replay
from speculation.engine.script import Script, World
from speculation.engine.streaming import evidence_effect
from speculation.engine.types import Pattern
from speculation.evaluation_ablations import Ablation, rows_for
from speculation.evaluation_scripts import script_of, world_of
from speculation.evaluation_sets import SourceSets
from speculation.traces import Effects, TraceSession

MOST_GUESSES = 8
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.23, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Choices:
    """How to measure. `clock` and `cpu_clock` count seconds: the wall's and this process's own."""

    seed: int = 1
    draws_tool_times: bool = True
    with_sweeps: bool = False
    with_ablations: bool = False
    with_evidence: bool = False
    clock: Callable[[], float] = time.perf_counter
    cpu_clock: Callable[[], float] = time.process_time


@dataclass
class Costs:
    """What the engine took, over all sources."""

    predict_seconds: list[float] = field(default_factory=list)
    mined_events: int = 0
    mining_seconds: float = 0.0
    calibration_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        ordered = sorted(self.predict_seconds)
        mining = {"events": self.mined_events, "seconds": self.mining_seconds}
        return {
            "predict_seconds": {"p50": _quantile(ordered, 0.5), "p99": _quantile(ordered, 0.99), "count": len(ordered)},
            "mining": mining,
            "calibration_seconds": self.calibration_seconds,
        }


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def evaluate(
    sets: Iterable[SourceSets],
    effects: Effects,
    choices: Choices,
    *,
    dump: Callable[[Mapping[str, Any]], object] = lambda line: None,
    tell: Callable[[str], object] = lambda line: None,
) -> dict[str, Any]:
    """The whole document. `dump` gets a value for every model turn, `tell` a line now and then."""
    costs = Costs()
    sources = {each.source: Measurement(each, effects, choices, costs, tell).document(dump) for each in sets}
    return {
        "sources": sources,
        **costs.to_json(),
        "seed": choices.seed,
        "tool_times": "drawn" if choices.draws_tool_times else "recorded",
    }


class Measurement:
    """One source: its agent, its test sessions as scripts, and every figure of them."""

    def __init__(
        self, sets: SourceSets, effects: Effects, choices: Choices, costs: Costs, tell: Callable[[str], object]
    ) -> None:
        self._sets, self._choices, self._costs, self._tell = sets, choices, costs, tell
        self._world = world_of(sets, effects, seed=choices.seed, draws_tool_times=choices.draws_tool_times)
        self._training = [self._script(run) for run in sets.train]
        self._scripts = [self._script(run) for run in sets.test]
        self._patterns = self._mine({}, costs)
        self._predictor = Predictor(self._patterns, self._world.tools)
        self._judged = self._judge(self._predictor, costs.predict_seconds.append)

    def _script(self, run: TraceSession) -> Script:
        return script_of(run, self._world, draws_tool_times=self._choices.draws_tool_times)

    def _mine(self, keywords: Mapping[str, Any], costs: Costs) -> list[Pattern]:
        miner = Miner(self._sets.source, (), self._world.tools, **keywords)
        for number, script in enumerate(self._training):
            began_at = self._choices.cpu_clock()
            miner.observe_session(script.session.events)
            costs.mining_seconds += self._choices.cpu_clock() - began_at
            costs.mined_events += len(script.session.events)
            self._tell(f"{self._sets.source}: {number} of {len(self._training)} sessions mined")
        began_at = self._choices.cpu_clock()
        miner.settle()
        costs.mining_seconds += self._choices.cpu_clock() - began_at
        self._tell(f"{self._sets.source}: calibrating")
        began_at = self._choices.cpu_clock()
        miner.calibrate(cross_fit([script.session.events for script in self._training], self._world.tools))
        costs.calibration_seconds += self._choices.cpu_clock() - began_at
        return miner.patterns()

    def _judge(self, predictor: Predictor, took: Callable[[float], object]) -> list[list[Judged]]:
        judged = []
        for number, script in enumerate(self._scripts):
            self._tell(f"{self._sets.source}: {number} of {len(self._scripts)} sessions predicted")
            judged.append(list(judge(predictor.session(), script, self._world, self._choices.clock, took)))
        return judged

    def document(self, dump: Callable[[Mapping[str, Any]], object]) -> dict[str, Any]:
        for run, turns in zip(self._sets.test, self._judged, strict=True):
            for each in turns:
                dump(dumped(run, each))
        scores = _scores(self._judged)
        arms = self._arms()
        return {
            "sessions": len(self._scripts),
            **scores.to_json(),
            "replay": {name: as_json(totals) for name, totals in arms.items()},
            "reasons": _reasons(scores, arms["paste"]),
            "trained_sessions": len(self._training),
            "left_out_sessions": self._sets.left_out,
            "is_split_by_task": self._sets.is_split,
            "patterns": len(self._patterns),
            **({"evidence": self._evidence()} if self._choices.with_evidence else {}),
            **({"sweeps": self._sweeps()} if self._choices.with_sweeps else {}),
            **({"ablations": self._ablations()} if self._choices.with_ablations else {}),
        }

    def _arms(self) -> dict[str, Totals]:
        paste = self._replay(lambda number: Recalled(_launchable(self._judged[number])))
        counts = NgramCounts(self._training)
        pool, launched = reads_of(self._training), paste.launched
        free = replace(self._world, is_priced=False)
        return {
            "serial": self._replay(lambda number: NoGuesses()),
            "paste": paste,
            "oracle_turn": self._replay(lambda number: Oracle(self._scripts[number], sees_all=False), free),
            "oracle_all": self._replay(lambda number: Oracle(self._scripts[number], sees_all=True), free),
            "ngram": self._replay(lambda number: Ngram(counts, self._world)),
            "random": self._replay(lambda n: Chance(pool, launched[n], self._world, self._rng("random", n)), free),
            "all_wrong": self._replay(lambda n: Wrong(pool, launched[n], self._world, self._rng("wrong", n)), free),
            "a_a": self._replay(lambda number: PatternGuesser(self._predictor)),
        }

    def _replay(self, guesser: Callable[[int], Guesser], world: World | None = None) -> Totals:
        return replay(self._scripts, guesser, world or self._world)

    def _rng(self, arm: str, number: int) -> random.Random:
        return random.Random(f"{self._choices.seed} {self._sets.source} {arm} {number}")

    def _evidence(self) -> dict[str, Any]:
        """Arms that also hear the stream; `removed` is their part of the exposed seconds that a turn's start leaves."""
        arms = evidence_effect(self._scripts, self._predictor, self._world)
        left = arms["start"].exposed_tool_seconds
        return {
            name: {**as_json(totals), "removed": 1.0 - totals.exposed_tool_seconds / left if left else 0.0}
            for name, totals in arms.items()
        }

    def _sweeps(self) -> dict[str, Any]:
        """Waste and coverage over the threshold of admission, exposed seconds over the number of guesses."""
        lists = [_launchable(turns) for turns in self._judged]
        wide = replace(self._world, guesses=MOST_GUESSES)
        many = [
            _launchable(judge(self._predictor.session(), script, wide, self._choices.clock, lambda seconds: None))
            for script in self._scripts
        ]
        by_threshold = {p: replace(self._world, min_probability=p) for p in THRESHOLDS}
        by_count = {k: replace(self._world, guesses=k) for k in range(1, MOST_GUESSES + 1)}
        return {
            "min_probability": [
                {"min_probability": p, **as_json(self._replay(lambda n: Recalled(lists[n]), world))}
                for p, world in by_threshold.items()
            ],
            "guesses": [
                {"guesses": k, **as_json(self._replay(lambda n: Recalled(many[n]), world))}
                for k, world in by_count.items()
            ],
        }

    def _ablations(self) -> dict[str, Any]:
        return {name: self._ablated(ablation) for name, ablation in rows_for(self._patterns).items()}

    def _ablated(self, ablation: Ablation) -> dict[str, Any]:
        if ablation.chain_depth > 1:  # what is next stays as predicted, only what is launched is another
            totals = self._replay(lambda number: ChainGuesser(self._predictor, self._world, ablation.chain_depth))
            return _ablation_row(self._judged, totals)
        patterns = self._mine(ablation.miner, Costs()) if ablation.miner else self._patterns
        predictor = Predictor(map(ablation.rewrite, patterns), self._world.tools, **ablation.predictor)
        judged = self._judge(predictor, lambda seconds: None)
        return _ablation_row(judged, self._replay(lambda number: Recalled(_launchable(judged[number]))))


def _launchable(turns: Iterable[Judged]) -> list[list[Any]]:
    return [each.launchable for each in turns]


def _scores(judged: Iterable[Iterable[Judged]]) -> Scores:
    scores = Scores()
    for turns in judged:
        scores.add_all(turns)
    return scores


def _ablation_row(judged: Iterable[Iterable[Judged]], totals: Totals) -> dict[str, Any]:
    scores = _scores(judged).to_json()
    kept = ("turns", "name@1", "hit@1", "hit@3", "hit@5", "calibration_error", "brier_skill", "read_only")
    return {**{name: scores[name] for name in kept}, "replay": as_json(totals)}


def _reasons(scores: Scores, paste: Totals) -> dict[str, int]:
    """Why nothing was predicted, launched or met: how often."""
    reasons: Counter[str] = Counter()
    reasons.update({f"abstained: {reason}": count for reason, count in scores.abstained.items()})
    reasons.update({f"refused: {reason}": count for reason, count in paste.refused.items()})
    reasons.update({f"missed: {reason}": count for reason, count in scores.losses.by_reason.items()})
    return dict(reasons.most_common())


def as_json(totals: Totals) -> dict[str, Any]:
    """One arm's row."""
    return {
        "serial_tool_seconds": totals.serial_tool_seconds,
        "exposed_tool_seconds": totals.exposed_tool_seconds,
        "reduction": totals.reduction,
        "task_seconds": totals.task_seconds,
        "reads": totals.reads,
        "hits": totals.hits,
        "launches": totals.launches,
        "launches_per_hit": totals.launches_per_hit,
        "wasted_seconds": totals.wasted_seconds,
        "wasted_calls": totals.wasted_calls,
        "covered": totals.covered,
    }


def dumped(run: TraceSession, judged: Judged) -> dict[str, Any]:
    """One model turn, so that anyone can score it anew."""
    return {
        "source": run.source,
        "session_id": run.session_id,
        "turn": judged.number,
        "calls": [{"tool": ask.call.tool, "arguments": ask.call.arguments} for ask in judged.turn.asks],
        "predictions": [
            {"tool": p.call.tool, "arguments": p.call.arguments, "p": p.probability} for p in judged.predictions
        ],
    }
