"""Pretrained models by name, and checkpoints of every origin."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from harness import (
    SIZES,
    V,
    each_backend,
    forward,
    installed,
    load,
    make_batch,
    save,
    small_bert,
    small_classifier,
)
from safetensors.numpy import save_file
from webserver import sha1, zipped

from d2lbert.backends import BACKENDS, load_backend
from d2lbert.checkpoints.d2l import (
    BERT_MINI,
    bert_shapes,
    find_pretrained,
    load_pretrained_params,
    pretrained_sizes,
    save_pretrained_model,
)
from d2lbert.checkpoints.gluonfiles import read_gluon_file
from d2lbert.checkpoints.params import (
    fit_params,
    initial_params,
    load_params,
    save_params,
)
from d2lbert.checks import CheckpointError
from d2lbert.data import hub
from d2lbert.data.batches import corpus_vocab
from d2lbert.data.corpora import load_corpus
from d2lbert.data.vocab import Vocab
from d2lbert.run.bert_mini import RECIPE
from d2lbert.run.models import make_bert

DATA = Path(__file__).parent / "data"
MINI = {"num_hiddens": 128, "ffn_num_hiddens": 256, "num_heads": 2,
        "num_blks": 2, "max_len": 64}
SMALL = {"num_hiddens": 256, "ffn_num_hiddens": 512, "num_heads": 4,
         "num_blks": 2, "max_len": 512}
WORDS = [*"abcdefgh", "<unk>", "<pad>", "<mask>", "<cls>", "<sep>"]


def pretrained(backend, name, **sizes):
    """bert, vocab and, as a NumPy checkpoint, the weights."""
    d2l = load_backend(backend)
    bert, vocab, *params = d2l.load_pretrained_model(
        name, dropout=0.1, devices=d2l.try_all_gpus(), **sizes)
    return bert, vocab, d2l.export_params(*(params or [bert]))


def assert_equal(ours, theirs):
    assert set(ours) == set(theirs)
    for name, array in theirs.items():
        np.testing.assert_array_equal(ours[name], array)


# bert.mini

@each_backend()
def test_bert_mini_loads(backend):
    _, vocab, params = pretrained(backend, "bert.mini", **MINI)
    path, _ = find_pretrained("bert.mini")
    assert_equal(params, load_params(path))
    assert len(vocab) == len(params["encoder.token_embedding.weight"])
    assert pretrained_sizes("bert.mini") == MINI


def test_bert_mini_is_small_and_knows_mini_wiki():
    path, vocab = find_pretrained("bert.mini")
    size = sum(p.stat().st_size for p in path.parent.iterdir()
               if p.is_file())
    assert size < 3e6
    assert vocab.idx_to_token == corpus_vocab(
        load_corpus("mini-wiki")).idx_to_token
    assert RECIPE.sizes == pretrained_sizes("bert.mini")


@pytest.mark.skipif(not installed("torch"), reason="torch is not installed")
def test_bert_mini_was_pretrained():
    """Its held-out losses are what the recipe printed, roughly."""
    d2l = load_backend("torch")
    bert, *_ = pretrained("torch", "bert.mini", **MINI)
    held_out = d2l.load_held_out_wiki(128, 64, corpus="mini-wiki")
    mlm, nsp, accuracy = d2l.evaluate_bert(bert, held_out)
    assert mlm < 0.65 and nsp < 0.25 and accuracy > 0.93


@each_backend()
@pytest.mark.parametrize("size, value", [
    ("num_heads", 4), ("num_hiddens", 256), ("max_len", 512),
    ("num_blks", 3)])
def test_wrong_sizes_are_an_error(backend, size, value):  # [15]
    with pytest.raises(CheckpointError,
                       match=f"with {size}={MINI[size]}, not {value}"):
        pretrained(backend, "bert.mini", **{**MINI, size: value})


# Downloaded models

def archive(backend_file, folder="bert.small.torch"):
    return zipped({f"{folder}/pretrained.params": backend_file,
                   f"{folder}/vocab.json": json.dumps(WORDS).encode()})


def offer(site, data, name="bert.small", hash_of=None):
    site.pages[f"/{name}.torch.zip"] = data
    hub.DATA_HUB[name] = (f"{site.url}/{name}.torch.zip",
                          sha1(hash_of or data))


def torch_file(params, **options):
    torch = pytest.importorskip("torch")
    file = io.BytesIO()
    torch.save({name: torch.from_numpy(array)
                for name, array in params.items()}, file, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def small_params():
    return initial_params(bert_shapes(len(WORDS), **SMALL), seed=5)


@each_backend()
@pytest.mark.usefixtures("empty_cache")
def test_a_model_of_d2ls_kind_is_downloaded_once(backend, site, small_params):
    """A zip of a legacy PyTorch file, as d2l serves it."""
    offer(site, archive(torch_file(
        small_params, _use_new_zipfile_serialization=False)))
    for _ in range(2):
        _, vocab, params = pretrained(backend, "bert.small", **SMALL)
        assert_equal(params, small_params)
    assert len(site.asked) == 1
    assert vocab["<pad>"] == 9 and vocab["unheard"] == vocab.unk == 8
    with pytest.raises(CheckpointError, match="num_heads=4, not 8"):
        pretrained(backend, "bert.small", **{**SMALL, "num_heads": 8})


@pytest.mark.usefixtures("empty_cache")
def test_a_changed_archive_is_not_trusted(site):
    offer(site, archive(b"other"), hash_of=b"the right one")
    with pytest.raises(hub.DownloadError, match="its SHA-1 is wrong"):
        find_pretrained("bert.small")


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.skipif(not installed("mxnet"), reason="mxnet is not installed")
def test_a_gluon_file_under_d2ls_name(site, tmp_path):
    """d2l's MXNet programs put Gluon's archive under the same name."""
    source = small_bert("mxnet", **{**SMALL, "num_blks": 2})
    source.net.save_parameters(str(tmp_path / "gluon"))
    words = [f"w{i}" for i in range(V - 1)] + ["<unk>"]
    offer(site, zipped({
        "bert.small.torch/pretrained.params": (
            tmp_path / "gluon").read_bytes(),
        "bert.small.torch/vocab.json": json.dumps(words).encode()}))
    assert_equal(pretrained("mxnet", "bert.small", **SMALL)[2],
                 source.export_params())


# Folders of one's own

@each_backend()
def test_a_folder_of_ones_own(backend, tmp_path):
    vocab = Vocab([[f"w{i}" for i in range(V - 1)]])
    sizes = {k: v for k, v in SIZES.items() if k != "dropout"}
    params = small_bert(backend).export_params()
    save_pretrained_model(tmp_path / "mine", params, vocab, **sizes)
    _, read, own = pretrained(backend, str(tmp_path / "mine"), **sizes)
    assert_equal(own, params)
    assert read.idx_to_token == vocab.idx_to_token
    with pytest.raises(CheckpointError, match="num_heads=2, not 4"):
        pretrained(backend, str(tmp_path / "mine"),
                   **{**sizes, "num_heads": 4})


@pytest.mark.parametrize("change, said", [
    ({"num_blks": 10**9}, "1000000000 layers"),
    ({"num_blks": "2"}, "num_blks is '2', not a whole number"),
    ({"num_heads": 0}, "num_heads is 0, not a whole number"),
    ({"max_len": True}, "max_len is True"),
    ({"max_len": None}, "max_len is None")])
def test_sizes_that_cannot_be(change, said, tmp_path):
    shutil.copytree(BERT_MINI, tmp_path / "mine")
    config = tmp_path / "mine" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    with pytest.raises(CheckpointError, match=said):
        load_pretrained_params(tmp_path / "mine")


def test_sizes_that_nobody_wrote_down(tmp_path):
    shutil.copytree(BERT_MINI, tmp_path / "mine")
    params, vocab, sizes = load_pretrained_params(tmp_path / "mine")
    assert sizes == pretrained_sizes("bert.mini") and len(vocab) in (
        params["mlm.mlp.3.bias"].shape)
    (tmp_path / "mine" / "config.json").unlink()
    with pytest.raises(CheckpointError, match="does not say its num_hiddens"):
        load_pretrained_params(tmp_path / "mine")


@pytest.mark.parametrize("text, said", [
    ("[1, 2]", "is no vocabulary"), ('["a", "b"]', "<unk> among them"),
    ('{"a": 1}', "a JSON dict, not a list"), ("[", "is not JSON")])
def test_what_is_not_a_vocabulary(text, said, tmp_path):
    (tmp_path / "vocab.json").write_text(text)
    with pytest.raises(CheckpointError, match=said):
        find_pretrained(str(tmp_path))


def test_unknown_names_and_empty_folders(tmp_path):
    with pytest.raises(ValueError, match="unknown model 'bert.tiny'.*or a "):
        find_pretrained("bert.tiny")
    with pytest.raises(FileNotFoundError, match="there is no .*vocab.json"):
        find_pretrained(str(tmp_path))


# Checkpoints

@each_backend()
@pytest.mark.parametrize("file", ["d2l_torch_legacy.params",
                                  "d2l_torch_zip.params"])
def test_d2ls_own_pytorch_files(backend, file):
    """Written by d2l's model and torch.save in d2l's environment."""
    held = load_params(DATA / "d2l_torch.safetensors")
    bert = small_bert(backend)
    load(bert, DATA / file)
    assert_equal(bert.export_params(), {
        name.removeprefix("params/"): array for name, array in held.items()
        if name.startswith("params/")})


@each_backend()
def test_d2ls_own_gluon_file_is_a_checkpoint_too(backend, tmp_path):
    bert = small_bert(backend)
    load(bert, DATA / "d2l_gluon.params")
    before = bert.export_params()
    held = read_gluon_file(DATA / "d2l_gluon.params")
    assert len(before) == len(held)
    for name, theirs in [("encoder.token_embedding.weight",) * 2,
                         ("encoder.blks.1.addnorm2.ln.bias",
                          "encoder.blks.1.addnorm2.ln.beta"),
                         ("mlm.mlp.3.weight", "mlm.mlp.2.weight")]:
        np.testing.assert_array_equal(before[name], held[theirs])
    cut = tmp_path / "cut.params"
    cut.write_bytes((DATA / "d2l_gluon.params").read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a whole file"):
        load(bert, cut)
    assert_equal(bert.export_params(), before)


@each_backend()
def test_classifiers_go_round(backend, tmp_path):
    for writer in filter(installed, BACKENDS):
        source = small_classifier(writer, 1)
        target = small_classifier(backend, 2)
        save(source, tmp_path / "c.safetensors")
        load(target, tmp_path / "c.safetensors")
        assert_equal(target.export_params(), source.export_params())


@each_backend()
def test_every_block_and_head_has_a_name_of_its_own(backend):  # [15]
    sizes = dict(num_hiddens=4, ffn_num_hiddens=4, num_heads=2, num_blks=12,
                 dropout=0.0, max_len=3)
    params = initial_params(bert_shapes(9, **sizes), 1)
    bert = make_bert(backend, 9, **sizes)
    bert.import_params(params)
    assert_equal(bert.export_params(), params)


def broken(params, what):
    params, name = dict(params), "encoder.blks.1.ffn.dense1.weight"
    if what == "missing":
        del params[name]
    elif what == "more":
        params["encoder.blks.7.ffn.dense1.weight"] = params[name]
    elif what == "shape":
        params[name] = params[name].T.copy()
    elif what == "integers":
        params[name] = params[name].astype(np.int64)
    else:
        params[name] = np.where(np.arange(16) == 3, what, params[name]
                                ).astype(np.float32)
    return params


@each_backend()
@pytest.mark.parametrize("what, said", [
    ("missing", "dense1.weight is missing"),
    ("more", "blks.7.ffn.dense1.weight is not part of the model"),
    ("shape", r"has shape \(16, 24\), the model's is \(24, 16\)"),
    ("integers", "holds int64, not floating"),
    (np.nan, "not finite"), (np.inf, "not finite")])
def test_a_file_that_does_not_fit(backend, what, said, tmp_path):
    bert = small_bert(backend)
    before = bert.export_params()
    save_file(broken(before, what), tmp_path / "x")
    with pytest.raises(CheckpointError, match=said):
        load(bert, tmp_path / "x")
    assert_equal(bert.export_params(), before)


@pytest.mark.parametrize("what", [np.nan, np.inf])
def test_nothing_that_is_not_finite_is_saved(what, tmp_path):
    params = broken(initial_params(bert_shapes(V, **SIZES)), what)
    with pytest.raises(CheckpointError, match="dense1.weight .* not finite"):
        save_params(tmp_path / "x", params)
    assert not list(tmp_path.iterdir())


@each_backend()
def test_half_precision_is_read_as_single(backend, tmp_path):
    bert = small_bert(backend)
    half = {name: array.astype(np.float16)
            for name, array in bert.export_params().items()}
    save_params(tmp_path / "half", half)
    load(bert, tmp_path / "half")
    params = bert.export_params()
    assert {a.dtype for a in params.values()} == {np.dtype(np.float32)}
    assert_equal(params, {k: v.astype(np.float32) for k, v in half.items()})
    assert np.isfinite(forward(bert, make_batch())[0]).all()


def test_bfloat16_safetensors_are_read_exactly(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file
    tensor = torch.randn(3, 5).bfloat16()
    save_file({"a": tensor, "b": torch.tensor([True, False])},
              tmp_path / "x")
    read = load_params(tmp_path / "x")
    np.testing.assert_array_equal(read["a"], tensor.float().numpy())
    assert read["b"].tolist() == [True, False]


@pytest.mark.parametrize("data", [b"", b"PK", b"text that is no model",
                                  b"\x80\x02}q\x00.", bytes(100)])
def test_what_is_not_a_checkpoint(data, tmp_path):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(CheckpointError, match="x"):
        load_params(tmp_path / "x")
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        load_params(tmp_path / "y")


def test_a_long_list_of_misfits_is_cut():
    with pytest.raises(CheckpointError, match="and 165 more$"):
        fit_params({}, bert_shapes(9, 4, 4, 2, 12))
