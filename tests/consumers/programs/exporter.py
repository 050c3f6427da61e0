"""What a Prometheus exporter asks of a keepalived on the same host, in its order.

Argument: `text` (the .data and .stats files) or `json`. Prints one line for each
metric, sorted. Whatever the exporter would give up at ends with a traceback.
"""

import json
import os
import re
import subprocess
import sys
import time

STATES = ["INIT", "BACKUP", "MASTER", "FAULT"]
SCRIPT_STATES = ["idle", "running", "requested termination", "forcing termination"]
COUNTERS = {
    ("Advertisements", "Received"): ("advert_rcvd", "advertisements_received_total"),
    ("Advertisements", "Sent"): ("advert_sent", "advertisements_sent_total"),
    ("", "Became master"): ("become_master", "become_master_total"),
    ("", "Released master"): ("release_master", "release_master_total"),
    ("Packet Errors", "Length"): ("packet_len_err", "packet_length_errors_total"),
    ("Packet Errors", "TTL"): ("ip_ttl_err", "ip_ttl_errors_total"),
    ("Packet Errors", "Invalid Type"): ("invalid_type_rcvd", "invalid_type_received_total"),
    ("Packet Errors", "Advertisement Interval"): (
        "advert_interval_err",
        "advertisements_interval_errors_total",
    ),
    ("Packet Errors", "Address List"): ("addr_list_err", "address_list_errors_total"),
    ("Authentication Errors", "Invalid Type"): ("invalid_authtype", "authentication_invalid_total"),
    ("Authentication Errors", "Type Mismatch"): (
        "authtype_mismatch",
        "authentication_mismatch_total",
    ),
    ("Authentication Errors", "Failure"): ("auth_failure", "authentication_failure_total"),
    ("Priority Zero", "Received"): ("pri_zero_rcvd", "priority_zero_received_total"),
    ("Priority Zero", "Sent"): ("pri_zero_sent", "priority_zero_sent_total"),
}


def version():
    """The version, which decides how signals are named: read from stderr alone."""
    done = subprocess.run(["bash", "-c", "keepalived -v"], capture_output=True, text=True)
    lines = done.stderr.splitlines()
    assert done.returncode == 0 and len(lines) >= 2, done
    return tuple(int(part) for part in lines[0].split(" ")[1][1:].split("."))


def signal_number(name, in_container):
    """The two ways of asking; the answer is read as JSON, so nothing else may be there."""
    words = ["--signum", name] if in_container else [f"--signum={name}"]
    done = subprocess.run(["keepalived", *words], capture_output=True, text=True)
    assert done.returncode == 0 and re.fullmatch(r"\d+\n", done.stdout), done
    return json.loads(done.stdout)


def pid():
    text = open("/var/run/keepalived.pid").read()
    return int(text[:-1] if text.endswith("\n") else text)


def read(path):
    """Reads at once, again after 10 ms, 20 ms and so on, for two seconds in all."""
    wait, waited = 0.01, 0.0
    while True:
        try:
            return open(path).read()
        except FileNotFoundError:
            if waited > 2:
                raise
        time.sleep(wait)
        waited, wait = waited + wait, wait * 2


def properties(data):
    """Instances with their properties and addresses, and scripts, of the .data file."""
    instances, scripts, block, listed = [], [], None, None
    for line in data.splitlines():
        if line.startswith(" VRRP Instance"):
            block, listed = {"name": line.split("=")[1].strip(), "vips": [], "evips": []}, None
            instances.append(block)
        elif line.startswith(" VRRP Script"):
            block, listed = {"name": line.split("=")[1].strip()}, None
            scripts.append(block)
        elif line.startswith(" VRRP Version"):
            continue
        elif not line.startswith("   "):
            block = None
        elif block is not None and line.startswith("   Virtual IP"):
            assert line.endswith(":"), line
            listed = "evips" if "Excluded" in line else "vips"
        elif block is not None and listed and line.startswith("     "):
            words = line.split()
            assert "dev" in words, line
            block[listed].append((words[0].split("/")[0], words[words.index("dev") + 1]))
        elif block is not None:
            listed = None
            key, equals, value = line.partition("=")
            if equals:
                block[key.strip()] = value.strip()
    return instances, scripts


