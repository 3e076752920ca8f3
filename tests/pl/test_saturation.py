"""``pl.saturation``: what is drawn is what the table says."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import r2mae_bio as rb
from r2mae_bio._errors import ConfigError, SetupError


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def make(p, reference, first=98):
    log_p = np.log(np.asarray(p, float))
    known = ["ACGT".find(base) for base in reference]
    ratios = np.array([row - row[k] if k >= 0 else np.full(4, np.nan) for row, k in zip(log_p, known, strict=True)])
    columns = {"chrom": "chr1", "pos": np.arange(len(p)) + first, "ref": list(reference)}
    columns |= {f"logp_{base}": log_p[:, i] for i, base in enumerate("ACGT")}
    columns |= {f"llr_{base}": ratios[:, i] for i, base in enumerate("ACGT")}
    information = 2 + np.sum(np.exp(log_p) * log_p, axis=1) / np.log(2)
    return pd.DataFrame({**columns, "information": information})


def random_table(n=30, seed=0):
    rng = np.random.default_rng(seed)
    reference = "".join(rng.choice(list("ACGTN"), n, p=[0.23] * 4 + [0.08]))
    return make(rng.dirichlet(np.ones(4) / 2, n), reference)


def letters(ax):
    """Boxes (left, bottom, right, top) of the letters drawn, by base."""
    return {c.get_label(): [tuple(p.get_extents().extents) for p in c.get_paths()] for c in ax.collections}


def test_letters_are_as_high_as_their_share_of_the_information():
    ax = rb.pl.saturation(make([[0.5, 0.3, 0.15, 0.05]], "A"))[1]
    p = np.array([0.5, 0.3, 0.15, 0.05])
    bits = 2 + np.sum(p * np.log2(p))
    boxes = {base: box[0] for base, box in letters(ax).items()}
    for base, share in zip("ACGT", p, strict=True):
        assert boxes[base][3] - boxes[base][1] == pytest.approx(share * bits)
    assert boxes["T"][1] == pytest.approx(0)
    for low, high in ("TG", "GC", "CA"):
        assert boxes[high][1] == pytest.approx(boxes[low][3])
    assert boxes["A"][3] == pytest.approx(bits)
    assert all(-0.5 < left < right < 0.5 for left, _, right, _ in boxes.values())


def test_stacks_reach_the_information_at_every_base():
    table = random_table()
    ax = rb.pl.saturation(table)[1]
    boxes = np.array([box for base in letters(ax).values() for box in base])
    column = np.rint((boxes[:, 0] + boxes[:, 2]) / 2).astype(int)
    top = np.array([boxes[column == i, 3].max(initial=0) for i in range(len(table))])
    np.testing.assert_allclose(top, table["information"], atol=0.01 * table["information"].max())
    assert ax.get_ylim()[1] >= table["information"].max()


def test_bases_without_information_have_no_letters():
    ax = rb.pl.saturation(make([[0.25] * 4] * 3, "ACG"))[1]
    assert not any(letters(ax).values())


def test_the_heat_map_holds_the_ratios_and_dots_mark_the_reference():
    table = random_table()
    ax = rb.pl.saturation(table)[0]
    image = ax.images[0]
    ratios = table[[f"llr_{base}" for base in "ACGT"]].to_numpy().T
    np.testing.assert_array_equal(image.get_array().filled(np.nan), ratios)
    low, high = image.get_clim()
    assert low == -high
    dots = {(int(x), "ACGT"[int(y)]) for x, y in ax.lines[0].get_xydata()}
    assert dots == {(i, base) for i, base in enumerate(table["ref"]) if base != "N"}
    assert [t.get_text() for t in ax.get_yticklabels()] == list("ACGT")
    assert "".join(t.get_text() for t in ax.get_xticklabels()) == "".join(table["ref"])
    red, blue = (image.cmap(image.norm(v)) for v in (low, high))
    assert red[0] > red[2]
    assert blue[2] > blue[0]


def test_the_colours_end_where_asked():
    image = rb.pl.saturation(random_table(), vmax=2.5)[0].images[0]
    assert image.get_clim() == (-2.5, 2.5)


@pytest.mark.parametrize("n", [1, 10, 60, 200, 600])
def test_positions_are_those_of_the_table(n):
    table = random_table(n)
    axes = rb.pl.saturation(table)
    axes[0].figure.canvas.draw()
    labels = {round(x): t.get_text() for x, t in zip(axes[1].get_xticks(), axes[1].get_xticklabels(), strict=True)}
    assert labels == {i: f"{table['pos'].iloc[i]:,}" for i in labels}
    assert n == 1 or 2 <= len(labels) <= 25
    step = np.gcd.reduce(np.diff(list(labels)))
    assert all(table["pos"].iloc[i] % max(step, 1) == 0 for i in labels)
    assert axes[1].get_xlabel() == "position on chr1"
    assert axes[0].get_xlim() == axes[1].get_xlim() == (-0.5, n - 0.5)
    left, right = (ax.get_position() for ax in axes)
    assert (left.x0, left.x1) == pytest.approx((right.x0, right.x1))


def test_rows_of_a_table_and_given_axes():
    table = random_table()
    given = plt.subplots(2)[1]
    axes = rb.pl.saturation(table.iloc[5:15], axes=given)
    assert list(axes) == list(given)
    assert axes[0].get_title(loc="left") == "chr1:103-112"
    both = pd.concat([table, table.assign(chrom="chr2")])
    axes = rb.pl.saturation(both)
    assert axes[0].get_title(loc="left") == "60 bases"
    assert axes[1].get_xlabel() == "position"
    assert rb.pl.saturation(table, title="")[0].get_title(loc="left") == ""


def test_what_cannot_be_drawn_is_refused():
    table = random_table()
    with pytest.raises(SetupError, match=r"lacks the columns \['llr_C'\].*tl\.saturation_mutagenesis"):
        rb.pl.saturation(table.drop(columns="llr_C"))
    with pytest.raises(SetupError, match="has no rows"):
        rb.pl.saturation(table.iloc[:0])
    with pytest.raises(ConfigError, match="1 axes; needed are two"):
        rb.pl.saturation(table, axes=[plt.subplots()[1]])
    for vmax in (0, -1, float("nan")):
        with pytest.raises(ConfigError, match="positive number of nats"):
            rb.pl.saturation(table, vmax=vmax)
