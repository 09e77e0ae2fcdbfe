"""Corpora larger than memory: what is written, read, and refused; and the
rows of a batch that a worker takes."""

import argparse
import json
from collections import Counter

import numpy as np
import pytest
from harness import VOCAB as PAIR_VOCAB, random_pairs

from d2lbert.data import loaders, sharding
from d2lbert.data.batches import PretrainingBatches, corpus_vocab, take
from d2lbert.data.corpora import load_corpus
from d2lbert.data.pairs import PairBatches, SNLIBERTDataset
from d2lbert.data.parts import part_of
from d2lbert.data.pretraining import index_sentences
from d2lbert.data.sharding import cut_texts, find_texts, write_shards
from d2lbert.data.shards import (
    ARRAYS,
    HELD_OUT,
    PARTS,
    TRAIN,
    ShardBatches,
    open_shards,
)
from d2lbert.data.vocab import unigram_entropy
from d2lbert.run import pretraining
from d2lbert.run.shards import main

MEGABYTE = 2**20
SIZE, LENGTH = 16, 24  # of a batch


def write_text(path, num_paragraphs=400, seed=0):
    """A text of random words, some rare; four number each sentence.

    Words such as five0 are seen five times, the least that is not rare.
    """
    rng = np.random.default_rng(seed)
    words = [f"w{i}" for i in range(60)] + ["Été", "<unk>"]
    path.write_text("".join(
        " . ".join(" ".join([*f"{9 * i + s:04}", *rng.choice(
            words, rng.integers(1, 12)), *["rare", f"r{i}", f"r{i}"][:s],
            *[f"five{i // 5}"][s:]])
            for s in range(rng.integers(1, 6))) + " . \n"
        for i in range(num_paragraphs)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return write_text(tmp_path_factory.mktemp("text") / "text.txt")


@pytest.fixture(scope="module")
def written(text):
    folder = text.with_name("shards")
    write_shards(text, folder, megabytes=text.stat().st_size / MEGABYTE / 4.5)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """A copy to damage."""
    import shutil
    return shutil.copytree(written, tmp_path / "copy")


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*") if path.is_file()}


def equal(one, two):
    return len(one) == len(two) and all(
        x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(one, two))


# What is written

def test_the_bytes_do_not_depend_on_the_number_of_processes(
        text, written, tmp_path):
    for processes in (2, 3):
        write_shards(text, tmp_path / "new", processes,
                     megabytes=text.stat().st_size / MEGABYTE / 4.5)
        assert files_in(tmp_path / "new") == files_in(written)
    assert len(open_shards(written).parts[TRAIN]) == 5


def test_one_shard_is_what_is_in_memory_without_it(text, tmp_path):
    write_shards(text, tmp_path / "one")
    shards, corpus = open_shards(tmp_path / "one"), load_corpus(text)
    vocab = corpus_vocab(corpus)
    assert shards.vocab.idx_to_token == vocab.idx_to_token
    assert shards.vocab.token_to_idx == vocab.token_to_idx
    often = dict(shards.vocab.token_freqs)
    assert all(often[word] == n for word, n in vocab.token_freqs
               if n >= 5 and word != "<unk>")
    assert len(shards.vocab.token_freqs) == len(vocab.token_freqs)
    assert unigram_entropy(shards.vocab) == pytest.approx(
        unigram_entropy(vocab), rel=1e-12)
    for part, paragraphs in zip(PARTS, (corpus.train, corpus.held_out)):
        batches = ShardBatches(shards, SIZE, LENGTH, part=part)
        wanted = index_sentences(paragraphs, vocab)
        assert batches.num_examples == wanted.num_pairs
        assert equal(*([getattr(s, name) for name in (
            "tokens", "start", "length", "first", "size", "text")]
            for s in (batches._read(0), wanted)))


def test_a_vocabulary_can_be_cut(text, tmp_path):
    write_shards(text, tmp_path / "few", max_words=20)
    vocab = open_shards(tmp_path / "few").vocab
    assert len(vocab) == 25 and vocab["été"] in (0, *range(5, 25))
    assert len(open_shards(tmp_path / "few").parts[TRAIN]) == 1


@pytest.mark.parametrize("size", [1, 7, 50, 10**6])
def test_every_line_is_in_one_piece(size, tmp_path):
    texts = {"b.txt": "\ufeffé . a\r\n\n\nlong line . ünd ½\n",
             "a.tokens": "no end . of line", "c.txt": "", "d.txt": "x\n",
             "skipped.md": "not this"}
    for name, content in texts.items():
        (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    pieces = cut_texts(find_texts(tmp_path), size)
    lines = [line for piece in pieces for line in piece.read().split("\n")]
    assert [line.strip() for line in lines if line.strip()] == [
        "no end . of line", "é . a", "long line . ünd ½", "x"]
    assert len(pieces) == -(-sum(
        (tmp_path / name).stat().st_size for name in texts
        if name != "skipped.md") // size)


def test_pieces_without_pairs_are_left_out_and_said(tmp_path, capsys):
    good = write_text(tmp_path / "a.txt", 100).stat().st_size
    (tmp_path / "b.txt").write_text("one . line\n" * (good // 11))
    assert main([str(tmp_path), str(tmp_path / "new"), "--processes", "1",
                 "--shard-megabytes", str(good / MEGABYTE)]) == 0
    said = capsys.readouterr().out
    assert "1 shards of" in said and "left out: 1 pieces" in said
    (tmp_path / "a.txt").unlink()
    assert main([str(tmp_path), str(tmp_path / "none"), "--processes", "1"])
    assert "no shard can be made of" in capsys.readouterr().err
    assert not list(tmp_path.glob("*none*"))


def test_a_text_that_is_not_utf8_or_not_there(tmp_path):
    path = write_text(tmp_path / "text.txt")
    at = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"caf\xe9 . so\n")
    with pytest.raises(ValueError, match=f"byte {at + 3:,} of .* not UTF-8"):
        write_shards(path, tmp_path / "new", megabytes=0.001)
    with pytest.raises(FileNotFoundError, match="no file .*nowhere"):
        write_shards(tmp_path / "nowhere", tmp_path / "new")
    assert [p.name for p in tmp_path.iterdir()] == ["text.txt"]


def test_what_dies_leaves_what_was_there(folder, text, tmp_path, monkeypatch):
    before = files_in(folder)
    # Killed, and nothing tidies up after it
    with monkeypatch.context() as broken:
        broken.setattr("shutil.rmtree", lambda *_, **__: None)
        broken.setattr(sharding, "_finish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write_shards(text, folder, megabytes=0.03)
    draft = tmp_path / ".copy.unfinished"
    assert files_in(folder) == before and draft.is_dir()
    with pytest.raises(FileNotFoundError, match="an unfinished one"):
        open_shards(draft)
    write_shards(text, folder, megabytes=0.03)
    assert not draft.exists() and files_in(folder) != before
    open_shards(folder)


def test_what_is_no_shards_is_not_replaced(text, tmp_path):
    for place in (tmp_path / "mine", tmp_path / ".mine.unfinished"):
        (place / "train").mkdir(parents=True)
        (place / "train" / "thesis.txt").write_text("years of work")
        with pytest.raises(FileExistsError, match="something else"):
            write_shards(text, tmp_path / "mine")
        assert (place / "train" / "thesis.txt").read_text()
        (place / "train" / "thesis.txt").unlink()
    write_shards(text, tmp_path / "mine")  # over an unfinished one


@pytest.mark.parametrize("options, said", [
    (["--processes", "0"], "--processes is 0"),
    (["--min-freq", "0"], "--min-freq is 0"),
    (["--max-words", "-3"], "--max-words is -3"),
    (["--shard-megabytes", "0"], "--shard-megabytes is 0"),
    (["--shard-megabytes", "5000"], "at most 1024")])
def test_wrong_options_are_one_sentence(options, said, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["text.txt", str(tmp_path / "new"), *options])
    assert said in capsys.readouterr().err


# What is refused

def change_index(folder, change):
    path = folder / "shards.json"
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))


@pytest.mark.parametrize("array", ARRAYS)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("damage, said", [
    (lambda path: path.unlink(), "there is no"),
    (lambda path: path.write_bytes(path.read_bytes()[:-4]), "bytes, not"),
    (lambda path: path.write_bytes(path.read_bytes() + b"more"), "bytes, not"),
    (lambda path: path.write_bytes(b"x" * path.stat().st_size), "no array"),
    (lambda path: path.write_bytes(path.read_bytes().replace(
        b"<i4", b"<f4")), "holds float32"),
    (lambda path: path.write_bytes(path.read_bytes().replace(
        b"<i4", b"|O4")), "no array|Python objects")])
def test_a_damaged_array_is_refused_at_opening(folder, part, array, damage,
                                               said):
    damage(folder / part / f"00002-{array}.npy")
    with pytest.raises((ValueError, FileNotFoundError), match=said) as error:
        open_shards(folder)
    assert f"00002-{array}.npy" in str(error.value)
    assert "make shards TEXT=" in str(error.value)


@pytest.mark.parametrize("array", ARRAYS)
def test_changed_numbers_are_refused_when_they_are_read(folder, array):
    path = folder / HELD_OUT / f"00002-{array}.npy"
    values = np.load(path, mmap_mode="r+")
    values[:] = values[::-1] + 10**6
    values.flush()
    shards = open_shards(folder)
    with pytest.raises(ValueError, match="not as it was written|outside"):
        list(ShardBatches(shards, SIZE, LENGTH, part=HELD_OUT))
    list(ShardBatches(shards, SIZE, LENGTH))  # the other part is whole


@pytest.mark.parametrize("change, said", [
    (lambda index: index.update(version=2), "version 2, not 'd2lbert shards'"),
    (lambda index: index.pop("format"), "of the format None"),
    (lambda index: index.pop(TRAIN), "no list 'train'"),
    (lambda index: index.update(train=[]), "no list 'train'"),
    (lambda index: index[HELD_OUT].append(3), "no list 'held-out'"),
    (lambda index: index[TRAIN][0].update(name="../0"), "no list 'train'"),
    (lambda index: index[TRAIN][0].update(pairs=10), "no list 'train'"),
    (lambda index: index[TRAIN][0].update(tokens="10"), "no list 'train'"),
    (lambda index: index[TRAIN][0]["files"].pop("texts"), "no list 'train'"),
    (lambda index: index.pop("vocabulary"), "vocabulary.json is not as")])
def test_an_index_that_is_none_is_refused(folder, change, said):
    change_index(folder, change)
    with pytest.raises(ValueError, match=said):
        open_shards(folder)


def test_other_files_and_folders_are_refused(folder, tmp_path):
    words = (folder / "vocabulary.json").read_text()
    (folder / "vocabulary.json").write_text(words.replace('"w1"', '"w!"'))
    with pytest.raises(ValueError, match="vocabulary.json is not as it was"):
        open_shards(folder)
    (folder / "shards.json").write_text("{")
    with pytest.raises(ValueError, match="shards.json is not JSON"):
        open_shards(folder)
    (folder / "shards.json").unlink()
    for place in (folder, tmp_path):
        with pytest.raises(FileNotFoundError, match="make shards TEXT="):
            loaders.load_data_wiki(tuple, SIZE, LENGTH, place)


# Batches

def ending(make, text, written):
    """Held-out batches, the last of which has rows for seven workers."""
    number = make(text, written, HELD_OUT, 0).num_examples
    return make(text, written, HELD_OUT, 0, next(
        size for size in range(11, number) if number % size >= 7))


def in_memory(text, written, part, seed, size=SIZE):
    corpus = load_corpus(text)
    return PretrainingBatches(
        corpus.train if part == TRAIN else corpus.held_out,
        corpus_vocab(corpus), size, LENGTH, seed, part == TRAIN)


def sharded(text, written, part, seed, size=SIZE):
    return ShardBatches(open_shards(written), size, LENGTH, seed, part)


KINDS = pytest.mark.parametrize("make", [in_memory, sharded])


@KINDS
@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("part", PARTS)
def test_workers_share_the_batches_of_one(text, written, make, part, seed):
    whole = (make(text, written, TRAIN, seed) if part == TRAIN
             else ending(make, text, written))
    whole.seed = seed
    for number in (1, 2, 3, 7):
        workers = [whole.for_worker(rank, number) for rank in range(number)]
        assert {len(w) for w in workers} == {len(whole)}
        for way in ("__iter__", "trimmed"):
            batches = list(getattr(whole, way)())
            parts = [list(getattr(w, way)()) for w in workers]
            assert {*map(len, parts)} == {len(batches)} == {len(whole)}
            for batch, *rows in zip(batches, *parts):
                joined = [np.empty_like(x) for x in batch]
                for rank, columns in enumerate(rows):
                    for x, column in zip(joined, columns):
                        x[rank::number] = column  # no broadcast of a width
                        assert x[rank::number].shape == column.shape
                assert equal(joined, batch)


@KINDS
@pytest.mark.parametrize("number", [1, 2, 3, 7])
def test_an_epoch_has_each_example_once(text, written, make, number):
    """In training, all but those of a last batch that is not full."""
    for batches in (make(text, written, TRAIN, 3, 32),
                    ending(make, text, written)):
        part = TRAIN if batches.is_train else HELD_OUT
        firsts = []
        for _ in range(2):
            seen = Counter()
            for rank in range(number):
                worker = batches.for_worker(rank, number)
                seen += firsts_of(worker)
            rest = batches.num_examples % 32 if part == TRAIN else 0
            assert sum(seen.values()) == batches.num_examples - rest
            assert max(seen.values()) == 1
            firsts.append(seen)
            batches.skip_epochs(1)
        if part == TRAIN:  # what is left out is drawn
            assert firsts[0] != firsts[1]
        else:
            assert firsts[0] == firsts[1] == all_firsts(
                batches, 5 if make is sharded else 1)


def firsts_of(batches):
    """How often each number of a first sentence is in an epoch."""
    found = Counter()
    for tokens, _, _, positions, weights, labels, _ in batches:
        tokens = tokens.copy()
        rows, slots = np.nonzero(weights)
        tokens[rows, positions[rows, slots]] = labels[rows, slots]
        found.update(map(bytes, tokens[:, 1:5]))
    return found


def all_firsts(batches, num_shards):
    """The numbers of the sentences that have a next one."""
    return Counter(
        bytes(s.tokens[start:start + 4]) for s in map(batches._read,
                                                      range(num_shards))
        for i, start in enumerate(s.start)
        if i + 1 < s.first[i] + s.size[i])


def test_epochs_differ_and_seeds_repeat_them(text, written):
    one, same, other = (sharded(text, written, TRAIN, seed)
                        for seed in (1, 1, 2))
    first, second = list(one), list(one)
    assert all(map(equal, first, same))
    assert not any(map(equal, first, second))
    assert not any(map(equal, first, other))
    orders = [[shard for shard, *_ in one._shards([1, epoch])]
              for epoch in range(8)]
    assert len({*map(tuple, orders)}) > 3
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)
    held_out = sharded(text, written, HELD_OUT, 1)
    assert all(map(equal, list(held_out), list(held_out)))


def test_chance_differs_between_the_order_and_the_shards(text, written):
    batches = sharded(text, written, TRAIN, 0)
    draws = [rng.random() for *_, rng in batches._shards([0, 0])]
    draws.append(np.random.default_rng([0, 0]).random())
    assert len({*draws}) == 6


@KINDS
@pytest.mark.parametrize("part", [(0, 1), (1, 3)])
def test_going_on_in_the_middle(text, written, make, part):
    whole = list(take(make(text, written, TRAIN, 4), 100, part=part))
    length = len(make(text, written, TRAIN, 4))
    assert 30 < length < 60
    for start in (1, 9, length - 1, length, length + 20, 99, 100):
        batches = make(text, written, TRAIN, 4)
        rest = list(take(batches, 100, start, part))
        assert len(rest) == 100 - start
        assert all(map(equal, rest, whole[start:]))


def test_shards_that_are_passed_over_are_not_opened(text, written):
    batches, read = sharded(text, written, TRAIN, 4), []
    order = [shard for shard, *_ in batches._shards([4, 0])]
    inner = batches._read
    batches._read = lambda shard: read.append(shard) or inner(shard)
    list(take(batches, len(batches), len(batches) // 2))
    assert read == order[-3:]


@KINDS
def test_batches_that_are_passed_over_are_not_made(text, written, make):
    batches = make(text, written, TRAIN, 4)
    made, inner = [], batches._join
    batches._join = lambda pieces: made.append(pieces) or inner(pieces)
    assert len(list(take(batches, 25, 20))) == len(made) == 5


def test_tokens_stay_in_their_file(text, written):
    batches = sharded(text, written, TRAIN, 0)
    sentences = batches._read(0)
    assert isinstance(sentences.tokens, np.memmap)
    assert sentences.tokens.mode == "r"
    for piece, *_ in batches._pieces(0, 5, np.random.default_rng(0)):
        assert isinstance(piece.texts.tokens, np.memmap)
        assert len(piece.texts.start) <= 2 * SIZE  # not the whole index
    assert type(next(iter(batches))[0]) is np.ndarray


def test_pairs_of_sentences_are_divided_too():
    data = SNLIBERTDataset(random_pairs(100), 64, PAIR_VOCAB)
    for is_train in (True, False):
        whole = PairBatches(data, 30, 2, is_train)
        workers = [whole.for_worker(rank, 3) for rank in range(3)]
        for _ in range(2):
            for (X, y), *rows in zip(whole, *workers):
                for rank, (X_rows, y_rows) in enumerate(rows):
                    assert equal(X_rows, [x[rank::3] for x in X])
                    assert np.array_equal(y_rows, y[rank::3])
    assert [w.epoch for w in workers] == [0, 0, 0]
    with pytest.raises(ValueError, match="one worker, 2 of 3"):
        workers[2].for_worker(0, 2)


def test_batches_of_others_are_sliced():
    batches = [{"x": np.arange(12).reshape(6, 2) + i, "y": [np.arange(6)]}
               for i in range(2)]
    found = list(take(batches, 5, 1, part=(1, 4)))
    assert [b["x"].tolist() for b in found] == [
        [[2 + i, 3 + i], [10 + i, 11 + i]] for i in (1, 0, 1, 0)]
    assert found[0]["y"][0].tolist() == [1, 5]
    with pytest.raises(ValueError, match="6 examples .* into 7 parts"):
        next(take(batches, 5, part=(0, 7)))
    with pytest.raises(ValueError, match="worker 4 of 4"):
        next(take(batches, 5, part=(4, 4)))
    with pytest.raises(TypeError, match="'0.5', which has no rows"):
        part_of((np.zeros(3), 0.5), (0, 2))


@KINDS
def test_a_batch_smaller_than_the_workers_is_an_error(text, written, make):
    with pytest.raises(ValueError, match="16 examples cannot be divided into"
                                         " 17 parts"):
        make(text, written, TRAIN, 0).for_worker(0, 17)
    held_out = make(text, written, HELD_OUT, 0)
    rest = held_out.num_examples % SIZE
    with pytest.raises(ValueError, match=f"a batch of {rest} examples"):
        held_out.for_worker(0, rest + 1)


# Where they are used

def test_loaders_and_runs_take_a_folder(written, monkeypatch):
    train_iter, vocab = loaders.load_data_wiki(
        lambda batch: ["tensors", *batch], SIZE, LENGTH, str(written), seed=3)
    held_out = loaders.load_held_out_wiki(tuple, SIZE, LENGTH, written)
    assert next(iter(train_iter))[0] == "tensors"
    assert next(train_iter.trimmed())[1].shape[1] in (6, 12, 18, 24)
    assert train_iter.is_train and not held_out.is_train
    assert train_iter.vocab is vocab and train_iter.seed == 3
    assert len({*train_iter.contents[::4]}) == 5
    assert set(train_iter.contents).isdisjoint(held_out.contents[::4])
    with pytest.raises(ValueError, match="numbered in the order 'frequency'"):
        loaders.load_data_wiki(tuple, SIZE, LENGTH, written, order="d2l")
    read = []
    monkeypatch.setattr(pretraining, "_recipe_of", lambda args:
                        pretraining.Recipe(SIZE, LENGTH, 1, 0.1))
    inner = ShardBatches._read
    monkeypatch.setattr(ShardBatches, "_read", lambda self, shard:
                        read.append(shard) or inner(self, shard))
    pretraining.check(argparse.Namespace(corpus=str(written)))
    assert len(read) <= 4  # a batch of each part, not everything


def test_a_run_measures_the_first_of_many_held_out_pairs(written):
    held_out = loaders.load_held_out_wiki(tuple, SIZE, LENGTH, written)
    few = pretraining._First(held_out, 2)
    assert len(few) == 2 < len(held_out)
    assert len(pretraining._First(held_out, 99)) == len(held_out)
    for _ in range(2):
        assert all(map(equal, few, list(held_out)[:2])) and len([*few]) == 2
        assert all(map(equal, few.trimmed(), list(held_out.trimmed())[:2]))
        assert len([*few.trimmed()]) == 2


@KINDS
def test_a_worker_counts_the_epochs_of_its_loader(text, written, make):
    """Or a second training would read those of the first again."""
    loader = make(text, written, TRAIN, 0)
    list(take(loader, 2 * len(loader) + 1, part=(1, 2)))
    assert loader.epoch == 3 and loader.part == (0, 1)
