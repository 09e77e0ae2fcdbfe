"""The playground: the model in the page is bert.mini, and the page answers."""

import fnmatch
import tomllib
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import reference
from browser import axe, browser, window  # noqa: F401

from d2lbert.book.site import playground
from d2lbert.book.site.playground import write_playground
from d2lbert.checkpoints.d2l import load_pretrained_params
from d2lbert.data.mini.wiki import homographs, mini_wiki
from d2lbert.data.pretraining import get_tokens_and_segments

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "d2lbert" / "book" / "site" / "playground"
PARAMS, VOCAB, SIZES = load_pretrained_params("bert.mini")
EXACT = {name: array.astype(np.float64) for name, array in PARAMS.items()}
VIEWS = {
    "words": "text=a+crane+is+[flying]+over+lake+pell",
    "next": "text=a+crane+driver+came|he+just+left",
    "attention": "text=a+crane+driver+came|he+just+left&layer=2&head=1",
    "vectors": "text=a+crane+is+flying&token=2&with=the+crane+lifts+steel",
    "steps": "text=a+crane+driver+zebra&layer=2&head=2&token=2&step=5"}
PHONE = {"width": 390, "height": 844, "has_touch": True}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site with spaces")
    write_playground(folder)
    return folder


@pytest.fixture
def play(site, browser):  # noqa: F811
    """(fragment, **options) -> the playground, which has to go well."""
    readers = []
    with ExitStack() as windows:
        def play(fragment="", **options):
            readers.append(windows.enter_context(
                window(browser, site, **options)))
            readers[-1].open(f"playground.html{fragment}")
            return readers[-1].page

        yield play
        problems = [p for reader in readers for p in reader.problems]
        assert not problems, problems


def words(page):
    """The input as the page holds it."""
    return page.evaluate(
        "d2lbert.playground.state.text.map(d2lbert.sentenceText)")


def wait_for_address(page, part):
    page.wait_for_function("part => location.hash.includes(part)", arg=part)


def some_inputs(num):
    """Held-out sentences and pairs, one word hidden: (first, second)."""
    paragraphs = (p.sentences for p in mini_wiki(num, seed=7,
                                                 part="held out"))
    for i, (first, second) in enumerate(s[:2] for s in paragraphs):
        first = list(first)
        first[i % len(first)] = "<mask>"
        yield first, second if i % 2 else None


def test_the_model_in_the_page_is_bert_mini(play):
    page = play()
    page.evaluate("""() => {
        const {model} = d2lbert.playground;
        const plain = (rows) => rows.map((row) => [...row]);
        window.compute = ([first, second]) => {
            const {tokens, segments} = d2lbert.join(first, second);
            const place = tokens.indexOf("<mask>");
            const result = d2lbert.forward(model, tokens, segments);
            return {tokens, segments,
                    layers: result.blocks.flatMap((block) => [
                        plain(block.attention), plain(block.output)]),
                    words: [...d2lbert.wordLogits(model, result, place)],
                    next: [...d2lbert.nextLogits(model, result)]};
        };
    }""")
    for pair in some_inputs(50):
        found = page.evaluate("pair => compute(pair)", pair)
        tokens, segments = get_tokens_and_segments(*pair)
        assert (found["tokens"], found["segments"]) == (tokens, segments)
        layers = reference.encode(
            EXACT, np.array([VOCAB[tokens]]), np.array([segments]),
            np.array([len(tokens)]), SIZES["num_heads"])
        mlm, nsp = reference.heads(EXACT, layers[-1], np.array(
            [[tokens.index("<mask>")]]))
        for name, got, wanted in (
                ("layers", found["layers"], [layer[0] for layer in layers]),
                ("words", found["words"], mlm[0, 0]),
                ("next", found["next"], nsp[0])):
            np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4,
                                       err_msg=f"{name} of {tokens}")


