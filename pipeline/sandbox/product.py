"""The invented product behind the generated days: a small shop on the web, with an app and a server.

Everything here is rendered to JSON text once, so that a row costs one f-string: profiles (where and on what somebody
is) and templates (what they did). Neither depends on the day; the generator's dice pick among them.
"""

from __future__ import annotations

import json
import random
from functools import cache
from typing import Any, NamedTuple

APP = 100020001  # project ids of the EU region have nine digits
PROFILES = 600  # people share profiles: a device, a place and a state, never an id


class Profile(NamedTuple):
    """What a row says about its sender: the runs of JSON between the values that change from row to row.

    Each field runs up to and into the key that its name gives; ``end`` closes the row.
    ``name`` makes an e-mail address; "" is somebody who never signed in.
    """

    amplitude_id: str
    client_event_time: str
    device_id: str
    event_id: str
    processed_time: str
    server_received_time: str
    user_id: str
    uuid: str
    end: str
    name: str


_PLACES = (  # country, region, city, dma, latitude, longitude, language
    ("United Kingdom", "England", "London", None, 51.5072, -0.1276, "English"),
    ("Germany", "Berlin", "Berlin", None, 52.52, 13.405, "German"),
    ("United States", "California", "San Francisco", "San Francisco-Oakland-San Jose, CA", None, None, "English"),
    ("France", "Île-de-France", "Paris", None, 48.8566, 2.3522, "French"),
    ("Brazil", "São Paulo", "São Paulo", None, -23.5505, -46.6333, "Portuguese"),
    ("Poland", "Łódź Voivodeship", "Łódź", None, 51.7592, 19.456, "Polish"),
    ("Japan", "東京都", "Tokyo", None, 35.6762, 139.6503, "Japanese"),
    (None, None, None, None, None, None, None),  # an address that could not be placed
)
_PLACE_WEIGHTS = (9, 7, 6, 5, 4, 3, 2, 1)

# On the web, os_name is the browser, as in real exports; os_version is a string.
_DEVICES = (  # platform, os_name, os_version, family, type, carrier, library, version_name
    ("Web", "Chrome", "143", "Mac OS X", "Apple Macintosh", None, "amplitude-ts/2.16.1", None),
    ("Web", "Edge", "142", "Windows", "Windows", None, "amplitude-ts/2.16.1", None),
    ("Web", "Firefox", "146", "Linux", "Linux", None, "amplitude-ts/2.11.0", None),
    ("Web", "Mobile Safari", "18.5", "iOS", "Apple iPhone", None, "amplitude-ts/2.16.1", None),
    ("iOS", "ios", "18.5", "Apple iPhone", "Apple iPhone 15", "Unknown", "amplitude-swift/1.13.6", "4.12.0"),
    ("Android", "android", "15", "Samsung Phone", "SM-S921B", "O₂ DE", "amplitude-android/3.35.1", "4.11.2"),
)
_DEVICE_WEIGHTS = (8, 4, 2, 5, 4, 3)
_SERVER = (None, None, None, None, None, None, "http/2.0", None)
_NOWHERE = _PLACES[-1]

_NAMES = (
    *("Maya Lind", "Tom Baker", "Inés Ortega", "Jürgen Weiß", "Zoë Martin", "Ola Nordmann", "Łukasz Żak", "佐藤 陽菜"),
    *("Aisha Khan", "Peter Novák", "Carla Rossi", "Ben O'Neill", 'Dana "Dee" Fox', "Fátima Gonçalves"),
)
_PAYING = (None, None, None, True, "true", False)  # booleans and strings both occur in real exports


def dumps(value: object) -> str:
    """``value`` as Amplitude writes it: compact, non-ASCII text unescaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def dice(*seed: object) -> random.Random:
    """Chance that falls the same way each time for the same ``seed``."""
    return random.Random("/".join(map(str, seed)))  # noqa: S311 - invented events, no secrets


def chance(rng: random.Random, share: float) -> bool:
    """Happens in this share (0 to 1) of the cases."""
    return rng.random() < share


@cache
def people() -> tuple[Profile, ...]:
    """The profiles of visitors, always the same."""
    rng = dice("people")
    return tuple(_person(rng) for _ in range(PROFILES))


@cache
def servers() -> tuple[Profile, ...]:
    """The profiles behind events that the shop's server sends: no device, no place, a user id."""
    rng = dice("servers")
    return tuple(_profile(rng, _NOWHERE, _SERVER, name) for name in _NAMES)


