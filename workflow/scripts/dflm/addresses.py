"""Addresses as they may be told and recorded: without user names and passwords."""

import re
from urllib.parse import urlsplit, urlunsplit


def without_login(address: str) -> str:
    """Return an address without the user name and password it may hold."""
    try:
        pieces = urlsplit(address)
    except ValueError:
        return address
    if "@" not in pieces.netloc:
        return address
    return urlunsplit(pieces._replace(netloc=pieces.netloc.rsplit("@", 1)[1]))


def without_passwords(content: object) -> object:
    """Return what JSON holds, texts in it without user names and passwords of addresses."""
    if isinstance(content, dict):
        return {name: without_passwords(value) for name, value in content.items()}
    if isinstance(content, list):
        return [without_passwords(value) for value in content]
    return re.sub(r"(?<=://)[^/?#\s]*@", "", content) if isinstance(content, str) else content
