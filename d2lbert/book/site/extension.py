"""What the site needs of Sphinx: panels, captions, sizes of pictures.

`conf.py` is the settings that Sphinx is called with, in `build.py`.
"""

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from d2lbert.backends import BACKENDS
from d2lbert.book.pictures import size

logger = logging.getLogger(__name__)


class Frameworks(SphinxDirective):
    """Panels of the frameworks, one of which is seen."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """A box for the script to put tabs on."""
        return [self.box("frameworks")]

    def box(self, *classes: str) -> nodes.container:
        """What the directive holds, as a box of these classes."""
        box = nodes.container(classes=[*classes])
        self.state.nested_parse(self.content, self.content_offset, box)
        return box


class Framework(Frameworks):
    """What is for the one framework that the argument names."""

    required_arguments = 1
    kind = "only"

    def run(self) -> list[nodes.Node]:
        """A box; of kind "only" it is seen when its framework is chosen."""
        name = self.arguments[0]
        if name not in BACKENDS:
            raise self.error(f"unknown framework {name}: there are "
                             + ", ".join(BACKENDS))
        return [self.box(self.kind, name)]


class Columns(Frameworks):
    """Columns side by side, of which each is for one framework."""

    def run(self) -> list[nodes.Node]:
        """A box of boxes."""
        return [self.box("columns")]


class Column(Framework):
    """The column of the framework that the argument names."""

    kind = "column"


class Captions(SphinxPostTransform):
    """Mark the paragraph in italics under a picture as its caption."""

    default_priority = 800

    def run(self, **options: Any) -> None:
        """Look at every paragraph."""
        for text in self.document.findall(nodes.paragraph):
            ends = text.children[:1] + text.children[-1:]
            if (ends and all(isinstance(end, nodes.emphasis) for end in ends)
                    and _ends_with_picture(_before(text))):
                text["classes"].append("caption")


def _before(node: nodes.Element) -> nodes.Node | None:
    siblings = node.parent.children
    place = siblings.index(node)
    return siblings[place - 1] if place else None


def _ends_with_picture(node: nodes.Node | None) -> bool:
    while isinstance(node, nodes.container | nodes.paragraph):
        if not node.children:
            return False
        node = node.children[-1]
    return isinstance(node, nodes.image)


class Sizes(SphinxPostTransform):
    """Give each picture its size; one without a description is an error."""

    default_priority = 5  # before Sphinx moves the files

    def run(self, **options: Any) -> None:
        """Look at every picture."""
        for image in self.document.findall(nodes.image):
            path = Path(self.env.srcdir, image["uri"].lstrip("/"))
            if not image.get("alt"):
                logger.warning("%s has no description", path.name,
                               location=image)
            if "width" not in image and path.is_file():
                image["width"], image["height"] = map(str, size(path))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("frameworks", Frameworks)
    app.add_directive("framework", Framework)
    app.add_directive("columns", Columns)
    app.add_directive("column", Column)
    app.add_post_transform(Captions)
    app.add_post_transform(Sizes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
