"""Timer, Accumulator, and the Animator in a terminal and in Jupyter."""

import base64
import math
import struct
import subprocess
import sys

import numpy as np
import pytest
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpecManager

from d2lbert.training import plotting
from d2lbert.training.plotting import Accumulator, Animator, Timer, progress


def test_timer(monkeypatch):
    clock = iter([0, 10, 12, 20, 23]).__next__
    monkeypatch.setattr(plotting.time, "perf_counter", clock)
    timer = Timer()
    timer.start()
    assert timer.stop() == 2
    timer.start()
    assert timer.stop() == 3
    assert (timer.avg(), timer.sum(), timer.cumsum()) == (2.5, 5, [2, 5])


def test_accumulator():
    metric = Accumulator(2)
    metric.add(1, np.float32(0.5))
    metric.add(True, 2)
    assert (metric[0], metric[1]) == (2.0, 2.5)
    with pytest.raises(ValueError, match="3 values .* of 2"):
        metric.add(1, 2, 3)
    with pytest.raises(ValueError, match="1 values .* of 2"):
        metric.add(1)
    metric.reset()
    assert metric.data == [0.0, 0.0]


def test_a_point_may_be_a_number_or_one_for_each_curve():
    single = Animator()
    single.add(1, 5)
    single.add(np.int64(2), np.array(6.0))
    assert (single.X, single.Y) == ([[1, 2]], [[5, 6]])
    several = Animator()
    several.add(1, (0.1, None, 0.3))
    several.add([2, 3, 4], np.array([0.2, 0.5, 0.4]))
    assert several.X == [[1, 2], [3], [1, 4]]
    assert several.Y == [[0.1, 0.2], [0.5], [0.3, 0.4]]


def test_points_are_values_not_the_array_that_held_them():
    animator, loss = Animator(), np.array(1.0)
    animator.add(1, loss)
    loss[...] = 2
    assert animator.Y == [[1.0]]


# In a terminal

def test_rows_of_text_about_ten_over_xlim(capsys):
    animator = Animator("step", legend=["MLM loss", "NSP loss"],
                        xlim=[1, 1000])
    for step in range(1, 1001):
        animator.add(step, (4.3117 if step < 1000 else math.nan, 0.69314))
    rows = capsys.readouterr().out.splitlines()
    assert rows[0] == "step     1   MLM loss 4.312   NSP loss 0.693"
    assert rows[-1] == "step  1000   MLM loss nan   NSP loss 0.693"
    assert len(rows) == 11


def test_a_curve_with_few_points_has_its_rows(capsys):
    animator = Animator("epoch", legend=["loss", "test acc"], xlim=[0, 3])
    for epoch in range(3):
        for batch in range(1, 51):
            animator.add(epoch + batch / 50, (1, None))
        animator.add(epoch + 1, (None, 0.5))
    rows = capsys.readouterr().out.splitlines()
    assert [row for row in rows if "test acc" in row] == [
        f"epoch     {epoch}   test acc 0.500" for epoch in (1, 2, 3)]
    assert len(rows) == 11 + 3


def test_without_xlim_rows_come_by_the_clock(capsys, monkeypatch):
    now = iter(np.arange(0, 10, 0.1)).__next__
    monkeypatch.setattr(plotting.time, "monotonic", now)
    animator = Animator()
    for step in range(100):
        animator.add(step, step)
    assert 18 <= len(capsys.readouterr().out.splitlines()) <= 20


def test_a_terminal_needs_no_matplotlib_and_a_picture_no_window():
    code = """if True:
        import sys
        from d2lbert.training.plotting import Animator
        animator = Animator(xlim=(0, 2))
        animator.add(1, 1)
        assert "matplotlib" not in sys.modules
        animator.savefig(sys.argv[1])
        assert "matplotlib.pyplot" not in sys.modules
        """
    subprocess.run([sys.executable, "-c", code, "/dev/null"], check=True)


def test_progress_passes_its_items_on(monkeypatch, capsys):
    monkeypatch.setenv("D2LBERT_BUILD", "1")
    assert list(progress(range(3), disable=None)) == [0, 1, 2]
    assert list(progress("ab")) == ["a", "b"]
    assert capsys.readouterr().err == ""
    monkeypatch.delenv("D2LBERT_BUILD")
    assert list(progress("ab", disable=False)) == ["a", "b"]
    assert "2/2" in capsys.readouterr().err


# The picture

def figure_of(**options):
    animator = Animator(**options)
    for x in range(1, 6):
        animator.add(x, (x, 10.0 / x))
    return animator._figure()


def test_limits_scales_and_names_are_those_asked_for():
    (axes,) = figure_of(xlabel="step", ylabel="loss", legend=["a", "b"],
                        xlim=[1, 50], ylim=(0.1, 9), yscale="log").axes
    assert axes.get_xlim() == (1, 50) and axes.get_ylim() == (0.1, 9)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "loss")
    assert axes.get_yscale() == "log" and axes.get_xscale() == "linear"
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["a", "b"]


def test_a_curve_without_points_has_no_name():
    animator = Animator("epoch", legend=["loss", "train acc", "dev acc"])
    for x in range(3):
        animator.add(x, (1.0, None, None))
    (axes,) = animator._figure().axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["loss"] and len(axes.lines) == 1


def test_a_plot_of_one_step_has_no_warning(tmp_path, recwarn):
    plot = Animator(xlim=[1, 1])
    plot.add(1, 2.0)
    plot.savefig(tmp_path / "one.png")
    assert not list(recwarn)


def test_curves_differ_in_colour_and_line_unless_told():
    (axes,) = figure_of().axes
    assert [line.get_color() for line in axes.lines] == list(
        plotting.COLORS[:2])
    assert [line.get_linestyle() for line in axes.lines] == ["-", "--"]
    (axes,) = figure_of(fmts=["m:", "k-"]).axes
    assert [line.get_color() for line in axes.lines] == ["m", "k"]