def test_known_vectors_are_those_of_the_page(play):
    """Each tenth of those from Python is what the page computes."""
    page = play()
    for word in homographs():
        differences = page.evaluate("""(word) => {
            const {model} = d2lbert.playground;
            const {sentences, vectors} = d2lbert.mini.senses[word];
            const all = d2lbert.floats(vectors);
            return sentences.map((text, i) => {
                if (i % 10) return 0;
                const {tokens, segments} = d2lbert.join(text.split(" "));
                const {output} = d2lbert.forward(model, tokens, segments);
                const own = output[tokens.indexOf(word)];
                return Math.max(...own.map((x, d) =>
                    Math.abs(x - all[own.length * i + d])));
            });
        }""", word)
        assert len(differences) == 2 * playground.NUM
        assert max(differences) < 1e-4


def test_typing_answers_and_completes(play):
    page = play("#text=&view=words")
    field = page.get_by_label("First sentence: a word")
    field.press_sequentially("a cran")
    offers = page.get_by_role("option")
    assert offers.all_inner_texts() == ["crane", "cranes"]
    assert words(page) == ["a", ""]  # cran is no word yet
    field.press("ArrowDown")
    field.press("Enter")
    assert words(page) == ["a crane", ""] and not offers.count()
    field.press_sequentially("lifts")  # counts before the space bar
    assert words(page) == ["a crane lifts", ""]
    field.press_sequentially(" Steel. [")
    assert words(page) == ["a crane lifts steel", ""]


def test_offers_are_taken_by_a_click(play):
    page = play("#text=the&view=words")
    page.get_by_label("First sentence: a word").press_sequentially("lighth")
    page.get_by_role("option", name="lighthouse").click()
    assert words(page)[0] == "the lighthouse"


def test_an_unknown_word_is_marked_and_read_as_unk(play):
    page = play("#text=the&view=words")
    field = page.get_by_label("First sentence: a word")
    field.press_sequentially("zebra")
    assert words(page)[0] == "the"
    page.get_by_label("Second sentence: a word").focus()
    assert words(page)[0] == "the zebra"
    field.focus()
    field.press("End")
    field.press("Space")
    assert page.get_by_role("button", name="zebra, unknown").is_visible()
    assert page.evaluate("d2lbert.playground.result.ids") == VOCAB[
        ["<cls>", "the", "<unk>", "<sep>"]]


def test_a_hidden_word_is_guessed(play):
    page = play("#text=the+crane+lifts+steel&view=words")
    assert not page.locator(".cards .card").count()
    page.get_by_role("button", name="steel", exact=True).click()
    tokens, segments = get_tokens_and_segments(
        ["the", "crane", "lifts", "<mask>"])
    *_, encoded = reference.encode(
        EXACT, np.array([VOCAB[tokens]]), np.array([segments]),
        np.array([len(tokens)]), SIZES["num_heads"])
    mlm, _ = reference.heads(EXACT, encoded, np.array([[4]]))
    chances = reference.softmax(mlm[0, 0])
    best = chances.argsort()[::-1][:5]
    rows = page.locator(".cards li")
    assert rows.locator(".name").all_inner_texts() == VOCAB.to_tokens(best)
    assert rows.locator(".number").first.inner_text() == (
        f"{chances[best[0]]:.2f}")
    page.get_by_role("button", name="steel, hidden").click()
    assert not page.locator(".cards .card").count()


def test_a_double_click_changes_a_word(play):
    page = play("#text=the+crane+lifts+steel&view=words")
    page.get_by_role("button", name="lifts", exact=True).dblclick()
    page.keyboard.press("Control+A")
    page.keyboard.type("eats ")
    assert words(page)[0] == "the crane eats steel"


def test_the_address_there_and_back(play):
    page, state = play(), "d2lbert.playground.state"
    for fragment in (
            *(f"#{text}&view={view}" for view, text in VIEWS.items()),
            "#text=[]+crane+zebra&view=words", "#text=a%2Bb|%26%23&view=next"):
        page.evaluate("text => d2lbert.playground.load(text)", fragment)
        got = page.evaluate(f"d2lbert.writeAddress({state})")
        assert {*fragment.strip("#").split("&")} <= {
            *got.strip("#").split("&")}, got
        before = page.evaluate(state)
        page.evaluate("text => d2lbert.playground.load(text)", got)
        assert page.evaluate(state) == before
    wait_for_address(page, got)
    page.reload()
    assert page.evaluate(state) == before


