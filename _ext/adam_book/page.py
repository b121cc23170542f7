"""What stands around a page: its description, its Colab button, the link to report a mistake.

All addresses follow from the one in pyproject.toml (tools/repository.py), so a fork's pages point
at the fork. Descriptions are written by hand, under `page_descriptions` in _config.yml: a sentence
that a search engine or a chat shows beside the title.
"""

from __future__ import annotations

from html import escape
from typing import Any

import repository
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

logger = logging.getLogger(__name__)

LENGTHS = range(50, 161)  # characters: what search engines show without cutting
TABS_AND_CARDS = ("sphinx_design.extension", "add_static_assets")


def settle_addresses(app: Sphinx, config: Config) -> None:
    """Tell Sphinx and the theme where the site and the repository are."""
    home = repository.read()
    config.html_baseurl = home.site
    if config.html_theme != "sphinx_book_theme":  # another theme knows nothing of these
        return
    config.html_theme_options |= {
        "repository_url": home.url,
        "repository_branch": repository.BRANCH,
        "path_to_docs": "colab",  # the launch button opens colab/chapters/NAME.ipynb
        "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    }


def check_descriptions(app: Sphinx, env: Any) -> None:
    """One description for each page, none twice, none too short or too long."""
    written: dict[str, str] = app.config.page_descriptions
    where = "under page_descriptions in _config.yml"
    for page in sorted(env.found_docs - written.keys()):
        logger.warning(f"{page}: write a description of this page {where}")
    for page in sorted(written.keys() - env.found_docs):
        logger.warning(f"{page}: described {where}, but there is no such page")
    for page, text in written.items():
        if len(text) not in LENGTHS:
            logger.warning(
                f"{page}: its description {where} has {len(text)} characters; write "
                f"{LENGTHS.start} to {LENGTHS.stop - 1}"
            )
    if len(set(written.values())) < len(written):
        logger.warning(f"two pages have the same description {where}")


def describe(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Add the description to the head of the page, and the link for mistakes below its text."""
    book, title = (
        app.config.html_title or app.config.project,
        str(context.get("title", page.capitalize())),
    )
    # search and source code have no page of their own to be described in the configuration
    text = app.config.page_descriptions.get(page, f"{title}, a page of the book {book}.")
    context["metatags"] = context.get("metatags", "") + metatags(
        {
            "description": text,
            "og:title": app.env.titles[page].astext() if page in app.env.titles else title,
            "og:description": text,
            "og:type": "article",
            "og:site_name": book,
            "og:url": repository.read().page(page),
        }
    )
    if "body" in context:  # the search page makes its own
        context["body"] = mended(context["body"]) + report_link(page)


def metatags(values: dict[str, str]) -> str:
    """Tags for the head of a page: `property` for Open Graph, `name` for the others."""
    kinds = {name: "property" if name.startswith("og:") else "name" for name in values}
    lines = [
        f'<meta {kinds[name]}="{name}" content="{escape(value)}">' for name, value in values.items()
    ]
    return "\n".join(["", *lines, ""])


def mended(body: str) -> str:
    """Two roles that screen readers are misled by, as myst-nb 1.4 and docutils 0.20 write them."""
    return body.replace(' aria-label="Toggle hidden content"', "").replace(
        'role="doc-biblioentry"', 'role="listitem"'
    )


def report_link(page: str) -> str:
    address = repository.read().issue(
        title=f"Mistake on {page}", body=f"Page: {page}\nThe words or the formula in question:\n"
    )
    return (
        f'<p class="report-mistake"><a href="{escape(address)}">Report a mistake on this page</a>'
        "</p>\n"
    )


def unplug(app: Sphinx) -> None:
    """Take out what Jupyter Book always loads and this book does not use.

    sphinx-thebe writes the address of a CDN and of a placeholder repository into the pages, and
    browsers report that its constant THEBE_JS_URL is declared twice. The tabs and cards of
    sphinx-design weigh 11 kB on every page.
    """
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            module, name = listener.handler.__module__, getattr(listener.handler, "__name__", "")
            if module == "sphinx_thebe" or (module, name) == TABS_AND_CARDS:
                app.disconnect(listener.id)
    app.registry.css_files = [
        file for file in app.registry.css_files if file[0] != "sphinx-thebe.css"
    ]


def setup(app: Sphinx) -> None:
    unplug(app)
    app.add_config_value("page_descriptions", {}, "html")
    app.connect("config-inited", settle_addresses)
    app.connect("env-check-consistency", check_descriptions)
    app.connect("html-page-context", describe)