def _person(rng: random.Random) -> Profile:
    place = rng.choices(_PLACES, _PLACE_WEIGHTS)[0]
    device = rng.choices(_DEVICES, _DEVICE_WEIGHTS)[0]
    return _profile(rng, place, device, rng.choice(_NAMES) if chance(rng, 0.7) else "")


def _profile(rng: random.Random, place: tuple[Any, ...], device: tuple[Any, ...], name: str) -> Profile:
    country, region, city, dma, latitude, longitude, language = place
    platform, os_name, os_version, family, kind, carrier, library, version = device
    address = f"203.0.113.{rng.randrange(256)}" if platform else None  # a range kept for documentation
    path: dict[str, object] = {"path": "/2/httpapi", "group_first_event": {}, "group_ids": {}}
    if chance(rng, 0.3):
        path |= {"user_properties_updated": True}
    nothing = ('"device_manufacturer":null,"device_model":null,', '"amplitude_event_type":null,')
    return Profile(
        amplitude_id=f'","$insert_key":null,"$schema":null,"adid":null,"amplitude_attribution_ids":'
        f'{dumps(_attribution(rng))},{nothing[1]}"amplitude_id":',
        client_event_time=f',"app":{APP},"city":{dumps(city)},"client_event_time":"',
        device_id=f'","country":{dumps(country)},"data":{dumps(path)},"data_type":"event","device_brand":null,'
        f'"device_carrier":{dumps(carrier)},"device_family":{dumps(family)},"device_id":"',
        event_id=f'",{nothing[0]}"device_type":{dumps(kind)},"dma":{dumps(dma)},"event_id":',
        processed_time=f'","global_user_properties":null,"group_properties":{{}},"groups":{{}},"idfa":null,'
        f'"ip_address":{dumps(address)},"is_attribution_event":null,"language":{dumps(language)},'
        f'"library":{dumps(library)},"location_lat":{latitude or "null"},"location_lng":{longitude or "null"},'
        f'"os_name":{dumps(os_name)},"os_version":{dumps(os_version)},"partner_id":null,'
        f'"paying":{dumps(rng.choice(_PAYING))},"plan":{{}},"platform":{dumps(platform)},"processed_time":"',
        server_received_time=f'","region":{dumps(region)},"sample_rate":null,"server_received_time":"',
        user_id=f',"source_id":null,"start_version":{dumps(version)},"user_creation_time":null,"user_id":',
        uuid=f',"user_properties":{dumps(_state(rng, name))},"uuid":"',
        end=f'","version_name":{dumps(version)}}}',
        name=name,
    )


def _attribution(rng: random.Random) -> list[str] | None:
    return [f"{rng.getrandbits(128):032x}" for _ in range(rng.randint(1, 2))] if chance(rng, 0.2) else None


def _state(rng: random.Random, name: str) -> dict[str, object]:
    state: dict[str, object] = {
        "initial_utm_source": rng.choice(("google", "newsletter", "EMPTY", "partner/β")),
        "experiments": rng.sample(("checkout-v2", "free-shipping", "dark-mode", "search-rank"), rng.randint(0, 3)),
    }
    if name:
        state |= {
            "Name": name,
            "Plan": rng.choice(("free", "free", "starter", "team", "business")),
            "Signup Date": f"202{rng.randint(3, 5)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
            "Orders": rng.randint(0, 40),
            # One property with three types: what a client that changed its mind leaves behind.
            "Lifetime Value": rng.choice((0, 19.9, "149.50", None, 1284)),
            "address": {"city": rng.choice(("Köln", "Nice", "Łódź")), "zip": str(rng.randint(10000, 99999))},
        }
    return state