def test_the_address_follows(play):
    page = play("#text=a+crane+came&view=words")
    page.get_by_role("button", name="came").click()
    wait_for_address(page, "#text=a+crane+[came]&view=words")
    page.get_by_role("tab", name="Attention").click()
    page.get_by_role("radio", name="block 2, head 1").click()
    wait_for_address(page, "&view=attention&layer=2&head=1")
    page.evaluate("location.hash = '#text=the+bat&view=next'")
    page.wait_for_function("d2lbert.playground.state.view == 'next'")
    assert words(page) == ["the bat", ""]


LONG = "text=" + "a+" * 80
WRONG = {
    "text=a+bat&layer=7&view=attention": "layer “7”; it can be 1 to 2",
    "text=a+bat&head=x": "head “x”; it can be 1 to 2",
    "text=a+bat&view=sideways": "view “sideways”; there are words, next",
    "text=a+bat&colour=red": "has “colour”", "text=a|b|c": "3 sentences",
    "text=a+[bat": "bracket", "text=%E0%A4%A": "per cent",
    "bat": "has “bat”", LONG: "reads the first 64"}


def test_a_wrong_address_gives_a_sentence(play):
    page = play(f"#{[*WRONG][0]}")
    for fragment, said in WRONG.items():
        page.evaluate("text => { location.hash = text; }", fragment)
        page.wait_for_function("said => document.getElementById('notice')"
                               ".textContent.includes(said)", arg=said)
        assert page.get_by_role("status").is_visible()
        page.wait_for_timeout(300)  # the address would have followed
        assert page.evaluate("location.hash.slice(1)") == fragment
        if fragment == LONG:
            assert len(words(page)[0].split()) == 62  # and <cls>, <sep>
            page.get_by_role("tab", name="Attention").click()
        else:
            page.get_by_label("First sentence: a word").type("crane ")
            assert words(page)[0].endswith("crane"), fragment
        assert said not in page.locator("#notice").text_content()


def test_an_address_without_a_text_keeps_the_sentence(play):
    page = play("#view=attention&layer=2")
    assert words(page) == ["a crane is [flying] over lake pell", ""]
    page.get_by_label("First sentence: a word").type("crane ")
    wait_for_address(page, "pell+crane")
    page.evaluate("location.hash = '#view=steps'")
    page.get_by_role("tab", name="Step by step", selected=True).wait_for()
    assert words(page)[0].endswith("pell crane")


def test_by_keyboard_alone(play):
    page = play("#text=&view=words")

    def tab_to(name):
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.ariaLabel || "
                             "document.activeElement.textContent") == name:
                return
        raise AssertionError(f"the Tab key does not lead to {name}")

    tab_to("First sentence: a word")
    page.keyboard.type("the crane lifts steel ")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    assert words(page)[0] == "the crane lifts [steel]"
    assert page.locator(".cards .card").count() == 1
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Delete")
    assert words(page)[0] == "the crane [steel]"
    page.keyboard.press("ArrowLeft")
    page.keyboard.type("bat ")
    assert words(page)[0] == "the bat [steel]"
    tab_to("Hidden words")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    here = page.locator("td[tabindex='0']")
    tab_to(here.get_attribute("aria-label"))
    assert here.get_attribute("data-key").startswith("1-")
    page.keyboard.press("ArrowDown")
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.ariaLabel").startswith(
        "bat reads the: ")
    outline = page.evaluate("getComputedStyle(document.activeElement)"
                            ".outlineStyle")
    assert outline == "solid"


def test_a_phone_is_wide_enough(play):
    page, width = play(**PHONE), "document.documentElement.scrollWidth"
    for view, text in VIEWS.items():
        for step in range(1, 6) if view == "steps" else [1]:
            page.evaluate("address => d2lbert.playground.load(address)",
                          f"{text.split('&step')[0]}&view={view}&step={step}")
            assert page.locator(f"#panel-{view}").is_visible()
            assert page.evaluate(width) <= 390, (view, step)
    page.get_by_label("First sentence: a word").press_sequentially("s")
    assert page.get_by_role("option").count()
    assert page.evaluate(width) <= 390


