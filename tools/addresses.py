"""Which network address may a fetched page come from? Asked after names are resolved, and then kept to.

The connection goes to the very address that was checked, so a name that resolves differently the second time (DNS
rebinding) gains nothing.
"""

import ipaddress
import socket

from tools.base import Forbidden, ToolError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def checked_addresses(host: str, port: int, allowed_private_hosts: frozenset[str]) -> list[str]:
    """Addresses of `host` to connect to, in the resolver's order.

    Raises Forbidden if any is not public and neither "host:port" nor "address:port" is allowed, ToolError if the name
    does not resolve.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ToolError(f"The host {host} is not known; check the address.") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        is_allowed = not allowed_private_hosts.isdisjoint({_pair(host, port), _pair(address, port)})
        if not is_allowed and not is_public(ipaddress.ip_address(address)):
            raise Forbidden(f"{host}:{port} is not a public address, so it may not be fetched; use a public page.")
    return addresses


def _pair(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host.lower()}:{port}"


def is_public(address: Address) -> bool:
    """True for addresses of the public internet; IPv6 forms that carry an IPv4 address are judged by that."""
    if isinstance(address, ipaddress.IPv6Address):
        carried = _carried_ipv4(address)
        if carried is not None:
            return is_public(carried)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _carried_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour
