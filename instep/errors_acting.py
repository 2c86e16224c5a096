"""The commands of `instep errors` that change something."""

from typing import Annotated

import typer

from instep.at_desk import TokenFile, Url, agree, ask, at_desk, selection
from instep.configuration import DEFAULT_FILE, ConfigFile
from instep.selecting import (
    AsJson,
    Categories,
    Codes,
    DryRun,
    Groups,
    Ids,
    Mappings,
    NewerThan,
    OlderThan,
    Reason,
    Records,
    States,
    Yes,
)

# how long a busy sink may take to say that nobody answered in time
_SINK_SAYS_SO_S = 60.0

Rate = Annotated[
    int | None,
    typer.Option(
        "--rate",
        min=0,
        max=100_000,
        help="Entries a second; 0: as fast as possible; left out: as configured.",
    ),
]
Canaries = Annotated[
    int | None,
    typer.Option(
        "--canaries",
        min=0,
        max=1000,
        help="How many entries go first; the job stops itself if half of them fail. Left out: as configured.",
    ),
]
Assigned = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Write this to a field of the target, this once; more than once for several fields.",
    ),
]
Nulls = Annotated[
    list[str] | None,
    typer.Option("--set-null", metavar="FIELD", help="Leave a field of the target empty, this once."),
]

Waits = Annotated[
    bool,
    typer.Option("--wait", help="Wait for the workers' answers; exit code 1 unless all are resolved."),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0.1,
        metavar="SECONDS",
        help="Wait no longer, for a job: without any progress; left out: as the sink does.",
    ),
]


def replay(
    *,
    ids: Ids = None,
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    states: States = None,
    mappings: Mappings = None,
    categories: Categories = None,
    codes: Codes = None,
    records: Records = None,
    groups: Groups = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    wait: Waits = False,
    timeout_s: Timeout = None,
    rate: Rate = None,
    canaries: Canaries = None,
    assigned: Assigned = None,
    nulls: Nulls = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Have changes tried again. The running sink sends them; the worker says what became of them.

    A replay never overwrites anything newer: if the record has changed since, that change counts.

    More than 1000 entries, those of a group, and whatever has --rate, --canaries or --set, are replayed by a job: see `instep replays`.

    ```
    instep errors replay 3f2a --wait
    instep errors replay --mapping customers --code too_long --wait
    instep errors replay --group 9c41 --rate 200 --wait
    instep errors replay 3f2a --set name="Adatum Ltd" --wait
    ```
    """
    from sink.console.acting import Manner, Wait
    from sink.console.acting import replay as run
    from sink.console.starting import corrections
    from sink.desk.jobs import JobWish

    selected = selection(ids, states, mappings, categories, codes, records, groups, older_than, newer_than)
    with at_desk(config, url, token_file) as desk:
        usual_s = desk.replay_timeout_s
        patience = Wait(timeout_s or usual_s, timeout_s or usual_s + _SINK_SAYS_SO_S) if wait else None
        corrected = corrections(assigned or (), nulls or ())
        plain = corrected is None and rate is None and canaries is None
        wish = None if plain else JobWish(corrected, rate, canaries)
        manner = Manner(dry_run, agree if yes or corrected is None else ask, as_json)
        raise typer.Exit(run(desk, selected, manner, patience, wish))


def resolve(
    *,
    ids: Ids = None,
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    states: States = None,
    mappings: Mappings = None,
    categories: Categories = None,
    codes: Codes = None,
    records: Records = None,
    groups: Groups = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Close entries whose records were put right by hand. The worker forgets the failed changes.

    ```
    instep errors resolve 3f2a --reason "entered in the target by hand"
    ```
    """
    from sink.console.acting import Manner, close
    from sink.states import Action

    selected = selection(ids, states, mappings, categories, codes, records, groups, older_than, newer_than)
    manner = Manner(dry_run, agree if yes else ask, as_json)
    with at_desk(config, url, token_file) as desk:
        raise typer.Exit(close(desk, selected, Action.RESOLVE, reason, manner))


def discard(
    *,
    ids: Ids = None,
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    states: States = None,
    mappings: Mappings = None,
    categories: Categories = None,
    codes: Codes = None,
    records: Records = None,
    groups: Groups = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Give failed changes up: the records stay as they are in the target.

    ```
    instep errors discard --code undecodable --older-than 30d --reason "test data"
    ```
    """
    from sink.console.acting import Manner, close
    from sink.states import Action

    selected = selection(ids, states, mappings, categories, codes, records, groups, older_than, newer_than)
    manner = Manner(dry_run, agree if yes else ask, as_json)
    with at_desk(config, url, token_file) as desk:
        raise typer.Exit(close(desk, selected, Action.DISCARD, reason, manner))


def clear(
    *,
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    states: States = None,
    mappings: Mappings = None,
    categories: Categories = None,
    codes: Codes = None,
    records: Records = None,
    groups: Groups = None,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Only what was closed longer ago, such as 7d."),
    ] = None,
    include_open: Annotated[
        bool, typer.Option("--include-open", help="Delete entries too that are still relevant.")
    ] = False,
    archive: Annotated[
        str | None,
        typer.Option(
            "--archive",
            metavar="FILE",
            help="The archive to write; left out: a new one in the archive folder, with --url that of the sink.",
        ),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Delete closed entries, after writing them to an archive that `restore` brings them back from.

    An entry whose replay is under way is left alone. A deleted entry that fails again is a new entry.

    ```
    instep errors clear --older-than 7d
    instep errors clear --include-open --mapping customers --dry-run
    ```
    """
    from sink.console.acting import Manner
    from sink.console.clearing import clear as run

    selected = selection(None, states, mappings, categories, codes, records, groups, older_than, None)
    manner = Manner(dry_run, agree if yes else ask, as_json=False)
    with at_desk(config, url, token_file) as desk:
        raise typer.Exit(run(desk, selected, archive, manner, include_open=include_open))


def restore(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="An archive that `clear` wrote; with --url its name in the sink's folder."
        ),
    ],
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    dry_run: DryRun = False,
) -> None:
    """Bring the entries of an archive back, all or none. Those that stand in the list again are left alone.

    ```
    instep errors restore instep-errors-20261123T081500Z.avro
    ```
    """
    from sink.console.clearing import restore as run

    with at_desk(config, url, token_file) as desk:
        raise typer.Exit(run(desk, file, dry_run=dry_run))


def reimport(
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
) -> None:
    """Read the messages in quarantine again, as after an upgrade; a sink does so for newer ones when it starts.

    ```
    instep errors reimport
    ```
    """
    from sink.console.clearing import reimport_all

    with at_desk(config, url, token_file) as desk:
        raise typer.Exit(reimport_all(desk))