@pytest.mark.parametrize("scheme, rules", [  # in the dark only colours differ
    ("light", None), ("dark", ["color-contrast"])])
def test_axe_finds_nothing_serious(play, scheme, rules):
    page = play(scheme=scheme)
    page.locator("summary").click()
    for view, text in VIEWS.items():
        steps = range(1, 6) if view == "steps" else [1]
        for step in steps:
            page.evaluate("address => d2lbert.playground.load(address)",
                          f"{text.split('&step')[0]}&view={view}&step={step}")
            assert not axe(page, rules), (view, step)


def test_the_theme_is_that_of_the_whole_site(play):
    page = play(scheme="dark")
    theme = "document.documentElement.dataset.theme"
    kept = "[localStorage.mode, localStorage.theme]"
    assert page.evaluate(theme) == "dark"  # the system's
    assert page.evaluate(kept) == ["auto", "dark"]
    page.get_by_role("button", name="Theme").click()
    assert page.evaluate(theme) == "light"
    assert page.evaluate(kept) == ["light", "light"]
    page.evaluate("localStorage.mode = localStorage.theme = 'dark'")
    page.reload()
    assert page.evaluate(theme) == "dark"
    assert page.get_by_role("button", name="Theme: dark").is_visible()


def test_examples_say_what_is_to_be_seen(play):
    page = play()
    names = page.evaluate("d2lbert.examples.map((example) => example.name)")
    for name in names:
        page.get_by_role("button", name=name).click()
        assert page.locator("#look").inner_text()
        assert not page.get_by_role("status").is_visible(), name


def chances(page, text):
    """{word: probability} in the place of the first hidden word."""
    return page.evaluate("""(text) => {
        const {model} = d2lbert.playground;
        const sentences = text.split("|").map((part) =>
            d2lbert.read(model, d2lbert.words(part)));
        const {tokens, segments} = d2lbert.join(...sentences);
        const result = d2lbert.forward(model, tokens, segments);
        const chances = d2lbert.wordChances(
            model, result, tokens.indexOf("<mask>"));
        return Object.fromEntries(model.vocab.map(
            (word, i) => [word, chances[i]]));
    }""", text)


def best(page, text, num):
    found = chances(page, text)
    return {*islice(sorted(found, key=found.get, reverse=True), num)}


def test_what_the_examples_say_of_hidden_words_is_true(play):
    page = play()
    assert best(page, "the crane lifts [steel]", 3) == {
        "steel", "pipes", "bricks"}
    assert "frogs" in best(page, "the crane eats [steel]", 1)
    both = chances(page, "mira is the driver of the red crane|"
                         "[she] just left the cabin")
    assert both["he"] + both["she"] > 0.9
    assert abs(both["he"] - both["she"]) < 0.05
    assert not {"paris", "france", "capital"} & {*VOCAB.idx_to_token}
    assert f"its {len(VOCAB) - 5:,} words" in page.locator(
        ".intro").inner_text()


def test_what_the_examples_say_of_pairs_is_true(play):
    page = play("#text=a+crane+driver+came|he+just+left&view=next")
    rows = page.locator(".bars.wide li")
    rows.nth(7).wait_for()
    found = dict(zip(rows.locator(".name").all_inner_texts(), map(
        float, (text.removeprefix("< ") for text in
                rows.locator(".number").all_inner_texts()))))
    assert found["he just left"] > 0.8
    assert found["the grey bird dances for its mate"] > 0.5
    assert found["the queen lays her eggs in the hive"] < 0.1
    assert found["the baker cuts the plum cake"] < 0.1


