#!/usr/bin/env python3
"""Prints the Grafana dashboard: make_dashboard.py >nearside.json. A panel is a row of the table below."""

import json
import sys

# title, unit, queries with their legends
ROWS = {
    "What visitors get": [
        ("Requests a second, by edge", "reqps",
         [("sum(rate(nearside_edge_requests_total{result!=\"node\"}[1m])) by (instance)", "{{instance}}")]),
        ("Requests a second, by what became of them", "reqps",
         [("sum(rate(nearside_edge_requests_total{result!=\"node\"}[1m])) by (reason)", "{{reason}}")]),
        ("Share of requests that the origin is asked for", "percentunit",
         [("sum(rate(nearside_edge_origin_requests_total[5m])) by (instance) "
           "/ sum(rate(nearside_edge_requests_total{result!=\"node\"}[5m])) by (instance)", "{{instance}}")]),
        ("Bytes a second, to visitors and from origins", "Bps",
         [("sum(rate(nearside_edge_sent_bytes_total[1m]))", "to visitors"),
          ("sum(rate(nearside_edge_origin_body_bytes_total[1m]))", "from origins")]),
    ],
    "Steering": [
        ("Points of presence", "bool_on_off", [("nearside_dns_target_up", "{{instance}} {{target}}")]),
        ("Load that they report", "percentunit", [("nearside_dns_target_load", "{{target}}")]),
        ("DNS queries a second", "reqps", [("sum(rate(nearside_dns_queries_total[1m])) by (instance, transport)",
                                            "{{instance}} {{transport}}")]),
        ("Steered answers a second, by reason", "reqps",
         [("sum(rate(nearside_dns_steered_total[1m])) by (reason)", "{{reason}}")]),
    ],
    "Publish and purge": [
        ("Behind the event log", "s", [("nearside_edge_event_lag_seconds", "{{instance}}")]),
        ("Newest event", "none", [("nearside_origin_log_seq", "{{instance}}")]),
        ("Followers of the log", "none", [("nearside_origin_followers", "{{instance}}")]),
        ("Uploads, bytes a second", "Bps",
         [("sum(rate(nearside_origin_received_bytes_total[1m])) by (instance)", "{{instance}}")]),
    ],
    "Jobs": [
        ("Waiting, by kind", "none", [("max(nearside_origin_jobs{state=\"waiting\"}) by (kind)", "{{kind}}")]),
        ("Done a second", "ops",
         [("sum(rate(nearside_origin_jobs_done_total[5m])) by (instance, kind)", "{{instance}} {{kind}}")]),
        ("Failed attempts a second", "ops",
         [("sum(rate(nearside_origin_jobs_failed_total[5m])) by (instance, kind)", "{{instance}} {{kind}}")]),
        ("Given up for good, by kind", "none", [("max(nearside_origin_jobs{state=\"dead\"}) by (kind)", "{{kind}}")]),
    ],
    "Cache": [
        ("Stored bytes, by tier", "bytes", [("nearside_cache_bytes", "{{instance}} {{tier}}")]),
        ("Evictions a second, by tier", "ops", [("sum(rate(nearside_cache_evicted_total[5m])) by (instance, tier)",
                                                 "{{instance}} {{tier}}")]),
        ("Waiting to be written", "bytes", [("nearside_cache_write_queue_bytes", "{{instance}}")]),
        ("Cold reads waiting", "none", [("nearside_cache_read_queue_length", "{{instance}}")]),
    ],
    "Origins": [
        ("Origins, as edges see them", "bool_on_off", [("nearside_edge_site_origin_up", "{{instance}} {{origin}}")]),
        ("Failed requests to origins a second", "ops",
         [("sum(rate(nearside_edge_origin_failures_total[5m])) by (instance)", "{{instance}}")]),
        ("Requests under way at origins", "none", [("nearside_edge_site_origin_in_flight", "{{instance}} {{origin}}")]),
        ("Connections to edges", "none", [("sum(nearside_edge_connections) by (instance)", "{{instance}}")]),
    ],
    "Machines": [  # node exporter
        ("CPU in use", "percentunit",
         [("1 - avg(rate(node_cpu_seconds_total{mode=\"idle\"}[1m])) by (instance)", "{{instance}}")]),
        ("Memory available", "bytes", [("node_memory_MemAvailable_bytes", "{{instance}}")]),
        ("Network, bytes a second out", "Bps",
         [("sum(rate(node_network_transmit_bytes_total{device!=\"lo\"}[1m])) by (instance)", "{{instance}}")]),
        ("Time that disks are busy", "percentunit",
         [("sum(rate(node_disk_io_time_seconds_total[1m])) by (instance)", "{{instance}}")]),
    ],
}
WIDTH, HEIGHT, ACROSS = 6, 7, 4


def panel(number: int, title: str, unit: str, queries: list, x: int, y: int) -> dict:
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "id": number, "type": "timeseries", "title": title, "datasource": source,
        "gridPos": {"x": x, "y": y, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [{"refId": chr(ord("A") + index), "expr": expression, "legendFormat": legend, "datasource": source}
                    for index, (expression, legend) in enumerate(queries)],
    }


def dashboard() -> dict:
    panels, y = [], 0
    for title, row in ROWS.items():
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "collapsed": False, "panels": [],
                       "gridPos": {"x": 0, "y": y, "w": WIDTH * ACROSS, "h": 1}})
        for index, (name, unit, queries) in enumerate(row):
            below = index // ACROSS * HEIGHT
            panels.append(panel(len(panels) + 1, name, unit, queries, index % ACROSS * WIDTH, y + 1 + below))
        y += 1 + (len(row) + ACROSS - 1) // ACROSS * HEIGHT
    return {
        "uid": "nearside", "title": "Nearside", "tags": ["nearside"], "schemaVersion": 36, "version": 1,
        "editable": True, "refresh": "10s", "time": {"from": "now-1h", "to": "now"}, "timezone": "",
        "templating": {"list": [{"name": "source", "label": "Prometheus", "type": "datasource",
                                 "query": "prometheus"}]},
        "annotations": {"list": []}, "panels": panels,
    }


if __name__ == "__main__":
    json.dump(dashboard(), sys.stdout, indent=2)
    print()