def statistics(stats):
    counted, section, own = {}, "", None
    for line in stats.splitlines():
        key, _, value = line.strip().partition(":")
        if key == "VRRP Instance":
            own, section = counted.setdefault(value.strip(), {}), ""
        elif not value:
            section = key
        else:
            # Lines of the outer level follow the sections.
            place = section if line.startswith("    ") else ""
            if (place, key) in COUNTERS:
                own[COUNTERS[(place, key)][0]] = int(value)
    return counted


def from_text():
    for name, path in [("STATS", "/tmp/keepalived.stats"), ("DATA", "/tmp/keepalived.data")]:
        os.kill(pid(), signal_number(name, False))
    instances, scripts = properties(read("/tmp/keepalived.data"))
    counted = statistics(read("/tmp/keepalived.stats"))
    assert [it["name"] for it in instances] == list(counted), (instances, counted)
    assert instances, "no instance"
    for it in instances:
        yield {
            "iname": it["name"],
            "state": STATES.index(it["State"]),
            "wantstate": STATES.index(it["Wantstate"]),
            "intf": it.get("Interface") or it["Listening device"],
            "garp_delay": int(it["Gratuitous ARP delay"]),
            "vrid": int(it["Virtual Router ID"]),
            "vips": it["vips"],
            "evips": it["evips"],
            "stats": counted[it["name"]],
        }
    for it in scripts:
        status, state = ["BAD", "GOOD"].index(it["Status"]), SCRIPT_STATES.index(it["State"])
        print(f'keepalived_script_status{{name="{it["name"]}"}} {status}')
        print(f'keepalived_script_state{{name="{it["name"]}"}} {state}')


def whole(value):
    assert isinstance(value, int) and not isinstance(value, bool), value
    return value


def from_json():
    shown = subprocess.run(["keepalived", "--version"], capture_output=True, text=True)
    assert "--enable-json" in shown.stdout + shown.stderr, shown
    os.kill(pid(), signal_number("JSON", False))
    document = json.loads(read("/tmp/keepalived.json"))
    assert isinstance(document, list) and document, document
    for it in document:
        data, stats = it["data"], it["stats"]
        addresses = lambda texts: [(text.split("/")[0], text.split()[2]) for text in texts]
        yield {
            "iname": data["iname"],
            "state": whole(data["state"]),
            "wantstate": whole(data["wantstate"]),
            "intf": data["ifp_ifname"],
            "garp_delay": float(data["garp_delay"]),
            "vrid": whole(data["vrid"]),
            "vips": addresses(data.get("vips", [])),
            "evips": addresses(data.get("evips", [])),
            "stats": {field: whole(stats[field]) for field, _ in COUNTERS.values()},
        }


def main():
    assert version() >= (1, 3, 8)
    for name in ["JSON", "DATA", "STATS"]:
        assert signal_number(name, False) == signal_number(name, True)
    metrics = ["keepalived_up 1"]
    for it in {"text": from_text, "json": from_json}[sys.argv[1]]():
        place = f'iname="{it["iname"]}",intf="{it["intf"]}",vrid="{it["vrid"]}"'
        metrics.append(f'keepalived_gratuitous_arp_delay_total{{{place}}} {it["garp_delay"]:g}')
        for field, name in COUNTERS.values():
            metrics.append(f'keepalived_{name}{{{place}}} {it["stats"][field]}')
        for addresses, name in [("vips", "vrrp_state"), ("evips", "vrrp_excluded_state")]:
            for address, interface in it[addresses]:
                place = f'iname="{it["iname"]}",intf="{interface}",vrid="{it["vrid"]}"'
                label = f'{place},ip_address="{address}"'
                metrics.append(f'keepalived_{name}{{{label}}} {it["state"]}')
    for metric in sorted(metrics):
        print(metric)


main()