def test_what_the_examples_say_of_attention_is_true(play):
    page = play()
    before, after, own, of_cls = [], [], [], []
    for tokens, segments in (get_tokens_and_segments(*pair)
                             for pair in some_inputs(50)):
        (_, blocks_1), (first, second) = page.evaluate(
            """([tokens, segments]) => {
                const {model} = d2lbert.playground;
                return d2lbert.forward(model, tokens, segments).blocks.map(
                    ({heads}) => heads.map(({weights}) => weights.map(
                        (row) => [...row])));
            }""", [tokens, segments])
        before += list(np.diag(first, -1)[1:])
        after += list(np.diag(second, 1)[1:])
        if 1 in segments:
            same = np.equal.outer(segments, segments)
            shares = (blocks_1 * same).sum(1)
            of_cls.append(1 - shares[0])
            own += list(shares[1:])
    means = [np.mean(shares) for shares in (before, after, of_cls, own)]
    np.testing.assert_allclose(means, [0.95, 0.95, 0.97, 0.93], atol=0.006)


def test_a_cell_of_attention_says_its_number(play):
    page = play("#text=a+crane+came&view=attention&layer=2&head=2&token=1",
                **PHONE)
    readout, cell = page.locator(".readout"), page.locator(
        "[data-key='3-4']")
    weight = page.evaluate(
        "d2lbert.playground.result.blocks[1].heads[1].weights[3][4]")
    wanted = f"came reads <sep>{weight:.2f}block 2, head 2"
    for act in (cell.hover, cell.tap, cell.focus):
        page.mouse.move(0, 0)
        page.locator("#theme").focus()
        page.evaluate("d2lbert.playground.set({token: 1})")
        assert not readout.text_content().startswith("came")
        act()
        assert readout.text_content() == wanted
    levels = page.locator(".word, .mark").evaluate_all(
        "all => all.slice(0, 5).map(n => +n.style.getPropertyValue("
        "'--level'))")
    np.testing.assert_allclose(levels, page.evaluate(
        "[...d2lbert.playground.result.blocks[1].heads[1].weights[3]]"),
        atol=1e-3)


def test_two_contexts_are_compared(play):
    """The cosine is that of NumPy, and the neighbours have the sense."""
    texts = "a grey seal eats herring near the shore", (
        "the letter has a seal of red wax")
    first, second = (playground.word_vector(
        "seal", text.split(), EXACT, VOCAB, SIZES["num_heads"])
        for text in texts)
    cosine = first @ second / np.sqrt((first @ first) * (second @ second))
    page = play(f"#text={texts[0]}&with={texts[1]}&view=vectors&token=3")
    assert page.locator(".cosine .large").inner_text() == f"{cosine:.2f}"
    assert page.locator(".nearest .sense").all_inner_texts() == (
        3 * ["animal"] + 3 * ["stamp"])
    points = page.locator(".plane .known")
    assert points.count() == 2 * playground.NUM
    points.first.hover(force=True)
    told = page.evaluate("d2lbert.mini.senses.seal.sentences[0]")
    assert page.locator(".caption").inner_text() == f"animal: {told}"
    page.get_by_role("button", name="another seal (stamp)").click()
    page.wait_for_function("text => !location.hash.includes(text)",
                           arg=texts[1].replace(" ", "+"))
    assert page.locator(".cosine .large").is_visible()


def test_nothing_is_written_if_something_is_wrong(tmp_path, monkeypatch):
    def fail():
        raise OSError("no weights")

    monkeypatch.setattr(playground, "bert_mini_script", fail)
    with pytest.raises(OSError, match="no weights"):
        write_playground(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_page_comes_last(tmp_path, monkeypatch):
    """A disk that fills up leaves no page without its files."""
    def write(path, data):
        if path.name == "bert.js":
            raise OSError("no space left")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)

    monkeypatch.setattr(playground, "bert_mini_script", str)
    monkeypatch.setattr(playground, "write_whole", write)
    with pytest.raises(OSError, match="no space"):
        write_playground(tmp_path)
    assert not (tmp_path / "playground.html").exists()


def test_the_package_has_every_file_of_the_page(site):
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    globs = config["tool"]["setuptools"]["package-data"]["d2lbert"]
    for path in SOURCES.iterdir():
        name = path.relative_to(ROOT / "d2lbert").as_posix()
        assert any(fnmatch.fnmatch(name, glob) for glob in globs), name
    page = (site / "playground.html").read_text("utf-8")
    scripts = {path.name for path in (site / "playground").iterdir()}
    assert all(f'"playground/{name}"' in page for name in scripts)
