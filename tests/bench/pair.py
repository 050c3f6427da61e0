"""The configurations of two nodes with the same instances, and who of them is MASTER.

For `tests/bench/compare`.
"""
from measure import ON_A_LINK

HIGH, LOW = 200, 100


def vip(number, family=4):
    if family == 6:
        return f"fe80::c8:{number // 250 + 1:x}:{number % 250 + 1:x}"
    return f"10.200.{number // 250}.{number % 250 + 1}"


def instance(number, priority, interval, more="", addresses=None, state="BACKUP", family=4):
    link, length = f"e{number // ON_A_LINK}", {4: 32, 6: 128}[family]
    lines = "\n".join(f"        {address}/{length} dev {link}"
                      for address in addresses or [vip(number, family)])
    return f"""vrrp_instance VI_{number} {{
    state {state}
    interface {link}
    virtual_router_id {number % ON_A_LINK + 1}
    priority {priority}
    advert_int {interval}
    virtual_ipaddress {{
{lines}
    }}
{more}}}
"""


def text(count, priority, interval=1, **more):
    instances = [instance(number, priority, interval, **more) for number in range(count)]
    return "global_defs {\n    vrrp_version 3\n}\n" + "".join(instances)


def down_ns(priority, interval):
    """The master-down time of version 3."""
    return int((3 + (256 - priority) / 256) * interval * 1e9)


def first_of(heard, node, since=0):
    """The first advert of each instance of a node, by interface and VRID."""
    found = {}
    for at, who, (key, priority) in heard.adverts:
        if who == node and priority and at >= since:
            found.setdefault(key, at)
    return found


def masters(heard, node, count, seconds):
    """Waits until all of a node are MASTER."""
    if not heard.until(lambda: len(first_of(heard, node)) >= count, seconds):
        raise RuntimeError(f"{len(first_of(heard, node))} of {count} are MASTER")
    return first_of(heard, node)
