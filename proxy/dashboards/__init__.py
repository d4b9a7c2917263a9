"""Grafana's dashboards without Grafana: reads the same files, and asks the store what they ask."""
