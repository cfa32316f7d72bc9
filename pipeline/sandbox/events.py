"""What happens in the invented shop: the event types, their properties, and how often each occurs."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from pipeline.sandbox.product import dice, dumps

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

Properties = dict[str, object]
_SLOT = 8_888_888_888  # stands for the number that differs in each event, and occurs nowhere else


class Template(NamedTuple):
    """An event of one type, rendered from ``"event_properties"`` to ``"event_type"``, but for the values that change.

    The row is ``head``, a number if there is a ``slot`` (``"counter"``: its place in the session, ``"serial"``: a
    number of its own), ``tail``, the event time, ``event_type``.
    """

    head: str
    slot: str
    tail: str
    event_type: str


class Stages(NamedTuple):
    """What can happen at each stage of a visit; a pool has 256 templates, so that one byte picks one."""

    start: tuple[Template, ...]
    browse: tuple[Template, ...]
    shop: tuple[Template, ...]
    server: tuple[Template, ...]


@cache
def stages() -> Stages:
    """The pools, always the same."""
    rng = dice("events")
    start = (("session_start", _nothing, 1, ""),)
    browse = (
        ("[Amplitude] Page Viewed", _page, 10, "counter"),
        ("Product Viewed", _product, 5, ""),
        ("Search Performed", _search, 3, "counter"),
        ("[Amplitude] Element Clicked", _click, 2, ""),
        ("Signed Up", _sign_up, 0.3, ""),
    )
    shop = (
        ("[Amplitude] Page Viewed", _page, 6, "counter"),
        ("Product Added", _product, 5, ""),
        ("Checkout Started", _cart, 2, ""),
        ("Order Completed", _order, 1.5, "serial"),
        ("Review Written", _review, 0.5, ""),
    )
    server = (
        ("Invoice Paid", _invoice, 3, "serial"),
        ("Subscription Renewed", _invoice, 2, "serial"),
        ("Stock Synced", _stock, 1, "serial"),
    )
    return Stages(*(_pool(rng, kinds) for kinds in (start, browse, shop, server)))


_Kind = tuple[str, "Callable[[random.Random], Properties]", float, str]


def _pool(rng: random.Random, kinds: tuple[_Kind, ...]) -> tuple[Template, ...]:
    picks = rng.choices(kinds, [kind[2] for kind in kinds], k=256)
    return tuple(_template(name, make(rng), slot) for name, make, _, slot in picks)


def _template(name: str, properties: Properties, slot: str) -> Template:
    head, _, tail = dumps(properties).partition(str(_SLOT)) if slot else (dumps(properties), "", "")
    return Template(f',"event_properties":{head}', slot, f'{tail},"event_time":"', f'","event_type":{dumps(name)[:-1]}')


def _nothing(_: random.Random) -> Properties:
    return {}


def _page(rng: random.Random) -> Properties:
    path = rng.choice(("/", "/shop", "/shop/tea", "/shop/coffee?sort=price", "/about", "/größen", "/cart"))
    return {
        "[Amplitude] Page Counter": _SLOT,
        "[Amplitude] Page Domain": "shop.example.com",
        "[Amplitude] Page Path": path.partition("?")[0],
        "[Amplitude] Page Title": rng.choice(("Tea & coffee", "Über uns", "Your cart", 'The "best" beans', "お茶")),
        "referrer": rng.choice((None, "", "https://www.google.com/")),
    }


def _item(rng: random.Random) -> Properties:
    return {
        "sku": f"T-{rng.randint(100, 999)}",
        "name": rng.choice(("Earl Grey", "Sencha 煎茶", "Crème caramel", "House blend", "Rooibos\u2028organic")),
        # Mixed types, as real clients send them.
        "price": rng.choice((4.5, 12, "12.00", 7.25, None)),
        "quantity": rng.randint(1, 4),
    }


def _product(rng: random.Random) -> Properties:
    # External ids above 2^53 pass through Amplitude as they are; a reader that makes them floats loses digits.
    return _item(rng) | {"category": ["tea", rng.choice(("green", "black"))], "external_id": 2**53 + rng.getrandbits(9)}


def _search(rng: random.Random) -> Properties:
    term = rng.choice(("earl grey", "thé vert", "☕", "100% arabica", "a\\b", "sencha\tbulk"))
    return {"query": term, "search number": _SLOT, "results": rng.choice((0, 3, 41, "none")), "filters": {}}


def _click(rng: random.Random) -> Properties:
    return {
        "[Amplitude] Element Tag": "button",
        "[Amplitude] Element Text": rng.choice(("Buy", "Más", "")),
        "$pos": [3, 0.5],
    }


def _sign_up(rng: random.Random) -> Properties:
    return {"method": rng.choice(("email", "google", "apple")), "newsletter": rng.choice((True, False, "yes", None))}


def _cart(rng: random.Random) -> Properties:
    return {"products": [_item(rng) for _ in range(rng.randint(1, 2))], "coupon": rng.choice((None, "TEA10"))}


def _order(rng: random.Random) -> Properties:
    total = round(rng.uniform(5, 180), 2)
    return _cart(rng) | {"order_id": _SLOT, "$revenue": total, "total": {"amount": total, "currency": "EUR"}}


def _review(rng: random.Random) -> Properties:
    text = rng.choice(("Lovely\u2028and fast", "schön! 🍵", "line one\nline two", "naïve \u0085 text"))
    return {"rating": rng.choice((5, 4, 4.5, "5")), "text": text}


def _invoice(rng: random.Random) -> Properties:
    return {"invoice": _SLOT, "amount": round(rng.uniform(5, 500), 2), "lines": [{"vat": 0.19}, {"vat": None}]}


def _stock(rng: random.Random) -> Properties:
    return {"batch": _SLOT, "warehouse": {"id": 18446744073709551615, "bins": [[1, 2], [rng.randint(3, 9)]]}}
