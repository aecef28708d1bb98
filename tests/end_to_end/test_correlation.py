"""`koppelhub correlation try`: the rules on a whole school, without anything being done."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from tests.support.shell import Shell


def test_a_whole_school_is_answered_as_it_stands_and_nothing_is_changed(quick: Shell) -> None:
    new = quick("correlation", "try", "--source", "somtoday-demo", "--read", "--json")
    assert new.code == 0
    done = quick.of_source("sync", "--json").data
    fresh = new.data["changes"]["fresh"]
    links = quick.line.query("SELECT COUNT(*) FROM link")[0][0]
    assert fresh == links == done["situations"]["unmatched"] + done["situations"].get("unlinked", 0)

    before = quick.everything()
    told = quick("correlation", "try", "--source", "somtoday-demo", "--json")
    assert quick.everything() == before
    assert (told.code, told.data["changes"]) == (0, {"same": links})
    assert sum(rule["records"] for rule in told.data["rules"]) == links
    assert told.data["records"] == []
    text = quick("correlation", "try", "--source", "somtoday-demo")
    assert "zoals nu" in text.out
    assert "Er is niets gewijzigd." in text.out
    runs = quick.line.query("SELECT COUNT(*) FROM run WHERE state = 'done'")
    assert runs == [(2,)]  # the reading and the run: to try makes none


def test_other_rules_are_tried_and_written_down(quick: Shell, tmp_path: Path) -> None:
    quick.of_source("sync")

    def tries(*options: str, code: int = 0) -> str:
        said = quick("correlation", "try", "--source", "somtoday-demo", *options)
        assert said.code == code, said.out + said.err
        return said.out + said.err

    path = tmp_path / "proef.toml"
    path.write_text('[policy.reactions]\nunmatched = "case"\n')
    out = tries("--policy", str(path), "--entity", "vestiging", "--csv", "-", code=1)
    rows = list(csv.DictReader(io.StringIO(out), delimiter=";"))
    assert {row["verschil"] for row in rows} == {"wordt een zaak"}
    assert {row["entiteit"] for row in rows} == {"vestiging"}
    assert {row["regel"] for row in rows} == {"unmatched: policy asks a person"}
    assert "zonder score" in tries("--without", "score")
    tries("--case-at", "0.5")
    assert "Bedoelt u eck_id" in tries("--without", "eckid", code=2)
    path.write_text("[guards]\n")
    tries("--policy", str(path), code=2)
    tries("--policy", str(tmp_path / "niet.toml"), code=64)
    tries("--case-at", "1.5", code=2)
    tries("--change", "anders", code=2)
    tries("--json", "--csv", "-", code=64)
