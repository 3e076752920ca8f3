"""Tables of labelled sequences: what is refused, which rows are held out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from r2mae_bio.errors import DataError, FastaError, NotDNAError, SetupError
from r2mae_bio.io import encode_sequences, read_sequence_table

from ..toy_sequences import motif_frame


def test_tables_that_cannot_be_used_say_why(tmp_path):
    table = motif_frame(240)
    with pytest.raises(SetupError, match="'split'"):
        read_sequence_table(table.drop(columns="split"))
    with pytest.raises(DataError, match="'valid'"):
        read_sequence_table(table.replace({"split": {"dev": "valid"}}))
    for missing in (None, np.nan, pd.NA):
        parts = [missing, "valid", *table["split"].tolist()[2:]]
        with pytest.raises(DataError, match="holds .*'valid'; needed are"):
            read_sequence_table(table.assign(split=parts))
    with pytest.raises(DataError, match="two classes"):
        read_sequence_table(table[table["label"] == 1])
    with pytest.raises(DataError, match="no class|No train row has the class"):
        read_sequence_table(table.assign(label=np.where(table["split"] == "test", 7, table["label"])))
    with pytest.raises(DataError, match="cannot be read"):
        read_sequence_table(tmp_path / "nothing.tsv")


@pytest.mark.parametrize(
    ("sequence", "error", "said"),
    [
        ("ACGU", NotDNAError, "The sequence of row 1 holds 'U'; needed are A, C, G, T, N and IUPAC codes. Write U of RNA as T"),
        ("MKVLEF", NotDNAError, "row 1 holds 'E' 'F' 'L'"),
        ("AC GT", NotDNAError, "row 1 holds ' '"),
        ("ACGT\n", NotDNAError, r"row 1 holds '\\n'"),
        ("AC-GT", NotDNAError, "row 1 holds '-'"),
        ("", FastaError, "row 1 is ''"),
        (None, FastaError, "row 1 is None"),
    ],
)
def test_letters_of_a_table_are_those_of_other_doors(sequence, error, said):
    table = motif_frame(240).astype({"sequence": object})
    table.loc[table.index[1], "sequence"] = sequence
    with pytest.raises(error, match=said):
        read_sequence_table(table)


def test_case_does_not_matter_and_other_codes_are_unknown():
    found = encode_sequences(["ACGT", "acgt", "NRYSWKMBDHV"])
    assert [codes.tolist() for codes in found] == [[0, 1, 2, 3], [0, 1, 2, 3], [4] * 11]


def test_dev_rows_are_drawn_from_train_rows_by_seed(tmp_path):
    table = motif_frame(240)
    table = table[table["split"] != "dev"]
    table.to_csv(tmp_path / "t.tsv.gz", sep="\t", index=False)
    drawn = [read_sequence_table(tmp_path / "t.tsv.gz", seed=seed) for seed in (0, 0, 1)]
    assert all(t.dev_from_train and len(t.dev) == 4 and len(t.test) == 100 for t in drawn)
    names = [sorted(codes.tobytes() for codes in t.dev.codes) for t in drawn]
    assert names[0] == names[1] != names[2]
    assert not set(names[0]) & {codes.tobytes() for codes in drawn[0].train.codes}
    assert np.bincount(drawn[0].dev.labels).tolist() == [2, 2]