def test_each_panel_has_its_curve():
    panels = figure_of(ncols=2, legend=["up", "down"]).axes
    assert [[line.get_label() for line in axes.lines]
            for axes in panels] == [["up"], ["down"]]


@pytest.mark.filterwarnings("error")
def test_not_a_number_is_a_gap_and_the_style_stays_here(tmp_path):
    import matplotlib
    before = dict(matplotlib.rcParams)
    animator = Animator(legend=["a", "b"], yscale="log")
    for x in range(5):
        animator.add(x, (math.nan, math.inf if x == 2 else x + 1))
    animator.savefig(tmp_path / "loss.png")
    header = (tmp_path / "loss.png").read_bytes()[:24]
    assert struct.unpack(">II", header[16:]) == (700, 500)
    assert dict(matplotlib.rcParams) == before


# In Jupyter, with a real kernel

@pytest.fixture(scope="module")
def kernel():
    manager = KernelManager(
        kernel_name="python3",  # this Python, whatever the user installed
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    manager.start_kernel(extra_arguments=["--log-level=ERROR"])
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run_cell(client, code):
    """What the cell sends, as pairs of a kind and its content."""
    sent = []

    def keep(message):
        kind, content = message["msg_type"], message["content"]
        if kind == "stream" and sent and sent[-1][0] == kind:
            # The kernel sends what is there, which may be half a line
            sent[-1][1]["text"] += content["text"]
        elif kind not in ("status", "execute_input"):
            sent.append((kind, content))

    client.execute_interactive(code, output_hook=keep, timeout=60)
    return sent


CELL = """
import os
{setting}
import matplotlib.figure
from d2lbert.training import plotting
plotting.PAUSE = {pause}
animator = plotting.Animator("step", xlim=(0, 1))
for step in plotting.progress(range(100)):
    animator.add(step / 100, (step, None))
print("trained")
"""
BUILD = "os.environ['D2LBERT_BUILD'] = '1'"
LIVE = "os.environ.pop('D2LBERT_BUILD', None)"


def test_a_build_draws_once_at_the_end_of_the_cell(kernel):
    kinds, contents = zip(*run_cell(
        kernel, CELL.format(setting=BUILD, pause=0)))
    assert kinds == ("stream", "display_data")
    figure = contents[1]
    assert figure["data"]["text/plain"] == (
        "<Figure size 350x250 with 1 Axes>")
    png = base64.b64decode(figure["data"]["image/png"])
    assert struct.unpack(">II", png[16:24]) == (700, 500)  # twice as fine
    assert figure["metadata"]["image/png"] == {"width": 350, "height": 250}
    assert run_cell(kernel, "1;") == []  # nothing is left behind
    again = run_cell(kernel, CELL.format(setting=BUILD, pause=0))
    assert again[1][1]["data"] == figure["data"]


def test_a_failing_cell_still_shows_its_curve_when_built(kernel):
    code = CELL.format(setting=BUILD, pause=0) + "1 / 0"
    assert [kind for kind, _ in run_cell(kernel, code)] == [
        "stream", "error", "display_data"]


def test_a_person_sees_one_figure_that_is_redrawn(kernel):
    sent = run_cell(kernel, CELL.format(setting=LIVE, pause=1e9))
    figures = [item for item in sent if item[0] != "stream"]
    assert [kind for kind, _ in figures] == [
        "display_data", "update_display_data"]  # at the start, at the end
    first, last = (content for _, content in figures)
    assert first["transient"] == last["transient"]
    assert first["data"]["image/png"] != last["data"]["image/png"]
    assert "stderr" not in [c.get("name") for _, c in sent]  # no bar
    (kind, new), *_ = run_cell(kernel, "animator.add(1, 1)")
    assert kind == "display_data"  # another figure for another cell
    assert new["transient"] != first["transient"]


@pytest.mark.parametrize("setting", [BUILD, LIVE])
def test_captured_training_leaves_no_figure(kernel, setting):
    captured = """
from IPython.utils.capture import capture_output
with capture_output():
    exec({cell!r})
""".format(cell=CELL.format(setting=setting, pause=0))
    assert run_cell(kernel, captured) == []
    assert run_cell(kernel, "%%capture\n" + CELL.format(
        setting=setting, pause=0)) == []


WATCHED = """
import os
{setting}
from d2lbert.training.logs import TrainingLog
log, batch = TrainingLog(100), (__import__("numpy").zeros((2, 3)),)
for step, _ in enumerate(log.watch([batch] * 100)):
    if step == 0:
        print("step 1 runs")
    log.add(5.0, 0.5)
"""


def test_an_empty_plot_is_there_before_the_first_step(kernel):
    sent = run_cell(kernel, WATCHED.format(setting=LIVE))
    kinds = [kind for kind, _ in sent]
    assert kinds[0] == "display_data" and kinds[1] == "stream"
    assert set(kinds[2:]) == {"update_display_data"}
    assert sent[0][1]["data"]["text/plain"] == (
        "<Figure size 700x250 with 2 Axes>")  # an axis for each loss
    assert [kind for kind, _ in run_cell(
        kernel, WATCHED.format(setting=BUILD))] == ["stream", "display_data"]


def test_the_words_of_an_empty_plot_go_with_the_first_point():
    animator = Animator("step", ncols=2)
    animator.wait("step 0 of 9")
    assert [axes.texts[0].get_text() for axes in animator._figure().axes] == [
        "step 0 of 9"] * 2
    animator.add(1, (2, 3))
    assert not any(axes.texts for axes in animator._figure().axes)
