"""A healthy system as Prometheus sees it, and scenes in which something of it is different."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

WORKER = 'job="instep-worker",instance="w1"'
SINK = 'job="instep-sink",instance="s1"'
CUSTOMERS = 'mapping="customers"'
GIB = 1 << 30

# what moves is written for one step; NOW is a timestamp that keeps up with the clock
NOW = "now"
HEALTHY: Mapping[str, str] = {
    f"up{{{WORKER}}}": "1x",
    f"up{{{SINK}}}": "1x",
    f'instep_changes_total{{{WORKER},{CUSTOMERS},outcome="modified"}}': "0+600x",
    f'instep_changes_total{{{WORKER},{CUSTOMERS},outcome="failed"}}': "0x",
    f'instep_failures_total{{{WORKER},{CUSTOMERS},category="data",code="too_long"}}': "0x",
    f'instep_failures_total{{{WORKER},{CUSTOMERS},category="data",code="reference_missing"}}': "0x",
    f'instep_failures_total{{{WORKER},{CUSTOMERS},category="data",code="duplicate_key"}}': "0x",
    f'instep_failures_total{{{WORKER},{CUSTOMERS},category="transient",code="deadlock"}}': "0x",
    f'instep_failure_events_total{{{WORKER},result="acknowledged"}}': "0x",
    f'instep_failure_events_total{{{WORKER},result="error"}}': "0x",
    f"instep_last_poll_timestamp_seconds{{{WORKER}}}": NOW,
    f"instep_settling_since_timestamp_seconds{{{WORKER},{CUSTOMERS}}}": NOW,
    f'instep_lag_records{{{WORKER},topic="erp.customers",partition="0"}}': "0x",
    f'instep_app_paused{{{WORKER},app="crm"}}': "0x",
    f'instep_app_paused{{{WORKER},app="(errors topic)"}}': "0x",
    f'instep_app_paused{{{WORKER},app="(state store)"}}': "0x",
    f"instep_parked_changes{{{WORKER},{CUSTOMERS}}}": "0x",
    f'instep_sink_events_total{{{SINK},type="failed",result="new"}}': "0x",
    f'instep_sink_events_total{{{SINK},type="failed",result="quarantined"}}': "0x",
    f'instep_sink_events_total{{{SINK},type="progress",result="new"}}': "0+12x",
    f'instep_entries{{{SINK},{CUSTOMERS},category="data",state="unconfirmed"}}': "0x",
    f"instep_oldest_open_entry_timestamp_seconds{{{SINK},{CUSTOMERS}}}": "0x",
    f'instep_groups_opened_total{{{SINK},reason="new"}}': "0x",
    f'instep_groups_opened_total{{{SINK},reason="regressed"}}': "0x",
    f'instep_replays_total{{{SINK},result="resolved"}}': "0x",
    f'instep_replays_total{{{SINK},result="failed_again"}}': "0x",
    f'instep_scheduled_replays_total{{{SINK},result="failed_again"}}': "0x",
    f"instep_sink_lag_records{{{SINK}}}": "0x",
    f"instep_sink_last_missed_timestamp_seconds{{{SINK}}}": "0x",
    f'instep_sink_hindered{{{SINK},part="store"}}': "0x",
    f'instep_sink_hindered{{{SINK},part="kafka"}}': "0x",
    f"instep_sink_last_ingest_timestamp_seconds{{{SINK}}}": NOW,
    f"instep_worker_last_seen_timestamp_seconds{{{SINK},{CUSTOMERS}}}": NOW,
    f"process_start_time_seconds{{{SINK}}}": "-86400x",
    f"instep_store_bytes{{{SINK}}}": f"{GIB}x",
    f"instep_store_limit_bytes{{{SINK}}}": f"{20 * GIB}x",
}


@dataclass(frozen=True, slots=True)
class Scene:
    """What is different, from the start or by `then`, and what fires after so many minutes: `Name/severity`.

    `changed` is by a part of the series' name; None: there is no such series. A value that begins with `30:` holds from
    the 30th step on, and the healthy one before; `stale` is the end of a series.
    """

    name: str
    changed: Mapping[str, str | None]
    fires: Mapping[int, set[str]]
    step_min: int = 1
    more: Mapping[str, str] = field(default_factory=dict)


NO_WORKER = dict.fromkeys([name for name in HEALTHY if WORKER in name])
WORKER_ENDS = {name: "30:stale" for name in NO_WORKER if not name.startswith("up")}
SINK_ENDS = {name: "30:stale" for name in HEALTHY if SINK in name and not name.startswith("up")}
STARTED, LAG = "process_start_time_seconds", "instep_sink_lag"
SETTLING = "instep_settling_since"
SINK_GONE = {STARTED: "-86400x60 stale", LAG: "0x60 stale"}
SINK_BACK = {STARTED: "-86400x60 stale _x89 9000x", LAG: "0x60 stale _x89 0x"}
SEEN, INGESTED = "instep_worker_last_seen", "instep_sink_last_ingest"
SECOND = 'job="instep-worker",instance="w2"'
STAND_BY = 'job="instep-sink",instance="s2"'
TOO_LONG, CHANGES = 'code="too_long"', 'outcome="modified"'
PAUSED, PAUSED_ERRORS = 'app="crm"', 'app="(errors topic)"'
ACKNOWLEDGED, REFUSED, READ = 'result="acknowledged"', 'result="error"', 'type="failed",result="new"'
QUARANTINED, UNCONFIRMED, OLDEST = 'result="quarantined"', 'state="unconfirmed"', "instep_oldest_open"
FAILED_AGAIN, CONFIRMED = 'instep_replays_total{*"failed_again"', 'instep_replays_total{*"resolved"'

SCENES = [
    Scene("a busy day", {}, {10: set(), 120: set()}),
    Scene("a night without a change", {CHANGES: "1x"}, {10: set(), 120: set(), 720: set()}),
    # silence
    Scene(
        "the only worker stops",
        {**WORKER_ENDS, f"up{{{WORKER}": "30:0x", SEEN: "30:1800x", INGESTED: "30:1800x"},
        {
            34: set(),
            39: {"InstepWorkerSilent/page"},
            60: {"InstepWorkerSilent/page", "InstepProcessDown/ticket"},
        },
    ),
    Scene(
        "the only worker stops and is taken out of the targets",
        {**WORKER_ENDS, f"up{{{WORKER}": "30:stale", SEEN: "30:1800x", INGESTED: "30:1800x"},
        {34: set(), 39: {"InstepWorkerSilent/page"}, 60: {"InstepWorkerSilent/page"}},
    ),
    Scene(
        "there never was a worker",
        {**NO_WORKER, SEEN: "0x", INGESTED: "0x"},
        {6: set(), 10: {"InstepWorkerSilent/page"}},
    ),
    Scene(
        "one worker of two stops",
        {**WORKER_ENDS, f"up{{{WORKER}": "30:0x"},
        {38: set(), 60: {"InstepProcessDown/ticket"}},
        more={f"up{{{SECOND}}}": "1x", f"instep_changes_total{{{SECOND},{CUSTOMERS}}}": "0+600x"},
    ),
    Scene(
        "a worker starts anew",
        {f"up{{{WORKER}": "0x4 1x", CHANGES: "_x4 0+600x", SEEN: "0x4 300+60x"},
        {3: set(), 6: set(), 20: set()},
    ),
    Scene(
        "the worker is up and not heard",
        {SEEN: "30:1800x", INGESTED: "30:1800x"},
        {34: set(), 39: {"InstepPathBroken/page"}, 90: {"InstepPathBroken/page"}},
    ),
    Scene(
        "a worker that hangs",
        {"instep_last_poll": "30:1800x"},
        {38: set(), 42: {"InstepWorkerStuck/page"}},
    ),
    Scene(
        "changes wait and none gets done",
        {"instep_lag_records": "30:100x", CHANGES: "30:18000x"},
        {40: set(), 55: {"InstepWorkerStuck/page"}},
    ),
    Scene(
        "one mapping hangs beside a busy one",
        {CHANGES: "30:18000x", SETTLING: "30:1800x"},
        {49: set(), 52: {"InstepWorkerStuck/page"}, 90: {"InstepWorkerStuck/page"}},
        more={f'instep_changes_total{{{WORKER},mapping="orders",outcome="modified"}}': "0+600x"},
    ),
    Scene(
        "one mapping has nothing to do beside a busy one",
        {CHANGES: "30:18000x", SETTLING: "30:0x"},
        {90: set()},
    ),
    Scene(
        "a write takes ten minutes",
        {CHANGES: "0x30 0x10 24000+600x", SETTLING: "0x30 1800x10 0x"},
        {45: set(), 90: set()},
    ),
    Scene("changes wait and get done slowly", {"instep_lag_records": "30:100+100x"}, {55: set(), 120: set()}),
    Scene(
        "the only sink stops",
        {**SINK_ENDS, f"up{{{SINK}": "30:0x"},
        {34: set(), 37: {"InstepSinkSilent/page"}, 60: {"InstepSinkSilent/page", "InstepProcessDown/ticket"}},
    ),
    Scene(
        "there is no sink",
        dict.fromkeys([name for name in HEALTHY if SINK in name]),
        {4: set(), 7: {"InstepSinkSilent/page"}},
    ),
    Scene(
        "a sink stands by while another one works",
        {},
        {60: set()},
        more={
            f"up{{{STAND_BY}}}": "1x",
            f"instep_sink_last_ingest_timestamp_seconds{{{STAND_BY}}}": "0x",
            f"instep_sink_lag_records{{{STAND_BY}}}": "0x",
            f'instep_sink_hindered{{{STAND_BY},part="kafka"}}': "0x",
        },
    ),
    # the second of the two is inhibited by the first
    Scene(
        "the sink's database is gone",
        {'part="store"': "30:1x", SEEN: "30:1800x", INGESTED: "30:1800x"},
        {34: set(), 39: {"InstepIngestStalled/page", "InstepPathBroken/page"}},
    ),
    Scene(
        "the sink reads nothing of what is there",
        {LAG: "30:5+5x", SEEN: "30:1800x", INGESTED: "30:1800x"},
        {34: set(), 39: {"InstepIngestStalled/page", "InstepPathBroken/page"}},
    ),
    Scene(
        "dead letters of other programs are not read",
        {},
        {34: set(), 39: {"InstepIngestStalled/page"}},
        more={
            f"instep_foreign_last_ingest_timestamp_seconds{{{SINK}}}": "0+60x30 1800+0x",
            f"instep_foreign_lag_records{{{SINK}}}": "0x30 5x",
        },
    ),
    Scene("the sink is far behind and reads on", {LAG: "50000x"}, {60: set()}),
    # apps and the error topic
    Scene(
        "the target database is stopped",
        {PAUSED: "30:1x", CHANGES: "30:18000x", "instep_lag_records": "30:0+600x"},
        {
            34: set(),
            36: {"InstepAppPaused/ticket"},
            58: {"InstepAppPaused/ticket"},
            61: {"InstepAppPaused/ticket", "InstepAppPaused/page"},
        },
    ),
    Scene("an app is away for a moment", {PAUSED: "0x30 1x3 0x"}, {33: set(), 36: set()}),
    Scene(
        "the error topic takes nothing",
        {PAUSED_ERRORS: "30:1x", REFUSED: "30:0+1x", CHANGES: "30:18000x", SETTLING: "30:1800x"},
        {31: set(), 33: {"InstepErrorTopicRefuses/page"}, 90: {"InstepErrorTopicRefuses/page"}},
    ),
    Scene(
        "the error topic refuses once and then takes it",
        {PAUSED_ERRORS: "0x30 1x1 0x", REFUSED: "0x30 1 3x"},
        {33: set(), 39: set(), 45: set()},
    ),
    Scene(
        "the brokers start anew, one after the other",
        {REFUSED: "0x30 1x4 2x3 3x"},
        {36: set(), 42: set(), 44: set(), 60: set()},
    ),
    Scene(
        "the error topic refuses again and again, and takes it each time",
        {REFUSED: "30:1+1x"},
        {45: set(), 53: {"InstepErrorTopicRefuses/page"}, 90: {"InstepErrorTopicRefuses/page"}},
    ),
    Scene(
        "events are told and never arrive",
        {ACKNOWLEDGED: "0+100x", READ: "0+80x"},
        {40: set(), 150: {"InstepErrorEventsLost/ticket"}},
    ),
    Scene(
        "events are told and are yet to be read",
        {ACKNOWLEDGED: "0+100x", READ: "0+80x", LAG: "0+20x"},
        {150: set(), 400: set()},
    ),
    Scene(
        "the sink reads what waited for it while it was away",
        {ACKNOWLEDGED: "5000x60 5000+100x90 14000x", **SINK_BACK, READ: "5000x60 stale _x89 9000x"},
        {230: set(), 500: set(), 580: set()},
    ),
    Scene(
        "another sink reads what waited while one was away",
        {ACKNOWLEDGED: "5000x60 5000+100x90 14000x", **SINK_GONE, READ: "5000x60 stale"},
        {230: set(), 500: set(), 580: set()},
        more={
            f'instep_sink_events_total{{{STAND_BY},type="failed",result="new"}}': "_x150 9000x",
            f"instep_sink_lag_records{{{STAND_BY}}}": "_x150 0x",
            f"process_start_time_seconds{{{STAND_BY}}}": "_x150 9000x",
        },
    ),
    Scene(
        "events never arrive at a sink that started anew",
        {STARTED: "-60x", ACKNOWLEDGED: "0+100x", READ: "0+80x"},
        {400: set(), 425: {"InstepErrorEventsLost/ticket"}},
    ),
    Scene(
        "the topic dropped messages while no sink ran",
        {"instep_sink_last_missed": "30:1800x"},
        {
            29: set(),
            31: {"InstepErrorEventsDropped/ticket"},
            1400: {"InstepErrorEventsDropped/ticket"},
            1480: set(),
        },
    ),
    Scene("every event arrives", {ACKNOWLEDGED: "0+100x", READ: "0+100x"}, {150: set(), 400: set()}),
    Scene("changes are parked", {"instep_parked": "30:3x"}, {85: set(), 92: {"InstepParkedChanges/ticket"}}),
    # errors
    Scene(
        "three of a hundred changes fail",
        {TOO_LONG: "30:0+20x"},
        {29: set(), 60: {"InstepErrorBudgetBurn/page", "InstepErrorBudgetBurn/ticket"}},
    ),
    Scene(
        "two of a thousand changes fail, for hours",
        {CHANGES: "0+3000x", TOO_LONG: "0+6x"},
        {420: {"InstepErrorBudgetBurn/ticket"}},
        step_min=5,
    ),
    Scene(
        "one of two thousand changes fails", {CHANGES: "0+4000x", TOO_LONG: "0+2x"}, {420: set()}, step_min=5
    ),
    Scene(
        "a few failures on a quiet day",
        {CHANGES: "0x10 1x20 2x20 3x", TOO_LONG: "0x10 1x20 2x20 3x"},
        {12: set(), 60: set()},
    ),
    Scene(
        "children come before their parents", {'code="reference_missing"': "0+20x"}, {60: set(), 120: set()}
    ),
    Scene(
        "a few values are taken on a quiet evening",
        {CHANGES: "0+5x", 'code="duplicate_key"': "30:12x"},
        {32: set(), 60: set(), 120: set()},
    ),
    Scene(
        "very many values are taken",
        {CHANGES: "0+180000x", 'code="duplicate_key"': "0x750 0+40x"},
        {1496: set(), 1520: {"InstepErrorSpike/ticket"}},
        step_min=2,
    ),
    Scene("rows are locked", {'code="deadlock"': "0+20x"}, {60: set(), 120: set()}),
    Scene(
        "far more failures than the day before",
        {CHANGES: "0+180000x", TOO_LONG: "0+2x750 1500+40x"},
        {1496: set(), 1516: {"InstepErrorSpike/ticket"}},
        step_min=2,
    ),
    Scene(
        "failures on the first day", {CHANGES: "0+90000x", TOO_LONG: "0x30 0+20x"}, {60: set(), 120: set()}
    ),
    Scene(
        "a new cause",
        {'reason="new"': "30:1x"},
        {29: set(), 32: {"InstepGroupNewOrRegressed/ticket"}, 60: set()},
    ),
    Scene(
        "a cause comes back",
        {'reason="regressed"': "30:1x"},
        {29: set(), 32: {"InstepGroupNewOrRegressed/ticket"}, 60: set()},
    ),
    Scene(
        "an entry is open for days",
        {OLDEST: "60x"},
        {4200: set(), 4440: {"InstepEntryTooOld/ticket"}},
        step_min=30,
    ),
    Scene(
        "most replays fail again",
        {FAILED_AGAIN: "30:8x", CONFIRMED: "30:2x"},
        {29: set(), 40: {"InstepReplaysMostlyFailing/ticket"}, 75: set()},
    ),
    Scene("few replays fail again", {FAILED_AGAIN: "30:8x", CONFIRMED: "30:20x"}, {40: set()}),
    Scene("two replays, and both fail again", {FAILED_AGAIN: "30:2x"}, {40: set()}),
    Scene("what the schedule replays fails again", {"instep_scheduled": "0+50x"}, {40: set(), 90: set()}),
    Scene(
        "replays are not answered",
        {UNCONFIRMED: "30:3x"},
        {58: set(), 62: {"InstepReplaysUnconfirmed/ticket"}},
    ),
    Scene(
        "messages that cannot be read",
        {QUARANTINED: "30:4x"},
        {29: set(), 32: {"InstepMessagesQuarantined/ticket"}, 100: set()},
    ),
    Scene(
        "the store will be full in a week",
        {"instep_store_bytes": f"{6 * GIB}+10000000x"},
        {50: set(), 75: {"InstepStoreFillingUp/ticket"}},
    ),
    Scene("the store is full", {"instep_store_bytes": f"{19 * GIB}x"}, {75: {"InstepStoreFillingUp/ticket"}}),
    Scene("a small store grows", {"instep_store_bytes": f"{GIB}+10000000x"}, {75: set(), 120: set()}),
]


def named(part: str, series: str) -> bool:
    """Whether a part names a series; a star stands for anything."""
    return re.search(".*".join(map(re.escape, part.split("*"))), series) is not None


def values(written: str, healthy: str, step_s: int, steps: int) -> str:
    """Values in promtool's notation, all of them as long as the scene."""
    begin, colon, rest = written.partition(":")
    if colon:
        before = values(healthy, healthy, step_s, int(begin) - 1)
        return f"{before} {rest if rest == 'stale' else f'{rest}{steps}'}"
    if written == NOW:
        return f"0+{step_s}x{steps}"
    return f"{written}{steps}" if written.endswith("x") else written


def series_of(scene: Scene, steps: int) -> list[dict[str, str]]:
    used: set[str] = set()
    found = {}
    for name, healthy in HEALTHY.items():
        parts = [part for part in scene.changed if named(part, name)]
        used.update(parts)
        written = scene.changed[parts[-1]] if parts else healthy
        if written is not None:
            found[name] = values(written, healthy, 60 * scene.step_min, steps)
    assert used == set(scene.changed), "a scene changes a series that is not there"
    found |= {
        name: values(written, written, 60 * scene.step_min, steps) for name, written in scene.more.items()
    }
    return [{"series": name, "values": written} for name, written in found.items()]
