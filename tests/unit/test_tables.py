"""Tables: what is written is read again, and columns stand below each other."""

from dflm.tables import align, field, read_table, write_table
from hypothesis import given
from hypothesis import strategies as st

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=9)


@given(st.lists(st.tuples(texts, st.none() | st.floats(-1e6, 1e6) | st.integers())))
def test_a_table_is_read_as_it_was_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "a.tsv"
    records = [{"name": name, "value": value, "more": 1} for name, value in rows]
    write_table(path, ("name", "value"), records)
    assert path.read_text().count("\n") == len(rows) + 1
    wanted = [{key: field(record[key]) for key in ("name", "value")} for record in records]
    assert read_table(path) == wanted


def test_a_field_holds_no_tab_and_no_line_end():
    assert [field(value) for value in (None, 0.5, 3, "a\tb\r\nc ")] == [
        "",
        "0.500000",
        "3",
        "a b c",
    ]


def test_a_column_may_show_its_values_in_its_own_way(tmp_path):
    write_table(tmp_path / "a.tsv", "ab", [{"a": 1, "b": 2}], lambda name, value: name * value)
    assert (tmp_path / "a.tsv").read_text() == "a\tb\na\tbb\n"


def test_numbers_are_flush_right():
    lines = align([["set", "n"], ["a", "10"], ["bcde", "2"]], [False, True])
    assert lines == ["set    n", "a     10", "bcde   2"]
