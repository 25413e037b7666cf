"""Promises about files against history: what a command would do, and what stands in the way."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatdb_cli.errors import ChatdbError, Code, Exit, Location
from chatdb_cli.files.model import Direction, Files, Folder, Migration, Script
from chatdb_cli.files.order import order_migrations
from chatdb_cli.files.read import make_script
from chatdb_cli.findings import Finding
from chatdb_cli.history.model import AppliedMigration, Unfinished
from chatdb_cli.migrate import compare, plan
from chatdb_cli.migrate.model import Plan, Step

pytestmark = pytest.mark.quick


ROOT = Path("db")


def script(direction: Direction, stem: str, text: str) -> Script:
    return make_script(ROOT / direction / f"{stem}.sql", text, direction)


def migration(stem: str, up: str = "up", down: str | None = "down") -> Migration:
    version, _, name = stem.partition("_")
    back = None if down is None else script("down", stem, down)
    return Migration(stem, version, name, script("up", stem, up), back)


def files(*made: Migration | str, **more: Any) -> Files:
    """Files in the order that reading them gives."""
    found = [migration(m) if isinstance(m, str) else m for m in made]
    found.sort(key=lambda m: (m.number, m.id))
    folder = Folder(ROOT, shipped=False, named=True)
    empty: dict[str, Any] = {"duplicates": {}, "refused": (), "warnings": ()}
    return Files(folder, order_migrations(found), **(empty | more))


def applied(*rows: Migration | str) -> list[AppliedMigration]:
    """What the history says after chatdb applied them."""
    return [row(m) for m in rows]


def row(m: Migration | str) -> AppliedMigration:
    if isinstance(m, str):
        m = migration(m)
    down = m.down.checksum if m.down else None
    return AppliedMigration(m.id, None, 1, m.up.checksum, down, has_down=m.down is not None)


def steps(found: Plan) -> list[str]:
    return [f"{s.direction} {s.version}" for s in found.steps]


def codes(found: Iterable[Finding]) -> list[tuple[str, str | None]]:
    return [(p.code, p.version) for p in found]


A, B, C, D = "0001_a", "0002_b", "0003_c", "0010_d"
FOUR = files(A, B, C, D)
CHANGED = migration(B, up="edited")


# --- the names in the history ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("id_", "version", "name", "number"),
    [
        ("0001_add_users", "0001", "add_users", 1),
        ("20240101000000-x.y", "20240101000000", "x.y", 20240101000000),
        ("7", "7", "", 7),
        ("initial-schema", "initial-schema", "", -1),
        ("٣_arabic", "٣_arabic", "", -1),
        ("٣", "٣", "", -1),
        ("²", "²", "", -1),
        ("", "", "", -1),
        ("9" * 255, "9" * 255, "", int("9" * 255)),
    ],
)
def test_any_name_that_yoyo_accepts_has_a_version(
    id_: str, version: str, name: str, number: int
) -> None:
    found = AppliedMigration(id_, None)
    assert (found.version, found.name, found.number) == (version, name, number)
    step = Step("down", version, name, id_, None)
    assert step.key == ("down", number)


def test_the_highest_applied_version_is_the_current_one() -> None:
    assert compare.current([]) is None
    assert compare.current(applied(D, A, C)) == "0010"
    assert compare.current([AppliedMigration("odd", None)]) == "odd"
    assert compare.current([AppliedMigration("odd", None), *applied(A)]) == "0001"


# --- states ---------------------------------------------------------------------------------------


def test_each_applied_migration_has_a_state() -> None:
    found = compare.states(
        files(A, CHANGED, D), [AppliedMigration("odd", None), *applied(D, C, B, A)]
    )
    assert [(r.id, state) for r, state in found] == [
        ("odd", "missing"), (A, "applied"), (B, "changed"), (C, "missing"), (D, "applied"),
    ]  # fmt: skip


def test_only_the_up_file_can_make_a_migration_changed() -> None:
    with_down = files(migration(A, down="edited"), migration(B, down=None))
    assert compare.problems(with_down, applied(A, B)) == ()
    (warning,) = compare.warnings(with_down, applied(A, B))
    assert str(ROOT / "down" / f"{A}.sql") in warning
    assert A in warning


def test_a_migration_that_yoyo_applied_has_no_checksum_and_counts_as_unchanged() -> None:
    contents = files(CHANGED, migration(A, down="edited"))
    history = [AppliedMigration(A, None), AppliedMigration(B, None)]
    assert (compare.problems(contents, history), compare.warnings(contents, history)) == ((), ())


def test_unicode_normalization_does_not_change_a_name() -> None:
    one, other = (unicodedata.normalize(form, "0001_größe") for form in ("NFC", "NFD"))
    assert compare.problems(files(one), applied(other)) == ()


# --- problems -------------------------------------------------------------------------------------

BAD = ChatdbError(
    Code.BAD_FILE,
    "byte 0xfc is not UTF-8",
    place=Location(ROOT / "up" / f"{C}.sql", 7),
    hint="save it",
)
DISAGREEMENTS = {
    "an edited file": (files(A, CHANGED), applied(A, B), ("changed", "0002"), [B, "was changed"]),
    "another name": (files(A, "0002_x"), applied(A, B), ("changed", "0002"), [B, "0002_x.sql"]),
    "a missing file": (files(A, C), applied(A, B, C), ("missing", "0002"), [B]),
    "a missing file without a way back": (
        files(A), [*applied(A), AppliedMigration(B, None)], ("missing", "0002"), [B],
    ),
    "an older file": (files(A, B, C), applied(A, C), ("out-of-order", "0002"), [B, C]),
    "a version twice": (
        files(A, B, duplicates={"0002": ("0002_b.sql", "2_x.sql")}), applied(A),
        ("duplicate", "0002"), ["0002_b.sql", "2_x.sql"],
    ),
    "a bad file": (files(A, refused=(BAD,)), applied(A), ("refused", "0003"), [f"{C}.sql:7", "0xfc"]),
}  # fmt: skip


@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_a_problem_names_every_migration_concerned_and_the_remedy(name: str) -> None:
    found, history, expected, said = DISAGREEMENTS[name]
    problems = compare.problems(found, history)
    assert expected in codes(problems)
    for problem in problems:
        assert problem.hint
        if (problem.code, problem.version) == expected:
            assert all(word in problem.message for word in said)
            assert not problem.message.endswith(".")
    assert set(codes(plan.up(found, history).problems)) <= set(codes(problems))
    assert expected in codes(plan.up(found, history).problems)


def test_rolling_back_is_only_suggested_where_a_down_file_exists() -> None:
    (with_down,) = compare.problems(files(A), applied(A, B))
    (without,) = compare.problems(files(A), applied(A, migration(B, down=None)))
    assert "Migrator.down()" in with_down.hint
    assert "Migrator.down()" not in without.hint


def test_an_unfinished_migration_without_its_file_needs_the_file_back() -> None:
    (problem,) = compare.problems(
        files(A), [*applied(A), row(B)._replace(unfinished=Unfinished("up", ("sha256:x",)))]
    )
    assert (problem.code, problem.version) == ("unfinished", "0002")
    assert problem.hint.startswith("restore its file")


def test_a_file_of_which_nothing_was_done_blocks_no_other() -> None:
    begun = [*applied(A), row(C)._replace(unfinished=Unfinished("up"), recorded=False)]
    assert compare.problems(files(A, B), begun) == ()
    assert compare.out_of_order(files(A, B, C), begun) == ()
    assert steps(plan.down(files(A, B, C), begun)) == ["down 0001"]
    first = plan.up(files(A, B, C), begun, to=B)
    assert (steps(first), first.problems) == (["up 0002"], ())
    # It has its place in the order, which the versions before it may have to precede.
    assert steps(plan.up(files(A, B, C), begun)) == ["up 0002", "up 0003"]
    (problem,) = compare.problems(files(A, B, C), begun)
    assert problem.hint == "Migrator.up() continues there"


def test_a_refused_file_has_a_hint_even_if_its_error_has_none() -> None:
    error = ChatdbError(Code.BAD_FILE, "odd")
    (problem,) = compare.problems(files(refused=(error,)), [])
    assert (problem.message, problem.version) == ("odd", None)
    assert problem.hint


def test_a_file_that_cannot_be_read_is_not_also_called_changed() -> None:
    unread = migration(C)._replace(up=replace(script("up", C, ""), checksum=""))
    contents = files(A, unread, refused=(BAD,))
    assert codes(compare.problems(contents, applied(A, C))) == [("refused", "0003")]


def test_files_that_agree_with_the_history_have_no_problem() -> None:
    for count in range(5):
        history = applied(*[A, B, C, D][:count])
        assert (compare.problems(FOUR, history), compare.warnings(FOUR, history)) == ((), ())


def test_warnings_about_files_are_passed_on() -> None:
    contents = files(A, warnings=("x has no down file",))
    assert plan.up(contents, []).warnings == ("x has no down file",)
    assert plan.down(contents, applied(A)).warnings == ()


# --- up -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "asked", "expected"),
    [
        ([], {}, [A, B, C, D]),
        ([A], {}, [B, C, D]),
        ([A, B, C, D], {}, []),
        ([], {"steps": 1}, [A]),
        ([A], {"steps": 2}, [B, C]),
        ([A], {"steps": 99}, [B, C, D]),
        ([], {"to": "0002"}, [A, B]),
        ([], {"to": "2"}, [A, B]),
        ([], {"to": "000000002"}, [A, B]),
        ([A, B], {"to": "2"}, []),
        ([A], {"to": "10"}, [B, C, D]),
        ([], {"to": "3", "steps": 2}, [A, B]),
        ([A, D], {"allow_out_of_order": True}, [B, C]),
        ([A, D], {"allow_out_of_order": True, "to": "2"}, [B]),
        ([A, D], {"allow_out_of_order": True, "steps": 1}, [B]),
        ([B], {"allow_out_of_order": True}, [A, C, D]),
    ],
)
def test_up_applies_pending_migrations_as_far_as_asked(
    history: list[str], asked: dict[str, Any], expected: list[str]
) -> None:
    found = plan.up(FOUR, applied(*history), **asked)
    assert [s.id for s in found.steps] == expected
    assert all(s.direction == "up" and s.migration for s in found.steps)
    assert found.problems == ()


def test_an_out_of_order_file_is_a_problem_only_if_it_would_be_applied_without_permission() -> None:
    history = applied(A, C)
    assert codes(plan.up(FOUR, history).problems) == [("out-of-order", "0002")]
    assert codes(plan.up(FOUR, history, to="2").problems) == [("out-of-order", "0002")]
    both = applied(C)
    assert codes(plan.up(FOUR, both, steps=1).problems) == [("out-of-order", "0001")]
    assert plan.up(FOUR, both, allow_out_of_order=True).problems == ()


def test_permission_to_apply_out_of_order_permits_nothing_else() -> None:
    found = plan.up(files(A, CHANGED, C, D), applied(B, D), allow_out_of_order=True)
    assert codes(found.problems) == [("changed", "0002")]


NO_VERSIONS = [
    "", "x", "-1", "+1", "1.0", " 1", "1\n", "٣", "²", "0x1", "1e3", "0001_b", "0099_a", "1.0_a",
    "99", "9" * 200,
    "9" * 5_000, "0" * 5_000, "-" * 5_000,
]  # fmt: skip


@pytest.mark.parametrize("to", NO_VERSIONS, ids=lambda s: ascii(s)[:12])
def test_an_unknown_version_is_wrong_usage(to: str) -> None:
    for direction in (plan.up, plan.down):
        with pytest.raises(ChatdbError) as caught:
            direction(FOUR, applied(A, B), to=to)
        assert caught.value.exit == Exit.USAGE
        assert caught.value.hint
        assert len(caught.value.message) < 300


@pytest.mark.parametrize("name", ["2", "02", B, f"{B}.sql"])
def test_a_version_is_named_by_its_number_or_its_file(name: str) -> None:
    assert steps(plan.up(FOUR, [], to=name)) == ["up 0001", "up 0002"]
    assert steps(plan.down(FOUR, applied(A, B, C), to=name)) == ["down 0003"]
    assert steps(plan.baseline(FOUR, name)) == ["up 0001", "up 0002"]


def test_the_files_of_another_project_are_one_problem() -> None:
    found = compare.problems(
        files(*(migration(m, up="other") for m in ("0001_x", "0002_y"))), applied(A, B, C)
    )
    assert codes(found) == [("missing", "0003")]
    assert "none of the 3 applied migrations (0001_a to 0003_c)" in found[0].message
    assert "argument directory" in found[0].hint
    # Files that were only renamed, or given wider versions, are this project's.
    for renamed in (("0001_x", B, C), ("1_a", "2_b", "3_c")):
        problems = compare.problems(files(*renamed), applied(A, B, C))
        assert {p.code for p in problems} == {"changed"}


def test_up_does_not_go_back() -> None:
    for to in ("1", "0002"):
        with pytest.raises(ChatdbError) as caught:
            plan.up(FOUR, applied(A, B, C), to=to)
        assert caught.value.exit == Exit.USAGE
        assert "0003" in caught.value.message
        assert f"Migrator.down(to={to!r})" in (caught.value.hint or "")


def test_up_to_zero_is_not_a_version() -> None:
    with pytest.raises(ChatdbError, match="no version 0"):
        plan.up(FOUR, [], to="0")
    assert steps(plan.up(files("0_zero", A), [], to="0")) == ["up 0"]


@pytest.mark.parametrize("count", [0, -1])
def test_fewer_than_one_step_is_wrong_usage(count: int) -> None:
    for direction in (plan.up, plan.down):
        with pytest.raises(ChatdbError) as caught:
            direction(FOUR, applied(A, B), steps=count)
        assert caught.value.exit == Exit.USAGE


# --- down -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("history", "asked", "expected"),
    [
        ([], {}, []),
        ([], {"everything": True}, []),
        ([], {"to": "0"}, []),
        ([], {"to": "2"}, []),
        ([A, B, C, D], {}, [D]),
        ([D, A, C, B], {"steps": 3}, [D, C, B]),
        ([A, B], {"steps": 99}, [B, A]),
        ([A, B, C], {"everything": True}, [C, B, A]),
        ([A, B, C], {"to": "0"}, [C, B, A]),
        ([A, B, C], {"to": "0000"}, [C, B, A]),
        ([A, B, C], {"to": "1"}, [C, B]),
        ([A, B, C], {"to": "0003"}, []),
        ([A, B, C], {"to": "10"}, []),
        ([A, C], {"to": "2"}, [C]),  # pending itself, and a place all the same
        ([A, "0005_gone", D], {"to": "5"}, [D]),
        ([A, "0005_gone", D], {"to": "1"}, [D, "0005_gone"]),
        (["odd", A], {"to": "1"}, []),
        (["odd", A], {"everything": True}, [A]),
        (["odd"], {}, []),
        (["9" * 255], {}, ["9" * 255]),
    ],
)
def test_down_rolls_back_the_newest_first_as_far_as_asked(
    history: list[str], asked: dict[str, Any], expected: list[str]
) -> None:
    rows = [AppliedMigration(s, None, has_down=True) for s in history]
    found = plan.down(FOUR, rows, **asked)
    assert [s.id for s in found.steps] == expected
    assert all(s.direction == "down" for s in found.steps)
    assert found.problems == ()


def test_down_runs_although_files_changed_or_are_gone() -> None:
    found = plan.down(files(CHANGED), applied(A, B, C), everything=True)
    assert steps(found) == ["down 0003", "down 0002", "down 0001"]
    assert [bool(s.migration) for s in found.steps] == [False, True, False]
    assert found.problems == ()


def test_down_says_that_it_runs_a_changed_file() -> None:
    made = files(migration(A, down="edited"), B, migration("0003_changed", down=None))
    assert plan.down(made, applied(A, B)).warnings == ()
    (warning,) = plan.down(made, applied(A, B), everything=True).warnings
    assert f"{A}.sql was changed" in warning


def test_an_irreversible_migration_is_not_rolled_back_and_says_why() -> None:
    up = "-- chatdb: irreversible: the rows are gone\n"
    for down in (None, "SELECT 1"):
        made = migration(B, up=up, down=down)
        with pytest.raises(ChatdbError, match="the rows are gone") as caught:
            plan.down(files(A, made), applied(A, made), everything=True)
        assert caught.value.exit == Exit.REFUSED
        assert caught.value.hint


def test_without_a_down_file_the_one_in_the_history_is_used() -> None:
    made = migration(B, down=None)
    assert steps(plan.down(files(A, made), applied(A, B))) == ["down 0002"]
    for found in (files(A, made), files(A)):
        with pytest.raises(ChatdbError) as caught:
            plan.down(found, applied(A, made))
        assert caught.value.exit == Exit.REFUSED
        assert B in caught.value.message
        assert str(ROOT / "down" / f"{B}.sql") in (caught.value.hint or "")


def test_a_migration_that_stays_applied_needs_no_down_file() -> None:
    made = migration(A, down=None)
    assert steps(plan.down(files(made, B), applied(made, B))) == ["down 0002"]


def test_a_version_used_twice_stops_a_down() -> None:
    contents = files(A, B, duplicates={"0002": ("0002_b.sql", "2_x.sql")})
    assert codes(plan.down(contents, applied(A, B)).problems) == [("duplicate", "0002")]


def refused_file(direction: str, name: str) -> ChatdbError:
    place = Location(ROOT / direction / name)
    return ChatdbError(Code.BAD_FILE, "byte 0xfc is not UTF-8", place=place, hint="save it")


def unread(stem: str, direction: str) -> Migration:
    """A migration of which one file could not be read: it stands there as an empty one."""
    made = migration(stem)
    empty = replace(script("up", stem, ""), checksum="")
    return made._replace(up=empty) if direction == "up" else made._replace(down=empty)


def test_a_down_file_that_cannot_be_read_is_never_run_as_an_empty_one() -> None:
    contents = files(A, unread(B, "down"), refused=(refused_file("down", f"{B}.sql"),))
    for made in (plan.down(contents, applied(A, B)), plan.redo(contents, applied(A, B))):
        assert codes(made.problems) == [("refused", "0002")]
        assert made.warnings == ()
    other_name = files(A, B, refused=(refused_file("down", "0002_other.sql"),))
    assert codes(plan.down(other_name, applied(A, B)).problems) == [("refused", "0002")]


def test_an_up_file_that_cannot_be_read_is_never_redone_as_an_empty_one() -> None:
    contents = files(A, unread(B, "up"), refused=(refused_file("up", f"{B}.sql"),))
    assert codes(plan.redo(contents, applied(A, B)).problems) == [("refused", "0002")]
    assert plan.down(contents, applied(A, B)).problems == ()


def test_an_invalid_file_of_another_version_does_not_stop_a_down() -> None:
    bad = (refused_file("down", f"{C}.sql"), refused_file("down", "x.sql"))
    contents = files(A, B, refused=(*bad, ChatdbError(Code.BAD_FILE, "x")))
    assert plan.down(contents, applied(A, B)).problems == ()
    assert plan.redo(contents, applied(A, B)).problems == ()


# --- redo -----------------------------------------------------------------------------------------


def test_redo_rolls_back_the_newest_and_applies_the_file_on_disk() -> None:
    found = plan.redo(files(A, CHANGED), applied(A, B))
    assert steps(found) == ["down 0002", "up 0002"]
    assert found.steps[1].migration is CHANGED
    assert found.problems == ()


def test_redo_with_nothing_applied_does_nothing() -> None:
    assert plan.redo(FOUR, []).steps == ()


def test_redo_without_the_file_is_a_problem_and_rolls_nothing_back() -> None:
    found = plan.redo(files(A), applied(A, B))
    assert (steps(found), codes(found.problems)) == ([], [("missing", "0002")])


# --- dependencies ---------------------------------------------------------------------------------

FIRST_LATER = migration(A, up="-- depends: 0003_c")


def test_a_dependency_is_applied_first_and_rolled_back_last() -> None:
    contents = files(FIRST_LATER, B, C)
    assert [s.id for s in plan.up(contents, []).steps] == [B, C, A]
    assert [s.id for s in plan.up(contents, [], to="1").steps] == [B, C, A]
    assert [s.id for s in plan.up(contents, [], to="3").steps] == [B, C]
    rows = applied(FIRST_LATER, B, C)
    assert [s.id for s in plan.down(contents, rows).steps] == [A]
    assert [s.id for s in plan.down(contents, rows, everything=True).steps] == [A, C, B]


def test_down_to_a_version_follows_the_order_of_dependencies() -> None:
    found, rows = files(FIRST_LATER, B, C), applied(FIRST_LATER, B, C)
    assert plan.down(found, rows, to="1").steps == ()
    assert [s.id for s in plan.down(found, rows, to="3").steps] == [A]


def test_a_migration_without_a_file_is_rolled_back_before_all_older_ones() -> None:
    contents = files(FIRST_LATER, B, C)
    rows = applied(FIRST_LATER, B, C, "0004_gone")
    assert [s.id for s in plan.down(contents, rows, everything=True).steps] == [
        "0004_gone",
        A,
        C,
        B,
    ]


@st.composite
def histories(draw: st.DrawFn) -> tuple[Files, list[AppliedMigration]]:
    """Any files, some with dependencies, of which any are applied, and some have no file."""
    count = draw(st.integers(0, 7))
    order = draw(st.permutations(range(1, count + 1)))
    made = []
    for place, n in enumerate(order):
        before = [f"{m}_x" for m in order[:place]]
        depends = draw(st.lists(st.sampled_from(before), max_size=2)) if before else []
        made.append(migration(f"{n}_x", up=f"-- depends: {' '.join(depends)}"))
    rows = [row(m) for m in made if draw(st.booleans())]
    gone = draw(st.lists(st.sampled_from(["20_gone", "odd", "0_gone"]), unique=True))
    return files(*made), draw(st.permutations([*rows, *(row(g) for g in gone)]))


LIMITS = st.one_of(
    st.just({}),
    st.builds(lambda n: {"steps": n}, st.integers(1, 9)),
    st.builds(lambda n: {"to": str(n)}, st.integers(1, 7)),
)


@given(histories(), LIMITS)
def test_up_applies_each_migration_once_and_after_its_dependencies(
    made: tuple[Files, list[AppliedMigration]], asked: dict[str, Any]
) -> None:
    found, rows = made
    try:
        todo = plan.up(found, rows, **asked, allow_out_of_order=True).steps
    except ChatdbError as error:
        assert error.exit == Exit.USAGE  # noqa: PT017
        return
    done = {r.id for r in rows}
    pending = [m.id for m in compare.pending(found, rows)]
    assert [s.id for s in todo] == pending[: len(todo)]
    for step in todo:
        assert step.id not in done
        assert step.migration is not None
        assert set(step.migration.up.directives.depends) <= done
        done.add(step.id)


@given(histories())
def test_down_is_the_exact_reverse_of_up(made: tuple[Files, list[AppliedMigration]]) -> None:
    found, _ = made
    there = [s.id for s in plan.up(found, []).steps]
    rows = [row(m) for m in sorted(found.migrations, key=lambda m: m.id)]
    back = [s.id for s in plan.down(found, rows, everything=True).steps]
    assert back == there[::-1]
    for n, step in enumerate(there):
        left = plan.down(found, rows, to=step.split("_")[0]).steps
        assert [s.id for s in left] == back[: len(there) - n - 1]
        assert [s.id for s in plan.down(found, rows, steps=n + 1).steps] == back[: n + 1]


@given(histories(), LIMITS)
def test_down_rolls_back_only_applied_migrations_that_no_other_needs(
    made: tuple[Files, list[AppliedMigration]], asked: dict[str, Any]
) -> None:
    found, rows = made
    try:
        gone = [s.id for s in plan.down(found, rows, **asked).steps]
    except ChatdbError as error:
        assert error.exit == Exit.USAGE  # noqa: PT017
        return
    there = [r.id for r in rows]
    assert len(set(gone)) == len(gone)
    assert set(gone) <= set(there)
    everything = [s.id for s in plan.down(found, rows, everything=True).steps]
    assert gone == everything[: len(gone)]
    depends = {m.id: m.up.directives.depends for m in found.migrations}
    left = set(there)
    for step in gone:
        left.remove(step)
        assert all(step not in depends.get(other, ()) for other in left)


@given(histories())
def test_every_problem_names_its_migration_and_a_remedy(
    made: tuple[Files, list[AppliedMigration]],
) -> None:
    found, rows = made
    for problem in compare.problems(found, rows):
        assert problem.version is not None
        assert problem.version in problem.message
        assert problem.hint


def test_thousands_of_migrations_are_planned_quickly() -> None:
    many = [migration(f"{n:05}_x") for n in range(5_000)]
    found, rows = files(*many), applied(*many[::2])
    assert len(plan.up(found, rows, to="4999", allow_out_of_order=True).steps) == 2_500
    assert len(plan.down(found, rows, to="10").steps) == 2_494
